/* SPDX-License-Identifier: MIT */
/*
 * listeners.c - recvmmsg and sendmmsg with the local address of each datagram.
 *
 * Message headers point at their vectors, addresses and control bytes for good; receiving ones
 * also have a buffer from the pool, replaced when it was handed out. All sockets share them.
 *
 * No valid datagram is longer than LISTENER_PAYLOAD, so what is longer is cut by the kernel and
 * dropped here: a stranger's 64 KiB touch no more memory than a short datagram.
 */
#include "listeners.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "warp/log.h"
#include "warp/sockaddr.h"
#include "warp/text.h"
#include "warp/udp.h"

_Static_assert(LISTENER_PAYLOAD >= MAPSERVER_DATAGRAM, "what is sent does not fit in a buffer");
_Static_assert(LISTENER_SOCKETS < LISTENER_DOORS, "each socket has a door");

union control {
	struct cmsghdr header;
	u8 bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct message {
	struct iovec iov;
	union inet_sockaddr address;
	union control control;
};

struct door {
	u8 socket;
	bool chosen; /* by us: else the kernel chooses the address of what leaves */
	struct endpoint local;
};

struct listeners {
	struct pool *pool;
	struct udp *sockets[LISTENER_SOCKETS];
	size_t count;
	struct door doors[LISTENER_DOORS]; /* the first ones are the sockets' own */
	size_t door_count;
	struct mmsghdr in[LISTENER_BATCH], out[LISTENER_BATCH];
	struct message in_message[LISTENER_BATCH], out_message[LISTENER_BATCH];
	struct buf *buf[LISTENER_BATCH]; /* of in[], or NULL */
};

/* --- opening ----------------------------------------------------------------------------- */

static bool is_wildcard(const struct endpoint *e)
{
	static const u8 zero[sizeof(e->address.bytes)];

	return !memcmp(e->address.bytes, zero, sizeof(zero));
}

static int ask_for_local_address(int fd, u8 family)
{
	const int on = 1;
	int r = family == 4 ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) :
			      setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));

	return r ? -errno : 0;
}

static int open_socket(struct udp **ret, const struct endpoint *e)
{
	const struct udp_options options = { .local = *e, .port_required = true };
	struct udp *u;
	int r = udp_open(&u, &options);

	if (r)
		return r;
	if (is_wildcard(e))
		r = ask_for_local_address(udp_fd(u), e->address.family);
	if (r)
		udp_close(u);
	else
		*ret = u;
	return r;
}

static void link_headers(struct mmsghdr *header, struct message *message)
{
	for (u32 i = 0; i < LISTENER_BATCH; i++) {
		header[i].msg_hdr.msg_name = &message[i].address;
		header[i].msg_hdr.msg_iov = &message[i].iov;
		header[i].msg_hdr.msg_iovlen = 1;
	}
}

static void tell_failure(const struct endpoint *e, int r)
{
	errno = -r;
	log_error("listen: %s cannot be opened%s", endpoint_text(e),
		  r == -EADDRINUSE    ? " (is another warp-map running?)" :
		  r == -EADDRNOTAVAIL ? " (is it an address of this host?)" :
					"");
}

/* Opens what it can, and stops at the first real mistake. */
static int open_all(struct listeners *l, const struct endpoint *endpoints, size_t count)
{
	int r;

	for (size_t i = 0; i < count; i++) {
		r = open_socket(&l->sockets[l->count], &endpoints[i]);
		if (r == -EAFNOSUPPORT && is_wildcard(&endpoints[i]) && count > 1) {
			log_warnx("listen: %s is left out: this host has no IPv%d",
				  endpoint_text(&endpoints[i]), endpoints[i].address.family);
			continue;
		}
		if (r) {
			tell_failure(&endpoints[i], r);
			return r;
		}
		l->doors[l->door_count++] =
			(struct door){ .socket = (u8)l->count++, .local = endpoints[i] };
	}
	return l->count ? 0 : -EAFNOSUPPORT;
}

int listeners_open(struct listeners **ret, const struct endpoint *endpoints, size_t count,
		   struct pool *pool)
{
	struct listeners *l;
	int r;

	if (count > LISTENER_SOCKETS)
		return -E2BIG;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->pool = pool;
	link_headers(l->in, l->in_message);
	link_headers(l->out, l->out_message);
	r = open_all(l, endpoints, count);
	if (r)
		listeners_close(l);
	else
		*ret = l;
	return r;
}

void listeners_close(struct listeners *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->count; i++)
		udp_close(l->sockets[i]);
	for (u32 i = 0; i < LISTENER_BATCH; i++)
		buf_put(l->buf[i]);
	free(l);
}

size_t listeners_count(const struct listeners *l)
{
	return l->count;
}

int listeners_fd(const struct listeners *l, size_t socket)
{
	return udp_fd(l->sockets[socket]);
}

size_t listeners_socket(const struct listeners *l, u32 door)
{
	return door < LISTENER_DOORS ? l->doors[door].socket : SIZE_MAX;
}

/* --- doors ------------------------------------------------------------------------------- */

size_t listeners_doors(const struct listeners *l)
{
	return l->door_count;
}

const struct endpoint *listeners_door(const struct listeners *l, u8 door)
{
	return &l->doors[door].local;
}

static void add_door(struct listeners *l, size_t socket, const struct address *local)
{
	const struct endpoint at = { *local, l->doors[socket].local.port };

	if (l->door_count < LISTENER_DOORS)
		l->doors[l->door_count++] =
			(struct door){ .socket = (u8)socket, .chosen = true, .local = at };
}

/* An address of this host: all wildcard sockets of its family have a door there, in their order. */
static void add_doors(struct listeners *l, const struct address *local)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->doors[i].local.address.family == local->family &&
		    is_wildcard(&l->doors[i].local))
			add_door(l, i, local);
	}
}

