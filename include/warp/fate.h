/* SPDX-License-Identifier: MIT */
/*
 * fate.h - which paths share what happens to them: the same modem, the same bottleneck.
 *
 * Two copies over such paths are lost together, so these count as one when redundancy is planned.
 * Of each path the queueing delay and the losses of the last FATE_SAMPLES samples are kept, and those of
 * any two compared, as RFC 8382 does for flows: paths whose delays or losses move together are
 * bound to one another. Paths over one interface are, whatever is measured: that is for the caller
 * to say. A bond is made when it has shown in some judgements in a row, and goes when for longer
 * the two have moved apart; paths on which nothing moves say nothing.
 */
#ifndef WARP_FATE_H
#define WARP_FATE_H

#include "warp/base.h"

#define FATE_PATHS 64u
#define FATE_SAMPLES 64u
#define FATE_JOIN 3u   /* judgements in a row */
#define FATE_PART 10u  /* the same */
#define FATE_EVERY 10u /* samples to a judgement */

struct fate_track {
	u32 count;                 /* samples so far */
	float delay[FATE_SAMPLES]; /* ms above the least */
	float loss[FATE_SAMPLES];  /* 0..1 */
};

struct fate_bond {
	bool bound;
	u8 score; /* judgements in a row that call for a change */
};

struct fate {
	u32 at; /* place of the next sample */
	u32 since;
	struct fate_track track[FATE_PATHS];
	struct fate_bond bond[FATE_PATHS][FATE_PATHS]; /* of a pair: at the smaller number first */
};

/* A path begins: nothing is known of it. */
void fate_forget(struct fate *f, u32 path);
/* What one path had in the present sample. */
void fate_sample(struct fate *f, u32 path, u64 delay, double loss);
/* The sample of all paths is complete; those of mask are judged from time to time. */
void fate_step(struct fate *f, u64 mask);
/* Whether the two share their fate. */
bool fate_bound(const struct fate *f, u32 a, u32 b);
/* How alike they are: the coefficient of correlation, squared, with its sign; 0: nothing moves. */
double fate_alike(const struct fate *f, u32 a, u32 b);

#endif
