/* SPDX-License-Identifier: MIT */
/*
 * scenario_paths.c - paths that fall silent, recover, are slow, narrow or refused by the kernel; on
 * which of them copies go.
 */
#include "sim/world.h"

#include <errno.h>
#include <stdio.h>

static void pair_with_live_paths(struct world *w, const char *name, u32 ifaces_a, u32 ifaces_b)
{
	world_pair(w, name, ifaces_a, ifaces_b);
	world_start(w, SECONDS(2));
	sim_check(w->sim, world_await_live(w->a, 0, ifaces_a * ifaces_b, SECONDS(1)));
	sim_check(w->sim, world_await_live(w->b, 0, ifaces_a * ifaces_b, SECONDS(1)));
	sim_run(w->sim, SECONDS(2));
}

/* --- silence ------------------------------------------------------------------------------- */

static void a_silent_path_is_demoted_in_300_ms_and_used_again_in_1_s(void **state)
{
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	pair_with_live_paths(&w, __func__, 2, 1);
	there = sim_flow(w.a, 0, MS(5), 200, 0);
	back = sim_flow(w.b, 0, MS(5), 200, 0);
	for (u32 n = 0; n < 10; n++) {
		sim_run(w.sim, SECONDS(2) + MS(37 * n));
		w.a->iface[0].out.down = n % 3 != 1;
		w.a->iface[0].in.down = n % 3 != 2;
		sim_check(w.sim, world_await_live(w.a, 0, 1, MS(300)));
		sim_check(w.sim, world_await_live(w.b, 0, 1, MS(300)));
		sim_run(w.sim, MS(300 * n * n));
		w.a->iface[0].out.down = w.a->iface[0].in.down = false;
		sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
		sim_check(w.sim, world_await_live(w.b, 0, 2, SECONDS(1)));
	}
	there->stopped = back->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, world_lost(there, w.b), ==, 0);
	sim_compare(w.sim, world_lost(back, w.a), ==, 0);
	world_end(&w);
}

/* Whatever was on its way when the link went down may still be a sign of life. */
static void a_silent_path_of_100_ms_is_demoted_in_300_ms_too(void **state)
{
	struct world w;

	(void)state;
	pair_with_live_paths(&w, __func__, 2, 1);
	w.a->iface[0].out.delay = w.a->iface[0].in.delay = MS(40);
	sim_flow(w.a, 0, MS(5), 200, 0);
	sim_flow(w.b, 0, MS(5), 200, 0);
	for (u32 n = 0; n < 20; n++) {
		const bool out = n % 3 != 1, in = n % 3 != 2;

		sim_run(w.sim, SECONDS(3) + MS(7 * n));
		w.a->iface[0].out.down = out;
		w.a->iface[0].in.down = in;
		sim_run(w.sim, in ? MS(40) : MS(100)); /* until its last answer is here */
		sim_check(w.sim, world_await_live(w.a, 0, 1, MS(300)));
		sim_run(w.sim, out ? 0 : MS(60));
		sim_check(w.sim, world_await_live(w.b, 0, 1, MS(300)));
		w.a->iface[0].out.down = w.a->iface[0].in.down = false;
		sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
		sim_check(w.sim, world_await_live(w.b, 0, 2, SECONDS(1)));
	}
	world_end(&w);
}

/* Answers that took long for a while do not make it patient. */
static void silence_shows_as_soon_after_a_time_of_delay(void **state)
{
	struct world w;

	(void)state;
	pair_with_live_paths(&w, __func__, 2, 1);
	sim_flow(w.a, 0, MS(5), 200, 0);
	sim_flow(w.b, 0, MS(5), 200, 0);
	for (u32 n = 0; n < 10; n++) {
		struct sim_iface *i = &w.a->iface[0];
		const u64 delay = i->out.delay;

		sim_run(w.sim, SECONDS(1));
		i->out.delay = i->in.delay = MS(510);
		sim_run(w.sim, SECONDS(2));
		i->out.delay = i->in.delay = delay;
		sim_run(w.sim, SECONDS(1) + MS(100 + 17 * n));
		i->out.down = i->in.down = true;
		sim_check(w.sim, world_await_live(w.a, 0, 1, MS(300)));
		sim_check(w.sim, world_await_live(w.b, 0, 1, MS(300)));
		i->out.down = i->in.down = false;
		sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	}
	world_end(&w);
}

