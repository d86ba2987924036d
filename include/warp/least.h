/* SPDX-License-Identifier: MIT */
/*
 * least.h - the least of some quantity in the last while: of the period that has begun, and of the one before.
 */
#ifndef WARP_LEAST_H
#define WARP_LEAST_H

#include "warp/base.h"

struct least {
	i64 now, before; /* INT64_MAX: there is none */
	u64 since;       /* beginning of the period, ns */
};

static inline void least_set(struct least *l, u64 now, i64 value)
{
	*l = (struct least){ value, INT64_MAX, now };
}

static inline void least_put(struct least *l, u64 now, u64 period, i64 value)
{
	if (now - l->since >= period)
		*l = (struct least){ value, l->now, now };
	if (value < l->now)
		l->now = value;
}

static inline i64 least_get(const struct least *l)
{
	return l->before < l->now ? l->before : l->now;
}

#endif
