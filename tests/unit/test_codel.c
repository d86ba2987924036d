/* SPDX-License-Identifier: MIT */
/* test_codel.c - a queue that stands is told of, a burst is not (RFC 8289), in virtual time. */
#include "unit/harness.h"

#include "warp/codel.h"

#define START (1000 * NS_PER_S)
#define MTU 1500u
#define MUCH 100000u

static struct codel fresh(void)
{
	struct codel c;

	codel_init(&c, CODEL_TARGET, CODEL_INTERVAL);
	return c;
}

/* One packet each ms for duration, each so long in the queue; how many signs. */
static u32 ask(struct codel *c, u64 *now, u64 duration, u64 sojourn)
{
	u32 signs = 0;

	for (u64 end = *now + duration; *now < end; *now += NS_PER_MS)
		signs += codel_judge(c, *now, sojourn, MUCH, MTU);
	return signs;
}

static void a_burst_that_drains_within_an_interval_passes_whole(void **state)
{
	struct codel c = fresh();
	u64 now = START;

	(void)state;
	for (u32 n = 0; n < 10; n++) {
		assert_int_equal(ask(&c, &now, 90 * NS_PER_MS, 50 * NS_PER_MS), 0);
		assert_int_equal(ask(&c, &now, 5 * NS_PER_MS, 1 * NS_PER_MS), 0);
	}
	assert_int_equal(c.signs, 0);
}

static void a_queue_below_its_target_stands_as_long_as_it_likes(void **state)
{
	struct codel c = fresh();
	u64 now = START;

	(void)state;
	assert_int_equal(ask(&c, &now, 60 * NS_PER_S, CODEL_TARGET - 1), 0);
	assert_false(c.signing);
}

static void the_first_sign_comes_an_interval_after_the_queue_began_to_stand(void **state)
{
	struct codel c = fresh();
	u64 now = START;

	(void)state;
	assert_int_equal(ask(&c, &now, CODEL_INTERVAL, CODEL_TARGET), 0);
	assert_false(c.signing);
	assert_true(codel_judge(&c, now, CODEL_TARGET, MUCH, MTU));
	assert_true(c.signing);
	assert_false(codel_judge(&c, now, CODEL_TARGET, MUCH, MTU));
}

/* The n-th sign is followed by the next after interval / sqrt(n): 100, 70, 57, 50 ms and so on. */
static void signs_come_faster_by_the_square_root_of_their_number(void **state)
{
	static const u64 gap[] = { 100, 70, 57, 50, 44, 40 }; /* ms, rounded down */
	struct codel c = fresh();
	u64 now = START, last = 0;
	size_t n = 0;

	(void)state;
	for (; n <= ARRAY_SIZE(gap); now += NS_PER_MS / 10) {
		if (!codel_judge(&c, now, 20 * NS_PER_MS, MUCH, MTU))
			continue;
		if (n > 0)
			assert_in_range(now - last, gap[n - 1] * NS_PER_MS,
					gap[n - 1] * NS_PER_MS + NS_PER_MS);
		last = now;
		n++;
	}
}

static void one_short_wait_ends_the_signs(void **state)
{
	struct codel c = fresh();
	u64 now = START;

	(void)state;
	assert_in_range(ask(&c, &now, NS_PER_S, 20 * NS_PER_MS), 10, 40);
	assert_false(codel_judge(&c, now, NS_PER_MS, MUCH, MTU));
	assert_false(c.signing);
	assert_int_equal(ask(&c, &now, CODEL_INTERVAL, 20 * NS_PER_MS), 0);
}

static void an_empty_queue_ends_the_signs(void **state)
{
	struct codel c = fresh();
	u64 now = START;

	(void)state;
	ask(&c, &now, NS_PER_S, 20 * NS_PER_MS);
	assert_true(c.signing);
	codel_empty(&c);
	assert_false(c.signing);
	assert_int_equal(ask(&c, &now, CODEL_INTERVAL, 20 * NS_PER_MS), 0);
}

/* At 100 kbit/s a packet takes 120 ms: that is the link, not a queue. */
static void the_last_packet_of_a_slow_link_is_never_one_too_many(void **state)
{
	struct codel c = fresh();
	u64 now = START;

	(void)state;
	for (u32 n = 0; n < 100; n++, now += 120 * NS_PER_MS)
		assert_false(codel_judge(&c, now, 240 * NS_PER_MS, MTU, MTU));
}

