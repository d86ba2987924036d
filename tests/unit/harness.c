/* SPDX-License-Identifier: MIT */
/*
 * harness.c - see harness.h. Each allocation is preceded by 16 bytes that hold its size, so that
 * a wrong size given to free() is noticed.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD 16u

static void *heap_alloc(void *ctx, size_t size)
{
	struct test_heap *heap = ctx;
	u8 *p;

	if (!heap->limit)
		return NULL;
	if (heap->limit != SIZE_MAX)
		heap->limit--;
	p = calloc(1, HEAD + size);
	assert_non_null(p);
	memcpy(p, &size, sizeof(size));
	heap->live++;
	heap->total++;
	return p + HEAD;
}

static void heap_free(void *ctx, void *ptr, size_t size)
{
	struct test_heap *heap = ctx;
	u8 *p = (u8 *)ptr - HEAD;
	size_t was;

	memcpy(&was, p, sizeof(was));
	assert_int_equal(was, size);
	assert_true(heap->live > 0);
	heap->live--;
	free(p);
}

struct allocator test_allocator(struct test_heap *heap)
{
	*heap = (struct test_heap){ .limit = SIZE_MAX };
	return (struct allocator){ heap_alloc, heap_free, heap };
}

u64 test_random_u64(struct test_random *r)
{
	u64 x = r->state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

u32 test_random_below(struct test_random *r, u32 limit)
{
	return (u32)(test_random_u64(r) % limit);
}

static void random_bytes(void *ctx, void *out, size_t size)
{
	u8 *p = out;

	for (size_t i = 0; i < size; i++)
		p[i] = (u8)test_random_u64(ctx);
}

struct random_source test_random_source(struct test_random *r)
{
	return (struct random_source){ random_bytes, r };
}

static u8 hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = strchr(digits, c);

	if (!c || !at)
		fail_msg("'%c' is no hex digit", c);
	return (u8)(at - digits);
}

size_t test_hex(u8 *ret, size_t cap, const char *hex)
{
	size_t n = 0;

	while (*hex) {
		if (*hex == ' ') {
			hex++;
			continue;
		}
		assert_true(n < cap);
		ret[n++] = (u8)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
		hex += 2;
	}
	return n;
}

void test_assert_hex(const u8 *data, size_t size, const char *hex, const char *file, int line)
{
	u8 *expected = malloc(strlen(hex) + 1);
	size_t expected_size;
	bool same;

	assert_non_null(expected);
	expected_size = test_hex(expected, strlen(hex), hex);
	same = expected_size == size && memcmp(expected, data, size) == 0;
	free(expected);
	if (same)
		return;
	print_error("%zu bytes:", size);
	for (size_t i = 0; i < size; i++)
		print_error(" %02x", data[i]);
	print_error("\nexpected: %s\n", hex);
	_fail(file, line);
}

struct address test_address(const char *text)
{
	struct address a = { .family = strchr(text, ':') ? 6 : 4 };

	if (inet_pton(a.family == 6 ? AF_INET6 : AF_INET, text, a.bytes) != 1)
		fail_msg("%s is no address", text);
	return a;
}

struct endpoint test_endpoint(const char *text, u16 port)
{
	return (struct endpoint){ test_address(text), port };
}
