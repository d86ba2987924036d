/* SPDX-License-Identifier: MIT */
/*
 * ratecc.c - see ratecc.h.
 *
 * A round is the time from one datagram to the report that it, or a later one, has come. At its end it is
 * asked, once each: was there a queue all the time, were there more losses than usual, what was
 * delivered? A queue that does not go away when less is sent is not ours: after a few rounds it
 * counts as a part of the path.
 */
#include "warp/ratecc.h"

#include "warp/tally.h"

#define FIRST_DATAGRAMS 16u /* a round trip, at first; STARTUP sends more */
#define LEAST_PART 4        /* of these, for a path that has been slow before */
#define UNKNOWN_RTT (50 * NS_PER_MS)
#define RTT_LEAST (5 * NS_PER_MS)   /* shorter ones are hosts' affairs */
#define LEAST_PERIOD (5 * NS_PER_S) /* a delay that nothing undercuts for one to two is it */
#define WINDOW_MIN (30 * NS_PER_MS) /* over which rates are measured */
#define WINDOW_FEW (5 * NS_PER_MS)  /* while there is no more */
#define QUEUE_HIGH (5 * NS_PER_MS)  /* and a part of the round trip, and some datagrams' time */
#define QUEUE_LOW_PART 3u           /* of that: none any more */
#define QUEUE_SOON 4u               /* reports in a row that tell of a queue end a probe */
#define CAP_LEAST 6u                /* datagrams that may be under way beyond what the rate says */
#define SLACK (10 * NS_PER_MS)      /* of hosts that are busy, in what may be under way */
#define CLOCK_JUMP ((i64)(10 * NS_PER_S)) /* no way takes so much longer: it is another clock */
#define GAIN_STARTUP 2.77
#define GAIN_PROBE 1.25
#define GAIN_PROBE_CALM 1.12 /* the last ones found nothing */
#define GAIN_CRUISE 1.03     /* a little that waits keeps the path busy when hosts pause */
#define GAIN_WARY 0.97       /* there is something of a queue */
#define STALE_ROUNDS 3u
#define DRAIN_ROUNDS 5u
#define CALM_MIN 2u
#define CALM_MAX 12u
#define GROWS 1.1 /* a probe that finds so much more goes on */
#define STARTUP_GROWS 1.25
#define USED_UP 0.85
#define SHRINKS 0.7 /* at most so much less is sent, when a round says so; two may say anything */
#define SHRINKS_GUESSED 0.25 /* the same, of a rate that is only a guess */
#define SHRINKS_LIMITED 0.5
#define COLLAPSED 0.6    /* of the rate before, and no queue: it is started anew */
#define LOSS_EXCESS 0.05 /* above the usual */
#define LOSS_SEEN 0.01
#define LOSS_COUNTED 20u /* datagrams that a share can be told of */
#define LOSS_MADE_UP 0.1 /* at most so much more is sent for usual losses */

const char *ratecc_mode_name(enum ratecc_mode mode)
{
	static const char *const names[] = { "startup", "drain", "cruise", "probe" };

	_Static_assert(ARRAY_SIZE(names) == RATECC_MODES, "a mode has no name");
	return mode < RATECC_MODES ? names[mode] : "?";
}

i64 ratecc_least_way(const struct ratecc *c)
{
	return least_get(&c->way);
}

/* --- life ------------------------------------------------------------------------------------ */

static void begin_round(struct ratecc *c, u32 next)
{
	c->round_begun = true;
	c->round_end = next;
	c->round_way = INT64_MAX;
	c->round_rate = 0;
	c->round_limited = true;
	c->round_acked = c->round_lost = 0;
}

static void set_rate(struct ratecc *c, double rate)
{
	for (u32 n = 0; n < RATECC_ROUNDS; n++)
		c->best[n] = 0;
	c->best[c->best_at] = rate;
	c->rate = rate;
}

static void enter(struct ratecc *c, enum ratecc_mode mode)
{
	c->mode = mode;
	c->rounds = 0;
	c->stale = 0;
	c->reference = c->rate;
}

void ratecc_init(struct ratecc *c, u32 datagram, u64 rtt)
{
	const u64 round = rtt ? rtt : UNKNOWN_RTT;

	*c = (struct ratecc){ .datagram = datagram,
			      .calm = CALM_MIN,
			      .expected = rtt,
			      .guessed = true,
			      .way = { INT64_MAX, INT64_MAX, 0 },
			      .round_way = INT64_MAX };
	set_rate(c, (double)(FIRST_DATAGRAMS * datagram) * (double)NS_PER_S /
			    (double)(round > RTT_LEAST ? round : RTT_LEAST));
	enter(c, RATECC_STARTUP);
}

