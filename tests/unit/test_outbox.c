/* SPDX-License-Identifier: MIT */
/*
 * test_outbox.c - what waits before a slow link: who is next, who is told, what may leave.
 *
 * Two engines are joined by a wire until they are connected; then the test is the wire and the socket
 * of the first, in virtual time.
 */
#include "unit/harness.h"

#include <stdlib.h>
#include <string.h>

#include "core/engine_internal.h"
#include "unit/packets.h"
#include "warp/ecn.h"

#define START (1000 * NS_PER_S)
#define BUFFERS 2048u
#define LINKS 2u
#define PACKET 1200u

enum { BULK, SPARSE, NET, TUNNELS };

struct desk {
	u64 now;
	struct allocator allocator;
	struct pool *pool;
	struct engine *engine[2];
	struct identity identity[2];
	struct endpoint at[2][LINKS];
	u8 iface[2][LINKS];
	u16 peer[2], tunnel[2][TUNNELS];
	u32 delivered[TUNNELS], marked;
};

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

/* Carries as much of a train as is to be sent. */
static void carry(struct desk *d, int side, u32 link, const struct outgoing *out)
{
	struct buf *copy = buf_get(d->pool);

	assert_non_null(copy);
	memcpy(buf_data(copy), buf_data(out->buf) + out->from, out->size);
	copy->length = out->size;
	copy->segment = out->size > out->buf->segment ? out->buf->segment : 0;
	engine_receive(d->engine[!side], d->now, d->iface[!side][link], 0, &d->at[side][link],
		       copy);
}

/* At most max trains over one link; how many. */
static size_t send_some(struct desk *d, int side, u32 link, size_t max)
{
	struct outgoing out[OUTBOX_SIZE];
	size_t n = engine_outgoing(d->engine[side], d->now, d->iface[side][link], out, max);

	for (size_t k = 0; k < n; k++) {
		if (leads_to(d, side, link, &out[k]))
			carry(d, side, link, &out[k]);
	}
	engine_sent(d->engine[side], d->now, d->iface[side][link], n);
	return n;
}

static void collect(struct desk *d)
{
	struct delivery delivery;

	while (engine_next_delivery(d->engine[1], &delivery)) {
		d->delivered[delivery.tunnel]++;
		d->marked += delivery.tunnel == d->tunnel[1][NET] &&
			     ecn_get(delivery.data, delivery.size) == ECN_CE;
		buf_put(delivery.buf);
	}
}

static void settle(struct desk *d)
{
	size_t n;

	do {
		n = 0;
		for (u32 link = 0; link < LINKS; link++)
			n += send_some(d, 0, link, 64) + send_some(d, 1, link, 64);
		collect(d);
	} while (n);
}

static void expire(struct desk *d)
{
	engine_expire(d->engine[0], d->now);
	engine_expire(d->engine[1], d->now);
}

static void run(struct desk *d, u64 duration)
{
	for (u64 end = d->now + duration; d->now < end; d->now += NS_PER_MS) {
		expire(d);
		settle(d);
	}
}

static int set_up(void **state)
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
	run(d, 5 * NS_PER_S);
	assert_int_equal(__builtin_popcountll(d->engine[0]->peers[0]->usable_mask), LINKS);
	*state = d;
	return 0;
}

static int tear_down(void **state)
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

/* The second link is there no more. */
static void one_link(struct desk *d)
{
	for (int side = 0; side < 2; side++)
		engine_iface_remove(d->engine[side], d->now, d->iface[side][1]);
	settle(d);
}

/* No two of odd and even size join. */
static enum drop_reason give(struct desk *d, u32 tunnel, u32 size)
{
	struct buf *b = buf_get(d->pool);

	assert_non_null(b);
	memset(buf_data(b), 0x5a, size);
	b->length = size;
	return engine_send(d->engine[0], d->now, d->tunnel[0][tunnel], b);
}

static enum drop_reason give_packet(struct desk *d, u8 ecn)
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

static void flood(struct desk *d, u32 tunnel)
{
	u32 size = 200;

	while (give(d, tunnel, size++) == DROP_NONE)
		assert_true(size < 1300);
}

static u64 drops(const struct desk *d, u32 tunnel, enum drop_reason reason)
{
	return d->engine[0]->tunnels[d->tunnel[0][tunnel]].drops.count[reason];
}

/* --- fairness --------------------------------------------------------------------------------- */

