/* SPDX-License-Identifier: MIT */
/*
 * engine_world.h - what fuzz_engine.c plays on: a node, an honest peer (engines both), an evil peer
 * and a map (hubs that say what they are told), and the way between them.
 */
#ifndef ENGINE_WORLD_H
#define ENGINE_WORLD_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/hub.h"
#include "warp/view.h"

#define BUFFERS 256u
#define WAY 64u /* datagrams on the way */
#define IFACES 2u
#define TUNNELS 5u

enum who { NODE, HONEST, EVIL, MAP, EVERYBODY };

struct datagram {
	struct endpoint source, destination;
	u32 size;
	u8 data[2048];
};

struct body {
	struct identity identity;
	struct engine *engine; /* NODE and HONEST */
	struct hub *hub;       /* EVIL and MAP */
	struct assoc node;
	bool present[IFACES];
	u8 iface[IFACES];
};

struct world {
	struct body body[EVERYBODY];
	struct datagram way[WAY];
	u32 head, tail;
	u64 now, random_state;
	u64 allocated;
	int refusal; /* errno of the kernel for the next datagram of the node */
};

static struct pool *pool;

/* --- what the core is given ----------------------------------------------------------------- */

static void *heap_alloc(void *ctx, size_t size)
{
	if (ctx)
		((struct world *)ctx)->allocated += size;
	return calloc(1, size);
}

static void heap_free(void *ctx, void *ptr, size_t size)
{
	if (ctx)
		((struct world *)ctx)->allocated -= size;
	free(ptr);
}

static void random_bytes(void *ctx, void *out, size_t size)
{
	struct world *w = ctx;

	for (size_t i = 0; i < size; i++) {
		w->random_state = w->random_state * UINT64_C(6364136223846793005) + 1442695041;
		((u8 *)out)[i] = (u8)(w->random_state >> 56);
	}
}

static void must(bool fact)
{
	if (!fact)
		abort();
}

static struct endpoint endpoint_of(enum who who, u8 n)
{
	struct endpoint e = { .address = { .family = 4, .bytes = { 203, 0, n, (u8)(who + 1) } } };

	e.port = (u16)(5000 + n);
	return e;
}

/* --- the way -------------------------------------------------------------------------------- */

static void post(struct world *w, const struct endpoint *source, const struct endpoint *destination,
		 const u8 *data, size_t size)
{
	struct datagram *d = &w->way[w->tail % WAY];

	if (w->tail - w->head == WAY)
		w->head++;
	w->tail++;
	d->source = *source;
	d->destination = *destination;
	d->size = (u32)size;
	memcpy(d->data, data, size);
}

static int send_one(struct world *w, enum who who, u8 n, const struct outgoing *out)
{
	const struct endpoint source = endpoint_of(who, n);
	int refusal = who == NODE ? w->refusal : 0;

	must(out->buf->length > 0);
	if (refusal) {
		w->refusal = 0;
		return refusal;
	}
	if (out->buf->length > sizeof(w->way[0].data))
		return EMSGSIZE;
	post(w, &source, &out->destination, buf_data(out->buf), out->buf->length);
	return 0;
}

static void drain_iface(struct world *w, enum who who, u8 id)
{
	struct body *body = &w->body[who];
	struct outgoing out;
	u8 n = 0;

	while (n < IFACES && !(body->present[n] && body->iface[n] == id))
		n++;
	must(n < IFACES);
	while (engine_outgoing(body->engine, w->now, id, &out, 1)) {
		int error = send_one(w, who, n, &out);

		if (error)
			engine_send_failed(body->engine, w->now, id, error);
		else
			engine_sent(body->engine, w->now, id, 1);
	}
}

static void drain(struct world *w, enum who who)
{
	struct engine *e = w->body[who].engine;
	struct delivery d;
	struct notice notice;

	for (u8 id = 0; id < MAX_IFACES; id++) {
		if (engine_outgoing_ifaces(e) & 1u << id)
			drain_iface(w, who, id);
	}
	must(engine_outgoing_ifaces(e) == 0);
	while (engine_next_delivery(e, &d)) {
		must(d.size > 0 && d.data >= d.buf->bytes &&
		     d.data + d.size <= d.buf->bytes + BUF_BYTES);
		buf_put(d.buf);
	}
	while (engine_next_notice(e, &notice))
		must((u32)notice.kind < NOTICE_KINDS);
}