void ratecc_restart(struct ratecc *c, u64 known)
{
	ratecc_init(c, c->datagram, c->base ? c->base : c->expected);
	set_rate(c, (double)known / 2 > c->rate / LEAST_PART ? (double)known / 2 :
							       c->rate / LEAST_PART);
	enter(c, RATECC_STARTUP);
}

/* --- what may be sent ------------------------------------------------------------------------ */

static u64 base_of(const struct ratecc *c)
{
	return c->base ? c->base : c->expected ? c->expected : 2 * UNKNOWN_RTT;
}

static u64 queue_high(const struct ratecc *c)
{
	return QUEUE_HIGH + base_of(c) / 16 + (u64)(3e9 * c->datagram / c->rate);
}

static u64 queue_low(const struct ratecc *c)
{
	return queue_high(c) / QUEUE_LOW_PART;
}

/* As much less as takes most of the queue away in a round: what left before shows only then. */
static double drain_gain(const struct ratecc *c)
{
	const double part = (double)c->queue / (double)(base_of(c) + c->queue);

	return part < 0.1 ? 0.95 : part > 0.5 ? 0.5 : 1 - part * 0.7;
}

static double gain(const struct ratecc *c)
{
	switch (c->mode) {
	case RATECC_STARTUP:
		return GAIN_STARTUP;
	case RATECC_DRAIN:
		return drain_gain(c);
	case RATECC_PROBE:
		return c->calm < CALM_MAX ? GAIN_PROBE : GAIN_PROBE_CALM;
	default:
		return c->queue > queue_low(c)     ? GAIN_WARY :
		       c->queue < queue_low(c) / 2 ? GAIN_CRUISE :
						     1;
	}
}

/* What has to be sent for that rate to arrive. */
static double made_up(const struct ratecc *c)
{
	if (c->mode == RATECC_DRAIN)
		return c->rate;
	return c->rate / (1 - (c->loss < LOSS_MADE_UP ? c->loss : LOSS_MADE_UP));
}

static double pace(const struct ratecc *c)
{
	const double least_pace = 4.0 * c->datagram / ((double)(base_of(c) + 20 * NS_PER_MS) / 1e9);
	const double wanted = gain(c) * made_up(c);

	return wanted > least_pace ? wanted : least_pace;
}

u64 ratecc_rate(const struct ratecc *c)
{
	return (u64)c->rate;
}

u64 ratecc_cap(const struct ratecc *c)
{
	const u64 base = base_of(c), round = base + tally_wait(base) + SLACK;
	const double more = !c->round_begun           ? 1 :
			    c->mode == RATECC_STARTUP ? 2 :
			    c->mode == RATECC_PROBE   ? 1.3 :
							1.1;

	return (u64)(more * made_up(c) * (double)round / 1e9) + CAP_LEAST * c->datagram;
}

bool ratecc_floods(const struct ratecc *c)
{
	return c->mode == RATECC_STARTUP || c->queue > queue_high(c);
}

u64 ratecc_when(const struct ratecc *c, u64 under_way)
{
	return under_way >= ratecc_cap(c) ? TIME_NEVER : c->next_send;
}

/* What is left of recent by now. */
static double recent_now(const struct ratecc *c, u64 now)
{
	const u64 ago = now - c->sent_at;

	return ago < RATECC_LOAD_TIME ? c->recent * (1 - (double)ago / RATECC_LOAD_TIME) : 0;
}

double ratecc_load(const struct ratecc *c, u64 now)
{
	return recent_now(c, now) * 1e9 / (c->rate * RATECC_LOAD_TIME);
}

void ratecc_sent(struct ratecc *c, u64 now, u32 bytes)
{
	const u64 burst = c->idle_at > c->next_send ? RATECC_BURST : RATECC_CATCH_UP;

	if (c->next_send + burst < now)
		c->next_send = now - burst;
	c->next_send += (u64)(1e9 * bytes / pace(c));
	c->recent = recent_now(c, now) + bytes;
	c->sent_at = now;
}

void ratecc_idle(struct ratecc *c, u64 now)
{
	c->idle_at = now;
}

/* --- measuring ------------------------------------------------------------------------------- */

static const struct ratecc_past *past_back(const struct ratecc *c, u32 back)
{
	return &c->past[(c->past_at - back) % RATECC_HISTORY];
}

