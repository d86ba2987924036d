/* SPDX-License-Identifier: MIT */
/*
 * test_flight.c - numbered datagrams, the reports of what has come of them, and what the sender makes of
 * these: which have come, which are lost.
 */
#include "harness.h"

#include <string.h>

#include "warp/tally.h"
#include "warp/flight.h"

#define START (1000 * NS_PER_S)
#define MS(n) ((u64)(n)*NS_PER_MS)
#define FIRST 0xfffffff0u /* wraps soon */

static struct test_heap heap;
static struct allocator allocator;
static struct flight flight;
static struct tally tally;
static struct flight_news news;
static u32 lost[10000], lost_count;

static int set_up(void **state)
{
	(void)state;
	heap = (struct test_heap){ .limit = SIZE_MAX };
	allocator = test_allocator(&heap);
	memset(&tally, 0, sizeof(tally));
	lost_count = 0;
	return flight_init(&flight, &allocator, FIRST);
}

static int tear_down(void **state)
{
	(void)state;
	flight_clear(&flight, &allocator);
	assert_int_equal(heap.live, 0);
	return 0;
}

static void take_lost(void *ctx, const struct flight_item *item)
{
	(void)ctx;
	lost[lost_count++] = item->sequence;
}

/* Each is a millisecond after the one before. */
static void send(u32 count, bool copy)
{
	for (u32 n = 0; n < count; n++) {
		const u32 at = flight.next - FIRST;

		flight_add(&flight, &(struct flight_item){ .sent_at = START + MS(at),
							   .wire = 1000,
							   .sequence = at,
							   .trial = copy });
	}
}

static void come(u32 number)
{
	tally_take(&tally, START + MS(number), FIRST + number, 1000);
}

static void report(u64 patience)
{
	struct frame_tally f;
	struct tally_told r;

	tally_tell(&tally, START + MS(5000), 3, &f);
	r = (struct tally_told){ .highest = f.highest, .seen = f.seen };
	flight_report(&flight, &r, patience, take_lost, NULL, &news);
}

static void what_comes_is_told_and_closed(void **state)
{
	(void)state;
	send(100, false);
	assert_int_equal(flight.bytes, 100000);
	for (u32 n = 0; n < 100; n++)
		come(n);
	report(0);
	assert_int_equal(news.acked, 100);
	assert_int_equal(news.acked_bytes, 100000);
	assert_int_equal(news.lost, 0);
	assert_int_equal(news.sent_at, START + MS(99));
	assert_int_equal(flight.open, 0);
	assert_int_equal(flight.bytes, 0);
	assert_int_equal(flight_oldest(&flight), TIME_NEVER);
	report(0);
	assert_int_equal(news.acked, 0);
}

static void what_is_missing_is_lost_when_three_later_ones_have_come(void **state)
{
	(void)state;
	send(20, false);
	come(0);
	come(1);
	come(4);
	report(0);
	assert_int_equal(lost_count, 0);
	come(5);
	report(0);
	assert_int_equal(lost_count, 1);
	assert_int_equal(lost[0], 2);
	come(6);
	report(0);
	assert_int_equal(lost_count, 2);
	assert_int_equal(lost[1], 3);
	assert_int_equal(flight_oldest(&flight), START + MS(7));
	assert_int_equal(flight.open, 13);
}

static void those_that_overtake_within_the_patience_lose_nothing(void **state)
{
	(void)state;
	send(20, false);
	come(9);
	report(MS(10));
	assert_int_equal(lost_count, 0);
	for (u32 n = 0; n < 9; n++)
		come(8 - n);
	report(MS(10));
	assert_int_equal(lost_count, 0);
	assert_int_equal(flight.open, 10);
}

static void bursts_are_told(void **state)
{
	(void)state;
	send(50, false);
	for (u32 n = 0; n < 50; n++) {
		if (n != 5 && (n < 10 || n > 16))
			come(n);
	}
	report(0);
	assert_int_equal(news.lost, 8);
	assert_int_equal(news.bursts, 2);
	assert_int_equal(news.burst, 7);
}

static void nobody_misses_a_copy(void **state)
{
	(void)state;
	send(5, true);
	send(20, false);
	for (u32 n = 10; n < 25; n++)
		come(n);
	report(0);
	assert_int_equal(news.lost, 10);
	assert_int_equal(news.trials_lost, 5);
	assert_int_equal(lost_count, 5);
	assert_int_equal(lost[0], 5);
}

