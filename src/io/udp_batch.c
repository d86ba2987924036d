/* SPDX-License-Identifier: MIT */
/*
 * udp_batch.c - trains through UDP sockets, many a call: recvmmsg, sendmmsg, UDP_GRO, UDP_SEGMENT.
 *
 * Message headers point at their vectors, addresses and control bytes for good. For receiving,
 * each also has a buffer from the pool; those that recvmmsg filled are handed out and replaced by
 * the next call, the others lie ready as they are.
 *
 * For sending, trains are cut in pieces, one message each: a datagram, or up to UDP_SEGMENTS_MAX
 * datagrams of one size that the kernel cuts (UDP_SEGMENT), or where it cannot, one datagram of
 * the train. A cursor tells how far the kernel has taken them.
 */
#include "udp_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "io/udp_control.h"
#include "warp/sockaddr.h"

struct slot {
	struct iovec iov;
	union inet_sockaddr address;
	union udp_control control;
};

/* How many trains, and how many bytes of the next, the kernel has. */
struct cursor {
	size_t train;
	u32 offset;
};

struct udp_batch {
	struct allocator allocator;
	struct pool *pool;
	struct mmsghdr in[UDP_BATCH], out[UDP_BATCH];
	struct slot in_slot[UDP_BATCH], out_slot[UDP_BATCH];
	struct buf *buf[UDP_BATCH];   /* of in[], or NULL */
	struct cursor end[UDP_BATCH]; /* after out[i] */
};

static void link_headers(struct mmsghdr *header, struct slot *slot)
{
	for (u32 i = 0; i < UDP_BATCH; i++) {
		header[i].msg_hdr.msg_name = &slot[i].address;
		header[i].msg_hdr.msg_iov = &slot[i].iov;
		header[i].msg_hdr.msg_iovlen = 1;
	}
}

struct udp_batch *udp_batch_create(const struct allocator *a, struct pool *pool)
{
	struct udp_batch *b = mem_alloc(a, sizeof(*b));

	if (!b)
		return NULL;
	b->allocator = *a;
	b->pool = pool;
	link_headers(b->in, b->in_slot);
	link_headers(b->out, b->out_slot);
	return b;
}

void udp_batch_destroy(struct udp_batch *batch)
{
	struct allocator a;

	if (!batch)
		return;
	for (u32 i = 0; i < UDP_BATCH; i++)
		buf_put(batch->buf[i]);
	a = batch->allocator;
	mem_free(&a, batch, sizeof(*batch));
}

/* --- receiving --------------------------------------------------------------------------- */

/* Makes in[i] ready; false: the pool is empty. */
static bool prepare(struct udp_batch *b, u32 i)
{
	struct msghdr *h = &b->in[i].msg_hdr;
	struct buf *buf;

	if (b->buf[i])
		return true;
	buf = buf_get(b->pool);
	if (!buf)
		return false;
	b->buf[i] = buf;
	b->in_slot[i].iov.iov_base = buf_data(buf);
	b->in_slot[i].iov.iov_len = BUF_PAYLOAD_MAX;
	h->msg_namelen = sizeof(b->in_slot[i].address);
	udp_control_prepare(h, &b->in_slot[i].control);
	return true;
}

static void hand_out(struct udp_batch *b, u32 i, struct received *ret)
{
	struct mmsghdr *m = &b->in[i];
	u32 segment = udp_control_segment(&m->msg_hdr);

	ret->buf = b->buf[i];
	ret->buf->length = m->msg_len;
	ret->buf->segment = segment < m->msg_len ? segment : 0;
	b->buf[i] = NULL;
	/* Of the socket's own family, so it cannot fail. */
	memset(&ret->source, 0, sizeof(ret->source));
	endpoint_from_sockaddr(&b->in_slot[i].address, m->msg_hdr.msg_namelen, &ret->source);
}

int udp_receive(struct udp *u, struct udp_batch *batch, struct received *ret, size_t max)
{
	u32 ready = 0;
	int n;

	while (ready < UDP_BATCH && ready < max && prepare(batch, ready))
		ready++;
	if (!ready)
		return max ? -ENOBUFS : 0;
	n = recvmmsg(u->fd, batch->in, ready, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	for (u32 i = 0; i < (u32)n; i++)
		hand_out(batch, i, &ret[i]);
	return n;
}

/* --- sending ----------------------------------------------------------------------------- */

/* How much of a train, of which `left` bytes are to go, goes into one message. */
static u32 piece_size(const struct buf *b, u32 left, bool segmentation)
{
	u32 size;

	if (!b->segment || left <= b->segment)
		return left;
	if (!segmentation || b->segment > UDP_TRAIN_MAX / 2)
		return b->segment;
	size = UDP_TRAIN_MAX / b->segment;
	size = (size < UDP_SEGMENTS_MAX ? size : UDP_SEGMENTS_MAX) * b->segment;
	return left < size ? left : size;
}

static void put_piece(struct udp_batch *batch, u32 i, const struct outgoing *o, u32 offset,
		      u32 size)
{
	struct slot *slot = &batch->out_slot[i];
	struct msghdr *h = &batch->out[i].msg_hdr;

	slot->iov.iov_base = buf_data(o->buf) + o->from + offset;
	slot->iov.iov_len = size;
	h->msg_namelen = endpoint_to_sockaddr(&o->destination, &slot->address);
	udp_control_put(h, &slot->control, size > o->buf->segment ? o->buf->segment : 0);
}

/* Prepares messages for what is behind `at`; returns how many. */
static u32 gather(struct udp_batch *batch, const struct outgoing *out, size_t count,
		  struct cursor at, bool segmentation)
{
	u32 n = 0, size;

	while (n < UDP_BATCH && at.train < count) {
		const struct outgoing *o = &out[at.train];

		size = piece_size(o->buf, o->size - at.offset, segmentation);
		put_piece(batch, n, o, at.offset, size);
		at.offset += size;
		if (at.offset >= o->size)
			at = (struct cursor){ .train = at.train + 1 };
		batch->end[n++] = at;
	}
	return n;
}

/* Did the first message fail only because the kernel should have cut it? EIO: the device cannot
 * compute checksums, and never will. EINVAL: among others, what became EMSGSIZE later. */
static bool must_cut_ourselves(struct udp *u, const struct udp_batch *batch, int error)
{
	if (!batch->out[0].msg_hdr.msg_control)
		return false;
	if (error == EIO || error == EOPNOTSUPP)
		u->segmentation = false;
	return error == EIO || error == EOPNOTSUPP || error == EINVAL;
}

/* What is left of a train whose beginning the kernel has taken cannot be offered again. Returns
 * whether to go on behind it. */
static bool skip_rest(struct cursor *at, int error)
{
	if (!at->offset)
		return false;
	*at = (struct cursor){ .train = at->train + 1 };
	return error != EAGAIN;
}

size_t udp_send(struct udp *u, struct udp_batch *batch, const struct outgoing *out, size_t count,
		int *ret_error)
{
	struct cursor at = { 0 };
	bool segmentation = u->segmentation;
	int n, error;

	*ret_error = 0;
	while (at.train < count) {
		n = sendmmsg(u->fd, batch->out, gather(batch, out, count, at, segmentation), 0);
		error = n < 0 ? errno : 0;
		if (n > 0) {
			at = batch->end[n - 1];
		} else if (must_cut_ourselves(u, batch, error)) {
			segmentation = false;
		} else if (error != EINTR && !skip_rest(&at, error)) {
			*ret_error = at.train < count ? error : 0;
			break;
		}
	}
	return at.train;
}
