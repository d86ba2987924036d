/* SPDX-License-Identifier: MIT */
/*
 * test_allowedips.c - the trie against a list that is searched from end to end, and the addresses
 * of IP packets.
 */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/allowedips.h"

static struct test_heap heap;
static struct allowedips *table;

static int fresh(void **state)
{
	struct allocator a = test_allocator(&heap);

	(void)state;
	table = allowedips_create(&a);
	assert_non_null(table);
	return 0;
}

static int gone(void **state)
{
	(void)state;
	allowedips_destroy(table);
	assert_int_equal(heap.live, 0);
	return 0;
}

static struct prefix prefix(const char *text, u8 bits)
{
	return (struct prefix){ test_address(text), bits };
}

static void insert(const char *text, u8 bits, u16 peer)
{
	struct prefix p = prefix(text, bits);

	assert_int_equal(allowedips_insert(table, &p, peer), 0);
}

static u16 lookup(const char *text)
{
	struct address a = test_address(text);

	return allowedips_lookup(table, &a);
}

static void an_empty_table_knows_nobody(void **state)
{
	struct address none = { 0 };

	(void)state;
	assert_int_equal(lookup("10.0.0.1"), ALLOWEDIPS_NONE);
	assert_int_equal(lookup("2001:db8::1"), ALLOWEDIPS_NONE);
	assert_int_equal(allowedips_lookup(table, &none), ALLOWEDIPS_NONE);
}

static void the_longest_prefix_decides(void **state)
{
	(void)state;
	insert("10.44.0.2", 32, 2);
	insert("0.0.0.0", 0, 9);
	insert("10.0.0.0", 8, 1);
	insert("10.44.0.0", 16, 3);
	assert_int_equal(lookup("10.44.0.2"), 2);
	assert_int_equal(lookup("10.44.0.3"), 3);
	assert_int_equal(lookup("10.45.0.2"), 1);
	assert_int_equal(lookup("11.0.0.0"), 9);
}

static void ipv4_and_ipv6_do_not_mix(void **state)
{
	(void)state;
	insert("0.0.0.0", 0, 4);
	assert_int_equal(lookup("::"), ALLOWEDIPS_NONE);
	insert("::", 0, 6);
	assert_int_equal(lookup("::"), 6);
	assert_int_equal(lookup("ffff::1"), 6);
	assert_int_equal(lookup("255.0.0.1"), 4);
}

static void ipv6_prefixes_of_all_lengths_are_found(void **state)
{
	(void)state;
	insert("2001:db8::", 32, 1);
	insert("2001:db8:0:1::", 64, 2);
	insert("2001:db8:0:1::5", 128, 3);
	assert_int_equal(lookup("2001:db8:ffff::"), 1);
	assert_int_equal(lookup("2001:db8:0:1::4"), 2);
	assert_int_equal(lookup("2001:db8:0:1::5"), 3);
	assert_int_equal(lookup("2001:db9::"), ALLOWEDIPS_NONE);
}

static void bits_behind_the_prefix_are_ignored(void **state)
{
	(void)state;
	insert("10.1.2.3", 8, 1);
	insert("10.200.255.255", 9, 2);
	assert_int_equal(lookup("10.0.0.0"), 1);
	assert_int_equal(lookup("10.128.0.0"), 2);
	insert("10.9.9.9", 8, 3);
	assert_int_equal(lookup("10.0.0.0"), 3);
}

static void a_prefix_given_again_moves_to_the_new_peer(void **state)
{
	(void)state;
	insert("192.0.2.0", 24, 1);
	insert("192.0.2.0", 24, 2);
	assert_int_equal(lookup("192.0.2.77"), 2);
	allowedips_remove_peer(table, 1);
	assert_int_equal(lookup("192.0.2.77"), 2);
}

static void a_removed_peer_leaves_its_addresses_to_shorter_prefixes(void **state)
{
	(void)state;
	insert("10.0.0.0", 8, 1);
	insert("10.1.0.0", 16, 2);
	insert("10.1.2.0", 24, 1);
	insert("2001:db8::", 32, 2);
	allowedips_remove_peer(table, 2);
	assert_int_equal(lookup("10.1.2.3"), 1);
	assert_int_equal(lookup("10.1.3.3"), 1);
	assert_int_equal(lookup("2001:db8::1"), ALLOWEDIPS_NONE);
	allowedips_remove_peer(table, 1);
	assert_int_equal(lookup("10.1.2.3"), ALLOWEDIPS_NONE);
	assert_int_equal(heap.live, 1); /* the table alone */
}

