/* SPDX-License-Identifier: MIT */
/*
 * scenario_deadline.c - send_deadline from one end to the other: what stood in queues on the way for
 * longer is not delivered, whatever a payload looks like on the wire; a long way is no delay.
 *
 *   a.eth0 --- 10 ms --- b.eth0        of a.eth1 nothing leads anywhere where it is not told
 *   a.eth1 --- 10 ms ---/
 */
#include "sim/world.h"

#define DEADLINE MS(50)
#define WAY MS(20)
#define RATE 125000u /* bytes a second */

static void begin(struct world *w, const char *name, struct tunnel_options *options, u32 ifaces)
{
	world_pair(w, name, ifaces, 1);
	w->a->tunnel_count = w->b->tunnel_count = 0;
	options->send_deadline = DEADLINE;
	sim_tunnel(w->a, options);
	sim_tunnel(w->b, options);
	world_start(w, SECONDS(2));
	sim_check(w->sim, world_await_live(w->a, 0, ifaces, SECONDS(1)));
	sim_check(w->sim, world_await_live(w->b, 0, ifaces, SECONDS(1)));
	sim_run(w->sim, SECONDS(5)); /* MTU */
}

static u64 drops(struct sim_host *h, enum drop_reason reason)
{
	struct tunnel_view v;

	sim_check(h->sim, engine_view_tunnel(h->engine, 0, &v));
	return v.drops.count[reason];
}

/* A router with much room in its queue stands before a slow link. */
static void narrow(struct sim_iface *i)
{
	i->out.rate = RATE;
	i->out.queue = RATE * 2;
}

static void a_long_way_is_no_delay(void **state)
{
	struct tunnel_options options = { .name = "far" };
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, &options, 1);
	w.a->iface[0].out.delay = w.a->iface[0].in.delay = MS(300);
	sim_run(w.sim, SECONDS(40)); /* the shorter way is forgotten */
	f = sim_flow(w.a, 0, MS(2), 500, 1000);
	sim_run(w.sim, SECONDS(4));
	sim_compare(w.sim, sim_received(f, w.b), ==, 1000);
	sim_compare(w.sim, drops(w.b, DROP_EXPIRED), ==, 0);
	world_end(&w);
}

/* Now and then twice as much as the link takes: the first of it is in time. */
static void check_queue(const char *name, struct tunnel_options *options, u32 size, u64 slack)
{
	struct sim_flow *f;
	struct world w;

	begin(&w, name, options, 1);
	narrow(&w.a->iface[0]);
	f = sim_flow(w.a, 0, size * NS_PER_S / (2 * RATE), size, 0);
	for (u32 n = 0; n < 20; n++) {
		f->paused = false;
		sim_run(w.sim, MS(150));
		f->paused = true;
		sim_run(w.sim, MS(400));
	}
	sim_compare(w.sim, sim_received(f, w.b), >, f->accepted / 12);
	sim_compare(w.sim, drops(w.b, DROP_EXPIRED), >, 0);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, DEADLINE + WAY + slack);
	world_end(&w);
}

static void what_stood_in_a_queue_on_the_way_is_not_delivered(void **state)
{
	struct tunnel_options options = { .name = "queue" };

	(void)state;
	check_queue(__func__, &options, 1000, MS(1));
}

static void nor_are_fragments_that_did(void **state)
{
	struct tunnel_options options = { .name = "queue" };

	(void)state;
	check_queue(__func__, &options, 4000, MS(1));
}

static void nor_shards(void **state)
{
	struct tunnel_options options = {
		.name = "queue", .num_shards = 5, .required_shards = 4, .max_delay = MS(10)
	};

	(void)state;
	check_queue(__func__, &options, 1000, MS(1));
}

static void nor_what_waits_for_those_before_it(void **state)
{
	struct tunnel_options options = { .name = "queue", .ordered = true };

	(void)state;
	check_queue(__func__, &options, 1000, MS(1));
}

/* The slow path is late by 200 ms: who waits for what is missing, waits for that. */
static void no_payload_waits_beyond_its_deadline_for_one_before_it(void **state)
{
	struct tunnel_options options = { .name = "order", .ordered = true };
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, &options, 2);
	w.a->iface[1].out.delay = w.a->iface[1].in.delay = MS(200);
	f = sim_flow(w.a, 0, MS(10), 200, 0);
	sim_run(w.sim, SECONDS(5));
	w.a->iface[0].out.loss = 0.1;
	sim_flow_mark(f);
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, DEADLINE + WAY + MS(1));
	sim_compare(w.sim, sim_received(f, w.b), >, 800);
	world_end(&w);
}

/* What comes over the path that is left is late by the measure of the one that died, which is therefore
 * none any more. */
