/* SPDX-License-Identifier: MIT */
/*
 * outbox.c - what waits for an interface's socket comes and goes.
 *
 * An outbox (lanes.h) holds references to trains: the same sealed bytes may lie in several of them. It is
 * emptied at the pace of its own socket, so that a slow link delays no other. Payloads leave some places
 * free, so that probes pass when a link is flooded, and there is a bound on their bytes: an outbox full of
 * trains would be tens of MiB, and old before it leaves. What waits beyond its deadline is dropped when its
 * turn comes.
 *
 * What stands there is sealed, so it cannot be marked any more, and it leaves in trains: dropping the
 * first, as CoDel would have it, may cost a sender 64 packets at once. So CoDel judges what leaves, and its
 * sign is given to the next packet that comes for the same lane, before it is sealed (send.c): later by
 * the time that the queue takes, but to one packet, and as a mark where its sender understands that.
 */
#include "engine_internal.h"

#include <errno.h>

/* --- coming ---------------------------------------------------------------------------------- */

u32 iface_room(const struct engine *e, u8 iface, u16 tunnel, u16 peer)
{
	const struct iface *i = iface_get(e, iface);

	if (!i || i->resting)
		return 0;
	return lanes_room(&i->outbox, lanes_find(&i->outbox, tunnel, peer));
}

bool iface_enough(const struct engine *e, u8 iface, u32 more)
{
	const struct iface *i = iface_get(e, iface);

	return i && lanes_enough(&i->outbox, more);
}

static u32 lane_for(struct outbox *o, const struct queued *q)
{
	const struct lane *newest = &o->lane[o->newest];

	if (q->map)
		return lanes_find(o, TUNNEL_MAP, q->map);
	if (q->tunnel == NO_INDEX)
		return LANE_CONTROL;
	if (newest->tunnel != q->tunnel || newest->peer != q->peer)
		o->newest = lanes_find(o, q->tunnel, q->peer);
	return o->newest;
}

static bool has_place(const struct outbox *o, u32 lane, const struct queued *q)
{
	if (q->tunnel == NO_INDEX)
		return o->count < OUTBOX_SIZE;
	/* No lane has more than its share of half of it all. */
	if (!o->rate && o->count < PAYLOAD_PLACES / 2 && o->bytes < OUTBOX_BYTES / 2)
		return true;
	if (q->begun)
		return o->count < PAYLOAD_PLACES;
	return lanes_room(o, lane) > 0;
}

static void put(struct outbox *o, u32 lane, u64 now, struct buf *b, const struct queued *q)
{
	struct lane *l = &o->lane[lane];
	u16 slot = o->free;
	struct queued *entry = &o->entry[slot];

	o->free = entry->next;
	*entry = *q;
	entry->buf = buf_ref(b);
	entry->at = now;
	entry->bytes = b->length;
	if (l->count++) {
		lanes_count(o, lane, &o->entry[l->tail]); /* it grows no more */
		o->entry[l->tail].next = slot;
	} else {
		l->head = slot;
		o->active |= UINT64_C(1) << lane;
	}
	l->tail = slot;
	l->bytes += b->length;
	o->bytes += b->length;
	o->count++;
}

/* Something comes into a lane that was empty: it begins where the others are. */
static void lane_begins(const struct engine *e, struct outbox *o, struct lane *l,
			const struct queued *q)
{
	u16 tunnel = q->map ? TUNNEL_MAP : q->tunnel, peer = q->map ? q->map : q->peer;

	if (l->tunnel != tunnel || l->peer != peer)
		lanes_give(l, tunnel, peer);
	l->managed = q->map || e->tunnels[q->tunnel].routed;
	if (l->served < o->clock)
		l->served = o->clock;
}

bool iface_queue(struct engine *e, u64 now, u8 iface, struct buf *b, const struct queued *q)
{
	struct iface *i = iface_get(e, iface);
	struct outbox *o;
	u32 lane;

	if (q->destination.address.family == ADDRESS_RELAY)
		return relay_queue(e, now, iface, b, q);
	if (!i || i->resting)
		return false;
	o = &i->outbox;
	lane = lane_for(o, q);
	if (o->rate && o->lane[lane].count) /* it has grown */
		lanes_count(o, lane, &o->entry[o->lane[lane].tail]);
	if (!has_place(o, lane, q))
		return false;
	if (lane != LANE_CONTROL && o->lane[lane].count == 0)
		lane_begins(e, o, &o->lane[lane], q);
	if (q->tunnel != NO_INDEX)
		e->tunnels[q->tunnel].pending++;
	put(o, lane, now, b, q);
	e->outgoing_mask |= 1u << iface;
	return true;
}

