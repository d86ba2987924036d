/* SPDX-License-Identifier: MIT */
/*
 * reseq.c - see reseq.h.
 *
 *   next - WINDOW               next                       next + WINDOW
 *     | passed: a bit for each   | gap | held | held | gap ... |
 *
 * What is held is found by bucket and sequence in a table of chains. A gap is as old as the first of those
 * held when it became the next; so a gap may get a little more than its time, never less.
 */
#include "warp/reseq.h"

#include <string.h>

#include "late.h"

#define NONE 0xffffu
#define CHAINS 4096u
#define JUMP (1u << 20) /* further is a new life of the sender */
#define WORDS (RESEQ_WINDOW / 64)

_Static_assert(RESEQ_HELD < NONE, "indices are 16 bits");
_Static_assert(FLOW_BUCKETS == 64, "a set of buckets is 64 bits");

struct held {
	struct reorder_item item;
	u64 at;
	u32 sequence;
	u16 next; /* in its chain, or of the free ones */
	u8 bucket;
};

struct bucket {
	bool begun;
	u32 next;
	u32 held;
	u32 pass_until; /* gaps before this sequence are passed over at once, while passing */
	bool passing;
	u64 gap_since;    /* while something is held */
	u64 hurry_at;     /* the same: something held has to be let go then */
	struct late late; /* that came from behind the window */
	u64 passed[WORDS];
};

struct reseq {
	enum reseq_order order;
	u64 wait;
	u64 waiting; /* buckets that hold something */
	u32 held;
	u64 lost;
	u16 free;
	u16 chain[CHAINS];
	struct bucket bucket[FLOW_BUCKETS];
	struct held place[RESEQ_HELD];
};

struct reseq *reseq_create(const struct allocator *a, enum reseq_order order)
{
	struct reseq *r = mem_alloc(a, sizeof(*r));

	if (!r)
		return NULL;
	r->order = order;
	for (u32 n = 0; n < CHAINS; n++)
		r->chain[n] = NONE;
	for (u32 n = 0; n < RESEQ_HELD; n++)
		r->place[n].next = n + 1 < RESEQ_HELD ? (u16)(n + 1) : NONE;
	return r;
}

void reseq_destroy(const struct allocator *a, struct reseq *r)
{
	struct reorder_item item;

	if (!r)
		return;
	r->wait = 0;
	while (reseq_next(r, TIME_NEVER, &item))
		buf_put(item.buf);
	mem_free(a, r, sizeof(*r));
}

void reseq_set_wait(struct reseq *r, u64 wait)
{
	r->wait = wait;
}

u32 reseq_waiting(const struct reseq *r)
{
	return r->held;
}

u64 reseq_lost(const struct reseq *r)
{
	return r->lost;
}

/* --- what has passed ------------------------------------------------------------------------- */

static u64 bit_of(u32 sequence)
{
	return UINT64_C(1) << (sequence % 64);
}

static u64 *word_of(struct bucket *b, u32 sequence)
{
	return &b->passed[sequence % RESEQ_WINDOW / 64];
}

static bool has_passed(const struct bucket *b, u32 sequence)
{
	return (b->passed[sequence % RESEQ_WINDOW / 64] & bit_of(sequence)) != 0;
}

/* The next one is passed, or passed over. */
static void advance(struct bucket *b, bool passed)
{
	u64 *word = word_of(b, b->next);

	*word = passed ? *word | bit_of(b->next) : *word & ~bit_of(b->next);
	b->next++;
}

/* --- what is held ---------------------------------------------------------------------------- */

static u16 *chain_of(struct reseq *r, u8 bucket, u32 sequence)
{
	return &r->chain[(sequence + bucket * 509u) % CHAINS];
}

/* Where in a chain this one is told; *ret is NONE when it is not held. */
static u16 *find(struct reseq *r, u8 bucket, u32 sequence)
{
	u16 *at = chain_of(r, bucket, sequence);

	while (*at != NONE &&
	       (r->place[*at].sequence != sequence || r->place[*at].bucket != bucket))
		at = &r->place[*at].next;
	return at;
}

void reseq_hold(struct reseq *r, u64 now, u8 bucket, u32 sequence, const struct reorder_item *item)
{
	struct bucket *b = &r->bucket[bucket];
	u16 *chain = chain_of(r, bucket, sequence);
	const u16 n = r->free;

	r->free = r->place[n].next;
	r->place[n] = (struct held){ *item, now, sequence, *chain, bucket };
	*chain = n;
	r->held++;
	if (b->held++ == 0) {
		b->gap_since = now;
		b->hurry_at = TIME_NEVER;
	}
	b->hurry_at = time_min(b->hurry_at, hurry_at(item->deadline));
	r->waiting |= UINT64_C(1) << bucket;
}

static void let_go(struct reseq *r, struct bucket *b, u16 *at, struct reorder_item *ret)
{
	const u16 n = *at;

	*ret = r->place[n].item;
	*at = r->place[n].next;
	r->place[n].next = r->free;
	r->free = n;
	r->held--;
	if (--b->held == 0)
		r->waiting &= ~(UINT64_C(1) << (b - r->bucket));
}

/* --- in -------------------------------------------------------------------------------------- */

static void begin(struct bucket *b, u32 sequence)
{
	*b = (struct bucket){ .begun = true, .next = sequence };
}

/* Everything held before this is to go out at once. */
static enum reseq_verdict pass_until(struct bucket *b, u32 sequence)
{
	b->passing = true;
	b->pass_until = sequence;
	return RESEQ_FULL;
}

/* So far ahead that the window has to move. */
static enum reseq_verdict move(struct bucket *b, u32 sequence)
{
	const u32 next = sequence - RESEQ_WINDOW + 1;

