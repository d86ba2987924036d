/* SPDX-License-Identifier: MIT */
/*
 * registry.c - nodes and their interfaces; who wants whom is wants.c.
 *
 *   nodes   hash table by key                    known, provisional: nodes by age
 *   wants   hash table by (wanting node, key)    interface_ages, want_ages
 *
 * The hash is keyed, as whoever connects chooses the keys. See table.h and ages.h.
 */
#include "registry_internal.h"

#include <errno.h>
#include <string.h>

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

u32 registry_hash(const struct registry *r, const u8 key[static KEY_SIZE])
{
	u8 mac[MAC_SIZE];

	crypto_mac(mac, r->seed, sizeof(r->seed), key, KEY_SIZE);
	return get_u32(mac);
}

struct registry_node *registry_find_hashed(const struct registry *r, const u8 key[static KEY_SIZE],
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
	return registry_find_hashed(r, key, registry_hash(r, key));
}

struct registry_node *registry_add(struct registry *r, u64 now, const u8 key[static KEY_SIZE])
{
	struct registry_node *node;

	if (registry_full(r))
		return NULL;
	node = mem_alloc(&r->allocator, sizeof(*node));
	if (!node)
		return NULL;
	if (table_insert(&r->nodes, &r->allocator, &node->link, registry_hash(r, key)) < 0) {
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

/* --- handles ---------------------------------------------------------------------------- */

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

/* --- ends -------------------------------------------------------------------------------- */

void registry_remove(struct registry *r, struct registry_node *node)
{
	places_drop(r, node, TIME_NEVER, REGISTRY_LATEST);
	wants_drop(r, node, TIME_NEVER);
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
	wants_expire(r, now);
	due = ages_due(&r->interface_ages, now, r->expiry);
	if (!due)
		return NULL;
	node = CONTAINER(due, struct interface, age)->node;
	places_drop(r, node, now - r->expiry, REGISTRY_LATEST);
	*ret_gone = false;
	return node;
}
