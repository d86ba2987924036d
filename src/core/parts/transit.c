/* SPDX-License-Identifier: MIT */
/*
 * transit.c - see transit.h. What was seen before a long silence does not count any more.
 */
#include "warp/transit.h"

void transit_take(struct transit *t, u64 now, u64 stamp)
{
	const i64 took = (i64)(now - stamp);

	if (!t->known || now >= t->least.since + 2 * TRANSIT_WINDOW)
		least_set(&t->least, now, took);
	else
		least_put(&t->least, now, TRANSIT_WINDOW, took);
	t->known = true;
}

i64 transit_least(const struct transit *t)
{
	return least_get(&t->least);
}
