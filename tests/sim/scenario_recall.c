/* SPDX-License-Identifier: MIT */
/*
 * scenario_recall.c - payloads that were sent over a path before it was known to be silent.
 */
#include "sim/world.h"

#include <stdio.h>

/* What is sent over one of two links at a time, or spread over both. */
struct load {
	const char *name;
	struct tunnel_options tunnel;
	u64 interval;
	u32 size, burst;
};

static const struct load loads[] = {
	{ "500 a second", { .name = "one", .copies = 1 }, MS(2), 200, 1 },
	{ "5,000 a second", { .name = "one", .copies = 1 }, MS(1) / 5, 200, 1 },
	{ "trains", { .name = "one", .copies = 1 }, MS(10), 300, 8 },
	{ "long trains", { .name = "one", .copies = 1 }, MS(50), 1000, 32 },
	{ "fragments", { .name = "one", .copies = 1 }, MS(10), 9000, 1 },
	{ "ordered", { .name = "one", .copies = 1, .ordered = true }, MS(2), 200, 1 },
	{ "shards",
	  { .name = "one", .num_shards = 5, .required_shards = 4, .max_delay = MS(20) },
	  MS(2),
	  200,
	  1 },
	{ "shards of fragments",
	  { .name = "one", .num_shards = 5, .required_shards = 4, .max_delay = MS(20) },
	  MS(25), /* 16 payloads at most are put together at a time */
	  9000,
	  1 },
};

/* First one link is cut and mended, then the other; what was lost. */
static u64 cut_links(struct world *w, const struct load *load)
{
	struct tunnel_options far = { .name = "one", .ordered = load->tunnel.ordered };
	struct sim_flow *f;
	u64 lost = 0;
	u16 tunnel;

	world_pair(w, load->name, 2, 1);
	tunnel = sim_tunnel(w->a, &load->tunnel);
	sim_tunnel(w->b, &far);
	world_start(w, SECONDS(2));
	sim_check(w->sim, world_await_live(w->a, 0, 2, SECONDS(1)));
	for (u32 i = 0; i < 2; i++) {
		f = sim_flow(w->a, tunnel, load->interval, load->size, 0);
		f->burst = load->burst;
		sim_run(w->sim, SECONDS(2));
		w->a->iface[i].out.down = w->a->iface[i].in.down = true;
		sim_run(w->sim, SECONDS(2));
		f->stopped = true;
		sim_run(w->sim, SECONDS(1));
		sim_compare(w->sim, f->accepted, ==, f->offered);
		lost += world_lost(f, w->b);
		w->a->iface[i].out.down = w->a->iface[i].in.down = false;
		sim_check(w->sim, world_await_live(w->a, 0, 2, SECONDS(2)));
	}
	return lost;
}

static void what_a_cut_link_swallowed_comes_over_the_other(void **state)
{
	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(loads); n++) {
		struct world w;
		const u64 lost = cut_links(&w, &loads[n]);

		if (lost)
			sim_fail(w.sim, "%llu payloads are lost", (unsigned long long)lost);
		world_end(&w);
	}
}

static void what_has_missed_its_deadline_does_not_come_late(void **state)
{
	const struct load load = {
		"deadline", { .name = "one", .copies = 1, .send_deadline = MS(20) }, MS(2), 200, 1
	};
	struct world w;
	u64 lost;

	(void)state;
	lost = cut_links(&w, &load);
	/* One of the links carried the payloads: about 200 ms of them are gone. */
	sim_compare(w.sim, lost, >=, 50);
	sim_compare(w.sim, lost, <=, 200);
	world_end(&w);
}

/* Two tunnels over one link, which is cut: one sends 20 MB/s, the other little. */
static void who_sends_little_loses_nothing_beside_one_who_sends_much(void **state)
{
	const struct tunnel_options much = { .name = "much", .copies = 1 },
				    little = { .name = "little", .copies = 1 };
	struct sim_flow *f;
	struct world w;
	u16 tunnel[2];

	(void)state;
	world_pair(&w, __func__, 2, 1);
	tunnel[0] = sim_tunnel(w.a, &much);
	tunnel[1] = sim_tunnel(w.a, &little);
	sim_tunnel(w.b, &much);
	sim_tunnel(w.b, &little);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	sim_flow(w.a, tunnel[0], NS_PER_MS / 20, 1000, 0);
	f = sim_flow(w.a, tunnel[1], MS(5), 100, 0);
	for (u32 i = 0; i < 2; i++) {
		sim_run(w.sim, SECONDS(1));
		w.a->iface[i].out.down = w.a->iface[i].in.down = true;
		sim_run(w.sim, SECONDS(1));
		w.a->iface[i].out.down = w.a->iface[i].in.down = false;
	}
	f->paused = true;
	sim_run(w.sim, MS(200));
	sim_compare(w.sim, world_lost(f, w.b), ==, 0);
	world_end(&w);
}

