/* SPDX-License-Identifier: MIT */
/*
 * predict.c - which external port a NAT will give to a new socket.
 *
 * Others behind the same NAT take ports too, between any two samples: a NAT that counts shows as small
 * distances in one direction, of which no two need be equal. How it counts is what all of them are
 * multiples of.
 */
#include "warp/predict.h"

#define DISTANCE_MAX 48 /* between two samples: a count of one or two, and what others take */
#define BETWEEN_MAX 256 /* ports that others may have taken while ours were made */
#define MARGIN 2        /* mappings that were overtaken by the last sample */

/* From a to b, the shorter way around. */
static int distance(u16 a, u16 b)
{
	return (int16_t)(u16)(b - a);
}

static int divisor(int a, int b)
{
	while (b) {
		int rest = a % b;

		a = b;
		b = rest;
	}
	return a < 0 ? -a : a;
}

static bool counts(int first, int second)
{
	if ((first > 0) != (second > 0) || first == 0 || second == 0)
		return false;
	return first >= -DISTANCE_MAX && first <= DISTANCE_MAX && second >= -DISTANCE_MAX &&
	       second <= DISTANCE_MAX;
}

enum prediction predict_judge(const struct nat_sample samples[static PREDICT_SAMPLES],
			      bool independent, int *ret_offset)
{
	int offset = distance(samples[0].local, samples[0].external);
	bool same = true;

	if (independent)
		return PREDICT_SAME;
	for (u32 n = 1; n < PREDICT_SAMPLES; n++)
		same &= distance(samples[n].local, samples[n].external) == offset;
	if (same) {
		*ret_offset = offset;
		return PREDICT_OFFSET;
	}
	return counts(distance(samples[0].external, samples[1].external),
		      distance(samples[1].external, samples[2].external)) ?
		       PREDICT_STEP :
		       PREDICT_NONE;
}

void predict_ahead(const struct nat_sample samples[static PREDICT_SAMPLES], u16 *ret, u32 count)
{
	int first = distance(samples[0].external, samples[1].external);
	int second = distance(samples[1].external, samples[2].external);
	int step = first > 0 ? divisor(first, second) : -divisor(first, second);

	for (u32 n = 0; n < count; n++)
		ret[n] = (u16)(samples[2].external + (int)(n + 1) * step);
}

u32 predict_between(const struct nat_sample samples[static PREDICT_SAMPLES], u16 end, u16 *ret,
		    u32 max)
{
	int first = distance(samples[0].external, samples[1].external);
	int second = distance(samples[1].external, samples[2].external);
	int whole = distance(samples[2].external, end), step;
	u32 count = 0;

	if (whole == 0 || (whole > 0) != (first > 0) || whole > BETWEEN_MAX || whole < -BETWEEN_MAX)
		return 0;
	step = divisor(divisor(first, second), whole);
	step = first > 0 ? step : -step;
	for (int at = step; at != whole + (MARGIN + 1) * step && count < max; at += step) {
		u16 port = (u16)(samples[2].external + at);

		if (port != end && port != 0)
			ret[count++] = port;
	}
	return count;
}
