/* SPDX-License-Identifier: MIT */
/*
 * test_repair.c - from what leaves, over what comes and what is reported of it, to what is sent again: and
 * what each path has saved. Two links without anything around them, in virtual time.
 */
#include "harness.h"

#include <string.h>

#include "warp/arrivals.h"
#include "warp/repair.h"
#include "warp/value.h"

#define MS(n) ((u64)(n)*NS_PER_MS)
#define START (1000 * NS_PER_S)
#define SIZE 1000u
#define FIRST 0xfffffff0u /* sequences turn around soon */
#define MOST 20000u

/* --- arrivals -------------------------------------------------------------------------------- */

static bool tells(const struct frame_report *f, u32 sequence)
{
	const u32 n = f->sequence - 1 - sequence;

	assert_true(n < 8u * f->size);
	return f->bits[n / 8] >> n % 8 & 1;
}

static void a_report_tells_what_has_come_and_what_has_not(void **state)
{
	struct frame_report f = { 0 };
	struct arrivals a = { 0 };

	(void)state;
	arrivals_begin(&a, FIRST);
	for (u32 n = 0; n < 100; n++) {
		if (n % 10 != 3)
			arrivals_take(&a, FIRST + n);
	}
	assert_true(arrivals_report(&a, &f));
	assert_int_equal(f.sequence, FIRST + 99);
	for (u32 n = 40; n < 99; n++)
		assert_int_equal(tells(&f, FIRST + n), n % 10 != 3);
	arrivals_take(&a, FIRST + 93); /* after all */
	assert_true(arrivals_report(&a, &f));
	assert_true(tells(&f, FIRST + 93));
	assert_false(tells(&f, FIRST + 83));
	assert_int_equal(f.sequence, FIRST + 99);
}

static void what_came_before_it_began_is_not_missing(void **state)
{
	struct frame_report f = { 0 };
	struct arrivals a = { 0 };

	(void)state;
	arrivals_begin(&a, FIRST);
	arrivals_take(&a, FIRST);
	assert_false(arrivals_report(&a, &f));
	assert_int_equal(f.sequence, FIRST);
	arrivals_take(&a, FIRST + 1000);
	assert_true(arrivals_report(&a, &f));
	assert_false(tells(&f, FIRST + 999));
}

/* --- two links ------------------------------------------------------------------------------- */

struct flight {
	u64 at;
	u32 sequence;
	bool lost;
};

struct pair {
	struct test_heap heap;
	struct allocator allocator;
	struct test_random random;
	struct repair *repair;
	struct arrivals arrivals;
	u64 now, delay[2];
	double loss[2];
	bool dead[2];
	u32 next;
	bool seen[MOST];
	u64 came_at[MOST], left_at[MOST];
	struct flight flight[4 * MOST];
	u32 flights, report_flights;
	struct {
		u64 at;
		struct frame_report report;
	} reports[8 * MOST];
};

static struct pair *pair;

static void begin(void)
{
	static struct pair memory;

	pair = &memory;
	memset(pair, 0, sizeof(*pair));
	pair->heap.limit = SIZE_MAX;
	pair->allocator = test_allocator(&pair->heap);
	pair->repair = repair_create(&pair->allocator);
	pair->random.state = 7;
	pair->now = START;
	pair->delay[0] = MS(10);
	pair->delay[1] = MS(15);
	arrivals_begin(&pair->arrivals, FIRST);
}

static void end(void)
{
	repair_destroy(&pair->allocator, pair->repair);
	assert_int_equal(pair->heap.live, 0);
}

static bool loses(u32 link)
{
	return pair->dead[link] ||
	       (double)test_random_below(&pair->random, 1000000) < pair->loss[link] * 1e6;
}

static void fly(u32 link, u32 sequence)
{
	pair->flight[pair->flights++] =
		(struct flight){ pair->now + pair->delay[link], sequence, loses(link) };
}

static u64 patience(u32 link)
{
	const u64 known = repair_patience(pair->repair, link);

	return known ? known : MS(40);
}

