/* SPDX-License-Identifier: MIT */
/*
 * scenario_punch.c - what the strategies that open NATs cost, leave behind, and do when something
 * changes meanwhile. How often they succeed is the matrix's.
 */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#include "core/engine/engine_internal.h"

#define WINDOW SECONDS(1)

/* --- what leaves the hosts --------------------------------------------------------------------- */

struct meter {
	struct world w;
	bool cut;            /* nothing between the nodes but by the map */
	u8 tried[65536 / 8]; /* ports of the other end that a sent to */
	u32 ports;
	u64 second;
	u32 in_second, most_in_second; /* datagrams to the other end, either */
	u32 six;                       /* IPv6 ports */
};

static bool is_map(const struct world *w, const struct endpoint *e)
{
	for (u32 n = 0; n < w->map->iface_count; n++) {
		if (address_equal(&w->map->iface[n].local.address, &e->address))
			return true;
	}
	return false;
}

static void tap(struct sim_iface *from, const struct sim_packet *p, void *ctx)
{
	struct meter *m = ctx;
	const u16 port = p->destination.port;
	u64 second = from->host->sim->now / WINDOW;

	if (from->host == m->w.map || is_map(&m->w, &p->destination))
		return;
	m->in_second = second == m->second ? m->in_second + 1 : 1;
	m->second = second;
	if (m->in_second > m->most_in_second)
		m->most_in_second = m->in_second;
	if (!(m->tried[port / 8] & 1u << port % 8)) {
		m->tried[port / 8] |= (u8)(1u << port % 8);
		m->ports++;
	}
}

static bool carries(const struct sim_packet *p, void *ctx)
{
	const struct meter *m = ctx;

	return !m->cut || is_map(&m->w, &p->source) || is_map(&m->w, &p->destination);
}

static void meter_make(struct meter *m, const char *name, enum world_nat a, enum world_nat b)
{
	memset(m, 0, sizeof(*m));
	world_meet(&m->w, name, a, b);
	m->w.sim->tap = tap;
	m->w.sim->tap_ctx = m;
	m->w.sim->carries = carries;
	m->w.sim->carries_ctx = m;
}

static bool both_direct(void *ctx)
{
	const struct world *w = ctx;
	struct path_view view;

	return world_direct(w->a, &view) && world_direct(w->b, &view);
}

static u32 sockets_of(const struct sim_host *h)
{
	u32 count = 0;

	for (u32 n = 0; n < h->iface_count; n++)
		count += h->iface[n].sockets;
	return count;
}

/* One is of the tests of the NAT. */
static void check_sockets(const struct world *w, u32 winners)
{
	sim_compare(w->sim, sockets_of(w->a) + sockets_of(w->b), <=, winners + 2);
}

static void meet_directly(struct meter *m, u64 limit)
{
	sim_start_all(m->w.sim);
	if (!sim_run_until(m->w.sim, limit, both_direct, &m->w))
		sim_fail(m->w.sim, "no direct path");
}

/* --- scenarios --------------------------------------------------------------------------------- */

static void the_probe_stays_within_its_means_and_closes_what_lost(void **state)
{
	(void)state;
	for (u64 n = 0; n < world_scale(10); n++) {
		struct meter m;

		meter_make(&m, __func__, WORLD_SYMMETRIC, WORLD_PORT_RESTRICTED);
		sim_run(m.w.sim, MS(n));
		meet_directly(&m, SECONDS(16));
		/* 256 sockets once, their refreshing, and 200 shots. */
		sim_compare(m.w.sim, m.most_in_second, <=, 256 + 100 + 200 + 50);
		sim_compare(m.w.sim, m.w.nat_a->peak, <=, 256 + 30);
		sim_run(m.w.sim, SECONDS(1));
		check_sockets(&m.w, 1);
		world_check_traffic(&m.w);
		world_end(&m.w);
	}
}

