/* SPDX-License-Identifier: MIT */
/*
 * drop.h - why something was dropped. The core counts, the edges tell.
 */
#ifndef WARP_DROP_H
#define WARP_DROP_H

#include "warp/base.h"

enum drop_reason {
	DROP_NONE = 0,
	/* datagrams from the network */
	DROP_MALFORMED,       /* too short, wrong length, unknown kind */
	DROP_BAD_MAC,         /* mac1 of a handshake message is wrong */
	DROP_BAD_AUTH,        /* AEAD tag is wrong */
	DROP_UNKNOWN_INDEX,   /* no session with this receiver index */
	DROP_UNKNOWN_PEER,    /* handshake of a key that is not configured */
	DROP_DUPLICATE,       /* counter seen before: a copy from another path, or a replay */
	DROP_TOO_OLD,         /* behind the replay window, or what a map has taken since */
	DROP_EXPIRED_SESSION, /* keys are past their life */
	DROP_RATE_LIMITED,    /* too many handshakes */
	DROP_UNCONFIRMED,     /* for where a node has not shown that it receives */
	DROP_COOKIE_REQUIRED, /* under load: answered with a cookie */
	DROP_UNKNOWN_IFACE,   /* came in on an interface that has just gone */
	DROP_BAD_FRAME,       /* authentic, but a frame does not decode */
	/* payloads */
	DROP_NO_TUNNEL,   /* tunnel id is not configured here, or not with this peer */
	DROP_NOT_ALLOWED, /* source address outside the peer's allowed_ips */
	DROP_NO_PEER,     /* no peer for the destination address */
	DROP_NO_SESSION,  /* peer is not connected */
	DROP_NO_PATH,     /* connected, but no live path */
	DROP_TOO_LARGE,   /* larger than a payload may be */
	DROP_DEADLINE,    /* waited longer than send_deadline */
	DROP_QUEUE_FULL,  /* a path's queue was full */
	DROP_CONGESTION,  /* tells its sender that what it sends stands before the links (CoDel) */
	DROP_SLOW_PATH,   /* a copy would have come late over one path; it went over others */
	DROP_NO_BUFFER,   /* the pool was empty */
	DROP_INCOMPLETE,  /* fragments did not all arrive in time */
	DROP_EXPIRED,     /* came later than its sender's send_deadline allows */
	DROP_LATE,        /* ordered: came after its place had been passed over */
	DROP_SEND_ERROR,  /* the kernel refused the datagram */
	DROP_GATE_FULL,   /* the application does not read */
	DROP_GATE_CLOSED, /* no application is there */
	DROP_REASONS,
};

/* "bad_auth" and the like: lower case, as in `warp status --json`. */
const char *drop_reason_name(enum drop_reason reason);

struct drop_counts {
	u64 count[DROP_REASONS];
};

static inline void drop_count(struct drop_counts *d, enum drop_reason reason)
{
	d->count[reason]++;
}

#endif
