/* SPDX-License-Identifier: MIT */
/*
 * mapclient.c - see mapclient.h. A node is a hub with one assoc, the map.
 */
#include "mapclient.h"

#include <string.h>

static const u8 no_preshared_key[KEY_SIZE];

/* --- the world --------------------------------------------------------------------------- */

static void identity_of(struct identity *ret, u8 n)
{
	u8 key[KEY_SIZE] = { 0, n, 2, 3 };

	private_key_clamp(key);
	identity_from_private(ret, key);
}

static size_t rounded(size_t size)
{
	return (size + 8 + 15) / 16 * 16;
}

static void *map_alloc(void *ctx, size_t size)
{
	struct mapworld *w = ctx;
	void *p = mem_alloc(&w->allocator, size);

	w->map_bytes += p ? rounded(size) : 0;
	return p;
}

static void map_free(void *ctx, void *ptr, size_t size)
{
	struct mapworld *w = ctx;

	w->map_bytes -= rounded(size);
	mem_free(&w->allocator, ptr, size);
}

void mapworld_begin(struct mapworld *w, u32 max_nodes, u32 buffers,
		    bool (*admit)(void *ctx, const u8 key[static KEY_SIZE]))
{
	struct mapserver_options options;

	memset(w, 0, sizeof(*w));
	assert_int_equal(crypto_init(), 0);
	w->allocator = test_allocator(&w->heap);
	w->seed.state = 1;
	w->random = test_random_source(&w->seed);
	w->now = 1000 * NS_PER_S;
	w->pool = pool_create(&w->allocator, buffers);
	w->buffers = buffers;
	identity_of(&w->map_identity, 0xff);
	options = (struct mapserver_options){
		.identity = w->map_identity,
		.allocator = { map_alloc, map_free, w },
		.random = w->random,
		.pool = w->pool,
		.client_expiry = WORLD_EXPIRY,
		.max_nodes = max_nodes,
		.max_streams = WORLD_STREAMS,
		.handshake_rate = 10000,
		.relay = { 1000000, 10000000 },
		.admit = admit,
		.ctx = w,
	};
	assert_int_equal(mapserver_create(&w->map, &options), 0);
}

void mapworld_end(struct mapworld *w)
{
	for (u32 i = 0; i < WORLD_NODES; i++)
		node_stop(&w->nodes[i]);
	mapserver_destroy(w->map);
	assert_int_equal(w->map_bytes, 0);
	assert_int_equal(pool_available(w->pool), w->buffers);
	pool_destroy(w->pool);
	assert_int_equal(w->heap.live, 0);
}

void mapworld_forget(struct mapworld *w)
{
	for (u32 i = 0; i < WORLD_NODES; i++) {
		struct node *n = &w->nodes[i];

		n->received = n->datagrams = n->bytes = n->established = 0;
	}
	w->bytes_in = w->bytes_out = 0;
}

static void node_opened(struct node *n, u16 port, u8 *plain, size_t size)
{
	struct frame f;
	int r;

	while ((r = frame_next(&plain, &size, &f)) > 0) {
		assert_in_range(n->received, 0, WORLD_INBOX - 1);
		n->inbox_port[n->received] = port;
		n->inbox[n->received++] = f;
		if (f.type == FRAME_REGISTER_RESPONSE)
			n->proof = f.register_response.proof;
	}
	assert_int_equal(r, 0);
}

/* What comes twice, over two routes, counts as two datagrams; the hub lets one through. */
static void node_hears(struct mapworld *w, struct node *n, u16 port, u8 *data, size_t size)
{
	struct endpoint map = test_endpoint("192.0.2.1", WIRE_PORT_MAP);
	struct hub_result result;

	n->datagrams++;
	n->bytes += (u32)size;
	hub_receive(n->hub, w->now, &map, data, size, &result);
	n->established += result.verdict == HUB_ESTABLISHED;
	if (result.verdict == HUB_OPENED)
		node_opened(n, port, result.plain, result.plain_size);
}

static void deliver(struct mapworld *w, const struct map_outgoing *out)
{
	const struct address *to = &out->destination.address;
	u8 n = to->bytes[to->family == 4 ? 3 : 15];
	u8 copy[MAPSERVER_DATAGRAM];

	assert_in_range(out->buf->length, 1, MAPSERVER_DATAGRAM);
	w->bytes_out += out->buf->length;
	/* It may be shared: nobody writes to it. */
	memcpy(copy, buf_data(out->buf), out->buf->length);
	if (n < WORLD_NODES && w->nodes[n].hub)
		node_hears(w, &w->nodes[n], out->destination.port, copy, out->buf->length);
	buf_put(out->buf);
}

static void drain(struct mapworld *w)
{
	struct map_outgoing out;

	while (!w->deaf && mapserver_next_outgoing(w->map, &out))
		deliver(w, &out);
}

void mapworld_pass(struct mapworld *w, u64 duration)
{
	w->now += duration;
	if (mapserver_next_expiry(w->map) <= w->now)
		mapserver_expire(w->map, w->now);
	assert_true(mapserver_next_expiry(w->map) > w->now);
	drain(w);
}

void mapworld_datagram(struct mapworld *w, const struct endpoint *source, const void *data,
		       size_t size)
{
	struct buf *b = buf_get(w->pool);

	assert_non_null(b);
	memcpy(buf_data(b), data, size);
	b->length = (u32)size;
	w->bytes_in += size;
	mapserver_receive(w->map, w->now, 0, source, b);
	drain(w);
}

