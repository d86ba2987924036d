/* SPDX-License-Identifier: MIT */
/*
 * gate_udp.c - a loopback UDP socket as the application's end of a tunnel.
 *
 * What applications send to application_to_gate goes into the tunnel. What comes out of it goes
 * to gate_to_application or, when that is not configured, to whoever sent last: any process of
 * this host can make itself the last sender by sending one datagram, so name gate_to_application
 * where processes do not trust each other. Senders with an address that is not loopback are
 * refused.
 *
 * With `offload`, payloads of one size that follow one another go out as one train, which the kernel
 * cuts (UDP_SEGMENT) unless the application takes trains itself (UDP_GRO): for any other, each is a
 * datagram as ever. What an application sends as a train comes in as one, and is cut here.
 *
 * An application that is not there is no error. The kernel tells it (IP_RECVERR) by failing the
 * next call and by an entry of the error queue for each message that nobody wanted: its payloads
 * become DROP_GATE_CLOSED. That the application's receive buffer overflowed, the kernel tells to nobody.
 */
#include "warp/gate.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/udp_control.h"
#include "warp/log.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

#define BATCH 32u                        /* messages a call */
#define TRAINS_AT_ONCE 8u                /* of the application, of up to 64 KiB each */
#define QUEUE_PAYLOADS 256u              /* on their way to the application */
#define RECEIVE_BUFFER (4 * 1024 * 1024) /* bytes that an application may be ahead of us */
#define ERRORS_AT_ONCE 64u

struct gate_udp {
	struct gate gate;
	bool learn;             /* deliveries go to the last sender */
	bool segmentation;      /* trains go out, until the kernel refuses one */
	bool trains_come;       /* there were some in the last batch */
	u32 last_sent;          /* payloads in the last message that the kernel took */
	struct endpoint local;  /* as configured, to be named by */
	struct endpoint target; /* family 0: nobody has sent yet */
	union inet_sockaddr to; /* target, as the kernel wants it */
	socklen_t to_size;
	struct {
		struct mmsghdr message[BATCH];
		struct iovec vector[BATCH];
		union udp_control control[BATCH];
		union inet_sockaddr source[BATCH];
		struct buf *buf[BATCH];
	} in;
	struct {
		struct mmsghdr message[BATCH];
		union udp_control control[BATCH];
		struct iovec vector[QUEUE_PAYLOADS]; /* messages are runs of these */
		struct buf *buf[QUEUE_PAYLOADS];
		u32 count; /* payloads */
	} out;
};

static struct gate_udp *gate_udp(struct gate *g)
{
	return (struct gate_udp *)g;
}

static void set_target(struct gate_udp *u, const struct endpoint *target)
{
	if (endpoint_equal(&u->target, target))
		return;
	u->target = *target;
	u->to_size = endpoint_to_sockaddr(target, &u->to);
}

/* --- from the application ----------------------------------------------------------------- */

/* Counts the payloads that found nobody. An entry does not say of how many; on loopback it is there
 * as soon as they are sent, so it is about the last ones. */
