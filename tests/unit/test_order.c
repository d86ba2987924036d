/* SPDX-License-Identifier: MIT */
/*
 * test_order.c - ordered tunnels in the engine: who gets a resequencer, how long it waits, what
 * becomes of what waits. Frames are given to the tunnel as if they had just been opened.
 */
#include "lone.h"

#include <errno.h>
#include <string.h>

#define POOL 400u
#define START (1000 * NS_PER_S)
#define MARGIN (5 * NS_PER_MS)

struct bench {
	struct lone lone;
	struct pool *pool;
	struct engine *e;
	u64 now;
	u16 peer, tunnel;
	u32 next; /* to be delivered */
};

static u16 add_peer(struct bench *b, u8 key)
{
	struct peer_options o = { .name = "peer", .public_key = { key } };
	u16 peer;

	assert_int_equal(engine_add_peer(b->e, b->now, &o, &peer), 0);
	return peer;
}

static struct tunnel_options tunnel_options(u16 id, bool ordered)
{
	return (struct tunnel_options){ .name = "t", .id = id, .ordered = ordered };
}

static int set_up(void **state)
{
	static struct bench bench;
	struct bench *b = &bench;
	const struct tunnel_options t = tunnel_options(1, true);

	*b = (struct bench){ .now = START };
	lone_begin(&b->lone, POOL);
	b->pool = b->lone.pool;
	b->e = b->lone.e;
	assert_int_equal(engine_add_tunnel(b->e, &t, &b->tunnel), 0);
	b->peer = add_peer(b, 1);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	lone_end(&b->lone);
	return 0;
}

/* Payload number of peer arrives within train. */
static void arrive_in(struct bench *b, u16 peer, u16 tunnel, u32 number, struct buf *train)
{
	const struct arrival in = { .now = b->now, .buf = train };
	const struct frame_payload f = { .tunnel = b->e->tunnels[tunnel].id,
					 .sequence = number,
					 .data = buf_data(train),
					 .size = 1 + number };

	tunnel_payload(b->e, b->e->peers[peer], &in, &f);
}

static void arrive(struct bench *b, u32 number)
{
	struct buf *train = buf_get(b->pool);

	assert_non_null(train);
	arrive_in(b, b->peer, b->tunnel, number, train);
	buf_put(train);
}

/* What is delivered now; the numbers rise. */
static u32 deliveries(struct bench *b)
{
	struct delivery d;
	u32 count = 0;

	for (; engine_next_delivery(b->e, &d); count++) {
		assert_true(d.size > b->next);
		b->next = d.size;
		buf_put(d.buf);
	}
	return count;
}

static void pass(struct bench *b, u64 duration)
{
	b->now += duration;
	engine_expire(b->e, b->now);
}

static struct tunnel_view view(struct bench *b)
{
	struct tunnel_view v;

