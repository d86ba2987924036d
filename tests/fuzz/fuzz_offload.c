/* SPDX-License-Identifier: MIT */
/*
 * fuzz_offload.c - cutting and joining of arbitrary packets, each in memory of exactly its size.
 *
 * The first byte chooses. Even: a virtio header and a packet, which is cut; the pieces must hold all
 * of the payload. Odd: a list of packets, which are joined; what is written is cut again and must be,
 * byte for byte, what went in.
 *
 *   a packet of a list:  how u8, size u8, bytes [size]
 *
 * how & 1: bytes are pairs (offset, value) that change the packet that follows the one before it in
 * its flow. how & 2: lengths and checksums are then set right, without which nothing would be joined.
 * how >> 2: further payload, in 32 bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/memory.h"
#include "warp/offload.h"
#include "warp/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIST_MOST 200u
#define PACKET_MOST 4096u

static void require(bool condition)
{
	if (!condition)
		abort();
}

static u8 *exactly(const u8 *bytes, size_t size)
{
	u8 *ret = malloc(size ? size : 1);

	require(ret);
	if (size)
		memcpy(ret, bytes, size);
	return ret;
}

/* --- cutting -------------------------------------------------------------------------------------- */

static void take_pieces(const struct cut *cut, void (*each)(const u8 *piece, u32 size))
{
	for (u32 n = 0; n < cut->pieces.count; n++) {
		u32 size = n + 1 < cut->pieces.count ? cut->pieces.size : cut->pieces.last_size;
		u8 *piece = malloc(size);

		require(piece && size);
		cut->pieces.write(&cut->pieces, n, piece);
		each(piece, size);
		free(piece);
	}
}

static struct {
	u32 headers;
	u64 payload;
} sum;

static void add_up(const u8 *piece, u32 size)
{
	(void)piece;
	require(size > sum.headers);
	sum.payload += size - sum.headers;
}

