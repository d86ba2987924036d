/* SPDX-License-Identifier: MIT */
/*
 * gate_unix.c - Unix sockets as the application's end of a tunnel, with back-pressure.
 *
 * A payload stays in the kernel's queue until it is on its way: it is looked at (MSG_PEEK), given
 * to the engine, and consumed when the outboxes hold nothing of this tunnel any more, and a copy of
 * it has left the kernel as well. So at most one payload of a sender is ahead of the wire, and the
 * application's blocking send() runs at the pace of the links. Each socket that applications write to is a `sender`:
 *
 *   quiet    polled; nothing to read
 *   looked   its first payload is with the engine, still in the kernel too; settle() consumes it
 *   parked   not polled, as its payload (or the engine) has to wait; settle() wakes it
 *   ended    the application will not write again, but may still read; polled for hang-up
 *
 * What the engine refuses (no session, no path) is consumed and counted, as UDP would; only a
 * full queue or an empty pool makes the sender wait.
 *
 * SOCK_SEQPACKET: a listener and up to MAX_CLIENTS connections; each may send, a delivery goes to
 * all of them. SOCK_DGRAM: one bound socket, hence one queue; a delivery goes to the last sender
 * that has a name. Deliveries never wait: a reader that does not read loses them.
 */
#include "warp/gate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/unixout.h"
#include "io/unixsock.h"

#define MAX_CLIENTS 16u
#define LISTENER UINT32_MAX       /* as epoll data; others are indices of senders */
#define SEND_BUFFER (1024 * 1024) /* bytes queued for a client that is slow to read */
#define LOOKS 16u                 /* refused payloads consumed at once */
#define ACCEPT_PAUSE NS_PER_S     /* after running out of descriptors */

struct sender {
	int fd; /* -1: unused */
	bool polled, looked, ended;
};

struct gate_unix {
	struct gate gate; /* fd: epoll */
	struct unixsock name;
	enum unix_kind type;
	struct sender sender[MAX_CLIENTS]; /* UNIX_DGRAM: the first, with the fd of name */
	struct sockaddr_un reply_to;       /* UNIX_DGRAM: the last sender with a name */
	socklen_t reply_size;              /* 0: none yet */
	u64 accept_again;                  /* 0: the listener is polled */
	struct unix_out out;               /* deliveries, until flush */
};

enum look {
	LOOK_NOTHING,  /* the queue is empty */
	LOOK_SENT,     /* the engine has the first payload */
	LOOK_CONSUMED, /* the first payload could not be sent and is counted; there may be more */
	LOOK_WAIT,     /* not now */
	LOOK_END,      /* end of file */
};

static struct gate_unix *gate_unix(struct gate *g)
{
	return (struct gate_unix *)g;
}

static u32 index_of(const struct gate_unix *u, const struct sender *s)
{
	return (u32)(s - u->sender);
}

static int poll_change(const struct gate_unix *u, int operation, int fd, u32 events, u32 data)
{
	struct epoll_event event = { .events = events, .data.u32 = data };

	return epoll_ctl(u->gate.fd, operation, fd, &event) < 0 ? -errno : 0;
}

static void sender_poll(struct gate_unix *u, struct sender *s, bool on)
{
	if (s->polled == on)
		return;
	if (poll_change(u, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, s->fd, EPOLLIN, index_of(u, s)) == 0)
		s->polled = on;
}

static void sender_close(struct gate_unix *u, struct sender *s)
{
	sender_poll(u, s, false);
	close(s->fd);
	s->fd = -1;
}

/* It does not write any more; closing it now would take its chance to read answers. */
static void sender_end(struct gate_unix *u, struct sender *s)
{
	sender_poll(u, s, true);
	s->ended = true;
	poll_change(u, EPOLL_CTL_MOD, s->fd, 0, index_of(u, s));
}

/* --- from the application ----------------------------------------------------------------- */

/* Takes the first payload out of the kernel's queue: room for none of it discards all of it. */
static void consume(const struct sender *s)
{
	u8 nothing;

	while (recv(s->fd, &nothing, 0, MSG_DONTWAIT) < 0 && errno == EINTR)
		;
}

/* A connection gives 0 at its end and for an empty message. Only a message has a sender's
 * credentials; there is no room for descriptors that it may carry. */
