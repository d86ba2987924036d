/* SPDX-License-Identifier: MIT */
/*
 * netconf.c - address, MTU and routes of the TUN interface, through libnl-route.
 *
 * libnl has errors of its own (NLE_*), several errno to one; the kernel's errno is gone by then. So
 * libnl only builds the requests; the errno of the answer is caught on its way.
 *
 * Routes are never replaced: `replace` would take over another interface's route of the same
 * metric, say the host's default route, and nobody would put it back.
 */
#include "warp/netconf.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/log.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

struct netconf {
	struct nl_sock *socket;
	int answer; /* of the request under way: 0 or -errno */
};

/* --- requests ---------------------------------------------------------------------------- */

static int on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct netconf *c = arg;

	(void)from;
	c->answer = e->error;
	return NL_STOP;
}

static int on_ack(struct nl_msg *m, void *arg)
{
	struct netconf *c = arg;

	(void)m;
	c->answer = 0;
	return NL_STOP;
}

int netconf_open(struct netconf **ret)
{
	struct netconf *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->socket = nl_socket_alloc();
	r = c->socket ? nl_connect(c->socket, NETLINK_ROUTE) : -NLE_NOMEM;
	if (r < 0) {
		log_errorx("cannot open a netlink socket: %s", nl_geterror(r));
		netconf_close(c);
		return r == -NLE_NOMEM ? -ENOMEM : -EIO;
	}
	nl_socket_modify_err_cb(c->socket, NL_CB_CUSTOM, on_error, c);
	nl_socket_modify_cb(c->socket, NL_CB_ACK, NL_CB_CUSTOM, on_ack, c);
	*ret = c;
	return 0;
}

void netconf_close(struct netconf *c)
{
	if (!c)
		return;
	nl_socket_free(c->socket);
	free(c);
}

/* Sends m, which it frees, and waits for the answer: 0 or -errno. */
static int request(struct netconf *c, struct nl_msg *m)
{
	int r;

	c->answer = -EIO;
	r = nl_send_auto(c->socket, m);
	nlmsg_free(m);
	if (r >= 0)
		nl_recvmsgs_default(c->socket);
	return c->answer;
}

/* built: what libnl's building of m returned. */
static int request_built(struct netconf *c, int built, struct nl_msg *m)
{
	if (built < 0)
		return built == -NLE_NOMEM ? -ENOMEM : -EINVAL;
	return request(c, m);
}

/* Logs what was to be done to interface ifindex and why that failed. */
static int failed(int r, u32 ifindex, const char *what, const char *object)
{
	char name[IF_NAMESIZE] = "";

	if (r == 0)
		return 0;
	if (!if_indextoname(ifindex, name))
		memcpy(name, "gone", sizeof("gone"));
	if (r == -EPERM) {
		log_errorx("%s: cannot %s %s: CAP_NET_ADMIN is needed", name, what, object);
		return r;
	}
	errno = -r;
	log_error("%s: cannot %s %s", name, what, object);
	return r;
}

/* --- the link ---------------------------------------------------------------------------- */

/* Built by hand: libnl's own way sets all flags of the link, not just one. mtu 0: none. */
static int change_link(struct netconf *c, u32 ifindex, unsigned flags, unsigned mask, u32 mtu)
{
	struct ifinfomsg info = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex };
	struct nl_msg *m = nlmsg_alloc_simple(RTM_NEWLINK, 0);

	info.ifi_flags = flags;
	info.ifi_change = mask;
	if (!m)
		return -ENOMEM;
	if (nlmsg_append(m, &info, sizeof(info), NLMSG_ALIGNTO) ||
	    (mtu && nla_put_u32(m, IFLA_MTU, mtu))) {
		nlmsg_free(m);
		return -ENOMEM;
	}
	return request(c, m);
}

int netconf_set_mtu(struct netconf *c, u32 ifindex, u32 mtu)
{
	char text[24];

	snprintf(text, sizeof(text), "MTU to %u", mtu);
	return failed(change_link(c, ifindex, 0, 0, mtu), ifindex, "set", text);
}

int netconf_set_up(struct netconf *c, u32 ifindex, bool up)
{
	int r = change_link(c, ifindex, up ? IFF_UP : 0, IFF_UP, 0);

	return failed(r, ifindex, "set the interface", up ? "up" : "down");
}

