/* SPDX-License-Identifier: MIT */
/*
 * mapserver.h - the facade of the map's core: hub + registry, datagrams in and out.
 *
 * Shape and rules are those of engine.h: nothing is called back (but admit, which only answers),
 * output is drained. Bounded are: nodes (max_nodes, and an eighth more that have not spoken yet), what
 * each may register and ask for (see registry.h), what waits to be sent, and what anybody can make the
 * map send to one address without having been asked from there.
 */
#ifndef WARP_MAPSERVER_H
#define WARP_MAPSERVER_H

#include "warp/buf.h"
#include "warp/crypto.h"
#include "warp/drop.h"
#include "warp/endpoint.h"

#define MAPSERVER_QUEUE 4096u    /* datagrams waiting to be sent; a power of two */
#define MAPSERVER_DATAGRAM 1232u /* largest UDP payload sent: fits every IPv6 link */
#define MAPSERVER_ROUTES 2u      /* interfaces of a node that a push is sent to */
#define MAPSERVER_LISTENERS 256u
#define MAPSERVER_STREAMS 16384u        /* TCP connections, a power of two */
#define MAPSERVER_NODE_STREAMS 64u      /* of one node */
#define MAPSERVER_IS_STREAM 0x80000000u /* a listener's number: it is a connection */
#define MAPSERVER_MAX_NODES 1000000u
/* Datagrams a second to one address (at once: twice as many) that are pushes, or exceed three
 * times the question. A node may lie about where it is; it shall not make the map a weapon. */
#define MAPSERVER_UNASKED_RATE 1000u

/* What is forwarded between nodes, in bytes of their datagrams. */
struct relay_options {
	u64 node_rate;  /* bytes a second that one node may send; 0: nothing is forwarded */
	u64 total_rate; /* of all of them */
};

struct mapserver_options {
	struct identity identity;
	struct allocator allocator;
	struct random_source random;
	struct pool *pool;  /* the caller's; outlives the map server */
	u64 client_expiry;  /* ns */
	u32 max_nodes;      /* at most MAPSERVER_MAX_NODES */
	u32 max_streams;    /* at most MAPSERVER_STREAMS; 0: there are none */
	u64 handshake_rate; /* a second, before cookies are asked for */
	struct relay_options relay;
	/* NULL: anybody may register; else only keys for which it says true. What it says may change;
	 * a node that is no longer admitted is forgotten when it speaks. */
	bool (*admit)(void *ctx, const u8 key[static KEY_SIZE]);
	void *ctx;
};

struct mapserver;

struct mapserver_stats {
	u32 nodes;         /* that have shown to hold their keys */
	u64 received;      /* datagrams */
	u64 sent;          /* datagrams taken from the queue */
	u64 registrations; /* answered */
	u64 queries;       /* keys asked for */
	u64 pushes;        /* watchers told of a change */
	u64 handshakes;    /* completed */
	u64 relayed;       /* datagrams forwarded */
	u64 relayed_bytes;
	u64 relay_limited; /* not forwarded: over a limit */
	u64 refused;       /* strangers for whom there was no room */
	u64 crowded;       /* nodes forgotten because others need a place more */
	u32 streams;       /* whose node is known */
	struct drop_counts drops;
};

/* 0, -ENOMEM, -EINVAL. */
int mapserver_create(struct mapserver **ret, const struct mapserver_options *options);
void mapserver_destroy(struct mapserver *m);

/* Where a listener is reached: its local address and port. A map that has several endpoints lets
 * nodes test their NATs with them. */
void mapserver_set_listener(struct mapserver *m, u8 listener, const struct endpoint *local);
/* A train that came in on a listener (socket index), or one datagram over a connection. Takes over
 * the reference. */
void mapserver_receive(struct mapserver *m, u64 now, u32 listener, const struct endpoint *source,
		       struct buf *b);

/* The listener that stands for a connection: its place (below max_streams) among those that are open,
 * and a number that tells it from those that had the place before. */
static inline u32 mapserver_stream(u32 place, u32 life)
{
	return MAPSERVER_IS_STREAM |
	       life % (MAPSERVER_IS_STREAM / MAPSERVER_STREAMS) * MAPSERVER_STREAMS | place;
}

static inline u32 mapserver_stream_place(u32 listener)
{
	return listener % MAPSERVER_STREAMS;
}

/* Has a node shown over it that it holds its key? */
bool mapserver_stream_known(const struct mapserver *m, u32 listener);
/* It is closed: nobody is there any more. Also of one that nobody has said anything over. */
void mapserver_stream_closed(struct mapserver *m, u64 now, u32 listener);
u64 mapserver_next_expiry(const struct mapserver *m);
void mapserver_expire(struct mapserver *m, u64 now);

struct map_outgoing {
	struct buf *buf;             /* the receiver's to put; may be shared: read only */
	struct endpoint destination; /* of a connection: means nothing */
	u32 listener;
};

bool mapserver_next_outgoing(struct mapserver *m, struct map_outgoing *ret);
const struct mapserver_stats *mapserver_stats(const struct mapserver *m);

#endif