static void when_the_fast_path_dies_the_slow_one_is_the_measure(void **state)
{
	struct tunnel_options options = { .name = "handover" };
	struct sim_flow *f;
	struct world w;
	u64 before;

	(void)state;
	begin(&w, __func__, &options, 2);
	w.a->iface[1].out.delay = w.a->iface[1].in.delay = MS(150);
	f = sim_flow(w.a, 0, MS(10), 200, 0);
	sim_run(w.sim, SECONDS(40));
	w.a->iface[0].out.down = w.a->iface[0].in.down = true;
	sim_run(w.sim, SECONDS(4));
	before = sim_received(f, w.b);
	sim_run(w.sim, SECONDS(4));
	sim_compare(w.sim, sim_received(f, w.b) - before, >=, 390);
	world_end(&w);
}

/* What is sent is what will be in time, not what is just not late yet when it leaves. */
static void twice_what_striped_links_carry_is_no_disaster(void **state)
{
	struct tunnel_options options = { .name = "stripe", .stripe = true };
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, &options, 2);
	for (u32 n = 0; n < 2; n++) {
		w.a->iface[n].out.rate = 4 * RATE;
		w.a->iface[n].out.queue = RATE;
	}
	f = sim_flow(w.a, 0, 1000 * NS_PER_S / (16 * RATE), 1000, 0);
	sim_run(w.sim, SECONDS(5));
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, DEADLINE + WAY + MS(1));
	/* Of 13,900 that the links carry. */
	sim_compare(w.sim, sim_received(f, w.b), >, 10000);
	world_end(&w);
}

/* What parity brings back is as late as the payload would be. */
static void nor_what_a_chosen_parity_brings_back(void **state)
{
	const struct tunnel_options options = { .name = "chosen",
						.target = { 1e-4, MS(80), 1.6 },
						.send_deadline = MS(10) };
	struct sim_flow *f;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	w.a->tunnel_count = w.b->tunnel_count = 0;
	sim_tunnel(w.a, &options);
	sim_tunnel(w.b, &options);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	for (u32 n = 0; n < 2; n++) {
		w.a->iface[n].out.delay = w.a->iface[n].in.delay = MS(35);
		w.a->iface[n].out.loss = 0.03;
	}
	sim_flow(w.a, 0, MS(1), 1100, 40000);
	sim_run(w.sim, SECONDS(50)); /* the shorter way is forgotten */
	f = sim_flow(w.a, 0, MS(1), 1100, 0);
	sim_run(w.sim, SECONDS(10));
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, MS(35) + WAY / 2 + MS(10) + MS(1));
	sim_compare(w.sim, world_lost(f, w.b) * 50, <, f->accepted);
	world_end(&w);
}

/* How many of 10,000 payloads, of which 1 % are lost on the way, do not come. */
static u64 missing(u64 deadline, u64 way)
{
	const struct tunnel_options options = {
		.name = "stripes", .stripe = true, .ordered = true, .send_deadline = deadline
	};
	struct sim_flow *f;
	struct world w;
	u64 ret;

	world_pair(&w, __func__, 1, 1);
	w.a->tunnel_count = w.b->tunnel_count = 0;
	sim_tunnel(w.a, &options);
	sim_tunnel(w.b, &options);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 1, SECONDS(1)));
	w.a->iface[0].out.delay = w.a->iface[0].in.delay = way;
	sim_run(w.sim, SECONDS(3));
	f = sim_flow(w.a, 0, MS(2), 1000, 0);
	sim_run(w.sim, SECONDS(5));
	w.a->iface[0].out.loss = 0.01;
	sim_run(w.sim, SECONDS(20));
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	ret = world_lost(f, w.b);
	world_end(&w);
	return ret;
}

/* What is sent again comes too late here; who waits for it behind it goes on in time. */
static void a_stripe_that_is_lost_takes_no_others_with_it(void **state)
{
	(void)state;
	for (u64 deadline = MS(20); deadline <= MS(100); deadline += MS(40)) {
		assert_in_range(missing(deadline, MS(10)), 0, 200);
		assert_in_range(missing(deadline, MS(40)), 0, 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_long_way_is_no_delay),
		cmocka_unit_test(what_stood_in_a_queue_on_the_way_is_not_delivered),
		cmocka_unit_test(nor_are_fragments_that_did),
		cmocka_unit_test(nor_shards),
		cmocka_unit_test(nor_what_waits_for_those_before_it),
		cmocka_unit_test(no_payload_waits_beyond_its_deadline_for_one_before_it),
		cmocka_unit_test(when_the_fast_path_dies_the_slow_one_is_the_measure),
		cmocka_unit_test(twice_what_striped_links_carry_is_no_disaster),
		cmocka_unit_test(nor_what_a_chosen_parity_brings_back),
		cmocka_unit_test(a_stripe_that_is_lost_takes_no_others_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