static bool is_empty_message(const struct gate_unix *u, const struct sender *s)
{
	union {
		struct cmsghdr align;
		u8 bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr message = { .msg_control = &control, .msg_controllen = sizeof(control) };

	if (u->type == UNIX_DGRAM)
		return true;
	return recvmsg(s->fd, &message, MSG_PEEK | MSG_DONTWAIT) == 0 && message.msg_controllen > 0;
}

static enum look refuse(struct gate_unix *u, const struct sender *s, enum drop_reason reason)
{
	if (reason != DROP_NONE)
		gate_drop(&u->gate, reason, 1);
	consume(s);
	return LOOK_CONSUMED;
}

static void remember_reply(struct gate_unix *u, const struct msghdr *message)
{
	if (u->type != UNIX_DGRAM || message->msg_namelen <= offsetof(struct sockaddr_un, sun_path))
		return;
	/* One more than there is, for a path of 108 characters: without a 0 behind it, it is valid, too. */
	u->reply_size = message->msg_namelen < sizeof(u->reply_to) ? message->msg_namelen :
								     (socklen_t)sizeof(u->reply_to);
	memcpy(&u->reply_to, message->msg_name, u->reply_size);
}

static enum look look_failed(const struct gate_unix *u, int error)
{
	switch (error) {
	case EAGAIN:
		return LOOK_NOTHING;
	case EINTR:
	case ECONNRESET: /* told once: it has closed without reading all; its payloads follow */
		return LOOK_CONSUMED;
	default:
		return u->type == UNIX_DGRAM ? LOOK_NOTHING : LOOK_END;
	}
}

/* The first payload of s, in b, goes to the engine. */
static enum look look_send(struct gate_unix *u, struct sender *s, u64 now, struct buf *b)
{
	switch (engine_offer(u->gate.engine, now, u->gate.tunnel, b)) {
	case DROP_NONE:
		s->looked = true;
		return LOOK_SENT;
	case DROP_QUEUE_FULL:
	case DROP_NO_BUFFER:
		return LOOK_WAIT;
	default:
		return refuse(u, s, DROP_NONE); /* counted by the engine */
	}
}

static enum look look_once(struct gate_unix *u, struct sender *s, u64 now)
{
	struct buf *b = gate_buf(&u->gate);
	struct sockaddr_storage from; /* a byte more than sockaddr_un may be told of */
	struct iovec vector;
	struct msghdr message = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &vector, .msg_iovlen = 1
	};
	ssize_t size;

	if (!b)
		return LOOK_WAIT;
	vector = (struct iovec){ .iov_base = buf_data(b), .iov_len = BUF_PAYLOAD_MAX };
	size = recvmsg(s->fd, &message, MSG_PEEK | MSG_DONTWAIT);
	if (size > 0 && !(message.msg_flags & MSG_TRUNC)) {
		b->length = (u32)size;
		remember_reply(u, &message);
		return look_send(u, s, now, b);
	}
	buf_put(b);
	if (size < 0)
		return look_failed(u, errno);
	if (size > 0)
		return refuse(u, s, DROP_TOO_LARGE);
	return is_empty_message(u, s) ? refuse(u, s, DROP_MALFORMED) : LOOK_END;
}

/* Looks at what s has; true: the engine has been given something. */
static bool sender_look(struct gate_unix *u, struct sender *s, u64 now)
{
	enum look look = LOOK_CONSUMED;
	u32 i;

	for (i = 0; i < LOOKS && look == LOOK_CONSUMED; i++)
		look = look_once(u, s, now);
	switch (look) {
	case LOOK_SENT:
		return true;
	case LOOK_WAIT:
		sender_poll(u, s, false);
		return false;
	case LOOK_END:
		sender_end(u, s);
		return false;
	case LOOK_NOTHING:
	case LOOK_CONSUMED:
		break;
	}
	sender_poll(u, s, true);
	return false;
}

/* Consumes what has left, and looks at what is next. */
static bool sender_settle(struct gate_unix *u, struct sender *s, u64 now, bool sent)
{
	if (s->fd < 0 || s->ended || (s->polled && !s->looked))
		return false;
	if (s->looked && !sent) {
		sender_poll(u, s, false);
		return false;
	}
	if (s->looked)
		consume(s);
	s->looked = false;
	return sender_look(u, s, now);
}

/* --- connections -------------------------------------------------------------------------- */

static struct sender *free_sender(struct gate_unix *u)
{
	u32 i;

	for (i = 0; i < MAX_CLIENTS; i++) {
		if (u->sender[i].fd < 0)
			return &u->sender[i];
	}
	return NULL;
}

/* How much may wait for a reader; as root beyond the system's limit. */
static void set_buffer(int fd)
{
	int size = SEND_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* Takes over fd; one client too many is turned away at once, rather than left hanging. */
static void sender_add(struct gate_unix *u, int fd)
{
	struct sender *s = free_sender(u);
	int on = 1;

	if (!s) {
		close(fd);
		return;
	}
	set_buffer(fd);
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)); /* see is_empty_message() */
	*s = (struct sender){ .fd = fd };
	sender_poll(u, s, true);
	if (!s->polled)
		sender_close(u, s);
}

static void accept_clients(struct gate_unix *u, u64 now)
{
	int fd = accept4(u->name.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		sender_add(u, fd);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* Would be told again at once, and for ever. */
		poll_change(u, EPOLL_CTL_DEL, u->name.fd, 0, LISTENER);
		u->accept_again = now + ACCEPT_PAUSE;
	}
}

/* --- to the application ------------------------------------------------------------------- */