/* The newest report that is a window older than s; or the oldest there is. NULL: none is of use. */
static const struct ratecc_past *window_start(const struct ratecc *c, const struct ratecc_sample *s)
{
	const u64 window = base_of(c) > WINDOW_MIN && c->base ? c->base : WINDOW_MIN;
	const struct ratecc_past *found = NULL;

	for (u32 back = 1; back <= RATECC_HISTORY && back <= c->past_at; back++) {
		const struct ratecc_past *p = past_back(c, back);

		if (p->came_bytes > s->came_bytes || p->came_at > s->came_at)
			return NULL;
		if (s->came_at - p->came_at >= WINDOW_FEW)
			found = p;
		if (s->came_at - p->came_at >= window)
			break;
	}
	return found;
}

/* Bytes a second; 0: nothing can be told. */
static double rate_of(const struct ratecc *c, const struct ratecc_sample *s, bool *ret_limited)
{
	const struct ratecc_past *p = window_start(c, s);
	u64 time;

	if (!p)
		return 0;
	time = s->came_at - p->came_at;
	if (s->sent_at > p->sent_at && s->sent_at - p->sent_at > time)
		time = s->sent_at - p->sent_at;
	*ret_limited = c->idle_at >= p->sent_at;
	return (double)(s->came_bytes - p->came_bytes) * 1e9 / (double)time;
}

static void take_delay(struct ratecc *c, u64 now, const struct ratecc_sample *s)
{
	const i64 way = (i64)(s->came_at - s->sent_at);
	const i64 moved = (i64)((u64)way - (u64)c->way_now); /* the other end says what it likes */
	i64 base;

	if (least_get(&c->way) == INT64_MAX || moved > CLOCK_JUMP || moved < -CLOCK_JUMP) {
		least_set(&c->way, now, way);
		c->way_now = way;
		c->way_var = 0;
	} else {
		c->way_now += moved / 4;
		c->way_var += ((moved < 0 ? -moved : moved) - c->way_var) / 4;
	}
	least_put(&c->way, now, LEAST_PERIOD, way);
	if (way < c->round_way)
		c->round_way = way;
	base = (i64)s->rtt - (way - least_get(&c->way));
	if (base < (i64)NS_PER_US)
		base = (i64)NS_PER_US;
	c->base = c->base ? c->base - c->base / 8 + (u64)base / 8 : (u64)base;
}

static void take_rate(struct ratecc *c, const struct ratecc_sample *s)
{
	bool limited = true;
	const double rate = rate_of(c, s, &limited);
	struct ratecc_past *p = &c->past[c->past_at % RATECC_HISTORY];

	if (rate > c->round_rate)
		c->round_rate = rate;
	if (rate > 0)
		c->round_limited &= limited;
	*p = (struct ratecc_past){ s->sent_at, s->came_at, s->came_bytes };
	c->past_at++;
}

/* --- the end of a round ---------------------------------------------------------------------- */

static double root(double v)
{
	double r = v > 1 ? v : 1;

	for (u32 n = 0; n < 20; n++)
		r = (r + v / r) / 2;
	return r;
}

/* Were there clearly more losses than usual? What is usual shows while less is sent than the path
 * carries: others come from sending too much. */
static bool take_losses(struct ratecc *c)
{
	const u32 count = c->round_acked + c->round_lost;
	const double share = count ? (double)c->round_lost / count : 0;
	bool excess;

	if (count < LOSS_COUNTED)
		return false;
	excess = share > c->loss + LOSS_EXCESS + 2 * root((c->loss + LOSS_EXCESS) / count);
	c->lossy = share > c->loss + LOSS_SEEN;
	if (share < c->loss)
		c->loss += (share - c->loss) / 4;
	else if (c->mode == RATECC_DRAIN && c->rounds)
		c->loss += (share - c->loss) / 2;
	return excess;
}

/* What is sent as fast as there is something to send says what the path carries, or that it is more. */
static void keep_best(struct ratecc *c)
{
	if (c->round_rate <= 0 || (c->round_limited && c->round_rate <= c->rate))
		return;
	c->guessed &= c->round_rate <= c->rate;
	c->best_at = (c->best_at + 1) % RATECC_ROUNDS;
	c->best[c->best_at] = c->round_rate;
	c->rate = 0;
	for (u32 n = 0; n < RATECC_ROUNDS; n++)
		c->rate = c->best[n] > c->rate ? c->best[n] : c->rate;
}

/* The path is full: what it has just delivered is what it carries, if it was sent all it could take, or
 * something waited there all the time. Not less than so much, a share, of what it did: hosts and links that
 * only paused look the same, once. */
static void back_off(struct ratecc *c, double at_least)
{
	const double least_rate = at_least * c->rate;
	const double rate = c->round_rate > least_rate ? c->round_rate : least_rate;

	if (c->round_rate > 0 && c->round_rate < c->rate &&
	    (!c->round_limited || c->queue > queue_high(c)))
		set_rate(c, rate);
	c->guessed = false;
	enter(c, RATECC_DRAIN);
}

