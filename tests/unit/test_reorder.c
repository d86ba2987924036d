/* SPDX-License-Identifier: MIT */
/*
 * test_reorder.c - payloads of one sender are put in order, in virtual time. A payload is known by
 * its size: the number of the payload that the sender has sent, from 0.
 */
#include "harness.h"

#include <string.h>

#include "warp/reorder.h"

#define POOL 512u
#define WAIT (30 * NS_PER_MS)
#define START (1000 * NS_PER_S)
#define MOST 20000u

struct line {
	struct test_heap heap;
	struct allocator allocator;
	struct pool *pool;
	struct reorder_budget budget;
	struct reorder *r;
	u32 first; /* sequence of payload 0 */
	u64 now;
	u32 out[MOST];
	u32 count;
};

static void make(struct line *l, u32 first)
{
	*l = (struct line){ .first = first, .now = START, .budget = { .limit = POOL } };
	l->heap.limit = SIZE_MAX;
	l->allocator = test_allocator(&l->heap);
	l->pool = pool_create(&l->allocator, POOL);
	l->r = reorder_create(&l->allocator, &l->budget);
	assert_non_null(l->r);
	reorder_set_wait(l->r, WAIT);
}

static int set_up(void **state)
{
	static struct line line;

	line.heap.limit = SIZE_MAX;
	make(&line, 1000);
	*state = &line;
	return 0;
}

static int tear_down(void **state)
{
	struct line *l = *state;

	reorder_destroy(&l->allocator, l->r);
	assert_int_equal(l->budget.used, 0);
	assert_int_equal(pool_available(l->pool), POOL);
	pool_destroy(l->pool);
	assert_int_equal(l->heap.live, 0);
	return 0;
}

static void fetch(struct line *l)
{
	struct reorder_item item;

	while (reorder_next(l->r, l->now, &item)) {
		assert_ptr_equal(item.data, buf_data(item.buf));
		assert_true(l->count < MOST);
		l->out[l->count++] = item.size;
		buf_put(item.buf);
	}
}

/* Payload number arrives in b. */
static enum drop_reason arrive_in(struct line *l, u32 number, struct buf *b)
{
	const struct reorder_item item = { buf_data(b), number, buf_ref(b), 0 };
	const u32 sequence = l->first + number;
	enum drop_reason reason;

	if (reorder_pass(l->r, sequence)) {
		l->out[l->count++] = number;
		buf_put(b);
		return DROP_NONE;
	}
	reason = reorder_put(l->r, l->now, sequence, &item);
	if (reason == DROP_QUEUE_FULL) {
		fetch(l);
		reason = reorder_put(l->r, l->now, sequence, &item);
	}
	if (reason != DROP_NONE)
		buf_put(b);
	fetch(l);
	return reason;
}

static enum drop_reason arrive(struct line *l, u32 number)
{
	struct buf *b = buf_get(l->pool);
	enum drop_reason reason;

	assert_non_null(b);
	reason = arrive_in(l, number, b);
	buf_put(b);
	return reason;
}

static void pass(struct line *l, u64 duration)
{
	const u64 end = l->now + duration;

	while (reorder_next_expiry(l->r) <= end) {
		const u64 at = reorder_next_expiry(l->r);

		assert_true(at >= l->now); /* all that was due before has been fetched */
		l->now = at;
		fetch(l);
		assert_true(reorder_next_expiry(l->r) > at);
	}
	l->now = end;
}

static void assert_out(const struct line *l, const u32 *numbers, u32 count)
{
	assert_int_equal(l->count, count);
	assert_memory_equal(l->out, numbers, count * sizeof(*numbers));
}
#define assert_delivered(l, ...)                                                                   \
	assert_out((l), (const u32[]){ __VA_ARGS__ },                                              \
		   sizeof((const u32[]){ __VA_ARGS__ }) / sizeof(u32))

/* --- order ------------------------------------------------------------------------------------ */

