/* SPDX-License-Identifier: MIT */
/*
 * scenario_auto.c - tunnels with a target: over six histories of two links it is met, for less than
 * copies on both links cost.
 *
 *   a.eth0 --- 10 ms --- internet --- 10 ms --- b.eth0        one way, each with its own history
 *   a.eth1 ---/
 *
 * What a history costs is every byte that either end puts on its links: payloads, what is sent again,
 * probes, and reports of what has come.
 */
#include <stdlib.h>

#include "sim/world.h"

#define TICK MS(100)
#define SIZE 1100u

struct cost {
	u64 bytes;
};

/* What the links are like after so much of the history (0..1). */
typedef void history(struct world *w, double at);

static const struct plan_target target = { 1e-4, MS(80), 1.6 };

static struct tunnel_options automatic(void)
{
	return (struct tunnel_options){ .name = "data", .target = target };
}

static struct tunnel_options replicate(void)
{
	return (struct tunnel_options){ .name = "data" };
}

static void count_bytes(struct sim_iface *from, const struct sim_packet *p, void *ctx)
{
	struct cost *cost = ctx;

	(void)from;
	cost->bytes += p->size + 28;
}

static void begin(struct world *w, const char *name, const struct tunnel_options *options,
		  struct cost *cost)
{
	const struct tunnel_options plain = { .name = "data", .ordered = options->ordered };

	world_pair(w, name, 2, 1);
	w->a->tunnel_count = w->b->tunnel_count = 0;
	sim_tunnel(w->a, options);
	sim_tunnel(w->b, &plain);
	world_start(w, SECONDS(2));
	sim_check(w->sim, world_await_live(w->a, 0, 2, SECONDS(1)));
	*cost = (struct cost){ 0 };
	w->sim->tap = count_bytes;
	w->sim->tap_ctx = cost;
}

static struct plan_view plan_of(const struct world *w)
{
	struct plan_view v;

	sim_check(w->sim, engine_view_plan(w->a->engine, 0, 0, &v));
	return v;
}

/* --- histories ------------------------------------------------------------------------------- */

static struct sim_iface *link(struct world *w, u32 n)
{
	return &w->a->iface[n];
}

static void good(struct world *w, double at)
{
	(void)w;
	(void)at;
}

static void lossy(struct world *w, double at)
{
	(void)at;
	link(w, 0)->out.loss = link(w, 0)->in.loss = 0.03;
	link(w, 1)->out.loss = link(w, 1)->in.loss = 0.05;
}

static void bursty(struct world *w, double at)
{
	(void)at;
	for (u32 n = 0; n < 2; n++) {
		link(w, n)->out.burst_enter = link(w, n)->in.burst_enter = 0.006;
		link(w, n)->out.burst_leave = link(w, n)->in.burst_leave = 0.2;
	}
}

/* From nothing to 40 % and back, three times; the other link loses 0.5 %. */
static void fading(struct world *w, double at)
{
	const double phase = at * 3 - (double)(u32)(at * 3);
	const double loss = 0.8 * (phase < 0.5 ? phase : 1 - phase);

	link(w, 0)->out.loss = link(w, 0)->in.loss = loss;
	link(w, 1)->out.loss = link(w, 1)->in.loss = 0.005;
}

static void one_dies(struct world *w, double at)
{
	link(w, 0)->out.down = link(w, 0)->in.down = at > 0.6;
}

/* One link carries less than the flow for half of the time, and makes it wait. */
static void congested(struct world *w, double at)
{
	const bool crowded = at > 0.25 && at < 0.75;

	link(w, 0)->out.rate = crowded ? 900000 : 0;
	link(w, 0)->out.queue = 128 * 1024;
}

/* --- and what comes of them ------------------------------------------------------------------ */

struct outcome {
	u64 payloads, missed; /* lost, or late */
	double overhead;      /* bytes on the wire for one of payload */
};

static struct outcome play(const char *name, history *play_at, const struct tunnel_options *options,
			   u64 duration)
{
	struct outcome o;
	struct sim_flow *f;
	struct cost cost;
	struct world w;

	begin(&w, name, options, &cost);
	f = sim_flow(w.a, 0, MS(1), SIZE, 0);
	f->within = target.within;
	for (u64 t = 0; t < duration; t += TICK) {
		play_at(&w, (double)t / (double)duration);
		sim_run(w.sim, TICK);
	}
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	o.payloads = f->accepted;
	o.missed = world_lost(f, w.b) + sim_sink(f, w.b)->late;
	o.overhead = (double)cost.bytes / (double)(f->accepted * SIZE);
	if (options->target.within && getenv("SIM_TRACE_PLANS")) {
		const struct plan_view v = plan_of(&w);

		print_message(
			"%s: %s/%s first %llx again %llx x%u, %u/%u: %g predicted; again %llu saved "
			"%llu needless %llu lost %llu, %llu changes\n",
			name, plan_kind_name(v.plan.kind), plan_why_name(v.plan.why),
			(unsigned long long)v.first, (unsigned long long)v.again, v.plan.times,
			v.plan.shards, v.plan.required, v.plan.residual,
			(unsigned long long)v.repair.again, (unsigned long long)v.repair.saved,
			(unsigned long long)v.repair.needless, (unsigned long long)v.repair.lost,
			(unsigned long long)v.changes);
	}
	world_end(&w);
	return o;
}

