/* SPDX-License-Identifier: MIT */
/*
 * natlife.c - the search for the lifetime of a mapping (RFC 4787 section 4.3, RFC 5780 section 4.6).
 *
 * What holds is certain: something came through. What does not hold is as certain as the caller
 * made it, by asking more than once.
 */
#include "warp/natlife.h"

#include <string.h>

#define SHORTEST (1500 * NS_PER_MS) /* tried when even the first silence is too long */

void natlife_init(struct natlife *l)
{
	memset(l, 0, sizeof(*l));
	l->upper = l->tried = TIME_NEVER;
}

void natlife_again(struct natlife *l)
{
	if (l->known && l->lower > 0)
		l->confirm = NATLIFE_LOWER;
	else
		natlife_init(l);
}

static bool is_narrow(const struct natlife *l)
{
	return l->halvings >= NATLIFE_HALVINGS ||
	       (l->lower > 0 && l->tried - l->lower <= l->lower / 8);
}

u64 natlife_silence(const struct natlife *l)
{
	if (l->confirm == NATLIFE_LOWER)
		return l->lower;
	if (l->confirm == NATLIFE_UPPER)
		return l->upper;
	if (l->lower >= NATLIFE_LONGEST || is_narrow(l))
		return 0;
	if (l->lower == 0 && l->tried == TIME_NEVER)
		return NATLIFE_FIRST;
	if (l->lower == 0)
		return l->tried >= NATLIFE_FIRST ? SHORTEST : 0;
	if (l->tried > 3 * l->lower)
		return time_min(2 * l->lower, NATLIFE_LONGEST);
	return l->lower + (l->tried - l->lower) / 2;
}

static void look_at_end(struct natlife *l)
{
	if (natlife_silence(l) == 0)
		l->known = true;
}

void natlife_held(struct natlife *l, u64 silence)
{
	if (l->confirm == NATLIFE_LOWER) {
		l->confirm = l->upper == TIME_NEVER ? NATLIFE_SEARCH : NATLIFE_UPPER;
		return;
	}
	l->confirm = NATLIFE_SEARCH;
	if (l->tried != TIME_NEVER)
		l->halvings++;
	silence = time_min(silence, NATLIFE_LONGEST); /* the machine may have slept */
	if (silence > l->lower)
		l->lower = silence;
	if (l->tried <= l->lower) /* it was taken for dead wrongly, or lives longer now */
		l->upper = l->tried = TIME_NEVER;
	look_at_end(l);
}

void natlife_expired(struct natlife *l, u64 silence, u64 certain)
{
	if (l->confirm == NATLIFE_LOWER)
		natlife_init(l);
	l->confirm = NATLIFE_SEARCH;
	if (l->tried != TIME_NEVER)
		l->halvings++;
	l->tried = time_min(l->tried, silence);
	l->upper = time_min(l->upper, certain);
	look_at_end(l);
}