static void what_is_in_order_passes_at_once_and_holds_nothing(void **state)
{
	struct line *l = *state;

	for (u32 n = 0; n < 100; n++) {
		assert_int_equal(arrive(l, n), DROP_NONE);
		assert_int_equal(l->count, n + 1);
		assert_int_equal(pool_available(l->pool), POOL);
	}
	assert_true(reorder_next_expiry(l->r) == TIME_NEVER);
	assert_int_equal(reorder_put_right(l->r), 0);
}

static void what_fills_the_gap_lets_those_behind_pass(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 3);
	arrive(l, 2);
	assert_delivered(l, 0);
	assert_int_equal(reorder_waiting(l->r), 2);
	arrive(l, 1);
	assert_delivered(l, 0, 1, 2, 3);
	assert_int_equal(reorder_waiting(l->r), 0);
	assert_int_equal(reorder_put_right(l->r), 2);
	assert_int_equal(pool_available(l->pool), POOL);
}

static void a_gap_is_waited_for_as_long_as_the_wait_and_no_longer(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 2);
	assert_true(reorder_next_expiry(l->r) == START + WAIT);
	pass(l, WAIT - 1);
	assert_delivered(l, 0);
	pass(l, 1);
	assert_delivered(l, 0, 2);
	assert_true(reorder_next_expiry(l->r) == TIME_NEVER);
}

/* 1 and 3 are missing: the wait for 3 begins when 4 comes. */
static void each_gap_has_a_wait_of_its_own(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 2);
	pass(l, WAIT / 2);
	arrive(l, 4);
	pass(l, WAIT / 2);
	assert_delivered(l, 0, 2);
	pass(l, WAIT / 2 - 1);
	assert_delivered(l, 0, 2);
	pass(l, 1);
	assert_delivered(l, 0, 2, 4);
}

/* 4 is the oldest: with it go all gaps before it, whatever came between them and when. */
static void the_oldest_decides_for_all_gaps_before_it(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 4);
	pass(l, WAIT / 2);
	arrive(l, 2);
	arrive(l, 6);
	pass(l, WAIT / 2);
	assert_delivered(l, 0, 2, 4);
	pass(l, WAIT / 2);
	assert_delivered(l, 0, 2, 4, 6);
}

static void a_new_wait_holds_for_what_is_held_already(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 2);
	reorder_set_wait(l->r, 2 * WAIT);
	pass(l, 2 * WAIT - 1);
	assert_delivered(l, 0);
	reorder_set_wait(l->r, WAIT);
	fetch(l);
	assert_delivered(l, 0, 2);
}

static void what_comes_after_its_place_was_passed_over_is_late(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 2);
	pass(l, WAIT);
	assert_int_equal(arrive(l, 1), DROP_LATE);
	assert_int_equal(arrive(l, 0), DROP_LATE);
	assert_int_equal(arrive(l, 3), DROP_NONE);
	assert_delivered(l, 0, 2, 3);
}

static void a_duplicate_of_what_is_held_is_harmless(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 2);
	assert_int_equal(arrive(l, 2), DROP_DUPLICATE);
	assert_int_equal(reorder_waiting(l->r), 1);
	arrive(l, 1);
	assert_delivered(l, 0, 1, 2);
	assert_int_equal(arrive(l, 2), DROP_LATE);
	assert_int_equal(l->count, 3);
}

/* Blocks of a size below the window, each shuffled: all is put right. */
static void shuffle_blocks(struct line *l, u32 block, u32 blocks, u64 seed)
{
	struct test_random random = { seed };
	u32 order[64];

	arrive(l, 0);
	for (u32 b = 0; b < blocks; b++) {
		for (u32 n = 0; n < block; n++) {
			const u32 at = test_random_below(&random, n + 1);

			order[n] = order[at];
			order[at] = 1 + b * block + n;
		}
		for (u32 n = 0; n < block; n++) {
			l->now += WAIT / 100;
			assert_int_equal(arrive(l, order[n]), DROP_NONE);
		}
	}
	assert_int_equal(l->count, 1 + block * blocks);
	for (u32 n = 0; n < l->count; n++)
		assert_int_equal(l->out[n], n);
}

static void random_permutations_come_out_sorted(void **state)
{
	struct line *l = *state;

	for (u32 block = 2; block <= 64; block++) {
		tear_down(state);
		make(l, block * 77777u);
		shuffle_blocks(l, block, 20, block);
	}
}