static void what_cannot_work_ends_after_2048_ports(void **state)
{
	struct meter m;

	(void)state;
	meter_make(&m, __func__, WORLD_SYMMETRIC, WORLD_PORT_RESTRICTED);
	m.cut = true;
	world_start(&m.w, SECONDS(2));
	sim_run(m.w.sim, SECONDS(17));
	sim_compare(m.w.sim, m.ports, >=, 2048);
	sim_compare(m.w.sim, m.ports, <=, 2048 + 16);
	check_sockets(&m.w, 0);
	world_check_traffic(&m.w);
	world_end(&m.w);
}

static const char *pair_of(const struct sim_host *h, bool *ret_possible)
{
	struct pair_view v;

	if (!engine_view_pair(h->engine, 0, 0, &v))
		return "none";
	*ret_possible = v.possible;
	return v.state;
}

static void where_nothing_can_work_nothing_is_sprayed_and_that_is_said(void **state)
{
	static const enum world_nat other[] = { WORLD_ADDRESS_DEPENDENT, WORLD_SYMMETRIC };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(other); n++) {
		struct meter m;
		bool possible = true;

		meter_make(&m, __func__, WORLD_SYMMETRIC, other[n]);
		world_start(&m.w, SECONDS(2));
		sim_run(m.w.sim, SECONDS(60));
		sim_compare(m.w.sim, m.ports, <=, 8);
		check_sockets(&m.w, 0);
		assert_string_equal(pair_of(m.w.a, &possible), "relayed");
		assert_false(possible);
		possible = true;
		assert_string_equal(pair_of(m.w.b, &possible), "relayed");
		assert_false(possible);
		world_check_traffic(&m.w);
		world_end(&m.w);
	}
}

/* The first flow is relayed meanwhile. */
static void a_path_that_died_is_made_anew(void **state)
{
	static const enum world_nat kinds[] = { WORLD_SYMMETRIC, WORLD_SEQUENTIAL };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(kinds); n++) {
		struct sim_flow *there;
		struct meter m;

		meter_make(&m, __func__, kinds[n], WORLD_PORT_RESTRICTED);
		meet_directly(&m, SECONDS(16));
		there = sim_flow(m.w.a, 0, MS(20), 100, 0);
		for (u32 k = 0; k < 3; k++) {
			sim_run(m.w.sim, SECONDS(5));
			sim_flow_mark(there);
			sim_nat_flush(m.w.nat_a);
			sim_run(m.w.sim, SECONDS(3));
			sim_check(m.w.sim, sim_run_until(m.w.sim, SECONDS(60), both_direct, &m.w));
			sim_compare(m.w.sim, sim_sink(there, m.w.b)->longest_gap, <, SECONDS(1));
		}
		sim_run(m.w.sim, SECONDS(70)); /* the dead ones are forgotten */
		check_sockets(&m.w, 1);
		world_end(&m.w);
	}
}

static bool all_direct(void *ctx)
{
	const struct world *w = ctx;
	u32 ifaces = 0;

	for (u32 n = 0; n < MAX_PEER_PATHS; n++) {
		struct path_view v;

		if (engine_view_path(w->a->engine, 0, n, &v) && v.state == PATH_LIVE &&
		    v.origin != PATH_FROM_RELAY)
			ifaces |= 1u << v.iface;
	}
	return ifaces == 7;
}

static void several_pairs_come_one_after_the_other(void **state)
{
	struct meter m;

	(void)state;
	meter_make(&m, __func__, WORLD_SYMMETRIC, WORLD_OTHER_PORTS);
	world_attach(m.w.a, WORLD_SEQUENTIAL, 3, NULL);
	world_attach(m.w.a, WORLD_ADDRESS_DEPENDENT, 4, NULL);
	sim_start_all(m.w.sim);
	sim_check(m.w.sim, sim_run_until(m.w.sim, SECONDS(60), all_direct, &m.w));
	sim_run(m.w.sim, SECONDS(2));
	sim_compare(m.w.sim, sockets_of(m.w.a), <=, 3 + 3);
	world_check_traffic(&m.w);
	world_end(&m.w);
}

