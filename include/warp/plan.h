/* SPDX-License-Identifier: MIT */
/*
 * plan.h - how payloads are to go out so that a target is met at the least cost.
 *
 * The target: of all payloads at most so many do not arrive within so much time, and no more than so
 * many datagrams are sent for each. A plan is one of
 *
 *   COPIES   each payload over all links of `first`
 *   REPAIR   the same, mostly over one; what the other end does not report in time is sent again,
 *            `times` over each link of `again`
 *   SHARDS   over one of `first` each, with parity: any `required` of `shards` rebuild a block
 *   STRIPE   over one of `first` each: the place of the mechanism for one link that is not enough;
 *            plan_make() does not choose it
 *
 * For each, what is lost and what it costs is worked out from what is known of the links: shares that are
 * hardly exceeded, not averages, so that little knowledge makes careful plans. Links share no
 * fate with one another; who chooses them sees to that (fate.h).
 */
#ifndef WARP_PLAN_H
#define WARP_PLAN_H

#include "warp/base.h"

#define PLAN_LINKS 8u

enum plan_kind { PLAN_COPIES, PLAN_REPAIR, PLAN_SHARDS, PLAN_STRIPE, PLAN_KINDS };

/* "copies", "repair", "shards", "stripe". */
const char *plan_kind_name(enum plan_kind kind);

/* Why this plan. */
enum plan_why {
	PLAN_YOUNG,    /* too little is known of the links */
	PLAN_CHEAPEST, /* of those that meet the target */
	PLAN_FAILURES, /* the same, but that it does not outlive the failure of a link: nothing does
			* within max_overhead */
	PLAN_OVERHEAD, /* the target cannot be met within max_overhead: the best that can be had for it */
	PLAN_BEST, /* the target cannot be met at any cost */
	PLAN_WHYS,
};

/* "young", "cheapest", "failures", "overhead", "best". */
const char *plan_why_name(enum plan_why why);

#define TARGET_WITHIN_MIN (5 * NS_PER_MS)
#define TARGET_WITHIN_MAX (10 * NS_PER_S)

struct plan_target {
	double residual_loss; /* share of payloads */
	u64 within;           /* ns, from engine_send() to the other end */
	double max_overhead;  /* datagrams a payload */
};

struct plan_link {
	u8 path;
	double loss;   /* share that is hardly exceeded */
	double burst;  /* datagrams lost in a row, on average */
	double outage; /* share of time in which it is silent and not found out */
	u64 delay;     /* ns one way, hardly exceeded */
	u64 answer;    /* ns after which a report of a datagram is missing */
	double price;  /* of a datagram, 1.0 as a rule */
};

struct plan_input {
	struct plan_target target;
	struct plan_link link[PLAN_LINKS];
	u32 count;    /* 1.. */
	double rate;  /* payloads a second */
	u32 parity;   /* shards at most, 0: none are to be had */
	bool reports; /* the other end tells what has come */
	bool young;
};

struct plan {
	enum plan_kind kind;
	enum plan_why why;
	u8 first, again;      /* links, as bits */
	u8 times;             /* REPAIR: copies over each link of again */
	u32 shards, required; /* SHARDS */
	u64 max_delay;        /* ns, the same */
	double residual;      /* as predicted */
	double losses;        /* the same, if no link failed */
	double overhead;      /* datagrams a payload, as predicted */
	double cost;          /* the same, with prices */
	bool met;             /* the target */
};

/* How far a plan goes; more is better. */
enum plan_rank {
	PLAN_TOO_DEAR,
	PLAN_FALLS_SHORT,
	PLAN_MEETS_LOSSES, /* but not failures */
	PLAN_MEETS,
};

/* The links, as bits, that do not cost much more than the cheapest: those of copies that nothing but little
 * knowledge calls for. */
u32 plan_cheap_links(const struct plan_input *in);
/* The best plan. */
void plan_make(const struct plan_input *in, struct plan *ret);
/* Works out anew what an existing plan, which names the same links, is worth: residual, overhead, cost,
 * met. */
void plan_rate(const struct plan_input *in, struct plan *plan);
enum plan_rank plan_rank(const struct plan_input *in, const struct plan *plan);
/* They do the same. */
bool plan_same(const struct plan *a, const struct plan *b);

#endif
