/* SPDX-License-Identifier: MIT */
/*
 * test_reseq.c - payloads of several buckets that overtake each other come out in order, each bucket by
 * itself; what is missing is waited for, no longer than told; nothing comes twice.
 */
#include "harness.h"

#include <string.h>
#include <time.h>

#include "warp/reseq.h"

#define START (1000 * NS_PER_S)
#define MS(n) ((u64)(n)*NS_PER_MS)
#define WAIT MS(30)

struct bench {
	struct test_heap heap;
	struct allocator allocator;
	struct pool *pool;
	struct reseq *r;
	u64 now;
	u32 out[60000]; /* bucket << 24 | sequence */
	u32 count;
};

static struct bench bench;

static int set_up(void **state)
{
	struct bench *b = &bench;

	(void)state;
	memset(b, 0, sizeof(*b));
	b->heap.limit = SIZE_MAX;
	b->allocator = test_allocator(&b->heap);
	b->pool = pool_create_small(&b->allocator, 8, 64);
	b->now = START;
	return 0;
}

static void open_reseq(enum reseq_order order)
{
	bench.r = reseq_create(&bench.allocator, order);
	assert_non_null(bench.r);
	reseq_set_wait(bench.r, WAIT);
}

static int tear_down(void **state)
{
	(void)state;
	reseq_destroy(&bench.allocator, bench.r);
	assert_int_equal(pool_available(bench.pool), 8);
	pool_destroy(bench.pool);
	assert_int_equal(bench.heap.live, 0);
	return 0;
}

/* What comes out is told by its size. */
static u32 mark(u8 bucket, u32 sequence)
{
	return (u32)bucket << 24 | (sequence & 0xffffff);
}

static void release(void)
{
	struct reorder_item item;

	while (reseq_next(bench.r, bench.now, &item)) {
		bench.out[bench.count++] = item.size;
		buf_put(item.buf);
	}
}

static struct buf *shared;

static enum reseq_verdict put(u8 bucket, u32 sequence)
{
	enum reseq_verdict v = reseq_ask(bench.r, bench.now, bucket, sequence);
	struct reorder_item item = { .size = mark(bucket, sequence) };

	if (v == RESEQ_FULL) {
		release();
		v = reseq_ask(bench.r, bench.now, bucket, sequence);
	}
	if (v == RESEQ_PASS) {
		bench.out[bench.count++] = item.size;
		release();
	} else if (v == RESEQ_EARLY) {
		if (!shared || reseq_waiting(bench.r) == 0)
			shared = buf_get(bench.pool);
		else
			buf_ref(shared);
		item.buf = shared;
		item.data = buf_data(shared);
		reseq_hold(bench.r, bench.now, bucket, sequence, &item);
	}
	return v;
}

static void assert_out(u32 at, u8 bucket, u32 sequence)
{
	assert_true(at < bench.count);
	assert_int_equal(bench.out[at], mark(bucket, sequence));
}

static void what_is_in_order_passes_at_once(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	for (u32 n = 0; n < 10000; n++)
		assert_int_equal(put(3, 0xfffff000u + n), RESEQ_PASS);
	assert_int_equal(reseq_next_expiry(bench.r), TIME_NEVER);
	assert_int_equal(reseq_lost(bench.r), 0);
}

static void what_overtakes_waits_for_its_turn(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(3, 10);
	assert_int_equal(put(3, 12), RESEQ_EARLY);
	assert_int_equal(put(3, 13), RESEQ_EARLY);
	assert_int_equal(put(3, 15), RESEQ_EARLY);
	assert_int_equal(bench.count, 1);
	bench.now += MS(20);
	assert_int_equal(put(3, 11), RESEQ_PASS);
	assert_int_equal(bench.count, 4);
	assert_int_equal(reseq_next_expiry(bench.r), START + WAIT);
	put(3, 14);
	assert_int_equal(bench.count, 6);
	for (u32 n = 0; n < 6; n++)
		assert_out(n, 3, 10 + n);
	assert_int_equal(reseq_lost(bench.r), 0);
}

