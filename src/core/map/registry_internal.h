/* SPDX-License-Identifier: MIT */
/*
 * registry_internal.h - what registry.c (nodes), places.c (where their interfaces are), routes.c (which
 * of them is told something) and wants.c (who wants whom) share.
 */
#ifndef WARP_REGISTRY_INTERNAL_H
#define WARP_REGISTRY_INTERNAL_H

#include "warp/registry.h"

#include "core/parts/ages.h"
#include "core/parts/table.h"

struct interface {
	struct age age;
	struct registry_node *node;
	struct interface *next;
	struct registry_moment said;
	struct wire_mapping seen;
	u16 id;
	u32 listener;
	u32 confirmed; /* when, see routes.c; 0: not since it was first seen there */
	u32 connected; /* listener of the TCP connection it was seen at before, 0: none */
	u16 credit;    /* bytes that may go there while it is not confirmed */
};

struct want {
	struct link link;
	struct age age;
	struct registry_node *node; /* that wants */
	struct want *next;          /* of the same node */
	u8 key[KEY_SIZE];           /* wanted */
};

struct registry_node {
	struct link link;
	struct age age;
	u8 key[KEY_SIZE];
	void *owner;
	struct interface *interfaces;   /* most recently heard first */
	struct registry_moment cleared; /* what was said before makes no interface anew */
	struct want *wants;
	u16 want_count;
	u8 interface_count;
	bool provisional;
};

struct registry {
	struct allocator allocator;
	u8 seed[REGISTRY_SEED_SIZE];
	struct table nodes, wants;
	struct ages known, provisional, interface_ages, want_ages;
	u64 expiry;
	u64 shared_wants; /* in use */
	u32 max_nodes;
};

/* Keyed: strangers choose keys. */
u32 registry_hash(const struct registry *r, const u8 key[static KEY_SIZE]);
/* registry_find() of a key whose hash is known. */
struct registry_node *registry_find_hashed(const struct registry *r, const u8 key[static KEY_SIZE],
					   u32 hash);
/* Drops all wants of node that were last renewed at or before a time. */
void wants_drop(struct registry *r, struct registry_node *node, u64 renewed_by);
/* Removes all interfaces that were last heard at or before a time, and by nothing said later than
 * that. True: there was one. */
bool places_drop(struct registry *r, struct registry_node *node, u64 heard_by,
		 struct registry_moment said);
/* It is about to be seen at another endpoint than before. */
void route_moves(struct interface *i);
void wants_expire(struct registry *r, u64 now);

#endif