/* How often a path between a and b, each of whose links loses so much, changes its state, a minute. */
static double changes_a_minute(const char *name, double loss, u64 delay, u64 jitter)
{
	const u64 minutes = 1 + world_scale(9);
	struct world w;
	u64 changes;

	pair_with_live_paths(&w, name, 1, 1);
	w.a->iface[0].out.delay = w.a->iface[0].in.delay = delay;
	w.a->iface[0].out.jitter = w.a->iface[0].in.jitter = jitter;
	sim_flow(w.a, 0, MS(20), 200, 0);
	sim_flow(w.b, 0, MS(20), 200, 0);
	sim_run(w.sim, SECONDS(5));
	w.a->iface[0].out.loss = w.a->iface[0].in.loss = loss;
	changes = w.a->notices[NOTICE_PATH_STATE] + w.b->notices[NOTICE_PATH_STATE];
	sim_run(w.sim, minutes * SECONDS(60));
	changes = w.a->notices[NOTICE_PATH_STATE] + w.b->notices[NOTICE_PATH_STATE] - changes;
	world_end(&w);
	return (double)changes / 2 / (double)minutes;
}

static void a_lossy_path_stays_live(void **state)
{
	static const struct {
		double loss;
		u64 delay, jitter;
		double most;
	} of[] = {
		{ 0.05, MS(1), 0, 0.5 }, { 0.05, MS(10), MS(5), 0.5 }, { 0.05, MS(40), MS(5), 2 },
		{ 0.10, MS(1), 0, 0.5 }, { 0.10, MS(10), MS(5), 2 },   { 0.10, MS(40), MS(5), 8 },
	};

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(of); n++) {
		const double changes =
			changes_a_minute(__func__, of[n].loss, of[n].delay, of[n].jitter);

		printf("loss %.0f %%, round trip %llu ms: %.1f changes a minute\n",
		       100 * of[n].loss, (unsigned long long)(2 * of[n].delay / NS_PER_MS + 20),
		       changes);
		assert_true(changes <= of[n].most);
	}
}

static void the_only_path_goes_and_comes_back(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	pair_with_live_paths(&w, __func__, 1, 1);
	f = sim_flow(w.a, 0, MS(5), 200, 0);
	for (u32 n = 0; n < 6; n++) {
		sim_run(w.sim, SECONDS(3));
		w.b->iface[0].out.down = w.b->iface[0].in.down = true;
		sim_run(w.sim, MS(250) + SECONDS(n * n * n));
		w.b->iface[0].out.down = w.b->iface[0].in.down = false;
		sim_check(w.sim, world_await(f, w.b, sim_received(f, w.b) + 1, SECONDS(1)));
	}
	world_end(&w);
}

static void a_silent_path_is_noticed_without_traffic_too(void **state)
{
	struct world w;

	(void)state;
	pair_with_live_paths(&w, __func__, 2, 1);
	sim_run(w.sim, SECONDS(60));
	w.a->iface[0].out.down = true;
	sim_check(w.sim, world_await_live(w.a, 0, 1, SECONDS(12)));
	world_end(&w);
}

