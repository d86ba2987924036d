/* SPDX-License-Identifier: MIT */
/*
 * test_offload.c - checksums, and what becomes of the packets that the kernel gives: each piece of a
 * large one is, byte for byte, the packet that the kernel would have sent itself. Joining is in
 * test_offload_join.c. Memory is of exactly the size of what lies in it, so that a sanitizer sees
 * any byte too many.
 */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "packets.h"
#include "warp/offload.h"
#include "warp/wire.h"

static u8 payload[70000];

static int fill_payload(void **state)
{
	struct test_random r = { 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (u8)test_random_u64(&r);
	return 0;
}

static u8 *exactly(const u8 *bytes, u32 size)
{
	u8 *ret = malloc(size ? size : 1);

	assert_non_null(ret);
	if (size)
		memcpy(ret, bytes, size);
	return ret;
}

/* --- checksums ---------------------------------------------------------------------------------- */

/* As bytes: sums are stored in the order of memory. */
static u16 fast_sum(u64 before, const u8 *data, size_t size)
{
	u16 sum = checksum_fold(checksum_add(before, data, size));
	u8 bytes[2];

	memcpy(bytes, &sum, 2);
	return (u16)(bytes[0] << 8 | bytes[1]);
}

static void checksums_are_those_of_rfc_1071_at_all_sizes_and_alignments(void **state)
{
	u8 memory[400];

	(void)state;
	for (u32 alignment = 0; alignment < 32; alignment++)
		for (u32 size = 0; size <= 320; size++) {
			memcpy(memory + alignment, payload + size, size);
			assert_int_equal(fast_sum(0, memory + alignment, size),
					 naive_sum(0, payload + size, size));
		}
	for (u32 size = 1400; size < sizeof(payload); size += 1 + size / 7) {
		u8 *copy = exactly(payload, size);

		assert_int_equal(fast_sum(0, copy, size), naive_sum(0, copy, size));
		free(copy);
	}
}

static void checksums_carry(void **state)
{
	static u8 ones[65536];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (u32 size = 0; size <= sizeof(ones); size = size < 70 ? size + 1 : size * 2 - 3)
		assert_int_equal(fast_sum(0, ones, size), naive_sum(0, ones, size));
	assert_int_equal(fast_sum(0, ones, sizeof(ones)), 0xffff);
	assert_int_equal(checksum_fold(UINT64_MAX), 0xffff);
	assert_int_equal(checksum_fold(0), 0);
}

static void checksums_of_parts_add_up(void **state)
{
	(void)state;
	for (u32 cut = 0; cut <= 1500; cut += 2) {
		u64 sum = checksum_add(0, payload, cut);

		assert_int_equal(fast_sum(sum, payload + cut, 1500 - cut),
				 naive_sum(0, payload, 1500));
	}
}

/* --- packets that are whole ---------------------------------------------------------------------- */

static struct virtio_net_hdr partial_header(const struct packet *p)
{
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.hdr_len = (u16)packet_headers(p),
		.csum_start = (u16)packet_transport(p),
		.csum_offset = p->protocol == 6 ? 16 : 6,
	};
}

static void assert_finished(const struct packet *p)
{
	static u8 bytes[PACKET_BYTES_MAX], expected[PACKET_BYTES_MAX];
	struct virtio_net_hdr header = partial_header(p);
	u32 size = packet_make_partial(p, bytes);
	u8 *copy = exactly(bytes, size);
	struct cut cut;

	assert_int_equal(packet_make(p, expected), size);
	assert_int_equal(cut_begin(&cut, &header, copy, size), 0);
	assert_memory_equal(copy, expected, size);
	/* And what was finished already stays. */
	header = (struct virtio_net_hdr){ 0 };
	assert_int_equal(cut_begin(&cut, &header, copy, size), 0);
	assert_memory_equal(copy, expected, size);
	free(copy);
}

static void whole_packets_get_their_checksums(void **state)
{
	(void)state;
	for (u32 size = 0; size < 60; size++)
		for (u32 n = 0; n < 4; n++) {
			struct packet p = n % 2 ? packet_tcp(n < 2 ? 4 : 6) :
						  packet_udp(n < 2 ? 4 : 6);

			p.data = payload;
			p.size = size;
			assert_finished(&p);
		}
}

