/* SPDX-License-Identifier: MIT */
/*
 * strategy_predict.c - ports that can be foreseen: of a NAT that counts, or that takes the local port.
 *
 * The end behind it has the map look at three new sockets, one after the other: at the same time their
 * order would be lost. If those tell a rule, some more sockets send to the mapping of the other end.
 * Where the NAT counts, one more sample follows: the ports of those sockets lie between that and the
 * third, whoever else took ports meanwhile. The other end then sends to all of these.
 *
 * Where the mapping does not depend on the destination, the ports of the three sockets are known
 * exactly. That is a plain punch with new sockets: for when something is wrong with the old mapping.
 */
#include "punch.h"

#define KNOCKERS 8u
#define SAMPLE_INTERVAL (250 * NS_PER_MS)
#define SAMPLE_TRIES 6u
#define KNOCK_INTERVAL (100 * NS_PER_MS)
#define SHOT_INTERVAL (20 * NS_PER_MS)
#define SHOTS_AT_ONCE 4u
#define ROUNDS 3u
#define AFTER_LAST (500 * NS_PER_MS)
#define PREDICT_LIMIT (3 * NS_PER_S)

enum phase { SAMPLING, KNOCKING, SAMPLING_LAST, SHOOTING };

static bool possible(const struct sides *s)
{
	return !strategy_dependent(s->we_open ? &s->theirs : &s->ours);
}

static void begin(const struct punching *c)
{
	if (c->a->opens)
		attempt_open(c, 1);
	else
		c->a->next = c->now;
}

static void sample(const struct punching *c, u32 n)
{
	attempt_sample(c, n);
	c->a->next = c->now + SAMPLE_INTERVAL;
}

static void opened(const struct punching *c, u32 n)
{
	if (c->a->phase == KNOCKING) {
		attempt_knock(c, n);
		return;
	}
	c->a->tries = 1;
	sample(c, n);
}

static void ready(const struct punching *c)
{
	if (c->a->count == 0) {
		punch_failed(c);
		return;
	}
	c->a->phase = SHOOTING;
	attempt_ready(c);
	c->a->next = c->now + KNOCK_INTERVAL;
}

/* The sockets that were sampled send as well. */
static void same(const struct punching *c)
{
	struct attempt *a = c->a;

	for (u32 n = 0; n < PREDICT_SAMPLES; n++) {
		a->port[a->count++] = a->sample[n].external;
		attempt_knock(c, n);
	}
	ready(c);
}

static void judge(const struct punching *c)
{
	const struct wire_nat nat =
		nattest_wire(iface_get(c->e, c->p->punch->pair[c->a->pair].iface));
	struct attempt *a = c->a;
	bool independent = nat.mapping == NAT_MAPPING_INDEPENDENT ||
			   nat.mapping == NAT_MAPPING_NONE;
	int offset = 0;

	switch (predict_judge(a->sample, independent && !strategy_dependent(&nat), &offset)) {
	case PREDICT_NONE:
		punch_failed(c);
		break;
	case PREDICT_SAME:
		same(c);
		break;
	case PREDICT_OFFSET:
		a->stride = (u32)offset;
		a->start = 1;
		a->phase = KNOCKING;
		attempt_open(c, PREDICT_SAMPLES + KNOCKERS);
		break;
	case PREDICT_STEP:
		a->phase = KNOCKING;
		attempt_open(c, PREDICT_SAMPLES + KNOCKERS);
		break;
	}
}

static void complete(const struct punching *c)
{
	struct attempt *a = c->a;

	if (a->open < a->wanted) {
		punch_failed(c);
	} else if (a->phase == KNOCKING && a->start) {
		for (u32 n = PREDICT_SAMPLES; n < a->wanted; n++)
			a->port[a->count++] = (u16)(a->local[n] + a->stride);
		ready(c);
	} else if (a->phase == KNOCKING) {
		a->phase = SAMPLING_LAST;
		attempt_open(c, a->wanted + 1);
	}
}

static void sampled(const struct punching *c, u32 n, const struct endpoint *seen)
{
	struct attempt *a = c->a;

	a->next = TIME_NEVER;
	if (a->phase == SAMPLING_LAST) {
		a->count = predict_between(a->sample, seen->port, a->port, WIRE_PORTS_MAX);
		ready(c);
		return;
	}
	a->sample[a->samples++] = (struct nat_sample){ a->local[n], seen->port };
	if (a->samples < PREDICT_SAMPLES)
		attempt_open(c, a->samples + 1);
	else
		judge(c);
}

/* To each of the ports, and that a few times. */
static void shoot(const struct punching *c)
{
	struct attempt *a = c->a;
	struct buf *shot = attempt_shot(c);
	struct endpoint to = a->target;

	for (u32 n = 0; shot && n < SHOTS_AT_ONCE && a->shots < ROUNDS * a->count; n++) {
		to.port = a->port[a->shots++ % a->count];
		attempt_shoot(c, shot, ATTEMPT_OWN, &to);
	}
	buf_put(shot);
	if (a->shots < ROUNDS * a->count)
		a->next = c->now + SHOT_INTERVAL;
	else
		a->until = time_min(a->until, c->now + AFTER_LAST);
}

static void expire(const struct punching *c)
{
	struct attempt *a = c->a;

	if (!a->opens) {
		shoot(c);
	} else if (a->phase == SHOOTING) {
		attempt_knock_next(c, a->wanted > PREDICT_SAMPLES ? PREDICT_SAMPLES : 0);
		a->next = c->now + KNOCK_INTERVAL;
	} else if (a->tries++ < SAMPLE_TRIES) {
		sample(c, a->sampling);
	} else {
		punch_failed(c);
	}
}

const struct strategy strategy_predict = {
	.name = "prediction",
	.number = 5,
	.origin = PATH_FROM_PREDICTION,
	.limit = PREDICT_LIMIT,
	.possible = possible,
	.begin = begin,
	.opened = opened,
	.complete = complete,
	.sampled = sampled,
	.expire = expire,
};
