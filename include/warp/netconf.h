/* SPDX-License-Identifier: MIT */
/*
 * netconf.h - acts on the kernel, for the TUN interface: up, addresses, MTU, routes (rtnetlink).
 *
 * Everything may be asked for again when it is already so. There is nothing to tidy up at the end:
 * the kernel removes addresses and routes with the interface, when the TUN is closed. Needs
 * CAP_NET_ADMIN. What went wrong is logged here, in full; the caller adds no words to -errno.
 */
#ifndef WARP_NETCONF_H
#define WARP_NETCONF_H

#include "warp/allowedips.h"

struct netconf;

/* All errors here: -errno; typically -EPERM, -ENODEV (no such interface), -ENOMEM. */
int netconf_open(struct netconf **ret);
void netconf_close(struct netconf *c);

/* bytes of IP packet, 68..65535; an interface with IPv6 needs 1280. */
int netconf_set_mtu(struct netconf *c, u32 ifindex, u32 mtu);
int netconf_set_up(struct netconf *c, u32 ifindex, bool up);
int netconf_remove_address(struct netconf *c, u32 ifindex, const struct prefix *address);
/* A device route in the main table. -EEXIST: the prefix has a route over another interface, which
 * stays. Removing what is not there is no error. */
int netconf_add_route(struct netconf *c, u32 ifindex, const struct prefix *destination);
int netconf_remove_route(struct netconf *c, u32 ifindex, const struct prefix *destination);

struct netconf_link {
	u32 ifindex;
	u32 mtu; /* 0: as it is */
	const struct prefix *addresses;
	size_t address_count;
	const struct prefix *routes;
	size_t route_count;
};

/* Makes the interface so and sets it up: MTU, addresses, up, routes. What `before` (NULL: nothing)
 * had and `wanted` has not is removed. Stops at the first failure. */
int netconf_apply(struct netconf *c, const struct netconf_link *wanted,
		  const struct netconf_link *before);

#endif
