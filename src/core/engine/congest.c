/* SPDX-License-Identifier: MIT */
/*
 * congest.c - who is to be told that what it sends stands before a link, and whether a tunnel is given
 * more than passes.
 *
 * A tunnel is congested when a payload of it was dropped or marked since a queue was full, stood, or took too
 * long, when its gate has to wait all the time, or when a queue stands on all paths to a peer that it sends
 * to; and for STRAIN_TIME after.
 */
#include "engine_internal.h"

#define STRAIN_TIME (1 * NS_PER_S)
#define WAIT_TIME (200 * NS_PER_MS) /* that a gate has to wait, again and again */
#define WAIT_GAP (50 * NS_PER_MS)   /* between two times */

_Static_assert(MAX_TUNNELS <= 64, "a set of tunnels is 64 bits");

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

/* --- telling people --------------------------------------------------------------------------- */

void congest_strained(struct engine *e, struct tunnel *t, u64 now)
{
	t->strained_until = now + STRAIN_TIME;
	e->strained_mask |= UINT64_C(1) << (t - e->tunnels);
	engine_arm(e, t->strained_until);
}

void congest_late(struct engine *e, const struct queued *q, u64 now)
{
	const struct peer *p = q->peer == NO_INDEX ? NULL : peer_get(e, q->peer);

	if (q->tunnel != NO_INDEX && p && !(p->usable_mask & (p->usable_mask - 1)))
		congest_strained(e, &e->tunnels[q->tunnel], now);
}

void congest_peer(struct engine *e, const struct peer *p, u64 now)
{
	for (u32 n = 0; n < MAX_TUNNELS; n++) {
		struct tunnel *t = &e->tunnels[n];

		if (t->used && t->sent_at + STRAIN_TIME > now && tunnel_has_peer(t, p->index))
			congest_strained(e, t, now);
	}
}

void engine_gate_waits(struct engine *e, u64 now, u16 tunnel)
{
	struct tunnel *t = &e->tunnels[tunnel];

	if (t->waits_since == 0 || now >= t->waited_at + WAIT_GAP)
		t->waits_since = now;
	t->waited_at = now;
	if (now >= t->waits_since + WAIT_TIME)
		congest_strained(e, t, now);
}

u64 congest_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (u64 mask = e->strained_mask; mask; mask &= mask - 1)
		at = time_min(at, e->tunnels[__builtin_ctzll(mask)].strained_until);
	return at;
}

void congest_expire(struct engine *e, u64 now)
{
	for (u64 mask = e->strained_mask; mask; mask &= mask - 1) {
		if (e->tunnels[__builtin_ctzll(mask)].strained_until <= now)
			e->strained_mask &= ~(mask & -mask);
	}
}
