/* SPDX-License-Identifier: MIT */
/*
 * test_offload_join.c - packets that are joined are, cut again, the very same packets; and whatever
 * differs in more than what cutting writes anew is left alone.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "warp/memory.h"
#include "warp/offload.h"
#include "warp/wire.h"

#define MOST 256u

static u8 payload[70000];

/* What went in, byte for byte, and what has come out of it so far. */
static struct {
	struct joined joined;
	struct pool *pool;
	struct buf *token; /* stands for all buffers: join only counts references */
	u8 *copy[MOST], *given[MOST];
	u32 size[MOST];
	u32 in, out;
	u32 writes; /* packets after joining */
} line;

static int begin(void **state)
{
	struct test_random r = { 7 };

	(void)state;
	memset(&line, 0, sizeof(line));
	line.pool = pool_create(&system_allocator, 1);
	line.token = buf_get(line.pool);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (u8)test_random_u64(&r);
	return 0;
}

static void forget(void)
{
	while (line.in) {
		free(line.copy[--line.in]);
		free(line.given[line.in]);
	}
	line.out = 0;
}

static int end(void **state)
{
	(void)state;
	forget();
	pool_destroy(line.pool);
	return 0;
}

/* --- what comes out ------------------------------------------------------------------------------ */

static void compare(const u8 *packet, u32 size)
{
	assert_true(line.out < line.in);
	assert_int_equal(size, line.size[line.out]);
	assert_memory_equal(packet, line.copy[line.out], size);
	line.out++;
}

static void compare_pieces(const struct cut *cut)
{
	for (u32 n = 0; n < cut->pieces.count; n++) {
		u32 size = n + 1 < cut->pieces.count ? cut->pieces.size : cut->pieces.last_size;
		u8 *piece = malloc(size);

		cut->pieces.write(&cut->pieces, n, piece);
		compare(piece, size);
		free(piece);
	}
}

/* As the kernel sees it: one run of bytes. */
static u8 *gather(const struct iovec *parts, u32 count, u32 *ret_size)
{
	u8 *ret;
	u32 size = 0;

	for (u32 i = 0; i < count; i++)
		size += (u32)parts[i].iov_len;
	ret = malloc(size);
	assert_non_null(ret);
	size = 0;
	for (u32 i = 0; i < count; i++) {
		memcpy(ret + size, parts[i].iov_base, parts[i].iov_len);
		size += (u32)parts[i].iov_len;
	}
	*ret_size = size;
	return ret;
}

