/* SPDX-License-Identifier: MIT */
/*
 * buf.c - the pool of buffers.
 *
 *   struct pool        one small allocation: the pool and a stack of free buffers
 *   buffers            one large allocation, count x stride bytes
 *
 * The stack lies apart from the buffers, so that creating a pool of tens of MiB touches only the
 * stack: a buffer's pages become real when it is first used, and as the stack is last-in
 * first-out, a node that needs few buffers only ever touches few.
 *
 * The stride is an odd number of cache lines. Were it a multiple of 4096 bytes, the headers and
 * the first lines of all buffers would compete for the same few sets of the cache; an odd number of
 * lines shares no factor with any power of two, so consecutive buffers walk through all sets.
 */
#include "warp/buf.h"

#define CACHE_LINE 64u

_Static_assert(CACHE_LINE % _Alignof(struct buf) == 0, "buffers are not aligned");

struct pool {
	struct allocator allocator;
	u8 *memory;
	u32 count;
	u32 available;
	u32 size;           /* of a buffer's bytes[] */
	struct buf *free[]; /* the first `available` entries */
};

static size_t pool_size(u32 count)
{
	return sizeof(struct pool) + count * sizeof(struct buf *);
}

static size_t stride(u32 size)
{
	size_t lines = (sizeof(struct buf) + size + CACHE_LINE - 1) / CACHE_LINE;

	return (lines | 1u) * CACHE_LINE;
}

static size_t memory_size(u32 count, u32 size)
{
	return count * stride(size) + CACHE_LINE;
}

static u8 *cache_aligned(u8 *p)
{
	return p + (CACHE_LINE - (uintptr_t)p % CACHE_LINE) % CACHE_LINE;
}

/* Buffer 0 on top of the stack. */
static void fill_stack(struct pool *pool)
{
	u8 *at = cache_aligned(pool->memory);

	for (u32 i = pool->count; i-- > 0; at += stride(pool->size))
		pool->free[i] = (struct buf *)(void *)at;
	pool->available = pool->count;
}

struct pool *pool_create(const struct allocator *a, u32 count)
{
	return pool_create_small(a, count, BUF_PAYLOAD_MAX);
}

struct pool *pool_create_small(const struct allocator *a, u32 count, u32 payload)
{
	struct pool *pool = mem_alloc(a, pool_size(count));
	u32 size = BUF_HEADROOM + payload + BUF_TAILROOM;

	if (!pool)
		return NULL;
	pool->memory = mem_alloc(a, memory_size(count, size));
	if (!pool->memory) {
		mem_free(a, pool, pool_size(count));
		return NULL;
	}
	pool->allocator = *a;
	pool->count = count;
	pool->size = size;
	fill_stack(pool);
	return pool;
}

void pool_destroy(struct pool *pool)
{
	struct allocator a;

	if (!pool)
		return;
	a = pool->allocator;
	mem_free(&a, pool->memory, memory_size(pool->count, pool->size));
	mem_free(&a, pool, pool_size(pool->count));
}

u32 pool_available(const struct pool *pool)
{
	return pool->available;
}

struct buf *buf_get(struct pool *pool)
{
	struct buf *b;

	if (!pool->available)
		return NULL;
	b = pool->free[--pool->available];
	b->pool = pool;
	b->next = NULL;
	b->refs = 1;
	b->size = pool->size;
	b->offset = BUF_HEADROOM;
	b->length = 0;
	b->segment = 0;
	return b;
}

struct buf *buf_ref(struct buf *b)
{
	b->refs++;
	return b;
}

void buf_put(struct buf *b)
{
	if (!b || --b->refs)
		return;
	b->pool->free[b->pool->available++] = b;
}
