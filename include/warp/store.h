/* SPDX-License-Identifier: MIT */
/*
 * store.h - a ring of bytes in which payloads lie until they have been sent, and for as long after
 * that as the ring takes to come around: so that they can be sent again.
 *
 * Nobody gives anything back. A place is known by its position, which only grows; whether what was put
 * there still lies there can be told from it.
 */
#ifndef WARP_STORE_H
#define WARP_STORE_H

#include "warp/base.h"

struct store {
	u8 *bytes;
	u32 size;
	u64 head;  /* position of what is put next */
	u64 first; /* what lies before was not taken along when it grew */
};

/* 0, -ENOMEM. */
int store_init(struct store *s, const struct allocator *a, u32 size);
void store_clear(struct store *s, const struct allocator *a);
/* Twice the size, with what lies there: positions stay, addresses do not. 0; -ENOMEM: it is as it was. */
int store_grow(struct store *s, const struct allocator *a);
/* A place in one piece for size bytes, a small part of the ring; what lay there is gone. */
u8 *store_put(struct store *s, u32 size, u64 *ret_position);
/* What lies there, or NULL: it is gone. */
u8 *store_get(const struct store *s, u64 position);

#endif
