/* SPDX-License-Identifier: MIT */
/*
 * allowedips.h - which peer an inner address belongs to: a binary trie per family, longest prefix
 * first, as WireGuard's cryptokey routing.
 */
#ifndef WARP_ALLOWEDIPS_H
#define WARP_ALLOWEDIPS_H

#include "warp/endpoint.h"

#define ALLOWEDIPS_NONE 0xffffu

struct prefix {
	struct address address;
	u8 bits; /* 0..32 or 0..128 */
};

struct allowedips;

struct allowedips *allowedips_create(const struct allocator *a);
void allowedips_destroy(struct allowedips *t);
/* Bits beyond the prefix length are ignored. The same prefix given again moves to the new peer.
 * -ENOMEM, -EINVAL. */
int allowedips_insert(struct allowedips *t, const struct prefix *prefix, u16 peer);
void allowedips_remove_peer(struct allowedips *t, u16 peer);
/* The peer with the longest prefix that holds address, or ALLOWEDIPS_NONE. */
u16 allowedips_lookup(const struct allowedips *t, const struct address *address);

/* The source and destination of an IPv4 or IPv6 packet. -EBADMSG: neither, or cut short. */
int ip_packet_addresses(const u8 *packet, size_t size, struct address *ret_source,
			struct address *ret_destination);

#endif