/* Payload of two bytes, so that the checksum comes out as zero. */
static void make_sum_zero(struct packet *p, u8 data[static 2])
{
	u8 bytes[PACKET_HEADERS_MAX];
	u32 transport = packet_transport(p);

	p->data = data;
	p->size = 2;
	put_u16(data, 0);
	packet_make_partial(p, bytes);
	put_u16(data, (u16)~naive_sum(0, bytes + transport, packet_headers(p) + 2 - transport));
}

static void a_sum_of_zero_is_written_as_ffff_in_udp_and_as_zero_in_tcp(void **state)
{
	u8 data[2], bytes[PACKET_HEADERS_MAX];

	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		struct packet p = packet_udp(family);

		make_sum_zero(&p, data);
		packet_make(&p, bytes);
		assert_memory_equal(bytes + packet_transport(&p) + 6, "\xff\xff", 2);
		assert_finished(&p);
		p = packet_tcp(family);
		make_sum_zero(&p, data);
		packet_make(&p, bytes);
		assert_memory_equal(bytes + packet_transport(&p) + 16, "\0\0", 2);
		assert_finished(&p);
	}
}

/* --- pieces -------------------------------------------------------------------------------------- */

static struct virtio_net_hdr gso_header(const struct packet *p, u32 share)
{
	struct virtio_net_hdr ret = partial_header(p);

	ret.gso_size = (u16)share;
	if (p->protocol == 17)
		ret.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	else
		ret.gso_type = p->family == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	if (p->protocol == 6 && p->flags & FLAG_CWR)
		ret.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	return ret;
}

/* Piece n as the kernel's segmentation makes it (tcp_gso_segment(), __udp_gso_segment()). */
static struct packet piece_of(const struct packet *whole, u32 share, u32 n)
{
	struct packet ret = *whole;
	u32 offset = n * share;

	ret.data += offset;
	ret.size = whole->size - offset < share ? whole->size - offset : share;
	ret.id = (u16)(ret.id + n);
	ret.sequence += offset;
	if (offset + ret.size < whole->size)
		ret.flags &= (u8) ~(FLAG_FIN | FLAG_PSH);
	if (n > 0)
		ret.flags &= (u8)~FLAG_CWR;
	return ret;
}

static void assert_pieces(const struct cut *cut, const struct packet *whole, u32 share)
{
	static u8 expected[PACKET_BYTES_MAX];
	u32 n;

	assert_int_equal(cut->pieces.count, (whole->size + share - 1) / share);
	for (n = 0; n < cut->pieces.count; n++) {
		struct packet piece = piece_of(whole, share, n);
		u32 size = packet_make(&piece, expected);
		u8 *out = malloc(size);

		assert_int_equal(size, n + 1 < cut->pieces.count ? cut->pieces.size :
								   cut->pieces.last_size);
		cut->pieces.write(&cut->pieces, n, out);
		assert_memory_equal(out, expected, size);
		free(out);
	}
}

static void assert_cut(const struct packet *whole, u32 share)
{
	static u8 bytes[PACKET_BYTES_MAX];
	struct virtio_net_hdr header = gso_header(whole, share);
	u32 size = packet_make_partial(whole, bytes);
	u8 *copy = exactly(bytes, size);
	struct cut cut;

	assert_int_equal(cut_begin(&cut, &header, copy, size), 1);
	assert_ptr_equal(cut.pieces.head, copy);
	assert_int_equal(cut.pieces.head_size, size);
	assert_pieces(&cut, whole, share);
	free(copy);
}

/* Sizes around the limits of a share and of a packet. */
static void assert_cut_at_all_sizes(struct packet whole)
{
	static const u32 shares[] = { 1, 2, 3, 536, 1399, 1400, 8949 };
	u32 largest = 65535 - packet_headers(&whole);

	whole.data = payload;
	for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
		u32 s = shares[i];
		const u32 sizes[] = { 1,     s - 1,     s,         s + 1,
				      2 * s, 3 * s - 1, 3 * s + 1, s > 100 ? largest : 99 };

		for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
			whole.size = sizes[k];
			if (whole.size)
				assert_cut(&whole, s);
		}
	}
	whole.size = largest;
	assert_cut(&whole, 65535 - packet_headers(&whole) - 1);
}

static void tcp_is_cut_as_the_kernel_would(void **state)
{
	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		struct packet p = packet_tcp(family);

		assert_cut_at_all_sizes(p);
		p.sequence = UINT32_MAX - 700;
		p.id = 65534;
		packet_options(&p, OPTIONS_TIMESTAMPS);
		assert_cut_at_all_sizes(p);
		packet_options(&p, OPTIONS_SACK);
		p.tos = 0xff;
		p.fragment = 0;
		assert_cut_at_all_sizes(p);
	}
}

