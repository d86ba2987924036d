/* SPDX-License-Identifier: MIT */
/*
 * spread.c - which payload goes over which path, and when.
 *
 * Paths that pacing allows to send are asked in the order in which something sent now would arrive. The
 * fastest gets what is next in turn. A clearly slower one gets something only when more waits than
 * the faster ones send in a moment, and then of the flow of which most waits: who sends little
 * never waits for a slow path. Otherwise waiting for the fast one is the faster way (as ECF and
 * BLEST find). The moment is shorter when the faster ones have been busy all the time: TCP with BBR sends
 * no more than what has got through, but for a little now and then, and nothing would ever wait for long.
 *
 * Pacing runs out after some datagrams, and goes on a moment later: so datagrams for one path leave as a
 * train.
 */
#include "stripe.h"

#include <string.h>

#include "warp/codel.h"
#include "warp/ecn.h"

#define WAYS 16u
#define NEAR (1 * NS_PER_MS)        /* paths that differ by less are equals */
#define SPILL (2 * NS_PER_MS)       /* so much of the faster paths' time waits: slower ones help */
#define SPILL_BUSY (NS_PER_MS / 10) /* the same, when the faster ones have been busy of late, */
#define BUSY 0.85                   /* which is to say, for so much of it */
#define LAG_MAX (150 * NS_PER_MS)   /* behind the fastest: of no use */
#define LAG_NEAR (100 * NS_PER_MS)  /* it may come back */
#define TRIAL_EVERY (10 * NS_PER_MS)
#define BUSY_HOST (15 * NS_PER_MS) /* we are woken so late: all may have been */
#define ALL_SILENT (300 * NS_PER_MS)
#define TARGET_MOST (30 * NS_PER_MS)
#define WAIT_MARGIN (6 * NS_PER_MS)

struct way {
	struct strand *s;
	u64 lag;
	u8 path;
};

struct spreading {
	struct stripe *st;
	struct engine *e;
	struct peer *p;
	u64 now;
	struct way way[WAYS];
	u32 count;
	u64 trials; /* paths that get no payloads */
};

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

/* --- which paths ----------------------------------------------------------------------------- */

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

static u64 good_ones(const struct stripe *st)
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
	for (u64 mask = good_ones(st) ? 0 : st->linked; mask; mask &= mask - 1)
		strand_promote(st->strand[__builtin_ctzll(mask)]);
}

/* A path that takes the place of another one over the same interface is as good as that. */
static void follow(struct stripe *st, u64 linked, u32 path)
{
	struct strand *s = st->strand[path];

	for (u64 gone = st->linked & ~linked & st->strands; gone; gone &= gone - 1) {
		const u32 n = (u32)__builtin_ctzll(gone);

		if (st->p->paths[n].iface != st->p->paths[path].iface)
			continue;
		if (st->strand[n]->good && !s->good)
			strand_promote(s);
		s->good = st->strand[n]->good;
	}
}

/* The links as links.c finds them, and what has become of those before. */
static void refresh_links(struct stripe *st, u64 now)
{
	const struct sending s = {
		.e = st->e, .t = NULL, .p = st->p, .now = now, .mask = pathset_select(st->p, 0)
	};
	u64 linked = 0;

	links_refresh(&s, &st->links);
	for (u32 n = 0; n < st->links.count && n < WAYS; n++) {
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

	for (u64 mask = good_ones(st); mask; mask &= mask - 1) {
		const struct ratecc *cc = &st->strand[__builtin_ctzll(mask)]->cc;

		if (cc->base && way - cc->way_now > (i64)LAG_NEAR)
			return true;
	}
	return false;
}

static void judge(struct stripe *st, u64 now)
{
	for (u64 mask = st->linked; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);
		struct strand *s = st->strand[n];

		strand_expire_trials(s, now);
		if (!s->good && strand_proven(s) && !lags(st, n))
			strand_promote(s);
		else if (s->good && strand_too_lossy(s) && good_ones(st) & ~bit(n))
			strand_demote(s, stripe_lost, st);
		else if (s->good)
			judge_silence(st, n, now);
	}
}

/* --- in which order -------------------------------------------------------------------------- */

static bool all_measured(const struct stripe *st)
{
	for (u64 mask = st->linked; mask; mask &= mask - 1) {
		if (!st->strand[__builtin_ctzll(mask)]->cc.base)
			return false;
	}
	return true;
}

/* When what leaves now arrives, as far as it differs from path to path. */
static i64 way_of(const struct stripe *st, u32 path, bool measured)
{
	return measured ? st->strand[path]->cc.way_now : (i64)(st->p->paths[path].rtt / 2);
}

