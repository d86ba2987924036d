/* SPDX-License-Identifier: MIT */
/*
 * emit.c - one payload that takes one path: its number, its frame, into the train of those that go the same
 * way, and what is remembered of it.
 */
#include "stripe.h"

#include <string.h>

#define TRAIN_TIME (2 * NS_PER_MS)

struct emission {
	struct stripe *st;
	struct engine *e;
	struct peer *p;
	u64 now;
};

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

static bool queue_new(const struct emission *u, u8 path, struct buf *b, u16 tunnel)
{
	const struct path *to = &u->p->paths[path];
	const struct tunnel *t = &u->e->tunnels[tunnel];
	const struct queued q = { .destination = to->remote,
				  .deadline = u->now + (t->send_deadline ? t->send_deadline :
									   QUEUE_DEADLINE),
				  .peer = u->p->index,
				  .tunnel = tunnel,
				  .socket = to->socket,
				  .path = path };
	const struct train train = { .tunnel = tunnel,
				     .peer = u->p->index,
				     .mask = bit(path),
				     .queued = bit(path),
				     .until = u->now + TRAIN_TIME };

	if (!iface_queue(u->e, u->now, to->iface, b, &q))
		return false;
	if (!path_relayed(to)) /* copies do not grow with it */
		train_open(u->e, b, &train);
	return true;
}

/* Header and bytes of one that is numbered, at place; sealed. */
static bool write_datagram(const struct emission *u, u8 path, const struct flight_item *i,
			   u8 *place)
{
	const struct frame_stripe f = { .tunnel = u->e->tunnels[i->tunnel].id,
					.path = path,
					.bucket = i->bucket,
					.wait = u->st->wait,
					.piece = i->piece,
					.index = i->index,
					.unit = i->unit,
					.number = u->st->strand[path]->flight.next,
					.sequence = i->sequence,
					.total = i->total };
	const u8 *bytes = store_get(&u->st->store, i->position);
	const struct tunnel *t = &u->e->tunnels[i->tunnel];
	const u32 header = t->lead + frame_stripe_header(&f);

	if (!bytes)
		return false;
	if (t->lead)
		deadline_put(place + WIRE_HEADER_SIZE, i->since + t->send_deadline);
	frame_put_stripe_header(place + WIRE_HEADER_SIZE + t->lead, &f);
	memcpy(place + WIRE_HEADER_SIZE + header, bytes, i->size);
	return assoc_seal(&u->p->assoc, u->now, place, header + i->size) == 0;
}

static void count_sent(const struct emission *u, struct strand *s, u8 path, struct flight_item *i)
{
	struct path *to = &u->p->paths[path];

	to->sent.packets++;
	to->sent.bytes += i->wire;
	u->e->tunnels[i->tunnel].copies_sent++;
	u->st->tunnel = i->tunnel;
	i->sent_at = u->now;
	if (!i->trial)
		s->payload_at = u->now;
	flight_add(&s->flight, i);
	ratecc_sent(&s->cc, u->now, i->wire);
	if (s->cc.next_send > u->now)
		s->resume_at = s->cc.next_send + SPREAD_TICK;
}

bool datagram_send(struct stripe *st, u64 now, u8 path, struct flight_item *i)
{
	const struct emission emission = { st, st->e, st->p, now }, *u = &emission;
	struct strand *s = u->st->strand[path];
	struct buf *b;
	u8 *place;
	bool sent;

	i->wire = WIRE_OVERHEAD + st->e->tunnels[i->tunnel].lead + i->size +
		  (i->piece ? FRAME_STRIPE_PIECE_HEADER : FRAME_STRIPE_HEADER);
	place = train_place(u->e, u->now, i->tunnel, u->p->index, bit(path), i->wire);
	if (place) {
		if (!write_datagram(u, path, i, place))
			return false;
		train_grow(u->e, i->wire);
		count_sent(u, s, path, i);
		return true;
	}
	b = buf_get(u->e->options.pool);
	if (!b)
		return false;
	sent = write_datagram(u, path, i, buf_data(b));
	b->length = i->wire;
	sent = sent && queue_new(u, path, b, i->tunnel);
	buf_put(b);
	if (sent)
		count_sent(u, s, path, i);
	return sent;
}

void trial_send(struct stripe *st, u64 now, u8 path, const struct flight_item *of)
{
	struct strand *s = st->strand[path];
	struct flight_item trial = *of;

	if (now < s->next_trial || flight_full(&s->flight))
		return;
	trial.trial = true;
	trial.piece = false;
	trial.size = 0;
	s->next_trial = now + TRIAL_EVERY;
	datagram_send(st, now, path, &trial);
}
