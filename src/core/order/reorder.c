/* SPDX-License-Identifier: MIT */
/*
 * reorder.c - see reorder.h.
 *
 * A payload has the slot of its sequence, modulo their number; the window begins with the next one
 * to deliver, so that no two meet.
 *
 *            next                                          next + REORDER_SLOTS
 *   delivered | gap | 6 | 7 | gap | 9 | 10 | ...            |
 *
 * The slots in use form a list by age of arrival. Whatever is held lies behind the first gap, so the
 * oldest one tells how long that has been known; when the oldest has waited enough, every gap before
 * it has too. This is exact, and nothing is searched.
 *
 * A holder stands for a buffer: the payloads of one train arrive together and share it.
 */
#include "warp/reorder.h"

#include "late.h"

#define NONE 0xffffu
#define JUMP (1u << 22) /* further is a new life of the sender */

_Static_assert((REORDER_SLOTS & (REORDER_SLOTS - 1)) == 0, "sequences wrap");
_Static_assert(REORDER_SLOTS < NONE && REORDER_BUFFERS < NONE, "indices are 16 bits");

struct slot {
	u8 *data; /* NULL: free */
	u64 arrived, deadline;
	u32 size;
	u16 holder;
	u16 older, younger;
};

struct holder {
	struct buf *buf;
	u32 payloads; /* each has one reference; 0: free */
};

struct reorder {
	struct reorder_budget *budget;
	u64 wait;
	bool begun;
	u32 next;    /* the sequence to deliver next */
	u32 highest; /* seen */
	u32 skip;    /* gaps among so many from next on are passed over */
	u32 held;
	u16 oldest, youngest; /* slots */
	struct late late;
	u64 put_right;
	u16 newest_holder; /* may be free */
	u32 free_count;
	u16 free_holders[REORDER_BUFFERS];
	struct holder holders[REORDER_BUFFERS];
	struct slot slots[REORDER_SLOTS];
};

struct reorder *reorder_create(const struct allocator *a, struct reorder_budget *budget)
{
	struct reorder *r = mem_alloc(a, sizeof(*r));

	if (!r)
		return NULL;
	r->budget = budget;
	r->wait = REORDER_WAIT_MIN;
	r->oldest = r->youngest = NONE;
	for (u16 n = 0; n < REORDER_BUFFERS; n++)
		r->free_holders[r->free_count++] = n;
	return r;
}

void reorder_destroy(const struct allocator *a, struct reorder *r)
{
	struct reorder_item item;

	if (!r)
		return;
	r->skip = REORDER_SLOTS;
	while (reorder_next(r, 0, &item))
		buf_put(item.buf);
	mem_free(a, r, sizeof(*r));
}

void reorder_set_wait(struct reorder *r, u64 wait)
{
	r->wait = wait;
}

u32 reorder_waiting(const struct reorder *r)
{
	return r->held;
}

u64 reorder_put_right(const struct reorder *r)
{
	return r->put_right;
}

/* --- buffers --------------------------------------------------------------------------------- */

/* One is always free when this is called: see is_crowded(). */
static u16 hold(struct reorder *r, struct buf *buf)
{
	u16 n = r->newest_holder;

	if (!r->holders[n].payloads || r->holders[n].buf != buf) {
		n = r->free_holders[--r->free_count];
		r->holders[n].buf = buf;
		r->newest_holder = n;
		r->budget->used++;
	}
	r->holders[n].payloads++;
	return n;
}

static struct buf *let_go(struct reorder *r, u16 n)
{
	if (--r->holders[n].payloads == 0) {
		r->free_holders[r->free_count++] = n;
		r->budget->used--;
	}
	return r->holders[n].buf;
}

/* Too many buffers are held here, or everywhere. */
static bool is_crowded(const struct reorder *r)
{
	return r->free_count == 0 || r->budget->used > r->budget->limit;
}

/* --- slots ----------------------------------------------------------------------------------- */

static struct slot *slot_of(struct reorder *r, u32 sequence)
{
	return &r->slots[sequence % REORDER_SLOTS];
}

