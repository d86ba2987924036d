/* SPDX-License-Identifier: MIT */
/*
 * unstripe.c - payloads that took one path each come in: what came over each path is reported, and flows
 * are put into order again (reseq.h).
 *
 * Reports go over the two fastest paths, so that what is learnt does not hang on one of them; the same
 * datagram, of which the second copy is dropped as any.
 *
 * What waits for its order is copied, many to a buffer: each came in a buffer that has room for 64 KiB.
 */
#include "engine_internal.h"
#include "warp/tally.h"

#include <string.h>

#define REPORTS_AT_ONCE 8u
#define REPORT_COPIES 2u
#define REPORT_SIZE 96u /* at most, as a frame */

struct unstripe {
	struct unstripe *next;
	struct engine *e;
	struct peer *p;
	struct buf *box; /* for what is held next; NULL: none yet */
	u64 due;         /* a report */
	u64 told;        /* paths that told something (numbers of the other end) */
	struct tally path[MAX_PEER_PATHS];
};

/* --- reports --------------------------------------------------------------------------------- */

static u64 wait_of(const struct peer *p)
{
	u64 least = UINT64_MAX;

	for (u64 mask = p->usable_mask; mask; mask &= mask - 1) {
		const u64 rtt = p->paths[__builtin_ctzll(mask)].rtt;

		least = rtt && rtt < least ? rtt : least;
	}
	return tally_wait(least == UINT64_MAX ? 0 : least);
}

static void plan(struct unstripe *u)
{
	const u64 wait = wait_of(u->p);

	u->due = TIME_NEVER;
	for (u64 mask = u->told; mask; mask &= mask - 1)
		u->due = time_min(u->due, tally_due(&u->path[__builtin_ctzll(mask)], wait));
	engine_arm(u->e, u->due);
}

static void queue_report(struct unstripe *u, u64 now, struct buf *b)
{
	struct peer *p = u->p;

	for (u64 mask = pathset_select(p, REPORT_COPIES); mask; mask &= mask - 1) {
		const u8 n = (u8)__builtin_ctzll(mask);
		struct path *to = &p->paths[n];
		const struct queued q = { .destination = to->remote,
					  .deadline = TIME_NEVER,
					  .peer = p->index,
					  .tunnel = NO_INDEX,
					  .socket = to->socket,
					  .path = n };

		if (!iface_queue(u->e, now, to->iface, b, &q))
			continue;
		to->sent.packets++;
		to->sent.bytes += b->length;
	}
}

/* Of all paths that have something new. */
static u32 write_reports(struct unstripe *u, u64 now, struct buf *b)
{
	struct frame f = { .type = FRAME_TALLY };
	u32 count = 0;

	for (u64 mask = u->told; mask && count < REPORTS_AT_ONCE; mask &= mask - 1) {
		const u8 n = (u8)__builtin_ctzll(mask);
		int size;

		u->told &= ~(mask & -mask);
		tally_tell(&u->path[n], now, n, &f.tally);
		size = frame_put(buf_data(b) + b->length, REPORT_SIZE, &f);
		b->length += size > 0 ? (u32)size : 0;
		count++;
	}
	return count;
}

static void report(struct unstripe *u, u64 now)
{
	struct buf *b = buf_get(u->e->options.pool);
	u32 size;

	if (b && write_reports(u, now, b)) {
		size = b->length;
		if (assoc_seal(&u->p->assoc, now, buf_push(b, WIRE_HEADER_SIZE), size) == 0) {
			b->length += TAG_SIZE;
			queue_report(u, now, b);
		}
	}
	buf_put(b);
	plan(u);
}

static void note(struct unstripe *u, const struct arrival *in, const struct frame_stripe *f)
{
	struct tally *a = &u->path[f->path];

	tally_take(a, in->now, f->number, in->size);
	u->told |= UINT64_C(1) << f->path;
	if (a->news >= TALLY_EVERY)
		report(u, in->now);
	else if (a->news == 1 || a->gap_at == in->now)
		plan(u);
}

