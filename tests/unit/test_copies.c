/* SPDX-License-Identifier: MIT */
/*
 * test_copies.c - which copies go where a queue stands on the way, or nothing has been heard of late.
 */
#include "unit/desk.h"

#define RATE 100000u /* bytes a second that a limited path is good for */

static struct path *path_of(const struct desk *d, u32 link)
{
	struct peer *p = d->engine[0]->peers[0];
	int n = pathset_find(p, d->iface[0][link], 0, &d->at[1][link]);

	assert_true(n >= 0);
	return &p->paths[n];
}

/* The other end says that the path brings so many bytes a second, most is lost, and a queue stands. */
static void flood_path(struct desk *d, u32 link, u64 rate)
{
	struct path *path = path_of(d, link);
	u64 bytes = path->told_bytes;

	for (u32 n = 1; n <= 5; n++) {
		struct ease_sample sample = { .queue = 150 * NS_PER_MS,
					      .sent = 1000 * n,
					      .received = 100 * n,
					      .bytes = bytes + n * rate / 10,
					      .rtt = NS_PER_MS };

		ease_take(&path->ease, d->now, &sample);
		copies_refresh(d->engine[0]->peers[0], d->now);
		desk_run(d, 100 * NS_PER_MS);
	}
	assert_int_not_equal(ease_rate(&path->ease, d->now), UINT64_MAX);
}

/* Gives 1000 payloads of 1000 bytes a second. */
static void give_for(struct desk *d, u64 duration, u32 tunnel)
{
	for (u64 end = d->now + duration; d->now < end; d->now += NS_PER_MS) {
		assert_int_equal(desk_give(d, tunnel, 1000), DROP_NONE);
		desk_expire(d);
		desk_settle(d);
	}
}

static u64 bytes_over(const struct desk *d, u32 link)
{
	return path_of(d, link)->sent.bytes;
}

static void a_path_with_a_queue_gets_what_it_carries(void **state)
{
	struct desk *d = *state;
	u64 before, bytes;

	flood_path(d, 1, RATE);
	before = bytes_over(d, 1);
	give_for(d, 500 * NS_PER_MS, BULK);
	bytes = bytes_over(d, 1) - before;
	assert_in_range(bytes, 1000, RATE * 8 / 10);
	assert_in_range(desk_drops(d, BULK, DROP_SLOW_PATH), 400, 499);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 500);
}

static void the_only_path_gets_all(void **state)
{
	struct desk *d = *state;

	flood_path(d, 0, RATE);
	desk_one_link(d);
	give_for(d, 500 * NS_PER_MS, BULK);
	assert_int_equal(desk_drops(d, BULK, DROP_SLOW_PATH), 0);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 500);
}

static void the_best_of_all_gets_all(void **state)
{
	struct desk *d = *state;

	flood_path(d, 0, RATE / 4);
	flood_path(d, 1, RATE);
	give_for(d, 100 * NS_PER_MS, BULK);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 100);
	assert_true(desk_drops(d, BULK, DROP_SLOW_PATH) > 50);
	assert_true(bytes_over(d, 1) > 100000);
}

static void it_is_so_for_packets_and_large_payloads(void **state)
{
	struct desk *d = *state;

	flood_path(d, 1, RATE);
	for (u32 n = 0; n < 100; n++) {
		assert_int_equal(desk_give_packet(d, 0), DROP_NONE);
		assert_int_equal(desk_give(d, SPARSE, 5000), DROP_NONE);
		desk_settle(d);
	}
	assert_true(desk_drops(d, NET, DROP_SLOW_PATH) > 90);
	assert_true(desk_drops(d, SPARSE, DROP_SLOW_PATH) > 90);
	assert_int_equal(d->delivered[d->tunnel[1][SPARSE]], 100);
	assert_int_equal(d->delivered[d->tunnel[1][NET]], 100);
}

/* The link swallows what is sent over it; answers and all. */
static void swallow_for(struct desk *d, u64 duration, u32 link)
{
	struct outgoing out[OUTBOX_SIZE];

	for (u64 end = d->now + duration; d->now < end; d->now += NS_PER_MS) {
		size_t n;

		assert_int_equal(desk_give(d, BULK, 1000), DROP_NONE);
		desk_expire(d);
		n = engine_outgoing(d->engine[0], d->now, d->iface[0][link], out, OUTBOX_SIZE);
		engine_sent(d->engine[0], d->now, d->iface[0][link], n);
		desk_settle(d);
	}
}

