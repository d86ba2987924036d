/* SPDX-License-Identifier: MIT */
/*
 * scenario_offers.c - the map is away, and something about a node's links changes: its peer hears of
 * it inside the session, and a direct path over the new place comes up.
 */
#include "core/engine/engine_internal.h"
#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#define UP_WITHIN SECONDS(2)

/* --- what the internet carries --------------------------------------------------------------- */

static bool is_map(const struct world *w, const struct endpoint *e)
{
	for (u32 n = 0; n < w->map->iface_count; n++) {
		if (address_equal(&w->map->iface[n].local.address, &e->address))
			return true;
	}
	return false;
}

/* b hears nothing from the map. */
static bool deaf(const struct sim_packet *p, void *ctx)
{
	const struct world *w = ctx;

	return !is_map(w, &p->source) || !sim_nat_owns(w->nat_b, &p->destination.address);
}

/* --- what is waited for ----------------------------------------------------------------------- */

/* A direct way between one interface of each. */
struct way {
	struct world *w;
	struct sim_iface *of_a;
	struct path_view view;
};

static bool is_live_over(const struct sim_host *h, const struct sim_iface *i, struct path_view *ret)
{
	for (u32 n = 0; i->present && n < MAX_PEER_PATHS; n++) {
		if (engine_view_path(h->engine, 0, n, ret) && ret->iface == i->id &&
		    ret->state == PATH_LIVE && ret->origin != PATH_FROM_RELAY)
			return true;
	}
	return false;
}

static bool is_open(void *ctx)
{
	struct way *way = ctx;

	return is_live_over(way->w->a, way->of_a, &way->view);
}

static void check_opens(struct world *w, struct sim_iface *of_a)
{
	struct way way = { .w = w, .of_a = of_a };

	sim_check(w->sim, sim_run_until(w->sim, UP_WITHIN, is_open, &way));
}

/* Connected for a while, and from then on without the map. */
static void meet_and_lose_the_map(struct world *w, const char *name, enum world_nat a,
				  enum world_nat b)
{
	world_meet(w, name, a, b);
	world_start(w, SECONDS(2));
	sim_run(w->sim, SECONDS(5));
	sim_kill(w->map);
	sim_run(w->sim, SECONDS(1));
}

/* --- scenarios -------------------------------------------------------------------------------- */

/* a is registered, but the map cannot tell b of it. */
static void a_new_link_behind_a_nat_is_heard_of_without_the_map(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PUBLIC, WORLD_PORT_RESTRICTED);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(3));
	w.sim->carries = deaf;
	w.sim->carries_ctx = &w;
	check_opens(&w, world_attach(w.a, WORLD_PORT_RESTRICTED, 3, NULL));
	world_end(&w);
}

/* What b is behind lets nothing in from where nothing went. */
static void a_new_link_is_used_although_the_map_is_gone(void **state)
{
	static const enum world_nat kinds[] = { WORLD_FIREWALL, WORLD_PORT_RESTRICTED,
						WORLD_OTHER_PORTS, WORLD_CARRIER };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(kinds); n++) {
		struct world w;
		struct path_view view;

		meet_and_lose_the_map(&w, __func__, kinds[n], kinds[n]);
		check_opens(&w, world_attach(w.a, WORLD_PUBLIC, 3, NULL));
		sim_check(w.sim, is_live_over(w.b, &w.b->iface[0], &view));
		world_end(&w);
	}
}

/* One of two links of a goes to another network. */
static void a_link_that_moved_is_found_again_by_way_of_the_other(void **state)
{
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_OTHER_PORTS);
	world_attach(w.a, WORLD_PUBLIC, 3, NULL);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(5));
	sim_kill(w.map);
	sim_run(w.sim, SECONDS(1));
	sim_iface_readdress(&w.a->iface[1], "198.51.99.7");
	check_opens(&w, &w.a->iface[1]);
	world_end(&w);
}

/* It is the same when the only path that is left leads over another link, which loses much. */
static void an_offer_that_is_lost_is_made_again(void **state)
{
	struct world w;

	(void)state;
	meet_and_lose_the_map(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_OTHER_PORTS);
	w.a->iface[0].out.loss = w.a->iface[0].in.loss = 0.5;
	for (u32 n = 0; n < 5; n++) {
		struct way way = { .w = &w, .of_a = world_attach(w.a, WORLD_PUBLIC, 3 + n, NULL) };

		/* Some ten tries, of which half are lost. */
		sim_check(w.sim, sim_run_until(w.sim, SECONDS(40), is_open, &way));
		sim_iface_remove(way.of_a);
		sim_run(w.sim, SECONDS(20));
	}
	world_end(&w);
}