	if (b->held)
		return pass_until(b, next);
	if (next - b->next > RESEQ_WINDOW) {
		memset(b->passed, 0, sizeof(b->passed));
		b->next = next;
	}
	while (b->next != next)
		advance(b, false);
	return RESEQ_EARLY;
}

static enum reseq_verdict take_late(struct reseq *r, struct bucket *b, u32 sequence)
{
	if (b->next - sequence > RESEQ_WINDOW)
		return RESEQ_LATE;
	if (has_passed(b, sequence))
		return RESEQ_DUPLICATE;
	if (r->order == RESEQ_STRICT)
		return RESEQ_LATE;
	*word_of(b, sequence) |= bit_of(sequence);
	r->lost -= r->lost > 0;
	return RESEQ_PASS;
}

static enum reseq_verdict take_early(struct reseq *r, u8 bucket, u32 sequence)
{
	struct bucket *b = &r->bucket[bucket];

	if (sequence - b->next >= RESEQ_WINDOW) {
		const u64 lost = sequence - b->next - (RESEQ_WINDOW - 1);

		if (move(b, sequence) == RESEQ_FULL)
			return RESEQ_FULL;
		r->lost += lost;
	}
	if (*find(r, bucket, sequence) != NONE)
		return RESEQ_DUPLICATE;
	if (r->order == RESEQ_NONE) {
		r->lost += sequence - b->next;
		while (b->next != sequence)
			advance(b, false);
		advance(b, true);
		return RESEQ_PASS;
	}
	if (r->free == NONE) /* this bucket has to do with less */
		return b->held ? pass_until(b, sequence) : RESEQ_LATE;
	return RESEQ_EARLY;
}

/* The sender counts from elsewhere: far away, or nothing has been in time for very long. */
static bool is_new_life(struct bucket *b, u64 now, u32 sequence)
{
	const u32 ahead = sequence - b->next, behind = b->next - sequence;

	if (behind <= RESEQ_WINDOW || behind > JUMP) {
		b->late.run = 0;
		return ahead > JUMP && behind > JUMP;
	}
	return late_again(&b->late, now);
}

enum reseq_verdict reseq_ask(struct reseq *r, u64 now, u8 bucket, u32 sequence)
{
	struct bucket *b = &r->bucket[bucket];
	u32 ahead = sequence - b->next, behind = b->next - sequence;

	if (!b->begun || is_new_life(b, now, sequence)) {
		if (b->held)
			return pass_until(b, b->next + RESEQ_WINDOW);
		begin(b, sequence);
		ahead = behind = 0;
	}
	if (ahead == 0) {
		if (b->held && *find(r, bucket, sequence) != NONE) /* due, not fetched yet */
			return RESEQ_DUPLICATE;
		advance(b, true);
		return RESEQ_PASS;
	}
	if (behind <= JUMP)
		return take_late(r, b, sequence);
	return take_early(r, bucket, sequence);
}

bool reseq_knows(const struct reseq *r, u8 bucket, u32 sequence)
{
	const struct bucket *b = &r->bucket[bucket];
	const u32 behind = b->next - sequence;

	if (!b->begun)
		return false;
	if (behind - 1 < RESEQ_WINDOW)
		return has_passed(b, sequence);
	for (u16 n = r->chain[(sequence + bucket * 509u) % CHAINS]; n != NONE;
	     n = r->place[n].next) {
		if (r->place[n].sequence == sequence && r->place[n].bucket == bucket)
			return true;
	}
	return false;
}

/* --- out ------------------------------------------------------------------------------------- */

/* A gap is known since the first that is held behind it came. */
static void look_for_gap(struct reseq *r, struct bucket *b)
{
	const u8 bucket = (u8)(b - r->bucket);
	u32 sequence = b->next;
	u16 n;

	while ((n = *find(r, bucket, sequence)) == NONE)
		sequence++;
	b->gap_since = r->place[n].at;
	b->hurry_at = hurry_at(r->place[n].item.deadline); /* those behind it have more time */
}

/* Until when what is missing is waited for. */
static u64 over_at(const struct reseq *r, const struct bucket *b)
{
	return time_min(time_after(b->gap_since, r->wait), b->hurry_at);
}

static bool passes(const struct bucket *b)
{
	return b->passing && (i64)(int32_t)(b->pass_until - b->next) > 0;
}

/* One of this bucket that is due. */
static bool bucket_next(struct reseq *r, struct bucket *b, u64 now, struct reorder_item *ret)
{
	const u8 bucket = (u8)(b - r->bucket);
	const bool over = over_at(r, b) <= now;
	u16 *at;

	while (*(at = find(r, bucket, b->next)) == NONE) {
		if (!over && !passes(b))
			return false;
		r->lost++;
		advance(b, false);
	}
	let_go(r, b, at, ret);
	advance(b, true);
	if (b->held == 0)
		b->passing = false;
	else if (*find(r, bucket, b->next) == NONE)
		look_for_gap(r, b);
	return true;
}

bool reseq_next(struct reseq *r, u64 now, struct reorder_item *ret)
{
	for (u64 mask = r->waiting; mask; mask &= mask - 1) {
		if (bucket_next(r, &r->bucket[__builtin_ctzll(mask)], now, ret))
			return true;
	}
	return false;
}

u64 reseq_next_expiry(const struct reseq *r)
{
	u64 at = TIME_NEVER;

	for (u64 mask = r->waiting; mask; mask &= mask - 1) {
		const u8 n = (u8)__builtin_ctzll(mask);
		const struct bucket *b = &r->bucket[n];

		if (passes(b) || reseq_knows(r, n, b->next))
			return b->gap_since;
		at = time_min(at, over_at(r, b));
	}
	return at;
}
