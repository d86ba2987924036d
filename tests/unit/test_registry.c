/* SPDX-License-Identifier: MIT */
/* test_registry.c - the map's table in virtual time, and against a model that is plainly right. */
#include "harness.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/registry.h"

#define EXPIRY (60 * NS_PER_S)

static const struct endpoint no_lan;
static const u8 seed[REGISTRY_SEED_SIZE] = { 7 };

struct fixture {
	struct test_heap heap;
	struct registry *r;
};

/* Declares a fixture. It stays where it is, as its heap is pointed at. */
#define BEGIN(name, max)                                                                           \
	struct fixture name;                                                                       \
	struct allocator name##_allocator = test_allocator(&name.heap);                            \
	name.r = registry_create(&name##_allocator, seed, max, EXPIRY);                            \
	assert_non_null(name.r)

/* Nothing is leaked. */
static void end(struct fixture *f)
{
	registry_destroy(f->r);
	assert_int_equal(f->heap.live, 0);
}

static const u8 *key_of(u32 n)
{
	static u8 keys[8][KEY_SIZE];
	static u32 next;
	u8 *key = keys[next++ % 8];

	memset(key, 0, KEY_SIZE);
	put_u32(key, n + 1);
	return key;
}

static struct endpoint endpoint_of(u32 n)
{
	struct endpoint e = { .address = { .family = 4, .bytes = { 198, 51, 100, 1 } } };

	e.port = (u16)(1000 + n);
	return e;
}

/* A node that has spoken. */
static struct registry_node *known(struct registry *r, u64 now, u32 n)
{
	struct registry_node *node = registry_add(r, now, key_of(n));

	assert_non_null(node);
	registry_touch(r, now, node);
	return node;
}

static const struct registry_moment beginning;

static int set_place(struct registry *r, u64 now, struct registry_node *node, u16 interface,
		     const struct endpoint *observed, const struct endpoint *lan, u8 listener)
{
	const struct registry_place place = { .seen = { 0, *observed, *lan, {} },
					      .listener = listener };

	return registry_set_interface(r, now, node, interface, &place);
}

static int set(struct registry *r, u64 now, struct registry_node *node, u16 interface, u32 port)
{
	struct endpoint observed = endpoint_of(port);

	return set_place(r, now, node, interface, &observed, &no_lan, 0);
}

/* What visit was told, as a set of bits: node n is bit n. */
static void note_watcher(void *ctx, struct registry_node *watcher)
{
	u64 *seen = ctx;
	u64 bit = UINT64_C(1) << (get_u32(registry_key(watcher)) - 1);

	assert_false(*seen & bit);
	*seen |= bit;
}

static u64 watchers_of(const struct registry *r, const struct registry_node *node)
{
	u64 seen = 0;

	registry_watchers(r, node, note_watcher, &seen);
	return seen;
}

/* Removes what is gone; returns how many nodes that were. */
static u32 expire(struct registry *r, u64 now)
{
	struct registry_node *node;
	u32 count = 0;
	bool gone;

	while ((node = registry_expire(r, now, &gone))) {
		if (gone) {
			registry_remove(r, node);
			count++;
		}
	}
	assert_true(registry_next_expiry(r) > now);
	return count;
}

/* --- one behaviour each ------------------------------------------------------------------ */

static void nobody_learns_about_who_does_not_list_them(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 1, 0), *b = known(f.r, 1, 1);

	(void)state;
	assert_false(registry_may_learn(f.r, a, b));
	assert_int_equal(registry_want(f.r, 1, a, key_of(1)), 1);
	assert_false(registry_may_learn(f.r, a, b));
	assert_true(registry_may_learn(f.r, b, a));
	assert_int_equal(watchers_of(f.r, a), 0);
	assert_int_equal(watchers_of(f.r, b), 0);
	assert_int_equal(registry_want(f.r, 1, b, key_of(0)), 1);
	assert_true(registry_may_learn(f.r, a, b));
	assert_int_equal(watchers_of(f.r, a), 1 << 1);
	assert_int_equal(watchers_of(f.r, b), 1 << 0);
	end(&f);
}

static void a_want_is_new_once_and_never_of_oneself(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 1, 0);

	(void)state;
	assert_int_equal(registry_want(f.r, 1, a, key_of(1)), 1);
	assert_int_equal(registry_want(f.r, 2, a, key_of(1)), 0);
	assert_int_equal(registry_want(f.r, 2, a, key_of(0)), -EINVAL);
	end(&f);
}

