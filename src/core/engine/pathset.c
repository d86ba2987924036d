/* SPDX-License-Identifier: MIT */
/*
 * pathset.c - the paths of one peer, and which of them carry data.
 *
 * Paths keep their place while they live, so that a set of them is a mask of 64 bits. The masks and
 * the size that fits all usable paths are kept up to date when something changes, not worked out
 * for each payload.
 */
#include "engine_internal.h"

#include <string.h>

#define ALL_PATHS UINT64_MAX
#define VARIATIONS 4u                /* as RFC 6298 allows a round trip */
#define RELAY_OVERLAP (1 * NS_PER_S) /* relayed and direct, when one has just come to life */
#define RELAY_COPIES 2u
#define SILENCE_PATIENCE (300 * NS_PER_MS) /* loss alone is rarely silent for that long */

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

int pathset_find(const struct peer *p, u8 iface, u16 socket, const struct endpoint *remote)
{
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		int n = __builtin_ctzll(mask);
		const struct path *path = &p->paths[n];

		if (path->iface != iface || !endpoint_equal(&path->remote, remote))
			continue;
		/* It was the map that spoke to the socket. */
		if (path->socket == socket || path_relayed(path))
			return n;
	}
	return -1;
}

/* Does a go before b when there is no room: rather one that came in from somewhere than one that is
 * configured, rather one that never worked, rather the older. */
static bool goes_before(const struct path *a, const struct path *b)
{
	if (a->origin != b->origin)
		return a->origin > b->origin;
	if (a->state != b->state)
		return a->state == PATH_PROBING;
	return a->born < b->born;
}

/* A path that may go for one of this origin; never one that works. What a peer itself has shown
 * (from a prediction on) always gets a place; a candidate does not take that of an equal. */
static int path_to_evict(const struct peer *p, enum path_origin origin)
{
	int worst = -1;

	for (u32 n = 0; n < MAX_PEER_PATHS; n++) {
		if (path_usable(&p->paths[n]))
			continue;
		if (worst < 0 || goes_before(&p->paths[n], &p->paths[worst]))
			worst = (int)n;
	}
	if (worst >= 0 && origin < PATH_FROM_PREDICTION && p->paths[worst].origin <= origin)
		return -1;
	return worst;
}

static void path_gone(struct engine *e, struct peer *p, u32 path)
{
	recall_path_gone(e, p, path);
	p->paths[path].used = false;
	p->used_mask &= ~bit(path);
	punch_socket_unused(e, p->paths[path].iface, p->paths[path].socket);
}

/* Others come and go at other rooms' will. */
static bool carries_paths(u16 socket)
{
	return socket == 0 || (socket >= PATH_SOCKET_FIRST && socket <= PATH_SOCKET_LAST);
}

int pathset_add(struct engine *e, struct peer *p, u64 now, u8 iface, u16 socket,
		const struct endpoint *remote, enum path_origin origin)
{
	const struct iface *i = iface_get(e, iface);
	int n = pathset_find(p, iface, socket, remote);

	if (n >= 0) {
		if (origin < p->paths[n].origin)
			p->paths[n].origin = origin;
		return n;
	}
	if (!i || (remote->address.family != ADDRESS_RELAY &&
		   remote->address.family != i->options.local.address.family))
		return -1;
	if (remote->address.family == ADDRESS_RELAY) {
		origin = PATH_FROM_RELAY;
		socket = 0;
	}
	if (!carries_paths(socket))
		return -1;
	n = p->used_mask == ALL_PATHS ? path_to_evict(p, origin) : __builtin_ctzll(~p->used_mask);
	if (n < 0)
		return -1;
	if (p->used_mask & bit((u32)n))
		path_gone(e, p, (u32)n);
	train_close(e);
	path_init(&p->paths[n], now, iface, socket, remote, origin, iface_path_max(i, remote));
	policy_path(e, &p->paths[n]);
	p->used_mask |= bit((u32)n);
	p->usable_mask &= ~bit((u32)n);
	p->backup_mask &= ~bit((u32)n);
	peer_arm(e, p, now);
	return n;
}