static void a_lossy_path_is_not_taken_for_a_restarted_peer(void **state)
{
	struct peer_view v;
	struct world w;
	u64 since = 0, sessions = 0;

	(void)state;
	pair_with_live_paths(&w, __func__, 1, 1);
	w.a->iface[0].out.loss = w.a->iface[0].in.loss = 0.1;
	sim_flow(w.a, 0, MS(5), 200, 0);
	sim_flow(w.b, 0, MS(5), 200, 0);
	for (u32 n = 0; n < 240; n++) {
		sim_run(w.sim, MS(250));
		sim_check(w.sim, engine_view_peer(w.a->engine, 0, &v));
		sessions += v.session_since != since;
		since = v.session_since;
	}
	sim_compare(w.sim, sessions, <=, 6); /* each by a silence of half a second */
	sim_compare(w.sim, w.a->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	sim_compare(w.sim, w.b->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	world_end(&w);
}

static void a_slow_path_harms_nobody(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	pair_with_live_paths(&w, __func__, 2, 1);
	w.a->iface[1].out.delay = MS(300);
	w.a->iface[1].in.delay = MS(300);
	f = sim_flow(w.a, 0, MS(1), 1000, 5000);
	sim_run(w.sim, SECONDS(6));
	sim_compare(w.sim, sim_received(f, w.b), ==, 5000);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, MS(21));
	sim_compare(w.sim, sim_sink(f, w.b)->out_of_order, ==, 0);
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(2)));
	world_end(&w);
}

static void a_narrow_path_loses_its_own_copies_only(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	pair_with_live_paths(&w, __func__, 2, 1);
	w.a->iface[1].out.rate = 20000;
	w.a->iface[1].out.queue = 40000;
	f = sim_flow(w.a, 0, MS(1), 1000, 5000);
	sim_run(w.sim, SECONDS(6));
	sim_compare(w.sim, sim_received(f, w.b), ==, 5000);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, MS(21));
	world_end(&w);
}

/* --- the kernel ---------------------------------------------------------------------------- */

static void a_blocked_interface_holds_up_no_other(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	pair_with_live_paths(&w, __func__, 2, 1);
	w.a->iface[1].blocked = true;
	f = sim_flow(w.a, 0, MS(1), 1000, 5000);
	sim_run(w.sim, SECONDS(6));
	sim_compare(w.sim, sim_received(f, w.b), ==, 5000);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, MS(21));
	sim_compare(w.sim, engine_pending(w.a->engine, 0), <=, OUTBOX_SIZE);
	w.a->iface[1].blocked = false;
	sim_poke(w.a);
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, engine_pending(w.a->engine, 0), ==, 0);
	world_check_traffic(&w);
	world_end(&w);
}

static void what_misses_its_deadline_is_never_sent(void **state)
{
	struct tunnel_options options = { .name = "late", .send_deadline = 20 * NS_PER_MS };
	struct tunnel_view view;
	struct world w;
	struct sim_flow *f;
	u16 tunnel;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	tunnel = sim_tunnel(w.a, &options);
	sim_tunnel(w.b, &options);
	world_start(&w, SECONDS(2));
	w.a->iface[0].blocked = true;
	f = sim_flow(w.a, tunnel, MS(1), 200, 100);
	sim_run(w.sim, MS(99) + 500 * NS_PER_US);
	w.a->iface[0].blocked = false;
	sim_poke(w.a);
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, sim_received(f, w.b), >=, 19);
	sim_compare(w.sim, sim_received(f, w.b), <=, 21);
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, MS(41));
	sim_check(w.sim, engine_view_tunnel(w.a->engine, tunnel, &view));
	sim_compare(w.sim, view.drops.count[DROP_DEADLINE], ==, 100 - sim_received(f, w.b));
	world_end(&w);
}

static void an_interface_that_errs_rests_and_is_tried_again(void **state)
{
	struct iface_view view;
	struct world w;
	struct sim_flow *f;

	(void)state;
	pair_with_live_paths(&w, __func__, 2, 1);
	f = sim_flow(w.a, 0, MS(1), 200, 0);
	w.a->iface[0].send_error = ENETUNREACH;
	sim_run(w.sim, SECONDS(2));
	sim_compare(w.sim, w.a->notices[NOTICE_IFACE_RESTS], >=, 1);
	sim_check(w.sim, engine_view_iface(w.a->engine, w.a->iface[0].id, &view));
	sim_check(w.sim, view.resting && view.send_errors >= 10);
	w.a->iface[0].send_error = 0;
	sim_run(w.sim, SECONDS(15));
	sim_check(w.sim, engine_view_iface(w.a->engine, w.a->iface[0].id, &view));
	sim_check(w.sim, !view.resting);
	sim_compare(w.sim, sim_paths_in_state(w.a, 0, PATH_LIVE), ==, 2);
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, world_lost(f, w.b), ==, 0);
	world_end(&w);
}

