/* SPDX-License-Identifier: MIT */
/*
 * mapcrowd.c - who has a place when there are more nodes than places.
 *
 * Anybody can make keys. But a node that has given a proof (mapproof.c), or comes over TCP, has shown an
 * address at which it receives, its home (an IPv4 /24 or IPv6 /48), and of these nobody has many.
 * Until then its home is where it seems to be. When all places are taken, a newcomer has that of a node
 * that has shown nothing, or of one of a crowd: of one whose home has more than twice as many as the
 * newcomer's would have. As a newcomer can only seem to be somewhere, too, all who have shown nothing are
 * counted with it. Which node is found by looking at some at random: a crowd that has filled the map is
 * found at once. Where there is no crowd, those who are here stay.
 *
 * Homes are counted by a keyed hash: strangers that collide count as one.
 */
#include "mapserver_internal.h"

#include <string.h>

#define LOOKS 64u

static u16 home_of(const struct mapserver *m, const struct address *a)
{
	u8 bytes[1 + 6] = { a->family }, mac[MAC_SIZE];

	memcpy(bytes + 1, a->bytes, a->family == 4 ? 3 : 6);
	crypto_mac(mac, m->proof_key, sizeof(m->proof_key), bytes, sizeof(bytes));
	return get_u16(mac) % MAP_HOMES;
}

/* How much of a crowd it is in. */
static u32 crowd_of(const struct mapserver *m, const struct client *client)
{
	return client->homed ? m->homes[client->home] : UINT32_MAX;
}

/* Of some known clients, the one in the largest crowd; NULL: none was found. */
static struct client *one_of_a_crowd(struct mapserver *m)
{
	struct client *worst = NULL;

	for (u32 i = 0; i < LOOKS; i++) {
		const struct assoc *assoc = hub_any(m->hub, random_u32(&m->options.random));
		struct client *client = assoc ? assoc->owner : NULL;

		if (client && client->known && (!worst || crowd_of(m, client) > crowd_of(m, worst)))
			worst = client;
	}
	return worst;
}

static bool make_place(struct mapserver *m, u16 home)
{
	u32 own = m->homes[home] > m->homeless ? m->homes[home] : m->homeless;
	struct client *other;

	if (m->stats.nodes < m->options.max_nodes)
		return true;
	other = one_of_a_crowd(m);
	if (!other || crowd_of(m, other) <= 2 * (own + 1))
		return false;
	m->stats.crowded++;
	map_forget(m, other);
	return true;
}

bool map_settle(struct mapserver *m, struct client *client, const struct address *from)
{
	u16 home = home_of(m, from);

	if (!make_place(m, home))
		return false;
	m->homes[home]++;
	m->homeless++;
	m->stats.nodes++;
	client->home = home;
	client->known = true;
	return true;
}

void map_is_home(struct mapserver *m, struct client *client, const struct address *from)
{
	if (client->homed)
		return;
	m->homeless--;
	m->homes[client->home]--;
	client->home = home_of(m, from);
	client->homed = true;
	m->homes[client->home]++;
}

void map_unsettle(struct mapserver *m, struct client *client)
{
	if (!client->known)
		return;
	m->homes[client->home]--;
	m->homeless -= !client->homed;
	m->stats.nodes--;
	client->known = client->homed = false;
}