static void what_is_silent_for_long_gets_little(void **state)
{
	struct desk *d = *state;
	u64 before;

	give_for(d, 500 * NS_PER_MS, BULK);
	before = bytes_over(d, 1);
	swallow_for(d, 300 * NS_PER_MS, 1);
	assert_true(bytes_over(d, 1) - before > 250 * 1000); /* perhaps it only loses */
	swallow_for(d, 200 * NS_PER_MS, 1);
	before = bytes_over(d, 1);
	swallow_for(d, 1000 * NS_PER_MS, 1);
	assert_in_range(bytes_over(d, 1) - before, 20000, 60000);
	give_for(d, 500 * NS_PER_MS, BULK);
	before = bytes_over(d, 1);
	give_for(d, 200 * NS_PER_MS, BULK);
	assert_true(bytes_over(d, 1) - before > 200 * 1000);
}

static void queues_are_told_while_data_flows(void **state)
{
	struct desk *d = *state;

	give_for(d, 1 * NS_PER_S, BULK);
	assert_int_not_equal(path_of(d, 0)->ease.at, 0);
	assert_false(ease_congested(&path_of(d, 0)->ease, d->now));
}

static bool tunnel_congested(const struct desk *d, u32 tunnel)
{
	struct tunnel_view v;

	assert_true(engine_view_tunnel(d->engine[0], d->tunnel[0][tunnel], &v));
	return v.congested;
}

static void it_is_told_which_path_and_tunnel_are_congested(void **state)
{
	struct desk *d = *state;
	struct path_view v;

	give_for(d, 100 * NS_PER_MS, BULK);
	assert_false(tunnel_congested(d, BULK));
	flood_path(d, 1, RATE);
	assert_true(engine_view_path(d->engine[0], 0,
				     (u32)(path_of(d, 1) - d->engine[0]->peers[0]->paths), &v));
	assert_true(v.congested);
	assert_true(v.limit_out > 0);
	give_for(d, 100 * NS_PER_MS, BULK);
	assert_false(tunnel_congested(d, BULK)); /* the other path carries it */
	while (desk_give(d, SPARSE, 1000) == DROP_NONE)
		;
	assert_true(tunnel_congested(d, SPARSE));
	assert_false(tunnel_congested(d, BULK));
	desk_settle(d);
	desk_run(d, 2 * NS_PER_S);
	assert_false(tunnel_congested(d, SPARSE));
}

static void a_tunnel_is_congested_when_all_paths_are(void **state)
{
	struct desk *d = *state;

	flood_path(d, 0, RATE);
	flood_path(d, 1, RATE);
	desk_give(d, BULK, 1000);
	path_of(d, 0)->ease.congested = path_of(d, 1)->ease.congested = true;
	path_of(d, 0)->ease.short_since = path_of(d, 1)->ease.short_since = 0;
	desk_run(d, 150 * NS_PER_MS); /* until answers come */
	assert_true(tunnel_congested(d, BULK));
	assert_false(tunnel_congested(d, SPARSE));
}

static void a_gate_that_waits_all_the_time_is_congested(void **state)
{
	struct desk *d = *state;

	for (u32 ms = 0; ms < 190; ms += 10, d->now += 10 * NS_PER_MS)
		engine_gate_waits(d->engine[0], d->now, d->tunnel[0][BULK]);
	assert_false(tunnel_congested(d, BULK));
	desk_run(d, 60 * NS_PER_MS);
	engine_gate_waits(d->engine[0], d->now, d->tunnel[0][BULK]);
	assert_false(tunnel_congested(d, BULK));
	for (u32 ms = 0; ms < 210; ms += 10, d->now += 10 * NS_PER_MS)
		engine_gate_waits(d->engine[0], d->now, d->tunnel[0][BULK]);
	assert_true(tunnel_congested(d, BULK));
	desk_run(d, 1100 * NS_PER_MS);
	assert_false(tunnel_congested(d, BULK));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_path_with_a_queue_gets_what_it_carries),
		TEST(the_only_path_gets_all),
		TEST(the_best_of_all_gets_all),
		TEST(it_is_so_for_packets_and_large_payloads),
		TEST(what_is_silent_for_long_gets_little),
		TEST(queues_are_told_while_data_flows),
		TEST(it_is_told_which_path_and_tunnel_are_congested),
		TEST(a_tunnel_is_congested_when_all_paths_are),
		TEST(a_gate_that_waits_all_the_time_is_congested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