static void check_history(const char *name, history *h)
{
	const struct tunnel_options chosen = automatic(), copies = replicate();
	const u64 duration = SECONDS(world_scale(30));
	const struct outcome is = play(name, h, &chosen, duration);
	const struct outcome other = play(name, h, &copies, duration);

	print_message("%s: missed %llu of %llu at %.3f; replicate missed %llu at %.3f\n", name,
		      (unsigned long long)is.missed, (unsigned long long)is.payloads, is.overhead,
		      (unsigned long long)other.missed, other.overhead);
	assert_true(is.missed <= (u64)(target.residual_loss * (double)is.payloads) + 1);
	assert_true(is.overhead < other.overhead);
}

static void good_links(void **state)
{
	(void)state;
	check_history(__func__, good);
}

static void lossy_links(void **state)
{
	(void)state;
	check_history(__func__, lossy);
}

static void bursty_links(void **state)
{
	(void)state;
	check_history(__func__, bursty);
}

static void a_fading_link(void **state)
{
	(void)state;
	check_history(__func__, fading);
}

static void one_link_dies(void **state)
{
	(void)state;
	check_history(__func__, one_dies);
}

static void a_congested_link(void **state)
{
	(void)state;
	check_history(__func__, congested);
}

/* The other end, which delivers in order, waits for what is sent again. */
static void ordered_tunnels_wait_for_what_is_sent_again(void **state)
{
	struct tunnel_options options = automatic();
	struct sim_flow *f;
	struct cost cost;
	struct world w;

	(void)state;
	options.ordered = true;
	begin(&w, __func__, &options, &cost);
	lossy(&w, 0);
	f = sim_flow(w.a, 0, MS(1), SIZE, 0);
	sim_run(w.sim, SECONDS(10));
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, sim_sink(f, w.b)->out_of_order, ==, 0);
	sim_compare(w.sim, world_lost(f, w.b), <=, 2);
	sim_compare(w.sim, plan_of(&w).repair.saved, >, 100);
	world_end(&w);
}

/* Round trips are too long for a repair in time: shards do it, while they can. */
static void far_away_there_are_shards(void **state)
{
	const struct tunnel_options options = automatic();
	struct plan_view v;
	struct sim_flow *f;
	struct cost cost;
	struct world w;

	(void)state;
	begin(&w, __func__, &options, &cost);
	for (u32 n = 0; n < 2; n++) {
		w.a->iface[n].out.delay = w.a->iface[n].in.delay = MS(35);
		w.a->iface[n].out.loss = 0.03;
	}
	f = sim_flow(w.a, 0, MS(1), SIZE, 0);
	sim_run(w.sim, SECONDS(10));
	v = plan_of(&w);
	sim_compare(w.sim, v.plan.kind, ==, PLAN_SHARDS);
	f->stopped = true;
	f = sim_flow(w.a, 0, MS(1), SIZE, 0);
	f->within = target.within;
	cost.bytes = 0;
	sim_run(w.sim, SECONDS(world_scale(30)));
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	print_message("%u of %u over %llx: missed %llu of %llu at %.3f\n", v.plan.required,
		      v.plan.shards, (unsigned long long)v.first,
		      (unsigned long long)(world_lost(f, w.b) + sim_sink(f, w.b)->late),
		      (unsigned long long)f->accepted,
		      (double)cost.bytes / (double)(f->accepted * SIZE));
	sim_compare(w.sim, world_lost(f, w.b) + sim_sink(f, w.b)->late, <=, f->accepted / 5000);
	assert_true((double)cost.bytes / (double)(f->accepted * SIZE) < 1.8);
	world_end(&w);
}

