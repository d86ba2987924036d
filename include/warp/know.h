/* SPDX-License-Identifier: MIT */
/*
 * know.h - what is known of one path's losses: how many, how sure that is, whether they come in
 * bursts, and how often the path has failed altogether.
 *
 * Cumulative counts are sampled every KNOW_INTERVAL. A sample is forgotten by and by, within some
 * KNOW_MEMORY; when the last second was worse than what is remembered can explain, what is
 * remembered is dropped at once. A path that has got better is believed slowly.
 *
 * Losses are taken to follow Gilbert and Elliott's model: in a burst everything is lost. Bursts show
 * as samples whose losses vary more than independent ones would.
 */
#ifndef WARP_KNOW_H
#define WARP_KNOW_H

#include "warp/base.h"

#define KNOW_INTERVAL (100 * NS_PER_MS)
#define KNOW_MEMORY (20 * NS_PER_S)
#define KNOW_BURST_MAX 64.0

/* Sums over samples, of which older ones weigh less. */
struct know_sums {
	double sent, lost;
	double sent2, lost2, cross; /* of squares, of products */
};

struct know {
	bool begun, live;
	u64 sent, lost; /* as sampled last */
	struct know_sums memory, recent;
	double watched;  /* seconds that the path was live */
	double failures; /* how often it ceased to be */
};

void know_init(struct know *k);
/* Every KNOW_INTERVAL: datagrams sent on the path and lost so far, and whether it answers. Counts that go
 * back begin a new life. */
void know_sample(struct know *k, u64 sent, u64 lost, bool live);
/* Datagrams that the figures rest upon. */
double know_evidence(const struct know *k);
/* The share that is lost, as it appears. */
double know_loss(const struct know *k);
/* The share that is hardly exceeded: 97.5 of 100 times it is less, for what was seen. 1: nothing
 * was. */
double know_loss_upper(const struct know *k);
/* Datagrams lost in a row when some are, on average; 1..KNOW_BURST_MAX. Some are expected until
 * losses have shown otherwise. */
double know_burst(const struct know *k);
/* The share of time in which the path is silent and not yet found out. */
double know_outage(const struct know *k);

#endif
