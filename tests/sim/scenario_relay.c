/* SPDX-License-Identifier: MIT */
/*
 * scenario_relay.c - payloads through the map while there is no other way, and the changes between
 * that and direct paths.
 */
#include "sim/world.h"

#include <stdio.h>

#define INTERVAL MS(2) /* 500 payloads a second */

/* --- what the internet carries --------------------------------------------------------------- */

struct internet {
	struct world w;
	bool cut; /* nothing between the nodes but by the map */
};

static bool is_map(const struct world *w, const struct endpoint *e)
{
	for (u32 n = 0; n < w->map->iface_count; n++) {
		if (address_equal(&w->map->iface[n].local.address, &e->address))
			return true;
	}
	return false;
}

static bool carries(const struct sim_packet *p, void *ctx)
{
	const struct internet *net = ctx;
	const struct world *w = &net->w;

	return !net->cut || is_map(w, &p->source) || is_map(w, &p->destination);
}

static void net_make(struct internet *net, const char *name, enum world_nat a, enum world_nat b)
{
	*net = (struct internet){ 0 };
	world_meet(&net->w, name, a, b);
	net->w.sim->carries = carries;
	net->w.sim->carries_ctx = net;
}

static bool is_direct(const struct sim_host *h)
{
	struct path_view view;

	return world_direct(h, &view);
}

static bool both_direct(void *ctx)
{
	const struct world *w = ctx;

	return is_direct(w->a) && is_direct(w->b);
}

/* --- flows at both ends ----------------------------------------------------------------------- */

struct traffic {
	struct world *w;
	struct sim_flow *there, *back;
	u64 lost; /* until the last look */
};

static void traffic_begin(struct traffic *t, struct world *w)
{
	t->w = w;
	t->lost = 0;
	t->there = sim_flow(w->a, 0, INTERVAL, 200, 0);
	t->back = sim_flow(w->b, 0, INTERVAL, 200, 0);
}

/* What was lost since the last look; the flows pause for it, until all has arrived. */
static u64 traffic_lost(struct traffic *t)
{
	u64 lost;

	t->there->paused = t->back->paused = true;
	sim_run(t->w->sim, MS(200));
	lost = world_lost(t->there, t->w->b) + world_lost(t->back, t->w->a);
	t->there->paused = t->back->paused = false;
	t->lost += lost - t->lost;
	return lost;
}

static void check_lossless(struct traffic *t, const char *when)
{
	const u64 before = t->lost, lost = traffic_lost(t) - before;

	if (lost)
		sim_fail(t->w->sim, "%s: %llu payloads are lost", when, (unsigned long long)lost);
}

/* --- scenarios -------------------------------------------------------------------------------- */

static void from_relay_to_direct_and_back_and_forth_loses_nothing(void **state)
{
	struct internet net;
	struct traffic t;

	(void)state;
	net_make(&net, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	net.cut = true;
	world_start(&net.w, SECONDS(2));
	traffic_begin(&t, &net.w);
	sim_run(net.w.sim, SECONDS(5));
	check_lossless(&t, "relayed");
	for (u32 n = 0; n < 3; n++) {
		net.cut = false;
		sim_check(net.w.sim, sim_run_until(net.w.sim, SECONDS(10), both_direct, &net.w));
		sim_run(net.w.sim, SECONDS(3));
		check_lossless(&t, "direct again");
		net.cut = true;
		sim_run(net.w.sim, SECONDS(5));
		sim_check(net.w.sim, !is_direct(net.w.a));
		check_lossless(&t, "cut");
	}
	world_end(&net.w);
}

static void ends_that_cannot_meet_stay_relayed(void **state)
{
	struct world w;
	struct traffic t;

	(void)state;
	world_meet(&w, __func__, WORLD_SYMMETRIC, WORLD_SYMMETRIC);
	world_start(&w, SECONDS(1));
	traffic_begin(&t, &w);
	sim_run(w.sim, SECONDS(60));
	check_lossless(&t, "relayed for a minute");
	sim_check(w.sim, !is_direct(w.a) && !is_direct(w.b));
	world_end(&w);
}

/* On a live direct path nothing but probes goes through the map. */
static void a_direct_path_frees_the_map(void **state)
{
	struct world w;
	struct traffic t;
	u64 before;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	world_start(&w, SECONDS(1));
	traffic_begin(&t, &w);
	sim_check(w.sim, sim_run_until(w.sim, SECONDS(5), both_direct, &w));
	sim_run(w.sim, SECONDS(2));
	before = w.map->sent;
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, w.map->sent - before, <, 500); /* of 10,000 payloads */
	world_end(&w);
}

/* A map that forwards nothing still brings together those who can meet. */
static void a_map_that_forwards_nothing_is_a_map_still(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	w.map->relay = (struct relay_options){ 0 };
	world_start(&w, SECONDS(2));
	sim_check(w.sim, is_direct(w.a) && is_direct(w.b));
	world_check_traffic(&w);
	world_end(&w);
	world_meet(&w, __func__, WORLD_SYMMETRIC, WORLD_SYMMETRIC);
	w.map->relay = (struct relay_options){ 0 };
	sim_start_all(w.sim);
	f = sim_flow(w.a, 0, INTERVAL, 200, 0);
	sim_run(w.sim, SECONDS(30));
	sim_compare(w.sim, sim_received(f, w.b), ==, 0);
	sim_check(w.sim, !sim_connected(w.a, 0) && !sim_connected(w.b, 0));
	world_end(&w);
}

