/* SPDX-License-Identifier: MIT */
/*
 * test_fragment.c - the pieces of payloads are put together, whatever comes in between, and what is never
 * whole is forgotten.
 */
#include "lone.h"

#include <string.h>

#define POOL 200u
#define START (1000 * NS_PER_S)
#define UNIT 100u
#define TOTAL 250u /* 3 pieces */

struct bench {
	struct lone lone;
	struct engine *e;
	u16 peer, tunnel;
};

static int set_up(void **state)
{
	static struct bench b;
	const struct tunnel_options t = { .name = "t", .id = 1 };
	const struct peer_options p = { .name = "peer", .public_key = { 1 } };

	lone_begin(&b.lone, POOL);
	b.e = b.lone.e;
	assert_int_equal(engine_add_tunnel(b.e, &t, &b.tunnel), 0);
	assert_int_equal(engine_add_peer(b.e, START, &p, &b.peer), 0);
	*state = &b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	lone_end(&b->lone);
	return 0;
}

/* A piece of a payload whose bytes are all value arrives. Returns the payload when it is whole. */
static struct buf *arrive(struct bench *b, struct frame_fragment f, u8 value)
{
	u8 data[UNIT];
	struct buf *ret = NULL;

	memset(data, value, sizeof(data));
	f.data = data;
	f.unit = UNIT;
	f.total = TOTAL;
	f.size = TOTAL - f.index * UNIT < UNIT ? TOTAL - f.index * UNIT : UNIT;
	return fragment_take(b->e, START, b->peer, b->tunnel, &f, &ret) ? ret : NULL;
}

static void expect_whole(struct buf *payload, u8 value)
{
	assert_non_null(payload);
	assert_int_equal(payload->length, TOTAL);
	for (u32 n = 0; n < TOTAL; n++)
		assert_int_equal(buf_data(payload)[n], value);
	buf_put(payload);
}

static void pieces_come_in_any_order_and_twice(void **state)
{
	struct bench *b = *state;

	assert_null(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 2 }, 'x'));
	assert_null(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 0 }, 'x'));
	assert_null(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 2 }, 'x'));
	expect_whole(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 1 }, 'x'), 'x');
}

/* Each bucket of a tunnel that stripes counts for itself, and so does a tunnel that does not. */
static void the_same_number_of_another_line_is_another_payload(void **state)
{
	struct bench *b = *state;
	const u8 lines[] = { 0, 1, 64 };

	for (u8 index = 0; index < 3; index++) {
		for (u32 n = 0; n < ARRAY_SIZE(lines); n++) {
			struct buf *whole = arrive(b,
						   (struct frame_fragment){ .line = lines[n],
									    .sequence = 7,
									    .index = index },
						   (u8)('a' + n));

			if (index == 2)
				expect_whole(whole, (u8)('a' + n));
			else
				assert_null(whole);
		}
	}
}

static void what_contradicts_the_first_piece_is_dropped(void **state)
{
	struct bench *b = *state;
	u8 data[UNIT] = { 0 };
	const struct frame_fragment shorter = {
		.sequence = 7, .index = 1, .unit = UNIT, .total = 200, .data = data, .size = UNIT
	};
	struct buf *whole = NULL;

	assert_null(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 0 }, 'x'));
	assert_false(fragment_take(b->e, START, b->peer, b->tunnel, &shorter, &whole));
	assert_int_equal(b->e->drops.count[DROP_BAD_FRAME], 1);
	assert_null(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 1 }, 'x'));
	expect_whole(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 2 }, 'x'), 'x');
}

static void what_is_not_whole_in_time_is_forgotten(void **state)
{
	struct bench *b = *state;
	u64 expiry;

	assert_null(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 0 }, 'x'));
	expiry = fragment_next_expiry(b->e);
	assert_true(expiry > START && expiry != TIME_NEVER);
	fragment_expire(b->e, expiry);
	assert_true(fragment_next_expiry(b->e) == TIME_NEVER);
	assert_int_equal(b->e->tunnels[b->tunnel].drops.count[DROP_INCOMPLETE], 1);
	assert_null(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 1 }, 'x'));
	assert_null(arrive(b, (struct frame_fragment){ .sequence = 7, .index = 2 }, 'x'));
}

/* However many a peer begins, it has so many at most: the newest. */
static void one_peer_has_its_part_of_the_places(void **state)
{
	struct bench *b = *state;

	for (u32 n = 0; n <= REASSEMBLIES_A_PEER; n++)
		assert_null(arrive(b, (struct frame_fragment){ .sequence = n, .index = 0 }, 'x'));
	assert_int_equal(pool_available(b->lone.pool), POOL - REASSEMBLIES_A_PEER);
	assert_int_equal(b->e->tunnels[b->tunnel].drops.count[DROP_INCOMPLETE], 1);
}

int main(void)
{
#define IN_BENCH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		IN_BENCH(pieces_come_in_any_order_and_twice),
		IN_BENCH(the_same_number_of_another_line_is_another_payload),
		IN_BENCH(what_contradicts_the_first_piece_is_dropped),
		IN_BENCH(what_is_not_whole_in_time_is_forgotten),
		IN_BENCH(one_peer_has_its_part_of_the_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
