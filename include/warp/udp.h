/* SPDX-License-Identifier: MIT */
/*
 * udp.h - UDP sockets, each with one local address, and the batches that go through them.
 *
 * The sockets set DF and ignore the kernel's idea of the path MTU (IP_PMTUDISC_PROBE): the core
 * finds it out by itself, and a datagram too long for the link fails with EMSGSIZE. Errors that
 * ICMP reports are not reported. Sockets are non-blocking.
 *
 * A struct udp_batch holds the message headers that recvmmsg and sendmmsg want, prepared once; all
 * sockets of a thread share one.
 */
#ifndef WARP_UDP_H
#define WARP_UDP_H

#include "warp/buf.h"
#include "warp/engine.h"

#define UDP_BATCH 64u /* datagrams or trains a call */

struct udp;
struct udp_batch;

struct udp_options {
	struct endpoint local;    /* port 0: the kernel chooses */
	char ifname[IFNAME_SIZE]; /* bind to this device; "": to none */
	u32 ifindex;              /* of that device */
	bool port_required;       /* a busy port is an error; else the kernel chooses another */
	bool trains;              /* receive what the kernel merged (UDP_GRO) as trains */
};

/* -errno: -ENODEV (no device of this name and index), -EADDRNOTAVAIL (the address is gone),
 * -EADDRINUSE (only with port_required), -EPERM, -ENOMEM. Only the change of port is logged. */
int udp_open(struct udp **ret, const struct udp_options *options);
void udp_close(struct udp *u);
int udp_fd(const struct udp *u);
/* The bound address with the actual port. */
const struct endpoint *udp_local(const struct udp *u);

/* Of what was sent, how much the kernel still holds, in bytes of its own measure: never less than that of the
 * datagrams. 0 where it cannot be known. */
u32 udp_queued(const struct udp *u);

/* Received datagrams go into buffers of pool, which outlives the batch; up to UDP_BATCH of them are
 * kept in it. NULL: no memory. */
struct udp_batch *udp_batch_create(const struct allocator *a, struct pool *pool);
void udp_batch_destroy(struct udp_batch *batch);

struct received {
	struct buf *buf; /* at BUF_HEADROOM; the caller's to put */
	struct endpoint source;
};

/* At most min(max, UDP_BATCH). Returns how many; 0: nothing waits; or -errno: -ENOBUFS (the pool is
 * empty, nothing was read). */
int udp_receive(struct udp *u, struct udp_batch *batch, struct received *ret, size_t max);

/* Sends the trains in order until one fails. Returns how many went to the kernel; *ret_error is
 * the errno (positive) of the first that did not, EAGAIN when the socket's buffer is full (wait
 * until it is writable), 0 when all went. A train of more than one datagram is one UDP_SEGMENT
 * send where the kernel can do it, else one send a datagram; when the kernel takes only the
 * beginning of a train, the rest is lost as if on the way. */
size_t udp_send(struct udp *u, struct udp_batch *batch, const struct outgoing *out, size_t count,
		int *ret_error);

#endif
