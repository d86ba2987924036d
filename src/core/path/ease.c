/* SPDX-License-Identifier: MIT */
/*
 * ease.c - a limit that follows a queue which others hold; see ease.h.
 */
#include "warp/ease.h"

#define WINDOW (2500 * NS_PER_MS) /* in which the most that came out is looked for */
#define MEASURE (300 * NS_PER_MS) /* at least, of a rate: hosts stall for tens of milliseconds */
#define STALE (5 * NS_PER_S)      /* nothing is known any more */
#define SLACK (100 * NS_PER_MS)  /* until what was changed shows: a probe, besides the round trip */
#define AGREED (200 * NS_PER_MS) /* samples that agree for so long are no jitter */
#define JUDGED (30 * NS_PER_S)   /* losses without a queue are remembered for so long */
#define FEW 8u                   /* datagrams: too few for a share of losses */
#define RUN (1 * NS_PER_MS)      /* of the rate leaves at once */
#define VAIN 4u                  /* times that a limit sinks while the queue stays */
#define RATE_LEAST 4000u         /* bytes a second */
#define RATE_MOST (UINT64_C(1) << 40) /* as no link has it */
#define QUEUE_MOST (4 * NS_PER_S)     /* what a queue takes to run empty at most */

static bool lossy(const struct ease *e, const struct ease_sample *s)
{
	const u64 sent = s->sent - e->sent, received = s->received - e->received;

	if (s->sent < e->sent || s->received < e->received) /* they begin anew */
		return false;
	return sent >= FEW && received * 5 < sent * 4;
}

static u64 capacity(const struct ease *e)
{
	return e->most > e->most_before ? e->most : e->most_before;
}

/* What comes out at the other end. */
static void measure(struct ease *e, u64 now, u64 bytes)
{
	u64 rate;

	if (now < e->rate_at + MEASURE)
		return;
	rate = (u64)((double)(bytes - e->bytes) * (double)NS_PER_S / (double)(now - e->rate_at));
	rate = rate < RATE_MOST ? rate : RATE_MOST;
	if (now >= e->turn) {
		e->most_before = now < e->turn + WINDOW ? e->most : 0;
		e->most = 0;
		e->turn = now + WINDOW;
	}
	e->most = rate > e->most ? rate : e->most;
	e->rate_at = now;
	e->bytes = bytes;
}

static void mark(u64 *since, bool holds, u64 now)
{
	if (!holds)
		*since = 0;
	else if (*since == 0)
		*since = now ? now : 1;
}

static bool lasts(u64 since, u64 now, u64 time)
{
	return since && now >= since + time;
}

/* Seven eighths of rate. Where nothing is lost, delays alone do not bring it below three quarters of the
 * most that came out. */
static u64 limit(const struct ease *e, u64 rate, bool losses)
{
	const u64 least = losses ? 0 : capacity(e) / 4 * 3;

	rate = rate / 8 * 7 > least ? rate / 8 * 7 : least;
	return rate > RATE_LEAST ? rate : RATE_LEAST;
}

/* The limit applies to what leaves from now on, so what stands is gone after its own time. */
static void drain(struct ease *e, u64 now, const struct ease_sample *s, bool losses)
{
	const u64 most = capacity(e);

	e->rate = limit(e, e->state != EASE_FREE && e->rate < most ? e->rate : most, losses);
	e->state = EASE_DRAINING;
	e->until = now + (s->queue < QUEUE_MOST ? s->queue : QUEUE_MOST);
	e->met_at = now;
}

/* However often it sank, the queue stays: it is not ours, or is it? The next samples tell. */
static void try_more(struct ease *e, u64 now, const struct ease_sample *s)
{
	e->vain = 0;
	e->rate *= 2;
	e->until = now + s->queue + s->rtt + SLACK;
}