static void assert_kernel_takes(const struct virtio_net_hdr *h, const u8 *packet, u32 size)
{
	bool tcp = h->gso_type != VIRTIO_NET_HDR_GSO_UDP_L4;

	assert_int_equal(h->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(h->csum_start, packet[0] >> 4 == 4 ? 20 : 40);
	assert_int_equal(h->csum_offset, tcp ? 16 : 6);
	assert_int_equal(h->hdr_len,
			 h->csum_start + (tcp ? (packet[h->csum_start + 12] >> 4) * 4 : 8));
	assert_in_range(size, h->hdr_len + h->gso_size + 1, 65535);
	assert_in_range(h->gso_size, 1, 65535);
}

/* Writes what is joined to a kernel that cuts it at once. */
static void write_joined(void)
{
	u32 count = line.joined.count, size;
	struct virtio_net_hdr header;
	struct cut cut;
	u8 *all, *packet;

	if (!count)
		return;
	all = gather(line.joined.iov, join_finish(&line.joined), &size);
	memcpy(&header, all, sizeof(header));
	size -= (u32)sizeof(header);
	packet = malloc(size);
	memcpy(packet, all + sizeof(header), size);
	if (count == 1) {
		assert_memory_equal(&header, &(struct virtio_net_hdr){ 0 }, sizeof(header));
		compare(packet, size);
	} else {
		assert_kernel_takes(&header, packet, size);
		assert_int_equal(cut_begin(&cut, &header, packet, size), 1);
		assert_int_equal(cut.pieces.count, count);
		compare_pieces(&cut);
	}
	free(packet);
	free(all);
	join_clear(&line.joined);
	line.writes++;
}

/* --- what goes in -------------------------------------------------------------------------------- */

static void give_bytes(const u8 *bytes, u32 size)
{
	u8 *given = malloc(size ? size : 1), *copy = malloc(size ? size : 1);

	assert_true(line.in < MOST);
	if (size) {
		memcpy(given, bytes, size);
		memcpy(copy, bytes, size);
	}
	line.given[line.in] = given;
	line.copy[line.in] = copy;
	line.size[line.in++] = size;
	if (join_add(&line.joined, given, size, buf_ref(line.token)))
		return;
	write_joined();
	assert_true(join_add(&line.joined, given, size, line.token));
}

static void give(const struct packet *p)
{
	static u8 bytes[PACKET_BYTES_MAX];

	give_bytes(bytes, packet_make(p, bytes));
}

/* All that was given has come out; in how many packets? */
static u32 written(void)
{
	u32 ret;

	write_joined();
	assert_int_equal(line.out, line.in);
	assert_int_equal(line.token->refs, 1);
	forget();
	ret = line.writes;
	line.writes = 0;
	return ret;
}

/* The packet that follows p in its flow. */
static struct packet next_of(const struct packet *p)
{
	struct packet ret = *p;

	ret.id++;
	ret.sequence += p->size;
	ret.data += p->size;
	return ret;
}

static struct packet first_of(u8 family, u8 protocol)
{
	struct packet ret = protocol == 6 ? packet_tcp(family) : packet_udp(family);

	ret.data = payload;
	ret.size = 1000;
	return ret;
}

static const struct {
	u8 family, protocol;
} kinds[] = { { 4, 6 }, { 4, 17 }, { 6, 6 }, { 6, 17 } };

/* --- what is joined ------------------------------------------------------------------------------- */

static void what_follows_is_joined(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);

		for (u32 n = 0; n < 40; n++, p = next_of(&p))
			give(&p);
		assert_int_equal(written(), 1);
	}
}

static void options_that_are_equal_are_joined(void **state)
{
	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		struct packet p = first_of(family, 6);

		packet_options(&p, OPTIONS_TIMESTAMPS);
		for (u32 n = 0; n < 5; n++, p = next_of(&p))
			give(&p);
		packet_options(&p, OPTIONS_SACK);
		for (u32 n = 0; n < 5; n++, p = next_of(&p))
			give(&p);
		assert_int_equal(written(), 2);
	}
}

static void sequences_and_ids_wrap(void **state)
{
	struct packet p = first_of(4, 6);

	(void)state;
	p.id = 65530;
	p.sequence = UINT32_MAX - 5500;
	p.tos = 0xff;
	p.fragment = 0;
	for (u32 n = 0; n < 12; n++, p = next_of(&p))
		give(&p);
	assert_int_equal(written(), 1);
}

static void odd_sizes_are_joined(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (u32 size = 1; size < 40; size++) {
			struct packet p = first_of(kinds[i].family, kinds[i].protocol);

			p.size = size;
			for (u32 n = 0; n < 5; n++, p = next_of(&p))
				give(&p);
			assert_int_equal(written(), 1);
		}
}

static void a_shorter_one_is_the_last(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);

		give(&p);
		p = next_of(&p);
		p.size = 999;
		give(&p);
		p = next_of(&p);
		give(&p);
		p = next_of(&p);
		p.size = 1000; /* longer than the one before */
		give(&p);
		assert_int_equal(written(), 3);
	}
}

