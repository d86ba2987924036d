/* SPDX-License-Identifier: MIT */
/*
 * scenario_change.c - hosts restart, interfaces come, go and get other addresses, under traffic.
 */
#include "sim/world.h"

/* A payload of f arrives within limit from now. */
static void check_resumes(struct sim_flow *f, struct sim_host *to, u64 limit)
{
	const u64 begin = f->sim->now;

	if (!world_await(f, to, sim_received(f, to) + 1, limit))
		sim_fail(f->sim, "%s gets nothing within %.3f s", to->name, (double)limit / 1e9);
	sim_trace(f->sim, "resumed after %.3f s", (double)(f->sim->now - begin) / 1e9);
}

static void restart_under_traffic(struct world *w)
{
	struct sim_flow *there, *back;

	world_start(w, SECONDS(2));
	there = sim_flow(w->a, 0, MS(10), 200, 0);
	back = sim_flow(w->b, 0, MS(10), 200, 0);
	for (u32 n = 0; n < 5; n++) {
		sim_run(w->sim, SECONDS(3) + MS(130 * n));
		sim_kill(w->b);
		sim_run(w->sim, MS(10 + 400 * n * n));
		sim_start(w->b);
		check_resumes(there, w->b, SECONDS(1));
		check_resumes(back, w->a, SECONDS(1));
	}
	world_end(w);
}

static void a_peer_that_restarts_is_back_within_a_second(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	restart_under_traffic(&w);
}

static void a_peer_that_restarts_without_knowing_endpoints_is_back_within_a_second(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.b->peer[0].endpoint_count = 0;
	restart_under_traffic(&w);
}

static void a_peer_that_restarts_behind_a_nat_is_back_within_a_second(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	restart_under_traffic(&w);
}

static void a_server_that_ended_and_comes_back_is_found_by_its_clients(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.b->peer[0].endpoint_count = 0;
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(3));
	sim_terminate(w.b);
	sim_run(w.sim, SECONDS(20));
	sim_compare(w.sim, w.a->notices[NOTICE_PEER_CLOSED], ==, 1);
	sim_start(w.b);
	world_start(&w, SECONDS(6)); /* without traffic */
	sim_run(w.sim, SECONDS(3));
	f = sim_flow(w.a, 0, MS(10), 200, 0);
	sim_run(w.sim, SECONDS(1));
	sim_terminate(w.b);
	sim_run(w.sim, SECONDS(20));
	sim_start(w.b);
	check_resumes(f, w.b, SECONDS(1));
	world_end(&w);
}

static void both_restarting_at_once_are_back_within_a_second(void **state)
{
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, MS(10), 200, 0);
	back = sim_flow(w.b, 0, MS(10), 200, 0);
	for (u32 n = 0; n < 4; n++) {
		sim_run(w.sim, SECONDS(2) + MS(70 * n));
		sim_kill(w.a);
		sim_kill(w.b);
		sim_run(w.sim, MS(15 * n));
		sim_start(w.a);
		sim_run(w.sim, MS(20 * n));
		sim_start(w.b);
		check_resumes(there, w.b, SECONDS(1));
		check_resumes(back, w.a, SECONDS(1));
	}
	world_end(&w);
}

static void an_interface_that_goes_costs_no_payload(void **state)
{
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(1));
	there = sim_flow(w.a, 0, MS(1), 200, 0);
	back = sim_flow(w.b, 0, MS(1), 200, 0);
	sim_run(w.sim, SECONDS(1));
	sim_iface_remove(&w.a->iface[0]);
	sim_check(w.sim, world_await_live(w.a, 0, 2, MS(1)));
	sim_run(w.sim, SECONDS(3));
	sim_iface_add(&w.a->iface[0]);
	sim_check(w.sim, world_await_live(w.a, 0, 4, MS(200)));
	sim_run(w.sim, SECONDS(1));
	sim_iface_remove(&w.a->iface[1]);
	sim_run(w.sim, SECONDS(1));
	there->stopped = back->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, world_lost(there, w.b), ==, 0);
	sim_compare(w.sim, there->accepted, ==, there->offered);
	sim_compare(w.sim, world_lost(back, w.a), ==, 0);
	sim_compare(w.sim, sim_sink(there, w.b)->longest_gap, <=, MS(25));
	world_end(&w);
}

static void interfaces_that_flap_all_the_time_harm_nobody(void **state)
{
	struct world w;
	struct sim_flow *there;

	(void)state;
	world_pair(&w, __func__, 3, 2);
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, MS(1), 200, 0);
	for (u32 n = 0; n < 500; n++) {
		struct sim_iface *i = &w.a->iface[1 + sim_rng_below(&w.sim->rng, 2)];

		if (i->wanted)
			sim_iface_remove(i);
		else
			sim_iface_add(i);
		sim_run(w.sim, MS(sim_rng_below(&w.sim->rng, 40)));
	}
	there->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, world_lost(there, w.b), ==, 0);
	world_end(&w);
}