/* The map has one endpoint and can tell nothing of NATs. */
static void whatever_the_class_says_probing_follows_a_punch_that_failed(void **state)
{
	(void)state;
	for (u32 n = 0; n < 2; n++) {
		struct meter m;

		meter_make(&m, __func__, n ? WORLD_SYMMETRIC : WORLD_CARRIER,
			   n ? WORLD_CARRIER : WORLD_SYMMETRIC);
		m.w.map->iface_count = 1;
		sim_start_all(m.w.sim);
		/* Either end may be the first to open. */
		sim_check(m.w.sim, sim_run_until(m.w.sim, SECONDS(60), both_direct, &m.w));
		world_end(&m.w);
	}
}

static bool is_probing(void *ctx)
{
	const struct world *w = ctx;

	return sockets_of(w->a) + sockets_of(w->b) > 200;
}

static void begin_probing(struct meter *m, const char *name)
{
	meter_make(m, name, WORLD_SYMMETRIC, WORLD_PORT_RESTRICTED);
	m->cut = true;
	sim_start_all(m->w.sim);
	sim_check(m->w.sim, sim_run_until(m->w.sim, SECONDS(10), is_probing, &m->w));
}

static void what_goes_in_the_middle_takes_its_sockets_along(void **state)
{
	struct meter m;

	(void)state;
	begin_probing(&m, "a peer is removed");
	engine_remove_peer(m.w.a->engine, m.w.sim->now, 0);
	sim_poke(m.w.a);
	check_sockets(&m.w, 0);
	world_end(&m.w);

	begin_probing(&m, "an interface is removed");
	sim_iface_remove(&m.w.a->iface[0]);
	sim_run(m.w.sim, SECONDS(1));
	sim_compare(m.w.sim, sockets_of(m.w.a), ==, 0);
	m.cut = false;
	sim_iface_add(&m.w.a->iface[0]);
	sim_check(m.w.sim, sim_run_until(m.w.sim, SECONDS(60), both_direct, &m.w));
	sim_run(m.w.sim, SECONDS(1));
	check_sockets(&m.w, 1);
	world_end(&m.w);

	begin_probing(&m, "the other end is restarted");
	sim_kill(m.w.b);
	m.cut = false;
	sim_start(m.w.b);
	sim_check(m.w.sim, sim_run_until(m.w.sim, SECONDS(60), both_direct, &m.w));
	sim_run(m.w.sim, SECONDS(1));
	check_sockets(&m.w, 1);
	world_end(&m.w);
}

/* A direct path of the pair lives: there is nothing to seek any more. */
static void a_direct_path_ends_the_search(void **state)
{
	struct meter m;

	(void)state;
	begin_probing(&m, __func__);
	m.w.nat_a->mapping = SIM_EI;
	m.w.nat_a->filtering = SIM_EI;
	sim_nat_flush(m.w.nat_a);
	m.cut = false;
	sim_check(m.w.sim, sim_run_until(m.w.sim, SECONDS(5), both_direct, &m.w));
	sim_run(m.w.sim, MS(500));
	check_sockets(&m.w, 1);
	world_end(&m.w);
}

/* Tables of either end that hold less than the probe asks for: what others have there is not lost, nor
 * is what goes through the relay meanwhile. */
