/* SPDX-License-Identifier: MIT */
/*
 * late.h - what both ways of putting payloads in order decide alike: when so many are late that the sender
 * counts from elsewhere, and when one that waits has to be let go.
 */
#ifndef WARP_CORE_LATE_H
#define WARP_CORE_LATE_H

#include "warp/base.h"

#define LATE_LIFE (4 * NS_PER_S) /* nothing is late for so long, */
#define LATE_RUN 8u              /* so many times in a row: a new life of the sender */
#define HURRY (1 * NS_PER_MS)    /* so long before its deadline a payload is let go */

struct late {
	u32 run;   /* late ones in a row */
	u64 since; /* when the first of those came */
};

/* One more is late. True: nothing has been in time for very long. */
static inline bool late_again(struct late *l, u64 now)
{
	if (l->run++ == 0)
		l->since = now;
	return l->run > LATE_RUN && now - l->since >= LATE_LIFE;
}

/* deadline: ns, 0: none. */
static inline u64 hurry_at(u64 deadline)
{
	return deadline ? deadline - time_min(deadline, HURRY) : TIME_NEVER;
}

#endif
