/* SPDX-License-Identifier: MIT */
/*
 * test_flowhash.c - packets of one flow meet in a bucket, other flows are spread over the rest.
 */
#include "harness.h"

#include <string.h>

#include "warp/flowhash.h"
#include "warp/wire.h"

#define TCP 6u
#define UDP 17u

/* A packet without payload; its length. */
static u32 packet_4(u8 p[static 64], u8 protocol, u8 host, u16 port)
{
	memset(p, 0, 64);
	p[0] = 0x45;
	p[9] = protocol;
	p[12] = p[16] = 10;
	p[19] = host;
	put_u16(p + 20, 40000);
	put_u16(p + 22, port);
	return 40;
}

static u32 packet_6(u8 p[static 64], u16 port)
{
	memset(p, 0, 64);
	p[0] = 0x60;
	p[6] = UDP;
	p[8] = p[24] = 0xfd;
	put_u16(p + 40, 40000);
	put_u16(p + 42, port);
	return 48;
}

static void what_is_not_of_the_flow_does_not_matter(void **state)
{
	u8 p[64];
	u32 size = packet_4(p, TCP, 1, 443);
	const u8 bucket = flow_bucket(p, size);

	(void)state;
	p[1] = 0xb8;            /* traffic class */
	p[5] = 77;              /* identification */
	p[8] = 3;               /* hop limit */
	put_u32(p + 24, 12345); /* TCP's sequence */
	assert_int_equal(flow_bucket(p, size), bucket);
	assert_int_equal(flow_bucket(p, 64), bucket);
}

static void fragments_stay_together(void **state)
{
	u8 p[64];
	u32 size = packet_4(p, UDP, 1, 53);
	u8 first;

	(void)state;
	put_u16(p + 6, 0x2000); /* more come */
	first = flow_bucket(p, size);
	put_u16(p + 6, 0x0010); /* the last, with data where ports were */
	put_u32(p + 20, 0xdeadbeef);
	assert_int_equal(flow_bucket(p, size), first);
}

static u32 used(u64 buckets)
{
	return (u32)__builtin_popcountll(buckets);
}

static void flows_are_spread(void **state)
{
	u64 ports = 0, hosts = 0, six = 0;
	u8 p[64];

	(void)state;
	for (u16 n = 0; n < 256; n++) {
		u32 size = packet_4(p, TCP, 1, (u16)(5000 + n));

		ports |= UINT64_C(1) << flow_bucket(p, size);
		size = packet_4(p, 1, (u8)n, 0); /* ICMP: addresses alone */
		hosts |= UINT64_C(1) << flow_bucket(p, size);
		size = packet_6(p, n);
		six |= UINT64_C(1) << flow_bucket(p, size);
	}
	/* 256 that fall by chance leave one or two of 64 empty. */
	assert_true(used(ports) >= 52);
	assert_true(used(hosts) >= 52);
	assert_true(used(six) >= 52);
}

static void what_is_no_packet_has_a_bucket_too(void **state)
{
	u8 p[64];

	(void)state;
	memset(p, 0x45, sizeof(p));
	for (u32 size = 0; size < 20; size++)
		assert_int_equal(flow_bucket(p, size), 0);
	p[0] = 0x75;
	assert_int_equal(flow_bucket(p, 64), 0);
	p[0] = 0x4f; /* its header is longer than it is */
	p[6] = p[7] = 0;
	p[9] = TCP;
	assert_true(flow_bucket(p, 40) < FLOW_BUCKETS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_of_the_flow_does_not_matter),
		cmocka_unit_test(fragments_stay_together),
		cmocka_unit_test(flows_are_spread),
		cmocka_unit_test(what_is_no_packet_has_a_bucket_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
