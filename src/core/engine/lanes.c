/* SPDX-License-Identifier: MIT */
/*
 * lanes.c - whose lane is which, which of several is next, and how much may leave.
 *
 * A lane belongs to a tunnel and a peer until another pair needs it while it is empty; each pair has
 * LANE_WAYS lanes that it may have. The rate is kept as one point in time, as in ratelim.c.
 */
#include "lanes.h"

#include <string.h>

#define LANE_WAYS 4u

void lanes_init(struct outbox *o, u32 overhead)
{
	memset(o, 0, sizeof(*o));
	o->overhead = overhead;
	for (u32 n = 0; n < OUTBOX_SIZE; n++)
		o->entry[n].next = (u16)(n + 1);
	for (u32 n = 0; n < LANES; n++) {
		o->lane[n].tunnel = o->lane[n].peer = NO_INDEX;
		codel_init(&o->lane[n].codel, CODEL_TARGET, CODEL_INTERVAL);
	}
}

/* --- lanes ----------------------------------------------------------------------------------- */

static u32 lane_way(u16 tunnel, u16 peer, u32 way)
{
	u32 hash = ((u32)tunnel << 16 | peer) * 2654435761u;

	return 1 + ((hash >> 16) + way) % (LANES - 1);
}

u32 lanes_find(const struct outbox *o, u16 tunnel, u16 peer)
{
	u32 empty = 0;

	if (tunnel == NO_INDEX)
		return LANE_CONTROL;
	for (u32 way = 0; way < LANE_WAYS; way++) {
		u32 n = lane_way(tunnel, peer, way);

		if (o->lane[n].tunnel == tunnel && o->lane[n].peer == peer)
			return n;
		if (!empty && o->lane[n].count == 0)
			empty = n;
	}
	return empty ? empty : lane_way(tunnel, peer, 0);
}

void lanes_give(struct lane *l, u16 tunnel, u16 peer)
{
	l->tunnel = tunnel;
	l->peer = peer;
	codel_init(&l->codel, CODEL_TARGET, CODEL_INTERVAL);
}

u32 lanes_room(const struct outbox *o, u32 lane)
{
	const struct lane *l = &o->lane[lane];
	u32 free = PAYLOAD_PLACES - o->count;

	if (o->count >= PAYLOAD_PLACES || o->bytes >= OUTBOX_BYTES ||
	    l->count >= LANE_SHARE * free || l->bytes >= LANE_SHARE * (OUTBOX_BYTES - o->bytes))
		return 0;
	if (l->bytes >= PACE_LANE &&
	    (lanes_enough(o, 0) || (o->rate && l->bytes >= LANE_SHARE * (o->most - o->bytes))))
		return 0;
	/* What each of them takes is not free for the next. */
	return (LANE_SHARE * (free + 1) - l->count) / (LANE_SHARE + 1);
}

bool lanes_enough(const struct outbox *o, u32 more)
{
	return o->rate && o->bytes + more >= o->most;
}

void lanes_count(struct outbox *o, u32 lane, struct queued *q)
{
	u32 bytes = q->buf->length - q->from;

	o->lane[lane].bytes += bytes - q->bytes;
	o->bytes += bytes - q->bytes;
	q->bytes = bytes;
}

/* --- pace ------------------------------------------------------------------------------------ */

/* How long (ns) so many bytes take. */
static u64 pace_time(const struct outbox *o, u64 bytes)
{
	return bytes * NS_PER_S / o->rate;
}

static u64 pace_burst(const struct outbox *o)
{
	return PACE_BURST + pace_time(o, PACE_BYTES);
}

/* Bytes that may leave now; the last datagram may be larger. */
static u64 tokens(const struct outbox *o, u64 now)
{
	u64 saved, debt = o->ready_at > now ? o->ready_at - now : 0;

	if (!o->rate)
		return UINT64_MAX;
	saved = pace_burst(o);
	return debt < saved ? 1 + (saved - debt) * o->rate / NS_PER_S : 0;
}

u64 lanes_paced_until(const struct outbox *o, u64 now)
{
	if (tokens(o, now))
		return 0;
	return o->ready_at - pace_burst(o) + PACE_TICK;
}

