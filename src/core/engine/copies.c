/* SPDX-License-Identifier: MIT */
/*
 * copies.c - which copies of a payload go, where a queue stands on the way of some of them.
 *
 * A link that carries less than what is sent fills whatever buffer there is before it; its copies then
 * come a second late, where they are of no use, its probes are lost, and so it would not even help when
 * the other links fail. So a path that ease.h limits gets as many copies as come through in time, and
 * the others are not sent there; nor is much sent to a path that has been silent for some time, for
 * perhaps its answers stand behind what was sent before. The best path of all gets everything in any case,
 * whatever is known of it: a payload is never held back for want of a good one.
 *
 * Only payloads that go over several paths from the beginning are chosen for. What goes over one path
 * each is spread by other rooms, which know losses.
 */
#include "redund.h"

#define SILENT (300 * NS_PER_MS) /* after a round trip: hardly by losses */
#define SILENT_RATE 32000u       /* bytes a second, for a path that has been silent for so long */

static bool is_silent(const struct path *path, u64 now)
{
	return path->state == PATH_DEGRADED && path->oldest_unanswered &&
	       now >= path->oldest_unanswered + path->rtt + SILENT;
}

/* Bytes a second that the path is good for. */
static u64 room_of(const struct path *path, u64 now)
{
	const u64 rate = ease_rate(&path->ease, now);

	return is_silent(path, now) && rate > SILENT_RATE ? SILENT_RATE : rate;
}

static u64 most_room(const struct sending *s)
{
	u64 most = 0;

	for (u64 mask = s->mask; mask; mask &= mask - 1) {
		const u64 room = room_of(&s->p->paths[__builtin_ctzll(mask)], s->now);

		most = room > most ? room : most;
	}
	return most;
}

u64 copies_choose(const struct sending *s, u32 size)
{
	const u64 most = most_room(s);
	u64 chosen = s->mask;

	if (s->flow->autosel || s->flow->redund || s->flow->striped)
		return s->mask;
	for (u64 mask = s->mask & s->p->eased_mask; mask; mask &= mask - 1) {
		struct path *path = &s->p->paths[__builtin_ctzll(mask)];
		const u64 room = room_of(path, s->now);

		if (room == most || ease_admit(&path->ease, s->now, size, room))
			continue;
		chosen &= ~(mask & -mask);
		drop_count(&s->t->drops, DROP_SLOW_PATH);
	}
	return chosen;
}

void copies_refresh(struct peer *p, u64 now)
{
	p->eased_mask = 0;
	for (u64 mask = p->usable_mask; mask; mask &= mask - 1) {
		struct path *path = &p->paths[__builtin_ctzll(mask)];

		path->congested = ease_congested(&path->ease, now);
		if (path->state == PATH_DEGRADED || ease_rate(&path->ease, now) != UINT64_MAX)
			p->eased_mask |= mask & -mask;
	}
}

static bool all_congested(const struct peer *p)
{
	for (u64 mask = p->usable_mask; mask; mask &= mask - 1) {
		if (!p->paths[__builtin_ctzll(mask)].congested)
			return false;
	}
	return p->usable_mask != 0;
}

void copies_told(struct engine *e, struct peer *p, u64 now, u32 path, u64 queue)
{
	struct path *of = &p->paths[path];
	const struct ease_sample sample = { .queue = queue,
					    .sent = of->out.sent,
					    .received = of->out.received,
					    .bytes = of->told_bytes,
					    .rtt = of->rtt };

	of->queue_out = queue;
	if (!of->out.begun)
		return;
	ease_take(&of->ease, now, &sample);
	copies_refresh(p, now);
	if (all_congested(p))
		congest_peer(e, p, now);
}