/* Payloads of 1,000 bytes, 20,000 a second: 20 MB/s, of which half a MB is kept. */
static void at_high_rates_little_is_kept(void **state)
{
	struct tunnel_options options = { .name = "one", .copies = 1 };
	struct world w;
	struct sim_flow *f;
	u64 carried;
	u16 tunnel;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	tunnel = sim_tunnel(w.a, &options);
	sim_tunnel(w.b, &options);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	f = sim_flow(w.a, tunnel, NS_PER_MS / 20, 1000, 0);
	for (u32 i = 0; i < 2; i++) {
		sim_run(w.sim, SECONDS(1));
		carried = f->accepted;
		w.a->iface[i].out.down = w.a->iface[i].in.down = true;
		sim_run(w.sim, SECONDS(1));
		w.a->iface[i].out.down = w.a->iface[i].in.down = false;
		/* Nothing is refused, although the buffers are needed. */
		sim_compare(w.sim, f->accepted - carried, >=, 19900);
	}
	f->stopped = true;
	world_end(&w);
}

/* Only what comes from or goes to the map passes. */
static bool by_the_map_only(const struct sim_packet *p, void *ctx)
{
	const struct world *w = ctx;

	for (u32 n = 0; n < w->map->iface_count; n++) {
		const struct address *map = &w->map->iface[n].local.address;

		if (address_equal(&p->source.address, map) ||
		    address_equal(&p->destination.address, map))
			return true;
	}
	return false;
}

static bool live_directly(const struct sim_host *h)
{
	struct path_view v;

	return world_direct(h, &v);
}

static bool both_directly(void *ctx)
{
	const struct world *w = ctx;

	return live_directly(w->a) && live_directly(w->b);
}

static bool neither_directly(void *ctx)
{
	const struct world *w = ctx;

	return !live_directly(w->a) && !live_directly(w->b);
}

/* Relay, direct, relay, direct: the direct way is cut without anybody being told. */
static void to_and_fro(const char *name, u64 interval)
{
	struct sim_flow *there, *back;
	struct world w;

	world_meet(&w, name, WORLD_PORT_RESTRICTED, WORLD_OTHER_PORTS);
	w.map->relay.node_rate = 12500000;
	w.sim->carries_ctx = &w;
	w.sim->carries = by_the_map_only;
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, interval, 200, 0);
	back = sim_flow(w.b, 0, interval, 200, 0);
	sim_run(w.sim, SECONDS(2));
	for (u32 n = 0; n < 5; n++) {
		sim_check(w.sim, neither_directly(&w));
		w.sim->carries = NULL;
		sim_check(w.sim, sim_run_until(w.sim, SECONDS(15), both_directly, &w));
		sim_run(w.sim, SECONDS(2) + MS(37 * n));
		w.sim->carries = by_the_map_only;
		sim_check(w.sim, sim_run_until(w.sim, SECONDS(1), neither_directly, &w));
		sim_run(w.sim, SECONDS(1));
	}
	there->stopped = back->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, world_lost(there, w.b), ==, 0);
	sim_compare(w.sim, world_lost(back, w.a), ==, 0);
	sim_compare(w.sim, there->accepted, ==, there->offered);
	world_end(&w);
}

static void from_relay_to_direct_and_back_loses_nothing(void **state)
{
	(void)state;
	to_and_fro("to and fro, 500 a second", MS(2));
	to_and_fro("to and fro, 5,000 a second", MS(1) / 5);
}

static u64 lost_with(u32 gone, const char *name)
{
	const struct tunnel_options one = { .name = "one", .copies = 1 };
	struct sim_iface *i;
	struct sim_flow *f;
	struct world w;
	u16 tunnel;
	u64 lost;

	world_pair(&w, name, 2, 1);
	tunnel = sim_tunnel(w.a, &one);
	sim_tunnel(w.b, &one);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	f = sim_flow(w.a, tunnel, MS(2), 200, 0);
	sim_run(w.sim, SECONDS(2));
	for (u32 n = 0; n < 2; n++)
		w.a->iface[n].out.down = w.a->iface[n].in.down = true;
	sim_run(w.sim, MS(150));
	f->stopped = true;
	sim_run(w.sim, MS(400)); /* neither is live any more */
	i = &w.a->iface[gone];
	sim_iface_remove(i);
	i->local = sim_endpoint("203.0.9.9", i->local.port);
	i->out.down = i->in.down = false;
	sim_iface_add(i);
	sim_run(w.sim, SECONDS(5));
	lost = world_lost(f, w.b);
	world_end(&w);
	return lost;
}

static void what_a_gone_path_swallowed_is_not_taken_for_arrived(void **state)
{
	const u64 first = lost_with(0, "first"), second = lost_with(1, "second");

	(void)state;
	assert_int_equal(first, 0);
	assert_int_equal(second, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_cut_link_swallowed_comes_over_the_other),
		cmocka_unit_test(what_has_missed_its_deadline_does_not_come_late),
		cmocka_unit_test(who_sends_little_loses_nothing_beside_one_who_sends_much),
		cmocka_unit_test(at_high_rates_little_is_kept),
		cmocka_unit_test(from_relay_to_direct_and_back_loses_nothing),
		cmocka_unit_test(what_a_gone_path_swallowed_is_not_taken_for_arrived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
