/* SPDX-License-Identifier: MIT */
/*
 * endpoint.h - an IP address, and an UDP endpoint (address and port), without sockaddr.
 *
 * family is 0 (none), 4 or 6. bytes is in network order; an IPv4 address uses the first four and
 * leaves the others zero, so that two equal values are equal bytes. Ports are in host order.
 */
#ifndef WARP_ENDPOINT_H
#define WARP_ENDPOINT_H

#include "warp/base.h"

/* Not of the network: what a map forwards (the core's relay.c). */
#define ADDRESS_RELAY 1u

struct address {
	u8 family; /* 0, 4 or 6; ADDRESS_RELAY inside the core */
	u8 bytes[16];
};

struct endpoint {
	struct address address;
	u16 port;
};

bool address_equal(const struct address *a, const struct address *b);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* Loopback, unspecified, multicast, broadcast or IPv4-mapped: never the address of an interface or
 * a peer. */
bool address_is_special(const struct address *a);
bool address_is_loopback(const struct address *a);
/* RFC 3927 and RFC 4291 2.5.6. */
bool address_is_link_local(const struct address *a);
/* RFC 1918, RFC 6598, RFC 4193: meaningful only inside one site. */
bool address_is_private(const struct address *a);
/* A family, a port that is not 0, and an address that is not special. */
bool endpoint_is_usable(const struct endpoint *e);

/* FNV-1a over family, bytes and port; for hash tables, not for security. */
u32 endpoint_hash(const struct endpoint *e);

#endif
