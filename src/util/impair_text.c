/* SPDX-License-Identifier: MIT */
/*
 * impair_text.c - impairments from and to text; see impair_text.h.
 *
 * A table of words, each with the function that reads what follows it. Numbers are whole millionths
 * of their unit, so that nothing is rounded: 0.0001% is one part of a million.
 */
#include "warp/impair_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "warp/nearest.h"

#define WORD 32u
#define MILLIONTHS UINT64_C(1000000)
#define RATE_MIN UINT64_C(1000)

struct unit {
	const char *name;
	u64 size;
};

static const struct unit times[] = { { "s", NS_PER_S }, { "ms", NS_PER_MS }, { "us", NS_PER_US } };
static const struct unit shares[] = { { "%", IMPAIR_ALL / 100 } };
static const struct unit rates[] = {
	{ "gbit", 1000000000 }, { "mbit", 1000000 }, { "kbit", 1000 }, { "bit", 1 }
};
static const struct unit sizes[] = { { "mb", 1000000 }, { "kb", 1000 }, { "b", 1 } };

/* What is being read. */
struct text {
	const char *at;      /* behind word */
	const char *keyword; /* whose values are read */
	char word[WORD];     /* the one that comes next, "": none; cut when it is long */
	char *error;
	bool queue_said;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct text *t, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(t->error, IMPAIR_ERROR, format, args);
	va_end(args);
	return -EINVAL;
}

/* --- words and numbers -------------------------------------------------------------------- */

static void advance(struct text *t)
{
	size_t length, kept;

	t->at += strspn(t->at, " \t\r\n");
	length = strcspn(t->at, " \t\r\n");
	kept = length < WORD ? length : WORD - 1;
	memcpy(t->word, t->at, kept);
	t->word[kept] = 0;
	t->at += length;
}

/* Digits, and up to six behind a point, as millionths. Returns what follows, or NULL. */
static const char *read_millionths(const char *text, u64 *ret)
{
	u64 value = 0, unit = MILLIONTHS;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && p - text < 12; p++)
		value = value * 10 + (u64)(*p - '0') * MILLIONTHS;
	if (p == text)
		return NULL;
	if (*p == '.' && p[1] >= '0' && p[1] <= '9') {
		for (p++; *p >= '0' && *p <= '9' && unit > 1; p++)
			value += (u64)(*p - '0') * (unit /= 10);
	}
	*ret = value;
	return p;
}

/* "20ms". False: it is none of these units, or too large for any number. */
static bool read_quantity(const char *text, const struct unit *units, size_t count, u64 *ret)
{
	u64 millionths, product;
	const char *unit = read_millionths(text, &millionths);

	if (!unit)
		return false;
	if (!*unit && !millionths) {
		*ret = 0;
		return true;
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		if (__builtin_mul_overflow(millionths, units[i].size, &product))
			return false;
		*ret = product / MILLIONTHS;
		return true;
	}
	return false;
}

static int needs(struct text *t, const char *what)
{
	if (!t->word[0])
		return refuse(t, "%s needs %s behind it", t->keyword, what);
	return refuse(t, "%s needs %s, not '%s'", t->keyword, what, t->word);
}

static bool is_time(const struct text *t, u64 *ret)
{
	return read_quantity(t->word, times, ARRAY_SIZE(times), ret);
}

static int take_time(struct text *t, u64 *ret)
{
	u64 ns;

	if (!is_time(t, &ns))
		return needs(t, "a time such as 20ms or 500us");
	if (ns > IMPAIR_TIME_MAX)
		return refuse(t, "%s %s is too long; 60s is the most", t->keyword, t->word);
	*ret = ns;
	advance(t);
	return 0;
}

static int take_share(struct text *t, u32 *ret)
{
	u64 share;

	if (!read_quantity(t->word, shares, ARRAY_SIZE(shares), &share))
		return needs(t, "a percentage such as 1% or 0.05%");
	if (share > IMPAIR_ALL)
		return refuse(t, "%s %s is more than 100%%", t->keyword, t->word);
	*ret = (u32)share;
	advance(t);
	return 0;
}

/* --- what follows each word --------------------------------------------------------------- */

