/* SPDX-License-Identifier: MIT */
/*
 * test_engine.c - two engines on a bench, joined by a wire that is always there: the shortest way
 * that a payload can take, and what the facade promises at its edges. Whole networks are for the
 * simulator.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine/engine_internal.h"
#include "warp/engine.h"
#include "warp/view.h"
#include "warp/wire.h"

#define START (1000 * NS_PER_S)

static void *bench_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return calloc(1, size);
}

static void bench_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	(void)size;
	free(ptr);
}

static void bench_random(void *ctx, void *out, size_t size)
{
	u64 *state = ctx;

	for (u8 *p = out; size > 0; size--) {
		*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		*p++ = (u8)(*state >> 56);
	}
}

static const struct allocator allocator = { bench_alloc, bench_free, NULL };
static u64 seed = 1;

struct bench {
	u64 now;
	struct pool *pool;
	struct engine *engine[2];
	struct identity identity[2];
	struct endpoint at[2];
	u8 iface[2];
	u16 peer[2], tunnel[2];
	bool cut;
	bool no_handshakes; /* these alone do not pass */
	bool displaced;     /* what comes, comes from ever other sources */
	u16 displacements;
	u64 steps;
	u8 last[2][BUF_PAYLOAD_MAX];
	u32 last_size[2], delivered[2];
};

static struct endpoint endpoint(u8 last, u16 port)
{
	return (struct endpoint){ .address = { 4, { 192, 0, 2, last } }, .port = port };
}

static void add_iface(struct bench *b, int side)
{
	struct iface_options o = { .name = "eth0", .local = b->at[side], .mtu = 1500 };

	assert_int_equal(engine_iface_add(b->engine[side], b->now, &o, &b->iface[side]), 0);
}

static void add_peer(struct bench *b, int side)
{
	struct peer_options o = { .name = "other" };

	memcpy(o.public_key, b->identity[!side].public_key, KEY_SIZE);
	assert_int_equal(engine_add_peer(b->engine[side], b->now, &o, &b->peer[side]), 0);
	engine_set_peer_endpoints(b->engine[side], b->now, b->peer[side], &b->at[!side], 1);
}

static void add_tunnel(struct bench *b, int side)
{
	struct tunnel_options o = { .name = "t", .id = tunnel_id_from_name("t") };

	assert_int_equal(engine_add_tunnel(b->engine[side], &o, &b->tunnel[side]), 0);
}

static void make_engine(struct bench *b, int side)
{
	struct engine_options o = { .identity = b->identity[side],
				    .allocator = allocator,
				    .random = { bench_random, &seed },
				    .pool = b->pool,
				    .ciphers = crypto_ciphers(),
				    .scan_interval = 10 * NS_PER_S,
				    .keepalive_interval = 5 * NS_PER_S,
				    .max_consecutive_failures = 10 };

	assert_int_equal(engine_create(&b->engine[side], &o), 0);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_int_equal(crypto_init(), 0);
	b->now = START;
	b->pool = pool_create(&allocator, 512);
	for (int side = 0; side < 2; side++) {
		u8 key[KEY_SIZE];

		memset(key, 7 + side, sizeof(key));
		private_key_clamp(key);
		identity_from_private(&b->identity[side], key);
		b->at[side] = endpoint((u8)(1 + side), (u16)(1000 + side));
	}
	for (int side = 0; side < 2; side++) {
		make_engine(b, side);
		add_tunnel(b, side);
		add_peer(b, side);
		add_iface(b, side);
	}
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	for (int side = 0; side < 2; side++)
		engine_destroy(b->engine[side]);
	assert_int_equal(pool_available(b->pool), 512);
	pool_destroy(b->pool);
	free(b);
	return 0;
}

/* Carries what one side has to send to the other; how many datagrams that were. */
static struct endpoint source_of(struct bench *b, int side)
{
	return b->displaced ? endpoint(77, ++b->displacements) : b->at[side];
}

static bool passes(const struct bench *b, int side, const struct outgoing *out)
{
	return !b->cut && endpoint_equal(&out->destination, &b->at[!side]) &&
	       !(b->no_handshakes && buf_data(out->buf)[0] != WIRE_TRANSPORT);
}