static void a_key_can_be_wanted_before_and_after_its_node_is_there(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 1, 0), *b;

	(void)state;
	assert_int_equal(registry_want(f.r, 1, a, key_of(1)), 1);
	for (int i = 0; i < 2; i++) {
		b = known(f.r, 1, 1);
		assert_true(registry_may_learn(f.r, b, a));
		assert_int_equal(registry_want(f.r, 1, b, key_of(0)), 1);
		assert_int_equal(watchers_of(f.r, b), 1 << 0);
		registry_remove(f.r, b);
		assert_int_equal(watchers_of(f.r, a), 0);
	}
	end(&f);
}

static void a_node_lives_for_expiry_after_it_was_last_touched(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, NS_PER_S, 0);

	(void)state;
	registry_touch(f.r, 3 * NS_PER_S, a);
	assert_true(registry_next_expiry(f.r) == 63 * NS_PER_S);
	assert_int_equal(expire(f.r, 63 * NS_PER_S - 1), 0);
	assert_ptr_equal(registry_find(f.r, key_of(0)), a);
	assert_int_equal(expire(f.r, 63 * NS_PER_S), 1);
	assert_null(registry_find(f.r, key_of(0)));
	assert_true(registry_next_expiry(f.r) == TIME_NEVER);
	end(&f);
}

static void a_node_that_never_spoke_is_soon_forgotten(void **state)
{
	BEGIN(f, 2);
	struct registry_node *a = registry_add(f.r, NS_PER_S, key_of(0));
	struct registry_node *b = registry_add(f.r, 2 * NS_PER_S, key_of(1));

	(void)state;
	assert_true(registry_full(f.r));
	assert_null(registry_add(f.r, 2 * NS_PER_S, key_of(2)));
	assert_ptr_equal(registry_oldest_provisional(f.r), a);
	registry_touch(f.r, 2 * NS_PER_S, a);
	assert_ptr_equal(registry_oldest_provisional(f.r), b);
	assert_int_equal(expire(f.r, 2 * NS_PER_S + REGISTRY_PROVISIONAL), 1);
	assert_null(registry_find(f.r, key_of(1)));
	assert_ptr_equal(registry_find(f.r, key_of(0)), a);
	assert_null(registry_oldest_provisional(f.r));
	end(&f);
}

static void an_interface_that_is_not_renewed_expires_alone(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);
	struct wire_mapping mapping[2];
	bool gone = true;

	(void)state;
	set(f.r, 0, a, 1, 1);
	set(f.r, 5 * NS_PER_S, a, 2, 2);
	registry_touch(f.r, 50 * NS_PER_S, a);
	assert_null(registry_expire(f.r, EXPIRY - 1, &gone));
	assert_ptr_equal(registry_expire(f.r, EXPIRY, &gone), a);
	assert_false(gone);
	assert_null(registry_expire(f.r, EXPIRY, &gone));
	assert_int_equal(registry_mappings(a, mapping, 2), 1);
	assert_int_equal(mapping[0].observed.port, 1002);
	end(&f);
}

static void a_want_that_is_not_renewed_takes_its_permission_back(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0), *b = known(f.r, 0, 1);

	(void)state;
	registry_want(f.r, 0, a, key_of(1));
	registry_want(f.r, 0, b, key_of(0));
	registry_want(f.r, 30 * NS_PER_S, b, key_of(0));
	registry_touch(f.r, 30 * NS_PER_S, a);
	registry_touch(f.r, 30 * NS_PER_S, b);
	assert_int_equal(expire(f.r, EXPIRY), 0);
	assert_false(registry_may_learn(f.r, b, a));
	assert_true(registry_may_learn(f.r, a, b));
	assert_int_equal(registry_want(f.r, EXPIRY, a, key_of(1)), 1);
	end(&f);
}

static void only_what_others_can_see_is_a_change(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);
	struct endpoint one = endpoint_of(1), two = endpoint_of(2);

	(void)state;
	assert_int_equal(set_place(f.r, 0, a, 1, &one, &no_lan, 0), 1);
	assert_int_equal(set_place(f.r, 1, a, 1, &one, &no_lan, 0), 0);
	assert_int_equal(set_place(f.r, 1, a, 1, &one, &no_lan, 3), 0);
	assert_int_equal(set_place(f.r, 1, a, 1, &one, &two, 3), 1);
	assert_int_equal(set_place(f.r, 1, a, 1, &two, &two, 3), 1);
	assert_int_equal(set_place(f.r, 1, a, WIRE_ALL_INTERFACES, &one, &one, 0), -EINVAL);
	assert_false(registry_clear_interface(f.r, a, 2, beginning));
	assert_true(registry_clear_interface(f.r, a, 1, beginning));
	assert_false(registry_clear_interface(f.r, a, WIRE_ALL_INTERFACES, beginning));
	end(&f);
}

