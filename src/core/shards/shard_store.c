/* SPDX-License-Identifier: MIT */
/*
 * shard_store.c - a queue of buffers, of which the newest is being filled.
 */
#include "warp/shard_store.h"

#define CAPACITY (BUF_BYTES - BUF_HEADROOM)

static struct buf **buf_at(struct shard_store *s, u32 position)
{
	return &s->bufs[position % SHARD_STORE_BUFFERS];
}

static void drop_oldest(struct shard_store *s)
{
	buf_put(*buf_at(s, s->head));
	*buf_at(s, s->head++) = NULL;
	s->budget->used--;
}

static bool may_grow(const struct shard_store *s)
{
	return s->tail - s->head < SHARD_STORE_BUFFERS && s->budget->used < s->budget->limit &&
	       pool_available(s->pool) > 0;
}

/* A new buffer to fill. */
static bool begin_buffer(struct shard_store *s, u64 now, u64 keep)
{
	const bool old = s->head != s->tail && shard_store_oldest(s) + keep < now;

	if ((old || !may_grow(s)) && s->head != s->tail)
		drop_oldest(s);
	if (!may_grow(s))
		return false;
	*buf_at(s, s->tail) = buf_get(s->pool);
	s->budget->used++;
	s->tail++;
	return true;
}

u8 *shard_store_put(struct shard_store *s, u64 now, u64 keep, u32 size, struct shard_place *ret)
{
	struct buf *b = s->head == s->tail ? NULL : *buf_at(s, s->tail - 1);

	if (!b || b->length + size > CAPACITY) {
		if (!begin_buffer(s, now, keep))
			return NULL;
		b = *buf_at(s, s->tail - 1);
	}
	s->written[(s->tail - 1) % SHARD_STORE_BUFFERS] = now;
	*ret = (struct shard_place){ .buffer = s->tail, .offset = b->length, .size = size };
	b->length += size;
	return buf_data(b) + ret->offset;
}

u8 *shard_store_get(const struct shard_store *s, const struct shard_place *place)
{
	const u32 position = place->buffer - 1;

	if (place->buffer == 0 || position - s->head >= s->tail - s->head)
		return NULL;
	return buf_data(s->bufs[position % SHARD_STORE_BUFFERS]) + place->offset;
}

void shard_store_forget(struct shard_store *s, u64 before)
{
	while (s->head != s->tail && shard_store_oldest(s) < before)
		drop_oldest(s);
}

u64 shard_store_oldest(const struct shard_store *s)
{
	return s->head == s->tail ? TIME_NEVER : s->written[s->head % SHARD_STORE_BUFFERS];
}
