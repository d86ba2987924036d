/* SPDX-License-Identifier: MIT */
/*
 * scenario_replicate.c - every payload on every path: what one link loses, another delivers, and an
 * application gets each payload at most once (the sinks check that).
 */
#include "sim/world.h"

#include <errno.h>

#define PATHS 4u

/* The bound that a binomial count with this mean stays below, but for once in a billion runs: six
 * standard deviations. */
static u64 upper(double mean)
{
	double root = 1 + mean / 2;

	for (u32 i = 0; i < 50; i++) /* Newton's square root */
		root = (root + mean / root) / 2;
	return (u64)(mean + 6 * root + 4);
}

static void set_loss(struct world *w, double loss)
{
	for (u32 i = 0; i < 2; i++)
		w->a->iface[i].out.loss = loss;
}

static void two_by_two_paths_of_ten_percent_loss_lose_one_in_ten_thousand(void **state)
{
	const u64 count = world_scale(100000);
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, PATHS, SECONDS(1)));
	set_loss(&w, 0.1);
	f = sim_flow(w.a, 0, 10 * NS_PER_S / count, 200, count);
	sim_run(w.sim, SECONDS(11));
	sim_compare(w.sim, f->accepted, ==, count);
	sim_compare(w.sim, world_lost(f, w.b), <=, upper((double)count * 1e-4));
	world_end(&w);
}

static void a_single_path_loses_what_the_link_loses_and_no_more(void **state)
{
	const u64 count = world_scale(50000);
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	set_loss(&w, 0.05);
	f = sim_flow(w.a, 0, 10 * NS_PER_S / count, 200, count);
	sim_run(w.sim, SECONDS(11));
	sim_compare(w.sim, f->accepted, ==, count);
	sim_compare(w.sim, world_lost(f, w.b), <=, upper((double)count * 0.05));
	sim_compare(w.sim, world_lost(f, w.b), >, 0);
	world_end(&w);
}

static void check_accounting(struct world *w, struct sim_iface *from, struct sim_iface *to)
{
	struct path_view sender, receiver;

	sim_check(w->sim, sim_find_path(w->a, 0, from, &to->local, &sender));
	sim_check(w->sim, sim_find_path(w->b, 0, to, &from->local, &receiver));
	sim_compare(w->sim, sender.sent, ==,
		    receiver.first + receiver.duplicate + receiver.received_lost);
	sim_compare(w->sim, sender.sent_lost, ==, receiver.received_lost);
	sim_compare(w->sim, receiver.received_lost, >, 0);
}

static void every_datagram_sent_on_a_path_is_first_duplicate_or_lost(void **state)
{
	const u64 count = world_scale(20000);
	struct world w;
	u64 truly_lost = 0, told_lost = 0;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, PATHS, SECONDS(1)));
	sim_run(w.sim, SECONDS(6));
	set_loss(&w, 0.1);
	sim_flow(w.a, 0, 10 * NS_PER_S / count, 200, count);
	sim_run(w.sim, SECONDS(11));
	set_loss(&w, 0);
	sim_run(w.sim, SECONDS(11));
	sim_settle(w.sim, SECONDS(1));
	for (u32 i = 0; i < 2; i++) {
		for (u32 k = 0; k < 2; k++) {
			struct path_view v;

			check_accounting(&w, &w.a->iface[i], &w.b->iface[k]);
			sim_check(w.sim,
				  sim_find_path(w.b, 0, &w.b->iface[k], &w.a->iface[i].local, &v));
			told_lost += v.received_lost;
		}
		truly_lost += w.a->iface[i].out.lost;
	}
	sim_compare(w.sim, told_lost, ==, truly_lost);
	world_end(&w);
}

/* The kernel takes nothing for a while, or refuses it, at random: what passes its deadline, or is refused,
 * has not been sent, although a probe behind it has told that it was. */