/* To every client; of datagrams, to the last sender that has a name. */
static void unix_flush(struct gate *g)
{
	struct gate_unix *u = gate_unix(g);
	u32 i;

	if (u->type == UNIX_DGRAM && u->reply_size)
		unix_out_send(&u->out, u->name.fd, (struct sockaddr *)&u->reply_to, u->reply_size);
	for (i = 0; u->type == UNIX_SEQPACKET && i < MAX_CLIENTS; i++) {
		if (u->sender[i].fd >= 0)
			unix_out_send(&u->out, u->sender[i].fd, NULL, 0);
	}
	unix_out_finish(&u->out);
	for (i = 0; i < DROP_REASONS; i++) {
		gate_drop(g, (enum drop_reason)i, (u32)u->out.lost[i]);
		u->out.lost[i] = 0;
	}
}

static void unix_deliver(struct gate *g, const struct delivery *d)
{
	struct gate_unix *u = gate_unix(g);

	unix_out_add(&u->out, d);
	if (u->out.count == UNIX_OUT)
		unix_flush(g);
}

/* --- operations --------------------------------------------------------------------------- */

static void unix_readable(struct gate *g, u64 now)
{
	struct gate_unix *u = gate_unix(g);
	struct epoll_event event[MAX_CLIENTS + 1];
	int i, count = epoll_wait(g->fd, event, (int)ARRAY_SIZE(event), 0);
	struct sender *s;

	for (i = 0; i < count; i++) {
		if (event[i].data.u32 == LISTENER) {
			accept_clients(u, now);
			continue;
		}
		s = &u->sender[event[i].data.u32];
		if (s->ended)
			sender_close(u, s);
		else if (!s->looked)
			sender_look(u, s, now);
	}
}

/* All that is looked at is on the wire. */
static bool has_left(struct gate_unix *u)
{
	struct gate *g = &u->gate;
	bool looked = false;
	u32 i;

	g->again = 0;
	for (i = 0; i < MAX_CLIENTS; i++)
		looked |= u->sender[i].fd >= 0 && u->sender[i].looked;
	if (engine_pending(g->engine, g->tunnel) > 0)
		return false;
	if (looked && g->waits)
		g->again = g->waits(g->ctx, g->tunnel);
	return g->again == 0;
}

static bool unix_settle(struct gate *g, u64 now)
{
	struct gate_unix *u = gate_unix(g);
	/* Asked once for all, so that no sender goes ahead of another for ever. */
	bool sent = has_left(u), more = false;
	u32 i;

	for (i = 0; i < MAX_CLIENTS; i++)
		more |= sender_settle(u, &u->sender[i], now, sent);
	if (u->accept_again && now >= u->accept_again &&
	    poll_change(u, EPOLL_CTL_ADD, u->name.fd, EPOLLIN, LISTENER) == 0)
		u->accept_again = 0;
	return more;
}

static void unix_close(struct gate *g)
{
	struct gate_unix *u = gate_unix(g);
	u32 i;

	for (i = 0; i < MAX_CLIENTS; i++) {
		if (u->sender[i].fd >= 0 && u->sender[i].fd != u->name.fd)
			close(u->sender[i].fd);
	}
	unix_out_finish(&u->out);
	unixsock_close(&u->name);
	if (g->fd >= 0)
		close(g->fd);
	free(u);
}

static const struct gate_ops unix_ops = {
	.readable = unix_readable,
	.deliver = unix_deliver,
	.flush = unix_flush,
	.settle = unix_settle,
	.close = unix_close,
};

static int unix_bind(struct gate_unix *u, const struct conf_gate *conf,
		     struct conf_error *ret_error)
{
	struct unixsock_options options = {
		.path = conf->path,
		.type = conf->type == UNIX_DGRAM ? SOCK_DGRAM : SOCK_SEQPACKET,
		.mode = conf->mode,
		.group = conf->group,
		.backlog = (int)MAX_CLIENTS,
	};
	int error = unixsock_open(&u->name, &options, ret_error);

	if (error)
		return error;
	if (conf->type == UNIX_DGRAM) {
		set_buffer(u->name.fd);
		u->sender[0].fd = u->name.fd;
		sender_poll(u, &u->sender[0], true);
		return 0;
	}
	return poll_change(u, EPOLL_CTL_ADD, u->name.fd, EPOLLIN, LISTENER);
}

int gate_open_unix(struct gate **ret, const struct gate_options *options,
		   const struct conf_gate *conf, struct conf_error *ret_error)
{
	struct gate_unix *u = calloc(1, sizeof(*u));
	int error = -ENOMEM;
	u32 i;

	snprintf(ret_error->text, sizeof(ret_error->text), "%s: out of memory or descriptors",
		 conf->path);
	if (!u)
		return error;
	u->gate = gate_begin(&unix_ops, options);
	u->gate.fd = epoll_create1(EPOLL_CLOEXEC);
	u->name.fd = -1;
	u->type = conf->type;
	for (i = 0; i < MAX_CLIENTS; i++)
		u->sender[i].fd = -1;
	if (u->gate.fd >= 0)
		error = unix_bind(u, conf, ret_error);
	if (error) {
		unix_close(&u->gate);
		return error;
	}
	*ret = &u->gate;
	return 0;
}
