/* SPDX-License-Identifier: MIT */
/*
 * autosel.h - what autosel.c and mend.c know of one another: how the payloads of one tunnel go to one
 * peer.
 */
#ifndef WARP_CORE_AUTOSEL_H
#define WARP_CORE_AUTOSEL_H

#include "redund.h"

#define AUTOSEL_SLACK (3 * NS_PER_MS) /* for what machines take */

struct shun {
	u64 until, last;
};

struct autosel {
	struct autosel *next;
	u16 peer, tunnel;
	struct plan plan;
	struct plan_input in;
	u64 first, again, careful; /* paths */
	u64 patience, leave; /* ns: of a report; before the end that something is sent again */
	u64 next_plan, used_at, begun;
	bool short_told;   /* that the target is not met */
	u64 short_since;   /* since when that is otherwise */
	u64 cheaper_since; /* 0: there is no cheaper plan */
	u64 next_ask;
	bool reported;        /* at least once since it began */
	u64 unreported_since; /* payloads have left, 0: none that is not reported */
	u32 counted;          /* sequence at counted_at */
	u64 counted_at;
	double rate;
	u64 overruns, overrun_at;
	u64 changes;
	struct repair *repair; /* NULL: reports have not come yet */
	struct shun shun[MAX_PEER_PATHS];
};

/* autosel.c: makes a new plan, now. */
void autosel_replan(struct engine *e, struct peer *p, u64 now, struct autosel *a);
bool autosel_all_live(const struct peer *p, u64 paths);
/* mend.c: what is due is sent again. */
void mend_send(struct engine *e, struct peer *p, u64 now, struct autosel *a);

#endif