/* The NAT before a's second link forgets all; c, who is on the internet, sees where that link is now,
 * and b, whose NAT keeps out whom it does not know, hears of it from a. */
static void a_peer_that_sees_us_stands_in_for_the_map(void **state)
{
	struct sim_iface *second;
	struct sim_nat *nat;
	struct sim_host *c;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_OTHER_PORTS);
	second = world_attach(w.a, WORLD_OTHER_PORTS, 3, &nat);
	c = sim_node(w.sim, "c");
	world_attach(c, WORLD_PUBLIC, 4, NULL);
	sim_befriend(w.a, c, false);
	sim_use_map(c, w.map);
	world_start(&w, SECONDS(2));
	check_opens(&w, second);
	sim_run(w.sim, SECONDS(5));
	sim_kill(w.map);
	sim_run(w.sim, SECONDS(1));
	sim_nat_flush(nat);
	sim_run(w.sim, SECONDS(4));
	for (u32 n = 0; n < 2; n++) {
		check_opens(&w, second);
		sim_run(w.sim, SECONDS(5));
	}
	world_end(&w);
}

/* --- what a peer may not do with it ------------------------------------------------------------ */

static bool is_allowed(const struct endpoint *e)
{
	return endpoint_is_usable(e) && !address_is_link_local(&e->address);
}

static struct {
	u32 sent, wrong;
	const struct sim_host *from;
} watched;

static void watch(struct sim_iface *from, const struct sim_packet *p, void *ctx)
{
	(void)ctx;
	if (from->host != watched.from)
		return;
	watched.sent++;
	watched.wrong += !is_allowed(&p->destination);
}

static void offer(struct sim_host *from, u32 number, const char *const *address, u32 count)
{
	struct frame f = { .type = FRAME_CANDIDATES };

	f.candidates.number = number;
	f.candidates.count = (u8)count;
	for (u32 n = 0; n < count; n++) {
		struct wire_mapping *m = &f.candidates.mapping[n];

		m->interface = (u8)n;
		m->observed = m->lan = m->mapped = sim_endpoint(address[n], 4000);
	}
	peer_send_frames(from->engine, from->engine->peers[0], from->sim->now, 0, &f, 1, 0);
	sim_poke(from);
}

static void nothing_is_sent_to_addresses_that_are_no_peers(void **state)
{
	static const char *const bad[] = {
		"127.0.0.1", "0.0.0.0", "224.0.0.1",       "255.255.255.255", "::1",
		"::",        "ff02::1", "::ffff:10.0.0.1", "fe80::1",         "169.254.1.1"
	};
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	memset(&watched, 0, sizeof(watched));
	watched.from = w.a;
	w.sim->tap = watch;
	offer(w.b, 1000, bad, ARRAY_SIZE(bad));
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, watched.sent, >, 0);
	sim_compare(w.sim, watched.wrong, ==, 0);
	world_end(&w);
}

/* A peer makes up others' addresses as quickly as it can: what these get is no more than what a few
 * dozen paths are probed with. */
static void a_peer_that_makes_up_addresses_is_no_amplifier(void **state)
{
	struct world w;
	u32 before;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	memset(&watched, 0, sizeof(watched));
	watched.from = w.a;
	w.sim->tap = watch;
	sim_run(w.sim, SECONDS(10));
	before = watched.sent;
	for (u32 n = 0; n < 10000; n++) {
		char text[20][32];
		const char *address[20];

		for (u32 i = 0; i < 20; i++) {
			snprintf(text[i], sizeof(text[i]), "11.%u.%u.%u", n / 256, n % 256, i + 1);
			address[i] = text[i];
		}
		offer(w.b, 1000 + n, address, 20);
		sim_run(w.sim, MS(1));
	}
	/* 64 paths, each probed four times a second at most, 20 new ones a second. */
	sim_compare(w.sim, watched.sent - before, <, 10 * 64 * 4 + 16 * 20);
	sim_compare(w.sim, watched.sent - before, >, 1000);
	world_check_traffic(&w);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_link_behind_a_nat_is_heard_of_without_the_map),
		cmocka_unit_test(a_new_link_is_used_although_the_map_is_gone),
		cmocka_unit_test(a_link_that_moved_is_found_again_by_way_of_the_other),
		cmocka_unit_test(an_offer_that_is_lost_is_made_again),
		cmocka_unit_test(a_peer_that_sees_us_stands_in_for_the_map),
		cmocka_unit_test(nothing_is_sent_to_addresses_that_are_no_peers),
		cmocka_unit_test(a_peer_that_makes_up_addresses_is_no_amplifier),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
