/* SPDX-License-Identifier: MIT */
/*
 * scenario_natclass.c - nodes find out what NAT is before them: each kind of the simulator's, which
 * are what RFC 4787 says, is recognised by the real engine and map, near and far, with loss and while
 * others take ports.
 */
#include "sim/world.h"

#include <stdio.h>

static const struct expected {
	enum world_nat kind;
	enum nat_verdict verdict;
	enum nat_mapping mapping;
	enum nat_filtering filtering;
	enum nat_step step; /* NAT_STEP_UNKNOWN: does not matter */
} kinds[] = {
	{ WORLD_PUBLIC, NAT_VERDICT_OPEN, NAT_MAPPING_NONE, NAT_FILTERING_INDEPENDENT, 0 },
	{ WORLD_FIREWALL, NAT_VERDICT_FIREWALL, NAT_MAPPING_NONE, NAT_FILTERING_ADDRESS_AND_PORT,
	  0 },
	{ WORLD_FULL_CONE, NAT_VERDICT_NATTED, NAT_MAPPING_INDEPENDENT, NAT_FILTERING_INDEPENDENT,
	  NAT_STEP_RANDOM },
	{ WORLD_ADDRESS_RESTRICTED, NAT_VERDICT_NATTED, NAT_MAPPING_INDEPENDENT,
	  NAT_FILTERING_ADDRESS, NAT_STEP_RANDOM },
	{ WORLD_PORT_RESTRICTED, NAT_VERDICT_NATTED, NAT_MAPPING_INDEPENDENT,
	  NAT_FILTERING_ADDRESS_AND_PORT, NAT_STEP_EQUAL },
	{ WORLD_OTHER_PORTS, NAT_VERDICT_NATTED, NAT_MAPPING_INDEPENDENT,
	  NAT_FILTERING_ADDRESS_AND_PORT, NAT_STEP_RANDOM },
	{ WORLD_CARRIER, NAT_VERDICT_NATTED, NAT_MAPPING_INDEPENDENT,
	  NAT_FILTERING_ADDRESS_AND_PORT, NAT_STEP_RANDOM },
	{ WORLD_ADDRESS_DEPENDENT, NAT_VERDICT_NATTED, NAT_MAPPING_ADDRESS,
	  NAT_FILTERING_ADDRESS_AND_PORT, NAT_STEP_RANDOM },
	{ WORLD_SYMMETRIC, NAT_VERDICT_NATTED, NAT_MAPPING_ADDRESS_AND_PORT,
	  NAT_FILTERING_ADDRESS_AND_PORT, NAT_STEP_RANDOM },
	{ WORLD_SEQUENTIAL, NAT_VERDICT_NATTED, NAT_MAPPING_ADDRESS_AND_PORT,
	  NAT_FILTERING_ADDRESS_AND_PORT, NAT_STEP_INDEPENDENT },
};

static void look(struct sim_host *h, struct nat_class *ret)
{
	struct iface_view view;

	if (!engine_view_iface(h->engine, h->iface[0].id, &view))
		sim_fail(h->sim, "no interface");
	*ret = view.nat;
}

static void world_alone(struct world *w, const char *name, const struct expected *kind, u64 number)
{
	char full[64];

	snprintf(full, sizeof(full), "%s %u %llu", name, kind->kind, (unsigned long long)number);
	world_meet(w, full, kind->kind, WORLD_PUBLIC);
	w->a->iface[0].out.delay = w->a->iface[0].in.delay =
		MS(1) + sim_rng_below(&w->sim->rng, MS(100));
	sim_start(w->map);
	sim_start(w->a);
}

/* Whether what was found out is true; what is unknown yet is not wrong. */
static bool is_true(const struct expected *k, const struct nat_class *c)
{
	return (c->verdict == k->verdict || !c->verdict) &&
	       (c->mapping == k->mapping || !c->mapping) &&
	       (c->filtering == k->filtering || !c->filtering);
}

static bool is_known(const struct expected *k, const struct nat_class *c)
{
	return c->verdict == k->verdict && c->mapping == k->mapping && c->filtering == k->filtering;
}

static void fail_with(struct sim *sim, const struct expected *k, const struct nat_class *c)
{
	sim_fail(sim, "%s is taken for %s: mapping %s, filtering %s, step %s %d",
		 world_nat_name(k->kind), nat_verdict_name(c->verdict),
		 nat_mapping_name(c->mapping), nat_filtering_name(c->filtering),
		 nat_step_name(c->step), c->step_size);
}

/* When, ns since the start, what was known. */
struct times {
	u64 mapping, filtering, step;
};

static void note(u64 *at, u64 now, bool known)
{
	if (known && *at == TIME_NEVER)
		*at = now;
}

