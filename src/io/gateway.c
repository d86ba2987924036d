/* SPDX-License-Identifier: MIT */
/*
 * gateway.c - asks the kernel how it would route one packet (rtnetlink(7), RTM_GETROUTE): not a dump
 * of tables, which may be long, and policy rules are followed as they are for the packet itself. The
 * kernel answers before the question's send(2) returns.
 *
 * The destination that is asked about is the anycast address of PCP servers (RFC 7723), an address
 * of the internet that no host has.
 */
#include "gateway.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "warp/sockaddr.h"

#define MESSAGE_SIZE 1024u

static const struct address internet4 = { 4, { 192, 0, 0, 9 } };
static const struct address internet6 = { 6, { 0x20, 0x01, 0, 1, [15] = 1 } };

static size_t address_size(const struct address *a)
{
	return a->family == 4 ? 4 : 16;
}

static int ask(const struct mnl_socket *s, u32 ifindex, const struct address *local)
{
	const struct address *to = local->family == 4 ? &internet4 : &internet6;
	u8 message[MESSAGE_SIZE] __attribute__((aligned(8)));
	struct nlmsghdr *h = mnl_nlmsg_put_header(message);
	struct rtmsg *r = mnl_nlmsg_put_extra_header(h, sizeof(*r));
	u8 bits = (u8)(8 * address_size(local));

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	r->rtm_family = (unsigned char)address_af(local);
	r->rtm_dst_len = r->rtm_src_len = bits;
	mnl_attr_put(h, RTA_DST, address_size(to), to->bytes);
	mnl_attr_put(h, RTA_SRC, address_size(local), local->bytes);
	mnl_attr_put_u32(h, RTA_OIF, ifindex);
	return mnl_socket_sendto(s, h, h->nlmsg_len) < 0 ? -errno : 0;
}

/* libmnl's mnl_attr_for_each() narrows a pointer difference. */
static bool attr_within(const struct nlmsghdr *h, const struct nlattr *attr)
{
	const char *end = mnl_nlmsg_get_payload_tail(h);

	return mnl_attr_ok(attr, (int)(end - (const char *)attr));
}

static int parse(const struct nlmsghdr *h, struct address *ret)
{
	const struct rtmsg *r = mnl_nlmsg_get_payload(h);
	const struct nlattr *attr = mnl_nlmsg_get_payload_offset(h, sizeof(*r));

	for (; attr_within(h, attr); attr = mnl_attr_next(attr)) {
		if (mnl_attr_get_type(attr) == RTA_GATEWAY)
			return address_from_bytes(r->rtm_family, mnl_attr_get_payload(attr),
						  mnl_attr_get_payload_len(attr), ret);
	}
	return -ENETUNREACH;
}

static int take(const struct mnl_socket *s, struct address *ret)
{
	u8 message[MESSAGE_SIZE] __attribute__((aligned(8)));
	const struct nlmsghdr *h = (const void *)message;
	ssize_t n = recv(mnl_socket_get_fd(s), message, sizeof(message), MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	if (!mnl_nlmsg_ok(h, (int)n))
		return -EBADMSG;
	if (h->nlmsg_type == NLMSG_ERROR)
		return mnl_nlmsg_get_payload_len(h) >= sizeof(int) ? -ENETUNREACH : -EBADMSG;
	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(struct rtmsg))
		return -EBADMSG;
	return parse(h, ret);
}

int gateway_find(u32 ifindex, const struct address *local, struct address *ret)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r;

	if (!s)
		return -errno;
	r = mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;
	if (r == 0)
		r = ask(s, ifindex, local);
	if (r == 0)
		r = take(s, ret);
	mnl_socket_close(s);
	return r;
}
