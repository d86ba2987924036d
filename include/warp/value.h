/* SPDX-License-Identifier: MIT */
/*
 * value.h - what each path is worth: of the datagrams that went over several, those that came in time
 * over this one alone.
 *
 * A datagram that is the first with its counter waits for its copies for as long as these are of use;
 * if none has come by then, its path has saved it.
 */
#ifndef WARP_VALUE_H
#define WARP_VALUE_H

#include "warp/base.h"

#define VALUE_SLOTS 4096u /* a power of two */
#define VALUE_PATHS 64u

struct value_slot {
	bool open; /* nothing but the first has come */
	u8 path;
	u64 session, counter, at;
};

struct value {
	u32 head, tail; /* free running */
	u64 saved[VALUE_PATHS];
	struct value_slot slot[VALUE_SLOTS]; /* by counter */
	u16 order[VALUE_SLOTS];              /* as they came */
};

/* The first of some copies has come over path. */
void value_first(struct value *v, u64 now, u64 session, u64 counter, u8 path);
/* Another one has, over any path. */
void value_copy(struct value *v, u64 session, u64 counter);
/* Judges what has waited for longer than within. */
void value_sweep(struct value *v, u64 now, u64 within);

#endif
