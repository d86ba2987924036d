/* SPDX-License-Identifier: MIT */
/*
 * plan.c - plans and what they are worth; see plan.h.
 *
 * All plans that make sense are tried: every set of links for copies; every set of one or two links, with
 * a second one that grows, for repair; and blocks of some sizes, each with as little parity as
 * meets the target. Losses on different links are independent; those on one link are not, as bursts say.
 */
#include "warp/plan.h"

#include <string.h>

#define SHARDS_MAX 32u
#define CHANCES (SHARDS_MAX + 2) /* 0.. shards are lost, and one place more */
#define TINY 1e-12
#define SHARD_MARGIN (2 * NS_PER_MS) /* for rebuilding, and timers */
#define ROUNDS_MAX 4u
#define TIMES_MAX 3u
#define BURSTS_APART 4.0 /* so many bursts later one is over */
#define CHEAP 1.15       /* below, blocks cannot be much better: they are not worked out */
#define DEAR 2.0         /* times the price of the cheapest */
#define SAME_COST 1.01
#define MARKEDLY 0.7 /* less is lost */

const char *plan_kind_name(enum plan_kind kind)
{
	static const char *const names[] = { "copies", "repair", "shards", "stripe" };

	_Static_assert(ARRAY_SIZE(names) == PLAN_KINDS, "a kind has no name");
	return kind < PLAN_KINDS ? names[kind] : "?";
}

