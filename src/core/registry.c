/* SPDX-License-Identifier: MIT */
/*
 * registry.c - nodes, their interfaces, and who wants whom.
 *
 *   nodes   hash table by key                    known, provisional: nodes by age
 *   wants   hash table by (wanting node, key)    interface_ages, want_ages
 *
 * A want names the wanted key, not a node: it may be there first. "May B learn about A" is one
 * look-up of the want A -> B. Who is to be told of a change of A are those among A's own wants that
 * want A in return, so the work is bounded by what A asked for, never by how many strangers ask
 * for A.
 *
 * The hash is keyed, as whoever connects chooses the keys. See table.h and ages.h.
 */
#include "registry_internal.h"

#include <errno.h>
#include <string.h>

/* Wants beyond REGISTRY_WANTS_SURE that all nodes may have together, for each possible node. */
#define SHARED_WANTS 16u

/* --- the table --------------------------------------------------------------------------- */

struct registry *registry_create(const struct allocator *a,
				 const u8 seed[static REGISTRY_SEED_SIZE], u32 max_nodes,
				 u64 expiry)
{
	struct registry *r = mem_alloc(a, sizeof(*r));

	if (!r)
		return NULL;
	r->allocator = *a;
	memcpy(r->seed, seed, sizeof(r->seed));
	r->max_nodes = max_nodes;
	r->expiry = expiry;
	return r;
}

static void remove_all(struct registry *r, struct ages *ages)
{
	while (ages->oldest)
		registry_remove(r, CONTAINER(ages->oldest, struct registry_node, age));
}

void registry_destroy(struct registry *r)
{
	struct allocator a;

	if (!r)
		return;
	a = r->allocator;
	remove_all(r, &r->known);
	remove_all(r, &r->provisional);
	table_clear(&r->nodes, &a);
	table_clear(&r->wants, &a);
	crypto_wipe(r->seed, sizeof(r->seed));
	mem_free(&a, r, sizeof(*r));
}

u32 registry_count(const struct registry *r)
{
	return r->nodes.count;
}

bool registry_full(const struct registry *r)
{
	return r->nodes.count >= r->max_nodes;
}

static u32 hash_key(const struct registry *r, const u8 key[static KEY_SIZE])
{
	u8 mac[MAC_SIZE];

	crypto_mac(mac, r->seed, sizeof(r->seed), key, KEY_SIZE);
	return get_u32(mac);
}

static struct registry_node *find_node(const struct registry *r, const u8 key[static KEY_SIZE],
				       u32 hash)
{
	struct registry_node *node;

	for (struct link *l = table_chain(&r->nodes, hash); l; l = l->next) {
		node = CONTAINER(l, struct registry_node, link);
		if (l->hash == hash && !memcmp(node->key, key, KEY_SIZE))
			return node;
	}
	return NULL;
}

struct registry_node *registry_find(const struct registry *r, const u8 key[static KEY_SIZE])
{
	return find_node(r, key, hash_key(r, key));
}

struct registry_node *registry_add(struct registry *r, u64 now, const u8 key[static KEY_SIZE])
{
	struct registry_node *node;

	if (registry_full(r))
		return NULL;
	node = mem_alloc(&r->allocator, sizeof(*node));
	if (!node)
		return NULL;
	if (table_insert(&r->nodes, &r->allocator, &node->link, hash_key(r, key)) < 0) {
		mem_free(&r->allocator, node, sizeof(*node));
		return NULL;
	}
	memcpy(node->key, key, KEY_SIZE);
	node->provisional = true;
	ages_add(&r->provisional, &node->age, now);
	return node;
}

static struct ages *ages_of(struct registry *r, const struct registry_node *node)
{
	return node->provisional ? &r->provisional : &r->known;
}

void registry_touch(struct registry *r, u64 now, struct registry_node *node)
{
	ages_remove(ages_of(r, node), &node->age);
	node->provisional = false;
	ages_add(&r->known, &node->age, now);
}

struct registry_node *registry_oldest_provisional(const struct registry *r)
{
	struct age *oldest = r->provisional.oldest;

	return oldest ? CONTAINER(oldest, struct registry_node, age) : NULL;
}

const u8 *registry_key(const struct registry_node *node)
{
	return node->key;
}

void *registry_owner(const struct registry_node *node)
{
	return node->owner;
}

void registry_set_owner(struct registry_node *node, void *owner)
{
	node->owner = owner;
}

/* --- wants ------------------------------------------------------------------------------- */

/* Both hashes are keyed, so this needs no key of its own. */
static u32 hash_want(u32 wanting, u32 wanted)
{
	return wanting * 0x9e3779b1u ^ wanted;
}

static struct want *find_want(const struct registry *r, const struct registry_node *node,
			      const u8 key[static KEY_SIZE], u32 key_hash)
{
	u32 hash = hash_want(node->link.hash, key_hash);
	struct want *w;

	for (struct link *l = table_chain(&r->wants, hash); l; l = l->next) {
		w = CONTAINER(l, struct want, link);
		if (l->hash == hash && w->node == node && !memcmp(w->key, key, KEY_SIZE))
			return w;
	}
	return NULL;
}

/* Each node has room for some of its own; what goes beyond is shared by all, so that memory is
 * bounded and nobody can take another's first ones away. */
