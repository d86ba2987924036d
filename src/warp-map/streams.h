/* SPDX-License-Identifier: MIT */
/*
 * streams.h - TCP connections of nodes whose UDP is blocked.
 *
 * Anybody can connect. Until a node has shown over it that it holds its key, a connection is a
 * *stranger's*: it has a few seconds and a few kilobytes, there are only so many of them, in all and
 * from one neighbourhood of addresses, and nothing that is sent to one ever waits in memory. What
 * the map answers to strangers is no larger than what they say. Room for a new stranger is made by
 * closing the oldest one; nodes that are known are never closed for it.
 *
 * A known node's connection lives until it ends, or nothing has come over it for as long as
 * the map remembers nodes.
 */
#ifndef WARP_MAP_STREAMS_H
#define WARP_MAP_STREAMS_H

#include <ev.h>

#include "warp/mapserver.h"

#define STREAMS_STRANGERS 512u      /* at a time */
#define STREAMS_NEIGHBOURS 64u      /* of these in an IPv4 /24, an IPv6 /48 */
#define STREAMS_TIME (5 * NS_PER_S) /* for a handshake */
#define STREAMS_BYTES (8u << 10)    /* that a stranger may say */
#define STREAMS_ROOM (64u << 10)    /* bytes that may wait for one connection, */
#define STREAMS_QUEUES 256u         /* of so many at a time */
#define STREAMS_LISTENERS 64u

struct streams;

struct streams_options {
	const struct endpoint *listen;
	size_t listen_count;
	struct ev_loop *loop;
	struct pool *pool;
	u32 most;                 /* connections, at most MAPSERVER_STREAMS */
	u64 idle;                 /* ns that a known node may be silent */
	void (*after)(void *ctx); /* the core has been told something */
	void *ctx;
};

/* How many connections there can be: as far as files may be opened, which it raises. */
u32 streams_most(void);
/* What cannot be listened at is logged and left out. 0, or -ENOMEM. */
int streams_open(struct streams **ret, const struct streams_options *options);
/* core: what connections belong to. From now on they are accepted. */
void streams_start(struct streams *s, struct mapserver *core);
/* NULL is allowed. Nothing is told to the core any more. */
void streams_close(struct streams *s);
/* At how many addresses it listens; where. */
size_t streams_listeners(const struct streams *s);
const struct endpoint *streams_listener(const struct streams *s, size_t n);
/* Sends over the connection that the listener stands for, if it is still there. */
void streams_send(struct streams *s, const struct map_outgoing *out);

struct streams_stats {
	u32 strangers, known;
	u64 accepted;
	u64 refused; /* too many strangers from one neighbourhood, or no room at all */
	u64 pushed;  /* strangers closed for newer ones */
	u64 late;    /* strangers that took too long */
	u64 bad;     /* said what is no datagram, or too much */
};

const struct streams_stats *streams_stats(const struct streams *s);

#endif