static void a_flood_delays_itself_and_not_the_others(void **state)
{
	struct desk *d = *state;

	one_link(d);
	flood(d, BULK);
	assert_int_equal(give(d, SPARSE, 300), DROP_NONE);
	send_some(d, 0, 0, 2);
	collect(d);
	assert_int_equal(d->delivered[d->tunnel[1][SPARSE]], 1);
}

static void two_floods_share_the_link_by_bytes(void **state)
{
	struct desk *d = *state;
	u32 large = 0, small = 0;

	one_link(d);
	for (u32 n = 0; n < 200; n++) {
		while (give(d, BULK, 1200 + large % 2) == DROP_NONE)
			large++;
		while (give(d, SPARSE, 300 + small % 2) == DROP_NONE)
			small++;
		send_some(d, 0, 0, 1);
	}
	collect(d);
	large = d->delivered[d->tunnel[1][BULK]];
	small = d->delivered[d->tunnel[1][SPARSE]];
	assert_true(large > 20);
	assert_in_range(small, large * 3, large * 5);
}

static void a_flood_leaves_places_to_others(void **state)
{
	struct desk *d = *state;
	u32 count = 0;

	one_link(d);
	flood(d, BULK);
	while (give(d, SPARSE, 300 + count) == DROP_NONE)
		count++;
	assert_in_range(count, 20, OUTBOX_SIZE / 4);
	assert_int_equal(drops(d, SPARSE, DROP_QUEUE_FULL), 1);
}

static void control_goes_before_payloads(void **state)
{
	struct desk *d = *state;
	struct outgoing out[1];

	one_link(d);
	flood(d, BULK);
	engine_remove_peer(d->engine[0], d->now, d->peer[0]); /* says so */
	assert_int_equal(engine_outgoing(d->engine[0], d->now, d->iface[0][0], out, 1), 1);
	assert_true(out[0].buf->length < 100);
}

/* Probes overtake what waits; they must not tell of it as sent, or it would look lost. */
static void a_queue_is_no_loss(void **state)
{
	struct desk *d = *state;

	one_link(d);
	for (u32 n = 0; n < 400; n++) {
		for (u32 k = 0; k < 20; k++)
			give(d, BULK, 1000 + k);
		d->now += 5 * NS_PER_MS;
		expire(d);
		send_some(d, 0, 0, 5);
		send_some(d, 1, 0, 64);
		collect(d);
	}
	assert_true(drops(d, BULK, DROP_QUEUE_FULL) > 100);
	for (u32 n = 0; n < MAX_PEER_PATHS; n++) {
		assert_true(d->engine[0]->peers[0]->paths[n].out.loss < 0.001);
		assert_true(d->engine[1]->peers[0]->paths[n].in.loss < 0.001);
	}
}

static void what_is_looked_at_and_not_sent_stays_in_its_place(void **state)
{
	struct desk *d = *state;
	struct outgoing before[8], after[8];

	one_link(d);
	for (u32 n = 0; n < 8; n++)
		give(d, n % 2 ? SPARSE : BULK, 500 + n);
	assert_int_equal(engine_outgoing(d->engine[0], d->now, d->iface[0][0], before, 8), 8);
	assert_int_equal(engine_outgoing(d->engine[0], d->now, d->iface[0][0], after, 8), 8);
	for (u32 n = 0; n < 8; n++)
		assert_ptr_equal(before[n].buf, after[n].buf);
	engine_sent(d->engine[0], d->now, d->iface[0][0], 3);
	assert_int_equal(engine_outgoing(d->engine[0], d->now, d->iface[0][0], after, 8), 5);
	for (u32 n = 0; n < 5; n++)
		assert_ptr_equal(before[n + 3].buf, after[n].buf);
}

/* --- congestion ------------------------------------------------------------------------------- */

/* Packets, none of which joins another, at twice the pace of the first links. */
static void overload(struct desk *d, u8 ecn, u64 duration, u32 links)
{
	for (u64 end = d->now + duration; d->now < end; d->now += NS_PER_MS) {
		for (u32 n = 0; n < 2; n++) {
			give_packet(d, ecn);
			train_close(d->engine[0]);
		}
		expire(d);
		for (u32 link = 0; link < LINKS; link++)
			send_some(d, 0, link, link < links ? 1 : 64);
		for (u32 link = 0; link < LINKS; link++)
			send_some(d, 1, link, 64);
		collect(d);
	}
}

