/* SPDX-License-Identifier: MIT */
/*
 * table.c - chains of links, and the doubling of their number.
 */
#include "table.h"

#include <errno.h>

#define BUCKETS_AT_FIRST 64u

static void chain_up(struct table *t, struct link *l)
{
	struct link **bucket = &t->bucket[l->hash & (t->buckets - 1)];

	l->next = *bucket;
	*bucket = l;
}

static int table_grow(struct table *t, const struct allocator *a)
{
	struct table larger = { .buckets = t->buckets ? t->buckets * 2 : BUCKETS_AT_FIRST };

	if (!larger.buckets)
		return -ENOMEM;
	larger.bucket = mem_alloc(a, larger.buckets * sizeof(struct link *));
	if (!larger.bucket)
		return -ENOMEM;
	for (u32 i = 0; i < t->buckets; i++) {
		for (struct link *l = t->bucket[i], *next; l; l = next) {
			next = l->next;
			chain_up(&larger, l);
		}
	}
	larger.count = t->count;
	mem_free(a, t->bucket, t->buckets * sizeof(struct link *));
	*t = larger;
	return 0;
}

int table_insert(struct table *t, const struct allocator *a, struct link *l, u32 hash)
{
	if (t->count >= t->buckets && table_grow(t, a) < 0 && !t->buckets)
		return -ENOMEM;
	l->hash = hash;
	chain_up(t, l);
	t->count++;
	return 0;
}

void table_remove(struct table *t, struct link *l)
{
	struct link **at = &t->bucket[l->hash & (t->buckets - 1)];

	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	t->count--;
}

void table_clear(struct table *t, const struct allocator *a)
{
	mem_free(a, t->bucket, t->buckets * sizeof(struct link *));
	*t = (struct table){ .bucket = NULL };
}
