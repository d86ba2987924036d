/* SPDX-License-Identifier: MIT */
/* test_buf.c - the buffer pool: order, references, room, and what creation touches. */
#include "harness.h"

#include <string.h>
#include <sys/mman.h>

#include "warp/buf.h"

static struct test_heap heap;

static struct pool *new_pool(u32 count)
{
	struct allocator a = test_allocator(&heap);
	struct pool *pool = pool_create(&a, count);

	assert_non_null(pool);
	assert_int_equal(pool_available(pool), count);
	return pool;
}

static void a_new_buffer_is_empty_with_headroom_and_room_for_the_largest_payload(void **state)
{
	struct pool *pool = new_pool(2);
	struct buf *b = buf_get(pool);

	(void)state;
	assert_int_equal(b->length, 0);
	assert_int_equal(b->segment, 0);
	assert_int_equal(b->refs, 1);
	assert_null(b->next);
	assert_ptr_equal(b->pool, pool);
	assert_ptr_equal(buf_data(b), b->bytes + BUF_HEADROOM);
	assert_int_equal(buf_tailroom(b), BUF_PAYLOAD_MAX + BUF_TAILROOM);
	buf_put(b);
	pool_destroy(pool);
	assert_int_equal(heap.live, 0);
}

static void pushing_headers_grows_the_data_downwards(void **state)
{
	struct pool *pool = new_pool(1);
	struct buf *b = buf_get(pool);
	u8 *payload = buf_data(b);

	(void)state;
	b->length = 100;
	assert_ptr_equal(buf_push(b, 7), payload - 7);
	assert_ptr_equal(buf_push(b, 16), payload - 23);
	assert_int_equal(b->length, 123);
	assert_int_equal(buf_tailroom(b), BUF_PAYLOAD_MAX + BUF_TAILROOM - 100);
	buf_put(b);
	pool_destroy(pool);
}

static void an_exhausted_pool_gives_nothing_until_a_buffer_comes_back(void **state)
{
	struct pool *pool = new_pool(3);
	struct buf *b[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		b[i] = buf_get(pool);
	assert_int_equal(pool_available(pool), 0);
	assert_null(buf_get(pool));
	buf_put(b[1]);
	assert_ptr_equal(buf_get(pool), b[1]);
	assert_null(buf_get(pool));
	for (int i = 0; i < 3; i++)
		buf_put(b[i]);
	assert_int_equal(pool_available(pool), 3);
	pool_destroy(pool);
}

static void the_last_buffer_released_is_the_first_given_and_is_clean(void **state)
{
	struct pool *pool = new_pool(4);
	struct buf *a = buf_get(pool), *b = buf_get(pool);

	(void)state;
	b->length = 9;
	b->segment = 3;
	b->offset = 5;
	b->next = a;
	buf_put(a);
	buf_put(b);
	assert_ptr_equal(buf_get(pool), b);
	assert_int_equal(b->length, 0);
	assert_int_equal(b->segment, 0);
	assert_int_equal(b->offset, BUF_HEADROOM);
	assert_null(b->next);
	assert_ptr_equal(buf_get(pool), a);
	pool_destroy(pool);
}

static void a_shared_buffer_returns_with_its_last_reference(void **state)
{
	struct pool *pool = new_pool(1);
	struct buf *b = buf_get(pool);

	(void)state;
	assert_ptr_equal(buf_ref(b), b);
	assert_ptr_equal(buf_ref(b), b);
	buf_put(b);
	buf_put(b);
	assert_int_equal(pool_available(pool), 0);
	buf_put(b);
	assert_int_equal(pool_available(pool), 1);
	buf_put(NULL);
	pool_destroy(pool);
}

static void buffers_do_not_overlap_and_lie_on_cache_lines(void **state)
{
	struct pool *pool = new_pool(3);
	struct buf *b[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		b[i] = buf_get(pool);
		assert_int_equal((uintptr_t)b[i] % 64, 0);
		memset(b[i]->bytes, i + 1, BUF_BYTES);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(b[i]->refs, 1);
		assert_int_equal(b[i]->bytes[0], i + 1);
		assert_int_equal(b[i]->bytes[BUF_BYTES - 1], i + 1);
	}
	pool_destroy(pool);
}

/* A first-level cache has 64 sets of 64-byte lines: 64 buffers start in all of them. */
static void neighbouring_buffers_start_in_different_cache_sets(void **state)
{
	struct pool *pool = new_pool(64);
	bool taken[64] = { false };

	(void)state;
	for (int i = 0; i < 64; i++) {
		size_t set = (uintptr_t)buf_get(pool) / 64 % 64;

		assert_false(taken[set]);
		taken[set] = true;
	}
	pool_destroy(pool);
}

static void without_memory_there_is_no_pool_and_nothing_is_lost(void **state)
{
	struct allocator a = test_allocator(&heap);

	(void)state;
	for (size_t limit = 0; limit < 2; limit++) {
		heap.limit = limit;
		assert_null(pool_create(&a, 8));
		assert_int_equal(heap.live, 0);
	}
	pool_destroy(NULL);
}

/* Large allocations are pages that may not be touched; a touch ends the program. */
static void *sealed_alloc(void *ctx, size_t size)
{
	int protection = size > 65536 ? PROT_NONE : PROT_READ | PROT_WRITE;
	void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)ctx;
	return p == MAP_FAILED ? NULL : p;
}

static void sealed_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	assert_int_equal(munmap(ptr, size), 0);
}

static void creating_and_destroying_a_pool_touches_no_buffer(void **state)
{
	struct allocator a = { sealed_alloc, sealed_free, NULL };
	struct pool *pool = pool_create(&a, 1024);

	(void)state;
	assert_non_null(pool);
	assert_int_equal(pool_available(pool), 1024);
	pool_destroy(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_new_buffer_is_empty_with_headroom_and_room_for_the_largest_payload),
		cmocka_unit_test(pushing_headers_grows_the_data_downwards),
		cmocka_unit_test(an_exhausted_pool_gives_nothing_until_a_buffer_comes_back),
		cmocka_unit_test(the_last_buffer_released_is_the_first_given_and_is_clean),
		cmocka_unit_test(a_shared_buffer_returns_with_its_last_reference),
		cmocka_unit_test(buffers_do_not_overlap_and_lie_on_cache_lines),
		cmocka_unit_test(neighbouring_buffers_start_in_different_cache_sets),
		cmocka_unit_test(without_memory_there_is_no_pool_and_nothing_is_lost),
		cmocka_unit_test(creating_and_destroying_a_pool_touches_no_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