static void small_tables_are_respected(void **state)
{
	static const u32 capacity[] = { 40, 100, 150, 250 };

	(void)state;
	for (u32 n = 0; n < 2 * ARRAY_SIZE(capacity); n++) {
		struct sim_flow *there, *back;
		struct meter m;

		meter_make(&m, __func__, WORLD_SYMMETRIC, WORLD_PORT_RESTRICTED);
		m.cut = n % 2;
		m.w.nat_a->capacity = m.w.nat_b->capacity = capacity[n / 2];
		world_start(&m.w, SECONDS(2));
		there = sim_flow(m.w.a, 0, MS(2700), 100, 0);
		back = sim_flow(m.w.b, 0, MS(2700), 100, 0);
		if (m.cut)
			sim_run(m.w.sim, SECONDS(20));
		else if (!sim_run_until(m.w.sim, SECONDS(90), both_direct, &m.w))
			sim_compare(m.w.sim, capacity[n / 2], <, 100); /* that may take minutes */
		there->paused = back->paused = true;
		sim_run(m.w.sim, SECONDS(1));
		sim_compare(m.w.sim, world_lost(there, m.w.b), ==, 0);
		sim_compare(m.w.sim, world_lost(back, m.w.a), ==, 0);
		world_end(&m.w);
	}
}

/* A router that takes a datagram for its own gives its host another port towards there. */
static void both_send_at_the_same_time(void **state)
{
	static const enum world_nat kinds[] = { WORLD_PORT_RESTRICTED, WORLD_SEQUENTIAL };

	(void)state;
	for (u64 n = 0; n < world_scale(20); n++) {
		struct meter m;
		char name[32];

		snprintf(name, sizeof(name), "at the same time %u", (u32)n);
		meter_make(&m, name, kinds[n % 2], WORLD_PORT_RESTRICTED);
		m.w.nat_a->accepts_unasked = m.w.nat_b->accepts_unasked = true;
		m.w.sim->transit = MS(1) + sim_rng_below(&m.w.sim->rng, MS(40));
		meet_directly(&m, SECONDS(10));
		world_check_traffic(&m.w);
		world_end(&m.w);
	}
}

/* Any nonsense in a PUNCH. */
static void say_something(struct sim_host *h)
{
	struct peer *p = h->engine->peers[0];
	struct sim_rng *rng = &h->sim->rng;
	struct frame f = { .type = FRAME_PUNCH };

	f.punch.kind = (u8)sim_rng_below(rng, 6);
	f.punch.to = (u8)(sim_rng_below(rng, 8) == 0);
	f.punch.from = (u8)(sim_rng_below(rng, 8) == 0);
	f.punch.round = (u8)sim_rng_below(rng, 256);
	f.punch.strategy = (u8)sim_rng_below(rng, 9);
	f.punch.nat.mapping = (u8)sim_rng_below(rng, 6);
	f.punch.nat.flags = (u8)sim_rng_below(rng, 64);
	f.punch.count = (u8)sim_rng_below(rng, WIRE_PORTS_MAX + 1);
	for (u32 n = 0; n < f.punch.count; n++)
		f.punch.port[n] = (u16)sim_rng_below(rng, 65536);
	for (u64 mask = p->usable_mask; mask; mask &= mask - 1)
		peer_send_frames(h->engine, p, h->sim->now, (u8)__builtin_ctzll(mask), &f, 1, 0);
	sim_poke(h);
}

static void a_peer_that_talks_nonsense_cannot_make_us_do_much(void **state)
{
	(void)state;
	for (u64 n = 0; n < world_scale(10); n++) {
		struct meter m;

		meter_make(&m, __func__, WORLD_PORT_RESTRICTED,
			   n % 2 ? WORLD_SYMMETRIC : WORLD_OTHER_PORTS);
		m.cut = true;
		world_start(&m.w, SECONDS(2));
		sim_run(m.w.sim, MS(100 * n));
		for (u32 k = 0; k < 5000; k++) {
			say_something(m.w.b);
			sim_run(m.w.sim, MS(2));
			sim_compare(m.w.sim, sockets_of(m.w.a), <=, 256 + 2);
		}
		/* 200 shots of each end, 256 sockets eight times and once a second, and probes. */
		sim_compare(m.w.sim, m.most_in_second, <=, 2 * 200 + 10 * 256 + 100);
		world_check_traffic(&m.w);
		m.cut = false;
		sim_check(m.w.sim, sim_run_until(m.w.sim, SECONDS(200), both_direct, &m.w));
		world_end(&m.w);
	}
}

