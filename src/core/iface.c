/* SPDX-License-Identifier: MIT */
/*
 * iface.c - local interfaces, and the outbox of each.
 *
 * An outbox is a ring of references to trains: the same sealed bytes may lie in several of them. It
 * is emptied at the pace of its own socket, so that a slow link delays no other. Payloads leave
 * some places free, so that probes pass when a link is flooded, and there is a bound on their bytes:
 * a ring full of trains would be tens of MiB, and old before it leaves. What waits beyond its
 * deadline is dropped when its turn comes.
 */
#include "engine_internal.h"

#include <errno.h>
#include <string.h>

#define REST_TIME (1 * NS_PER_S)

struct iface *iface_get(const struct engine *e, u8 iface)
{
	return iface < MAX_IFACES ? e->ifaces[iface] : NULL;
}

u32 iface_path_max(const struct iface *i, const struct endpoint *remote)
{
	u32 max = iface_udp_max(i);

	if (remote->address.family != ADDRESS_RELAY)
		return max;
	return max > RELAY_OVERHEAD ? max - RELAY_OVERHEAD : 0;
}

u32 iface_udp_max(const struct iface *i)
{
	u32 overhead = i->options.local.address.family == 4 ? UDP_IP4_OVERHEAD : UDP_IP6_OVERHEAD;
	u32 max = i->options.mtu > overhead ? i->options.mtu - overhead : 0;

	return max < DATAGRAM_MAX ? max : DATAGRAM_MAX;
}

/* --- outbox ---------------------------------------------------------------------------------- */

static u32 outbox_count(const struct outbox *o)
{
	return o->tail - o->head;
}

static struct queued *outbox_at(struct outbox *o, u32 position)
{
	return &o->entry[position & (OUTBOX_SIZE - 1)];
}

u32 iface_room(const struct engine *e, u8 iface)
{
	const struct iface *i = iface_get(e, iface);
	u32 used = i ? outbox_count(&i->outbox) + CONTROL_RESERVE : OUTBOX_SIZE;

	if (used >= OUTBOX_SIZE || i->resting || i->outbox.bytes >= OUTBOX_BYTES)
		return 0;
	return OUTBOX_SIZE - used;
}

static bool outbox_full(const struct outbox *o, const struct queued *q)
{
	if (q->tunnel == NO_INDEX)
		return outbox_count(o) >= OUTBOX_SIZE;
	return outbox_count(o) >= OUTBOX_SIZE - CONTROL_RESERVE ||
	       (o->bytes >= OUTBOX_BYTES && !q->begun);
}