/* --- copies -------------------------------------------------------------------------------- */

static void run_copies(struct world *w, const char *name, u32 copies, u64 ret_carried[2])
{
	struct tunnel_options options = { .name = "few", .copies = copies };
	u64 before[2];
	struct sim_flow *f;
	u16 tunnel;

	world_pair(w, name, 2, 2);
	tunnel = sim_tunnel(w->a, &options);
	sim_tunnel(w->b, &options);
	world_start(w, SECONDS(2));
	sim_check(w->sim, world_await_live(w->a, 0, 4, SECONDS(1)));
	sim_run(w->sim, SECONDS(5));
	for (u32 i = 0; i < 2; i++)
		before[i] = w->a->iface[i].out.carried;
	f = sim_flow(w->a, tunnel, MS(1), 200, 2000);
	sim_run(w->sim, SECONDS(3));
	sim_compare(w->sim, sim_received(f, w->b), ==, 2000);
	for (u32 i = 0; i < 2; i++)
		ret_carried[i] = w->a->iface[i].out.carried - before[i];
}

static void two_copies_go_out_on_two_interfaces(void **state)
{
	struct world w;
	u64 carried[2];

	(void)state;
	run_copies(&w, __func__, 2, carried);
	for (u32 i = 0; i < 2; i++) {
		sim_compare(w.sim, carried[i], >=, 2000);
		sim_compare(w.sim, carried[i], <=, 2200);
	}
	world_end(&w);
}

static void one_copy_goes_out_once(void **state)
{
	struct world w;
	u64 carried[2];

	(void)state;
	run_copies(&w, __func__, 1, carried);
	sim_compare(w.sim, carried[0] + carried[1], >=, 2000);
	sim_compare(w.sim, carried[0] + carried[1], <=, 2300);
	world_end(&w);
}

static void limited_copies_move_away_from_a_dead_interface(void **state)
{
	struct tunnel_options options = { .name = "few", .copies = 1 };
	struct world w;
	struct sim_flow *f;
	u16 tunnel;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	tunnel = sim_tunnel(w.a, &options);
	sim_tunnel(w.b, &options);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	f = sim_flow(w.a, tunnel, MS(1), 200, 0);
	for (u32 i = 0; i < 2; i++) {
		sim_run(w.sim, SECONDS(2));
		sim_flow_mark(f);
		w.a->iface[i].out.down = w.a->iface[i].in.down = true;
		sim_run(w.sim, SECONDS(2));
		sim_compare(w.sim, sim_sink(f, w.b)->longest_gap, <=, MS(320));
		sim_compare(w.sim, w.sim->now - sim_sink(f, w.b)->last_at, <=, MS(5));
		w.a->iface[i].out.down = w.a->iface[i].in.down = false;
	}
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_path_is_demoted_in_300_ms_and_used_again_in_1_s),
		cmocka_unit_test(a_silent_path_of_100_ms_is_demoted_in_300_ms_too),
		cmocka_unit_test(silence_shows_as_soon_after_a_time_of_delay),
		cmocka_unit_test(a_lossy_path_stays_live),
		cmocka_unit_test(the_only_path_goes_and_comes_back),
		cmocka_unit_test(a_silent_path_is_noticed_without_traffic_too),
		cmocka_unit_test(a_lossy_path_is_not_taken_for_a_restarted_peer),
		cmocka_unit_test(a_slow_path_harms_nobody),
		cmocka_unit_test(a_narrow_path_loses_its_own_copies_only),
		cmocka_unit_test(a_blocked_interface_holds_up_no_other),
		cmocka_unit_test(what_misses_its_deadline_is_never_sent),
		cmocka_unit_test(an_interface_that_errs_rests_and_is_tried_again),
		cmocka_unit_test(two_copies_go_out_on_two_interfaces),
		cmocka_unit_test(one_copy_goes_out_once),
		cmocka_unit_test(limited_copies_move_away_from_a_dead_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