/* The socket's own door when there is no other. */
static size_t known_door(const struct listeners *l, size_t socket, const struct address *local)
{
	for (size_t i = l->count; i < l->door_count; i++) {
		if (l->doors[i].socket == socket &&
		    address_equal(&l->doors[i].local.address, local))
			return i;
	}
	return socket;
}

/* The door of a local address; the socket's own when there is no address, or no room. */
static u8 find_door(struct listeners *l, size_t socket, const struct address *local)
{
	size_t door = socket;

	if (!local->family)
		return (u8)socket;
	door = known_door(l, socket, local);
	if (door == socket) {
		add_doors(l, local);
		door = known_door(l, socket, local);
	}
	return (u8)door;
}

/* The local address that a datagram was sent to, if it can be that of an answer. */
static struct address local_address(struct msghdr *h)
{
	struct address ret = { 0 };
	struct in6_pktinfo six;
	struct in_pktinfo four;
	const struct cmsghdr *c = CMSG_FIRSTHDR(h); /* nothing else was asked for */

	if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&four, CMSG_DATA(c), sizeof(four));
		address_from_bytes(AF_INET, &four.ipi_spec_dst, sizeof(four.ipi_spec_dst), &ret);
	} else if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&six, CMSG_DATA(c), sizeof(six));
		if (!IN6_IS_ADDR_MULTICAST(&six.ipi6_addr))
			address_from_bytes(AF_INET6, &six.ipi6_addr, sizeof(six.ipi6_addr), &ret);
	}
	return ret;
}

static void put_control(struct msghdr *h, union control *control, int level, int type,
			const void *data, size_t size)
{
	memset(control, 0, sizeof(*control));
	control->header.cmsg_level = level;
	control->header.cmsg_type = type;
	control->header.cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(&control->header), data, size);
	h->msg_control = control;
	h->msg_controllen = CMSG_SPACE(size);
}

/* Makes a datagram leave from the address of its door. */
static void set_local_address(struct msghdr *h, union control *control, const struct door *door)
{
	const struct address *local = &door->local.address;
	struct in6_pktinfo six = { .ipi6_ifindex = 0 };
	struct in_pktinfo four = { .ipi_ifindex = 0 };

	h->msg_control = NULL;
	h->msg_controllen = 0;
	if (!door->chosen)
		return;
	if (local->family == 4) {
		memcpy(&four.ipi_spec_dst, local->bytes, sizeof(four.ipi_spec_dst));
		put_control(h, control, IPPROTO_IP, IP_PKTINFO, &four, sizeof(four));
	} else {
		memcpy(&six.ipi6_addr, local->bytes, sizeof(six.ipi6_addr));
		put_control(h, control, IPPROTO_IPV6, IPV6_PKTINFO, &six, sizeof(six));
	}
}

/* --- receiving --------------------------------------------------------------------------- */

/* Makes in[i] ready; false: the pool is empty. */
static bool prepare(struct listeners *l, u32 i)
{
	struct msghdr *h = &l->in[i].msg_hdr;
	struct message *m = &l->in_message[i];

	if (!l->buf[i])
		l->buf[i] = buf_get(l->pool);
	if (!l->buf[i])
		return false;
	m->iov.iov_base = buf_data(l->buf[i]);
	m->iov.iov_len = LISTENER_PAYLOAD;
	h->msg_namelen = sizeof(m->address);
	h->msg_control = &m->control;
	h->msg_controllen = sizeof(m->control);
	return true;
}

/* False: it was cut off. */
static bool hand_out(struct listeners *l, size_t socket, u32 i, struct arrival *ret)
{
	struct msghdr *h = &l->in[i].msg_hdr;
	struct address local = local_address(h);

	if (h->msg_flags & MSG_TRUNC ||
	    endpoint_from_sockaddr(&l->in_message[i].address, h->msg_namelen, &ret->source))
		return false;
	ret->buf = l->buf[i];
	ret->buf->length = l->in[i].msg_len;
	ret->door = find_door(l, socket, &local);
	l->buf[i] = NULL;
	return true;
}

int listeners_receive(struct listeners *l, size_t socket, struct arrival ret[static LISTENER_BATCH])
{
	u32 ready = 0;
	int n, count;

	do {
		while (ready < LISTENER_BATCH && prepare(l, ready))
			ready++;
		if (!ready)
			return -ENOBUFS;
		n = recvmmsg(listeners_fd(l, socket), l->in, ready, MSG_DONTWAIT, NULL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		count = 0;
		for (u32 i = 0; i < (u32)n; i++)
			count += hand_out(l, socket, i, &ret[count]);
	} while (n && !count); /* all were cut off: 0 would say that nothing waits */
	return count;
}

/* --- sending ----------------------------------------------------------------------------- */

static void put_message(struct listeners *l, u32 i, const struct map_outgoing *o)
{
	struct message *m = &l->out_message[i];
	struct msghdr *h = &l->out[i].msg_hdr;

	m->iov.iov_base = buf_data(o->buf);
	m->iov.iov_len = o->buf->length;
	h->msg_namelen = endpoint_to_sockaddr(&o->destination, &m->address);
	set_local_address(h, &m->control, &l->doors[o->listener]);
}

int listeners_send(struct listeners *l, const struct map_outgoing *out, size_t count)
{
	size_t socket = listeners_socket(l, out[0].listener);
	u32 n = 0;
	int r;

	while (n < count && n < LISTENER_BATCH && listeners_socket(l, out[n].listener) == socket) {
		put_message(l, n, &out[n]);
		n++;
	}
	do {
		r = sendmmsg(listeners_fd(l, socket), l->out, n, MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}
