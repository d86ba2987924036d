/* SPDX-License-Identifier: MIT */
/*
 * knowledge.h - what is known of a path from the datagrams that have gone over it: for whoever decides
 * how to use it. Only paths that payloads of a striping tunnel have taken are known.
 */
#ifndef WARP_KNOWLEDGE_H
#define WARP_KNOWLEDGE_H

#include "warp/ratecc.h"

struct path_knowledge {
	u64 capacity;   /* bytes of datagrams a second, as far as there was something to send */
	u64 queue;      /* ns that every datagram of the last round trip has waited on the way */
	u64 round_trip; /* ns, without it */
	u64 variation;  /* ns, of the round trip */
	double loss;    /* share of datagrams, 0..1, smoothed over some hundreds */
	double burst;   /* how many of these are lost in a row, on average; 1: each alone */
	u64 under_way;  /* bytes */
	u64 window;     /* bytes that may be */
	bool used;      /* for payloads; else it is tried, until it is found good again */
	enum ratecc_mode mode;
};

#endif
