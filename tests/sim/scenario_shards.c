/* SPDX-License-Identifier: MIT */
/*
 * scenario_shards.c - tunnels whose payloads go out as shards: what any links lose is rebuilt from what
 * the others carry, at the cost of n/k datagrams a payload, and without delay for what is not lost.
 *
 *   a.eth0 --- 10 ms --- internet --- 10 ms --- b.eth0        one way, each with its own losses
 *   a.eth1 ---/                   \--- b.eth1
 */
#include "sim/world.h"

#define ONE_WAY MS(20)

static struct tunnel_options shards(u32 n, u32 k, u64 max_delay)
{
	return (struct tunnel_options){
		.name = "data", .num_shards = n, .required_shards = k, .max_delay = max_delay
	};
}

/* a and b with so many links, b perhaps not configured alike. */
static void begin_between(struct world *w, const char *name, u32 links_a, u32 links_b,
			  const struct tunnel_options *options)
{
	const struct tunnel_options plain = { .name = "data", .ordered = options->ordered };

	world_pair(w, name, links_a, links_b);
	w->a->tunnel_count = w->b->tunnel_count = 0;
	sim_tunnel(w->a, options);
	sim_tunnel(w->b, &plain);
	world_start(w, SECONDS(2));
	sim_check(w->sim, world_await_live(w->a, 0, links_a * links_b, SECONDS(1)));
	sim_check(w->sim, world_await_live(w->b, 0, links_a * links_b, SECONDS(1)));
}

static void begin(struct world *w, const char *name, u32 links,
		  const struct tunnel_options *options)
{
	begin_between(w, name, links, links, options);
}

static struct tunnel_view tunnel_at(const struct sim_host *h)
{
	struct tunnel_view v;

	sim_check(h->sim, engine_view_tunnel(h->engine, 0, &v));
	return v;
}

/* Datagrams a payload, in thousandths. */
static u64 overhead(const struct world *w)
{
	const struct tunnel_view v = tunnel_at(w->a);

	return v.copies_sent * 1000 / v.sent;
}

/* Payloads that did not come by themselves at all. */
static u64 repaired(const struct world *w)
{
	const struct tunnel_view v = tunnel_at(w->b);

	return v.shards.rebuilt - v.shards.early;
}

static void set_loss(struct world *w, u32 links, double loss)
{
	for (u32 i = 0; i < links; i++)
		w->a->iface[i].out.loss = loss;
}

/* Lets the flow end, and all parity after it. */
static void finish(struct world *w, struct sim_flow *f, u64 duration)
{
	sim_run(w->sim, duration);
	f->stopped = true;
	sim_run(w->sim, SECONDS(3));
	sim_compare(w->sim, f->accepted, ==, f->offered);
}

static void without_loss_nothing_is_delayed(void **state)
{
	const struct tunnel_options options = shards(5, 3, MS(20));
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, &options);
	f = sim_flow(w.a, 0, MS(1), 1200, 0);
	finish(&w, f, SECONDS(10));
	sim_compare(w.sim, world_lost(f, w.b), ==, 0);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, ==, ONE_WAY);
	sim_compare(w.sim, sim_sink(f, w.b)->out_of_order, ==, 0);
	sim_compare(w.sim, repaired(&w), ==, 0);
	sim_compare(w.sim, overhead(&w), >=, 1660);
	sim_compare(w.sim, overhead(&w), <=, 1680);
	world_end(&w);
}

/* 0.05 * P(2 or more of the 4 others are lost) = 0.0007 of the payloads. */
static void what_5_percent_loss_leaves(void **state)
{
	const struct tunnel_options options = shards(5, 3, MS(20));
	const u64 count = world_scale(100000);
	struct tunnel_view b;
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, &options);
	set_loss(&w, 2, 0.05);
	f = sim_flow(w.a, 0, MS(1), 1200, 0);
	finish(&w, f, count * NS_PER_MS);
	b = tunnel_at(w.b);
	sim_compare(w.sim, world_lost(f, w.b) * 1000, <, 2 * count);
	sim_compare(w.sim, world_lost(f, w.b), ==, b.lost);
	sim_compare(w.sim, repaired(&w), >=, count * 4 / 100);
	sim_compare(w.sim, repaired(&w), <=, count * 6 / 100);
	sim_compare(w.sim, overhead(&w), >=, 1660);
	sim_compare(w.sim, overhead(&w), <=, 1690);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, ONE_WAY + MS(20));
	world_end(&w);
}

