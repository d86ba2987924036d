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
 * For a while after that the fast ones are not quite filled, but leave some to the slow one: that little,
 * gone before it comes, would not teach it that there is more.
 *
 * Pacing runs out after some datagrams, and goes on a moment later: so datagrams for one path leave as a
 * train.
 */
#include "stripe.h"

#include "warp/codel.h"
#include "warp/ecn.h"

#define NEAR (1 * NS_PER_MS)        /* paths that differ by less are equals */
#define SPILL (2 * NS_PER_MS)       /* so much of the faster paths' time waits: slower ones help */
#define SPILL_BUSY (NS_PER_MS / 10) /* the same, when the faster ones have been busy of late, */
#define BUSY 0.85                   /* which is to say, for so much of it */
#define SHARES (500 * NS_PER_MS)    /* so long after a slower one had to help, it does, */
#define SHARED 0.93                 /* when the faster ones are busier than that */
#define LAG_MAX (150 * NS_PER_MS)   /* behind the fastest: of no use */
#define BUSY_HOST (15 * NS_PER_MS)  /* we are woken so late: all may have been */
#define TARGET_MOST (30 * NS_PER_MS)
#define WAIT_MARGIN (6 * NS_PER_MS)

struct way {
	struct strand *s;
	u64 lag; /* behind the fastest */
	u64 delay; /* behind the fastest without a queue, which deadlines are measured by (deadline.c) */
	u8 path;
};

struct spreading {
	struct stripe *st;
	struct engine *e;
	struct peer *p;
	u64 now;
	struct way way[STRIPE_WAYS];
	u32 count;
	u64 trials; /* paths that get no payloads */
};

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
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

static void add_way(struct spreading *u, u32 path, u64 lag, u64 delay)
{
	u32 at = u->count++;

	for (; at > 0 && u->way[at - 1].lag > lag; at--)
		u->way[at] = u->way[at - 1];
	u->way[at] = (struct way){ u->st->strand[path], lag, delay, (u8)path };
}

/* What most datagrams take, beyond least. When none is under way, none of ours stands in a queue. */
static u64 delay_of(const struct strand *s, i64 least)
{
	const struct ratecc *cc = &s->cc;
	const i64 way = s->flight.bytes ? cc->way_now + 2 * cc->way_var : ratecc_least_way(cc);

	return way > least ? (u64)(way - least) + NEAR : NEAR;
}

