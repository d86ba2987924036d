/* SPDX-License-Identifier: MIT */
/*
 * routes.c - at which of its interfaces a node is told what it has not asked for.
 *
 * One that has said over UDP where it is, and not yet shown it, is still told over the connection that
 * it used before.
 *
 * Whether an interface is confirmed is remembered in seconds, counted from 1: there may be a great
 * many of them. Its credit is what the node's own datagrams from there have earned, and is
 * worth nothing once it is confirmed.
 */
#include "registry_internal.h"

#define CONFIRMED_EXPIRIES 2u

static u32 seconds(u64 now)
{
	return (u32)(now / NS_PER_S) + 1;
}

/* ns, and less than a second more. */
static u64 confirmed_for(const struct interface *i, u64 now)
{
	return (u64)(seconds(now) - i->confirmed) * NS_PER_S;
}

/* Of a TCP connection: it is a proof itself. */
static bool is_connected(const struct interface *i)
{
	return !i->seen.observed.address.family;
}

static bool is_confirmed(const struct registry *r, u64 now, const struct interface *i)
{
	if (is_connected(i))
		return true;
	return i->confirmed && confirmed_for(i, now) <= CONFIRMED_EXPIRIES * r->expiry;
}

static struct interface *by_id(const struct registry_node *node, u16 id)
{
	struct interface *i = node->interfaces;

	while (i && i->id != id)
		i = i->next;
	return i;
}

static struct interface *by_endpoint(const struct registry_node *node, const struct endpoint *e)
{
	struct interface *i = node->interfaces;

	while (i && !endpoint_equal(&i->seen.observed, e))
		i = i->next;
	return i;
}

void route_moves(struct interface *i)
{
	if (is_connected(i))
		i->connected = i->listener;
	i->confirmed = 0;
	i->credit = 0;
}

void registry_confirm(u64 now, struct registry_node *node, u16 interface)
{
	struct interface *i = by_id(node, interface);

	if (!i)
		return;
	i->confirmed = seconds(now);
	i->connected = 0;
}

bool registry_confirm_due(const struct registry *r, u64 now, const struct registry_node *node,
			  u16 interface)
{
	const struct interface *i = by_id(node, interface);

	if (i && is_connected(i))
		return false;
	return !i || !i->confirmed || confirmed_for(i, now) > r->expiry / 2;
}

bool registry_is_confirmed(const struct registry *r, u64 now, const struct registry_node *node,
			   const struct endpoint *observed)
{
	const struct interface *i = by_endpoint(node, observed);

	return i && is_confirmed(r, now, i);
}

void registry_give_credit(struct registry *r, u64 now, struct registry_node *node,
			  const struct endpoint *observed, size_t bytes)
{
	struct interface *i = by_endpoint(node, observed);

	if (!i || is_confirmed(r, now, i))
		return;
	i->credit = (u16)(i->credit + bytes < UINT16_MAX ? i->credit + bytes : UINT16_MAX);
}

static bool pay(struct interface *i, size_t size)
{
	if (i->credit < size)
		return false;
	i->credit = (u16)(i->credit - size);
	return true;
}

/* The way to an interface without credit. False: there is none yet. */
static bool way_to(const struct registry *r, u64 now, const struct interface *i,
		   struct endpoint *ret_observed, u32 *ret_listener)
{
	bool confirmed = is_confirmed(r, now, i);

	if (!confirmed && !i->connected)
		return false;
	*ret_observed = confirmed ? i->seen.observed : (struct endpoint){ 0 };
	*ret_listener = confirmed ? i->listener : i->connected;
	return true;
}

size_t registry_routes(const struct registry *r, u64 now, struct registry_node *node, size_t size,
		       struct endpoint *ret_observed, u32 *ret_listener, size_t max)
{
	size_t count = 0;

	for (struct interface *i = node->interfaces; i && count < max; i = i->next)
		count += way_to(r, now, i, &ret_observed[count], &ret_listener[count]);
	for (struct interface *i = node->interfaces; i && count < max; i = i->next) {
		struct endpoint observed;
		u32 listener;

		if (way_to(r, now, i, &observed, &listener) || !pay(i, size))
			continue;
		ret_observed[count] = i->seen.observed;
		ret_listener[count++] = i->listener;
	}
	return count;
}

bool registry_route(const struct registry *r, u64 now, struct registry_node *node, u8 interface,
		    size_t size, struct endpoint *ret_observed, u32 *ret_listener)
{
	const struct interface *i = by_id(node, interface);

	if (i && way_to(r, now, i, ret_observed, ret_listener))
		return true;
	return registry_routes(r, now, node, size, ret_observed, ret_listener, 1) == 1;
}
