/* SPDX-License-Identifier: MIT */
/*
 * upnp_net.c - see upnp_net.h. The search is SSDP (UPnP Device Architecture 1.1, 1.3): a datagram to
 * a group, told twice, answered by whoever feels meant. Of IPv4 answers only the gateway's count, and
 * only when they point to itself: it alone can map ports for us.
 */
#include "upnp_net.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/device.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

#define SSDP_PORT 1900u
#define SSDP_TTL 2
#define SSDP_SIZE 1536u
#define STEP_MS 3000 /* of connecting, and of each piece of an answer */

static const struct address group4 = { 4, { 239, 255, 255, 250 } };
static const struct address group6 = { 6, { 0xff, 0x02, [15] = 0x0c } };

u64 upnp_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static bool wait_for(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, ms) == 1;
}

/* Link-local addresses and groups are of one link. */
static socklen_t to_sockaddr(const struct upnp_question *q, const struct endpoint *e,
			     union inet_sockaddr *ret)
{
	socklen_t size = endpoint_to_sockaddr(e, ret);

	if (e->address.family == 6 &&
	    (address_is_link_local(&e->address) || e->address.bytes[0] == 0xff))
		ret->v6.sin6_scope_id = q->ifindex;
	return size;
}

/* From the interface's device and address. */
static int open_socket(const struct upnp_question *q, int type)
{
	struct endpoint from = { .address = q->local.address };
	union inet_sockaddr sa;
	socklen_t size = to_sockaddr(q, &from, &sa);
	int fd = socket(address_af(&from.address), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	if (q->bind_to_device)
		r = device_bind(fd, q->ifindex, q->ifname);
	if (r == 0 && bind(fd, &sa.any, size))
		r = -errno;
	if (r)
		close(fd);
	return r ? r : fd;
}

/* --- connections -------------------------------------------------------------------------- */

static int set_patience(int fd)
{
	const struct timeval step = { .tv_sec = STEP_MS / 1000 };

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &step, sizeof(step)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &step, sizeof(step)))
		return -errno;
	return 0;
}

static int finish_connect(int fd)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (!wait_for(fd, POLLOUT, STEP_MS))
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size))
		return -errno;
	return -error;
}

int upnp_connect(const struct upnp_question *q, const struct endpoint *e)
{
	union inet_sockaddr sa;
	socklen_t size = to_sockaddr(q, e, &sa);
	int fd, r = 0;

	if (e->address.family != q->local.address.family)
		return -EAFNOSUPPORT;
	fd = open_socket(q, SOCK_STREAM);
	if (fd < 0)
		return fd;
	if (connect(fd, &sa.any, size))
		r = errno == EINPROGRESS ? finish_connect(fd) : -errno;
	if (r == 0)
		r = set_patience(fd);
	if (r)
		close(fd);
	return r ? r : fd;
}

/* --- documents ---------------------------------------------------------------------------- */

/* Until the other end closes. */
static int read_all(int fd, char *ret, size_t room)
{
	size_t size = 0;
	ssize_t n;

	while (size < room && wait_for(fd, POLLIN, STEP_MS)) {
		n = recv(fd, ret + size, room - size, 0);
		if (n == 0)
			return (int)size;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		size += n > 0 ? (size_t)n : 0;
	}
	return size == room ? -EFBIG : -ETIMEDOUT;
}

/* Takes the header off. */
static int take_body(char *text, size_t size)
{
	const char *body = memmem(text, size, "\r\n\r\n", 4);
	size_t header = body ? (size_t)(body + 4 - text) : 0;

	if (!body || size < 12 || strncmp(text, "HTTP/1.", 7) != 0 ||
	    strncmp(text + 8, " 200", 4) != 0)
		return -EBADMSG;
	memmove(text, text + header, size - header);
	return (int)(size - header);
}

