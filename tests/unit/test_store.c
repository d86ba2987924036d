/* SPDX-License-Identifier: MIT */
/*
 * test_store.c - what lies in the ring until it comes around, and what is known to be gone then.
 */
#include "harness.h"

#include <string.h>

#include "warp/store.h"

#define SIZE 1000u

static struct test_heap heap;
static struct allocator allocator;
static struct store store;

static int set_up(void **state)
{
	(void)state;
	allocator = test_allocator(&heap);
	return store_init(&store, &allocator, SIZE);
}

static int tear_down(void **state)
{
	(void)state;
	store_clear(&store, &allocator);
	return 0;
}

static u64 put(u32 size, u8 byte)
{
	u64 position;
	u8 *place = store_put(&store, size, &position);

	assert_true(place >= store.bytes && place + size <= store.bytes + SIZE);
	memset(place, byte, size);
	return position;
}

static void what_was_put_lies_there_until_the_ring_comes_around(void **state)
{
	u64 first, last = 0;

	(void)state;
	first = put(300, 1);
	for (u8 n = 2; n <= 3; n++)
		last = put(300, n);
	assert_int_equal(store_get(&store, first)[299], 1);
	assert_int_equal(store_get(&store, last)[0], 3);
	put(300, 4); /* does not fit the end */
	assert_null(store_get(&store, first));
	assert_int_equal(store_get(&store, last)[299], 3);
}

static void nothing_is_ever_told_that_has_been_overwritten(void **state)
{
	u64 position[64];
	u32 size[64];

	(void)state;
	for (u32 n = 0; n < 640; n++) {
		size[n % 64] = 1 + n * 7 % 100;
		position[n % 64] = put(size[n % 64], (u8)n);
		for (u32 back = 0; back < 64 && back <= n; back++) {
			const u32 which = (n - back) % 64;
			const u8 *there = store_get(&store, position[which]);

			for (u32 i = 0; there && i < size[which]; i++)
				assert_int_equal(there[i], (u8)(n - back));
		}
		assert_non_null(store_get(&store, position[n % 64]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_put_lies_there_until_the_ring_comes_around,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_ever_told_that_has_been_overwritten,
						set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