static void push_is_the_last(void **state)
{
	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		struct packet p = first_of(family, 6);

		for (u32 n = 0; n < 9; n++, p = next_of(&p)) {
			p.flags = n % 3 == 2 ? FLAG_ACK | FLAG_PSH : FLAG_ACK;
			give(&p);
		}
		assert_int_equal(written(), 3);
		p.flags = FLAG_ACK | FLAG_PSH;
		for (u32 n = 0; n < 3; n++, p = next_of(&p))
			give(&p);
		assert_int_equal(written(), 3);
	}
}

static void a_packet_is_never_larger_than_65535_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);
		u32 room = 65535 - packet_headers(&p);

		p.size = room / 7;
		for (u32 n = 0; n < 7; n++, p = next_of(&p))
			give(&p);
		p.size = room % 7;
		if (p.size) {
			give(&p);
			p = next_of(&p);
		}
		assert_int_equal(written(), 1); /* of exactly 65535 bytes */
		p.data = payload;
		p.size = room / 7 + 1;
		for (u32 n = 0; n < 7; n++, p = next_of(&p))
			give(&p);
		assert_int_equal(written(), 2);
		p.data = payload;
		p.size = room;
		give(&p);
		p = next_of(&p);
		p.size = 1;
		give(&p);
		assert_int_equal(written(), 2);
	}
}

static void no_more_than_the_kernel_cuts_again_are_joined(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);

		p.size = 10;
		for (u32 n = 0; n < JOIN_PARTS + 1; n++, p = next_of(&p))
			give(&p);
		assert_int_equal(written(), 2);
	}
}

/* --- what is not ---------------------------------------------------------------------------------- */

/* p and what follows it, which differs in one thing: not joined. */
#define APART(p, change)                                                                           \
	do {                                                                                       \
		struct packet next = next_of(&(p)), *q = &next;                                    \
		give(&(p));                                                                        \
		change;                                                                            \
		give(q);                                                                           \
		if (written() != 2)                                                                \
			fail_msg("joined in spite of %s", #change);                                \
	} while (0)

static void what_differs_in_the_ip_header_is_not_joined(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);

		APART(p, q->tos ^= 4);
		APART(p, q->tos ^= 1); /* ECN */
		APART(p, q->ttl--);
		APART(p, q->from++);
		APART(p, q->to++);
		APART(p, q->protocol ^= 6 ^ 17);
		if (p.family == 6) {
			APART(p, q->label++);
			APART(p, q->family = 4);
			continue;
		}
		APART(p, q->family = 6);
		APART(p, q->id++);
		APART(p, q->id--);
		APART(p, q->fragment = 0);
		APART(p, q->fragment |= 0x8000);
		APART(p, q->fragment = 0x2000);
		APART(p, q->fragment = 1);
		APART(p, packet_ip_extra(q, 0, "\x01\x01\x01\x01", 4));
	}
}

static void what_differs_in_the_transport_header_is_not_joined(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);

		APART(p, q->source++);
		APART(p, q->destination++);
		APART(p, q->size++);
		APART(p, q->size = 0);
		if (p.protocol == 17)
			continue;
		APART(p, q->acknowledgement++);
		APART(p, q->acknowledgement--);
		APART(p, q->window++);
		APART(p, q->urgent = 1);
		APART(p, q->sequence++);
		APART(p, q->sequence--);
		APART(p, q->sequence -= 1000); /* sent again */
		APART(p, q->reserved = 1);
		APART(p, packet_options(q, OPTIONS_TIMESTAMPS));
		packet_options(&p, OPTIONS_TIMESTAMPS);
		APART(p, packet_options(q, OPTIONS_SACK));
		APART(p, packet_options(q, "", 0));
	}
}

static void only_ack_and_push_are_joined(void **state)
{
	(void)state;
	for (u32 flags = 0; flags < 256; flags++) {
		struct packet p = first_of(flags % 2 ? 4 : 6, 6);

		if (flags == FLAG_ACK)
			continue;
		if (flags != (FLAG_ACK | FLAG_PSH))
			APART(p, q->flags = (u8)flags);
		p.flags = (u8)flags;
		APART(p, (void)q);
		APART(p, q->flags = FLAG_ACK);
	}
}

