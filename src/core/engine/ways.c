/* SPDX-License-Identifier: MIT */
/*
 * ways.c - which paths a peer's stripes may take: one over each link, as long as it is good, and when one
 * that is not may show that it has become better.
 */
#include "stripe.h"

#define LAG_NEAR (100 * NS_PER_MS) /* behind the fastest: it may come back */
#define ALL_SILENT (300 * NS_PER_MS)

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

static void drop_strand(struct stripe *st, u32 path)
{
	flight_give_up(&st->strand[path]->flight, stripe_lost, st);
	strand_close(st->e, st->strand[path]);
	st->strand[path] = NULL;
	st->strands &= ~bit(path);
}

static bool have_strand(struct stripe *st, u32 path)
{
	const struct path *at = &st->p->paths[path];

	if (st->strand[path] && st->strand[path]->born != at->born)
		drop_strand(st, path);
	if (!st->strand[path] && strand_open(&st->strand[path], st->e, at) < 0)
		return false;
	st->strands |= bit(path);
	return true;
}

u64 ways_good(const struct stripe *st)
{
	u64 good = 0;

	for (u64 mask = st->linked; mask; mask &= mask - 1) {
		if (st->strand[__builtin_ctzll(mask)]->good)
			good |= mask & -mask;
	}
	return good;
}

/* Those that were good are links no more: the others had no chance to show what they are. */
static void have_good(struct stripe *st)
{
	for (u64 mask = ways_good(st) ? 0 : st->linked; mask; mask &= mask - 1)
		strand_promote(st->strand[__builtin_ctzll(mask)]);
}

/* A path that takes the place of another one over the same interface is as good as that, and no faster. */
static void follow(struct stripe *st, u64 linked, u32 path)
{
	struct strand *s = st->strand[path];

	for (u64 gone = st->linked & ~linked & st->strands; gone; gone &= gone - 1) {
		const u32 n = (u32)__builtin_ctzll(gone);

		if (st->p->paths[n].iface != st->p->paths[path].iface)
			continue;
		if (st->strand[n]->good && !s->good)
			strand_promote(s);
		if (!s->rtt)
			ratecc_restart(&s->cc, ratecc_rate(&st->strand[n]->cc));
		s->good = st->strand[n]->good;
	}
}

void ways_refresh(struct stripe *st, u64 now)
{
	const struct sending s = {
		.e = st->e, .t = NULL, .p = st->p, .now = now, .mask = pathset_select(st->p, 0)
	};
	u64 linked = 0;

	links_refresh(&s, &st->links);
	for (u32 n = 0; n < st->links.count && n < STRIPE_WAYS; n++) {
		if (have_strand(st, st->links.path[n]))
			linked |= bit(st->links.path[n]);
	}
	for (u64 fresh = linked & ~st->linked; fresh; fresh &= fresh - 1)
		follow(st, linked, (u32)__builtin_ctzll(fresh));
	for (u64 gone = st->linked & ~linked & st->strands; gone; gone &= gone - 1)
		strand_demote(st->strand[__builtin_ctzll(gone)], stripe_lost, st);
	st->linked = linked;
	have_good(st);
}

/* Something has been heard over another one since, or there was nothing to be heard. */
static bool others_speak(const struct stripe *st, u32 path, u64 since)
{
	for (u64 mask = st->linked & ~bit(path); mask; mask &= mask - 1) {
		const struct strand *s = st->strand[__builtin_ctzll(mask)];

		if (s->good && (s->heard_at > since || flight_oldest(&s->flight) > since))
			return true;
	}
	return false;
}

static void judge_silence(struct stripe *st, u32 path, u64 now)
{
	struct strand *s = st->strand[path];
	const u64 silent_at = strand_silent_at(s, st->late_until);

	if (silent_at > now)
		return;
	if (others_speak(st, path, silent_at - strand_patience(s)))
		strand_demote(s, stripe_lost, st);
	else if (now >= silent_at + ALL_SILENT) /* perhaps it was lost, and it is the only one */
		flight_give_up(&s->flight, stripe_lost, st);
}

/* It would be left again at once. */
static bool lags(const struct stripe *st, u32 path)
{
	const i64 way = st->strand[path]->cc.way_now;

	for (u64 mask = ways_good(st); mask; mask &= mask - 1) {
		const struct ratecc *cc = &st->strand[__builtin_ctzll(mask)]->cc;

		if (cc->base && way - cc->way_now > (i64)LAG_NEAR)
			return true;
	}
	return false;
}

void ways_judge(struct stripe *st, u64 now)
{
	for (u64 mask = st->linked; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);
		struct strand *s = st->strand[n];

		strand_expire_trials(s, now);
		if (!s->good && strand_proven(s) && !lags(st, n))
			strand_promote(s);
		else if (s->good && strand_too_lossy(s) && ways_good(st) & ~bit(n))
			strand_demote(s, stripe_lost, st);
		else if (s->good)
			judge_silence(st, n, now);
	}
}
