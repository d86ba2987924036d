/* SPDX-License-Identifier: MIT */
/*
 * world.c - see world.h.
 */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>

const struct sim_link world_link = { .delay = 10 * NS_PER_MS };

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLOW_BUILD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SLOW_BUILD)
#define SLOW_BUILD 1
#endif
#ifndef SLOW_BUILD
#define SLOW_BUILD 0
#endif

u64 world_scale(u64 full)
{
	const char *given = getenv("SIM_SCALE");
	const u64 percent = given && *given ? strtoull(given, NULL, 10) : SLOW_BUILD ? 5 : 100;
	const u64 scaled = full * percent / 100;

	return scaled ? scaled : 1;
}

static void attach_public(struct sim_host *h, u32 host, u32 count)
{
	for (u32 n = 0; n < count; n++) {
		char name[IFNAME_SIZE], address[32];

		snprintf(name, sizeof(name), "eth%u", n);
		snprintf(address, sizeof(address), "203.0.%u.%u", n + 1, host);
		sim_iface_link(sim_iface(h, name, address, NULL), &world_link);
	}
}

void world_pair(struct world *w, const char *name, u32 ifaces_a, u32 ifaces_b)
{
	*w = (struct world){ .sim = sim_create(name) };
	w->a = sim_node(w->sim, "a");
	w->b = sim_node(w->sim, "b");
	attach_public(w->a, 1, ifaces_a);
	attach_public(w->b, 2, ifaces_b);
	sim_befriend(w->a, w->b, true);
	sim_tunnel_named(w->a, "data");
	sim_tunnel_named(w->b, "data");
}

static const char *const nat_name[] = {
	[WORLD_PUBLIC] = "public",
	[WORLD_FIREWALL] = "firewall",
	[WORLD_FULL_CONE] = "full cone",
	[WORLD_ADDRESS_RESTRICTED] = "address restricted",
	[WORLD_PORT_RESTRICTED] = "port restricted",
	[WORLD_OTHER_PORTS] = "other ports",
	[WORLD_CARRIER] = "carrier",
	[WORLD_ADDRESS_DEPENDENT] = "address dependent",
	[WORLD_SYMMETRIC] = "symmetric",
	[WORLD_SEQUENTIAL] = "sequential",
	[WORLD_UDP_BLOCKED] = "udp blocked",
};

_Static_assert(ARRAY_SIZE(nat_name) == WORLD_NATS, "a NAT has no name");

const char *world_nat_name(enum world_nat kind)
{
	return nat_name[kind];
}

static const struct {
	enum sim_dependence mapping, filtering;
	enum sim_allocation allocation;
} nat_kind[] = {
	[WORLD_FIREWALL] = { SIM_EI, SIM_APD, SIM_PRESERVE },
	[WORLD_FULL_CONE] = { SIM_EI, SIM_EI, SIM_RANDOM },
	[WORLD_ADDRESS_RESTRICTED] = { SIM_EI, SIM_AD, SIM_RANDOM },
	[WORLD_PORT_RESTRICTED] = { SIM_EI, SIM_APD, SIM_PRESERVE },
	[WORLD_OTHER_PORTS] = { SIM_EI, SIM_APD, SIM_RANGE },
	[WORLD_CARRIER] = { SIM_EI, SIM_APD, SIM_RANDOM },
	[WORLD_ADDRESS_DEPENDENT] = { SIM_AD, SIM_APD, SIM_RANDOM },
	[WORLD_SYMMETRIC] = { SIM_APD, SIM_APD, SIM_RANDOM },
	[WORLD_SEQUENTIAL] = { SIM_APD, SIM_APD, SIM_SEQUENTIAL },
	[WORLD_UDP_BLOCKED] = { SIM_EI, SIM_APD, SIM_PRESERVE },
};

_Static_assert(ARRAY_SIZE(nat_kind) == WORLD_NATS, "a NAT has no kind");

/* A NAT of this kind on the internet. */
static struct sim_nat *outer_nat(struct sim *sim, enum world_nat kind, u32 network)
{
	char outside[32];
	struct sim_nat *nat;

	snprintf(outside, sizeof(outside), "198.51.%u.1", network);
	nat = sim_nat(sim, outside, nat_kind[kind].mapping, nat_kind[kind].filtering,
		      nat_kind[kind].allocation, NULL);
	nat->firewall = kind == WORLD_FIREWALL;
	nat->udp_blocked = kind == WORLD_UDP_BLOCKED;
	nat->other_rate = kind == WORLD_SEQUENTIAL ? WORLD_OTHERS : 0;
	return nat;
}