static void packets_that_understand_are_marked_and_not_dropped(void **state)
{
	struct desk *d = *state;

	one_link(d);
	overload(d, ECN_ECT_0, 300 * NS_PER_MS, 1);
	assert_int_equal(drops(d, NET, DROP_CONGESTION), 0);
	settle(d);
	assert_in_range(d->marked, 2, 30);
	assert_int_equal(d->engine[0]->tunnels[d->tunnel[0][NET]].marked, d->marked);
}

static void others_are_dropped_one_by_one(void **state)
{
	struct desk *d = *state;

	one_link(d);
	overload(d, ECN_NOT_ECT, 300 * NS_PER_MS, 1);
	assert_in_range(drops(d, NET, DROP_CONGESTION), 2, 30);
	assert_int_equal(drops(d, NET, DROP_QUEUE_FULL), 0);
}

static void a_slow_link_beside_a_fast_one_slows_nobody_down(void **state)
{
	struct desk *d = *state;

	overload(d, ECN_ECT_0, 300 * NS_PER_MS, 1);
	settle(d);
	assert_int_equal(d->marked, 0);
	assert_int_equal(drops(d, NET, DROP_CONGESTION), 0);
	overload(d, ECN_ECT_0, 300 * NS_PER_MS, 2);
	settle(d);
	assert_true(d->marked > 0);
}

/* --- rates ------------------------------------------------------------------------------------ */

static void limit(struct desk *d, u64 rate)
{
	const struct iface_policy policy = { .rate_limit = rate };

	engine_iface_set_policy(d->engine[0], d->now, d->iface[0][0], &policy);
}

/* Bytes of IP that leave in duration, when there is always more; the most that left at once. */
static u64 bytes_of(struct desk *d, u64 duration, u64 *ret_burst)
{
	struct outgoing out[16];
	u64 sum = 0, end = d->now + duration;

	*ret_burst = 0;
	while (d->now < end) {
		u64 burst = 0;
		size_t n;

		while (give(d, BULK, 1000) == DROP_NONE)
			;
		while ((n = engine_outgoing(d->engine[0], d->now, d->iface[0][0], out, 16)) > 0) {
			for (size_t k = 0; k < n; k++) {
				u32 segment = out[k].buf->segment ? out[k].buf->segment :
								    out[k].size;

				burst += out[k].size + 28 * ((out[k].size + segment - 1) / segment);
				carry(d, 0, 0, &out[k]);
			}
			engine_sent(d->engine[0], d->now, d->iface[0][0], n);
		}
		assert_int_equal(engine_outgoing_ifaces(d->engine[0]), 0);
		send_some(d, 1, 0, 64); /* answers to probes */
		collect(d);
		expire(d);
		assert_true(engine_next_expiry(d->engine[0]) > d->now);
		*ret_burst = burst > *ret_burst ? burst : *ret_burst;
		sum += burst;
		d->now = time_min(time_min(engine_next_expiry(d->engine[0]),
					   engine_next_expiry(d->engine[1])),
				  end);
	}
	return sum;
}

static void a_rate_holds_and_trains_leave_in_parts(void **state)
{
	static const u64 rates[] = { 12500, 125000, 1250000, 12500000 };
	struct desk *d = *state;
	u64 burst, sum;

	one_link(d);
	for (u32 n = 0; n < ARRAY_SIZE(rates); n++) {
		limit(d, rates[n]);
		bytes_of(d, NS_PER_S, &burst);
		sum = bytes_of(d, 4 * NS_PER_S, &burst);
		assert_in_range(sum, 4 * rates[n] * 95 / 100, 4 * rates[n] * 101 / 100 + 4000);
		assert_in_range(burst, 0, rates[n] * 7 / 1000 + 4500);
	}
}

static void parts_of_a_train_arrive_like_the_whole(void **state)
{
	struct desk *d = *state;

	one_link(d);
	for (u32 n = 0; n < 30; n++)
		assert_int_equal(give(d, BULK, 1000), DROP_NONE);
	limit(d, 100000);
	assert_int_equal(engine_pending(d->engine[0], d->tunnel[0][BULK]), 1);
	for (u32 n = 0; n < 500; n++) {
		d->now += NS_PER_MS;
		engine_expire(d->engine[0], d->now);
		send_some(d, 0, 0, 64);
	}
	collect(d);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 30);
	assert_int_equal(engine_pending(d->engine[0], d->tunnel[0][BULK]), 0);
}

static void a_limit_that_goes_lets_all_go(void **state)
{
	struct desk *d = *state;

	one_link(d);
	for (u32 n = 0; n < 50; n++)
		give(d, BULK, 500 + n);
	limit(d, 1000);
	while (send_some(d, 0, 0, 64))
		;
	assert_int_equal(engine_outgoing_ifaces(d->engine[0]), 0);
	limit(d, 0);
	settle(d);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 50);
}