static void what_is_no_prefix_or_no_peer_is_refused(void **state)
{
	struct prefix p = prefix("10.0.0.0", 33);

	(void)state;
	assert_int_equal(allowedips_insert(table, &p, 1), -EINVAL);
	p = prefix("::", 129);
	assert_int_equal(allowedips_insert(table, &p, 1), -EINVAL);
	p = (struct prefix){ 0 };
	assert_int_equal(allowedips_insert(table, &p, 1), -EINVAL);
	p = prefix("10.0.0.0", 8);
	assert_int_equal(allowedips_insert(table, &p, ALLOWEDIPS_NONE), -EINVAL);
	assert_int_equal(heap.live, 1);
}

static void without_memory_the_table_stays_as_it_was(void **state)
{
	struct prefix p = prefix("10.64.0.0", 16); /* needs a joining node too */

	(void)state;
	insert("10.1.0.0", 16, 1);
	for (size_t limit = 0; limit < 2; limit++) {
		heap.limit = limit;
		assert_int_equal(allowedips_insert(table, &p, 2), -ENOMEM);
		assert_int_equal(lookup("10.64.0.1"), ALLOWEDIPS_NONE);
		assert_int_equal(lookup("10.1.0.1"), 1);
		assert_int_equal(heap.live, 2);
	}
	heap.limit = SIZE_MAX;
}

/* --- against a list ---------------------------------------------------------------------- */

#define LIST_MAX 300u

struct entry {
	struct prefix prefix;
	u16 peer;
	bool used;
};

static struct entry list[LIST_MAX];

/* Are the first bits bits of a and b the same? One by one. */
static bool start_alike(const struct address *a, const struct address *b, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if ((a->bytes[i / 8] ^ b->bytes[i / 8]) & 0x80 >> i % 8)
			return false;
	return a->family == b->family;
}

static u16 list_lookup(const struct address *a)
{
	u16 peer = ALLOWEDIPS_NONE;
	int longest = -1;

	for (size_t i = 0; i < LIST_MAX; i++) {
		const struct entry *e = &list[i];

		if (!e->used || e->prefix.bits <= longest)
			continue;
		if (start_alike(&e->prefix.address, a, e->prefix.bits)) {
			longest = e->prefix.bits;
			peer = e->peer;
		}
	}
	return peer;
}

static void list_insert(const struct prefix *p, u16 peer)
{
	struct entry *place = NULL;

	for (size_t i = 0; i < LIST_MAX; i++) {
		struct entry *e = &list[i];

		if (!e->used && !place)
			place = e;
		if (e->used && e->prefix.bits == p->bits &&
		    start_alike(&e->prefix.address, &p->address, p->bits))
			place = e;
	}
	assert_non_null(place);
	*place = (struct entry){ *p, peer, true };
}

/* Addresses from a small space, so that prefixes lie inside each other. */
static struct address random_address(struct test_random *r, u8 family)
{
	struct address a = { .family = family };

	for (unsigned i = 0; i < (family == 4 ? 4 : 16); i++)
		a.bytes[i] = (u8)(test_random_below(r, 3) ? test_random_below(r, 2) * 0x81 :
							    test_random_u64(r));
	return a;
}

static void compare(struct test_random *r, u8 family, u32 lookups)
{
	for (u32 i = 0; i < lookups; i++) {
		struct address a = random_address(r, family);

		assert_int_equal(allowedips_lookup(table, &a), list_lookup(&a));
		if (list[i % LIST_MAX].used) { /* one that is surely inside something */
			a = list[i % LIST_MAX].prefix.address;
			a.bytes[3] ^= (u8)test_random_below(r, 4);
			assert_int_equal(allowedips_lookup(table, &a), list_lookup(&a));
		}
	}
}

static void work_at_random(u8 family, u64 seed)
{
	struct test_random r = { seed };
	unsigned max = family == 4 ? 32 : 128;

	memset(list, 0, sizeof(list));
	for (u32 i = 0; i < 200; i++) {
		struct prefix p = { random_address(&r, family),
				    (u8)test_random_below(&r, max + 1) };
		u16 peer = (u16)test_random_below(&r, 12);

		assert_int_equal(allowedips_insert(table, &p, peer), 0);
		list_insert(&p, peer);
		compare(&r, family, 10);
	}
	for (u16 peer = 0; peer < 12; peer++) {
		allowedips_remove_peer(table, peer);
		for (size_t i = 0; i < LIST_MAX; i++)
			list[i].used = list[i].used && list[i].peer != peer;
		compare(&r, family, 100);
	}
	assert_int_equal(heap.live, 1);
}