struct sim_iface *world_attach(struct sim_host *h, enum world_nat kind, u32 network,
			       struct sim_nat **ret_nat)
{
	const bool public = kind == WORLD_PUBLIC || kind == WORLD_FIREWALL;
	char name[IFNAME_SIZE], address[32], middle[32];
	struct sim_nat *outer = NULL, *nat;
	struct sim_iface *i;

	snprintf(name, sizeof(name), "eth%u", h->iface_count);
	snprintf(address, sizeof(address), public ? "198.51.%u.1" : "192.168.%u.2", network);
	snprintf(middle, sizeof(middle), "100.64.%u.2", network);
	if (kind != WORLD_PUBLIC)
		outer = outer_nat(h->sim, kind, network);
	nat = outer;
	if (kind == WORLD_CARRIER)
		nat = sim_nat(h->sim, middle, SIM_EI, SIM_APD, SIM_PRESERVE, outer);
	i = sim_iface(h, name, address, nat);
	sim_iface_link(i, &world_link);
	if (ret_nat)
		*ret_nat = outer;
	return i;
}

struct sim_host *world_map(struct sim *sim, const char *name)
{
	struct sim_host *map = sim_map(sim, name);

	for (u32 n = 0; n < 4; n++) {
		const char *address = n / 2 ? "203.0.113.6" : "203.0.113.5";

		sim_iface_link(sim_map_listen(map, address, (u16)(WIRE_PORT_MAP + n % 2)),
			       &world_link);
	}
	return map;
}

void world_meet(struct world *w, const char *name, enum world_nat a, enum world_nat b)
{
	*w = (struct world){ .sim = sim_create(name) };
	w->map = world_map(w->sim, "map");
	w->a = sim_node(w->sim, "a");
	w->b = sim_node(w->sim, "b");
	world_attach(w->a, a, 1, &w->nat_a);
	world_attach(w->b, b, 2, &w->nat_b);
	sim_befriend(w->a, w->b, false);
	sim_use_map(w->a, w->map);
	sim_use_map(w->b, w->map);
	sim_tunnel_named(w->a, "data");
	sim_tunnel_named(w->b, "data");
}

/* --- waiting ------------------------------------------------------------------------------- */

static bool both_live(void *ctx)
{
	const struct world *w = ctx;

	return sim_connected(w->a, 0) && sim_connected(w->b, 0) &&
	       sim_paths_in_state(w->a, 0, PATH_LIVE) && sim_paths_in_state(w->b, 0, PATH_LIVE);
}

void world_start(struct world *w, u64 limit)
{
	sim_start_all(w->sim);
	if (!sim_run_until(w->sim, limit, both_live, w))
		sim_fail(w->sim, "a and b are not connected");
}

struct awaited {
	struct sim_flow *flow;
	struct sim_host *host;
	u16 peer;
	u64 count;
};

static bool has_received(void *ctx)
{
	const struct awaited *awaited = ctx;

	return sim_received(awaited->flow, awaited->host) >= awaited->count;
}

bool world_await(struct sim_flow *f, struct sim_host *to, u64 count, u64 limit)
{
	struct awaited awaited = { .flow = f, .host = to, .count = count };

	return sim_run_until(f->sim, limit, has_received, &awaited);
}

static bool has_live(void *ctx)
{
	const struct awaited *awaited = ctx;

	return sim_paths_in_state(awaited->host, awaited->peer, PATH_LIVE) == awaited->count;
}

bool world_await_live(struct sim_host *h, u16 peer, u32 count, u64 limit)
{
	struct awaited awaited = { .host = h, .peer = peer, .count = count };

	return sim_run_until(h->sim, limit, has_live, &awaited);
}

bool world_direct(const struct sim_host *h, struct path_view *ret)
{
	for (u32 n = 0; h->running && n < MAX_PEER_PATHS; n++) {
		struct path_view view;

		if (!engine_view_path(h->engine, 0, n, &view) || view.state != PATH_LIVE ||
		    view.origin == PATH_FROM_RELAY)
			continue;
		*ret = view;
		return true;
	}
	return false;
}

u64 world_lost(const struct sim_flow *f, const struct sim_host *to)
{
	return f->accepted - sim_received(f, to);
}

void world_check_traffic(struct world *w)
{
	struct sim_flow *there = sim_flow(w->a, 0, MS(10), 200, 50);
	struct sim_flow *back = sim_flow(w->b, 0, MS(10), 200, 50);

	sim_run(w->sim, SECONDS(1));
	sim_compare(w->sim, sim_received(there, w->b), ==, 50);
	sim_compare(w->sim, sim_received(back, w->a), ==, 50);
}

void world_end(struct world *w)
{
	sim_destroy(w->sim);
}
