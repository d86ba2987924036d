/* SPDX-License-Identifier: MIT */
/* test_deadline.c - a deadline by a clock that has nothing in common with ours. */
#include "unit/harness.h"

#include "core/engine/engine_internal.h"

#define START (1000 * NS_PER_S)
#define WAY (20 * NS_PER_MS)
#define UNIT (65536u)

/* --- the least time on the way ---------------------------------------------------------------- */

static void the_least_counts_whatever_came_later(void **state)
{
	struct transit t = { 0 };

	(void)state;
	for (u64 n = 0; n < 10; n++)
		transit_take(&t, START + n * NS_PER_S + WAY + n * NS_PER_MS, START + n * NS_PER_S);
	assert_true(t.known);
	assert_int_equal(transit_least(&t), WAY);
}

static void a_clock_that_is_ahead_makes_it_negative(void **state)
{
	struct transit t = { 0 };

	(void)state;
	transit_take(&t, START, 5 * START);
	transit_take(&t, START + NS_PER_S, 5 * START + NS_PER_S - WAY);
	assert_true(transit_least(&t) == -(i64)(4 * START));
}

static void what_was_long_ago_is_forgotten(void **state)
{
	struct transit t = { 0 };
	u64 now = START;

	(void)state;
	transit_take(&t, now, now - WAY);
	for (; now < START + TRANSIT_WINDOW; now += 100 * NS_PER_MS)
		transit_take(&t, now, now - 3 * WAY);
	assert_int_equal(transit_least(&t), WAY);
	for (; now < START + 2 * TRANSIT_WINDOW + NS_PER_S; now += 100 * NS_PER_MS)
		transit_take(&t, now, now - 3 * WAY);
	assert_int_equal(transit_least(&t), 3 * WAY);
	now += 10 * TRANSIT_WINDOW; /* silence */
	transit_take(&t, now, now - 5 * WAY);
	assert_int_equal(transit_least(&t), 5 * WAY);
}

/* --- deadlines -------------------------------------------------------------------------------- */

/* A peer whose clock is so far ahead of ours; its paths take so long each. */
static struct peer *peer_of(i64 ahead, const u64 *ways, u32 count)
{
	static struct peer p;

	p = (struct peer){ 0 };
	for (u32 n = 0; n < count; n++) {
		p.usable_mask |= UINT64_C(1) << n;
		if (ways[n])
			transit_take(&p.paths[n].transit, START, START + (u64)ahead - ways[n]);
	}
	deadline_refresh(&p);
	return &p;
}

/* What a deadline that is left from now by its sender's clock comes to, from now by ours. */
static i64 left_here(const struct peer *p, i64 ahead, u64 now, i64 left)
{
	const u64 theirs = now + (u64)ahead + (u64)left;
	u8 bytes[FRAME_DEADLINE_SIZE], *at = bytes;
	size_t size = sizeof(bytes);
	struct frame f;

	deadline_put(bytes, theirs);
	assert_int_equal(frame_next(&at, &size, &f), 1);
	return (i64)(deadline_here(p, now, f.deadline) - now);
}

static void what_leaves_in_time_is_in_time_however_long_the_way(void **state)
{
	static const i64 ahead[] = { 0, 1, -999, 12345678901, INT64_C(1) << 52 };
	static const u64 ways[] = { 300 * NS_PER_MS };
	const u64 now = START + 7 * NS_PER_S + 123456;

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(ahead); n++) {
		const struct peer *p = peer_of(ahead[n], ways, 1);

		/* It left with 10 ms to spare, 300 ms ago. */
		assert_in_range(left_here(p, ahead[n], now, -290 * (i64)NS_PER_MS),
				10 * NS_PER_MS - UNIT, 10 * NS_PER_MS + 2 * UNIT);
		/* It waited 20 ms, had 10. */
		assert_true(left_here(p, ahead[n], now, -310 * (i64)NS_PER_MS) < 0);
	}
}

static void the_fastest_path_is_the_measure(void **state)
{
	static const u64 ways[] = { 80 * NS_PER_MS, 20 * NS_PER_MS, 0, 200 * NS_PER_MS };
	struct peer *p = peer_of(5, ways, 4);

	(void)state;
	assert_int_equal(p->transit, 20 * NS_PER_MS - 5);
	p->usable_mask &= ~UINT64_C(2); /* it died */
	deadline_refresh(p);
	assert_int_equal(p->transit, 80 * NS_PER_MS - 5);
}

static void without_a_measure_nothing_is_late(void **state)
{
	static const u64 none[] = { 0 };

	(void)state;
	assert_int_equal(deadline_here(peer_of(0, none, 1), START, 1), 0);
	assert_int_equal(deadline_here(peer_of(0, none, 0), START, 0xffffffff), 0);
}

static void the_clock_on_the_wire_wraps(void **state)
{
	const u64 wrap = (UINT64_C(1) << 48) - START;
	static const u64 ways[] = { WAY };

	(void)state;
	for (u64 now = wrap - 100 * NS_PER_MS; now < wrap + 100 * NS_PER_MS; now += NS_PER_MS) {
		const struct peer *p = peer_of(START, ways, 1);

		assert_in_range(left_here(p, START, now, 50 * (i64)NS_PER_MS),
				70 * NS_PER_MS - UNIT, 70 * NS_PER_MS + 2 * UNIT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_counts_whatever_came_later),
		cmocka_unit_test(a_clock_that_is_ahead_makes_it_negative),
		cmocka_unit_test(what_was_long_ago_is_forgotten),
		cmocka_unit_test(what_leaves_in_time_is_in_time_however_long_the_way),
		cmocka_unit_test(the_fastest_path_is_the_measure),
		cmocka_unit_test(without_a_measure_nothing_is_late),
		cmocka_unit_test(the_clock_on_the_wire_wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
