/* SPDX-License-Identifier: MIT */
/*
 * test_shards.c - blocks of shards from the one end to the other, without anything in between: what is
 * not lost comes at once, what is lost is rebuilt if enough has come, and nothing comes twice.
 *
 * Payload number n has size_of(n) bytes that follow from n, and the sequence first + n.
 */
#include "harness.h"

#include <string.h>

#include "warp/shard_in.h"
#include "warp/shard_out.h"

#define POOL 128u
#define MOST 60000u
#define ROOM 1400u
#define START (1000 * NS_PER_S)
#define MS(n) ((n)*NS_PER_MS)

struct ends {
	struct test_heap heap;
	struct test_random random;
	struct allocator allocator;
	struct pool *pool;
	struct shard_budget budget;
	struct shard_view counts;
	struct shard_options options;
	struct shard_out *out;
	struct shard_in *in;
	u64 now;
	u32 first, sent;
	double loss;
	bool whole;      /* payloads are as large as can be */
	u32 parity_lost; /* bits: these parity shards never come */
	u32 parity, came;
	u8 seen[MOST];
};

static struct ends ends;

/* --- both ends ------------------------------------------------------------------------------- */

static void open_ends(u32 shards, u32 required, u32 first)
{
	struct ends *e = &ends;

	memset(e, 0, sizeof(*e));
	e->heap.limit = SIZE_MAX;
	e->allocator = test_allocator(&e->heap);
	e->pool = pool_create(&e->allocator, POOL);
	e->budget.limit = POOL / 2;
	e->options = (struct shard_options){ shards, required, MS(20) };
	e->out = shard_out_create(&e->allocator, &e->options);
	e->in = shard_in_create(&e->allocator, e->pool, &e->budget, &e->counts);
	assert_non_null(e->in);
	assert_true(shard_out_set_size(e->out, ROOM));
	e->now = START;
	e->first = first;
}

static void close_ends(void)
{
	struct ends *e = &ends;

	shard_out_destroy(&e->allocator, e->out);
	shard_in_destroy(&e->allocator, e->in);
	assert_int_equal(e->budget.used, 0);
	assert_int_equal(pool_available(e->pool), POOL);
	pool_destroy(e->pool);
	assert_int_equal(e->heap.live, 0);
}

static u32 size_of(u32 n)
{
	return ends.whole ? ROOM - SHARD_SIZE_BYTES : 1 + n * 37 % ROOM;
}

static void fill(u8 *data, u32 n)
{
	for (u32 i = 0; i < size_of(n); i++)
		data[i] = (u8)(n * 7 + i * 13);
}

static void comes(u32 sequence, const u8 *data, u32 size)
{
	const u32 n = sequence - ends.first;
	u8 expected[ROOM];

	assert_true(n < MOST);
	fill(expected, n);
	assert_int_equal(size, size_of(n));
	assert_memory_equal(data, expected, size);
	assert_int_equal(ends.seen[n]++, 0);
	ends.came++;
}

static void take_rebuilt(void)
{
	struct shard_rebuilt r;

	while (shard_in_next(ends.in, &r)) {
		comes(r.sequence, r.data, r.size);
		buf_put(r.buf);
	}
}

static enum drop_reason arrive(u32 n)
{
	u8 data[ROOM];
	enum drop_reason reason;

	fill(data, n);
	reason = shard_in_payload(ends.in, ends.now, ends.first + n, data, size_of(n));
	if (reason == DROP_NONE)
		comes(ends.first + n, data, size_of(n));
	take_rebuilt();
	return reason;
}

static bool lost(void)
{
	return test_random_below(&ends.random, 1000) < ends.loss * 1000;
}

static void send_parity(struct shard_block *b)
{
	struct frame_shard f = {
		.sequence = b->base,
		.kind = SHARD_PARITY,
		.count = b->count,
		.step = b->step,
		.wait = 20,
		.size = b->size,
	};
	u8 sum[ROOM + SHARD_SIZE_BYTES];

	for (u32 j = 0; j < ends.options.shards - ends.options.required; j++) {
		memcpy(sum, shard_out_parity(ends.out, b, j), b->size);
		f.parity = (u8)j;
		f.data = sum;
		ends.parity++;
		if (ends.parity_lost & 1u << j || lost())
			continue;
		assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_NONE);
		take_rebuilt();
	}
	shard_out_close(ends.out, b);
}