static void store(struct reorder *r, u64 now, u32 sequence, const struct reorder_item *item)
{
	const u16 n = (u16)(sequence % REORDER_SLOTS);

	r->slots[n] = (struct slot){ .data = item->data,
				     .arrived = now,
				     .deadline = item->deadline,
				     .size = item->size,
				     .holder = hold(r, item->buf),
				     .older = r->youngest,
				     .younger = NONE };
	*(r->youngest == NONE ? &r->oldest : &r->slots[r->youngest].younger) = n;
	r->youngest = n;
	r->held++;
}

static void take(struct reorder *r, struct slot *s, struct reorder_item *ret)
{
	*(s->older == NONE ? &r->oldest : &r->slots[s->older].younger) = s->younger;
	*(s->younger == NONE ? &r->youngest : &r->slots[s->younger].older) = s->older;
	*ret = (struct reorder_item){ s->data, s->size, let_go(r, s->holder), s->deadline };
	s->data = NULL;
	r->held--;
}

static void advance(struct reorder *r)
{
	r->next++;
	if (r->skip)
		r->skip--;
}

/* --- out ------------------------------------------------------------------------------------- */

static u64 oldest_expiry(const struct reorder *r)
{
	const struct slot *s;
	u64 at;

	if (r->oldest == NONE)
		return TIME_NEVER;
	s = &r->slots[r->oldest];
	at = time_after(s->arrived, r->wait);
	return time_min(at, hurry_at(s->deadline));
}

bool reorder_next(struct reorder *r, u64 now, struct reorder_item *ret)
{
	while (r->held) {
		struct slot *s = slot_of(r, r->next);

		if (s->data) {
			take(r, s, ret);
			advance(r);
			return true;
		}
		if (!r->skip && !is_crowded(r) && oldest_expiry(r) > now)
			return false;
		advance(r);
	}
	r->next += r->skip;
	r->skip = 0;
	return false;
}

u64 reorder_next_expiry(const struct reorder *r)
{
	if (r->held && (r->skip || is_crowded(r) || r->slots[r->next % REORDER_SLOTS].data))
		return r->slots[r->oldest].arrived; /* not all that is due was fetched */
	return oldest_expiry(r);
}

/* --- in -------------------------------------------------------------------------------------- */

static void begin(struct reorder *r, u32 sequence)
{
	r->begun = true;
	r->next = r->highest = sequence;
	r->skip = 0;
	r->late.run = 0;
}

/* Its place is in the window, or was. */
static void note_in_time(struct reorder *r, u32 sequence)
{
	r->late.run = 0;
	if (r->highest - sequence - 1 < JUMP)
		r->put_right++;
	else
		r->highest = sequence;
}

/* The sender counts from elsewhere: far away, or nothing has been in time for very long. */
static bool is_new_life(struct reorder *r, u64 now, u32 sequence)
{
	const u32 ahead = sequence - r->next, behind = r->next - sequence;

	if (ahead <= JUMP)
		return false;
	if (behind > JUMP)
		return true;
	return late_again(&r->late, now);
}

/* What is held goes out first, whatever the gaps. */
static enum drop_reason begin_anew(struct reorder *r, u32 sequence)
{
	if (r->held) {
		r->skip = REORDER_SLOTS;
		return DROP_QUEUE_FULL;
	}
	begin(r, sequence);
	return DROP_NONE;
}

/* Is there a place for it? */
static enum drop_reason admit(struct reorder *r, u64 now, u32 sequence)
{
	const u32 ahead = sequence - r->next;

	if (!r->begun || is_new_life(r, now, sequence))
		return begin_anew(r, sequence);
	if (ahead > JUMP)
		return DROP_LATE;
	if (ahead >= REORDER_SLOTS) {
		r->skip = ahead - REORDER_SLOTS + 1;
		return DROP_QUEUE_FULL;
	}
	if (slot_of(r, sequence)->data)
		return DROP_DUPLICATE;
	return r->free_count ? DROP_NONE : DROP_QUEUE_FULL;
}

bool reorder_pass(struct reorder *r, u32 sequence)
{
	if (!r->begun)
		begin(r, sequence);
	if (r->held || sequence != r->next)
		return false;
	note_in_time(r, sequence);
	advance(r);
	return true;
}

enum drop_reason reorder_put(struct reorder *r, u64 now, u32 sequence,
			     const struct reorder_item *item)
{
	enum drop_reason reason = admit(r, now, sequence);

	if (reason != DROP_NONE)
		return reason;
	note_in_time(r, sequence);
	store(r, now, sequence, item);
	return DROP_NONE;
}
