/* SPDX-License-Identifier: MIT */
/*
 * shard_store.h - copies of shards that came in, for as long as their blocks may need them.
 *
 * They lie one behind the other in buffers of a pool; when all that may be used are full, the oldest
 * buffer is used again, and what was in it is gone: whoever looks for it is told so.
 */
#ifndef WARP_SHARD_STORE_H
#define WARP_SHARD_STORE_H

#include "warp/buf.h"

#define SHARD_STORE_BUFFERS 64u /* at most; a power of two */

/* Buffers that all stores of an engine hold together. */
struct shard_budget {
	u32 used, limit;
};

struct shard_store {
	struct pool *pool;
	struct shard_budget *budget; /* outlives it */
	u32 head, tail;              /* free running: the buffers there are */
	struct buf *bufs[SHARD_STORE_BUFFERS];
	u64 written[SHARD_STORE_BUFFERS]; /* when last */
};

/* Where a copy lies. Zeros: nowhere. */
struct shard_place {
	u32 buffer; /* position + 1 */
	u32 offset;
	u32 size;
};

/* size bytes, at most BUF_PAYLOAD_MAX, for the caller to fill; NULL: there is no buffer. What is younger
 * than keep (ns) only gives way when there is no other way. */
u8 *shard_store_put(struct shard_store *s, u64 now, u64 keep, u32 size, struct shard_place *ret);
/* NULL: it is gone. */
u8 *shard_store_get(const struct shard_store *s, const struct shard_place *place);
/* Gives back the buffers that were last written before this time. */
void shard_store_forget(struct shard_store *s, u64 before);
/* When the oldest buffer was last written; TIME_NEVER: there is none. */
u64 shard_store_oldest(const struct shard_store *s);

#endif
