/* SPDX-License-Identifier: MIT */
/*
 * path.h - one local interface x one remote endpoint: is it alive, how fast, how lossy.
 *
 * A path is probed from its birth. Each answer shows the round trip, and by the counts in both
 * directions what was lost. See the table of states.
 */
#ifndef WARP_PATH_H
#define WARP_PATH_H

#include "warp/endpoint.h"
#include "warp/pmtu.h"

enum path_state {
	PATH_PROBING,  /* never answered: probes only */
	PATH_LIVE,     /* answers: carries data */
	PATH_DEGRADED, /* an answer is overdue: still carries copies, is not relied upon */
	PATH_DEAD,     /* silent: probes only */
	PATH_STATES,
};

/* "probing", "live", "degraded", "dead". */
const char *path_state_name(enum path_state state);

/* How the remote endpoint became known; the first that applies. */
enum path_origin {
	PATH_FROM_STATIC,   /* configured */
	PATH_FROM_MAP,      /* as the map sees it */
	PATH_FROM_LAN,      /* the peer's own address, told by the map */
	PATH_FROM_OVERRIDE, /* an override replaced what the map sees */
	PATH_FROM_ARRIVAL,  /* an authenticated datagram came from there */
	PATH_ORIGINS,
};

/* "static", "map", "lan", "override", "arrival". */
const char *path_origin_name(enum path_origin origin);

#define PATH_PROBES_REMEMBERED 16u

struct path_probe {
	u64 stamp;         /* 0: free or answered */
	u64 packets, bytes; /* sent on the path before it */
};

/* Cumulative counts of transport datagrams; a train counts as many as it has. */
struct path_counts {
	u64 packets, bytes;
};

struct path {
	bool used;
	u8 iface;
	struct endpoint remote;
	enum path_origin origin;
	enum path_state state;
	u64 born, next_probe;
	u64 last_heard;    /* anything authenticated and fresh, 0: never */
	u64 last_answer;   /* a probe reply, 0: never */
	u64 answered_stamp; /* send time of the newest probe that was answered */
	u64 oldest_unanswered; /* send time of the first probe since then, 0: none */
	u32 probes_unanswered;
	u64 rtt, rtt_var, rtt_min; /* ns, RFC 6298; 0: unknown */
	struct path_probe probe[PATH_PROBES_REMEMBERED];
	u32 probe_at;
	struct path_counts sent;      /* by us */
	struct path_counts first;     /* arrived here first and authentic */
	struct path_counts duplicate; /* copies of what had arrived already */
	/* what the other end told: */
	u64 reported_received, reported_at_sent; /* its arrivals when we had sent so many */
	u64 base_reported, base_sent;            /* the same when counting began */
	u64 peer_sent, base_peer_sent, base_received;
	bool has_report, has_peer_sent;
	double loss_out, loss_in;          /* 0..1, smoothed */
	double rate_out, rate_in;          /* bytes a second, smoothed */
	u64 rate_at, rate_sent, rate_received; /* where the last rate sample began */
	struct pmtu pmtu;
};

#endif