static void what_never_left_is_in_nobodys_books(void **state)
{
	const struct tunnel_options quick = { .name = "quick", .send_deadline = MS(20) };
	struct path_view sender, receiver;
	struct tunnel_view tunnel;
	struct sim_iface *i;
	struct sim_flow *f;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.a->tunnel_count = w.b->tunnel_count = 0;
	sim_tunnel(w.a, &quick);
	sim_tunnel(w.b, &quick);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(6));
	i = &w.a->iface[0];
	i->out.loss = 0.05;
	f = sim_flow(w.a, 0, MS(1), 200, 0);
	for (u64 n = 0; n < 100 + world_scale(200); n++) {
		i->blocked = sim_rng_chance(&w.sim->rng, 0.3);
		i->send_error = sim_rng_chance(&w.sim->rng, 0.05) ? ENOBUFS : 0;
		sim_poke(w.a);
		sim_run(w.sim, MS(sim_rng_below(&w.sim->rng, 100)));
	}
	f->stopped = true;
	i->blocked = false;
	i->send_error = 0;
	i->out.loss = 0;
	sim_poke(w.a);
	sim_run(w.sim, SECONDS(11));
	sim_settle(w.sim, SECONDS(1));
	sim_check(w.sim, engine_view_tunnel(w.a->engine, 0, &tunnel));
	sim_compare(w.sim, tunnel.drops.count[DROP_DEADLINE], >, 0);
	sim_compare(w.sim, tunnel.drops.count[DROP_SEND_ERROR], >, 0);
	sim_check(w.sim, sim_find_path(w.a, 0, i, NULL, &sender));
	sim_check(w.sim, sim_find_path(w.b, 0, &w.b->iface[0], NULL, &receiver));
	sim_compare(w.sim, sender.sent, ==,
		    receiver.first + receiver.duplicate + receiver.received_lost);
	sim_compare(w.sim, sender.sent_lost, ==, receiver.received_lost);
	/* The link also lost handshakes, which are on no path. */
	sim_compare(w.sim, sender.sent_lost, <=, i->out.lost);
	sim_compare(w.sim, sender.sent_lost + 10, >=, i->out.lost);
	world_end(&w);
}

static void measured_loss_is_that_of_the_link(void **state)
{
	struct path_view v;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	set_loss(&w, 0.1);
	sim_flow(w.a, 0, MS(1), 200, 0);
	sim_run(w.sim, SECONDS(20));
	sim_check(w.sim, sim_find_path(w.a, 0, &w.a->iface[0], NULL, &v));
	sim_check(w.sim, v.loss_out > 0.05 && v.loss_out < 0.15);
	sim_check(w.sim, v.loss_in < 0.02);
	sim_compare(w.sim, v.rtt, >=, MS(40));
	sim_compare(w.sim, v.rtt, <=, MS(45));
	sim_check(w.sim, v.rate_out > 150e3 && v.rate_out < 350e3);
	world_end(&w);
}

static void a_link_cut_half_way_costs_nothing(void **state)
{
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, PATHS, SECONDS(1)));
	there = sim_flow(w.a, 0, MS(1), 200, 4000);
	back = sim_flow(w.b, 0, MS(1), 200, 4000);
	sim_run(w.sim, SECONDS(2));
	w.a->iface[0].out.down = w.a->iface[0].in.down = true;
	sim_run(w.sim, SECONDS(3));
	sim_compare(w.sim, sim_received(there, w.b), ==, 4000);
	sim_compare(w.sim, sim_received(back, w.a), ==, 4000);
	sim_compare(w.sim, sim_sink(there, w.b)->longest_gap, <=, MS(2));
	sim_compare(w.sim, sim_sink(back, w.a)->longest_gap, <=, MS(2));
	world_end(&w);
}

static void reordering_duplication_and_corruption_are_invisible(void **state)
{
	const u64 count = world_scale(50000);
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, PATHS, SECONDS(1)));
	for (u32 i = 0; i < 2; i++) {
		struct sim_link *l = &w.a->iface[i].out;

		l->jitter = MS(5);
		l->duplicate = 0.2;
		l->reorder = 0.2;
		l->reorder_delay = MS(30);
		l->corrupt = i ? 0 : 0.2;
	}
	f = sim_flow(w.a, 0, 10 * NS_PER_S / count, 300, count);
	sim_run(w.sim, SECONDS(11));
	sim_compare(w.sim, sim_received(f, w.b), ==, count);
	sim_compare(w.sim, engine_view_drops(w.b->engine)->count[DROP_BAD_AUTH], >, 0);
	sim_compare(w.sim, engine_view_drops(w.b->engine)->count[DROP_DUPLICATE], >, count);
	world_end(&w);
}