static void udp_is_cut_as_the_kernel_would(void **state)
{
	(void)state;
	assert_cut_at_all_sizes(packet_udp(4));
	assert_cut_at_all_sizes(packet_udp(6));
}

static void flags_stand_where_they_belong(void **state)
{
	(void)state;
	for (u32 flags = 0; flags < 256; flags++)
		for (u32 size = 100; size <= 301; size += 67) {
			struct packet p = packet_tcp(flags % 2 ? 4 : 6);

			p.flags = (u8)flags;
			p.urgent = flags & FLAG_URG ? 7 : 0;
			p.reserved = (u8)(flags % 16);
			p.data = payload;
			p.size = size;
			assert_cut(&p, 100);
		}
}

static void ip_options_and_extension_headers_are_in_every_piece(void **state)
{
	/* The protocol is filled in. */
	char hop[] = "\0\0\x01\x04\0\0\0\0";
	char routing[] = "\0\x02\x02\x01\0\0\0\0\xfd\x44\0\0\0\0\0\0\0\0\0\0\0\0\0\x77";

	(void)state;
	for (u32 n = 0; n < 2; n++) {
		struct packet p = n ? packet_tcp(4) : packet_udp(4);

		packet_ip_extra(&p, 0, "\x07\x0b\x04\0\0\0\0\0\0\0\0\0", 12);
		assert_cut_at_all_sizes(p);
		p = n ? packet_tcp(6) : packet_udp(6);
		hop[0] = routing[0] = (char)p.protocol;
		packet_ip_extra(&p, 0, hop, 8);
		assert_cut_at_all_sizes(p);
		/* The checksum is for the last destination, which the kernel knows. */
		packet_ip_extra(&p, 43, routing, 24);
		p.final = 0x77;
		assert_cut_at_all_sizes(p);
	}
}

static void a_piece_whose_sum_is_zero_does_not_lose_its_checksum(void **state)
{
	u8 data[6], one[2];

	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		struct packet p = packet_udp(family);

		make_sum_zero(&p, one);
		memcpy(data, one, 2);
		memcpy(data + 2, one, 2);
		memcpy(data + 4, one, 2);
		p.data = data;
		p.size = 6;
		assert_cut(&p, 2);
	}
}

static void what_another_device_has_checked_is_cut_as_well(void **state)
{
	static u8 bytes[PACKET_BYTES_MAX];
	struct virtio_net_hdr header;
	struct cut cut;

	(void)state;
	for (u32 n = 0; n < 4; n++) {
		struct packet p = n % 2 ? packet_tcp(n < 2 ? 4 : 6) : packet_udp(n < 2 ? 4 : 6);
		u32 size;
		u8 *copy;

		p.data = payload;
		p.size = 5000;
		size = packet_make(&p, bytes);
		copy = exactly(bytes, size);
		header = (struct virtio_net_hdr){ .gso_type = gso_header(&p, 1).gso_type,
						  .gso_size = 1400 };
		assert_int_equal(cut_begin(&cut, &header, copy, size), 1);
		assert_pieces(&cut, &p, 1400);
		free(copy);
	}
}

/* --- contradictions ------------------------------------------------------------------------------ */

/* One byte of the packet or one field of the header is not what it was. */
struct contradiction {
	const char *what;
	u8 family, protocol;
	i64 byte; /* of the packet, or -1 */
	u8 value;
	struct virtio_net_hdr header; /* what is 0 stays as it was */
	u32 size;                     /* what is left of the packet; 0: all */
};

