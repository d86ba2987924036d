/* SPDX-License-Identifier: MIT */
/*
 * relay.c - paths that lead through a map.
 *
 * A datagram for a peer goes inside the session with the map, which hands it on inside the peer's.
 * For every other room such a path is one like any other: its remote endpoint has a family of its
 * own and holds the map, the handle by which the map knows the peer, and the peer's interface.
 * Only the way into the outbox and out of the map's session leads through here.
 *
 *   address   0 map, 1..4 handle, 5 interface of the peer
 */
#include "engine_internal.h"

#include <string.h>

void relay_endpoint(struct endpoint *ret, u16 map, u32 handle, u8 interface)
{
	memset(ret, 0, sizeof(*ret));
	ret->address.family = ADDRESS_RELAY;
	ret->address.bytes[0] = (u8)map;
	put_u32(ret->address.bytes + 1, handle);
	ret->address.bytes[5] = interface;
}

u16 relay_map(const struct endpoint *relayed)
{
	return relayed->address.bytes[0];
}

u8 relay_interface(const struct endpoint *relayed)
{
	return relayed->address.bytes[5];
}

bool relay_possible(const struct engine *e, u8 iface, const struct endpoint *relayed)
{
	const struct map *m = &e->maps[relay_map(relayed)];

	return m->used && m->registrations[iface].state == REG_DONE;
}

/* Puts a datagram in the frame that the map forwards, sealed, behind what lies in wrapped. */
static bool wrap_datagram(struct map *m, u64 now, struct buf *wrapped, const struct frame_relay *f)
{
	u8 *place = buf_data(wrapped) + wrapped->length;

	if (f->size + RELAY_OVERHEAD > buf_tailroom(wrapped))
		return false;
	frame_put_relay_header(place + WIRE_HEADER_SIZE, f);
	memcpy(place + WIRE_HEADER_SIZE + FRAME_RELAY_HEADER, f->data, f->size);
	if (assoc_seal(&m->assoc, now, place, FRAME_RELAY_HEADER + f->size) < 0)
		return false;
	wrapped->length += f->size + RELAY_OVERHEAD;
	return true;
}

/* A copy of b, one datagram or a train, in a buffer of its own. */
static bool wrap(struct map *m, u64 now, u8 iface, struct buf *b, const struct queued *q,
		 struct buf *wrapped)
{
	const u32 step = b->segment ? b->segment : b->length;
	struct frame_relay f = { .handle = get_u32(q->destination.address.bytes + 1),
				 .to = q->destination.address.bytes[5],
				 .from = iface };
	bool fits = true;

	for (u32 at = 0; fits && at < b->length; at += step) {
		f.data = buf_data(b) + at;
		f.size = b->length - at < step ? b->length - at : step;
		fits = wrap_datagram(m, now, wrapped, &f);
	}
	if (b->segment)
		wrapped->segment = b->segment + RELAY_OVERHEAD;
	return fits;
}

bool relay_queue(struct engine *e, u64 now, u8 iface, struct buf *b, const struct queued *q)
{
	struct map *m = &e->maps[relay_map(&q->destination)];
	struct queued outer = *q;
	struct buf *wrapped;
	struct map_way way;
	bool queued = false;

	if (!relay_possible(e, iface, &q->destination) || !map_way(e, m, iface, &way))
		return false;
	wrapped = buf_get(e->options.pool);
	if (!wrapped) {
		drop_count(&e->drops, DROP_NO_BUFFER);
		return false;
	}
	outer.destination = way.to;
	outer.socket = way.socket;
	outer.relayed = true;
	outer.map = (u8)(1 + relay_map(&q->destination));
	if (wrap(m, now, iface, b, q, wrapped))
		queued = iface_queue(e, now, iface, wrapped, &outer);
	buf_put(wrapped);
	return queued;
}

void relay_receive(struct engine *e, const struct map *m, const struct arrival *in,
		   const struct frame_relay *f)
{
	struct arrival inner = *in;

	if (in->source.address.family == ADDRESS_RELAY) { /* a relay inside of a relay */
		drop_count(&e->drops, DROP_BAD_FRAME);
		return;
	}
	relay_endpoint(&inner.source, m->index, f->handle, f->from);
	inner.socket = 0;
	engine_receive_datagram(e, &inner, f->data, f->size);
}
