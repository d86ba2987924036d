/* SPDX-License-Identifier: MIT */
/*
 * reorder.h - puts the payloads of one sender in one tunnel into the order in which they were sent.
 *
 * What is next passes at once. What comes too early is held until the gap before it is filled, but
 * no longer than the wait; then the gap is passed over. What comes after its place has been passed
 * over is late: it is dropped, so that the order is never violated. Sequences are those of the
 * wire: 32 bits, which wrap; a sender that begins anew somewhere else is followed.
 *
 * All is bounded: payloads ahead of the next (REORDER_SLOTS), buffers that are held for them
 * (REORDER_BUFFERS, and a budget shared with others), time. Whoever is out of bounds passes over the
 * oldest gaps first.
 */
#ifndef WARP_REORDER_H
#define WARP_REORDER_H

#include "warp/buf.h"
#include "warp/drop.h"

#define REORDER_SLOTS 4096u  /* how far ahead of the next a payload is held; a power of two */
#define REORDER_BUFFERS 128u /* of the pool, held at once */
#define REORDER_WAIT_MIN (1 * NS_PER_MS)
#define REORDER_WAIT_MAX (2 * NS_PER_S)

struct reorder;

/* Buffers that all resequencers of an engine hold together. */
struct reorder_budget {
	u32 used, limit;
};

/* A payload: inside buf, of which several payloads may be a part. */
struct reorder_item {
	u8 *data;
	u32 size;
	struct buf *buf;
	u64 deadline; /* to be handed over before, ns; 0: none */
};

/* The budget outlives it. NULL: no memory. */
struct reorder *reorder_create(const struct allocator *a, struct reorder_budget *budget);
/* Gives back what is held. NULL is allowed. */
void reorder_destroy(const struct allocator *a, struct reorder *r);

/* How long a payload may be held, in ns, from now on and also for what is held already. It is not held
 * beyond its deadline. */
void reorder_set_wait(struct reorder *r, u64 wait);

/* The shortest way: true when this is the next payload and nothing is held; it counts as delivered,
 * and reorder_put() is not to be called. */
bool reorder_pass(struct reorder *r, u32 sequence);
/* Takes a payload and the caller's reference to its buffer; reorder_next() is then to be called
 * until it says false. Otherwise the reference stays the caller's: DROP_LATE, DROP_DUPLICATE, or
 * DROP_QUEUE_FULL: call reorder_next() until it says false, then this again, once. */
enum drop_reason reorder_put(struct reorder *r, u64 now, u32 sequence,
			     const struct reorder_item *item);
/* The next payload in order that is due, with one reference to its buffer. False: none is. */
bool reorder_next(struct reorder *r, u64 now, struct reorder_item *ret);
/* When to call reorder_next() again; TIME_NEVER: nothing is held. */
u64 reorder_next_expiry(const struct reorder *r);

/* Payloads that are held. */
u32 reorder_waiting(const struct reorder *r);
/* Payloads that came after a later one, and in time for their place. */
u64 reorder_put_right(const struct reorder *r);

#endif