static const struct contradiction contradictions[] = {
	{ "TCPv4 says version 6", 4, 6, 0, 0x60, { 0 }, 0 },
	{ "TCPv6 says version 4", 6, 6, 0, 0x45, { 0 }, 0 },
	{ "no version", 4, 17, 0, 0x05, { 0 }, 0 },
	{ "version 15", 6, 17, 0, 0xf0, { 0 }, 0 },
	{ "IPv4 header of 24 bytes", 4, 6, 0, 0x46, { 0 }, 0 },
	{ "IPv4 header of 16 bytes", 4, 6, 0, 0x44, { 0 }, 0 },
	{ "IPv4 protocol is UDP", 4, 6, 9, 17, { 0 }, 0 },
	{ "IPv4 protocol is TCP", 4, 17, 9, 6, { 0 }, 0 },
	{ "IPv6 next header is UDP", 6, 6, 6, 17, { 0 }, 0 },
	{ "TCP header of 16 bytes", 4, 6, 32, 0x40, { 0 }, 0 },
	{ "TCP header of none", 6, 6, 52, 0, { 0 }, 0 },
	{ "fragmented UDP", 4, 17, -1, 0, { .gso_type = VIRTIO_NET_HDR_GSO_UDP }, 0 },
	{ "ECN alone", 4, 6, -1, 0, { .gso_type = VIRTIO_NET_HDR_GSO_ECN }, 0 },
	{ "an unknown type", 4, 6, -1, 0, { .gso_type = 0x7f }, 0 },
	{ "TCPv6 on IPv4", 4, 6, -1, 0, { .gso_type = VIRTIO_NET_HDR_GSO_TCPV6 }, 0 },
	{ "UDP on TCP", 4, 6, -1, 0, { .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4 }, 0 },
	{ "checksum starts in the IP header", 4, 6, -1, 0, { .csum_start = 19 }, 0 },
	{ "checksum starts in the IPv6 header", 6, 6, -1, 0, { .csum_start = 39 }, 0 },
	{ "checksum starts behind IPv4", 4, 6, -1, 0, { .csum_start = 24 }, 0 },
	{ "checksum starts behind all", 6, 6, -1, 0, { .csum_start = 65535 }, 0 },
	{ "checksum starts at the end", 6, 17, -1, 0, { .csum_start = 40 + 8 + 100 - 7 }, 0 },
	{ "checksum is UDP's", 4, 6, -1, 0, { .csum_offset = 6 }, 0 },
	{ "checksum is TCP's", 6, 17, -1, 0, { .csum_offset = 16 }, 0 },
	{ "checksum is nowhere", 6, 17, -1, 0, { .csum_offset = 65535 }, 0 },
	{ "no payload", 4, 6, -1, 0, { 0 }, 40 },
	{ "no payload of UDP", 6, 17, -1, 0, { 0 }, 48 },
	{ "half a TCP header", 4, 6, -1, 0, { 0 }, 30 },
	{ "half an IP header", 4, 6, -1, 0, { 0 }, 19 },
	{ "half an IPv6 header", 6, 6, -1, 0, { 0 }, 39 },
	{ "TCP options beyond the end", 4, 6, 32, 0xf0, { 0 }, 80 },
};

static struct virtio_net_hdr contradict(struct virtio_net_hdr h, const struct virtio_net_hdr *with)
{
	if (with->gso_type)
		h.gso_type = with->gso_type;
	if (with->csum_start)
		h.csum_start = with->csum_start;
	if (with->csum_offset)
		h.csum_offset = with->csum_offset;
	return h;
}

static void contradictions_are_refused(void **state)
{
	struct packet p;
	u8 bytes[PACKET_HEADERS_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(contradictions); i++) {
		const struct contradiction *c = &contradictions[i];
		struct virtio_net_hdr header;
		struct cut cut = { .size = 4711 };
		u32 size;
		u8 *copy;

		p = c->protocol == 6 ? packet_tcp(c->family) : packet_udp(c->family);
		p.data = payload;
		p.size = 100;
		size = packet_make_partial(&p, bytes);
		if (c->byte >= 0)
			bytes[c->byte] = c->value;
		header = gso_header(&p, 10);
		header = contradict(header, &c->header);
		copy = exactly(bytes, c->size ? c->size : size);
		if (cut_begin(&cut, &header, copy, c->size ? c->size : size) != -EBADMSG)
			fail_msg("%s", c->what);
		assert_int_equal(cut.size, 4711);
		free(copy);
	}
}

static void a_share_of_nothing_is_refused(void **state)
{
	struct packet p = packet_udp(4);
	struct virtio_net_hdr header = gso_header(&p, 0);
	u8 bytes[PACKET_HEADERS_MAX];
	struct cut cut;

	(void)state;
	p.data = payload;
	p.size = 100;
	assert_int_equal(cut_begin(&cut, &header, bytes, packet_make_partial(&p, bytes)), -EBADMSG);
}