/* By HTTP 1.0: the answer then comes in one piece, and the connection ends with it. */
static int get(int fd, const struct endpoint *e, const char *path, char *ret)
{
	char request[2 * UPNP_URL_SIZE];
	int size = snprintf(request, sizeof(request),
			    "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
			    endpoint_text(e));

	if (size < 0 || size >= (int)sizeof(request))
		return -EMSGSIZE;
	if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size)
		return -EIO;
	size = read_all(fd, ret, UPNP_DOCUMENT_SIZE);
	return size < 0 ? size : take_body(ret, (size_t)size);
}

int upnp_get(const struct upnp_question *q, const char *url, char ret[static UPNP_DOCUMENT_SIZE])
{
	struct endpoint e;
	const char *path;
	int fd, r = upnp_url(url, &e, &path);

	if (r)
		return r;
	fd = upnp_connect(q, &e);
	if (fd < 0)
		return fd;
	r = get(fd, &e, path, ret);
	close(fd);
	return r;
}

/* --- searching ---------------------------------------------------------------------------- */

static int set_group(const struct upnp_question *q, int fd)
{
	const struct ip_mreqn over = { .imr_ifindex = (int)q->ifindex };
	const int ttl = SSDP_TTL, index = (int)q->ifindex;

	if (q->local.address.family == 4) {
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof(ttl));
		return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &over, sizeof(over)) ? -errno :
											  0;
	}
	return setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof(index)) ? -errno : 0;
}

static int search_for(const struct upnp_question *q, int fd, const char *what)
{
	struct endpoint group = { q->local.address.family == 4 ? group4 : group6, SSDP_PORT };
	union inet_sockaddr sa;
	socklen_t length = to_sockaddr(q, &group, &sa);
	char text[SSDP_SIZE];
	int size = snprintf(text, sizeof(text),
			    "M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: \"ssdp:discover\"\r\n"
			    "MX: 1\r\nST: urn:schemas-upnp-org:device:%s\r\n\r\n",
			    endpoint_text(&group), what);

	return sendto(fd, text, (size_t)size, MSG_NOSIGNAL, &sa.any, length) < 0 ? -errno : 0;
}

int upnp_search(const struct upnp_question *q)
{
	static const char *const devices[] = { "InternetGatewayDevice:1",
					       "InternetGatewayDevice:2" };
	int fd = open_socket(q, SOCK_DGRAM), r;

	if (fd < 0)
		return fd;
	r = set_group(q, fd);
	for (size_t i = 0; r == 0 && i < 2 * ARRAY_SIZE(devices); i++)
		r = search_for(q, fd, devices[i % ARRAY_SIZE(devices)]);
	if (r)
		close(fd);
	return r ? r : fd;
}

static bool is_welcome(const struct upnp_question *q, const struct endpoint *source,
		       const char *url)
{
	const char *path;
	struct endpoint e;

	if (upnp_url(url, &e, &path) || e.address.family != q->local.address.family)
		return false;
	return e.address.family == 6 || (address_equal(&e.address, &q->gateway) &&
					 address_equal(&source->address, &q->gateway));
}

static int read_answer(const struct upnp_question *q, int fd, char ret[static UPNP_URL_SIZE])
{
	union inet_sockaddr sa;
	socklen_t length = sizeof(sa);
	char text[SSDP_SIZE];
	ssize_t size = recvfrom(fd, text, sizeof(text), MSG_DONTWAIT, &sa.any, &length);
	struct endpoint source;

	if (size < 0 || endpoint_from_sockaddr(&sa, length, &source))
		return -EBADMSG;
	if (upnp_location(text, (size_t)size, ret) || !is_welcome(q, &source, ret))
		return -EBADMSG;
	return 0;
}

int upnp_found(const struct upnp_question *q, int search, u64 until, char ret[static UPNP_URL_SIZE])
{
	u64 now = upnp_now();

	for (; now < until; now = upnp_now()) {
		if (wait_for(search, POLLIN, (int)((until - now) / NS_PER_MS) + 1) &&
		    read_answer(q, search, ret) == 0)
			return 0;
	}
	return -ETIMEDOUT;
}
