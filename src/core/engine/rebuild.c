/* SPDX-License-Identifier: MIT */
/*
 * rebuild.c - shards on their way in: data goes on as any payload or fragment does, and so does
 * what parity rebuilds.
 *
 * Whether a peer sends shards is seen when the first one comes; what is needed to rebuild (shard_in.h)
 * is made then, once for each tunnel and peer. Missing fragments are rebuilt from those that lie where
 * their payload is put together.
 */
#include "engine_internal.h"

#include <string.h>

struct rebuild {
	struct rebuild *next;
	struct shard_in *in;
	u16 peer, tunnel;
};

/* Where a shard belongs. */
struct whence {
	struct engine *e;
	struct peer *p;
	u64 now;
	u64 deadline; /* of what came, 0: none */
	u16 tunnel;
	struct shard_in *in;
};

static struct rebuild *rebuild_open(struct engine *e, struct peer *p, u16 tunnel)
{
	const struct allocator *a = &e->options.allocator;
	struct rebuild *r = mem_alloc(a, sizeof(*r));

	if (!r)
		return NULL;
	r->in = shard_in_create(a, e->options.pool, &e->shard_budget,
				&e->tunnels[tunnel].shard_counts);
	if (!r->in) {
		mem_free(a, r, sizeof(*r));
		return NULL;
	}
	r->peer = p->index;
	r->tunnel = tunnel;
	r->next = e->rebuilds;
	e->rebuilds = r;
	p->flows[tunnel].rebuild = r;
	return r;
}

void rebuild_close(struct engine *e, struct peer *p, u16 tunnel)
{
	struct rebuild *r = p->flows[tunnel].rebuild, **at = &e->rebuilds;

	if (!r)
		return;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	shard_in_destroy(&e->options.allocator, r->in);
	mem_free(&e->options.allocator, r, sizeof(*r));
	p->flows[tunnel].rebuild = NULL;
}

u64 rebuild_wait(const struct flow *f)
{
	return f->rebuild ? shard_in_wait(f->rebuild->in) : 0;
}

static void count(const struct whence *w, enum drop_reason reason)
{
	if (reason != DROP_NONE)
		drop_count(&w->e->tunnels[w->tunnel].drops, reason);
}

/* --- payloads -------------------------------------------------------------------------------- */

/* deadline: theirs, 0: none. */
static void take_rebuilt(const struct whence *w, u64 deadline)
{
	struct shard_rebuilt r;

	while (shard_in_next(w->in, &r)) {
		const struct reorder_item item = { r.data, r.size, r.buf, deadline };

		tunnel_take(w->e, w->p, w->now, w->tunnel, r.sequence, &item);
	}
}

/* A payload that goes with others to the block of one that has come may be the older one, by so much
 * at most as the sender takes to complete a block. */
static u64 earlier(const struct whence *w)
{
	const u64 wait = shard_in_wait(w->in);

	return w->deadline > wait ? w->deadline - wait : w->deadline ? 1 : 0;
}

static void take_payload(const struct whence *w, struct buf *buf, const struct frame_shard *f)
{
	const struct reorder_item item = { f->data, f->size, buf, w->deadline };
	enum drop_reason reason = shard_in_payload(w->in, w->now, f->sequence, f->data, f->size);

	if (reason == DROP_NONE) {
		buf_ref(buf);
		tunnel_take(w->e, w->p, w->now, w->tunnel, f->sequence, &item);
	} else {
		w->e->tunnels[w->tunnel].shard_counts.early++;
	}
	take_rebuilt(w, earlier(w));
}

/* --- fragments ------------------------------------------------------------------------------- */

static void take_fragment(const struct whence *w, const struct frame_fragment *f)
{
	struct reorder_item item;
	struct buf *whole;

	if (!fragment_take(w->e, w->now, w->p->index, w->tunnel, f, &whole))
		return;
	shard_in_set_whole(w->in, f->sequence);
	item = (struct reorder_item){ buf_data(whole), whole->length, whole, w->deadline };
	tunnel_take(w->e, w->p, w->now, w->tunnel, f->sequence, &item);
}

static struct frame_fragment fragment_of(const struct shard_waiting *s, u32 i)
{
	struct frame_fragment f = { .sequence = s->sequence,
				    .index = (u8)(s->first + i),
				    .unit = s->unit,
				    .total = s->total };
	const u32 left = s->total - (u32)f.index * f.unit;

	f.size = left < f.unit ? left : f.unit;
	return f;
}

