/* SPDX-License-Identifier: MIT */
/*
 * handed.c - whether what a tunnel has handed to the kernel has left the host.
 *
 * A UDP socket takes a megabyte and more, which may then stand before a slow link for many seconds. So
 * a gate with back-pressure asks after each payload whether it has really left. The kernel says how much of a
 * socket's stands somewhere (SIOCOUTQ, in its own measure, which is never less than the bytes). It is
 * in order: as long as a payload stands, all that was handed over after it does, too. So when less stands
 * than was handed over since, the payload has left. Copies that went out over several links: one of them
 * that has left is enough, for the others may be of links that are slow and would slow down all.
 */
#include "warpd/daemon.h"

#define LOOK_AGAIN (200 * NS_PER_US)
#define LOOK_MOST (10 * NS_PER_MS) /* a link that stands still is looked at ever less often: */
#define LOOK_PART 64u /* of the time that it has taken already, which costs no more than that */

static bool has_left(const struct link *l, u64 mark)
{
	return !l->used || link_queued(l) <= l->handed - mark;
}

static u64 patience(u64 taken)
{
	return taken / LOOK_PART < LOOK_AGAIN ? LOOK_AGAIN : time_min(taken / LOOK_PART, LOOK_MOST);
}

u64 handed_waits(void *ctx, u16 tunnel)
{
	struct daemon *d = ctx;
	struct tunnel_slot *slot = d->tunnel_by_index[tunnel];
	u32 fresh = engine_left(d->engine, tunnel), ifaces;

	if (!slot)
		return 0;
	for (ifaces = fresh; ifaces; ifaces &= ifaces - 1) {
		u32 n = (u32)__builtin_ctz(ifaces);

		slot->marks[n] = d->links[n].handed;
	}
	slot->handed |= fresh;
	for (ifaces = slot->handed; ifaces; ifaces &= ifaces - 1) {
		u32 n = (u32)__builtin_ctz(ifaces);

		if (has_left(&d->links[n], slot->marks[n]))
			slot->handed = 0;
	}
	if (fresh)
		slot->handed_at = d->now;
	return slot->handed ? d->now + patience(d->now - slot->handed_at) : 0;
}
