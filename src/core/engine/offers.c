/* SPDX-License-Identifier: MIT */
/*
 * offers.c - peers tell each other where they may be reached, inside their session.
 *
 * A map tells the same, but it may be away. So every node keeps one list of its own interfaces, each
 * with its own address, where a map sees it, where its router lets others in, and where peers see
 * it: a peer that hears of an interface over another path sends to it as it is heard from, and so
 * both open their NATs, without a map.
 *
 * The list has a number that grows with each change. It is sent when a session begins and when it has
 * changed, over the two best paths, and again with back-off until the peer says that it has taken
 * it. What a peer tells is kept beside what maps say of it (peer.mappings): the newest list is the one
 * that counts. It leads to nothing but the probes that any candidate gets, of no more endpoints than
 * there are paths; lists that come too often are not taken, and come again.
 */
#include "engine_internal.h"

#include <string.h>

#define RETRY_FIRST (200 * NS_PER_MS)
#define RETRY_MAX (5 * NS_PER_S)
#define RETRY_DOUBLINGS 5u
#define TELL_PATHS 2u
#define SEEN_DELAY (500 * NS_PER_MS) /* several peers see us at about the same time */
#define SEEN_MAX 2u                  /* of an interface */
#define LISTS_A_SECOND 1u
#define LISTS_BURST 16u
/* What fits any datagram, relayed or not. */
#define LIST_BYTES (PMTU_BASE - RELAY_OVERHEAD - WIRE_OVERHEAD - FRAME_CANDIDATES_HEADER)

void offers_begin(struct peer *p)
{
	p->offered.next = TIME_NEVER;
	ratelim_init(&p->offered.rate, LISTS_A_SECOND, LISTS_BURST);
}

/* --- our list -------------------------------------------------------------------------------- */

struct list {
	u8 count;
	u32 bytes;
	struct wire_mapping entry[WIRE_MAPPINGS_MAX];
};

static void list_add(struct list *l, const struct wire_mapping *m)
{
	u32 bytes = 1 + (u32)(wire_endpoint_size(&m->observed) + wire_endpoint_size(&m->lan) +
			      wire_endpoint_size(&m->mapped));

	if (l->count == WIRE_MAPPINGS_MAX || l->bytes + bytes > LIST_BYTES)
		return;
	l->bytes += bytes;
	l->entry[l->count++] = *m;
}

static bool list_has_seen(const struct list *l, u8 iface, const struct endpoint *seen)
{
	for (u32 n = 0; n < l->count; n++) {
		const struct wire_mapping *m = &l->entry[n];

		if (m->interface == iface &&
		    (endpoint_equal(&m->observed, seen) || endpoint_equal(&m->lan, seen) ||
		     endpoint_equal(&m->mapped, seen)))
			return true;
	}
	return false;
}

static void add_iface(const struct engine *e, struct list *l, u8 iface)
{
	struct wire_mapping m = { .interface = iface, .lan = e->ifaces[iface]->options.local };
	struct frame f;

	if (nat_override_frame(e, iface, &f))
		m.observed = f.override;
	if (iface_mapped(e, iface))
		m.mapped = *iface_mapped(e, iface);
	list_add(l, &m);
}

/* Where peers see us is of use to others unless the NAT shows us to each at another place. */
static void add_seen(const struct engine *e, struct list *l, u8 iface)
{
	u32 found = 0;

	if (e->ifaces[iface]->nat.class.is.dependent == NAT_YES)
		return;
	for (u32 n = 0; n < e->peer_limit; n++) {
		const struct peer *p = e->peers[n];

		for (u64 mask = p ? p->used_mask : 0; mask; mask &= mask - 1) {
			const struct path *path = &p->paths[__builtin_ctzll(mask)];
			const struct wire_mapping m = { .interface = iface,
							.observed = path->seen };

			if (path->iface != iface || !path_usable(path) ||
			    !endpoint_is_usable(&path->seen) ||
			    list_has_seen(l, iface, &path->seen))
				continue;
			list_add(l, &m);
			if (++found == SEEN_MAX)
				return;
		}
	}
}

static void collect(const struct engine *e, struct list *l)
{
	memset(l, 0, sizeof(*l));
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		add_iface(e, l, (u8)__builtin_ctz(mask));
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		add_seen(e, l, (u8)__builtin_ctz(mask));
}

static bool same_entry(const struct wire_mapping *a, const struct wire_mapping *b)
{
	return a->interface == b->interface && endpoint_equal(&a->observed, &b->observed) &&
	       endpoint_equal(&a->lan, &b->lan) && endpoint_equal(&a->mapped, &b->mapped);
}

