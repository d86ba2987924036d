/* SPDX-License-Identifier: MIT */
/*
 * routed.c - a route has appeared behind an interface: what was sent there before may have gone
 * nowhere, so it is sent again now rather than when its retry is due.
 *
 * An address comes before its routes, and the kernel tells both at once; without this, the first
 * request on a new link would wait for its first repetition.
 */
#include "engine_internal.h"

static void register_again(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct registration *r = &m->registrations[iface];

	stream_hurry(e, m, now, iface);
	if (r->state != REG_WANTED)
		return;
	r->next = now;
	r->tries = 0;
	if (!assoc_ready(&m->assoc, now))
		assoc_kick(e->hub, &m->assoc, now);
	map_arm(e, m, now);
}

static void probe_again(struct engine *e, struct peer *p, u64 now, u8 iface)
{
	for (u32 n = 0; n < MAX_PEER_PATHS; n++) {
		struct path *path = &p->paths[n];

		if (path->used && path->iface == iface && path->state != PATH_LIVE)
			path_wake(path, now);
	}
	peer_arm(e, p, now);
}

void engine_iface_routed(struct engine *e, u64 now, u8 iface)
{
	if (!iface_get(e, iface))
		return;
	for (u32 n = 0; n < MAX_MAPS; n++) {
		if (e->maps[n].used)
			register_again(e, &e->maps[n], now, iface);
	}
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			probe_again(e, e->peers[n], now, iface);
	}
}