static void try_cut(const u8 *data, size_t size)
{
	struct virtio_net_hdr header;
	struct cut cut;
	u8 *packet;
	int result;

	if (size < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	size -= sizeof(header);
	packet = exactly(data + sizeof(header), size);
	result = cut_begin(&cut, &header, packet, (u32)size);
	require(result == 0 || result == 1 || result == -EBADMSG);
	if (result == 1) {
		sum.headers = cut.header_size;
		sum.payload = 0;
		take_pieces(&cut, add_up);
		require(sum.payload == size - cut.header_size);
	}
	free(packet);
}

/* --- the list ------------------------------------------------------------------------------------- */

static struct {
	struct joined joined;
	struct buf *token;
	u8 *copy[LIST_MOST], *given[LIST_MOST];
	u32 size[LIST_MOST];
	u32 in, out;
} line;

static void compare(const u8 *packet, u32 size)
{
	require(line.out < line.in && size == line.size[line.out]);
	require(memcmp(packet, line.copy[line.out], size) == 0);
	line.out++;
}

static void write_joined(void)
{
	struct joined *j = &line.joined;
	u32 parts = join_finish(j), size = 0;
	u8 *packet = malloc(70000);
	struct cut cut;

	require(packet && parts == j->count + 1);
	for (u32 n = 1; n < parts; n++) {
		require(size + j->iov[n].iov_len <= 65535 || parts == 2);
		memcpy(packet + size, j->iov[n].iov_base, j->iov[n].iov_len);
		size += (u32)j->iov[n].iov_len;
	}
	if (j->count == 1) {
		compare(packet, size);
	} else {
		require(cut_begin(&cut, &j->header, packet, size) == 1);
		require(cut.pieces.count == j->count);
		take_pieces(&cut, compare);
	}
	free(packet);
	join_clear(j);
}

static void give(const u8 *packet, u32 size)
{
	u8 *given = exactly(packet, size);

	line.given[line.in] = given;
	line.copy[line.in] = exactly(packet, size);
	line.size[line.in++] = size;
	if (line.joined.count && join_same_flow(&line.joined, given, size))
		require(size >= 20);
	buf_ref(line.token);
	if (join_add(&line.joined, given, size, line.token))
		return;
	write_joined();
	require(join_add(&line.joined, given, size, line.token));
}

/* --- packets worth joining ------------------------------------------------------------------------ */

/* Where its TCP or UDP header begins; 0: there is none. */
static u32 transport_of(const u8 *p, u32 size)
{
	u32 at = size >= 20 && p[0] == 0x45 ? 20 : size >= 40 && p[0] >> 4 == 6 ? 40 : 0;
	u8 protocol = at == 20 ? p[9] : at ? p[6] : 0;

	if ((protocol == 6 && size >= at + 20) || (protocol == 17 && size >= at + 8))
		return at;
	return 0;
}

static u16 naive_sum(u16 before, const u8 *data, size_t size)
{
	u32 s = before;

	for (size_t i = 0; i < size; i++) {
		s += i % 2 ? data[i] : (u32)data[i] << 8;
		s = (s & 0xffff) + (s >> 16);
	}
	return (u16)s;
}

static void mend(u8 *p, u32 size)
{
	u32 at = transport_of(p, size), length = size - at;
	u8 protocol = at == 20 ? p[9] : p[6];
	u8 *place = p + at + (protocol == 6 ? 16 : 6);
	u8 tail[4] = { 0, protocol, (u8)(length >> 8), (u8)length };
	u16 s;

	if (!at)
		return;
	put_u16(p + (at == 20 ? 2 : 4), (u16)(at == 20 ? size : length));
	if (at == 20) {
		put_u16(p + 10, 0);
		put_u16(p + 10, (u16)~naive_sum(0, p, 20));
	}
	if (protocol == 17)
		put_u16(p + at + 4, (u16)length);
	put_u16(place, 0);
	s = naive_sum(naive_sum(0, tail, 4), p + (at == 20 ? 12 : 8), at == 20 ? 8 : 32);
	s = (u16)~naive_sum(s, p + at, length);
	put_u16(place, !s && protocol == 17 ? 0xffff : s);
}

static void advance(u8 *p, u32 size)
{
	u32 at = transport_of(p, size), headers;

	if (!at)
		return;
	put_u16(p + 4, (u16)(get_u16(p + 4) + (at == 20)));
	headers = at + (p[at + 12] >> 4) * 4u;
	if ((at == 20 ? p[9] : p[6]) == 6 && headers <= size)
		put_u32(p + at + 4, get_u32(p + at + 4) + size - headers);
}

static u32 change(u8 *p, u32 size, const u8 *pairs, u32 count)
{
	for (u32 n = 0; n + 1 < count; n += 2) {
		if (pairs[n] < size)
			p[pairs[n]] = pairs[n + 1];
		else if (pairs[n] == 255 && size + pairs[n + 1] < PACKET_MOST)
			size += pairs[n + 1];
		else if (pairs[n] == 254 && size > pairs[n + 1])
			size -= pairs[n + 1];
	}
	return size;
}

static void try_join(const u8 *data, size_t left)
{
	static u8 packet[PACKET_MOST + 256];
	u32 size = 0;

	memset(packet, 0, sizeof(packet));
	while (left >= 2 && line.in < LIST_MOST) {
		u8 how = data[0];
		u32 bytes = data[1] < left - 2 ? data[1] : (u32)left - 2;

		if (how & 1) {
			advance(packet, size);
			size = change(packet, size, data + 2, bytes);
		} else {
			size = bytes + (how >> 2) * 32u;
			memcpy(packet, data + 2, bytes);
		}
		if (how & 2)
			mend(packet, size);
		give(packet, size);
		data += 2 + bytes;
		left -= 2 + bytes;
	}
	if (line.joined.count)
		write_joined();
	require(line.out == line.in && line.token->refs == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pool *pool;

	if (!pool)
		pool = pool_create(&system_allocator, 1);
	if (!size)
		return 0;
	if (!(data[0] & 1)) {
		try_cut(data + 1, size - 1);
		return 0;
	}
	line.token = buf_get(pool);
	line.in = line.out = 0;
	try_join(data + 1, size - 1);
	for (u32 n = 0; n < line.in; n++) {
		free(line.copy[n]);
		free(line.given[n]);
	}
	buf_put(line.token);
	return 0;
}
