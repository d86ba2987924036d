/* SPDX-License-Identifier: MIT */
/*
 * test_mapstreams.c - connections at the map's core: whose one is, what is registered over it, and
 * what its end takes along.
 */
#include "unit/harness.h"
#include "unit/mapclient.h"

#include <string.h>

static struct mapworld w;

static int setup(void **state)
{
	(void)state;
	mapworld_begin(&w, 128, 64, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mapworld_end(&w);
	return 0;
}

/* What n has sealed last goes over the connection; what the map says then waits. */
static void say_over(struct node *n, u32 listener)
{
	struct buf *b = buf_get(w.pool);

	memcpy(buf_data(b), w.last, w.last_size);
	b->length = (u32)w.last_size;
	mapserver_receive(w.map, w.now, listener, &n->at, b);
}

static void register_over(struct node *n, u32 listener, u16 interface)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };

	f.register_request.interface = interface;
	node_seal(&w, n, &f, 1);
	say_over(n, listener);
}

/* How many datagrams wait for the listener; none is left. */
static u32 sent_to(u32 listener)
{
	struct map_outgoing out;
	u32 count = 0;

	while (mapserver_next_outgoing(w.map, &out)) {
		count += out.listener == listener;
		buf_put(out.buf);
	}
	return count;
}

/* a and b, who want each other. */
static void meet(struct node **a, struct node **b)
{
	*a = node_connect(&w, 1);
	*b = node_connect(&w, 2);
	node_ask(&w, *a, 2, WORLD_NODES);
	node_ask(&w, *b, 1, WORLD_NODES);
	mapworld_forget(&w);
}

static void a_handshake_alone_makes_nobody_known(void **state)
{
	const u32 listener = mapserver_stream(3, 1);
	struct node *n = node_start(&w, 1);

	(void)state;
	w.deaf = true;
	assert_false(node_greet(&w, n)); /* over UDP, unheard */
	sent_to(0);
	say_over(n, listener);
	assert_int_equal(sent_to(listener), 1);
	assert_false(mapserver_stream_known(w.map, listener));
	assert_int_equal(mapserver_stats(w.map)->streams, 0);
	mapserver_stream_closed(w.map, w.now, listener);
}

static void answers_go_back_over_the_connection(void **state)
{
	const u32 listener = mapserver_stream(3, 1);
	struct node *n = node_connect(&w, 1);

	(void)state;
	w.deaf = true;
	register_over(n, listener, 0);
	assert_true(mapserver_stream_known(w.map, listener));
	assert_false(mapserver_stream_known(w.map, mapserver_stream(3, 2)));
	assert_false(mapserver_stream_known(w.map, 3));
	assert_int_equal(sent_to(listener), 1);
}

static void peers_are_told_of_no_endpoint(void **state)
{
	const struct frame_mapping_response *f;
	struct node *a, *b;

	(void)state;
	meet(&a, &b);
	register_over(a, mapserver_stream(0, 0), 5);
	mapworld_pass(&w, 0); /* pushes reach b */
	node_register(&w, b, 0);
	mapworld_forget(&w);
	node_ask(&w, b, 1, WORLD_NODES);
	f = node_learned(b, a);
	assert_non_null(f);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->mapping[0].interface, 5);
	assert_int_equal(f->mapping[0].observed.address.family, 0);
	assert_true(f->handle != 0);
}

static void a_first_registration_is_pushed_though_it_says_nothing(void **state)
{
	struct node *a, *b;

	(void)state;
	meet(&a, &b);
	node_register(&w, b, 0);
	mapworld_forget(&w);
	register_over(a, mapserver_stream(0, 0), 0);
	mapworld_pass(&w, 0);
	assert_non_null(node_learned(b, a));
	assert_int_equal(node_learned(b, a)->count, 1);
}

static void its_end_takes_registrations_along(void **state)
{
	const u32 listener = mapserver_stream(7, 9);
	struct node *a, *b;

	(void)state;
	meet(&a, &b);
	node_register(&w, b, 0);
	register_over(a, listener, 0);
	node_register(&w, a, 1); /* over UDP: stays */
	mapworld_forget(&w);
	mapserver_stream_closed(w.map, w.now, listener);
	mapworld_pass(&w, 0);
	assert_non_null(node_learned(b, a));
	assert_int_equal(node_learned(b, a)->count, 1);
	assert_int_equal(node_learned(b, a)->mapping[0].interface, 1);
	assert_false(mapserver_stream_known(w.map, listener));
	mapserver_stream_closed(w.map, w.now, listener); /* once more: nothing */
}

/* UDP is back before the connection ends: nobody is told anything. */
static void what_was_registered_anew_stays_when_it_ends(void **state)
{
	const u32 listener = mapserver_stream(7, 9);
	struct node *a, *b;

	(void)state;
	meet(&a, &b);
	node_register(&w, b, 0);
	register_over(a, listener, 0);
	node_register(&w, a, 0);
	mapworld_forget(&w);
	mapserver_stream_closed(w.map, w.now, listener);
	mapworld_pass(&w, 0);
	assert_null(node_learned(b, a));
}