static int read_delay(struct text *t, struct impair_config *c)
{
	return take_time(t, &c->delay);
}

static int read_jitter(struct text *t, struct impair_config *c)
{
	int error = take_time(t, &c->jitter);

	c->smooth = !error && strcmp(t->word, "smooth") == 0;
	if (c->smooth)
		advance(t);
	return error;
}

static int read_loss(struct text *t, struct impair_config *c)
{
	return take_share(t, &c->loss);
}

static int read_burst(struct text *t, struct impair_config *c)
{
	int error = take_share(t, &c->burst_begin);

	if (error || !c->burst_begin)
		return error;
	error = take_share(t, &c->burst_end);
	if (!error && !c->burst_end)
		error = refuse(t, "burst: at 0%% a burst would never end; 30%% makes it 3.3 "
				  "packets long on average");
	return error;
}

static int read_rate(struct text *t, struct impair_config *c)
{
	u64 rate;

	if (!read_quantity(t->word, rates, ARRAY_SIZE(rates), &rate))
		return needs(t, "a rate such as 10mbit or 500kbit");
	if (rate && (rate < RATE_MIN || rate > IMPAIR_RATE_MAX))
		return refuse(t, "rate %s is not from 1kbit to 100gbit", t->word);
	c->rate = rate;
	advance(t);
	return 0;
}

static int read_queue(struct text *t, struct impair_config *c)
{
	u64 size;

	c->queue_ns = c->queue_bytes = 0;
	t->queue_said = true;
	if (is_time(t, &size) && size)
		return take_time(t, &c->queue_ns);
	if (!read_quantity(t->word, sizes, ARRAY_SIZE(sizes), &size))
		return needs(t, "a time such as 50ms or a size such as 64kb");
	if (size < 1 || size > IMPAIR_QUEUE_BYTES_MAX)
		return refuse(t, "queue %s is not from 1b to 1000mb", t->word);
	c->queue_bytes = size;
	advance(t);
	return 0;
}

static int read_reorder(struct text *t, struct impair_config *c)
{
	int error = take_share(t, &c->reorder);
	u64 late;

	c->late = c->reorder ? IMPAIR_LATE_DEFAULT : 0;
	if (!error && c->reorder && is_time(t, &late))
		error = take_time(t, &c->late);
	return error;
}

static int read_duplicate(struct text *t, struct impair_config *c)
{
	return take_share(t, &c->duplicate);
}

static int read_corrupt(struct text *t, struct impair_config *c)
{
	return take_share(t, &c->corrupt);
}

static int read_down(struct text *t, struct impair_config *c)
{
	(void)t;
	c->down = true;
	return 0;
}

static int read_up(struct text *t, struct impair_config *c)
{
	(void)t;
	c->down = false;
	return 0;
}

static int read_none(struct text *t, struct impair_config *c)
{
	(void)t;
	*c = (struct impair_config){ 0 };
	return 0;
}

static const struct keyword {
	const char *name;
	int (*read)(struct text *t, struct impair_config *c);
} keywords[] = {
	{ "delay", read_delay },     { "jitter", read_jitter },
	{ "loss", read_loss },       { "burst", read_burst },
	{ "rate", read_rate },       { "queue", read_queue },
	{ "reorder", read_reorder }, { "duplicate", read_duplicate },
	{ "corrupt", read_corrupt }, { "down", read_down },
	{ "up", read_up },           { "none", read_none },
};

/* --- the whole ---------------------------------------------------------------------------- */

static int unknown(struct text *t)
{
	struct nearest n;

	nearest_init(&n, t->word);
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
		nearest_try(&n, keywords[i].name);
	if (n.word)
		return refuse(t, "'%s' is no impairment; is it '%s'?", t->word, n.word);
	return refuse(t,
		      "'%s' is no impairment; there are delay, jitter, loss, burst, rate, queue, "
		      "reorder, duplicate, corrupt, down",
		      t->word);
}

