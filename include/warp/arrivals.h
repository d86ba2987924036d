/* SPDX-License-Identifier: MIT */
/*
 * arrivals.h - which of the newest payloads of a tunnel have come from a peer, for the REPORTs that it
 * has asked for.
 */
#ifndef WARP_ARRIVALS_H
#define WARP_ARRIVALS_H

#include "warp/wire.h"

#define ARRIVALS_BITS (8 * WIRE_REPORT_BYTES)

struct arrivals {
	bool begun;
	u32 newest;                   /* sequence */
	u64 bits[ARRIVALS_BITS / 64]; /* bit i: newest - 1 - i has come */
	u32 fresh;                    /* since the last report */
};

/* first: of the payloads that count; what is missing before is not. */
void arrivals_begin(struct arrivals *a, u32 first);
void arrivals_take(struct arrivals *a, u32 sequence);
/* The report, of as much as the last few reports have not told; whether something is missing in
 * it. */
bool arrivals_report(struct arrivals *a, struct frame_report *ret);

#endif