static void say(struct world *w, enum who who, u8 port, u8 iface, const u8 *frames, size_t size)
{
	const struct endpoint source = endpoint_of(who, port), to = endpoint_of(NODE, iface);
	u8 datagram[WIRE_OVERHEAD + 2000];

	memcpy(datagram + WIRE_HEADER_SIZE, frames, size);
	if (assoc_seal(&w->body[who].node, w->now, datagram, size) == 0)
		post(w, &source, &to, datagram, size + WIRE_OVERHEAD);
}

/* Keeps its paths alive: answers probes, and what a map is asked first. */
static void answer(struct world *w, enum who who, const struct datagram *d, u8 *plain, size_t size)
{
	const u8 iface = d->source.address.bytes[2];
	struct frame f, reply = { .type = FRAME_PADDING };
	u8 bytes[64];

	while (frame_next(&plain, &size, &f) > 0) {
		if (f.type == FRAME_PROBE) {
			reply.type = FRAME_PROBE_REPLY;
			reply.probe_reply = (struct frame_probe_reply){ .stamp = f.probe.stamp,
									.seen = d->source };
		} else if (f.type == FRAME_REGISTER_REQUEST) {
			reply.type = FRAME_REGISTER_RESPONSE;
			reply.register_response = (struct frame_register_response){
				.interface = f.register_request.interface,
				.expiry = 60,
				.observed = d->source
			};
		} else {
			continue;
		}
		say(w, who, 0, iface, bytes, (size_t)frame_put(bytes, sizeof(bytes), &reply));
	}
}

static void hub_takes(struct world *w, enum who who, struct datagram *d)
{
	struct hub_result r;

	hub_receive(w->body[who].hub, w->now, &d->source, d->data, d->size, &r);
	if (r.verdict == HUB_REPLY)
		post(w, &d->destination, &d->source, r.reply, r.reply_size);
	else if (r.verdict == HUB_OPENED)
		answer(w, who, d, r.plain, r.plain_size);
}

static void engine_takes(struct world *w, enum who who, u8 n, const struct datagram *d)
{
	struct body *body = &w->body[who];
	struct buf *b = body->present[n] ? buf_get(pool) : NULL;

	if (!b)
		return;
	memcpy(buf_data(b), d->data, d->size);
	b->length = d->size;
	engine_receive(body->engine, w->now, body->iface[n], 0, &d->source, b);
	drain(w, who);
}

static void arrive(struct world *w)
{
	struct datagram d;
	u8 who, n;

	if (w->head == w->tail)
		return;
	d = w->way[w->head++ % WAY];
	who = (u8)(d.destination.address.bytes[3] - 1);
	n = d.destination.address.bytes[2];
	if (who >= EVERYBODY || n >= IFACES || d.destination.port != 5000 + n)
		return;
	if (w->body[who].engine)
		engine_takes(w, (enum who)who, n, &d);
	else
		hub_takes(w, (enum who)who, &d);
}

/* --- time ------------------------------------------------------------------------------------ */

static u64 next_expiry(const struct world *w)
{
	return time_min(engine_next_expiry(w->body[NODE].engine),
			engine_next_expiry(w->body[HONEST].engine));
}

/* connected: what is sent meanwhile arrives after a millisecond. */
static void pass(struct world *w, u64 duration, bool connected)
{
	const u64 end = w->now + duration;
	u32 again = 0;

	for (;;) {
		u64 next = next_expiry(w), before = w->now;

		if (connected && w->head != w->tail)
			next = time_min(next, w->now + NS_PER_MS);
		if (next > end)
			break;
		w->now = next > w->now ? next : w->now;
		again = w->now == before ? again + 1 : 0;
		must(again < 100);
		for (enum who who = NODE; who <= HONEST; who++) {
			if (engine_next_expiry(w->body[who].engine) <= w->now)
				engine_expire(w->body[who].engine, w->now);
			drain(w, who);
		}
		for (u32 count = w->tail - w->head; connected && count > 0; count--)
			arrive(w);
	}
	w->now = end;
}

/* --- the beginning --------------------------------------------------------------------------- */

