/* SPDX-License-Identifier: MIT */
/*
 * udp.c - opening and configuring UDP sockets.
 *
 * A socket is bound to its device before its address: two modems may both give the address
 * 192.168.8.100, and only the device tells the two bindings apart.
 */
#include "udp_private.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io/device.h"
#include "warp/log.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

#define RECEIVE_BUFFER (4 << 20)
#define SEND_BUFFER (1 << 20)

static int set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) ? -errno : 0;
}

/* Beyond the system's limit where we may (CAP_NET_ADMIN), else up to it. */
static void set_buffer(int fd, int forced, int plain, int size)
{
	if (set(fd, SOL_SOCKET, forced, size))
		set(fd, SOL_SOCKET, plain, size);
}

/* DF on every datagram, and no ICMP message lowers what the kernel lets through. */
static int set_family_options(int fd, u8 family)
{
	int r;

	if (family == 4)
		return set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	r = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r == 0)
		r = set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
	if (r == 0)
		r = set(fd, IPPROTO_IPV6, IPV6_DONTFRAG, 1);
	return r;
}

static int bind_address(int fd, const struct endpoint *e)
{
	union inet_sockaddr sa;
	socklen_t length = endpoint_to_sockaddr(e, &sa);

	return bind(fd, &sa.any, length) ? -errno : 0;
}

static int bind_port(int fd, const struct udp_options *o)
{
	struct endpoint any_port = { .address = o->local.address };
	int r = bind_address(fd, &o->local);

	if (r != -EADDRINUSE || o->port_required || !o->local.port)
		return r;
	r = bind_address(fd, &any_port);
	if (r == 0)
		log_warnx("%s is in use: the kernel chooses another port",
			  endpoint_text(&o->local));
	return r;
}

static int read_local(struct udp *u)
{
	union inet_sockaddr sa;
	socklen_t length = sizeof(sa);

	if (getsockname(u->fd, &sa.any, &length))
		return -errno;
	return endpoint_from_sockaddr(&sa, length, &u->local);
}

static int configure(struct udp *u, const struct udp_options *o)
{
	int r = set_family_options(u->fd, o->local.address.family);

	if (r)
		return r;
	set_buffer(u->fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
	set_buffer(u->fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
	if (o->trains)
		set(u->fd, SOL_UDP, UDP_GRO, 1);
	if (o->ifname[0])
		r = device_bind(u->fd, o->ifindex, o->ifname);
	if (r == 0)
		r = bind_port(u->fd, o);
	return r ? r : read_local(u);
}

int udp_open(struct udp **ret, const struct udp_options *options)
{
	int af = address_af(&options->local.address);
	struct udp *u;
	int r;

	if (af == AF_UNSPEC)
		return -EAFNOSUPPORT;
	u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	u->segmentation = true;
	u->fd = socket(af, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP);
	r = u->fd < 0 ? -errno : configure(u, options);
	if (r) {
		udp_close(u);
		return r;
	}
	*ret = u;
	return 0;
}

void udp_close(struct udp *u)
{
	if (!u)
		return;
	if (u->fd >= 0)
		close(u->fd);
	free(u);
}

int udp_fd(const struct udp *u)
{
	return u->fd;
}

u32 udp_queued(const struct udp *u)
{
	int size = 0;

	return ioctl(u->fd, SIOCOUTQ, &size) == 0 && size > 0 ? (u32)size : 0;
}

const struct endpoint *udp_local(const struct udp *u)
{
	return &u->local;
}
