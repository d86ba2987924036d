/* SPDX-License-Identifier: MIT */
/*
 * test_maproutes.c - a node that writes another's address on what it sends: what goes to that address
 * is bounded by what the node itself has sent, until it has shown that it receives there.
 */
#include "mapclient.h"

#include <string.h>

#define END WORLD_NODES
#define VICTIM 39u /* its address; nobody runs there */

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

static u64 unconfirmed(void)
{
	return mapserver_stats(w.map)->drops.count[DROP_UNCONFIRMED];
}

/* Nodes 1 and 2 want each other; only 2 has shown where it is. */
static void acquaint(struct node **ret_a, struct node **ret_b)
{
	*ret_a = node_connect(&w, 1);
	*ret_b = node_connect(&w, 2);
	node_register(&w, *ret_b, 0);
	node_ask(&w, *ret_b, 1, END);
	node_ask(&w, *ret_a, 2, END);
	mapworld_forget(&w);
}

/* What the node says seems to come from the victim. */
static void lie(struct node *n)
{
	n->at.address.bytes[3] = VICTIM;
}

/* A change of b that the map tells to a. */
static void change(struct node *b, u32 i)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };

	f.register_request.lan = test_endpoint("10.0.0.1", (u16)(1 + i));
	node_say(&w, b, 0, &f);
	b->received = 0;
}

static u32 handle_of(struct node *asker, u32 n)
{
	node_ask(&w, asker, n, END);
	return node_learned(asker, &w.nodes[n])->handle;
}

static void relay(struct node *from, u32 handle, u32 size)
{
	u8 data[1000] = { 0 };
	struct frame f = { .type = FRAME_RELAY };

	f.relay = (struct frame_relay){ .handle = handle, .data = data, .size = size };
	node_say(&w, from, 0, &f);
}

/* --- who tells the truth ----------------------------------------------------------------- */

static void a_proof_is_asked_for_once(void **state)
{
	struct node *a = node_connect(&w, 1);

	(void)state;
	node_claim(&w, a, 0);
	assert_true(a->proof != 0);
	node_register(&w, a, 0);
	assert_true(a->proof == 0);
	node_claim(&w, a, 0);
	assert_true(a->proof == 0);
	mapworld_pass(&w, WORLD_EXPIRY / 2 + 2 * NS_PER_S);
	node_claim(&w, a, 0);
	assert_true(a->proof != 0);
}

static void who_has_not_shown_where_it_is_is_told_a_little(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	node_claim(&w, a, 0);
	change(b, 0);
	assert_non_null(node_learned(a, b));
	assert_int_equal(unconfirmed(), 0);
}

static void who_has_shown_where_it_is_is_told_everything(void **state)
{
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	node_register(&w, a, 0);
	for (u32 i = 0; i < 500; i++) {
		a->received = 0;
		change(b, i);
		assert_int_equal(node_count(a, FRAME_MAPPING_RESPONSE), 1);
	}
	assert_int_equal(unconfirmed(), 0);
}

/* --- who lies ---------------------------------------------------------------------------- */

static void pushes_to_a_lie_are_bounded_by_what_was_sent(void **state)
{
	struct node *a, *b;
	u64 in, out;

	(void)state;
	acquaint(&a, &b);
	lie(a);
	node_claim(&w, a, 0);
	in = w.last_size;
	out = w.bytes_out;
	for (u32 i = 0; i < 1000; i++)
		change(b, i);
	out = w.bytes_out - out - b->bytes;
	assert_true(out <= 3 * in);
	assert_in_range(unconfirmed(), 990, 1000);
	assert_int_equal(a->datagrams, 0);
}

static void what_is_relayed_to_a_lie_is_bounded_by_what_was_sent(void **state)
{
	struct node *a, *b;
	u64 in, out;
	u32 handle;

	(void)state;
	acquaint(&a, &b);
	lie(a);
	node_claim(&w, a, 0);
	in = w.last_size;
	handle = handle_of(b, 1);
	assert_true(handle != 0);
	out = w.bytes_out;
	for (u32 i = 0; i < 100; i++)
		relay(b, handle, 10);
	assert_true(w.bytes_out - out <= 3 * in);
	assert_in_range(mapserver_stats(w.map)->relayed, 1, 5);
	for (u32 i = 0; i < 100; i++)
		relay(b, handle, 1000);
	assert_in_range(mapserver_stats(w.map)->relayed, 1, 5);
}

/* Many keys in one question; the answers about nodes with many interfaces are longer. */
static void answers_to_a_lie_are_bounded_by_the_question(void **state)
{
	struct frame f = { .type = FRAME_MAPPING_REQUEST };
	u8 keys[WIRE_KEYS_MAX][KEY_SIZE] = { 0 };
	struct node *a = node_connect(&w, 1);
	u64 out;

	(void)state;
	for (u32 i = 2; i < 34; i++) {
		struct node *b = node_connect(&w, i);

		for (u16 j = 0; j < 8; j++)
			node_register(&w, b, j);
		node_ask(&w, b, 1, END);
		memcpy(keys[i - 2], b->identity.public_key, KEY_SIZE);
	}
	mapworld_forget(&w);
	lie(a);
	f.mapping_request.count = 32;
	f.mapping_request.keys = keys[0];
	node_say(&w, a, 0, &f); /* the first time, the others are told of a */
	for (u32 i = 2; i < 34; i++)
		w.nodes[i].bytes = 0;
	out = w.bytes_out;
	node_say(&w, a, 0, &f);
	assert_true(w.bytes_out - out <= 3 * w.last_size);
	assert_true(unconfirmed() > 0);
}