static void expire(void)
{
	while (shard_out_next_expiry(ends.out) <= ends.now)
		send_parity(shard_out_oldest(ends.out));
	shard_in_expire(ends.in, ends.now);
}

/* Payload n; whether it comes. */
static void send_one(u32 links, bool arrives)
{
	const u32 n = ends.sent++;
	u8 shard[ROOM + SHARD_SIZE_BYTES];
	struct shard_block *b;

	put_u16(shard, (u16)size_of(n));
	fill(shard + SHARD_SIZE_BYTES, n);
	shard_out_pace(ends.out, ends.now, links);
	while (!(b = shard_out_block(ends.out, ends.now, ends.first + n)))
		send_parity(shard_out_oldest(ends.out));
	if (arrives)
		arrive(n);
	if (shard_out_add(ends.out, b, shard, size_of(n) + SHARD_SIZE_BYTES))
		send_parity(b);
}

static void send_many(u32 count, u64 interval, u32 links)
{
	for (u32 n = 0; n < count; n++) {
		send_one(links, !lost());
		ends.now += interval;
		expire();
	}
	ends.now += SHARD_DELAY_MAX;
	expire();
}

/* Three payloads, of which these (bits) come. */
static void send_block(u32 have)
{
	for (u32 n = 0; n < 3; n++)
		send_one(3, have & 1u << n);
}

/* --- what is rebuilt ------------------------------------------------------------------------- */

/* Each subset of 3 payloads, and of 2 parity shards: with 3 of the 5 all come, with less those that came. */
static void any_3_of_5_bring_all_payloads(void **state)
{
	(void)state;
	for (u32 have = 0; have < 32; have++) {
		const u32 enough = __builtin_popcount(have) >= 3;

		open_ends(5, 3, UINT32_MAX - 4); /* sequences wrap */
		send_block(7);
		ends.parity_lost = ~have >> 3;
		send_block(have);
		assert_int_equal(ends.came, 3 + (enough ? 3 : __builtin_popcount(have & 7)));
		close_ends();
	}
}

static void parity_comes_when_a_block_is_full_or_old(void **state)
{
	(void)state;
	open_ends(5, 3, 0);
	send_one(3, true);
	assert_int_equal(shard_out_next_expiry(ends.out), START + MS(20));
	send_one(3, true);
	assert_int_equal(ends.parity, 0);
	send_one(3, true);
	assert_int_equal(ends.parity, 2);
	assert_true(shard_out_next_expiry(ends.out) == TIME_NEVER);
	send_one(3, false);
	ends.now += MS(20) - 1;
	expire();
	assert_int_equal(ends.parity, 2);
	ends.now++;
	expire();
	assert_int_equal(ends.parity, 4);
	assert_int_equal(ends.came, 4);
	assert_int_equal(ends.counts.rebuilt, 1);
	close_ends();
}

static void at_5_percent_loss_next_to_nothing_is_lost(void **state)
{
	static const u64 intervals[] = { MS(1) / 20, MS(1), MS(7) };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(intervals); i++) {
		for (u32 links = 1; links <= 3; links++) {
			open_ends(5, 3, 12345);
			ends.loss = 0.05;
			send_many(MOST - 1000, intervals[i], links);
			/* 0.07 % */
			assert_true(ends.sent - ends.came < MOST * 12 / 10000);
			assert_true(ends.parity <= ends.sent * 68 / 100);
			close_ends();
		}
	}
}

static void what_comes_after_it_was_rebuilt_is_dropped(void **state)
{
	(void)state;
	open_ends(5, 3, 7);
	send_block(7);
	send_block(4);
	assert_int_equal(ends.came, 6);
	assert_int_equal(arrive(3), DROP_DUPLICATE);
	/* Also when nothing else is known of it any more. */
	send_many(SHARD_IN_PAYLOADS * 3, MS(1) / 10, 3);
	assert_int_equal(arrive(4), DROP_DUPLICATE);
	close_ends();
}

/* Where nothing is known of what was before, nothing is delivered that may have been. */
static void the_first_block_is_not_rebuilt_without_its_first_payload(void **state)
{
	(void)state;
	open_ends(5, 3, 7);
	send_block(6);
	assert_int_equal(ends.came, 2);
	close_ends();
	open_ends(2, 1, 7);
	send_one(3, false); /* but parity knows the first itself */
	assert_int_equal(ends.came, 1);
	close_ends();
}

/* The copies of its block are gone when the parity comes: nothing is made up, and what was delivered is
 * not delivered again. */