static size_t carry(struct bench *b, int side)
{
	struct outgoing out[64];
	size_t n = engine_outgoing(b->engine[side], b->now, b->iface[side], out, 64);

	for (size_t k = 0; k < n; k++) {
		struct buf *copy = buf_get(b->pool);

		assert_non_null(copy);
		memcpy(buf_data(copy), buf_data(out[k].buf), out[k].buf->length);
		copy->length = out[k].buf->length;
		copy->segment = out[k].buf->segment;
		if (passes(b, side, &out[k])) {
			const struct endpoint source = source_of(b, side);

			engine_receive(b->engine[!side], b->now, b->iface[!side], 0, &source, copy);
		} else {
			buf_put(copy);
		}
	}
	engine_sent(b->engine[side], b->now, b->iface[side], n);
	return n;
}

static void collect(struct bench *b, int side)
{
	struct delivery d;

	while (engine_next_delivery(b->engine[side], &d)) {
		memcpy(b->last[side], d.data, d.size);
		b->last_size[side] = d.size;
		b->delivered[side]++;
		buf_put(d.buf);
	}
}

static void settle(struct bench *b)
{
	while (carry(b, 0) + carry(b, 1) > 0)
		;
	collect(b, 0);
	collect(b, 1);
}

/* Runs both engines for some virtual time. */
static void run(struct bench *b, u64 duration)
{
	u64 end = b->now + duration;

	for (settle(b); b->now < end; settle(b)) {
		u64 next = time_min(engine_next_expiry(b->engine[0]),
				    engine_next_expiry(b->engine[1]));

		b->now = next < end ? (next > b->now ? next : b->now + 1) : end;
		b->steps++;
		engine_expire(b->engine[0], b->now);
		engine_expire(b->engine[1], b->now);
	}
}

static enum drop_reason give(struct bench *b, int side, u32 size, u8 fill)
{
	struct buf *buf = buf_get(b->pool);
	enum drop_reason reason;

	memset(buf_data(buf), fill, size);
	buf->length = size;
	reason = engine_send(b->engine[side], b->now, b->tunnel[side], buf);
	settle(b);
	return reason;
}

static void a_payload_arrives_once_and_whole(void **state)
{
	struct bench *b = *state;

	run(b, NS_PER_S);
	assert_int_equal(give(b, 0, 1000, 0x5a), DROP_NONE);
	assert_int_equal(b->delivered[1], 1);
	assert_int_equal(b->last_size[1], 1000);
	assert_int_equal(b->last[1][999], 0x5a);
	assert_int_equal(give(b, 1, 1, 0x11), DROP_NONE);
	assert_int_equal(b->delivered[0], 1);
}

static void the_first_payload_passes_without_waiting(void **state)
{
	struct bench *b = *state;

	run(b, NS_PER_MS);
	assert_int_equal(give(b, 0, 100, 1), DROP_NONE);
	assert_int_equal(b->delivered[1], 1);
}

static void a_payload_of_64_kib_is_cut_and_put_together(void **state)
{
	struct bench *b = *state;

	run(b, NS_PER_S);
	assert_int_equal(give(b, 0, BUF_PAYLOAD_MAX, 0x77), DROP_NONE);
	assert_int_equal(b->delivered[1], 1);
	assert_int_equal(b->last_size[1], BUF_PAYLOAD_MAX);
	assert_int_equal(b->last[1][BUF_PAYLOAD_MAX - 1], 0x77);
}

static void a_datagram_of_1400_bytes_costs_at_most_40_more(void **state)
{
	struct bench *b = *state;
	struct outgoing out[1];
	struct buf *buf = buf_get(b->pool);

	run(b, 3 * NS_PER_S);
	buf->length = 1400;
	memset(buf_data(buf), 0, 1400);
	assert_int_equal(engine_send(b->engine[0], b->now, b->tunnel[0], buf), DROP_NONE);
	assert_int_equal(engine_outgoing(b->engine[0], b->now, b->iface[0], out, 1), 1);
	assert_true(out[0].buf->length <= 1440);
}