static void sequences_wrap(void **state)
{
	struct line *l = *state;

	tear_down(state);
	make(l, UINT32_MAX - 100);
	shuffle_blocks(l, 40, 10, 1);
	assert_int_equal(arrive(l, 50), DROP_LATE); /* before the wrap */
	arrive(l, 402);
	pass(l, WAIT);
	assert_int_equal(l->out[l->count - 1], 402);
}

/* --- a sender that begins anew ---------------------------------------------------------------- */

static void a_jump_of_the_sequence_is_a_new_life(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 2);
	l->first += 1u << 30; /* the restart */
	assert_int_equal(arrive(l, 10), DROP_NONE);
	arrive(l, 11);
	assert_delivered(l, 0, 2, 10, 11);
	l->first -= 3u << 29; /* and back, further than the first time */
	assert_int_equal(arrive(l, 20), DROP_NONE);
	arrive(l, 22);
	arrive(l, 21);
	assert_delivered(l, 0, 2, 10, 11, 20, 21, 22);
}

static void a_small_jump_ahead_costs_one_wait(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	arrive(l, 1000000);
	assert_delivered(l, 0);
	pass(l, WAIT);
	arrive(l, 1000001);
	assert_delivered(l, 0, 1000000, 1000001);
}

/* It cannot be told from late payloads at once, but these end, and it does not. */
static void a_small_jump_back_is_followed_after_some_seconds(void **state)
{
	struct line *l = *state;
	u32 n;

	arrive(l, 100000);
	for (n = 0; n < 1000 && l->count == 1; n++) {
		arrive(l, n);
		pass(l, 10 * NS_PER_MS);
	}
	assert_int_equal(l->out[1], n - 1);
	assert_in_range(n, 400, 500);
	arrive(l, n + 1);
	arrive(l, n);
	assert_int_equal(l->count, 4);
	assert_int_equal(l->out[3], n + 1);
}

static void single_late_ones_never_break_the_order(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	for (u32 n = 2; n < 200; n += 2) {
		arrive(l, n);
		pass(l, NS_PER_S);
		assert_int_equal(arrive(l, n - 1), DROP_LATE);
	}
	assert_int_equal(l->count, 100);
}

/* --- bounds ----------------------------------------------------------------------------------- */

static void no_more_buffers_are_held_than_the_bound(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	for (u32 n = 2; n < 2 * POOL; n++) {
		assert_int_equal(arrive(l, n), DROP_NONE);
		assert_true(POOL - pool_available(l->pool) <= REORDER_BUFFERS);
	}
	/* 1 was passed over before its time: nothing waits for it any more. */
	assert_int_equal(l->count, 2 * POOL - 1);
	assert_int_equal(arrive(l, 1), DROP_LATE);
}

static void the_payloads_of_one_train_count_as_one_buffer(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	for (u32 n = 0; n < 64; n++) {
		struct buf *train = buf_get(l->pool);

		for (u32 k = 0; k < 32; k++)
			assert_int_equal(arrive_in(l, 2 + n * 32 + k, train), DROP_NONE);
		buf_put(train);
	}
	assert_int_equal(l->count, 1);
	assert_int_equal(reorder_waiting(l->r), 64 * 32);
	assert_int_equal(l->budget.used, 64);
	arrive(l, 1);
	assert_int_equal(l->count, 2 + 64 * 32);
	assert_int_equal(l->budget.used, 0);
}

static void the_budget_holds_for_all_together(void **state)
{
	struct line *l = *state;

	l->budget.limit = 10;
	l->budget.used = 4; /* somebody else */
	arrive(l, 0);
	for (u32 n = 2; n < 40; n++) {
		arrive(l, n);
		assert_true(l->budget.used <= 10);
	}
	assert_int_equal(l->count, 39);
	l->budget.used = 10;
	arrive(l, 41); /* nothing may be held at all */
	assert_int_equal(l->out[l->count - 1], 41);
	assert_int_equal(arrive(l, 40), DROP_LATE);
	l->budget.used = 0;
}

