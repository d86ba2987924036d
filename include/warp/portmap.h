/* SPDX-License-Identifier: MIT */
/*
 * portmap.h - asks the router of each interface to let others in: for IPv4 by a mapping of its NAT,
 * for IPv6 by a hole in its firewall.
 *
 * The router is the gateway of the interface's default route. It is asked by PCP (RFC 6887), then by
 * NAT-PMP (RFC 6886), then by UPnP-IGD; the first that works is kept. What it grants is renewed at
 * half its lifetime, asked for again when the gateway changes or the router tells that it has
 * forgotten everything, and given back at the end. Nothing here ever waits.
 *
 *   portmap_create()
 *   watch portmap_fd() for reading: portmap_read()
 *   at portmap_next_expiry():       portmap_expire()
 *
 * Interfaces are known by the caller's index.
 */
#ifndef WARP_PORTMAP_H
#define WARP_PORTMAP_H

#include "warp/engine.h"

struct portmap;

/* In the order in which they are tried. */
enum portmap_protocol { PORTMAP_NONE, PORTMAP_PCP, PORTMAP_NATPMP, PORTMAP_UPNP };

/* "pcp", "nat-pmp", "upnp"; "none". */
const char *portmap_protocol_name(enum portmap_protocol protocol);

struct portmap_iface {
	char ifname[IFNAME_SIZE];
	u32 ifindex;
	struct endpoint local; /* address and port that others are to reach, by UDP */
};

struct portmap_mapping {
	enum portmap_protocol protocol; /* PORTMAP_NONE: there is none */
	struct endpoint external;
	u32 lifetime; /* seconds, as granted */
	u64 expires;  /* ns */
};

struct portmap_ops {
	/* Granted, renewed, or (PORTMAP_NONE) lost. Must not call portmap_*(). */
	void (*mapped)(void *ctx, u8 iface, const struct portmap_mapping *mapping);
};

struct portmap_options {
	u32 lifetime;        /* seconds to ask for */
	bool bind_to_device; /* sockets, to the interface's device */
	struct random_source random;
};

/* 0, -ENOMEM, -errno of epoll_create1(2). */
int portmap_create(struct portmap **ret, const struct portmap_options *options,
		   const struct portmap_ops *ops, void *ctx);
/* Gives nothing back. */
void portmap_destroy(struct portmap *p);
int portmap_fd(const struct portmap *p);
void portmap_read(struct portmap *p, u64 now);
u64 portmap_next_expiry(const struct portmap *p);
void portmap_expire(struct portmap *p, u64 now);

/* iface < MAX_IFACES, not in use. */
void portmap_add(struct portmap *p, u64 now, u8 iface, const struct portmap_iface *what);
/* Gives back what it has, as well as that can be without waiting. Not added: nothing happens. */
void portmap_remove(struct portmap *p, u64 now, u8 iface);
/* Its default route has appeared or changed. */
void portmap_routed(struct portmap *p, u64 now, u8 iface);
/* What it has now; false: nothing. */
bool portmap_get(const struct portmap *p, u8 iface, struct portmap_mapping *ret);

/* Gives everything back and asks for nothing any more. The caller goes on reading until
 * portmap_released(), or until its patience ends. */
void portmap_release(struct portmap *p, u64 now);
bool portmap_released(const struct portmap *p);

#endif
