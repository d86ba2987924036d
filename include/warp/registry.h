/* SPDX-License-Identifier: MIT */
/*
 * registry.h - the map's table: who is where, and who wants to know. Pure data, no messages.
 *
 * A node is known by its key. It begins as provisional (somebody has asked for a session in its
 * name) and is known from the first registry_touch() until expiry after the last. Its interfaces
 * and what it wants expire on their own, when they are not renewed.
 *
 * Whoever holds a key can write any address on what it sends. Where an interface was seen is told to
 * others, but what the node has not asked for goes only to where it has shown that it receives: its
 * interface is confirmed, for twice the expiry. Elsewhere go no more bytes than it has credit for.
 *
 * B may learn about A only while A in turn wants B. A key can be wanted before, and long after, it
 * is that of a node here.
 */
#ifndef WARP_REGISTRY_H
#define WARP_REGISTRY_H

#include "warp/crypto.h"
#include "warp/wire.h"

#define REGISTRY_INTERFACES 32u              /* a node */
#define REGISTRY_WANTS 1024u                 /* peers that a node may want, at most */
#define REGISTRY_WANTS_SURE 16u              /* as many, whatever others want */
#define REGISTRY_PROVISIONAL (10 * NS_PER_S) /* life of a node that was never touched */
#define REGISTRY_SEED_SIZE 32u

_Static_assert(REGISTRY_INTERFACES <= WIRE_MAPPINGS_MAX, "a node does not fit in a response");

/* When a node said something: it numbers what it says within a session, and its sessions follow one
 * another. */
struct registry_moment {
	u64 session, counter;
};

#define REGISTRY_LATEST ((struct registry_moment){ UINT64_MAX, UINT64_MAX })

static inline bool moment_before(struct registry_moment a, struct registry_moment b)
{
	return a.session < b.session || (a.session == b.session && a.counter < b.counter);
}

/* Where an interface was seen; lan may have no family, as observed where it is at a listener only: a
 * TCP connection, whose listener is not 0. */
struct registry_place {
	struct wire_mapping seen;
	struct registry_moment said;
	u32 listener;
};

struct registry;
struct registry_node; /* opaque; has room for the owner's pointer */

/* seed keys the hash: strangers choose keys, and should not choose chains. expiry in ns. */
struct registry *registry_create(const struct allocator *a,
				 const u8 seed[static REGISTRY_SEED_SIZE], u32 max_nodes,
				 u64 expiry);
void registry_destroy(struct registry *r);
u32 registry_count(const struct registry *r);
bool registry_full(const struct registry *r);

struct registry_node *registry_find(const struct registry *r, const u8 key[static KEY_SIZE]);
/* A new provisional node for a key that registry_find() does not find. NULL: the table is full or
 * there is no memory. */
struct registry_node *registry_add(struct registry *r, u64 now, const u8 key[static KEY_SIZE]);
/* The node was heard, and lives until expiry from now. */
void registry_touch(struct registry *r, u64 now, struct registry_node *node);
/* What others want of it is remembered. */
void registry_remove(struct registry *r, struct registry_node *node);
/* The provisional node that has waited longest: the first to go when room is needed. Or NULL. */
struct registry_node *registry_oldest_provisional(const struct registry *r);
const u8 *registry_key(const struct registry_node *node);
void *registry_owner(const struct registry_node *node);
void registry_set_owner(struct registry_node *node, void *owner);

/* Stores where an interface was seen. A node that has REGISTRY_INTERFACES forgets the one not heard
 * for longest. 1 when this changed what others may learn, 0 when not, -ESTALE (something said later
 * was taken before), -EINVAL (WIRE_ALL_INTERFACES), -ENOMEM. */
int registry_set_interface(struct registry *r, u64 now, struct registry_node *node, u16 interface,
			   const struct registry_place *place);
/* WIRE_ALL_INTERFACES removes all. What was seen by something said later stays. Returns true when
 * something was removed. */
bool registry_clear_interface(struct registry *r, struct registry_node *node, u16 interface,
			      struct registry_moment said);
/* node wants key (again): remembered until expiry. 1 when this is new, so that key, if it wants
 * node, is to be told about node; 0 when not; -EINVAL (its own key), -ENOSPC, -ENOMEM. */
int registry_want(struct registry *r, u64 now, struct registry_node *node,
		  const u8 key[static KEY_SIZE]);
/* A number that names the node here for as long as it is known: hard to guess, nearly unique. */
u32 registry_handle(const struct registry_node *node);
/* The node of this handle that wants from, and that from wants; or NULL. */
struct registry_node *registry_find_handle(const struct registry *r, u32 handle,
					   const struct registry_node *from);
/* The node has shown that it receives what is sent to where this interface was seen. */
void registry_confirm(u64 now, struct registry_node *node, u16 interface);
/* Shall the node show that (again)? True for an interface that is not there. */
bool registry_confirm_due(const struct registry *r, u64 now, const struct registry_node *node,
			  u16 interface);
/* Is this where an interface was seen, and is that confirmed? */
bool registry_is_confirmed(const struct registry *r, u64 now, const struct registry_node *node,
			   const struct endpoint *observed);
/* As many bytes more may go to an interface that was seen there, while it is not confirmed. */
void registry_give_credit(struct registry *r, u64 now, struct registry_node *node,
			  const struct endpoint *observed, size_t bytes);
/* Where a datagram of size bytes for the node's interface of this number goes to: there, or to the
 * one most recently heard, of those that are confirmed or were connected until they are; if there is
 * none, to one that has credit, which pays. False: nowhere. */
bool registry_route(const struct registry *r, u64 now, struct registry_node *node, u8 interface,
		    size_t size, struct endpoint *ret_observed, u32 *ret_listener);
/* The listener is gone: so are the interfaces that were seen there. True: there was one. */
bool registry_clear_listener(struct registry *r, struct registry_node *node, u32 listener);
/* May node learn about other? */
bool registry_may_learn(const struct registry *r, const struct registry_node *node,
			const struct registry_node *other);
/* The mappings of node: of the at most max interfaces most recently heard, by ascending number, so
 * that what has not changed looks the same. Returns how many. */
size_t registry_mappings(const struct registry_node *node, struct wire_mapping *ret, size_t max);
/* Where the node is told something in size bytes: observed endpoint and listener of its interfaces, at
 * most max; those that are confirmed, or were connected until they are, first, then those whose credit pays
 * for it, most recently heard first. Returns their number. */
size_t registry_routes(const struct registry *r, u64 now, struct registry_node *node, size_t size,
		       struct endpoint *ret_observed, u32 *ret_listener, size_t max);
/* Calls visit for every node that wants node and that node wants: who is to be told of a change.
 * visit must not change the registry. */
void registry_watchers(const struct registry *r, const struct registry_node *node,
		       void (*visit)(void *ctx, struct registry_node *watcher), void *ctx);

u64 registry_next_expiry(const struct registry *r);
/* Takes one node whose interfaces or life have expired; call until NULL. gone: the node itself is
 * past its life and the caller must remove it; else some interface of it was removed. */
struct registry_node *registry_expire(struct registry *r, u64 now, bool *ret_gone);

#endif