static void random_ipv4_prefixes_give_what_a_list_gives(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 5; seed++)
		work_at_random(4, seed);
}

static void random_ipv6_prefixes_give_what_a_list_gives(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 5; seed++)
		work_at_random(6, seed);
}

/* --- packets ----------------------------------------------------------------------------- */

#define IPV4 "45 00 0018 0000 0000 40 11 0000 0a2c0001 c0000207 01020304"
#define IPV6                                                                                       \
	"60 000000 0004 11 40 fd000000000000000000000000000001 20010db8000000000000000000000007 "  \
	"01020304"

/* The verdict on the first size bytes of hex, which lie in memory of just that size. */
static int addresses(const char *hex, size_t size, struct address *source, struct address *to)
{
	u8 bytes[128], *copy = malloc(size ? size : 1);
	size_t full = test_hex(bytes, sizeof(bytes), hex);
	int err;

	assert_non_null(copy);
	size = size < full ? size : full;
	memcpy(copy, bytes, size);
	err = ip_packet_addresses(copy, size, source, to);
	free(copy);
	return err;
}

static void packets_of_both_families_tell_source_and_destination(void **state)
{
	struct address source, to, expected;

	(void)state;
	assert_int_equal(addresses(IPV4, 24, &source, &to), 0);
	expected = test_address("10.44.0.1");
	assert_true(address_equal(&source, &expected));
	expected = test_address("192.0.2.7");
	assert_true(address_equal(&to, &expected));

	assert_int_equal(addresses(IPV6, 44, &source, &to), 0);
	expected = test_address("fd00::1");
	assert_true(address_equal(&source, &expected));
	expected = test_address("2001:db8::7");
	assert_true(address_equal(&to, &expected));
}

static void a_packet_cut_anywhere_is_refused(void **state)
{
	struct address source = { .family = 9 }, to = { .family = 9 };

	(void)state;
	for (size_t size = 0; size < 24; size++)
		assert_int_equal(addresses(IPV4, size, &source, &to), -EBADMSG);
	for (size_t size = 0; size < 44; size++)
		assert_int_equal(addresses(IPV6, size, &source, &to), -EBADMSG);
	assert_int_equal(source.family, 9);
	assert_int_equal(to.family, 9);
}

static void what_is_no_ip_packet_is_refused(void **state)
{
	static const char *const bad[] = {
		"00 00 0018 0000 0000 40 11 0000 0a2c0001 c0000207 01020304",
		"55 00 0018 0000 0000 40 11 0000 0a2c0001 c0000207 01020304",
		"44 00 0018 0000 0000 40 11 0000 0a2c0001 c0000207 01020304", /* header of 16 */
		"4f 00 0018 0000 0000 40 11 0000 0a2c0001 c0000207 01020304", /* header of 60 */
		"f5 00 0018 0000 0000 40 11 0000 0a2c0001 c0000207 01020304",
	};
	struct address source, to;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(addresses(bad[i], 24, &source, &to), -EBADMSG);
}

#define with_table(test) cmocka_unit_test_setup_teardown(test, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_table(an_empty_table_knows_nobody),
		with_table(the_longest_prefix_decides),
		with_table(ipv4_and_ipv6_do_not_mix),
		with_table(ipv6_prefixes_of_all_lengths_are_found),
		with_table(bits_behind_the_prefix_are_ignored),
		with_table(a_prefix_given_again_moves_to_the_new_peer),
		with_table(a_removed_peer_leaves_its_addresses_to_shorter_prefixes),
		with_table(what_is_no_prefix_or_no_peer_is_refused),
		with_table(without_memory_the_table_stays_as_it_was),
		with_table(random_ipv4_prefixes_give_what_a_list_gives),
		with_table(random_ipv6_prefixes_give_what_a_list_gives),
		cmocka_unit_test(packets_of_both_families_tell_source_and_destination),
		cmocka_unit_test(a_packet_cut_anywhere_is_refused),
		cmocka_unit_test(what_is_no_ip_packet_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
