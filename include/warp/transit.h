/* SPDX-License-Identifier: MIT */
/*
 * transit.h - how long datagrams are on the way at least, by two clocks that do not agree.
 *
 * What is stamped with the sender's clock and looked at with the receiver's shows the time on the way
 * plus how far the clocks are apart. The difference of the clocks is not known and need not be: the
 * least that was seen stands for a datagram that waited nowhere, and what is above it is time spent
 * in queues. The least of the last TRANSIT_WINDOW to twice that counts, for clocks drift and routes
 * change.
 */
#ifndef WARP_TRANSIT_H
#define WARP_TRANSIT_H

#include "warp/base.h"
#include "warp/least.h"

#define TRANSIT_WINDOW (15 * NS_PER_S)

struct transit {
	bool known;
	struct least least; /* ns, of windows of TRANSIT_WINDOW */
};

/* Something that the sender stamped has come. */
void transit_take(struct transit *t, u64 now, u64 stamp);
/* The least, ns, of a transit that is known; may well be negative. */
i64 transit_least(const struct transit *t);

#endif
