/* SPDX-License-Identifier: MIT */
/*
 * strand.h - one path as striping knows it: what is under way there, how fast it may be sent to, and whether
 * it is to be relied upon.
 *
 * A strand that falls silent with something under way, loses much, or is far slower than others is not
 * good: it gets nothing but datagrams without payloads, while others carry some, until most of these come.
 */
#ifndef WARP_CORE_STRAND_H
#define WARP_CORE_STRAND_H

#include "engine_internal.h"
#include "warp/flight.h"
#include "warp/ratecc.h"

struct strand {
	u64 born; /* of the path */
	bool good;
	struct ratecc cc;
	struct flight flight;
	u64 rtt, rtt_var; /* ns, of reports; 0: none yet */
	u32 highest;      /* number of which a report told last */
	u64 heard_at;     /* when a report told something new */
	u64 payload_at;   /* when a payload was sent last */
	u64 resume_at;    /* pacing has run out: the next run of datagrams begins then */
	u32 acked, lost;  /* of late, */
	u32 excused;      /* but for those before this number, when too much was sent */
	u32 trials;       /* newest in the lowest bit: 1 has come */
	u64 next_trial;
	double loss, burst; /* share; how many in a row on average */
};

/* 0, -ENOMEM. */
int strand_open(struct strand **ret, const struct engine *e, const struct path *path);
void strand_close(const struct engine *e, struct strand *s);

/* Takes a report; lost is called for what is lost. */
void strand_report(struct strand *s, u64 now, const struct frame_tally *f, flight_lost *lost,
		   void *ctx);
/* How much later, in ns, something has to have been sent than what it shows to be lost. */
u64 strand_reordering(const struct strand *s);
/* How long an answer may take. */
u64 strand_patience(const struct strand *s);
/* When it is to be asked whether it has fallen silent; since: silence before does not count. */
u64 strand_silent_at(const struct strand *s, u64 since);
/* When the report of the last payload should have come, if it did. TIME_NEVER: nothing is under way. */
u64 strand_quiet_at(const struct strand *s);
/* It is not relied upon any more. */
void strand_demote(struct strand *s, flight_lost *lost, void *ctx);
/* Have enough trials come? */
bool strand_proven(const struct strand *s);
void strand_promote(struct strand *s);
/* Copies that nothing was heard of. */
void strand_expire_trials(struct strand *s, u64 now);
/* Has it lost too much of late? */
bool strand_too_lossy(const struct strand *s);

#endif