static void add_way(struct spreading *u, u32 path, u64 lag)
{
	u32 at = u->count++;

	for (; at > 0 && u->way[at - 1].lag > lag; at--)
		u->way[at] = u->way[at - 1];
	u->way[at] = (struct way){ u->st->strand[path], lag, (u8)path };
}

static void add_ways(struct spreading *u, u64 mask, bool measured)
{
	i64 first = INT64_MAX;

	for (u64 m = mask; m; m &= m - 1) {
		const i64 way = way_of(u->st, (u32)__builtin_ctzll(m), measured);

		first = way < first ? way : first;
	}
	for (u64 m = mask; m; m &= m - 1) {
		const u32 n = (u32)__builtin_ctzll(m);

		add_way(u, n, (u64)(way_of(u->st, n, measured) - first));
	}
}

/* One that is far behind is no help. */
static void demote_laggards(struct spreading *u)
{
	while (u->count > 1 && u->way[u->count - 1].lag > LAG_MAX) {
		struct way *last = &u->way[--u->count];

		strand_demote(last->s, stripe_lost, u->st);
		u->trials |= bit(last->path);
	}
}

static void find_ways(struct spreading *u)
{
	const bool measured = all_measured(u->st);
	const u64 good = good_ones(u->st);

	if (good)
		u->trials = u->st->linked & ~good;
	add_ways(u, good ? good : u->st->linked, measured);
	if (good && measured)
		demote_laggards(u);
}

/* How long one that was lost takes to be missed, reported, and sent again; and once more: what comes too
 * early makes TCP believe in losses, which costs more than waiting. */
static u8 wait_for(const struct spreading *u)
{
	u64 most = 0;

	for (u32 n = 0; n < u->count; n++) {
		const struct strand *s = u->way[n].s;
		const u64 rtt = s->rtt ? s->rtt : u->p->paths[u->way[n].path].rtt;
		const u64 again = rtt + 4 * s->rtt_var + tally_wait(rtt) + strand_reordering(s);
		const u64 wait = 2 * again + WAIT_MARGIN;

		most = wait > most ? wait : most;
	}
	most = (most + WIRE_WAIT_UNIT - 1) / WIRE_WAIT_UNIT;
	return (u8)(most < UINT8_MAX ? most : UINT8_MAX);
}

/* How long a flow's packets may wait in turn: about half of the longest round trip, for a sender that halves
 * what it has under way shall not run dry. Other flows do not wait for them. */
static u64 target_for(const struct spreading *u)
{
	u64 most = 2 * CODEL_TARGET;

	for (u32 n = 0; n < u->count; n++) {
		const u64 base = u->way[n].s->cc.base;

		most = base > most ? base : most;
	}
	return most / 2 < TARGET_MOST ? most / 2 : TARGET_MOST;
}

/* --- which one ------------------------------------------------------------------------------- */

static u64 when(const struct spreading *u, const struct way *l)
{
	const u64 paced = ratecc_when(&l->s->cc, l->s->flight.bytes);

	if (flight_full(&l->s->flight))
		return TIME_NEVER;
	if (iface_room(u->e, u->p->paths[l->path].iface, u->st->tunnel, u->p->index) == 0)
		return u->now + SPREAD_TICK;
	return paced > l->s->resume_at ? paced : l->s->resume_at;
}

static bool is_ready(const struct spreading *u, const struct way *l)
{
	return when(u, l) <= u->now;
}

/* Datagrams without a payload for those that have to show what they are. */
static void send_trials(const struct spreading *u, const struct flight_item *of)
{
	for (u64 mask = u->trials; mask; mask &= mask - 1) {
		const u8 path = (u8)__builtin_ctzll(mask);
		struct strand *s = u->st->strand[path];
		struct flight_item trial = *of;

		if (u->now < s->next_trial || flight_full(&s->flight))
			continue;
		trial.trial = true;
		trial.piece = false;
		trial.size = 0;
		s->next_trial = u->now + TRIAL_EVERY;
		datagram_send(u->st, u->now, path, &trial);
	}
}

/* What is repaired is late already: it takes the first that can have it. */
static bool send_repair(struct spreading *u)
{
	struct stripe *st = u->st;
	struct flight_item *i;

	for (u32 n = 0; n < u->count && st->repair_head != st->repair_tail; n++) {
		if (!is_ready(u, &u->way[n]))
			continue;
		i = &st->repair[st->repair_head++ % REPAIRS];
		if (i->tunnel != NO_INDEX && u->now - i->since < QUEUE_DEADLINE &&
		    datagram_send(st, u->now, u->way[n].path, i))
			u->e->tunnels[i->tunnel].repaired++;
		return true;
	}
	return false;
}