/* What a node said in a session with a number, and a counter. */
static int set_when(struct registry *r, struct registry_node *node, u64 session, u64 counter)
{
	const struct registry_place place = { .seen = { 0, endpoint_of(1), no_lan, {} },
					      .said = { session, counter } };

	return registry_set_interface(r, 0, node, 1, &place);
}

static void what_was_said_before_what_was_taken_is_refused(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);

	(void)state;
	assert_int_equal(set_when(f.r, a, 2, 5), 1);
	assert_int_equal(set_when(f.r, a, 2, 5), 0);
	assert_int_equal(set_when(f.r, a, 2, 4), -ESTALE);
	assert_int_equal(set_when(f.r, a, 1, 9), -ESTALE);
	assert_false(registry_clear_interface(f.r, a, 1, (struct registry_moment){ 2, 4 }));
	assert_false(registry_clear_interface(f.r, a, WIRE_ALL_INTERFACES,
					      (struct registry_moment){ 1, 9 }));
	assert_int_equal(set_when(f.r, a, 3, 0), 0);
	assert_true(registry_clear_interface(f.r, a, 1, (struct registry_moment){ 3, 2 }));
	assert_int_equal(set_when(f.r, a, 3, 1), -ESTALE);
	assert_int_equal(set_when(f.r, a, 3, 3), 1);
	end(&f);
}

static void mappings_stay_in_order_whoever_was_heard_last(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);
	struct wire_mapping mapping[3];

	(void)state;
	set(f.r, 1, a, 2, 2);
	set(f.r, 2, a, 3, 3);
	set(f.r, 3, a, 1, 1);
	set(f.r, 4, a, 2, 2);
	assert_int_equal(registry_mappings(a, mapping, 3), 3);
	for (u16 i = 0; i < 3; i++)
		assert_int_equal(mapping[i].observed.port, 1001 + i);
	/* Of many, those heard last. */
	assert_int_equal(registry_mappings(a, mapping, 2), 2);
	assert_int_equal(mapping[0].observed.port, 1001);
	assert_int_equal(mapping[1].observed.port, 1002);
	end(&f);
}

static void routes_are_those_heard_last(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);
	struct endpoint routes[2], again = endpoint_of(1);
	u32 listeners[2];

	(void)state;
	assert_int_equal(registry_routes(f.r, 0, a, 1, routes, listeners, 2), 0);
	for (u16 i = 1; i <= 3; i++) {
		set(f.r, i, a, i, i);
		registry_confirm(i, a, i);
	}
	set_place(f.r, 9, a, 1, &again, &no_lan, 5);
	assert_int_equal(registry_routes(f.r, 9, a, 1, routes, listeners, 2), 2);
	assert_int_equal(routes[0].port, 1001);
	assert_int_equal(listeners[0], 5);
	assert_int_equal(routes[1].port, 1003);
	end(&f);
}

#define CONNECTION 7

/* What goes to the interface: a listener, or -1. */
static int route_of(struct registry *r, struct registry_node *node, u16 interface)
{
	struct endpoint at;
	u32 listener;

	return registry_route(r, 0, node, (u8)interface, 1, &at, &listener) ? (int)listener : -1;
}

/* It says that it is elsewhere: until it has shown that, its connection is where it is. */
static void a_connection_is_a_route_until_another_is_confirmed(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);
	const struct endpoint nowhere = { 0 };

	(void)state;
	set_place(f.r, 0, a, 1, &nowhere, &no_lan, CONNECTION);
	assert_int_equal(route_of(f.r, a, 1), CONNECTION);
	set(f.r, 1, a, 1, 1);
	assert_int_equal(route_of(f.r, a, 1), CONNECTION);
	set(f.r, 2, a, 1, 2);
	assert_int_equal(route_of(f.r, a, 1), CONNECTION);
	registry_confirm(2, a, 1);
	assert_int_equal(route_of(f.r, a, 1), 0);
	set(f.r, 3, a, 1, 3);
	assert_int_equal(route_of(f.r, a, 1), -1);
	end(&f);
}

