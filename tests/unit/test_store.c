/* SPDX-License-Identifier: MIT */
/*
 * test_store.c - what lies in the ring until it comes around, and what is known to be gone then.
 */
#include "harness.h"

#include <errno.h>
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

	assert_true(place >= store.bytes && place + size <= store.bytes + store.size);
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

/* Payloads have numbers, and sizes that follow from these. */
#define REMEMBERED 96u
static u64 position[REMEMBERED];

static u32 size_of(u32 number)
{
	return 1 + number * 7 % 100;
}

/* Of those before number, how many are there: as they were put. */
static u32 there_before(u32 number)
{
	u32 count = 0;

	for (u32 n = number > REMEMBERED ? number - REMEMBERED : 0; n < number; n++) {
		const u8 *there = store_get(&store, position[n % REMEMBERED]);

		for (u32 i = 0; there && i < size_of(n); i++)
			assert_int_equal(there[i], (u8)n);
		count += there != NULL;
	}
	return count;
}

static void put_numbers(u32 from, u32 to)
{
	for (u32 n = from; n < to; n++) {
		position[n % REMEMBERED] = put(size_of(n), (u8)n);
		assert_in_range(there_before(n + 1), 1, n + 1);
		assert_non_null(store_get(&store, position[n % REMEMBERED]));
	}
}

static void nothing_is_ever_told_that_has_been_overwritten(void **state)
{
	(void)state;
	put_numbers(0, 640);
}

static void it_grows_with_all_that_lies_there(void **state)
{
	(void)state;
	for (u32 count = 0; count < 150; count++) {
		u32 before;

		store_clear(&store, &allocator);
		assert_int_equal(store_init(&store, &allocator, SIZE), 0);
		put_numbers(0, count);
		before = there_before(count);
		assert_int_equal(store_grow(&store, &allocator), 0);
		assert_int_equal(store.size, 2 * SIZE);
		assert_int_equal(there_before(count), before);
		put_numbers(count, count + 64);
		assert_in_range(there_before(count + 64), SIZE * 2 / 100, REMEMBERED);
	}
}

static void it_stays_as_it_is_when_there_is_no_memory(void **state)
{
	const u64 at = put(100, 7);

	(void)state;
	heap.limit = 0;
	assert_int_equal(store_grow(&store, &allocator), -ENOMEM);
	assert_int_equal(store.size, SIZE);
	assert_int_equal(store_get(&store, at)[99], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_put_lies_there_until_the_ring_comes_around,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_ever_told_that_has_been_overwritten,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_grows_with_all_that_lies_there, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(it_stays_as_it_is_when_there_is_no_memory, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
