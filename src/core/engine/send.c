/* SPDX-License-Identifier: MIT */
/*
 * send.c - payloads on their way out: which peer, which paths, how they are framed.
 *
 * A payload is sealed once a peer and queued by reference on each of the chosen paths; if it can
 * join the train before it, it is sealed behind that (train.c). One that does not fit the smallest
 * of the paths is cut into fragments (fragments.c).
 */
#include "redund.h"

#include <string.h>

#include "warp/ecn.h"

#define TRAIN_PATIENCE 16u /* a train grows for this part of what its payloads may wait */

/* --- queues and trains ------------------------------------------------------------------------ */

void sending_count(const struct sending *s, u64 queued, u32 size)
{
	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		struct path *path = &s->p->paths[__builtin_ctzll(mask)];

		if (!(queued & mask & -mask)) {
			drop_count(&s->t->drops, DROP_QUEUE_FULL);
			continue;
		}
		path->sent.packets++;
		path->sent.bytes += size;
		s->t->copies_sent++;
	}
}

/* How long a payload may wait. */
static u64 patience(const struct sending *s)
{
	return s->t->send_deadline ? s->t->send_deadline : QUEUE_DEADLINE;
}

/* Queues sealed bytes; the paths whose outbox took them. */
static u64 queue_copies(const struct sending *s, struct buf *b, bool fragment)
{
	u64 queued = 0;
	struct queued q = { .deadline = s->now + patience(s),
			    .peer = s->p->index,
			    .tunnel = s->tunnel,
			    .begun = fragment };

	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		const struct path *path;

		q.path = (u8)__builtin_ctzll(mask);
		path = &s->p->paths[q.path];
		q.destination = path->remote;
		q.socket = path->socket;
		if (iface_queue(s->e, s->now, path->iface, b, &q))
			queued |= mask & -mask;
	}
	sending_count(s, queued, b->length);
	return queued;
}

/* There are other ways than those that b was queued for. */
static void keep(const struct sending *s, struct buf *b, u64 queued)
{
	const struct recall_what what = { .peer = s->p->index,
					  .tunnel = s->tunnel,
					  .mask = queued,
					  .until = s->now + patience(s) };

	recall_keep(s->e, s->now, b, &what);
}

enum drop_reason seal_and_queue(const struct sending *s, struct buf *b, bool fragment,
				u64 *ret_queued)
{
	u32 size;

	if (s->t->lead)
		deadline_put(buf_push(b, s->t->lead), s->given + s->t->send_deadline);
	size = b->length;
	if (assoc_seal(&s->p->assoc, s->now, buf_push(b, WIRE_HEADER_SIZE), size) < 0)
		return DROP_NO_SESSION;
	b->length += TAG_SIZE;
	*ret_queued = queue_copies(s, b, fragment);
	if (*ret_queued && s->p->live_mask & ~s->mask)
		keep(s, b, *ret_queued);
	return *ret_queued ? DROP_NONE : DROP_QUEUE_FULL;
}

/* A payload that fits, in a buffer of its own: the first of a train. */
static enum drop_reason send_first(const struct sending *s, struct buf *b)
{
	enum drop_reason reason;
	struct train train = { .tunnel = s->tunnel,
			       .peer = s->p->index,
			       .mask = s->mask,
			       .until = s->now + patience(s) / TRAIN_PATIENCE };

	frame_put_payload_header(buf_push(b, FRAME_PAYLOAD_HEADER), s->t->id,
				 s->flow->next_sequence++);
	reason = seal_and_queue(s, b, false, &train.queued);
	if (reason == DROP_NONE)
		autosel_keep(s, s->flow->next_sequence - 1, buf_data(b), b->length);
	if (reason == DROP_NONE && !(s->mask & s->p->relay_mask)) /* copies do not grow with it */
		train_open(s->e, b, &train);
	else if (reason != DROP_NONE)
		s->flow->next_sequence--; /* nobody shall miss it */
	return reason;
}

static u8 *place_in_train(const struct sending *s, u32 size)
{
	return train_place(s->e, s->now, s->tunnel, s->p->index, s->mask,
			   size + PAYLOAD_OVERHEAD + s->t->lead);
}

/* Where the payload goes in such a place. */
static u8 *payload_at(const struct sending *s, u8 *place)
{
	return place + WIRE_HEADER_SIZE + s->t->lead + FRAME_PAYLOAD_HEADER;
}

/* A payload of size bytes that has been put behind the headers at place. */
static enum drop_reason join_train(const struct sending *s, u8 *place, u32 size)
{
	u32 lead = s->t->lead, datagram = size + PAYLOAD_OVERHEAD + lead;

	if (lead)
		deadline_put(place + WIRE_HEADER_SIZE, s->now + s->t->send_deadline);
	frame_put_payload_header(place + WIRE_HEADER_SIZE + lead, s->t->id,
				 s->flow->next_sequence++);
	if (assoc_seal(&s->p->assoc, s->now, place, lead + FRAME_PAYLOAD_HEADER + size) < 0)
		return DROP_NO_SESSION;
	recall_grown(s->e, s->e->train.buf, datagram);
	sending_count(s, train_grow(s->e, datagram), datagram);
	autosel_keep(s, s->flow->next_sequence - 1, place, datagram);
	return DROP_NONE;
}

