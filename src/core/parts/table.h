/* SPDX-License-Identifier: MIT */
/*
 * table.h - a hash table of links that lie inside of what it holds.
 *
 * It is chained, and doubles when there are as many members as buckets. When there is no memory
 * for that it stays as it is, with longer chains. A member's hash is the caller's and is kept, so
 * that growing computes none. Whoever looks something up walks the chain and compares.
 */
#ifndef WARP_TABLE_H
#define WARP_TABLE_H

#include "warp/base.h"

/* What a member lies in. */
#define CONTAINER(pointer, type, member)                                                           \
	((type *)(void *)((u8 *)(void *)(pointer)-offsetof(type, member)))

struct link {
	struct link *next;
	u32 hash;
};

struct table {
	struct link **bucket;
	u32 buckets; /* a power of two, or 0 */
	u32 count;
};

/* The first of the members among which one with this hash is, or NULL. */
static inline struct link *table_chain(const struct table *t, u32 hash)
{
	return t->buckets ? t->bucket[hash & (t->buckets - 1)] : NULL;
}

/* 0, or -ENOMEM, only for the first member. */
int table_insert(struct table *t, const struct allocator *a, struct link *l, u32 hash);
void table_remove(struct table *t, struct link *l);
/* Frees the buckets; the members are the caller's. */
void table_clear(struct table *t, const struct allocator *a);

#endif
