/* SPDX-License-Identifier: MIT */
/*
 * scenario_size.c - how large datagrams may be, and what becomes of payloads that are larger.
 */
#include "sim/world.h"

#include <stdio.h>

#include "core/engine/engine_internal.h"

static void check_mtu_found(const char *name, u32 mtu, bool ipv6)
{
	const u32 header = ipv6 ? 48 : 28;
	struct path_view v;
	struct world w = { .sim = sim_create(name) };
	struct sim_iface *i;
	u64 lost;

	w.a = sim_node(w.sim, "a");
	w.b = sim_node(w.sim, "b");
	i = sim_iface(w.a, "eth0", ipv6 ? "2001:db8::1" : "203.0.1.1", NULL);
	sim_iface_link(i, &world_link);
	sim_iface(w.b, "eth0", ipv6 ? "2001:db8:1::1" : "203.0.2.1", NULL);
	i->out.mtu = i->in.mtu = mtu;
	sim_befriend(w.a, w.b, true);
	sim_tunnel_named(w.a, "data");
	sim_tunnel_named(w.b, "data");
	world_start(&w, SECONDS(2));
	for (u32 n = 0; n < 200; n++) { /* what it loses is no loss of the path, at no time */
		sim_run(w.sim, MS(100));
		if (sim_find_path(w.a, 0, i, NULL, &v))
			sim_compare(w.sim, (u64)(v.loss_out * 1e6), ==, 0);
	}
	path_judged_out(&w.a->engine->peers[0]->paths[0], &lost);
	sim_compare(w.sim, lost, ==, 0);
	sim_check(w.sim, sim_find_path(w.a, 0, i, NULL, &v));
	sim_compare(w.sim, v.mtu, <=, mtu - header);
	sim_compare(w.sim, v.mtu, >, mtu - header - PMTU_STEP);
	world_check_traffic(&w);
	world_end(&w);
}

static void the_search_finds_what_the_link_carries(void **state)
{
	static const u32 mtu[] = { 1500, 1492, 1460, 1400, 1320, 1280 };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(mtu); n++) {
		check_mtu_found(__func__, mtu[n], false);
		check_mtu_found(__func__, mtu[n], true);
	}
}

static void the_search_finds_a_jumbo_link(void **state)
{
	struct path_view v;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.a->iface[0].mtu = w.b->iface[0].mtu = 9000;
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(30));
	sim_check(w.sim, sim_find_path(w.a, 0, &w.a->iface[0], NULL, &v));
	sim_compare(w.sim, v.mtu, >, 9000 - 28 - PMTU_STEP);
	sim_compare(w.sim, v.mtu, <=, 9000 - 28);
	world_end(&w);
}

static void payloads_fit_the_narrowest_of_the_paths(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	w.a->iface[1].out.mtu = w.a->iface[1].in.mtu = 1300;
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	f = sim_flow(w.a, 0, MS(2), 1400, 0);
	sim_run(w.sim, SECONDS(10));
	w.a->iface[0].out.down = w.a->iface[0].in.down = true;
	sim_run(w.sim, SECONDS(2));
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, world_lost(f, w.b), ==, 0);
	world_end(&w);
}

static void payloads_of_any_size_arrive_intact(void **state)
{
	struct sim_flow *f[200];
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	for (u32 round = 0; round < 2; round++) {
		for (u32 n = 0; n < ARRAY_SIZE(f); n++) {
			u32 size = 1100 + n * 3;

			if (n < 40)
				size = SIM_FLOW_MIN + n;
			else if (n >= 180)
				size = BUF_PAYLOAD_MAX - (n - 180) * 613;
			f[n] = sim_flow(w.a, 0, MS(1), size, 1);
			sim_run(w.sim, MS(5));
		}
		sim_run(w.sim, SECONDS(1));
		for (u32 n = 0; n < ARRAY_SIZE(f); n++) {
			if (sim_received(f[n], w.b) != 1)
				sim_fail(w.sim, "%u bytes are lost", f[n]->size);
		}
		sim_run(w.sim, SECONDS(20)); /* now with the MTU known */
	}
	world_end(&w);
}