/* Behind one queue two links are one, and there is nothing to send again over. */
static void links_behind_one_bottleneck_count_once(void **state)
{
	const struct tunnel_options options = automatic();
	struct path_view first, second;
	struct sim_flow *f;
	struct cost cost;
	struct world w;

	(void)state;
	begin(&w, __func__, &options, &cost);
	f = sim_flow(w.a, 0, MS(2), SIZE, 0);
	sim_run(w.sim, SECONDS(3));
	sim_compare(w.sim, plan_of(&w).links, ==, 2);
	for (u32 n = 0; n < 60; n++) {
		w.b->iface[0].in.delay = MS(10) + sim_rng_below(&w.sim->rng, MS(30));
		sim_run(w.sim, MS(300));
	}
	sim_compare(w.sim, plan_of(&w).links, ==, 1);
	sim_check(w.sim, sim_find_path(w.a, 0, link(&w, 0), NULL, &first));
	sim_check(w.sim, sim_find_path(w.a, 0, link(&w, 1), NULL, &second));
	sim_compare(w.sim, first.fate, ==, second.fate);
	w.b->iface[0].in.delay = MS(10);
	for (u32 n = 0; n < 100; n++) { /* each by itself */
		for (u32 i = 0; i < 2; i++)
			link(&w, i)->out.delay = MS(10) + sim_rng_below(&w.sim->rng, MS(20));
		sim_run(w.sim, MS(300));
	}
	sim_compare(w.sim, plan_of(&w).links, ==, 2);
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, sim_sink(f, w.b)->received, >, f->accepted * 99 / 100);
	world_end(&w);
}

/* A REPORT of what has come in a tunnel, with few bits: nothing else has this size. */
#define REPORT_SIZE (WIRE_OVERHEAD + 3 + 8 + 8)

static bool swallows_reports(const struct sim_packet *p, void *ctx)
{
	(void)ctx;
	return p->size < REPORT_SIZE || p->size >= REPORT_SIZE + 8;
}

/* An end of another version does not know what it is asked. */
static void without_reports_nothing_is_relied_upon_that_needs_them(void **state)
{
	const struct tunnel_options options = automatic();
	struct plan_view v;
	struct sim_flow *f;
	struct cost cost;
	struct world w;

	(void)state;
	begin(&w, __func__, &options, &cost);
	w.sim->carries = swallows_reports;
	lossy(&w, 0);
	f = sim_flow(w.a, 0, MS(1), SIZE, 0);
	sim_run(w.sim, SECONDS(20));
	v = plan_of(&w);
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	assert_false(v.reports);
	sim_compare(w.sim, v.plan.kind, !=, PLAN_REPAIR);
	sim_compare(w.sim, v.repair.kept, ==, 0);
	sim_compare(w.sim, world_lost(f, w.b), <=, f->accepted / 500);
	world_end(&w);
}

/* One link that loses a third, and no other: that is told. */
static void a_target_that_cannot_be_met_is_told(void **state)
{
	const struct tunnel_options options = automatic();
	struct plan_view v;
	struct sim_flow *f;
	struct cost cost;
	struct world w;

	(void)state;
	begin(&w, __func__, &options, &cost);
	for (u32 n = 0; n < 2; n++)
		link(&w, n)->out.loss = 0.35;
	f = sim_flow(w.a, 0, MS(20), SIZE, 0);
	sim_run(w.sim, SECONDS(30));
	v = plan_of(&w);
	assert_false(v.plan.met);
	assert_true(v.plan.why == PLAN_OVERHEAD || v.plan.why == PLAN_BEST);
	assert_true(v.plan.overhead <= target.max_overhead);
	sim_compare(w.sim, w.a->notices[NOTICE_TARGET], ==, 1);
	for (u32 n = 0; n < 2; n++)
		link(&w, n)->out.loss = 0;
	sim_run(w.sim, SECONDS(120));
	sim_compare(w.sim, w.a->notices[NOTICE_TARGET], ==, 2);
	f->stopped = true;
	world_end(&w);
}

/* Blocks that are open then have been planned for paths that are gone. */
static void an_interface_goes_while_blocks_are_open(void **state)
{
	const struct tunnel_options options = automatic();
	struct sim_flow *f;
	struct cost cost;
	struct world w;

	(void)state;
	begin(&w, __func__, &options, &cost);
	for (u32 n = 0; n < 2; n++) {
		link(&w, n)->out.delay = link(&w, n)->in.delay = MS(35);
		link(&w, n)->out.loss = 0.03;
	}
	f = sim_flow(w.a, 0, MS(1), SIZE, 0);
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, plan_of(&w).plan.kind, ==, PLAN_SHARDS);
	for (u32 n = 0; n < 2; n++) {
		f->stopped = true;
		sim_run(w.sim, SECONDS(1));
		f = sim_flow(w.a, 0, MS(1), SIZE, 2);
		sim_run(w.sim, MS(2));
		sim_iface_remove(link(&w, n));
		sim_run(w.sim, MS(50));
		sim_iface_add(link(&w, n));
		sim_run(w.sim, SECONDS(3));
	}
	world_end(&w);
}

