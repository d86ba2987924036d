/* SPDX-License-Identifier: MIT */
/*
 * lanes.h - what waits for one interface's socket: trains, by lanes.
 *
 * A lane is a queue of what one tunnel sends to one peer; one more is for control, which goes first. The
 * others share what the socket takes evenly, by bytes (start-time fair queueing: the lane that has been
 * served least is next, and one that was empty begins where the others are). So a tunnel that floods a
 * slow link delays itself. It does not fill the outbox either: a lane may hold LANE_SHARE times what is
 * still free, so that there is always room for one that has little to send.
 *
 * All that goes inside the session with a map, control and what the map relays, shares one lane: maps
 * remember few counters, and what is overtaken by many would be too old for them.
 *
 * Why not deficit round robin, which is as fair: a socket takes what it likes of the entries that it is
 * offered, so their order must be drawn up without changing anything. Here that takes no more than one
 * number a lane.
 *
 * A limit of the rate (a token bucket that holds a few milliseconds) also cuts trains in parts: what
 * leaves at once is never more than the bucket. Before it waits what leaves in PACE_QUEUE, and no more:
 * who sends more than that shall learn of it soon, and what passes shall not be old. Only a lane that
 * holds next to nothing is always let in, so that a flood fills the queue for itself alone.
 */
#ifndef WARP_LANES_H
#define WARP_LANES_H

#include "warp/buf.h"
#include "warp/codel.h"
#include "warp/endpoint.h"
#include "warp/engine.h"

#define LANES 64u /* one of them for control; when there are more flows, some share one */
#define LANE_CONTROL 0u
#define LANE_SHARE 8u
#define CONTROL_RESERVE 64u /* places that payloads leave free */
#define PAYLOAD_PLACES (OUTBOX_SIZE - CONTROL_RESERVE)
/* What an outbox that is empty takes of one tunnel to one peer. */
#define OUTBOX_LANE_MAX ((LANE_SHARE * (PAYLOAD_PLACES + 1)) / (LANE_SHARE + 1))
#define PACE_BURST (5 * NS_PER_MS) /* of the rate, and PACE_BYTES */
#define PACE_BYTES 3000u
#define PACE_QUEUE (50 * NS_PER_MS) /* what waits for tokens */
#define PACE_LANE 1500u             /* bytes that each lane may hold all the same */
#define PACE_TICK (1 * NS_PER_MS)   /* between two looks whether there are tokens */
#define NO_INDEX 0xffffu
#define TUNNEL_MAP 0xfffeu /* of the lane for a map: the peer is the map */

_Static_assert(LANES <= 64, "a set of lanes is 64 bits");

/* 64 bytes: one line of a cache. */
struct queued {
	struct buf *buf;
	struct endpoint destination;
	u32 bytes;    /* that the outbox counts for it */
	u64 deadline; /* TIME_NEVER: none */
	u64 at;       /* queued */
	u32 from;     /* bytes of buf that have left */
	u16 peer;     /* NO_INDEX: not a peer's path */
	u16 tunnel;   /* NO_INDEX: control */
	u16 socket;   /* 0: the interface's own */
	u16 next;     /* in its lane */
	u8 path;
	u8 map;       /* 1 + the map in whose session it goes, 0: in none */
	bool relayed; /* the destination is the map that forwards it */
	bool begun; /* a fragment (room for all of them was seen to), or sent again: no share limits it */
};

struct lane {
	u16 tunnel, peer; /* whose it is, or was */
	u16 head, tail;   /* valid while count > 0 */
	u32 count, bytes;
	u64 served; /* bytes, on the outbox's clock */
	struct codel codel;
	bool managed; /* its senders are to be told when it stands */
	bool due;     /* and there is something to tell */
};

struct planned {
	u32 lane, size; /* how much of its next entry */
};

struct outbox {
	u32 count, bytes; /* of all entries; a train counts as it was when another came behind it */
	u64 active;       /* lanes that hold something */
	u64 clock;        /* bytes: how much the lane has had that was served last */
	u32 due;          /* lanes with something to tell */
	u32 newest;       /* the lane that was last added to */
	u16 free;         /* entries, a list */
	u64 rate;         /* bytes of IP packets a second, 0: no limit */
	u32 most;         /* bytes that wait for it */
	u64 ready_at;     /* when the bucket is full again */
	u32 overhead;     /* of a datagram: UDP and IP */
	u32 planned, taken;
	bool straight; /* all that is planned is whole, from the lane of plan[0] */
	struct planned plan[OUTBOX_SIZE];
	struct lane lane[LANES];
	struct queued entry[OUTBOX_SIZE];
};

/* overhead: of a datagram at the link, which counts towards a rate. */
void lanes_init(struct outbox *o, u32 overhead);

/* The lane that what this tunnel sends to this peer is in, or would go to. */
u32 lanes_find(const struct outbox *o, u16 tunnel, u16 peer);
/* A lane that is empty is theirs from now on. */
void lanes_give(struct lane *l, u16 tunnel, u16 peer);
/* How many payloads more the lane takes. */
u32 lanes_room(const struct outbox *o, u32 lane);
/* Whether so many bytes more, beyond what is counted, are all that may wait for the rate. */
bool lanes_enough(const struct outbox *o, u32 more);
/* Counts an entry of the lane as it is now: it has grown, or a part of it has left. */
void lanes_count(struct outbox *o, u32 lane, struct queued *q);

/* Draws up in o->plan what leaves next, at most max entries (and OUTBOX_SIZE), as far as there are
 * tokens; in a lane, what lies behind an entry that is beyond its deadline is left out. Returns how
 * many. */
u32 lanes_plan(struct outbox *o, u64 now, u32 max);
/* So many bytes in so many datagrams have left an interface whose rate is limited. */
void lanes_spend(struct outbox *o, u64 now, u32 bytes, u32 datagrams);
/* When there are tokens again; 0: there are. */
u64 lanes_paced_until(const struct outbox *o, u64 now);
/* The bucket is full to begin with. */
void lanes_set_rate(struct outbox *o, u64 now, u64 rate);

static inline struct queued *lanes_head(struct outbox *o, u32 lane)
{
	return o->lane[lane].count ? &o->entry[o->lane[lane].head] : NULL;
}

/* Datagrams of a train that have not left. */
static inline u32 queued_datagrams(const struct queued *q)
{
	u32 segment = q->buf->segment;

	return segment ? (q->buf->length - q->from + segment - 1) / segment : 1;
}

#endif
