/* SPDX-License-Identifier: MIT */
/*
 * test_fairq.c - lines of flows that are served in turn, and what lies in the store behind them.
 */
#include "harness.h"

#include <string.h>

#include "warp/fairq.h"
#include "warp/store.h"

#define START (1000 * NS_PER_S)
#define MS(n) ((u64)(n)*NS_PER_MS)

static struct test_heap heap;
static struct allocator allocator;
static struct fairq *q;

static int set_up(void **state)
{
	(void)state;
	heap = (struct test_heap){ .limit = SIZE_MAX };
	allocator = test_allocator(&heap);
	q = fairq_create(&allocator);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fairq_destroy(&allocator, q);
	assert_int_equal(heap.live, 0);
	return 0;
}

static bool put(u16 tunnel, u8 bucket, u32 size, u64 at)
{
	return fairq_put(q, &(struct fairq_item){
				    .at = at, .size = size, .tunnel = tunnel, .bucket = bucket });
}

static struct fairq_item take(void)
{
	const struct fairq_item *next = fairq_next(q);
	struct fairq_item item;

	assert_non_null(next);
	item = *next;
	fairq_take(q, next);
	return item;
}

static void a_flow_keeps_its_order(void **state)
{
	(void)state;
	for (u32 n = 1; n <= 100; n++)
		put(0, 5, n, START);
	for (u32 n = 1; n <= 100; n++)
		assert_int_equal(take().size, n);
	assert_null(fairq_next(q));
	assert_int_equal(fairq_bytes(q), 0);
}

static void flows_are_served_in_turn_by_bytes(void **state)
{
	u32 large = 0, small = 0;

	(void)state;
	for (u32 n = 0; n < 200; n++)
		put(0, 1, 1500, START);
	for (u32 n = 0; n < 2000; n++)
		put(0, 2, 150, START);
	for (u32 n = 0; n < 550; n++) {
		const struct fairq_item i = take();

		*(i.bucket == 1 ? &large : &small) += i.size;
	}
	assert_in_range(large, small * 9 / 10, small * 11 / 10);
}

static void who_sends_little_does_not_wait(void **state)
{
	(void)state;
	for (u32 n = 0; n < 1000; n++)
		put(0, 1, 1500, START);
	for (u32 n = 0; n < 10; n++)
		take();
	put(0, 2, 84, START);
	for (u32 n = 0; n < 3; n++) {
		if (take().bucket == 2)
			return;
	}
	fail();
}

static void the_fattest_is_the_one_with_most_bytes(void **state)
{
	(void)state;
	assert_null(fairq_fattest(q));
	put(0, 1, 100, START);
	put(0, 2, 200, START);
	put(0, 1, 150, START);
	assert_int_equal(fairq_fattest(q)->bucket, 1);
	assert_int_equal(fairq_fattest(q)->size, 100);
	fairq_take(q, fairq_fattest(q));
	assert_int_equal(fairq_fattest(q)->bucket, 2);
}

static void put_pieces(u8 bucket, u32 count)
{
	for (u32 n = 0; n < count; n++)
		assert_true(fairq_put(q, &(struct fairq_item){ .at = START,
							       .size = 100,
							       .bucket = bucket,
							       .piece = true,
							       .index = (u8)n }));
}

/* What has begun to leave is not cut, nor are parts of what has not. */
static void whole_payloads_are_cut(void **state)
{
	const struct fairq_item line = { .bucket = 1 };
	struct fairq_item gone;

	(void)state;
	assert_int_equal(fairq_cut(q, &line, &gone), 0);
	put(0, 2, 120, START);
	put_pieces(1, 3);
	put_pieces(1, 4);
	put(0, 1, 150, START);
	fairq_take(q, fairq_fattest(q)); /* the first of three leaves */
	assert_int_equal(fairq_cut(q, &line, &gone), 4);
	assert_int_equal(gone.index, 0);
	assert_int_equal(fairq_bytes(q), 120 + 200 + 150);
	assert_int_equal(fairq_cut(q, &line, &gone), 1);
	assert_int_equal(gone.size, 150);
	assert_int_equal(fairq_cut(q, &line, &gone), 0);
	put_pieces(1, 2);
	assert_int_equal(fairq_count(q), 5);
	assert_int_equal(fairq_fattest(q)->index, 1);
	assert_int_equal(fairq_cut(q, &line, &gone), 2);
	while (fairq_next(q))
		take();
	assert_int_equal(fairq_bytes(q), 0);
}

static void there_is_a_bound(void **state)
{
	u32 count = 0;

	(void)state;
	while (put(0, (u8)(count % FLOW_BUCKETS), 100, START))
		count++;
	assert_int_equal(count, FAIRQ_ITEMS);
	assert_int_equal(fairq_count(q), FAIRQ_ITEMS);
	while (fairq_next(q))
		take();
	assert_true(put(0, 0, 100, START));
}

