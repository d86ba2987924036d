/* SPDX-License-Identifier: MIT */
/*
 * order.c - ordered tunnels: each peer's payloads wait for those that it sent before them.
 *
 * One resequencer a peer and tunnel, made when either of the two is added. How long it may wait
 * follows from what the peer's paths measure: half the difference of their round trips is how far
 * the fastest can be ahead of the slowest, if both directions are alike. More is given for their
 * variation, what it takes to rebuild one or to send it again, and a margin for the host itself.
 */
#include "engine_internal.h"

#include <errno.h>

#define MARGIN (5 * NS_PER_MS)

static u64 wait_for(const struct engine *e, const struct peer *p, u16 tunnel)
{
	const u64 most = e->tunnels[tunnel].reorder_wait;
	const struct flow *f = &p->flows[tunnel];

	return time_min(pathset_skew(p) + rebuild_wait(f) + report_wait(f) + MARGIN,
			most ? most : REORDER_WAIT_MAX);
}

int order_open(struct engine *e, struct peer *p, u16 tunnel)
{
	const struct tunnel *t = &e->tunnels[tunnel];
	struct flow *f = &p->flows[tunnel];

	if (!t->ordered || !tunnel_has_peer(t, p->index))
		return 0;
	f->order = reorder_create(&e->options.allocator, &e->reorder_budget);
	return f->order ? 0 : -ENOMEM;
}

void order_close(struct engine *e, struct peer *p, u16 tunnel)
{
	reorder_destroy(&e->options.allocator, p->flows[tunnel].order);
	p->flows[tunnel].order = NULL;
}

/* --- payloads -------------------------------------------------------------------------------- */

/* What is due, as far as the engine's queue has room; the rest stays due. */
static void release(struct engine *e, const struct peer *p, u64 now, u16 tunnel)
{
	struct reorder *r = p->flows[tunnel].order;
	struct reorder_item item;

	while (engine_deliveries(e) < DELIVERIES && reorder_next(r, now, &item))
		tunnel_hand_over(e, now, tunnel, p->index, &item);
}

/* Not the next one, or others wait. */
static void take_early(struct engine *e, struct peer *p, u64 now, u16 tunnel, u32 sequence,
		       const struct reorder_item *item)
{
	struct reorder *r = p->flows[tunnel].order;
	struct tunnel *t = &e->tunnels[tunnel];
	const u64 put_right = reorder_put_right(r);
	enum drop_reason reason = reorder_put(r, now, sequence, item);

	reorder_set_wait(r, wait_for(e, p, tunnel));
	if (reason == DROP_QUEUE_FULL) {
		release(e, p, now, tunnel);
		reason = reorder_put(r, now, sequence, item);
	}
	t->reordered += reorder_put_right(r) - put_right;
	if (reason != DROP_NONE) {
		drop_count(&t->drops, reason);
		buf_put(item->buf);
		return;
	}
	release(e, p, now, tunnel);
	engine_arm(e, reorder_next_expiry(r));
}

void order_take(struct engine *e, struct peer *p, u64 now, u16 tunnel, u32 sequence,
		const struct reorder_item *item)
{
	if (reorder_pass(p->flows[tunnel].order, sequence))
		tunnel_hand_over(e, now, tunnel, p->index, item);
	else
		take_early(e, p, now, tunnel, sequence, item);
}

/* Apart, so that what is not ordered pays for nothing of this. */
void order_payload(struct engine *e, struct peer *p, const struct arrival *in, u16 tunnel,
		   const struct frame_payload *f)
{
	const struct reorder_item item = { f->data, f->size, buf_ref(in->buf), in->deadline };

	order_take(e, p, in->now, tunnel, f->sequence, &item);
}

/* --- time ------------------------------------------------------------------------------------ */

static u64 peer_next_expiry(const struct peer *p)
{
	u64 at = TIME_NEVER;

	for (u32 n = 0; n < MAX_TUNNELS; n++) {
		if (p->flows[n].order)
			at = time_min(at, reorder_next_expiry(p->flows[n].order));
	}
	return at;
}

u64 order_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (u32 n = 0; e->reorder_budget.used && n < e->peer_limit; n++) {
		if (e->peers[n])
			at = time_min(at, peer_next_expiry(e->peers[n]));
	}
	return at;
}

static void peer_release(struct engine *e, const struct peer *p, u64 now)
{
	for (u16 n = 0; n < MAX_TUNNELS; n++) {
		struct reorder *r = p->flows[n].order;

		if (r && reorder_next_expiry(r) <= now)
			release(e, p, now, n);
	}
}

void order_expire(struct engine *e, u64 now)
{
	for (u32 n = 0; e->reorder_budget.used && n < e->peer_limit; n++) {
		if (e->peers[n])
			peer_release(e, e->peers[n], now);
	}
}

u32 order_waiting(const struct engine *e, u16 tunnel)
{
	u32 count = 0;

	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n] && e->peers[n]->flows[tunnel].order)
			count += reorder_waiting(e->peers[n]->flows[tunnel].order);
	}
	return count;
}
