/* SPDX-License-Identifier: MIT */
/*
 * engine.c - the facade: takes what comes in to the room that it is for, keeps the one timer, and
 * hands out what is to go out.
 *
 * A received train is cut into datagrams; the hub opens each in place; its owner, a peer or a map,
 * takes the frames. Deliveries point into the train and hold a reference to it.
 */
#include "engine_internal.h"

#include <errno.h>
#include <string.h>

#define MAX_SESSIONS 65536u
#define HANDSHAKE_RATE 200u
#define UNKNOWN_INDEX_RATE 20u
#define SHARD_SHARE 8u   /* of the pool's buffers one of so many may hold copies of shards */
#define REORDER_SHARE 5u /* of the pool's buffers one of so many may wait in ordered tunnels */

/* --- life ------------------------------------------------------------------------------------ */

/* Whose key is this? */
static struct assoc *engine_lookup(void *ctx, const u8 key[static KEY_SIZE])
{
	struct engine *e = ctx;

	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n] && memcmp(e->peers[n]->assoc.remote_key, key, KEY_SIZE) == 0)
			return &e->peers[n]->assoc;
	}
	return NULL; /* maps do not initiate */
}

static int create_hub(struct engine *e)
{
	const struct hub_options options = {
		.identity = e->options.identity,
		.allocator = e->options.allocator,
		.random = e->options.random,
		.aead = e->options.aead,
		.ciphers = e->options.ciphers,
		.replay_bits = REPLAY_BITS_PEER,
		.max_sessions = MAX_SESSIONS,
		.handshake_rate = HANDSHAKE_RATE,
		.lookup = engine_lookup,
		.ctx = e,
	};

	return hub_create(&e->hub, &options);
}

int engine_create(struct engine **ret, const struct engine_options *options)
{
	struct engine *e = mem_alloc(&options->allocator, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->options = *options;
	e->expiry = TIME_NEVER;
	e->shard_budget.limit = pool_available(options->pool) / SHARD_SHARE;
	e->reorder_budget.limit = pool_available(options->pool) / REORDER_SHARE;
	e->offers.due = TIME_NEVER;
	ratelim_init(&e->unknown_index, UNKNOWN_INDEX_RATE, UNKNOWN_INDEX_RATE);
	for (u32 n = 0; n < MAX_MAPS; n++)
		e->maps[n].expiry = TIME_NEVER;
	e->recall = recall_create(&options->allocator, pool_available(options->pool));
	e->allowedips = allowedips_create(&options->allocator);
	r = e->recall && e->allowedips ? create_hub(e) : -ENOMEM;
	if (r < 0) {
		recall_destroy(&options->allocator, e->recall);
		allowedips_destroy(e->allowedips);
		mem_free(&options->allocator, e, sizeof(*e));
		return r;
	}
	*ret = e;
	return 0;
}

static void drain_all(struct engine *e)
{
	struct delivery delivery;

	train_close(e);
	recall_drain(e);
	while (engine_next_delivery(e, &delivery))
		buf_put(delivery.buf);
}

void engine_destroy(struct engine *e)
{
	struct allocator a;

	if (!e)
		return;
	a = e->options.allocator;
	for (u16 n = 0; n < MAX_MAPS; n++)
		engine_remove_map(e, 0, n);
	for (u32 n = e->peer_limit; n-- > 0;)
		engine_remove_peer(e, 0, (u16)n);
	drain_all(e);
	for (u16 n = 0; n < MAX_TUNNELS; n++)
		engine_remove_tunnel(e, n);
	for (u8 n = 0; n < MAX_IFACES; n++)
		engine_iface_remove(e, 0, n);
	hub_destroy(e->hub);
	recall_destroy(&a, e->recall);
	allowedips_destroy(e->allowedips);
	crypto_wipe(&e->options.identity, sizeof(e->options.identity));
	mem_free(&a, e, sizeof(*e));
}

void engine_set_intervals(struct engine *e, u64 scan_interval, u64 keepalive_interval,
			  u32 max_consecutive_failures)
{
	e->options.scan_interval = scan_interval;
	e->options.keepalive_interval = keepalive_interval;
	e->options.max_consecutive_failures = max_consecutive_failures;
}

void engine_shutdown(struct engine *e, u64 now)
{
	e->closing = true;
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			peer_close(e, e->peers[n], now, CLOSE_SHUTDOWN);
	}
	for (u32 n = 0; n < MAX_MAPS; n++) {
		if (e->maps[n].used)
			map_shutdown(e, &e->maps[n], now);
	}
}

/* --- in -------------------------------------------------------------------------------------- */

