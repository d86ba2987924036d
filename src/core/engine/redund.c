/* SPDX-License-Identifier: MIT */
/*
 * redund.c - payloads that go out as shards: over one path each, and with the parity of their blocks.
 *
 * A payload leaves at once, as the data shard that it is (shard_out.h tells of blocks). Parity
 * follows when its block is complete, or its time is up. One that does not fit a datagram is cut: its
 * fragments make blocks of their own, whose parity follows at once.
 */
#include "redund.h"

#include <errno.h>
#include <string.h>

#define LINK_STAYS 75u /* per cent of the round trip */
#define SHARD_OVERHEAD (WIRE_OVERHEAD + FRAME_SHARD_PARITY_HEADER + SHARD_SIZE_BYTES)
#define PIECE_OVERHEAD (WIRE_OVERHEAD + FRAME_SHARD_PIECE_PARITY_HEADER)
#define PIECES_MAX 256u

struct redund {
	struct redund *next;
	struct shard_out *out;
	struct shard_options options;
	u16 peer, tunnel;
	struct links links;
};

u32 redund_overhead(const struct tunnel *t)
{
	if (t->stripe)
		return stripe_overhead();
	return t->shards.shards || t->target.within ? SHARD_OVERHEAD : PAYLOAD_OVERHEAD;
}

static u32 shard_room(const struct sending *s, const struct redund *r, u32 overhead)
{
	const u32 room = tunnel_room(s->t, s->p, overhead), most = shard_out_room(&r->options);

	return room < most ? room : most;
}

static u32 parity_count(const struct redund *r)
{
	return r->options.shards - r->options.required;
}

/* --- one shard ------------------------------------------------------------------------------- */

/* Frames, seals and queues what lies in buf on one of the links. */
static enum drop_reason send_shard(const struct sending *s, const struct redund *r,
				   struct shard_block *b, u32 link, struct buf *buf,
				   const struct frame_shard *f)
{
	u8 *taken = &b->taken[r->links.link[link]];
	struct sending one = *s;
	u64 queued;

	one.mask = UINT64_C(1) << r->links.path[link];
	if (*taken < UINT8_MAX)
		++*taken;
	frame_put_shard_header(buf_push(buf, frame_shard_header(f->kind)), f);
	return seal_and_queue(&one, buf, f->kind == SHARD_PIECE, &queued);
}

/* Parity shard f->parity of b. What cannot be sent is counted, and that is all. */
static void send_parity(const struct sending *s, struct redund *r, struct shard_block *b,
			const struct frame_shard *f)
{
	struct buf *buf = buf_get(s->e->options.pool);
	const u32 link = links_pick(s, &r->links, b, true);
	enum drop_reason reason = DROP_NO_BUFFER;

	if (buf && link < r->links.count) {
		memcpy(buf_data(buf), shard_out_parity(r->out, b, f->parity), b->size);
		buf->length = b->size;
		reason = send_shard(s, r, b, link, buf, f);
	} else if (buf) {
		reason = DROP_QUEUE_FULL;
	}
	buf_put(buf);
	if (reason == DROP_NONE)
		s->t->shard_counts.parity++;
	else
		drop_count(&s->t->drops, reason);
}

/* All parity of b, told by f. */
static void close_block(const struct sending *s, struct redund *r, struct shard_block *b,
			struct frame_shard *f)
{
	f->tunnel = s->t->id;
	f->count = b->count;
	for (u32 j = 0; j < parity_count(r); j++) {
		f->parity = (u8)j;
		send_parity(s, r, b, f);
	}
	s->t->shard_counts.blocks++;
	shard_out_close(r->out, b);
}

/* --- payloads -------------------------------------------------------------------------------- */

static void close_payloads(const struct sending *s, struct redund *r, struct shard_block *b)
{
	struct frame_shard f = {
		.kind = SHARD_PARITY,
		.sequence = b->base,
		.step = b->step,
		.wait = (u16)((r->options.max_delay + NS_PER_MS - 1) / NS_PER_MS),
	};

	struct sending first = *s;

	first.given = b->deadline - r->options.max_delay;
	close_block(&first, r, b, &f);
}

/* The block that the next payload goes to. */
static struct shard_block *next_block(const struct sending *s, struct redund *r)
{
	struct shard_block *b;

	shard_out_pace(r->out, s->now, r->links.count);
	while (!shard_out_set_size(r->out, shard_room(s, r, SHARD_OVERHEAD)))
		close_payloads(s, r, shard_out_oldest(r->out));
	while (!(b = shard_out_block(r->out, s->now, s->flow->next_sequence)))
		close_payloads(s, r, shard_out_oldest(r->out));
	return b;
}