/* The path that is to have one, and which; NULL: none now. */
static const struct way *choose(const struct spreading *u, const struct fairq_item **ret)
{
	const u64 waits = fairq_bytes(u->st->queue);
	u64 faster = 0;    /* bytes a second */
	bool idle = false; /* one of them, of late */

	for (u32 n = 0; n < u->count; n++) {
		const struct way *l = &u->way[n];
		const u64 spill = idle ? SPILL : SPILL_BUSY;
		const u64 gain = l->lag < spill ? l->lag : spill;

		if (!is_ready(u, l)) {
			faster += ratecc_rate(&l->s->cc);
			idle |= ratecc_load(&l->s->cc, u->now) < BUSY;
			continue;
		}
		*ret = fairq_next(u->st->queue);
		if (l->lag <= NEAR)
			return l;
		*ret = fairq_fattest(u->st->queue);
		return waits * NS_PER_S >= faster * gain ? l : NULL;
	}
	return NULL;
}

static struct flight_item numbered(struct stripe *st, const struct fairq_item *q)
{
	u32 *sequence = &st->sequence[q->tunnel][q->bucket];

	/* Fragments have the sequence that the first has taken. */
	if (!q->piece || q->index == 0)
		++*sequence;
	return (struct flight_item){ .since = q->at,
				     .position = q->position,
				     .size = q->size,
				     .sequence = *sequence,
				     .total = q->total,
				     .tunnel = q->tunnel,
				     .unit = q->unit,
				     .bucket = q->bucket,
				     .index = q->index,
				     .piece = q->piece };
}

/* Is it too late for it, or its flow to be told that it sends too much? */
static enum drop_reason is_dropped(struct spreading *u, const struct fairq_item *q)
{
	struct tunnel *t = &u->e->tunnels[q->tunnel];
	const bool late = q->deadline <= u->now;

	if (q->index > 0) /* those before it have gone */
		return DROP_NONE;
	if (!late && (!t->routed || !fairq_law(u->st->queue, q, u->now)))
		return DROP_NONE;
	congest_strained(u->e, t, u->now);
	if (late)
		return DROP_DEADLINE;
	return ecn_mark(store_get(&u->st->store, q->position), q->size) ? DROP_NONE :
									  DROP_QUEUE_FULL;
}

static bool send_fresh(struct spreading *u)
{
	const struct fairq_item *q = NULL;
	const struct way *l = fairq_count(u->st->queue) ? choose(u, &q) : NULL;
	enum drop_reason reason;
	struct flight_item i;

	if (!l || !q)
		return false;
	reason = is_dropped(u, q);
	if (reason != DROP_NONE) {
		stripe_drop_whole(u->st, q, reason);
		return true;
	}
	i = numbered(u->st, q);
	if (!datagram_send(u->st, u->now, l->path, &i))
		stripe_lost(u->st, &i); /* it has its number: once more, if that can be */
	send_trials(u, &i);
	stripe_drop(u->st, q, DROP_NONE);
	return i.sent_at != 0;
}

/* --- all ------------------------------------------------------------------------------------- */

static bool is_waiting(const struct stripe *st)
{
	return fairq_count(st->queue) || st->repair_head != st->repair_tail;
}

static void plan(struct spreading *u)
{
	struct stripe *st = u->st;
	const bool waiting = is_waiting(st);

	st->wake_at = TIME_NEVER;
	for (u32 n = 0; n < u->count; n++) {
		const u64 at = when(u, &u->way[n]);

		if (at <= u->now)
			ratecc_idle(&u->way[n].s->cc, u->now);
		if (waiting)
			st->wake_at =
				time_min(st->wake_at, at > u->now ? at : u->now + SPREAD_TICK);
	}
	for (u64 mask = st->linked; mask; mask &= mask - 1) {
		const u64 at = strand_silent_at(st->strand[__builtin_ctzll(mask)], st->late_until);

		st->wake_at = time_min(st->wake_at, at > u->now ? at : u->now + 10 * SPREAD_TICK);
	}
	engine_arm(u->e, st->wake_at);
}

void spread(struct stripe *st, u64 now)
{
	struct spreading u = { .st = st, .e = st->e, .p = st->p, .now = now };

	if (st->wake_at != TIME_NEVER && now > st->wake_at + BUSY_HOST)
		st->late_until = now;
	refresh_links(st, now);
	judge(st, now);
	find_ways(&u);
	st->wait = wait_for(&u);
	fairq_set_target(st->queue, target_for(&u));
	if (assoc_ready(&st->p->assoc, now)) {
		while (send_repair(&u) || send_fresh(&u))
			;
	}
	plan(&u);
}

u64 spread_rate(const struct stripe *st)
{
	u64 rate = 0;

	for (u64 mask = st->linked; mask; mask &= mask - 1) {
		if (st->strand[__builtin_ctzll(mask)]->good)
			rate += ratecc_rate(&st->strand[__builtin_ctzll(mask)]->cc);
	}
	return rate;
}
