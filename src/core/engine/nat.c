/* SPDX-License-Identifier: MIT */
/*
 * nat.c - candidates and overrides: which paths a peer ought to have.
 *
 * A candidate is an endpoint at which the peer may be reached: configured, as a map sees it, its own
 * address on a network that we may share, or what it has told us itself inside the session (offers.c).
 * Each local interface gets a path to each
 * candidate of its family. Behind a symmetric NAT the peer's traffic to us comes from another port
 * than the map sees: the peer says so inside the session (PEER_ADDRESS_OVERRIDE), and for the
 * interface that heard it the true source takes the candidate's place.
 */
#include "engine_internal.h"

#include <string.h>

#define MAX_CANDIDATES 64u

struct candidate {
	struct endpoint endpoint;
	enum path_origin origin;
};

struct candidates {
	u32 count;
	struct candidate entry[MAX_CANDIDATES];
};

static bool is_our_own(const struct engine *e, const struct endpoint *endpoint)
{
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1) {
		const struct iface *i = e->ifaces[__builtin_ctz(mask)];

		if (endpoint_equal(&i->options.local, endpoint))
			return true;
	}
	return false;
}

static void candidate_add(const struct engine *e, struct candidates *c,
			  const struct endpoint *endpoint, enum path_origin origin)
{
	if (c->count >= MAX_CANDIDATES || !endpoint_is_usable(endpoint) || is_our_own(e, endpoint))
		return;
	for (u32 n = 0; n < c->count; n++) {
		if (endpoint_equal(&c->entry[n].endpoint, endpoint))
			return;
	}
	c->entry[c->count++] = (struct candidate){ .endpoint = *endpoint, .origin = origin };
}

static void relays_collect(const struct engine *e, const struct peer *p, struct candidates *c)
{
	for (u32 m = 0; m < MAX_MAPS; m++) {
		const struct mappings *known = p->mappings[m];

		for (u32 n = 0; known && known->handle && n < known->count; n++) {
			if (!e->maps[m].used || c->count >= MAX_CANDIDATES)
				continue;
			c->entry[c->count].origin = PATH_FROM_RELAY;
			relay_endpoint(&c->entry[c->count++].endpoint, (u16)m, known->handle,
				       known->entry[n].interface);
		}
	}
}

static void offer_add(const struct engine *e, struct candidates *c, const struct endpoint *offered)
{
	if (!address_is_link_local(&offered->address))
		candidate_add(e, c, offered, PATH_FROM_PEER);
}

static void offers_collect(const struct engine *e, const struct peer *p, struct candidates *c)
{
	const struct mappings *known = p->mappings[FROM_PEER];

	for (u32 n = 0; known && n < known->count; n++) {
		offer_add(e, c, &known->entry[n].observed);
		offer_add(e, c, &known->entry[n].mapped);
		offer_add(e, c, &known->entry[n].lan);
	}
}

/* Nobody else says where the peer is, but it has found us: its addresses are tried from our other
 * interfaces too. */
static void arrivals_collect(const struct engine *e, const struct peer *p, struct candidates *c)
{
	for (u64 mask = p->usable_mask & ~p->relay_mask; mask; mask &= mask - 1)
		candidate_add(e, c, &p->paths[__builtin_ctzll(mask)].remote, PATH_FROM_ARRIVAL);
}

/* The best known come first: they get the places when there are too many. */
static void candidates_collect(const struct engine *e, const struct peer *p, struct candidates *c)
{
	c->count = 0;
	for (size_t n = 0; n < p->fixed_count; n++)
		candidate_add(e, c, &p->fixed[n], PATH_FROM_STATIC);
	for (u32 m = 0; m < MAX_MAPS; m++) {
		for (u32 n = 0; p->mappings[m] && n < p->mappings[m]->count; n++)
			candidate_add(e, c, &p->mappings[m]->entry[n].observed, PATH_FROM_MAP);
	}
	for (u32 m = 0; m < MAX_MAPS; m++) {
		for (u32 n = 0; p->mappings[m] && n < p->mappings[m]->count; n++)
			candidate_add(e, c, &p->mappings[m]->entry[n].mapped, PATH_FROM_ROUTER);
	}
	for (u32 m = 0; m < MAX_MAPS; m++) {
		for (u32 n = 0; p->mappings[m] && n < p->mappings[m]->count; n++) {
			const struct endpoint *lan = &p->mappings[m]->entry[n].lan;

			if (!address_is_link_local(&lan->address))
				candidate_add(e, c, lan, PATH_FROM_LAN);
		}
	}
	relays_collect(e, p, c);
	if (c->count == 0)
		arrivals_collect(e, p, c);
	offers_collect(e, p, c);
}

/* --- overrides ------------------------------------------------------------------------------- */

static struct override *override_find(struct peer *p, u8 iface, const struct endpoint *registered)
{
	for (u32 n = 0; n < MAX_OVERRIDES; n++) {
		struct override *o = &p->overrides[n];

		if (o->used && o->iface == iface && endpoint_equal(&o->registered, registered))
			return o;
	}
	return NULL;
}

static bool is_mapped(const struct peer *p, const struct endpoint *endpoint)
{
	for (u32 m = 0; m < MAPPING_SOURCES; m++) {
		for (u32 n = 0; p->mappings[m] && n < p->mappings[m]->count; n++) {
			if (endpoint_equal(&p->mappings[m]->entry[n].observed, endpoint))
				return true;
		}
	}
	return false;
}

