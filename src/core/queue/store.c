/* SPDX-License-Identifier: MIT */
/*
 * store.c - see store.h. What would not fit before the ring's end begins at its start.
 */
#include "warp/store.h"

#include <errno.h>
#include <string.h>

int store_init(struct store *s, const struct allocator *a, u32 size)
{
	*s = (struct store){ .bytes = mem_alloc(a, size), .size = size };
	return s->bytes ? 0 : -ENOMEM;
}

void store_clear(struct store *s, const struct allocator *a)
{
	mem_free(a, s->bytes, s->size);
	s->bytes = NULL;
}

int store_grow(struct store *s, const struct allocator *a)
{
	const u64 lap = s->head - s->head % s->size, before = lap ? lap - s->size : 0;
	const u32 at = (u32)(s->head - lap), size = 2 * s->size;
	u8 *bytes = mem_alloc(a, size);

	if (!bytes)
		return -ENOMEM;
	memcpy(bytes + lap % size, s->bytes, at);
	if (lap)
		memcpy(bytes + before % size + at, s->bytes + at, s->size - at);
	s->first = lap ? before + at : 0;
	mem_free(a, s->bytes, s->size);
	s->bytes = bytes;
	s->size = size;
	return 0;
}

u8 *store_put(struct store *s, u32 size, u64 *ret_position)
{
	u32 at = (u32)(s->head % s->size);

	if (s->size - at < size) {
		s->head += s->size - at;
		at = 0;
	}
	*ret_position = s->head;
	s->head += size;
	return s->bytes + at;
}

u8 *store_get(const struct store *s, u64 position)
{
	if (s->head - position > s->size || position < s->first)
		return NULL;
	return s->bytes + position % s->size;
}