static enum owner_kind owner_kind(const struct assoc *a)
{
	return *(const enum owner_kind *)a->owner;
}

/* The peer that has a path to source, by address alone: nothing is authenticated. */
static struct peer *peer_at(const struct engine *e, const struct arrival *in)
{
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n] &&
		    pathset_find(e->peers[n], in->iface, in->socket, &in->source) >= 0)
			return e->peers[n];
	}
	return NULL;
}

/* Someone uses keys that we do not have: if it sits where a configured peer does and we have no
 * working session with that, one of the two was restarted. */
static void unknown_index(struct engine *e, const struct arrival *in)
{
	struct peer *p;

	if (!ratelim_take(&e->unknown_index, in->now))
		return;
	p = peer_at(e, in);
	if (!p || (p->connected && assoc_ready(&p->assoc, in->now)))
		return;
	assoc_hurry(&p->assoc, in->now); /* anybody can make us do this */
	peer_arm(e, p, p->assoc.retry_at);
}

static void dropped(struct engine *e, const struct arrival *in, const struct hub_result *r)
{
	drop_count(&e->drops, r->reason);
	if (r->reason == DROP_DUPLICATE && owner_kind(r->assoc) == OWNER_PEER)
		peer_duplicate(e, r->assoc->owner, in);
	else if (r->reason == DROP_UNKNOWN_INDEX)
		unknown_index(e, in);
	else if (r->reason == DROP_NONE && r->assoc) /* a cookie: the initiation goes out again */
		engine_arm(e, in->now);
}

static void rearm(struct engine *e, const struct assoc *a)
{
	u64 at = assoc_next_expiry(a);

	if (owner_kind(a) == OWNER_PEER)
		peer_arm(e, a->owner, at);
	else
		map_arm(e, a->owner, at);
}

/* A stream leads to a map: what is a peer's comes over it inside of what the map says. */
static bool is_misplaced(const struct arrival *in, const struct assoc *a)
{
	return in->socket == SOCKET_STREAM && owner_kind(a) == OWNER_PEER;
}

static void established(struct engine *e, const struct arrival *in, const struct hub_result *r)
{
	if (is_misplaced(in, r->assoc)) {
		drop_count(&e->drops, DROP_NOT_ALLOWED);
	} else if (owner_kind(r->assoc) == OWNER_PEER) {
		peer_established(e, r->assoc->owner, in);
	} else {
		stream_answered(e, r->assoc->owner, in);
		map_established(e, r->assoc->owner, in->now);
	}
}

static void opened(struct engine *e, const struct arrival *in, const struct hub_result *r)
{
	if (is_misplaced(in, r->assoc))
		drop_count(&e->drops, DROP_NOT_ALLOWED);
	else if (owner_kind(r->assoc) == OWNER_PEER)
		peer_receive(e, r->assoc->owner, in, r);
	else
		map_receive(e, r->assoc->owner, in, r);
}

/* Inside of the loop over a train, where a call costs 5 % of what all of it does. */
static inline __attribute__((always_inline)) void receive_datagram(struct engine *e,
								   struct arrival *in, u8 *data,
								   u32 size)
{
	struct hub_result r;

	in->size = size;
	in->path = -1;
	hub_receive(e->hub, in->now, &in->source, data, size, &r);
	in->session = r.session;
	in->counter = r.counter;
	switch (r.verdict) {
	case HUB_OPENED:
		in->current = r.current;
		opened(e, in, &r);
		break;
	case HUB_REPLY:
		if (r.reason == DROP_COOKIE_REQUIRED)
			drop_count(&e->drops, r.reason);
		iface_queue_bytes(e, in->now, in->iface, in->socket, &in->source, r.reply,
				  r.reply_size);
		break;
	case HUB_ESTABLISHED:
		established(e, in, &r);
		break;
	case HUB_DROPPED:
		/* Its own tests of a NAT are nothing that the hub knows. */
		if (r.reason != DROP_MALFORMED || !nattest_returned(e, in, data, size))
			dropped(e, in, &r);
		break;
	}
	if (r.assoc && (r.verdict != HUB_OPENED || r.confirmed))
		rearm(e, r.assoc);
}

void engine_receive_datagram(struct engine *e, struct arrival *in, u8 *data, u32 size)
{
	receive_datagram(e, in, data, size);
}

void engine_receive(struct engine *e, u64 now, u8 iface, u16 socket, const struct endpoint *source,
		    struct buf *b)
{
	struct arrival in = {
		.now = now, .iface = iface, .socket = socket, .source = *source, .buf = b
	};
	struct iface *i = iface_get(e, iface);
	u32 segment = b->segment ? b->segment : b->length;

