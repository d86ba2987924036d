/* SPDX-License-Identifier: MIT */
/*
 * test_mapserver.c - what nodes see of a map: who learns what, when, and what strangers and
 * replayed datagrams cannot do. In virtual time, with real handshakes.
 */
#include "mapclient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define END WORLD_NODES

static struct mapworld w;

static int setup(void **state)
{
	(void)state;
	mapworld_begin(&w, 100, 64, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mapworld_end(&w);
	return 0;
}

static u64 dropped(enum drop_reason reason)
{
	return mapserver_stats(w.map)->drops.count[reason];
}

/* Nodes 1 and 2, registered, that list each other. */
static void acquaint(struct node **ret_a, struct node **ret_b)
{
	struct node *a = node_connect(&w, 1), *b = node_connect(&w, 2);

	node_register(&w, a, 0);
	node_register(&w, b, 0);
	node_ask(&w, a, 2, END);
	node_ask(&w, b, 1, END);
	mapworld_forget(&w);
	*ret_a = a;
	*ret_b = b;
}

static void assert_mapping(const struct frame_mapping_response *f, u8 at, const struct node *n,
			   u16 interface)
{
	struct endpoint expected = node_endpoint(n, interface);

	assert_non_null(f);
	assert_true(at < f->count);
	assert_true(endpoint_equal(&f->mapping[at].observed, &expected));
}

/* --- questions and answers --------------------------------------------------------------- */

static void a_registration_is_answered_with_the_address_seen(void **state)
{
	struct node *a = node_connect(&w, 1);
	struct endpoint seen = node_endpoint(a, 3);

	(void)state;
	mapworld_forget(&w);
	node_register(&w, a, 3);
	assert_int_equal(a->received, 1);
	assert_int_equal(a->inbox[0].type, FRAME_REGISTER_RESPONSE);
	assert_int_equal(a->inbox[0].register_response.interface, 3);
	assert_int_equal(a->inbox[0].register_response.expiry, 60);
	assert_true(endpoint_equal(&a->inbox[0].register_response.observed, &seen));
	assert_int_equal(a->inbox_port[0], seen.port);
	assert_int_equal(mapserver_stats(w.map)->registrations, 2); /* the proof comes in another */
}

static void a_probe_is_answered_with_the_address_seen(void **state)
{
	struct node *a = node_connect(&w, 1);
	struct frame probe = { .type = FRAME_PROBE, .probe = { .stamp = 77 } };
	struct endpoint seen = node_endpoint(a, 4);

	(void)state;
	mapworld_forget(&w);
	node_say(&w, a, 4, &probe);
	assert_int_equal(a->inbox[0].type, FRAME_PROBE_REPLY);
	assert_int_equal(a->inbox[0].probe_reply.stamp, 77);
	assert_true(endpoint_equal(&a->inbox[0].probe_reply.seen, &seen));
}

static void nodes_that_list_each_other_learn_addresses(void **state)
{
	struct node *a, *b;
	const struct frame_mapping_response *f;

	(void)state;
	acquaint(&a, &b);
	node_ask(&w, a, 2, END);
	f = node_learned(a, b);
	assert_mapping(f, 0, b, 0);
	assert_int_equal(f->count, 1);
	assert_int_equal(f->flags, 0);
	assert_int_equal(f->mapping[0].lan.port, 7000);
}

static void a_lan_address_that_cannot_be_one_is_not_told(void **state)
{
	struct node *a, *b;
	struct frame f = { .type = FRAME_REGISTER_REQUEST };

	(void)state;
	acquaint(&a, &b);
	f.register_request.lan = test_endpoint("127.0.0.1", 22);
	node_say(&w, b, 0, &f);
	assert_non_null(node_learned(a, b));
	assert_int_equal(node_learned(a, b)->mapping[0].lan.address.family, 0);
}

/* The answers about a node that does not list the asker, and about nobody, are the same bytes
 * but for the key. */
static void who_is_not_listed_cannot_tell_from_who_is_not_there(void **state)
{
	struct node *a = node_connect(&w, 1), *b = node_connect(&w, 2), *nobody = &w.nodes[9];
	const struct frame_mapping_response *f;
	u32 bytes;

	(void)state;
	node_register(&w, b, 0);
	node_ask(&w, b, 3, END);
	mapworld_forget(&w);
	node_ask(&w, a, 2, END);
	bytes = a->bytes;
	f = node_learned(a, b);
	assert_non_null(f);
	assert_int_equal(f->count, 0);
	assert_int_equal(f->flags, 0);
	assert_int_equal(b->datagrams, 0);
	mapworld_forget(&w);
	node_start(&w, 9);
	node_ask(&w, a, 9, END);
	f = node_learned(a, nobody);
	assert_non_null(f);
	assert_int_equal(f->count, 0);
	assert_int_equal(a->bytes, bytes);
}

static void nobody_learns_about_itself(void **state)
{
	struct node *a = node_connect(&w, 1);

	(void)state;
	node_register(&w, a, 0);
	node_ask(&w, a, 1, END);
	assert_non_null(node_learned(a, a));
	assert_int_equal(node_learned(a, a)->count, 0);
}

static void questions_of_one_datagram_are_answered_in_one(void **state)
{
	struct node *a, *b;
	struct frame f[3] = { { .type = FRAME_PROBE },
			      { .type = FRAME_REGISTER_REQUEST },
			      { .type = FRAME_MAPPING_REQUEST } };

	(void)state;
	acquaint(&a, &b);
	f[2].mapping_request.count = 1;
	f[2].mapping_request.keys = b->identity.public_key;
	f[1].register_request.lan = test_endpoint("10.0.0.1", 7000);
	node_seal(&w, a, f, 3);
	mapworld_datagram(&w, &a->at, w.last, w.last_size);
	assert_int_equal(a->datagrams, 1);
	assert_int_equal(a->received, 3);
	assert_int_equal(a->inbox[0].type, FRAME_PROBE_REPLY);
	assert_int_equal(a->inbox[1].type, FRAME_REGISTER_RESPONSE);
	assert_mapping(node_learned(a, b), 0, b, 0);
}

static void many_answers_take_several_datagrams(void **state)
{
	struct node *a = node_connect(&w, 1);
	struct frame f = { .type = FRAME_MAPPING_REQUEST };
	u8 keys[WIRE_KEYS_MAX][KEY_SIZE] = { 0 };

	(void)state;
	for (u32 i = 2; i < 34; i++) {
		struct node *b = node_connect(&w, i);

		for (u16 j = 0; j < 3; j++)
			node_register(&w, b, j);
		node_ask(&w, b, 1, END);
		memcpy(keys[i - 2], b->identity.public_key, KEY_SIZE);
	}
	mapworld_forget(&w);
	f.mapping_request.count = 32;
	f.mapping_request.keys = keys[0];
	node_say(&w, a, 0, &f);
	assert_int_equal(node_count(a, FRAME_MAPPING_RESPONSE), 32);
	assert_in_range(a->datagrams, 2, 5);
	for (u32 i = 2; i < 34; i++)
		assert_int_equal(node_learned(a, &w.nodes[i])->count, 3);
}

static void unknown_frames_are_skipped(void **state)
{
	struct node *a = node_connect(&w, 1);
	struct frame f[3] = { { .type = FRAME_CANDIDATES },
			      { .type = FRAME_REGISTER_RESPONSE },
			      { .type = FRAME_PROBE } };

	(void)state;
	mapworld_forget(&w);
	node_seal(&w, a, f, 3);
	mapworld_datagram(&w, &a->at, w.last, w.last_size);
	assert_int_equal(a->received, 1);
	assert_int_equal(a->inbox[0].type, FRAME_PROBE_REPLY);
}

static void a_train_is_as_many_datagrams(void **state)
{
	struct node *a = node_connect(&w, 1);
	struct frame probe = { .type = FRAME_PROBE };
	struct buf *b = buf_get(w.pool);
	struct map_outgoing out;

	(void)state;
	mapworld_forget(&w);
	for (u32 i = 0; i < 3; i++) {
		node_seal(&w, a, &probe, 1);
		memcpy(buf_data(b) + i * w.last_size, w.last, w.last_size);
	}
	b->segment = (u32)w.last_size;
	b->length = 3 * b->segment;
	mapserver_receive(w.map, w.now, 5, &a->at, b);
	for (u32 i = 0; i < 3; i++) {
		assert_true(mapserver_next_outgoing(w.map, &out));
		assert_int_equal(out.listener, 5);
		buf_put(out.buf);
	}
	assert_false(mapserver_next_outgoing(w.map, &out));
}

/* --- changes ----------------------------------------------------------------------------- */

static void a_change_is_pushed_within_the_same_call(void **state)
{
	struct node *a, *b;
	const struct frame_mapping_response *f;

	(void)state;
	acquaint(&a, &b);
	node_register(&w, b, 1);
	f = node_learned(a, b);
	assert_non_null(f);
	assert_int_equal(f->flags, MAPPING_PUSH);
	assert_int_equal(f->count, 2);
	assert_mapping(f, 0, b, 0);
	assert_mapping(f, 1, b, 1);
}

static void what_is_no_change_is_not_pushed(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	node_register(&w, b, 0);
	node_ask(&w, b, 1, END);
	assert_int_equal(a->datagrams, 0);
}

static void a_new_address_of_the_same_interface_is_pushed(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	b->at.port += 7; /* its NAT has chosen another port */
	node_register(&w, b, 0);
	assert_mapping(node_learned(a, b), 0, b, 0);
	assert_int_equal(node_learned(a, b)->count, 1);
}

/* B asks for A long after A asked for B: A need not ask again. */
static void who_comes_later_is_told_to_who_waited(void **state)
{
	struct node *a = node_connect(&w, 1), *b;

	(void)state;
	node_register(&w, a, 0);
	node_ask(&w, a, 2, END);
	mapworld_forget(&w);
	b = node_connect(&w, 2);
	node_register(&w, b, 0);
	assert_null(node_learned(a, b));
	node_ask(&w, b, 1, END);
	assert_mapping(node_learned(b, a), 0, a, 0);
	assert_mapping(node_learned(a, b), 0, b, 0);
	assert_int_equal(node_learned(a, b)->flags, MAPPING_PUSH);
}

static void a_push_takes_the_two_interfaces_heard_last(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	for (u16 i = 1; i < 4; i++)
		node_register(&w, a, i);
	node_register(&w, a, 1);
	mapworld_forget(&w);
	node_register(&w, b, 1);
	assert_int_equal(a->datagrams, 2);
	/* The window let the first one through. */
	assert_int_equal(a->received, 1);
	assert_int_equal(a->inbox_port[0], node_endpoint(a, 1).port);
	assert_int_equal(mapserver_stats(w.map)->pushes > 0, 1);
}

static void deregistering_is_confirmed_and_pushed(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	node_register(&w, b, 1);
	mapworld_forget(&w);
	node_deregister(&w, b, 0);
	assert_int_equal(node_count(b, FRAME_DEREGISTER_RESPONSE), 1);
	assert_int_equal(b->inbox[0].deregister.interface, 0);
	assert_int_equal(node_learned(a, b)->count, 1);
	assert_mapping(node_learned(a, b), 0, b, 1);
	node_deregister(&w, b, WIRE_ALL_INTERFACES);
	assert_int_equal(node_learned(a, b)->count, 0);
	mapworld_forget(&w);
	node_deregister(&w, b, WIRE_ALL_INTERFACES);
	assert_int_equal(node_count(b, FRAME_DEREGISTER_RESPONSE), 1);
	assert_int_equal(a->datagrams, 0);
}

static void who_closes_is_forgotten_and_watchers_told(void **state)
{
	struct node *a, *b;
	struct frame f = { .type = FRAME_CLOSE };

	(void)state;
	acquaint(&a, &b);
	node_say(&w, b, 0, &f);
	assert_non_null(node_learned(a, b));
	assert_int_equal(node_learned(a, b)->count, 0);
	assert_int_equal(mapserver_stats(w.map)->nodes, 1);
	mapworld_forget(&w);
	f.type = FRAME_PROBE;
	node_say(&w, b, 0, &f);
	assert_int_equal(b->datagrams, 0);
}

static void who_is_silent_is_forgotten_and_watchers_told(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	for (u64 i = 0; i < 5; i++) {
		mapworld_pass(&w, 10 * NS_PER_S);
		node_register(&w, a, 0);
		node_ask(&w, a, 2, END);
	}
	assert_int_equal(node_learned(a, b)->count, 1);
	mapworld_pass(&w, 10 * NS_PER_S - 1);
	assert_int_equal(node_learned(a, b)->count, 1);
	mapworld_pass(&w, 1);
	assert_int_equal(node_learned(a, b)->count, 0);
	assert_int_equal(node_learned(a, b)->flags, MAPPING_PUSH);
	assert_int_equal(mapserver_stats(w.map)->nodes, 1);
}

static void an_interface_that_goes_silent_is_pushed(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	node_register(&w, b, 1);
	for (u64 i = 0; i < 6; i++) {
		mapworld_pass(&w, 10 * NS_PER_S);
		node_register(&w, a, 0);
		node_register(&w, b, 0);
		node_ask(&w, a, 2, END);
		node_ask(&w, b, 1, END);
	}
	assert_int_equal(node_learned(a, b)->count, 1);
	assert_mapping(node_learned(a, b), 0, b, 0);
}

static void a_node_that_restarts_is_the_same_node(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	node_stop(b);
	b = node_connect(&w, 2);
	b->at.port += 100;
	node_register(&w, b, 0);
	assert_mapping(node_learned(a, b), 0, b, 0);
	assert_int_equal(node_learned(a, b)->count, 1);
	/* What it told about whom it lists is still known. */
	mapworld_forget(&w);
	node_register(&w, a, 1);
	assert_int_equal(node_learned(b, a)->count, 2);
	assert_int_equal(mapserver_stats(w.map)->nodes, 2);
}

static void keys_are_renewed_without_anybody_noticing(void **state)
{
	struct node *a, *b;
	size_t live;

	(void)state;
	acquaint(&a, &b);
	live = w.heap.live;
	for (u64 i = 0; i < 60; i++) {
		mapworld_pass(&w, 10 * NS_PER_S);
		if (assoc_next_expiry(&a->map) <= w.now)
			assert_true(node_greet(&w, a));
		if (assoc_next_expiry(&b->map) <= w.now)
			assert_true(node_greet(&w, b));
		mapworld_forget(&w);
		node_register(&w, a, 0);
		node_register(&w, b, 0);
		node_ask(&w, a, 2, END);
		node_ask(&w, b, 1, END);
		assert_int_equal(node_learned(a, b)->count, 1);
	}
	assert_in_range(mapserver_stats(w.map)->handshakes, 8, 14);
	/* Old sessions do not pile up: one previous at most, at each end of each node. */
	assert_in_range(w.heap.live, live, live + 4);
}

/* --- what others cannot do --------------------------------------------------------------- */

static void a_replayed_registration_changes_nothing(void **state)
{
	struct node *a, *b;
	struct endpoint attacker = test_endpoint("203.0.113.39", 666);

	(void)state;
	acquaint(&a, &b);
	node_register(&w, b, 1);
	mapworld_forget(&w);
	mapworld_datagram(&w, &attacker, w.last, w.last_size);
	assert_true(w.bytes_out == 0);
	assert_int_equal(dropped(DROP_DUPLICATE), 1);
	node_ask(&w, a, 2, END);
	assert_mapping(node_learned(a, b), 0, b, 0);
	assert_mapping(node_learned(a, b), 1, b, 1);
}

/* Somebody on the way takes what b says out of the traffic. */
static size_t withhold(struct node *b, const struct frame *f, u8 ret[static sizeof(w.last)])
{
	node_seal(&w, b, f, 1);
	memcpy(ret, w.last, w.last_size);
	return w.last_size;
}

/* Nothing of it is heeded, wherever it comes from in the end. */
static void release(const u8 *data, size_t size)
{
	struct endpoint attacker = test_endpoint("203.0.113.39", 666);

	mapworld_forget(&w);
	mapworld_datagram(&w, &attacker, data, size);
	assert_true(w.bytes_out == 0);
}

static void a_registration_held_back_does_not_redirect_later_ones(void **state)
{
	struct node *a, *b;
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	u8 old[sizeof(w.last)], last[sizeof(w.last)], gone[sizeof(w.last)];
	size_t old_size, last_size, gone_size;

	(void)state;
	acquaint(&a, &b);
	old_size = withhold(b, &f, old);
	assert_true(node_greet(&w, b));
	last_size = withhold(b, &f, last);
	node_register(&w, b, 0);
	release(last, last_size);
	release(old, old_size);
	assert_int_equal(dropped(DROP_TOO_OLD), 2);
	node_ask(&w, a, 2, END);
	assert_mapping(node_learned(a, b), 0, b, 0);
	/* Nor does it bring back what was taken back. */
	gone_size = withhold(b, &f, gone);
	node_deregister(&w, b, 0);
	release(gone, gone_size);
	node_register(&w, b, 0);
	node_ask(&w, a, 2, END);
	assert_mapping(node_learned(a, b), 0, b, 0);
}

static void a_farewell_of_an_earlier_life_takes_nothing_away(void **state)
{
	struct node *a, *b;
	struct frame f[2] = { { .type = FRAME_CLOSE },
			      { .type = FRAME_DEREGISTER_REQUEST,
				.deregister = { WIRE_ALL_INTERFACES } } };
	u8 datagram[2][sizeof(w.last)];
	size_t size[2];

	(void)state;
	acquaint(&a, &b);
	for (u32 i = 0; i < 2; i++)
		size[i] = withhold(b, &f[i], datagram[i]);
	mapworld_pass(&w, 20 * NS_PER_S);
	assert_true(node_greet(&w, b));
	node_register(&w, b, 0);
	for (u32 i = 0; i < 2; i++)
		mapworld_datagram(&w, &b->at, datagram[i], size[i]);
	node_ask(&w, a, 2, END);
	assert_mapping(node_learned(a, b), 0, b, 0);
}

static void a_forged_datagram_changes_nothing(void **state)
{
	struct node *a, *b;
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	struct endpoint attacker = test_endpoint("203.0.113.39", 666);
	u8 datagram[sizeof(w.last)];

	(void)state;
	acquaint(&a, &b);
	node_seal(&w, b, &f, 1);
	for (u32 bit = 0; bit < w.last_size * 8; bit++) {
		memcpy(datagram, w.last, w.last_size);
		datagram[bit / 8] ^= (u8)(1u << bit % 8);
		mapworld_datagram(&w, &attacker, datagram, w.last_size);
	}
	assert_true(w.bytes_out == 0);
	assert_int_equal(mapserver_stats(w.map)->registrations, 4);
	/* The true one still counts. */
	mapworld_datagram(&w, &b->at, w.last, w.last_size);
	assert_int_equal(node_count(b, FRAME_REGISTER_RESPONSE), 1);
}

static void a_replayed_initiation_does_not_disturb_its_node(void **state)
{
	struct node *a, *b;
	struct endpoint attacker = test_endpoint("203.0.113.39", 666);
	u8 initiation[WIRE_INITIATION_SIZE];

	(void)state;
	a = node_start(&w, 1);
	assert_true(node_greet(&w, a));
	memcpy(initiation, w.last, sizeof(initiation));
	node_stop(a);
	acquaint(&a, &b);
	for (u32 i = 0; i < 20; i++) {
		mapworld_pass(&w, NS_PER_S);
		mapworld_datagram(&w, &attacker, initiation, sizeof(initiation));
	}
	assert_true(w.bytes_out <= w.bytes_in);
	assert_int_equal(mapserver_stats(w.map)->nodes, 2);
	node_ask(&w, b, 1, END);
	assert_mapping(node_learned(b, a), 0, a, 0);
	node_ask(&w, a, 2, END);
	assert_mapping(node_learned(a, b), 0, b, 0);
	/* Nor does it keep the node alive. */
	mapworld_pass(&w, 35 * NS_PER_S);
	mapworld_datagram(&w, &attacker, initiation, sizeof(initiation));
	mapworld_pass(&w, 26 * NS_PER_S);
	assert_int_equal(mapserver_stats(w.map)->nodes, 0);
}

static void strangers_get_no_more_bytes_than_they_send(void **state)
{
	struct endpoint stranger = test_endpoint("203.0.113.39", 666);
	struct node *a = node_start(&w, 1);
	struct test_random rnd = { 3 };
	u8 datagram[1500];

	(void)state;
	assert_true(node_greet(&w, a));
	assert_true(w.bytes_out <= w.bytes_in);
	for (u32 i = 0; i < 5000; i++) {
		u64 in = w.bytes_in, out = w.bytes_out;
		u32 size = test_random_below(&rnd, 300);

		for (u32 j = 0; j < size; j++)
			datagram[j] = (u8)test_random_u64(&rnd);
		datagram[0] = (u8)(WIRE_INITIATION + test_random_below(&rnd, 4));
		if (i % 4 == 0) {
			memcpy(datagram, w.last, w.last_size);
			size = (u32)w.last_size - test_random_below(&rnd, 3);
			datagram[test_random_below(&rnd, size)] ^= (u8)test_random_below(&rnd, 2);
		}
		mapworld_datagram(&w, &stranger, datagram, size);
		assert_true(w.bytes_out - out <= w.bytes_in - in);
	}
	mapworld_datagram(&w, &stranger, datagram, 0);
	assert_int_equal(mapserver_stats(w.map)->nodes, 0);
}

static void strangers_are_forgotten_soon(void **state)
{
	size_t live = w.heap.live;

	(void)state;
	for (u32 i = 1; i < 30; i++) {
		struct node *n = node_start(&w, i);

		assert_true(node_greet(&w, n));
		node_stop(n);
	}
	assert_true(w.heap.live > live + 28);
	assert_int_equal(mapserver_stats(w.map)->nodes, 0);
	mapworld_pass(&w, 10 * NS_PER_S);
	/* What is left are hash tables and indices, once each. */
	assert_in_range(w.heap.live, live, live + 3);
	assert_true(mapserver_next_expiry(w.map) == TIME_NEVER);
}

static void a_node_that_lies_about_its_place_is_no_weapon(void **state)
{
	struct node *a, *b;
	struct frame f = { .type = FRAME_REGISTER_REQUEST };

	(void)state;
	acquaint(&a, &b);
	for (u32 i = 0; i < 10000; i++) {
		f.register_request.lan = test_endpoint("10.0.0.1", (u16)(1 + i));
		node_say(&w, b, 0, &f);
		b->received = a->received = 0;
	}
	assert_in_range(a->datagrams, 1000, 2 * MAPSERVER_UNASKED_RATE);
	assert_int_equal(b->datagrams, 10000);
	assert_int_equal(dropped(DROP_RATE_LIMITED), 10000 - a->datagrams);
}

/* --- bounds ------------------------------------------------------------------------------ */

static void a_full_table_prefers_those_who_have_spoken(void **state)
{
	struct frame probe = { .type = FRAME_PROBE };
	struct node *a;

	(void)state;
	mapworld_end(&w);
	mapworld_begin(&w, 3, 64, NULL);
	a = node_connect(&w, 1);
	/* Strangers come and never speak: when there is no more room, each new one replaces the oldest. */
	for (u32 i = 10; i < 39; i++) {
		mapworld_pass(&w, NS_PER_MS);
		assert_true(node_greet(&w, node_start(&w, i)));
	}
	node_register(&w, a, 0);
	node_register(&w, node_connect(&w, 2), 0);
	node_register(&w, node_connect(&w, 3), 0);
	assert_int_equal(mapserver_stats(w.map)->nodes, 3);
	assert_int_equal(mapserver_stats(w.map)->refused, 0);
	assert_true(node_greet(&w, node_start(&w, 4)));
	node_say(&w, &w.nodes[4], 0, &probe);
	assert_int_equal(node_count(&w.nodes[4], FRAME_PROBE_REPLY), 0);
	assert_int_equal(mapserver_stats(w.map)->refused, 1);
	/* Who is in stays in. */
	mapworld_forget(&w);
	node_register(&w, a, 0);
	assert_int_equal(node_count(a, FRAME_REGISTER_RESPONSE), 1);
	mapworld_pass(&w, WORLD_EXPIRY);
	assert_int_equal(mapserver_stats(w.map)->nodes, 0);
	assert_true(node_greet(&w, &w.nodes[4]));
}

/* Five sessions: three that were confirmed, two that were not; then one more is asked for. */
static void a_full_table_has_room_for_all_sessions_of_its_nodes(void **state)
{
	struct frame probe = { .type = FRAME_PROBE };
	struct node *n;

	(void)state;
	mapworld_end(&w);
	mapworld_begin(&w, 2, 64, NULL);
	for (u32 i = 1; i <= 2; i++) {
		n = node_connect(&w, i);
		for (u32 session = 1; session < 3; session++) {
			assert_true(node_greet(&w, n));
			node_say(&w, n, 0, &probe);
		}
		assert_true(node_greet(&w, n));
		assert_true(node_greet(&w, n));
	}
	assert_true(node_greet(&w, n));
	node_say(&w, n, 0, &probe);
	assert_int_equal(node_count(n, FRAME_PROBE_REPLY), 4);
	assert_int_equal(dropped(DROP_NO_BUFFER), 0);
}

static bool only_some;

static bool admit_some(void *ctx, const u8 key[static KEY_SIZE])
{
	struct mapworld *world = ctx;
	struct node *n = &world->nodes[2];

	return !only_some || (n->hub && !memcmp(n->identity.public_key, key, KEY_SIZE));
}

static void who_is_not_admitted_gets_no_answer(void **state)
{
	struct node *a, *b;

	(void)state;
	mapworld_end(&w);
	mapworld_begin(&w, 100, 64, admit_some);
	only_some = false;
	acquaint(&a, &b);
	only_some = true;
	assert_false(node_greet(&w, node_start(&w, 3)));
	assert_int_equal(dropped(DROP_UNKNOWN_PEER), 1);
	assert_int_equal(mapserver_stats(w.map)->refused, 0);
	/* Who is no longer admitted is forgotten when it speaks, and those who knew it are told. */
	mapworld_forget(&w);
	node_register(&w, a, 0);
	assert_int_equal(a->datagrams, 0);
	assert_int_equal(node_learned(b, a)->count, 0);
	assert_int_equal(mapserver_stats(w.map)->nodes, 1);
}

static void without_buffers_nothing_is_lost_but_answers(void **state)
{
	struct node *a, *b;
	struct buf *taken[64];
	struct buf *question;
	u32 n = 0;

	(void)state;
	acquaint(&a, &b);
	while (pool_available(w.pool) > 1)
		taken[n++] = buf_get(w.pool);
	node_register(&w, b, 1);
	assert_int_equal(b->datagrams, 0);
	assert_true(dropped(DROP_NO_BUFFER) >= 2);
	question = buf_get(w.pool);
	assert_non_null(question);
	buf_put(question);
	while (n)
		buf_put(taken[--n]);
	node_ask(&w, a, 2, END);
	assert_int_equal(node_learned(a, b)->count, 2);
}

static void the_queue_is_bounded(void **state)
{
	struct frame probe = { .type = FRAME_PROBE };
	struct node *a;

	(void)state;
	mapworld_end(&w);
	mapworld_begin(&w, 100, MAPSERVER_QUEUE + 8, NULL);
	a = node_connect(&w, 1);
	w.deaf = true;
	for (u32 i = 0; i < MAPSERVER_QUEUE + 5; i++)
		node_say(&w, a, 0, &probe);
	assert_int_equal(dropped(DROP_QUEUE_FULL), 5);
	assert_int_equal(pool_available(w.pool), 8);
}

static void without_memory_nothing_breaks(void **state)
{
	struct node *a, *b;

	(void)state;
	for (size_t limit = 0; limit < 40; limit++) {
		mapworld_end(&w);
		mapworld_begin(&w, 100, 64, NULL);
		acquaint(&a, &b);
		node_start(&w, 3);
		assoc_kick(w.nodes[3].hub, &w.nodes[3].map, w.now);
		assert_true(assoc_expire(w.nodes[3].hub, &w.nodes[3].map, w.now));
		memcpy(w.last, assoc_initiation(&w.nodes[3].map), WIRE_INITIATION_SIZE);
		w.heap.limit = limit % 8;
		mapworld_datagram(&w, &w.nodes[3].at, w.last, WIRE_INITIATION_SIZE);
		for (u16 i = 1; i < 6; i++)
			node_register(&w, a, i);
		node_ask(&w, a, 4, 5, 6, END);
		w.heap.limit = SIZE_MAX;
		node_ask(&w, b, 1, END);
		assert_true(node_learned(b, a)->count >= 1);
	}
}

/* With two interfaces, two wants, and no more than one session: what a map of many spends. */
static void a_node_is_small(void **state)
{
	const u32 nodes = 32;
	size_t before, each;

	(void)state;
	before = w.map_bytes;
	for (u32 i = 1; i <= nodes; i++) {
		struct node *n = node_connect(&w, i);

		node_register(&w, n, 0);
		node_register(&w, n, 1);
		node_ask(&w, n, (i & 1) + 1, 39u, END);
	}
	each = (w.map_bytes - before) / nodes;
	printf("mapserver: %zu bytes a node (2 interfaces, 2 wants, 1 session)\n", each);
	assert_in_range(each, 1, 1536);
}

static void bad_options_are_refused(void **state)
{
	struct mapserver_options options = { .allocator = w.allocator,
					     .random = w.random,
					     .pool = w.pool,
					     .client_expiry = NS_PER_S,
					     .max_nodes = 1,
					     .handshake_rate = 1 };
	struct mapserver *m = NULL;

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		w.heap.limit = i;
		assert_true(mapserver_create(&m, &options) < 0);
	}
	w.heap.limit = SIZE_MAX;
	options.max_nodes = 0;
	assert_true(mapserver_create(&m, &options) < 0);
	options.max_nodes = MAPSERVER_MAX_NODES + 1;
	assert_true(mapserver_create(&m, &options) < 0);
	assert_null(m);
	options.max_nodes = MAPSERVER_MAX_NODES;
	assert_int_equal(mapserver_create(&m, &options), 0);
	mapserver_destroy(m);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_registration_is_answered_with_the_address_seen),
		TEST(a_probe_is_answered_with_the_address_seen),
		TEST(nodes_that_list_each_other_learn_addresses),
		TEST(a_lan_address_that_cannot_be_one_is_not_told),
		TEST(who_is_not_listed_cannot_tell_from_who_is_not_there),
		TEST(nobody_learns_about_itself),
		TEST(questions_of_one_datagram_are_answered_in_one),
		TEST(many_answers_take_several_datagrams),
		TEST(unknown_frames_are_skipped),
		TEST(a_train_is_as_many_datagrams),
		TEST(a_change_is_pushed_within_the_same_call),
		TEST(what_is_no_change_is_not_pushed),
		TEST(a_new_address_of_the_same_interface_is_pushed),
		TEST(who_comes_later_is_told_to_who_waited),
		TEST(a_push_takes_the_two_interfaces_heard_last),
		TEST(deregistering_is_confirmed_and_pushed),
		TEST(who_closes_is_forgotten_and_watchers_told),
		TEST(who_is_silent_is_forgotten_and_watchers_told),
		TEST(an_interface_that_goes_silent_is_pushed),
		TEST(a_node_that_restarts_is_the_same_node),
		TEST(keys_are_renewed_without_anybody_noticing),
		TEST(a_replayed_registration_changes_nothing),
		TEST(a_registration_held_back_does_not_redirect_later_ones),
		TEST(a_farewell_of_an_earlier_life_takes_nothing_away),
		TEST(a_forged_datagram_changes_nothing),
		TEST(a_replayed_initiation_does_not_disturb_its_node),
		TEST(strangers_get_no_more_bytes_than_they_send),
		TEST(strangers_are_forgotten_soon),
		TEST(a_node_that_lies_about_its_place_is_no_weapon),
		TEST(a_full_table_prefers_those_who_have_spoken),
		TEST(a_full_table_has_room_for_all_sessions_of_its_nodes),
		TEST(who_is_not_admitted_gets_no_answer),
		TEST(without_buffers_nothing_is_lost_but_answers),
		TEST(the_queue_is_bounded),
		TEST(without_memory_nothing_breaks),
		TEST(a_node_is_small),
		TEST(bad_options_are_refused),
	};

	return cmocka_run_group_tests_name("mapserver", tests, NULL, NULL);
}