/* Its size goes before the payload for a moment. */
static bool add_payload(struct redund *r, struct shard_block *b, struct buf *buf)
{
	u8 *shard = buf_data(buf) - SHARD_SIZE_BYTES;

	put_u16(shard, (u16)buf->length);
	return shard_out_add(r->out, b, shard, buf->length + SHARD_SIZE_BYTES);
}

/* A payload that fits one datagram. */
static enum drop_reason send_whole(const struct sending *s, struct redund *r, struct buf *buf)
{
	const struct frame_shard f = { .tunnel = s->t->id, .sequence = s->flow->next_sequence };
	struct shard_block *b = next_block(s, r);
	const u32 link = links_pick(s, &r->links, b, false);
	enum drop_reason reason;
	bool complete;

	if (link == r->links.count) {
		if (b->count == 0)
			shard_out_close(r->out, b);
		drop_count(&s->t->drops, DROP_QUEUE_FULL);
		return DROP_QUEUE_FULL;
	}
	if (b->count == 0) {
		b->first = r->links.link[link];
		engine_arm(s->e, b->deadline);
	}
	complete = add_payload(r, b, buf);
	reason = send_shard(s, r, b, link, buf, &f);
	if (reason != DROP_NONE) { /* it has room, so this is for good: the session has ended */
		shard_out_close(r->out, b);
		return reason;
	}
	s->flow->next_sequence++;
	s->t->shard_counts.data++;
	if (complete)
		close_payloads(s, r, b);
	return DROP_NONE;
}

/* --- fragments ------------------------------------------------------------------------------- */

/* Whether so many datagrams can be queued, now or ever: a part of them is of no use. */
static enum drop_reason pieces_fit(const struct sending *s, const struct redund *r, u32 datagrams)
{
	u32 room = 0;

	if (datagrams > r->links.count * OUTBOX_LANE_MAX)
		return DROP_TOO_LARGE;
	if (pool_available(s->e->options.pool) < datagrams)
		return DROP_NO_BUFFER;
	for (u32 n = 0; n < r->links.count; n++)
		room += iface_room(s->e, s->p->paths[r->links.path[n]].iface, r->tunnel,
				   s->p->index);
	if (room >= datagrams)
		return DROP_NONE;
	drop_count(&s->t->drops, DROP_QUEUE_FULL);
	return DROP_QUEUE_FULL;
}

/* One fragment, into its block. */
static enum drop_reason send_piece(const struct sending *s, struct redund *r, struct shard_block *b,
				   const struct frame_shard *f)
{
	struct buf *buf = buf_get(s->e->options.pool);
	enum drop_reason reason = DROP_NO_BUFFER;
	u32 link = links_pick(s, &r->links, b, false);

	if (link == r->links.count) /* it is full; there is room for what has begun */
		link = 0;
	if (b->count == 0)
		b->first = r->links.link[link];
	shard_out_add(r->out, b, f->data, f->size);
	if (buf) {
		memcpy(buf_data(buf), f->data, f->size);
		buf->length = f->size;
		reason = send_shard(s, r, b, link, buf, f);
	}
	buf_put(buf);
	s->t->shard_counts.data += reason == DROP_NONE;
	return reason;
}

static void close_pieces(const struct sending *s, struct redund *r, struct shard_block *b,
			 const struct frame_shard *last)
{
	struct frame_shard f = *last;

	f.kind = SHARD_PIECE_PARITY;
	f.index = (u8)(f.index + 1 - b->count);
	close_block(s, r, b, &f);
}

static enum drop_reason send_pieces(const struct sending *s, struct redund *r, struct buf *payload,
				    u32 unit)
{
	struct frame_shard f = { .tunnel = s->t->id,
				 .sequence = s->flow->next_sequence++,
				 .kind = SHARD_PIECE,
				 .unit = (u16)unit,
				 .total = payload->length };
	struct shard_block *b = shard_out_pieces(r->out);
	enum drop_reason reason = DROP_NONE;

	for (u32 at = 0; at < f.total && reason == DROP_NONE; at += unit, f.index++) {
		f.data = buf_data(payload) + at;
		f.size = f.total - at < unit ? f.total - at : unit;
		reason = send_piece(s, r, b, &f);
		if (reason != DROP_NONE || (b->count < r->options.required && at + unit < f.total))
			continue;
		close_pieces(s, r, b, &f);
		b = shard_out_pieces(r->out);
	}
	return reason;
}

static enum drop_reason send_large(const struct sending *s, struct redund *r, struct buf *payload)
{
	const u32 room = shard_room(s, r, PIECE_OVERHEAD);
	const u32 unit = room < UINT16_MAX ? room : UINT16_MAX;
	u32 pieces, blocks;
	enum drop_reason reason;

