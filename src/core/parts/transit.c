/* SPDX-License-Identifier: MIT */
/*
 * transit.c - a minimum over a window of time, kept as that of two halves.
 */
#include "warp/transit.h"

void transit_take(struct transit *t, u64 now, u64 stamp)
{
	const i64 took = (i64)(now - stamp);

	if (!t->known || now >= t->turn + TRANSIT_WINDOW) {
		*t = (struct transit){ true, took, took, now + TRANSIT_WINDOW };
	} else if (now >= t->turn) {
		t->before = t->least;
		t->least = took;
		t->turn += TRANSIT_WINDOW;
	} else if (took < t->least) {
		t->least = took;
	}
}

i64 transit_least(const struct transit *t)
{
	return t->least < t->before ? t->least : t->before;
}
