/* SPDX-License-Identifier: MIT */
/*
 * cascade.c - one strategy after the other, for a pair of interfaces that has no direct path.
 *
 * Both ends OFFER the pair, telling their NATs; the one with the lesser key then goes through the table
 * of strategies, for one pair of a peer at a time.
 *
 *   lesser key                                greater key
 *                   <-- OFFER (its NAT) -->
 *                   -- CALL (strategy) -->    when the other is to open its NAT
 *                   <-- READY (ports) -->     from the one that has opened its NAT
 *                   <-- SHOT, SHOT ... -->    directly
 *                   <-- END -->               in vain
 *
 * What may be lost is repeated until something follows from it. When nothing has helped the pair stays
 * relayed, and there is another round later, and later again; at once when the NAT of either is found to
 * be of another kind.
 */
#include "punch.h"

#include <string.h>

#define GRACE (300 * NS_PER_MS)      /* for the paths that are probed anyway */
#define KNOWLEDGE (1500 * NS_PER_MS) /* is waited for: what NATs these are */
#define OFFER_FIRST (200 * NS_PER_MS)
#define OFFER_AGAIN (500 * NS_PER_MS)
#define OFFER_DOUBLINGS 7u
#define BUSY_DELAY (500 * NS_PER_MS) /* another attempt is under way */
#define ROUND_DELAY (15 * NS_PER_S)  /* the first, between rounds */
#define ROUND_DOUBLINGS 5u
#define CHANGES_MAX 2u /* of the ports that are told in one attempt; each prolongs it */

static bool we_lead(const struct engine *e, const struct peer *p)
{
	return memcmp(e->options.identity.public_key, p->assoc.remote_key, KEY_SIZE) < 0;
}

/* --- what is told ---------------------------------------------------------------------------- */

/* The pair's own relay, or whatever carries data. */
static int carrier(const struct peer *p, const struct punch_pair *pair)
{
	int best = -1;

	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		int n = __builtin_ctzll(mask);
		const struct path *path = &p->paths[n];

		if (path->state != PATH_LIVE)
			continue;
		if (path_relayed(path) && path->iface == pair->iface &&
		    relay_interface(&path->remote) == pair->theirs)
			return n;
		best = n;
	}
	return best;
}

static void tell(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair,
		 struct frame *f)
{
	const struct iface *i = iface_get(e, pair->iface);
	int path = carrier(p, pair);

	f->type = FRAME_PUNCH;
	f->punch.to = pair->theirs;
	f->punch.from = pair->iface;
	if (i && path >= 0 && assoc_ready(&p->assoc, now)) {
		f->punch.nat = nattest_wire(i);
		pair->ours = strategy_dependence(&f->punch.nat);
		peer_send_frames(e, p, now, (u8)path, f, 1, 0);
	}
}

u64 punch_way(const struct punching *c)
{
	int path = carrier(c->p, &c->p->punch->pair[c->a->pair]);

	return path < 0 ? 0 : c->p->paths[path].rtt / 2;
}

void punch_tell(const struct punching *c, enum punch_kind kind)
{
	struct frame f = {
		.punch = { .kind = (u8)kind, .round = c->a->round, .strategy = c->a->how->number }
	};

	if (kind == PUNCH_READY) {
		f.punch.count = (u8)c->a->count;
		memcpy(f.punch.port, c->a->port, c->a->count * sizeof(c->a->port[0]));
	}
	tell(c->e, c->p, c->now, &c->p->punch->pair[c->a->pair], &f);
}

static void offer(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair)
{
	struct frame f = { .punch = { .kind = PUNCH_OFFER } };
	u32 doublings = pair->offers < OFFER_DOUBLINGS ? pair->offers : OFFER_DOUBLINGS;

	tell(e, p, now, pair, &f);
	pair->offers++;
	pair->next = now + (OFFER_AGAIN << doublings);
}

/* --- the cascade ----------------------------------------------------------------------------- */

/* The other end hears of it, and shows it. */
static void round_over(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair)
{
	struct frame f = { .punch = { .kind = PUNCH_END, .strategy = strategy_relay.number } };
	u32 doublings = pair->failures < ROUND_DOUBLINGS ? pair->failures : ROUND_DOUBLINGS;

	pair->failures++;
	pair->state = PAIR_RELAYED;
	pair->step = 0;
	pair->next = now + (ROUND_DELAY << doublings);
	tell(e, p, now, pair, &f);
}