	if (unit == 0 || (payload->length + unit - 1) / unit > PIECES_MAX)
		return DROP_TOO_LARGE;
	pieces = (payload->length + unit - 1) / unit;
	blocks = (pieces + r->options.required - 1) / r->options.required;
	reason = pieces_fit(s, r, pieces + blocks * parity_count(r));
	if (reason != DROP_NONE)
		return reason;
	while (!shard_out_set_size(r->out, shard_room(s, r, SHARD_OVERHEAD)))
		close_payloads(s, r, shard_out_oldest(r->out));
	return send_pieces(s, r, payload, unit);
}

enum drop_reason redund_send(const struct sending *s, struct buf *b)
{
	struct redund *r = s->flow->redund;

	links_refresh(s, &r->links);
	if (b->length > shard_room(s, r, SHARD_OVERHEAD))
		return send_large(s, r, b);
	return send_whole(s, r, b);
}

/* --- time ------------------------------------------------------------------------------------ */

u64 redund_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (const struct redund *r = e->redunds; r; r = r->next)
		at = time_min(at, shard_out_next_expiry(r->out));
	return at;
}

/* Sends the parity of blocks that were due until then. */
static void close_until(struct engine *e, struct redund *r, u64 now, u64 until)
{
	struct peer *p = e->peers[r->peer];
	struct sending s = { .e = e,
			     .t = &e->tunnels[r->tunnel],
			     .p = p,
			     .now = now,
			     .mask = pathset_select(p, 0),
			     .tunnel = r->tunnel,
			     .given = now,
			     .flow = &p->flows[r->tunnel] };
	const bool possible = s.mask && assoc_ready(&p->assoc, now);

	if (s.flow->autosel)
		s.mask = autosel_careful_mask(p, s.flow->autosel);
	if (possible)
		links_refresh(&s, &r->links);
	while (shard_out_oldest(r->out) && shard_out_next_expiry(r->out) <= until) {
		if (possible)
			close_payloads(&s, r, shard_out_oldest(r->out));
		else
			shard_out_close(r->out, shard_out_oldest(r->out));
	}
}

void redund_expire(struct engine *e, u64 now)
{
	for (struct redund *r = e->redunds; r; r = r->next) {
		if (shard_out_next_expiry(r->out) <= now)
			close_until(e, r, now, now);
	}
}

/* --- life ------------------------------------------------------------------------------------ */

static void set_options(struct redund *r, const struct shard_options *o)
{
	r->options = *o;
	r->links.stays = LINK_STAYS;
	r->links.tolerable = (double)(o->shards - o->required) / o->shards;
	r->links.patience = o->max_delay;
}

/* With room for the parity that options call for. */
static struct redund *make(struct engine *e, struct peer *p, u16 tunnel,
			   const struct shard_options *options)
{
	struct redund *r = mem_alloc(&e->options.allocator, sizeof(*r));

	if (!r)
		return NULL;
	r->out = shard_out_create(&e->options.allocator, options);
	if (!r->out) {
		mem_free(&e->options.allocator, r, sizeof(*r));
		return NULL;
	}
	set_options(r, options);
	r->peer = p->index;
	r->tunnel = tunnel;
	r->next = e->redunds;
	e->redunds = r;
	p->flows[tunnel].redund = r;
	return r;
}

int redund_open(struct engine *e, struct peer *p, u16 tunnel)
{
	const struct tunnel *t = &e->tunnels[tunnel];

	if (t->shards.shards == 0 || !tunnel_has_peer(t, p->index))
		return 0;
	return make(e, p, tunnel, &t->shards) ? 0 : -ENOMEM;
}

int redund_tune(struct engine *e, struct peer *p, u16 tunnel, u64 now,
		const struct shard_options *options)
{
	static const struct shard_options most = { RS_SHARDS, RS_SHARDS - REDUND_PARITY_MAX,
						   SHARD_DELAY_MIN };
	struct redund *r = p->flows[tunnel].redund;

	if (!r)
		r = make(e, p, tunnel, &most);
	if (!r)
		return -ENOMEM;
	if (options->shards == r->options.shards && options->required == r->options.required &&
	    options->max_delay == r->options.max_delay)
		return 0;
	close_until(e, r, now, TIME_NEVER);
	shard_out_tune(r->out, options);
	set_options(r, options);
	return 0;
}

void redund_close(struct engine *e, struct peer *p, u16 tunnel)
{
	struct redund *r = p->flows[tunnel].redund, **at = &e->redunds;

	if (!r)
		return;
	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	shard_out_destroy(&e->options.allocator, r->out);
	mem_free(&e->options.allocator, r, sizeof(*r));
	p->flows[tunnel].redund = NULL;
}