static void the_gap_of_one_bucket_holds_no_other(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(1, 5);
	put(2, 5);
	put(1, 7);
	assert_int_equal(put(2, 6), RESEQ_PASS);
	assert_int_equal(put(2, 7), RESEQ_PASS);
	assert_int_equal(reseq_waiting(bench.r), 1);
}

static void a_gap_is_passed_over_when_its_time_is_up(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(1, 5);
	put(1, 8);
	bench.now += MS(10);
	put(1, 10);
	assert_int_equal(reseq_next_expiry(bench.r), START + WAIT);
	bench.now = START + WAIT - 1;
	release();
	assert_int_equal(bench.count, 1);
	bench.now = START + WAIT;
	release();
	assert_out(1, 1, 8);
	assert_int_equal(bench.count, 2);
	/* The next gap was seen later. */
	assert_int_equal(reseq_next_expiry(bench.r), START + MS(10) + WAIT);
	bench.now = START + MS(10) + WAIT;
	release();
	assert_out(2, 1, 10);
	assert_int_equal(reseq_lost(bench.r), 3);
}

static void what_is_late_still_comes_once_unless_order_is_strict(void **state)
{
	static const enum reseq_order orders[] = { RESEQ_LOOSE, RESEQ_STRICT };

	for (u32 n = 0; n < ARRAY_SIZE(orders); n++) {
		const bool strict = orders[n] == RESEQ_STRICT;

		if (n) {
			tear_down(state);
			set_up(state);
		}
		open_reseq(orders[n]);
		put(1, 5);
		put(1, 7);
		bench.now += WAIT;
		release();
		assert_int_equal(put(1, 6), strict ? RESEQ_LATE : RESEQ_PASS);
		assert_int_equal(put(1, 6), strict ? RESEQ_LATE : RESEQ_DUPLICATE);
		assert_int_equal(put(1, 7), RESEQ_DUPLICATE);
		assert_int_equal(reseq_lost(bench.r), strict);
	}
}

static void nothing_comes_twice(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(1, 5);
	put(1, 7);
	assert_int_equal(put(1, 7), RESEQ_DUPLICATE);
	assert_int_equal(put(1, 5), RESEQ_DUPLICATE);
	assert_true(reseq_knows(bench.r, 1, 5));
	assert_true(reseq_knows(bench.r, 1, 7));
	assert_false(reseq_knows(bench.r, 1, 6));
	assert_false(reseq_knows(bench.r, 2, 5));
	for (u32 n = 8; n < 3 * RESEQ_WINDOW; n++)
		put(1, n);
	assert_int_equal(put(1, 3 * RESEQ_WINDOW - 1), RESEQ_DUPLICATE);
	assert_int_equal(put(1, 2 * RESEQ_WINDOW), RESEQ_DUPLICATE);
	assert_int_equal(put(1, 2 * RESEQ_WINDOW - 2), RESEQ_LATE);
}

static void without_order_nothing_waits(void **state)
{
	(void)state;
	open_reseq(RESEQ_NONE);
	put(0, 5);
	assert_int_equal(put(0, 9), RESEQ_PASS);
	assert_int_equal(put(0, 7), RESEQ_PASS);
	assert_int_equal(put(0, 7), RESEQ_DUPLICATE);
	assert_int_equal(put(0, 9), RESEQ_DUPLICATE);
	assert_int_equal(reseq_waiting(bench.r), 0);
	assert_int_equal(reseq_lost(bench.r), 2);
}

static void too_many_are_not_held(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(1, 0);
	for (u32 n = 2; n <= RESEQ_HELD + 1; n++)
		assert_int_equal(put(1, n), RESEQ_EARLY);
	assert_int_equal(bench.count, 1);
	/* One more: the gap gives way. */
	put(1, RESEQ_HELD + 2);
	assert_int_equal(bench.count, RESEQ_HELD + 2);
	assert_out(1, 1, 2);
	assert_int_equal(reseq_lost(bench.r), 1);
	assert_int_equal(put(1, 1), RESEQ_PASS);
	assert_int_equal(reseq_lost(bench.r), 0);
}