/* --- order ----------------------------------------------------------------------------------- */

/* What is due, as far as the engine's queue has room; the rest stays due. */
static void release(struct unstripe *u, u16 tunnel, u64 now)
{
	struct reseq *r = u->p->flows[tunnel].reseq;
	struct reorder_item item;

	while (engine_deliveries(u->e) < DELIVERIES && reseq_next(r, now, &item)) {
		u->e->tunnels[tunnel].reordered++;
		tunnel_hand_over(u->e, now, tunnel, u->p->index, &item);
	}
	if (!reseq_waiting(r)) {
		buf_put(u->box);
		u->box = NULL;
	}
	engine_arm(u->e, reseq_next_expiry(r));
}

/* A copy in a box of many; NULL in ret->buf: there is no buffer. */
static void box(struct unstripe *u, const struct reorder_item *item, struct reorder_item *ret)
{
	if (u->box && buf_tailroom(u->box) < item->size) {
		buf_put(u->box);
		u->box = NULL;
	}
	if (!u->box)
		u->box = buf_get(u->e->options.pool);
	*ret = (struct reorder_item){ .size = item->size, .deadline = item->deadline };
	if (!u->box)
		return;
	ret->buf = buf_ref(u->box);
	ret->data = buf_data(u->box) + u->box->length;
	memcpy(ret->data, item->data, item->size);
	u->box->length += item->size;
}

static void hold(struct unstripe *u, u64 now, u16 tunnel, const struct frame_stripe *f,
		 const struct reorder_item *item)
{
	struct reorder_item copy = *item;

	box(u, item, &copy);
	if (!copy.buf) {
		drop_count(&u->e->tunnels[tunnel].drops, DROP_NO_BUFFER);
		return;
	}
	reseq_hold(u->p->flows[tunnel].reseq, now, f->bucket, f->sequence, &copy);
	if (pool_available(u->e->options.pool) < u->e->reorder_budget.limit) {
		reseq_set_wait(u->p->flows[tunnel].reseq, 0); /* others need buffers too */
		release(u, tunnel, now);
	}
	engine_arm(u->e, reseq_next_expiry(u->p->flows[tunnel].reseq));
}

/* A whole payload in a buffer of which its caller keeps the reference. */
static void take(struct unstripe *u, u64 now, u16 tunnel, const struct frame_stripe *f,
		 const struct reorder_item *item)
{
	struct reseq *r = u->p->flows[tunnel].reseq;
	struct drop_counts *drops = &u->e->tunnels[tunnel].drops;
	enum reseq_verdict verdict = reseq_ask(r, now, f->bucket, f->sequence);

	if (verdict == RESEQ_FULL) {
		release(u, tunnel, now);
		verdict = reseq_ask(r, now, f->bucket, f->sequence);
	}
	switch (verdict) {
	case RESEQ_PASS:
		buf_ref(item->buf);
		tunnel_hand_over(u->e, now, tunnel, u->p->index, item);
		if (reseq_waiting(r))
			release(u, tunnel, now);
		break;
	case RESEQ_EARLY:
		hold(u, now, tunnel, f, item);
		break;
	case RESEQ_DUPLICATE:
		drop_count(drops, DROP_DUPLICATE);
		break;
	default:
		drop_count(drops, DROP_LATE);
		break;
	}
}

static void take_piece(struct unstripe *u, const struct arrival *in, u16 tunnel,
		       const struct frame_stripe *f)
{
	const struct frame_fragment fragment = { .line = (u8)(1 + f->bucket),
						 .tunnel = f->tunnel,
						 .sequence = f->sequence,
						 .index = f->index,
						 .unit = f->unit,
						 .total = f->total,
						 .data = f->data,
						 .size = f->size };
	struct reorder_item item;
	struct buf *whole;

	if (reseq_knows(u->p->flows[tunnel].reseq, f->bucket, f->sequence) ||
	    fragment_find(u->e, u->p->index, tunnel, &fragment)) {
		drop_count(&u->e->tunnels[tunnel].drops, DROP_DUPLICATE);
		return;
	}
	if (!fragment_take(u->e, in->now, u->p->index, tunnel, &fragment, &whole))
		return;
	item = (struct reorder_item){ buf_data(whole), whole->length, whole, in->deadline };
	take(u, in->now, tunnel, f, &item);
	buf_put(whole);
}

