/* SPDX-License-Identifier: MIT */
/*
 * ratelim.c - a token bucket as one point in time, and a table of them.
 *
 * The bucket is kept as the time at which it will be full again (the generic cell rate algorithm):
 * taking a token moves that time on by one interval, and a token is there as long as the bucket is
 * less than burst intervals from full. Nothing has to be refilled.
 *
 * The table spends a fixed amount of memory on strangers. An IPv6 host owns at least a /64, so
 * that is what gets a bucket. The seed keeps a stranger from choosing whom to collide with.
 */
#include "warp/ratelim.h"

static u64 interval_of(u64 rate)
{
	return rate < NS_PER_S ? NS_PER_S / rate : 1;
}

static bool take_token(u64 *full_at, u64 interval, u64 burst, u64 now)
{
	u64 at = (*full_at > now ? *full_at : now) + interval;

	if (at - now > burst * interval)
		return false;
	*full_at = at;
	return true;
}

void ratelim_init(struct ratelim *r, u64 rate, u64 burst)
{
	r->interval = interval_of(rate);
	r->burst = burst;
	r->full_at = 0;
}

bool ratelim_take(struct ratelim *r, u64 now)
{
	return take_token(&r->full_at, r->interval, r->burst, now);
}

void ratelim_table_init(struct ratelim_table *t, u64 rate, u64 burst, u64 seed)
{
	*t = (struct ratelim_table){
		.interval = interval_of(rate),
		.burst = burst,
		.seed = seed,
		.name4 = 4,
		.name6 = 8,
	};
}

void ratelim_table_init_networks(struct ratelim_table *t, u64 rate, u64 burst, u64 seed)
{
	ratelim_table_init(t, rate, burst, seed);
	t->name4 = 3;
	t->name6 = 6;
}

/* The finalizer of SplitMix64: every bit of x moves every bit of the result. */
static u64 mix(u64 x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static u64 bucket_name(const struct ratelim_table *t, const struct address *source)
{
	u64 name = 0;

	for (unsigned i = 0; i < (source->family == 4 ? t->name4 : t->name6); i++)
		name = name << 8 | source->bytes[i];
	return name;
}

static size_t slot_of(const struct ratelim_table *t, u64 now, const struct address *source)
{
	u64 hash = mix(t->seed + source->family + (now / RATELIM_SHUFFLE << 8));

	hash = mix(hash ^ bucket_name(t, source));
	return (size_t)(mix(hash ^ t->seed) % RATELIM_SLOTS);
}

bool ratelim_table_take(struct ratelim_table *t, u64 now, const struct address *source)
{
	return take_token(&t->full_at[slot_of(t, now, source)], t->interval, t->burst, now);
}
