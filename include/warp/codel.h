/* SPDX-License-Identifier: MIT */
/*
 * codel.h - when a queue that does not empty ought to tell its senders so: CoDel (RFC 8289).
 *
 * A queue is good while it absorbs a burst and bad while it merely stands. What tells them apart
 * is the least time that anything spent in it over an interval: is that above the target all the
 * time, the senders get one sign, and then more and more of them (the interval divided by the square
 * root of their number apart) until the queue is short again. A sign is a packet dropped or, where
 * its sender understands it, marked (ecn.h): who calls decides.
 *
 * One struct a queue. For each packet that is taken from the queue, in order, ask codel_judge();
 * after a packet that is dropped, ask again for the one behind it.
 */
#ifndef WARP_CODEL_H
#define WARP_CODEL_H

#include "warp/base.h"

#define CODEL_TARGET (5 * NS_PER_MS)
#define CODEL_INTERVAL (100 * NS_PER_MS)

struct codel {
	u64 target, interval; /* ns */
	u64 above_at;         /* too long in the queue until then: signs begin; 0: it is not */
	bool signing;
	u64 next;  /* sign, while signing */
	u32 count; /* signs since signing began, or as many as told enough last time */
	u32 count_before;
	u64 signs; /* in all */
};

/* target: how long (ns) a packet may stay in a queue that stands; interval: about the longest round
 * trip of those that send through it. CODEL_TARGET and CODEL_INTERVAL suit most. */
void codel_init(struct codel *c, u64 target, u64 interval);
/* About a packet that leaves the queue after sojourn (ns), with so many bytes behind it. True: it is
 * to be dropped or marked. A queue that holds no more than quantum bytes (a packet, or what leaves
 * at once) does not stand, however slow it is. */
bool codel_judge(struct codel *c, u64 now, u64 sojourn, u32 backlog, u32 quantum);
/* The queue has been found empty. */
void codel_empty(struct codel *c);

#endif