static void fragments_and_what_has_more_headers_are_not_joined(void **state)
{
	const char hop[2][8] = { "\x06\0\x01\x04\0\0\0", "\x11\0\x01\x04\0\0\0" };

	(void)state;
	for (u32 n = 0; n < 2; n++) {
		struct packet p = first_of(4, n ? 17 : 6);

		p.fragment = 0x2000;
		APART(p, (void)0);
		p.fragment = 0x2001;
		APART(p, (void)0);
		p.fragment = 1;
		APART(p, (void)0);
		p.fragment = 0x4000;
		packet_ip_extra(&p, 0, "\x01\x01\x01\x01", 4);
		APART(p, (void)0);
		p = first_of(6, n ? 17 : 6);
		packet_ip_extra(&p, 0, hop[n], 8);
		APART(p, (void)0);
		packet_ip_extra(&p, 44, hop[n], 8);
		APART(p, (void)0);
		p = first_of(n ? 4 : 6, 17);
		p.protocol = 1;
		APART(p, (void)0);
	}
}

/* Two packets that follow one another, one of which has other bytes at offset; not joined. */
static void assert_spoilt(const struct packet *p, u32 which, u32 offset, u8 with)
{
	u8 bytes[2000];
	struct packet list[2] = { *p, next_of(p) };

	for (u32 n = 0; n < 2; n++) {
		u32 size = packet_make(&list[n], bytes);

		if (n == which)
			bytes[offset] ^= with;
		give_bytes(bytes, size);
	}
	if (written() != 2)
		fail_msg("joined with another byte %u", offset);
}

static void every_bit_that_is_wrong_keeps_packets_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);

		p.size = 33;
		for (u32 offset = 0; offset < packet_headers(&p) + p.size; offset++)
			for (u32 bit = 0; bit < 8; bit++) {
				assert_spoilt(&p, 0, offset, (u8)(1u << bit));
				assert_spoilt(&p, 1, offset, (u8)(1u << bit));
			}
	}
}

/* In ones' complement ffff is another zero, but nobody writes it so: cut again it would be 0. */
static void a_checksum_that_would_be_written_otherwise_is_left_alone(void **state)
{
	u8 bytes[200];
	struct packet p = first_of(4, 6);
	u32 size;

	(void)state;
	p.size = 2;
	for (u32 n = 0; n < 2; n++, p = next_of(&p)) {
		u8 data[2] = { 0, 0 };
		struct packet zero = p;

		zero.data = data;
		packet_make(&zero, bytes);
		memcpy(data, bytes + 36, 2);
		size = packet_make(&zero, bytes);
		assert_memory_equal(bytes + 36, "\0\0", 2);
		memset(bytes + 36, 0xff, 2);
		give_bytes(bytes, size);
	}
	assert_int_equal(written(), 2);
}

static void udp_without_checksum_is_not_joined(void **state)
{
	u8 bytes[2000];

	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		struct packet p = first_of(family, 17);

		for (u32 n = 0; n < 4; n++, p = next_of(&p)) {
			u32 size = packet_make(&p, bytes);

			memset(bytes + packet_transport(&p) + 6, 0, 2);
			give_bytes(bytes, size);
		}
		assert_int_equal(written(), 4);
	}
}

static void what_is_behind_the_packet_is_kept(void **state)
{
	u8 bytes[2000] = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		for (u32 extra = 1; extra < 4; extra++) {
			struct packet p = first_of(kinds[i].family, kinds[i].protocol);

			for (u32 n = 0; n < 3; n++, p = next_of(&p)) {
				u32 size = packet_make(&p, bytes);

				memset(bytes + size, 0, extra); /* as if summed */
				give_bytes(bytes, size + extra);
			}
			assert_int_equal(written(), 3);
		}
}