/* --- addresses --------------------------------------------------------------------------- */

static struct nl_addr *make_nl_addr(const struct prefix *p)
{
	int af = address_af(&p->address);
	struct nl_addr *a = nl_addr_build(af, p->address.bytes, af == AF_INET ? 4 : 16);

	if (a)
		nl_addr_set_prefixlen(a, p->bits);
	return a;
}

/* NULL: no memory. There is nobody on a TUN with whom an address could collide (NODAD). */
static struct rtnl_addr *make_address(u32 ifindex, const struct prefix *p)
{
	struct rtnl_addr *a = rtnl_addr_alloc();
	struct nl_addr *local = make_nl_addr(p);

	if (a && local) {
		rtnl_addr_set_ifindex(a, (int)ifindex);
		rtnl_addr_set_local(a, local);
		if (p->address.family == 6)
			rtnl_addr_set_flags(a, IFA_F_NODAD);
	} else if (a) {
		rtnl_addr_put(a);
		a = NULL;
	}
	nl_addr_put(local);
	return a;
}

/* The address with the length of its on-link prefix, to which the kernel adds a route. */
static int netconf_add_address(struct netconf *c, u32 ifindex, const struct prefix *address)
{
	struct rtnl_addr *a = make_address(ifindex, address);
	struct nl_msg *m = NULL;
	int r = -ENOMEM;

	if (a) {
		r = rtnl_addr_build_add_request(a, NLM_F_REPLACE, &m);
		r = request_built(c, r, m);
		rtnl_addr_put(a);
	}
	return failed(r, ifindex, "add address", prefix_text(address));
}

int netconf_remove_address(struct netconf *c, u32 ifindex, const struct prefix *address)
{
	struct rtnl_addr *a = make_address(ifindex, address);
	struct nl_msg *m = NULL;
	int r = -ENOMEM;

	if (a) {
		r = rtnl_addr_build_delete_request(a, 0, &m);
		r = request_built(c, r, m);
		rtnl_addr_put(a);
	}
	if (r == -EADDRNOTAVAIL)
		r = 0;
	return failed(r, ifindex, "remove address", prefix_text(address));
}

/* --- routes ------------------------------------------------------------------------------ */

/* Host bits are no part of a destination; the kernel insists. */
static struct prefix masked(const struct prefix *p)
{
	struct prefix r = *p;

	for (u32 i = 0; i < sizeof(r.address.bytes); i++) {
		u32 bits = p->bits > i * 8 ? p->bits - i * 8 : 0;

		if (bits < 8)
			r.address.bytes[i] &= (u8) ~(0xffu >> bits);
	}
	return r;
}

/* NULL: no memory. */
static struct rtnl_route *make_route(u32 ifindex, const struct prefix *destination)
{
	struct prefix p = masked(destination);
	struct nl_addr *to = make_nl_addr(&p);
	struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
	struct rtnl_route *route = rtnl_route_alloc();

	if (to && hop && route) {
		rtnl_route_set_family(route, (u8)address_af(&p.address));
		rtnl_route_set_table(route, RT_TABLE_MAIN);
		rtnl_route_set_protocol(route, RTPROT_STATIC);
		rtnl_route_set_scope(route,
				     p.address.family == 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
		rtnl_route_set_dst(route, to);
		rtnl_route_nh_set_ifindex(hop, (int)ifindex);
		rtnl_route_add_nexthop(route, hop);
	} else {
		if (hop)
			rtnl_route_nh_free(hop);
		if (route)
			rtnl_route_put(route);
		route = NULL;
	}
	nl_addr_put(to);
	return route;
}

/* libnl gives a default route's destination no bytes at all. */
static bool is_to(struct rtnl_route *route, const struct nl_addr *destination)
{
	struct nl_addr *to = rtnl_route_get_dst(route);

	if (!to || rtnl_route_get_table(route) != RT_TABLE_MAIN)
		return false;
	if (nl_addr_get_prefixlen(to) == 0 && nl_addr_get_prefixlen(destination) == 0)
		return true;
	return nl_addr_cmp(to, destination) == 0;
}

/* The interface over which the main table has a route to destination: ifindex itself if it is
 * among them, another, or 0. */
static u32 routed_over(struct netconf *c, u32 ifindex, const struct prefix *destination)
{
	struct prefix p = masked(destination);
	struct nl_addr *to = make_nl_addr(&p);
	struct nl_cache *cache = NULL;
	u32 found = 0, over;

	if (to && rtnl_route_alloc_cache(c->socket, address_af(&p.address), 0, &cache) == 0) {
		for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
			struct rtnl_route *route = (struct rtnl_route *)o;
			struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);

			if (!hop || !is_to(route, to))
				continue;
			over = (u32)rtnl_route_nh_get_ifindex(hop);
			found = found == ifindex ? found : over;
		}
		nl_cache_free(cache);
	}
	nl_addr_put(to);
	return found;
}

