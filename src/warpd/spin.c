/* SPDX-License-Identifier: MIT */
/*
 * spin.c - looking again for a moment before sleeping.
 *
 * When a process sleeps, the next packet pays for waking it up, tens of microseconds. While data
 * flows, the loop therefore polls without sleeping for `spin` after the last packet, as long as that
 * has not taken more than its share of a processor lately.
 */
#include "warpd/daemon.h"

#include <sched.h>

#define SPIN_DEFAULT (50 * NS_PER_US)
#define SPIN_SHARE 5u                 /* one part in so many of a processor */
#define SPIN_SAVED_UP (2 * NS_PER_MS) /* of that share, at most */

static u32 processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (u32)CPU_COUNT(&set);
}

void spin_configure(struct spin *s, u64 wanted)
{
	s->limit = wanted;
	if (wanted == CONF_SPIN_AUTO)
		s->limit = processors() > 1 ? SPIN_DEFAULT : 0;
}

void spin_traffic(struct spin *s, u64 now)
{
	s->traffic_at = now;
}

bool spin_wanted(struct spin *s, u64 now)
{
	u64 passed = now - s->seen_at;

	s->seen_at = now;
	if (s->spinning) /* it passed in spinning, but for what packets took */
		s->budget = s->budget > passed ? s->budget - passed : 0;
	else
		s->budget = time_min(s->budget + passed / SPIN_SHARE, SPIN_SAVED_UP);
	s->spinning = s->limit && s->budget && now - s->traffic_at < s->limit;
	/* Whoever was woken by what has just been delivered comes first. */
	if (s->spinning)
		sched_yield();
	return s->spinning;
}
