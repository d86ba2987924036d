/* SPDX-License-Identifier: MIT */
/*
 * harness.h - what unit tests give to the core in place of the world: memory that is counted and
 * can run out, randomness that repeats, and bytes written as hex.
 */
#ifndef WARP_TESTS_HARNESS_H
#define WARP_TESTS_HARNESS_H

/* clang-format off: cmocka wants these before itself, in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "warp/endpoint.h"

/* Memory. free() must be told the size that alloc() was; live counts what was not freed. */
struct test_heap {
	size_t live;  /* allocations */
	size_t total; /* allocations ever */
	size_t limit; /* how many more succeed; SIZE_MAX: no limit */
};

struct allocator test_allocator(struct test_heap *heap);

/* SplitMix64: the same numbers in every run. */
struct test_random {
	u64 state;
};

u64 test_random_u64(struct test_random *r);
/* 0..limit-1 */
u32 test_random_below(struct test_random *r, u32 limit);
struct random_source test_random_source(struct test_random *r);

/* Bytes of a string of hex digits (spaces are skipped) into ret, which has room for cap; returns
 * how many. Fails the test when it is not hex or too long. */
size_t test_hex(u8 *ret, size_t cap, const char *hex);
/* data[0..size) is what hex says. */
#define assert_hex(data, size, hex) test_assert_hex((data), (size), (hex), __FILE__, __LINE__)
void test_assert_hex(const u8 *data, size_t size, const char *hex, const char *file, int line);

/* "192.0.2.1", "2001:db8::1". Fails the test when it is neither. */
struct address test_address(const char *text);
struct endpoint test_endpoint(const char *text, u16 port);

#endif
