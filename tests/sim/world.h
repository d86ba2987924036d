/* SPDX-License-Identifier: MIT */
/*
 * world.h - the networks that most scenarios start from, and what they wait for.
 *
 *   pair:  a --[links]-- internet --[links]-- b      static endpoints, no map
 *   meet:  a --NAT-- internet --NAT-- b, and a map that both know
 *
 * Links have 10 ms of delay each, so a round trip takes 40 ms.
 */
#ifndef WORLD_H
#define WORLD_H

#include "sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MS(n) ((u64)(n)*NS_PER_MS)
#define SECONDS(n) ((u64)(n)*NS_PER_S)

struct world {
	struct sim *sim;
	struct sim_host *a, *b, *map;
	struct sim_nat *nat_a, *nat_b;
};

/* A link of 10 ms. */
extern const struct sim_link world_link;

/* How many of full to do in this build: fewer with sanitizers, which are slow; SIM_SCALE (a
 * percentage) says otherwise. */
u64 world_scale(u64 full);

/* a and b, each with so many interfaces on the internet and a tunnel; not started. */
void world_pair(struct world *w, const char *name, u32 ifaces_a, u32 ifaces_b);

#define WORLD_OTHERS 5.0

enum world_nat {
	WORLD_PUBLIC,
	WORLD_FIREWALL,
	WORLD_FULL_CONE,
	WORLD_ADDRESS_RESTRICTED,
	WORLD_PORT_RESTRICTED,   /* which preserves ports */
	WORLD_OTHER_PORTS,       /* the same, which does not */
	WORLD_CARRIER,           /* two layers, each filters as port-restricted */
	WORLD_ADDRESS_DEPENDENT, /* mapping; filter as port-restricted */
	WORLD_SYMMETRIC,         /* at random */
	WORLD_SEQUENTIAL,        /* symmetric; others take WORLD_OTHERS ports a second */
	WORLD_UDP_BLOCKED,
	WORLD_NATS,
};

const char *world_nat_name(enum world_nat kind);
/* The map, with two addresses of two ports each. */
struct sim_host *world_map(struct sim *sim, const char *name);
/* a and b behind these, and a map; not started. */
void world_meet(struct world *w, const char *name, enum world_nat a, enum world_nat b);
/* An interface of h behind a NAT (or none) of this kind, nth of its network; of two layers the
 * outer one is told. */
struct sim_iface *world_attach(struct sim_host *h, enum world_nat kind, u32 network,
			       struct sim_nat **ret_nat);

/* Starts all, and waits until a and b are connected and have live paths; fails after limit. */
void world_start(struct world *w, u64 limit);
/* Waits, at most limit, until f has so many payloads at to; false: it has not. */
bool world_await(struct sim_flow *f, struct sim_host *to, u64 count, u64 limit);
/* Waits, at most limit, until a has exactly so many live paths to b. */
bool world_await_live(struct sim_host *h, u16 peer, u32 count, u64 limit);
/* A live path of h to its first peer that does not lead through a map; false: none. */
bool world_direct(const struct sim_host *h, struct path_view *ret);
/* Payloads that were accepted from the application and did not come to to. */
u64 world_lost(const struct sim_flow *f, const struct sim_host *to);
/* Both ends live on and exchange payloads within a second, both ways. */
void world_check_traffic(struct world *w);
void world_end(struct world *w);

#endif