/* Its sequences begin anew, wherever that is: what the other end tells is of these, from the first on. */
static void a_sender_that_is_restarted_hears_of_what_comes(void **state)
{
	const struct tunnel_options options = automatic();

	(void)state;
	for (u32 round = 0; round < 4; round++) {
		struct sim_flow *f;
		struct cost cost;
		struct world w;

		begin(&w, __func__, &options, &cost);
		sim_rng_seed(&w.sim->rng, w.sim->seed + round);
		link(&w, 0)->out.loss = link(&w, 1)->out.loss = 0.02;
		f = sim_flow(w.a, 0, MS(2), SIZE, 0);
		sim_run(w.sim, SECONDS(5));
		f->stopped = true;
		sim_run(w.sim, MS(200));
		sim_kill(w.a);
		sim_run(w.sim, SECONDS(1));
		sim_start(w.a);
		sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(5)));
		f = sim_flow(w.a, 0, MS(2), SIZE, 0);
		sim_run(w.sim, SECONDS(20));
		f->stopped = true;
		sim_run(w.sim, SECONDS(1));
		sim_compare(w.sim, plan_of(&w).repair.reported, >, f->accepted * 9 / 10);
		sim_compare(w.sim, world_lost(f, w.b), <, 40);
		world_end(&w);
	}
}

/* What is sent again after send_deadline is dropped by the other end: then it is of no use. */
static void nothing_is_planned_that_would_be_too_late(void **state)
{
	static const u64 deadlines[] = { 0, MS(50), MS(20) };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(deadlines); n++) {
		struct tunnel_options options = automatic();
		struct sim_flow *f;
		struct cost cost;
		struct world w;

		options.send_deadline = deadlines[n];
		begin(&w, __func__, &options, &cost);
		link(&w, 0)->out.loss = link(&w, 1)->out.loss = 0.02;
		f = sim_flow(w.a, 0, MS(2), SIZE, 0);
		sim_run(w.sim, SECONDS(10));
		f->stopped = true;
		f = sim_flow(w.a, 0, MS(2), SIZE, 0);
		sim_run(w.sim, SECONDS(20));
		f->stopped = true;
		sim_run(w.sim, SECONDS(1));
		sim_compare(w.sim, plan_of(&w).plan.kind, ==, n == 2 ? PLAN_SHARDS : PLAN_REPAIR);
		sim_compare(w.sim, world_lost(f, w.b), <=, n == 2 ? 20 : 5);
		world_end(&w);
	}
}

/* Bytes that travel over a's costly link, of two that both ends have, while either end sends. */
static u64 costly_bytes(enum iface_cost cost, u32 costly, bool from_b)
{
	const struct tunnel_options plain = { .name = "data" }, options = automatic();
	struct sim_iface *i;
	struct sim_flow *f;
	struct world w;
	u64 before;

	world_pair(&w, __func__, 2, 2);
	w.a->tunnel_count = w.b->tunnel_count = 0;
	sim_tunnel(w.a, from_b ? &plain : &options);
	sim_tunnel(w.b, from_b ? &options : &plain);
	i = link(&w, costly);
	i->policy.cost = cost;
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(2)));
	sim_run(w.sim, SECONDS(3));
	link(&w, !costly)->out.loss = link(&w, !costly)->in.loss = 0.02;
	before = i->out.bytes + i->in.bytes;
	f = sim_flow(from_b ? w.b : w.a, 0, MS(2), SIZE, 0);
	sim_run(w.sim, SECONDS(10));
	f->stopped = true;
	before = i->out.bytes + i->in.bytes - before;
	world_end(&w);
	return before;
}

static void what_the_far_end_pays_counts_as_well(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2; n++) {
		for (u32 cost = COST_METERED; cost <= COST_BARRED; cost++) {
			const u64 own = costly_bytes((enum iface_cost)cost, n, false);

			assert_in_range(costly_bytes((enum iface_cost)cost, n, true), 0, 2 * own);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_links),
		cmocka_unit_test(lossy_links),
		cmocka_unit_test(bursty_links),
		cmocka_unit_test(a_fading_link),
		cmocka_unit_test(one_link_dies),
		cmocka_unit_test(a_congested_link),
		cmocka_unit_test(ordered_tunnels_wait_for_what_is_sent_again),
		cmocka_unit_test(far_away_there_are_shards),
		cmocka_unit_test(links_behind_one_bottleneck_count_once),
		cmocka_unit_test(without_reports_nothing_is_relied_upon_that_needs_them),
		cmocka_unit_test(a_target_that_cannot_be_met_is_told),
		cmocka_unit_test(an_interface_goes_while_blocks_are_open),
		cmocka_unit_test(a_sender_that_is_restarted_hears_of_what_comes),
		cmocka_unit_test(nothing_is_planned_that_would_be_too_late),
		cmocka_unit_test(what_the_far_end_pays_counts_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