static void read_errors(struct gate_udp *u)
{
	struct msghdr message = { 0 };
	u32 i;

	for (i = 0; i < ERRORS_AT_ONCE; i++) {
		if (recvmsg(u->gate.fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return;
		gate_drop(&u->gate, DROP_GATE_CLOSED, u->last_sent);
	}
}

/* There is no buffer: what waits is dropped, as later it would only be older. */
static void discard(struct gate_udp *u)
{
	u8 nothing;
	u32 i;

	for (i = 0; i < BATCH; i++) {
		if (recv(u->gate.fd, &nothing, sizeof(nothing), MSG_DONTWAIT) < 0)
			return;
		gate_drop(&u->gate, DROP_NO_BUFFER, 1);
	}
}

/* Buffers for the next batch, as many as there are. */
static u32 get_buffers(struct gate_udp *u)
{
	u32 i, most = u->trains_come ? TRAINS_AT_ONCE : BATCH;

	for (i = 0; i < most; i++) {
		u->in.buf[i] = gate_buf(&u->gate);
		if (!u->in.buf[i])
			break;
		u->in.vector[i].iov_base = buf_data(u->in.buf[i]);
		u->in.message[i].msg_hdr.msg_namelen = sizeof(u->in.source[i]);
		udp_control_prepare(&u->in.message[i].msg_hdr, &u->in.control[i]);
	}
	return i;
}

/* Each payload gets a buffer of its own, as it is framed and sealed where it lies. */
static void send_cut(struct gate_udp *u, u64 now, struct buf *train, u32 segment)
{
	u32 at, size;
	struct buf *b;

	for (at = 0; at < train->length; at += segment) {
		size = train->length - at < segment ? train->length - at : segment;
		b = gate_buf(&u->gate);
		if (!b) {
			gate_drop(&u->gate, DROP_NO_BUFFER, 1);
			continue;
		}
		memcpy(buf_data(b), buf_data(train) + at, size);
		b->length = size;
		gate_send(&u->gate, now, b);
	}
	buf_put(train);
}

/* Takes over the reference to b: what was received with message i. */
static void send_whole_or_cut(struct gate_udp *u, u64 now, u32 i, struct buf *b)
{
	u32 segment = udp_control_segment(&u->in.message[i].msg_hdr);

	if (segment && segment < b->length) {
		u->trains_come = true;
		send_cut(u, now, b, segment);
	} else {
		gate_send(&u->gate, now, b);
	}
}

/* Takes over the reference to the buffer. */
static void take(struct gate_udp *u, u64 now, u32 i)
{
	const struct mmsghdr *m = &u->in.message[i];
	struct buf *b = u->in.buf[i];
	struct endpoint source = { 0 };

	if (endpoint_from_sockaddr(&u->in.source[i], m->msg_hdr.msg_namelen, &source) < 0 ||
	    !address_is_loopback(&source.address)) {
		gate_drop(&u->gate, DROP_NOT_ALLOWED, 1);
		buf_put(b);
	} else if (!m->msg_len) {
		gate_drop(&u->gate, DROP_MALFORMED, 1);
		buf_put(b);
	} else {
		if (u->learn)
			set_target(u, &source);
		b->length = m->msg_len;
		send_whole_or_cut(u, now, i, b);
	}
}

static void udp_readable(struct gate *g, u64 now)
{
	struct gate_udp *u = gate_udp(g);
	u32 i, room = get_buffers(u);
	int count = 0;

	if (room)
		count = recvmmsg(g->fd, u->in.message, room, MSG_DONTWAIT, NULL);
	else
		discard(u);
	if (count <= 0)
		read_errors(u);
	else
		u->trains_come = false;
	/* First the unused ones, so that those on top of the pool are warm. */
	while (room && (int)room > count)
		buf_put(u->in.buf[--room]);
	for (i = 0; i < room; i++)
		take(u, now, i);
}

/* --- to the application ------------------------------------------------------------------- */

/* How many payloads from `from` on make one message: all of one size, but the last may be less. */
static u32 train_length(const struct gate_udp *u, u32 from)
{
	const struct iovec *v = &u->out.vector[from];
	u32 most = u->segmentation ? u->out.count - from : 1, n = 1;
	size_t bytes = v[0].iov_len;

	if (most > UDP_SEGMENTS_MAX)
		most = UDP_SEGMENTS_MAX;
	while (n < most && v[n - 1].iov_len == v[0].iov_len && v[n].iov_len <= v[0].iov_len &&
	       bytes + v[n].iov_len <= UDP_TRAIN_MAX)
		bytes += v[n++].iov_len;
	return n;
}

/* Makes messages of what is queued from `from` on; returns how many. */
static u32 gather(struct gate_udp *u, u32 from)
{
	u32 i, n;

	for (i = 0; i < BATCH && from < u->out.count; i++, from += n) {
		struct msghdr *h = &u->out.message[i].msg_hdr;

		n = train_length(u, from);
		h->msg_iov = &u->out.vector[from];
		h->msg_iovlen = n;
		h->msg_namelen = u->to_size;
		udp_control_put(h, &u->out.control[i], n > 1 ? (u32)h->msg_iov->iov_len : 0);
	}
	return i;
}

/* Is it the train that was refused? Once is enough, for instance with an lo whose MTU is small. */
static bool give_up_trains(struct gate_udp *u, u32 payloads, int error)
{
	if (payloads < 2 || (error != EINVAL && error != EMSGSIZE && error != EIO &&
			     error != ENOPROTOOPT && error != EOPNOTSUPP))
		return false;
	u->segmentation = false;
	log_warnx("udp %s: the kernel refuses trains (%s): payloads go one by one",
		  endpoint_text(&u->local), strerror(error));
	return true;
}

/* The kernel took count messages: how many payloads these are. */
static u32 payloads_sent(struct gate_udp *u, u32 count)
{
	u32 i, n = 0;

	for (i = 0; i < count; i++)
		n += (u32)u->out.message[i].msg_hdr.msg_iovlen;
	u->last_sent = (u32)u->out.message[count - 1].msg_hdr.msg_iovlen;
	return n;
}

/* Sends what is queued from `from` on; returns how many payloads are done with. A refusal concerns
 * what was sent before: it is read from the error queue, and the same message is sent again. */
static u32 send_some(struct gate_udp *u, u32 from, u32 *refusals)
{
	u32 first, count = gather(u, from);
	int sent = sendmmsg(u->gate.fd, u->out.message, count, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent > 0)
		return payloads_sent(u, (u32)sent);
	if (errno == EINTR)
		return 0;
	if (errno == ECONNREFUSED && (*refusals)++ < 2 * QUEUE_PAYLOADS) {
		read_errors(u);
		return 0;
	}
	first = (u32)u->out.message[0].msg_hdr.msg_iovlen;
	if (give_up_trains(u, first, errno))
		return 0;
	gate_drop(&u->gate, gate_send_failed(errno, DROP_SEND_ERROR), first);
	return first;
}

static void udp_flush(struct gate *g)
{
	struct gate_udp *u = gate_udp(g);
	u32 i, done = 0, refusals = 0;

	while (done < u->out.count)
		done += send_some(u, done, &refusals);
	for (i = 0; i < u->out.count; i++)
		buf_put(u->out.buf[i]);
	u->out.count = 0;
}

static void udp_deliver(struct gate *g, const struct delivery *d)
{
	struct gate_udp *u = gate_udp(g);
	u32 i;

	if (!u->to_size) {
		gate_drop(&u->gate, DROP_GATE_CLOSED, 1);
		buf_put(d->buf);
		return;
	}
	i = u->out.count++;
	u->out.buf[i] = d->buf;
	u->out.vector[i] = (struct iovec){ .iov_base = d->data, .iov_len = d->size };
	if (u->out.count == QUEUE_PAYLOADS)
		udp_flush(g);
}

/* --- opening and closing ------------------------------------------------------------------ */

static void udp_close(struct gate *g)
{
	struct gate_udp *u = gate_udp(g);
	u32 i;

	for (i = 0; i < u->out.count; i++)
		buf_put(u->out.buf[i]);
	if (g->fd >= 0)
		close(g->fd);
	free(u);
}

static const struct gate_ops udp_ops = {
	.readable = udp_readable,
	.deliver = udp_deliver,
	.flush = udp_flush,
	.close = udp_close,
};

static void prepare_messages(struct gate_udp *u)
{
	u32 i;

	for (i = 0; i < BATCH; i++) {
		u->in.vector[i].iov_len = BUF_PAYLOAD_MAX;
		u->in.message[i].msg_hdr.msg_iov = &u->in.vector[i];
		u->in.message[i].msg_hdr.msg_iovlen = 1;
		u->in.message[i].msg_hdr.msg_name = &u->in.source[i];
		u->out.message[i].msg_hdr.msg_name = &u->to;
	}
}

static void set_options(int fd, int family)
{
	int on = 1, size = RECEIVE_BUFFER;

	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
	} else {
		setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

/* Trains, as far as the kernel has them. */
static void use_trains(struct gate_udp *u)
{
	int value = 0;
	socklen_t size = sizeof(value);

	u->segmentation = getsockopt(u->gate.fd, SOL_UDP, UDP_SEGMENT, &value, &size) == 0;
	value = 1;
	setsockopt(u->gate.fd, SOL_UDP, UDP_GRO, &value, sizeof(value));
}

static int bind_local(struct gate_udp *u, const struct endpoint *local)
{
	union inet_sockaddr name;
	socklen_t size = endpoint_to_sockaddr(local, &name);

	if (!address_is_loopback(&local->address))
		return -EINVAL;
	u->gate.fd = socket(name.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (u->gate.fd < 0)
		return -errno;
	set_options(u->gate.fd, name.any.sa_family);
	if (u->gate.offload)
		use_trains(u);
	return bind(u->gate.fd, &name.any, size) < 0 ? -errno : 0;
}

static const char *bind_hint(int error)
{
	switch (error) {
	case -EADDRINUSE:
		return ": another program has this port";
	case -EADDRNOTAVAIL:
		return ": is the interface lo up?";
	case -EINVAL:
		return ": a gate has a loopback address";
	default:
		return "";
	}
}

int gate_open_udp(struct gate **ret, const struct gate_options *options,
		  const struct conf_gate *conf, struct conf_error *ret_error)
{
	struct gate_udp *u = calloc(1, sizeof(*u));
	int error = -ENOMEM;

	if (u) {
		u->gate = gate_begin(&udp_ops, options);
		u->learn = conf->gate_to_application.address.family == 0;
		set_target(u, &conf->gate_to_application);
		u->local = conf->application_to_gate;
		prepare_messages(u);
		error = bind_local(u, &conf->application_to_gate);
	}
	if (error) {
		snprintf(ret_error->text, sizeof(ret_error->text), "udp %s: %s%s",
			 endpoint_text(&conf->application_to_gate), strerror(-error),
			 bind_hint(error));
		if (u)
			udp_close(&u->gate);
		return error;
	}
	*ret = &u->gate;
	return 0;
}