static void before_a_session_payloads_are_refused_with_a_reason(void **state)
{
	struct bench *b = *state;

	b->cut = true;
	run(b, NS_PER_S);
	assert_int_equal(give(b, 0, 10, 0), DROP_NO_SESSION);
	assert_int_equal(give(b, 0, 0, 0), DROP_MALFORMED);
}

static void what_waits_too_long_is_dropped_and_not_counted_as_sent(void **state)
{
	struct bench *b = *state;
	struct buf *buf = buf_get(b->pool);
	struct path_view before, after;
	struct tunnel_view tunnel;
	struct outgoing out[4];

	run(b, NS_PER_S);
	assert_true(engine_view_path(b->engine[0], b->peer[0], 0, &before));
	buf->length = 10;
	memset(buf_data(buf), 0, 10);
	assert_int_equal(engine_send(b->engine[0], b->now, b->tunnel[0], buf), DROP_NONE);
	assert_int_equal(engine_pending(b->engine[0], b->tunnel[0]), 1);
	b->now += 2 * NS_PER_S;
	assert_int_equal(engine_outgoing(b->engine[0], b->now, b->iface[0], out, 4), 0);
	assert_int_equal(engine_pending(b->engine[0], b->tunnel[0]), 0);
	assert_true(engine_view_path(b->engine[0], b->peer[0], 0, &after));
	assert_int_equal(after.sent, before.sent);
	assert_true(engine_view_tunnel(b->engine[0], b->tunnel[0], &tunnel));
	assert_int_equal(tunnel.drops.count[DROP_DEADLINE], 1);
}

static void an_oversized_datagram_lowers_the_mtu_and_harms_nothing(void **state)
{
	struct bench *b = *state;
	struct buf *buf = buf_get(b->pool);
	struct path_view path;
	struct iface_view iface;

	run(b, 3 * NS_PER_S);
	assert_true(engine_view_path(b->engine[0], b->peer[0], 0, &path));
	assert_int_equal(path.mtu, 1472);
	buf->length = 1400;
	memset(buf_data(buf), 0, 1400);
	assert_int_equal(engine_send(b->engine[0], b->now, b->tunnel[0], buf), DROP_NONE);
	engine_send_failed(b->engine[0], b->now, b->iface[0], EMSGSIZE);
	assert_true(engine_view_path(b->engine[0], b->peer[0], 0, &path));
	assert_true(path.mtu < 1439);
	assert_true(engine_view_iface(b->engine[0], b->iface[0], &iface));
	assert_int_equal(iface.send_errors, 0);
	assert_false(iface.resting);
	assert_int_equal(give(b, 0, 1400, 3), DROP_NONE);
	assert_int_equal(b->last_size[1], 1400);
}

/* The share of one tunnel alone. */
#define LANE_BYTES (LANE_SHARE * OUTBOX_BYTES / (LANE_SHARE + 1))

/* Payloads until the queue is full, looked at for deadlines only; how many bytes wait then. */
static u64 fill_with_trains(struct bench *b)
{
	enum drop_reason reason = DROP_NONE;
	struct outgoing out[OUTBOX_SIZE];
	u64 bytes = 0;
	size_t count;

	for (u32 n = 0; n < 10000 && reason == DROP_NONE; n++) {
		struct buf *buf = buf_get(b->pool);

		assert_non_null(buf);
		memset(buf_data(buf), 0, 1400);
		buf->length = 1400;
		reason = engine_send(b->engine[0], b->now, b->tunnel[0], buf);
		assert_int_equal(engine_outgoing(b->engine[0], b->now, b->iface[0], NULL, 0), 0);
	}
	assert_int_equal(reason, DROP_QUEUE_FULL);
	count = engine_outgoing(b->engine[0], b->now, b->iface[0], out, OUTBOX_SIZE);
	assert_true(count < OUTBOX_BYTES / 60000); /* trains grew while they waited */
	for (size_t k = 0; k < count; k++)
		bytes += out[k].buf->length;
	return bytes;
}

