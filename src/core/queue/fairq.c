/* SPDX-License-Identifier: MIT */
/*
 * fairq.c - see fairq.h.
 *
 * Lines are linked through one table of items. Those that wait for their turn are in one of two lists:
 * the new ones, served first, and the old ones. A line whose turn has used up its bytes goes to the end
 * of the old ones with another QUANTUM.
 */
#include "warp/fairq.h"

#include "warp/codel.h"

#define NONE 0xffffu
#define QUANTUM 3000
#define SMALL 3000u /* bytes: so little is no queue */

_Static_assert(FAIRQ_ITEMS < NONE, "indices are 16 bits");

struct place {
	struct fairq_item item;
	u16 next;
};

enum list { LIST_NONE, LIST_NEW, LIST_OLD };

struct line {
	u16 first, last; /* places */
	u16 next;        /* line, in its list */
	enum list in;
	int credit; /* bytes of its turn */
	u64 bytes;
	struct codel codel;
};

struct lines {
	u16 first, last;
};

struct fairq {
	u64 target; /* ns */
	u32 count;
	u64 bytes;
	u16 free;
	struct lines fresh, old;
	struct line line[FLOW_BUCKETS];
	struct place place[FAIRQ_ITEMS];
};

struct fairq *fairq_create(const struct allocator *a)
{
	struct fairq *q = mem_alloc(a, sizeof(*q));

	if (!q)
		return NULL;
	for (u16 n = 0; n < FAIRQ_ITEMS; n++)
		q->place[n].next = n + 1 < (int)FAIRQ_ITEMS ? (u16)(n + 1) : NONE;
	for (u32 n = 0; n < FLOW_BUCKETS; n++) {
		q->line[n].first = q->line[n].last = q->line[n].next = NONE;
		codel_init(&q->line[n].codel, CODEL_TARGET, CODEL_INTERVAL);
	}
	q->target = CODEL_TARGET;
	q->fresh.first = q->fresh.last = q->old.first = q->old.last = NONE;
	return q;
}

void fairq_destroy(const struct allocator *a, struct fairq *q)
{
	mem_free(a, q, sizeof(*q));
}

u32 fairq_count(const struct fairq *q)
{
	return q->count;
}

u64 fairq_bytes(const struct fairq *q)
{
	return q->bytes;
}

/* Tunnels share the lines, their flows rarely one. */
static u16 line_of(const struct fairq_item *item)
{
	return (u16)((item->bucket + 7u * item->tunnel) % FLOW_BUCKETS);
}

/* --- lists of lines -------------------------------------------------------------------------- */

static void append(struct fairq *q, struct lines *l, u16 n)
{
	q->line[n].next = NONE;
	*(l->first == NONE ? &l->first : &q->line[l->last].next) = n;
	l->last = n;
	q->line[n].in = l == &q->fresh ? LIST_NEW : LIST_OLD;
}

/* The first of them. */
static void remove_first(struct fairq *q, struct lines *l)
{
	struct line *first = &q->line[l->first];

	l->first = first->next;
	if (l->first == NONE)
		l->last = NONE;
	first->in = LIST_NONE;
}

/* --- items ----------------------------------------------------------------------------------- */

bool fairq_put(struct fairq *q, const struct fairq_item *item)
{
	const u16 at = line_of(item), n = q->free;
	struct line *l = &q->line[at];

	if (n == NONE)
		return false;
	q->free = q->place[n].next;
	q->place[n] = (struct place){ .item = *item, .next = NONE };
	*(l->first == NONE ? &l->first : &q->place[l->last].next) = n;
	l->last = n;
	l->bytes += item->size;
	q->bytes += item->size;
	q->count++;
	if (l->in == LIST_NONE) {
		l->credit = QUANTUM;
		append(q, &q->fresh, at);
	}
	return true;
}

const struct fairq_item *fairq_next(struct fairq *q)
{
	while (q->count) {
		struct lines *lines = q->fresh.first != NONE ? &q->fresh : &q->old;
		const u16 n = lines->first;
		struct line *l = &q->line[n];

		if (l->first != NONE && l->credit > 0)
			return &q->place[l->first].item;
		remove_first(q, lines);
		/* An empty new one takes its turn among the old ones before it counts as new again. */
		if (l->first == NONE && lines == &q->old)
			continue;
		if (l->credit <= 0)
			l->credit += QUANTUM;
		append(q, &q->old, n);
	}
	return NULL;
}

const struct fairq_item *fairq_fattest(struct fairq *q)
{
	const struct line *best = &q->line[0];

	for (u32 n = 1; n < FLOW_BUCKETS; n++) {
		if (q->line[n].bytes > best->bytes)
			best = &q->line[n];
	}
	return best->first == NONE ? NULL : &q->place[best->first].item;
}

void fairq_take(struct fairq *q, const struct fairq_item *item)
{
	struct line *l = &q->line[line_of(item)];
	const u16 n = l->first;

	l->credit -= (int)item->size;
	l->bytes -= item->size;
	q->bytes -= item->size;
	q->count--;
	l->first = q->place[n].next;
	if (l->first == NONE)
		l->last = NONE;
	q->place[n].next = q->free;
	q->free = n;
}

/* Takes out what stands behind before, or first if that is NONE. */
static void cut_behind(struct fairq *q, struct line *l, u16 before)
{
	u16 *at = before == NONE ? &l->first : &q->place[before].next;
	const u16 n = *at;

	*at = q->place[n].next;
	if (*at == NONE)
		l->last = before;
	l->bytes -= q->place[n].item.size;
	q->bytes -= q->place[n].item.size;
	q->count--;
	q->place[n].next = q->free;
	q->free = n;
}

u32 fairq_cut(struct fairq *q, const struct fairq_item *item, struct fairq_item *ret)
{
	struct line *l = &q->line[line_of(item)];
	u16 before = NONE, at = l->first;
	u32 count = 0;

	while (at != NONE && q->place[at].item.index > 0) { /* the rest of one that is on its way */
		before = at;
		at = q->place[at].next;
	}
	if (at == NONE)
		return 0;
	*ret = q->place[at].item;
	do {
		at = q->place[at].next;
		cut_behind(q, l, before);
		count++;
	} while (at != NONE && q->place[at].item.index > 0);
	return count;
}

/* What is left stays in its order. */
static u32 forget_line(struct fairq *q, struct line *l, u16 tunnel)
{
	u16 *at = &l->first;
	u32 count = 0;

	l->last = NONE;
	while (*at != NONE) {
		struct place *place = &q->place[*at];
		const u16 n = *at;

		if (place->item.tunnel != tunnel) {
			l->last = n;
			at = &place->next;
			continue;
		}
		*at = place->next;
		l->bytes -= place->item.size;
		q->bytes -= place->item.size;
		place->next = q->free;
		q->free = n;
		count++;
	}
	return count;
}

u32 fairq_forget(struct fairq *q, u16 tunnel)
{
	u32 count = 0;

	for (u32 n = 0; n < FLOW_BUCKETS; n++)
		count += forget_line(q, &q->line[n], tunnel);
	q->count -= count;
	return count;
}

/* --- the law --------------------------------------------------------------------------------- */

void fairq_set_target(struct fairq *q, u64 target)
{
	q->target = target;
}

bool fairq_law(struct fairq *q, const struct fairq_item *item, u64 now)
{
	struct line *l = &q->line[line_of(item)];

	l->codel.target = q->target;
	return codel_judge(&l->codel, now, now - item->at, (u32)(l->bytes - item->size), SMALL);
}
