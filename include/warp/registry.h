/* SPDX-License-Identifier: MIT */
/*
 * registry.h - the map's table: who is where, and who wants to know. Pure data, no messages.
 *
 * A node is known by its key from the first registration or request until client_expiry after
 * the last. B may learn about A only while A in turn asks for B.
 */
#ifndef WARP_REGISTRY_H
#define WARP_REGISTRY_H

#include "warp/crypto.h"
#include "warp/wire.h"

#define REGISTRY_INTERFACES 32u /* a node */
#define REGISTRY_WANTS 1024u    /* peers a node may ask for */

struct registry;
struct registry_node; /* opaque; has room for the owner's pointer */

struct registry *registry_create(const struct allocator *a, u32 max_nodes, u64 expiry);
void registry_destroy(struct registry *r);
u32 registry_count(const struct registry *r);

struct registry_node *registry_find(const struct registry *r, const u8 key[static KEY_SIZE]);
/* Finds or makes. NULL: the table is full or there is no memory. */
struct registry_node *registry_touch(struct registry *r, u64 now, const u8 key[static KEY_SIZE]);
void registry_remove(struct registry *r, struct registry_node *node);
const u8 *registry_key(const struct registry_node *node);
void *registry_owner(const struct registry_node *node);
void registry_set_owner(struct registry_node *node, void *owner);

/* Stores where an interface was seen. Returns true when that changed what others may learn. */
bool registry_set_interface(struct registry *r, u64 now, struct registry_node *node, u16 interface,
			    const struct endpoint *observed, const struct endpoint *lan,
			    u8 listener);
/* WIRE_ALL_INTERFACES removes all. Returns true when something was there. */
bool registry_clear_interface(struct registry *r, struct registry_node *node, u16 interface);
/* node asks for key (again): remembered until expiry. -ENOSPC, -ENOMEM. Returns 1 when this is new,
 * so that key, if it wants node, is to be told about node, and node about key. */
int registry_want(struct registry *r, u64 now, struct registry_node *node,
		  const u8 key[static KEY_SIZE]);
/* May node learn about other? */
bool registry_may_learn(const struct registry *r, const struct registry_node *node,
			const struct registry_node *other);
/* The mappings of node, at most max; returns their number. */
size_t registry_mappings(const struct registry_node *node, struct wire_mapping *ret, size_t max);
/* Where to reach the node: observed endpoint and listener of its live interfaces. */
size_t registry_routes(const struct registry_node *node, struct endpoint *ret_observed,
		       u8 *ret_listener, size_t max);
/* Calls visit for every node that wants node and that node wants: who is to be told of a change. */
void registry_watchers(struct registry *r, const struct registry_node *node,
		       void (*visit)(void *ctx, struct registry_node *watcher), void *ctx);

u64 registry_next_expiry(const struct registry *r);
/* Takes one node whose interfaces or life have expired; call until NULL. gone: the node itself is
 * past its life and the caller removes it; else some interface of it was removed. */
struct registry_node *registry_expire(struct registry *r, u64 now, bool *ret_gone);

#endif
