/* SPDX-License-Identifier: MIT */
/*
 * ifmessage.c - rtnetlink(7) messages, made into news for ifset.
 *
 * Not every RTM_NEWLINK or RTM_DELLINK is about a link as such: bridges tell of their ports with
 * ifi_family AF_BRIDGE (a port that leaves its bridge is "deleted"), and wireless events come
 * without a name. Both are passed over.
 */
#include "ifmessage.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "warp/sockaddr.h"

#define RUNNING (IFF_UP | IFF_RUNNING | IFF_LOWER_UP)
#define NOT_PREFERRED (IFA_F_TENTATIVE | IFA_F_DEPRECATED | IFA_F_DADFAILED)

/* operstate says what flags say too late or not at all (RFC 2863): not present, down, lower layer
 * down, testing, dormant. Drivers that do not care leave it unknown. */
static bool operational(u8 operstate)
{
	return operstate == IF_OPER_UP || operstate == IF_OPER_UNKNOWN;
}

/* libmnl's mnl_attr_for_each() narrows a pointer difference. */
static bool attr_within(const struct nlmsghdr *m, const struct nlattr *attr)
{
	const char *end = mnl_nlmsg_get_payload_tail(m);

	return mnl_attr_ok(attr, (int)(end - (const char *)attr));
}

#define ATTR_FOR_EACH(attr, m, header_size)                                                        \
	for ((attr) = mnl_nlmsg_get_payload_offset(m, header_size); attr_within(m, attr);          \
	     (attr) = mnl_attr_next(attr))

static void copy_name(struct ifset_link *l, const struct nlattr *attr)
{
	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
		strncpy(l->name, mnl_attr_get_str(attr), sizeof(l->name) - 1);
}

static struct ifset_link parse_link(const struct nlmsghdr *m)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(m);
	struct ifset_link l = { .index = (u32)info->ifi_index };
	u8 operstate = IF_OPER_UNKNOWN;
	struct nlattr *attr;

	ATTR_FOR_EACH(attr, m, sizeof(*info))
	{
		int type = mnl_attr_get_type(attr);

		if (type == IFLA_IFNAME)
			copy_name(&l, attr);
		else if (type == IFLA_MTU && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			l.mtu = mnl_attr_get_u32(attr);
		else if (type == IFLA_OPERSTATE && mnl_attr_validate(attr, MNL_TYPE_U8) == 0)
			operstate = mnl_attr_get_u8(attr);
	}
	l.running = (info->ifi_flags & RUNNING) == RUNNING && operational(operstate);
	l.loopback = info->ifi_flags & IFF_LOOPBACK;
	return l;
}

static int feed_link(struct ifset *s, const struct nlmsghdr *m)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(m);
	struct ifset_link l;

	if (mnl_nlmsg_get_payload_len(m) < sizeof(*info) || info->ifi_family != AF_UNSPEC ||
	    info->ifi_index <= 0)
		return 0;
	l = parse_link(m);
	if (!l.name[0])
		return 0;
	if (m->nlmsg_type == RTM_NEWLINK)
		return ifset_link(s, &l);
	ifset_link_gone(s, l.index);
	return 0;
}

static void get_address(const struct nlattr *attr, u8 family, struct address *ret)
{
	address_from_bytes(family, mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), ret);
}

/* IFA_LOCAL is this end; IFA_ADDRESS the same, or the peer's; IPv6 sends the first only when
 * there is a peer. */
static struct ifset_address parse_address(const struct nlmsghdr *m)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(m);
	struct ifset_address a = { .index = info->ifa_index, .bits = info->ifa_prefixlen };
	u32 flags = info->ifa_flags;
	struct nlattr *attr;

	ATTR_FOR_EACH(attr, m, sizeof(*info))
	{
		int type = mnl_attr_get_type(attr);

		if (type == IFA_LOCAL)
			get_address(attr, info->ifa_family, &a.address);
		else if (type == IFA_ADDRESS)
			get_address(attr, info->ifa_family, &a.peer);
		else if (type == IFA_FLAGS && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			flags = mnl_attr_get_u32(attr);
	}
	if (!a.address.family)
		a.address = a.peer;
	a.preferred = !(flags & NOT_PREFERRED);
	/* The same bit means "secondary" for IPv4, where it makes no difference to us. */
	a.temporary = info->ifa_family == AF_INET6 && (flags & IFA_F_TEMPORARY);
	return a;
}

static int feed_address(struct ifset *s, const struct nlmsghdr *m)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(m);
	struct ifset_address a;

	if (mnl_nlmsg_get_payload_len(m) < sizeof(*info) ||
	    (info->ifa_family != AF_INET && info->ifa_family != AF_INET6))
		return 0;
	a = parse_address(m);
	if (!a.address.family)
		return 0;
	if (m->nlmsg_type == RTM_NEWADDR)
		return ifset_address(s, &a);
	ifset_address_gone(s, &a);
	return 0;
}

int ifmessage_feed(struct ifset *s, const struct nlmsghdr *m)
{
	switch (m->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return feed_link(s, m);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return feed_address(s, m);
	default:
		return 0;
	}
}

bool ifmessage_default_route(const struct nlmsghdr *m, u32 *ret_index)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(m);
	struct nlattr *attr;
	u32 index = 0;

	if (m->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(m) < sizeof(*info) ||
	    info->rtm_dst_len > 1 || info->rtm_type != RTN_UNICAST)
		return false;
	ATTR_FOR_EACH(attr, m, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) == RTA_OIF &&
		    mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			index = mnl_attr_get_u32(attr);
	}
	*ret_index = index;
	return true;
}
