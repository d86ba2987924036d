/* SPDX-License-Identifier: MIT */
/*
 * scenario_move.c - two nodes talk through NATs, and then something moves: a NAT restarts or gets
 * another address, a node goes to another network, mappings die young, a machine sleeps. Payloads
 * flow again within a second, both ways, whichever kinds of NAT there are.
 *
 * SIM_SCALE=1000 does each thing ten times to each pair. SIM_MOVES=1 tells of every one.
 */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define BACK_WITHIN SECONDS(1)

struct move {
	const char *name;
	void (*prepare)(struct world *w); /* before the start; may be NULL */
	void (*disturb)(struct world *w);
	u64 pause; /* ns without payloads before that */
};

static void rebind(struct world *w)
{
	sim_nat_flush(w->nat_a);
}

static void rebind_both(struct world *w)
{
	sim_nat_flush(w->nat_a);
	sim_nat_flush(w->nat_b);
}

static void readdress(struct world *w)
{
	sim_nat_readdress(w->nat_a, "198.51.77.1");
}

/* To a network behind a NAT of the usual kind. */
static void roam(struct world *w)
{
	struct sim_iface *i = &w->a->iface[0];

	sim_iface_remove(i);
	i->realm = sim_nat(w->sim, "198.51.78.1", SIM_EI, SIM_APD, SIM_RANDOM, NULL);
	i->local = sim_endpoint("10.0.0.7", i->local.port);
	sim_iface_add(i);
}

static void sleep_for(struct world *w, u64 duration)
{
	sim_suspend(w->a);
	sim_run(w->sim, duration);
	sim_resume(w->a);
}

static void nap(struct world *w)
{
	sleep_for(w, SECONDS(30));
}

static void sleep_long(struct world *w)
{
	sleep_for(w, SECONDS(3600));
}

static void forget_quickly(struct world *w)
{
	for (u32 n = 0; n < w->sim->nats; n++) {
		w->sim->nat[n]->lifetime = SECONDS(5);
		w->sim->nat[n]->stream_lifetime = SECONDS(10);
	}
}

static void nothing(struct world *w)
{
	(void)w;
}

static const struct move moves[] = {
	{ "rebinding", NULL, rebind, 0 },
	{ "rebinding in silence", NULL, rebind, SECONDS(30) },
	{ "rebinding at both ends", NULL, rebind_both, 0 },
	{ "another WAN address", NULL, readdress, 0 },
	{ "roaming", NULL, roam, 0 },
	{ "short lifetimes", forget_quickly, nothing, SECONDS(120) },
	{ "a nap", NULL, nap, 0 },
	{ "a long sleep", NULL, sleep_long, 0 },
};

static void pause_flow(struct sim_flow *f, bool pause)
{
	f->paused = pause;
}

/* How long after now both ends have something. */
static u64 measure(struct world *w, struct sim_flow *there, struct sim_flow *back)
{
	const u64 now = w->sim->now, before_b = sim_received(there, w->b),
		  before_a = sim_received(back, w->a);
	u64 at = 0;

	if (!world_await(there, w->b, before_b + 1, SECONDS(20)))
		return TIME_NEVER;
	at = sim_sink(there, w->b)->last_at;
	if (!world_await(back, w->a, before_a + 1, SECONDS(20)))
		return TIME_NEVER;
	if (sim_sink(back, w->a)->last_at > at)
		at = sim_sink(back, w->a)->last_at;
	return at - now;
}

static u64 do_move(const struct move *move, enum world_nat a, enum world_nat b, u64 number)
{
	struct sim_flow *there, *back;
	struct world w;
	char name[64];
	u64 took;

	snprintf(name, sizeof(name), "%s %u %u %llu", move->name, a, b, (unsigned long long)number);
	world_meet(&w, name, a, b);
	if (move->prepare)
		move->prepare(&w);
	world_start(&w, SECONDS(3));
	there = sim_flow(w.a, 0, MS(20), 100, 0);
	back = sim_flow(w.b, 0, MS(20), 100, 0);
	sim_run(w.sim, SECONDS(5) + sim_rng_below(&w.sim->rng, SECONDS(5)));
	pause_flow(there, move->pause > 0);
	pause_flow(back, move->pause > 0);
	sim_run(w.sim, move->pause);
	move->disturb(&w);
	pause_flow(there, false);
	pause_flow(back, false);
	/* What was on its way does not count. */
	sim_run(w.sim, MS(100));
	took = measure(&w, there, back);
	world_end(&w);
	return took == TIME_NEVER ? took : took + MS(100);
}

/* The last ones are relayed, or were at first. */
static const enum world_nat pairs[][2] = {
	{ WORLD_PUBLIC, WORLD_PUBLIC },
	{ WORLD_FULL_CONE, WORLD_PUBLIC },
	{ WORLD_OTHER_PORTS, WORLD_PUBLIC },
	{ WORLD_SYMMETRIC, WORLD_PUBLIC },
	{ WORLD_SYMMETRIC, WORLD_ADDRESS_RESTRICTED },
	{ WORLD_FULL_CONE, WORLD_FULL_CONE },
	{ WORLD_ADDRESS_RESTRICTED, WORLD_PORT_RESTRICTED },
	{ WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED },
	{ WORLD_OTHER_PORTS, WORLD_PORT_RESTRICTED },
	{ WORLD_OTHER_PORTS, WORLD_OTHER_PORTS },
	{ WORLD_CARRIER, WORLD_CARRIER },
	{ WORLD_SYMMETRIC, WORLD_PORT_RESTRICTED },
	{ WORLD_SEQUENTIAL, WORLD_OTHER_PORTS },
	{ WORLD_SYMMETRIC, WORLD_SYMMETRIC },
};

static bool applies(const struct move *move, enum world_nat a, enum world_nat b)
{
	const bool needs_nat = move->disturb == rebind || move->disturb == readdress;

	if (move->disturb == rebind_both && b == WORLD_PUBLIC)
		return false;
	return !needs_nat || a != WORLD_PUBLIC;
}

static u32 check_move(const struct move *move, enum world_nat a, enum world_nat b)
{
	u64 longest = 0;

	for (u64 n = 0; n < world_scale(1); n++) {
		const u64 took = do_move(move, a, b, n);

		if (took > longest)
			longest = took;
	}
	if (longest > BACK_WITHIN || getenv("SIM_MOVES"))
		print_message("%s, %s x %s: back after %.3f s%s\n", move->name, world_nat_name(a),
			      world_nat_name(b), (double)longest / 1e9,
			      longest > BACK_WITHIN ? "  WRONG" : "");
	return longest > BACK_WITHIN;
}

static void after_every_move_payloads_flow_within_a_second(void **state)
{
	u32 wrong = 0;

	(void)state;
	for (u32 m = 0; m < ARRAY_SIZE(moves); m++) {
		for (u32 p = 0; p < ARRAY_SIZE(pairs); p++) {
			if (applies(&moves[m], pairs[p][0], pairs[p][1]))
				wrong += check_move(&moves[m], pairs[p][0], pairs[p][1]);
		}
	}
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_every_move_payloads_flow_within_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