/* Waits until all that can be known is, but for the step. */
static void classify(struct world *w, const struct expected *k, u64 limit, struct times *t)
{
	const u64 began = w->sim->now;
	struct nat_class c;

	*t = (struct times){ TIME_NEVER, TIME_NEVER, TIME_NEVER };
	do {
		sim_run(w->sim, MS(20));
		look(w->a, &c);
		if (!is_true(k, &c))
			fail_with(w->sim, k, &c);
		note(&t->mapping, w->sim->now - began, c.mapping == k->mapping);
		note(&t->filtering, w->sim->now - began, c.filtering == k->filtering);
		note(&t->step, w->sim->now - began, c.step != NAT_STEP_UNKNOWN);
	} while ((!is_known(k, &c) || (k->step && !c.step)) && w->sim->now - began < limit);
	if (!is_known(k, &c))
		fail_with(w->sim, k, &c);
}

static u64 later(u64 a, u64 b)
{
	return a > b ? a : b;
}

static void each_kind_is_recognised_in_seconds(void **state)
{
	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(kinds); n++) {
		struct times longest = { 0 }, t;

		for (u64 k = 0; k < world_scale(10); k++) {
			struct world w;

			world_alone(&w, "natclass", &kinds[n], k);
			classify(&w, &kinds[n], SECONDS(20), &t);
			longest.mapping = later(longest.mapping, t.mapping);
			longest.filtering = later(longest.filtering, t.filtering);
			longest.step = later(longest.step, t.step);
			world_end(&w);
		}
		print_message("%-18s known after, at most: mapping %.1f s, filtering %.1f s, "
			      "step %.1f s\n",
			      world_nat_name(kinds[n].kind), (double)longest.mapping / 1e9,
			      (double)longest.filtering / 1e9,
			      kinds[n].step ? (double)longest.step / 1e9 : 0);
	}
}

static void how_ports_are_chosen_is_found_out(void **state)
{
	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(kinds); n++) {
		for (u64 k = 0; k < world_scale(10) && kinds[n].step; k++) {
			struct nat_class c;
			struct world w;

			world_alone(&w, "steps", &kinds[n], k);
			if (w.nat_a)
				w.nat_a->other_rate = 0;
			sim_run(w.sim, SECONDS(30));
			look(w.a, &c);
			if (c.step != kinds[n].step ||
			    (c.step == NAT_STEP_INDEPENDENT && c.step_size != 1))
				fail_with(w.sim, &kinds[n], &c);
			world_end(&w);
		}
	}
}

/* What is lost makes a result late, never wrong. */
static void loss_makes_it_late_but_not_wrong(void **state)
{
	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(kinds); n++) {
		for (u64 k = 0; k < world_scale(10); k++) {
			struct times t;
			struct world w;

			world_alone(&w, "natclass loss", &kinds[n], k);
			w.a->iface[0].out.loss = w.a->iface[0].in.loss = 0.1;
			classify(&w, &kinds[n], SECONDS(200), &t);
			world_end(&w);
		}
	}
}

static void who_moves_to_another_network_looks_again(void **state)
{
	struct times t;
	struct world w;

	(void)state;
	world_alone(&w, __func__, &kinds[WORLD_PORT_RESTRICTED], 0);
	classify(&w, &kinds[WORLD_PORT_RESTRICTED], SECONDS(10), &t);
	w.nat_a->mapping = SIM_APD;
	w.nat_a->allocation = SIM_RANDOM;
	sim_nat_flush(w.nat_a);
	sim_run(w.sim, SECONDS(30));
	classify(&w, &kinds[8], SECONDS(10), &t);
	world_end(&w);
}

/* 5 s: what the lifetime test says, in bounds that hold it. */
static void short_lifetimes_are_measured(void **state)
{
	static const u64 lifetimes[] = { SECONDS(5), SECONDS(20), SECONDS(60) };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(lifetimes); n++) {
		struct nat_class c;
		struct world w;

		world_alone(&w, __func__, &kinds[4], n);
		w.nat_a->lifetime = lifetimes[n];
		sim_run(w.sim, SECONDS(1800));
		look(w.a, &c);
		sim_compare(w.sim, c.lifetime_lower, >=, lifetimes[n] / 5 * 4);
		sim_compare(w.sim, c.lifetime_lower, <=, lifetimes[n] + SECONDS(1));
		sim_compare(w.sim, c.lifetime_upper, >=, lifetimes[n] - SECONDS(1));
		sim_compare(w.sim, c.lifetime_upper, <=, 2 * lifetimes[n] + SECONDS(2));
		world_end(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_recognised_in_seconds),
		cmocka_unit_test(how_ports_are_chosen_is_found_out),
		cmocka_unit_test(loss_makes_it_late_but_not_wrong),
		cmocka_unit_test(who_moves_to_another_network_looks_again),
		cmocka_unit_test(short_lifetimes_are_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
