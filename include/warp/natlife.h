/* SPDX-License-Identifier: MIT */
/*
 * natlife.h - how long a NAT keeps a mapping over which nothing travels: which silence to try next,
 * and what is known from those that were tried.
 *
 * Silences are doubled until one is too long; then the gap between what held and what did not is
 * halved a few times. A mapping that outlasts the longest silence is only known to live for at least
 * that long. Later both bounds are confirmed, by a silence each.
 */
#ifndef WARP_NATLIFE_H
#define WARP_NATLIFE_H

#include "warp/base.h"

#define NATLIFE_FIRST (3 * NS_PER_S)
#define NATLIFE_LONGEST (120 * NS_PER_S)
#define NATLIFE_HALVINGS 3u

struct natlife {
	u64 lower; /* ns: a silence this long has been survived; 0: none */
	u64 upper; /* ns: one this long has not; TIME_NEVER: none is known */
	u64 tried; /* ns: the silence that was to be survived then; TIME_NEVER: none */
	u32 halvings;
	bool known; /* the search has come to its end at least once */
	enum natlife_confirm { NATLIFE_SEARCH, NATLIFE_LOWER, NATLIFE_UPPER } confirm;
};

void natlife_init(struct natlife *l);
/* Nothing is known to have changed: see whether it is so still. */
void natlife_again(struct natlife *l);
/* ns, the silence to try next; 0: none, the search is at its end. */
u64 natlife_silence(const struct natlife *l);
/* A mapping was silent for so long (ns) and was there still. */
void natlife_held(struct natlife *l, u64 silence);
/* It was not any more, as far as could be told after that silence. It is certain after a longer one: questions
 * may have been lost, and were asked again. */
void natlife_expired(struct natlife *l, u64 silence, u64 certain);

#endif
