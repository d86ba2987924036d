/* SPDX-License-Identifier: MIT */
/*
 * PCP: requests byte by byte (RFC 6887 7.1, 11.1), answers whole, cut short and wrong, and when a
 * server's clock says that it has forgotten everything (8.5).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/portmap_pcp.h"
#include "warp/text.h"

#define NONCE                                                                                      \
	{                                                                                          \
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12                                              \
	}

static struct endpoint at(const char *text)
{
	struct endpoint e;

	assert_int_equal(endpoint_parse(text, &e), 0);
	return e;
}

/* --- requests ----------------------------------------------------------------------------- */

static void a_request_is_as_the_rfc_draws_it(void **state)
{
	static const u8 wanted[PCP_MAP_SIZE] = {
		2,   1,   0,   0, 0,    0,    0x0e, 0x10, /* MAP, 3600 s */
		0,   0,   0,   0, 0,    0,    0,    0,    0, 0,  0xff, 0xff,
		192, 168, 1,   2,                                          /* client */
		1,   2,   3,   4, 5,    6,    7,    8,    9, 10, 11,   12, /* nonce */
		17,  0,   0,   0, 0xca, 0xbc, 0xca, 0xbd,                  /* UDP, ports */
		0,   0,   0,   0, 0,    0,    0,    0,    0, 0,  0xff, 0xff,
		203, 0,   113, 9 /* wish */
	};
	struct pcp_map map = { .lifetime = 3600,
			       .client = at("192.168.1.2:1").address,
			       .nonce = NONCE,
			       .internal_port = 51900,
			       .suggested = at("203.0.113.9:51901") };
	u8 bytes[PCP_MAP_SIZE];

	(void)state;
	pcp_put_map(bytes, &map);
	assert_memory_equal(bytes, wanted, sizeof(bytes));
}

static void no_wish_is_the_unspecified_address_of_the_same_family(void **state)
{
	static const u8 any4[16] = { [10] = 0xff, 0xff }, any6[16] = { 0 };
	struct pcp_map map = { .client = at("192.168.1.2:1").address, .internal_port = 5 };
	u8 bytes[PCP_MAP_SIZE];

	(void)state;
	pcp_put_map(bytes, &map);
	assert_memory_equal(bytes + 44, any4, 16);
	map.client = at("[2001:db8::2]:1").address;
	pcp_put_map(bytes, &map);
	assert_memory_equal(bytes + 8, map.client.bytes, 16);
	assert_memory_equal(bytes + 44, any6, 16);
}

/* --- answers ------------------------------------------------------------------------------ */

static const u8 granted4[PCP_MAP_SIZE] = {
	2, 0x81, 0, 0, 0, 0,  0,  120, 0,  0, 1,    0, /* 120 s, epoch 256 */
	0, 0,    0, 0, 0, 0,  0,  0,   0,  0, 0,    0,    1,    2,    3,    4,
	5, 6,    7, 8, 9, 10, 11, 12,  17, 0, 0,    0,    0xca, 0xbc, 0x10, 0x01,
	0, 0,    0, 0, 0, 0,  0,  0,   0,  0, 0xff, 0xff, 203,  0,    113,  9
};

/* In memory of exactly its size. */
static int get(const u8 *bytes, size_t size, struct pcp_answer *ret)
{
	u8 *copy = malloc(size ? size : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, bytes, size);
	r = pcp_get_answer(copy, size, ret);
	free(copy);
	return r;
}

static void an_answer_tells_what_was_granted(void **state)
{
	static const u8 nonce[PCP_NONCE_SIZE] = NONCE;
	struct pcp_answer a;

	(void)state;
	assert_int_equal(get(granted4, sizeof(granted4), &a), 0);
	assert_int_equal(a.kind, PCP_MAPPED);
	assert_int_equal(a.result, PCP_SUCCESS);
	assert_int_equal(a.lifetime, 120);
	assert_int_equal(a.epoch, 256);
	assert_memory_equal(a.nonce, nonce, sizeof(nonce));
	assert_int_equal(a.internal_port, 51900);
	assert_string_equal(endpoint_text(&a.external), "203.0.113.9:4097");
}

static void an_answer_may_have_options_and_ipv6(void **state)
{
	u8 bytes[PCP_MAP_SIZE + 8] = { 0 };
	struct address six = at("[2001:db8::2]:1").address;
	struct pcp_answer a;

	(void)state;
	memcpy(bytes, granted4, sizeof(granted4));
	memcpy(bytes + 44, six.bytes, 16);
	assert_int_equal(get(bytes, sizeof(bytes), &a), 0);
	assert_string_equal(endpoint_text(&a.external), "[2001:db8::2]:4097");
}

static void an_error_keeps_its_result_and_lifetime(void **state)
{
	u8 bytes[PCP_MAP_SIZE];
	struct pcp_answer a;

	(void)state;
	memcpy(bytes, granted4, sizeof(bytes));
	bytes[3] = 8;
	assert_int_equal(get(bytes, sizeof(bytes), &a), 0);
	assert_int_equal(a.kind, PCP_MAPPED);
	assert_string_equal(pcp_result_name(a.result), "NO_RESOURCES");
	assert_int_equal(a.lifetime, 120);
	assert_string_equal(pcp_result_name(255), "unknown result");
}