static void a_connection_that_has_ended_is_no_route(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);
	const struct endpoint nowhere = { 0 };

	(void)state;
	set_place(f.r, 0, a, 1, &nowhere, &no_lan, CONNECTION);
	set(f.r, 1, a, 1, 1);
	assert_false(registry_clear_listener(f.r, a, CONNECTION));
	assert_int_equal(route_of(f.r, a, 1), -1);
	end(&f);
}

static void the_interface_heard_least_makes_room(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);
	struct wire_mapping mapping[REGISTRY_INTERFACES + 1];

	(void)state;
	for (u16 i = 0; i <= REGISTRY_INTERFACES; i++)
		assert_int_equal(set(f.r, i, a, i, i), 1);
	assert_int_equal(registry_mappings(a, mapping, ARRAY_SIZE(mapping)), REGISTRY_INTERFACES);
	assert_int_equal(mapping[0].observed.port, 1001);
	end(&f);
}

static void wants_are_bounded_but_everybody_has_some(void **state)
{
	BEGIN(f, 100);
	struct registry_node *node;
	u32 total = 0, mine;

	(void)state;
	for (u32 n = 0; n < 100; n++) {
		node = known(f.r, 0, n);
		for (mine = 0; mine < REGISTRY_WANTS + 10; mine++) {
			int r = registry_want(f.r, 0, node, key_of(1000 + mine));

			if (r < 0) {
				assert_int_equal(r, -ENOSPC);
				break;
			}
		}
		assert_in_range(mine, REGISTRY_WANTS_SURE, REGISTRY_WANTS);
		if (n == 0)
			assert_int_equal(mine, REGISTRY_WANTS);
		total += mine;
	}
	assert_in_range(total, 100 * REGISTRY_WANTS_SURE, 100 * 2 * REGISTRY_WANTS_SURE);
	/* What the first one had comes back to the others. */
	node = registry_find(f.r, key_of(99));
	assert_int_equal(registry_want(f.r, 0, node, key_of(3000)), -ENOSPC);
	registry_remove(f.r, registry_find(f.r, key_of(0)));
	assert_int_equal(registry_want(f.r, 0, node, key_of(3000)), 1);
	end(&f);
}

static void watchers_are_found_without_asking_all_who_want_a_node(void **state)
{
	BEGIN(f, 60);
	struct registry_node *victim = known(f.r, 0, 0);

	(void)state;
	for (u32 n = 1; n < 60; n++)
		registry_want(f.r, 0, known(f.r, 0, n), key_of(0));
	assert_int_equal(watchers_of(f.r, victim), 0);
	registry_want(f.r, 0, victim, key_of(7));
	registry_want(f.r, 0, victim, key_of(9));
	registry_want(f.r, 0, victim, key_of(77));
	assert_true(watchers_of(f.r, victim) == (1 << 7 | 1 << 9));
	end(&f);
}

static void without_memory_nothing_changes(void **state)
{
	BEGIN(f, 8);
	struct registry_node *a = known(f.r, 0, 0);
	size_t live;

	(void)state;
	registry_want(f.r, 0, a, key_of(1));
	live = f.heap.live;
	f.heap.limit = 0;
	assert_null(registry_add(f.r, 0, key_of(5)));
	assert_int_equal(registry_want(f.r, 0, a, key_of(2)), -ENOMEM);
	assert_int_equal(set(f.r, 0, a, 1, 1), -ENOMEM);
	assert_int_equal(f.heap.live, live);
	assert_int_equal(registry_count(f.r), 1);
	f.heap.limit = SIZE_MAX;
	end(&f);
}

static void a_table_that_cannot_grow_still_works(void **state)
{
	BEGIN(f, 1000);

	(void)state;
	for (u32 n = 0; n < 500; n++) {
		/* Enough for a node, not for a node and larger tables. */
		f.heap.limit = n ? 1 : SIZE_MAX;
		known(f.r, 0, n);
	}
	f.heap.limit = SIZE_MAX;
	for (u32 n = 0; n < 500; n++)
		assert_non_null(registry_find(f.r, key_of(n)));
	end(&f);
}

static void creating_without_memory_fails(void **state)
{
	struct test_heap heap;
	struct allocator a = test_allocator(&heap);

	(void)state;
	heap.limit = 0;
	assert_null(registry_create(&a, seed, 8, EXPIRY));
	registry_destroy(NULL);
}

/* --- a model ----------------------------------------------------------------------------- */

#define NODES 10u
#define IDS 40u /* more than REGISTRY_INTERFACES */

struct model_interface {
	bool there;
	u64 heard;
	u32 order; /* of hearing */
	u16 port;
};

