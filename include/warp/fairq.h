/* SPDX-License-Identifier: MIT */
/*
 * fairq.h - payloads that wait for a link, each flow in a line of its own (after RFC 8290): a flow that
 * sends little does not wait behind one that sends all it can.
 *
 * Lines are served in turn, by bytes; one that was empty has its first turn before those that were not.
 * Each line has its own CoDel, which says when it has stood for too long (codel.h).
 */
#ifndef WARP_FAIRQ_H
#define WARP_FAIRQ_H

#include "warp/base.h"
#include "warp/flowhash.h"

#define FAIRQ_ITEMS 4096u

struct fairq_item {
	u64 at;       /* when it was put */
	u64 deadline; /* not sent later */
	u64 position; /* in its store */
	u32 size;
	u16 tunnel;
	u8 bucket;
	bool piece; /* of a payload that is larger than a datagram: */
	u8 index;   /* its number, */
	u16 unit;   /* size of each but the last, */
	u32 total;  /* of the payload */
};

struct fairq;

struct fairq *fairq_create(const struct allocator *a);
void fairq_destroy(const struct allocator *a, struct fairq *q);

/* False: there are FAIRQ_ITEMS. */
bool fairq_put(struct fairq *q, const struct fairq_item *item);
u32 fairq_count(const struct fairq *q);
/* Takes out all of a tunnel; how many these were. */
u32 fairq_forget(struct fairq *q, u16 tunnel);
/* Of all that waits. */
u64 fairq_bytes(const struct fairq *q);

/* What is to be sent next, or NULL: nothing waits. It stays until fairq_take(). */
const struct fairq_item *fairq_next(struct fairq *q);
/* The oldest of the line with most bytes, or NULL. */
const struct fairq_item *fairq_fattest(struct fairq *q);
/* The item that one of the two has told last. */
void fairq_take(struct fairq *q, const struct fairq_item *item);
/* Takes out the oldest payload of item's line of which nothing has been taken yet, and tells its first
 * item; how many it had, 0: there is none. */
u32 fairq_cut(struct fairq *q, const struct fairq_item *item, struct fairq_item *ret);
/* How long (ns) something may wait in a line that stands; CODEL_TARGET at first. */
void fairq_set_target(struct fairq *q, u64 target);
/* Once for each that is about to be sent: is its sender to be told that too much waits, by dropping or
 * marking it? */
bool fairq_law(struct fairq *q, const struct fairq_item *item, u64 now);

#endif