/* Each link in turn is silent for 200 ms, again and again. */
static u64 lost_in_bursts(struct world *w, u32 links, u64 interval)
{
	struct sim_flow *f = sim_flow(w->a, 0, interval, 1000, 0);

	sim_run(w->sim, SECONDS(2));
	for (u32 n = 0; n < 24; n++) {
		struct sim_iface *i = &w->a->iface[n % links];

		i->out.down = i->in.down = true;
		sim_run(w->sim, MS(200));
		i->out.down = i->in.down = false;
		sim_run(w->sim, MS(700) + sim_rng_below(&w->sim->rng, MS(100)));
	}
	finish(w, f, SECONDS(1));
	return world_lost(f, w->b);
}

/* One of two links carries 3 of 5 shards, one more than may be lost. So blocks are filled in turn, and
 * each takes longer than a burst. */
static void a_burst_shorter_than_max_delay_on_one_of_two_links_costs_nothing(void **state)
{
	static const u64 intervals[] = { MS(1) / 2, MS(1), MS(5), MS(20) };
	const struct tunnel_options options = shards(5, 3, MS(300));

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(intervals); n++) {
		struct world w;

		begin(&w, __func__, 2, &options);
		sim_compare(w.sim, lost_in_bursts(&w, 2, intervals[n]), ==, 0);
		/* What a link that seems dead has not shown to have carried is sent again: half of all, for
		 * a third of a second each time. At low rates that comes before parity. */
		sim_compare(w.sim, overhead(&w), <=, 1690 + 1690 / 2 * 350 / 750);
		sim_compare(w.sim, repaired(&w), >=, intervals[n] > MS(1) / 2 ? 0 : 24);
		world_end(&w);
	}
}

/* Where there are links enough no block has more on one of them than may be lost, and bursts of any
 * length cost nothing, with little delay. */
static void a_burst_on_one_of_enough_links_costs_nothing(void **state)
{
	static const struct {
		u32 links, n, k;
	} cases[] = { { 2, 2, 1 }, { 2, 4, 2 }, { 3, 5, 3 }, { 3, 3, 2 }, { 4, 8, 6 } };

	(void)state;
	for (u32 c = 0; c < ARRAY_SIZE(cases); c++) {
		const struct tunnel_options options = shards(cases[c].n, cases[c].k, MS(20));
		struct world w;

		begin(&w, __func__, cases[c].links, &options);
		sim_compare(w.sim, lost_in_bursts(&w, cases[c].links, MS(1)), ==, 0);
		world_end(&w);
	}
}

/* A link that has died loses what it has of the blocks until it is found out, then it is not used. */
static void a_dead_link_is_left(void **state)
{
	const struct tunnel_options options = shards(5, 3, MS(20));
	struct sim_flow *before, *after;
	struct world w;
	u64 carried;

	(void)state;
	begin(&w, __func__, 2, &options);
	before = sim_flow(w.a, 0, MS(1), 1000, 0);
	sim_run(w.sim, SECONDS(2));
	w.a->iface[0].out.down = w.a->iface[0].in.down = true;
	sim_run(w.sim, MS(400));
	before->stopped = true;
	carried = w.a->iface[0].out.bytes;
	after = sim_flow(w.a, 0, MS(1), 1000, 0);
	finish(&w, after, SECONDS(3));
	sim_compare(w.sim, world_lost(after, w.b), ==, 0);
	sim_compare(w.sim, w.a->iface[0].out.bytes - carried, <, 100000);
	/* A third of every second block, for 300 ms. */
	sim_compare(w.sim, world_lost(before, w.b), <=, 75);
	world_end(&w);
}

/* Bytes that left over the second link within ms milliseconds. */
static u64 carried(struct world *w, u64 ms)
{
	const u64 before = w->a->iface[1].out.bytes;

	sim_run(w->sim, MS(ms));
	return w->a->iface[1].out.bytes - before;
}

/* One that loses half or is late by half a second is no better than a dead one, and is taken back as
 * soon as it has recovered. */
static void a_link_of_no_use_is_left_and_taken_back(void **state)
{
	static const struct {
		double loss;
		u64 delay;
	} cases[] = { { 0.5, 0 }, { 0, MS(500) } };
	const struct tunnel_options options = shards(5, 3, MS(20));

	(void)state;
	for (u32 c = 0; c < ARRAY_SIZE(cases); c++) {
		u64 failing = 0, mended = 0;
		struct sim_iface *i;
		struct world w;

		begin(&w, __func__, 2, &options);
		sim_flow(w.a, 0, MS(1), 1000, 0);
		sim_run(w.sim, SECONDS(2));
		i = &w.a->iface[1];
		for (u32 n = 0; n < 10; n++) {
			i->out.loss = i->in.loss = cases[c].loss;
			i->out.delay = i->in.delay = MS(10) + cases[c].delay;
			sim_run(w.sim, MS(400));
			failing += carried(&w, 600);
			i->out.loss = i->in.loss = 0;
			i->out.delay = i->in.delay = MS(10);
			sim_run(w.sim, MS(600));
			mended += carried(&w, 600);
		}
		/* Of 5,000,000 that it has if nothing fails. */
		sim_compare(w.sim, failing, <, 1500000);
		sim_compare(w.sim, mended, >, 4000000);
		world_end(&w);
	}
}