	if (!i)
		drop_count(&e->drops, DROP_UNKNOWN_IFACE);
	for (u32 at = 0; i && at < b->length; at += segment) {
		u32 size = b->length - at < segment ? b->length - at : segment;

		i->received_packets++;
		i->received_bytes += size;
		receive_datagram(e, &in, buf_data(b) + at, size);
	}
	if (i && b->length == 0)
		drop_count(&e->drops, DROP_MALFORMED);
	buf_put(b);
}

/* --- time ------------------------------------------------------------------------------------ */

void engine_arm(struct engine *e, u64 at)
{
	e->expiry = time_min(e->expiry, at);
}

u64 engine_next_expiry(const struct engine *e)
{
	return e->closing ? TIME_NEVER : e->expiry;
}

void engine_expire(struct engine *e, u64 now)
{
	u64 next;

	if (e->expiry > now || e->closing)
		return;
	iface_expire(e, now);
	fragment_expire(e, now);
	rebuild_expire(e, now);
	order_expire(e, now);
	nattest_expire(e, now);
	redund_expire(e, now);
	recall_expire(e, now);
	offers_expire(e, now);
	autosel_expire(e, now);
	congest_expire(e, now);
	report_expire(e, now);
	stripe_expire(e, now);
	unstripe_expire(e, now);
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n] && e->peers[n]->expiry <= now)
			peer_expire(e, e->peers[n], now);
	}
	for (u32 n = 0; n < MAX_MAPS; n++) {
		if (e->maps[n].used && e->maps[n].expiry <= now)
			map_expire(e, &e->maps[n], now);
	}
	next = time_min(iface_next_expiry(e), fragment_next_expiry(e));
	next = time_min(next, time_min(order_next_expiry(e), recall_next_expiry(e)));
	next = time_min(next, congest_next_expiry(e));
	next = time_min(next, time_min(nattest_next_expiry(e), offers_next_expiry(e)));
	next = time_min(next, time_min(redund_next_expiry(e), rebuild_next_expiry(e)));
	next = time_min(next, time_min(autosel_next_expiry(e), report_next_expiry(e)));
	next = time_min(next, time_min(stripe_next_expiry(e), unstripe_next_expiry(e)));
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			next = time_min(next, e->peers[n]->expiry);
	}
	for (u32 n = 0; n < MAX_MAPS; n++)
		next = time_min(next, e->maps[n].expiry);
	e->expiry = next;
}

/* --- out ------------------------------------------------------------------------------------- */

void engine_deliver(struct engine *e, u16 tunnel, u16 peer, u8 *data, u32 size, struct buf *buf)
{
	struct delivery *d;

	if (e->delivery_tail - e->delivery_head == DELIVERIES) {
		drop_count(&e->tunnels[tunnel].drops, DROP_QUEUE_FULL);
		buf_put(buf);
		return;
	}
	d = &e->deliveries[e->delivery_tail++ % DELIVERIES];
	d->tunnel = tunnel;
	d->peer = peer;
	d->data = data;
	d->size = size;
	d->buf = buf;
}

void engine_forget_deliveries(struct engine *e, u16 peer, u16 tunnel)
{
	for (u32 at = e->delivery_head; at != e->delivery_tail; at++) {
		struct delivery *d = &e->deliveries[at % DELIVERIES];

		if (d->tunnel == tunnel || d->peer == peer)
			d->tunnel = d->peer = NO_INDEX;
	}
}

bool engine_next_delivery(struct engine *e, struct delivery *ret)
{
	while (e->delivery_head != e->delivery_tail) {
		*ret = e->deliveries[e->delivery_head++ % DELIVERIES];
		if (ret->tunnel != NO_INDEX)
			return true;
		buf_put(ret->buf); /* its tunnel or its peer has been removed */
	}
	return false;
}

u32 engine_deliveries(const struct engine *e)
{
	return e->delivery_tail - e->delivery_head;
}

void engine_notice(struct engine *e, enum notice_kind kind, u16 a, u16 b, u16 c)
{
	if (e->notice_tail - e->notice_head == NOTICES)
		e->notice_head++; /* the oldest is the least interesting */
	e->notices[e->notice_tail++ % NOTICES] =
		(struct notice){ .kind = kind, .a = a, .b = b, .c = c };
}

bool engine_next_notice(struct engine *e, struct notice *ret)
{
	if (e->notice_head == e->notice_tail)
		return false;
	*ret = e->notices[e->notice_head++ % NOTICES];
	return true;
}