static void what_is_relayed_goes_over_the_connection(void **state)
{
	const u32 listener = mapserver_stream(1, 0);
	struct frame f = { .type = FRAME_RELAY };
	struct node *a, *b;
	u8 data[100] = { WIRE_TRANSPORT };

	(void)state;
	meet(&a, &b);
	node_register(&w, b, 0);
	register_over(a, listener, 0);
	mapworld_pass(&w, 0);
	mapworld_forget(&w);
	node_ask(&w, b, 1, WORLD_NODES);
	f.relay = (struct frame_relay){ .handle = node_learned(b, a)->handle,
					.data = data,
					.size = sizeof(data) };
	w.deaf = true;
	node_say(&w, b, 0, &f);
	assert_int_equal(sent_to(listener), 1);
	mapserver_stream_closed(w.map, w.now, listener);
	sent_to(0);
	node_say(&w, b, 0, &f);
	assert_int_equal(sent_to(listener), 0);
}

/* Nobody writes another's address on a connection: the answer may be as long as it is. */
static void a_long_answer_goes_back_over_the_connection(void **state)
{
	const u32 listener = mapserver_stream(1, 0);
	struct frame f = { .type = FRAME_MAPPING_REQUEST };
	struct node *a, *b;
	u64 before;

	(void)state;
	meet(&a, &b);
	for (u16 i = 0; i < 20; i++)
		node_register(&w, b, i);
	register_over(a, listener, 0);
	sent_to(0);
	f.mapping_request.count = 1;
	f.mapping_request.keys = b->identity.public_key;
	node_seal(&w, a, &f, 1);
	w.deaf = true;
	before = mapserver_stats(w.map)->drops.count[DROP_UNCONFIRMED];
	say_over(a, listener);
	assert_int_equal(sent_to(listener), 1);
	assert_int_equal(mapserver_stats(w.map)->drops.count[DROP_UNCONFIRMED], before);
}

static void a_connection_is_of_one_node(void **state)
{
	const u32 listener = mapserver_stream(1, 0);
	struct node *a = node_connect(&w, 1), *b = node_connect(&w, 2);

	(void)state;
	w.deaf = true;
	register_over(a, listener, 0);
	assert_int_equal(sent_to(listener), 1);
	register_over(b, listener, 0);
	assert_int_equal(sent_to(listener), 0);
	mapserver_stream_closed(w.map, w.now, listener);
	register_over(b, mapserver_stream(1, 1), 0);
	assert_int_equal(sent_to(mapserver_stream(1, 1)), 1);
}

static void a_node_has_only_so_many(void **state)
{
	struct node *a = node_connect(&w, 1);

	(void)state;
	w.deaf = true;
	for (u32 n = 0; n < MAPSERVER_NODE_STREAMS + 5; n++)
		register_over(a, mapserver_stream(n, 0), 0);
	sent_to(0);
	assert_int_equal(mapserver_stats(w.map)->streams, MAPSERVER_NODE_STREAMS);
	mapserver_stream_closed(w.map, w.now, mapserver_stream(0, 0));
	register_over(a, mapserver_stream(200, 0), 0);
	assert_true(mapserver_stream_known(w.map, mapserver_stream(200, 0)));
	sent_to(0);
}

static void a_nat_is_not_tested_over_it(void **state)
{
	const u32 listener = mapserver_stream(0, 0);
	struct frame f[2] = { { .type = FRAME_NAT_TEST_REQUEST }, { .type = FRAME_CANDIDATES } };
	struct endpoint door = test_endpoint("192.0.2.1", 13116);
	struct node *a = node_connect(&w, 1);

	(void)state;
	mapserver_set_listener(w.map, 0, &door);
	f[1].candidates.count = 8;
	for (u32 n = 0; n < 8; n++)
		f[1].candidates.mapping[n].observed = door;
	node_seal(&w, a, f, 2);
	w.deaf = true;
	say_over(a, listener);
	assert_int_equal(sent_to(listener), 0);
}

static void a_place_out_of_range_is_nobodys(void **state)
{
	struct node *a = node_connect(&w, 1);

	(void)state;
	w.deaf = true;
	register_over(a, mapserver_stream(WORLD_STREAMS, 0), 0);
	assert_int_equal(sent_to(mapserver_stream(WORLD_STREAMS, 0)), 0);
	assert_int_equal(mapserver_stats(w.map)->drops.count[DROP_NOT_ALLOWED], 1);
}

static void a_node_that_was_forgotten_ends_it_in_peace(void **state)
{
	const u32 listener = mapserver_stream(2, 0);
	struct frame close = { .type = FRAME_CLOSE };
	struct node *a = node_connect(&w, 1);

	(void)state;
	register_over(a, listener, 0);
	mapworld_pass(&w, 0);
	node_say(&w, a, 0, &close);
	assert_int_equal(mapserver_stats(w.map)->nodes, 0);
	mapserver_stream_closed(w.map, w.now, listener);
	assert_int_equal(mapserver_stats(w.map)->streams, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_handshake_alone_makes_nobody_known),
		TEST(answers_go_back_over_the_connection),
		TEST(peers_are_told_of_no_endpoint),
		TEST(a_first_registration_is_pushed_though_it_says_nothing),
		TEST(its_end_takes_registrations_along),
		TEST(what_was_registered_anew_stays_when_it_ends),
		TEST(what_is_relayed_goes_over_the_connection),
		TEST(a_long_answer_goes_back_over_the_connection),
		TEST(a_connection_is_of_one_node),
		TEST(a_node_has_only_so_many),
		TEST(a_nat_is_not_tested_over_it),
		TEST(a_place_out_of_range_is_nobodys),
		TEST(a_node_that_was_forgotten_ends_it_in_peace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