/* What -EEXIST means: it is so already, or somebody else has that route. */
static int route_exists(struct netconf *c, u32 ifindex, const struct prefix *destination)
{
	u32 over = routed_over(c, ifindex, destination);
	char name[IF_NAMESIZE] = "another", own[IF_NAMESIZE] = "gone";

	if (over == ifindex)
		return 0;
	if_indextoname(ifindex, own);
	if_indextoname(over, name);
	log_warnx("%s: there is a route to %s over %s already, which is kept%s", own,
		  prefix_text(destination), name,
		  destination->bits ? "" : ": route its two halves instead (/1)");
	return -EEXIST;
}

int netconf_add_route(struct netconf *c, u32 ifindex, const struct prefix *destination)
{
	struct rtnl_route *route = make_route(ifindex, destination);
	struct nl_msg *m = NULL;
	int r = -ENOMEM;

	if (route) {
		r = rtnl_route_build_add_request(route, NLM_F_EXCL, &m);
		r = request_built(c, r, m);
		rtnl_route_put(route);
	}
	if (r == -EEXIST)
		return route_exists(c, ifindex, destination);
	return failed(r, ifindex, "add the route to", prefix_text(destination));
}

int netconf_remove_route(struct netconf *c, u32 ifindex, const struct prefix *destination)
{
	struct rtnl_route *route = make_route(ifindex, destination);
	struct nl_msg *m = NULL;
	int r = -ENOMEM;

	if (route) {
		r = rtnl_route_build_del_request(route, 0, &m);
		r = request_built(c, r, m);
		rtnl_route_put(route);
	}
	if (r == -ESRCH)
		r = 0;
	return failed(r, ifindex, "remove the route to", prefix_text(destination));
}

/* --- all at once ------------------------------------------------------------------------- */

static bool is_among(const struct prefix *p, const struct prefix *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (p->bits == list[i].bits && address_equal(&p->address, &list[i].address))
			return true;
	return false;
}

/* Removals come first: an address that is added beside an old one of its subnet would be its
 * secondary, and go with it. */
static int remove_unwanted(struct netconf *c, const struct netconf_link *wanted,
			   const struct netconf_link *before)
{
	u32 ifindex = wanted->ifindex;
	int r = 0;

	for (size_t i = 0; i < before->route_count && r == 0; i++)
		if (!is_among(&before->routes[i], wanted->routes, wanted->route_count))
			r = netconf_remove_route(c, ifindex, &before->routes[i]);
	for (size_t i = 0; i < before->address_count && r == 0; i++)
		if (!is_among(&before->addresses[i], wanted->addresses, wanted->address_count))
			r = netconf_remove_address(c, ifindex, &before->addresses[i]);
	return r;
}

int netconf_apply(struct netconf *c, const struct netconf_link *wanted,
		  const struct netconf_link *before)
{
	u32 ifindex = wanted->ifindex;
	int r = before ? remove_unwanted(c, wanted, before) : 0;

	if (r == 0 && wanted->mtu)
		r = netconf_set_mtu(c, ifindex, wanted->mtu);
	for (size_t i = 0; i < wanted->address_count && r == 0; i++)
		r = netconf_add_address(c, ifindex, &wanted->addresses[i]);
	if (r == 0)
		r = netconf_set_up(c, ifindex, true);
	for (size_t i = 0; i < wanted->route_count && r == 0; i++) {
		r = netconf_add_route(c, ifindex, &wanted->routes[i]);
		r = r == -EEXIST ? 0 : r;
	}
	return r;
}
