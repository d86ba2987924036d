/* SPDX-License-Identifier: MIT */
/*
 * punch.c - which pairs of interfaces have no direct path.
 *
 * A pair is one interface of ours and one of theirs that a map knows. It is direct when a path lives
 * that does not lead through a map, whatever became of others. While it is not, cascade.c does what can
 * be done about it; the paths that nat.c has made are probed meanwhile, as always, and the relay carries
 * what is to be carried.
 */
#include "punch.h"

#include <string.h>

#define CALLS_RATE 1u /* a second, from the other end */
#define CALLS_BURST 8u
#define NEWS_RATE 1u /* the same, of its NATs */
#define NEWS_BURST (2 * PUNCH_PAIRS)
#define NO_ROUND 256u

/* --- pairs ----------------------------------------------------------------------------------- */

struct punching punch_context(struct engine *e, struct peer *p, u64 now)
{
	return (struct punching){ e, p, &p->punch->attempt, now };
}

const struct wire_mapping *punch_mapping(const struct peer *p, const struct punch_pair *pair)
{
	for (u32 m = 0; m < MAX_MAPS; m++) {
		const struct mappings *known = p->mappings[m];

		for (u32 n = 0; known && n < known->count; n++) {
			if (known->entry[n].interface == pair->theirs &&
			    endpoint_is_usable(&known->entry[n].observed))
				return &known->entry[n];
		}
	}
	return NULL;
}

static bool is_of(const struct wire_mapping *w, const struct address *a)
{
	return address_equal(&w->observed.address, a) || address_equal(&w->lan.address, a) ||
	       address_equal(&w->mapped.address, a);
}

static bool is_direct(const struct peer *p, u8 iface, const struct wire_mapping *theirs)
{
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		const struct path *path = &p->paths[__builtin_ctzll(mask)];

		if (path->iface == iface && path->state == PATH_LIVE &&
		    is_of(theirs, &path->remote.address))
			return true;
	}
	return false;
}

struct punch_pair *punch_pair_find(const struct peer *p, u8 iface, u8 theirs)
{
	for (u32 n = 0; p->punch && n < PUNCH_PAIRS; n++) {
		struct punch_pair *pair = &p->punch->pair[n];

		if (pair->used && pair->iface == iface && pair->theirs == theirs)
			return pair;
	}
	return NULL;
}

static void punch_init(struct engine *e, struct punch *punch)
{
	ratelim_init(&punch->calls, CALLS_RATE, CALLS_BURST);
	ratelim_init(&punch->news, NEWS_RATE, NEWS_BURST);
	random_fill(&e->options.random, &punch->round, sizeof(punch->round));
	punch->followed = NO_ROUND;
}

static struct punch_pair *pair_add(struct engine *e, struct peer *p, u64 now, u8 iface, u8 theirs)
{
	struct punch_pair *place = NULL;

	if (!p->punch) {
		p->punch = mem_alloc(&e->options.allocator, sizeof(*p->punch));
		if (p->punch)
			punch_init(e, p->punch);
	}
	/* One that is direct can be found again. */
	for (u32 n = 0; p->punch && n < PUNCH_PAIRS; n++) {
		struct punch_pair *pair = &p->punch->pair[n];

		if (!pair->used || (!place && pair->state == PAIR_DIRECT))
			place = pair;
		if (!pair->used)
			break;
	}
	if (place)
		*place = (struct punch_pair){
			.used = true, .iface = iface, .theirs = theirs, .since = now
		};
	return place;
}

/* Sockets whose mappings have died, now that there is something better. */
static void remove_dead(struct engine *e, struct peer *p, u64 now, u8 iface,
			const struct wire_mapping *theirs)
{
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		u32 n = (u32)__builtin_ctzll(mask);
		const struct path *path = &p->paths[n];

		if (path->socket && path->iface == iface && path->state == PATH_DEAD &&
		    is_of(theirs, &path->remote.address))
			pathset_remove(e, p, now, n);
	}
}

static void attempt_won(struct engine *e, struct peer *p, u64 now, u32 pair)
{
	struct punching c;

	if (!p->punch)
		return;
	c = punch_context(e, p, now);
	if (c.a->how && c.a->pair == pair)
		attempt_end(&c);
}

static void look_at(struct engine *e, struct peer *p, u64 now, u8 iface,
		    const struct wire_mapping *theirs)
{
	struct punch_pair *pair = punch_pair_find(p, iface, theirs->interface);
	bool direct = is_direct(p, iface, theirs);

	if (!pair && !direct && p->usable_mask)
		pair = pair_add(e, p, now, iface, theirs->interface);
	if (!pair)
		return;
	pair->seen = true;
	if (direct && pair->state != PAIR_DIRECT) {
		pair->state = PAIR_DIRECT;
		pair->next = TIME_NEVER;
		attempt_won(e, p, now, (u32)(pair - p->punch->pair));
		remove_dead(e, p, now, iface, theirs);
	} else if (!direct && pair->state == PAIR_DIRECT) {
		*pair = (struct punch_pair){ .used = true,
					     .seen = true,
					     .iface = iface,
					     .theirs = theirs->interface,
					     .since = now };
	} else {
		return;
	}
	peer_arm(e, p, now);
}