struct model_node {
	bool there, provisional;
	u64 touched;
	struct model_interface interfaces[IDS];
	bool wants[NODES];
	u64 renewed[NODES];
};

struct model {
	struct model_node nodes[NODES];
	u32 order;
};

static u32 model_interfaces(const struct model_node *n)
{
	u32 count = 0;

	for (u32 i = 0; i < IDS; i++)
		count += n->interfaces[i].there;
	return count;
}

static void model_forget_least_heard(struct model_node *n)
{
	struct model_interface *least = NULL;

	for (u32 i = 0; i < IDS; i++) {
		struct model_interface *mi = &n->interfaces[i];

		if (mi->there && (!least || mi->order < least->order))
			least = mi;
	}
	least->there = false;
}

static const struct model_interface *model_heard_last(const struct model_node *n)
{
	const struct model_interface *last = NULL;

	for (u32 i = 0; i < IDS; i++) {
		const struct model_interface *mi = &n->interfaces[i];

		if (mi->there && (!last || mi->order > last->order))
			last = mi;
	}
	return last;
}

static bool model_set(struct model *m, u64 now, u32 n, u16 id, u16 port)
{
	struct model_interface *mi = &m->nodes[n].interfaces[id];
	bool changed = !mi->there || mi->port != port;

	if (!mi->there && model_interfaces(&m->nodes[n]) == REGISTRY_INTERFACES)
		model_forget_least_heard(&m->nodes[n]);
	*mi = (struct model_interface){ true, now, m->order++, port };
	return changed;
}

static void model_expire(struct model *m, u64 now)
{
	for (u32 n = 0; n < NODES; n++) {
		struct model_node *node = &m->nodes[n];
		u64 life = node->provisional ? REGISTRY_PROVISIONAL : EXPIRY;

		if (node->there && node->touched + life <= now)
			*node = (struct model_node){ 0 };
		for (u32 i = 0; i < IDS; i++)
			node->interfaces[i].there &= node->interfaces[i].heard + EXPIRY > now;
		for (u32 i = 0; i < NODES; i++)
			node->wants[i] &= node->renewed[i] + EXPIRY > now;
	}
}

/* The mappings are the model's, by number. */
static void compare_interfaces(const struct registry *r, struct registry_node *node,
			       const struct model_node *model)
{
	struct wire_mapping mapping[REGISTRY_INTERFACES];
	size_t count = registry_mappings(node, mapping, REGISTRY_INTERFACES), at = 0;
	struct endpoint routes[2];
	u32 listeners[2];

	assert_int_equal(count, model_interfaces(model));
	for (u32 id = 0; id < IDS; id++) {
		if (model->interfaces[id].there)
			assert_int_equal(mapping[at++].observed.port, model->interfaces[id].port);
	}
	if (registry_routes(r, 0, node, 0, routes, listeners, 2))
		assert_int_equal(routes[0].port, model_heard_last(model)->port);
}

static void compare(const struct registry *r, const struct model *m)
{
	u32 count = 0;

	for (u32 n = 0; n < NODES; n++) {
		struct registry_node *node = registry_find(r, key_of(n));
		u64 watchers = 0;

		assert_int_equal(node != NULL, m->nodes[n].there);
		if (!node)
			continue;
		count++;
		compare_interfaces(r, node, &m->nodes[n]);
		for (u32 o = 0; o < NODES; o++) {
			struct registry_node *other = registry_find(r, key_of(o));

			if (!other)
				continue;
			assert_int_equal(registry_may_learn(r, other, node), m->nodes[n].wants[o]);
			if (m->nodes[n].wants[o] && m->nodes[o].wants[n])
				watchers |= UINT64_C(1) << o;
		}
		assert_true(watchers_of(r, node) == watchers);
	}
	assert_int_equal(registry_count(r), count);
}

static void step_node(struct registry *r, struct model *m, u64 now, u32 n, struct test_random *rnd)
{
	struct registry_node *node = registry_find(r, key_of(n));
	struct model_node *model = &m->nodes[n];
	u32 other = test_random_below(rnd, NODES), dice = test_random_below(rnd, 100);
	u16 id = (u16)test_random_below(rnd, IDS), port = (u16)test_random_below(rnd, 3);
	int result;

	if (!node) {
		assert_non_null(registry_add(r, now, key_of(n)));
		*model = (struct model_node){ .there = true, .provisional = true, .touched = now };
	} else if (dice < 30) {
		registry_touch(r, now, node);
		model->provisional = false;
		model->touched = now;
	} else if (dice < 65) {
		result = set(r, now, node, id, port);
		assert_int_equal(result, model_set(m, now, n, id, (u16)(1000 + port)));
	} else if (dice < 70) {
		assert_int_equal(registry_clear_interface(r, node, id, beginning),
				 model->interfaces[id].there);
		model->interfaces[id].there = false;
	} else if (dice < 98) {
		result = registry_want(r, now, node, key_of(other));
		assert_int_equal(result, other == n ? -EINVAL : !model->wants[other]);
		model->wants[other] = other != n;
		model->renewed[other] = now;
	} else {
		registry_remove(r, node);
		*model = (struct model_node){ 0 };
	}
}