static void send_one(u32 link)
{
	u8 data[SIZE];

	memset(data, (int)(pair->next & 0xff), sizeof(data));
	put_u32(data, pair->next);
	pair->left_at[pair->next] = pair->now;
	repair_keep(pair->repair, pair->now,
		    &(struct repair_sent){ FIRST + pair->next, UINT64_C(1) << link, patience(link),
					   pair->now + MS(60), data, SIZE });
	fly(link, pair->next++);
}

static void arrive(void)
{
	for (u32 n = 0; n < pair->flights; n++) {
		struct flight *f = &pair->flight[n];

		if (f->at > pair->now)
			continue;
		if (!f->lost && !pair->seen[f->sequence]) {
			pair->seen[f->sequence] = true;
			pair->came_at[f->sequence] = f->at;
			arrivals_take(&pair->arrivals, FIRST + f->sequence);
		}
		*f = pair->flight[--pair->flights];
		n--;
	}
}

static void tell(void)
{
	for (u32 n = 0; n < pair->report_flights; n++) {
		if (pair->reports[n].at > pair->now)
			continue;
		repair_report(pair->repair, pair->now, &pair->reports[n].report);
		pair->reports[n--] = pair->reports[--pair->report_flights];
	}
}

static void repeat(u32 link)
{
	struct repair_due due;

	while (repair_next(pair->repair, pair->now, &due)) {
		assert_int_equal(due.size, SIZE);
		for (u32 n = 4; n < SIZE; n++)
			assert_int_equal(due.data[n], get_u32(due.data) & 0xff);
		fly(link, get_u32(due.data));
		repair_again(pair->repair, pair->now, due.slot, UINT64_C(1) << link, 1,
			     patience(link));
	}
}

/* One millisecond. */
static void step(bool report)
{
	pair->now += MS(1);
	arrive();
	if (report && pair->now / MS(1) % 5 == 0 && pair->arrivals.fresh) {
		pair->reports[pair->report_flights].at = pair->now + MS(10);
		arrivals_report(&pair->arrivals, &pair->reports[pair->report_flights++].report);
	}
	tell();
	repeat(1);
}

static u32 late_or_lost(u64 within)
{
	u32 count = 0;

	for (u32 n = 0; n < pair->next; n++)
		count += !pair->seen[n] || pair->came_at[n] > pair->left_at[n] + within;
	return count;
}

static void run(u32 payloads)
{
	for (u32 n = 0; n < payloads; n++) {
		send_one(0);
		step(true);
	}
}

static void settle(void)
{
	for (u32 n = 0; n < 300; n++)
		step(true);
}

static void nothing_lost_is_nothing_sent_again(void **state)
{
	(void)state;
	begin();
	run(5000);
	settle();
	assert_int_equal(repair_counts(pair->repair)->again, 0);
	assert_int_equal(repair_counts(pair->repair)->reported, 5000);
	assert_int_equal(repair_next_expiry(pair->repair), TIME_NEVER);
	assert_true(repair_patience(pair->repair, 0) > MS(20));
	assert_true(repair_patience(pair->repair, 0) < MS(45));
	end();
}

static void what_is_lost_is_sent_again_once_and_in_time(void **state)
{
	const struct repair_counts *c;
	u32 again;

	(void)state;
	begin();
	pair->loss[0] = 0.05;
	run(10000);
	settle();
	c = repair_counts(pair->repair);
	again = (u32)c->again;
	assert_int_equal(late_or_lost(MS(80)), 0);
	assert_true(again > 400 && again < 650);
	assert_true(c->saved > again * 9 / 10);
	assert_int_equal(repair_saved(pair->repair, 1), c->saved);
	assert_int_equal(repair_saved(pair->repair, 0), 0);
	assert_int_equal(c->overrun, 0);
	end();
}