static void what_is_cut_short_is_kept(void **state)
{
	u8 bytes[2000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol), next;

		p.size = 20;
		next = next_of(&p);
		packet_options(&next, OPTIONS_TIMESTAMPS);
		for (u32 left = 0; left < packet_headers(&next) + p.size; left++) {
			give(&p);
			packet_make(&next, bytes);
			give_bytes(bytes, left);
			assert_int_equal(written(), 2);
		}
	}
}

/* --- which flow? ---------------------------------------------------------------------------------- */

static bool same_flow(const struct packet *p)
{
	u8 bytes[2000], *exact;
	u32 size = packet_make(p, bytes);
	bool ret;

	exact = malloc(size);
	memcpy(exact, bytes, size);
	ret = join_same_flow(&line.joined, exact, size);
	free(exact);
	return ret;
}

#define OTHER(p, change) (other = (p), change, same_flow(&other))

static void flows_are_told_apart(void **state)
{
	struct packet other;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);

		assert_false(same_flow(&p));
		give(&p);
		assert_true(same_flow(&p));
		assert_true(OTHER(p, other.sequence += 5));
		assert_true(OTHER(p, other.size = 0));
		assert_true(OTHER(p, other.tos++));
		assert_false(OTHER(p, other.source++));
		assert_false(OTHER(p, other.destination++));
		assert_false(OTHER(p, other.from++));
		assert_false(OTHER(p, other.to++));
		assert_false(OTHER(p, other.protocol ^= 6 ^ 17));
		assert_false(OTHER(p, other.family ^= 4 ^ 6));
		assert_int_equal(written(), 1);
	}
}

/* What shows no ports may be of any flow between the two. */
static void fragments_and_options_overtake_nothing(void **state)
{
	struct packet other;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct packet p = first_of(kinds[i].family, kinds[i].protocol);

		give(&p);
		if (p.family == 4) {
			assert_true(OTHER(p, (other.fragment = 5, other.source++)));
			assert_true(OTHER(p, packet_ip_extra(&other, 0, "\1\1\1\1", 4)));
			assert_true(
				OTHER(p, (other.fragment = 5, other.protocol = 1, other.size = 1)));
			/* The first fragment shows them. */
			assert_true(OTHER(p, other.fragment = 0x2000));
			assert_false(OTHER(p, (other.fragment = 0x2000, other.source++)));
		} else {
			assert_true(OTHER(p, packet_ip_extra(&other, 44, "\6\0\0\1\0\0\0\0", 8)));
		}
		assert_false(OTHER(p, (other.protocol = 1, other.from++)));
		assert_int_equal(written(), 1);
	}
}

static void arbitrary_bytes_are_of_some_flow_or_none(void **state)
{
	struct packet p = first_of(6, 17);
	u8 bytes[200];

	(void)state;
	p.size = 10;
	give(&p);
	packet_make(&p, bytes);
	for (u32 size = 0; size < 58; size++) {
		u8 *exact = malloc(size ? size : 1);

		memcpy(exact, bytes, size);
		assert_int_equal(join_same_flow(&line.joined, exact, size), size >= 40);
		free(exact);
	}
	assert_int_equal(written(), 1);
}

/* --- streams -------------------------------------------------------------------------------------- */

static void change_ip(struct test_random *r, struct packet *p)
{
	switch (test_random_below(r, 7)) {
	case 0:
		p->tos = (u8)test_random_below(r, 4);
		break;
	case 1:
		p->ttl = (u8)(60 + test_random_below(r, 3));
		break;
	case 2:
		p->id = (u16)test_random_u64(r);
		break;
	case 3:
		p->fragment = (u16)(test_random_below(r, 4) << 13);
		break;
	case 4:
		p->label = test_random_below(r, 3);
		break;
	case 5:
		packet_ip_extra(p, 0, "\6\0\1\4\0\0\0\0", test_random_below(r, 2) * 8);
		break;
	default:
		p->from = (u8)test_random_below(r, 2);
		break;
	}
}