void pathset_remove(struct engine *e, struct peer *p, u64 now, u32 path)
{
	path_gone(e, p, path);
	pathset_update(e, p, now);
}

void pathset_remove_iface(struct engine *e, struct peer *p, u64 now, u8 iface)
{
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		u32 n = (u32)__builtin_ctzll(mask);

		if (p->paths[n].iface != iface)
			continue;
		path_gone(e, p, n);
	}
	punch_forget_iface(e, p, now, iface);
	pathset_update(e, p, now);
}

static u32 smallest_datagram(const struct peer *p, u64 mask)
{
	u32 size = mask ? DATAGRAM_MAX : 0;

	for (; mask; mask &= mask - 1) {
		u32 max = p->paths[__builtin_ctzll(mask)].pmtu.size;

		if (max < size)
			size = max;
	}
	return size;
}

static void tell_connection(struct engine *e, struct peer *p, u64 now)
{
	bool connected = p->usable_mask != 0 && p->assoc.current;

	if (connected == p->connected)
		return;
	p->connected = connected;
	if (connected)
		offers_connected(e, p, now);
	engine_notice(e, connected ? NOTICE_PEER_CONNECTED : NOTICE_PEER_DISCONNECTED, p->index, 0,
		      0);
}

u64 pathset_silent_expiry(const struct peer *p)
{
	if (p->silent_since == 0 || p->lost_kicked || p->closed)
		return TIME_NEVER;
	return p->usable_mask ? p->silent_since + SILENCE_PATIENCE : p->silent_since;
}

/* When all is silent, perhaps the other end was restarted and knows no keys; or a NAT was, and the
 * peer has to be told by the map where we are now. */
static void watch_silence(struct engine *e, struct peer *p, u64 now, bool live)
{
	if (live) {
		p->silent_since = 0;
		if (p->lost_kicked)
			assoc_rest(e->hub, &p->assoc);
		p->lost_kicked = false;
		return;
	}
	if (p->silent_since == 0)
		p->silent_since = now;
	if (pathset_silent_expiry(p) <= now) {
		p->lost_kicked = true;
		assoc_kick(e->hub, &p->assoc, now);
		map_register_soon(e, now);
		peer_arm(e, p, now);
	}
	peer_arm(e, p, pathset_silent_expiry(p));
}

/* Lower is better: live before degraded, then more weight, then the shorter round trip. */
static u64 path_rank(const struct path *path)
{
	const u64 weight = path->weight < WEIGHT_MAX ? path->weight : WEIGHT_MAX;

	return (path->state == PATH_LIVE ? 0 : UINT64_C(1) << 62) + ((WEIGHT_MAX - weight) << 52) +
	       path->rtt;
}

/* The best path of mask; those on an interface in busy_ifaces only when there is no other. */
static u32 best_path(const struct peer *p, u64 mask, u32 busy_ifaces)
{
	u64 best_rank = UINT64_MAX;
	u32 best = 0;

	for (; mask; mask &= mask - 1) {
		u32 n = (u32)__builtin_ctzll(mask);
		u64 rank = path_rank(&p->paths[n]);

		if (busy_ifaces & (1u << p->paths[n].iface))
			rank += UINT64_C(1) << 63;
		if (rank < best_rank) {
			best_rank = rank;
			best = n;
		}
	}
	return best;
}

static u64 select_best(const struct peer *p, u64 left, u32 copies)
{
	u64 chosen = 0;
	u32 ifaces = 0;

	for (; copies > 0 && left; copies--) {
		u32 n = best_path(p, left, ifaces);

		chosen |= bit(n);
		left &= ~bit(n);
		ifaces |= 1u << p->paths[n].iface;
	}
	return chosen;
}

/* --- relays ---------------------------------------------------------------------------------- */