static void a_second_interface_is_used_at_once(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(10));
	sim_iface_link(sim_iface(w.a, "wlan0", "203.0.200.1", NULL), &world_link);
	sim_check(w.sim, world_await_live(w.a, 0, 2, MS(200)));
	sim_check(w.sim, world_await_live(w.b, 0, 2, MS(200)));
	world_end(&w);
}

static void the_last_interface_may_go_and_come_back(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	for (u32 n = 0; n < 3; n++) {
		sim_iface_remove(&w.a->iface[0]);
		sim_run(w.sim, SECONDS(3 + 100 * n));
		sim_check(w.sim, !sim_connected(w.a, 0));
		sim_iface_add(&w.a->iface[0]);
		sim_check(w.sim, world_await_live(w.a, 0, 1, MS(500)));
		sim_check(w.sim, world_await_live(w.b, 0, 1, MS(100)));
	}
	world_check_traffic(&w);
	world_end(&w);
}

static void a_node_that_roams_goes_on_within_a_second(void **state)
{
	static const char *const address[] = { "203.0.50.1", "203.0.51.1", "203.0.1.1" };
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, MS(10), 200, 0);
	back = sim_flow(w.b, 0, MS(10), 200, 0);
	for (u32 n = 0; n < ARRAY_SIZE(address); n++) {
		sim_run(w.sim, SECONDS(3));
		sim_flow_mark(there);
		sim_flow_mark(back);
		sim_iface_readdress(&w.a->iface[0], address[n]);
		sim_run(w.sim, SECONDS(2));
		sim_compare(w.sim, sim_sink(there, w.b)->longest_gap, <=, MS(300));
		sim_compare(w.sim, sim_sink(back, w.a)->longest_gap, <=, MS(500));
		sim_compare(w.sim, w.sim->now - sim_sink(back, w.a)->last_at, <=, MS(50));
	}
	world_end(&w);
}

static void a_node_that_moves_behind_another_nat_goes_on(void **state)
{
	struct world w;
	struct sim_flow *back;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	world_start(&w, SECONDS(2));
	back = sim_flow(w.b, 0, MS(10), 200, 0);
	sim_run(w.sim, SECONDS(5));
	sim_iface_remove(&w.a->iface[0]);
	world_attach(w.a, WORLD_PORT_RESTRICTED, 7, NULL);
	check_resumes(back, w.a, SECONDS(1));
	world_check_traffic(&w);
	world_end(&w);
}

static void a_host_that_was_away_for_hours_is_back_in_a_moment(void **state)
{
	struct world w;
	struct sim_flow *there;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(5));
	w.a->iface[0].out.down = w.a->iface[0].in.down = true;
	sim_run(w.sim, SECONDS(7200));
	w.a->iface[0].out.down = w.a->iface[0].in.down = false;
	there = sim_flow(w.a, 0, MS(10), 200, 0);
	sim_check(w.sim, world_await(there, w.b, 1, SECONDS(15)));
	world_end(&w);
}

static void a_removed_peer_is_told_and_can_be_added_again(void **state)
{
	struct peer_options options = { .name = "b" };
	struct world w;
	u16 index;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	engine_remove_peer(w.a->engine, w.sim->now, 0);
	sim_poke(w.a);
	sim_run(w.sim, MS(100));
	sim_compare(w.sim, w.b->notices[NOTICE_PEER_CLOSED], ==, 1);
	__builtin_memcpy(options.public_key, w.b->identity.public_key, KEY_SIZE);
	sim_compare(w.sim, engine_add_peer(w.a->engine, w.sim->now, &options, &index), ==, 0);
	sim_compare(w.sim, index, ==, 0);
	engine_set_peer_endpoints(w.a->engine, w.sim->now, index, &w.b->iface[0].local, 1);
	sim_poke(w.a);
	sim_check(w.sim, world_await_live(w.a, 0, 1, SECONDS(1)));
	sim_check(w.sim, world_await_live(w.b, 0, 1, MS(100)));
	world_check_traffic(&w);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_restarts_is_back_within_a_second),
		cmocka_unit_test(
			a_peer_that_restarts_without_knowing_endpoints_is_back_within_a_second),
		cmocka_unit_test(a_peer_that_restarts_behind_a_nat_is_back_within_a_second),
		cmocka_unit_test(a_server_that_ended_and_comes_back_is_found_by_its_clients),
		cmocka_unit_test(both_restarting_at_once_are_back_within_a_second),
		cmocka_unit_test(an_interface_that_goes_costs_no_payload),
		cmocka_unit_test(interfaces_that_flap_all_the_time_harm_nobody),
		cmocka_unit_test(a_second_interface_is_used_at_once),
		cmocka_unit_test(the_last_interface_may_go_and_come_back),
		cmocka_unit_test(a_node_that_roams_goes_on_within_a_second),
		cmocka_unit_test(a_node_that_moves_behind_another_nat_goes_on),
		cmocka_unit_test(a_host_that_was_away_for_hours_is_back_in_a_moment),
		cmocka_unit_test(a_removed_peer_is_told_and_can_be_added_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