/* More than a node may send through the map: some of it is lost, but neither the connection nor what
 * others send. */
static void a_map_that_limits_its_relay_keeps_the_connection(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_SYMMETRIC, WORLD_SYMMETRIC);
	w.map->relay.node_rate = 20000;
	world_start(&w, SECONDS(1));
	f = sim_flow(w.a, 0, INTERVAL, 200, 0);
	sim_run(w.sim, SECONDS(30));
	sim_compare(w.sim, sim_received(f, w.b), >, 1000);
	sim_compare(w.sim, sim_received(f, w.b) * 200, <, 30 * 20000);
	sim_compare(w.sim, w.a->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	sim_compare(w.sim, w.b->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	world_end(&w);
}

/* b waits for a, which starts: with the map, four round trips (of 40 ms) are needed by the handshakes,
 * the question for b and the first payload; the map's doubt about where a is does not add to that. */
static void the_first_payload_does_not_wait_for_proofs(void **state)
{
	struct sim_flow *there, *back;
	struct world w;
	u64 begun;

	(void)state;
	world_meet(&w, __func__, WORLD_SYMMETRIC, WORLD_SYMMETRIC);
	sim_start(w.map);
	sim_start(w.b);
	sim_run(w.sim, SECONDS(5));
	begun = w.sim->now;
	sim_start(w.a);
	there = sim_flow(w.a, 0, INTERVAL, 200, 0);
	back = sim_flow(w.b, 0, INTERVAL, 200, 0);
	sim_check(w.sim, world_await(there, w.b, 1, SECONDS(2)));
	sim_check(w.sim, world_await(back, w.a, 1, SECONDS(2)));
	sim_compare(w.sim, w.sim->now - begun, <, MS(250));
	world_end(&w);
}

struct deaf {
	struct world w;
	struct sim_iface *iface;
	u64 in, out; /* bytes from it to the map, and to it */
};

static void count_deaf(struct sim_iface *from, const struct sim_packet *p, void *ctx)
{
	struct deaf *d = ctx;

	if (from == d->iface && is_map(&d->w, &p->destination))
		d->in += p->size;
	if (from->host == d->w.map &&
	    address_equal(&p->destination.address, &d->iface->local.address))
		d->out += p->size;
}

/* What says that it comes from there may be a lie: nothing is heard there. */
static void an_address_where_nobody_hears_gets_little_from_the_map(void **state)
{
	struct sim_flow *f;
	struct sim_nat *nat;
	struct deaf d;

	(void)state;
	world_meet(&d.w, __func__, WORLD_SYMMETRIC, WORLD_SYMMETRIC);
	d.in = d.out = 0;
	d.iface = world_attach(d.w.a, WORLD_PUBLIC, 3, &nat);
	d.iface->in.down = true;
	d.w.sim->tap = count_deaf;
	d.w.sim->tap_ctx = &d;
	world_start(&d.w, SECONDS(1));
	f = sim_flow(d.w.b, 0, INTERVAL, 200, 10000);
	sim_run(d.w.sim, SECONDS(30));
	sim_compare(d.w.sim, world_lost(f, d.w.a), ==, 0);
	sim_compare(d.w.sim, d.in, >, 0);
	sim_compare(d.w.sim, d.out, <=, d.in);
	d.w.sim->tap = NULL;
	world_end(&d.w);
}

static void relayed_nodes_outlive_a_restart_of_the_map(void **state)
{
	struct world w;
	struct traffic t;

	(void)state;
	world_meet(&w, __func__, WORLD_SYMMETRIC, WORLD_SYMMETRIC);
	world_start(&w, SECONDS(1));
	traffic_begin(&t, &w);
	sim_run(w.sim, SECONDS(10));
	sim_kill(w.map);
	sim_run(w.sim, SECONDS(3));
	sim_start(w.map);
	sim_run(w.sim, SECONDS(5));
	traffic_lost(&t);
	sim_run(w.sim, SECONDS(5));
	check_lossless(&t, "the map is back");
	world_end(&w);
}

/* All that goes to a map is numbered in one session: what takes a slower link comes after many that took the
 * faster one, and counts all the same. */
static void copies_over_a_slower_link_count(void **state)
{
	const struct sim_link slow = { .delay = MS(60) };
	struct sim_flow *f;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_SYMMETRIC, WORLD_SYMMETRIC);
	sim_iface_link(world_attach(w.a, WORLD_SYMMETRIC, 3, NULL), &slow);
	world_start(&w, SECONDS(3));
	sim_run(w.sim, SECONDS(5));
	f = sim_flow(w.a, 0, MS(1), 200, 0);
	sim_run(w.sim, SECONDS(1));
	w.a->iface[0].out.loss = 0.1;
	sim_run(w.sim, SECONDS(5));
	f->paused = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, world_lost(f, w.b) * 100, <, f->accepted);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_relay_to_direct_and_back_and_forth_loses_nothing),
		cmocka_unit_test(ends_that_cannot_meet_stay_relayed),
		cmocka_unit_test(a_direct_path_frees_the_map),
		cmocka_unit_test(a_map_that_forwards_nothing_is_a_map_still),
		cmocka_unit_test(a_map_that_limits_its_relay_keeps_the_connection),
		cmocka_unit_test(the_first_payload_does_not_wait_for_proofs),
		cmocka_unit_test(an_address_where_nobody_hears_gets_little_from_the_map),
		cmocka_unit_test(relayed_nodes_outlive_a_restart_of_the_map),
		cmocka_unit_test(copies_over_a_slower_link_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