void punch_failed(const struct punching *c)
{
	struct punch_pair *pair = &c->p->punch->pair[c->a->pair];

	if (!c->a->how->both)
		punch_tell(c, PUNCH_END);
	if (c->a->leads) {
		pair->step++;
		pair->next = c->now;
	} else {
		pair->next = c->now + OFFER_AGAIN;
	}
	pair->state = PAIR_WAITS;
	attempt_end(c);
	peer_arm(c->e, c->p, c->now);
}

/* Who is behind the worse NAT opens it; where that cannot be told both do, in turn. */
static bool we_open(const struct sides *s, const struct punch_pair *pair)
{
	bool ours = strategy_dependent(&s->ours), theirs = strategy_dependent(&s->theirs);

	return ours != theirs ? ours : pair->failures % 2 == 0;
}

static void try_next(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair)
{
	const struct iface *i = iface_get(e, pair->iface);
	struct punching c = punch_context(e, p, now);
	struct sides s = { .ours = nattest_wire(i),
			   .theirs = pair->nat,
			   .family = i->options.local.address.family };

	s.we_open = we_open(&s, pair);
	while (pair->step + 1u < STRATEGIES && !strategy_suits(strategies[pair->step], &s))
		pair->step++;
	pair->tried = strategies[pair->step];
	if (pair->tried->last) {
		round_over(e, p, now, pair);
		return;
	}
	if (!attempt_begin(&c, pair->tried, (u8)(pair - p->punch->pair), s.we_open)) {
		pair->next = now + BUSY_DELAY;
		return;
	}
	c.a->leads = true;
	c.a->round = ++p->punch->round;
	pair->state = PAIR_TRIES;
	pair->next = TIME_NEVER;
	attempt_start(&c);
}

static bool is_known(const struct engine *e, const struct punch_pair *pair)
{
	struct wire_nat ours = nattest_wire(iface_get(e, pair->iface));

	return strategy_dependence(&ours) != NAT_UNKNOWN &&
	       strategy_dependence(&pair->nat) != NAT_UNKNOWN;
}

void cascade_expire(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair)
{
	if (!assoc_ready(&p->assoc, now) || !p->usable_mask || p->punch->attempt.how) {
		pair->next = now + BUSY_DELAY;
		return;
	}
	if (now < pair->since + OFFER_FIRST)
		pair->next = pair->since + OFFER_FIRST;
	else if (!we_lead(e, p) || !pair->offered)
		offer(e, p, now, pair);
	else if (now < pair->since + GRACE)
		pair->next = pair->since + GRACE;
	else if (now < pair->since + KNOWLEDGE && !is_known(e, pair))
		pair->next = pair->since + KNOWLEDGE;
	else
		try_next(e, p, now, pair);
}

/* What is known has changed: an attempt that was based on something else ends. */
void cascade_anew(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair)
{
	struct punching c = punch_context(e, p, now);

	if (pair->state == PAIR_DIRECT)
		return;
	if (pair->state == PAIR_TRIES && !we_lead(e, p)) {
		offer(e, p, now, pair); /* it is the other end that decides */
		pair->next = TIME_NEVER;
		return;
	}
	if (pair->state == PAIR_TRIES) {
		if (!c.a->how->both)
			punch_tell(&c, PUNCH_END);
		attempt_end(&c);
	}
	pair->state = PAIR_WAITS;
	pair->failures = pair->offers = pair->step = 0;
	pair->next = now;
	peer_arm(e, p, now);
}

/* --- what is heard --------------------------------------------------------------------------- */

static void hear_offer(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair,
		       const struct frame_punch *f)
{
	bool changed = !pair->offered ||
		       strategy_dependence(&pair->nat) != strategy_dependence(&f->nat);

	if (changed && !ratelim_take(&p->punch->news, now)) /* it will come again */
		return;
	pair->nat = f->nat;
	pair->offered = true;
	if (changed)
		cascade_anew(e, p, now, pair);
	peer_arm(e, p, now);
}

