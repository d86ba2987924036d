/* SPDX-License-Identifier: MIT */
/*
 * punch_view.c - pictures of pairs of interfaces for people and tests. Reads only.
 */
#include "punch.h"
#include "warp/view.h"

static const char *const state_name[] = { "waiting", "trying", "relayed", "direct" };

_Static_assert(ARRAY_SIZE(state_name) == PAIR_STATES, "a state has no name");
_Static_assert(VIEW_PAIRS == PUNCH_PAIRS, "the view has room for all");

/* Does any strategy suit both NATs? */
static bool is_possible(const struct engine *e, const struct punch_pair *pair)
{
	const struct iface *i = iface_get(e, pair->iface);
	struct sides s = { .theirs = pair->nat };

	if (!i || !pair->offered)
		return true;
	s.ours = nattest_wire(i);
	s.family = i->options.local.address.family;
	for (u32 n = 0; n < STRATEGIES; n++) {
		for (u32 opens = 0; opens < 2; opens++) {
			s.we_open = opens;
			if (!strategies[n]->last && strategy_suits(strategies[n], &s))
				return true;
		}
	}
	return false;
}

bool engine_view_pair(const struct engine *e, u32 peer, u32 index, struct pair_view *ret)
{
	const struct peer *p = peer < e->peer_limit ? e->peers[peer] : NULL;
	const struct punch_pair *pair;
	const struct wire_mapping *theirs;

	if (!p || !p->punch || index >= PUNCH_PAIRS || !p->punch->pair[index].used)
		return false;
	pair = &p->punch->pair[index];
	theirs = punch_mapping(p, pair);
	*ret = (struct pair_view){
		.iface = pair->iface,
		.state = state_name[pair->state],
		.strategy = pair->tried ? pair->tried->name : NULL,
		.possible = is_possible(e, pair),
		.rounds = pair->failures,
	};
	if (theirs)
		ret->remote = theirs->observed;
	return true;
}