static void a_link_that_is_slow_queues_a_bounded_number_of_bytes(void **state)
{
	struct bench *b = *state;
	u64 first;

	run(b, 3 * NS_PER_S);
	first = fill_with_trains(b);
	assert_in_range(first, LANE_BYTES - BUF_PAYLOAD_MAX, LANE_BYTES + 2 * BUF_PAYLOAD_MAX);
	settle(b);
	assert_int_equal(give(b, 0, 1000, 1), DROP_NONE);
	for (u32 n = 0; n < 3; n++) { /* what has left counts no more */
		assert_int_equal(fill_with_trains(b), first);
		settle(b);
	}
	fill_with_trains(b);
	b->now += 2 * NS_PER_S; /* nor what was too late */
	settle(b);
	assert_int_equal(fill_with_trains(b), first);
}

static void an_interface_that_fails_again_and_again_rests_and_returns(void **state)
{
	struct bench *b = *state;
	struct iface_view iface;

	run(b, NS_PER_S);
	for (int n = 0; n < 10; n++) {
		struct buf *buf = buf_get(b->pool);

		buf->length = 10;
		memset(buf_data(buf), 0, 10);
		engine_send(b->engine[0], b->now, b->tunnel[0], buf);
		engine_send_failed(b->engine[0], b->now, b->iface[0], ENETUNREACH);
	}
	assert_true(engine_view_iface(b->engine[0], b->iface[0], &iface));
	assert_true(iface.resting);
	run(b, 2 * NS_PER_S);
	assert_true(engine_view_iface(b->engine[0], b->iface[0], &iface));
	assert_false(iface.resting);
	assert_int_equal(give(b, 0, 10, 3), DROP_NONE);
}

static void equal_payloads_leave_as_one_train_and_arrive_one_by_one(void **state)
{
	struct bench *b = *state;
	struct outgoing out[4];

	run(b, NS_PER_S);
	for (u32 n = 0; n < 5; n++) {
		struct buf *buf = buf_get(b->pool);

		buf->length = n < 4 ? 200 : 100;
		memset(buf_data(buf), (int)n, buf->length);
		assert_int_equal(engine_send(b->engine[0], b->now, b->tunnel[0], buf), DROP_NONE);
	}
	assert_int_equal(engine_outgoing(b->engine[0], b->now, b->iface[0], out, 4), 1);
	assert_int_equal(out[0].buf->segment, 239);
	assert_int_equal(out[0].buf->length, 4 * 239 + 139);
	settle(b);
	assert_int_equal(b->delivered[1], 5);
	assert_int_equal(b->last_size[1], 100);
}

static void a_train_that_was_looked_at_grows_no_more(void **state)
{
	struct bench *b = *state;
	struct outgoing out[4];

	run(b, NS_PER_S);
	for (u32 n = 0; n < 2; n++) {
		struct buf *buf = buf_get(b->pool);

		buf->length = 200;
		memset(buf_data(buf), 0, 200);
		engine_send(b->engine[0], b->now, b->tunnel[0], buf);
		assert_int_equal(engine_outgoing(b->engine[0], b->now, b->iface[0], out, 4), n + 1);
		assert_int_equal(out[n].buf->length, 239);
	}
}

static void no_train_overtakes_what_was_fragmented(void **state)
{
	static const u32 sizes[] = { 200, 4000, 200 };
	struct bench *b = *state;
	struct outgoing out[16];
	size_t n;

	run(b, NS_PER_S);
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct buf *buf = buf_get(b->pool);

		buf->length = sizes[i];
		memset(buf_data(buf), 0, sizes[i]);
		assert_int_equal(engine_send(b->engine[0], b->now, b->tunnel[0], buf), DROP_NONE);
	}
	n = engine_outgoing(b->engine[0], b->now, b->iface[0], out, ARRAY_SIZE(out));
	assert_in_range(n, 4, ARRAY_SIZE(out));
	assert_int_equal(out[0].buf->length, 239);
	assert_int_equal(out[n - 1].buf->length, 239);
	settle(b);
	assert_int_equal(b->delivered[1], 3);
	assert_int_equal(b->last_size[1], 200);
}

