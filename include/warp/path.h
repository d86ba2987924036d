/* SPDX-License-Identifier: MIT */
/*
 * path.h - one local socket x one remote endpoint: is it alive, how fast, how lossy. The socket is most
 * often the interface's own.
 *
 * A path is probed from its birth. Each answer shows the round trip and, by the counts that
 * travel in both directions, what was lost. While the peer exchanges data a path is probed every
 * 100 ms, and at once when an answer is overdue: so three missing answers demote it within 300 ms of
 * the link's last sign of life, and a lossy one is hardly ever taken for silent.
 *
 *             answer                three answers missing          silent for 2 s
 *   PROBING ----------> LIVE <---------------------------> DEGRADED -------------> DEAD
 *                         ^                 answer                                  |
 *                         +--------------------- answer ----------------------------+
 */
#ifndef WARP_PATH_H
#define WARP_PATH_H

#include "warp/ease.h"
#include "warp/endpoint.h"
#include "warp/pmtu.h"
#include "warp/transit.h"
#include "warp/trend.h"
#include "warp/wire.h"

enum path_state {
	PATH_PROBING,  /* never answered: probes only */
	PATH_LIVE,     /* answers: carries data */
	PATH_DEGRADED, /* answers are overdue: still carries copies, is not relied upon */
	PATH_DEAD,     /* silent: probes only */
	PATH_STATES,
};

/* "probing", "live", "degraded", "dead". */
const char *path_state_name(enum path_state state);

/* How the remote endpoint became known; the first that applies. */
enum path_origin {
	PATH_FROM_STATIC,     /* configured */
	PATH_FROM_MAP,        /* as the map sees it */
	PATH_FROM_ROUTER,     /* where its router lets others in, told by the map */
	PATH_FROM_LAN,        /* the peer's own address, told by the map */
	PATH_FROM_PEER,       /* the peer has told us itself, in the session */
	PATH_FROM_PREDICTION, /* ports were foreseen */
	PATH_FROM_PROBE,      /* many ports were tried */
	PATH_FROM_OVERRIDE,   /* an override replaced what the map sees */
	PATH_FROM_ARRIVAL,    /* an authenticated datagram came from there */
	PATH_FROM_RELAY,      /* through a map */
	PATH_ORIGINS,
};

/* "static", "map", "router", "lan", "peer", "prediction", "probe", "override", "arrival", "relay". */
const char *path_origin_name(enum path_origin origin);

#define PATH_PROBES_REMEMBERED 16u

struct path_probe {
	u64 stamp;   /* when it was sent, ns; 0: free or answered */
	u64 packets; /* sent on the path, this one included */
	u64 bytes;   /* without it */
	/* Of these, probes of more than the path was known to carry that were not answered. */
	u64 beyond, beyond_bytes;
};

/* Cumulative counts of transport datagrams; a train counts as many as it has. */
struct path_counts {
	u64 packets, bytes;
};

/* A count told by the other end beside our own count of the same thing: what is missing between
 * the two was lost. Either end may begin anew at any time; the losses before are then kept. */
struct path_ledger {
	bool begun;
	u64 stamp;          /* of the newest probe accounted for */
	u64 sent, received; /* newest pair */
	u64 beyond;         /* of those sent, as in struct path_probe */
	u64 lost_before;    /* in earlier lives of either end */
	u64 received_base;  /* our arrivals before the sender's present life */
	double loss;        /* 0..1, smoothed; outages do not count */
	double recent;      /* the same, over the last few */
};