/* --- going ----------------------------------------------------------------------------------- */

/* The path that an entry was queued for, if it is still the same one. */
static struct path *queued_path(const struct engine *e, u8 iface, const struct queued *q)
{
	struct peer *p = q->peer == NO_INDEX ? NULL : peer_get(e, q->peer);
	struct path *path;

	if (!p)
		return NULL;
	path = &p->paths[q->path];
	if (!path->used || path->iface != iface || path->socket != q->socket)
		return NULL;
	if (q->relayed ? path_relayed(path) : endpoint_equal(&path->remote, &q->destination))
		return path;
	return NULL;
}

static void lane_ends(struct engine *e, struct outbox *o, u8 iface, u32 lane)
{
	o->active &= ~(UINT64_C(1) << lane);
	if (o->lane[lane].due)
		outbox_told(e, o, iface, &o->lane[lane]);
	if (o->lane[lane].codel.above_at)
		codel_empty(&o->lane[lane].codel);
	if (o->count == 0)
		e->outgoing_mask &= ~(1u << iface);
}

/* The first of its lane leaves the outbox. */
static inline void forget(struct engine *e, struct outbox *o, u8 iface, u32 lane, struct queued *q)
{
	struct lane *l = &o->lane[lane];
	u16 slot = l->head;

	if (q->tunnel != NO_INDEX)
		e->tunnels[q->tunnel].pending--;
	if (q->buf == e->train.buf)
		train_close(e);
	buf_put(q->buf);
	q->buf = NULL;
	l->head = q->next;
	l->bytes -= q->bytes;
	o->bytes -= q->bytes;
	q->next = o->free;
	o->free = slot;
	o->count--;
	if (--l->count == 0)
		lane_ends(e, o, iface, lane);
}

/* Drops the first of a lane: it never left, so its path did not send it. */
static void drop(struct engine *e, struct outbox *o, u8 iface, u32 lane, enum drop_reason reason)
{
	struct queued *q = lanes_head(o, lane);
	struct path *path = queued_path(e, iface, q);
	struct drop_counts *drops = q->tunnel == NO_INDEX ? &e->drops :
							    &e->tunnels[q->tunnel].drops;
	u32 datagrams = queued_datagrams(q);

	drops->count[reason] += datagrams;
	if (path && path->sent.packets >= path->sent_epoch + datagrams) {
		path->sent.packets -= datagrams;
		path->sent.bytes -= q->buf->length - q->from;
	}
	o->planned = o->taken = 0;
	forget(e, o, iface, lane, q);
}

/* Drops what heads its lane and ought to have left. */
static void drop_late(struct engine *e, struct outbox *o, u8 iface, u64 now,
		      enum drop_reason reason)
{
	for (u64 lanes = o->active; lanes; lanes &= lanes - 1) {
		u32 lane = (u32)__builtin_ctzll(lanes);

		while (o->lane[lane].count && lanes_head(o, lane)->deadline <= now) {
			if (reason == DROP_DEADLINE)
				congest_late(e, lanes_head(o, lane), now);
			drop(e, o, iface, lane, reason);
		}
	}
}

void outbox_clear(struct engine *e, u8 iface, enum drop_reason reason)
{
	drop_late(e, &e->ifaces[iface]->outbox, iface, TIME_NEVER, reason);
}

u32 engine_outgoing_ifaces(const struct engine *e)
{
	return e->outgoing_mask & ~e->paced_mask;
}

/* It waits for tokens. */
static void pace(struct engine *e, struct iface *i, u8 iface, u64 until)
{
	i->paced_until = until;
	e->paced_mask |= 1u << iface;
	engine_arm(e, until);
}

static struct outgoing outgoing_of(const struct queued *q, u32 size)
{
	return (struct outgoing){ .buf = q->buf,
				  .from = q->from,
				  .size = size,
				  .destination = q->destination,
				  .socket = q->socket };
}

/* There is one lane only, and no limit of the rate. */
static size_t plan_straight(struct outbox *o, u64 now, u32 lane, struct outgoing *ret, size_t max)
{
	const struct queued *q = &o->entry[o->lane[lane].head];
	size_t n = 0, count = o->lane[lane].count < max ? o->lane[lane].count : max;

	for (; n < count && q->deadline > now; q = &o->entry[q->next])
		ret[n++] = outgoing_of(q, q->buf->length);
	o->plan[0].lane = lane;
	o->straight = true;
	o->planned = (u32)n;
	o->taken = 0;
	return n;
}