static void what_no_report_can_tell_of_any_more_is_lost(void **state)
{
	(void)state;
	send(1000, false);
	for (u32 n = 900; n < 1000; n++)
		come(n);
	report(0);
	assert_int_equal(lost_count, 900);
	assert_int_equal(flight.open, 0);
}

static void all_may_be_given_up(void **state)
{
	(void)state;
	send(7, false);
	come(2);
	report(MS(100));
	assert_int_equal(flight_give_up(&flight, take_lost, NULL), 6);
	assert_int_equal(lost_count, 6);
	assert_int_equal(flight.bytes, 0);
	assert_int_equal(flight_oldest(&flight), TIME_NEVER);
	/* That it came after all changes nothing. */
	come(4);
	report(0);
	assert_int_equal(news.acked, 0);
}

static void there_is_a_bound(void **state)
{
	(void)state;
	send(FLIGHT_ITEMS, false);
	assert_true(flight_full(&flight));
	come(0);
	report(0);
	assert_false(flight_full(&flight));
}

static void reports_of_another_life_are_passed_over(void **state)
{
	const u64 seen[FRAME_TALLY_WORDS] = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX };
	const struct tally_told r = { .highest = FIRST + 500000, .seen = seen };

	(void)state;
	send(10, false);
	flight_report(&flight, &r, 0, take_lost, NULL, &news);
	assert_int_equal(news.acked, 0);
	assert_int_equal(flight.open, 10);
}

/* --- the other end --------------------------------------------------------------------------- */

static void a_report_is_due_after_a_while_or_many(void **state)
{
	(void)state;
	assert_int_equal(tally_due(&tally, MS(5)), TIME_NEVER);
	come(0);
	come(1);
	assert_int_equal(tally_due(&tally, MS(5)), START + MS(5));
	for (u32 n = 2; n < TALLY_EVERY; n++)
		come(n);
	assert_int_equal(tally_due(&tally, MS(5000)), START);
	report(0);
	assert_int_equal(tally_due(&tally, MS(5)), TIME_NEVER);
	assert_int_equal(tally_wait(MS(4)), TALLY_WAIT_MIN);
	assert_int_equal(tally_wait(MS(40)), MS(10));
	assert_int_equal(tally_wait(MS(400)), TALLY_WAIT_MAX);
}

static void a_report_tells_what_came_whatever_the_order(void **state)
{
	struct test_random random = { 3 };
	u8 came[1000] = { 0 };
	struct frame_tally f;
	struct tally_told r;

	(void)state;
	for (u32 n = 0; n < 1000; n++) {
		if (test_random_below(&random, 10) == 0)
			continue;
		came[n] = 1;
		come(n);
		if (n > 20 && !came[n - 20]) { /* late */
			came[n - 20] = 1;
			come(n - 20);
		}
	}
	tally_tell(&tally, START + MS(1003), 7, &f);
	r = (struct tally_told){ .highest = f.highest, .seen = f.seen };
	assert_int_equal(f.path, 7);
	assert_int_equal(f.bytes, f.packets * 1000);
	assert_int_equal(f.held, (1003 - (f.highest - FIRST)) * 1000);
	for (u32 n = f.highest - FIRST - 255; FIRST + n != f.highest; n++)
		assert_int_equal(tally_has(&r, FIRST + n), came[n]);
	assert_true(tally_has(&r, f.highest));
	assert_false(tally_has(&r, f.highest + 1));
}

static void a_sender_that_begins_anew_is_followed(void **state)
{
	struct frame_tally f;

	(void)state;
	come(5);
	come(7);
	tally_take(&tally, START, 0x40000000, 1000);
	tally_tell(&tally, START, 0, &f);
	assert_int_equal(f.highest, 0x40000000);
	assert_int_equal(f.packets, 1);
	assert_int_equal(f.seen[0], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_comes_is_told_and_closed),
		TEST(what_is_missing_is_lost_when_three_later_ones_have_come),
		TEST(those_that_overtake_within_the_patience_lose_nothing),
		TEST(bursts_are_told),
		TEST(nobody_misses_a_copy),
		TEST(what_no_report_can_tell_of_any_more_is_lost),
		TEST(all_may_be_given_up),
		TEST(there_is_a_bound),
		TEST(reports_of_another_life_are_passed_over),
		TEST(a_report_is_due_after_a_while_or_many),
		TEST(a_report_tells_what_came_whatever_the_order),
		TEST(a_sender_that_begins_anew_is_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
