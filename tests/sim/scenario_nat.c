/* SPDX-License-Identifier: MIT */
/*
 * scenario_nat.c - two nodes behind NATs, which forget, restart and stack. Which kinds meet is
 * scenario_matrix.c's affair.
 */
#include "sim/world.h"

#include <stdio.h>

static void nodes_on_one_lan_talk_directly(void **state)
{
	struct path_view view;
	struct world w = { .sim = sim_create(__func__) };

	(void)state;
	w.map = sim_map(w.sim, "map");
	w.a = sim_node(w.sim, "a");
	w.b = sim_node(w.sim, "b");
	sim_iface(w.map, "eth0", "203.0.113.5", NULL);
	w.nat_a = sim_nat(w.sim, "198.51.100.1", SIM_EI, SIM_APD, SIM_RANDOM, NULL);
	sim_iface(w.a, "eth0", "192.168.1.2", w.nat_a);
	sim_iface(w.b, "eth0", "192.168.1.3", w.nat_a);
	sim_befriend(w.a, w.b, false);
	sim_use_map(w.a, w.map);
	sim_use_map(w.b, w.map);
	sim_tunnel_named(w.a, "data");
	sim_tunnel_named(w.b, "data");
	world_start(&w, SECONDS(2));
	sim_check(w.sim, sim_find_path(w.a, 0, &w.a->iface[0], &w.b->iface[0].local, &view));
	sim_check(w.sim, view.state == PATH_LIVE);
	world_check_traffic(&w);
	world_end(&w);
}

static void two_homes_behind_one_carrier_nat_connect_by_its_hairpin(void **state)
{
	struct sim_nat *carrier;
	struct world w = { .sim = sim_create(__func__) };

	(void)state;
	w.map = sim_map(w.sim, "map");
	w.a = sim_node(w.sim, "a");
	w.b = sim_node(w.sim, "b");
	sim_iface(w.map, "eth0", "203.0.113.5", NULL);
	carrier = sim_nat(w.sim, "198.51.100.1", SIM_EI, SIM_APD, SIM_RANDOM, NULL);
	carrier->hairpin = true;
	w.nat_a = sim_nat(w.sim, "100.64.0.2", SIM_EI, SIM_APD, SIM_PRESERVE, carrier);
	w.nat_b = sim_nat(w.sim, "100.64.0.3", SIM_EI, SIM_APD, SIM_PRESERVE, carrier);
	sim_iface_link(sim_iface(w.a, "eth0", "192.168.1.2", w.nat_a), &world_link);
	sim_iface_link(sim_iface(w.b, "eth0", "192.168.2.2", w.nat_b), &world_link);
	sim_befriend(w.a, w.b, false);
	sim_use_map(w.a, w.map);
	sim_use_map(w.b, w.map);
	sim_tunnel_named(w.a, "data");
	sim_tunnel_named(w.b, "data");
	world_start(&w, SECONDS(2));
	world_check_traffic(&w);
	world_end(&w);
}

static void a_rebinding_nat_is_followed_within_a_second(void **state)
{
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_meet(&w, __func__, WORLD_ADDRESS_RESTRICTED, WORLD_PUBLIC);
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, MS(10), 200, 0);
	back = sim_flow(w.b, 0, MS(10), 200, 0);
	sim_run(w.sim, SECONDS(5));
	for (u32 n = 0; n < 5; n++) {
		sim_flow_mark(there);
		sim_flow_mark(back);
		sim_nat_flush(w.nat_a);
		sim_run(w.sim, SECONDS(12));
		sim_compare(w.sim, sim_sink(there, w.b)->longest_gap, <=, MS(300));
		sim_compare(w.sim, sim_sink(back, w.a)->longest_gap, <=, SECONDS(1));
		sim_compare(w.sim, w.sim->now - sim_sink(back, w.a)->last_at, <=, MS(100));
	}
	world_end(&w);
}

static void a_rebinding_symmetric_nat_is_followed(void **state)
{
	struct world w;
	struct sim_flow *back;

	(void)state;
	world_meet(&w, __func__, WORLD_SYMMETRIC, WORLD_PUBLIC);
	world_start(&w, SECONDS(2));
	back = sim_flow(w.b, 0, MS(10), 200, 0);
	sim_run(w.sim, SECONDS(5));
	sim_flow_mark(back);
	sim_nat_flush(w.nat_a);
	sim_run(w.sim, SECONDS(12));
	sim_compare(w.sim, sim_sink(back, w.a)->longest_gap, <=, SECONDS(6));
	sim_compare(w.sim, w.sim->now - sim_sink(back, w.a)->last_at, <=, MS(100));
	world_end(&w);
}

static void keepalives_hold_short_mappings_open(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	w.nat_a->lifetime = w.nat_b->lifetime = SECONDS(8);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(120));
	sim_compare(w.sim, w.a->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	world_check_traffic(&w);
	world_end(&w);
}

static void an_override_tells_where_a_symmetric_node_is(void **state)
{
	struct peer_view view;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PUBLIC, WORLD_SYMMETRIC);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(10));
	sim_check(w.sim, engine_view_peer(w.a->engine, 0, &view));
	sim_compare(w.sim, view.override_count, ==, 1);
	sim_check(w.sim, address_equal(&view.override[0].actual.address, &w.nat_b->address));
	sim_check(w.sim, !endpoint_equal(&view.override[0].actual, &view.override[0].registered));
	sim_check(w.sim,
		  endpoint_equal(&view.override[0].registered, &view.registered[0].observed));
	world_end(&w);
}

static void several_uplinks_behind_different_nats_give_all_paths(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PUBLIC);
	world_attach(w.a, WORLD_FULL_CONE, 3, NULL);
	world_attach(w.a, WORLD_SYMMETRIC, 4, NULL);
	world_attach(w.b, WORLD_PUBLIC, 5, NULL);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 6, SECONDS(2)));
	sim_check(w.sim, world_await_live(w.b, 0, 6, SECONDS(1)));
	world_check_traffic(&w);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_on_one_lan_talk_directly),
		cmocka_unit_test(two_homes_behind_one_carrier_nat_connect_by_its_hairpin),
		cmocka_unit_test(a_rebinding_nat_is_followed_within_a_second),
		cmocka_unit_test(a_rebinding_symmetric_nat_is_followed),
		cmocka_unit_test(keepalives_hold_short_mappings_open),
		cmocka_unit_test(an_override_tells_where_a_symmetric_node_is),
		cmocka_unit_test(several_uplinks_behind_different_nats_give_all_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
