/* SPDX-License-Identifier: MIT */
/*
 * impair.c - a bad link: a bottleneck, dice, and a heap of what is under way.
 *
 * The bottleneck is one point in time, at which the link has sent all it was given: a packet
 * begins to be sent then, or at once. What does not make a whole nanosecond is carried on to the
 * next packet, so that the rate is exact. A queue of bytes is a queue of the time that these bytes
 * take.
 *
 * Smooth jitter is a random walk: every WALK_STEP the delay heads for a new place not far from the
 * last, reflected at delay +- jitter (all places are then equally likely), and in between it moves
 * in a straight line. The walk has random numbers of its own, as its steps follow time and not
 * packets.
 */
#include "warp/impair.h"

#include <errno.h>
#include <string.h>

#define BITS_NS (8 * NS_PER_S)
#define WALK_STEP (20 * NS_PER_MS)
#define WALK_FORGETS 64u /* steps after which where it was says nothing */
#define WALK_REACH 4u    /* a step goes at most this part of the whole way */

struct entry {
	u64 due, number; /* packets of one time come in the order in which they were pushed */
	void *packet;
	u32 flip;
};

struct walk {
	u64 random;
	u64 at;       /* when it left from */
	u64 from, to; /* 0..2 * jitter */
	bool begun;
};

struct impair {
	struct allocator allocator;
	struct impair_config config;
	struct impair_stats stats;
	u64 random;
	u64 idle_at;   /* when the link has sent all */
	u64 remainder; /* of the last division by the rate */
	u64 last_due;  /* of smooth jitter, which keeps the order */
	u64 pushed;
	bool in_burst;
	struct walk walk;
	u32 count, capacity;
	struct entry heap[];
};

/* --- random numbers ----------------------------------------------------------------------- */