bool iface_queue(struct engine *e, u64 now, u8 iface, struct buf *b, const struct queued *q)
{
	struct iface *i = iface_get(e, iface);
	struct queued *entry;

	if (q->destination.address.family == ADDRESS_RELAY)
		return relay_queue(e, now, iface, b, q);
	if (!i || i->resting || outbox_full(&i->outbox, q))
		return false;
	entry = outbox_at(&i->outbox, i->outbox.tail++);
	*entry = *q;
	entry->buf = buf_ref(b);
	if (q->tunnel != NO_INDEX)
		e->tunnels[q->tunnel].pending++;
	else
		i->outbox.bytes += b->length; /* of payloads: count_copies() */
	e->outgoing_mask |= 1u << iface;
	return true;
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

/* The path that an entry was queued for, if it is still the same one. */
static struct path *queued_path(const struct engine *e, u8 iface, const struct queued *q)
{
	struct peer *p = q->peer == NO_INDEX ? NULL : peer_get(e, q->peer);
	struct path *path;

	if (!p)
		return NULL;
	path = &p->paths[q->path];
	if (!path->used || path->iface != iface || path->socket != q->socket)
		return NULL;
	if (q->relayed ? path_relayed(path) : endpoint_equal(&path->remote, &q->destination))
		return path;
	return NULL;
}

static void outbox_pop(struct engine *e, struct iface *i, u8 iface)
{
	struct queued *q = outbox_at(&i->outbox, i->outbox.head++);

	if (q->tunnel != NO_INDEX)
		e->tunnels[q->tunnel].pending--;
	if (q->buf == e->train.buf)
		train_close(e);
	i->outbox.bytes -= q->buf->length;
	buf_put(q->buf);
	q->buf = NULL;
	if (outbox_count(&i->outbox) == 0)
		e->outgoing_mask &= ~(1u << iface);
}

/* Drops the head: it never left, so its path did not send it. */
static void outbox_drop(struct engine *e, struct iface *i, u8 iface, enum drop_reason reason)
{
	const struct queued *q = outbox_at(&i->outbox, i->outbox.head);
	struct path *path = queued_path(e, iface, q);
	struct drop_counts *drops = q->tunnel == NO_INDEX ? &e->drops :
							    &e->tunnels[q->tunnel].drops;

	drops->count[reason] += train_datagrams(q->buf);
	if (path && path->sent.packets >= path->sent_epoch + train_datagrams(q->buf)) {
		path->sent.packets -= train_datagrams(q->buf);
		path->sent.bytes -= q->buf->length;
	}
	outbox_pop(e, i, iface);
}

u32 engine_outgoing_ifaces(const struct engine *e)
{
	return e->outgoing_mask;
}

size_t engine_outgoing(struct engine *e, u64 now, u8 iface, struct outgoing *ret, size_t max)
{
	struct iface *i = iface_get(e, iface);
	size_t n = 0;

	if (!i)
		return 0;
	if (max)
		train_close(e);
	while (outbox_count(&i->outbox) && outbox_at(&i->outbox, i->outbox.head)->deadline <= now)
		outbox_drop(e, i, iface, DROP_DEADLINE);
	for (u32 at = i->outbox.head; at != i->outbox.tail && n < max; at++) {
		const struct queued *q = outbox_at(&i->outbox, at);

		if (q->deadline <= now)
			break;
		ret[n++] = (struct outgoing){ .buf = q->buf,
					      .destination = q->destination,
					      .socket = q->socket };
	}
	return n;
}

void engine_sent(struct engine *e, u64 now, u8 iface, size_t count)
{
	struct iface *i = iface_get(e, iface);

	(void)now;
	if (!i)
		return;
	if (count > 0)
		i->failures = 0;
	for (; count > 0 && outbox_count(&i->outbox); count--) {
		i->sent_packets += train_datagrams(outbox_at(&i->outbox, i->outbox.head)->buf);
		i->sent_bytes += outbox_at(&i->outbox, i->outbox.head)->buf->length;
		outbox_pop(e, i, iface);
	}
}

static void iface_rest(struct engine *e, struct iface *i, u8 iface, u64 now)
{
	i->resting = true;
	i->rest_until = now + REST_TIME;
	e->resting_mask |= 1u << iface;
	while (outbox_count(&i->outbox))
		outbox_drop(e, i, iface, DROP_SEND_ERROR);
	engine_notice(e, NOTICE_IFACE_RESTS, iface, 0, 0);
	engine_arm(e, i->rest_until);
}

/* A datagram that is too long for the link is a fact about the path, not a failure. */
static void too_long(struct engine *e, struct iface *i, u8 iface, u64 now)
{
	const struct queued *q = outbox_at(&i->outbox, i->outbox.head);
	struct path *path = queued_path(e, iface, q);
	u32 size = q->buf->segment ? q->buf->segment : q->buf->length;
	u16 peer = q->peer;

	if (path && pmtu_refused(&path->pmtu, now, size)) {
		pathset_update(e, peer_get(e, peer), now);
		peer_arm(e, peer_get(e, peer), now);
	}
}

/* Its path has never answered: a peer may have told us of anything. */
static bool leads_nowhere(const struct engine *e, struct iface *i, u8 iface)
{
	const struct path *path = queued_path(e, iface, outbox_at(&i->outbox, i->outbox.head));

	return path && path->state == PATH_PROBING;
}

void engine_send_failed(struct engine *e, u64 now, u8 iface, int error)
{
	struct iface *i = iface_get(e, iface);
	bool counts;

	if (!i || outbox_count(&i->outbox) == 0)
		return;
	counts = error != EMSGSIZE && !leads_nowhere(e, i, iface);
	if (error == EMSGSIZE)
		too_long(e, i, iface, now);
	else
		i->send_errors++;
	outbox_drop(e, i, iface, DROP_SEND_ERROR);
	if (counts && ++i->failures >= e->options.max_consecutive_failures)
		iface_rest(e, i, iface, now);
}

/* Entries stay in place, as what they belong to goes; they then belong to nobody. */
void iface_forget_peer(struct engine *e, u16 peer)
{
	train_close(e);
	for (u32 n = 0; n < MAX_IFACES; n++) {
		struct iface *i = e->ifaces[n];

		for (u32 at = i ? i->outbox.head : 0; i && at != i->outbox.tail; at++) {
			if (outbox_at(&i->outbox, at)->peer == peer)
				outbox_at(&i->outbox, at)->peer = NO_INDEX;
		}
	}
}

void iface_forget_tunnel(struct engine *e, u16 tunnel)
{
	train_close(e);
	for (u32 n = 0; n < MAX_IFACES; n++) {
		struct iface *i = e->ifaces[n];

		for (u32 at = i ? i->outbox.head : 0; i && at != i->outbox.tail; at++) {
			if (outbox_at(&i->outbox, at)->tunnel == tunnel)
				outbox_at(&i->outbox, at)->tunnel = NO_INDEX;
		}
	}
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
	nattest_begin(e, i);
	e->ifaces[n] = i;
	e->iface_mask |= 1u << n;
	*ret_iface = n;
	iface_added(e, now, n);
	return 0;
}

void engine_iface_remove(struct engine *e, u64 now, u8 iface)
{
	struct iface *i = iface_get(e, iface);

	if (!i)
		return;
	while (outbox_count(&i->outbox))
		outbox_drop(e, i, iface, DROP_UNKNOWN_IFACE);
	mem_free(&e->options.allocator, i, sizeof(*i));
	e->ifaces[iface] = NULL;
	e->iface_mask &= ~(1u << iface);
	e->resting_mask &= ~(1u << iface);
	e->outgoing_mask &= ~(1u << iface);
	offers_changed(e, now, 0);
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

/* --- resting --------------------------------------------------------------------------------- */

u64 iface_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (u32 mask = e->resting_mask; mask; mask &= mask - 1)
		at = time_min(at, e->ifaces[__builtin_ctz(mask)]->rest_until);
	return at;
}

void iface_expire(struct engine *e, u64 now)
{
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