/* Who sends as much as comes and no more, as TCP with BBR does, is never seen to wait, but there is a little of a
 * queue. */
static bool is_used_up(const struct ratecc *c)
{
	return c->round_rate > USED_UP * c->rate && c->queue > queue_low(c);
}

static void startup(struct ratecc *c)
{
	if (c->round_limited && !is_used_up(c))
		return;
	if (c->rate >= STARTUP_GROWS * c->reference) {
		c->reference = c->rate;
		c->stale = 0;
	} else if (++c->stale >= STALE_ROUNDS) {
		enter(c, RATECC_DRAIN);
	}
}

/* No queue any more. If it delivers much less than before, that may have been a pause: what it carries now is
 * found out as at the start, once. */
static void calm_down(struct ratecc *c, enum ratecc_mode mode)
{
	const bool collapsed = c->rate < COLLAPSED * c->before;

	c->before = 0;
	enter(c, collapsed ? RATECC_STARTUP : mode);
}

static void drain(struct ratecc *c, u64 now, bool full)
{
	const u32 rounds = c->rounds;

	if (c->lossy && rounds < 2) {
		return;
	} else if (c->queue <= queue_low(c)) {
		calm_down(c, RATECC_CRUISE);
	} else if (rounds >= DRAIN_ROUNDS) { /* it is not ours */
		least_set(&c->way, now, c->round_way);
		c->queue = 0;
		calm_down(c, RATECC_PROBE);
	} else if (full) { /* who sends little sees little: the queue may be others' */
		back_off(c, c->round_limited ? SHRINKS_LIMITED : 0);
		c->rounds = rounds;
	}
}

static void probe(struct ratecc *c)
{
	if (c->rounds < 2) /* what it has sent has not come yet */
		return;
	if (c->rate >= GROWS * c->reference) {
		c->reference = c->rate;
		c->rounds = 1;
		c->calm = CALM_MIN;
	} else {
		c->calm = c->calm < CALM_MAX / 2 ? 2 * c->calm : CALM_MAX;
		enter(c, c->lossy || c->queue > queue_low(c) ? RATECC_DRAIN : RATECC_CRUISE);
	}
}

/* A probe that has found nothing is made again later; a link that has become slower is tried soon. */
static void stop(struct ratecc *c)
{
	if (c->mode == RATECC_PROBE && c->rate < GROWS * c->reference)
		c->calm = c->calm < CALM_MAX / 2 ? 2 * c->calm : CALM_MAX;
	else
		c->calm = CALM_MIN;
	if (c->mode != RATECC_STARTUP || c->round_limited) /* little was sent: that says little */
		c->before = c->rate;
	back_off(c, c->guessed ? SHRINKS_GUESSED : SHRINKS);
}

static void end_round(struct ratecc *c, u64 now)
{
	const bool excess = take_losses(c);
	bool full;

	if (c->round_way != INT64_MAX)
		c->queue = (u64)(c->round_way - least_get(&c->way));
	full = excess || c->queue > queue_high(c);
	keep_best(c);
	c->rounds++;
	if (c->mode == RATECC_DRAIN)
		drain(c, now, full);
	else if (full)
		stop(c);
	else if (c->mode == RATECC_STARTUP)
		startup(c);
	else if (c->mode == RATECC_PROBE)
		probe(c);
	else if (c->rounds >= c->calm && !c->round_limited)
		enter(c, RATECC_PROBE);
}

/* Must a probe, or the start, end before its round does? */
static bool is_enough(struct ratecc *c, const struct ratecc_sample *s)
{
	const i64 queue = (i64)(s->came_at - s->sent_at) - least_get(&c->way);

	if (c->mode != RATECC_PROBE && c->mode != RATECC_STARTUP)
		c->over = 0;
	else
		c->over = queue > (i64)queue_high(c) ? c->over + 1 : 0;
	return c->over >= QUEUE_SOON;
}

void ratecc_report(struct ratecc *c, u64 now, const struct ratecc_sample *s)
{
	if (!c->round_begun)
		begin_round(c, s->next);
	c->round_acked += s->acked;
	c->round_lost += s->lost;
	take_delay(c, now, s);
	take_rate(c, s);
	if (is_enough(c, s)) {
		c->over = 0;
		c->round_way = (i64)(s->came_at - s->sent_at);
	} else if ((i64)(int32_t)(s->highest - c->round_end) < 0) {
		return;
	}
	end_round(c, now);
	begin_round(c, s->next);
}
