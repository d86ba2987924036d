/* SPDX-License-Identifier: MIT */
/*
 * ages.h - a list of things that all live equally long since they were last touched.
 *
 * What is touched moves to the young end, so the list is ordered by itself and the next to expire is
 * at its old end: nothing is ever searched.
 */
#ifndef WARP_AGES_H
#define WARP_AGES_H

#include "warp/base.h"

struct age {
	struct age *older, *younger;
	u64 touched; /* ns */
};

struct ages {
	struct age *oldest, *youngest;
};

static inline void ages_remove(struct ages *ages, struct age *a)
{
	*(a->older ? &a->older->younger : &ages->oldest) = a->younger;
	*(a->younger ? &a->younger->older : &ages->youngest) = a->older;
}

/* now is not before that of any call before. */
static inline void ages_add(struct ages *ages, struct age *a, u64 now)
{
	a->touched = now;
	a->younger = NULL;
	a->older = ages->youngest;
	*(a->older ? &a->older->younger : &ages->oldest) = a;
	ages->youngest = a;
}

static inline void ages_renew(struct ages *ages, struct age *a, u64 now)
{
	ages_remove(ages, a);
	ages_add(ages, a, now);
}

/* When the oldest has lived for life (ns). */
static inline u64 ages_expiry(const struct ages *ages, u64 life)
{
	return ages->oldest ? time_after(ages->oldest->touched, life) : TIME_NEVER;
}

/* The oldest, if it has lived for life; else NULL. */
static inline struct age *ages_due(const struct ages *ages, u64 now, u64 life)
{
	return ages_expiry(ages, life) <= now ? ages->oldest : NULL;
}

#endif