/* One word with its values. seen: bits of the keywords so far. */
static int read_keyword(struct text *t, struct impair_config *c, u32 *seen)
{
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
		if (strcmp(keywords[i].name, t->word) != 0)
			continue;
		if (*seen & 1u << i)
			return refuse(t, "%s is there twice", t->word);
		*seen |= 1u << i;
		t->keyword = keywords[i].name;
		advance(t);
		return keywords[i].read(t, c);
	}
	return unknown(t);
}

static int check_whole(struct text *t, struct impair_config *c)
{
	if (c->jitter > c->delay)
		return refuse(t, "the jitter is more than the delay; packets cannot come before "
				 "they are sent");
	if (t->queue_said && !c->rate)
		return refuse(t, "queue needs a rate, which fills it");
	if (c->rate && !c->queue_ns && !c->queue_bytes)
		c->queue_ns = IMPAIR_QUEUE_DEFAULT;
	if (!c->rate)
		c->queue_ns = c->queue_bytes = 0;
	return 0;
}

int impair_parse(const char *text, struct impair_config *config,
		 char ret_error[static IMPAIR_ERROR])
{
	struct impair_config c = *config;
	struct text t = { .at = text };
	u32 seen = 0;
	int error = 0;

	t.error = ret_error;
	advance(&t);
	if (!t.word[0])
		return refuse(&t, "nothing is said; an example: delay 20ms loss 1%%");
	while (t.word[0] && !error)
		error = read_keyword(&t, &c, &seen);
	if (!error)
		error = check_whole(&t, &c);
	if (!error)
		*config = c;
	return error;
}

/* Of the largest unit in which it is whole, else in the smallest with what is needed behind the
 * point. */
static void put_quantity(char *ret, const struct unit *units, size_t count, u64 value)
{
	char fraction[16] = "";
	size_t i, length;

	for (i = 0; i + 1 < count && value % units[i].size; i++)
		;
	if (value % units[i].size) {
		length =
			(size_t)snprintf(fraction, sizeof(fraction), ".%06u",
					 (u32)(value % units[i].size * MILLIONTHS / units[i].size));
		while (fraction[length - 1] == '0')
			fraction[--length] = 0;
	}
	length = strlen(ret);
	snprintf(ret + length, IMPAIR_TEXT - length, " %" PRIu64 "%s%s", value / units[i].size,
		 fraction, units[i].name);
}

static void put(char *ret, const char *word)
{
	size_t length = strlen(ret);

	snprintf(ret + length, IMPAIR_TEXT - length, "%s%s", length ? " " : "", word);
}

static void put_time(char *ret, const char *word, u64 ns)
{
	if (!ns)
		return;
	put(ret, word);
	put_quantity(ret, times, ARRAY_SIZE(times), ns);
}

static void put_share(char *ret, const char *word, u32 share)
{
	if (!share)
		return;
	put(ret, word);
	put_quantity(ret, shares, ARRAY_SIZE(shares), share);
}

static void put_rate(char *ret, const struct impair_config *c)
{
	if (!c->rate)
		return;
	put(ret, "rate");
	put_quantity(ret, rates, ARRAY_SIZE(rates), c->rate);
	put(ret, "queue");
	if (c->queue_bytes)
		put_quantity(ret, sizes, ARRAY_SIZE(sizes), c->queue_bytes);
	else
		put_quantity(ret, times, ARRAY_SIZE(times), c->queue_ns);
}

const char *impair_format(char ret[static IMPAIR_TEXT], const struct impair_config *config)
{
	ret[0] = 0;
	if (config->down)
		put(ret, "down");
	put_time(ret, "delay", config->delay);
	put_time(ret, "jitter", config->jitter);
	if (config->jitter && config->smooth)
		put(ret, "smooth");
	put_share(ret, "loss", config->loss);
	put_share(ret, "burst", config->burst_begin);
	if (config->burst_begin)
		put_quantity(ret, shares, ARRAY_SIZE(shares), config->burst_end);
	put_rate(ret, config);
	put_share(ret, "reorder", config->reorder);
	if (config->reorder)
		put_quantity(ret, times, ARRAY_SIZE(times), config->late);
	put_share(ret, "duplicate", config->duplicate);
	put_share(ret, "corrupt", config->corrupt);
	if (!ret[0])
		put(ret, "none");
	return ret;
}
