/* SPDX-License-Identifier: MIT */
/*
 * scenario_rekey.c - an hour of traffic: keys change every two minutes, and nobody notices.
 */
#include "sim/world.h"
#include "warp/session.h"

#define HOUR (3600 * NS_PER_S)

struct rekeys {
	u64 since, changes;
};

/* Looks at the age of the session every five seconds. */
static void watch(struct world *w, struct rekeys *r, u64 duration)
{
	for (u64 at = 0; at < duration; at += SECONDS(5)) {
		struct peer_view v;

		sim_run(w->sim, SECONDS(5));
		sim_check(w->sim, engine_view_peer(w->a->engine, 0, &v) && v.session);
		sim_compare(w->sim, w->sim->now - v.session_since, <=, SESSION_REJECT_AFTER);
		r->changes += v.session_since != r->since;
		r->since = v.session_since;
	}
}

static void an_hour_of_traffic_loses_nothing_to_rekeys(void **state)
{
	const u64 count = world_scale(200000);
	struct rekeys rekeys = { 0 };
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, HOUR / count, 100, count);
	back = sim_flow(w.b, 0, HOUR / (count / 2), 100, count / 2);
	watch(&w, &rekeys, HOUR + SECONDS(5));
	sim_compare(w.sim, sim_received(there, w.b), ==, count);
	sim_compare(w.sim, sim_received(back, w.a), ==, count / 2);
	sim_compare(w.sim, rekeys.changes, >=, 25);
	sim_compare(w.sim, rekeys.changes, <=, 35);
	sim_compare(w.sim, w.a->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	world_end(&w);
}

static void rekeys_under_loss_cost_no_more_than_the_loss(void **state)
{
	const u64 count = world_scale(100000);
	struct rekeys rekeys = { 0 };
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	w.a->iface[0].out.loss = w.a->iface[0].in.loss = 0.05;
	there = sim_flow(w.a, 0, HOUR / count, 100, count);
	back = sim_flow(w.b, 0, HOUR / count, 100, count);
	watch(&w, &rekeys, HOUR + SECONDS(5));
	sim_compare(w.sim, there->accepted, ==, count);
	sim_compare(w.sim, back->accepted, ==, count);
	sim_compare(w.sim, world_lost(there, w.b) * 100, <=, count * 6 + 1000);
	sim_compare(w.sim, world_lost(back, w.a) * 100, <=, count * 6 + 1000);
	sim_compare(w.sim, rekeys.changes, >=, 25);
	sim_compare(w.sim, w.a->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	world_end(&w);
}

static void two_paths_of_different_delay_lose_nothing_to_rekeys(void **state)
{
	const u64 count = world_scale(50000);
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	w.a->iface[1].out.delay = MS(400);
	w.a->iface[1].in.delay = MS(150);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(5)));
	w.a->iface[0].out.loss = 0.3;
	there = sim_flow(w.a, 0, HOUR / count, 100, count);
	back = sim_flow(w.b, 0, HOUR / count, 100, count);
	sim_run(w.sim, HOUR + SECONDS(5));
	sim_compare(w.sim, sim_received(there, w.b), ==, count);
	sim_compare(w.sim, sim_received(back, w.a), ==, count);
	world_end(&w);
}

static void an_idle_session_stays_usable(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	for (u32 n = 0; n < 10; n++) {
		struct sim_flow *f;

		sim_run(w.sim, SECONDS(100 + 37 * n));
		f = sim_flow(n % 2 ? w.a : w.b, 0, MS(1), 100, 1);
		sim_run(w.sim, MS(100));
		sim_compare(w.sim, sim_received(f, n % 2 ? w.b : w.a), ==, 1);
	}
	world_end(&w);
}

static void traffic_one_way_only_is_rekeyed_too(void **state)
{
	struct world w;
	struct sim_flow *back;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.b->peer[0].endpoint_count = 0; /* a has initiated, b sends */
	world_start(&w, SECONDS(2));
	back = sim_flow(w.b, 0, MS(100), 100, 6000);
	sim_run(w.sim, SECONDS(605));
	sim_compare(w.sim, sim_received(back, w.a), ==, 6000);
	world_end(&w);
}

static void a_rekey_that_fails_is_tried_again_until_it_works(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(110));
	w.a->iface[0].out.down = w.a->iface[0].in.down = true;
	sim_run(w.sim, SECONDS(200)); /* past the life of the keys */
	w.a->iface[0].out.down = w.a->iface[0].in.down = false;
	f = sim_flow(w.a, 0, MS(10), 100, 0);
	sim_check(w.sim, world_await(f, w.b, 1, SECONDS(6)));
	world_check_traffic(&w);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_hour_of_traffic_loses_nothing_to_rekeys),
		cmocka_unit_test(rekeys_under_loss_cost_no_more_than_the_loss),
		cmocka_unit_test(two_paths_of_different_delay_lose_nothing_to_rekeys),
		cmocka_unit_test(an_idle_session_stays_usable),
		cmocka_unit_test(traffic_one_way_only_is_rekeyed_too),
		cmocka_unit_test(a_rekey_that_fails_is_tried_again_until_it_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