static void soon_after_signing_ended_it_goes_on_where_it_was(void **state)
{
	struct codel soon = fresh(), late;
	u64 now = START, then;

	(void)state;
	ask(&soon, &now, 2 * NS_PER_S, 20 * NS_PER_MS);
	ask(&soon, &now, 50 * NS_PER_MS, NS_PER_MS);
	late = soon;
	then = now + 60 * NS_PER_S;
	assert_in_range(ask(&soon, &now, 300 * NS_PER_MS, 20 * NS_PER_MS), 8, 100);
	assert_in_range(ask(&late, &then, 300 * NS_PER_MS, 20 * NS_PER_MS), 1, 4);
}

/* --- a whole queue ---------------------------------------------------------------------------- */

/* A link of 10 Mbit/s behind which a sender keeps a window in flight over 40 ms: it grows by a packet
 * each round trip, and is halved by a sign. */
struct link {
	struct codel codel;
	bool managed;
	u64 entered[4096]; /* when the packets in the queue came */
	u32 head, tail;
	double window;
	u32 flying; /* left, and not acknowledged yet */
	u64 acknowledged[4096];
	u32 first, last;
	u64 cut_at;
};

#define SERVICE (1200 * NS_PER_US) /* a packet at 10 Mbit/s */
#define ROUND_TRIP (40 * NS_PER_MS)

static void offer(struct link *l, u64 now)
{
	while (l->first != l->last && l->acknowledged[l->first % 4096] <= now) {
		l->first++;
		l->window += 1 / l->window;
	}
	while (l->tail - l->head + l->last - l->first < (u32)l->window && l->tail - l->head < 4096)
		l->entered[l->tail++ % 4096] = now;
}

static void serve(struct link *l, u64 now, u64 *ret_sojourn)
{
	while (l->head != l->tail) {
		u64 sojourn = now - l->entered[l->head++ % 4096];

		if (l->managed &&
		    codel_judge(&l->codel, now, sojourn, (l->tail - l->head) * MTU, MTU)) {
			if (now >= l->cut_at)
				l->window = l->window > 4 ? l->window / 2 : 2;
			l->cut_at = now + ROUND_TRIP;
			continue;
		}
		l->acknowledged[l->last++ % 4096] = now + ROUND_TRIP;
		*ret_sojourn = sojourn;
		return;
	}
	if (l->managed)
		codel_empty(&l->codel);
}

/* The mean time in the queue over the last 20 of 30 s, in ns; how busy the link was, in percent. */
static u64 standing_queue(bool managed, u32 *ret_busy)
{
	static struct link l;
	u64 sum = 0, count = 0, slots = 0;

	l = (struct link){ .codel = fresh(), .managed = managed, .window = 10 };
	for (u64 now = START; now < START + 30 * NS_PER_S; now += SERVICE) {
		u64 sojourn = TIME_NEVER;

		offer(&l, now);
		serve(&l, now, &sojourn);
		if (now < START + 10 * NS_PER_S)
			continue;
		slots++;
		count += sojourn != TIME_NEVER;
		sum += sojourn != TIME_NEVER ? sojourn : 0;
	}
	*ret_busy = (u32)(count * 100 / slots);
	return sum / count;
}

static void a_sender_that_listens_keeps_a_short_queue_and_a_busy_link(void **state)
{
	u64 with, without;
	u32 busy;

	(void)state;
	without = standing_queue(false, &busy);
	assert_true(without > 100 * NS_PER_MS); /* otherwise there is nothing to mend */
	with = standing_queue(true, &busy);
	assert_in_range(with, 0, 2 * CODEL_TARGET);
	assert_in_range(busy, 75, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_that_drains_within_an_interval_passes_whole),
		cmocka_unit_test(a_queue_below_its_target_stands_as_long_as_it_likes),
		cmocka_unit_test(the_first_sign_comes_an_interval_after_the_queue_began_to_stand),
		cmocka_unit_test(signs_come_faster_by_the_square_root_of_their_number),
		cmocka_unit_test(one_short_wait_ends_the_signs),
		cmocka_unit_test(an_empty_queue_ends_the_signs),
		cmocka_unit_test(the_last_packet_of_a_slow_link_is_never_one_too_many),
		cmocka_unit_test(soon_after_signing_ended_it_goes_on_where_it_was),
		cmocka_unit_test(a_sender_that_listens_keeps_a_short_queue_and_a_busy_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
