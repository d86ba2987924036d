/* SPDX-License-Identifier: MIT */
/*
 * fuzz_mapserver.c - libFuzzer: two authenticated nodes say arbitrary frames to a map, in between
 * come raw datagrams from strangers and time.
 *
 * An input is a list of records: what (u8), size (u8), bytes.
 *
 *   what % 8   0..3  node what / 8 % 2 says the bytes as frames, from its port what / 16 % 4: 2 is not its
 *                    own but a victim's, 3 is a connection
 *              4     the same; it registers interface size % 4, with the proof that it was given last
 *              5     the bytes come as a datagram from a stranger
 *              6     size x 250 ms go by
 *              7     a datagram that node said before is heard again, with its last byte changed by
 *                    the first of the bytes (unchanged: a replay)
 *
 * Keys and randomness are the same each time. Whatever comes, the map gives all buffers back, sends
 * nothing longer than it says, a stranger no more than it got, and a victim no more than three times
 * what seemed to come from there.
 */
#include <stdlib.h>
#include <string.h>

#include "warp/hub.h"
#include "warp/mapserver.h"

#define NODES 2u
#define BUFFERS 64u
#define VICTIM 150u /* host */

struct node {
	struct hub *hub;
	struct assoc map;
	struct identity identity;
	u8 last[1024]; /* datagram */
	size_t last_size;
	u64 proof; /* of the last answer to a registration */
};

struct world {
	struct mapserver *map;
	struct identity identity;
	struct node nodes[NODES];
	u64 now, random_state;
	size_t from_victim, to_victim; /* bytes */
};

static struct pool *pool;

static void *heap_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return calloc(1, size);
}

static void heap_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	(void)size;
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

static const struct allocator heap = { heap_alloc, heap_free, NULL };

static void must(bool fact)
{
	if (!fact)
		abort();
}

static struct endpoint endpoint_of(u8 host, u8 port)
{
	struct endpoint e = { .address = { .family = 4, .bytes = { 203, 0, 113, host } } };

	e.port = (u16)(5000 + port);
	return e;
}

static void identity_of(struct identity *ret, u8 n)
{
	u8 key[KEY_SIZE] = { 0, n, 2, 3 };

	private_key_clamp(key);
	identity_from_private(ret, key);
}

/* --- what the map says ------------------------------------------------------------------- */

static void hear(struct world *w, struct node *n, const struct buf *b)
{
	struct endpoint map = endpoint_of(200, 0);
	struct hub_result result;
	struct frame f;
	u8 copy[MAPSERVER_DATAGRAM];
	int r;

	memcpy(copy, b->bytes + b->offset, b->length);
	hub_receive(n->hub, w->now, &map, copy, b->length, &result);
	if (result.verdict != HUB_OPENED)
		return;
	while ((r = frame_next(&result.plain, &result.plain_size, &f)) > 0) {
		if (f.type == FRAME_REGISTER_RESPONSE)
			n->proof = f.register_response.proof;
	}
	must(r == 0);
}

/* Returns the bytes that were sent. */
static size_t drain(struct world *w)
{
	struct map_outgoing out;
	size_t size = 0;

	while (mapserver_next_outgoing(w->map, &out)) {
		u8 host = out.destination.address.bytes[3];

		must(out.buf->length <= MAPSERVER_DATAGRAM);
		size += out.buf->length;
		w->to_victim += host == VICTIM ? out.buf->length : 0;
		if (host < NODES && out.destination.address.family == 4)
			hear(w, &w->nodes[host], out.buf);
		buf_put(out.buf);
	}
	must(pool_available(pool) == BUFFERS);
	must(w->to_victim <= 3 * w->from_victim);
	return size;
}

static size_t send_over(struct world *w, u32 listener, const struct endpoint *source,
			const u8 *data, size_t size)
{
	struct buf *b = buf_get(pool);

	must(b != NULL);
	w->from_victim += source->address.bytes[3] == VICTIM ? size : 0;
	memcpy(buf_data(b), data, size);
	b->length = (u32)size;
	mapserver_receive(w->map, w->now, listener, source, b);
	return drain(w);
}

static size_t send_datagram(struct world *w, const struct endpoint *source, const u8 *data,
			    size_t size)
{
	return send_over(w, 0, source, data, size);
}

/* --- records ----------------------------------------------------------------------------- */

static void say(struct world *w, u8 what, const u8 *data, size_t size)
{
	struct node *n = &w->nodes[what / 8 % NODES];
	u8 port = what / 16 % 4;
	struct endpoint source = endpoint_of(port == 2 ? VICTIM : what / 8 % NODES, port);

	memcpy(n->last + WIRE_HEADER_SIZE, data, size);
	if (assoc_seal(&n->map, w->now, n->last, size) < 0)
		return;
	n->last_size = size + WIRE_OVERHEAD;
	/* From its last port: over a connection, which may be another node's. */
	send_over(w, port == 3 ? mapserver_stream(what / 8 % 2, 0) : 0, &source, n->last,
		  n->last_size);
}