/* --- congestion ------------------------------------------------------------------------------- */

/* Whether what is sent stands before every link that it would leave over. Before some of them is nothing
 * to tell of: the others deliver it, and a slow link shall not slow them down. */
static bool stands(const struct sending *s)
{
	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		const struct path *path = &s->p->paths[__builtin_ctzll(mask)];

		if (!iface_stands(s->e, path, s->tunnel, s->p->index))
			return false;
	}
	return true;
}

/* Tells the sender of an IP packet so, once for each sign: by a mark, or by dropping the packet, in
 * which case DROP_CONGESTION is returned. */
static enum drop_reason tell_congestion(const struct sending *s, u8 *packet, u32 size)
{
	if (!s->t->routed || s->flow->striped || !stands(s)) /* striping has a law of its own */
		return DROP_NONE;
	for (u64 mask = s->mask; mask; mask &= mask - 1)
		iface_told(s->e, &s->p->paths[__builtin_ctzll(mask)], s->tunnel, s->p->index);
	if (!ecn_mark(packet, size))
		return DROP_CONGESTION;
	s->t->marked++;
	congest_strained(s->e, s->t, s->now);
	return DROP_NONE;
}

/* --- to one peer ------------------------------------------------------------------------------ */

/* The paths to p now; why there are none. */
static enum drop_reason begin(struct sending *s, struct engine *e, struct tunnel *t, struct peer *p,
			      u64 now)
{
	u16 tunnel = (u16)(t - e->tunnels);
	struct flow *flow = &p->flows[tunnel];

	peer_busy(e, p, now);
	*s = (struct sending){
		.e = e, .t = t, .p = p, .now = now, .tunnel = tunnel, .given = now, .flow = flow
	};
	s->mask = flow->autosel ? autosel_mask(e, p, now, flow->autosel) :
				  pathset_select(p, t->copies);
	if (!assoc_ready(&p->assoc, now))
		return DROP_NO_SESSION;
	return s->mask ? DROP_NONE : DROP_NO_PATH;
}

static bool goes_as_shards(const struct sending *s)
{
	return s->flow->redund && (!s->flow->autosel || autosel_shards(s->flow->autosel));
}

/* Shards and stripes have trains of their own. */
static bool joins_trains(const struct sending *s)
{
	return !s->flow->striped && !goes_as_shards(s);
}

/* What joins no train; b is written to when it fits one datagram. */
static enum drop_reason send_alone(const struct sending *s, struct buf *b)
{
	if (goes_as_shards(s))
		return redund_send(s, b);
	if (s->flow->striped)
		return stripe_send(s, b);
	if (b->length > tunnel_room(s->t, s->p, PAYLOAD_OVERHEAD))
		return fragments_send(s, b);
	return send_first(s, b);
}

/* b is written to when it fits one datagram. */
static enum drop_reason send_to_peer(struct engine *e, struct tunnel *t, struct peer *p, u64 now,
				     struct buf *b)
{
	struct sending s;
	enum drop_reason reason = begin(&s, e, t, p, now);
	u8 *place = NULL;

	if (reason == DROP_NONE && s.mask & p->eased_mask)
		s.mask = copies_choose(&s, b->length);
	if (reason == DROP_NONE && e->due_mask)
		reason = tell_congestion(&s, buf_data(b), b->length);
	if (reason != DROP_NONE)
		return reason;
	if (joins_trains(&s))
		place = place_in_train(&s, b->length);
	if (!place)
		return send_alone(&s, b);
	memcpy(payload_at(&s, place), buf_data(b), b->length);
	return join_train(&s, place, b->length);
}

/* Each peer but the last gets a copy of its own, since sealing is in place. */
static enum drop_reason send_copy(struct engine *e, struct tunnel *t, struct peer *p, u64 now,
				  const struct buf *payload)
{
	struct buf *b = buf_get(e->options.pool);
	enum drop_reason reason;

	if (!b)
		return DROP_NO_BUFFER;
	memcpy(buf_data(b), payload->bytes + payload->offset, payload->length);
	b->length = payload->length;
	reason = send_to_peer(e, t, p, now, b);
	buf_put(b);
	return reason;
}

/* --- whom to ---------------------------------------------------------------------------------- */

static struct peer *route(struct engine *e, const struct tunnel *t, const u8 *packet, u32 size,
			  enum drop_reason *ret_reason)
{
	struct address source, destination;
	u16 peer;

	*ret_reason = DROP_MALFORMED;
	if (ip_packet_addresses(packet, size, &source, &destination) < 0)
		return NULL;
	*ret_reason = DROP_NO_PEER;
	peer = allowedips_lookup(e->allowedips, &destination);
	if (peer == ALLOWEDIPS_NONE || !peer_get(e, peer) || !tunnel_has_peer(t, peer))
		return NULL;
	*ret_reason = DROP_NONE;
	return peer_get(e, peer);
}

