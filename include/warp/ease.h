/* SPDX-License-Identifier: MIT */
/*
 * ease.h - how much may be sent over one path, when a queue stands somewhere on it.
 *
 * What leaves at once over an interface may wait for seconds further on, in a modem before a slow link;
 * and when such a queue is full, most of what comes is lost. The other end tells, with each answer to a
 * probe, by how much that probe took longer than the fastest of late: that is the queue. When it is long
 * (EASE_LONG, for a while) or loses what comes (EASE_TARGET, and a part of what was sent is missing) the
 * path is limited: for the time that the queue takes to run empty to a little, then to seven eighths of
 * what has come out at its end at most, and more from answer to answer until the queue is EASE_TARGET
 * again. The limit is gone when for EASE_RELEASE nobody has met it.
 *
 *              long or lossy                  the queue's time is over
 *     FREE ----------------------> DRAINING ------------------------> LIMITED
 *      ^                              ^                                 |  |
 *      |                              +------------ long or lossy ------+  |
 *      +--------------------------------- nobody met it -------------------+
 *
 * Delays vary for other reasons, too: a limit is never less than three quarters of what came out at most
 * in the last seconds; a link that goes on to lose when it is limited is taken for one that loses by itself;
 * and when the queue does not get shorter by it, it is doubled.
 * Whether it applies is for the caller to say: what has no other way goes all the same.
 */
#ifndef WARP_EASE_H
#define WARP_EASE_H

#include "warp/base.h"

#define EASE_TARGET (25 * NS_PER_MS)
#define EASE_LONG (100 * NS_PER_MS)
#define EASE_STANDS (300 * NS_PER_MS) /* a queue that was seen for so long stands */
#define EASE_OVER (1 * NS_PER_S)      /* and has gone when none was seen for so long */
#define EASE_RELEASE (2 * NS_PER_S)

enum ease_state {
	EASE_FREE,     /* no limit */
	EASE_DRAINING, /* next to nothing */
	EASE_LIMITED,  /* rate */
};

struct ease {
	enum ease_state state;
	bool congested;     /* a queue stands, or did a moment ago */
	u64 at;             /* the last sample, 0: none */
	u64 sent, received; /* datagrams, of that */
	u64 rate_at, bytes; /* where the present measurement of what comes out began */
	u64 most,
		most_before; /* that came out, bytes a second: in this window, in the one before */
	u64 turn;            /* when the window ends */
	u64 target_since;    /* the queue has been above EASE_TARGET since then; 0: it is not */
	u64 long_since;      /* the same of EASE_LONG */
	u64 short_since;     /* it has been below EASE_TARGET since then */
	u64 rate;            /* bytes a second */
	u64 until;           /* of draining; of a limit: it does not sink again before */
	u32 vain;            /* how often it sank since the queue was short, or got shorter */
	u64 sank_at;         /* the queue then */
	u64 judged_until;    /* what is lost says nothing of a queue */
	u64 more_at;         /* it grows no earlier */
	u64 met_at;          /* when the limit held something back last */
	u64 ready_at;        /* paid for until then */
	bool closed;
};

/* With an answer to a probe. */
struct ease_sample {
	u64 queue;          /* ns that the probe took longer than the fastest */
	u64 sent, received; /* datagrams on the path: when the probe left, when it came */
	u64 bytes;          /* received */
	u64 rtt;            /* ns, smoothed */
};

void ease_take(struct ease *e, u64 now, const struct ease_sample *s);
/* May so many bytes leave, at this rate (of ease_rate(), or less)? If so, they are counted. */
bool ease_admit(struct ease *e, u64 now, u32 size, u64 rate);
/* Bytes a second, UINT64_MAX: no limit. */
u64 ease_rate(const struct ease *e, u64 now);
/* Whether as much goes over the path as it carries. */
bool ease_congested(const struct ease *e, u64 now);

#endif