static void the_window_moves_with_what_is_far_ahead(void **state)
{
	struct line *l = *state;
	struct buf *b = buf_get(l->pool);

	arrive(l, 0);
	assert_int_equal(arrive_in(l, 2, b), DROP_NONE);
	assert_int_equal(arrive_in(l, REORDER_SLOTS, b), DROP_NONE); /* the last place */
	assert_delivered(l, 0);
	assert_int_equal(arrive_in(l, REORDER_SLOTS + 1, b), DROP_NONE);
	assert_delivered(l, 0, 2);
	assert_int_equal(arrive_in(l, 1, b), DROP_LATE);
	assert_int_equal(arrive_in(l, 3, b), DROP_NONE);
	assert_delivered(l, 0, 2, 3);
	buf_put(b);
	pass(l, WAIT);
	assert_delivered(l, 0, 2, 3, REORDER_SLOTS, REORDER_SLOTS + 1);
}

/* What is due and was not fetched stays due, and stays in order. */
static void what_is_fetched_later_is_still_in_order(void **state)
{
	struct line *l = *state;
	struct reorder_item item = { 0 };

	arrive(l, 0);
	arrive(l, 2);
	arrive(l, 3);
	l->now += WAIT;
	assert_true(reorder_next(l->r, l->now, &item));
	assert_int_equal(item.size, 2);
	buf_put(item.buf);
	assert_true(reorder_next_expiry(l->r) <= l->now);
	assert_false(reorder_pass(l->r, l->first + 4));
	assert_int_equal(arrive(l, 4), DROP_NONE);
	assert_delivered(l, 0, 3, 4); /* 2 was taken here */
}

static void the_end_gives_back_what_is_held(void **state)
{
	struct line *l = *state;

	arrive(l, 0);
	for (u32 n = 0; n < 50; n++)
		arrive(l, 2 + 3 * n);
	assert_int_equal(POOL - pool_available(l->pool), 50);
	/* tear_down() does the rest. */
}

static void without_memory_there_is_none(void **state)
{
	struct line *l = *state;

	l->heap.limit = 0;
	assert_null(reorder_create(&l->allocator, &l->budget));
	reorder_destroy(&l->allocator, NULL);
	l->heap.limit = SIZE_MAX;
}

/* --- against a naive model -------------------------------------------------------------------- */

#define SENT 3000u

struct model {
	u64 arrived[SENT]; /* 0: not held */
	u32 train[SENT];
	u32 held_of[SENT]; /* by train */
	u32 buffers, next, count;
	bool begun;
	u32 out[SENT];
};

static void model_deliver(struct model *m)
{
	m->buffers -= --m->held_of[m->train[m->next]] == 0;
	m->out[m->count++] = m->next;
	m->arrived[m->next++] = 0;
}

static u64 model_expiry(const struct model *m)
{
	u64 at = TIME_NEVER;

	for (u32 n = 0; n < SENT; n++) {
		if (m->arrived[n])
			at = time_min(at, m->arrived[n] + WAIT);
	}
	return at;
}

static bool model_must_pass(const struct model *m, u64 now)
{
	return m->buffers >= REORDER_BUFFERS || model_expiry(m) <= now;
}

static void model_fetch(struct model *m, u64 now)
{
	while (m->next < SENT) {
		if (m->arrived[m->next])
			model_deliver(m);
		else if (model_must_pass(m, now))
			m->next++;
		else
			return;
	}
}

static enum drop_reason model_arrive(struct model *m, u64 now, u32 number, u32 train)
{
	if (!m->begun) {
		m->begun = true;
		m->next = number;
	}
	if (number < m->next)
		return DROP_LATE;
	if (m->arrived[number])
		return DROP_DUPLICATE;
	m->arrived[number] = now;
	m->train[number] = train;
	m->buffers += m->held_of[train]++ == 0;
	model_fetch(m, now);
	return DROP_NONE;
}

static void compare(struct line *l, const struct model *m)
{
	assert_int_equal(l->count, m->count);
	assert_true(reorder_next_expiry(l->r) == model_expiry(m));
	if (m->count)
		assert_int_equal(l->out[l->count - 1], m->out[m->count - 1]);
}

