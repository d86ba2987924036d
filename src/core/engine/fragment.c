/* SPDX-License-Identifier: MIT */
/*
 * fragment.c - payloads that did not fit one datagram are put together again.
 *
 * A fragment says how long the whole is and how long each piece but the last, so that every piece
 * has its place from the first one that arrives. Pieces were authenticated and are no copies: what
 * contradicts the first piece comes from a broken peer and is dropped. There is a fixed number of
 * places, and a smaller one for each peer; the oldest unfinished payload gives way: that of the same
 * peer when it has all that it may have.
 */
#include "engine_internal.h"

#include <string.h>

#define REASSEMBLY_TIME (1 * NS_PER_S)

static bool fragment_fits(const struct frame_fragment *f)
{
	u32 offset = (u32)f->index * f->unit, expected;

	if (f->unit == 0 || f->total > BUF_PAYLOAD_MAX || offset >= f->total)
		return false;
	expected = f->total - offset < f->unit ? f->total - offset : f->unit;
	return f->size == expected;
}

static void reassembly_drop(struct engine *e, struct reassembly *r)
{
	drop_count(&e->tunnels[r->tunnel].drops, DROP_INCOMPLETE);
	buf_put(r->buf);
	r->buf = NULL;
}

static struct reassembly *reassembly_find(struct engine *e, u16 peer, u16 tunnel,
					  const struct frame_fragment *f)
{
	for (u32 n = 0; n < REASSEMBLIES; n++) {
		struct reassembly *r = &e->reassemblies[n];

		if (r->buf && r->sequence == f->sequence && r->line == f->line && r->peer == peer &&
		    r->tunnel == tunnel)
			return r;
	}
	return NULL;
}

static struct reassembly *older_of(struct reassembly *a, struct reassembly *b)
{
	return a && a->deadline <= b->deadline ? a : b;
}

/* A free place, or that of the payload that has waited longest. */
static struct reassembly *reassembly_place(struct engine *e, u16 peer)
{
	struct reassembly *unused = NULL, *oldest = NULL, *oldest_own = NULL;
	u32 own = 0;

	for (u32 n = 0; n < REASSEMBLIES; n++) {
		struct reassembly *r = &e->reassemblies[n];

		if (!r->buf) {
			unused = r;
			continue;
		}
		oldest = older_of(oldest, r);
		if (r->peer != peer)
			continue;
		oldest_own = older_of(oldest_own, r);
		own++;
	}
	if (own == REASSEMBLIES_A_PEER)
		oldest = oldest_own;
	else if (unused)
		return unused;
	reassembly_drop(e, oldest);
	return oldest;
}

static struct reassembly *reassembly_begin(struct engine *e, u64 now, u16 peer, u16 tunnel,
					   const struct frame_fragment *f)
{
	struct buf *b = buf_get(e->options.pool);
	struct reassembly *r;

	if (!b) {
		drop_count(&e->tunnels[tunnel].drops, DROP_NO_BUFFER);
		return NULL;
	}
	r = reassembly_place(e, peer);
	*r = (struct reassembly){ .buf = b,
				  .peer = peer,
				  .tunnel = tunnel,
				  .unit = f->unit,
				  .line = f->line,
				  .sequence = f->sequence,
				  .total = f->total,
				  .deadline = now + REASSEMBLY_TIME };
	b->length = f->total;
	engine_arm(e, r->deadline);
	return r;
}

bool fragment_take(struct engine *e, u64 now, u16 peer, u16 tunnel, const struct frame_fragment *f,
		   struct buf **ret_buf)
{
	struct reassembly *r = reassembly_find(e, peer, tunnel, f);
	u64 bit = UINT64_C(1) << (f->index % 64);

	if (!fragment_fits(f) || (r && (r->unit != f->unit || r->total != f->total))) {
		drop_count(&e->drops, DROP_BAD_FRAME);
		return false;
	}
	if (!r)
		r = reassembly_begin(e, now, peer, tunnel, f);
	if (!r || (r->seen[f->index / 64] & bit))
		return false;
	r->seen[f->index / 64] |= bit;
	memcpy(buf_data(r->buf) + (u32)f->index * f->unit, f->data, f->size);
	r->have += f->size;
	if (r->have < r->total)
		return false;
	*ret_buf = r->buf;
	r->buf = NULL;
	return true;
}

u8 *fragment_find(struct engine *e, u16 peer, u16 tunnel, const struct frame_fragment *f)
{
	struct reassembly *r = reassembly_find(e, peer, tunnel, f);

	if (!r || r->unit != f->unit || r->total != f->total ||
	    !(r->seen[f->index / 64] & UINT64_C(1) << (f->index % 64)))
		return NULL;
	return buf_data(r->buf) + (u32)f->index * f->unit;
}

u64 fragment_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (u32 n = 0; n < REASSEMBLIES; n++) {
		if (e->reassemblies[n].buf)
			at = time_min(at, e->reassemblies[n].deadline);
	}
	return at;
}

void fragment_expire(struct engine *e, u64 now)
{
	for (u32 n = 0; n < REASSEMBLIES; n++) {
		struct reassembly *r = &e->reassemblies[n];

		if (r->buf && r->deadline <= now)
			reassembly_drop(e, r);
	}
}

void fragment_forget(struct engine *e, u16 peer, u16 tunnel)
{
	for (u32 n = 0; n < REASSEMBLIES; n++) {
		struct reassembly *r = &e->reassemblies[n];

		if (!r->buf || r->tunnel != tunnel || (peer != NO_INDEX && r->peer != peer))
			continue;
		buf_put(r->buf);
		r->buf = NULL;
	}
}
