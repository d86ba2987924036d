/* SPDX-License-Identifier: MIT */
/*
 * impair.h - a bad link in virtual time: what delay, jitter, loss, a slow rate with a short queue,
 * reordering, duplication and corruption do to packets in one direction.
 *
 * The packets stay their owner's; here is only a pointer for each that is under way. What becomes
 * of a packet is decided when it is pushed, from a seed: the same packets at the same times with
 * the same seed have the same fate. Each packet draws the same number of random numbers, so that
 * switching one impairment on does not change what another does.
 *
 *   push -> down? -> rate, queue -> loss, burst -> delay, jitter, reorder -> duplicate, corrupt -> pop
 *
 * A packet that is lost has used its part of the rate, as on a real link.
 */
#ifndef WARP_IMPAIR_H
#define WARP_IMPAIR_H

#include "warp/base.h"

#define IMPAIR_ALL 1000000u /* shares are parts of a million */
#define IMPAIR_RATE_MAX UINT64_C(100000000000)
#define IMPAIR_QUEUE_BYTES_MAX UINT64_C(1000000000)
#define IMPAIR_TIME_MAX (60 * NS_PER_S) /* of each duration */
#define IMPAIR_QUEUE_DEFAULT (100 * NS_PER_MS)
#define IMPAIR_LATE_DEFAULT (5 * NS_PER_MS)

/* All zero: nothing is done to any packet. */
struct impair_config {
	bool down;         /* nothing passes */
	bool smooth;       /* the delay wanders; else each packet has its own, and they overtake */
	u64 delay, jitter; /* ns; uniform in delay +- jitter, jitter <= delay */
	u32 loss;          /* share, each packet by itself */
	u32 burst_begin; /* share of packets at which a burst of losses begins (Gilbert-Elliott); */
	u32 burst_end;   /* share of packets at which it ends: 1/burst_end are lost on average */
	u64 rate;        /* bits of packet a second, 0: as fast as they come */
	u64 queue_ns;    /* what would wait longer for the link is dropped; */
	u64 queue_bytes; /* or, if not 0: more than these bytes never wait */
	u32 reorder;     /* share that comes later than it would by */
	u64 late;        /* ns */
	u32 duplicate;   /* share that comes twice */
	u32 corrupt;     /* share of which one bit is flipped */
};

struct impair_stats {
	u64 packets, bytes; /* pushed */
	u64 passed;         /* popped, copies included */
	u64 down, queue_full, lost, lost_in_burst;
	u64 no_room; /* more are under way than the capacity */
	u64 reordered, duplicated, corrupted;
};

#define IMPAIR_INTACT UINT32_MAX

/* A packet that has arrived. */
struct impaired {
	void *packet;
	u64 due;  /* when it was to arrive */
	u32 flip; /* number of the bit to flip, from 0; IMPAIR_INTACT: none */
};

struct impair;

/* At most capacity packets are under way. 0, -ENOMEM, -EINVAL (capacity 0). */
int impair_create(struct impair **ret, const struct allocator *a, u32 capacity, u64 seed);
/* What is under way is forgotten: pop with TIME_NEVER first. NULL is allowed. */
void impair_destroy(struct impair *i);

/* For the packets to come; those under way arrive as they were to. */
void impair_configure(struct impair *i, const struct impair_config *config);
const struct impair_config *impair_config(const struct impair *i);

/* A packet of size bytes (1..65536) enters the link. How many times it will be popped: 0 (it is
 * dropped, and the caller's again), 1 or 2. */
u32 impair_push(struct impair *i, u64 now, void *packet, u32 size);
/* When the next packet arrives; TIME_NEVER: none is under way. */
u64 impair_next_expiry(const struct impair *i);
/* The next packet that has arrived. */
bool impair_pop(struct impair *i, u64 now, struct impaired *ret);

u32 impair_under_way(const struct impair *i);
const struct impair_stats *impair_stats(const struct impair *i);
void impair_reset_stats(struct impair *i);

#endif
