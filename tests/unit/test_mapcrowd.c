/* SPDX-License-Identifier: MIT */
/*
 * test_mapcrowd.c - when all places of a map are taken: a crowd of keys from one network makes room
 * for others, and nobody else does.
 */
#include "mapclient.h"

#include <string.h>

#define PLACES 16u
#define CROWD 20u /* the first of the crowd's numbers; each has a /64 of 2001:db8::/48 */

static struct mapworld w;

static int setup(void **state)
{
	(void)state;
	mapworld_begin(&w, PLACES, 64, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mapworld_end(&w);
	return 0;
}

/* True: it has a place. Registers, and so shows its address. */
static bool comes(u32 n)
{
	struct frame probe = { .type = FRAME_PROBE };
	struct node *node = node_start(&w, n);

	node->at.address.bytes[2] = (u8)n; /* an IPv4 /24 of its own */
	if (n >= CROWD) {
		node->at = test_endpoint("2001:db8::", 5000);
		node->at.address.bytes[7] = node->at.address.bytes[15] = (u8)n;
	}
	assert_true(node_greet(&w, node));
	node_say(&w, node, 0, &probe);
	if (node_count(node, FRAME_PROBE_REPLY) != 1)
		return false;
	node_register(&w, node, 0);
	return true;
}

/* The same, but all that it says under its session seems to come from 198.51.N.N. */
static void lies(u32 n)
{
	struct frame probe = { .type = FRAME_PROBE };
	struct node *node;

	node_stop(&w.nodes[n]);
	node = node_start(&w, n);
	assert_true(node_greet(&w, node));
	node->at = test_endpoint("198.51.0.0", 5000);
	node->at.address.bytes[2] = node->at.address.bytes[3] = (u8)n;
	node_say(&w, node, 0, &probe);
	node_claim(&w, node, 0);
}

static bool is_here(u32 n)
{
	struct frame probe = { .type = FRAME_PROBE };
	struct node *node = &w.nodes[n];
	u32 before = node_count(node, FRAME_PROBE_REPLY);

	node_say(&w, node, 0, &probe);
	return node_count(node, FRAME_PROBE_REPLY) > before;
}

static void a_crowd_makes_room_for_others(void **state)
{
	u32 crowd = 0;

	(void)state;
	for (u32 i = 0; i < PLACES; i++)
		assert_true(comes(CROWD + i));
	for (u32 i = 1; i <= PLACES - 2; i++)
		assert_true(comes(i));
	assert_int_equal(mapserver_stats(w.map)->crowded, PLACES - 2);
	assert_int_equal(mapserver_stats(w.map)->nodes, PLACES);
	for (u32 i = 1; i <= PLACES - 2; i++)
		assert_true(is_here(i));
	for (u32 i = 0; i < PLACES; i++)
		crowd += is_here(CROWD + i);
	assert_int_equal(crowd, 2);
	/* Now nobody has many. */
	assert_false(comes(PLACES - 1));
	assert_int_equal(mapserver_stats(w.map)->refused, 1);
}

static void a_crowd_takes_no_place_from_others(void **state)
{
	(void)state;
	for (u32 i = 1; i <= PLACES; i++)
		assert_true(comes(i));
	for (u32 i = 0; i < 10; i++)
		assert_false(comes(CROWD + i));
	for (u32 i = 1; i <= PLACES; i++)
		assert_true(is_here(i));
	assert_int_equal(mapserver_stats(w.map)->crowded, 0);
}

static void nor_from_its_own(void **state)
{
	(void)state;
	for (u32 i = 0; i < PLACES; i++)
		assert_true(comes(CROWD + i));
	assert_false(comes(CROWD + PLACES));
	assert_int_equal(mapserver_stats(w.map)->crowded, 0);
}

/* Who leaves is counted no more. */
static void places_come_back(void **state)
{
	(void)state;
	for (u32 i = 0; i < PLACES; i++)
		assert_true(comes(CROWD + i));
	mapworld_pass(&w, WORLD_EXPIRY);
	assert_int_equal(mapserver_stats(w.map)->nodes, 0);
	for (u32 i = 1; i <= PLACES; i++)
		assert_true(comes(i));
	assert_int_equal(mapserver_stats(w.map)->crowded, 0);
}

/* Each seems to come from elsewhere: they are told apart from those who have shown that they do. */
static void who_has_not_shown_where_it_is_makes_room(void **state)
{
	(void)state;
	for (u32 i = 0; i < PLACES; i++)
		lies(CROWD + i);
	for (u32 i = 1; i <= PLACES; i++)
		assert_true(comes(i));
	for (u32 i = 1; i <= PLACES; i++)
		assert_true(is_here(i));
	assert_false(comes(PLACES + 1));
}

/* Newcomers that seem to come from elsewhere take no more than half of the places of an office. */
static void an_office_keeps_most_of_its_places(void **state)
{
	u32 here = 0;

	(void)state;
	for (u32 i = 0; i < PLACES; i++)
		assert_true(comes(CROWD + i));
	for (u32 round = 0; round < 5; round++) {
		for (u32 i = 1; i < CROWD; i++)
			lies(i);
	}
	for (u32 i = 0; i < PLACES; i++)
		here += is_here(CROWD + i);
	assert_in_range(here, PLACES / 2, PLACES - 1);
}

/* Who connects over TCP receives what is sent there. */
static void a_connection_shows_where_it_is(void **state)
{
	struct frame probe = { .type = FRAME_PROBE };

	(void)state;
	for (u32 i = 1; i <= PLACES; i++) {
		struct node *node = node_start(&w, i);
		struct buf *b = buf_get(w.pool);

		node->at.address.bytes[2] = (u8)i;
		assert_true(node_greet(&w, node));
		node_seal(&w, node, &probe, 1);
		memcpy(buf_data(b), w.last, w.last_size);
		b->length = (u32)w.last_size;
		mapserver_receive(w.map, w.now, mapserver_stream(i, 1), &node->at, b);
	}
	mapworld_pass(&w, 0);
	assert_false(comes(PLACES + 1));
	assert_int_equal(mapserver_stats(w.map)->nodes, PLACES);
	for (u32 i = 1; i <= PLACES; i++)
		mapserver_stream_closed(w.map, w.now, mapserver_stream(i, 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_crowd_makes_room_for_others),
		TEST(a_crowd_takes_no_place_from_others),
		TEST(nor_from_its_own),
		TEST(places_come_back),
		TEST(who_has_not_shown_where_it_is_makes_room),
		TEST(an_office_keeps_most_of_its_places),
		TEST(a_connection_shows_where_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