static void parity_that_comes_too_late_does_nothing(void **state)
{
	u8 sum[64] = { 1, 2, 3 };
	struct frame_shard f = { .kind = SHARD_PARITY, .count = 1, .step = 1, .data = sum };

	(void)state;
	open_ends(2, 1, 0);
	f.size = sizeof(sum);
	send_many(SHARD_IN_PAYLOADS * 2, MS(1) / 10, 2);
	f.sequence = 3; /* delivered long ago */
	assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_NONE);
	f.sequence = ends.sent - 5;
	assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_NONE);
	take_rebuilt();
	assert_int_equal(ends.came, ends.sent);
	close_ends();
}

static void a_block_of_which_too_much_is_missing_is_given_up(void **state)
{
	(void)state;
	open_ends(5, 3, 0);
	ends.parity_lost = 1;
	send_one(3, true);
	send_one(3, false);
	send_one(3, false);
	assert_int_equal(ends.came, 1);
	assert_int_equal(shard_in_next_expiry(ends.in), START + SHARD_IN_TIME);
	ends.now += SHARD_IN_TIME;
	expire();
	assert_int_equal(ends.counts.unrecoverable, 1);
	assert_true(shard_in_next_expiry(ends.in) == TIME_NEVER);
	assert_int_equal(ends.budget.used, 0);
	close_ends();
}

/* --- bounds ---------------------------------------------------------------------------------- */

static void what_waits_is_bounded(void **state)
{
	(void)state;
	open_ends(8, 4, 0);
	ends.parity_lost = 7;
	for (u32 n = 0; n < 40000; n++) {
		send_one(4, n % 4 == 0);
		assert_true(ends.budget.used <= POOL / 2);
	}
	assert_int_equal(ends.counts.unrecoverable, 10000 - SHARD_IN_BLOCKS);
	close_ends();
}

static void without_buffers_payloads_come_all_the_same(void **state)
{
	(void)state;
	open_ends(5, 3, 0);
	ends.budget.limit = 0;
	for (u32 n = 0; n < 100; n++) {
		u8 data[ROOM];

		fill(data, n);
		assert_int_equal(shard_in_payload(ends.in, ends.now, n, data, size_of(n)),
				 DROP_NONE);
	}
	close_ends();
}

static void a_sender_that_begins_anew_is_followed(void **state)
{
	static const u32 jumps[] = { 1u << 31, 1u << 23, (u32) - (1 << 23), (u32)-100000 };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(jumps); i++) {
		open_ends(2, 1, 1000000);
		send_many(3000, MS(1), 2);
		ends.first += jumps[i];
		ends.sent = ends.came = 0;
		memset(ends.seen, 0, sizeof(ends.seen));
		send_many(1000, MS(1), 2);
		assert_int_equal(ends.came, 1000);
		ends.loss = 0.1;
		send_many(1000, MS(1), 2);
		assert_true(ends.came >= 1970); /* 1 % */
		close_ends();
	}
}

static void parity_that_contradicts_other_parity_is_refused(void **state)
{
	u8 sum[64] = { 0 };
	struct frame_shard f = {
		.sequence = 10, .kind = SHARD_PARITY, .count = 8, .step = 1, .data = sum, .size = 40
	};

	(void)state;
	open_ends(5, 3, 0);
	assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_NONE);
	assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_BAD_FRAME);
	f.parity = 1;
	f.size = 41;
	assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_BAD_FRAME);
	f.size = 40;
	f.count = 7;
	assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_BAD_FRAME);
	f.count = 8;
	f.step = 2;
	assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_BAD_FRAME);
	f.step = UINT16_MAX;
	assert_int_equal(shard_in_parity(ends.in, ends.now, &f), DROP_BAD_FRAME);
	close_ends();
}

/* --- depth ----------------------------------------------------------------------------------- */

static void blocks_are_filled_in_turn_when_links_are_too_few(void **state)
{
	static const struct {
		u32 shards, required, links;
		u64 interval;
		u32 depth;
	} cases[] = {
		{ 5, 3, 3, MS(1), 1 },  { 5, 3, 2, MS(1), 8 },       { 5, 3, 1, MS(1), 8 },
		{ 5, 3, 2, MS(19), 1 }, { 5, 3, 2, MS(1) / 10, 80 }, { 4, 2, 2, MS(1), 1 },
		{ 2, 1, 1, MS(1), 1 },  { 9, 5, 2, MS(1), 4 },
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		open_ends(cases[i].shards, cases[i].required, 0);
		send_many(2000, cases[i].interval, cases[i].links);
		assert_int_equal(shard_out_depth(ends.out), cases[i].depth);
		close_ends();
	}
}

