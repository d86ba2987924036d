/* SPDX-License-Identifier: MIT */
/*
 * fuzz_engine.c - libFuzzer: what may happen to a node: an honest peer (another engine), a peer that
 * says anything, a map that says anything, strangers, a kernel and a person.
 *
 * All of them are connected before the input begins. An input is a list of records: what (u8),
 * size (u8), bytes.
 *
 *   what % 12  0, 1  the node (the honest peer) sends a payload of size x 41 bytes
 *              2     size datagrams of those on the way arrive
 *              3..5  the oldest is lost, comes twice, or arrives changed by the bytes
 *              6     time goes by: size ms, or from 128 on (size - 127) x 250 ms
 *              7     the bytes come as a datagram from a stranger
 *              8     the evil peer says the bytes as frames, from its port what / 12 % 4
 *              9     the map says the bytes as frames
 *              10    the kernel: interfaces come and go, change MTU, refuse to send
 *              11    the person: peers, maps, tunnels and endpoints come and go
 *
 * Keys and randomness are the same each time. Whatever comes: no timer spins, nothing is sent on an
 * interface that is gone, deliveries lie in their buffers, and all memory is given back.
 */
#include "fuzz/engine_world.h"

/* --- the records ----------------------------------------------------------------------------- */

static void send_payload(struct world *w, enum who who, u16 tunnel, u32 size)
{
	struct buf *b = buf_get(pool);

	if (!b)
		return;
	size = size < BUF_PAYLOAD_MAX ? size : BUF_PAYLOAD_MAX;
	memset(buf_data(b), 0x45, size);
	b->length = size;
	engine_send(w->body[who].engine, w->now, tunnel, b);
	drain(w, who);
}

static void way_event(struct world *w, u8 what, u8 size, const u8 *bytes)
{
	struct datagram *oldest = &w->way[w->head % WAY];

	if (w->head == w->tail)
		return;
	if (what == 3) {
		w->head++;
	} else if (what == 4) {
		const struct datagram copy = *oldest;

		post(w, &copy.source, &copy.destination, copy.data, copy.size);
		arrive(w);
	} else {
		for (u8 i = 0; i + 1 < size && oldest->size; i = (u8)(i + 2))
			oldest->data[bytes[i] % oldest->size] ^= bytes[i + 1];
		arrive(w);
	}
}

static void kernel_event(struct world *w, u8 what, u8 size)
{
	static const int errors[] = { ENETUNREACH, EMSGSIZE, EPERM, ENODEV };
	struct body *node = &w->body[NODE];
	const u8 n = what & 1;

	switch (size % 4) {
	case 0:
		if (node->present[n])
			engine_iface_remove(node->engine, w->now, node->iface[n]);
		node->present[n] = false;
		break;
	case 1:
		add_iface(w, NODE, n);
		break;
	case 2:
		if (node->present[n])
			engine_iface_set_mtu(node->engine, w->now, node->iface[n], size * 8u);
		break;
	default:
		w->refusal = errors[size / 4 % 4];
	}
}

static void person_event(struct world *w, u8 what, u8 size)
{
	struct engine *e = w->body[NODE].engine;
	const u16 n = what & 1;

	switch (size % 8) {
	case 0:
		engine_remove_peer(e, w->now, n);
		break;
	case 1:
		add_peer(w, NODE, n ? EVIL : HONEST, size / 8 % 3);
		break;
	case 2:
		engine_remove_map(e, w->now, 0);
		break;
	case 3:
		add_map(w);
		break;
	case 4:
		engine_remove_tunnel(e, size / 8 % TUNNELS);
		break;
	case 5:
		add_tunnel(w, NODE, size / 8 % TUNNELS);
		break;
	case 6:
		engine_set_intervals(e, NS_PER_S, NS_PER_S, 1 + size / 8u);
		break;
	default:
		if (size == 255)
			engine_shutdown(e, w->now);
	}
}

static void event(struct world *w, u8 what, u8 size, const u8 *bytes, u8 have)
{
	const struct endpoint stranger = endpoint_of(EVERYBODY, 0), node = endpoint_of(NODE, 0);
	const u8 iface = what / 48 & 1;

	switch (what % 12) {
	case 0:
	case 1:
		send_payload(w, what % 12 ? HONEST : NODE, what / 12 % TUNNELS, size * 41u);
		break;
	case 2:
		for (u32 i = 0; i <= size; i++)
			arrive(w);
		break;
	case 6:
		pass(w, size < 128 ? size * NS_PER_MS : (size - 127u) * 250 * NS_PER_MS,
		     what / 12 & 1);
		break;
	case 7:
		post(w, &stranger, &node, bytes, have);
		break;
	case 8:
		say(w, EVIL, what / 12 % 4, iface, bytes, have);
		break;
	case 9:
		say(w, MAP, 0, iface, bytes, have);
		break;
	case 10:
		kernel_event(w, what / 12, size);
		break;
	case 11:
		person_event(w, what / 12, size);
		break;
	default:
		way_event(w, what % 12, have, bytes);
	}
	drain(w, NODE);
}

/* --- the end --------------------------------------------------------------------------------- */

static void look(const struct engine *e)
{
	union {
		struct iface_view iface;
		struct map_view map;
		struct peer_view peer;
		struct path_view path;
		struct tunnel_view tunnel;
	} v;

	for (u32 n = 0; n < MAX_TUNNELS; n++) {
		engine_view_iface(e, n, &v.iface);
		engine_view_map(e, n, &v.map);
		if (engine_view_tunnel(e, n, &v.tunnel))
			must(engine_tunnel_mtu(e, (u16)n) >= 1280);
		for (u32 path = 0; engine_view_peer(e, n, &v.peer) && path < MAX_PEER_PATHS; path++)
			engine_view_path(e, n, path, &v.path);
	}
}

static void end(struct world *w)
{
	for (enum who who = NODE; who < EVERYBODY; who++) {
		struct body *body = &w->body[who];

		if (body->engine)
			look(body->engine);
		engine_destroy(body->engine);
		if (body->hub)
			assoc_clear(body->hub, &body->node);
		hub_destroy(body->hub);
	}
	must(pool_available(pool) == BUFFERS);
	must(w->allocated == 0);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const struct allocator heap = { heap_alloc, heap_free, NULL };
	static struct world w;

	if (!pool) {
		must(crypto_init() == 0);
		pool = pool_create(&heap, BUFFERS);
	}
	begin(&w);
	for (u32 steps = 0; size >= 2 && steps < 200; steps++) {
		const u8 what = data[0], want = data[1];
		const bool has_bytes = (what % 12 >= 7 && what % 12 <= 9) || what % 12 == 5;
		const u8 have = !has_bytes ? 0 : want < size - 2 ? want : (u8)(size - 2);

		event(&w, what, want, data + 2, have);
		data += 2 + have;
		size -= 2 + (size_t)have;
	}
	end(&w);
	return 0;
}
