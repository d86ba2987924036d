/* SPDX-License-Identifier: MIT */
/*
 * ratelim.h - a token bucket in virtual time, and a small table of them keyed by address.
 */
#ifndef WARP_RATELIM_H
#define WARP_RATELIM_H

#include "warp/endpoint.h"

struct ratelim {
	u64 interval; /* nanoseconds a token */
	u64 burst;    /* tokens that can be saved up */
	u64 full_at;  /* when the bucket is full again (GCRA) */
};

/* rate in tokens a second (> 0), burst >= 1. The bucket starts full. */
void ratelim_init(struct ratelim *r, u64 rate, u64 burst);
/* Takes one token; false when there is none. */
bool ratelim_take(struct ratelim *r, u64 now);

#define RATELIM_SLOTS 4096u
#define RATELIM_SHUFFLE (8 * NS_PER_S)

/* One bucket an IPv4 address or IPv6 /64, in a fixed hash table with a keyed hash: strangers that
 * collide share a bucket, none grows memory. Who collides with whom changes every RATELIM_SHUFFLE
 * (then each has a full bucket anew), so that nobody suffers from a flooding neighbour for long. */
struct ratelim_table {
	u64 full_at[RATELIM_SLOTS]; /* as in struct ratelim */
	u64 interval, burst, seed;
	u8 name4, name6; /* bytes of an address that name its bucket */
};

void ratelim_table_init(struct ratelim_table *t, u64 rate, u64 burst, u64 seed);
/* The same with one bucket an IPv4 /24 or IPv6 /48: who has one /64 may have a great many. */
void ratelim_table_init_networks(struct ratelim_table *t, u64 rate, u64 burst, u64 seed);
bool ratelim_table_take(struct ratelim_table *t, u64 now, const struct address *source);

#endif
