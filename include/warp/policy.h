/* SPDX-License-Identifier: MIT */
/*
 * policy.h - what it costs to use an interface, and how much of the traffic it ought to have.
 *
 * The wall clock, months and files are not the core's: warpd counts against the quota and says when
 * it is used up.
 */
#ifndef WARP_POLICY_H
#define WARP_POLICY_H

#include "warp/base.h"

/* Each carries data only while those before it cannot do the job; until then probes only. */
enum iface_cost {
	COST_FREE,
	COST_METERED, /* while no free link is sure to live, or while the free ones lose too much */
	COST_BACKUP,  /* while neither a free nor a metered one is sure to live */
	COST_BARRED,  /* never: the quota is used up, and that is to be the end of it */
	IFACE_COSTS,
};

/* "free", "metered", "backup", "barred". */
const char *iface_cost_name(enum iface_cost cost);

/* Why an interface carries data now. */
enum iface_need {
	NEED_NONE,   /* it does not: cheaper ones do, or no path over it works */
	NEED_ALWAYS, /* it is free */
	NEED_LOSS,   /* the free ones lose too much */
	NEED_LIFE,   /* no cheaper one is sure to live */
	IFACE_NEEDS,
};

/* "none", "always", "loss", "life". */
const char *iface_need_name(enum iface_need need);

#define WEIGHT_MAX 100u

/* All zero is the policy of an interface that no one has said anything about. */
struct iface_policy {
	enum iface_cost cost;
	u32 weight; /* 1..WEIGHT_MAX; 0: 1. Against those of the other interfaces of this cost */
	u64 rate_limit; /* bytes a second that leave over it; 0: none */
};

static inline u32 policy_weight(const struct iface_policy *p)
{
	return p->weight ? p->weight : 1;
}

#endif