/* Someone writes the peer's address on a datagram of a session that nobody has. */
static void spoof_unknown_index(struct bench *b)
{
	const struct wire_transport header = { .receiver = 0x12345678 };
	struct buf *buf = buf_get(b->pool);

	wire_put_transport(buf_data(buf), &header);
	buf->length = WIRE_OVERHEAD;
	engine_receive(b->engine[0], b->now, b->iface[0], 0, &b->at[1], buf);
}

static size_t initiations_sent(struct bench *b)
{
	struct outgoing out[64];
	size_t n = engine_outgoing(b->engine[0], b->now, b->iface[0], out, 64), count = 0;

	for (size_t k = 0; k < n; k++)
		count += buf_data(out[k].buf)[0] == WIRE_INITIATION;
	engine_sent(b->engine[0], b->now, b->iface[0], n);
	return count;
}

static void unknown_indices_ask_for_two_handshakes_a_second_at_most(void **state)
{
	struct bench *b = *state;
	size_t count = 0;

	b->cut = true;
	run(b, 20 * NS_PER_S);
	for (int n = 0; n < 2000; n++) {
		b->now += 5 * NS_PER_MS;
		spoof_unknown_index(b);
		engine_expire(b->engine[0], b->now);
		count += initiations_sent(b);
	}
	assert_in_range(count, 10, 2 * 10 + 1);
}

static bool see_reassembly(struct bench *b, u16 peer, u32 sequence, u8 index)
{
	u8 data[10] = { 0 };
	struct frame_fragment f = { .sequence = sequence,
				    .index = index,
				    .unit = sizeof(data),
				    .total = 2 * sizeof(data),
				    .data = data,
				    .size = sizeof(data) };
	struct buf *whole;

	b->now += NS_PER_US;
	if (!fragment_take(b->engine[0], b->now, peer, b->tunnel[0], &f, &whole))
		return false;
	buf_put(whole);
	return true;
}

/* Peer 1 begins payload after payload and ends none. */
static void a_peer_cannot_take_the_places_of_others_unfinished_payloads(void **state)
{
	struct bench *b = *state;

	assert_false(see_reassembly(b, 0, 7, 0));
	for (u32 sequence = 0; sequence < 10 * REASSEMBLIES; sequence++)
		assert_false(see_reassembly(b, 1, sequence, 0));
	assert_true(see_reassembly(b, 0, 7, 1));
	/* Its own last ones are still there, the oldest gave way. */
	assert_true(see_reassembly(b, 1, 10 * REASSEMBLIES - 1, 1));
	assert_true(see_reassembly(b, 1, 10 * REASSEMBLIES - REASSEMBLIES_A_PEER, 1));
	assert_false(see_reassembly(b, 1, 10 * REASSEMBLIES - REASSEMBLIES_A_PEER - 1, 1));
}

static void leaving_tells_the_peer_at_once(void **state)
{
	struct bench *b = *state;
	struct peer_view peer;

	run(b, NS_PER_S);
	engine_shutdown(b->engine[0], b->now);
	settle(b);
	assert_true(engine_view_peer(b->engine[1], b->peer[1], &peer));
	assert_true(peer.closed);
	assert_false(peer.connected);
}

static void keys_that_make_no_sense_are_refused(void **state)
{
	struct bench *b = *state;
	struct peer_options o = { .name = "x" };
	u16 peer;

	assert_int_equal(engine_add_peer(b->engine[0], b->now, &o, &peer), -EINVAL);
	memcpy(o.public_key, b->identity[0].public_key, KEY_SIZE);
	assert_int_equal(engine_add_peer(b->engine[0], b->now, &o, &peer), -EINVAL);
	memcpy(o.public_key, b->identity[1].public_key, KEY_SIZE);
	assert_int_equal(engine_add_peer(b->engine[0], b->now, &o, &peer), -EEXIST);
}

