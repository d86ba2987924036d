/* SPDX-License-Identifier: MIT */
/*
 * listeners.h - the sockets of the map, and the doors through which datagrams come and go.
 *
 * An answer must leave from the address that its question was sent to: a NAT, and a careful node,
 * take it from nowhere else. A socket with an address of its own has one door, itself. A socket on
 * a wildcard address (0.0.0.0, [::]) has one more for each local address that datagrams were sent
 * to (IP_PKTINFO, RFC 3542), found as they come in; so addresses may come and go. An address that one
 * wildcard socket was reached at is one of the others of its family too. There is room
 * for LISTENER_DOORS; what comes in through more shares the socket's first door, where the kernel
 * chooses the source address.
 */
#ifndef WARP_MAP_LISTENERS_H
#define WARP_MAP_LISTENERS_H

#include "warp/mapserver.h"

#define LISTENER_BATCH 64u  /* datagrams a call */
#define LISTENER_DOORS 256u /* a door is an u8: mapserver's listener */
#define LISTENER_SOCKETS 64u
#define LISTENER_PAYLOAD 2048u /* a buffer of the pool holds as many bytes */

struct listeners;

struct arrival {
	struct buf *buf; /* one datagram; the caller's to put */
	struct endpoint source;
	u8 door;
};

/* Opens a socket for each endpoint. A wildcard whose family this host does not have is left out,
 * as long as another one is there. 0, or -errno; what failed is logged. */
int listeners_open(struct listeners **ret, const struct endpoint *endpoints, size_t count,
		   struct pool *pool);
void listeners_close(struct listeners *l);
size_t listeners_count(const struct listeners *l);
int listeners_fd(const struct listeners *l, size_t socket);
/* How many doors are known by now, and where each is reached. */
size_t listeners_doors(const struct listeners *l);
const struct endpoint *listeners_door(const struct listeners *l, u8 door);
/* Which socket a door belongs to; SIZE_MAX: it is no door. */
size_t listeners_socket(const struct listeners *l, u32 door);

/* Reads from one socket. Returns how many, at most LISTENER_BATCH; 0: nothing waits; -ENOBUFS: the
 * pool is empty; another -errno. */
int listeners_receive(struct listeners *l, size_t socket,
		      struct arrival ret[static LISTENER_BATCH]);

/* Sends a run of datagrams whose doors belong to the same socket as the first one's. Returns how
 * many of the first ones went (at most LISTENER_BATCH), or -errno of the first: -EAGAIN when the
 * socket's buffer is full. The buffers stay the caller's. */
int listeners_send(struct listeners *l, const struct map_outgoing *out, size_t count);

#endif
