/* SPDX-License-Identifier: MIT */
/*
 * codel.c - CoDel (RFC 8289, 5), one packet at a time.
 *
 * The pseudo code of the RFC takes packets from the queue itself; here the owner of the queue does
 * and asks about each, so that the same state serves queues of packets, of trains, and of what has
 * only been counted.
 */
#include "warp/codel.h"

/* Signing that begins so many intervals after it ended goes on where it was. */
#define MEMORY 16u

void codel_init(struct codel *c, u64 target, u64 interval)
{
	*c = (struct codel){ .target = target, .interval = interval };
}

/* The square root, rounded down, bit by bit. */
static u64 square_root(u64 x)
{
	u64 root = 0, bit = UINT64_C(1) << 62;

	while (bit > x)
		bit >>= 2;
	for (; bit; bit >>= 2) {
		if (x >= root + bit) {
			x -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return root;
}

/* The time between signs is the interval divided by the square root of how many there were. */
static u64 control_law(const struct codel *c, u64 from)
{
	return from + (c->interval << 16) / square_root((u64)c->count << 32);
}

/* Whether every packet of a whole interval was in the queue for too long. */
static bool stands(struct codel *c, u64 now, u64 sojourn, u32 backlog, u32 quantum)
{
	if (sojourn < c->target || backlog <= quantum) {
		c->above_at = 0;
		return false;
	}
	if (c->above_at == 0)
		c->above_at = now + c->interval;
	return now >= c->above_at;
}

static void begin(struct codel *c, u64 now)
{
	u32 more = c->count - c->count_before;
	bool recent = now < c->next || now - c->next < MEMORY * c->interval;

	c->signing = true;
	c->count = more > 1 && recent ? more : 1;
	c->count_before = c->count;
	c->next = control_law(c, now);
}

bool codel_judge(struct codel *c, u64 now, u64 sojourn, u32 backlog, u32 quantum)
{
	if (!stands(c, now, sojourn, backlog, quantum)) {
		c->signing = false;
		return false;
	}
	if (!c->signing) {
		begin(c, now);
	} else if (now >= c->next) {
		c->count++;
		c->next = control_law(c, c->next);
	} else {
		return false;
	}
	c->signs++;
	return true;
}

void codel_empty(struct codel *c)
{
	c->above_at = 0;
	c->signing = false;
}
