/* SPDX-License-Identifier: MIT */
/* test_replay.c - the replay window against a model that remembers everything. */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "warp/replay.h"

#define MODEL_MAX 200000u

static u64 map[REPLAY_BITS_PEER / 64];
static bool seen[MODEL_MAX];

static struct replay fresh(u32 bits)
{
	struct replay r;

	memset(map, 0, sizeof(map));
	memset(seen, 0, sizeof(seen));
	replay_init(&r, map, bits);
	return r;
}

/* What replay.h promises. */
static enum replay_verdict model(u64 newest, u32 bits, u64 counter)
{
	if (counter <= newest && newest - counter > bits - 64)
		return REPLAY_TOO_OLD;
	return seen[counter] ? REPLAY_DUPLICATE : REPLAY_FRESH;
}

static void accept(struct replay *r, u64 counter)
{
	assert_int_equal(replay_check(r, counter), REPLAY_FRESH);
	replay_commit(r, counter);
	assert_int_equal(replay_check(r, counter), REPLAY_DUPLICATE);
	if (counter < MODEL_MAX)
		seen[counter] = true;
}

static void counter_zero_is_fresh_once(void **state)
{
	struct replay r = fresh(128);

	(void)state;
	accept(&r, 0);
	accept(&r, 1);
	assert_int_equal(replay_check(&r, 0), REPLAY_DUPLICATE);
}

static void checking_changes_nothing(void **state)
{
	struct replay r = fresh(128);

	(void)state;
	accept(&r, 10);
	for (u64 c = 0; c < 1000; c++)
		replay_check(&r, c);
	assert_int_equal(r.newest, 10);
	assert_int_equal(replay_check(&r, 9), REPLAY_FRESH);
	assert_int_equal(replay_check(&r, 11), REPLAY_FRESH);
}

/* Every step from every edge of a word, and the verdict on every counter after it. */
static void two_counters_in_any_order_leave_what_the_model_says(void **state)
{
	static const u16 firsts[] = { 0, 1, 62, 63, 64, 65, 127, 128, 129, 191, 192, 200 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
		for (u64 second = 0; second < 400; second++) {
			struct replay r = fresh(128);

			memset(seen, 0, 500);
			accept(&r, firsts[i]);
			if (replay_check(&r, second) == REPLAY_FRESH)
				accept(&r, second);
			for (u64 c = 0; c < 460; c++)
				assert_int_equal(replay_check(&r, c), model(r.newest, 128, c));
		}
	}
}

/* Counters come in disorder, some late, some twice, some after a gap. */
static void walk_at_random(u32 bits, u32 steps, u32 spread, u64 seed)
{
	struct test_random random = { seed };
	struct replay r = fresh(bits);
	u64 base = 0;

	for (u32 i = 0; i < steps; i++) {
		u64 counter = base + test_random_below(&random, spread);
		enum replay_verdict verdict = replay_check(&r, counter);

		if (verdict != model(r.newest, bits, counter))
			fail_msg("bits %u seed %u step %u", bits, (unsigned)seed, i);
		if (verdict == REPLAY_FRESH)
			accept(&r, counter);
		base += test_random_below(&random, 4);
		if (test_random_below(&random, 500) == 0)
			base += test_random_below(&random, 2 * bits);
		if (base + spread >= MODEL_MAX)
			break;
	}
}

static void small_windows_agree_with_the_model_in_random_order(void **state)
{
	(void)state;
	for (u64 seed = 1; seed <= 6; seed++) {
		walk_at_random(128, 20000, 100, seed);
		walk_at_random(128, 20000, 300, seed);
		walk_at_random(256, 20000, 300, seed);
		walk_at_random(1024, 20000, 1500, seed);
	}
}

static void the_large_window_agrees_with_the_model_in_random_order(void **state)
{
	(void)state;
	walk_at_random(REPLAY_BITS_PEER, 40000, 70000, 7);
	walk_at_random(REPLAY_BITS_PEER, 40000, 130000, 8);
}

static void the_large_window_ends_where_it_says(void **state)
{
	const u64 known = REPLAY_BITS_PEER - 64;
	struct replay r = fresh(REPLAY_BITS_PEER);

	(void)state;
	accept(&r, 1);
	accept(&r, known + 1);
	assert_int_equal(replay_check(&r, 1), REPLAY_DUPLICATE);
	assert_int_equal(replay_check(&r, 0), REPLAY_TOO_OLD);
	assert_int_equal(replay_check(&r, 2), REPLAY_FRESH);
	accept(&r, known + 2);
	assert_int_equal(replay_check(&r, 1), REPLAY_TOO_OLD);
	accept(&r, 2);
	accept(&r, known + 3);
	assert_int_equal(replay_check(&r, 2), REPLAY_TOO_OLD);
}

static void after_a_jump_nothing_of_the_past_shows_through(void **state)
{
	static const u64 jumps[] = { 64,
				     127,
				     128,
				     129,
				     65471,
				     65472,
				     65535,
				     65536,
				     65537,
				     1000000,
				     UINT64_C(1) << 32,
				     UINT64_C(1) << 63 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(jumps); i++) {
		struct replay r = fresh(REPLAY_BITS_PEER);
		u64 newest = 300 + jumps[i];

		for (u64 c = 0; c <= 300; c++)
			accept(&r, c);
		accept(&r, newest);
		for (u64 c = newest - 1; c > 300 && newest - c <= REPLAY_BITS_PEER - 64; c--)
			assert_int_equal(replay_check(&r, c), REPLAY_FRESH);
	}
}

static void the_last_counters_of_all_still_work(void **state)
{
	struct replay r = fresh(128);

	(void)state;
	accept(&r, UINT64_MAX - 1);
	accept(&r, UINT64_MAX);
	accept(&r, UINT64_MAX - 64);
	assert_int_equal(replay_check(&r, UINT64_MAX - 65), REPLAY_TOO_OLD);
	assert_int_equal(replay_check(&r, 0), REPLAY_TOO_OLD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counter_zero_is_fresh_once),
		cmocka_unit_test(checking_changes_nothing),
		cmocka_unit_test(two_counters_in_any_order_leave_what_the_model_says),
		cmocka_unit_test(small_windows_agree_with_the_model_in_random_order),
		cmocka_unit_test(the_large_window_agrees_with_the_model_in_random_order),
		cmocka_unit_test(the_large_window_ends_where_it_says),
		cmocka_unit_test(after_a_jump_nothing_of_the_past_shows_through),
		cmocka_unit_test(the_last_counters_of_all_still_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
