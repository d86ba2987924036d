/* SPDX-License-Identifier: MIT */
/*
 * unixout.c - payloads on their way to applications behind Unix sockets.
 *
 * sendmmsg() stops at the first message that fails and tells why only when it is the first; so a
 * message that failed is passed over and the rest is tried again: one that is too large for the
 * reader's buffer does not keep the others from it.
 */
#include "unixout.h"

#include <errno.h>

#include "warp/gate.h"

void unix_out_add(struct unix_out *o, const struct delivery *d)
{
	u32 n = o->count++;

	o->part[n] = (struct iovec){ .iov_base = d->data, .iov_len = d->size };
	o->message[n].msg_hdr = (struct msghdr){ .msg_iov = &o->part[n], .msg_iovlen = 1 };
	o->buf[n] = d->buf;
	o->heard[n] = false;
}

static void message_failed(struct unix_out *o, u32 n, int error)
{
	enum drop_reason reason = gate_send_failed(error, DROP_GATE_CLOSED);

	if (reason == DROP_GATE_CLOSED)
		return;
	o->heard[n] = true;
	o->lost[reason]++;
}

void unix_out_send(struct unix_out *o, int fd, struct sockaddr *to, socklen_t to_size)
{
	u32 n;

	for (n = 0; n < o->count; n++) {
		o->message[n].msg_hdr.msg_name = to;
		o->message[n].msg_hdr.msg_namelen = to_size;
	}
	for (n = 0; n < o->count;) {
		int sent = sendmmsg(fd, &o->message[n], o->count - n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent <= 0) {
			message_failed(o, n++, errno);
			continue;
		}
		for (; sent > 0; sent--)
			o->heard[n++] = true;
	}
}

void unix_out_finish(struct unix_out *o)
{
	u32 n;

	for (n = 0; n < o->count; n++) {
		if (!o->heard[n])
			o->lost[DROP_GATE_CLOSED]++;
		buf_put(o->buf[n]);
	}
	o->count = 0;
}
