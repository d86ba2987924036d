/* SPDX-License-Identifier: MIT */
/*
 * test_mapdoors.c - a map with several listeners: which of them a node is told of, from which a test
 * of its NAT is answered and where to, and that no answer is worth an attacker's while.
 */
#include "unit/harness.h"
#include "unit/mapclient.h"

#include "warp/natclass.h"

#include <string.h>

enum { MAIN, OTHER_PORT, OTHER_ADDRESS, OTHER_BOTH, SIX, INNER, ANYWHERE, DOORS };

static struct mapworld w;
static struct endpoint door[DOORS];

static int setup(void **state)
{
	(void)state;
	mapworld_begin(&w, 16, 64, NULL);
	door[MAIN] = test_endpoint("192.0.2.1", 13116);
	door[OTHER_PORT] = test_endpoint("192.0.2.1", 13117);
	door[OTHER_ADDRESS] = test_endpoint("192.0.2.2", 13116);
	door[OTHER_BOTH] = test_endpoint("192.0.2.2", 13117);
	door[SIX] = test_endpoint("2001:db8::1", 13116);
	door[INNER] = test_endpoint("10.0.0.1", 13116);
	door[ANYWHERE] = test_endpoint("0.0.0.0", 13118);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mapworld_end(&w);
	return 0;
}

static void set_doors(u32 count)
{
	for (u32 n = 0; n < count; n++)
		mapserver_set_listener(w.map, (u8)n, &door[n]);
}

/* The registration's answer on this door, as the node reads it. */
static struct frame_register_response registered_at(struct node *n, u8 listener)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	struct buf *b = buf_get(w.pool);

	mapworld_forget(&w);
	node_seal(&w, n, &f, 1);
	memcpy(buf_data(b), w.last, w.last_size);
	b->length = (u32)w.last_size;
	mapserver_receive(w.map, w.now, listener, &n->at, b);
	mapworld_pass(&w, 0);
	assert_int_equal(n->inbox[0].type, FRAME_REGISTER_RESPONSE);
	return n->inbox[0].register_response;
}

/* --- who is told what ------------------------------------------------------------------------ */

static void a_node_is_told_the_other_endpoints_of_its_family(void **state)
{
	struct node *a = node_connect(&w, 1);
	struct frame_register_response f;
	struct endpoint here = test_endpoint("0.0.0.0", 13117);

	(void)state;
	set_doors(DOORS);
	f = registered_at(a, MAIN);
	assert_int_equal(f.count, 3);
	assert_true(endpoint_equal(&f.other[0], &here));
	assert_true(endpoint_equal(&f.other[1], &door[OTHER_ADDRESS]));
	assert_true(endpoint_equal(&f.other[2], &door[OTHER_BOTH]));
	assert_int_equal(registered_at(a, SIX).count, 0);
	assert_int_equal(registered_at(a, ANYWHERE).count, 0);
}

static void a_single_listener_tells_of_none(void **state)
{
	(void)state;
	assert_int_equal(registered_at(node_connect(&w, 1), MAIN).count, 0);
	set_doors(1);
	assert_int_equal(registered_at(node_connect(&w, 2), MAIN).count, 0);
}

static void who_is_inside_is_told_of_inner_addresses(void **state)
{
	struct node *a = node_connect(&w, 1);

	(void)state;
	set_doors(DOORS);
	a->at = test_endpoint("10.0.0.9", 5000);
	w.deaf = true; /* where nobody hears it */
	{
		struct frame f = { .type = FRAME_REGISTER_REQUEST };
		struct map_outgoing out;
		struct hub_result r;

		node_seal(&w, a, &f, 1);
		mapworld_datagram(&w, &a->at, w.last, w.last_size);
		assert_true(mapserver_next_outgoing(w.map, &out));
		hub_receive(a->hub, w.now, &door[MAIN], buf_data(out.buf), out.buf->length, &r);
		assert_int_equal(r.verdict, HUB_OPENED);
		assert_true(frame_next(&r.plain, &r.plain_size, &f) > 0);
		assert_int_equal(f.register_response.count, 4);
		buf_put(out.buf);
	}
}

/* --- tests ----------------------------------------------------------------------------------- */

/* All questions in one datagram, with `filling` endpoints that the map passes over. */
static void ask(struct node *n, const struct frame_nat_test_request *q, u32 count, u8 listener,
		u8 filling)
{
	struct frame f[5];
	struct buf *b = buf_get(w.pool);

	memset(f, 0, sizeof(f));
	for (u32 i = 0; i < count; i++) {
		f[i].type = FRAME_NAT_TEST_REQUEST;
		f[i].nat_test_request = q[i];
	}
	f[count].type = FRAME_CANDIDATES;
	f[count].candidates.count = filling;
	for (u8 i = 0; i < filling; i++)
		f[count].candidates.mapping[i].lan = door[MAIN];
	node_seal(&w, n, f, count + 1);
	memcpy(buf_data(b), w.last, w.last_size);
	b->length = (u32)w.last_size;
	w.deaf = true;
	mapserver_receive(w.map, w.now, listener, &n->at, b);
}

