/* SPDX-License-Identifier: MIT */
/*
 * scenario_connect.c - two nodes find each other, by configured endpoints or by a map, and what they
 * do when the other side, the map or the handshake does not answer.
 */
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

/* Both send from the start; the first payload has come both ways after this. */
static u64 time_to_first_payload(struct world *w, u64 limit)
{
	struct sim_flow *there = sim_flow(w->a, 0, MS(10), 200, 0);
	struct sim_flow *back = sim_flow(w->b, 0, MS(10), 200, 0);
	const u64 begin = w->sim->now;
	bool came;

	sim_start_all(w->sim);
	came = world_await(there, w->b, 1, limit) && world_await(back, w->a, 1, limit);
	there->stopped = back->stopped = true;
	return came ? w->sim->now - begin : TIME_NEVER;
}

static void static_endpoints_connect_in_a_few_round_trips(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	sim_compare(w.sim, time_to_first_payload(&w, SECONDS(2)), <=, MS(300));
	world_check_traffic(&w);
	world_end(&w);
}

static void one_end_needs_no_endpoint_of_the_other(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.b->peer[0].endpoint_count = 0;
	sim_compare(w.sim, time_to_first_payload(&w, SECONDS(2)), <=, MS(500));
	world_end(&w);
}

static void ipv6_connects_like_ipv4(void **state)
{
	struct world w = { .sim = sim_create(__func__) };

	(void)state;
	w.a = sim_node(w.sim, "a");
	w.b = sim_node(w.sim, "b");
	sim_iface_link(sim_iface(w.a, "eth0", "2001:db8:1::1", NULL), &world_link);
	sim_iface_link(sim_iface(w.b, "eth0", "2001:db8:2::1", NULL), &world_link);
	sim_befriend(w.a, w.b, true);
	sim_tunnel_named(w.a, "data");
	sim_tunnel_named(w.b, "data");
	sim_compare(w.sim, time_to_first_payload(&w, SECONDS(2)), <=, MS(300));
	world_check_traffic(&w);
	world_end(&w);
}

static void both_families_are_used_side_by_side(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	sim_iface_link(sim_iface(w.a, "eth0", "2001:db8:1::1", NULL), &world_link);
	sim_iface_link(sim_iface(w.b, "eth0", "2001:db8:2::1", NULL), &world_link);
	w.a->peer_count = w.b->peer_count = 0;
	memset(w.a->peer, 0, sizeof(w.a->peer));
	memset(w.b->peer, 0, sizeof(w.b->peer));
	sim_befriend(w.a, w.b, true);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	world_end(&w);
}

static void a_map_introduces_over_ipv6(void **state)
{
	struct world w = { .sim = sim_create(__func__) };

	(void)state;
	w.map = sim_map(w.sim, "map");
	w.a = sim_node(w.sim, "a");
	w.b = sim_node(w.sim, "b");
	sim_iface(w.map, "eth0", "2001:db8::5", NULL);
	sim_iface_link(sim_iface(w.a, "eth0", "2001:db8:1::1", NULL), &world_link);
	sim_iface_link(sim_iface(w.b, "eth0", "2001:db8:2::1", NULL), &world_link);
	sim_befriend(w.a, w.b, false);
	sim_use_map(w.a, w.map);
	sim_use_map(w.b, w.map);
	sim_tunnel_named(w.a, "data");
	sim_tunnel_named(w.b, "data");
	sim_compare(w.sim, time_to_first_payload(&w, SECONDS(2)), <=, SECONDS(2));
	world_end(&w);
}

static void aes_is_chosen_only_where_both_can(void **state)
{
	const u8 both = CIPHER_BIT(CIPHER_CHACHA20_POLY1305) | CIPHER_BIT(CIPHER_AES_256_GCM);
	struct peer_view view;
	struct world w;

	(void)state;
	if (!(crypto_ciphers() & CIPHER_BIT(CIPHER_AES_256_GCM)))
		skip();
	for (u32 n = 0; n < 2; n++) {
		world_pair(&w, __func__, 1, 1);
		w.a->ciphers = both;
		w.b->ciphers = n ? both : CIPHER_BIT(CIPHER_CHACHA20_POLY1305);
		world_start(&w, SECONDS(1));
		sim_check(w.sim, engine_view_peer(w.a->engine, 0, &view));
		sim_compare(w.sim, view.cipher, ==,
			    n ? CIPHER_AES_256_GCM : CIPHER_CHACHA20_POLY1305);
		world_check_traffic(&w);
		world_end(&w);
	}
}

