/* SPDX-License-Identifier: MIT */
/*
 * iface.c - local interfaces come and go, rest when their sockets fail, wait for tokens; what waits for
 * the socket of each is outbox.c's affair.
 */
#include "engine_internal.h"

#include <errno.h>
#include <string.h>

#define REST_TIME (1 * NS_PER_S)

static u32 udp_overhead(const struct iface *i)
{
	return i->options.local.address.family == 4 ? UDP_IP4_OVERHEAD : UDP_IP6_OVERHEAD;
}

static u32 udp_max(const struct iface *i)
{
	u32 overhead = udp_overhead(i);
	u32 max = i->options.mtu > overhead ? i->options.mtu - overhead : 0;

	return max < DATAGRAM_MAX ? max : DATAGRAM_MAX;
}

u32 iface_path_max(const struct iface *i, const struct endpoint *remote)
{
	u32 max = udp_max(i);

	if (remote->address.family != ADDRESS_RELAY)
		return max;
	return max > RELAY_OVERHEAD ? max - RELAY_OVERHEAD : 0;
}

void iface_queue_bytes(struct engine *e, u64 now, u8 iface, u16 socket,
		       const struct endpoint *destination, const u8 *bytes, size_t size)
{
	struct queued q = { .destination = *destination,
			    .socket = socket,
			    .deadline = TIME_NEVER,
			    .peer = NO_INDEX,
			    .tunnel = NO_INDEX };
	struct buf *b = buf_get(e->options.pool);

	if (!b) {
		drop_count(&e->drops, DROP_NO_BUFFER);
		return;
	}
	memcpy(buf_data(b), bytes, size);
	b->length = (u32)size;
	if (!iface_queue(e, now, iface, b, &q))
		drop_count(&e->drops, DROP_QUEUE_FULL);
	buf_put(b);
}

/* Where TCP works, what the kernel says of UDP is no reason to do nothing. */
static void iface_rest(struct engine *e, struct iface *i, u8 iface, u64 now)
{
	if (stream_leads(e, iface))
		return;
	i->resting = true;
	i->rest_until = now + REST_TIME;
	e->resting_mask |= 1u << iface;
	outbox_clear(e, iface, DROP_SEND_ERROR);
	engine_notice(e, NOTICE_IFACE_RESTS, iface, 0, 0);
	engine_arm(e, i->rest_until);
}

void iface_failed(struct engine *e, struct iface *i, u8 iface, u64 now)
{
	if (++i->failures >= e->options.max_consecutive_failures)
		iface_rest(e, i, iface, now);
}

/* --- interfaces come and go ------------------------------------------------------------------ */

static bool iface_exists(const struct engine *e, const struct iface_options *o)
{
	for (u32 n = 0; n < MAX_IFACES; n++) {
		const struct iface *i = e->ifaces[n];

		if (i && strncmp(i->options.name, o->name, IFNAME_SIZE) == 0 &&
		    address_equal(&i->options.local.address, &o->local.address))
			return true;
	}
	return false;
}

static u8 free_iface(const struct engine *e)
{
	u8 n = 0;

	while (n < MAX_IFACES && e->ifaces[n])
		n++;
	return n;
}

static void iface_added(struct engine *e, u64 now, u8 iface)
{
	nat_refresh_all(e, now);
	offers_changed(e, now, 0);
	for (u32 n = 0; n < MAX_MAPS; n++) {
		if (e->maps[n].used)
			map_iface_added(e, &e->maps[n], now, iface);
	}
}

int engine_iface_add(struct engine *e, u64 now, const struct iface_options *options, u8 *ret_iface)
{
	struct iface *i;
	u8 n = free_iface(e);

	if (iface_exists(e, options))
		return -EEXIST;
	if (n >= MAX_IFACES)
		return -ENOSPC;
	i = mem_alloc(&e->options.allocator, sizeof(*i));
	if (!i)
		return -ENOMEM;
	i->used = true;
	i->options = *options;
	lanes_init(&i->outbox, udp_overhead(i));
	nattest_begin(e, i);
	e->ifaces[n] = i;
	e->iface_mask |= 1u << n;
	iface_limit_rate(e, now, n);
	*ret_iface = n;
	iface_added(e, now, n);
	return 0;
}

