/* SPDX-License-Identifier: MIT */
/*
 * streamframe.c - see streamframe.h.
 */
#include "warp/streamframe.h"

#include <errno.h>

#include "warp/wire.h"

int streamframe_next(const u8 *data, size_t size, size_t *at, const u8 **ret_datagram,
		     u32 *ret_size)
{
	size_t left = size - *at;
	u32 length;

	if (left < STREAM_LENGTH_SIZE)
		return 0;
	length = get_u16(data + *at);
	if (length == 0 || length > STREAM_DATAGRAM_MAX)
		return -EBADMSG;
	if (left - STREAM_LENGTH_SIZE < length)
		return 0;
	*ret_datagram = data + *at + STREAM_LENGTH_SIZE;
	*ret_size = length;
	*at += STREAM_LENGTH_SIZE + length;
	return 1;
}

bool streamframe_length(u8 out[static STREAM_LENGTH_SIZE], size_t size)
{
	if (size == 0 || size > STREAM_DATAGRAM_MAX)
		return false;
	put_u16(out, (u16)size);
	return true;
}
