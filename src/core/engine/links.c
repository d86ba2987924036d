/* SPDX-License-Identifier: MIT */
/*
 * links.c - the links that the shards of a block are spread over, and which of them is next.
 *
 * Links are paths that share neither our interface nor the peer's address, as far as there are such,
 * and of these only paths that are live, are not much later than others, and do not lose more than
 * parity can make good: for a moment, if it is little more, but not at all if they lose a third.
 * A path that was left for its losses carries nothing that would show its recovery, so it is probed
 * quickly for a while; so is one that leaves a probe unanswered.
 *
 * Each shard takes the link that has fewest of its block, measured by the weights of the interfaces.
 * When links have equally many, data goes to one that did not have the first, parity to the one that
 * had: so the link with most shards of a block has them as far apart in time as can be, and little
 * of it is data. Which link has the first changes from block to block.
 */
#include "redund.h"

#include <string.h>

#define LINKS_TIME (10 * NS_PER_MS) /* they are chosen anew after so long */
#define LOSSY_PATIENCE (1 * NS_PER_S)
#define COLLAPSE_REPORTS 2u           /* in a row that tell of much lost: no patience with that */
#define RELIEF 6                      /* a path is used again when it loses so many times less */
#define ASK_INTERVAL (10 * NS_PER_MS) /* of a path that may lose much */
#define ASK_AGAIN (20 * NS_PER_MS)    /* of one that was left: less often deceives less */
#define ASK_GRACE (5 * NS_PER_MS)     /* for an answer, beyond what is usual */
#define ASK_TIME (2 * NS_PER_S)       /* for so long */
#define ASK_SILENCE (160 * NS_PER_MS) /* and while it is not silent for so long */
#define LATE (200 * NS_PER_MS)        /* a round trip so much longer than others' */

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

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

/* Is it still as bad? Also when it seems not to be, after long. */
static void ask(const struct sending *s, const struct links *l, u32 n, bool better)
{
	struct path *path = &s->p->paths[n];
	const u64 interval = l->collapsed & bit(n) ? ASK_AGAIN : ASK_INTERVAL;

	if ((s->now >= l->suspect_since[n] + ASK_TIME && !better) ||
	    path->unanswered >= ASK_SILENCE / interval || s->now < path->probed_at + interval)
		return;
	path_wake(path, s->now);
	peer_arm(s->e, s->p, s->now);
}

/* Should the newest probe have been answered by now? It may be the first of many. */
static bool is_overdue(const struct sending *s, u32 n)
{
	const struct path *path = &s->p->paths[n];

	return path->unanswered &&
	       s->now >= path->probed_at + path->rtt + 4 * path->rtt_var + ASK_GRACE;
}

/* Whether it loses so much that it is of no use, until it hardly loses any more. A burst is told by one
 * report, after it: the next one, that is asked for at once, tells of none. */
static bool collapsed(const struct sending *s, struct links *l, u32 n)
{
	const struct path_ledger *out = &s->p->paths[n].out;
	const double most = l->tolerable > PATH_MUCH ? l->tolerable : PATH_MUCH;
	const bool suspect = out->much && out->recent >= most;

	if (!suspect && !(l->collapsed & bit(n)))
		l->suspect_since[n] = s->now;
	else if (l->collapsed & bit(n) && out->recent < most / RELIEF)
		l->collapsed &= ~bit(n);
	else if (suspect && out->much >= COLLAPSE_REPORTS)
		l->collapsed |= bit(n);
	if (suspect || l->collapsed & bit(n) || is_overdue(s, n))
		ask(s, l, n, out->recent < most);
	return l->collapsed & bit(n);
}

/* The shortest round trip of late, of the live paths. */
static u64 quickest(const struct sending *s)
{
	u64 least = TIME_NEVER;

	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		const struct path *path = &s->p->paths[__builtin_ctzll(mask)];

		if (path->state == PATH_LIVE && path->rtt_last)
			least = time_min(least, path->rtt_last);
	}
	return least;
}

/* Of the paths there are, the live ones that are good, if there are any; or the live ones; or all. */
static u64 good_paths(const struct sending *s, struct links *l)
{
	const u64 least = quickest(s);
	u64 live = 0, good = 0;

	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);
		const struct path *path = &s->p->paths[n];
		bool late, lossy;

		if (path->state != PATH_LIVE)
			continue;
		live |= bit(n);
		late = least != TIME_NEVER && path->rtt_last > least + LATE + 2 * l->patience;
		lossy = too_lossy(s, l, n);
		if (!collapsed(s, l, n) && !lossy && !late)
			good |= bit(n);
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

	return l->chosen >> path & 1 ? rtt * l->stays / 100 : rtt;
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

/* The first interface that has the name of this one. */
static u8 name_of_iface(const struct engine *e, u8 iface)
{
	const char *name = e->ifaces[iface]->options.name;

	for (u8 n = 0; n < iface; n++) {
		if (e->ifaces[n] && strncmp(e->ifaces[n]->options.name, name, IFNAME_SIZE) == 0)
			return n;
	}
	return iface;
}

/* The first path that has the remote address of this one. */
static u8 name_of_address(const struct peer *p, u8 path)
{
	for (u8 n = 0; n < path; n++) {
		if (p->used_mask & bit(n) &&
		    address_equal(&p->paths[n].remote.address, &p->paths[path].remote.address))
			return n;
	}
	return path;
}

/* Blocks that are open keep in mind what each link has taken, when another path comes to lead over it. */
static void name_links(const struct sending *s, struct links *l, bool by_address)
{
	for (u32 n = 0; n < l->count; n++) {
		const u8 path = l->path[n];

		l->link[n] = by_address ? name_of_address(s->p, path) :
					  name_of_iface(s->e, s->p->paths[path].iface);
	}
}

static void choose(const struct sending *s, struct links *l)
{
	const u64 mask = good_paths(s, l);
	u32 apart = 0; /* how many do not share their interface */

	l->count = 0;
	for (enum pass pass = PASS_APART; pass < PASSES; pass++) {
		u32 n;

		if (pass == PASS_ADDRESSES && apart > 1)
			break;
		while ((n = next_link(s, l, mask, pass)) < MAX_PEER_PATHS)
			l->path[l->count++] = (u8)n;
		if (pass < PASS_ADDRESSES)
			apart = l->count;
	}
	l->chosen = 0;
	for (u32 n = 0; n < l->count; n++)
		l->chosen |= UINT64_C(1) << l->path[n];
	name_links(s, l, l->count > apart);
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
		if (l->link[n] == b->first)
			return parity ? n : n + 1;
	}
	return 0;
}

/* One more shard of b would still be less for link n, by its weight, than for best. */
static bool is_behind(const struct peer *p, const struct links *l, const struct shard_block *b,
		      u32 n, u32 best)
{
	return (b->taken[l->link[n]] + 1u) * p->paths[l->path[best]].weight <
	       (b->taken[l->link[best]] + 1u) * p->paths[l->path[n]].weight;
}

u32 links_pick(const struct sending *s, struct links *l, const struct shard_block *b, bool parity)
{
	const u32 start = first_to_ask(l, b, parity);
	u32 best = l->count;

	for (u32 k = 0; k < l->count; k++) {
		const u32 n = (start + k) % l->count;
		const u8 iface = s->p->paths[l->path[n]].iface;

		if (iface_room(s->e, iface, s->tunnel, s->p->index) == 0)
			continue;
		if (best == l->count || is_behind(s->p, l, b, n, best))
			best = n;
	}
	return best;
}