/* The next answer; false: there is none. */
static bool answer(struct node *n, struct map_outgoing *out, struct frame_nat_test *ret)
{
	struct hub_result r;
	struct frame f;

	if (!mapserver_next_outgoing(w.map, out))
		return false;
	hub_receive(n->hub, w.now, &door[MAIN], buf_data(out->buf), out->buf->length, &r);
	assert_int_equal(r.verdict, HUB_OPENED);
	assert_true(frame_next(&r.plain, &r.plain_size, &f) > 0);
	assert_int_equal(f.type, FRAME_NAT_TEST);
	*ret = f.nat_test;
	assert_in_range(out->buf->length, 1, w.last_size);
	buf_put(out->buf);
	return true;
}

static void check_answer(struct node *n, u8 how, u8 asked, u8 expected)
{
	const struct frame_nat_test_request q = { .nonce = 77, .how = how };
	struct map_outgoing out = { 0 };
	struct frame_nat_test f;

	ask(n, &q, 1, asked, 8);
	assert_true(answer(n, &out, &f));
	assert_int_equal(out.listener, expected);
	assert_true(endpoint_equal(&out.destination, &n->at));
	assert_int_equal(f.nonce, 77);
	assert_true(endpoint_equal(&f.seen, &n->at));
	assert_false(answer(n, &out, &f));
}

static void an_answer_comes_from_where_it_is_wished(void **state)
{
	struct node *a = node_connect(&w, 1);

	(void)state;
	set_doors(4);
	check_answer(a, NATCLASS_SAME, MAIN, MAIN);
	check_answer(a, NATCLASS_OTHER_PORT, MAIN, OTHER_PORT);
	check_answer(a, NATCLASS_OTHER_ADDRESS, MAIN, OTHER_ADDRESS);
	check_answer(a, NATCLASS_SAME, OTHER_BOTH, OTHER_BOTH);
	check_answer(a, NATCLASS_OTHER_PORT, OTHER_BOTH, OTHER_ADDRESS);
	check_answer(a, NATCLASS_OTHER_ADDRESS, OTHER_BOTH, MAIN);
}

static void what_the_map_cannot_do_it_leaves(void **state)
{
	static const u8 hows[] = { NATCLASS_OTHER_PORT, NATCLASS_OTHER_ADDRESS, 3, 255 };
	struct node *a = node_connect(&w, 1);
	struct map_outgoing out = { 0 };
	struct frame_nat_test f;

	(void)state;
	for (u32 doors = 0; doors < 2; doors++) {
		set_doors(doors);
		for (u32 n = 0; n < ARRAY_SIZE(hows); n++) {
			const struct frame_nat_test_request q = { .nonce = 1, .how = hows[n] };

			ask(a, &q, 1, MAIN, 8);
			assert_false(answer(a, &out, &f));
		}
	}
}

static void another_port_is_one_of_the_address_that_asks(void **state)
{
	const struct frame_nat_test_request q = { .nonce = 5, .port = 4321 };
	struct node *a = node_connect(&w, 1);
	struct map_outgoing out = { 0 };
	struct frame_nat_test f;

	(void)state;
	set_doors(4);
	ask(a, &q, 1, MAIN, 8);
	assert_true(answer(a, &out, &f));
	assert_true(address_equal(&out.destination.address, &a->at.address));
	assert_int_equal(out.destination.port, 4321);
	assert_true(endpoint_equal(&f.seen, &a->at));
}

/* Four questions in one datagram have answers of more than its size, unless it is filled up. */
static void the_answers_are_together_no_larger_than_the_question(void **state)
{
	static const struct frame_nat_test_request q[4] = {
		{ .nonce = 1, .how = NATCLASS_SAME },
		{ .nonce = 2, .how = NATCLASS_OTHER_PORT },
		{ .nonce = 3, .how = NATCLASS_OTHER_ADDRESS },
		{ .nonce = 4, .port = 1 },
	};
	struct node *a = node_connect(&w, 1);
	struct map_outgoing out = { 0 };
	struct frame_nat_test f;
	u32 bytes = 0, count = 0;

	(void)state;
	set_doors(4);
	for (u8 filling = 0; filling < 30; filling++) {
		u32 before = count;

		ask(a, q, 4, MAIN, filling);
		bytes = count = 0;
		for (; answer(a, &out, &f); count++)
			bytes += out.buf->length;
		assert_in_range(count, before, 4);
		assert_in_range(bytes, 0, w.last_size);
	}
	assert_int_equal(count, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_node_is_told_the_other_endpoints_of_its_family,
						setup, teardown),
		cmocka_unit_test_setup_teardown(a_single_listener_tells_of_none, setup, teardown),
		cmocka_unit_test_setup_teardown(who_is_inside_is_told_of_inner_addresses, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_answer_comes_from_where_it_is_wished, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_the_map_cannot_do_it_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(another_port_is_one_of_the_address_that_asks, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			the_answers_are_together_no_larger_than_the_question, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