static bool has_map(const struct engine *e, u8 iface, u32 m)
{
	return e->maps[m].used && e->maps[m].registrations[iface].state == REG_DONE;
}

static void look_from(struct engine *e, struct peer *p, u64 now, u8 iface)
{
	u8 family = e->ifaces[iface]->options.local.address.family;

	for (u32 m = 0; m < MAX_MAPS; m++) {
		const struct mappings *known = has_map(e, iface, m) ? p->mappings[m] : NULL;

		for (u32 n = 0; known && n < known->count; n++) {
			if (known->entry[n].observed.address.family == family)
				look_at(e, p, now, iface, &known->entry[n]);
		}
	}
}

static void pair_remove(struct engine *e, struct peer *p, u64 now, u32 n)
{
	attempt_won(e, p, now, n);
	p->punch->pair[n].used = false;
}

void punch_look(struct engine *e, struct peer *p, u64 now)
{
	for (u32 n = 0; p->punch && n < PUNCH_PAIRS; n++)
		p->punch->pair[n].seen = false;
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		look_from(e, p, now, (u8)__builtin_ctz(mask));
	for (u32 n = 0; p->punch && n < PUNCH_PAIRS; n++) {
		if (p->punch->pair[n].used && !p->punch->pair[n].seen)
			pair_remove(e, p, now, n);
	}
}

/* --- time ------------------------------------------------------------------------------------ */

u64 punch_expiry(const struct peer *p)
{
	u64 at = TIME_NEVER;

	if (!p->punch)
		return at;
	for (u32 n = 0; n < PUNCH_PAIRS; n++) {
		if (p->punch->pair[n].used)
			at = time_min(at, p->punch->pair[n].next);
	}
	return time_min(at, attempt_expiry(&p->punch->attempt));
}

void punch_expire(struct engine *e, struct peer *p, u64 now)
{
	struct punching c;

	if (!p->punch)
		return;
	c = punch_context(e, p, now);
	attempt_expire(&c);
	for (u32 n = 0; n < PUNCH_PAIRS; n++) {
		if (p->punch->pair[n].used && p->punch->pair[n].next <= now)
			cascade_expire(e, p, now, &p->punch->pair[n]);
	}
}

/* It came to a socket of the attempt, or from a port that was shot at. */
void punch_arrived(struct engine *e, struct peer *p, const struct arrival *in, u32 path)
{
	const struct attempt *a = p->punch ? &p->punch->attempt : NULL;

	(void)e;
	if (!a || !a->how || a->how->both || p->punch->pair[a->pair].iface != in->iface ||
	    !address_equal(&a->target.address, &in->source.address))
		return;
	if (a->opens ? in->socket != 0 : !endpoint_equal(&a->target, &in->source))
		p->paths[path].origin = a->how->origin;
}

/* --- what goes ------------------------------------------------------------------------------- */

void punch_forget_iface(struct engine *e, struct peer *p, u64 now, u8 iface)
{
	struct punching c;

	if (!p->punch)
		return;
	c = punch_context(e, p, now);
	for (u32 n = 0; n < PUNCH_PAIRS; n++) {
		struct punch_pair *pair = &p->punch->pair[n];

		if (!pair->used || pair->iface != iface)
			continue;
		if (c.a->how && c.a->pair == n)
			attempt_drop(&c);
		pair->used = false;
	}
}

void punch_close(struct engine *e, struct peer *p, u64 now)
{
	struct punching c;

	if (p->punch) {
		c = punch_context(e, p, now);
		attempt_end(&c);
		mem_free(&e->options.allocator, p->punch, sizeof(*p->punch));
		p->punch = NULL;
	}
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		struct path *path = &p->paths[__builtin_ctzll(mask)];

		path->used = false;
		p->used_mask &= ~(mask & -mask);
		punch_socket_unused(e, path->iface, path->socket);
	}
}

/* The other end hears of it too. */
static void nat_changed(struct engine *e, struct peer *p, u64 now, u8 iface, enum nat_answer ours)
{
	for (u32 n = 0; p->punch && n < PUNCH_PAIRS; n++) {
		struct punch_pair *pair = &p->punch->pair[n];

		if (!pair->used || pair->iface != iface || pair->ours == ours)
			continue;
		pair->ours = ours;
		cascade_anew(e, p, now, pair);
	}
}

void punch_nat_changed(struct engine *e, u64 now, u8 iface)
{
	struct wire_nat nat = nattest_wire(e->ifaces[iface]);

	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			nat_changed(e, e->peers[n], now, iface, strategy_dependence(&nat));
	}
}