static void a_checksum_beyond_the_packet_is_refused(void **state)
{
	struct packet p = packet_udp(4);
	struct virtio_net_hdr header = partial_header(&p);
	u8 bytes[PACKET_HEADERS_MAX];
	u32 size = packet_make_partial(&p, bytes);
	u8 *copy = exactly(bytes, size);
	struct cut cut;

	(void)state;
	assert_int_equal(cut_begin(&cut, &header, copy, size), 0);
	assert_int_equal(cut_begin(&cut, &header, copy, size - 1), -EBADMSG);
	header.csum_start = 65535;
	header.csum_offset = 65535;
	assert_int_equal(cut_begin(&cut, &header, copy, size), -EBADMSG);
	header.flags = 0;
	assert_int_equal(cut_begin(&cut, &header, copy, 19), -EBADMSG);
	assert_int_equal(cut_begin(&cut, &header, copy, 0), -EBADMSG);
	free(copy);
}

/* Whatever header and packet say: nothing but the packet is read, nothing but each piece written. */
static void cut_anything(struct test_random *r, const u8 *packet, u32 size)
{
	struct virtio_net_hdr header;
	u8 *copy = exactly(packet, size);
	struct cut cut;
	u64 payload_size = 0;
	int result;

	memcpy(&header, packet, sizeof(header)); /* as good as any */
	header.flags = (u8)test_random_below(r, 3);
	header.gso_type = (u8)(test_random_below(r, 7) | (test_random_below(r, 4) ? 0u : 0x80u));
	header.gso_size = (u16)test_random_below(r, test_random_below(r, 2) ? 65536 : 50);
	if (test_random_below(r, 8)) {
		header.csum_start = packet[0] >> 4 == 4 ? (packet[0] & 15) * 4 : 40;
		header.csum_offset = test_random_below(r, 2) ? 16 : 6;
	}
	result = cut_begin(&cut, &header, copy, size);
	assert_true(result == 0 || result == 1 || result == -EBADMSG);
	for (u32 n = 0; result == 1 && n < cut.pieces.count; n++) {
		u32 length = n + 1 < cut.pieces.count ? cut.pieces.size : cut.pieces.last_size;
		u8 *out = malloc(length);

		cut.pieces.write(&cut.pieces, n, out);
		payload_size += length - cut.header_size;
		free(out);
	}
	if (result == 1)
		assert_int_equal(payload_size, size - cut.header_size);
	free(copy);
}

static void arbitrary_packets_stay_in_bounds(void **state)
{
	struct test_random r = { 42 };
	u8 bytes[PACKET_HEADERS_MAX + 100];
	u32 whole = 0;

	(void)state;
	for (u32 round = 0; round < 60000; round++) {
		struct packet p = test_random_below(&r, 2) ?
					  packet_tcp(test_random_below(&r, 2) ? 4 : 6) :
					  packet_udp(test_random_below(&r, 2) ? 4 : 6);
		u32 size, changes = test_random_below(&r, 4);

		p.data = payload;
		p.size = test_random_below(&r, 100);
		size = packet_make_partial(&p, bytes);
		while (changes--)
			bytes[test_random_below(&r, size < 60 ? size : 60)] =
				(u8)test_random_u64(&r);
		if (test_random_below(&r, 4) == 0)
			size = 10 + test_random_below(&r, size - 10);
		cut_anything(&r, bytes, size);
		whole += size;
	}
	assert_true(whole > 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_are_those_of_rfc_1071_at_all_sizes_and_alignments),
		cmocka_unit_test(checksums_carry),
		cmocka_unit_test(checksums_of_parts_add_up),
		cmocka_unit_test(whole_packets_get_their_checksums),
		cmocka_unit_test(a_sum_of_zero_is_written_as_ffff_in_udp_and_as_zero_in_tcp),
		cmocka_unit_test(tcp_is_cut_as_the_kernel_would),
		cmocka_unit_test(udp_is_cut_as_the_kernel_would),
		cmocka_unit_test(flags_stand_where_they_belong),
		cmocka_unit_test(ip_options_and_extension_headers_are_in_every_piece),
		cmocka_unit_test(a_piece_whose_sum_is_zero_does_not_lose_its_checksum),
		cmocka_unit_test(what_another_device_has_checked_is_cut_as_well),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(a_share_of_nothing_is_refused),
		cmocka_unit_test(a_checksum_beyond_the_packet_is_refused),
		cmocka_unit_test(arbitrary_packets_stay_in_bounds),
	};

	return cmocka_run_group_tests(tests, fill_payload, NULL);
}
