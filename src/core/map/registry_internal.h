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
	struct registry_place place;
	u16 id;
	u16 credit;    /* bytes that may go there while it is not confirmed */
	u32 confirmed; /* when, see routes.c; 0: not since it was first seen there */
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
/* Drops all wants of node that were last renewed at or before a time. */
void wants_drop(struct registry *r, struct registry_node *node, u64 renewed_by);
/* Removes all interfaces that were last heard at or before a time, and by nothing said later than
 * that. True: there was one. */
bool places_drop(struct registry *r, struct registry_node *node, u64 heard_by,
		 struct registry_moment said);
/* It was seen at another endpoint than before. */
void route_moved(struct interface *i);
void wants_expire(struct registry *r, u64 now);

#endif
