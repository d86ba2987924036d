/* SPDX-License-Identifier: MIT */
/*
 * netmon.c - asks the kernel for links and addresses, and follows what it says of them.
 *
 * Two netlink sockets: `news` is subscribed to notifications and is never waited for; `scan` asks
 * for dumps and reads the answers at once. News that wait are taken in before a dump, so that old
 * ones do not undo what the dump said. When the kernel could not queue all news (ENOBUFS), or one
 * did not fit the buffer, what they said is found out by a scan.
 *
 * Of routes only default routes matter here, and the tables of a router are long: a filter in the
 * kernel keeps all others away.
 */
#include "warp/netmon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "ifmessage.h"
#include "ifset.h"

#define MESSAGE_SIZE 65536u
#define NEWS_MAX 100000u /* taken in at once; there is no end to news otherwise */
#define NEWS_BUFFER (1 << 20)
#define SCAN_TRIES 5u
#define SCAN_WAIT_S 2

/* RTMGRP_ values are bit masks of the legacy groups. */
#define GROUPS                                                                                     \
	(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |               \
	 RTMGRP_IPV6_ROUTE)

struct netmon {
	struct ifset *set;
	struct netmon_ops ops;
	void *ctx;
	struct mnl_socket *news;
	struct mnl_socket *scan; /* NULL after a failure: opened again when needed */
	u32 sequence;
	bool routed; /* a default route came, over routed_index */
	u32 routed_index;
	u8 message[MESSAGE_SIZE] __attribute__((aligned(8)));
};

/* --- sockets ----------------------------------------------------------------------------- */

static int open_socket(struct mnl_socket **ret, int flags, unsigned groups)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, flags | SOCK_CLOEXEC);
	int error;

	if (!s)
		return -errno;
	if (mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		error = -errno;
		mnl_socket_close(s);
		return error;
	}
	*ret = s;
	return 0;
}

static void close_socket(struct mnl_socket **s)
{
	if (*s)
		mnl_socket_close(*s);
	*s = NULL;
}

/* Drops RTM_NEWROUTE and RTM_DELROUTE with a destination of more than one bit (0.0.0.0/1 with
 * 128.0.0.0/1 is a default route, too). BPF loads in network order; netlink is in the host's. */
static int filter_routes(int fd)
{
	const u32 type = offsetof(struct nlmsghdr, nlmsg_type);
	const u32 bits = NLMSG_HDRLEN + offsetof(struct rtmsg, rtm_dst_len);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, type),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 2),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, bits),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		return -errno;
	return 0;
}

/* A larger buffer is welcome, not needed. */
static void enlarge(int fd)
{
	int size = NEWS_BUFFER;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static int open_news(struct netmon *m)
{
	int r = open_socket(&m->news, SOCK_NONBLOCK, GROUPS);

	if (r)
		return r;
	enlarge(mnl_socket_get_fd(m->news));
	return filter_routes(mnl_socket_get_fd(m->news));
}

static int open_scan(struct netmon *m)
{
	struct timeval wait = { .tv_sec = SCAN_WAIT_S };
	int r;

	if (m->scan)
		return 0;
	r = open_socket(&m->scan, 0, 0);
	if (r)
		return r;
	setsockopt(mnl_socket_get_fd(m->scan), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return 0;
}

/* The bytes of one message (or several in one) from the kernel; 0: from somebody else; -errno;
 * -ENOBUFS also when it did not fit. */
static ssize_t receive(struct netmon *m, const struct mnl_socket *s)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = { .iov_base = m->message, .iov_len = sizeof(m->message) };
	struct msghdr msg = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1
	};
	ssize_t n = recvmsg(mnl_socket_get_fd(s), &msg, 0);

	if (n < 0)
		return -errno;
	if (from.nl_pid)
		return 0;
	return msg.msg_flags & MSG_TRUNC ? -ENOBUFS : n;
}

/* --- news -------------------------------------------------------------------------------- */

static void note_route(struct netmon *m, const struct nlmsghdr *h)
{
	u32 index;

	if (!ifmessage_default_route(h, &index))
		return;
	m->routed_index = m->routed && m->routed_index != index ? 0 : index;
	m->routed = true;
}

static int feed_news(struct netmon *m, ssize_t size)
{
	const struct nlmsghdr *h = (const void *)m->message;
	int left = (int)size, r = 0;

	for (; mnl_nlmsg_ok(h, left) && r == 0; h = mnl_nlmsg_next(h, &left)) {
		note_route(m, h);
		r = ifmessage_feed(m->set, h);
	}
	return r;
}

