/* SPDX-License-Identifier: MIT */
/*
 * test_allocation.c - once two engines know each other, carrying data takes no memory: of what is
 * given to them, nothing is asked of the allocator, whatever the size of the payloads, the number
 * of paths and the time that passes between two handshakes.
 *
 *   engine 0  == two paths, each payload on both ==  engine 1
 */
#include "harness.h"

#include <string.h>

#include "warp/engine.h"
#include "warp/view.h"

#define START (1000 * NS_PER_S)
#define PATHS 2u
#define POOL 600u
#define PAYLOADS 100000u
#define STEP (500 * NS_PER_US) /* of virtual time a payload: 50 s in all, less than a rekey takes */
#define PIECES 20u

struct world {
	struct test_heap heap;
	struct test_random random;
	struct allocator allocator;
	u64 now;
	struct pool *pool;
	struct engine *engine[2];
	struct identity identity[2];
	struct endpoint at[2][PATHS];
	u8 iface[2][PATHS];
	u16 peer[2], tunnel[2], routed[2];
	u64 delivered[2], bytes[2];
};

/* --- two engines ------------------------------------------------------------------------------ */

static void add_tunnels(struct world *w, int side)
{
	struct tunnel_options plain = { .name = "gate", .id = 1 };
	struct tunnel_options routed = { .name = "net", .id = 2, .routed = true };

	assert_int_equal(engine_add_tunnel(w->engine[side], &plain, &w->tunnel[side]), 0);
	assert_int_equal(engine_add_tunnel(w->engine[side], &routed, &w->routed[side]), 0);
}

static void add_peer(struct world *w, int side)
{
	const struct prefix all = { .address = { .family = 4 } };
	struct peer_options p = { .name = "other", .allowed_ips = &all, .allowed_ip_count = 1 };

	memcpy(p.public_key, w->identity[!side].public_key, KEY_SIZE);
	assert_int_equal(engine_add_peer(w->engine[side], w->now, &p, &w->peer[side]), 0);
	engine_set_peer_endpoints(w->engine[side], w->now, w->peer[side], w->at[!side], PATHS);
}

static void make_engine(struct world *w, int side)
{
	struct engine_options o = { .identity = w->identity[side],
				    .allocator = w->allocator,
				    .random = test_random_source(&w->random),
				    .pool = w->pool,
				    .ciphers = crypto_ciphers(),
				    .scan_interval = 10 * NS_PER_S,
				    .keepalive_interval = 5 * NS_PER_S,
				    .max_consecutive_failures = 10 };

	assert_int_equal(engine_create(&w->engine[side], &o), 0);
	add_tunnels(w, side);
	add_peer(w, side);
	for (u32 n = 0; n < PATHS; n++) {
		struct iface_options i = { .local = w->at[side][n], .mtu = 1500 };

		i.name[0] = (char)('a' + n);
		assert_int_equal(engine_iface_add(w->engine[side], w->now, &i, &w->iface[side][n]),
				 0);
	}
}

static int set_up(void **state)
{
	static struct world world;
	struct world *w = &world;

	*w = (struct world){ .now = START, .random = { 1 } };
	assert_int_equal(crypto_init(), 0);
	w->allocator = test_allocator(&w->heap);
	w->pool = pool_create(&w->allocator, POOL);
	for (int side = 0; side < 2; side++) {
		u8 key[KEY_SIZE];

		memset(key, 7 + side, sizeof(key));
		private_key_clamp(key);
		identity_from_private(&w->identity[side], key);
		for (u32 n = 0; n < PATHS; n++)
			w->at[side][n] =
				test_endpoint(side ? "192.0.2.2" : "192.0.2.1", (u16)(1000 + n));
	}
	make_engine(w, 0);
	make_engine(w, 1);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	engine_destroy(w->engine[0]);
	engine_destroy(w->engine[1]);
	assert_int_equal(pool_available(w->pool), POOL);
	pool_destroy(w->pool);
	assert_int_equal(w->heap.live, 0);
	return 0;
}

/* --- the wire, which has no memory of its own ------------------------------------------------- */

static void deliver(struct world *w, int side)
{
	struct delivery d;

	while (engine_next_delivery(w->engine[side], &d)) {
		w->delivered[side]++;
		w->bytes[side] += d.size;
		buf_put(d.buf);
	}
}

static void arrive(struct world *w, int side, u32 path, struct buf *b)
{
	struct buf *copy = buf_get(w->pool);

	assert_non_null(copy);
	memcpy(buf_data(copy), buf_data(b), b->length);
	copy->length = b->length;
	copy->segment = b->segment;
	engine_receive(w->engine[side], w->now, w->iface[side][path], 0, &w->at[!side][path], copy);
	deliver(w, side);
}

/* Interface n of one side leads to endpoint n of the other only. */
static size_t carry(struct world *w, int side)
{
	struct outgoing out[64];
	size_t all = 0;

	for (u32 n = 0; n < PATHS; n++) {
		size_t count = engine_outgoing(w->engine[side], w->now, w->iface[side][n], out, 64);

		for (size_t k = 0; k < count; k++) {
			if (endpoint_equal(&out[k].destination, &w->at[!side][n]))
				arrive(w, !side, n, out[k].buf);
		}
		engine_sent(w->engine[side], w->now, w->iface[side][n], count);
		all += count;
	}
	return all;
}