static void a_new_size_waits_until_all_blocks_are_sent(void **state)
{
	(void)state;
	open_ends(5, 3, 0);
	send_one(3, true);
	assert_false(shard_out_set_size(ends.out, 9000));
	send_parity(shard_out_oldest(ends.out));
	assert_true(shard_out_set_size(ends.out, 9000));
	assert_true(shard_out_set_size(ends.out, shard_out_room(&ends.options)));
	close_ends();
}

static void without_memory_there_is_nothing(void **state)
{
	(void)state;
	open_ends(5, 3, 0);
	ends.heap.limit = 0;
	assert_null(shard_out_create(&ends.allocator, &ends.options));
	assert_null(shard_in_create(&ends.allocator, ends.pool, &ends.budget, &ends.counts));
	ends.heap.limit = SIZE_MAX;
	close_ends();
}

/* --- high rates -------------------------------------------------------------------------------- */

/* 8 of 10 over two links, 1 % lost: how many of the lost are not rebuilt, of 40,000. */
static u32 missing(u32 rate, u64 max_delay, bool whole)
{
	u32 ret;

	open_ends(10, 8, 0);
	ends.whole = whole;
	ends.options.max_delay = max_delay;
	shard_out_tune(ends.out, &ends.options);
	assert_true(shard_out_set_size(ends.out, ROOM));
	ends.loss = 0.01;
	send_many(40000, NS_PER_S / rate, 2);
	ret = ends.sent - ends.came;
	close_ends();
	return ret;
}

/* send_parity() sees that none is refused. */
static void blocks_are_not_longer_than_the_other_end_takes(void **state)
{
	(void)state;
	assert_in_range(missing(7000, MS(1000), false), 0, 60);
}

static void blocks_need_no_more_room_than_the_other_end_has(void **state)
{
	(void)state;
	for (u32 rate = 5000; rate <= 20000; rate *= 2)
		assert_in_range(missing(rate, MS(300), true), 0, 60);
}

/* A link whose queue held more than a second of them runs empty after the sender has stopped. */
static void what_was_rebuilt_stays_so_however_much_comes_late(void **state)
{
	(void)state;
	open_ends(5, 3, 0);
	send_block(7);
	ends.parity_lost = UINT32_MAX;
	for (u32 n = 0; n < 100; n++)
		send_block(0);
	ends.parity_lost = 0;
	send_block(6); /* 303 is rebuilt */
	assert_int_equal(ends.counts.rebuilt, 1);
	for (u32 n = 0; n < 3000; n++)
		send_block(7);
	assert_int_equal(arrive(303), DROP_DUPLICATE);
	for (u32 n = 3; n < 303; n++)
		assert_int_equal(arrive(n), DROP_NONE);
	assert_int_equal(arrive(303), DROP_DUPLICATE);
	close_ends();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_3_of_5_bring_all_payloads),
		cmocka_unit_test(parity_comes_when_a_block_is_full_or_old),
		cmocka_unit_test(at_5_percent_loss_next_to_nothing_is_lost),
		cmocka_unit_test(what_comes_after_it_was_rebuilt_is_dropped),
		cmocka_unit_test(the_first_block_is_not_rebuilt_without_its_first_payload),
		cmocka_unit_test(parity_that_comes_too_late_does_nothing),
		cmocka_unit_test(a_block_of_which_too_much_is_missing_is_given_up),
		cmocka_unit_test(what_waits_is_bounded),
		cmocka_unit_test(without_buffers_payloads_come_all_the_same),
		cmocka_unit_test(a_sender_that_begins_anew_is_followed),
		cmocka_unit_test(parity_that_contradicts_other_parity_is_refused),
		cmocka_unit_test(blocks_are_filled_in_turn_when_links_are_too_few),
		cmocka_unit_test(a_new_size_waits_until_all_blocks_are_sent),
		cmocka_unit_test(without_memory_there_is_nothing),
		cmocka_unit_test(blocks_are_not_longer_than_the_other_end_takes),
		cmocka_unit_test(blocks_need_no_more_room_than_the_other_end_has),
		cmocka_unit_test(what_was_rebuilt_stays_so_however_much_comes_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