/* A new attempt at the end that does not lead. */
static bool follow(const struct punching *c, u32 pair, const struct frame_punch *f, bool opens)
{
	const struct strategy *how = strategy_numbered(f->strategy);

	if (f->round == c->p->punch->followed) /* it is over, at this end */
		return false;
	if (!how || how->last || !ratelim_take(&c->p->punch->calls, c->now))
		return false;
	if (c->a->how) { /* for another pair, or another strategy: that is over */
		c->p->punch->pair[c->a->pair].state = PAIR_WAITS;
		c->p->punch->pair[c->a->pair].next = c->now + OFFER_AGAIN;
	}
	attempt_end(c);
	if (!attempt_begin(c, how, (u8)pair, opens))
		return false;
	c->a->round = f->round;
	c->p->punch->followed = f->round;
	c->p->punch->pair[pair].tried = how;
	c->p->punch->pair[pair].state = PAIR_TRIES;
	c->p->punch->pair[pair].next = TIME_NEVER;
	return true;
}

static bool is_this_round(const struct punching *c, u32 pair, const struct frame_punch *f)
{
	return c->a->how && c->a->pair == pair && c->a->round == f->round &&
	       c->a->how->number == f->strategy;
}

static void hear_call(const struct punching *c, u32 pair, const struct frame_punch *f)
{
	if (we_lead(c->e, c->p) || is_this_round(c, pair, f))
		return;
	if (follow(c, pair, f, true))
		attempt_start(c);
}

/* A READY that comes once more: is there something new in it? */
static bool is_change(struct attempt *a, const struct frame_punch *f)
{
	bool same = a->count == f->count &&
		    memcmp(a->port, f->port, f->count * sizeof(f->port[0])) == 0;

	if (same || a->changes == CHANGES_MAX)
		return false;
	a->changes++;
	return true;
}

static void hear_ready(const struct punching *c, u32 pair, const struct frame_punch *f)
{
	bool known = is_this_round(c, pair, f);

	if (known && (c->a->opens || (c->a->ready && !is_change(c->a, f))))
		return;
	if (!known && (we_lead(c->e, c->p) || !follow(c, pair, f, false)))
		return;
	c->a->ready = true;
	c->a->tell = TIME_NEVER;
	c->a->shots = 0;
	c->a->count = f->count;
	memcpy(c->a->port, f->port, f->count * sizeof(f->port[0]));
	attempt_start(c);
}

static void hear_end(const struct punching *c, u32 pair, const struct frame_punch *f)
{
	struct punch_pair *of = &c->p->punch->pair[pair];

	if (f->strategy == strategy_relay.number && !we_lead(c->e, c->p) &&
	    of->state != PAIR_TRIES) {
		of->state = PAIR_RELAYED;
		of->tried = &strategy_relay;
		of->failures++;
	}
	if (!is_this_round(c, pair, f))
		return;
	of->state = PAIR_WAITS;
	of->next = c->a->leads ? c->now : c->now + OFFER_AGAIN;
	of->step += c->a->leads;
	attempt_end(c);
}

void punch_take(struct engine *e, struct peer *p, const struct arrival *in,
		const struct frame_punch *f)
{
	struct punch_pair *pair = punch_pair_find(p, f->to, f->from);
	struct punching c;
	u32 n;

	if (!pair || pair->state == PAIR_DIRECT || !in->current)
		return;
	c = punch_context(e, p, in->now);
	n = (u32)(pair - p->punch->pair);
	if (f->kind != PUNCH_OFFER && f->kind != PUNCH_SHOT && !we_lead(e, p)) {
		pair->nat = f->nat; /* whoever leads goes by what is offered */
		pair->offered = true;
	}
	switch (f->kind) {
	case PUNCH_OFFER:
		hear_offer(e, p, in->now, pair, f);
		break;
	case PUNCH_CALL:
		hear_call(&c, n, f);
		break;
	case PUNCH_READY:
		hear_ready(&c, n, f);
		break;
	case PUNCH_END:
		hear_end(&c, n, f);
		break;
	default: /* a SHOT has made its path already */
		break;
	}
	peer_arm(e, p, in->now);
}
