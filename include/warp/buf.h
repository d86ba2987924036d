/* SPDX-License-Identifier: MIT */
/*
 * buf.h - the buffers that payloads and datagrams live in, over a fixed pool.
 *
 * A buffer holds one *train*: a run of datagrams, all `segment` bytes long but the last (what
 * UDP_SEGMENT and UDP_GRO speak); segment 0 means a single datagram. There is room before the
 * data for headers and behind it for a tag, so that a payload is framed and sealed where it lies.
 * A buffer is reference-counted while several paths still have to send it; nobody writes to a
 * buffer that is shared. Memory pages of a buffer that were never touched cost nothing.
 */
#ifndef WARP_BUF_H
#define WARP_BUF_H

#include "warp/base.h"

#define BUF_HEADROOM 128u
#define BUF_PAYLOAD_MAX 65536u /* what an application may send at once */
#define BUF_TAILROOM 64u
#define BUF_BYTES (BUF_HEADROOM + BUF_PAYLOAD_MAX + BUF_TAILROOM)

struct pool;

struct buf {
	struct pool *pool;
	struct buf *next; /* for whoever holds the buffer */
	u32 refs;
	u32 offset;  /* of the data in bytes[] */
	u32 length;  /* of the data */
	u32 size;    /* of bytes[] */
	u32 segment; /* datagram size within a train, 0: one datagram */
	u8 bytes[];
};

/* count buffers at once from a, for BUF_PAYLOAD_MAX bytes each; NULL when there is no memory. */
struct pool *pool_create(const struct allocator *a, u32 count);
/* The same for who needs no more than payload bytes (at most BUF_PAYLOAD_MAX). */
struct pool *pool_create_small(const struct allocator *a, u32 count, u32 payload);
void pool_destroy(struct pool *pool);
u32 pool_available(const struct pool *pool);

/* A buffer with length 0 at BUF_HEADROOM and one reference, or NULL: the pool is exhausted. The
 * most recently released buffer comes first (it is warm in the cache). */
struct buf *buf_get(struct pool *pool);
struct buf *buf_ref(struct buf *b);
/* Gives up one reference; NULL is allowed. */
void buf_put(struct buf *b);

static inline u8 *buf_data(struct buf *b)
{
	return b->bytes + b->offset;
}

/* How many bytes fit behind the data. */
static inline u32 buf_tailroom(const struct buf *b)
{
	return b->size - b->offset - b->length;
}

/* Makes n bytes of headroom part of the data; the caller knows that there are as many. */
static inline u8 *buf_push(struct buf *b, u32 n)
{
	b->offset -= n;
	b->length += n;
	return buf_data(b);
}

#endif
