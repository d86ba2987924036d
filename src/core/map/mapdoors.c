/* SPDX-License-Identifier: MIT */
/*
 * mapdoors.c - the map's listeners and where each is reached, and the NAT tests (RFC 5780) that are
 * answered from another one than was asked.
 *
 * A map tells a node which other endpoints it has, and answers from them when it is asked to. An
 * answer goes to the address that asks and nowhere else, though to another port of it if that is
 * wished for; all answers to a datagram together are no larger than the datagram.
 */
#include "mapserver_internal.h"

#include <string.h>

void mapserver_set_listener(struct mapserver *m, u8 listener, const struct endpoint *local)
{
	m->doors[listener] = *local;
	if (listener >= m->door_count)
		m->door_count = listener + 1u;
}

/* Bound to whatever address the host has: nobody can be told of it. */
static bool is_anywhere(const struct address *a)
{
	const struct address zero = { .family = a->family };

	return address_equal(a, &zero);
}

/* How listener n differs from the asked one, or NATCLASS_SAME when it is nothing for a test. */
static enum natclass_how relation(const struct mapserver *m, u32 asked, u32 n)
{
	const struct endpoint *a = &m->doors[asked], *b = &m->doors[n];

	if (a->address.family != b->address.family || is_anywhere(&a->address) ||
	    is_anywhere(&b->address))
		return NATCLASS_SAME;
	if (!address_equal(&a->address, &b->address))
		return NATCLASS_OTHER_ADDRESS;
	return a->port != b->port ? NATCLASS_OTHER_PORT : NATCLASS_SAME;
}

/* Where the map is reached on an address that is ours only inside of a site, a node outside of it is
 * not told so. It knows itself at which address it reached us: unspecified stands for that. */
u8 map_others(const struct mapserver *m, u32 asked, const struct endpoint *asker,
	      struct endpoint ret[static WIRE_OTHERS_MAX])
{
	bool outside = !address_is_private(&asker->address);
	u8 count = 0;

	for (u32 n = 0; asked < m->door_count && n < m->door_count; n++) {
		const struct endpoint *door = &m->doors[n];
		enum natclass_how how = relation(m, asked, n);

		if (how == NATCLASS_SAME || count == WIRE_OTHERS_MAX)
			continue;
		if (how == NATCLASS_OTHER_ADDRESS && outside && address_is_private(&door->address))
			continue;
		ret[count] = *door;
		if (how == NATCLASS_OTHER_PORT)
			memset(ret[count].address.bytes, 0, sizeof(ret[count].address.bytes));
		count++;
	}
	return count;
}

/* The listener that answers; -1: there is none of the kind, or no NAT that could be tested. */
static int answering(const struct mapserver *m, u32 asked, u8 how)
{
	if (map_is_stream(asked))
		return -1;
	if (how == NATCLASS_SAME)
		return (int)asked;
	for (u32 n = 0; asked < m->door_count && n < m->door_count; n++) {
		if (relation(m, asked, n) == how)
			return (int)n;
	}
	return -1;
}

size_t map_nat_test(struct mapserver *m, struct client *client, const struct route *from,
		    const struct frame_nat_test_request *f, size_t room)
{
	struct frame response = { .type = FRAME_NAT_TEST };
	int listener = answering(m, from->listener, f->how);
	struct route to = { from->endpoint, (u32)listener };
	struct buf *b;
	int size;

	if (listener < 0)
		return 0;
	response.nat_test = (struct frame_nat_test){ f->nonce, from->endpoint };
	if (f->port)
		to.endpoint.port = f->port;
	b = map_datagram(m);
	if (!b)
		return 0;
	size = frame_put(map_plain(b), MAP_PLAIN_MAX, &response);
	if (size < 0 || (size_t)size + WIRE_OVERHEAD > room ||
	    !map_seal(m, client, b, (size_t)size)) {
		buf_put(b);
		return 0;
	}
	map_enqueue(m, b, &to, f->port != 0);
	return (size_t)size + WIRE_OVERHEAD;
}
