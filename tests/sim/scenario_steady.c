/* SPDX-License-Identifier: MIT */
/*
 * scenario_steady.c - what must not go on for ever, and what must not stop for ever: handshakes with
 * a map that some interfaces cannot reach, counts across restarts, sessions nobody knows.
 */
#include "sim/world.h"

/* --- the map ------------------------------------------------------------------------------- */

static void check_handshakes_are_few(struct world *w)
{
	struct map_view view;
	u64 before;

	world_start(w, SECONDS(3));
	sim_run(w->sim, SECONDS(10));
	before = mapserver_stats(w->map->map)->handshakes;
	sim_run(w->sim, SECONDS(100));
	sim_compare(w->sim, mapserver_stats(w->map->map)->handshakes - before, <=, 4);
	sim_compare(w->sim, w->a->notices[NOTICE_MAP_LOST], ==, 0);
	sim_check(w->sim, engine_view_map(w->a->engine, 0, &view) && view.connected);
	world_end(w);
}

static void an_interface_that_cannot_reach_the_map_does_not_disturb_the_others(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	world_attach(w.a, WORLD_PORT_RESTRICTED, 3, NULL)->out.down = true;
	check_handshakes_are_few(&w);
}

static void an_interface_of_a_family_that_the_map_has_not_does_not_disturb_the_others(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	sim_iface_link(sim_iface(w.a, "eth1", "2001:db8::1", NULL), &world_link);
	check_handshakes_are_few(&w);
}

static void a_map_that_answers_slowly_is_not_taken_for_lost(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	w.map->iface[0].out.delay = w.map->iface[0].in.delay = MS(300);
	check_handshakes_are_few(&w);
}

/* --- counts -------------------------------------------------------------------------------- */

static void find_paths(struct world *w, struct path_view *a, struct path_view *b)
{
	sim_check(w->sim, sim_find_path(w->a, 0, &w->a->iface[0], NULL, a));
	sim_check(w->sim, sim_find_path(w->b, 0, &w->b->iface[0], NULL, b));
}

static void let_flow(struct world *w, struct sim_host *from)
{
	sim_flow(from, 0, MS(1), 100, 1000);
	sim_run(w->sim, SECONDS(12));
	sim_settle(w->sim, SECONDS(1));
}

static void counts_hold_when_the_receiver_restarts(void **state)
{
	struct path_view a, b, a_before, b_before;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	let_flow(&w, w.a);
	find_paths(&w, &a_before, &b_before);
	sim_kill(w.b);
	sim_flow(w.a, 0, MS(1), 100, 1000);
	sim_run(w.sim, SECONDS(2));
	sim_start(w.b);
	let_flow(&w, w.a);
	find_paths(&w, &a, &b);
	sim_compare(w.sim, a_before.sent_lost, ==, 0);
	sim_compare(w.sim, b.received_lost, <=, 2);
	/* What came after b's last report counts as lost. */
	sim_compare(w.sim, b_before.first + b.first + a.sent_lost - a.sent, >=, 0);
	sim_compare(w.sim, b_before.first + b.first + a.sent_lost - a.sent, <=, 5);
	world_end(&w);
}

static void counts_hold_when_the_sender_restarts(void **state)
{
	struct path_view a, b, a_before, b_before;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	let_flow(&w, w.a);
	find_paths(&w, &a_before, &b_before);
	sim_kill(w.a);
	sim_run(w.sim, SECONDS(2));
	sim_start(w.a);
	let_flow(&w, w.a);
	find_paths(&w, &a, &b);
	sim_compare(w.sim, b.received_lost, ==, 0);
	sim_compare(w.sim, a.sent_lost, ==, 0);
	sim_compare(w.sim, b.first, ==, a_before.sent + a.sent);
	world_end(&w);
}

static void what_never_left_is_not_counted_as_lost(void **state)
{
	struct path_view a, b;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.a->tunnel[0].send_deadline = MS(20);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(1));
	for (u32 n = 0; n < 10; n++) {
		sim_flow(w.a, 0, MS(1), 100, 250);
		sim_run(w.sim, MS(100));
		w.a->iface[0].blocked = true;
		sim_run(w.sim, MS(130));
		w.a->iface[0].blocked = false;
		sim_poke(w.a);
		sim_run(w.sim, MS(100));
	}
	sim_run(w.sim, SECONDS(12));
	sim_settle(w.sim, SECONDS(1));
	find_paths(&w, &a, &b);
	sim_compare(w.sim, b.received_lost, ==, 0);
	sim_compare(w.sim, a.sent_lost, ==, 0);
	sim_compare(w.sim, a.sent, ==, b.first + b.duplicate);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_interface_that_cannot_reach_the_map_does_not_disturb_the_others),
		cmocka_unit_test(
			an_interface_of_a_family_that_the_map_has_not_does_not_disturb_the_others),
		cmocka_unit_test(a_map_that_answers_slowly_is_not_taken_for_lost),
		cmocka_unit_test(counts_hold_when_the_receiver_restarts),
		cmocka_unit_test(counts_hold_when_the_sender_restarts),
		cmocka_unit_test(what_never_left_is_not_counted_as_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
