/* SPDX-License-Identifier: MIT */
/*
 * places.c - where the interfaces of a registered node are, most recently heard first.
 */
#include "registry_internal.h"

#include <errno.h>

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

	if (moment_before(node->cleared, i->said))
		node->cleared = i->said;
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

bool places_drop(struct registry *r, struct registry_node *node, u64 heard_by,
		 struct registry_moment said)
{
	struct interface **at = &node->interfaces;
	u8 before = node->interface_count;

	while (*at) {
		if ((*at)->age.touched <= heard_by && !moment_before(said, (*at)->said))
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
	bool moved, changed = !*at;

	if (interface == WIRE_ALL_INTERFACES)
		return -EINVAL;
	if (moment_before(place->said, *at ? (*at)->said : node->cleared))
		return -ESTALE;
	i = *at ? renew_interface(r, now, node, at) : add_interface(r, now, node, interface);
	if (!i)
		return -ENOMEM;
	moved = !endpoint_equal(&i->seen.observed, &place->seen.observed);
	changed |= moved || !endpoint_equal(&i->seen.lan, &place->seen.lan) ||
		   !endpoint_equal(&i->seen.mapped, &place->seen.mapped);
	if (moved)
		route_moves(i);
	i->seen = place->seen;
	i->said = place->said;
	i->listener = place->listener;
	return changed;
}

bool registry_clear_interface(struct registry *r, struct registry_node *node, u16 interface,
			      struct registry_moment said)
{
	struct interface **at = find_interface(node, interface);

	if (moment_before(node->cleared, said))
		node->cleared = said;
	if (interface == WIRE_ALL_INTERFACES)
		return places_drop(r, node, TIME_NEVER, said);
	if (!*at || moment_before(said, (*at)->said))
		return false;
	drop_interface(r, node, at);
	return true;
}

bool registry_clear_listener(struct registry *r, struct registry_node *node, u32 listener)
{
	struct interface **at = &node->interfaces;
	u8 before = node->interface_count;

	while (*at) {
		if ((*at)->connected == listener)
			(*at)->connected = 0;
		if ((*at)->listener == listener)
			drop_interface(r, node, at);
		else
			at = &(*at)->next;
	}
	return node->interface_count != before;
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
	for (at = 0; at < count; at++) {
		ret[at] = sorted[at]->seen;
		ret[at].interface = (u8)sorted[at]->id;
	}
	return count;
}