static bool may_want_more(const struct registry *r, const struct registry_node *node)
{
	if (node->want_count < REGISTRY_WANTS_SURE)
		return true;
	return node->want_count < REGISTRY_WANTS &&
	       r->shared_wants < (u64)r->max_nodes * SHARED_WANTS;
}

static int add_want(struct registry *r, u64 now, struct registry_node *node,
		    const u8 key[static KEY_SIZE], u32 key_hash)
{
	struct want *w;

	if (!may_want_more(r, node))
		return -ENOSPC;
	w = mem_alloc(&r->allocator, sizeof(*w));
	if (!w)
		return -ENOMEM;
	if (table_insert(&r->wants, &r->allocator, &w->link, hash_want(node->link.hash, key_hash)) <
	    0) {
		mem_free(&r->allocator, w, sizeof(*w));
		return -ENOMEM;
	}
	memcpy(w->key, key, KEY_SIZE);
	w->node = node;
	w->next = node->wants;
	node->wants = w;
	r->shared_wants += node->want_count++ >= REGISTRY_WANTS_SURE;
	ages_add(&r->want_ages, &w->age, now);
	return 1;
}

static void drop_want(struct registry *r, struct registry_node *node, struct want **at)
{
	struct want *w = *at;

	*at = w->next;
	r->shared_wants -= --node->want_count >= REGISTRY_WANTS_SURE;
	table_remove(&r->wants, &w->link);
	ages_remove(&r->want_ages, &w->age);
	mem_free(&r->allocator, w, sizeof(*w));
}

/* All that were last renewed at or before a time. */
static void drop_wants(struct registry *r, struct registry_node *node, u64 renewed_by)
{
	struct want **at = &node->wants;

	while (*at) {
		if ((*at)->age.touched <= renewed_by)
			drop_want(r, node, at);
		else
			at = &(*at)->next;
	}
}

int registry_want(struct registry *r, u64 now, struct registry_node *node,
		  const u8 key[static KEY_SIZE])
{
	u32 hash = hash_key(r, key);
	struct want *w = find_want(r, node, key, hash);

	if (!memcmp(node->key, key, KEY_SIZE))
		return -EINVAL;
	if (!w)
		return add_want(r, now, node, key, hash);
	ages_renew(&r->want_ages, &w->age, now);
	return 0;
}

bool registry_may_learn(const struct registry *r, const struct registry_node *node,
			const struct registry_node *other)
{
	return find_want(r, other, node->key, node->link.hash) != NULL;
}

/* The hash is keyed and never told otherwise. */
u32 registry_handle(const struct registry_node *node)
{
	return node->link.hash;
}

struct registry_node *registry_find_handle(const struct registry *r, u32 handle,
					   const struct registry_node *from)
{
	for (struct link *l = table_chain(&r->nodes, handle); l; l = l->next) {
		struct registry_node *node = CONTAINER(l, struct registry_node, link);

		if (l->hash == handle && registry_may_learn(r, node, from) &&
		    registry_may_learn(r, from, node))
			return node;
	}
	return NULL;
}

void registry_watchers(const struct registry *r, const struct registry_node *node,
		       void (*visit)(void *ctx, struct registry_node *watcher), void *ctx)
{
	struct registry_node *other;

	for (const struct want *w = node->wants; w; w = w->next) {
		other = registry_find(r, w->key);
		if (other && find_want(r, other, node->key, node->link.hash))
			visit(ctx, other);
	}
}

/* --- ends -------------------------------------------------------------------------------- */

void registry_remove(struct registry *r, struct registry_node *node)
{
	places_drop(r, node, TIME_NEVER, REGISTRY_LATEST);
	drop_wants(r, node, TIME_NEVER);
	ages_remove(ages_of(r, node), &node->age);
	table_remove(&r->nodes, &node->link);
	mem_free(&r->allocator, node, sizeof(*node));
}

u64 registry_next_expiry(const struct registry *r)
{
	u64 node = time_min(ages_expiry(&r->known, r->expiry),
			    ages_expiry(&r->provisional, REGISTRY_PROVISIONAL));
	u64 part = time_min(ages_expiry(&r->interface_ages, r->expiry),
			    ages_expiry(&r->want_ages, r->expiry));

	return time_min(node, part);
}

/* A want ends unnoticed: it only takes a permission back. */
static void expire_wants(struct registry *r, u64 now)
{
	struct age *due;

	while ((due = ages_due(&r->want_ages, now, r->expiry)))
		drop_wants(r, CONTAINER(due, struct want, age)->node, now - r->expiry);
}

struct registry_node *registry_expire(struct registry *r, u64 now, bool *ret_gone)
{
	struct age *due = ages_due(&r->provisional, now, REGISTRY_PROVISIONAL);
	struct registry_node *node;

	if (!due)
		due = ages_due(&r->known, now, r->expiry);
	if (due) {
		*ret_gone = true;
		return CONTAINER(due, struct registry_node, age);
	}
	expire_wants(r, now);
	due = ages_due(&r->interface_ages, now, r->expiry);
	if (!due)
		return NULL;
	node = CONTAINER(due, struct interface, age)->node;
	places_drop(r, node, now - r->expiry, REGISTRY_LATEST);
	*ret_gone = false;
	return node;
}