static bool is_same(const struct offers *o, const struct list *l)
{
	if (o->number == 0 || o->count != l->count)
		return false;
	for (u32 n = 0; n < l->count; n++) {
		if (!same_entry(&o->entry[n], &l->entry[n]))
			return false;
	}
	return true;
}

void offers_changed(struct engine *e, u64 now, u64 delay)
{
	e->offers.due = time_min(e->offers.due, time_after(now, delay));
	engine_arm(e, e->offers.due);
}

u64 offers_next_expiry(const struct engine *e)
{
	return e->offers.due;
}

static void tell_soon(struct engine *e, struct peer *p, u64 now)
{
	p->offered.acknowledged = false;
	p->offered.tries = 0;
	p->offered.next = now;
	peer_arm(e, p, now);
}

void offers_expire(struct engine *e, u64 now)
{
	struct offers *o = &e->offers;
	struct list l;

	if (o->due > now)
		return;
	o->due = TIME_NEVER;
	collect(e, &l);
	if (is_same(o, &l))
		return;
	o->number++;
	o->count = l.count;
	memcpy(o->entry, l.entry, sizeof(o->entry));
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			tell_soon(e, e->peers[n], now);
	}
}

void offers_seen(struct engine *e, struct path *path, const struct arrival *in,
		 const struct endpoint *seen)
{
	if (in->socket != 0 || path_relayed(path) || endpoint_equal(&path->seen, seen))
		return;
	path->seen = *seen;
	offers_changed(e, in->now, SEEN_DELAY);
}

/* --- to a peer ------------------------------------------------------------------------------- */

void offers_session_begins(struct engine *e, struct peer *p, u64 now)
{
	p->offered.taken = 0;
	tell_soon(e, p, now);
}

void offers_connected(struct engine *e, struct peer *p, u64 now)
{
	if (!p->offered.acknowledged)
		tell_soon(e, p, now);
}

u64 offers_peer_expiry(const struct peer *p)
{
	return p->offered.next;
}

void offers_peer_expire(struct engine *e, struct peer *p, u64 now)
{
	const struct offers *mine = &e->offers;
	struct offered *o = &p->offered;
	struct frame f = { .type = FRAME_CANDIDATES };
	u32 doublings = o->tries < RETRY_DOUBLINGS ? o->tries : RETRY_DOUBLINGS;

	if (o->next > now)
		return;
	o->next = TIME_NEVER;
	if (mine->number == 0 || !p->connected) /* the first list, or a path, will call again */
		return;
	f.candidates.number = mine->number;
	f.candidates.taken = o->taken;
	f.candidates.count = mine->count;
	memcpy(f.candidates.mapping, mine->entry, sizeof(mine->entry));
	for (u64 mask = pathset_select(p, TELL_PATHS); mask; mask &= mask - 1)
		peer_send_frames(e, p, now, (u8)__builtin_ctzll(mask), &f, 1, 0);
	o->next = now + time_min(RETRY_FIRST << doublings, RETRY_MAX);
	o->tries++;
}

/* --- from a peer ----------------------------------------------------------------------------- */

/* false: there is no memory for it. */
static bool remember(struct engine *e, struct peer *p, u64 now, const struct frame_candidates *f)
{
	struct mappings *known = p->mappings[FROM_PEER];

	if (!known)
		known = mem_alloc(&e->options.allocator, sizeof(*known));
	if (!known)
		return false;
	p->mappings[FROM_PEER] = known;
	known->count = f->count;
	known->at = now;
	memcpy(known->entry, f->mapping, f->count * sizeof(f->mapping[0]));
	nat_refresh(e, p, now);
	return true;
}

static void acknowledge(struct engine *e, struct peer *p, u64 now, int path)
{
	struct frame f = { .type = FRAME_CANDIDATES, .candidates = { .taken = p->offered.taken } };

	if (path >= 0)
		peer_send_frames(e, p, now, (u8)path, &f, 1, 0);
}

void offers_take(struct engine *e, struct peer *p, const struct arrival *in, int path,
		 const struct frame_candidates *f)
{
	struct offered *o = &p->offered;

	if (!in->current) /* of an earlier life */
		return;
	if (f->taken != 0 && f->taken == e->offers.number) {
		o->acknowledged = true;
		o->next = TIME_NEVER;
	}
	if (f->number == 0 || f->number < o->taken)
		return;
	if (f->number > o->taken) {
		if (!ratelim_take(&o->rate, in->now) || !remember(e, p, in->now, f))
			return;
		o->taken = f->number;
	}
	acknowledge(e, p, in->now, path);
}