/* How long (ms) the second link carries more than probes, within the next second; 10 ms at a time. */
static u64 left_after(struct world *w)
{
	u64 last = 0;

	for (u64 at = 10; at <= 1000; at += 10) {
		if (carried(w, 10) > 3000)
			last = at;
	}
	return last;
}

/* What is asked about it, and what is answered, is lost as well: the answers come over the other link. When
 * both ends have two links, another path leads over the one that fails: it is left with the first. */
static void a_link_that_loses_half_both_ways_is_left_in_300_ms(void **state)
{
	static const struct {
		u32 links_b, late; /* chance has a say in what is lost first */
	} cases[] = { { 1, 1 }, { 2, 6 } };
	const struct tunnel_options options = shards(5, 3, MS(20));

	(void)state;
	for (u32 c = 0; c < ARRAY_SIZE(cases); c++) {
		u32 late = 0;
		struct world w;

		begin_between(&w, __func__, 2, cases[c].links_b, &options);
		sim_flow(w.a, 0, MS(1), 1000, 0);
		for (u32 n = 0; n < 40; n++) {
			struct sim_iface *i = &w.a->iface[1];

			sim_run(w.sim, MS(1500 + 7 * n)); /* some time between two probes */
			i->out.loss = i->in.loss = 0.5;
			late += left_after(&w) > 300;
			i->out.loss = i->in.loss = 0;
		}
		sim_compare(w.sim, late, <=, cases[c].late);
		world_end(&w);
	}
}

/* That is what parity is for. */
static void a_link_that_loses_a_sixth_is_kept(void **state)
{
	const struct tunnel_options options = shards(5, 3, MS(20));
	struct world w;
	u64 usual;

	(void)state;
	begin(&w, __func__, 2, &options);
	sim_flow(w.a, 0, MS(1), 1000, 0);
	sim_run(w.sim, SECONDS(2));
	usual = carried(&w, 20000);
	w.a->iface[1].out.loss = w.a->iface[1].in.loss = 1.0 / 6;
	sim_compare(w.sim, carried(&w, 20000), >, usual / 6 * 5 / 100 * 98); /* what is not lost */
	world_end(&w);
}

/* Too few payloads for whole blocks: parity comes after max_delay, as much as ever. */
static void a_slow_flow_is_protected_in_time(void **state)
{
	const struct tunnel_options options = shards(5, 3, MS(20));
	const u64 count = world_scale(4000);
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, &options);
	set_loss(&w, 2, 0.1);
	f = sim_flow(w.a, 0, MS(50), 300, 0);
	finish(&w, f, count * MS(50));
	/* All of 3 are lost: 0.1 %. */
	sim_compare(w.sim, world_lost(f, w.b), <=, count / 250 + 4);
	sim_compare(w.sim, overhead(&w), ==, 3000);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, ONE_WAY + MS(20));
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, >=, ONE_WAY + MS(20));
	world_end(&w);
}

static void payloads_of_all_sizes_are_rebuilt(void **state)
{
	const struct tunnel_options options = shards(6, 4, MS(20));
	const u64 count = world_scale(10000);
	struct sim_flow *small, *middle, *large;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, &options);
	set_loss(&w, 2, 0.03);
	small = sim_flow(w.a, 0, MS(3), 40, count);
	middle = sim_flow(w.a, 0, MS(7), 1370, count * 3 / 7);
	large = sim_flow(w.a, 0, MS(50), 20000, count * 3 / 50);
	sim_run(w.sim, count * MS(3) + SECONDS(3));
	sim_compare(w.sim, world_lost(small, w.b), <=, count / 500 + 10);
	sim_compare(w.sim, world_lost(middle, w.b), <=, count / 1000 + 10);
	/* Of 15 fragments: 35 % of the payloads would be lost without shards. */
	sim_compare(w.sim, world_lost(large, w.b), <=, count * 3 / 50 / 20 + 5);
	sim_compare(w.sim, tunnel_at(w.b).drops.count[DROP_BAD_FRAME], ==, 0);
	world_end(&w);
}

/* Ordered tunnels wait for what may be rebuilt. */
static void ordered_tunnels_wait_for_what_is_rebuilt(void **state)
{
	struct tunnel_options options = shards(5, 3, MS(20));
	const u64 count = world_scale(50000);
	struct sim_flow *f;
	struct world w;

	(void)state;
	options.ordered = true;
	begin(&w, __func__, 2, &options);
	sim_flow(w.a, 0, MS(10), 200, 1000);
	sim_run(w.sim, SECONDS(11)); /* until the round trips are known well */
	set_loss(&w, 2, 0.05);
	f = sim_flow(w.a, 0, MS(1), 1000, 0);
	finish(&w, f, count * NS_PER_MS);
	sim_compare(w.sim, sim_sink(f, w.b)->out_of_order, ==, 0);
	sim_compare(w.sim, world_lost(f, w.b) * 1000, <, 2 * count);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, ONE_WAY + MS(20) + MS(10));
	world_end(&w);
}