static void what_is_cut_short_or_odd_is_no_answer(void **state)
{
	u8 bytes[PCP_MAX_SIZE + 4] = { 0 };
	struct pcp_answer a;
	size_t size;

	(void)state;
	memcpy(bytes, granted4, sizeof(granted4));
	for (size = 0; size < PCP_MAP_SIZE; size++)
		assert_int_equal(get(bytes, size, &a), -EBADMSG);
	assert_int_equal(get(bytes, PCP_MAP_SIZE + 1, &a), -EBADMSG);
	assert_int_equal(get(bytes, PCP_MAX_SIZE + 4, &a), -EBADMSG);
	assert_int_equal(get(bytes, PCP_MAX_SIZE, &a), 0);
	bytes[36] = 6; /* TCP */
	assert_int_equal(get(bytes, PCP_MAP_SIZE, &a), -EBADMSG);
	bytes[36] = 17;
	bytes[1] = 1; /* a request */
	assert_int_equal(get(bytes, PCP_MAP_SIZE, &a), -EBADMSG);
	bytes[1] = 0x82; /* PEER */
	assert_int_equal(get(bytes, PCP_MAP_SIZE, &a), -EBADMSG);
}

static void a_router_without_pcp_is_recognised(void **state)
{
	static const u8 natpmp_only[] = { 0, 0x81, 0, 1, 0, 0, 0, 9 };
	static const u8 newer[24] = { 3, 0x81, 0, 1 };
	u8 refused[24] = { 2, 0x81, 0, 1 };
	struct pcp_answer a;

	(void)state;
	assert_int_equal(get(natpmp_only, sizeof(natpmp_only), &a), 0);
	assert_int_equal(a.kind, PCP_REFUSED);
	assert_int_equal(get(newer, sizeof(newer), &a), 0);
	assert_int_equal(a.kind, PCP_REFUSED);
	assert_int_equal(get(refused, sizeof(refused), &a), 0);
	assert_int_equal(a.kind, PCP_REFUSED);
}

static void announcements_of_both_protocols_tell_the_clock(void **state)
{
	static const u8 pcp[24] = { 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7 };
	static const u8 natpmp[12] = { 0, 0x80, 0, 0, 0, 0, 0, 8, 203, 0, 113, 9 };
	struct pcp_answer a;

	(void)state;
	assert_int_equal(get(pcp, sizeof(pcp), &a), 0);
	assert_int_equal(a.kind, PCP_ANNOUNCED);
	assert_int_equal(a.epoch, 7);
	assert_int_equal(get(natpmp, sizeof(natpmp), &a), 0);
	assert_int_equal(a.kind, PCP_ANNOUNCED);
	assert_int_equal(a.epoch, 8);
	assert_int_equal(get(natpmp, sizeof(natpmp) - 1, &a), -EBADMSG);
}

/* --- the server's clock ------------------------------------------------------------------- */

static void a_clock_that_goes_on_is_believed(void **state)
{
	struct pcp_epoch e = { .known = false };

	(void)state;
	assert_true(pcp_epoch_goes_on(&e, 5 * NS_PER_S, 1000));
	assert_true(pcp_epoch_goes_on(&e, 605 * NS_PER_S, 1600));
	assert_true(pcp_epoch_goes_on(&e, 1205 * NS_PER_S, 2165)); /* a sixteenth slow */
	assert_true(pcp_epoch_goes_on(&e, 1206 * NS_PER_S, 2164)); /* out of order */
	assert_true(pcp_epoch_goes_on(&e, 1806 * NS_PER_S, 2800)); /* a sixteenth fast */
}

static void a_clock_that_began_anew_is_noticed(void **state)
{
	struct pcp_epoch e = { .known = false };

	(void)state;
	pcp_epoch_goes_on(&e, 5 * NS_PER_S, 1000);
	assert_false(pcp_epoch_goes_on(&e, 6 * NS_PER_S, 0));
	assert_true(pcp_epoch_goes_on(&e, 7 * NS_PER_S, 1));
}

static void a_clock_that_jumps_is_noticed(void **state)
{
	struct pcp_epoch slow = { .known = false }, fast = { .known = false };

	(void)state;
	pcp_epoch_goes_on(&slow, 0, 1000);
	assert_false(pcp_epoch_goes_on(&slow, 600 * NS_PER_S, 1100));
	pcp_epoch_goes_on(&fast, 0, 1000);
	assert_false(pcp_epoch_goes_on(&fast, 600 * NS_PER_S, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_as_the_rfc_draws_it),
		cmocka_unit_test(no_wish_is_the_unspecified_address_of_the_same_family),
		cmocka_unit_test(an_answer_tells_what_was_granted),
		cmocka_unit_test(an_answer_may_have_options_and_ipv6),
		cmocka_unit_test(an_error_keeps_its_result_and_lifetime),
		cmocka_unit_test(what_is_cut_short_or_odd_is_no_answer),
		cmocka_unit_test(a_router_without_pcp_is_recognised),
		cmocka_unit_test(announcements_of_both_protocols_tell_the_clock),
		cmocka_unit_test(a_clock_that_goes_on_is_believed),
		cmocka_unit_test(a_clock_that_began_anew_is_noticed),
		cmocka_unit_test(a_clock_that_jumps_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