static void keys_that_cannot_be_renewed_end_and_no_timer_spins(void **state)
{
	struct bench *b = *state;
	struct peer_view peer;
	struct path_view path;

	run(b, NS_PER_S);
	b->no_handshakes = true;
	run(b, 179 * NS_PER_S);
	for (int second = 0; second < 20; second++) {
		b->steps = 0;
		run(b, NS_PER_S / 100);
		assert_true(b->steps < 50);
		b->now += NS_PER_S - NS_PER_S / 100;
	}
	for (int side = 0; side < 2; side++) {
		assert_true(engine_view_peer(b->engine[side], b->peer[side], &peer));
		assert_false(peer.connected);
		assert_true(engine_view_path(b->engine[side], b->peer[side], 0, &path));
		assert_int_equal(path.state, PATH_DEAD);
	}
	b->no_handshakes = false;
	run(b, 6 * NS_PER_S);
	assert_int_equal(give(b, 0, 10, 1), DROP_NONE);
	assert_int_equal(b->delivered[1], 1);
}

static bool has_path(struct bench *b, const struct endpoint *remote)
{
	struct path_view path;

	for (u32 n = 0; n < MAX_PEER_PATHS; n++) {
		if (engine_view_path(b->engine[0], b->peer[0], n, &path) &&
		    endpoint_equal(&path.remote, remote))
			return true;
	}
	return false;
}

/* Someone on the way sends on what passes from ever other addresses. */
static void displaced_datagrams_do_not_push_out_configured_paths(void **state)
{
	struct bench *b = *state;
	const struct endpoint known[2] = { b->at[1], endpoint(99, 99) };

	engine_set_peer_endpoints(b->engine[0], b->now, b->peer[0], known, 2);
	run(b, NS_PER_S);
	b->displaced = true;
	for (int n = 0; n < 200; n++) {
		give(b, 1, 10, 1);
		run(b, NS_PER_S / 100);
	}
	assert_true(b->displacements > 2 * MAX_PEER_PATHS);
	assert_true(has_path(b, &known[0]));
	assert_true(has_path(b, &known[1]));
}

static void a_tunnel_does_not_open_to_who_gets_the_place_of_a_removed_peer(void **state)
{
	struct bench *b = *state;
	struct tunnel_options t = { .name = "p", .id = 7, .peers = &b->peer[0], .peer_count = 1 };
	struct peer_options o = { .name = "new", .public_key = { 9 } };
	struct buf *buf = buf_get(b->pool);
	u16 tunnel, peer;

	assert_int_equal(engine_add_tunnel(b->engine[0], &t, &tunnel), 0);
	engine_remove_peer(b->engine[0], b->now, b->peer[0]);
	assert_int_equal(engine_add_peer(b->engine[0], b->now, &o, &peer), 0);
	assert_int_equal(peer, b->peer[0]);
	buf->length = 10;
	memset(buf_data(buf), 0, 10);
	assert_int_equal(engine_send(b->engine[0], b->now, tunnel, buf), DROP_NO_PEER);
}

static void what_a_removed_peer_sent_is_not_delivered_as_from_who_gets_its_place(void **state)
{
	struct bench *b = *state;
	struct peer_options o = { .name = "new", .public_key = { 9 } };
	struct buf *buf = buf_get(b->pool);
	struct delivery d;
	u16 peer;

	run(b, NS_PER_S);
	buf->length = 10;
	memset(buf_data(buf), 0, 10);
	assert_int_equal(engine_send(b->engine[1], b->now, b->tunnel[1], buf), DROP_NONE);
	carry(b, 1);
	engine_remove_peer(b->engine[0], b->now, b->peer[0]);
	assert_int_equal(engine_add_peer(b->engine[0], b->now, &o, &peer), 0);
	assert_int_equal(peer, b->peer[0]);
	assert_false(engine_next_delivery(b->engine[0], &d));
}

static struct buf *payload(struct bench *b, u32 size)
{
	struct buf *buf = buf_get(b->pool);

	memset(buf_data(buf), 1, size);
	buf->length = size;
	return buf;
}

