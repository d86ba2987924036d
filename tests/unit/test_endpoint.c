/* SPDX-License-Identifier: MIT */
/* test_endpoint.c - classes of addresses, equality, hashing. */
#include "harness.h"

#include <string.h>

#include "warp/endpoint.h"

enum { SPECIAL = 1, LOOPBACK = 2, LINK_LOCAL = 4, PRIVATE = 8 };

static int classes(const struct address *a)
{
	return (address_is_special(a) ? SPECIAL : 0) | (address_is_loopback(a) ? LOOPBACK : 0) |
	       (address_is_link_local(a) ? LINK_LOCAL : 0) | (address_is_private(a) ? PRIVATE : 0);
}

/* First and last of each range, and their neighbours outside. */
static void addresses_fall_into_the_classes_of_their_rfcs(void **state)
{
	static const struct {
		const char *text;
		int classes;
	} cases[] = {
		{ "0.0.0.0", SPECIAL },
		{ "0.255.255.255", SPECIAL },
		{ "1.0.0.0", 0 },
		{ "9.255.255.255", 0 },
		{ "10.0.0.0", PRIVATE },
		{ "10.255.255.255", PRIVATE },
		{ "11.0.0.0", 0 },
		{ "100.63.255.255", 0 },
		{ "100.64.0.0", PRIVATE },
		{ "100.127.255.255", PRIVATE },
		{ "100.128.0.0", 0 },
		{ "126.255.255.255", 0 },
		{ "127.0.0.1", SPECIAL | LOOPBACK },
		{ "127.255.255.255", SPECIAL | LOOPBACK },
		{ "128.0.0.0", 0 },
		{ "169.253.255.255", 0 },
		{ "169.254.0.1", LINK_LOCAL },
		{ "169.255.0.0", 0 },
		{ "172.15.255.255", 0 },
		{ "172.16.0.0", PRIVATE },
		{ "172.31.255.255", PRIVATE },
		{ "172.32.0.0", 0 },
		{ "192.167.255.255", 0 },
		{ "192.168.0.0", PRIVATE },
		{ "192.169.0.0", 0 },
		{ "223.255.255.255", 0 },
		{ "224.0.0.0", SPECIAL },
		{ "239.255.255.255", SPECIAL },
		{ "240.0.0.1", 0 },
		{ "255.255.255.254", 0 },
		{ "255.255.255.255", SPECIAL },
		{ "::", SPECIAL },
		{ "::1", SPECIAL | LOOPBACK },
		{ "::2", 0 },
		{ "::ffff:127.0.0.1", SPECIAL },
		{ "::ffff:192.0.2.1", SPECIAL },
		{ "::fffe:192.0.2.1", 0 },
		{ "2001:db8::1", 0 },
		{ "fbff::1", 0 },
		{ "fc00::", PRIVATE },
		{ "fdff::1", PRIVATE },
		{ "fe00::1", 0 },
		{ "fe7f::1", 0 },
		{ "fe80::1", LINK_LOCAL },
		{ "febf::1", LINK_LOCAL },
		{ "fec0::1", 0 },
		{ "ff02::1", SPECIAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct address a = test_address(cases[i].text);

		if (classes(&a) != cases[i].classes)
			fail_msg("%s has classes %d", cases[i].text, classes(&a));
	}
}

static void an_endpoint_without_family_port_or_ordinary_address_is_unusable(void **state)
{
	struct endpoint none = { 0 };
	struct endpoint four = test_endpoint("192.0.2.1", 1);
	struct endpoint six = test_endpoint("2001:db8::1", 65535);
	struct endpoint odd = four;
	struct endpoint no_port = test_endpoint("192.0.2.1", 0);
	struct endpoint loopback = test_endpoint("127.0.0.1", 7);

	(void)state;
	odd.address.family = 5;
	assert_true(endpoint_is_usable(&four));
	assert_true(endpoint_is_usable(&six));
	assert_false(endpoint_is_usable(&none));
	assert_false(endpoint_is_usable(&odd));
	assert_false(endpoint_is_usable(&no_port));
	assert_false(endpoint_is_usable(&loopback));
}

static void equality_looks_at_family_bytes_and_port_and_not_at_padding(void **state)
{
	struct endpoint a, b;

	(void)state;
	memset(&a, 0x00, sizeof(a));
	memset(&b, 0xff, sizeof(b));
	a.address = b.address = test_address("2001:db8::1");
	a.port = b.port = 9;
	assert_true(endpoint_equal(&a, &b));
	b.port = 10;
	assert_false(endpoint_equal(&a, &b));
	b.port = 9;
	b.address.bytes[15] ^= 1;
	assert_false(endpoint_equal(&a, &b));
	b.address = a.address;
	b.address.family = 4;
	assert_false(address_equal(&a.address, &b.address));
}

static void equal_endpoints_hash_alike_and_near_ones_apart(void **state)
{
	struct endpoint e = test_endpoint("192.0.2.1", 1000);
	struct endpoint same = test_endpoint("192.0.2.1", 1000);
	u32 hashes[64];

	(void)state;
	assert_int_equal(endpoint_hash(&e), endpoint_hash(&same));
	for (u16 i = 0; i < 64; i++) {
		e.port = (u16)(1000 + i);
		hashes[i] = endpoint_hash(&e);
		for (u16 j = 0; j < i; j++)
			assert_int_not_equal(hashes[i], hashes[j]);
	}
}

/* FNV-1a, a second time, from its definition. */
static u32 fnv1a(const u8 *p, size_t n)
{
	u64 hash = 2166136261u;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 16777619u % (UINT64_C(1) << 32);
	return (u32)hash;
}

static void the_hash_is_fnv1a_over_family_address_and_port(void **state)
{
	struct endpoint e = test_endpoint("192.0.2.1", 1000);
	u8 bytes[19];

	(void)state;
	test_hex(bytes, sizeof(bytes), "04 c0000201000000000000000000000000 03e8");
	assert_int_equal(endpoint_hash(&e), fnv1a(bytes, sizeof(bytes)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_fall_into_the_classes_of_their_rfcs),
		cmocka_unit_test(an_endpoint_without_family_port_or_ordinary_address_is_unusable),
		cmocka_unit_test(equality_looks_at_family_bytes_and_port_and_not_at_padding),
		cmocka_unit_test(equal_endpoints_hash_alike_and_near_ones_apart),
		cmocka_unit_test(the_hash_is_fnv1a_over_family_address_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
