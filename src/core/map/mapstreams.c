/* SPDX-License-Identifier: MIT */
/*
 * mapstreams.c - TCP connections of nodes, as far as the core is concerned: which node one belongs to.
 *
 * A connection is one more listener, that only one node is behind. It is the node's from its first
 * authentic datagram on, and nobody else's until it ends; then the interfaces that were registered
 * over it are gone at once. Whose it was is remembered by key, as the node may have been forgotten
 * in between.
 */
#include "mapserver_internal.h"

#include <string.h>

/* The entry of its place, or NULL: there are no connections. */
static struct node_stream *entry_of(const struct mapserver *m, u32 listener)
{
	u32 place = mapserver_stream_place(listener);

	return map_is_stream(listener) && place < m->options.max_streams ? &m->streams[place] :
									   NULL;
}

bool map_stream_take(struct mapserver *m, struct client *client, u32 listener)
{
	struct node_stream *s = entry_of(m, listener);
	const u8 *key = registry_key(client->node);

	if (!s)
		return false;
	if (s->listener == listener)
		return !memcmp(s->key, key, KEY_SIZE);
	if (client->streams >= MAPSERVER_NODE_STREAMS)
		return false;
	s->listener = listener;
	memcpy(s->key, key, KEY_SIZE);
	client->streams++;
	m->stats.streams++;
	return true;
}

bool mapserver_stream_known(const struct mapserver *m, u32 listener)
{
	const struct node_stream *s = entry_of(m, listener);

	return s && s->listener == listener;
}

void mapserver_stream_closed(struct mapserver *m, u64 now, u32 listener)
{
	struct node_stream *s = entry_of(m, listener);
	struct registry_node *node;

	if (!s || s->listener != listener)
		return;
	m->now = now;
	s->listener = 0;
	m->stats.streams--;
	node = registry_find(m->registry, s->key);
	if (!node)
		return;
	if (client_of(node)->streams)
		client_of(node)->streams--;
	if (registry_clear_listener(m->registry, node, listener))
		map_tell_watchers(m, node);
}
