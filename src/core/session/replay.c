/* SPDX-License-Identifier: MIT */
/*
 * replay.c - the window of counters that were seen, after RFC 6479.
 *
 * The bitmap is a ring of 64-bit words; counter c has bit c % 64 of word (c / 64) % words. When the
 * newest counter moves on to a later word, the words in between are cleared, so nothing is ever
 * shifted. The oldest counter that is known lies bits - 64 before the newest: then the two are
 * at most words - 1 words apart, and no two known counters share a bit.
 *
 * `newest` starts at 0 with an empty map, which makes counter 0 fresh.
 */
#include "warp/replay.h"

#include <string.h>

#define WORD_BITS 64u

static u64 word_of(const struct replay *r, u64 counter)
{
	return counter / WORD_BITS & (r->bits / WORD_BITS - 1);
}

static u64 bit_of(u64 counter)
{
	return UINT64_C(1) << counter % WORD_BITS;
}

void replay_init(struct replay *r, u64 *map, u32 bits)
{
	r->newest = 0;
	r->bits = bits;
	r->map = map;
}

enum replay_verdict replay_check(const struct replay *r, u64 counter)
{
	if (counter > r->newest)
		return REPLAY_FRESH;
	if (r->newest - counter > r->bits - WORD_BITS)
		return REPLAY_TOO_OLD;
	if (r->map[word_of(r, counter)] & bit_of(counter))
		return REPLAY_DUPLICATE;
	return REPLAY_FRESH;
}

/* Clears the words after that of newest, up to and including that of counter. */
static void advance(struct replay *r, u64 counter)
{
	u64 steps = counter / WORD_BITS - r->newest / WORD_BITS;
	u64 words = r->bits / WORD_BITS;

	if (steps >= words) {
		memset(r->map, 0, replay_size(r->bits));
		return;
	}
	for (u64 at = r->newest; steps; steps--) {
		at += WORD_BITS;
		r->map[word_of(r, at)] = 0;
	}
}

void replay_commit(struct replay *r, u64 counter)
{
	if (counter > r->newest) {
		advance(r, counter);
		r->newest = counter;
	}
	r->map[word_of(r, counter)] |= bit_of(counter);
}
