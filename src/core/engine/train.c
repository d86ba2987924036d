/* SPDX-License-Identifier: MIT */
/*
 * train.c - the train that may still grow.
 *
 * Payloads that follow one another to the same peer over the same paths are sealed one behind the
 * other into one buffer, as long as they are of one size (the last may be shorter), so that they
 * leave in one send per path. The train lies in the outboxes from its first datagram on; it stops
 * growing when the edges take from an outbox, when anything about the peer's paths changes, when
 * it is all that may wait for a limited rate, or when its deadline would be that much too early for what
 * joins.
 */
#include "engine_internal.h"

#include <string.h>

void train_close(struct engine *e)
{
	buf_put(e->train.buf);
	e->train.buf = NULL;
}

void train_open(struct engine *e, struct buf *b, const struct train *what)
{
	train_close(e);
	e->train = *what;
	e->train.buf = buf_ref(b);
	e->train.count = 1;
	e->train.segment = b->length;
}

/* It is all that may wait for a limited rate: each payload by itself finds its place now, or does not. */
static bool is_enough(const struct engine *e)
{
	const struct train *t = &e->train;
	const struct peer *p = peer_get(e, t->peer);

	for (u64 mask = t->queued; p && mask; mask &= mask - 1) {
		if (iface_enough(e, p->paths[__builtin_ctzll(mask)].iface,
				 t->buf->length - t->segment))
			return true;
	}
	return false;
}

u8 *train_place(struct engine *e, u64 now, u16 tunnel, u16 peer, u64 mask, u32 datagram)
{
	const struct train *t = &e->train;

	if (!t->buf || t->tunnel != tunnel || t->peer != peer || t->mask != mask ||
	    now > t->until || datagram > t->segment || t->count == TRAIN_DATAGRAMS ||
	    t->buf->length + datagram > DATAGRAM_MAX || datagram > buf_tailroom(t->buf) ||
	    (e->limited_mask && is_enough(e)))
		return NULL;
	return buf_data(t->buf) + t->buf->length;
}

u64 train_grow(struct engine *e, u32 datagram)
{
	struct train *t = &e->train;
	u64 queued = t->queued;

	t->buf->segment = t->segment;
	t->buf->length += datagram;
	t->count++;
	if (datagram < t->segment)
		train_close(e);
	return queued;
}
