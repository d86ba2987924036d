/* SPDX-License-Identifier: MIT */
/*
 * pmtu.h - how large a datagram may be on a path, by padded probes (RFC 8899; no ICMP needed).
 * Sizes are bytes of UDP payload.
 */
#ifndef WARP_PMTU_H
#define WARP_PMTU_H

#include "warp/base.h"

#define PMTU_BASE 1200u /* works everywhere that IPv6 does */
#define PMTU_FLOOR 512u /* where a route that does not carry the base is searched from */
#define PMTU_TRIES 3u   /* lost probes of a size before it counts as too large */
#define PMTU_STEP 8u    /* the search ends when the gap is below this */

/* What was sent on the path, without what is beyond its size, and what of that has arrived. */
struct pmtu_counts {
	u64 sent, sent_bytes, received, received_bytes;
};

struct pmtu {
	u32 size;      /* known to pass; PMTU_BASE until something larger was answered */
	u32 ceiling;   /* the link's own limit */
	u32 too_large; /* smallest known not to pass; ceiling + 1: none */
	u32 probing;   /* size of the probe in flight, 0: none */
	u32 tries;
	u64 probe_stamp;           /* of the probe in flight */
	u64 next;                  /* when to send the next probe or give this one up */
	u64 raise;                 /* when to try larger sizes again */
	struct pmtu_counts counts; /* from which on losses are weighed */
	bool counts_anew;          /* those that come next will be */
	/* Own probes of more than size that were not answered: that one is lost says nothing of the path. */
	u64 beyond, beyond_bytes;
	u64 doubted_at; /* the size was asked again out of turn, 0: never */
	bool in_doubt;  /* and no answer has come yet */
};

/* ceiling: what the local link allows. */
void pmtu_init(struct pmtu *p, u32 ceiling);
/* The link's own limit has changed. */
void pmtu_set_ceiling(struct pmtu *p, u64 now, u32 ceiling);
/* The path has come to life: search from now on. */
void pmtu_start(struct pmtu *p, u64 now);
u64 pmtu_next_expiry(const struct pmtu *p);
/* The size is found, and no probe is under way. */
bool pmtu_settled(const struct pmtu *p);
/* The next pmtu_poll would call the probe under way lost for good. It can be kept from that until a time. */
bool pmtu_gives_up(const struct pmtu *p, u64 now);
void pmtu_wait(struct pmtu *p, u64 until);
/* How long to wait for the answer to a probe, ns. within: nearly all come in that time. */
u64 pmtu_timeout(const struct pmtu *p, u64 within);
/* Size of the padded probe to send now (its stamp is to be told by pmtu_sent), or 0. timeout: as
 * pmtu_timeout() has it. */
u32 pmtu_poll(struct pmtu *p, u64 now, u64 timeout);
void pmtu_sent(struct pmtu *p, u64 stamp);
/* The probe with this stamp was answered. Returns true when size has changed. */
bool pmtu_answered(struct pmtu *p, u64 now, u64 stamp);
/* Newer counts: when what is lost is large and what arrives is small, the size is in doubt: it is confirmed
 * at once, and given up sooner, but not more than twice a second. */
void pmtu_report(struct pmtu *p, u64 now, const struct pmtu_counts *counts);
/* All counts begin anew. */
void pmtu_none_beyond(struct pmtu *p);
/* The path was silent: what was lost meanwhile was of all sizes. The next counts are only a beginning. */
void pmtu_recount(struct pmtu *p);
/* The kernel said EMSGSIZE to a datagram of this size. Returns true when size has changed. */
bool pmtu_refused(struct pmtu *p, u64 now, u32 size);

#endif