static void preshared_keys_must_be_the_same(void **state)
{
	struct world w;

	(void)state;
	for (u32 n = 0; n < 2; n++) {
		world_pair(&w, __func__, 1, 1);
		memset(w.a->peer[0].preshared_key, 7, KEY_SIZE);
		memset(w.b->peer[0].preshared_key, n ? 7 : 8, KEY_SIZE);
		sim_start_all(w.sim);
		sim_run(w.sim, SECONDS(20));
		sim_compare(w.sim, sim_connected(w.a, 0), ==, n);
		sim_compare(w.sim, sim_connected(w.b, 0), ==, n);
		world_end(&w);
	}
}

static void a_stranger_is_not_answered(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.b->peer_count = 0;
	sim_start_all(w.sim);
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, w.b->sent, ==, 0);
	sim_compare(w.sim, engine_view_drops(w.b->engine)->count[DROP_UNKNOWN_PEER], >, 0);
	world_end(&w);
}

static void both_initiating_at_once_end_up_with_one_working_session(void **state)
{
	struct world w;

	(void)state;
	for (u32 n = 0; n < 20; n++) {
		world_pair(&w, __func__, 1 + n % 2, 1 + n / 2 % 2);
		for (u32 i = 0; i < w.a->iface_count; i++) {
			w.a->iface[i].out.delay = MS(1 + 3 * n);
			w.a->iface[i].in.delay = MS(1 + 3 * n);
		}
		world_start(&w, SECONDS(1));
		world_check_traffic(&w);
		world_end(&w);
	}
}

static void handshakes_get_through_thirty_percent_loss(void **state)
{
	struct world w;

	(void)state;
	for (u32 n = 0; n < 20; n++) {
		world_pair(&w, __func__, 1, 1);
		sim_rng_seed(&w.sim->rng, w.sim->seed + n);
		w.a->iface[0].out.loss = w.a->iface[0].in.loss = 0.3;
		sim_compare(w.sim, time_to_first_payload(&w, SECONDS(10)), <=, SECONDS(10));
		world_end(&w);
	}
}

/* --- the map ------------------------------------------------------------------------------- */

static void a_map_that_goes_away_takes_no_path(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(1));
	f = sim_flow(w.a, 0, MS(10), 200, 0);
	sim_run(w.sim, SECONDS(5));
	sim_kill(w.map);
	sim_run(w.sim, SECONDS(300));
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, world_lost(f, w.b), ==, 0);
	sim_compare(w.sim, f->refused[DROP_NO_PATH] + f->refused[DROP_NO_SESSION], ==, 0);
	sim_compare(w.sim, w.a->notices[NOTICE_MAP_LOST], >, 0);
	world_end(&w);
}

/* An uplink that leads nowhere, and one whose family the map does not have. */
static void an_interface_without_a_way_to_the_map_does_not_lose_it(void **state)
{
	struct map_view view;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	world_attach(w.a, WORLD_PORT_RESTRICTED, 7, NULL)->out.down = true;
	sim_iface_link(sim_iface(w.a, "eth2", "2001:db8:7::2", NULL), &world_link);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(100));
	sim_compare(w.sim, w.a->notices[NOTICE_MAP_LOST], ==, 0);
	sim_check(w.sim, engine_view_map(w.a->engine, 0, &view) && view.connected);
	world_end(&w);
}

static void a_map_that_restarts_is_used_again(void **state)
{
	struct map_view view;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(30));
	sim_kill(w.map);
	sim_run(w.sim, SECONDS(2));
	sim_start(w.map);
	sim_run(w.sim, SECONDS(15));
	sim_check(w.sim, engine_view_map(w.a->engine, 0, &view) && view.connected);
	sim_check(w.sim, engine_view_map(w.b->engine, 0, &view) && view.connected);
	sim_compare(w.sim, mapserver_stats(w.map->map)->nodes, ==, 2);
	world_check_traffic(&w);
	world_end(&w);
}

