/* SPDX-License-Identifier: MIT */
/*
 * tally.h - what has come of the numbered datagrams of one path of the other end, and when to report
 * it: after TALLY_EVERY datagrams, a time after the first that no report has told of, or soon after
 * something is seen to be missing.
 */
#ifndef WARP_TALLY_H
#define WARP_TALLY_H

#include "warp/wire.h"

#define TALLY_EVERY 64u
#define TALLY_GAP (2 * NS_PER_MS) /* so soon: some more are to come until then */
#define TALLY_WAIT_MIN (5 * NS_PER_MS)
#define TALLY_WAIT_MAX (25 * NS_PER_MS)

/* A quarter of the round trip, within these bounds. */
static inline u64 tally_wait(u64 rtt)
{
	const u64 wait = rtt / 4;

	return wait < TALLY_WAIT_MIN ? TALLY_WAIT_MIN :
	       wait > TALLY_WAIT_MAX ? TALLY_WAIT_MAX :
				       wait;
}

struct tally {
	bool begun;
	u32 highest;
	u64 seen[FRAME_TALLY_WORDS]; /* bit i of word 0: highest - 1 - i, and so on */
	u64 at;                      /* when the highest came */
	u64 bytes;                   /* of all datagrams */
	u32 packets;
	u32 late_run;  /* numbers in a row that are too old to be told of */
	u32 news;      /* that no report has told of */
	u64 news_from; /* when the first of these came */
	u64 gap_at; /* when something was seen to be missing, that no report has told of; 0: nothing */
};

void tally_take(struct tally *a, u64 now, u32 number, u32 size);
/* When a report is due; TIME_NEVER: there is nothing new. */
u64 tally_due(const struct tally *a, u64 wait);
/* The report, now. */
void tally_tell(struct tally *a, u64 now, u8 path, struct frame_tally *ret);

/* As the sender sees it. */
struct tally_told {
	u32 highest;
	u32 packets;
	u64 bytes, at; /* by the clock of the other end */
	u64 held;
	const u64 *seen; /* FRAME_TALLY_WORDS */
};

/* Does it tell that this number has come? False for what it does not tell of. */
bool tally_has(const struct tally_told *r, u32 number);

#endif