/* --- nodes ------------------------------------------------------------------------------- */

static struct assoc *nobody(void *ctx, const u8 key[static KEY_SIZE])
{
	(void)ctx;
	(void)key;
	return NULL;
}

struct node *node_start(struct mapworld *w, u32 n)
{
	struct node *node = &w->nodes[n];
	struct hub_options options = {
		.allocator = w->allocator,
		.random = w->random,
		.ciphers = crypto_ciphers(),
		.replay_bits = REPLAY_BITS_MAP,
		.max_sessions = 8,
		.handshake_rate = 100,
		.lookup = nobody,
	};

	assert_null(node->hub);
	memset(node, 0, sizeof(*node));
	identity_of(&node->identity, (u8)n);
	options.identity = node->identity;
	node->at = test_endpoint("203.0.113.0", 5000);
	node->at.address.bytes[3] = (u8)n;
	assert_int_equal(hub_create(&node->hub, &options), 0);
	assoc_init(&node->map, w->map_identity.public_key, no_preshared_key, node);
	return node;
}

void node_stop(struct node *n)
{
	if (!n->hub)
		return;
	assoc_clear(n->hub, &n->map);
	hub_destroy(n->hub);
	n->hub = NULL;
}

struct endpoint node_endpoint(const struct node *n, u16 interface)
{
	struct endpoint e = n->at;

	e.port = (u16)(e.port + interface);
	return e;
}

bool node_greet(struct mapworld *w, struct node *n)
{
	u32 before = n->established;

	assoc_kick(n->hub, &n->map, w->now);
	assert_true(assoc_expire(n->hub, &n->map, w->now));
	w->last_size = WIRE_INITIATION_SIZE;
	memcpy(w->last, assoc_initiation(&n->map), WIRE_INITIATION_SIZE);
	mapworld_datagram(w, &n->at, w->last, w->last_size);
	if (n->established != before + 1)
		assoc_rest(n->hub, &n->map);
	return n->established == before + 1;
}

struct node *node_connect(struct mapworld *w, u32 n)
{
	struct node *node = node_start(w, n);
	struct frame probe = { .type = FRAME_PROBE };

	assert_true(node_greet(w, node));
	node_say(w, node, 0, &probe);
	assert_int_equal(node_count(node, FRAME_PROBE_REPLY), 1);
	return node;
}

void node_seal(struct mapworld *w, struct node *n, const struct frame *frames, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		int r = frame_put(w->last + WIRE_HEADER_SIZE + size,
				  sizeof(w->last) - WIRE_OVERHEAD - size, &frames[i]);

		assert_true(r > 0);
		size += (size_t)r;
	}
	assert_int_equal(assoc_seal(&n->map, w->now, w->last, size), 0);
	w->last_size = size + WIRE_OVERHEAD;
}

void node_say(struct mapworld *w, struct node *n, u16 interface, const struct frame *f)
{
	struct endpoint source = node_endpoint(n, interface);

	node_seal(w, n, f, 1);
	mapworld_datagram(w, &source, w->last, w->last_size);
}

static void say_register(struct mapworld *w, struct node *n, u16 interface, u64 proof)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };

	f.register_request.interface = interface;
	f.register_request.lan = test_endpoint("10.0.0.1", (u16)(7000 + interface));
	f.register_request.proof = proof;
	node_say(w, n, interface, &f);
}

void node_claim(struct mapworld *w, struct node *n, u16 interface)
{
	say_register(w, n, interface, 0);
}

void node_register(struct mapworld *w, struct node *n, u16 interface)
{
	u32 received, datagrams, bytes;

	n->proof = 0;
	node_claim(w, n, interface);
	if (!n->proof)
		return;
	received = n->received;
	datagrams = n->datagrams;
	bytes = n->bytes;
	say_register(w, n, interface, n->proof);
	n->received = received;
	n->datagrams = datagrams;
	n->bytes = bytes;
}

void node_deregister(struct mapworld *w, struct node *n, u16 interface)
{
	struct frame f = { .type = FRAME_DEREGISTER_REQUEST, .deregister = { interface } };

	node_say(w, n, 0, &f);
}

void node_ask(struct mapworld *w, struct node *n, ...)
{
	struct frame f = { .type = FRAME_MAPPING_REQUEST };
	u8 keys[WIRE_KEYS_MAX * KEY_SIZE];
	va_list list;
	u32 other;

	va_start(list, n);
	while ((other = va_arg(list, u32)) != WORLD_NODES) {
		struct identity identity;

		identity_of(&identity, (u8)other);
		memcpy(keys + (size_t)f.mapping_request.count++ * KEY_SIZE, identity.public_key,
		       KEY_SIZE);
	}
	va_end(list);
	f.mapping_request.keys = keys;
	node_say(w, n, 0, &f);
}

const struct frame_mapping_response *node_learned(const struct node *n, const struct node *about)
{
	for (u32 i = n->received; i-- > 0;) {
		const struct frame_mapping_response *f = &n->inbox[i].mapping_response;

		if (n->inbox[i].type == FRAME_MAPPING_RESPONSE &&
		    !memcmp(f->key, about->identity.public_key, KEY_SIZE))
			return f;
	}
	return NULL;
}

u32 node_count(const struct node *n, u8 type)
{
	u32 count = 0;

	for (u32 i = 0; i < n->received; i++)
		count += n->inbox[i].type == type;
	return count;
}