static void follow(struct ease *e, u64 now, const struct ease_sample *s)
{
	const u64 most = capacity(e) + capacity(e) / 4; /* it may have been more but for losses */

	if (s->queue < EASE_TARGET) {
		e->vain = 0;
		e->sank_at = 0;
	}
	if (e->vain == VAIN) {
		try_more(e, now, s);
	} else if (lasts(e->target_since, now, AGREED) && now >= e->until) {
		/* A queue that gets shorter will be gone. */
		e->vain = s->queue + e->sank_at / 32 < e->sank_at ? 0 : e->vain + 1;
		e->sank_at = s->queue;
		e->rate = limit(e, e->rate < most ? e->rate : most, false);
		e->until = now + s->queue + s->rtt + SLACK;
	} else if (s->queue < EASE_TARGET / 2 && now < e->met_at + SLACK && now >= e->more_at) {
		e->rate += e->rate / 16;
		e->more_at = now + SLACK;
	}
	if (now >= e->met_at + EASE_RELEASE)
		e->state = EASE_FREE;
}

static void judge(struct ease *e, u64 now, const struct ease_sample *s, bool losses)
{
	const bool stands = lasts(e->long_since, now, EASE_STANDS);

	switch (e->state) {
	case EASE_FREE:
		if (stands ||
		    (losses && (s->queue >= EASE_LONG || lasts(e->target_since, now, AGREED))))
			drain(e, now, s, losses);
		break;
	case EASE_DRAINING:
		/* What is told now is from before: the next sample after the time counts. */
		if (now >= e->until + s->rtt || s->queue < EASE_TARGET) {
			e->state = EASE_LIMITED;
			e->until = now + s->rtt + SLACK;
			e->long_since = 0;
		}
		break;
	case EASE_LIMITED:
		if (losses && s->queue < EASE_TARGET) {
			/* It loses by itself: that is no reason to send less. */
			e->state = EASE_FREE;
			e->judged_until = now + JUDGED;
		} else if (e->vain < VAIN && (stands || (s->queue >= EASE_LONG && losses))) {
			e->vain++;
			drain(e, now, s, losses);
		} else {
			follow(e, now, s);
		}
		break;
	}
}

/* Nothing can be compared with what was before. */
static void begin(struct ease *e, u64 now, const struct ease_sample *s)
{
	if (e->at == 0 || now >= e->at + STALE)
		*e = (struct ease){ .rate_at = now, .bytes = s->bytes };
	if (s->bytes < e->bytes) {
		e->rate_at = now;
		e->bytes = s->bytes;
	}
}

void ease_take(struct ease *e, u64 now, const struct ease_sample *s)
{
	bool losses;

	begin(e, now, s);
	losses = e->at && lossy(e, s);
	measure(e, now, s->bytes);
	mark(&e->target_since, s->queue >= EASE_TARGET, now);
	mark(&e->long_since, s->queue >= EASE_LONG, now);
	mark(&e->short_since, s->queue < EASE_TARGET, now);
	judge(e, now, s, losses);
	if (lasts(e->target_since, now, EASE_STANDS) || e->state == EASE_DRAINING)
		e->congested = true;
	else if (e->state == EASE_FREE && lasts(e->short_since, now, EASE_OVER))
		e->congested = false;
	e->at = now ? now : 1;
	e->sent = s->sent;
	e->received = s->received;
}

u64 ease_rate(const struct ease *e, u64 now)
{
	if (e->state == EASE_FREE || now >= e->at + STALE)
		return UINT64_MAX;
	return e->state == EASE_DRAINING ? e->rate / 16 + 1 : e->rate;
}

bool ease_congested(const struct ease *e, u64 now)
{
	return e->congested && now < e->at + STALE;
}

bool ease_admit(struct ease *e, u64 now, u32 size, u64 rate)
{
	if (rate == UINT64_MAX)
		return true;
	if (e->closed ? now < e->ready_at + RUN : e->ready_at > now) {
		e->closed = true;
		e->met_at = now;
		return false;
	}
	e->closed = false;
	if (e->ready_at + RUN < now)
		e->ready_at = now - RUN;
	e->ready_at += (u64)size * NS_PER_S / rate;
	return true;
}