void lanes_set_rate(struct outbox *o, u64 now, u64 rate)
{
	u64 most = rate / (NS_PER_S / PACE_QUEUE);

	most = most > PACE_BYTES ? most : PACE_BYTES;
	o->rate = rate;
	o->most = most < OUTBOX_BYTES ? (u32)most : OUTBOX_BYTES;
	o->ready_at = now;
	o->planned = o->taken = 0;
}

void lanes_spend(struct outbox *o, u64 now, u32 bytes, u32 datagrams)
{
	u64 all = bytes + (u64)datagrams * o->overhead;

	o->ready_at = (o->ready_at > now ? o->ready_at : now) + pace_time(o, all);
}

/* --- what is next ---------------------------------------------------------------------------- */

/* How far a lane is planned. */
struct cursor {
	u32 left; /* entries */
	u16 entry;
	u64 served;
};

struct planning {
	struct outbox *o;
	u64 now, tokens;
	u32 max;
};

/* Of q, what is left of it or what there are tokens for: whole datagrams, one at least. */
static u32 part_of(struct planning *p, const struct queued *q)
{
	u32 left = q->buf->length - q->from, whole = queued_datagrams(q);
	u32 segment = q->buf->segment ? q->buf->segment : left;
	u64 count, price = segment + p->o->overhead;

	if (p->tokens == UINT64_MAX)
		return left;
	count = p->tokens / price;
	count = count < 1 ? 1 : count < whole ? count : whole;
	p->tokens -= count * price < p->tokens ? count * price : p->tokens;
	if (count == whole)
		return left;
	p->tokens = 0; /* nothing overtakes the rest */
	return (u32)count * segment;
}

/* Plans the next entry of a lane. False: there is none. */
static bool plan_one(struct planning *p, u32 lane, struct cursor *c)
{
	struct outbox *o = p->o;
	const struct queued *q = &o->entry[c->entry];
	u32 size;

	if (c->left == 0 || q->deadline <= p->now)
		return false;
	size = part_of(p, q);
	o->plan[o->planned++] = (struct planned){ lane, size };
	c->served += size;
	c->entry = q->next;
	c->left--;
	return true;
}

static bool may_plan(const struct planning *p)
{
	return p->tokens > 0 && p->o->planned < p->max;
}

static struct cursor cursor_of(const struct lane *l)
{
	return (struct cursor){ .left = l->count, .entry = l->head, .served = l->served };
}

/* Of these lanes, which there are, the one that has been served least. */
static u32 least_served(const struct cursor *cursor, u64 lanes)
{
	u32 best = (u32)__builtin_ctzll(lanes);

	for (lanes &= lanes - 1; lanes; lanes &= lanes - 1) {
		u32 n = (u32)__builtin_ctzll(lanes);

		if (cursor[n].served < cursor[best].served)
			best = n;
	}
	return best;
}

static void plan_control(struct planning *p)
{
	struct cursor c = cursor_of(&p->o->lane[LANE_CONTROL]);

	while (may_plan(p) && plan_one(p, LANE_CONTROL, &c))
		;
}

static void plan_payloads(struct planning *p)
{
	u64 lanes = p->o->active & ~(UINT64_C(1) << LANE_CONTROL);
	struct cursor cursor[LANES];

	for (u64 mask = lanes; mask; mask &= mask - 1) {
		u32 n = (u32)__builtin_ctzll(mask);

		cursor[n] = cursor_of(&p->o->lane[n]);
	}
	while (lanes && may_plan(p)) {
		u32 n = least_served(cursor, lanes);

		if (!plan_one(p, n, &cursor[n]))
			lanes &= ~(UINT64_C(1) << n);
	}
}

u32 lanes_plan(struct outbox *o, u64 now, u32 max)
{
	struct planning p = { .o = o,
			      .now = now,
			      .tokens = tokens(o, now),
			      .max = max < OUTBOX_SIZE ? max : OUTBOX_SIZE };

	o->planned = o->taken = 0;
	o->straight = false;
	plan_control(&p);
	plan_payloads(&p);
	return o->planned;
}
