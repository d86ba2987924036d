/* SPDX-License-Identifier: MIT */
/*
 * mapserver.h - the facade of the map's core: hub + registry, datagrams in and out.
 *
 * Shape and rules are those of engine.h: nothing is called back, output is drained.
 */
#ifndef WARP_MAPSERVER_H
#define WARP_MAPSERVER_H

#include "warp/buf.h"
#include "warp/crypto.h"
#include "warp/drop.h"
#include "warp/endpoint.h"

#define MAPSERVER_QUEUE 4096u /* datagrams waiting to be sent; a power of two */

struct mapserver_options {
	struct identity identity;
	struct allocator allocator;
	struct random_source random;
	struct pool *pool;
	u64 client_expiry; /* ns */
	u32 max_nodes;
	u64 handshake_rate; /* a second, before cookies are asked for */
	/* NULL: anybody may register; else only keys for which it says true. */
	bool (*admit)(void *ctx, const u8 key[static KEY_SIZE]);
	void *ctx;
};

struct mapserver;

struct mapserver_stats {
	u32 nodes;
	u64 received, sent, registrations, queries, pushes, handshakes;
	struct drop_counts drops;
};

/* 0, -ENOMEM, -EINVAL. */
int mapserver_create(struct mapserver **ret, const struct mapserver_options *options);
void mapserver_destroy(struct mapserver *m);

/* A train that came in on a listener (socket index). Takes over the reference. */
void mapserver_receive(struct mapserver *m, u64 now, u8 listener, const struct endpoint *source,
		       struct buf *b);
u64 mapserver_next_expiry(const struct mapserver *m);
void mapserver_expire(struct mapserver *m, u64 now);

struct map_outgoing {
	struct buf *buf; /* the receiver's to put */
	struct endpoint destination;
	u8 listener;
};

bool mapserver_next_outgoing(struct mapserver *m, struct map_outgoing *ret);
const struct mapserver_stats *mapserver_stats(const struct mapserver *m);

#endif
