/* SPDX-License-Identifier: MIT */
/*
 * strategy_meet.c - strategies that need no more than that both ends send to one another at a time.
 *
 * The paths that nat.c has made for candidates are probed from the start, again and again, but later
 * not often. Here both ends begin anew at once: where one of them can be reached unasked, where the
 * mappings of both are known, or where one is only learnt when its datagrams arrive (overrides).
 */
#include "punch.h"

#define MEET_LIMIT (500 * NS_PER_MS)
#define MEET_INTERVAL (50 * NS_PER_MS)

static void wake_all(const struct punching *c)
{
	const struct punch_pair *pair = &c->p->punch->pair[c->a->pair];

	for (u64 mask = c->p->used_mask; mask; mask &= mask - 1) {
		struct path *path = &c->p->paths[__builtin_ctzll(mask)];

		/* What the peer alone has told us of is not hurried: it may be anybody's. */
		if (path->iface == pair->iface && !path_relayed(path) && !path_usable(path) &&
		    path->origin != PATH_FROM_PEER)
			path_wake(path, c->now);
	}
	c->a->next = c->now + MEET_INTERVAL;
	peer_arm(c->e, c->p, c->now);
}

static bool direct_possible(const struct sides *s)
{
	return strategy_verdict(&s->theirs) == NAT_VERDICT_OPEN;
}

static bool reverse_possible(const struct sides *s)
{
	return strategy_verdict(&s->ours) == NAT_VERDICT_OPEN;
}

static bool punch_possible(const struct sides *s)
{
	return !strategy_dependent(&s->ours) && !strategy_dependent(&s->theirs);
}

static bool override_possible(const struct sides *s)
{
	bool ours = strategy_dependent(&s->ours), theirs = strategy_dependent(&s->theirs);
	const struct wire_nat *other = ours ? &s->theirs : &s->ours;

	return ours != theirs && other->filtering != NAT_FILTERING_ADDRESS_AND_PORT;
}

static bool always_possible(const struct sides *s)
{
	(void)s;
	return true;
}

#define MEETING .limit = MEET_LIMIT, .both = true, .begin = wake_all, .expire = wake_all

const struct strategy strategy_direct = {
	.name = "direct", .number = 1, .possible = direct_possible, MEETING
};

const struct strategy strategy_reverse = {
	.name = "reverse", .number = 2, .possible = reverse_possible, MEETING
};

const struct strategy strategy_punch = {
	.name = "punch", .number = 3, .possible = punch_possible, MEETING
};

const struct strategy strategy_override = {
	.name = "override", .number = 4, .possible = override_possible, MEETING
};

/* What carries the data all the while. */
const struct strategy strategy_relay = {
	.name = "relay", .number = 7, .last = true, .possible = always_possible
};