static void a_queue_that_stands_is_told_of_and_a_burst_is_not(void **state)
{
	u32 signs = 0;
	u64 now = START;

	(void)state;
	for (u32 n = 0; n < 40; n++) /* a burst that has gone after 40 ms */
		put(0, 1, 1500, now);
	for (; fairq_next(q); now += MS(1)) {
		signs += fairq_law(q, fairq_next(q), now);
		take();
	}
	assert_int_equal(signs, 0);
	for (u32 n = 0; n < 30; n++)
		put(0, 1, 1500, now);
	for (u32 n = 0; n < 1000; n++, now += MS(1)) { /* as much comes as goes: 30 ms stand */
		signs += fairq_law(q, fairq_next(q), now);
		take();
		put(0, 1, 1500, now);
	}
	assert_in_range(signs, 5, 100);
}

static void what_is_of_a_tunnel_that_goes_goes_as_well(void **state)
{
	(void)state;
	for (u32 n = 0; n < 300; n++)
		put((u16)(n % 3), 5, n + 1, START);
	put(1, 9, 7, START);
	assert_int_equal(fairq_forget(q, 1), 101);
	assert_int_equal(fairq_count(q), 200);
	for (u32 n = 0; n < 200; n++)
		assert_int_not_equal(take().tunnel, 1);
	assert_null(fairq_next(q));
	assert_int_equal(fairq_bytes(q), 0);
	assert_true(put(1, 5, 1, START));
	assert_int_equal(take().size, 1);
}

static void a_store_keeps_what_was_put_until_it_comes_around(void **state)
{
	struct store s;
	u64 at[64], position;

	(void)state;
	assert_int_equal(store_init(&s, &allocator, 10000), 0);
	for (u32 n = 0; n < 64; n++) {
		memset(store_put(&s, 300 + n, &at[n]), (int)n, 300 + n);
		for (u32 k = 0; k <= n; k++) {
			const u8 *p = store_get(&s, at[k]);

			assert_true(p || k + 20 < n);
			for (u32 i = 0; p && i < 300 + k; i++)
				assert_int_equal(p[i], k);
		}
	}
	assert_null(store_get(&s, at[0]));
	store_put(&s, 1, &position);
	assert_non_null(store_get(&s, position));
	store_clear(&s, &allocator);
}

static void packets_of_a_flow_share_a_bucket_and_flows_spread(void **state)
{
	static const u8 udp[28] = { 0x45, 0, 0,  28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0,
				    0,    1, 10, 0,  0, 2, 1, 2, 3,  4,  0, 8, 0,  0 };
	u64 seen = 0;
	u8 p[48];

	(void)state;
	memcpy(p, udp, sizeof(udp));
	p[5] = 99; /* another packet */
	assert_int_equal(flow_bucket(p, 28), flow_bucket(udp, 28));
	for (u32 n = 0; n < 256; n++) {
		p[21] = (u8)n;
		seen |= UINT64_C(1) << flow_bucket(p, 28);
	}
	assert_in_range(__builtin_popcountll(seen), 50, 64);
	/* Fragments are together, whatever stands where ports would. */
	p[6] = 0x20;
	seen = 0;
	for (u32 n = 0; n < 256; n++) {
		p[21] = (u8)n;
		seen |= UINT64_C(1) << flow_bucket(p, 28);
	}
	assert_int_equal(__builtin_popcountll(seen), 1);
	memset(p, 0, sizeof(p));
	p[0] = 0x60;
	p[6] = 6;
	seen = 0;
	for (u32 n = 0; n < 256; n++) {
		p[43] = (u8)n;
		seen |= UINT64_C(1) << flow_bucket(p, 48);
	}
	assert_in_range(__builtin_popcountll(seen), 50, 64);
	assert_int_equal(flow_bucket(p, 3), 0);
	assert_int_equal(flow_bucket((const u8 *)"hello, world, hello, world", 26), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flow_keeps_its_order),
		TEST(flows_are_served_in_turn_by_bytes),
		TEST(who_sends_little_does_not_wait),
		TEST(the_fattest_is_the_one_with_most_bytes),
		TEST(whole_payloads_are_cut),
		TEST(there_is_a_bound),
		TEST(a_queue_that_stands_is_told_of_and_a_burst_is_not),
		TEST(what_is_of_a_tunnel_that_goes_goes_as_well),
		TEST(a_store_keeps_what_was_put_until_it_comes_around),
		TEST(packets_of_a_flow_share_a_bucket_and_flows_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
