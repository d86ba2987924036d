/* SPDX-License-Identifier: MIT */
/*
 * test_unstripe.c - striped payloads that wait for those before them hold no more buffers than others can
 * spare, whatever a peer sends, and none when nothing waits.
 */
#include "lone.h"

#include <string.h>

#define START (1000 * NS_PER_S)
#define POOL 1024u /* as the daemon's */
#define MANY 2000u
#define LONG_WAIT 255u

struct bench {
	struct lone lone;
	u64 now;
	u16 peer, tunnel;
	u32 number, delivered;
};

static struct bench bench;

static void add_peer(u32 number)
{
	struct peer_options p = { .name = "peer" };

	put_u32(p.public_key, number);
	p.public_key[9] = 1;
	assert_int_equal(engine_add_peer(bench.lone.e, bench.now, &p, &bench.peer), 0);
	bench.number = 0;
}

static int set_up(void **state)
{
	const struct tunnel_options t = { .name = "t", .id = 1, .stripe = true, .ordered = true };

	(void)state;
	bench = (struct bench){ .now = START };
	lone_begin(&bench.lone, POOL);
	assert_int_equal(engine_add_tunnel(bench.lone.e, &t, &bench.tunnel), 0);
	add_peer(0);
	return 0;
}

static void drain(void)
{
	struct delivery d;

	while (engine_next_delivery(bench.lone.e, &d)) {
		bench.delivered++;
		buf_put(d.buf);
	}
}

static int tear_down(void **state)
{
	(void)state;
	drain();
	lone_end(&bench.lone);
	return 0;
}

static void receive(struct frame_stripe *f)
{
	struct buf *b = buf_get(bench.lone.pool);
	const struct arrival in = { .now = bench.now, .buf = b, .size = 200 };

	assert_non_null(b);
	f->tunnel = 1;
	f->number = bench.number++;
	f->data = buf_data(b);
	memset(f->data, 0x5a, f->size);
	unstripe_take(bench.lone.e, bench.lone.e->peers[bench.peer], &in, bench.tunnel, f);
	buf_put(b);
}

static void whole(u32 sequence)
{
	receive(&(struct frame_stripe){ .wait = LONG_WAIT, .sequence = sequence, .size = 100 });
}

/* A payload of so many bytes in two pieces. */
static void pieces(u32 sequence, u32 total)
{
	const u32 unit = (total + 1) / 2;

	for (u32 n = 0; n < 2; n++)
		receive(&(struct frame_stripe){ .wait = LONG_WAIT,
						.sequence = sequence,
						.piece = true,
						.index = (u8)n,
						.unit = (u16)unit,
						.total = total,
						.size = n ? total - unit : unit });
}

static void wait_behind_a_gap(u32 total)
{
	whole(0);
	for (u32 n = 2; n < MANY; n++) {
		pieces(n, total);
		assert_true(pool_available(bench.lone.pool) >= POOL / 8);
		drain();
	}
}

static void small_payloads_that_wait_leave_buffers_to_others(void **state)
{
	(void)state;
	wait_behind_a_gap(8);
}

static void large_ones_do_so_too(void **state)
{
	(void)state;
	wait_behind_a_gap(60000);
}

/* Each of many peers has had one payload that waited, once. */
static void who_is_quiet_keeps_no_buffer(void **state)
{
	(void)state;
	for (u32 n = 1; n < 1000; n++) {
		add_peer(n);
		whole(0);
		whole(2);
		whole(1);
		drain();
	}
	assert_int_equal(bench.delivered, 3 * 999);
	assert_int_equal(pool_available(bench.lone.pool), POOL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(small_payloads_that_wait_leave_buffers_to_others),
		TEST(large_ones_do_so_too),
		TEST(who_is_quiet_keeps_no_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