/* How long (ns) what has just been queued waits, when the rate is the only reason. */
static u64 queue_of(const struct desk *d, u64 rate)
{
	return d->engine[0]->ifaces[d->iface[0][0]]->outbox.bytes * NS_PER_S / rate;
}

/* In trains, and one by one. */
static void what_waits_for_a_rate_is_little(void **state)
{
	static const u64 rates[] = { 125000, 1250000, 12500000 };
	struct desk *d = *state;
	u64 most;

	one_link(d);
	for (u32 n = 0; n < ARRAY_SIZE(rates); n++) {
		limit(d, rates[n]);
		most = 0;
		for (u32 ms = 0; ms < 1000; ms++, d->now += NS_PER_MS) {
			for (u32 k = 0; k < 50; k++)
				give(d, BULK, ms & 128 ? 1000 : 1000 + k % 2);
			train_close(d->engine[0]);
			most = queue_of(d, rates[n]) > most ? queue_of(d, rates[n]) : most;
			expire(d);
			send_some(d, 0, 0, 64);
			send_some(d, 1, 0, 64);
			collect(d);
		}
		assert_in_range(most, 30 * NS_PER_MS, 65 * NS_PER_MS);
		settle(d);
	}
}

static void a_flood_at_a_rate_leaves_places_to_others(void **state)
{
	struct desk *d = *state;
	u32 came;

	one_link(d);
	limit(d, 125000);
	for (u32 ms = 0; ms < 1000; ms++, d->now += NS_PER_MS) {
		for (u32 k = 0; k < 20; k++)
			give(d, BULK, 1000 + k % 2);
		if (ms % 50 == 0)
			assert_int_equal(give(d, SPARSE, 200), DROP_NONE);
		expire(d);
		send_some(d, 0, 0, 64);
		send_some(d, 1, 0, 64);
		collect(d);
	}
	came = d->delivered[d->tunnel[1][SPARSE]];
	assert_in_range(came, 19, 20);
}

/* A limited link beside one that is not: what does not find a place is dropped there only. */
static void a_limit_is_its_links_own_affair(void **state)
{
	struct desk *d = *state;

	limit(d, 125000);
	for (u32 ms = 0; ms < 200; ms++, d->now += NS_PER_MS) {
		for (u32 k = 0; k < 10; k++)
			assert_int_equal(give(d, BULK, 1000), DROP_NONE);
		expire(d);
		settle(d);
	}
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 2000);
	assert_true(drops(d, BULK, DROP_QUEUE_FULL) > 1500);
	assert_int_equal(d->engine[0]->paced_mask | d->engine[0]->limited_mask,
			 d->engine[0]->limited_mask);
	limit(d, 0);
	assert_int_equal(d->engine[0]->limited_mask, 0);
}

/* Its last fragment finds a place when its first one did. */
static void a_large_payload_goes_whole_or_not_at_all(void **state)
{
	struct desk *d = *state;
	u32 taken = 0;

	one_link(d);
	limit(d, 125000);
	for (u32 ms = 0; ms < 2000; ms++, d->now += NS_PER_MS) {
		if (ms < 1000)
			taken += give(d, BULK, 8000) == DROP_NONE;
		expire(d);
		send_some(d, 0, 0, 64);
		send_some(d, 1, 0, 64);
		collect(d);
	}
	assert_in_range(taken, 10, 25);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flood_delays_itself_and_not_the_others),
		TEST(two_floods_share_the_link_by_bytes),
		TEST(a_flood_leaves_places_to_others),
		TEST(control_goes_before_payloads),
		TEST(a_queue_is_no_loss),
		TEST(what_is_looked_at_and_not_sent_stays_in_its_place),
		TEST(packets_that_understand_are_marked_and_not_dropped),
		TEST(others_are_dropped_one_by_one),
		TEST(a_slow_link_beside_a_fast_one_slows_nobody_down),
		TEST(a_rate_holds_and_trains_leave_in_parts),
		TEST(parts_of_a_train_arrive_like_the_whole),
		TEST(a_limit_that_goes_lets_all_go),
		TEST(what_waits_for_a_rate_is_little),
		TEST(a_flood_at_a_rate_leaves_places_to_others),
		TEST(a_limit_is_its_links_own_affair),
		TEST(a_large_payload_goes_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