/* Several lanes, or parts of trains. */
static size_t plan_lanes(struct outbox *o, u64 now, struct outgoing *ret, size_t max)
{
	u16 next[LANES];
	size_t n = lanes_plan(o, now, max < OUTBOX_SIZE ? (u32)max : OUTBOX_SIZE);

	for (u64 lanes = o->active; lanes; lanes &= lanes - 1)
		next[__builtin_ctzll(lanes)] = o->lane[__builtin_ctzll(lanes)].head;
	for (size_t k = 0; k < n; k++) {
		const struct planned *plan = &o->plan[k];
		const struct queued *q = &o->entry[next[plan->lane]];

		ret[k] = outgoing_of(q, plan->size);
		next[plan->lane] = q->next;
	}
	return n;
}

/* What is late is dropped, several lanes take turns, tokens may be short. */
static size_t plan(struct engine *e, struct iface *i, u8 iface, u64 now, struct outgoing *ret,
		   size_t max)
{
	struct outbox *o = &i->outbox;
	u64 until;

	o->planned = o->taken = 0;
	drop_late(e, o, iface, now, DROP_DEADLINE);
	if (max == 0 || o->count == 0)
		return 0;
	train_close(e);
	until = lanes_paced_until(o, now);
	if (until) {
		pace(e, i, iface, until);
		return 0;
	}
	return plan_lanes(o, now, ret, max);
}

size_t engine_outgoing(struct engine *e, u64 now, u8 iface, struct outgoing *ret, size_t max)
{
	struct iface *i = iface_get(e, iface);
	u64 active = i ? i->outbox.active : 0;
	u32 lane;

	if (!active)
		return 0;
	lane = (u32)__builtin_ctzll(active);
	if (max == 0 || active & (active - 1) || i->outbox.rate ||
	    lanes_head(&i->outbox, lane)->deadline <= now)
		return plan(e, i, iface, now, ret, max);
	train_close(e);
	return plan_straight(&i->outbox, now, lane, ret, max);
}

/* A train leaves its lane: does that stand? */
static void judge(struct engine *e, struct outbox *o, u8 iface, struct lane *l,
		  const struct queued *q, u64 now)
{
	u32 datagram = q->buf->segment ? q->buf->segment : q->buf->length;

	if (!codel_judge(&l->codel, now, now - q->at, l->bytes - q->bytes, datagram))
		return;
	o->due += !l->due;
	l->due = true;
	e->due_mask |= 1u << iface;
}

/* All that was left of q, the first of a lane, has left the host. */
static inline void took_whole(struct engine *e, struct iface *i, u8 iface, u64 now, u32 lane)
{
	struct outbox *o = &i->outbox;
	struct lane *l = &o->lane[lane];
	struct queued *q = &o->entry[l->head];
	u32 size = q->buf->length - q->from;

	i->sent_packets += queued_datagrams(q);
	i->sent_bytes += size;
	if (q->tunnel != NO_INDEX)
		e->tunnels[q->tunnel].left |= 1u << iface;
	if (lane != LANE_CONTROL) {
		o->clock = l->served;
		l->served += size;
		if (l->managed && (now - q->at >= CODEL_TARGET || l->codel.above_at))
			judge(e, o, iface, l, q, now);
	}
	forget(e, o, iface, lane, q);
}

/* As much of q as size. */
static void took_part(struct iface *i, u32 lane, u32 size)
{
	struct outbox *o = &i->outbox;
	struct queued *q = lanes_head(o, lane);

	i->sent_packets += size / q->buf->segment; /* parts are whole datagrams */
	i->sent_bytes += size;
	if (lane != LANE_CONTROL) {
		o->clock = o->lane[lane].served;
		o->lane[lane].served += size;
	}
	q->from += size;
	lanes_count(o, lane, q);
}

/* What is first in the plan has left. */
static void took(struct engine *e, struct iface *i, u8 iface, u64 now)
{
	struct outbox *o = &i->outbox;
	const struct planned *plan = &o->plan[o->taken++];
	const struct queued *q = lanes_head(o, plan->lane);
	u32 datagrams = queued_datagrams(q);

	if (plan->size < q->buf->length - q->from) {
		datagrams = plan->size / q->buf->segment;
		took_part(i, plan->lane, plan->size);
	} else {
		took_whole(e, i, iface, now, plan->lane);
	}
	if (o->rate)
		lanes_spend(o, now, plan->size, datagrams);
}

