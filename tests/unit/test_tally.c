/* SPDX-License-Identifier: MIT */
/*
 * test_tally.c - what has come of numbered datagrams is told exactly, and in time.
 */
#include "harness.h"

#include "warp/tally.h"

#define MS(n) ((u64)(n)*NS_PER_MS)
#define WAIT MS(5)

static bool came(const struct frame_tally *f, u32 number)
{
	const struct tally_told told = { .highest = f->highest, .seen = f->seen };

	return tally_has(&told, number);
}

static void it_tells_exactly_what_came(void **state)
{
	struct frame_tally f;
	struct tally a = { 0 };

	(void)state;
	/* As many as a report tells of; each third is missing. */
	for (u32 n = 0; n < 257; n++) {
		if (n % 3 != 1)
			tally_take(&a, MS(n), n, 100);
	}
	tally_tell(&a, MS(300), 7, &f);
	assert_int_equal(f.path, 7);
	assert_int_equal(f.highest, 255);
	assert_int_equal(f.at, MS(255));
	assert_int_equal(f.held, 45000);
	assert_int_equal(f.bytes, 100 * f.packets);
	for (u32 n = 0; n < 256; n++)
		assert_int_equal(came(&f, n), n % 3 != 1);
	assert_false(came(&f, 256));
}

static void what_overtakes_fills_its_place(void **state)
{
	const u32 order[] = { 10, 14, 12, 11 };
	struct frame_tally f;
	struct tally a = { 0 };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(order); n++)
		tally_take(&a, MS(n), order[n], 1);
	tally_tell(&a, MS(9), 0, &f);
	assert_int_equal(f.highest, 14);
	assert_int_equal(f.at, MS(1));
	assert_true(came(&f, 10) && came(&f, 11) && came(&f, 12));
	assert_false(came(&f, 13));
}

static void numbers_wrap(void **state)
{
	struct frame_tally f;
	struct tally a = { 0 };

	(void)state;
	tally_take(&a, 0, UINT32_MAX - 1, 1);
	tally_take(&a, 1, 1, 1);
	tally_tell(&a, 2, 0, &f);
	assert_int_equal(f.highest, 1);
	assert_true(came(&f, UINT32_MAX - 1));
	assert_false(came(&f, UINT32_MAX));
	assert_false(came(&f, 0));
}

static void a_far_number_is_a_new_life(void **state)
{
	struct frame_tally f;
	struct tally a = { 0 };

	(void)state;
	tally_take(&a, 0, 5, 1000);
	tally_take(&a, 1, 1u << 30, 10);
	tally_tell(&a, 2, 0, &f);
	assert_int_equal(f.highest, 1u << 30);
	assert_int_equal(f.packets, 1);
	assert_int_equal(f.bytes, 10);
}

/* A path that takes the number of one that is gone counts from somewhere, which may be behind. */
static void so_are_many_that_are_late(void **state)
{
	struct tally a = { 0 };
	struct frame_tally f;

	(void)state;
	tally_take(&a, 0, 900000, 100);
	for (u32 n = 0; n < 100; n++)
		tally_take(&a, MS(10000 + n), 500000 + n, 100);
	tally_tell(&a, MS(20000), 0, &f);
	assert_int_equal(f.highest, 500099);
	assert_true(came(&f, 500099) && came(&f, 500050));
}

static void a_report_is_due_in_time(void **state)
{
	struct frame_tally f;
	struct tally a = { 0 };

	(void)state;
	assert_int_equal(tally_due(&a, WAIT), TIME_NEVER);
	tally_take(&a, MS(1), 0, 1);
	tally_take(&a, MS(3), 1, 1);
	assert_int_equal(tally_due(&a, WAIT), MS(6));
	tally_take(&a, MS(3), 3, 1); /* 2 is missing */
	assert_int_equal(tally_due(&a, WAIT), MS(3) + TALLY_GAP);
	tally_tell(&a, MS(5), 0, &f);
	assert_int_equal(tally_due(&a, WAIT), TIME_NEVER);
	for (u32 n = 4; n < 4 + TALLY_EVERY; n++)
		tally_take(&a, MS(8), n, 1);
	assert_int_equal(tally_due(&a, WAIT), MS(8));
}

static void the_wait_follows_the_round_trip_within_bounds(void **state)
{
	(void)state;
	assert_int_equal(tally_wait(0), TALLY_WAIT_MIN);
	assert_int_equal(tally_wait(MS(60)), MS(15));
	assert_int_equal(tally_wait(MS(900)), TALLY_WAIT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_tells_exactly_what_came),
		cmocka_unit_test(what_overtakes_fills_its_place),
		cmocka_unit_test(numbers_wrap),
		cmocka_unit_test(a_far_number_is_a_new_life),
		cmocka_unit_test(so_are_many_that_are_late),
		cmocka_unit_test(a_report_is_due_in_time),
		cmocka_unit_test(the_wait_follows_the_round_trip_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
