/* SPDX-License-Identifier: MIT */
/*
 * nearest.h - "did you mean ...?": which of the known words a mistyped one is closest to.
 */
#ifndef WARP_NEAREST_H
#define WARP_NEAREST_H

#include "warp/base.h"

/* How many letters must be inserted, removed, changed or swapped with their neighbour to turn a
 * into b. Long words (above 63 letters) are far from everything: UINT32_MAX. */
u32 word_distance(const char *a, const char *b);

struct nearest {
	const char *typed;
	const char *word; /* the closest yet, NULL: none is close enough */
	u32 distance;
};

void nearest_init(struct nearest *n, const char *typed);
/* Considers one more known word. */
void nearest_try(struct nearest *n, const char *word);

#endif
