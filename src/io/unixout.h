/* SPDX-License-Identifier: MIT */
/*
 * unixout.h - payloads on their way to applications behind Unix sockets, many a system call.
 */
#ifndef WARP_UNIXOUT_H
#define WARP_UNIXOUT_H

#include <sys/socket.h>

#include "warp/engine.h"

#define UNIX_OUT 32u

struct unix_out {
	u32 count;
	struct mmsghdr message[UNIX_OUT];
	struct iovec part[UNIX_OUT];
	struct buf *buf[UNIX_OUT];
	bool heard[UNIX_OUT]; /* somebody was there to read it, even if too slowly */
	u64 lost[DROP_REASONS];
};

/* Takes over the reference to d->buf. The caller sends before more than UNIX_OUT are in. */
void unix_out_add(struct unix_out *o, const struct delivery *d);
/* All of them, in order, to fd; to, of to_size bytes, or NULL when fd is connected. What a reader
 * does not take is lost for it, and counted in o->lost. Never waits. */
void unix_out_send(struct unix_out *o, int fd, struct sockaddr *to, socklen_t to_size);
/* Counts what nobody heard, puts the buffers. */
void unix_out_finish(struct unix_out *o);

#endif