static void change_transport(struct test_random *r, struct packet *p)
{
	switch (test_random_below(r, 8)) {
	case 0:
		p->acknowledgement += test_random_below(r, 2);
		break;
	case 1:
		p->window = (u16)test_random_below(r, 3);
		break;
	case 2:
		p->flags = FLAG_ACK | (test_random_below(r, 2) ? FLAG_PSH : 0);
		break;
	case 3:
		p->flags = (u8)test_random_u64(r);
		break;
	case 4:
		p->sequence -= test_random_below(r, 2) * p->size;
		break;
	case 5:
		packet_options(p, OPTIONS_TIMESTAMPS);
		break;
	case 6:
		packet_options(p, OPTIONS_SACK);
		break;
	default:
		p->size = test_random_below(r, 1500);
		break;
	}
	p->urgent = 0;
}

/* A packet that in most cases follows p, and is now and then spoilt. */
static u32 another(struct test_random *r, struct packet *p, const struct packet *fresh, u8 *bytes)
{
	u32 size;

	*p = next_of(p);
	if (p->data > payload + 60000)
		p->data = payload;
	if (test_random_below(r, 4) == 0)
		p->size = test_random_below(r, p->size + 1);
	else if (test_random_below(r, 6) == 0)
		*p = *fresh;
	if (test_random_below(r, 12) == 0)
		change_ip(r, p);
	if (test_random_below(r, 12) == 0)
		change_transport(r, p);
	size = packet_make(p, bytes);
	if (test_random_below(r, 50) == 0)
		bytes[test_random_below(r, size)] ^= (u8)(1u << test_random_below(r, 8));
	if (test_random_below(r, 50) == 0)
		size = test_random_below(r, size + 1);
	return size;
}

static void any_stream_comes_out_as_it_went_in(void **state)
{
	static u8 bytes[PACKET_BYTES_MAX];
	struct test_random r = { 0 };
	u32 writes = 0, given = 0;

	(void)state;
	for (u64 seed = 1; seed <= 150; seed++) {
		struct packet fresh = first_of(kinds[seed % 4].family, kinds[seed % 4].protocol);
		struct packet p = fresh;

		r.state = seed;
		fresh.size = p.size = 1 + test_random_below(&r, 1500);
		for (u32 n = 0; n < 200; n++)
			give_bytes(bytes, another(&r, &p, &fresh, bytes));
		given += line.in;
		writes += written();
	}
	/* Most is as it should be, and is joined. */
	assert_in_range(writes, given / 20, given * 3 / 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_follows_is_joined),
		TEST(options_that_are_equal_are_joined),
		TEST(sequences_and_ids_wrap),
		TEST(odd_sizes_are_joined),
		TEST(a_shorter_one_is_the_last),
		TEST(push_is_the_last),
		TEST(a_packet_is_never_larger_than_65535_bytes),
		TEST(no_more_than_the_kernel_cuts_again_are_joined),
		TEST(what_differs_in_the_ip_header_is_not_joined),
		TEST(what_differs_in_the_transport_header_is_not_joined),
		TEST(only_ack_and_push_are_joined),
		TEST(fragments_and_what_has_more_headers_are_not_joined),
		TEST(every_bit_that_is_wrong_keeps_packets_apart),
		TEST(a_checksum_that_would_be_written_otherwise_is_left_alone),
		TEST(udp_without_checksum_is_not_joined),
		TEST(what_is_behind_the_packet_is_kept),
		TEST(what_is_cut_short_is_kept),
		TEST(flows_are_told_apart),
		TEST(fragments_and_options_overtake_nothing),
		TEST(arbitrary_bytes_are_of_some_flow_or_none),
		TEST(any_stream_comes_out_as_it_went_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
