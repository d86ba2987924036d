/* SPDX-License-Identifier: MIT */
/*
 * scenario_policy.c - free, metered and backup links: each carries data only while those before it
 * cannot, and no change between them loses anything.
 */
#include "sim/world.h"

#include <stdio.h>

#define INTERVAL MS(5) /* 200 payloads a second, both ways */

enum link { FREE, METERED, BACKUP, LINKS };

struct costs {
	struct world w;
	struct sim_flow *there, *back;
	u64 lost;
};

/* a has a link of each cost, b a single one, which is free. */
static void costs_make(struct costs *c, const char *name)
{
	*c = (struct costs){ 0 };
	world_pair(&c->w, name, LINKS, 1);
	c->w.a->iface[METERED].policy.cost = COST_METERED;
	c->w.a->iface[BACKUP].policy.cost = COST_BACKUP;
}

static void costs_begin(struct costs *c)
{
	world_start(&c->w, SECONDS(2));
	sim_check(c->w.sim, world_await_live(c->w.a, 0, LINKS, SECONDS(2)));
	sim_run(c->w.sim, SECONDS(3)); /* MTUs are found, and an overlap is over */
	c->there = sim_flow(c->w.a, 0, INTERVAL, 500, 0);
	c->back = sim_flow(c->w.b, 0, INTERVAL, 500, 0);
}

static u64 bytes_over(const struct costs *c, enum link link)
{
	return c->w.a->iface[link].out.bytes + c->w.a->iface[link].in.bytes;
}

static u64 packets_over(const struct costs *c, enum link link)
{
	return c->w.a->iface[link].out.carried + c->w.a->iface[link].in.carried;
}

/* Bytes a second over a link, both ways, for so long. */
static u64 rate(struct costs *c, enum link link, u64 time)
{
	const u64 before = bytes_over(c, link);

	sim_run(c->w.sim, time);
	return (bytes_over(c, link) - before) * NS_PER_S / time;
}

/* It has all of the data, or nothing but probes. */
static bool carries(struct costs *c, enum link link)
{
	return rate(c, link, SECONDS(1)) > 150000;
}

static bool rests(struct costs *c, enum link link)
{
	return rate(c, link, SECONDS(1)) < 1000;
}

static void check_lossless(struct costs *c, const char *when)
{
	u64 lost;

	c->there->paused = c->back->paused = true;
	sim_run(c->w.sim, MS(300));
	lost = world_lost(c->there, c->w.b) + world_lost(c->back, c->w.a);
	c->there->paused = c->back->paused = false;
	if (lost > c->lost)
		sim_fail(c->w.sim, "%s: %llu payloads are lost", when,
			 (unsigned long long)(lost - c->lost));
}

static void cut(struct costs *c, enum link link, bool down)
{
	c->w.a->iface[link].out.down = c->w.a->iface[link].in.down = down;
}

static void costly_links_rest_while_a_free_one_lives(void **state)
{
	struct costs c;

	(void)state;
	costs_make(&c, __func__);
	costs_begin(&c);
	sim_check(c.w.sim, carries(&c, FREE));
	sim_check(c.w.sim, rests(&c, METERED));
	sim_check(c.w.sim, rests(&c, BACKUP));
	sim_run(c.w.sim, SECONDS(60));
	sim_check(c.w.sim, rests(&c, METERED));
	check_lossless(&c, "free");
	world_end(&c.w);
}

static void from_free_to_metered_and_back_loses_nothing(void **state)
{
	struct costs c;

	(void)state;
	costs_make(&c, __func__);
	costs_begin(&c);
	for (u32 n = 0; n < 5; n++) {
		cut(&c, FREE, true);
		sim_run(c.w.sim, SECONDS(1));
		sim_check(c.w.sim, carries(&c, METERED));
		sim_check(c.w.sim, rests(&c, BACKUP));
		check_lossless(&c, "cut");
		cut(&c, FREE, false);
		sim_run(c.w.sim, SECONDS(3));
		sim_check(c.w.sim, rests(&c, METERED));
		sim_check(c.w.sim, carries(&c, FREE));
		check_lossless(&c, "back");
	}
	world_end(&c.w);
}

/* As when all of a vehicle's links die but the satellite's: what stood by is silent as well. */
static void a_backup_carries_when_free_and_metered_die_at_once(void **state)
{
	struct costs c;

	(void)state;
	costs_make(&c, __func__);
	costs_begin(&c);
	cut(&c, FREE, true);
	cut(&c, METERED, true);
	sim_run(c.w.sim, SECONDS(2));
	sim_check(c.w.sim, carries(&c, BACKUP));
	check_lossless(&c, "both cut");
	cut(&c, METERED, false);
	sim_run(c.w.sim, SECONDS(3));
	sim_check(c.w.sim, carries(&c, METERED));
	sim_check(c.w.sim, rests(&c, BACKUP));
	cut(&c, FREE, false);
	sim_run(c.w.sim, SECONDS(3));
	sim_check(c.w.sim, rests(&c, METERED));
	check_lossless(&c, "all back");
	world_end(&c.w);
}

static void an_interface_that_vanishes_is_replaced_as_well(void **state)
{
	struct costs c;

	(void)state;
	costs_make(&c, __func__);
	costs_begin(&c);
	sim_iface_remove(&c.w.a->iface[FREE]);
	sim_check(c.w.sim, carries(&c, METERED));
	check_lossless(&c, "gone");
	sim_iface_add(&c.w.a->iface[FREE]);
	sim_run(c.w.sim, SECONDS(3));
	sim_check(c.w.sim, rests(&c, METERED));
	check_lossless(&c, "back");
	world_end(&c.w);
}

