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
	return find_node(r, key, registry_hash(r, key));
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

/* --- interfaces -------------------------------------------------------------------------- */

/* The place in the node's list that points to this interface, or to NULL at its end. */
static struct interface **find_interface(struct registry_node *node, u16 id)
{
	struct interface **at = &node->interfaces;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void drop_interface(struct registry *r, struct registry_node *node, struct interface **at)
{
	struct interface *i = *at;

	if (moment_before(node->cleared, i->place.said))
		node->cleared = i->place.said;
	*at = i->next;
	node->interface_count--;
	ages_remove(&r->interface_ages, &i->age);
	mem_free(&r->allocator, i, sizeof(*i));
}

/* The least recently heard is the last one of the list. */
static void drop_last_interface(struct registry *r, struct registry_node *node)
{
	struct interface **at = &node->interfaces;

	while ((*at)->next)
		at = &(*at)->next;
	drop_interface(r, node, at);
}

/* All that were last heard at or before a time, and by nothing said later than that. */
static bool drop_interfaces(struct registry *r, struct registry_node *node, u64 heard_by,
			    struct registry_moment said)
{
	struct interface **at = &node->interfaces;
	u8 before = node->interface_count;

	while (*at) {
		if ((*at)->age.touched <= heard_by && !moment_before(said, (*at)->place.said))
			drop_interface(r, node, at);
		else
			at = &(*at)->next;
	}
	return node->interface_count != before;
}

/* A new one at the head of the list, or NULL. */
static struct interface *add_interface(struct registry *r, u64 now, struct registry_node *node,
				       u16 id)
{
	struct interface *i = mem_alloc(&r->allocator, sizeof(*i));

	if (!i)
		return NULL;
	if (node->interface_count >= REGISTRY_INTERFACES)
		drop_last_interface(r, node);
	i->id = id;
	i->node = node;
	i->next = node->interfaces;
	node->interfaces = i;
	node->interface_count++;
	ages_add(&r->interface_ages, &i->age, now);
	return i;
}

/* Makes *at the youngest, and the head of its list. */
static struct interface *renew_interface(struct registry *r, u64 now, struct registry_node *node,
					 struct interface **at)
{
	struct interface *i = *at;

	*at = i->next;
	i->next = node->interfaces;
	node->interfaces = i;
	ages_renew(&r->interface_ages, &i->age, now);
	return i;
}

int registry_set_interface(struct registry *r, u64 now, struct registry_node *node, u16 interface,
			   const struct registry_place *place)
{
	struct interface **at = find_interface(node, interface);
	struct interface *i;
	bool changed;

	if (interface == WIRE_ALL_INTERFACES)
		return -EINVAL;
	if (moment_before(place->said, *at ? (*at)->place.said : node->cleared))
		return -ESTALE;
	i = *at ? renew_interface(r, now, node, at) : add_interface(r, now, node, interface);
	if (!i)
		return -ENOMEM;
	/* A new one is all zero, and what was observed has a family. */
	changed = !endpoint_equal(&i->place.seen.observed, &place->seen.observed) ||
		  !endpoint_equal(&i->place.seen.lan, &place->seen.lan);
	i->place = *place;
	return changed;
}

bool registry_clear_interface(struct registry *r, struct registry_node *node, u16 interface,
			      struct registry_moment said)
{
	struct interface **at = find_interface(node, interface);

	if (moment_before(node->cleared, said))
		node->cleared = said;
	if (interface == WIRE_ALL_INTERFACES)
		return drop_interfaces(r, node, TIME_NEVER, said);
	if (!*at || moment_before(said, (*at)->place.said))
		return false;
	drop_interface(r, node, at);
	return true;
}

size_t registry_mappings(const struct registry_node *node, struct wire_mapping *ret, size_t max)
{
	const struct interface *sorted[REGISTRY_INTERFACES];
	size_t count = 0, at;

	for (const struct interface *i = node->interfaces; i && count < max; i = i->next) {
		for (at = count++; at && sorted[at - 1]->id > i->id; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = i;
	}
	for (at = 0; at < count; at++)
		ret[at] = sorted[at]->place.seen;
	return count;
}

size_t registry_routes(const struct registry_node *node, struct endpoint *ret_observed,
		       u8 *ret_listener, size_t max)
{
	size_t count = 0;

	for (const struct interface *i = node->interfaces; i && count < max; i = i->next) {
		ret_observed[count] = i->place.seen.observed;
		ret_listener[count++] = i->place.listener;
	}
	return count;
}

/* --- ends -------------------------------------------------------------------------------- */

void registry_remove(struct registry *r, struct registry_node *node)
{
	drop_interfaces(r, node, TIME_NEVER, REGISTRY_LATEST);
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
	drop_interfaces(r, node, now - r->expiry, REGISTRY_LATEST);
	*ret_gone = false;
	return node;
}
