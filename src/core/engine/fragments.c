/* SPDX-License-Identifier: MIT */
/*
 * fragments.c - a payload that does not fit the smallest of its paths is cut into pieces, each of
 * which is protected like any payload. fragment.c puts them together again.
 */
#include "redund.h"

#include <string.h>

#define FRAGMENT_OVERHEAD (WIRE_OVERHEAD + FRAME_FRAGMENT_HEADER)
#define FRAGMENTS_MAX 256u

static u32 paths_on(const struct sending *s, u8 iface)
{
	u32 count = 0;

	for (u64 mask = s->mask; mask; mask &= mask - 1)
		count += s->p->paths[__builtin_ctzll(mask)].iface == iface;
	return count;
}

/* Whether all of so many datagrams can be queued on one path at least, now or ever: a part of them is
 * of no use. */
static enum drop_reason fragments_fit(const struct sending *s, u32 datagrams)
{
	enum drop_reason reason = DROP_TOO_LARGE;

	if (pool_available(s->e->options.pool) < datagrams)
		return DROP_NO_BUFFER;
	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		u8 iface = s->p->paths[__builtin_ctzll(mask)].iface;
		u32 places = datagrams * paths_on(s, iface);

		if (places <= iface_room(s->e, iface, s->tunnel, s->p->index))
			return DROP_NONE;
		if (places <= OUTBOX_LANE_MAX)
			reason = DROP_QUEUE_FULL;
	}
	if (reason == DROP_QUEUE_FULL)
		sending_count(s, 0, 0);
	return reason;
}

static enum drop_reason send_fragment(const struct sending *s, const struct frame_fragment *f)
{
	struct buf *b = buf_get(s->e->options.pool);
	enum drop_reason reason;
	u64 queued;

	if (!b)
		return DROP_NO_BUFFER;
	memcpy(buf_data(b), f->data, f->size);
	b->length = f->size;
	frame_put_fragment_header(buf_push(b, FRAME_FRAGMENT_HEADER), f);
	reason = seal_and_queue(s, b, true, &queued);
	buf_put(b);
	return reason;
}

/* What is not sent again goes over all links. */
static struct sending with_all_links(const struct sending *s)
{
	struct sending all = *s;

	if (s->flow->autosel)
		all.mask = autosel_careful_mask(s->p, s->flow->autosel);
	return all;
}

enum drop_reason fragments_send(const struct sending *s, struct buf *payload)
{
	const struct sending careful = with_all_links(s);
	u32 unit = tunnel_room(s->t, s->p, FRAGMENT_OVERHEAD), total = payload->length;
	struct frame_fragment f = { .tunnel = s->t->id,
				    .sequence = s->flow->next_sequence,
				    .total = total };
	enum drop_reason reason;

	if (unit > UINT16_MAX)
		unit = UINT16_MAX;
	if (unit == 0 || (total + unit - 1) / unit > FRAGMENTS_MAX)
		return DROP_TOO_LARGE;
	reason = fragments_fit(&careful, (total + unit - 1) / unit);
	if (reason != DROP_NONE)
		return reason;
	s->flow->next_sequence++;
	f.unit = (u16)unit;
	/* What comes after them must not join what left before them. */
	train_close(s->e);
	for (u32 offset = 0; offset < total; offset += unit, f.index++) {
		f.data = buf_data(payload) + offset;
		f.size = total - offset < unit ? total - offset : unit;
		reason = send_fragment(&careful, &f);
		if (reason != DROP_NONE)
			return reason;
	}
	return DROP_NONE;
}