static void few_sockets_will_do(void **state)
{
	struct meter m;

	(void)state;
	meter_make(&m, __func__, WORLD_SYMMETRIC, WORLD_PORT_RESTRICTED);
	m.w.a->iface[0].sockets_max = 100;
	meet_directly(&m, SECONDS(60));
	sim_run(m.w.sim, SECONDS(1));
	check_sockets(&m.w, 1);
	world_end(&m.w);
}

/* More is demanded at once than the engine can hold: it opens and closes a socket again and again, and
 * then all go that an attempt has opened. */
static void no_demand_is_lost_for_good(void **state)
{
	static const enum demand_kind kinds[] = { DEMAND_OPEN_SOCKET, DEMAND_CLOSE_SOCKET };
	struct meter m;

	(void)state;
	for (u32 n = 0; n < 2; n++) {
		begin_probing(&m, __func__);
		for (u32 k = 0; k < DEMANDS; k++)
			engine_demand(m.w.a->engine,
				      &(struct demand){ .kind = kinds[k % 2],
							.socket = PATH_SOCKET_LAST });
		if (n == 0)
			engine_remove_peer(m.w.a->engine, m.w.sim->now, 0);
		sim_poke(m.w.a);
		assert_int_equal(m.w.a->reviews, n == 0);
		if (n == 0)
			check_sockets(&m.w, 0);
		else
			sim_compare(m.w.sim, sockets_of(m.w.a), >, 200);
		world_end(&m.w);
	}
}

/* What waits for an interface that goes is not done to the next one that has its number. */
static void demands_go_with_their_interface(void **state)
{
	struct demand d = { .kind = DEMAND_OPEN_SOCKET, .socket = PATH_SOCKET_LAST };
	struct sim_iface *second;
	struct meter m;

	(void)state;
	meter_make(&m, __func__, WORLD_SYMMETRIC, WORLD_PORT_RESTRICTED);
	second = world_attach(m.w.a, WORLD_SEQUENTIAL, 3, NULL);
	world_start(&m.w, SECONDS(2));
	for (u32 n = 0; n < 10; n++) {
		d.iface = n % 2 ? second->id : m.w.a->iface[0].id;
		d.socket--;
		engine_demand(m.w.a->engine, &d);
	}
	engine_iface_remove(m.w.a->engine, m.w.sim->now, second->id);
	for (u32 n = 0; n < 5; n++) {
		assert_true(engine_next_demand(m.w.a->engine, &d));
		assert_int_equal(d.iface, m.w.a->iface[0].id);
		assert_int_equal(d.socket, PATH_SOCKET_LAST - 1 - 2 * n);
	}
	assert_false(engine_next_demand(m.w.a->engine, &d));
	world_end(&m.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_probe_stays_within_its_means_and_closes_what_lost),
		cmocka_unit_test(what_cannot_work_ends_after_2048_ports),
		cmocka_unit_test(where_nothing_can_work_nothing_is_sprayed_and_that_is_said),
		cmocka_unit_test(a_path_that_died_is_made_anew),
		cmocka_unit_test(several_pairs_come_one_after_the_other),
		cmocka_unit_test(whatever_the_class_says_probing_follows_a_punch_that_failed),
		cmocka_unit_test(what_goes_in_the_middle_takes_its_sockets_along),
		cmocka_unit_test(a_direct_path_ends_the_search),
		cmocka_unit_test(small_tables_are_respected),
		cmocka_unit_test(a_peer_that_talks_nonsense_cannot_make_us_do_much),
		cmocka_unit_test(both_send_at_the_same_time),
		cmocka_unit_test(few_sockets_will_do),
		cmocka_unit_test(no_demand_is_lost_for_good),
		cmocka_unit_test(demands_go_with_their_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