static void the_largest_payloads_survive_five_percent_loss(void **state)
{
	struct world w;
	struct sim_flow *f;
	const u64 count = world_scale(500);

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(1)));
	sim_run(w.sim, SECONDS(10));
	w.a->iface[0].out.loss = w.a->iface[1].out.loss = 0.05;
	f = sim_flow(w.a, 0, MS(10), BUF_PAYLOAD_MAX, count);
	sim_run(w.sim, SECONDS(7));
	/* 48 fragments, each lost with 0.05^4 */
	sim_compare(w.sim, f->accepted, ==, count);
	sim_compare(w.sim, world_lost(f, w.b), <=, 3);
	world_end(&w);
}

static void incomplete_payloads_are_counted_and_forgotten(void **state)
{
	struct tunnel_view view;
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	w.a->iface[0].out.loss = 0.05;
	f = sim_flow(w.a, 0, MS(10), 20000, 500);
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, sim_received(f, w.b), >, 100);
	sim_compare(w.sim, sim_received(f, w.b), <, 400);
	sim_check(w.sim, engine_view_tunnel(w.b->engine, 0, &view));
	sim_compare(w.sim, view.drops.count[DROP_INCOMPLETE], >, 50);
	sim_compare(w.sim, pool_available(w.b->pool), ==, SIM_POOL);
	world_end(&w);
}

static void fragments_in_any_order_are_put_together(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	world_start(&w, SECONDS(2));
	for (u32 i = 0; i < 2; i++) {
		w.a->iface[i].out.reorder = 0.5;
		w.a->iface[i].out.reorder_delay = MS(15);
		w.a->iface[i].out.duplicate = 0.2;
	}
	f = sim_flow(w.a, 0, MS(5), 9000, 500);
	sim_run(w.sim, SECONDS(4));
	sim_compare(w.sim, sim_received(f, w.b), ==, 500);
	world_end(&w);
}

static void a_refused_size_lowers_the_mtu_and_is_no_failure(void **state)
{
	struct iface_view view;
	struct path_view v;
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(20));
	w.a->iface[0].mtu = 1400; /* the kernel knows, nobody told the engine */
	f = sim_flow(w.a, 0, MS(2), 1440, 1000);
	sim_run(w.sim, SECONDS(3));
	sim_compare(w.sim, sim_received(f, w.b), >=, 990);
	sim_check(w.sim, sim_find_path(w.a, 0, &w.a->iface[0], NULL, &v));
	sim_compare(w.sim, v.mtu, <=, 1400 - 28);
	sim_check(w.sim, engine_view_iface(w.a->engine, w.a->iface[0].id, &view));
	sim_check(w.sim, !view.resting);
	sim_compare(w.sim, w.a->notices[NOTICE_IFACE_RESTS], ==, 0);
	world_end(&w);
}

static void an_mtu_told_by_the_kernel_is_heeded_at_once(void **state)
{
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(20));
	f = sim_flow(w.a, 0, MS(2), 1440, 1000);
	sim_run(w.sim, SECONDS(1));
	w.a->iface[0].mtu = 1300;
	engine_iface_set_mtu(w.a->engine, w.sim->now, w.a->iface[0].id, 1300);
	sim_poke(w.a);
	sim_run(w.sim, SECONDS(2));
	sim_compare(w.sim, sim_received(f, w.b), ==, 1000);
	world_end(&w);
}

/* Whether many payloads are lost on the way or few. */
static void a_path_that_narrows_silently_carries_large_payloads_again(void **state)
{
	static const u64 intervals[] = { MS(1), MS(10), MS(40), MS(100) };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(intervals); n++) {
		struct world w;
		struct sim_flow *f;
		u64 before;

		world_pair(&w, __func__, 1, 1);
		world_start(&w, SECONDS(2));
		sim_run(w.sim, SECONDS(20));
		f = sim_flow(w.a, 0, intervals[n], 1440, 0);
		sim_run(w.sim, SECONDS(1) + MS(n * 17));
		before = world_lost(f, w.b);
		w.a->iface[0].out.mtu = w.a->iface[0].in.mtu = 1320;
		sim_run(w.sim, SECONDS(10));
		/* Three payloads until it shows, and a third of a second to find out. */
		sim_compare(w.sim, (world_lost(f, w.b) - before) * intervals[n], <,
			    MS(350) + 4 * intervals[n]);
		world_end(&w);
	}
}

