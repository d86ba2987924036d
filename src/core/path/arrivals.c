/* SPDX-License-Identifier: MIT */
/*
 * arrivals.c - a window of bits behind the newest sequence; see arrivals.h.
 */
#include "warp/arrivals.h"

#include <string.h>

#define WORDS (ARRIVALS_BITS / 64)
#define BITS_MIN 64u       /* told at least: a few reports may be lost */
#define REPORTS_COVERED 4u /* as many bits as the last few reports had */

void arrivals_begin(struct arrivals *a, u32 first)
{
	memset(a->bits, 0xff, sizeof(a->bits));
	a->begun = true;
	a->newest = first - 1;
	a->fresh = 0;
}

/* The window moves on by n sequences, the first of which has bit. */
static void move(struct arrivals *a, u32 n)
{
	if (n > ARRIVALS_BITS) {
		memset(a->bits, 0, sizeof(a->bits));
		return;
	}
	for (; n > 0; n--) {
		for (u32 w = WORDS - 1; w > 0; w--)
			a->bits[w] = a->bits[w] << 1 | a->bits[w - 1] >> 63;
		a->bits[0] <<= 1;
	}
}

void arrivals_take(struct arrivals *a, u32 sequence)
{
	const u32 ahead = sequence - a->newest, behind = a->newest - sequence;

	if (behind == 0)
		return;
	if (ahead < 1u << 31) {
		move(a, ahead);
		if (ahead <= ARRIVALS_BITS) /* what was the newest has come */
			a->bits[(ahead - 1) / 64] |= UINT64_C(1) << (ahead - 1) % 64;
		a->newest = sequence;
	} else if (behind <= ARRIVALS_BITS) {
		a->bits[(behind - 1) / 64] |= UINT64_C(1) << (behind - 1) % 64;
	}
	a->fresh++;
}

bool arrivals_report(struct arrivals *a, struct frame_report *ret)
{
	u32 bits = a->fresh * REPORTS_COVERED;
	bool missing = false;

	if (bits < BITS_MIN)
		bits = BITS_MIN;
	if (bits > ARRIVALS_BITS)
		bits = ARRIVALS_BITS;
	ret->kind = REPORT_FLOW;
	ret->sequence = a->newest;
	ret->size = (u8)((bits + 7) / 8);
	for (u32 n = 0; n < ret->size; n++) {
		ret->bits[n] = (u8)(a->bits[n / 8] >> n % 8 * 8);
		missing |= ret->bits[n] != 0xff;
	}
	a->fresh = 0;
	return missing;
}