/* Further ahead than the window: gaps give way as far as need be, and no further. */
static void the_window_moves_on(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(1, 0);
	put(1, 2);
	put(1, RESEQ_WINDOW - 96);
	put(1, RESEQ_WINDOW + 1);
	assert_int_equal(bench.count, 2);
	assert_out(1, 1, 2);
	/* Nothing is due before the wait is over. */
	assert_true(reseq_next_expiry(bench.r) > bench.now);
	assert_int_equal(put(1, 1), RESEQ_PASS);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Each of 1,000 takes no steps of one through a million sequences: microseconds, not more than 1 ms. */
static void a_far_sequence_costs_no_time(void **state)
{
	const double begun = seconds();

	(void)state;
	open_reseq(RESEQ_LOOSE);
	for (u32 n = 0; n < 1000; n++) {
		put(1, n << 20);
		bench.count = 0;
	}
	assert_true(seconds() - begun < 0.5);
}

/* What is due, and held only since nobody has fetched it yet, is not due a second time. */
static void a_copy_of_what_is_due_passes_no_second_time(void **state)
{
	struct reorder_item item;

	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(1, 0);
	put(1, 2);
	put(1, 3);
	assert_int_equal(reseq_ask(bench.r, bench.now, 1, 1), RESEQ_PASS);
	assert_int_equal(reseq_ask(bench.r, bench.now, 1, 2), RESEQ_DUPLICATE);
	assert_true(reseq_next(bench.r, bench.now, &item));
	assert_int_equal(item.size, mark(1, 2));
	buf_put(item.buf);
	release();
	assert_int_equal(reseq_waiting(bench.r), 0);
}

/* Its sequences begin a little behind those of its former life. */
static void so_is_one_that_begins_behind(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(1, 900000);
	for (u32 n = 0; n < 1000; n++) {
		bench.now += 10 * NS_PER_MS;
		put(1, 500000 + n);
	}
	assert_in_range(bench.count, 500, 1001);
}

static void a_sender_that_begins_anew_is_followed(void **state)
{
	(void)state;
	open_reseq(RESEQ_LOOSE);
	put(1, 100);
	put(1, 102);
	assert_int_equal(put(1, 0x40000000), RESEQ_PASS);
	assert_int_equal(put(1, 0x40000001), RESEQ_PASS);
	assert_int_equal(bench.count, 4);
	assert_out(1, 1, 102);
}

static void whatever_the_order_of_arrival_all_come_once(void **state)
{
	struct test_random random = { 7 };
	u32 order[2000];

	(void)state;
	open_reseq(RESEQ_LOOSE);
	for (u32 n = 0; n < ARRAY_SIZE(order); n++)
		order[n] = n;
	/* Each is at most 40 places away from its own. */
	for (u32 n = 1; n + 40 < ARRAY_SIZE(order); n++) {
		const u32 other = n + test_random_below(&random, 20), kept = order[n];

		order[n] = order[other];
		order[other] = kept;
	}
	for (u32 n = 0; n < ARRAY_SIZE(order); n++) {
		bench.now += NS_PER_US;
		put(1, order[n]);
	}
	assert_int_equal(bench.count, ARRAY_SIZE(order));
	for (u32 n = 0; n < ARRAY_SIZE(order); n++)
		assert_out(n, 1, n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_in_order_passes_at_once),
		TEST(what_overtakes_waits_for_its_turn),
		TEST(the_gap_of_one_bucket_holds_no_other),
		TEST(a_gap_is_passed_over_when_its_time_is_up),
		TEST(what_is_late_still_comes_once_unless_order_is_strict),
		TEST(nothing_comes_twice),
		TEST(without_order_nothing_waits),
		TEST(too_many_are_not_held),
		TEST(a_copy_of_what_is_due_passes_no_second_time),
		TEST(a_far_sequence_costs_no_time),
		TEST(the_window_moves_on),
		TEST(a_sender_that_begins_anew_is_followed),
		TEST(so_is_one_that_begins_behind),
		TEST(whatever_the_order_of_arrival_all_come_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