void engine_iface_remove(struct engine *e, u64 now, u8 iface)
{
	struct iface *i = iface_get(e, iface);

	if (!i)
		return;
	outbox_clear(e, iface, DROP_UNKNOWN_IFACE);
	mem_free(&e->options.allocator, i, sizeof(*i));
	e->ifaces[iface] = NULL;
	e->iface_mask &= ~(1u << iface);
	e->resting_mask &= ~(1u << iface);
	e->outgoing_mask &= ~(1u << iface);
	offers_changed(e, now, 0);
	e->paced_mask &= ~(1u << iface);
	e->limited_mask &= ~(1u << iface);
	e->due_mask &= ~(1u << iface);
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n]) {
			nat_forget_iface(e->peers[n], iface);
			pathset_remove_iface(e, e->peers[n], now, iface);
		}
	}
	for (u32 n = 0; n < MAX_MAPS; n++) {
		if (e->maps[n].used)
			map_iface_removed(e, &e->maps[n], now, iface);
	}
	demand_forget_iface(e, iface);
}

void engine_iface_set_mtu(struct engine *e, u64 now, u8 iface, u32 mtu)
{
	struct iface *i = iface_get(e, iface);

	if (!i || i->options.mtu == mtu)
		return;
	i->options.mtu = mtu;
	for (u32 n = 0; n < e->peer_limit; n++) {
		struct peer *p = e->peers[n];

		for (u32 k = 0; p && k < MAX_PEER_PATHS; k++) {
			if (p->paths[k].used && p->paths[k].iface == iface)
				pmtu_set_ceiling(&p->paths[k].pmtu, now,
						 iface_path_max(i, &p->paths[k].remote));
		}
		if (p) {
			pathset_update(e, p, now);
			peer_arm(e, p, now);
		}
	}
}

void iface_limit_rate(struct engine *e, u64 now, u8 iface)
{
	struct iface *i = iface_get(e, iface);
	u64 rate = i->options.policy.rate_limit;

	if (rate == i->outbox.rate)
		return;
	lanes_set_rate(&i->outbox, now, rate);
	e->paced_mask &= ~(1u << iface);
	e->limited_mask &= ~(1u << iface);
	e->limited_mask |= (u32)(rate != 0) << iface;
}

/* --- what routers let in --------------------------------------------------------------------- */

/* One that is told again (it was renewed) stays what it was. */
void engine_iface_mapped(struct engine *e, u64 now, u8 iface, const struct endpoint *external)
{
	struct iface *i = iface_get(e, iface);

	if (!i || endpoint_equal(&i->mapped, external))
		return;
	i->mapped = *external;
	i->mapped_reached = false;
	offers_changed(e, now, 0);
	map_register_soon(e, now);
}

const struct endpoint *iface_mapped(const struct engine *e, u8 iface)
{
	const struct iface *i = iface_get(e, iface);

	return i && i->mapped_reached ? &i->mapped : NULL;
}

void iface_mapped_reached(struct engine *e, u64 now, u8 iface, const struct endpoint *external)
{
	struct iface *i = iface_get(e, iface);

	if (!i || i->mapped_reached || !i->mapped.address.family ||
	    !endpoint_equal(&i->mapped, external))
		return;
	i->mapped_reached = true;
	offers_changed(e, now, 0);
}

/* --- resting, and waiting for tokens ---------------------------------------------------------- */

u64 iface_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (u32 mask = e->resting_mask; mask; mask &= mask - 1)
		at = time_min(at, e->ifaces[__builtin_ctz(mask)]->rest_until);
	for (u32 mask = e->paced_mask; mask; mask &= mask - 1)
		at = time_min(at, e->ifaces[__builtin_ctz(mask)]->paced_until);
	return at;
}

void iface_wake(struct engine *e, u8 iface)
{
	e->ifaces[iface]->resting = false;
	e->resting_mask &= ~(1u << iface);
}

void iface_expire(struct engine *e, u64 now)
{
	for (u32 mask = e->paced_mask; mask; mask &= mask - 1) {
		if (e->ifaces[__builtin_ctz(mask)]->paced_until <= now)
			e->paced_mask &= ~(mask & -mask);
	}
	for (u32 mask = e->resting_mask; mask; mask &= mask - 1) {
		struct iface *i = e->ifaces[__builtin_ctz(mask)];

		if (i->rest_until > now)
			continue;
		/* On probation: the next error sends it back at once. */
		i->resting = false;
		i->failures = e->options.max_consecutive_failures - 1;
		e->resting_mask &= ~(mask & -mask);
	}
}
