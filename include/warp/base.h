/* SPDX-License-Identifier: MIT */
/*
 * base.h - words that every room uses: short integer names, time, and the two things that the
 * core is given instead of taking them: memory and randomness.
 *
 * Time is an u64 of nanoseconds on a monotonic clock that includes suspend (CLOCK_BOOTTIME at the
 * edge, virtual in tests). It is always a parameter. "Never" is TIME_NEVER.
 *
 * Errors are negative errno values; results go to ret_* parameters, untouched on failure.
 */
#ifndef WARP_BASE_H
#define WARP_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t i64;
typedef int32_t i32;
typedef int8_t i8;

#define TIME_NEVER UINT64_MAX
#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Where the core gets memory from: at start-up, at handshakes and on reconfiguration, never on
 * the data path. alloc returns zeroed memory aligned for any type, or NULL. */
struct allocator {
	void *(*alloc)(void *ctx, size_t size);
	void (*free)(void *ctx, void *ptr, size_t size);
	void *ctx;
};

/* Where the core gets randomness from. fill must not fail. */
struct random_source {
	void (*fill)(void *ctx, void *out, size_t size);
	void *ctx;
};

static inline void *mem_alloc(const struct allocator *a, size_t size)
{
	return a->alloc(a->ctx, size);
}

static inline void mem_free(const struct allocator *a, void *ptr, size_t size)
{
	if (ptr)
		a->free(a->ctx, ptr, size);
}

static inline void random_fill(const struct random_source *r, void *out, size_t size)
{
	r->fill(r->ctx, out, size);
}

static inline u32 random_u32(const struct random_source *r)
{
	u32 value;

	r->fill(r->ctx, &value, sizeof(value));
	return value;
}

static inline u64 time_min(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* now + delay that stays "never" when delay is. Both in nanoseconds. */
static inline u64 time_after(u64 now, u64 delay)
{
	return delay == TIME_NEVER ? TIME_NEVER : now + delay;
}

#endif
