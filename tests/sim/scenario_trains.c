/* SPDX-License-Identifier: MIT */
/*
 * scenario_trains.c - payloads that come in bursts leave in trains; nobody at the far end can tell.
 */
#include "sim/world.h"

#include <errno.h>

#define BURST 32u

static struct sim_flow *bursts(struct sim_host *from, u16 tunnel, u32 size, u64 count)
{
	struct sim_flow *f = sim_flow(from, tunnel, MS(5), size, count);

	f->burst = BURST;
	return f;
}

static void a_burst_leaves_in_few_trains_and_arrives_whole(void **state)
{
	const u64 count = world_scale(20000);
	struct sim_flow *there, *back;
	struct world w;
	u64 trains, sent;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(1)));
	sim_run(w.sim, SECONDS(5));
	trains = w.a->trains;
	sent = w.a->sent;
	there = bursts(w.a, 0, 1000, count);
	back = bursts(w.b, 0, 200, count);
	sim_run(w.sim, SECONDS(4));
	sim_compare(w.sim, sim_received(there, w.b), ==, count);
	sim_compare(w.sim, sim_received(back, w.a), ==, count);
	sim_compare(w.sim, w.a->sent - sent, >=, 4 * count);
	sim_compare(w.sim, w.a->trains - trains, <=, 4 * count / (BURST / 2) + 500);
	world_end(&w);
}

static void what_a_train_loses_another_path_delivers(void **state)
{
	const u64 count = world_scale(50000);
	struct sim_flow *f;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(1)));
	w.a->iface[0].out.loss = w.a->iface[1].out.loss = 0.1;
	w.a->iface[0].out.jitter = MS(3);
	f = bursts(w.a, 0, 300, count);
	sim_run(w.sim, SECONDS(9));
	sim_compare(w.sim, f->accepted, ==, count);
	sim_compare(w.sim, world_lost(f, w.b), <=, count / 4000 + 8);
	world_end(&w);
}

static void every_datagram_of_a_train_is_accounted_for(void **state)
{
	struct path_view sender, receiver;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(6));
	w.a->iface[0].out.loss = 0.1;
	bursts(w.a, 0, 300, 3200);
	sim_run(w.sim, SECONDS(4));
	w.a->iface[0].out.loss = 0;
	sim_run(w.sim, SECONDS(11));
	sim_settle(w.sim, SECONDS(1));
	sim_check(w.sim, sim_find_path(w.a, 0, &w.a->iface[0], NULL, &sender));
	sim_check(w.sim, sim_find_path(w.b, 0, &w.b->iface[0], NULL, &receiver));
	sim_compare(w.sim, sender.sent, ==,
		    receiver.first + receiver.duplicate + receiver.received_lost);
	sim_compare(w.sim, sender.sent_lost, ==, w.a->iface[0].out.lost);
	world_end(&w);
}

static void bursts_of_many_sizes_keep_their_borders(void **state)
{
	struct sim_flow *f[20];
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(10));
	for (u32 n = 0; n < ARRAY_SIZE(f); n++) {
		f[n] = sim_flow(w.a, 0, MS(7), 60 + n * 77, 320);
		f[n]->burst = 1 + n;
	}
	sim_run(w.sim, SECONDS(4));
	for (u32 n = 0; n < ARRAY_SIZE(f); n++)
		sim_compare(w.sim, sim_received(f[n], w.b), ==, 320);
	world_end(&w);
}

static void a_refused_train_lowers_the_mtu(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(20));
	w.a->iface[0].mtu = 1400; /* nobody told the engine */
	f = bursts(w.a, 0, 1430, 3200);
	sim_run(w.sim, SECONDS(2));
	sim_compare(w.sim, sim_received(f, w.b), >=, 3200 - 2 * BURST);
	world_end(&w);
}

static void rekeys_in_the_middle_of_bursts_lose_nothing(void **state)
{
	const u64 count = world_scale(100000);
	struct sim_flow *there, *back;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	there = bursts(w.a, 0, 200, count);
	back = bursts(w.b, 0, 200, count);
	there->interval = back->interval = 600 * NS_PER_S / (count / BURST);
	sim_run(w.sim, SECONDS(610));
	sim_compare(w.sim, sim_received(there, w.b), ==, count);
	sim_compare(w.sim, sim_received(back, w.a), ==, count);
	world_end(&w);
}

static void an_interface_lost_with_trains_in_its_outbox_costs_nothing(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	f = bursts(w.a, 0, 300, 3200);
	for (u32 n = 0; n < 4; n++) {
		w.a->iface[0].blocked = true;
		sim_run(w.sim, MS(22));
		sim_iface_remove(&w.a->iface[0]);
		sim_run(w.sim, MS(22));
		w.a->iface[0].blocked = false;
		sim_iface_add(&w.a->iface[0]);
		sim_run(w.sim, MS(100));
		w.a->iface[0].send_error = n % 2 ? ENETUNREACH : 0;
		sim_run(w.sim, MS(22));
		w.a->iface[0].send_error = 0;
	}
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, sim_received(f, w.b), ==, 3200);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_leaves_in_few_trains_and_arrives_whole),
		cmocka_unit_test(what_a_train_loses_another_path_delivers),
		cmocka_unit_test(every_datagram_of_a_train_is_accounted_for),
		cmocka_unit_test(bursts_of_many_sizes_keep_their_borders),
		cmocka_unit_test(a_refused_train_lowers_the_mtu),
		cmocka_unit_test(rekeys_in_the_middle_of_bursts_lose_nothing),
		cmocka_unit_test(an_interface_lost_with_trains_in_its_outbox_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
