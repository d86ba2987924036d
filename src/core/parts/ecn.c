/* SPDX-License-Identifier: MIT */
/*
 * ecn.c - marks of congestion in IP packets (RFC 3168).
 *
 *    IPv4 (RFC 791)                      IPv6 (RFC 8200)
 *    0   version, header length          0   version, traffic class (high 4 bits)
 *    1   type of service: xxxxxxEE       1   traffic class (low 4 bits): xxEE, flow label
 *    10  checksum of the header
 */
#include "warp/ecn.h"

#include "warp/wire.h"

#define IP4_HEADER 20u
#define IP4_TOS 1u
#define IP4_CHECKSUM 10u
#define IP6_HEADER 40u
#define IP6_CLASS 1u
#define IP6_SHIFT 4u

static bool is_ip4(const u8 *packet, size_t size)
{
	return size >= IP4_HEADER && packet[0] >> 4 == 4;
}

static bool is_ip6(const u8 *packet, size_t size)
{
	return size >= IP6_HEADER && packet[0] >> 4 == 6;
}

enum ecn ecn_get(const u8 *packet, size_t size)
{
	if (is_ip4(packet, size))
		return packet[IP4_TOS] & 3u;
	if (is_ip6(packet, size))
		return packet[IP6_CLASS] >> IP6_SHIFT & 3u;
	return ECN_NOT_ECT;
}

/* The first word of the header grows by more: ~(~sum + more) in ones' complement (RFC 1624). */
static void ip4_checksum_add(u8 *packet, u32 more)
{
	u32 sum = (u32)(u16)~get_u16(packet + IP4_CHECKSUM) + more;

	put_u16(packet + IP4_CHECKSUM, (u16) ~((sum & 0xffffu) + (sum >> 16)));
}

bool ecn_mark(u8 *packet, size_t size)
{
	enum ecn ecn = ecn_get(packet, size);

	if (ecn == ECN_NOT_ECT || ecn == ECN_CE)
		return ecn == ECN_CE;
	if (packet[0] >> 4 == 4) {
		packet[IP4_TOS] |= ECN_CE;
		ip4_checksum_add(packet, (u32)ECN_CE - (u32)ecn);
	} else {
		packet[IP6_CLASS] |= (u8)(ECN_CE << IP6_SHIFT);
	}
	return true;
}