static void settle(struct world *w)
{
	struct notice notice;

	while (carry(w, 0) + carry(w, 1) > 0)
		;
	for (int side = 0; side < 2; side++) {
		while (engine_next_notice(w->engine[side], &notice))
			;
	}
}

static void pass(struct world *w, u64 duration)
{
	u64 end = w->now + duration;

	for (settle(w); w->now < end; settle(w)) {
		u64 next = time_min(engine_next_expiry(w->engine[0]),
				    engine_next_expiry(w->engine[1]));

		w->now = next < end ? (next > w->now ? next : w->now + 1) : end;
		engine_expire(w->engine[0], w->now);
		engine_expire(w->engine[1], w->now);
	}
}

/* --- payloads --------------------------------------------------------------------------------- */

static void send_one(struct world *w, int side, u32 size)
{
	struct buf *b = buf_get(w->pool);

	assert_non_null(b);
	memset(buf_data(b), 1, size);
	b->length = size;
	assert_int_equal(engine_send(w->engine[side], w->now, w->tunnel[side], b), DROP_NONE);
}

/* An IPv4 packet, as far as the engine looks at it. */
static void write_piece(const struct pieces *p, u32 index, u8 *out)
{
	memset(out, 0, index + 1 < p->count ? p->size : p->last_size);
	out[0] = 0x45;
}

static void send_pieces(struct world *w, int side)
{
	static const u8 head[20] = { 0x45 };
	const struct pieces p = { .count = PIECES,
				  .size = 1400,
				  .last_size = 700,
				  .head = head,
				  .head_size = sizeof(head),
				  .write = write_piece };

	engine_send_pieces(w->engine[side], w->now, w->routed[side], &p);
}

/* Small ones, those that just fit, those that need 2 to 47 fragments, single ones and bursts. */
static u32 size_of(struct world *w, u32 n)
{
	if (n % 1000 == 500)
		return BUF_PAYLOAD_MAX;
	if (n % 10 == 9)
		return 1 + test_random_below(&w->random, 5000);
	return n % 3 ? 200 : 1400;
}

/* How much was sent in each direction: the same. */
static u64 send_all(struct world *w)
{
	u64 sent = 0;

	for (u32 n = 0; n < PAYLOADS; n++) {
		int side = n / 7 % 2;

		if (n % 50 == 49) {
			send_pieces(w, side);
			sent += PIECES;
			n += PIECES - 1;
		} else {
			send_one(w, side, size_of(w, n));
			sent++;
		}
		if (n % 5 != 2) /* the others are joined by the next */
			pass(w, STEP);
	}
	pass(w, STEP);
	return sent;
}

/* --- tests ------------------------------------------------------------------------------------ */

static struct path_view path_of(const struct world *w, int side)
{
	struct path_view v;

	assert_true(engine_view_path(w->engine[side], w->peer[side], 0, &v));
	return v;
}

static void data_takes_no_memory_after_the_handshake(void **state)
{
	struct world *w = *state;
	struct tunnel_view gate;
	size_t before;
	u64 sent;

	pass(w, 5 * NS_PER_S); /* sessions, and the MTU of the paths */
	assert_int_equal(path_of(w, 0).mtu, 1472);
	before = w->heap.total;
	assert_true(before > 10); /* it is counted at all */
	sent = send_all(w);
	assert_int_equal(w->heap.total, before);
	/* All of it happened: each payload came once, its copy as a duplicate, some in fragments. */
	assert_true(sent >= PAYLOADS);
	assert_int_equal(w->delivered[0] + w->delivered[1], sent);
	assert_true(path_of(w, 1).first + path_of(w, 1).duplicate > sent / 2);
	assert_true(engine_view_drops(w->engine[1])->count[DROP_DUPLICATE] > sent / 2);
	assert_true(engine_view_tunnel(w->engine[0], w->tunnel[0], &gate));
	assert_true(gate.copies_sent > 2 * gate.sent + gate.sent / 10);
}

static void probes_take_no_memory(void **state)
{
	struct world *w = *state;
	size_t before;
	u64 sent;

	pass(w, 5 * NS_PER_S);
	before = w->heap.total;
	sent = path_of(w, 0).sent;
	pass(w, 60 * NS_PER_S);
	assert_true(path_of(w, 0).sent > sent + 10);
	assert_int_equal(w->heap.total, before);
}

/* What does not fit any more is dropped, not put somewhere else. */
static void full_queues_take_no_memory(void **state)
{
	struct world *w = *state;
	struct tunnel_view gate;
	size_t before;

	pass(w, 5 * NS_PER_S);
	before = w->heap.total;
	for (u32 n = 0; n < 2 * OUTBOX_SIZE; n++) {
		struct buf *b = buf_get(w->pool);

		if (!b)
			break;
		b->length = 100 + n; /* grows: none joins the one before */
		memset(buf_data(b), 1, b->length);
		engine_send(w->engine[0], w->now, w->tunnel[0], b);
	}
	assert_true(engine_view_tunnel(w->engine[0], w->tunnel[0], &gate));
	assert_true(gate.drops.count[DROP_QUEUE_FULL] + gate.drops.count[DROP_NO_BUFFER] > 0);
	assert_int_equal(w->heap.total, before);
	w->now += 2 * NS_PER_S;
	pass(w, NS_PER_S);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(data_takes_no_memory_after_the_handshake),
		TEST(probes_take_no_memory),
		TEST(full_queues_take_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