const char *plan_why_name(enum plan_why why)
{
	static const char *const names[] = { "young", "cheapest", "failures", "overhead", "best" };

	_Static_assert(ARRAY_SIZE(names) == PLAN_WHYS, "a reason has no name");
	return why < PLAN_WHYS ? names[why] : "?";
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

static bool has(u32 set, u32 link)
{
	return set >> link & 1;
}

static u32 count_of(u32 set)
{
	u32 count = 0;

	for (; set; set &= set - 1)
		count++;
	return count;
}

/* Lost, or later than allowed. */
static double loss_within(const struct plan_input *in, u32 n, u64 within)
{
	return in->link[n].delay <= within ? in->link[n].loss : 1;
}

static double loss_of(const struct plan_input *in, u32 n)
{
	return loss_within(in, n, in->target.within);
}

static double price_of(const struct plan_input *in, u32 set)
{
	double sum = 0;

	for (u32 n = 0; n < in->count; n++)
		sum += has(set, n) ? in->link[n].price : 0;
	return sum;
}

/* --- copies and repair ----------------------------------------------------------------------- */

/* None of the copies arrives, whether since each is lost or since its link has just failed. */
static double all_lost(const struct plan_input *in, u32 set)
{
	double p = 1;

	for (u32 n = 0; n < in->count; n++)
		p *= has(set, n) ? least(1, loss_of(in, n) + in->link[n].outage) : 1;
	return p;
}

/* When reports of what went over the links of this set are missing. */
static u64 answer_of(const struct plan_input *in, u32 set)
{
	u64 last = 0;

	for (u32 n = 0; n < in->count; n++)
		last = has(set, n) && in->link[n].answer > last ? in->link[n].answer : last;
	return last;
}

/* Of what was lost at first on the same link, how much is lost once more: is the burst over? */
static double lost_again(const struct plan_input *in, const struct plan_link *l, u64 after)
{
	const double sent = in->rate * (double)after / (double)NS_PER_S;
	const double in_burst = 1 - 1 / l->burst;

	return sent >= BURSTS_APART * l->burst || in_burst < l->loss ? l->loss : in_burst;
}

/* Some copies over link n, one right after the other, when what was sent first is lost. Bursts take
 * more than one of them, and a link that has failed takes all. */
static double again_lost(const struct plan_input *in, const struct plan *p, u32 n, u64 after)
{
	const struct plan_link *l = &in->link[n];
	const bool once_more = has(p->first, n), alone = !(p->first & (p->first - 1));
	const double in_burst = 1 - 1 / l->burst, next = in_burst > l->loss ? in_burst : l->loss;
	double lost = once_more ? lost_again(in, l, after) : l->loss;

	for (u32 times = p->times; times > 1; times--)
		lost *= next;
	lost += once_more && alone ? l->outage / (l->loss + l->outage + TINY) : l->outage;
	return least(1, lost);
}

/* The share of what was lost at first that is lost again, each time. */
static double repair_lost(const struct plan_input *in, const struct plan *p)
{
	const u64 within = in->target.within;
	const u64 answer = answer_of(in, p->first), next = answer_of(in, p->again);
	double lost = 1;
	u64 at = answer;

	for (u32 round = 0; round < ROUNDS_MAX && at < within && answer; round++, at += next) {
		for (u32 n = 0; n < in->count; n++) {
			if (has(p->again, n) && in->link[n].delay <= within - at)
				lost *= again_lost(in, p, n, answer);
		}
	}
	return lost;
}

static void rate_copies(const struct plan_input *in, struct plan *p)
{
	const u32 copies = count_of(p->first);
	const double lost = all_lost(in, p->first);

	p->residual = lost;
	p->overhead = copies;
	p->cost = price_of(in, p->first);
	if (p->kind != PLAN_REPAIR)
		return;
	p->residual = lost * repair_lost(in, p);
	p->overhead += lost * p->times * count_of(p->again);
	p->cost += lost * p->times * price_of(in, p->again);
}

/* --- shards ---------------------------------------------------------------------------------- */

/* The chances of so many of a link's shards to be lost, after Gilbert and Elliott: a chain of two
 * states, one of which loses everything. */
static void link_chances(double ret[static CHANCES], const struct plan_link *l, double loss,
			 u32 shards)
{
	const double in_burst = 1 - 1 / l->burst, stay = in_burst > loss ? in_burst : loss;
	const double enter = loss < 1 ? least(1, loss * (1 - stay) / (1 - loss)) : 1;
	double good[CHANCES] = { 1 - loss }, bad[CHANCES] = { 0, loss };

	for (u32 s = 1; s < shards; s++) {
		for (u32 x = s + 2; x-- > 0;) {
			const double was_bad = x > 0 ? bad[x - 1] : 0,
				     was_good = x > 0 ? good[x - 1] : 0;
			const double still_good = good[x] * (1 - enter) + bad[x] * (1 - stay);

			bad[x] = was_good * enter + was_bad * stay;
			good[x] = still_good;
		}
	}
	for (u32 x = 0; x < CHANCES; x++)
		ret[x] = good[x] + bad[x];
}

/* Adds a link's shards to those of others. */
static void add_link(double chance[static CHANCES], const struct plan_link *l, double loss,
		     u32 shards)
{
	double more[CHANCES], sum[CHANCES] = { 0 };

	link_chances(more, l, loss, shards);
	for (u32 x = 0; x < CHANCES; x++) {
		for (u32 y = 0; y <= shards && x + y < CHANCES; y++)
			sum[x + y] += chance[x] * more[y];
	}
	memcpy(chance, sum, sizeof(sum));
}

static double mean_price(const struct plan_input *in, u32 set)
{
	return price_of(in, set) / count_of(set);
}

static void rate_shards(const struct plan_input *in, struct plan *p)
{
	const u32 links = count_of(p->first), parity = p->shards - p->required;
	double chance[CHANCES] = { 1 }, residual = 0;
	u32 left = p->shards, parts = links;

	for (u32 n = 0; n < in->count; n++) {
		const struct plan_link *l = &in->link[n];
		u32 shards;

		if (!has(p->first, n))
			continue;
		shards = (left + parts - 1) / parts;
		if (shards > parity) /* its silence is more than parity makes good */
			residual += l->outage * shards / p->shards;
		add_link(chance, l, loss_within(in, n, in->target.within - p->max_delay), shards);
		left -= shards;
		parts--;
	}
	for (u32 x = parity + 1; x <= p->shards; x++)
		residual += chance[x] * x / p->shards;
	p->residual = least(1, residual);
	p->overhead = (double)p->shards / p->required;
	p->cost = p->overhead * mean_price(in, p->first);
}

static void rate(const struct plan_input *in, struct plan *p)
{
	if (p->kind == PLAN_SHARDS)
		rate_shards(in, p);
	else
		rate_copies(in, p);
}

/* The residual if no link failed. */
static double losses_of(const struct plan_input *in, const struct plan *plan)
{
	struct plan_input calm = *in;
	struct plan p = *plan;

	for (u32 n = 0; n < calm.count; n++)
		calm.link[n].outage = 0;
	rate(&calm, &p);
	return p.residual;
}

void plan_rate(const struct plan_input *in, struct plan *p)
{
	rate(in, p);
	p->losses = p->residual <= in->target.residual_loss ? p->residual : losses_of(in, p);
	p->met = plan_rank(in, p) == PLAN_MEETS;
}

enum plan_rank plan_rank(const struct plan_input *in, const struct plan *p)
{
	if (p->overhead > in->target.max_overhead)
		return PLAN_TOO_DEAR;
	if (p->residual <= in->target.residual_loss)
		return PLAN_MEETS;
	return p->losses <= in->target.residual_loss ? PLAN_MEETS_LOSSES : PLAN_FALLS_SHORT;
}

/* --- the best -------------------------------------------------------------------------------- */

static bool cheaper(const struct plan *a, const struct plan *b)
{
	if (a->cost * SAME_COST < b->cost || b->cost * SAME_COST < a->cost)
		return a->cost < b->cost;
	return a->residual < b->residual;
}

static bool better(const struct plan_input *in, const struct plan *a, const struct plan *b)
{
	const enum plan_rank a_rank = plan_rank(in, a), b_rank = plan_rank(in, b);

	if (a_rank != b_rank)
		return a_rank > b_rank;
	if (a_rank >= PLAN_MEETS_LOSSES)
		return cheaper(a, b);
	/* Of what does not reach it anyway, a little more is not worth much. */
	if (a->residual < b->residual * MARKEDLY || b->residual < a->residual * MARKEDLY)
		return a->residual < b->residual;
	return a->cost < b->cost;
}

struct search {
	const struct plan_input *in;
	struct plan best;
	bool any;
	double least_residual; /* at any cost */
};

static bool offer(struct search *s, struct plan *p)
{
	plan_rate(s->in, p);
	s->least_residual = least(s->least_residual, p->residual);
	if (!s->any || better(s->in, p, &s->best))
		s->best = *p;
	s->any = true;
	return p->met;
}

static void try_copies(struct search *s)
{
	for (u32 set = 1; set < 1u << s->in->count; set++) {
		struct plan p = { .kind = PLAN_COPIES, .first = (u8)set };

		offer(s, &p);
	}
}

/* The link of those left that is best for what is sent again, lower numbers among equals; count: none
 * brings anything. */
static u32 next_again(const struct plan_input *in, u32 set, u32 first)
{
	u32 best = in->count;

	for (u32 n = 0; n < in->count; n++) {
		if (has(set, n) || loss_of(in, n) >= 1)
			continue;
		if (best == in->count || has(first, best) > has(first, n) ||
		    (has(first, best) == has(first, n) && loss_of(in, n) < loss_of(in, best)))
			best = n;
	}
	return best;
}

static void try_repair_of(struct search *s, u32 first)
{
	u32 again = 0;

	for (u32 more = 0; more < s->in->count; more++) {
		const u32 n = next_again(s->in, again, first);

		if (n == s->in->count)
			return;
		again |= 1u << n;
		for (u32 times = 1; times <= TIMES_MAX; times++) {
			struct plan p = { .kind = PLAN_REPAIR,
					  .first = (u8)first,
					  .again = (u8)again,
					  .times = (u8)times };

			if (offer(s, &p))
				break;
		}
	}
}

static void try_repair(struct search *s)
{
	for (u32 a = 0; a < s->in->count; a++) {
		try_repair_of(s, 1u << a);
		for (u32 b = 0; b < a; b++)
			try_repair_of(s, 1u << a | 1u << b);
	}
}

/* Links that bring data, and parity max_delay later, in time. */
static u32 links_within(const struct plan_input *in, u64 within)
{
	u32 set = 0;

	for (u32 n = 0; n < in->count; n++) {
		if (in->link[n].delay <= within)
			set |= 1u << n;
	}
	return set;
}

static void try_block(struct search *s, u32 required)
{
	const u64 span =
		(u64)((double)(required - 1) / s->in->rate * (double)NS_PER_S) + SHARD_MARGIN;
	const u32 most = SHARDS_MAX - required < s->in->parity ? SHARDS_MAX - required :
								 s->in->parity;
	u32 links;

	if (span >= s->in->target.within)
		return;
	links = links_within(s->in, s->in->target.within - span);
	for (u32 parity = 1; links && parity <= most && parity <= 2 * required; parity++) {
		struct plan p = { .kind = PLAN_SHARDS,
				  .first = (u8)links,
				  .shards = required + parity,
				  .required = required,
				  .max_delay = span };

		if (offer(s, &p))
			return;
	}
}

static void try_shards(struct search *s)
{
	static const u8 sizes[] = { 2, 3, 4, 6, 8, 10, 12, 16, 20, 24 };

	if (s->in->parity == 0 || s->in->rate <= 0 || (s->best.met && s->best.cost < CHEAP))
		return;
	for (u32 n = 0; n < ARRAY_SIZE(sizes); n++)
		try_block(s, sizes[n]);
}

u32 plan_cheap_links(const struct plan_input *in)
{
	double price = in->link[0].price;
	u32 set = 0;

	for (u32 n = 1; n < in->count; n++)
		price = least(price, in->link[n].price);
	for (u32 n = 0; n < in->count; n++)
		set |= in->link[n].price <= DEAR * price ? 1u << n : 0;
	return set;
}

static void careful(const struct plan_input *in, struct plan *ret)
{
	const u8 all = (u8)((1u << in->count) - 1);

	*ret = (struct plan){ .kind = in->reports ? PLAN_REPAIR : PLAN_COPIES,
			      .first = (u8)plan_cheap_links(in),
			      .again = in->reports ? all : 0,
			      .times = 1 };
	plan_rate(in, ret);
	ret->why = PLAN_YOUNG;
}

void plan_make(const struct plan_input *in, struct plan *ret)
{
	struct search s = { .in = in, .least_residual = 1 };

	if (in->young) {
		careful(in, ret);
		return;
	}
	try_copies(&s);
	if (in->reports)
		try_repair(&s);
	try_shards(&s);
	*ret = s.best;
	if (ret->met)
		ret->why = PLAN_CHEAPEST;
	else if (plan_rank(in, ret) == PLAN_MEETS_LOSSES)
		ret->why = PLAN_FAILURES;
	else
		ret->why = s.least_residual <= in->target.residual_loss ? PLAN_OVERHEAD : PLAN_BEST;
}

bool plan_same(const struct plan *a, const struct plan *b)
{
	return a->kind == b->kind && a->first == b->first && a->again == b->again &&
	       a->times == b->times && a->shards == b->shards && a->required == b->required;
}
