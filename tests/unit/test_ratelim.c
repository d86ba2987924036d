/* SPDX-License-Identifier: MIT */
/* test_ratelim.c - token buckets in virtual time. */
#include "harness.h"

#include <stdio.h>

#include "warp/ratelim.h"

static u32 take_all(struct ratelim *r, u64 now)
{
	u32 taken = 0;

	while (taken < 10000 && ratelim_take(r, now))
		taken++;
	return taken;
}

static void a_full_bucket_gives_its_burst_and_no_more(void **state)
{
	struct ratelim r;

	(void)state;
	ratelim_init(&r, 20, 5);
	assert_int_equal(take_all(&r, 0), 5);
	ratelim_init(&r, 20, 5);
	assert_int_equal(take_all(&r, 1000 * NS_PER_S), 5);
}

static void tokens_come_back_at_the_rate(void **state)
{
	struct ratelim r;

	(void)state;
	ratelim_init(&r, 20, 5);
	take_all(&r, NS_PER_S);
	assert_false(ratelim_take(&r, NS_PER_S + 50 * NS_PER_MS - 1));
	assert_true(ratelim_take(&r, NS_PER_S + 50 * NS_PER_MS));
	assert_false(ratelim_take(&r, NS_PER_S + 50 * NS_PER_MS));
	assert_int_equal(take_all(&r, NS_PER_S + 150 * NS_PER_MS), 2);
}

static void idle_time_saves_up_no_more_than_the_burst(void **state)
{
	struct ratelim r;

	(void)state;
	ratelim_init(&r, 1000, 7);
	take_all(&r, 0);
	assert_int_equal(take_all(&r, 3600 * NS_PER_S), 7);
}

static void over_a_long_time_the_rate_holds(void **state)
{
	struct ratelim r;
	u32 taken = 0;

	(void)state;
	ratelim_init(&r, 100, 10);
	for (u64 now = 0; now < 10 * NS_PER_S; now += NS_PER_MS)
		taken += ratelim_take(&r, now);
	assert_in_range(taken, 1000, 1010);
}

static void refused_attempts_cost_nothing(void **state)
{
	struct ratelim r;

	(void)state;
	ratelim_init(&r, 10, 1);
	assert_true(ratelim_take(&r, 0));
	for (u64 now = 1; now < 100; now++)
		assert_false(ratelim_take(&r, now));
	assert_true(ratelim_take(&r, 100 * NS_PER_MS));
}

static u32 table_take_all(struct ratelim_table *t, const char *source)
{
	struct address a = test_address(source);
	u32 taken = 0;

	while (taken < 100 && ratelim_table_take(t, 0, &a))
		taken++;
	return taken;
}

static void one_flooding_address_does_not_starve_another(void **state)
{
	struct ratelim_table t;

	(void)state;
	ratelim_table_init(&t, 10, 4, 1);
	assert_int_equal(table_take_all(&t, "192.0.2.1"), 4);
	assert_int_equal(table_take_all(&t, "192.0.2.1"), 0);
	assert_int_equal(table_take_all(&t, "192.0.2.2"), 4);
	assert_int_equal(table_take_all(&t, "2001:db8::1"), 4);
}

static void all_addresses_of_a_64_share_one_bucket(void **state)
{
	struct ratelim_table t;

	(void)state;
	ratelim_table_init(&t, 10, 4, 1);
	assert_int_equal(table_take_all(&t, "2001:db8:0:1::1"), 4);
	assert_int_equal(table_take_all(&t, "2001:db8:0:1:ffff:ffff:ffff:ffff"), 0);
	assert_int_equal(table_take_all(&t, "2001:db8:0:2::1"), 4);
}

static void networks_have_buckets_of_their_own(void **state)
{
	struct ratelim_table t;

	(void)state;
	ratelim_table_init_networks(&t, 10, 4, 1);
	assert_int_equal(table_take_all(&t, "2001:db8:0:1::1"), 4);
	assert_int_equal(table_take_all(&t, "2001:db8:0:2::1"), 0);
	assert_int_equal(table_take_all(&t, "2001:db8:1:1::1"), 4);
	assert_int_equal(table_take_all(&t, "192.0.2.1"), 4);
	assert_int_equal(table_take_all(&t, "192.0.2.2"), 0);
	assert_int_equal(table_take_all(&t, "192.0.3.1"), 4);
}

/* How many of as many addresses as there are buckets find theirs emptied by another. */
static u32 collisions(u64 seed, u64 now, u64 *ret_set)
{
	struct ratelim_table t;
	u32 count = 0;

	*ret_set = 0;
	ratelim_table_init(&t, 1, 1, seed);
	for (u32 i = 0; i < RATELIM_SLOTS; i++) {
		struct address a = { .family = 4, .bytes = { 10, 0, (u8)(i >> 8), (u8)i } };

		if (!ratelim_table_take(&t, now, &a)) {
			count++;
			*ret_set = *ret_set * 31 + i;
		}
	}
	return count;
}

/* n thrown into n leave n/e empty on average, so as many collide. */
static void who_collides_is_spread_evenly_and_depends_on_the_seed(void **state)
{
	const u32 expected = RATELIM_SLOTS * 1000 / 2718;
	u64 one, other;

	(void)state;
	assert_in_range(collisions(1, 0, &one), expected - 150, expected + 150);
	assert_in_range(collisions(2, 0, &other), expected - 150, expected + 150);
	assert_true(one != other);
}

static void who_collides_changes_with_time(void **state)
{
	u64 first, again, later;

	(void)state;
	collisions(1, 0, &first);
	collisions(1, RATELIM_SHUFFLE - 1, &again);
	collisions(1, RATELIM_SHUFFLE, &later);
	assert_true(first == again);
	assert_true(first != later);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_bucket_gives_its_burst_and_no_more),
		cmocka_unit_test(tokens_come_back_at_the_rate),
		cmocka_unit_test(idle_time_saves_up_no_more_than_the_burst),
		cmocka_unit_test(over_a_long_time_the_rate_holds),
		cmocka_unit_test(refused_attempts_cost_nothing),
		cmocka_unit_test(one_flooding_address_does_not_starve_another),
		cmocka_unit_test(all_addresses_of_a_64_share_one_bucket),
		cmocka_unit_test(networks_have_buckets_of_their_own),
		cmocka_unit_test(who_collides_is_spread_evenly_and_depends_on_the_seed),
		cmocka_unit_test(who_collides_changes_with_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
