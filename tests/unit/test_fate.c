/* SPDX-License-Identifier: MIT */
/*
 * test_fate.c - paths behind one bottleneck are found out by what moves on them, and others are not taken
 * for such.
 */
#include "harness.h"

#include <string.h>

#include "warp/fate.h"

#define MS NS_PER_MS

static struct fate fate;
static struct test_random random_numbers;

/* 0..1 */
static double any(void)
{
	return (double)test_random_below(&random_numbers, 1000000) / 1e6;
}

static void begin(u64 seed)
{
	memset(&fate, 0, sizeof(fate));
	random_numbers.state = seed;
}

static u64 noise(double ms)
{
	return (u64)(any() * ms * (double)MS);
}

/* A queue that fills and drains: some ms, from time to time. */
struct queue {
	double ms;
};

static u64 queue_step(struct queue *q)
{
	if (any() < 0.1)
		q->ms = any() < 0.5 ? 0 : 40 * any();
	return (u64)(q->ms * (double)MS);
}

static void one_queue_for_two_paths_is_one_fate(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 10; seed++) {
		struct queue shared = { 0 }, own = { 0 };

		begin(seed);
		for (u32 n = 0; n < 300; n++) {
			const u64 delay = queue_step(&shared);

			fate_sample(&fate, 0, delay + noise(2), 0);
			fate_sample(&fate, 5, delay + noise(2), 0);
			fate_sample(&fate, 9, queue_step(&own) + noise(2), 0);
			fate_step(&fate, 1u << 0 | 1u << 5 | 1u << 9);
		}
		assert_true(fate_bound(&fate, 0, 5));
		assert_true(fate_bound(&fate, 5, 0));
		assert_false(fate_bound(&fate, 0, 9));
		assert_false(fate_bound(&fate, 5, 9));
	}
}

static void losses_at_the_same_time_are_one_fate(void **state)
{
	begin(11);
	(void)state;
	for (u32 n = 0; n < 300; n++) {
		const double bad = any() < 0.2 ? 0.3 : 0, other = any() < 0.2 ? 0.3 : 0;

		fate_sample(&fate, 1, noise(0.5), bad * any());
		fate_sample(&fate, 2, noise(0.5), bad * any());
		fate_sample(&fate, 3, noise(0.5), other * any());
		fate_step(&fate, 1u << 1 | 1u << 2 | 1u << 3);
	}
	assert_true(fate_bound(&fate, 1, 2));
	assert_false(fate_bound(&fate, 1, 3));
}

static void where_nothing_moves_nothing_is_said(void **state)
{
	begin(12);
	(void)state;
	for (u32 n = 0; n < 600; n++) {
		const u64 same = noise(0.8); /* a scheduler's */

		fate_sample(&fate, 0, same, 0);
		fate_sample(&fate, 1, same, 0);
		fate_step(&fate, 3);
	}
	assert_false(fate_bound(&fate, 0, 1));
	assert_true(fate_alike(&fate, 0, 1) <= 0);
}

/* Over an hour. */
static void losses_by_chance_do_not_bind(void **state)
{
	begin(13);
	(void)state;
	for (u32 n = 0; n < 36000; n++) {
		fate_sample(&fate, 0, noise(5), 0.1 * any());
		fate_sample(&fate, 1, noise(5), 0.1 * any());
		fate_step(&fate, 3);
		assert_false(fate_bound(&fate, 0, 1));
	}
}

static void a_bond_holds_while_nothing_moves_and_goes_when_they_part(void **state)
{
	struct queue shared = { 0 }, a = { 0 }, b = { 0 };

	begin(14);
	(void)state;
	for (u32 n = 0; n < 300; n++) {
		const u64 delay = queue_step(&shared);

		fate_sample(&fate, 0, delay, 0);
		fate_sample(&fate, 1, delay, 0);
		fate_step(&fate, 3);
	}
	assert_true(fate_bound(&fate, 0, 1));
	for (u32 n = 0; n < 1000; n++) {
		fate_sample(&fate, 0, 0, 0);
		fate_sample(&fate, 1, 0, 0);
		fate_step(&fate, 3);
	}
	assert_true(fate_bound(&fate, 0, 1));
	for (u32 n = 0; n < 600; n++) {
		fate_sample(&fate, 0, queue_step(&a), 0);
		fate_sample(&fate, 1, queue_step(&b), 0);
		fate_step(&fate, 3);
	}
	assert_false(fate_bound(&fate, 0, 1));
}

static void a_path_that_is_forgotten_is_bound_to_none(void **state)
{
	struct queue shared = { 0 };

	begin(15);
	(void)state;
	for (u32 n = 0; n < 300; n++) {
		const u64 delay = queue_step(&shared);

		fate_sample(&fate, 0, delay, 0);
		fate_sample(&fate, 63, delay, 0);
		fate_step(&fate, 1 | UINT64_C(1) << 63);
	}
	assert_true(fate_bound(&fate, 63, 0));
	fate_forget(&fate, 63);
	assert_false(fate_bound(&fate, 63, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_queue_for_two_paths_is_one_fate),
		cmocka_unit_test(losses_at_the_same_time_are_one_fate),
		cmocka_unit_test(where_nothing_moves_nothing_is_said),
		cmocka_unit_test(losses_by_chance_do_not_bind),
		cmocka_unit_test(a_bond_holds_while_nothing_moves_and_goes_when_they_part),
		cmocka_unit_test(a_path_that_is_forgotten_is_bound_to_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