static void add_iface(struct world *w, enum who who, u8 n)
{
	struct body *body = &w->body[who];
	struct iface_options options = { .local = endpoint_of(who, n), .mtu = 1500 };

	memcpy(options.name, n ? "eth1" : "eth0", 5);
	if (!body->present[n])
		must(engine_iface_add(body->engine, w->now, &options, &body->iface[n]) == 0);
	body->present[n] = true;
}

static void add_peer(struct world *w, enum who who, enum who other, u32 endpoints)
{
	struct engine *e = w->body[who].engine;
	struct prefix any = { .address.family = 4 };
	struct peer_options options = { .name = "x", .allowed_ips = &any, .allowed_ip_count = 1 };
	struct endpoint endpoint[2] = { endpoint_of(other, 0), endpoint_of(other, 1) };
	u16 index;

	memcpy(options.public_key, w->body[other].identity.public_key, KEY_SIZE);
	if (engine_add_peer(e, w->now, &options, &index) == 0)
		engine_set_peer_endpoints(e, w->now, index, endpoint, endpoints);
}

static void add_map(struct world *w)
{
	struct endpoint endpoint = endpoint_of(MAP, 0);
	u16 index;

	if (engine_add_map(w->body[NODE].engine, w->now, w->body[MAP].identity.public_key,
			   &index) == 0)
		engine_set_map_endpoints(w->body[NODE].engine, w->now, index, &endpoint, 1);
}

static void add_tunnel(struct world *w, enum who who, u16 n)
{
	const u16 peer = 0;
	struct tunnel_options options = {
		.name = "t", .id = (u16)(n + 1), .routed = n == 1, .ordered = n > 0
	};
	u16 index;

	if (n == 2) {
		options.copies = 1;
		options.peers = &peer;
		options.peer_count = 1;
		options.send_deadline = NS_PER_MS;
	} else if (n == 3) {
		options.num_shards = 5;
		options.required_shards = 3;
		options.max_delay = 20 * NS_PER_MS;
		options.peers = &peer;
		options.peer_count = 1;
	} else if (n == 4) {
		options.stripe = true;
		options.ordered = false;
		options.peers = &peer;
		options.peer_count = 1;
	}
	engine_add_tunnel(w->body[who].engine, &options, &index);
}

static void create_engine(struct world *w, enum who who)
{
	const struct engine_options options = {
		.identity = w->body[who].identity,
		.allocator = { heap_alloc, heap_free, w },
		.random = { random_bytes, w },
		.pool = pool,
		.ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
		.scan_interval = 10 * NS_PER_S,
		.keepalive_interval = 5 * NS_PER_S,
		.max_consecutive_failures = 3,
	};

	must(engine_create(&w->body[who].engine, &options) == 0);
	for (u16 n = 0; n < TUNNELS; n++)
		add_tunnel(w, who, n);
}

static struct assoc *who_is(void *ctx, const u8 key[static KEY_SIZE])
{
	struct assoc *a = ctx;

	return memcmp(a->remote_key, key, KEY_SIZE) == 0 ? a : NULL;
}

static void create_hub(struct world *w, enum who who)
{
	static const u8 no_key[KEY_SIZE];
	struct body *body = &w->body[who];
	const struct hub_options options = {
		.identity = body->identity,
		.allocator = { heap_alloc, heap_free, w },
		.random = { random_bytes, w },
		.ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
		.replay_bits = REPLAY_BITS_MAP,
		.max_sessions = 64,
		.handshake_rate = 100,
		.lookup = who_is,
		.ctx = &body->node,
	};

	assoc_init(&body->node, w->body[NODE].identity.public_key, no_key, NULL);
	must(hub_create(&body->hub, &options) == 0);
}

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->now = 1000 * NS_PER_S;
	w->random_state = 1;
	for (enum who who = NODE; who < EVERYBODY; who++) {
		u8 key[KEY_SIZE];

		random_bytes(w, key, sizeof(key));
		private_key_clamp(key);
		identity_from_private(&w->body[who].identity, key);
	}
	create_engine(w, NODE);
	create_engine(w, HONEST);
	create_hub(w, EVIL);
	create_hub(w, MAP);
	add_peer(w, NODE, HONEST, 2);
	add_peer(w, NODE, EVIL, 1);
	add_peer(w, HONEST, NODE, 0);
	add_map(w);
	for (u8 n = 0; n < IFACES; n++)
		add_iface(w, NODE, n);
	add_iface(w, HONEST, 0);
	pass(w, 100 * NS_PER_MS, true);
}

#endif
