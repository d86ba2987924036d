/* SPDX-License-Identifier: MIT */
/*
 * congest.c - who is to be told that what it sends stands before a link.
 */
#include "engine_internal.h"

/* --- telling senders ------------------------------------------------------------------------- */

/* The lane that holds something of the tunnel for the peer on this path, or NULL. */
static struct lane *lane_with(struct outbox *o, const struct path *path, u16 tunnel, u16 peer)
{
	struct lane *l;

	if (path_relayed(path)) {
		tunnel = TUNNEL_MAP;
		peer = (u16)(1 + relay_map(&path->remote));
	}
	l = &o->lane[lanes_find(o, tunnel, peer)];
	return l->count && l->tunnel == tunnel && l->peer == peer ? l : NULL;
}

bool iface_stands(const struct engine *e, const struct path *path, u16 tunnel, u16 peer)
{
	const struct lane *l = NULL;

	if (e->due_mask & 1u << path->iface)
		l = lane_with(&e->ifaces[path->iface]->outbox, path, tunnel, peer);
	return l && l->due;
}

void outbox_told(struct engine *e, struct outbox *o, u8 iface, struct lane *l)
{
	o->due -= l->due;
	l->due = false;
	if (o->due == 0)
		e->due_mask &= ~(1u << iface);
}

void iface_told(struct engine *e, const struct path *path, u16 tunnel, u16 peer)
{
	struct outbox *o = &e->ifaces[path->iface]->outbox;
	struct lane *l = lane_with(o, path, tunnel, peer);

	if (l)
		outbox_told(e, o, path->iface, l);
}
