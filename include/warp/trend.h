/* SPDX-License-Identifier: MIT */
/*
 * trend.h - by how much datagrams take longer than the fastest of late: what queues on their way
 * add. Stamps are the sender's, whose clock need not agree with ours: only differences count.
 */
#ifndef WARP_TREND_H
#define WARP_TREND_H

#include "warp/base.h"

#define TREND_WINDOW (10 * NS_PER_S) /* the fastest of one to two windows */
#define TREND_MOST (30 * NS_PER_S)   /* above it is no queue: the other clock has begun anew */

struct trend {
	bool begun;
	u64 since;         /* the present window */
	u64 least, before; /* differences of clocks: of this window, of the one before */
};

/* Sent at stamp by the other clock, came now. Returns ns above the least. */
static inline u64 trend_take(struct trend *t, u64 now, u64 stamp)
{
	const u64 took = now - stamp; /* wraps around as the clocks differ */

	if (!t->begun || (i64)(took - t->least) > (i64)TREND_MOST)
		*t = (struct trend){ true, now, took, took };
	if (now - t->since >= TREND_WINDOW) {
		t->before = t->least;
		t->least = took;
		t->since = now;
	}
	if ((i64)(took - t->least) < 0)
		t->least = took;
	if ((i64)(took - t->before) < 0)
		t->before = took;
	return (i64)(t->before - t->least) < 0 ? took - t->before : took - t->least;
}

#endif
