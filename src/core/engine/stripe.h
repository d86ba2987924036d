/* SPDX-License-Identifier: MIT */
/*
 * stripe.h - what stripe.c and spread.c know of one another: the payloads that wait for one peer, and the
 * paths that they may take.
 */
#ifndef WARP_CORE_STRIPE_H
#define WARP_CORE_STRIPE_H

#include "redund.h"
#include "strand.h"
#include "warp/fairq.h"
#include "warp/store.h"

#define REPAIRS 2048u /* a power of two */
#define STRIPE_WAYS 16u

/* All tunnels to one peer that stripe share it. */
struct stripe {
	struct stripe *next;
	struct engine *e;
	struct peer *p;
	u32 tunnels; /* that use it */
	u16 tunnel;  /* of them the one that was sent for last */
	struct fairq *queue;
	struct store store;
	u64 store_look; /* position at which is asked whether it is large enough */
	struct links links;
	struct strand *strand[MAX_PEER_PATHS];
	u64 strands;                             /* those there are */
	u64 linked;                              /* those that are used */
	u32 sequence[MAX_TUNNELS][FLOW_BUCKETS]; /* of the next payload */
	struct flight_item repair[REPAIRS];
	u32 repair_head, repair_tail;
	u8 wait;          /* for the other end, WIRE_WAIT_UNITs */
	u64 wake_at;      /* when to look again; TIME_NEVER: when something happens */
	u64 seen_at;      /* when it was looked last */
	u64 shares_until; /* spread.c */
	u64 late_until;   /* this host was busy until then: others' silence before says nothing */
};

#define SPREAD_TICK (1 * NS_PER_MS) /* from run to run of datagrams on a path */

/* emit.c: queues one that is numbered in its bucket; false: it could not be. */
bool datagram_send(struct stripe *s, u64 now, u8 path, struct flight_item *i);
#define TRIAL_EVERY (10 * NS_PER_MS)
/* emit.c: a datagram without a payload, otherwise like of, unless the last one was sent less than
 * TRIAL_EVERY ago. */
void trial_send(struct stripe *s, u64 now, u8 path, const struct flight_item *of);
/* ways.c: finds the links that links.c tells of, at most STRIPE_WAYS, and what has become of those before. */
void ways_refresh(struct stripe *s, u64 now);
/* Which of these have fallen silent, or lose much, and which have shown that they are good again. */
void ways_judge(struct stripe *s, u64 now);
/* The good ones. */
u64 ways_good(const struct stripe *s);
/* spread.c: sends what may be sent now, and sets wake_at. */
void spread(struct stripe *s, u64 now);
/* How many bytes a second all paths carry. */
u64 spread_rate(const struct stripe *s);
/* stripe.c: of what is lost. ctx: the stripe. */
void stripe_lost(void *ctx, const struct flight_item *item);
/* What waits and may go: counted as dropped for this reason. */
void stripe_drop(struct stripe *s, const struct fairq_item *item, enum drop_reason reason);
/* The oldest payload of item's line of which nothing has gone yet. False: there is none. */
bool stripe_drop_whole(struct stripe *s, const struct fairq_item *item, enum drop_reason reason);

#endif