static void collect(const struct whence *w, const struct shard_waiting *s, struct rs_block *ret)
{
	ret->count = s->count;
	ret->size = s->size;
	for (u32 i = 0; i < s->count; i++) {
		const struct frame_fragment f = fragment_of(s, i);

		ret->data[i].bytes = fragment_find(w->e, w->p->index, w->tunnel, &f);
		ret->data[i].size = f.size;
	}
	shard_in_fill(w->in, s, ret);
}

/* Buffers for the missing shards. */
static bool get_buffers(struct pool *pool, u32 wanted, struct buf **ret, u8 **ret_to)
{
	if (pool_available(pool) < wanted)
		return false;
	for (u32 n = 0; n < wanted; n++) {
		ret[n] = buf_get(pool);
		ret_to[n] = buf_data(ret[n]);
	}
	return true;
}

/* The missing fragments of a block, if there is enough of it. */
static void solve(const struct whence *w, struct shard_waiting *waiting)
{
	const struct shard_waiting s = *waiting; /* it may go with its payload */
	struct buf *bufs[RS_MISSING_MAX];
	u8 *to[RS_MISSING_MAX];
	struct rs_block b = { 0 };
	u32 missing, at = 0;
	bool rebuilt;

	collect(w, &s, &b);
	missing = rs_missing(&b);
	if (missing > b.parity_count || missing > RS_MISSING_MAX ||
	    !get_buffers(w->e->options.pool, missing, bufs, to))
		return;
	rebuilt = rs_rebuild(&b, to);
	shard_in_close(w->in, waiting);
	for (u32 i = 0; i < s.count && rebuilt; i++) {
		struct frame_fragment f = fragment_of(&s, i);

		if (b.data[i].bytes)
			continue;
		f.data = to[at++];
		w->e->tunnels[w->tunnel].shard_counts.rebuilt++;
		take_fragment(w, &f);
	}
	while (missing > 0)
		buf_put(bufs[--missing]);
}

static void take_piece(const struct whence *w, const struct frame_shard *f)
{
	const struct frame_fragment fragment = { .tunnel = f->tunnel,
						 .sequence = f->sequence,
						 .index = f->index,
						 .unit = f->unit,
						 .total = f->total,
						 .data = f->data,
						 .size = f->size };
	struct shard_waiting *s;

	if (shard_in_is_whole(w->in, f->sequence) ||
	    fragment_find(w->e, w->p->index, w->tunnel, &fragment)) {
		w->e->tunnels[w->tunnel].shard_counts.early++;
		return;
	}
	take_fragment(w, &fragment);
	s = shard_in_pieces(w->in, f->sequence, f->index);
	if (s)
		solve(w, s);
}

static void take_piece_parity(const struct whence *w, const struct frame_shard *f)
{
	struct shard_waiting *s;

	count(w, shard_in_piece_parity(w->in, w->now, f));
	s = shard_in_pieces(w->in, f->sequence, f->index);
	if (s)
		solve(w, s);
}

/* --- all ------------------------------------------------------------------------------------- */

void rebuild_shard(struct engine *e, struct peer *p, const struct arrival *in, u16 tunnel,
		   const struct frame_shard *f)
{
	struct rebuild *r = p->flows[tunnel].rebuild;
	struct whence w = {
		.e = e, .p = p, .now = in->now, .deadline = in->deadline, .tunnel = tunnel
	};

	if (!r)
		r = rebuild_open(e, p, tunnel);
	if (!r) {
		count(&w, DROP_NO_BUFFER);
		return;
	}
	w.in = r->in;
	switch (f->kind) {
	case SHARD_PAYLOAD:
		take_payload(&w, in->buf, f);
		break;
	case SHARD_PIECE:
		take_piece(&w, f);
		break;
	case SHARD_PARITY:
		count(&w, shard_in_parity(w.in, w.now, f));
		take_rebuilt(&w, w.deadline); /* as old as the first of the block */
		break;
	default:
		take_piece_parity(&w, f);
		break;
	}
	engine_arm(e, shard_in_next_expiry(r->in));
}

u64 rebuild_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (const struct rebuild *r = e->rebuilds; r; r = r->next)
		at = time_min(at, shard_in_next_expiry(r->in));
	return at;
}

void rebuild_expire(struct engine *e, u64 now)
{
	for (const struct rebuild *r = e->rebuilds; r; r = r->next)
		shard_in_expire(r->in, now);
}
