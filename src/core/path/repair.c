/* SPDX-License-Identifier: MIT */
/*
 * repair.c - what is not yet reported; see repair.h.
 *
 *   slots   payload n has slot n mod REPAIR_SLOTS
 *   bytes   a ring: what is put in overwrites the oldest, position says whether it did
 *   due     the least of all slots, or less: all are looked at then, and when a report has come
 *
 * Times of reports are smoothed as RFC 6298 smooths round trips, and as there what was sent twice is
 * no sample.
 */
#include "warp/repair.h"

#include <string.h>

#define VARIATIONS 4u
#define SLACK (3 * NS_PER_MS) /* timers, and what machines do besides */
#define RATHER_LATE (1 * NS_PER_S)
#define NEEDLESS_PARTS 4u /* of NEEDLESS_OF that a report takes at least */
#define NEEDLESS_OF 5u

enum slot_state { SLOT_FREE, SLOT_OUT, SLOT_AGAIN };

struct slot {
	u8 state;
	u32 sequence, size;
	u64 position; /* in the ring */
	u64 mask, again_mask;
	u64 sent_at, again_at, due, until;
};

struct track {
	u64 report, variation; /* ns, smoothed; report 0: unknown */
	u64 reported;          /* when the newest left that was reported */
	u32 silent;            /* how many in a row were not */
	u64 silent_since;
	u64 saved;
};

struct repair {
	struct repair_counts counts;
	u32 out;  /* slots that are not free */
	u32 tail; /* sequence after the newest */
	u32 span; /* the oldest that may not be free is so many before */
	u64 due;
	u64 position;
	u64 told_at; /* the last report */
	struct track track[REPAIR_PATHS];
	struct slot slots[REPAIR_SLOTS];
	u8 bytes[REPAIR_BYTES];
};

struct repair *repair_create(const struct allocator *a)
{
	struct repair *r = mem_alloc(a, sizeof(*r));

	if (r)
		r->due = TIME_NEVER;
	return r;
}

void repair_destroy(const struct allocator *a, struct repair *r)
{
	mem_free(a, r, sizeof(*r));
}

static struct slot *slot_at(struct repair *r, u32 sequence)
{
	return &r->slots[sequence % REPAIR_SLOTS];
}

static void release(struct repair *r, struct slot *s)
{
	s->state = SLOT_FREE;
	r->out--;
	if (r->out == 0) {
		r->due = TIME_NEVER;
		r->span = 0;
	}
}

/* The only path of a mask, or REPAIR_PATHS. */
static u32 only_path(u64 mask)
{
	return mask && !(mask & (mask - 1)) ? (u32)__builtin_ctzll(mask) : REPAIR_PATHS;
}

/* --- paths ----------------------------------------------------------------------------------- */

static void learn(struct track *t, u64 sample)
{
	const u64 off = sample > t->report ? sample - t->report : t->report - sample;

	if (t->report == 0) {
		t->report = sample;
		t->variation = sample / 4;
		return;
	}
	t->variation = t->variation - t->variation / 4 + off / 4;
	t->report = t->report - t->report / 8 + sample / 8;
}

u64 repair_patience(const struct repair *r, u32 path)
{
	const struct track *t = &r->track[path];

	return t->report ? t->report + VARIATIONS * t->variation + SLACK : 0;
}

u64 repair_silent_since(const struct repair *r, u32 path)
{
	const struct track *t = &r->track[path];

	return t->silent >= REPAIR_SILENT && r->told_at > t->silent_since ? t->silent_since : 0;
}

void repair_heard(struct repair *r, u32 path)
{
	r->track[path].silent = 0;
}

u64 repair_saved(const struct repair *r, u32 path)
{
	return r->track[path].saved;
}

const struct repair_counts *repair_counts(const struct repair *r)
{
	return &r->counts;
}

/* --- datagrams ------------------------------------------------------------------------------- */

/* Room for so many bytes in a row. */
static u8 *take_bytes(struct repair *r, u32 size, u64 *ret_position)
{
	const u64 left = REPAIR_BYTES - r->position % REPAIR_BYTES;

	if (size > left)
		r->position += left;
	*ret_position = r->position;
	r->position += size;
	return r->bytes + *ret_position % REPAIR_BYTES;
}

static bool is_there(const struct repair *r, const struct slot *s)
{
	return r->position - s->position <= REPAIR_BYTES;
}

