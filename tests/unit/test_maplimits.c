/* SPDX-License-Identifier: MIT */
/*
 * test_maplimits.c - what one node, or a stranger, can make a map do: it is bounded by what they send.
 */
#include "mapclient.h"

#include <string.h>
#include <time.h>

#define END WORLD_NODES

static struct mapworld w;

static int setup(void **state)
{
	(void)state;
	mapworld_begin(&w, 100, MAPSERVER_QUEUE + 64, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mapworld_end(&w);
	return 0;
}

static double cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* 1024 wants of keys that nobody has; then datagrams full of registrations, each another. */
static void one_datagram_costs_the_map_little(void **state)
{
	struct frame f = { .type = FRAME_MAPPING_REQUEST };
	u8 keys[WIRE_KEYS_MAX][KEY_SIZE];
	struct node *a = node_connect(&w, 1);
	struct frame r[60];
	const u32 count = 48;
	double begun;
	u32 n = 0;

	(void)state;
	for (u32 k = 0; k < 1024; k += WIRE_KEYS_MAX) {
		for (u32 i = 0; i < WIRE_KEYS_MAX; i++) {
			memset(keys[i], 7, KEY_SIZE);
			put_u32(keys[i], k + i);
		}
		f.mapping_request.count = WIRE_KEYS_MAX;
		f.mapping_request.keys = keys[0];
		node_say(&w, a, 0, &f);
		mapworld_forget(&w);
	}
	for (u32 i = 0; i < count; i++) {
		r[i] = (struct frame){ .type = FRAME_REGISTER_REQUEST };
		if (i % 2)
			r[i].register_request.lan = test_endpoint("10.0.0.1", 1);
	}
	begun = cpu();
	for (; n < 20; n++) {
		node_seal(&w, a, r, count);
		assert_in_range(w.last_size, 1, MAPSERVER_DATAGRAM);
		mapworld_datagram(&w, &a->at, w.last, w.last_size);
		mapworld_forget(&w);
	}
	begun = (cpu() - begun) / n;
	assert_true(begun < 0.005); /* 0.03 ms; 20 if each frame were told of */
}

static void tiny_relays_are_within_the_limit(void **state)
{
	struct node *a = node_connect(&w, 1), *b = node_connect(&w, 2);
	struct frame f[60];
	u8 byte = 0;
	(void)state;
	node_register(&w, a, 0);
	node_register(&w, b, 0);
	node_ask(&w, a, 2, END);
	node_ask(&w, b, 1, END);
	node_ask(&w, a, 2, END);
	for (u32 i = 0; i < 60; i++) {
		f[i] = (struct frame){ .type = FRAME_RELAY };
		f[i].relay = (struct frame_relay){ .handle = node_learned(a, b)->handle,
						   .data = &byte,
						   .size = 1 };
	}
	mapworld_forget(&w);
	/* The limit of a node is 1 MB a second, in bursts of 250 ms. */
	for (u32 n = 0; n < 1000; n++) {
		w.now += NS_PER_MS;
		for (u32 k = 0; k < 16; k++) { /* 10 MB a second come in */
			node_seal(&w, a, f, 60);
			mapworld_datagram(&w, &a->at, w.last, w.last_size);
			b->received = 0;
		}
	}
	assert_in_range(b->bytes, 1000000, 2 * 1250000);
}

/* A node answers 38 ms after the map; meanwhile a stranger, from anywhere, makes keys: 1000 a second, as
 * many as the map takes without asking for a cookie. */
static void strangers_do_not_keep_a_newcomer_out(void **state)
{
	struct frame probe = { .type = FRAME_PROBE };
	struct node *a;

	(void)state;
	mapworld_end(&w);
	mapworld_begin(&w, 16, MAPSERVER_QUEUE + 64, NULL);
	a = node_start(&w, 1);
	assert_true(node_greet(&w, a));
	for (u32 n = 2; n < WORLD_NODES; n++) {
		mapworld_pass(&w, NS_PER_MS);
		assert_true(node_greet(&w, node_start(&w, n)));
	}
	node_say(&w, a, 0, &probe);
	assert_int_equal(node_count(a, FRAME_PROBE_REPLY), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_datagram_costs_the_map_little),
		TEST(tiny_relays_are_within_the_limit),
		TEST(strangers_do_not_keep_a_newcomer_out),
	};

	return cmocka_run_group_tests_name("maplimits", tests, NULL, NULL);
}
