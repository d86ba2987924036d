/* SPDX-License-Identifier: MIT */
/*
 * maprelay.c - datagrams that go from node to node through the map.
 *
 * What is forwarded is sealed between the two nodes and means nothing here. It comes and goes
 * inside the sessions that each has with the map, so that nobody can use the relay without a key,
 * and goes only to nodes that have said that they want the sender, as it wants them. Each node, and
 * all of them together, have an allowance of bytes a second (a token bucket as GCRA).
 */
#include "mapserver_internal.h"

#include <string.h>

#define BURST (250 * NS_PER_MS) /* of a rate that may be used at once */

/* When the bucket would be whole again if size bytes were taken now. */
static u64 after(u64 full_at, u64 now, u64 rate, u32 size)
{
	u64 from = full_at > now ? full_at : now;

	return from + (u64)size * NS_PER_S / rate;
}

static bool allowed(struct mapserver *m, struct client *client, u32 size)
{
	const struct relay_options *o = &m->options.relay;
	u64 node = after(client->relay_full_at, m->now, o->node_rate, size);
	u64 total = after(m->relay_full_at, m->now, o->total_rate, size);

	if (node > m->now + BURST || total > m->now + BURST)
		return false;
	client->relay_full_at = node;
	m->relay_full_at = total;
	return true;
}

static void forward(struct mapserver *m, struct client *to, const struct route *route,
		    const struct frame_relay *f)
{
	struct buf *b = map_datagram(m);
	u8 *plain;

	if (!b)
		return;
	if (FRAME_RELAY_HEADER + f->size + WIRE_OVERHEAD > buf_tailroom(b)) {
		drop_count(&m->stats.drops, DROP_TOO_LARGE);
		buf_put(b);
		return;
	}
	plain = map_plain(b);
	frame_put_relay_header(plain, f);
	memcpy(plain + FRAME_RELAY_HEADER, f->data, f->size);
	if (!map_seal(m, to, b, FRAME_RELAY_HEADER + f->size)) {
		buf_put(b);
		return;
	}
	m->stats.relayed++;
	m->stats.relayed_bytes += f->size;
	map_enqueue(m, b, route, false);
}

void map_relay(struct mapserver *m, struct client *client, const struct frame_relay *f)
{
	struct frame_relay forwarded = *f;
	struct registry_node *node;
	struct route route;

	if (!m->options.relay.node_rate || f->size == 0) {
		drop_count(&m->stats.drops, DROP_NOT_ALLOWED);
		return;
	}
	node = registry_find_handle(m->registry, f->handle, client->node);
	if (!node) {
		drop_count(&m->stats.drops, DROP_NO_PEER);
		return;
	}
	/* As it leaves: many that are tiny are no way around the limit. */
	if (!allowed(m, client, f->size + FRAME_RELAY_HEADER + WIRE_OVERHEAD)) {
		m->stats.relay_limited++;
		return;
	}
	if (!registry_route(m->registry, m->now, node, f->to,
			    FRAME_RELAY_HEADER + f->size + WIRE_OVERHEAD, &route.endpoint,
			    &route.listener)) {
		drop_count(&m->stats.drops, DROP_UNCONFIRMED);
		return;
	}
	forwarded.handle = registry_handle(client->node);
	forward(m, client_of(node), &route, &forwarded);
}