void repair_keep(struct repair *r, u64 now, const struct repair_sent *sent)
{
	struct slot *s = slot_at(r, sent->sequence);
	const u32 gone_by = sent->sequence + 1 - r->tail;
	u64 position;

	if (sent->size > REPAIR_BYTES / 2)
		return;
	if (s->state != SLOT_FREE) {
		r->counts.overrun++;
		release(r, s);
	}
	memcpy(take_bytes(r, sent->size, &position), sent->data, sent->size);
	*s = (struct slot){ .state = SLOT_OUT,
			    .sequence = sent->sequence,
			    .size = sent->size,
			    .position = position,
			    .mask = sent->mask,
			    .sent_at = now,
			    .due = now + sent->patience,
			    .until = sent->until };
	if (r->out == 0)
		r->span = 1;
	else
		r->span = gone_by < REPAIR_SLOTS - r->span ? r->span + gone_by : REPAIR_SLOTS;
	r->tail = sent->sequence + 1;
	r->out++;
	r->counts.kept++;
	r->due = time_min(r->due, s->due);
}

/* --- reports --------------------------------------------------------------------------------- */

/* It went over one path alone, and has come. */
static void came(struct track *t, u64 now, const struct slot *s)
{
	learn(t, now - s->sent_at);
	if (s->sent_at > t->reported)
		t->reported = s->sent_at;
	t->silent = 0;
}

/* Which of the two was it? */
static void came_after_all(struct repair *r, u64 now, const struct slot *s)
{
	struct track *t = &r->track[__builtin_ctzll(s->again_mask)];

	if (t->report && now - s->again_at < t->report * NEEDLESS_PARTS / NEEDLESS_OF) {
		r->counts.needless++;
		if (only_path(s->mask) < REPAIR_PATHS)
			r->track[only_path(s->mask)].silent = 0;
		return;
	}
	r->counts.saved++;
	t->saved++;
}

static void reported(struct repair *r, u64 now, u32 sequence)
{
	struct slot *s = slot_at(r, sequence);

	if (s->state == SLOT_FREE || s->sequence != sequence)
		return;
	r->counts.reported++;
	if (s->state == SLOT_AGAIN)
		came_after_all(r, now, s);
	else if (only_path(s->mask) < REPAIR_PATHS)
		came(&r->track[only_path(s->mask)], now, s);
	release(r, s);
}

/* What left clearly later over the same path has come. */
static bool passed_over(const struct repair *r, const struct slot *s)
{
	const u32 path = only_path(s->mask);

	return path < REPAIR_PATHS &&
	       r->track[path].reported > s->sent_at + r->track[path].variation + SLACK;
}

/* Moves on over what is free at the old end. */
static void shorten(struct repair *r)
{
	while (r->span > 0 && slot_at(r, r->tail - r->span)->state == SLOT_FREE)
		r->span--;
}

void repair_report(struct repair *r, u64 now, const struct frame_report *f)
{
	r->told_at = now;
	reported(r, now, f->sequence);
	for (u32 n = 0; n < 8u * f->size; n++) {
		if (f->bits[n / 8] >> n % 8 & 1)
			reported(r, now, f->sequence - 1 - n);
	}
	shorten(r);
	for (u32 n = r->span; n > 0; n--) {
		struct slot *s = slot_at(r, r->tail - n);

		if (s->state == SLOT_OUT && s->due > now && passed_over(r, s))
			s->due = r->due = now;
	}
}

/* --- again ----------------------------------------------------------------------------------- */

static void missed(struct repair *r, u64 now, const struct slot *s)
{
	struct track *t;

	if (only_path(s->mask) == REPAIR_PATHS || s->state != SLOT_OUT || passed_over(r, s))
		return;
	t = &r->track[only_path(s->mask)];
	if (t->silent++ == 0)
		t->silent_since = now;
}

/* Then it is given up. What was never sent again is, once: rather late than never. */
static bool is_late(struct repair *r, u64 now, struct slot *s)
{
	const u64 end = s->state == SLOT_OUT ? s->until + RATHER_LATE : s->until;

	if (now <= end && is_there(r, s))
		return false;
	if (is_there(r, s))
		r->counts.lost++;
	else
		r->counts.overrun++;
	release(r, s);
	return true;
}

bool repair_next(struct repair *r, u64 now, struct repair_due *ret)
{
	u64 due = TIME_NEVER;

	if (r->due > now)
		return false;
	shorten(r);
	for (u32 n = r->span; n > 0; n--) {
		struct slot *s = slot_at(r, r->tail - n);

		if (s->state == SLOT_FREE)
			continue;
		if (s->due > now) {
			due = time_min(due, s->due);
			continue;
		}
		missed(r, now, s);
		if (is_late(r, now, s))
			continue;
		*ret = (struct repair_due){ .slot = (u32)(s - r->slots),
					    .mask = s->mask,
					    .data = r->bytes + s->position % REPAIR_BYTES,
					    .size = s->size };
		return true;
	}
	r->due = due;
	return false;
}

void repair_again(struct repair *r, u64 now, u32 slot, u64 mask, u32 copies, u64 patience)
{
	struct slot *s = &r->slots[slot];

	s->due = now + patience;
	if (mask) {
		s->state = SLOT_AGAIN;
		s->again_mask = mask;
		s->again_at = now;
	}
	r->counts.again += copies;
}

u64 repair_next_expiry(const struct repair *r)
{
	return r->due;
}
