/* SPDX-License-Identifier: MIT */
/*
 * netmon.h - which local addresses can be used for paths, as the kernel tells it.
 *
 * netmon dumps all links and addresses of its network namespace, follows the kernel's
 * notifications, and says what changed. An address is usable when
 *   - its link is up, has carrier and is operational; is no loopback and none of `own`;
 *   - the link's name matches an inclusion pattern and no exclusion pattern;
 *   - it is neither loopback nor link-local nor special, nor tentative, deprecated or a duplicate.
 * Of the IPv6 addresses of one interface at most NETMON_IPV6_MAX are used: those already in use,
 * then lasting ones, then temporary ones (RFC 8981).
 *
 * An interface that was renamed, or deleted and made again, is told as removed and added: a socket
 * that is bound to the old one is of no use any more. In each round all removals are told first.
 *
 *   netmon_create(); netmon_rescan();
 *   watch netmon_fd() for reading: netmon_read()
 *   every interface_scan_interval:  netmon_rescan()
 *
 * The callbacks run inside netmon_read(), netmon_rescan() and netmon_configure() and must not call
 * netmon_*() themselves.
 */
#ifndef WARP_NETMON_H
#define WARP_NETMON_H

#include "warp/engine.h"

#define NETMON_IPV6_MAX 4u

struct netmon;

struct netmon_address {
	char ifname[IFNAME_SIZE];
	u32 ifindex;
	struct address address;
	u32 mtu; /* of the link */
};

struct netmon_ops {
	void (*added)(void *ctx, const struct netmon_address *a);
	void (*removed)(void *ctx, const struct netmon_address *a);
	/* a->mtu is the new one; all else is as it was. */
	void (*changed)(void *ctx, const struct netmon_address *a);
	/* May be NULL. A default route over this interface (0: over several) has appeared or
	 * changed: what could not be sent before may work now. */
	void (*routed)(void *ctx, u32 ifindex);
};

struct netmon_options {
	char *const *inclusion; /* patterns, see pattern.h */
	size_t inclusion_count;
	char *const *exclusion;
	size_t exclusion_count;
	const char *const *own; /* names of warp's own TUN interfaces */
	size_t own_count;
};

/* 0; -EINVAL (a pattern); -ENOMEM; -errno of the netlink sockets. options are copied. Tells
 * nothing yet. */
int netmon_create(struct netmon **ret, const struct netmon_options *options,
		  const struct netmon_ops *ops, void *ctx);
/* Tells nothing. */
void netmon_destroy(struct netmon *m);
/* New options after a reload: what is usable now is added, what is not is removed. On failure
 * (-EINVAL, -ENOMEM) the old ones stay. */
int netmon_configure(struct netmon *m, const struct netmon_options *options);

int netmon_fd(const struct netmon *m);
/* Takes all notifications that wait, without blocking. When some were lost (the socket overran),
 * scans. 0, or -errno as netmon_rescan(). */
int netmon_read(struct netmon *m);
/* Asks the kernel for everything and tells the differences. 0, or -errno: the picture stays as it
 * was, try again later (-EINTR: it kept changing meanwhile). */
int netmon_rescan(struct netmon *m);

/* The usable addresses, for index = 0, 1, ...; false at the end. */
bool netmon_usable(const struct netmon *m, size_t index, struct netmon_address *ret);

#endif
