/* SPDX-License-Identifier: MIT */
/*
 * strand.c - see strand.h.
 */
#include "strand.h"

#include <errno.h>

#define SILENCE_SLACK (50 * NS_PER_MS) /* hosts are busy now and then */
#define UNKNOWN_RTT (100 * NS_PER_MS)
#define RECENT 64u        /* datagrams; what was before fades */
#define RECENT_ENOUGH 24u /* to judge by */
#define TOO_LOSSY 0.3
#define TRIALS 20u /* of which */
#define PROVEN 18u /* so many have to come */
#define TRIALS_MASK ((1u << TRIALS) - 1)
#define PATIENCE_MIN (1 * NS_PER_MS)
#define MEMORY 512.0 /* datagrams over which the figures for people are smoothed */

int strand_open(struct strand **ret, const struct engine *e, const struct path *path)
{
	struct strand *s = mem_alloc(&e->options.allocator, sizeof(*s));

	if (!s)
		return -ENOMEM;
	if (flight_init(&s->flight, &e->options.allocator, random_u32(&e->options.random)) < 0) {
		mem_free(&e->options.allocator, s, sizeof(*s));
		return -ENOMEM;
	}
	s->born = path->born;
	s->highest = s->flight.first - 1;
	s->excused = s->flight.first;
	s->good = true;
	s->burst = 1;
	ratecc_init(&s->cc, path->pmtu.size, path->rtt);
	*ret = s;
	return 0;
}

void strand_close(const struct engine *e, struct strand *s)
{
	if (!s)
		return;
	flight_clear(&s->flight, &e->options.allocator);
	mem_free(&e->options.allocator, s, sizeof(*s));
}

static void take_rtt(struct strand *s, u64 rtt)
{
	const u64 deviation = rtt > s->rtt ? rtt - s->rtt : s->rtt - rtt;

	if (s->rtt == 0) {
		s->rtt = rtt;
		s->rtt_var = rtt / 4;
		return;
	}
	s->rtt_var = s->rtt_var - s->rtt_var / 4 + deviation / 4;
	s->rtt = s->rtt - s->rtt / 8 + rtt / 8;
}

/* Those of one report: that any were lost counts longer than that any came. */
static void count_trials(struct strand *s, u32 came, u32 lost)
{
	for (; came > 0; came--)
		s->trials = (s->trials << 1 | 1) & TRIALS_MASK;
	for (; lost > 0; lost--)
		s->trials = s->trials << 1 & TRIALS_MASK;
}

static void count_losses(struct strand *s, const struct flight_news *n)
{
	const double count = n->acked + n->lost;

	if (ratecc_floods(&s->cc)) {
		s->excused = s->flight.next;
	} else if ((i32)(s->flight.first - s->excused) >= 0) {
		s->acked += n->acked;
		s->lost += n->lost;
	}
	while (s->acked + s->lost > RECENT) {
		s->acked /= 2;
		s->lost /= 2;
	}
	if (count > 0)
		s->loss += (n->lost / count - s->loss) * count / (count + MEMORY);
	if (n->bursts)
		s->burst += ((double)n->lost / n->bursts - s->burst) / 16;
}

u64 strand_reordering(const struct strand *s)
{
	const u64 varies = 4 * (u64)s->cc.way_var;

	return time_min(PATIENCE_MIN + varies, s->rtt / 2 + PATIENCE_MIN);
}

void strand_report(struct strand *s, u64 now, const struct frame_tally *f, flight_lost *lost,
		   void *ctx)
{
	const struct tally_told r = { .highest = f->highest, .seen = f->seen };
	const u64 held = f->held * NS_PER_US;
	struct ratecc_sample sample;
	struct flight_news news;

	flight_report(&s->flight, &r, strand_reordering(s), lost, ctx, &news);
	if (news.sent_at == 0 || now <= news.sent_at + held)
		return;
	/* Also of what was given up already: it was too slow, not lost. */
	if (news.acked || (i32)(f->highest - s->highest) > 0) {
		s->heard_at = now;
		take_rtt(s, now - news.sent_at - held);
		s->highest = f->highest;
	}
	sample = (struct ratecc_sample){ .highest = f->highest,
					 .next = s->flight.next,
					 .acked = news.acked,
					 .lost = news.lost,
					 .sent_at = news.sent_at,
					 .came_at = f->at,
					 .came_bytes = f->bytes,
					 .rtt = now - news.sent_at - held };
	if (news.acked)
		ratecc_report(&s->cc, now, &sample);
	count_losses(s, &news);
	count_trials(s, news.trials, news.trials_lost);
}

/* --- is it to be relied upon? ---------------------------------------------------------------- */

u64 strand_patience(const struct strand *s)
{
	const u64 rtt = s->rtt ? s->rtt : UNKNOWN_RTT;

	const u64 varies = 4 * s->rtt_var < rtt + SILENCE_SLACK ? 4 * s->rtt_var :
								  rtt + SILENCE_SLACK;

	return rtt + varies + 2 * tally_wait(rtt) + SILENCE_SLACK;
}

u64 strand_silent_at(const struct strand *s, u64 since)
{
	u64 from = flight_oldest(&s->flight);

	if (from == TIME_NEVER)
		return TIME_NEVER;
	from = from > since ? from : since;
	return (from > s->heard_at ? from : s->heard_at) + strand_patience(s);
}

u64 strand_quiet_at(const struct strand *s)
{
	if (!s->rtt || flight_oldest(&s->flight) == TIME_NEVER)
		return TIME_NEVER;
	return s->payload_at + s->rtt + 2 * tally_wait(s->rtt);
}

void strand_demote(struct strand *s, flight_lost *lost, void *ctx)
{
	s->good = false;
	s->trials = 0;
	s->acked = s->lost = 0;
	flight_give_up(&s->flight, lost, ctx);
}

bool strand_proven(const struct strand *s)
{
	u32 came = 0;

	for (u32 bits = s->trials; bits; bits &= bits - 1)
		came++;
	return came >= PROVEN;
}

void strand_promote(struct strand *s)
{
	s->good = true;
	s->acked = s->lost = 0;
	ratecc_restart(&s->cc, ratecc_rate(&s->cc));
}

static void nobody_misses(void *ctx, const struct flight_item *item)
{
	(void)ctx;
	(void)item;
}

void strand_expire_trials(struct strand *s, u64 now)
{
	if (!s->good && strand_silent_at(s, 0) <= now)
		count_trials(s, 0, flight_give_up(&s->flight, nobody_misses, NULL));
}

bool strand_too_lossy(const struct strand *s)
{
	const u32 count = s->acked + s->lost;

	return count >= RECENT_ENOUGH && s->lost > TOO_LOSSY * count;
}
