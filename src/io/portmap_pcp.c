/* SPDX-License-Identifier: MIT */
/*
 * portmap_pcp.c - bytes of PCP. All integers are in network order, all addresses IPv6 (an IPv4
 * address is written as IPv4-mapped).
 *
 *   request       0         1         2         3         answer
 *          0 | version |0|opcode |      reserved     |     | version |1|opcode |    -    | result  |
 *          4 |           requested lifetime          |     |               lifetime                |
 *          8 |                                       |     |                 epoch                 |
 *         12 |        address of the client (16)     |     |             reserved (12)             |
 *   MAP   24 |                              nonce (12), the same in both                           |
 *         36 |protocol |           reserved          |     the same
 *         40 |   internal port   |   external port   |     as suggested, as granted
 *         44 |          external address (16)        |
 *         60 options: skipped
 */
#include "portmap_pcp.h"

#include <errno.h>
#include <string.h>

#define VERSION 2u
#define NATPMP_VERSION 0u
#define ANSWER 0x80u
#define OPCODE_ANNOUNCE 0u
#define OPCODE_MAP 1u
#define HEADER_SIZE 24u
#define NATPMP_ANNOUNCE_SIZE 12u
#define PROTOCOL_UDP 17u

/* --- bytes -------------------------------------------------------------------------------- */

static void put_u16(u8 *out, u16 value)
{
	out[0] = (u8)(value >> 8);
	out[1] = (u8)value;
}

static void put_u32(u8 *out, u32 value)
{
	put_u16(out, (u16)(value >> 16));
	put_u16(out + 2, (u16)value);
}

static u16 get_u16(const u8 *in)
{
	return (u16)(in[0] << 8 | in[1]);
}

static u32 get_u32(const u8 *in)
{
	return (u32)get_u16(in) << 16 | get_u16(in + 2);
}

static const u8 mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

static void put_address(u8 *out, const struct address *a)
{
	memset(out, 0, 16);
	if (a->family == 6) {
		memcpy(out, a->bytes, 16);
	} else if (a->family == 4) {
		memcpy(out, mapped_prefix, sizeof(mapped_prefix));
		memcpy(out + 12, a->bytes, 4);
	}
}

static void get_address(const u8 *in, struct address *ret)
{
	*ret = (struct address){ .family = 6 };
	if (memcmp(in, mapped_prefix, sizeof(mapped_prefix)) == 0) {
		ret->family = 4;
		memcpy(ret->bytes, in + 12, 4);
	} else {
		memcpy(ret->bytes, in, 16);
	}
}

/* --- requests ----------------------------------------------------------------------------- */

/* No wish is the unspecified address of the client's family (RFC 6887 11.1). */
static void put_suggested(u8 *out, const struct pcp_map *map)
{
	struct address any = { .family = map->client.family };

	put_address(out, map->suggested.address.family ? &map->suggested.address : &any);
}

void pcp_put_map(u8 out[static PCP_MAP_SIZE], const struct pcp_map *map)
{
	memset(out, 0, PCP_MAP_SIZE);
	out[0] = VERSION;
	out[1] = OPCODE_MAP;
	put_u32(out + 4, map->lifetime);
	put_address(out + 8, &map->client);
	memcpy(out + HEADER_SIZE, map->nonce, PCP_NONCE_SIZE);
	out[36] = PROTOCOL_UDP;
	put_u16(out + 40, map->internal_port);
	put_u16(out + 42, map->suggested.port);
	put_suggested(out + 44, map);
}

/* --- answers ------------------------------------------------------------------------------ */

/* RFC 6886 3.2.1, 3.5: an announcement of the outer address has the form of the answer to a
 * question for it; what does not know our version answers with its own and a result. */
static int get_natpmp(const u8 *data, size_t size, struct pcp_answer *ret)
{
	u16 result = size >= 4 ? get_u16(data + 2) : 0;

	if (size >= 4 && result == PCP_UNSUPP_VERSION) {
		ret->kind = PCP_REFUSED;
		ret->result = PCP_UNSUPP_VERSION;
		return 0;
	}
	if (size != NATPMP_ANNOUNCE_SIZE || data[1] != ANSWER || result)
		return -EBADMSG;
	ret->kind = PCP_ANNOUNCED;
	ret->epoch = get_u32(data + 4);
	return 0;
}

static int get_map(const u8 *data, size_t size, struct pcp_answer *ret)
{
	if (size < PCP_MAP_SIZE || data[36] != PROTOCOL_UDP)
		return -EBADMSG;
	ret->kind = PCP_MAPPED;
	memcpy(ret->nonce, data + HEADER_SIZE, PCP_NONCE_SIZE);
	ret->internal_port = get_u16(data + 40);
	ret->external.port = get_u16(data + 42);
	get_address(data + 44, &ret->external.address);
	return 0;
}

int pcp_get_answer(const u8 *data, size_t size, struct pcp_answer *ret)
{
	struct pcp_answer a = { .kind = PCP_REFUSED };
	int r = 0;

	if (size < 2 || !(data[1] & ANSWER))
		return -EBADMSG;
	if (data[0] == NATPMP_VERSION) {
		r = get_natpmp(data, size, &a);
	} else if (size < HEADER_SIZE || size > PCP_MAX_SIZE || size % 4) {
		r = -EBADMSG;
	} else {
		a.result = data[3];
		a.lifetime = get_u32(data + 4);
		a.epoch = get_u32(data + 8);
		if (data[0] != VERSION || a.result == PCP_UNSUPP_VERSION)
			a.kind = PCP_REFUSED;
		else if (data[1] == (ANSWER | OPCODE_MAP))
			r = get_map(data, size, &a);
		else if (data[1] == (ANSWER | OPCODE_ANNOUNCE))
			a.kind = PCP_ANNOUNCED;
		else
			r = -EBADMSG;
	}
	if (r == 0)
		*ret = a;
	return r;
}

const char *pcp_result_name(u8 result)
{
	static const char *const names[] = { "SUCCESS",          "UNSUPP_VERSION",
					     "NOT_AUTHORIZED",   "MALFORMED_REQUEST",
					     "UNSUPP_OPCODE",    "UNSUPP_OPTION",
					     "MALFORMED_OPTION", "NETWORK_FAILURE",
					     "NO_RESOURCES",     "UNSUPP_PROTOCOL",
					     "USER_EX_QUOTA",    "CANNOT_PROVIDE_EXTERNAL",
					     "ADDRESS_MISMATCH", "EXCESSIVE_REMOTE_PEERS" };

	return result < ARRAY_SIZE(names) ? names[result] : "unknown result";
}

/* --- the server's clock ------------------------------------------------------------------- */

/* May `less` be how far one clock went while the other went `more`? They may differ by a sixteenth
 * and two seconds. */
static bool plausible(u64 less, u64 more)
{
	return less + 2 >= more - more / 16;
}

bool pcp_epoch_goes_on(struct pcp_epoch *e, u64 now, u32 seconds)
{
	struct pcp_epoch before = *e;
	u64 ours, theirs;

	*e = (struct pcp_epoch){ .known = true, .seconds = seconds, .at = now };
	if (!before.known)
		return true;
	if ((u64)seconds + 1 < before.seconds)
		return false;
	ours = (now - before.at) / NS_PER_S;
	theirs = seconds > before.seconds ? seconds - before.seconds : 0;
	return plausible(ours, theirs) && plausible(theirs, ours);
}
