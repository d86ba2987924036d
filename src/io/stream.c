/* SPDX-License-Identifier: MIT */
/*
 * stream.c - see stream.h.
 *
 * The kernel keeps little that it has not sent (TCP_NOTSENT_LOWAT): its buffers would be seconds of
 * a slow link, with datagrams in them that nobody waits for any more. And it gives up on
 * a far end that acknowledges nothing for a while (TCP_USER_TIMEOUT, RFC 5482).
 */
#include "warp/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/device.h"
#include "warp/sockaddr.h"

#define BACKLOG 512
#define NOT_SENT 16384
#define USER_TIMEOUT 15000 /* ms */

struct stream {
	int fd;
	u32 rest_size; /* of the beginning of a datagram, behind its length */
	u8 *rest;
	u8 *queue; /* NULL: nothing waits */
	u32 queue_from, queue_to, queue_size;
};

/* --- life --------------------------------------------------------------------------------- */

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

static int configure(int fd)
{
	int r = set(fd, IPPROTO_TCP, TCP_NODELAY, 1);

	if (r == 0)
		r = set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOT_SENT);
	if (r == 0)
		r = set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT);
	return r;
}

static int listen_on(int fd, const struct endpoint *local)
{
	const int on = 1, once = 1;
	union inet_sockaddr sa;
	socklen_t length = endpoint_to_sockaddr(local, &sa);

	/* Who asks for a connection in another's name sends him two answers, not the usual six. Whoever
	 * has missed both asks again himself. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &once, sizeof(once)))
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (local->address.family == 6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on))) ||
	    bind(fd, &sa.any, length) || listen(fd, BACKLOG))
		return -errno;
	return 0;
}

int stream_listen(int *ret_fd, const struct endpoint *local)
{
	int fd = socket(address_af(&local->address), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			IPPROTO_TCP);
	int r;

	if (fd < 0)
		return -errno;
	r = listen_on(fd, local);
	if (r) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int stream_accepted(struct stream **ret, int fd)
{
	struct stream *s = calloc(1, sizeof(*s));
	int r = s ? configure(fd) : -ENOMEM;

	if (r) {
		free(s);
		close(fd);
		return r;
	}
	s->fd = fd;
	*ret = s;
	return 0;
}

/* The kernel chooses the port when it knows where to. */
static int bind_local(int fd, const struct stream_options *o)
{
	const struct endpoint local = { .address = o->local };
	union inet_sockaddr sa;
	socklen_t length = endpoint_to_sockaddr(&local, &sa);
	int r = o->ifname[0] ? device_bind(fd, o->ifindex, o->ifname) : 0;

	if (r)
		return r;
	set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	return bind(fd, &sa.any, length) ? -errno : 0;
}

static int begin(int fd, const struct stream_options *o)
{
	union inet_sockaddr sa;
	socklen_t length = endpoint_to_sockaddr(&o->remote, &sa);
	int r = bind_local(fd, o);

	if (r)
		return r;
	return connect(fd, &sa.any, length) && errno != EINPROGRESS ? -errno : 0;
}

int stream_connect(struct stream **ret, const struct stream_options *options)
{
	struct stream *s;
	int fd, r;

	fd = socket(address_af(&options->local), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	r = stream_accepted(&s, fd);
	if (r)
		return r;
	r = begin(fd, options);
	if (r)
		stream_close(s);
	else
		*ret = s;
	return r;
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	close(s->fd);
	free(s->rest);
	free(s->queue);
	free(s);
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

int stream_finish(struct stream *s)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

/* --- sending ------------------------------------------------------------------------------ */

bool stream_waits(const struct stream *s)
{
	return s->queue != NULL;
}

static u32 waiting(const struct stream *s)
{
	return s->queue_to - s->queue_from;
}

static void drop_queue(struct stream *s)
{
	free(s->queue);
	s->queue = NULL;
	s->queue_from = s->queue_to = s->queue_size = 0;
}

/* What has gone makes room; more than that is asked for in powers of two. */
static int make_room(struct stream *s, u32 size)
{
	u32 wanted = s->queue_size ? s->queue_size : STREAM_FRAME_MAX;
	u8 *queue;

	if (s->queue && s->queue_from) {
		memmove(s->queue, s->queue + s->queue_from, waiting(s));
		s->queue_to -= s->queue_from;
		s->queue_from = 0;
	}
	while (wanted < s->queue_to + size)
		wanted *= 2;
	if (wanted == s->queue_size)
		return 0;
	queue = realloc(s->queue, wanted);
	if (!queue)
		return -ENOMEM;
	s->queue = queue;
	s->queue_size = wanted;
	return 0;
}

/* There is room. */
static void enqueue(struct stream *s, const u8 *data, u32 size)
{
	if (!s->queue || !size)
		return;
	memcpy(s->queue + s->queue_to, data, size);
	s->queue_to += size;
}

/* How many bytes went; -errno. */
static int write_some(const struct stream *s, struct iovec *iov, size_t count)
{
	const struct msghdr h = { .msg_iov = iov, .msg_iovlen = count };
	ssize_t n = sendmsg(s->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n >= 0)
		return (int)n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int stream_flush(struct stream *s)
{
	struct iovec iov;
	int n;

	if (!s->queue)
		return 0;
	iov = (struct iovec){ s->queue + s->queue_from, waiting(s) };
	n = write_some(s, &iov, 1);
	if (n < 0)
		return n;
	s->queue_from += (u32)n;
	if (waiting(s) == 0)
		drop_queue(s);
	return 0;
}

/* Without memory a datagram that has not begun is lost; else the connection is. */
static int send_later(struct stream *s, const u8 *length, const u8 *data, u32 size, u32 gone)
{
	u32 begun = gone < STREAM_LENGTH_SIZE ? gone : STREAM_LENGTH_SIZE;
	int r = make_room(s, STREAM_LENGTH_SIZE + size);

	if (r) {
		if (!s->queue_to)
			drop_queue(s);
		return gone ? r : -ENOBUFS;
	}
	enqueue(s, length + begun, STREAM_LENGTH_SIZE - begun);
	enqueue(s, data + (gone - begun), size - (gone - begun));
	return 0;
}

int stream_send(struct stream *s, u8 *data, u32 size, u32 room)
{
	u8 length[STREAM_LENGTH_SIZE];
	struct iovec iov[2] = { { length, sizeof(length) }, { data, size } };
	int n = 0;

	if (!streamframe_length(length, size))
		return -EMSGSIZE;
	if (!s->queue)
		n = write_some(s, iov, ARRAY_SIZE(iov));
	if (n < 0)
		return n;
	if ((u32)n == sizeof(length) + size)
		return 0;
	if (n == 0 && waiting(s) + sizeof(length) + size > room)
		return -ENOBUFS;
	return send_later(s, length, data, size, (u32)n);
}

/* --- receiving ---------------------------------------------------------------------------- */

/* Keeps what has come of the next datagram. */
static int keep_rest(struct stream *s, const u8 *data, size_t size)
{
	free(s->rest);
	s->rest = NULL;
	s->rest_size = 0;
	if (!size)
		return 0;
	s->rest = malloc(size);
	if (!s->rest)
		return -ENOMEM;
	memcpy(s->rest, data, size);
	s->rest_size = (u32)size;
	return 0;
}

static int give_out(struct stream *s, const u8 *data, size_t size,
		    void (*take)(void *ctx, const u8 *data, u32 size), void *ctx)
{
	const u8 *datagram;
	size_t at = 0;
	u32 length;
	int r;

	while ((r = streamframe_next(data, size, &at, &datagram, &length)) > 0)
		take(ctx, datagram, length);
	return r < 0 ? r : keep_rest(s, data + at, size - at);
}

int stream_receive(struct stream *s, void (*take)(void *ctx, const u8 *data, u32 size), void *ctx)
{
	u8 bytes[STREAM_FRAME_MAX + STREAM_READ];
	ssize_t n = recv(s->fd, bytes + s->rest_size, STREAM_READ, MSG_DONTWAIT);
	int r;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	if (s->rest_size)
		memcpy(bytes, s->rest, s->rest_size);
	r = give_out(s, bytes, s->rest_size + (size_t)n, take, ctx);
	return r < 0 ? r : (int)n;
}