/* Parity over the fast link rebuilds before the slow one delivers; nothing comes twice (sinks check
 * that) when it does. */
static void what_the_slow_link_brings_later_is_not_taken_twice(void **state)
{
	const struct tunnel_options options = shards(4, 2, MS(20));
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, &options);
	w.a->iface[1].out.delay += MS(150);
	f = sim_flow(w.a, 0, MS(1) / 10, 500, 0);
	finish(&w, f, SECONDS(5));
	sim_compare(w.sim, world_lost(f, w.b), ==, 0);
	sim_compare(w.sim, tunnel_at(w.b).shards.rebuilt, >=, 10000);
	world_end(&w);
}

/* The sender's process ends and comes again: its numbers begin somewhere else. */
static void a_sender_that_restarts_is_followed(void **state)
{
	const struct tunnel_options options = shards(5, 3, MS(20));
	struct world w;

	(void)state;
	begin(&w, __func__, 2, &options);
	for (u32 n = 0; n < 5; n++) {
		struct sim_flow *f = sim_flow(w.a, 0, MS(1), 200, 0);

		set_loss(&w, 2, 0.05);
		finish(&w, f, SECONDS(1));
		sim_compare(w.sim, world_lost(f, w.b), <=, 10);
		set_loss(&w, 2, 0);
		sim_kill(w.a);
		sim_run(w.sim, MS(200));
		sim_start(w.a);
		sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(5)));
	}
	world_end(&w);
}

/* Links come and go, delays, sizes and rates change all the time: nothing twice, nothing damaged, and all
 * buffers come back. */
static void no_network_brings_anything_twice(void **state)
{
	struct tunnel_options options = shards(5, 3, MS(50));
	struct sim_flow *there, *back, *large;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	w.a->tunnel_count = w.b->tunnel_count = 0;
	sim_tunnel(w.a, &options);
	options = shards(9, 7, MS(5));
	options.ordered = true;
	sim_tunnel(w.b, &options);
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, MS(1), 200, 0);
	large = sim_flow(w.a, 0, MS(9), 5000, 0);
	back = sim_flow(w.b, 0, MS(2), 3000, 0);
	for (u64 n = 0; n < world_scale(600); n++) {
		struct sim_iface *i = &w.a->iface[sim_rng_below(&w.sim->rng, 2)];
		struct sim_link *l = &i->out;

		l->down = sim_rng_chance(&w.sim->rng, 0.2);
		l->delay = MS(sim_rng_below(&w.sim->rng, 200));
		l->loss = 0.3 * sim_rng_chance(&w.sim->rng, 0.5);
		l->reorder = 0.1;
		l->reorder_delay = MS(sim_rng_below(&w.sim->rng, 100));
		l->duplicate = 0.05;
		l->mtu = sim_rng_chance(&w.sim->rng, 0.5) ? 1300 : 1500;
		i->in = i->out;
		sim_run(w.sim, MS(sim_rng_below(&w.sim->rng, 100)));
	}
	sim_compare(w.sim, sim_sink(back, w.a)->received, >, 0);
	sim_compare(w.sim, sim_sink(large, w.b)->received, >, 0);
	sim_compare(w.sim, sim_received(there, w.b), >, 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_loss_nothing_is_delayed),
		cmocka_unit_test(what_5_percent_loss_leaves),
		cmocka_unit_test(a_burst_shorter_than_max_delay_on_one_of_two_links_costs_nothing),
		cmocka_unit_test(a_burst_on_one_of_enough_links_costs_nothing),
		cmocka_unit_test(a_dead_link_is_left),
		cmocka_unit_test(a_link_of_no_use_is_left_and_taken_back),
		cmocka_unit_test(a_link_that_loses_half_both_ways_is_left_in_300_ms),
		cmocka_unit_test(a_link_that_loses_a_sixth_is_kept),
		cmocka_unit_test(a_slow_flow_is_protected_in_time),
		cmocka_unit_test(payloads_of_all_sizes_are_rebuilt),
		cmocka_unit_test(ordered_tunnels_wait_for_what_is_rebuilt),
		cmocka_unit_test(what_the_slow_link_brings_later_is_not_taken_twice),
		cmocka_unit_test(a_sender_that_restarts_is_followed),
		cmocka_unit_test(no_network_brings_anything_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
