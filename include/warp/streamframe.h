/* SPDX-License-Identifier: MIT */
/*
 * streamframe.h - datagrams one after another in a stream of bytes, as they go over TCP.
 *
 *    0        2
 *   | length | datagram of so many bytes |   the next one
 *
 * length is 1 to STREAM_DATAGRAM_MAX, in network order. Whoever finds another one does not speak
 * this protocol, or is out of step for good: the connection is of no use any more.
 */
#ifndef WARP_STREAMFRAME_H
#define WARP_STREAMFRAME_H

#include "warp/base.h"

#define STREAM_LENGTH_SIZE 2u
#define STREAM_DATAGRAM_MAX 2048u
#define STREAM_FRAME_MAX (STREAM_LENGTH_SIZE + STREAM_DATAGRAM_MAX)

/* The next whole datagram of data[*at..size): 1, and *at is behind it; 0: more bytes are needed, at
 * most STREAM_FRAME_MAX from *at on; -EBADMSG. */
int streamframe_next(const u8 *data, size_t size, size_t *at, const u8 **ret_datagram,
		     u32 *ret_size);
/* The bytes before a datagram of this size; false: there is none of this size. */
bool streamframe_length(u8 out[static STREAM_LENGTH_SIZE], size_t size);

#endif
