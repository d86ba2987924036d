/* SPDX-License-Identifier: MIT */
/*
 * test_strand.c - whether a path is to be relied upon, by what is heard of it.
 */
#include "harness.h"

#include <stdlib.h>

#include "core/engine/strand.h"

#define START (1000 * NS_PER_S)
#define MS(n) ((u64)(n)*NS_PER_MS)
#define RTT MS(40)

static struct test_heap heap;
static struct engine *e;
static struct strand *s;
static struct tally tally; /* the other end */
static u64 now;
static u32 lost;

static void fixed(void *ctx, void *out, size_t size)
{
	(void)ctx;
	for (size_t n = 0; n < size; n++)
		((u8 *)out)[n] = 7;
}

static int set_up(void **state)
{
	const struct path path = { .born = START, .pmtu = { .size = 1400 } };

	(void)state;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -1;
	e->options.allocator = test_allocator(&heap);
	e->options.random = (struct random_source){ fixed, NULL };
	now = START;
	lost = 0;
	tally = (struct tally){ 0 };
	return strand_open(&s, e, &path);
}

static int tear_down(void **state)
{
	(void)state;
	strand_close(e, s);
	free(e);
	return 0;
}

static void count_lost(void *ctx, const struct flight_item *item)
{
	(void)ctx;
	(void)item;
	lost++;
}

static u32 send_one(bool trial)
{
	const struct flight_item item = { .sent_at = now, .wire = 1000, .trial = trial };

	flight_add(&s->flight, &item);
	return s->flight.next - 1;
}

/* What came so far is reported, and heard of after half a round trip. */
static void report(void)
{
	struct frame_tally f;

	tally_tell(&tally, now, 0, &f);
	now += RTT / 2;
	strand_report(s, now, &f, count_lost, NULL);
}

/* So many, a millisecond apart, of which each lose_every-th is lost. */
static void exchange(u32 count, u32 lose_every, bool trials)
{
	for (u32 n = 0; n < count; n++) {
		const u32 number = send_one(trials);

		now += MS(1);
		if (!lose_every || n % lose_every)
			tally_take(&tally, now + RTT / 2, number, 1000);
	}
	now += RTT / 2;
	report();
}

static void a_path_that_answers_is_not_silent(void **state)
{
	(void)state;
	assert_int_equal(strand_silent_at(s, 0), TIME_NEVER); /* nothing is under way */
	exchange(100, 0, false);
	assert_int_equal(lost, 0);
	assert_int_equal(strand_silent_at(s, 0), TIME_NEVER);
	assert_false(strand_too_lossy(s));
	assert_in_range(s->rtt, RTT, RTT + MS(1));
}

static void silence_is_noticed_in_a_fifth_of_a_second(void **state)
{
	(void)state;
	exchange(100, 0, false);
	send_one(false);
	assert_in_range(strand_silent_at(s, 0), now + RTT, now + MS(200));
	/* While the host was busy, nothing could be heard. */
	assert_in_range(strand_silent_at(s, now + MS(500)), now + MS(500) + RTT, now + MS(700));
}

static void demoting_gives_up_what_is_under_way(void **state)
{
	(void)state;
	exchange(100, 0, false);
	for (u32 n = 0; n < 20; n++)
		send_one(n >= 15);
	strand_demote(s, count_lost, NULL);
	assert_int_equal(lost, 15); /* nobody misses trials */
	assert_false(s->good);
	assert_int_equal(s->flight.bytes, 0);
}

static void losing_a_third_is_too_much_and_a_tenth_is_not(void **state)
{
	(void)state;
	exchange(200, 10, false);
	assert_false(strand_too_lossy(s));
	for (u32 n = 0; n < 4; n++)
		exchange(60, 2, false);
	assert_true(strand_too_lossy(s));
	exchange(200, 0, false); /* what was before fades */
	assert_false(strand_too_lossy(s));
}

static void trials_prove_a_path(void **state)
{
	(void)state;
	exchange(100, 0, false);
	strand_demote(s, count_lost, NULL);
	exchange(15, 0, true);
	assert_false(strand_proven(s));
	exchange(10, 0, true);
	assert_true(strand_proven(s));
	strand_promote(s);
	assert_true(s->good);
}

static void trials_that_are_lost_prove_nothing(void **state)
{
	(void)state;
	exchange(100, 0, false);
	strand_demote(s, count_lost, NULL);
	for (u32 n = 0; n < 5; n++)
		exchange(40, 3, true);
	assert_false(strand_proven(s));
	for (u32 n = 0; n < 30; n++)
		send_one(true);
	now += MS(1000);
	strand_expire_trials(s, now);
	assert_int_equal(s->flight.bytes, 0);
	assert_false(strand_proven(s));
	assert_int_equal(lost, 0);
}

/* It has been given up, and comes: late is not silent, and the next ones are waited for. */
static void a_path_that_has_become_slow_is_heard_of(void **state)
{
	u32 number;
	u64 patience;

	(void)state;
	exchange(100, 0, false);
	patience = strand_patience(s);
	number = send_one(false);
	now += MS(500);
	strand_demote(s, count_lost, NULL);
	tally_take(&tally, now, number, 1000);
	report();
	assert_true(strand_patience(s) > patience);
	assert_int_equal(s->heard_at, now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_path_that_answers_is_not_silent, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(silence_is_noticed_in_a_fifth_of_a_second, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(demoting_gives_up_what_is_under_way, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(losing_a_third_is_too_much_and_a_tenth_is_not,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(trials_prove_a_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(trials_that_are_lost_prove_nothing, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_path_that_has_become_slow_is_heard_of, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