static void a_proof_for_one_address_is_none_for_another(void **state)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	struct node *a, *b;

	(void)state;
	acquaint(&a, &b);
	node_claim(&w, a, 0);
	f.register_request.proof = a->proof;
	assert_true(a->proof != 0);
	lie(a);
	node_say(&w, a, 0, &f);
	for (u32 i = 0; i < 1000; i++)
		change(b, i);
	assert_in_range(unconfirmed(), 990, 1000);
}

/* Both have the same address, one after the other. */
static void a_proof_of_another_node_is_none(void **state)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	struct node *a, *b, *c;

	(void)state;
	acquaint(&a, &b);
	c = node_connect(&w, 3);
	node_claim(&w, c, 0);
	assert_true(c->proof != 0);
	f.register_request.proof = c->proof;
	a->at = c->at;
	node_say(&w, a, 0, &f);
	for (u32 i = 0; i < 1000; i++)
		change(b, i);
	assert_in_range(unconfirmed(), 990, 1000);
}

static void who_moves_shows_it_again(void **state)
{
	struct node *a, *b;
	u32 before;

	(void)state;
	acquaint(&a, &b);
	node_register(&w, a, 0);
	lie(a);
	node_claim(&w, a, 0);
	for (u32 i = 0; i < 1000; i++)
		change(b, i);
	assert_in_range(unconfirmed(), 990, 1000);
	a->at.address.bytes[3] = 1;
	node_register(&w, a, 0);
	before = a->datagrams;
	change(b, 2000);
	assert_int_equal(a->datagrams, before + 1);
}

/* A node was there once, and remembers what it was told. */
static void a_proof_is_worth_nothing_after_a_while(void **state)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	struct node *a, *b;
	u64 before;

	(void)state;
	acquaint(&a, &b);
	node_claim(&w, a, 0);
	f.register_request.proof = a->proof;
	for (u32 i = 0; i < 3; i++) {
		mapworld_pass(&w, WORLD_EXPIRY * 3 / 4);
		node_register(&w, b, 0);
		node_ask(&w, b, 1, END);
		node_ask(&w, a, 2, END);
	}
	node_say(&w, a, 0, &f);
	before = unconfirmed();
	for (u32 i = 0; i < 100; i++)
		change(b, i);
	assert_in_range(unconfirmed(), before + 90, before + 100);
}

/* It has shown where it is long ago, and goes on registering without a proof. */
static void a_confirmation_ends(void **state)
{
	struct node *a, *b;
	u64 before;

	(void)state;
	acquaint(&a, &b);
	node_register(&w, a, 0);
	for (u32 i = 0; i < 5; i++) {
		mapworld_pass(&w, WORLD_EXPIRY / 2);
		node_claim(&w, a, 0);
		node_register(&w, b, 0);
		node_ask(&w, b, 1, END);
		node_ask(&w, a, 2, END);
	}
	before = unconfirmed();
	for (u32 i = 0; i < 100; i++)
		change(b, i);
	assert_in_range(unconfirmed(), before + 80, before + 100);
}

/* --- where a datagram goes --------------------------------------------------------------- */

/* The interface asked for is not confirmed: another one is. */
static void what_is_relayed_goes_to_a_confirmed_interface(void **state)
{
	struct node *a, *b;
	u32 handle;

	(void)state;
	acquaint(&a, &b);
	node_register(&w, a, 1);
	handle = handle_of(b, 1);
	lie(a);
	node_claim(&w, a, 0);
	a->at.address.bytes[3] = 1;
	mapworld_forget(&w);
	for (u32 i = 0; i < 20; i++)
		relay(b, handle, 1000);
	assert_int_equal(node_count(a, FRAME_RELAY), 20);
	assert_int_equal(a->inbox_port[0], node_endpoint(a, 1).port);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_proof_is_asked_for_once),
		TEST(who_has_not_shown_where_it_is_is_told_a_little),
		TEST(who_has_shown_where_it_is_is_told_everything),
		TEST(pushes_to_a_lie_are_bounded_by_what_was_sent),
		TEST(what_is_relayed_to_a_lie_is_bounded_by_what_was_sent),
		TEST(answers_to_a_lie_are_bounded_by_the_question),
		TEST(a_proof_for_one_address_is_none_for_another),
		TEST(a_proof_of_another_node_is_none),
		TEST(who_moves_shows_it_again),
		TEST(a_proof_is_worth_nothing_after_a_while),
		TEST(a_confirmation_ends),
		TEST(what_is_relayed_goes_to_a_confirmed_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