u64 pathset_relay_expiry(const struct peer *p)
{
	if (p->direct_since == 0 || !(p->usable_mask & p->relay_mask))
		return TIME_NEVER;
	return p->direct_since + RELAY_OVERLAP;
}

static bool lives_directly(const struct peer *p)
{
	for (u64 mask = p->usable_mask & ~p->relay_mask; mask; mask &= mask - 1) {
		if (p->paths[__builtin_ctzll(mask)].state == PATH_LIVE)
			return true;
	}
	return false;
}

/* No direct path is sure to carry anything: a NAT may have been restarted, and then the map has to
 * learn where we are now, for the relay as well. */
static void direct_lost(struct engine *e, struct peer *p, u64 now)
{
	p->direct_since = 0;
	map_register_soon(e, now);
	for (u64 mask = p->relay_mask; mask; mask &= mask - 1)
		path_wake(&p->paths[__builtin_ctzll(mask)], now);
	peer_arm(e, p, now);
}

/* Relayed paths carry data only while no direct one is sure to, and for a moment longer; and then
 * no more than a few of them, for all lead through the same place. */
static void spare_relays(struct engine *e, struct peer *p, u64 now)
{
	u64 relays = p->usable_mask & p->relay_mask;
	bool direct = lives_directly(p), lost = !direct && p->direct_since != 0;

	if (direct && p->direct_since == 0)
		p->direct_since = now ? now : 1;
	else if (lost)
		direct_lost(e, p, now);
	p->usable_mask &= ~p->relay_mask;
	if (p->direct_since == 0 || now < p->direct_since + RELAY_OVERLAP)
		p->usable_mask |= select_best(p, relays, RELAY_COPIES);
	if (p->usable_mask & ~p->relay_mask)
		p->backup_mask &= ~p->relay_mask;
	peer_arm(e, p, pathset_relay_expiry(p));
}

/* --- which carry data ------------------------------------------------------------------------- */

void pathset_update(struct engine *e, struct peer *p, u64 now)
{
	u32 before = p->datagram_max;
	u64 usable;

	train_close(e);
	p->usable_mask = p->backup_mask = p->relay_mask = p->live_mask = 0;
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		u32 n = (u32)__builtin_ctzll(mask);

		if (path_relayed(&p->paths[n]))
			p->relay_mask |= bit(n);
		if (path_usable(&p->paths[n]))
			p->usable_mask |= bit(n);
		else if (p->paths[n].state == PATH_DEAD)
			p->backup_mask |= bit(n);
		if (p->paths[n].state == PATH_LIVE)
			p->live_mask |= bit(n);
	}
	policy_update(e, p, now);
	spare_relays(e, p, now);
	deadline_refresh(p);
	copies_refresh(p, now);
	usable = p->usable_mask | p->tiers.stand_by; /* what left once must fit those as well */
	p->datagram_max = smallest_datagram(p, usable ? usable : p->backup_mask);
	if (p->datagram_max != before)
		engine_notice(e, NOTICE_MTU, p->index, 0, 0);
	tell_connection(e, p, now);
	watch_silence(e, p, now, p->live_mask != 0);
	recall_repeat(e, p, now);
	stripe_wake(p, now);
}

u64 pathset_skew(const struct peer *p)
{
	u64 least = UINT64_MAX, most = 0, variation = 0;

	for (u64 mask = p->usable_mask; mask; mask &= mask - 1) {
		const struct path *path = &p->paths[__builtin_ctzll(mask)];

		if (path->rtt == 0)
			continue;
		least = path->rtt < least ? path->rtt : least;
		most = path->rtt > most ? path->rtt : most;
		variation = path->rtt_var > variation ? path->rtt_var : variation;
	}
	return (most > least ? (most - least) / 2 : 0) + VARIATIONS * variation;
}

u64 pathset_select(const struct peer *p, u32 copies)
{
	u64 mask = p->usable_mask ? p->usable_mask : p->backup_mask;

	return copies ? select_best(p, mask, copies) : mask;
}