static enum drop_reason send_routed(struct engine *e, struct tunnel *t, u64 now, struct buf *b)
{
	enum drop_reason reason;
	struct peer *p = route(e, t, buf_data(b), b->length, &reason);

	return p ? send_to_peer(e, t, p, now, b) : reason;
}

/* To every peer of the tunnel. DROP_NONE when one of them at least gets it. */
static enum drop_reason send_to_all(struct engine *e, struct tunnel *t, u64 now, struct buf *b)
{
	enum drop_reason reason = DROP_NO_PEER;
	struct peer *last = NULL;
	bool sent = false;

	for (u32 n = 0; n < e->peer_limit; n++) {
		if (!e->peers[n] || !tunnel_has_peer(t, (u16)n))
			continue;
		if (last) {
			reason = send_copy(e, t, last, now, b);
			sent |= reason == DROP_NONE;
		}
		last = e->peers[n];
	}
	if (last)
		reason = send_to_peer(e, t, last, now, b);
	return sent ? DROP_NONE : reason;
}

static void count_payload(struct engine *e, struct tunnel *t, u64 now, enum drop_reason reason,
			  u32 size)
{
	if (reason == DROP_QUEUE_FULL || reason == DROP_CONGESTION)
		congest_strained(e, t, now);
	if (reason == DROP_NONE) {
		t->sent++;
		t->sent_bytes += size;
		t->sent_at = now;
	} else if (reason != DROP_QUEUE_FULL) { /* those were counted by copy */
		drop_count(&t->drops, reason);
	}
}

enum drop_reason engine_send(struct engine *e, u64 now, u16 tunnel, struct buf *b)
{
	struct tunnel *t = tunnel_get(e, tunnel);
	enum drop_reason reason = DROP_NO_TUNNEL;
	u32 size = b->length;

	if (t && (size == 0 || size > BUF_PAYLOAD_MAX))
		reason = size ? DROP_TOO_LARGE : DROP_MALFORMED;
	else if (t)
		reason = t->routed ? send_routed(e, t, now, b) : send_to_all(e, t, now, b);
	buf_put(b);
	if (t)
		count_payload(e, t, now, reason, size);
	return reason;
}

enum drop_reason engine_offer(struct engine *e, u64 now, u16 tunnel, struct buf *b)
{
	struct tunnel *t = tunnel_get(e, tunnel);
	struct drop_counts before = { 0 };
	enum drop_reason reason;

	if (t)
		before = t->drops;
	reason = engine_send(e, now, tunnel, b);
	if (t && (reason == DROP_QUEUE_FULL || reason == DROP_NO_BUFFER))
		t->drops = before;
	return reason;
}

/* --- pieces ----------------------------------------------------------------------------------- */

static enum drop_reason stripe_piece(const struct sending *s, const struct pieces *pieces,
				     u32 index, u32 size)
{
	struct fairq_item item;
	u8 *place = stripe_place(s, size, &item);

	if (!place)
		return DROP_QUEUE_FULL;
	pieces->write(pieces, index, place);
	stripe_put(s, &item);
	return DROP_NONE;
}

static enum drop_reason send_piece(const struct sending *s, const struct pieces *pieces, u32 index,
				   u32 size)
{
	u8 *place = NULL;
	enum drop_reason reason;
	struct buf *b;

	if (s->flow->striped && size <= tunnel_room(s->t, s->p, stripe_overhead()))
		return stripe_piece(s, pieces, index, size);
	if (joins_trains(s))
		place = place_in_train(s, size);
	if (place) {
		u8 *packet = payload_at(s, place);

		pieces->write(pieces, index, packet);
		if (s->e->due_mask && (reason = tell_congestion(s, packet, size)))
			return reason;
		return join_train(s, place, size);
	}
	b = buf_get(s->e->options.pool);
	if (!b)
		return DROP_NO_BUFFER;
	pieces->write(pieces, index, buf_data(b));
	b->length = size;
	reason = s->e->due_mask ? tell_congestion(s, buf_data(b), size) : DROP_NONE;
	if (reason == DROP_NONE)
		reason = send_alone(s, b);
	buf_put(b);
	return reason;
}

void engine_send_pieces(struct engine *e, u64 now, u16 tunnel, const struct pieces *pieces)
{
	struct tunnel *t = tunnel_get(e, tunnel);
	enum drop_reason reason;
	struct sending s;
	struct peer *p;
	u64 all;

	if (!t)
		return;
	p = route(e, t, pieces->head, pieces->head_size, &reason);
	if (!p) {
		drop_count(&t->drops, reason);
		return;
	}
	reason = begin(&s, e, t, p, now);
	all = s.mask;
	for (u32 n = 0; n < pieces->count; n++) {
		u32 size = n + 1 < pieces->count ? pieces->size : pieces->last_size;
		enum drop_reason r = reason;

		s.mask = all;
		if (r == DROP_NONE && all & p->eased_mask)
			s.mask = copies_choose(&s, size);
		if (r == DROP_NONE)
			r = send_piece(&s, pieces, n, size);
		count_payload(e, t, now, r, size);
	}
	if (s.flow->striped && reason == DROP_NONE)
		stripe_push(&s);
}
