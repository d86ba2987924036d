/* SPDX-License-Identifier: MIT */
/*
 * tally.c - see tally.h. A number far from all before is of a new life of the sender.
 */
#include "warp/tally.h"

#include <string.h>

#define BITS (64u * FRAME_TALLY_WORDS)
#define JUMP (1u << 20)
#define LATE_RUN 32u

static void set(struct tally *a, u32 back)
{
	if (back < BITS)
		a->seen[back / 64] |= UINT64_C(1) << (back % 64);
}

/* All bits move by so many places; those that enter are 0. */
static void shift(struct tally *a, u32 by)
{
	const u32 words = by / 64, bits = by % 64;

	for (u32 n = FRAME_TALLY_WORDS; n-- > 0;) {
		u64 v = n >= words ? a->seen[n - words] << bits : 0;

		if (bits && n > words)
			v |= a->seen[n - words - 1] >> (64 - bits);
		a->seen[n] = v;
	}
}

static void advance(struct tally *a, u64 now, u32 number)
{
	const u32 ahead = number - a->highest;

	if (ahead > BITS)
		memset(a->seen, 0, sizeof(a->seen));
	else
		shift(a, ahead);
	set(a, ahead - 1); /* the one that was the highest */
	if (ahead > 1 && a->gap_at == 0)
		a->gap_at = now;
	a->highest = number;
	a->at = now;
}

void tally_take(struct tally *a, u64 now, u32 number, u32 size)
{
	const u32 ahead = number - a->highest, behind = a->highest - number;

	a->late_run = behind - 1 < JUMP && behind > BITS ? a->late_run + 1 : 0;
	if (!a->begun || (ahead > JUMP && behind > JUMP) || a->late_run > LATE_RUN) {
		*a = (struct tally){ .begun = true, .highest = number, .at = now };
	} else if (ahead && ahead <= JUMP) {
		advance(a, now, number);
	} else if (behind) {
		set(a, behind - 1);
	}
	a->packets++;
	a->bytes += size;
	if (a->news++ == 0)
		a->news_from = now;
}

u64 tally_due(const struct tally *a, u64 wait)
{
	if (a->news == 0)
		return TIME_NEVER;
	if (a->news >= TALLY_EVERY)
		return a->news_from;
	return time_min(a->news_from + wait, a->gap_at ? a->gap_at + TALLY_GAP : TIME_NEVER);
}

void tally_tell(struct tally *a, u64 now, u8 path, struct frame_tally *ret)
{
	*ret = (struct frame_tally){ .path = path,
				     .highest = a->highest,
				     .packets = a->packets,
				     .bytes = a->bytes,
				     .at = a->at,
				     .held = (u32)((now - a->at) / NS_PER_US) };
	memcpy(ret->seen, a->seen, sizeof(ret->seen));
	a->news = 0;
	a->gap_at = 0;
}

bool tally_has(const struct tally_told *r, u32 number)
{
	const u32 back = r->highest - number - 1;

	if (number == r->highest)
		return true;
	return back < BITS && (r->seen[back / 64] >> (back % 64) & 1);
}