static void bursts_on_one_link_are_covered_by_the_other(void **state)
{
	const u64 count = world_scale(50000);
	struct world w;
	struct sim_flow *f;

	(void)state;
	world_pair(&w, __func__, 2, 1);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 2, SECONDS(1)));
	w.a->iface[0].out.burst_enter = 0.001;
	w.a->iface[0].out.burst_leave = 0.01;
	f = sim_flow(w.a, 0, 10 * NS_PER_S / count, 200, count);
	sim_run(w.sim, SECONDS(11));
	sim_compare(w.sim, world_lost(f, w.b), ==, 0);
	world_end(&w);
}

static void a_network_partition_of_random_links_never_delivers_twice(void **state)
{
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 3, 3);
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, MS(1), 200, 0);
	back = sim_flow(w.b, 0, MS(2), 900, 0);
	for (u32 n = 0; n < 300; n++) {
		struct sim_host *h = n % 2 ? w.a : w.b;
		struct sim_iface *i = &h->iface[sim_rng_below(&w.sim->rng, 3)];

		i->out.down = sim_rng_chance(&w.sim->rng, 0.5);
		i->in.down = sim_rng_chance(&w.sim->rng, 0.5);
		i->in.delay = MS(sim_rng_below(&w.sim->rng, 100));
		sim_run(w.sim, MS(sim_rng_below(&w.sim->rng, 100)));
	}
	for (u32 n = 0; n < 3; n++) {
		w.a->iface[n].out.down = w.a->iface[n].in.down = false;
		w.b->iface[n].out.down = w.b->iface[n].in.down = false;
	}
	there->stopped = back->stopped = true;
	sim_run(w.sim, SECONDS(1));
	world_check_traffic(&w);
	world_end(&w);
}

/* Its clock begins anew: what takes as much longer by it has not stood in a queue. */
static void a_host_that_is_rebooted_sends_as_many_copies(void **state)
{
	struct tunnel_view before, after;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	world_start(&w, SECONDS(2));
	sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(1)));
	sim_run(w.sim, SECONDS(20));
	sim_kill(w.b);
	sim_run(w.sim, SECONDS(1));
	w.b->boot = w.sim->now - SECONDS(5);
	sim_start(w.b);
	sim_check(w.sim, world_await_live(w.b, 0, 4, SECONDS(5)));
	sim_run(w.sim, SECONDS(1));
	sim_flow(w.b, 0, MS(1), 1000, 0);
	sim_check(w.sim, engine_view_tunnel(w.b->engine, 0, &before));
	sim_run(w.sim, SECONDS(8));
	sim_check(w.sim, engine_view_tunnel(w.b->engine, 0, &after));
	sim_compare(w.sim, after.copies_sent - before.copies_sent, >=,
		    4 * (after.sent - before.sent));
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_by_two_paths_of_ten_percent_loss_lose_one_in_ten_thousand),
		cmocka_unit_test(a_single_path_loses_what_the_link_loses_and_no_more),
		cmocka_unit_test(every_datagram_sent_on_a_path_is_first_duplicate_or_lost),
		cmocka_unit_test(what_never_left_is_in_nobodys_books),
		cmocka_unit_test(measured_loss_is_that_of_the_link),
		cmocka_unit_test(a_link_cut_half_way_costs_nothing),
		cmocka_unit_test(reordering_duplication_and_corruption_are_invisible),
		cmocka_unit_test(bursts_on_one_link_are_covered_by_the_other),
		cmocka_unit_test(a_network_partition_of_random_links_never_delivers_twice),
		cmocka_unit_test(a_host_that_is_rebooted_sends_as_many_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