/* --- in -------------------------------------------------------------------------------------- */

static struct unstripe *unstripe_of(struct engine *e, struct peer *p)
{
	struct unstripe *u = p->unstripe;

	if (u)
		return u;
	u = mem_alloc(&e->options.allocator, sizeof(*u));
	if (!u)
		return NULL;
	u->e = e;
	u->p = p;
	u->due = TIME_NEVER;
	u->next = e->unstripes;
	e->unstripes = u;
	p->unstripe = u;
	return u;
}

static struct reseq *reseq_of(struct engine *e, struct peer *p, u16 tunnel)
{
	const struct tunnel *t = &e->tunnels[tunnel];
	struct flow *f = &p->flows[tunnel];

	if (!f->reseq)
		f->reseq = reseq_create(&e->options.allocator, t->ordered ? RESEQ_STRICT :
							       t->routed  ? RESEQ_LOOSE :
									    RESEQ_NONE);
	return f->reseq;
}

void unstripe_note(struct engine *e, struct peer *p, const struct arrival *in,
		   const struct frame_stripe *f)
{
	struct unstripe *u = f->path < MAX_PEER_PATHS ? unstripe_of(e, p) : NULL;

	if (u)
		note(u, in, f);
}

void unstripe_take(struct engine *e, struct peer *p, const struct arrival *in, u16 tunnel,
		   const struct frame_stripe *f)
{
	const struct reorder_item item = { f->data, f->size, in->buf, in->deadline };
	struct unstripe *u = unstripe_of(e, p);
	struct reseq *r = reseq_of(e, p, tunnel);
	const u64 most = e->tunnels[tunnel].reorder_wait, wait = f->wait * WIRE_WAIT_UNIT;

	if (f->path >= MAX_PEER_PATHS) {
		drop_count(&e->drops, DROP_BAD_FRAME);
		return;
	}
	if (!u || !r) {
		drop_count(&e->tunnels[tunnel].drops, DROP_NO_BUFFER);
		return;
	}
	note(u, in, f);
	if (f->size == 0) /* it only tries the path */
		return;
	reseq_set_wait(r, most && most < wait ? most : wait);
	if (f->piece)
		take_piece(u, in, tunnel, f);
	else
		take(u, in->now, tunnel, f, &item);
}

/* --- time ------------------------------------------------------------------------------------ */

u64 unstripe_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (const struct unstripe *u = e->unstripes; u; u = u->next) {
		at = time_min(at, u->due);
		for (u32 n = 0; n < MAX_TUNNELS; n++) {
			if (u->p->flows[n].reseq)
				at = time_min(at, reseq_next_expiry(u->p->flows[n].reseq));
		}
	}
	return at;
}

void unstripe_expire(struct engine *e, u64 now)
{
	for (struct unstripe *u = e->unstripes; u; u = u->next) {
		if (u->due <= now)
			report(u, now);
		for (u16 n = 0; n < MAX_TUNNELS; n++) {
			const struct reseq *r = u->p->flows[n].reseq;

			if (r && reseq_next_expiry(r) <= now)
				release(u, n, now);
		}
	}
}

/* --- life ------------------------------------------------------------------------------------ */

void unstripe_close(struct engine *e, struct peer *p, u16 tunnel)
{
	reseq_destroy(&e->options.allocator, p->flows[tunnel].reseq);
	p->flows[tunnel].reseq = NULL;
}

void unstripe_close_all(struct engine *e, struct peer *p)
{
	struct unstripe **at = &e->unstripes, *u = p->unstripe;

	if (!u)
		return;
	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	buf_put(u->box);
	mem_free(&e->options.allocator, u, sizeof(*u));
	p->unstripe = NULL;
}
