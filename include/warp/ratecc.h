/* SPDX-License-Identifier: MIT */
/*
 * ratecc.h - how fast one path may be sent to: as much as it delivers, with next to nothing waiting in it.
 *
 * The path is modelled after BBR (draft-cardwell-iccrg-bbr-congestion-control): the rate that it delivers
 * is measured, a little more is tried now and then, and what is under way is bounded. Unlike there, the
 * first thing that answers is the delay: what is under way waits somewhere when each datagram
 * of a round trip takes longer than the fastest of late, and then the rate is what has just been
 * delivered. Losses count only when they are more than the path has anyhow, so that those of a radio
 * link are not taken for congestion.
 *
 *              a queue, or no more comes
 *   STARTUP ------------------------------> DRAIN ------> CRUISE ------> PROBE
 *    x 2 each round                          |  ^  no queue   some rounds   |  x 1.25 while that helps
 *                                            |  +-------------------------- +
 *                                            |         a queue, losses, or no more comes
 *
 * Times of sending are ours, times of arrival the other end's: only differences of either are used.
 */
#ifndef WARP_RATECC_H
#define WARP_RATECC_H

#include "warp/base.h"
#include "warp/least.h"

#define RATECC_ROUNDS 10u                 /* of which the best is taken */
#define RATECC_HISTORY 64u                /* reports remembered */
#define RATECC_LOAD_TIME (50 * NS_PER_MS) /* over which ratecc_load() looks back */
#define RATECC_BURST (4 * NS_PER_MS)      /* of sending that may be made up for at once; */
#define RATECC_CATCH_UP (20 * NS_PER_MS)  /* when there was something to send, and the host busy */

enum ratecc_mode { RATECC_STARTUP, RATECC_DRAIN, RATECC_CRUISE, RATECC_PROBE, RATECC_MODES };

/* "startup", "drain", "cruise", "probe". */
const char *ratecc_mode_name(enum ratecc_mode mode);

/* A report. */
struct ratecc_sample {
	u32 highest;     /* number of the newest datagram that has come */
	u32 next;        /* number of the next to be sent */
	u32 acked, lost; /* datagrams that it tells of */
	u64 sent_at;     /* when the highest was sent, ns; */
	u64 came_at;     /* and when it came, by the other clock */
	u64 came_bytes;  /* in all by now */
	u64 rtt;         /* ns, of the highest; without the time that the report was held */
};

struct ratecc_past {
	u64 sent_at, came_at, came_bytes;
};

struct ratecc {
	enum ratecc_mode mode;
	u32 datagram; /* bytes of a large one */
	double rate;  /* bytes a second that the path delivers */
	double best[RATECC_ROUNDS];
	u32 best_at;
	u64 next_send; /* when pacing allows the next datagram */
	double recent; /* bytes sent in the last RATECC_LOAD_TIME, about, as of sent_at */
	u64 sent_at;
	u64 idle_at; /* there last was nothing to send, though it was allowed */
	/* delays */
	struct least way; /* one way, by two clocks */
	i64 way_now, way_var;
	u64 base;     /* round trip without queue, ns; 0: unknown */
	u64 expected; /* the same, before it is measured; 0: unknown */
	u64 queue;    /* that stood all through the last round, ns */
	/* the present round */
	u32 round_end; /* it ends when this number has come */
	bool round_begun;
	i64 round_way;     /* least */
	double round_rate; /* most */
	bool round_limited;
	u32 round_acked, round_lost;
	u32 over; /* reports in a row that told of a queue */
	/* modes */
	u32 rounds;       /* in this mode */
	double before;    /* rate before it backed off, 0: that is over */
	bool guessed;     /* rate is: nothing has shown yet what is possible */
	double reference; /* rate before this mode; in STARTUP the best so far */
	u32 stale;        /* rounds without growth */
	u32 calm;         /* rounds to CRUISE before the next PROBE */
	double loss;      /* the usual share of losses, 0..1 */
	bool lossy;       /* there were more in the last round */
	u32 past_at;
	struct ratecc_past past[RATECC_HISTORY];
};

/* datagram: bytes; rtt: a guess, 0: none. */
void ratecc_init(struct ratecc *c, u32 datagram, u64 rtt);
/* After a pause in which nobody knows what the path has become: begins below what it, or one like it, is known
 * to have carried, bytes a second. */
void ratecc_restart(struct ratecc *c, u64 known);
/* When the next datagram may leave; TIME_NEVER: when a report has come. */
u64 ratecc_when(const struct ratecc *c, u64 under_way);
void ratecc_sent(struct ratecc *c, u64 now, u32 bytes);
/* It may send, and there is nothing. */
void ratecc_idle(struct ratecc *c, u64 now);
void ratecc_report(struct ratecc *c, u64 now, const struct ratecc_sample *s);

/* Bytes a second that the path is believed to carry. */
u64 ratecc_rate(const struct ratecc *c);
/* What part of what the path carries has been sent of late: 1 is all. */
double ratecc_load(const struct ratecc *c, u64 now);
/* More may be sent than it carries, or a queue stands: what is lost says nothing of the path. */
bool ratecc_floods(const struct ratecc *c);
/* The least time on the way of late, by two clocks; INT64_MAX: unknown. */
i64 ratecc_least_way(const struct ratecc *c);
/* Bytes that may be under way. */
u64 ratecc_cap(const struct ratecc *c);

#endif