static void a_link_that_dies_costs_nothing_and_is_found_out(void **state)
{
	u64 died;

	(void)state;
	begin();
	run(1000);
	assert_int_equal(repair_silent_since(pair->repair, 0), 0);
	died = pair->now;
	pair->dead[0] = true;
	while (!repair_silent_since(pair->repair, 0))
		run(1);
	assert_true(pair->now - died < MS(90)); /* a report of what was sent again has come */
	run(200);
	settle();
	assert_int_equal(late_or_lost(MS(80)), 0);
	repair_heard(pair->repair, 0);
	assert_int_equal(repair_silent_since(pair->repair, 0), 0);
	end();
}

/* Reports stop: everything is sent again while it makes sense, then given up. */
static void without_reports_it_is_sent_again_until_it_is_too_late(void **state)
{
	u32 steps = 0;

	(void)state;
	begin();
	run(500);
	for (u32 n = 0; n < 100; n++) {
		send_one(0);
		step(false);
	}
	while (repair_next_expiry(pair->repair) != TIME_NEVER && steps++ < 1000)
		step(false);
	assert_true(steps < 150);
	assert_true(repair_counts(pair->repair)->again >= 100);
	assert_true(repair_counts(pair->repair)->again <= 300);
	assert_true(repair_counts(pair->repair)->lost >= 100);
	end();
}

static void too_many_at_once_lose_their_places_and_it_is_told(void **state)
{
	u8 data[SIZE] = { 0 };
	struct repair_due due;
	u32 left = 0;

	(void)state;
	begin();
	for (u32 n = 0; n < 3 * REPAIR_SLOTS; n++)
		repair_keep(pair->repair, pair->now,
			    &(struct repair_sent){ n, 1, MS(10), pair->now + MS(50), data, SIZE });
	pair->now += MS(20);
	while (repair_next(pair->repair, pair->now, &due)) {
		repair_again(pair->repair, pair->now, due.slot, 2, 1, MS(500));
		left++;
	}
	assert_true(left <= REPAIR_SLOTS && left <= REPAIR_BYTES / SIZE);
	assert_true(left >= REPAIR_BYTES / SIZE - 2);
	assert_int_equal(repair_counts(pair->repair)->overrun, 3 * REPAIR_SLOTS - left);
	end();
}

/* --- value ----------------------------------------------------------------------------------- */

static void a_path_saves_what_no_other_brings_in_time(void **state)
{
	static struct value v;
	u64 now = START;

	(void)state;
	memset(&v, 0, sizeof(v));
	for (u64 n = 0; n < 3 * VALUE_SLOTS; n++, now += MS(1)) {
		value_first(&v, now, 1, n, n % 3 == 0 ? 5 : 6);
		if (n % 10)
			value_copy(&v, 1, n);
		else
			value_copy(&v, 2, n); /* of other keys */
		value_sweep(&v, now, MS(80));
		if (n % 100 == 0 && n >= 100)
			value_copy(&v, 1, n - 90); /* too late */
	}
	value_sweep(&v, now + MS(80), MS(80));
	assert_in_range(v.saved[5] + v.saved[6], 3 * VALUE_SLOTS / 10, 3 * VALUE_SLOTS / 10 + 1);
	assert_in_range(v.saved[5], VALUE_SLOTS / 10 - 1, VALUE_SLOTS / 10 + 1);
}

static void without_time_the_oldest_are_judged(void **state)
{
	static struct value v;

	(void)state;
	memset(&v, 0, sizeof(v));
	for (u64 n = 0; n < VALUE_SLOTS + 100; n++)
		value_first(&v, START, 1, n, 1);
	assert_in_range(v.saved[1], 100, 101);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_tells_what_has_come_and_what_has_not),
		cmocka_unit_test(what_came_before_it_began_is_not_missing),
		cmocka_unit_test(nothing_lost_is_nothing_sent_again),
		cmocka_unit_test(what_is_lost_is_sent_again_once_and_in_time),
		cmocka_unit_test(a_link_that_dies_costs_nothing_and_is_found_out),
		cmocka_unit_test(without_reports_it_is_sent_again_until_it_is_too_late),
		cmocka_unit_test(too_many_at_once_lose_their_places_and_it_is_told),
		cmocka_unit_test(a_path_saves_what_no_other_brings_in_time),
		cmocka_unit_test(without_time_the_oldest_are_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
