/* SPDX-License-Identifier: MIT */
/* test_ecn.c - marks of congestion (RFC 3168): which packets take them, and that checksums hold. */
#include "unit/harness.h"

#include <string.h>

#include "unit/packets.h"
#include "warp/ecn.h"

static u32 make(u8 family, u8 tos, u8 *out)
{
	struct packet p = packet_udp(family);

	p.tos = tos;
	p.data = (const u8 *)"0123456789";
	p.size = 10;
	return packet_make(&p, out);
}

static void packets_of_senders_that_understand_are_marked(void **state)
{
	u8 packet[PACKET_HEADERS_MAX];

	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		for (u32 ecn = ECN_ECT_1; ecn <= ECN_CE; ecn++) {
			u32 size = make(family, (u8)(0xb8 | ecn), packet);

			assert_int_equal(ecn_get(packet, size), ecn);
			assert_true(ecn_mark(packet, size));
			assert_int_equal(ecn_get(packet, size), ECN_CE);
		}
	}
}

static void a_marked_packet_is_the_one_that_had_been_made_so(void **state)
{
	u8 packet[PACKET_HEADERS_MAX], wanted[PACKET_HEADERS_MAX];

	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		for (u32 tos = 0; tos < 256; tos++) {
			u32 size = make(family, (u8)tos, packet);

			make(family, (u8)(tos & 3 ? tos | 3 : tos), wanted);
			ecn_mark(packet, size);
			assert_memory_equal(packet, wanted, size);
		}
	}
}

/* Wherever the sum goes over the edge of 16 bits. */
static void the_header_checksum_holds_for_every_identification(void **state)
{
	u8 packet[PACKET_HEADERS_MAX], wanted[PACKET_HEADERS_MAX];

	(void)state;
	for (u32 id = 0; id < 65536; id++) {
		struct packet p = packet_udp(4);

		p.tos = id & 1 ? ECN_ECT_0 : ECN_ECT_1;
		p.id = (u16)id;
		packet_make(&p, packet);
		assert_true(ecn_mark(packet, 28));
		p.tos = ECN_CE;
		packet_make(&p, wanted);
		assert_memory_equal(packet, wanted, 20);
	}
}

static void others_are_left_as_they_are(void **state)
{
	u8 packet[PACKET_HEADERS_MAX], before[PACKET_HEADERS_MAX];

	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		u32 size = make(family, 0xb8, packet);

		memcpy(before, packet, size);
		assert_false(ecn_mark(packet, size));
		assert_memory_equal(packet, before, size);
	}
}

static void what_is_no_whole_header_is_not_touched(void **state)
{
	u8 packet[PACKET_HEADERS_MAX];

	(void)state;
	for (u8 family = 4; family <= 6; family += 2) {
		make(family, ECN_ECT_0, packet);
		assert_false(ecn_mark(packet, 0));
		assert_false(ecn_mark(packet, family == 4 ? 19 : 39));
		assert_int_equal(ecn_get(packet, 60), ECN_ECT_0);
	}
	packet[0] = 0x52;
	assert_false(ecn_mark(packet, 60));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_of_senders_that_understand_are_marked),
		cmocka_unit_test(a_marked_packet_is_the_one_that_had_been_made_so),
		cmocka_unit_test(the_header_checksum_holds_for_every_identification),
		cmocka_unit_test(others_are_left_as_they_are),
		cmocka_unit_test(what_is_no_whole_header_is_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