/* Two paths: the second is slower by up to spread payloads; some are lost, some come twice. */
static u32 choose(struct test_random *random, u32 sent, u32 spread)
{
	const u32 back = test_random_below(random, 3) ? 0 : test_random_below(random, spread);

	return back > sent ? 0 : sent - back;
}

static void play(struct line *l, u64 seed)
{
	static struct model m;
	struct test_random random = { seed };
	const u32 spread = 1 + test_random_below(&random, 300);
	const u32 pace = 1 + test_random_below(&random, 4000);
	const u32 train = 1 + test_random_below(&random, 5);
	struct buf *b = NULL;

	memset(&m, 0, sizeof(m));
	for (u32 step = 0; step < SENT - 1; step++) {
		const u32 number = choose(&random, step, spread);

		if (step % train == 0) {
			buf_put(b);
			b = buf_get(l->pool);
		}
		assert_int_equal(arrive_in(l, number, b),
				 model_arrive(&m, l->now, number, step / train));
		compare(l, &m);
		pass(l, test_random_below(&random, pace) * NS_PER_US);
		model_fetch(&m, l->now);
		compare(l, &m);
	}
	buf_put(b);
	assert_memory_equal(l->out, m.out, m.count * sizeof(m.out[0]));
	for (u32 n = 1; n < l->count; n++)
		assert_true(l->out[n - 1] < l->out[n]);
}

static void it_does_what_a_naive_model_does(void **state)
{
	struct line *l = *state;

	for (u64 seed = 1; seed <= 25; seed++) {
		tear_down(state);
		make(l, (u32)(seed * UINT64_C(0x9e3779b9)));
		play(l, seed);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void nothing_is_held_beyond_its_deadline(void **state)
{
	struct test_heap heap;
	const struct allocator a = test_allocator(&heap);
	struct reorder_budget budget = { .limit = 10 };
	struct reorder *r = reorder_create(&a, &budget);
	struct pool *pool = pool_create(&a, 4);
	struct buf *b = buf_get(pool);
	struct reorder_item item = { buf_data(b), 1, b, START + 20 * NS_PER_MS };

	(void)state;
	reorder_set_wait(r, NS_PER_S);
	assert_true(reorder_pass(r, 1));
	assert_int_equal(reorder_put(r, START, 3, &item), DROP_NONE);
	assert_int_equal(reorder_next_expiry(r), START + 19 * NS_PER_MS);
	assert_false(reorder_next(r, START + 19 * NS_PER_MS - 1, &item));
	assert_true(reorder_next(r, START + 19 * NS_PER_MS, &item));
	assert_int_equal(item.deadline, START + 20 * NS_PER_MS);
	buf_put(item.buf);
	pool_destroy(pool);
	reorder_destroy(&a, r);
	assert_int_equal(heap.live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_in_order_passes_at_once_and_holds_nothing),
		TEST(what_fills_the_gap_lets_those_behind_pass),
		TEST(a_gap_is_waited_for_as_long_as_the_wait_and_no_longer),
		TEST(each_gap_has_a_wait_of_its_own),
		TEST(the_oldest_decides_for_all_gaps_before_it),
		TEST(a_new_wait_holds_for_what_is_held_already),
		TEST(what_comes_after_its_place_was_passed_over_is_late),
		TEST(a_duplicate_of_what_is_held_is_harmless),
		TEST(random_permutations_come_out_sorted),
		TEST(sequences_wrap),
		TEST(a_jump_of_the_sequence_is_a_new_life),
		TEST(a_small_jump_ahead_costs_one_wait),
		TEST(a_small_jump_back_is_followed_after_some_seconds),
		TEST(single_late_ones_never_break_the_order),
		TEST(no_more_buffers_are_held_than_the_bound),
		TEST(the_payloads_of_one_train_count_as_one_buffer),
		TEST(the_budget_holds_for_all_together),
		TEST(the_window_moves_with_what_is_far_ahead),
		TEST(what_is_fetched_later_is_still_in_order),
		TEST(the_end_gives_back_what_is_held),
		TEST(without_memory_there_is_none),
		TEST(it_does_what_a_naive_model_does),
		cmocka_unit_test(nothing_is_held_beyond_its_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
