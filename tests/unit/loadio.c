/* SPDX-License-Identifier: MIT */
/*
 * loadio.c - sendmmsg with a source address for each datagram, recvmmsg, /proc; see loadio.h.
 */
#include "loadio.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "warp/sockaddr.h"
#include "warp/text.h"

#define BATCH 64u
#define FIRST_SOURCE 0x0a010000u /* 10.1.0.0 */
#define SOCKET_BUFFER (8 << 20)

union control {
	struct cmsghdr header;
	u8 bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct outgoing {
	struct iovec iov;
	u8 data[LOAD_DATAGRAM];
	union control control;
};

struct lane {
	int fd;
	u32 count; /* waiting in out[] */
	struct mmsghdr header[BATCH];
	struct outgoing out[BATCH];
};

struct load {
	struct endpoint server;
	union inet_sockaddr to;
	socklen_t to_length;
	struct lane lane[LOAD_SOCKETS];
	u64 bytes_in, bytes_out;
	struct mmsghdr in_header[BATCH];
	struct iovec in_iov[BATCH];
	u8 in[BATCH][LOAD_DATAGRAM];
};

static _Noreturn void bad(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(2);
}

/* --- sockets ----------------------------------------------------------------------------- */

static void link_out(struct load *l, struct mmsghdr *h, struct outgoing *o)
{
	struct in_pktinfo none = { .ipi_ifindex = 0 };

	o->control.header.cmsg_level = IPPROTO_IP;
	o->control.header.cmsg_type = IP_PKTINFO;
	o->control.header.cmsg_len = CMSG_LEN(sizeof(none));
	memcpy(CMSG_DATA(&o->control.header), &none, sizeof(none));
	o->iov.iov_base = o->data;
	h->msg_hdr = (struct msghdr){
		.msg_name = &l->to,
		.msg_namelen = l->to_length,
		.msg_iov = &o->iov,
		.msg_iovlen = 1,
		.msg_control = &o->control,
		.msg_controllen = CMSG_SPACE(sizeof(none)),
	};
}

static void open_lane(struct load *l, struct lane *lane)
{
	const struct sockaddr_in any = { .sin_family = AF_INET };
	const int size = SOCKET_BUFFER;

	lane->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (lane->fd < 0 || bind(lane->fd, (const struct sockaddr *)&any, sizeof(any)) < 0)
		bad(strerror(errno));
	/* Without the privilege, as much as there may be. */
	if (setsockopt(lane->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0 &&
	    setsockopt(lane->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) < 0)
		bad(strerror(errno));
	for (u32 i = 0; i < BATCH; i++)
		link_out(l, &lane->header[i], &lane->out[i]);
}

struct load *load_open(const char *server)
{
	struct load *l = calloc(1, sizeof(*l));

	if (!l)
		bad("no memory");
	if (endpoint_parse(server, &l->server) < 0 || l->server.address.family != 4)
		bad("the server is not an IPv4 endpoint");
	l->to_length = endpoint_to_sockaddr(&l->server, &l->to);
	for (u32 i = 0; i < LOAD_SOCKETS; i++)
		open_lane(l, &l->lane[i]);
	for (u32 i = 0; i < BATCH; i++) {
		l->in_iov[i] = (struct iovec){ l->in[i], sizeof(l->in[i]) };
		l->in_header[i].msg_hdr.msg_iov = &l->in_iov[i];
		l->in_header[i].msg_hdr.msg_iovlen = 1;
	}
	return l;
}

void load_close(struct load *l)
{
	for (u32 i = 0; i < LOAD_SOCKETS; i++)
		close(l->lane[i].fd);
	free(l);
}

const struct endpoint *load_server(const struct load *l)
{
	return &l->server;
}

u64 load_bytes_out(const struct load *l)
{
	return l->bytes_out;
}

u64 load_bytes_in(const struct load *l)
{
	return l->bytes_in;
}

/* --- out --------------------------------------------------------------------------------- */

static void flush_lane(struct load *l, struct lane *lane)
{
	u32 sent = 0;

	while (sent < lane->count) {
		int r = sendmmsg(lane->fd, lane->header + sent, lane->count - sent, 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED)
			bad(strerror(errno));
		sent += r < 0 ? 1 : (u32)r;
	}
	for (u32 i = 0; i < lane->count; i++)
		l->bytes_out += lane->out[i].iov.iov_len;
	lane->count = 0;
}

void load_send(struct load *l, u32 client, u32 socket, const void *data, size_t size)
{
	struct lane *lane = &l->lane[socket];
	struct outgoing *o = &lane->out[lane->count++];
	struct in_pktinfo from = { .ipi_spec_dst.s_addr = htonl(FIRST_SOURCE + client) };

	if (size > sizeof(o->data))
		bad("a datagram is too long");
	memcpy(o->data, data, size);
	o->iov.iov_len = size;
	memcpy(CMSG_DATA(&o->control.header), &from, sizeof(from));
	if (lane->count == BATCH)
		flush_lane(l, lane);
}

void load_flush(struct load *l)
{
	for (u32 i = 0; i < LOAD_SOCKETS; i++)
		flush_lane(l, &l->lane[i]);
}

/* --- in ---------------------------------------------------------------------------------- */

static u32 drain(struct load *l, struct lane *lane, void (*hear)(void *ctx, u8 *data, size_t size),
		 void *ctx)
{
	u32 count = 0;
	int n;

	do {
		n = recvmmsg(lane->fd, l->in_header, BATCH, MSG_DONTWAIT, NULL);
		if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
			bad(strerror(errno));
		for (int i = 0; i < n; i++) {
			l->bytes_in += l->in_header[i].msg_len;
			hear(ctx, l->in[i], l->in_header[i].msg_len);
		}
		count += n > 0 ? (u32)n : 0;
	} while (n == (int)BATCH);
	return count;
}

u32 load_receive(struct load *l, u64 wait, void (*hear)(void *ctx, u8 *data, size_t size),
		 void *ctx)
{
	const struct timespec timeout = { (time_t)(wait / NS_PER_S), (long)(wait % NS_PER_S) };
	struct pollfd p[LOAD_SOCKETS];
	u32 count = 0;

	load_flush(l);
	for (u32 i = 0; i < LOAD_SOCKETS; i++)
		p[i] = (struct pollfd){ .fd = l->lane[i].fd, .events = POLLIN };
	if (ppoll(p, LOAD_SOCKETS, &timeout, NULL) <= 0)
		return 0;
	for (u32 i = 0; i < LOAD_SOCKETS; i++)
		count += p[i].revents ? drain(l, &l->lane[i], hear, ctx) : 0;
	return count;
}

/* --- /proc ------------------------------------------------------------------------------- */

static void read_proc(int pid, const char *name, char *ret, size_t size)
{
	char path[64];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	f = fopen(path, "r");
	if (!f)
		bad("the server is not there");
	n = fread(ret, 1, size - 1, f);
	ret[n] = 0;
	fclose(f);
}

/* The number behind as many words of a line of the kernel's. */
static u64 number_behind(const char *text, u32 words)
{
	char *end;
	u64 number;

	for (; words > 0; words--) {
		text += strspn(text, " ");
		text += strcspn(text, " ");
	}
	number = strtoull(text, &end, 10);
	if (end == text)
		bad("what the kernel says of the server is not understood");
	return number;
}

u64 load_memory(int pid)
{
	char text[256];

	read_proc(pid, "statm", text, sizeof(text));
	return number_behind(text, 1) * (u64)sysconf(_SC_PAGESIZE);
}

u64 load_cpu(int pid)
{
	char text[1024];
	const char *at;

	read_proc(pid, "stat", text, sizeof(text));
	at = strrchr(text, ')'); /* the name may have spaces */
	if (!at)
		bad("what the kernel says of the server is not understood");
	/* utime and stime, proc(5) */
	return (number_behind(at + 1, 11) + number_behind(at + 1, 12)) * NS_PER_S /
	       (u64)sysconf(_SC_CLK_TCK);
}
