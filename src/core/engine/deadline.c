/* SPDX-License-Identifier: MIT */
/*
 * deadline.c - deadlines travel with payloads: what is too late is too late at the other end as well.
 *
 * A payload of a tunnel that has a send_deadline says, in a frame before it, by when it had to leave,
 * on its sender's clock. The receiver takes the probes, which carry the same clock, as its measure
 * (transit.h): a payload is late when one that left at its deadline, over the fastest of the paths that
 * live, and waited nowhere, would have been here before it. So a long way costs nothing, and what stood
 * in a queue somewhere is dropped. When no path lives any more, the last measure counts on, for a path
 * may seem dead since its queue is so long. Nothing is late as long as no probe has come.
 */
#include "engine_internal.h"

/* Where on the wire one unit is that many bits of nanoseconds: 65.536 us; 32 bits of them last for days. */
#define UNIT_BITS 16u

void deadline_put(u8 *p, u64 deadline)
{
	frame_put_deadline(p, (u32)(deadline >> UNIT_BITS) + 1);
}

void deadline_refresh(struct peer *p)
{
	bool found = false;

	for (u64 mask = p->usable_mask; mask; mask &= mask - 1) {
		const struct transit *t = &p->paths[__builtin_ctzll(mask)].transit;

		if (!t->known || (found && transit_least(t) >= p->transit))
			continue;
		found = p->transit_known = true;
		p->transit = transit_least(t);
	}
}

u64 deadline_here(const struct peer *p, u64 now, u32 deadline)
{
	u64 there = now - (u64)p->transit;
	i32 left = (i32)(deadline - (u32)(there >> UNIT_BITS));

	if (!p->transit_known)
		return 0;
	return left > 0 ? now + ((u64)left << UNIT_BITS) : 1;
}