static void random_operations_agree_with_a_naive_model(void **state)
{
	static struct model m;
	struct test_random rnd = { 42 };
	u64 now = 1;
	BEGIN(f, NODES);

	(void)state;
	for (u32 i = 0; i < 20000; i++) {
		now += test_random_below(&rnd, 1000) * NS_PER_MS;
		if (test_random_below(&rnd, 500) == 0)
			now += 70 * NS_PER_S;
		expire(f.r, now);
		model_expire(&m, now);
		step_node(f.r, &m, now, test_random_below(&rnd, NODES), &rnd);
		if (i % 8 == 0)
			compare(f.r, &m);
	}
	end(&f);
}

/* --- memory ------------------------------------------------------------------------------ */

struct counted {
	size_t bytes; /* as a usual malloc rounds them up */
};

static size_t rounded(size_t size)
{
	return (size + 8 + 15) / 16 * 16;
}

static void *counted_alloc(void *ctx, size_t size)
{
	((struct counted *)ctx)->bytes += rounded(size);
	return calloc(1, size);
}

static void counted_free(void *ctx, void *ptr, size_t size)
{
	((struct counted *)ctx)->bytes -= rounded(size);
	free(ptr);
}

/* Nodes with two interfaces each that want two others: what the registry's share of 1 KiB is. */
static void a_node_is_small(void **state)
{
	struct counted counted = { 0 };
	struct allocator a = { counted_alloc, counted_free, &counted };
	const u32 nodes = 100000;
	struct registry *r = registry_create(&a, seed, nodes, EXPIRY);
	size_t each;

	(void)state;
	for (u32 n = 0; n < nodes; n++) {
		struct registry_node *node = known(r, n, n);

		set(r, n, node, 1, n);
		set(r, n, node, 2, n);
		registry_want(r, n, node, key_of(n ^ 1));
		registry_want(r, n, node, key_of(n ^ 2));
	}
	each = counted.bytes / nodes;
	printf("registry: %zu bytes a node (2 interfaces, 2 wants, %u nodes)\n", each, nodes);
	assert_true(each < 640);
	assert_int_equal(expire(r, TIME_NEVER - 1), nodes);
	registry_destroy(r);
	assert_int_equal(counted.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_learns_about_who_does_not_list_them),
		cmocka_unit_test(a_want_is_new_once_and_never_of_oneself),
		cmocka_unit_test(a_key_can_be_wanted_before_and_after_its_node_is_there),
		cmocka_unit_test(a_node_lives_for_expiry_after_it_was_last_touched),
		cmocka_unit_test(a_node_that_never_spoke_is_soon_forgotten),
		cmocka_unit_test(an_interface_that_is_not_renewed_expires_alone),
		cmocka_unit_test(a_want_that_is_not_renewed_takes_its_permission_back),
		cmocka_unit_test(only_what_others_can_see_is_a_change),
		cmocka_unit_test(what_was_said_before_what_was_taken_is_refused),
		cmocka_unit_test(mappings_stay_in_order_whoever_was_heard_last),
		cmocka_unit_test(routes_are_those_heard_last),
		cmocka_unit_test(a_connection_is_a_route_until_another_is_confirmed),
		cmocka_unit_test(a_connection_that_has_ended_is_no_route),
		cmocka_unit_test(the_interface_heard_least_makes_room),
		cmocka_unit_test(wants_are_bounded_but_everybody_has_some),
		cmocka_unit_test(watchers_are_found_without_asking_all_who_want_a_node),
		cmocka_unit_test(without_memory_nothing_changes),
		cmocka_unit_test(a_table_that_cannot_grow_still_works),
		cmocka_unit_test(creating_without_memory_fails),
		cmocka_unit_test(random_operations_agree_with_a_naive_model),
		cmocka_unit_test(a_node_is_small),
	};

	return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