static void prove(struct world *w, u8 what, size_t size)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	u8 data[64];
	int r;

	f.register_request.interface = size % 4;
	f.register_request.proof = w->nodes[what / 8 % NODES].proof;
	r = frame_put(data, sizeof(data), &f);
	must(r > 0);
	say(w, what, data, (size_t)r);
}

static void stranger(struct world *w, const u8 *data, size_t size)
{
	struct endpoint source = endpoint_of(100, 0);

	must(send_datagram(w, &source, data, size) <= size);
}

static void again(struct world *w, u8 what, const u8 *data, size_t size)
{
	struct node *n = &w->nodes[what / 8 % NODES];
	u32 nodes = mapserver_stats(w->map)->nodes;
	struct endpoint source = endpoint_of(100, 1);
	size_t sent;

	if (!n->last_size)
		return;
	n->last[n->last_size - 1] ^= size ? data[0] : 0;
	sent = send_datagram(w, &source, n->last, n->last_size);
	/* It was heard already, or is forged, unless its node's session has gone meanwhile. */
	must(sent == 0);
	must(mapserver_stats(w->map)->nodes == nodes);
	n->last_size = 0;
}

static void pass(struct world *w, size_t quarters)
{
	w->now += quarters * 250 * NS_PER_MS;
	if (mapserver_next_expiry(w->map) <= w->now)
		mapserver_expire(w->map, w->now);
	must(mapserver_next_expiry(w->map) > w->now);
	drain(w);
}

static void record(struct world *w, u8 what, const u8 *data, size_t size)
{
	switch (what % 8) {
	case 4:
		prove(w, what, size);
		break;
	case 5:
		stranger(w, data, size);
		break;
	case 6:
		if (size % 8 == 7)
			mapserver_stream_closed(w->map, w->now, mapserver_stream(size / 8 % 2, 0));
		pass(w, size);
		break;
	case 7:
		again(w, what, data, size);
		break;
	default:
		say(w, what, data, size);
	}
}

/* --- life -------------------------------------------------------------------------------- */

static struct assoc *nobody(void *ctx, const u8 key[static KEY_SIZE])
{
	(void)ctx;
	(void)key;
	return NULL;
}

static void connect_node(struct world *w, u8 i)
{
	static const u8 no_preshared_key[KEY_SIZE], padding[1] = { FRAME_PADDING | FRAME_LAST };
	struct node *n = &w->nodes[i];
	struct endpoint at = endpoint_of(i, 0);
	struct hub_options options = {
		.allocator = heap,
		.random = { random_bytes, w },
		.ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
		.replay_bits = REPLAY_BITS_MAP,
		.max_sessions = 8,
		.handshake_rate = 100,
		.lookup = nobody,
	};

	identity_of(&n->identity, i);
	options.identity = n->identity;
	must(hub_create(&n->hub, &options) == 0);
	assoc_init(&n->map, w->identity.public_key, no_preshared_key, n);
	assoc_kick(n->hub, &n->map, w->now);
	must(assoc_expire(n->hub, &n->map, w->now));
	send_datagram(w, &at, assoc_initiation(&n->map), WIRE_INITIATION_SIZE);
	must(assoc_ready(&n->map, w->now));
	say(w, (u8)(i * 8), padding, sizeof(padding));
}

static void begin(struct world *w)
{
	struct mapserver_options options = {
		.allocator = heap,
		.random = { random_bytes, w },
		.pool = pool,
		.client_expiry = 60 * NS_PER_S,
		.max_streams = 2,
		.max_nodes = 3,
		.handshake_rate = 100,
		.relay = { 1000000, 10000000 },
	};

	w->now = 1000 * NS_PER_S;
	identity_of(&w->identity, 0xff);
	options.identity = w->identity;
	must(mapserver_create(&w->map, &options) == 0);
	for (u8 i = 0; i < NODES; i++)
		connect_node(w, i);
	must(mapserver_stats(w->map)->nodes == NODES);
}

static void end(struct world *w)
{
	for (u32 i = 0; i < NODES; i++) {
		assoc_clear(w->nodes[i].hub, &w->nodes[i].map);
		hub_destroy(w->nodes[i].hub);
	}
	mapserver_destroy(w->map);
	must(pool_available(pool) == BUFFERS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	must(crypto_init() == 0);
	pool = pool_create(&heap, BUFFERS);
	must(pool != NULL);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	begin(&w);
	while (size >= 2) {
		size_t body = data[1] < size - 2 ? data[1] : size - 2;

		record(&w, data[0], data + 2, data[0] % 8 == 6 ? data[1] : body);
		data += 2 + body;
		size -= 2 + body;
	}
	end(&w);
	return 0;
}
