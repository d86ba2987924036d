/* SPDX-License-Identifier: MIT */
/*
 * predict.h - which external port a NAT will give to a new socket, from samples that were taken one
 * after the other, each with a socket of its own.
 */
#ifndef WARP_PREDICT_H
#define WARP_PREDICT_H

#include "warp/natclass.h"

#define PREDICT_SAMPLES 3u

enum prediction {
	PREDICT_NONE,   /* nobody can tell */
	PREDICT_SAME,   /* what was sampled is what others see too */
	PREDICT_OFFSET, /* the local port and a number */
	PREDICT_STEP,   /* the NAT counts */
};

/* independent: the mapping is known not to depend on the destination. *ret_offset is set for
 * PREDICT_OFFSET. */
enum prediction predict_judge(const struct nat_sample samples[static PREDICT_SAMPLES],
			      bool independent, int *ret_offset);
/* For PREDICT_STEP: the next count ports after the last of the samples, in the order in which they will
 * be given; 0 may be among them. */
void predict_ahead(const struct nat_sample samples[static PREDICT_SAMPLES], u16 *ret, u32 count);
/* For PREDICT_STEP: the ports that mappings made between the last of the samples and a later one, seen
 * as `end`, may have; those that were made first come first. Returns how many, at most max. */
u32 predict_between(const struct nat_sample samples[static PREDICT_SAMPLES], u16 end, u16 *ret,
		    u32 max);

#endif