static void add_ways(struct spreading *u, u64 mask, bool measured)
{
	i64 first = INT64_MAX, least = INT64_MAX;

	for (u64 m = mask; m; m &= m - 1) {
		const u32 n = (u32)__builtin_ctzll(m);
		const i64 way = way_of(u->st, n, measured);
		const i64 empty = ratecc_least_way(&u->st->strand[n]->cc);

		first = way < first ? way : first;
		least = empty < least ? empty : least;
	}
	for (u64 m = mask; m; m &= m - 1) {
		const u32 n = (u32)__builtin_ctzll(m);
		const u64 delay = measured ? delay_of(u->st->strand[n], least) : 0;

		add_way(u, n, (u64)(way_of(u->st, n, measured) - first), delay);
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
	const u64 good = ways_good(u->st);

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

/* For those that have to show what they are. */
static void send_trials(const struct spreading *u, const struct flight_item *of)
{
	for (u64 mask = u->trials; mask; mask &= mask - 1)
		trial_send(u->st, u->now, (u8)__builtin_ctzll(mask), of);
}

/* When the last ones are lost, as they are when a queue overflows, only what comes behind them shows it; else
 * that would look like silence. */
static void break_silence(const struct spreading *u)
{
	for (u32 n = 0; n < u->count; n++) {
		const struct way *l = &u->way[n];
		const struct flight_item *newest;

		if (u->now < strand_quiet_at(l->s))
			continue;
		newest = flight_newest(&l->s->flight);
		if (u->p->flows[newest->tunnel].striped)
			trial_send(u->st, u->now, l->path, newest);
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

/* Would it come too late over l, for whoever has set a deadline? */
static bool is_late(const struct spreading *u, const struct fairq_item *q, const struct way *l)
{
	const bool told = u->e->tunnels[q->tunnel].send_deadline > 0;

	return q->deadline <= u->now + (told ? l->delay : 0);
}

/* Does it leave something to slower ones? */
static bool shares(const struct spreading *u, const struct way *l)
{
	return l->lag <= NEAR && u->now < u->st->shares_until &&
	       ratecc_load(&l->s->cc, u->now) > SHARED;
}

/* The first that can have it, of those that do not share if so asked. */
static const struct way *choose_from(const struct spreading *u, bool sharing,
				     const struct fairq_item **ret)
{
	const u64 waits = fairq_bytes(u->st->queue);
	u64 faster = 0;    /* bytes a second */
	bool idle = false; /* one of them, of late */

	for (u32 n = 0; n < u->count; n++) {
		const struct way *l = &u->way[n];
		const u64 spill = idle ? SPILL : SPILL_BUSY;
		const u64 gain = l->lag < spill ? l->lag : spill;

		if (!is_ready(u, l) || (sharing && shares(u, l))) {
			faster += ratecc_rate(&l->s->cc);
			idle |= ratecc_load(&l->s->cc, u->now) < BUSY;
			continue;
		}
		*ret = fairq_next(u->st->queue);
		if (l->lag <= NEAR)
			return l;
		*ret = fairq_fattest(u->st->queue);
		if (*ret && is_late(u, *ret, l) && !is_late(u, *ret, &u->way[0]))
			return NULL;
		return waits * NS_PER_S >= faster * gain ? l : NULL;
	}
	return NULL;
}

/* The path that is to have one, and which; NULL: none now. */
static const struct way *choose(const struct spreading *u, const struct fairq_item **ret)
{
	const struct way *l = choose_from(u, false, ret);

	if (l && l->lag > NEAR)
		u->st->shares_until = u->now + SHARES;
	else if (l && shares(u, l)) {
		const struct fairq_item *fattest;
		const struct way *slower = choose_from(u, true, &fattest);

		if (slower) {
			*ret = fattest;
			return slower;
		}
	}
	return l;
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

/* When one is too late, so are those behind it, almost: of what is sent at the last moment the least delay makes
 * it late on the way. So then those go as well that have less than half of their time left. */
static bool is_shed(struct spreading *u, const struct fairq_item *q)
{
	const struct tunnel *t = &u->e->tunnels[q->tunnel];
	struct flow *f = &u->p->flows[q->tunnel];

	f->sheds = is_late(u, q, &u->way[0]) ||
		   (f->sheds && q->deadline <= u->now + u->way[0].delay + t->send_deadline / 2);
	return f->sheds;
}

/* Is it too late for it, or its flow to be told that it sends too much? */
static enum drop_reason is_dropped(struct spreading *u, const struct fairq_item *q)
{
	struct tunnel *t = &u->e->tunnels[q->tunnel];
	bool late;

	if (q->index > 0) /* those before it have gone */
		return DROP_NONE;
	if (!store_get(&u->st->store, q->position)) /* it has waited too long */
		return DROP_QUEUE_FULL;
	late = is_shed(u, q);
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

/* Nothing can be sent: what is too late goes, so that who waits may go on. When to look again. */
static u64 drop_stale(struct spreading *u)
{
	struct stripe *st = u->st;
	const struct fairq_item *q;

	while ((q = fairq_fattest(st->queue)) && q->deadline <= u->now)
		stripe_drop(st, q, DROP_DEADLINE);
	return q ? q->deadline : TIME_NEVER;
}

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
		const struct strand *s = st->strand[__builtin_ctzll(mask)];
		const u64 at = time_min(strand_silent_at(s, st->late_until), strand_quiet_at(s));

		st->wake_at = time_min(st->wake_at, at > u->now ? at : u->now + TRIAL_EVERY);
	}
	engine_arm(u->e, st->wake_at);
}

void spread(struct stripe *st, u64 now)
{
	struct spreading u = { .st = st, .e = st->e, .p = st->p, .now = now };

	if (st->wake_at != TIME_NEVER && now > st->wake_at + BUSY_HOST)
		st->late_until = now;
	ways_refresh(st, now);
	ways_judge(st, now);
	find_ways(&u);
	st->wait = wait_for(&u);
	fairq_set_target(st->queue, target_for(&u));
	if (!u.count ||
	    !assoc_ready(&st->p->assoc, now)) { /* stripe_wake() tells of better times */
		st->wake_at = drop_stale(&u);
		engine_arm(u.e, st->wake_at);
		return;
	}
	while (send_repair(&u) || send_fresh(&u))
		;
	break_silence(&u);
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