static bool override_path_lives(const struct peer *p, const struct override *o)
{
	int n = pathset_find(p, o->iface, 0, &o->actual);

	return n >= 0 && p->paths[n].state != PATH_DEAD;
}

/* An override is good until the address that it replaces is no longer registered and the path that
 * it gave is dead. */
static void overrides_prune(struct peer *p)
{
	for (u32 n = 0; n < MAX_OVERRIDES; n++) {
		struct override *o = &p->overrides[n];

		if (o->used && !is_mapped(p, &o->registered) && !override_path_lives(p, o))
			o->used = false;
	}
}

static struct override *override_free(struct peer *p)
{
	overrides_prune(p);
	for (u32 n = 0; n < MAX_OVERRIDES; n++) {
		if (!p->overrides[n].used)
			return &p->overrides[n];
	}
	return NULL;
}

void nat_forget_iface(struct peer *p, u8 iface)
{
	for (u32 n = 0; n < MAX_OVERRIDES; n++) {
		if (p->overrides[n].iface == iface)
			p->overrides[n].used = false;
	}
}

static void override_set(struct engine *e, struct peer *p, const struct arrival *in,
			 const struct endpoint *registered)
{
	struct override *o = override_find(p, in->iface, registered);

	if (o && endpoint_equal(&o->actual, &in->source))
		return;
	/* With several ways between two interfaces (a shared network, hairpin) the first stays. */
	if (o && override_path_lives(p, o))
		return;
	if (!o)
		o = override_free(p);
	if (!o)
		return;
	*o = (struct override){
		.used = true, .iface = in->iface, .registered = *registered, .actual = in->source
	};
	engine_notice(e, NOTICE_OVERRIDE, p->index, in->iface, 0);
	nat_refresh(e, p, in->now);
}

void nat_take_override(struct engine *e, struct peer *p, const struct arrival *in,
		       const struct endpoint *registered)
{
	struct override *o;

	if (!endpoint_is_usable(registered) ||
	    registered->address.family != in->source.address.family)
		return;
	if (!endpoint_equal(registered, &in->source)) {
		override_set(e, p, in, registered);
		return;
	}
	o = override_find(p, in->iface, registered);
	if (o) {
		o->used = false;
		nat_refresh(e, p, in->now);
	}
}

bool nat_override_frame(const struct engine *e, u8 iface, struct frame *ret)
{
	for (u32 m = 0; m < MAX_MAPS; m++) {
		const struct registration *r = &e->maps[m].registrations[iface];

		if (e->maps[m].used && r->state == REG_DONE && r->observed.address.family) {
			*ret = (struct frame){ .type = FRAME_OVERRIDE, .override = r->observed };
			return true;
		}
	}
	return false;
}

/* --- paths ----------------------------------------------------------------------------------- */

/* The path that a candidate calls for on iface, made if told; adds it to the mask of wanted ones. */
static void want_path(struct engine *e, struct peer *p, u64 now, u8 iface,
		      const struct candidate *c, bool make, u64 *wanted)
{
	const struct override *o = override_find(p, iface, &c->endpoint);
	bool replaced = o && (c->origin == PATH_FROM_MAP || c->origin == PATH_FROM_PEER);
	const struct endpoint *remote = replaced ? &o->actual : &c->endpoint;
	int n;

	if (make)
		n = pathset_add(e, p, now, iface, 0, remote,
				replaced ? PATH_FROM_OVERRIDE : c->origin);
	else
		n = pathset_find(p, iface, 0, remote);
	if (n >= 0)
		*wanted |= UINT64_C(1) << n;
}

static u64 want_paths(struct engine *e, struct peer *p, u64 now, const struct candidates *c,
		      bool make)
{
	u64 wanted = 0;

	for (u32 mask = e->iface_mask; mask; mask &= mask - 1) {
		u8 iface = (u8)__builtin_ctz(mask);
		u8 family = e->ifaces[iface]->options.local.address.family;

		for (u32 n = 0; n < c->count; n++) {
			const struct endpoint *to = &c->entry[n].endpoint;

			if (to->address.family == ADDRESS_RELAY ? relay_possible(e, iface, to) :
								  to->address.family == family)
				want_path(e, p, now, iface, &c->entry[n], make, &wanted);
		}
	}
	return wanted;
}

/* What works stays, whoever knows of it; so does what has just come in. */
static bool may_go(const struct path *path)
{
	return !path_usable(path) && !path->socket &&
	       !(path_came_in(path) && path->state == PATH_PROBING);
}

/* First what is not wanted goes, then there is room for what is. */
void nat_refresh(struct engine *e, struct peer *p, u64 now)
{
	struct candidates c;
	u64 before = p->used_mask, wanted;

	overrides_prune(p);
	candidates_collect(e, p, &c);
	wanted = want_paths(e, p, now, &c, false);
	for (u64 mask = p->used_mask & ~wanted; mask; mask &= mask - 1) {
		u32 n = (u32)__builtin_ctzll(mask);

		if (may_go(&p->paths[n])) {
			pathset_remove(e, p, now, n);
			before &= ~(UINT64_C(1) << n);
		}
	}
	want_paths(e, p, now, &c, true);
	punch_look(e, p, now);
	if ((p->used_mask & ~before) && !p->connected && !p->closed)
		assoc_kick(e->hub, &p->assoc, now);
	peer_arm(e, p, now);
}

void nat_refresh_all(struct engine *e, u64 now)
{
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			nat_refresh(e, e->peers[n], now);
	}
}
