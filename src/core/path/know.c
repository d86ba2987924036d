/* SPDX-License-Identifier: MIT */
/*
 * know.c - losses of one path; see know.h.
 *
 * The bounds are Wilson's for a proportion, with as many datagrams as there would be evidence if bursts
 * were single losses. The length of bursts follows from the index of dispersion: the counts of losses
 * in bursts of b have about 2 b - 1 times the variance of independent ones.
 */
#include "warp/know.h"

#define SAMPLE_S ((double)KNOW_INTERVAL / (double)NS_PER_S)
#define MEMORY_KEPT (1.0 - (double)KNOW_INTERVAL / (double)KNOW_MEMORY)
#define RECENT_KEPT 0.9 /* about a second */
#define DEVIATIONS 2.0
#define UNDETECTED_S 0.3 /* how long a failed path is taken for a live one */
#define PRIOR_BURST 4.0  /* before losses are seen, as so many of them would show it */
#define PRIOR_LOSSES 8.0
#define DENSE 20.0        /* datagrams in a sample that show how its losses are spread */
#define PRIOR_WATCH 300.0 /* before anything is seen: one failure in so many seconds */

void know_init(struct know *k)
{
	*k = (struct know){ 0 };
}

/* --- sums ------------------------------------------------------------------------------------ */

static void sums_add(struct know_sums *s, double kept, double sent, double lost)
{
	s->sent = s->sent * kept + sent;
	s->lost = s->lost * kept + lost;
	if (s->lost < 0) /* some came late, which had been taken for lost */
		s->lost = 0;
	s->sent2 = s->sent2 * kept + sent * sent;
	s->lost2 = s->lost2 * kept + lost * lost;
	s->cross = s->cross * kept + lost * sent;
}

static double share(const struct know_sums *s)
{
	if (s->sent <= 0)
		return 0;
	return s->lost < s->sent ? s->lost / s->sent : 1;
}

static double burst(const struct know_sums *s)
{
	const double p = share(s), independent = s->sent * p * (1 - p);
	const double variance = s->lost2 - 2 * p * s->cross + p * p * s->sent2;
	double b;

	if (independent <= 0 || s->lost < 2)
		return 1;
	b = (variance / independent + 1) / 2;
	return b < 1 ? 1 : b > KNOW_BURST_MAX ? KNOW_BURST_MAX : b;
}

/* --- bounds ---------------------------------------------------------------------------------- */

static double root(double x)
{
	double r = x > 1 ? x : 1;

	for (u32 n = 0; n < 40 && x > 0; n++)
		r = (r + x / r) / 2;
	return x > 0 ? r : 0;
}

/* Wilson's interval, its upper (sign 1) or lower end (-1). */
static double bound(double p, double n, double sign)
{
	const double z2 = DEVIATIONS * DEVIATIONS;
	const double spread = DEVIATIONS * root(p * (1 - p) / n + z2 / (4 * n * n));
	double b;

	if (n <= 0)
		return sign > 0 ? 1 : 0;
	b = (p + z2 / (2 * n) + sign * spread) / (1 + z2 / n);
	return b < 0 ? 0 : b > 1 ? 1 : b;
}

static double sums_bound(const struct know_sums *s, double bursts, double sign)
{
	return bound(share(s), s->sent / bursts, sign);
}

double know_loss(const struct know *k)
{
	return share(&k->memory);
}

double know_evidence(const struct know *k)
{
	return k->memory.sent;
}

double know_burst(const struct know *k)
{
	const struct know_sums *s = &k->memory;
	const double together = s->sent > 0 ? s->sent2 / s->sent : 0; /* datagrams in a sample */
	const double seen = s->lost * (together < DENSE ? together / DENSE : 1);

	return (burst(s) * seen + PRIOR_BURST * PRIOR_LOSSES) / (seen + PRIOR_LOSSES);
}

double know_loss_upper(const struct know *k)
{
	return k->memory.sent > 0 ? sums_bound(&k->memory, burst(&k->memory), 1) : 1;
}

double know_outage(const struct know *k)
{
	return (k->failures + 1) * UNDETECTED_S / (k->watched + PRIOR_WATCH);
}

/* --- samples --------------------------------------------------------------------------------- */

static void watch(struct know *k, bool live)
{
	if (live)
		k->watched += SAMPLE_S;
	else if (k->live)
		k->failures++;
	k->live = live;
}

void know_sample(struct know *k, u64 sent, u64 lost, bool live)
{
	const bool goes_on = k->begun && sent >= k->sent;
	const double now_sent = (double)(sent - k->sent), now_lost = (double)lost - (double)k->lost;

	k->begun = true;
	k->sent = sent;
	k->lost = lost;
	watch(k, live);
	if (!goes_on)
		return;
	sums_add(&k->memory, MEMORY_KEPT, now_sent, now_lost);
	sums_add(&k->recent, RECENT_KEPT, now_sent, now_lost);
	if (k->recent.lost >= 2 &&
	    sums_bound(&k->recent, burst(&k->recent), -1) > know_loss_upper(k))
		k->memory = k->recent;
}