static void a_map_that_comes_late_connects(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	sim_start(w.a);
	sim_start(w.b);
	sim_run(w.sim, SECONDS(60));
	sim_start(w.map);
	world_start(&w, SECONDS(12));
	world_check_traffic(&w);
	world_end(&w);
}

static void a_peer_that_comes_late_is_pushed_not_polled(void **state)
{
	struct world w;
	u64 begin;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	w.a->scan_interval = 600 * NS_PER_S;
	sim_start(w.map);
	sim_start(w.a);
	sim_run(w.sim, SECONDS(5));
	begin = w.sim->now;
	world_start(&w, SECONDS(2));
	sim_compare(w.sim, w.a->first_connected_at - begin, <=, SECONDS(1));
	world_end(&w);
}

static void the_map_tells_nothing_to_one_who_is_not_wanted(void **state)
{
	struct peer_view view;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PUBLIC, WORLD_PUBLIC);
	w.b->peer_count = 0;
	sim_start_all(w.sim);
	sim_run(w.sim, SECONDS(30));
	sim_check(w.sim, engine_view_peer(w.a->engine, 0, &view));
	sim_compare(w.sim, view.registered_count, ==, 0);
	sim_compare(w.sim, mapserver_stats(w.map->map)->nodes, ==, 2);
	world_end(&w);
}

static void two_maps_are_both_used(void **state)
{
	struct sim_host *second;
	struct iface_view view;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	second = sim_map(w.sim, "map2");
	sim_iface_link(sim_iface(second, "eth0", "203.0.114.5", NULL), &world_link);
	sim_use_map(w.a, second);
	sim_use_map(w.b, second);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(1));
	sim_check(w.sim, engine_view_iface(w.a->engine, w.a->iface[0].id, &view));
	sim_check(w.sim, view.map[0].registered && view.map[1].registered);
	sim_kill(w.map);
	sim_kill(w.b);
	sim_run(w.sim, SECONDS(90));
	world_start(&w, SECONDS(3));
	world_end(&w);
}

static void an_ended_node_has_said_goodbye(void **state)
{
	struct peer_view view;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(1));
	sim_terminate(w.b);
	sim_run(w.sim, MS(100));
	sim_compare(w.sim, w.a->notices[NOTICE_PEER_CLOSED], ==, 1);
	sim_check(w.sim, engine_view_peer(w.a->engine, 0, &view) && view.closed);
	sim_check(w.sim, !view.connected);
	sim_compare(w.sim, mapserver_stats(w.map->map)->nodes, ==, 1);
	sim_run(w.sim, SECONDS(5));
	sim_check(w.sim, !sim_connected(w.a, 0));
	world_start(&w, SECONDS(2)); /* and may come back */
	world_check_traffic(&w);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(static_endpoints_connect_in_a_few_round_trips),
		cmocka_unit_test(one_end_needs_no_endpoint_of_the_other),
		cmocka_unit_test(ipv6_connects_like_ipv4),
		cmocka_unit_test(both_families_are_used_side_by_side),
		cmocka_unit_test(a_map_introduces_over_ipv6),
		cmocka_unit_test(aes_is_chosen_only_where_both_can),
		cmocka_unit_test(preshared_keys_must_be_the_same),
		cmocka_unit_test(a_stranger_is_not_answered),
		cmocka_unit_test(both_initiating_at_once_end_up_with_one_working_session),
		cmocka_unit_test(handshakes_get_through_thirty_percent_loss),
		cmocka_unit_test(a_map_that_goes_away_takes_no_path),
		cmocka_unit_test(an_interface_without_a_way_to_the_map_does_not_lose_it),
		cmocka_unit_test(a_map_that_restarts_is_used_again),
		cmocka_unit_test(a_map_that_comes_late_connects),
		cmocka_unit_test(a_peer_that_comes_late_is_pushed_not_polled),
		cmocka_unit_test(the_map_tells_nothing_to_one_who_is_not_wanted),
		cmocka_unit_test(two_maps_are_both_used),
		cmocka_unit_test(an_ended_node_has_said_goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
