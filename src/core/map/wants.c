/* SPDX-License-Identifier: MIT */
/*
 * wants.c - who wants whom.
 *
 * A want names the wanted key, not a node: it may be there first. "May B learn about A" is one
 * look-up of the want A -> B. Who is to be told of a change of A are those among A's own wants that
 * want A in return, so the work is bounded by what A asked for, never by how many strangers ask
 * for A.
 */
#include "registry_internal.h"

#include <errno.h>
#include <string.h>

/* Wants beyond REGISTRY_WANTS_SURE that all nodes may have together, for each possible node. */
#define SHARED_WANTS 16u

/* Both hashes are keyed, so this needs no key of its own. */
static u32 hash_want(u32 wanting, u32 wanted)
{
	return wanting * 0x9e3779b1u ^ wanted;
}

/* And back: what the hash of the wanted key was. */
static u32 hash_wanted(const struct want *w)
{
	return hash_want(w->node->link.hash, w->link.hash);
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
void wants_drop(struct registry *r, struct registry_node *node, u64 renewed_by)
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
	u32 hash = registry_hash(r, key);
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

void registry_watchers(const struct registry *r, const struct registry_node *node,
		       void (*visit)(void *ctx, struct registry_node *watcher), void *ctx)
{
	struct registry_node *other;

	for (const struct want *w = node->wants; w; w = w->next) {
		other = registry_find_hashed(r, w->key, hash_wanted(w));
		if (other && find_want(r, other, node->key, node->link.hash))
			visit(ctx, other);
	}
}

/* A want ends unnoticed: it only takes a permission back. */
void wants_expire(struct registry *r, u64 now)
{
	struct age *due;

	while ((due = ages_due(&r->want_ages, now, r->expiry)))
		wants_drop(r, CONTAINER(due, struct want, age)->node, now - r->expiry);
}
