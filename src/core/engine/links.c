/* SPDX-License-Identifier: MIT */
/*
 * links.c - the links that the shards of a block are spread over, and which of them is next.
 *
 * Links are paths that share neither our interface nor the peer's address, as far as there are such,
 * and of these only paths that are live, are not much later than others, and do not lose more than
 * parity can make good: for a moment, if it is little more, but not at all if they lose a third. What leads
 * over the same link is then no better, so far as it has not shown that it is.
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
#define MUCH (1.0 / 3)               /* of what was sent: no patience with that */
#define EXCESS_MOST 7.0              /* datagrams lost beyond that */
#define EXCESS_ONCE 5.0              /* and of these at most as many at once */
#define RELIEF 6                     /* a path is used again when it loses so many times less */
#define PROOF 16u                    /* and after so many datagrams */
#define ASK_INTERVAL (8 * NS_PER_MS) /* of a path that may lose much; less than LINKS_TIME */
#define ASK_AGAIN (20 * NS_PER_MS)   /* of one that was left: less often deceives less */
#define ASK_GRACE (5 * NS_PER_MS)    /* for an answer, beyond what is usual */
#define ASK_TIME (2 * NS_PER_S)      /* for so long */
#define ASK_MOST (PATH_PROBES_REMEMBERED - 2) /* that are not answered */
#define LATE (200 * NS_PER_MS)                /* a round trip so much longer than others' */

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

/* Over interfaces of one name: an interface has as many addresses as it likes. */
static bool same_iface(const struct engine *e, const struct path *a, const struct path *b)
{
	return strncmp(e->ifaces[a->iface]->options.name, e->ifaces[b->iface]->options.name,
		       IFNAME_SIZE) == 0;
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

	if ((s->now >= l->loss[n].suspect_since + ASK_TIME && !better) ||
	    path->unanswered >= ASK_MOST || s->now < path->probed_at + interval)
		return;
	path_wake(path, s->now);
	peer_arm(s->e, s->p, s->now);
}

/* Should it have answered by now? That may be the first sign of much that is lost. */
static bool is_overdue(const struct sending *s, u32 n)
{
	const struct path *path = &s->p->paths[n];

	return path->state == PATH_LIVE && path->oldest_unanswered &&
	       s->now >= path->oldest_unanswered + path->rtt + 4 * path->rtt_var + ASK_GRACE;
}

/* Adds what the answers tell that have come since it was looked at last: losses beyond MUCH of what was sent,
 * a sum that never falls below nothing. One look adds so little that a burst alone, after which nothing is
 * lost, is not enough: that is what parity is for. */
static void weigh(const struct path_ledger *out, struct links_loss *loss)
{
	const double sent = (double)(out->sent - loss->sent);
	const double received = (double)(out->received - loss->received);
	double excess = sent - received - MUCH * sent;

	if (out->sent < loss->sent || out->received < loss->received) { /* they are counted anew */
		loss->proven_at = out->sent + PROOF;
		excess = 0;
	}
	loss->sent = out->sent;
	loss->received = out->received;
	loss->excess += excess < EXCESS_ONCE ? excess : EXCESS_ONCE;
	if (loss->excess < 0)
		loss->excess = 0;
}

/* n has just collapsed. Paths that have nothing to carry and share an end with it hide the same link perhaps:
 * they have to show that they do not. */
static void suspect_kin(const struct sending *s, struct links *l, u32 n)
{
	const struct path *path = &s->p->paths[n];

	l->loss[n].proven_at = path->out.sent + PROOF;
	for (u64 mask = s->mask & ~l->chosen; mask; mask &= mask - 1) {
		const u32 other = (u32)__builtin_ctzll(mask);
		const struct path *kin = &s->p->paths[other];

		if (!same_iface(s->e, kin, path) &&
		    !address_equal(&kin->remote.address, &path->remote.address))
			continue;
		l->collapsed |= bit(other);
		l->loss[other].proven_at = kin->out.sent + PROOF;
		l->loss[other].suspect_since = s->now;
	}
}

static bool is_proven(const struct path_ledger *out, const struct links_loss *loss)
{
	return out->recent < MUCH / RELIEF && out->sent >= loss->proven_at;
}

/* Whether it loses so much that it is of no use, until it hardly loses any more. */
static bool collapsed(const struct sending *s, struct links *l, u32 n)
{
	const struct path_ledger *out = &s->p->paths[n].out;
	const bool live = s->p->paths[n].state == PATH_LIVE;
	struct links_loss *loss = &l->loss[n];
	const bool suspect = out->recent >= MUCH / 2 || loss->excess >= EXCESS_MOST / 4;

	weigh(out, loss);
	if (!suspect && !(l->collapsed & bit(n)))
		loss->suspect_since = s->now;
	if (l->collapsed & bit(n) && is_proven(out, loss)) {
		l->collapsed &= ~bit(n);
		loss->excess = 0;
	} else if (!(l->collapsed & bit(n)) &&
		   (loss->excess >= EXCESS_MOST || (!live && out->recent >= MUCH))) {
		l->collapsed |= bit(n);
		suspect_kin(s, l, n);
	}
	if (suspect || l->collapsed & bit(n) || is_overdue(s, n))
		ask(s, l, n, out->recent < MUCH);
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

/* For shards. Who stripes judges by what comes of what he sends, and makes queues of his own. */
static bool is_useless(const struct sending *s, struct links *l, u32 n, u64 least)
{
	const struct path *path = &s->p->paths[n];
	const bool late = least != TIME_NEVER && path->rtt_last > least + LATE + 2 * l->patience;
	const bool lossy = too_lossy(s, l, n);

	return collapsed(s, l, n) || lossy || late;
}

/* Of the paths there are, the live ones that are good, if there are any; or the live ones; or all. */
static u64 good_paths(const struct sending *s, struct links *l)
{
	const u64 least = quickest(s);
	u64 live = 0, good = 0;

	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);
		const bool useless = l->tolerable < 1 && is_useless(s, l, n, least);

		if (s->p->paths[n].state != PATH_LIVE)
			continue;
		live |= bit(n);
		if (!useless)
			good |= bit(n);
	}
	return good ? good : live ? live : s->mask;
}

/* The interface of this name, or one of its addresses, carries a link already. */
static bool iface_taken(const struct sending *s, const struct links *l, const struct path *path)
{
	for (u32 n = 0; n < l->count; n++) {
		if (same_iface(s->e, &s->p->paths[l->path[n]], path))
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