static void begin_idle(struct world *w, const char *name, u32 links)
{
	world_pair(w, name, links, 1);
	w->a->keepalive_interval = w->b->keepalive_interval = SECONDS(25);
	world_start(w, SECONDS(2));
	sim_run(w->sim, SECONDS(30));
}

static void cut(struct world *w, u64 duration)
{
	w->a->iface[0].out.down = w->a->iface[0].in.down = true;
	sim_run(w->sim, duration);
	w->a->iface[0].out.down = w->a->iface[0].in.down = false;
}

static u32 mtu_of(struct world *w, u32 path)
{
	struct path_view v;

	sim_check(w->sim, engine_view_path(w->a->engine, 0, path, &v));
	return v.mtu;
}

static void the_full_size_comes_back_after_a_second_of_silence(void **state)
{
	struct world w;

	(void)state;
	begin_idle(&w, __func__, 1);
	sim_compare(w.sim, mtu_of(&w, 0), ==, 1472);
	cut(&w, SECONDS(1));
	sim_run(w.sim, SECONDS(600));
	sim_compare(w.sim, mtu_of(&w, 0), ==, 1472);
	world_end(&w);
}

static void silence_of_an_idle_link_is_no_matter_of_size(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	w.a->keepalive_interval = w.b->keepalive_interval = SECONDS(25);
	w.a->iface[1].mtu = 1228;
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(30));
	cut(&w, SECONDS(8));
	sim_run(w.sim, SECONDS(3));
	sim_compare(w.sim, w.a->engine->peers[0]->datagram_max, ==, 1200);
	sim_compare(w.sim, mtu_of(&w, 0), ==, 1472);
	world_end(&w);
}

/* Nor is one that begins before data does, nor what the search for its size loses. */
static void only_large_losses_put_a_size_in_doubt(void **state)
{
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	w.a->iface[0].out.mtu = w.a->iface[0].in.mtu = 1400;
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(70)); /* it has looked for a larger one */
	for (u32 n = 0; n < 8; n++) {
		struct sim_flow *f;

		w.a->iface[0].out.down = w.a->iface[0].in.down = true;
		f = sim_flow(w.a, 0, MS(1), 1300, 0);
		sim_run(w.sim, n % 2 ? SECONDS(1) : SECONDS(4));
		w.a->iface[0].out.down = w.a->iface[0].in.down = false;
		sim_run(w.sim, SECONDS(3) + MS(n * 17));
		f->stopped = true;
		sim_run(w.sim, SECONDS(5));
	}
	sim_compare(w.sim, w.a->engine->peers[0]->paths[0].pmtu.doubted_at, ==, 0);
	sim_compare(w.sim, w.a->engine->peers[0]->paths[1].pmtu.doubted_at, ==, 0);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_search_finds_what_the_link_carries),
		cmocka_unit_test(the_search_finds_a_jumbo_link),
		cmocka_unit_test(payloads_fit_the_narrowest_of_the_paths),
		cmocka_unit_test(payloads_of_any_size_arrive_intact),
		cmocka_unit_test(the_largest_payloads_survive_five_percent_loss),
		cmocka_unit_test(incomplete_payloads_are_counted_and_forgotten),
		cmocka_unit_test(fragments_in_any_order_are_put_together),
		cmocka_unit_test(a_refused_size_lowers_the_mtu_and_is_no_failure),
		cmocka_unit_test(an_mtu_told_by_the_kernel_is_heeded_at_once),
		cmocka_unit_test(a_path_that_narrows_silently_carries_large_payloads_again),
		cmocka_unit_test(the_full_size_comes_back_after_a_second_of_silence),
		cmocka_unit_test(silence_of_an_idle_link_is_no_matter_of_size),
		cmocka_unit_test(only_large_losses_put_a_size_in_doubt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