/* SplitMix64. */
static u64 draw(u64 *state)
{
	u64 x = *state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Draws in any case. */
static bool chance(struct impair *i, u32 share)
{
	return (draw(&i->random) >> 32) * IMPAIR_ALL >> 32 < share;
}

/* --- the heap ----------------------------------------------------------------------------- */

static bool earlier(const struct entry *a, const struct entry *b)
{
	return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void heap_add(struct impair *i, const struct entry *e)
{
	u32 at = i->count++;

	for (; at && earlier(e, &i->heap[(at - 1) / 2]); at = (at - 1) / 2)
		i->heap[at] = i->heap[(at - 1) / 2];
	i->heap[at] = *e;
}

static void heap_remove_first(struct impair *i)
{
	const struct entry *last = &i->heap[--i->count];
	u32 at = 0, child;

	for (child = 1; child < i->count; child = 2 * at + 1) {
		if (child + 1 < i->count && earlier(&i->heap[child + 1], &i->heap[child]))
			child++;
		if (!earlier(&i->heap[child], last))
			break;
		i->heap[at] = i->heap[child];
		at = child;
	}
	i->heap[at] = *last;
}

/* --- what happens to a packet ------------------------------------------------------------- */

static u64 queue_limit(const struct impair_config *c)
{
	return c->queue_bytes ? c->queue_bytes * BITS_NS / c->rate : c->queue_ns;
}

/* When the link has sent it; TIME_NEVER: the queue is full. */
static u64 send_on_link(struct impair *i, u64 now, u32 size)
{
	const struct impair_config *c = &i->config;
	u64 wait, took, bits = size * BITS_NS;

	if (!c->rate)
		return now;
	if (i->idle_at < now) {
		i->idle_at = now;
		i->remainder = 0;
	}
	wait = i->idle_at - now;
	bits += i->remainder;
	took = bits / c->rate;
	if (wait && wait + (c->queue_bytes ? took : 0) > queue_limit(c))
		return TIME_NEVER;
	i->remainder = bits % c->rate;
	i->idle_at += took;
	return i->idle_at;
}

static void walk_on(struct walk *w, u64 jitter)
{
	u64 way = 2 * jitter, reach = way / WALK_REACH;
	u64 to = w->to + way + draw(&w->random) % (2 * reach + 1) - reach;

	w->from = w->to;
	/* Shifted up by the whole way: way..2 * way is inside. */
	if (to < way)
		w->to = way - to;
	else if (to > 2 * way)
		w->to = 3 * way - to;
	else
		w->to = to - way;
}

/* Where the walk is, 0..2 * jitter. Time does not go back. */
static u64 walk_to(struct walk *w, u64 now, u64 jitter)
{
	u64 passed = now > w->at ? now - w->at : 0;

	if (!w->begun || passed > WALK_FORGETS * WALK_STEP) {
		w->to = draw(&w->random) % (2 * jitter + 1);
		walk_on(w, jitter);
		w->at = now;
		w->begun = true;
		return w->from;
	}
	for (; passed >= WALK_STEP; passed -= WALK_STEP, w->at += WALK_STEP)
		walk_on(w, jitter);
	if (w->to < w->from)
		return w->from - (w->from - w->to) * passed / WALK_STEP;
	return w->from + (w->to - w->from) * passed / WALK_STEP;
}

/* When a packet arrives that the link has sent at `sent`. */
static u64 arrival(struct impair *i, u64 sent)
{
	const struct impair_config *c = &i->config;
	u64 dice = draw(&i->random), due = sent + c->delay - c->jitter;

	if (!c->smooth || !c->jitter)
		return due + dice % (2 * c->jitter + 1);
	due += walk_to(&i->walk, sent, c->jitter);
	if (due < i->last_due)
		due = i->last_due;
	i->last_due = due;
	return due;
}

/* True: it is lost. */
static bool lose(struct impair *i)
{
	const struct impair_config *c = &i->config;
	bool lost = chance(i, c->loss);

	if (chance(i, i->in_burst ? c->burst_end : c->burst_begin))
		i->in_burst = !i->in_burst;
	i->stats.lost += lost;
	i->stats.lost_in_burst += !lost && i->in_burst;
	return lost || i->in_burst;
}

static bool add(struct impair *i, u64 due, void *packet, u32 flip)
{
	const struct entry e = {
		.due = due, .number = i->pushed++, .packet = packet, .flip = flip
	};

	if (i->count == i->capacity)
		return false;
	heap_add(i, &e);
	return true;
}

/* One that is not lost; how many copies of it are under way. */
static u32 pass(struct impair *i, u64 due, void *packet, u32 size)
{
	const struct impair_config *c = &i->config;
	bool late = chance(i, c->reorder), twice = chance(i, c->duplicate);
	bool corrupt = chance(i, c->corrupt);
	u32 bit = (u32)(draw(&i->random) % ((u64)size * 8));

	if (!add(i, late ? due + c->late : due, packet, corrupt ? bit : IMPAIR_INTACT)) {
		i->stats.no_room++;
		return 0;
	}
	i->stats.reordered += late;
	i->stats.corrupted += corrupt;
	if (!twice || !add(i, due, packet, IMPAIR_INTACT))
		return 1;
	i->stats.duplicated++;
	return 2;
}

u32 impair_push(struct impair *i, u64 now, void *packet, u32 size)
{
	u64 sent, due;

	i->stats.packets++;
	i->stats.bytes += size;
	if (i->config.down) {
		i->stats.down++;
		return 0;
	}
	sent = send_on_link(i, now, size);
	if (sent == TIME_NEVER) {
		i->stats.queue_full++;
		return 0;
	}
	due = arrival(i, sent);
	return lose(i) ? 0 : pass(i, due, packet, size);
}

u64 impair_next_expiry(const struct impair *i)
{
	return i->count ? i->heap[0].due : TIME_NEVER;
}

bool impair_pop(struct impair *i, u64 now, struct impaired *ret)
{
	const struct entry *first = &i->heap[0];

	if (!i->count || first->due > now)
		return false;
	*ret = (struct impaired){ first->packet, first->due, first->flip };
	heap_remove_first(i);
	i->stats.passed++;
	return true;
}

/* --- the whole ---------------------------------------------------------------------------- */

static size_t bytes(u32 capacity)
{
	return sizeof(struct impair) + capacity * sizeof(struct entry);
}

int impair_create(struct impair **ret, const struct allocator *a, u32 capacity, u64 seed)
{
	struct impair *i;

	if (!capacity)
		return -EINVAL;
	i = mem_alloc(a, bytes(capacity));
	if (!i)
		return -ENOMEM;
	i->allocator = *a;
	i->capacity = capacity;
	i->random = seed;
	i->walk.random = draw(&seed);
	*ret = i;
	return 0;
}

void impair_destroy(struct impair *i)
{
	struct allocator a;

	if (!i)
		return;
	a = i->allocator;
	mem_free(&a, i, bytes(i->capacity));
}

void impair_configure(struct impair *i, const struct impair_config *config)
{
	if (config->jitter != i->config.jitter)
		i->walk.begun = false;
	if (config->rate != i->config.rate)
		i->remainder = 0;
	if (!config->burst_begin)
		i->in_burst = false;
	i->last_due = 0;
	i->config = *config;
}

const struct impair_config *impair_config(const struct impair *i)
{
	return &i->config;
}

u32 impair_under_way(const struct impair *i)
{
	return i->count;
}

const struct impair_stats *impair_stats(const struct impair *i)
{
	return &i->stats;
}

void impair_reset_stats(struct impair *i)
{
	memset(&i->stats, 0, sizeof(i->stats));
}