static void metered_links_help_while_the_free_one_loses_much(void **state)
{
	struct costs c;
	struct sim_iface *free_link;

	(void)state;
	costs_make(&c, __func__);
	costs_begin(&c);
	free_link = &c.w.a->iface[FREE];
	free_link->out.loss = free_link->in.loss = 0.01;
	sim_run(c.w.sim, SECONDS(30));
	sim_check(c.w.sim, rests(&c, METERED));
	free_link->out.loss = free_link->in.loss = 0.15;
	sim_run(c.w.sim, SECONDS(4));
	sim_check(c.w.sim, carries(&c, METERED));
	sim_check(c.w.sim, carries(&c, FREE));
	sim_check(c.w.sim, rests(&c, BACKUP));
	free_link->out.loss = free_link->in.loss = 0;
	sim_run(c.w.sim, SECONDS(3));
	sim_check(c.w.sim, carries(&c, METERED));
	sim_run(c.w.sim, SECONDS(12));
	sim_check(c.w.sim, rests(&c, METERED));
	world_end(&c.w);
}

static void set_cost(struct costs *c, enum link link, enum iface_cost cost)
{
	struct sim_iface *i = &c->w.a->iface[link];

	i->policy.cost = cost;
	engine_iface_set_policy(c->w.a->engine, c->w.sim->now, i->id, &i->policy);
	sim_poke(c->w.a);
}

static void a_quota_that_is_used_up_makes_a_backup_of_a_link(void **state)
{
	struct costs c;

	(void)state;
	costs_make(&c, __func__);
	costs_begin(&c);
	set_cost(&c, FREE, COST_BACKUP);
	sim_run(c.w.sim, SECONDS(2));
	sim_check(c.w.sim, carries(&c, METERED));
	sim_check(c.w.sim, rests(&c, FREE));
	check_lossless(&c, "used up");
	cut(&c, METERED, true);
	cut(&c, BACKUP, true);
	sim_run(c.w.sim, SECONDS(2));
	sim_check(c.w.sim, carries(&c, FREE)); /* since it is all there is */
	check_lossless(&c, "the only link");
	world_end(&c.w);
}

static void a_barred_link_carries_nothing_even_alone(void **state)
{
	struct costs c;

	(void)state;
	costs_make(&c, __func__);
	costs_begin(&c);
	set_cost(&c, METERED, COST_BARRED);
	cut(&c, FREE, true);
	cut(&c, BACKUP, true);
	sim_run(c.w.sim, SECONDS(5));
	sim_check(c.w.sim, rests(&c, METERED));
	set_cost(&c, METERED, COST_METERED); /* a new month */
	sim_run(c.w.sim, SECONDS(1));
	sim_check(c.w.sim, carries(&c, METERED));
	world_end(&c.w);
}

/* With headers; there is no map here. */
static void a_metered_link_costs_little_while_it_rests(void **state)
{
	struct costs c;
	const double month = 30 * 86400.0;
	double idle, busy;
	u64 packets, bytes;

	(void)state;
	costs_make(&c, __func__);
	costs_begin(&c);
	packets = packets_over(&c, METERED);
	bytes = bytes_over(&c, METERED);
	busy = (double)rate(&c, METERED, SECONDS(1200));
	packets = packets_over(&c, METERED) - packets;
	bytes = bytes_over(&c, METERED) - bytes;
	c.there->stopped = c.back->stopped = true;
	sim_run(c.w.sim, SECONDS(10));
	idle = (double)rate(&c, METERED, SECONDS(1200));
	printf("a metered link that rests: %.1f MB a month beside data, %.1f MB without; "
	       "%.2f packets/s of %.0f bytes\n",
	       busy * month / 1e6, idle * month / 1e6, (double)packets / 1200,
	       (double)bytes / (double)packets);
	sim_check(c.w.sim, busy * month < 300e6);
	sim_check(c.w.sim, idle * month < 300e6);
	world_end(&c.w);
}

static void weight_decides_which_links_get_copies(void **state)
{
	struct tunnel_options options = { .name = "single", .copies = 1 };
	struct costs c;
	u16 tunnel;

	(void)state;
	c = (struct costs){ 0 };
	world_pair(&c.w, __func__, 2, 1);
	tunnel = sim_tunnel(c.w.a, &options);
	sim_tunnel(c.w.b, &options);
	c.w.a->iface[0].out.delay = MS(1); /* the faster one */
	c.w.a->iface[1].policy.weight = 2;
	world_start(&c.w, SECONDS(2));
	sim_check(c.w.sim, world_await_live(c.w.a, 0, 2, SECONDS(2)));
	sim_run(c.w.sim, SECONDS(3));
	c.there = sim_flow(c.w.a, tunnel, INTERVAL, 500, 0);
	sim_run(c.w.sim, SECONDS(1));
	sim_check(c.w.sim, rate(&c, 0, SECONDS(1)) < 10000);
	sim_check(c.w.sim, rate(&c, 1, SECONDS(1)) > 80000);
	world_end(&c.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(costly_links_rest_while_a_free_one_lives),
		cmocka_unit_test(from_free_to_metered_and_back_loses_nothing),
		cmocka_unit_test(a_backup_carries_when_free_and_metered_die_at_once),
		cmocka_unit_test(an_interface_that_vanishes_is_replaced_as_well),
		cmocka_unit_test(metered_links_help_while_the_free_one_loses_much),
		cmocka_unit_test(a_quota_that_is_used_up_makes_a_backup_of_a_link),
		cmocka_unit_test(a_barred_link_carries_nothing_even_alone),
		cmocka_unit_test(a_metered_link_costs_little_while_it_rests),
		cmocka_unit_test(weight_decides_which_links_get_copies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
