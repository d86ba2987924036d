/* SPDX-License-Identifier: MIT */
/*
 * fate.c - correlation of what happens to paths; see fate.h.
 *
 * Alike are two paths whose delays, or whose losses, have a high coefficient of correlation over the
 * samples that both have. That asks for movement: delays that vary by more than a scheduler's noise,
 * losses in several samples. The square of the coefficient is enough, which needs no root.
 */
#include "warp/fate.h"

#include <string.h>

#define SAMPLES_MIN 32u
#define ALIKE 0.7       /* from here on they are bound */
#define UNLIKE 0.3      /* below they part */
#define DELAY_MOVES 1.0 /* ms, standard deviation */
#define LOSS_MOVES 0.01 /* the same */

struct sums {
	double n, x, y, xx, yy, xy;
};

static void pair_of(u32 *a, u32 *b)
{
	if (*a > *b) {
		const u32 c = *a;

		*a = *b;
		*b = c;
	}
}

void fate_forget(struct fate *f, u32 path)
{
	memset(&f->track[path], 0, sizeof(f->track[path]));
	for (u32 n = 0; n < FATE_PATHS; n++) {
		f->bond[path][n] = (struct fate_bond){ 0 };
		f->bond[n][path] = (struct fate_bond){ 0 };
	}
}

void fate_sample(struct fate *f, u32 path, u64 delay, double loss)
{
	struct fate_track *t = &f->track[path];

	t->delay[f->at] = (float)delay / (float)NS_PER_MS;
	t->loss[f->at] = (float)loss;
	t->count++;
}

static void add(struct sums *s, double x, double y)
{
	s->n++;
	s->x += x;
	s->y += y;
	s->xx += x * x;
	s->yy += y * y;
	s->xy += x * y;
}

/* The coefficient, squared, with its sign; 0 when either moves less than so much. */
static double correlation(const struct sums *s, double moves)
{
	const double xx = s->xx / s->n - s->x / s->n * (s->x / s->n);
	const double yy = s->yy / s->n - s->y / s->n * (s->y / s->n);
	const double xy = s->xy / s->n - s->x / s->n * (s->y / s->n);

	if (xx < moves * moves || yy < moves * moves)
		return 0;
	return xy * (xy < 0 ? -xy : xy) / (xx * yy);
}

/* How alike two series are whose newest entries stand before at. Slow movements are alike by chance: the
 * steps from sample to sample have to be, too. */
static double series_alike(const float *x, const float *y, u32 at, u32 count, double moves)
{
	struct sums level = { 0 }, step = { 0 };
	double levels, steps;

	for (u32 n = 1; n < count; n++) {
		const u32 i = (at + FATE_SAMPLES - n) % FATE_SAMPLES;
		const u32 before = (i + FATE_SAMPLES - 1) % FATE_SAMPLES;

		add(&level, (double)x[i], (double)y[i]);
		add(&step, (double)x[i] - (double)x[before], (double)y[i] - (double)y[before]);
	}
	levels = correlation(&level, moves);
	steps = correlation(&step, moves / 2);
	return levels < steps ? levels : steps;
}

static double squared(const struct fate *f, u32 a, u32 b)
{
	const struct fate_track *x = &f->track[a], *y = &f->track[b];
	u32 both = x->count < y->count ? x->count : y->count;
	double by_delay, by_loss;

	if (both < SAMPLES_MIN)
		return 0;
	if (both > FATE_SAMPLES)
		both = FATE_SAMPLES;
	by_delay = series_alike(x->delay, y->delay, f->at, both, DELAY_MOVES);
	by_loss = series_alike(x->loss, y->loss, f->at, both, LOSS_MOVES);
	return by_delay > by_loss ? by_delay : by_loss;
}

double fate_alike(const struct fate *f, u32 a, u32 b)
{
	return squared(f, a, b);
}

static bool moves(const struct fate *f, u32 path)
{
	const struct fate_track *t = &f->track[path];
	struct sums s = { 0 };

	for (u32 n = 0; n < FATE_SAMPLES; n++)
		add(&s, (double)t->delay[n], (double)t->loss[n]);
	return s.xx / s.n - s.x / s.n * (s.x / s.n) >= DELAY_MOVES * DELAY_MOVES ||
	       s.yy / s.n - s.y / s.n * (s.y / s.n) >= LOSS_MOVES * LOSS_MOVES;
}

static void judge(struct fate *f, u32 a, u32 b)
{
	struct fate_bond *bond = &f->bond[a][b];
	const double alike = squared(f, a, b);
	bool change;

	if (bond->bound)
		change = alike < UNLIKE * UNLIKE && (moves(f, a) || moves(f, b));
	else
		change = alike > ALIKE * ALIKE;
	bond->score = change ? (u8)(bond->score + 1) : 0;
	if (bond->score < (bond->bound ? FATE_PART : FATE_JOIN))
		return;
	bond->bound = !bond->bound;
	bond->score = 0;
}

void fate_step(struct fate *f, u64 mask)
{
	f->at = (f->at + 1) % FATE_SAMPLES;
	if (++f->since < FATE_EVERY)
		return;
	f->since = 0;
	for (u64 first = mask; first; first &= first - 1) {
		for (u64 second = first & (first - 1); second; second &= second - 1)
			judge(f, (u32)__builtin_ctzll(first), (u32)__builtin_ctzll(second));
	}
}

bool fate_bound(const struct fate *f, u32 a, u32 b)
{
	pair_of(&a, &b);
	return f->bond[a][b].bound;
}