struct path {
	bool used;
	u8 iface;
	u16 socket; /* 0: the interface's own */
	struct endpoint remote;
	struct endpoint seen; /* where the other end saw us last; family 0: it has not told */
	enum path_origin origin;
	enum path_state state;
	u8 cost, weight; /* of the interface: enum iface_cost, 1..WEIGHT_MAX */
	u8 remote_cost;  /* of the other end, as it says */
	u64 born;
	u64 next_probe;
	u64 probed_at;         /* the last probe */
	u64 interval;          /* between answered probes, as things stand */
	u64 last_heard;        /* anything authenticated and fresh, 0: never */
	u64 answered_stamp;    /* send time of the newest probe that was answered, 0: none */
	u64 oldest_unanswered; /* send time of the first probe since then, 0: none */
	u32 unanswered;        /* probes since then */
	u64 patience;          /* how late the answer to the first of them may be */
	u64 rtt, rtt_var;      /* ns, smoothed as RFC 6298; 0: unknown */
	u32 rtt_lower;         /* answers in a row that took less than half of rtt */
	u64 rtt_last;          /* of the newest probe that was answered */
	struct path_probe probe[PATH_PROBES_REMEMBERED];
	u32 probe_at;
	u64 last_stamp;                        /* of all its probes */
	struct path_counts sent;               /* by us */
	struct transit transit;                /* of probes from the other end */
	struct path_counts waiting;            /* of these, what a probe sent now would overtake */
	u64 sent_epoch;                        /* sent.packets when the other end began counting */
	struct path_counts first;              /* arrived here first and authentic */
	struct path_counts duplicate;          /* copies of what had arrived already */
	u64 session_base;                      /* arrivals before the present session */
	struct path_ledger out, in;            /* losses in either direction */
	double rate_out, rate_in;              /* bytes a second, smoothed */
	u64 rate_at, rate_sent, rate_received; /* where the last rate sample began */
	struct pmtu pmtu;
	struct trend trend;      /* of its probes on their way here */
	u64 queue_in, queue_out; /* ns above the least, the latter as the other end says */
	u64 told_bytes;          /* that have arrived, as the newest answer says */
	struct ease ease;
	bool congested; /* as much goes over it as it carries */
	u64 saved_out;  /* payloads of ours that it alone has brought, as the other end says */
};

/* ceiling: UDP payload that the local link carries. */
void path_init(struct path *p, u64 now, u8 iface, u16 socket, const struct endpoint *remote,
	       enum path_origin origin, u32 ceiling);

/* May carry data: live or degraded. */
static inline bool path_usable(const struct path *p)
{
	return p->state == PATH_LIVE || p->state == PATH_DEGRADED;
}

/* Nobody has told of it: it came about by what was sent. */
static inline bool path_came_in(const struct path *p)
{
	return p->origin == PATH_FROM_ARRIVAL || p->origin == PATH_FROM_PROBE ||
	       p->origin == PATH_FROM_PREDICTION;
}

/* Goes through a map. */
static inline bool path_relayed(const struct path *p)
{
	return p->remote.address.family == ADDRESS_RELAY;
}

/* A probe is being sealed for this path: remembers it, gives its contents, but for the stamp, which it has, and
 * plans the next. busy: the peer exchanges data. idle_interval: between probes when it does not, ns. */
void path_probe(struct path *p, u64 now, bool busy, u64 idle_interval, struct frame_probe *probe);
/* A padded probe for the MTU: says nothing about life. */
void path_mtu_probe(struct path *p, struct frame_probe *probe);
/* The answer to one. Returns true when the path is known to carry more now. */
bool path_mtu_answered(struct path *p, u64 now, u64 stamp);
/* The answer to a probe of the other end that has just been counted as arrived. */
void path_reply(const struct path *p, const struct frame_probe *probe, const struct endpoint *seen,
		struct frame_probe_reply *ret);
/* There are new keys: the other end may have begun a new life, with another clock. crossed: they
 * are the second ones of a moment, since both ends have asked. */
void path_session_begins(struct path *p, bool crossed);
/* A probe of the other end arrived: what it says of the losses on the way here. */
void path_take_probe(struct path *p, const struct frame_probe *probe);
/* An answer arrived. Returns true when the state has changed. Answers to nothing are ignored. */
bool path_take_reply(struct path *p, u64 now, const struct frame_probe_reply *reply);
/* An answer to a probe of this path arrived over another one: shows what is lost here, not that it works. */
void path_take_counts(struct path *p, const struct frame_probe_reply *reply);
/* So much of what the other end sends is lost that answers should go over another path as well. */
bool path_loses_much(const struct path *p);
/* A handshake went around over this path: as good as an answer. */
bool path_confirm(struct path *p, u64 now);
/* The other end has said that it leaves. */
void path_bury(struct path *p);

/* Data begins to flow after a pause: do not wait for the idle interval. */
void path_wake(struct path *p, u64 now);
u64 path_next_expiry(const struct path *p);
/* Demotes what is overdue. Returns true when the state has changed. */
bool path_expire(struct path *p, u64 now);

/* Of what we sent / of what the other end sent, how many were lost. */
u64 path_lost_out(const struct path *p);
/* How many we sent as far as the other end has told, and of them lost, without the probes of larger sizes: that one
 * of these is lost says nothing of the path (RFC 8899, 3). */
u64 path_judged_out(const struct path *p, u64 *ret_lost);
u64 path_lost_in(const struct path *p);

#endif