/* Feeds all that wait. 0; -ENOBUFS: some were lost; other -errno. */
static int take_news(struct netmon *m)
{
	bool lost = false;
	ssize_t n;
	int r;

	for (u32 i = 0; i < NEWS_MAX; i++) {
		n = receive(m, m->news);
		if (n == -EAGAIN)
			break;
		if (n == -ENOBUFS)
			lost = true;
		else if (n < 0 && n != -EINTR)
			return (int)n;
		r = n > 0 ? feed_news(m, n) : 0;
		if (r)
			return r;
	}
	return lost ? -ENOBUFS : 0;
}

/* --- scans ------------------------------------------------------------------------------- */

/* Links without their statistics. */
static int ask(struct netmon *m, u16 type)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(m->message);
	struct rtgenmsg *any = mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));

	any->rtgen_family = AF_UNSPEC;
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = ++m->sequence;
	if (type == RTM_GETLINK)
		mnl_attr_put_u32(h, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	if (mnl_socket_sendto(m->scan, h, h->nlmsg_len) < 0)
		return -errno;
	return 0;
}

struct answer {
	bool done, interrupted;
};

/* One piece of a dump. */
static int feed_answer(struct netmon *m, ssize_t size, struct answer *a)
{
	const struct nlmsghdr *h = (const void *)m->message;
	int left = (int)size, r = 0;

	for (; mnl_nlmsg_ok(h, left) && r == 0 && !a->done; h = mnl_nlmsg_next(h, &left)) {
		if (h->nlmsg_seq != m->sequence)
			continue;
		if (h->nlmsg_flags & NLM_F_DUMP_INTR)
			a->interrupted = true;
		if (h->nlmsg_type == NLMSG_DONE)
			a->done = true;
		else if (h->nlmsg_type == NLMSG_ERROR)
			r = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
		else
			r = ifmessage_feed(m->set, h);
	}
	return r;
}

/* -EINTR: things changed meanwhile, and something may be missing. */
static int dump(struct netmon *m, u16 type)
{
	struct answer a = { .done = false };
	int r = ask(m, type);
	ssize_t n;

	while (r == 0 && !a.done) {
		n = receive(m, m->scan);
		if (n < 0 && n != -EINTR)
			return (int)n;
		if (n > 0)
			r = feed_answer(m, n, &a);
	}
	if (r == 0 && a.interrupted)
		return -EINTR;
	return r;
}

static int scan_once(struct netmon *m)
{
	int r;

	ifset_scan_begin(m->set);
	r = dump(m, RTM_GETLINK);
	if (r == 0)
		r = dump(m, RTM_GETADDR);
	if (r == 0)
		ifset_scan_end(m->set);
	return r;
}

/* --- for the caller ---------------------------------------------------------------------- */

static int settle(struct netmon *m)
{
	int r = ifset_settle(m->set);

	if (r == 0 && m->routed && m->ops.routed)
		m->ops.routed(m->ctx, m->routed_index);
	m->routed = false;
	return r;
}

static int rescan(struct netmon *m)
{
	int r = open_scan(m);

	if (r)
		return r;
	r = -EINTR;
	for (u32 i = 0; i < SCAN_TRIES && r == -EINTR; i++)
		r = scan_once(m);
	/* The rest of an answer must not be taken for the beginning of the next. */
	if (r && r != -EINTR)
		close_socket(&m->scan);
	/* What was seen is true, even when it is not all. */
	if (r == 0 || r == -EINTR)
		return settle(m) ? -ENOMEM : r;
	return r;
}

int netmon_rescan(struct netmon *m)
{
	int r = take_news(m);

	return r && r != -ENOBUFS ? r : rescan(m);
}

int netmon_read(struct netmon *m)
{
	int r = take_news(m);

	if (r == -ENOBUFS)
		return rescan(m);
	return r ? r : settle(m);
}

int netmon_fd(const struct netmon *m)
{
	return mnl_socket_get_fd(m->news);
}

bool netmon_usable(const struct netmon *m, size_t index, struct netmon_address *ret)
{
	return ifset_usable(m->set, index, ret);
}

int netmon_configure(struct netmon *m, const struct netmon_options *options)
{
	return ifset_configure(m->set, options);
}

int netmon_create(struct netmon **ret, const struct netmon_options *options,
		  const struct netmon_ops *ops, void *ctx)
{
	struct netmon *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->ops = *ops;
	m->ctx = ctx;
	r = ifset_create(&m->set, options, ops, ctx);
	if (r == 0)
		r = open_news(m);
	if (r == 0)
		r = open_scan(m);
	if (r) {
		netmon_destroy(m);
		return r;
	}
	*ret = m;
	return 0;
}

void netmon_destroy(struct netmon *m)
{
	if (!m)
		return;
	close_socket(&m->news);
	close_socket(&m->scan);
	ifset_destroy(m->set);
	free(m);
}
