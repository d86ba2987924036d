/* SPDX-License-Identifier: MIT */
/*
 * links.c - the links that the shards of a block are spread over, and which of them is next.
 *
 * Links are paths that share neither our interface nor the peer's address, as far as there are such, and
 * of these only paths that are live and do not for long lose more than parity can make good.
 *
 * Each shard takes the link that has fewest of its block, measured by the weights of the interfaces. When links have equally many, data goes to
 * one that did not have the first, parity to the one that had: so the link with most shards of a
 * block has them as far apart in time as can be, and little of it is data. Which link has the
 * first changes from block to block.
 */
#include "redund.h"

#include <string.h>

#define LINKS_TIME (10 * NS_PER_MS) /* they are chosen anew after so long */
#define LOSSY_PATIENCE (1 * NS_PER_S)

/* Whether this path has for long been losing more than parity makes good. A burst of losses is what
 * parity is for. */
static bool too_lossy(const struct sending *s, struct links *l, u32 n)
{
	if (s->p->paths[n].out.loss < l->tolerable) {
		l->lossy_since[n] = 0;
		return false;
	}
	if (l->lossy_since[n] == 0)
		l->lossy_since[n] = s->now;
	return s->now - l->lossy_since[n] >= LOSSY_PATIENCE;
}

/* Of the paths there are, the live ones that are not too lossy, if there are any; or the live ones; or
 * all. */
static u64 good_paths(const struct sending *s, struct links *l)
{
	u64 live = 0, good = 0;

	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);

		if (s->p->paths[n].state != PATH_LIVE)
			continue;
		live |= mask & -mask;
		if (!too_lossy(s, l, n))
			good |= mask & -mask;
	}
	return good ? good : live ? live : s->mask;
}

/* The interface of this name, or one of its addresses, carries a link already. */
static bool iface_taken(const struct sending *s, const struct links *l, const struct path *path)
{
	const char *name = s->e->ifaces[path->iface]->options.name;

	for (u32 n = 0; n < l->count; n++) {
		const u8 iface = s->p->paths[l->path[n]].iface;

		if (strncmp(s->e->ifaces[iface]->options.name, name, IFNAME_SIZE) == 0)
			return true;
	}
	return false;
}

static bool remote_taken(const struct sending *s, const struct links *l, const struct path *path)
{
	for (u32 n = 0; n < l->count; n++) {
		if (address_equal(&s->p->paths[l->path[n]].remote.address, &path->remote.address))
			return true;
	}
	return false;
}

/* First paths that have nothing in common; then one over each interface that is left. From a single
 * interface, one to each address of the peer: of one family, for two may well be of one link there. */
enum pass { PASS_APART, PASS_INTERFACES, PASS_ADDRESSES, PASSES };

static bool may_be_link(const struct sending *s, const struct links *l, const struct path *path,
			enum pass pass)
{
	const struct path *first = &s->p->paths[l->path[0]];

	switch (pass) {
	case PASS_APART:
		return !iface_taken(s, l, path) && !remote_taken(s, l, path);
	case PASS_INTERFACES:
		return !iface_taken(s, l, path);
	default:
		return path->iface == first->iface && !remote_taken(s, l, path);
	}
}

/* The shorter the better; those that are links already have to be clearly worse to be left. */
static u64 rank(const struct sending *s, const struct links *l, u32 path)
{
	const u64 rtt = s->p->paths[path].rtt;

	return l->chosen >> path & 1 ? rtt - rtt / 4 : rtt;
}

/* The one with the shortest round trip. */
static u32 next_link(const struct sending *s, const struct links *l, u64 mask, enum pass pass)
{
	u32 best = MAX_PEER_PATHS;

	for (; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);

		if (!may_be_link(s, l, &s->p->paths[n], pass))
			continue;
		if (best == MAX_PEER_PATHS || rank(s, l, n) < rank(s, l, best))
			best = n;
	}
	return best;
}

static void choose(const struct sending *s, struct links *l)
{
	const u64 mask = good_paths(s, l);
	u32 apart = 0;

	l->count = 0;
	for (enum pass pass = PASS_APART; pass < PASSES; pass++) {
		u32 n;

		if (pass == PASS_ADDRESSES && apart > 1)
			break;
		while ((n = next_link(s, l, mask, pass)) < MAX_PEER_PATHS)
			l->path[l->count++] = (u8)n;
		apart = l->count;
	}
	l->chosen = 0;
	for (u32 n = 0; n < l->count; n++)
		l->chosen |= UINT64_C(1) << l->path[n];
	l->of = s->mask;
	l->until = s->now + LINKS_TIME;
}

void links_refresh(const struct sending *s, struct links *l)
{
	if (l->of != s->mask || s->now >= l->until)
		choose(s, l);
}

/* Where to begin to look for the link of the next shard: the first that is best is taken. */
static u32 first_to_ask(struct links *l, const struct shard_block *b, bool parity)
{
	if (b->count == 0)
		return l->turn++;
	for (u32 n = 0; n < l->count; n++) {
		if (l->path[n] == b->first)
			return parity ? n : n + 1;
	}
	return 0;
}

/* One more shard of b would still be less for path, by its weight, than for best. */
static bool is_behind(const struct peer *p, const struct shard_block *b, u8 path, u8 best)
{
	return (b->taken[path] + 1u) * p->paths[best].weight <
	       (b->taken[best] + 1u) * p->paths[path].weight;
}

u8 links_pick(const struct sending *s, struct links *l, const struct shard_block *b, bool parity)
{
	const u32 start = first_to_ask(l, b, parity);
	u8 best = MAX_PEER_PATHS;

	for (u32 n = 0; n < l->count; n++) {
		const u8 path = l->path[(start + n) % l->count];

		if (iface_room(s->e, s->p->paths[path].iface, s->tunnel, s->p->index) == 0)
			continue;
		if (best == MAX_PEER_PATHS || is_behind(s->p, b, path, best))
			best = path;
	}
	return best;
}