	assert_true(engine_view_tunnel(b->e, b->tunnel, &v));
	return v;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void the_timer_ends_the_wait(void **state)
{
	struct bench *b = *state;

	arrive(b, 0);
	arrive(b, 2);
	assert_int_equal(deliveries(b), 1);
	assert_int_equal(view(b).waiting, 1);
	assert_true(engine_next_expiry(b->e) <= START + MARGIN);
	pass(b, MARGIN - 1);
	assert_int_equal(deliveries(b), 0);
	assert_true(engine_next_expiry(b->e) == START + MARGIN);
	pass(b, 1);
	assert_int_equal(deliveries(b), 1);
	arrive(b, 1);
	assert_int_equal(deliveries(b), 0);
	assert_int_equal(view(b).waiting, 0);
	assert_int_equal(view(b).late, 1);
	assert_int_equal(view(b).received, 2);
}

static void add_path(struct bench *b, u32 n, u64 rtt, u64 variation)
{
	struct peer *p = b->e->peers[b->peer];

	p->paths[n] =
		(struct path){ .used = true, .state = PATH_LIVE, .rtt = rtt, .rtt_var = variation };
	p->used_mask |= 1u << n;
	p->usable_mask |= 1u << n;
}

static void the_wait_follows_the_paths(void **state)
{
	struct bench *b = *state;

	add_path(b, 0, 20 * NS_PER_MS, NS_PER_MS);
	add_path(b, 1, 120 * NS_PER_MS, 2 * NS_PER_MS);
	add_path(b, 2, 0, 0); /* not measured yet */
	arrive(b, 0);
	arrive(b, 2);
	assert_true(order_next_expiry(b->e) == START + 50 * NS_PER_MS + 8 * NS_PER_MS + MARGIN);
	b->e->tunnels[b->tunnel].reorder_wait = 7 * NS_PER_MS;
	arrive(b, 4);
	assert_true(order_next_expiry(b->e) == START + 7 * NS_PER_MS);
	b->e->tunnels[b->tunnel].reorder_wait = 0;
	add_path(b, 3, 60 * NS_PER_S, 0);
	arrive(b, 6);
	assert_true(order_next_expiry(b->e) == START + REORDER_WAIT_MAX);
	b->e->peers[b->peer]->used_mask = b->e->peers[b->peer]->usable_mask = 0;
}

static void a_fragmented_payload_has_a_place_in_the_order(void **state)
{
	struct bench *b = *state;
	struct frame_fragment f = {
		.tunnel = 1, .sequence = 1, .unit = 1, .total = 2, .data = (u8[]){ 7 }, .size = 1
	};
	const struct arrival in = { .now = b->now };

	arrive(b, 0);
	tunnel_fragment(b->e, b->e->peers[b->peer], &in, &f);
	arrive(b, 2);
	assert_int_equal(deliveries(b), 1);
	f.index = 1;
	tunnel_fragment(b->e, b->e->peers[b->peer], &in, &f);
	assert_int_equal(deliveries(b), 2);
	assert_int_equal(view(b).reordered, 1);
}

/* More become due at once than the engine's queue holds: nothing is dropped, nothing overtakes. */
static void what_the_queue_has_no_room_for_stays_due(void **state)
{
	struct bench *b = *state;
	struct buf *train = buf_get(b->pool);

	arrive(b, 0);
	for (u32 n = 2; n < 3000; n++)
		arrive_in(b, b->peer, b->tunnel, n, train);
	buf_put(train);
	assert_int_equal(deliveries(b), 1);
	arrive(b, 1);
	assert_int_equal(engine_deliveries(b->e), ENGINE_DELIVERIES);
	assert_true(engine_next_expiry(b->e) <= b->now);
	assert_int_equal(deliveries(b), ENGINE_DELIVERIES);
	pass(b, 0);
	assert_int_equal(deliveries(b), ENGINE_DELIVERIES);
	arrive(b, 3000);
	assert_int_equal(deliveries(b), 3000 - 2 * ENGINE_DELIVERIES);
	assert_int_equal(view(b).drops.count[DROP_QUEUE_FULL], 0);
	assert_int_equal(b->next, 3001);
}

static void a_part_of_the_pool_may_wait_in_all(void **state)
{
	struct bench *b = *state;

	arrive(b, 0);
	for (u32 n = 2; n < 300; n++) {
		arrive(b, n);
		deliveries(b);
		assert_true(pool_available(b->pool) >= POOL - POOL / 5);
	}
	assert_int_equal(b->next, 300);
}

/* --- who is ordered --------------------------------------------------------------------------- */

static void without_ordered_all_passes_as_it_comes(void **state)
{
	struct bench *b = *state;
	const struct tunnel_options t = tunnel_options(2, false);
	struct buf *train = buf_get(b->pool);
	u16 tunnel;

	assert_int_equal(engine_add_tunnel(b->e, &t, &tunnel), 0);
	arrive_in(b, b->peer, tunnel, 0, train);
	arrive_in(b, b->peer, tunnel, 2, train);
	assert_int_equal(deliveries(b), 2);
	arrive_in(b, b->peer, tunnel, 1, train);
	b->next = 0;
	assert_int_equal(deliveries(b), 1);
	assert_null(b->e->peers[b->peer]->flows[tunnel].order);
	buf_put(train);
}

static void peers_do_not_wait_for_one_another(void **state)
{
	struct bench *b = *state;
	struct buf *train = buf_get(b->pool);
	const u16 other = add_peer(b, 2);

	arrive(b, 0);
	arrive(b, 2);
	arrive_in(b, other, b->tunnel, 1000, train);
	arrive_in(b, other, b->tunnel, 1001, train);
	buf_put(train);
	assert_int_equal(deliveries(b), 3);
	assert_int_equal(view(b).waiting, 1);
}

static void only_peers_of_the_tunnel_have_a_resequencer(void **state)
{
	struct bench *b = *state;
	struct tunnel_options t = tunnel_options(2, true);
	const u16 other = add_peer(b, 2);
	u16 tunnel;

	t.peers = &other;
	t.peer_count = 1;
	assert_int_equal(engine_add_tunnel(b->e, &t, &tunnel), 0);
	assert_null(b->e->peers[b->peer]->flows[tunnel].order);
	assert_non_null(b->e->peers[other]->flows[tunnel].order);
	assert_non_null(b->e->peers[other]->flows[b->tunnel].order);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void with_a_peer_goes_what_waits(void **state)
{
	struct bench *b = *state;

	arrive(b, 0);
	deliveries(b);
	for (u32 n = 2; n < 30; n++)
		arrive(b, n);
	assert_int_equal(pool_available(b->pool), POOL - 28);
	engine_remove_peer(b->e, b->now, b->peer);
	assert_int_equal(pool_available(b->pool), POOL);
	assert_int_equal(b->e->reorder_budget.used, 0);
	b->peer = add_peer(b, 3); /* in its place, and from the beginning */
	arrive(b, 40);
	assert_int_equal(deliveries(b), 1);
}

static void with_a_tunnel_goes_what_waits(void **state)
{
	struct bench *b = *state;
	const struct tunnel_options t = tunnel_options(1, true);
	const size_t before = b->lone.heap.live;

	arrive(b, 0);
	deliveries(b);
	for (u32 n = 2; n < 30; n++)
		arrive(b, n);
	engine_remove_tunnel(b->e, b->tunnel);
	assert_int_equal(pool_available(b->pool), POOL);
	assert_int_equal(b->lone.heap.live, before - 1);
	assert_int_equal(engine_add_tunnel(b->e, &t, &b->tunnel), 0);
	arrive(b, 40);
	assert_int_equal(deliveries(b), 1);
}

static void without_memory_nothing_is_half_added(void **state)
{
	struct bench *b = *state;
	const struct tunnel_options t = tunnel_options(2, true);
	struct peer_options o = { .name = "peer", .public_key = { 2 } };
	size_t before = b->lone.heap.live;
	u16 index;

	b->lone.heap.limit = 0;
	assert_int_equal(engine_add_tunnel(b->e, &t, &index), -ENOMEM);
	b->lone.heap.limit = 1; /* the peer, and nothing more */
	assert_int_equal(engine_add_peer(b->e, b->now, &o, &index), -ENOMEM);
	b->lone.heap.limit = SIZE_MAX;
	assert_int_equal(b->lone.heap.live, before);
	assert_int_equal(engine_add_tunnel(b->e, &t, &index), 0);
	assert_int_equal(engine_add_peer(b->e, b->now, &o, &index), 0);
	assert_int_equal(b->lone.heap.live, before + 4); /* the peer, and three resequencers */
}

static void waiting_takes_no_memory(void **state)
{
	struct bench *b = *state;
	const size_t before = b->lone.heap.total;

	for (u32 n = 0; n < 20000; n++) {
		if (n % 7)
			arrive(b, n);
		pass(b, NS_PER_MS);
		deliveries(b);
	}
	assert_int_equal(b->lone.heap.total, before);
	assert_int_equal(b->next, 19999); /* the size of 19998, since 7 divides 19999 */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_timer_ends_the_wait),
		TEST(the_wait_follows_the_paths),
		TEST(a_fragmented_payload_has_a_place_in_the_order),
		TEST(what_the_queue_has_no_room_for_stays_due),
		TEST(a_part_of_the_pool_may_wait_in_all),
		TEST(without_ordered_all_passes_as_it_comes),
		TEST(peers_do_not_wait_for_one_another),
		TEST(only_peers_of_the_tunnel_have_a_resequencer),
		TEST(with_a_peer_goes_what_waits),
		TEST(with_a_tunnel_goes_what_waits),
		TEST(without_memory_nothing_is_half_added),
		TEST(waiting_takes_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
