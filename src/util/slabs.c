/* SPDX-License-Identifier: MIT */
/*
 * slabs.c - blocks side by side; see slabs.h.
 *
 *   slab, aligned to its size    | struct slab | block | block | ...       | never used |
 *
 * The address of a block tells its slab. Each size has a list of the slabs with room; a slab that is
 * full is on no list. A free block holds the pointer to the next one.
 *
 * The last empty slab of a size is kept, so that one block that comes and goes costs no system
 * call.
 */
#include "warp/slabs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "warp/memory.h"

#define SLAB_SIZE ((size_t)64 << 10)
#define STEP 16u
#define SIZES (SLABS_LARGEST / STEP)
#define HEADER ((sizeof(struct slab) + STEP - 1) / STEP * STEP)

struct block {
	struct block *next;
};

struct slab {
	struct slab *next, *before; /* with room; NULL, NULL when it is full, too */
	struct block *free;
	u32 size;    /* of a block */
	u32 used;    /* blocks in use */
	size_t from; /* what lies from here on was never used */
};

struct slabs {
	struct slab *room[SIZES];
};

int slabs_create(struct slabs **ret)
{
	struct slabs *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

static struct slab **list_of(struct slabs *s, u32 size)
{
	return &s->room[size / STEP - 1];
}

static void list_add(struct slabs *s, struct slab *slab)
{
	struct slab **list = list_of(s, slab->size);

	slab->before = NULL;
	slab->next = *list;
	if (*list)
		(*list)->before = slab;
	*list = slab;
}

static void list_remove(struct slabs *s, struct slab *slab)
{
	*(slab->before ? &slab->before->next : list_of(s, slab->size)) = slab->next;
	if (slab->next)
		slab->next->before = slab->before;
	slab->next = slab->before = NULL;
}

/* The kernel aligns to pages only: twice as much is taken and what is too much given back. */
static void *map_aligned(void)
{
	u8 *p = mmap(NULL, 2 * SLAB_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		     0);
	size_t before;

	if (p == MAP_FAILED)
		return NULL;
	before = (SLAB_SIZE - (uintptr_t)p % SLAB_SIZE) % SLAB_SIZE;
	if (before)
		munmap(p, before);
	munmap(p + before + SLAB_SIZE, SLAB_SIZE - before);
	return p + before;
}

static struct slab *new_slab(struct slabs *s, u32 size)
{
	struct slab *slab = map_aligned();

	if (!slab)
		return NULL;
	slab->size = size;
	slab->from = HEADER;
	list_add(s, slab);
	return slab;
}

static bool is_full(const struct slab *slab)
{
	return !slab->free && slab->from + slab->size > SLAB_SIZE;
}

/* Zeroed, which it is when it was never used. */
static void *take(struct slab *slab)
{
	struct block *b = slab->free;

	slab->used++;
	if (b) {
		slab->free = b->next;
		return memset(b, 0, slab->size);
	}
	slab->from += slab->size;
	return (u8 *)slab + slab->from - slab->size;
}

static u32 rounded(size_t size)
{
	return size ? (u32)((size + STEP - 1) / STEP * STEP) : STEP;
}

static void *slabs_alloc(void *ctx, size_t size)
{
	struct slabs *s = ctx;
	struct slab *slab;
	void *p;

	if (size > SLABS_LARGEST)
		return mem_alloc(&system_allocator, size);
	slab = *list_of(s, rounded(size));
	if (!slab)
		slab = new_slab(s, rounded(size));
	if (!slab)
		return NULL;
	p = take(slab);
	if (is_full(slab))
		list_remove(s, slab);
	return p;
}

static bool is_only_one(struct slabs *s, const struct slab *slab)
{
	return *list_of(s, slab->size) == slab && !slab->next;
}

static void slabs_free(void *ctx, void *ptr, size_t size)
{
	struct slabs *s = ctx;
	struct block *b = ptr;
	struct slab *slab;

	if (size > SLABS_LARGEST) {
		mem_free(&system_allocator, ptr, size);
		return;
	}
	slab = (struct slab *)(void *)((u8 *)ptr - (uintptr_t)ptr % SLAB_SIZE);
	if (is_full(slab))
		list_add(s, slab);
	b->next = slab->free;
	slab->free = b;
	if (--slab->used || is_only_one(s, slab))
		return;
	list_remove(s, slab);
	munmap(slab, SLAB_SIZE);
}

void slabs_destroy(struct slabs *s)
{
	struct slab *slab;

	if (!s)
		return;
	for (u32 i = 0; i < SIZES; i++) {
		while ((slab = s->room[i])) {
			list_remove(s, slab);
			munmap(slab, SLAB_SIZE);
		}
	}
	free(s);
}

struct allocator slabs_allocator(struct slabs *s)
{
	return (struct allocator){ .alloc = slabs_alloc, .free = slabs_free, .ctx = s };
}