/* Ever larger ones, so that none joins the one before. */
static u32 fill_outbox(struct bench *b, u32 leave)
{
	u32 count = OUTBOX_LANE_MAX - leave;

	for (u32 n = 0; n < count; n++)
		assert_int_equal(engine_send(b->engine[0], b->now, b->tunnel[0],
					     payload(b, 100 + n)),
				 DROP_NONE);
	assert_int_equal(engine_pending(b->engine[0], b->tunnel[0]), count);
	return count;
}

static u64 queue_drops(struct bench *b)
{
	struct tunnel_view tunnel;

	assert_true(engine_view_tunnel(b->engine[0], b->tunnel[0], &tunnel));
	return tunnel.drops.count[DROP_QUEUE_FULL];
}

static u64 lost_on_the_way(struct bench *b)
{
	return flow_lost(&b->engine[1]->peers[b->peer[1]]->flows[b->tunnel[1]]);
}

static void what_its_gate_keeps_is_no_loss(void **state)
{
	struct bench *b = *state;
	u32 count;

	run(b, NS_PER_S);
	count = fill_outbox(b, 0);
	for (int n = 0; n < 10; n++)
		assert_int_equal(engine_offer(b->engine[0], b->now, b->tunnel[0], payload(b, 1000)),
				 DROP_QUEUE_FULL);
	assert_int_equal(queue_drops(b), 0);
	settle(b);
	assert_int_equal(engine_offer(b->engine[0], b->now, b->tunnel[0], payload(b, 1000)),
			 DROP_NONE);
	settle(b);
	assert_int_equal(b->delivered[1], count + 1);
	assert_int_equal(lost_on_the_way(b), 0);
	fill_outbox(b, 0);
	assert_int_equal(engine_send(b->engine[0], b->now, b->tunnel[0], payload(b, 1000)),
			 DROP_QUEUE_FULL);
	assert_int_equal(queue_drops(b), 1);
}

static void no_piece_of_a_payload_leaves_when_not_all_can(void **state)
{
	struct bench *b = *state;
	u32 count;

	run(b, 3 * NS_PER_S);
	count = fill_outbox(b, 5);
	assert_int_equal(engine_offer(b->engine[0], b->now, b->tunnel[0], payload(b, 9000)),
			 DROP_QUEUE_FULL);
	assert_int_equal(engine_pending(b->engine[0], b->tunnel[0]), count);
	settle(b);
	assert_int_equal(engine_offer(b->engine[0], b->now, b->tunnel[0], payload(b, 9000)),
			 DROP_NONE);
	settle(b);
	assert_int_equal(b->delivered[1], count + 1);
	assert_int_equal(lost_on_the_way(b), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_payload_arrives_once_and_whole),
		TEST(the_first_payload_passes_without_waiting),
		TEST(a_payload_of_64_kib_is_cut_and_put_together),
		TEST(a_datagram_of_1400_bytes_costs_at_most_40_more),
		TEST(before_a_session_payloads_are_refused_with_a_reason),
		TEST(what_waits_too_long_is_dropped_and_not_counted_as_sent),
		TEST(an_oversized_datagram_lowers_the_mtu_and_harms_nothing),
		TEST(a_link_that_is_slow_queues_a_bounded_number_of_bytes),
		TEST(an_interface_that_fails_again_and_again_rests_and_returns),
		TEST(equal_payloads_leave_as_one_train_and_arrive_one_by_one),
		TEST(a_train_that_was_looked_at_grows_no_more),
		TEST(no_train_overtakes_what_was_fragmented),
		TEST(a_peer_cannot_take_the_places_of_others_unfinished_payloads),
		TEST(unknown_indices_ask_for_two_handshakes_a_second_at_most),
		TEST(leaving_tells_the_peer_at_once),
		TEST(keys_that_cannot_be_renewed_end_and_no_timer_spins),
		TEST(displaced_datagrams_do_not_push_out_configured_paths),
		TEST(a_tunnel_does_not_open_to_who_gets_the_place_of_a_removed_peer),
		TEST(what_a_removed_peer_sent_is_not_delivered_as_from_who_gets_its_place),
		TEST(what_its_gate_keeps_is_no_loss),
		TEST(no_piece_of_a_payload_leaves_when_not_all_can),
		TEST(keys_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
