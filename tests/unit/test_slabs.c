/* SPDX-License-Identifier: MIT */
/* test_slabs.c - blocks are apart, zeroed, aligned, and take no more memory than they have bytes. */
#include "harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "warp/slabs.h"

#define MANY 20000u

static u64 resident(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*u %lu", &pages), 1);
	fclose(f);
	return (u64)pages * (u64)sysconf(_SC_PAGESIZE);
}

static bool is_all(const u8 *p, size_t size, u8 value)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i] != value)
			return false;
	}
	return true;
}

struct held {
	u8 *p;
	size_t size;
	u8 value;
};

static void give_back(const struct allocator *a, struct held *h)
{
	assert_true(!h->p || is_all(h->p, h->size, h->value));
	mem_free(a, h->p, h->size);
	h->p = NULL;
}

/* Against nothing but themselves: what was written into a block is there until it is freed. */
static void blocks_do_not_touch_each_other(void **state)
{
	static struct held held[500];
	struct test_random seed = { .state = 3 };
	struct random_source random = test_random_source(&seed);
	struct slabs *s;
	struct allocator a;

	(void)state;
	assert_int_equal(slabs_create(&s), 0);
	a = slabs_allocator(s);
	for (u32 i = 0; i < 200000; i++) {
		struct held *h = &held[random_u32(&random) % ARRAY_SIZE(held)];

		give_back(&a, h);
		h->size = random_u32(&random) % (i % 50 ? 300 : 3000);
		h->value = (u8)i;
		h->p = mem_alloc(&a, h->size);
		assert_non_null(h->p);
		assert_int_equal((uintptr_t)h->p % 16, 0);
		assert_true(is_all(h->p, h->size, 0));
		memset(h->p, h->value, h->size);
	}
	for (u32 i = 0; i < ARRAY_SIZE(held); i++)
		give_back(&a, &held[i]);
	slabs_destroy(s);
}

/* Pages of 64 KiB that hold a block, if blocks come in order. */
static u32 count_pages(void *const *block, u32 count)
{
	u32 pages = 0;

	for (u32 i = 0; i < count; i++)
		pages += !i || (uintptr_t)block[i] >> 16 != (uintptr_t)block[i - 1] >> 16;
	return pages;
}

static void many_take_little_more_than_their_bytes_and_give_it_back(void **state)
{
	static void *block[MANY];
	struct slabs *s;
	struct allocator a;
	u64 before;

	(void)state;
	assert_int_equal(slabs_create(&s), 0);
	a = slabs_allocator(s);
	memset(block, 1, sizeof(block));
	before = resident();
	for (u32 i = 0; i < MANY; i++) {
		block[i] = mem_alloc(&a, 200);
		assert_non_null(block[i]);
		memset(block[i], 1, 200);
	}
	assert_in_range(count_pages(block, MANY) << 16, MANY * 200, MANY * 212);
	assert_true(resident() - before >= MANY * 200);
	for (u32 i = 0; i < MANY; i++)
		mem_free(&a, block[i * 7919 % MANY], 200);
	assert_true(resident() < before + 1000000);
	slabs_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_do_not_touch_each_other),
		cmocka_unit_test(many_take_little_more_than_their_bytes_and_give_it_back),
	};

	return cmocka_run_group_tests_name("slabs", tests, NULL, NULL);
}
