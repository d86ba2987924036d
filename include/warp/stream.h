/* SPDX-License-Identifier: MIT */
/*
 * stream.h - one TCP connection that carries datagrams, never blocking.
 *
 * What is sent goes to the kernel at once, or waits, as far as that is allowed; what finds no place is
 * lost as if on the way, so that nothing old delays what is new. An idle connection has no
 * buffers at all: a datagram that has come in part, and what waits, have just the memory that they
 * need, while they need it.
 */
#ifndef WARP_STREAM_H
#define WARP_STREAM_H

#include "warp/endpoint.h"
#include "warp/engine.h"
#include "warp/streamframe.h"

#define STREAM_READ (32u << 10) /* bytes read at once, at most */

struct stream;

struct stream_options {
	struct address local;     /* to connect from */
	char ifname[IFNAME_SIZE]; /* over this device; "": over any */
	u32 ifindex;              /* of that device */
	struct endpoint remote;
};

/* Begins to connect: wait until it is writable. 0, or -errno. */
int stream_connect(struct stream **ret, const struct stream_options *options);
/* Opens a socket that listens there. 0, or -errno. */
int stream_listen(int *ret_fd, const struct endpoint *local);
/* Of a socket that was accepted, which it takes over, also when that fails: -ENOMEM, -errno. */
int stream_accepted(struct stream **ret, int fd);
/* NULL is allowed. */
void stream_close(struct stream *s);
int stream_fd(const struct stream *s);
/* It was writable while it connected: 0 or -errno. */
int stream_finish(struct stream *s);
/* Call stream_flush() when it is writable. */
bool stream_waits(const struct stream *s);
/* 0, or -errno: the connection is at its end. */
int stream_flush(struct stream *s);
/* Sends one datagram, which is only read. room: how many bytes of whole datagrams may wait. 0; -EMSGSIZE and -ENOBUFS: it is
 * lost, the connection goes on; another -errno: the connection is at its end. */
int stream_send(struct stream *s, u8 *data, u32 size, u32 room);

/* Reads once, and gives out whole datagrams; take must not close the stream. Returns how many bytes
 * were read, 0: nothing waits; -ECONNRESET: the far end has closed, -EBADMSG: it sends something else
 * than datagrams, or another -errno: the connection is at its end. */
int stream_receive(struct stream *s, void (*take)(void *ctx, const u8 *data, u32 size), void *ctx);

#endif