void engine_sent(struct engine *e, u64 now, u8 iface, size_t count)
{
	struct iface *i = iface_get(e, iface);
	struct outbox *o;

	if (!i || count == 0)
		return;
	o = &i->outbox;
	i->failures = 0;
	if (o->straight) {
		for (; count > 0 && o->taken < o->planned; count--, o->taken++)
			took_whole(e, i, iface, now, o->plan[0].lane);
		return;
	}
	for (; count > 0 && o->taken < o->planned; count--)
		took(e, i, iface, now);
}

/* A datagram that is too long for the link is a fact about the path, not a failure. */
static void too_long(struct engine *e, u8 iface, u64 now, const struct queued *q)
{
	struct path *path = queued_path(e, iface, q);
	u32 size = q->buf->segment ? q->buf->segment : q->buf->length;
	u16 peer = q->peer;

	if (path && pmtu_refused(&path->pmtu, now, size)) {
		pathset_update(e, peer_get(e, peer), now);
		peer_arm(e, peer_get(e, peer), now);
	}
}

/* Its path has never answered: a peer may have told us of anything. */
static bool leads_nowhere(const struct engine *e, u8 iface, const struct queued *q)
{
	const struct path *path = queued_path(e, iface, q);

	return path && path->state == PATH_PROBING;
}

void engine_send_failed(struct engine *e, u64 now, u8 iface, int error)
{
	struct iface *i = iface_get(e, iface);
	struct outbox *o = i ? &i->outbox : NULL;
	bool counts;
	u32 lane;

	if (!i || (o->taken == o->planned && lanes_plan(o, now, 1) == 0))
		return;
	lane = o->plan[o->straight ? 0 : o->taken].lane;
	counts = error != EMSGSIZE && !leads_nowhere(e, iface, lanes_head(o, lane));
	if (error == EMSGSIZE)
		too_long(e, iface, now, lanes_head(o, lane));
	else
		i->send_errors++;
	drop(e, o, iface, lane, DROP_SEND_ERROR);
	if (counts)
		iface_failed(e, i, iface, now);
}

/* --- those whose entries they are ------------------------------------------------------------ */

/* Of a peer or a tunnel; the other is NO_INDEX. */
static void disown(struct outbox *o, u32 lane, u16 peer, u16 tunnel)
{
	u16 slot = o->lane[lane].head;

	for (u32 n = 0; n < o->lane[lane].count; n++, slot = o->entry[slot].next) {
		struct queued *q = &o->entry[slot];

		if (peer != NO_INDEX && q->peer == peer)
			q->peer = NO_INDEX;
		if (tunnel != NO_INDEX && q->tunnel == tunnel)
			q->tunnel = NO_INDEX;
	}
}

/* Entries stay in place, as what they belong to goes; they then belong to nobody. */
static void disown_all(struct engine *e, u16 peer, u16 tunnel)
{
	train_close(e);
	for (u32 mask = e->outgoing_mask; mask; mask &= mask - 1) {
		struct outbox *o = &e->ifaces[__builtin_ctz(mask)]->outbox;

		for (u64 lanes = o->active; lanes; lanes &= lanes - 1)
			disown(o, (u32)__builtin_ctzll(lanes), peer, tunnel);
	}
}

void iface_forget_peer(struct engine *e, u16 peer)
{
	disown_all(e, peer, NO_INDEX);
}

void iface_forget_tunnel(struct engine *e, u16 tunnel)
{
	disown_all(e, NO_INDEX, tunnel);
}

static void count_waiting(const struct outbox *o, u32 lane, u16 peer, u8 path,
			  struct path_counts *sum)
{
	u16 slot = o->lane[lane].head;

	for (u32 n = 0; n < o->lane[lane].count; n++, slot = o->entry[slot].next) {
		const struct queued *q = &o->entry[slot];

		if (q->peer != peer || q->path != path || q->map)
			continue;
		sum->packets += queued_datagrams(q);
		sum->bytes += q->buf->length - q->from;
	}
}

struct path_counts iface_waiting(const struct engine *e, u8 iface, u16 peer, u8 path)
{
	const struct outbox *o = &e->ifaces[iface]->outbox;
	u64 lanes = o->active & ~(UINT64_C(1) << LANE_CONTROL);
	struct path_counts waiting = { 0 };

	for (; lanes; lanes &= lanes - 1)
		count_waiting(o, (u32)__builtin_ctzll(lanes), peer, path, &waiting);
	return waiting;
}
