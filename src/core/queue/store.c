/* SPDX-License-Identifier: MIT */
/*
 * store.c - see store.h. What would not fit before the ring's end begins at its start.
 */
#include "warp/store.h"

#include <errno.h>

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
	return s->head - position <= s->size ? s->bytes + position % s->size : NULL;
}
