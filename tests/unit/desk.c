/* SPDX-License-Identifier: MIT */
/*
 * desk.c - see desk.h.
 */
#include "unit/desk.h"

#include <stdlib.h>
#include <string.h>

#include "unit/packets.h"
#include "warp/ecn.h"

static struct test_heap heap;
static struct test_random randomness = { 1 };

static void make_engine(struct desk *d, int side)
{
	const struct prefix all = { .address = { .family = 4 }, .bits = 0 };
	struct engine_options o = { .identity = d->identity[side],
				    .allocator = d->allocator,
				    .random = test_random_source(&randomness),
				    .pool = d->pool,
				    .ciphers = crypto_ciphers(),
				    .scan_interval = 10 * NS_PER_S,
				    .keepalive_interval = 5 * NS_PER_S,
				    .max_consecutive_failures = 10 };
	struct peer_options p = { .name = "other", .allowed_ips = &all, .allowed_ip_count = 1 };

	assert_int_equal(engine_create(&d->engine[side], &o), 0);
	for (u32 n = 0; n < TUNNELS; n++) {
		struct tunnel_options t = { .id = (u16)(1 + n), .routed = n == NET };

		assert_int_equal(engine_add_tunnel(d->engine[side], &t, &d->tunnel[side][n]), 0);
	}
	memcpy(p.public_key, d->identity[!side].public_key, KEY_SIZE);
	assert_int_equal(engine_add_peer(d->engine[side], d->now, &p, &d->peer[side]), 0);
	engine_set_peer_endpoints(d->engine[side], d->now, d->peer[side], d->at[!side], LINKS);
	for (u32 n = 0; n < LINKS; n++) {
		struct iface_options i = { .local = d->at[side][n], .mtu = 1500 };

		i.name[0] = (char)('a' + n);
		assert_int_equal(engine_iface_add(d->engine[side], d->now, &i, &d->iface[side][n]),
				 0);
	}
}

static bool leads_to(const struct desk *d, int side, u32 link, const struct outgoing *out)
{
	return endpoint_equal(&out->destination, &d->at[!side][link]);
}

void desk_carry(struct desk *d, int side, u32 link, const struct outgoing *out)
{
	struct buf *copy = buf_get(d->pool);

	assert_non_null(copy);
	memcpy(buf_data(copy), buf_data(out->buf) + out->from, out->size);
	copy->length = out->size;
	copy->segment = out->size > out->buf->segment ? out->buf->segment : 0;
	engine_receive(d->engine[!side], d->now, d->iface[!side][link], 0, &d->at[side][link],
		       copy);
}

size_t desk_send(struct desk *d, int side, u32 link, size_t max)
{
	struct outgoing out[OUTBOX_SIZE];
	size_t n = engine_outgoing(d->engine[side], d->now, d->iface[side][link], out, max);

	for (size_t k = 0; k < n; k++) {
		if (leads_to(d, side, link, &out[k]))
			desk_carry(d, side, link, &out[k]);
	}
	engine_sent(d->engine[side], d->now, d->iface[side][link], n);
	return n;
}

void desk_collect(struct desk *d)
{
	struct delivery delivery;

	while (engine_next_delivery(d->engine[1], &delivery)) {
		d->delivered[delivery.tunnel]++;
		d->marked += delivery.tunnel == d->tunnel[1][NET] &&
			     ecn_get(delivery.data, delivery.size) == ECN_CE;
		buf_put(delivery.buf);
	}
}

void desk_settle(struct desk *d)
{
	size_t n;

	do {
		n = 0;
		for (u32 link = 0; link < LINKS; link++)
			n += desk_send(d, 0, link, 64) + desk_send(d, 1, link, 64);
		desk_collect(d);
	} while (n);
}

void desk_expire(struct desk *d)
{
	engine_expire(d->engine[0], d->now);
	engine_expire(d->engine[1], d->now);
}

void desk_run(struct desk *d, u64 duration)
{
	for (u64 end = d->now + duration; d->now < end; d->now += NS_PER_MS) {
		desk_expire(d);
		desk_settle(d);
	}
}

int desk_set_up(void **state)
{
	struct desk *d = calloc(1, sizeof(*d));

	assert_int_equal(crypto_init(), 0);
	d->now = START;
	d->allocator = test_allocator(&heap);
	d->pool = pool_create(&d->allocator, BUFFERS);
	for (int side = 0; side < 2; side++) {
		u8 key[KEY_SIZE];

		memset(key, 7 + side, sizeof(key));
		private_key_clamp(key);
		identity_from_private(&d->identity[side], key);
		for (u32 n = 0; n < LINKS; n++)
			d->at[side][n] = (struct endpoint){
				.address = { 4, { 192, 0, (u8)n, (u8)(1 + side) } }, .port = 1000
			};
	}
	make_engine(d, 0);
	make_engine(d, 1);
	desk_run(d, 5 * NS_PER_S);
	assert_int_equal(__builtin_popcountll(d->engine[0]->peers[0]->usable_mask), LINKS);
	*state = d;
	return 0;
}

int desk_tear_down(void **state)
{
	struct desk *d = *state;

	engine_destroy(d->engine[0]);
	engine_destroy(d->engine[1]);
	assert_int_equal(pool_available(d->pool), BUFFERS);
	pool_destroy(d->pool);
	assert_int_equal(heap.live, 0);
	free(d);
	return 0;
}

void desk_one_link(struct desk *d)
{
	for (int side = 0; side < 2; side++)
		engine_iface_remove(d->engine[side], d->now, d->iface[side][1]);
	desk_settle(d);
}

enum drop_reason desk_give(struct desk *d, u32 tunnel, u32 size)
{
	struct buf *b = buf_get(d->pool);

	assert_non_null(b);
	memset(buf_data(b), 0x5a, size);
	b->length = size;
	return engine_send(d->engine[0], d->now, d->tunnel[0][tunnel], b);
}

enum drop_reason desk_give_packet(struct desk *d, u8 ecn)
{
	static const u8 data[PACKET];
	struct packet p = packet_udp(4);
	struct buf *b = buf_get(d->pool);

	assert_non_null(b);
	p.tos = ecn;
	p.data = data;
	p.size = PACKET - 28;
	b->length = packet_make(&p, buf_data(b));
	return engine_send(d->engine[0], d->now, d->tunnel[0][NET], b);
}

u64 desk_drops(const struct desk *d, u32 tunnel, enum drop_reason reason)
{
	return d->engine[0]->tunnels[d->tunnel[0][tunnel]].drops.count[reason];
}
