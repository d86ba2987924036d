/* SPDX-License-Identifier: MIT */
/*
 * strategy_predict.c - ports that can be foreseen: of a NAT that counts, or that takes the local port.
 *
 * The end behind it has the map look at three new sockets, one after the other: at the same time their
 * order would be lost. If those tell a rule, it opens some more sockets, tells the other end what ports
 * they are going to have, and when that has heard it, both send at the same time: a router that takes
 * unknown datagrams for its own shall have seen its own host's first.
 *
 * Where the NAT counts, one more sample follows: the ports lie between that and the third, whoever else
 * took ports meanwhile. If they are not those that were told, the other end is told once more.
 *
 * Where the mapping does not depend on the destination, the ports of the three sockets are known
 * exactly. That is a plain punch with new sockets: for when something is wrong with the old mapping.
 */
#include "punch.h"

#include <string.h>

#define KNOCKERS 8u
#define AHEAD 24u /* ports that those may get, if others take some */
#define SAMPLE_INTERVAL (250 * NS_PER_MS)
#define SAMPLE_TRIES 6u
#define KNOCK_INTERVAL (100 * NS_PER_MS)
#define SHOT_INTERVAL (20 * NS_PER_MS)
#define SHOTS_AT_ONCE 4u
#define ROUNDS 3u
#define AFTER_LAST (500 * NS_PER_MS)
#define PREDICT_LIMIT (3 * NS_PER_S)

enum phase { SAMPLING, OPENING, TOLD, SAMPLING_LAST, SHOOTING };

_Static_assert(AHEAD <= WIRE_PORTS_MAX, "READY has room for them");

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
	if (c->a->phase == OPENING)
		return;
	c->a->tries = 1;
	sample(c, n);
}

/* The sockets send when the other end has heard of them. */
static void ready(const struct punching *c)
{
	c->a->phase = TOLD;
	attempt_ready(c);
	c->a->next = c->now + punch_way(c);
}

/* The sockets that were sampled are those that will send. */
static void same(const struct punching *c)
{
	for (u32 n = 0; n < PREDICT_SAMPLES; n++)
		c->a->port[c->a->count++] = c->a->sample[n].external;
	ready(c);
}

static void judge(const struct punching *c)
{
	const struct wire_nat nat =
		nattest_wire(iface_get(c->e, c->p->punch->pair[c->a->pair].iface));
	struct attempt *a = c->a;
	int offset = 0;

	a->rule = (u8)predict_judge(a->sample, strategy_dependence(&nat) == NAT_NO, &offset);
	if (a->rule == PREDICT_NONE) {
		punch_failed(c);
	} else if (a->rule == PREDICT_SAME) {
		same(c);
	} else {
		a->stride = (u32)offset;
		a->phase = OPENING;
		attempt_open(c, PREDICT_SAMPLES + KNOCKERS);
	}
}

/* The sockets go on sending, one after the other. */
static void shooting(const struct punching *c)
{
	c->a->phase = SHOOTING;
	c->a->next = c->now + KNOCK_INTERVAL;
}

static void complete(const struct punching *c)
{
	struct attempt *a = c->a;

	if (a->open == a->wanted && a->phase != OPENING)
		return;
	if (a->phase == SAMPLING_LAST) {
		shooting(c); /* what was told has to do */
		return;
	}
	if (a->open < a->wanted) {
		punch_failed(c);
		return;
	}
	if (a->rule == PREDICT_STEP) {
		a->count = AHEAD;
		predict_ahead(a->sample, a->port, AHEAD);
	}
	for (u32 n = PREDICT_SAMPLES; a->rule == PREDICT_OFFSET && n < a->wanted; n++)
		a->port[a->count++] = (u16)(a->local[n] + a->stride);
	ready(c);
}

/* All at once. */
static void knock(const struct punching *c)
{
	struct attempt *a = c->a;

	for (u32 n = a->rule == PREDICT_SAME ? 0 : PREDICT_SAMPLES; n < a->wanted; n++)
		attempt_knock(c, n);
	shooting(c);
	if (a->rule != PREDICT_STEP)
		return;
	a->phase = SAMPLING_LAST;
	attempt_open(c, a->wanted + 1);
}

/* The ports lie before this one; are they among those that were told? */
static void last_sampled(const struct punching *c, u16 end)
{
	u16 port[WIRE_PORTS_MAX];
	struct attempt *a = c->a;
	u32 count = predict_between(a->sample, end, port, WIRE_PORTS_MAX);

	shooting(c);
	if (count <= AHEAD)
		return;
	a->count = count;
	memcpy(a->port, port, count * sizeof(port[0]));
	attempt_ready(c);
}

static void sampled(const struct punching *c, u32 n, const struct endpoint *seen)
{
	struct attempt *a = c->a;

	if (a->phase != SAMPLING && a->phase != SAMPLING_LAST)
		return; /* it went on without */
	a->next = TIME_NEVER;
	if (a->phase == SAMPLING_LAST) {
		last_sampled(c, seen->port);
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
		if (to.port) /* no host has 0 */
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
	} else if (a->phase == TOLD) {
		knock(c);
	} else if (a->phase == SHOOTING) {
		attempt_knock_next(c, a->rule == PREDICT_SAME ? 0 : PREDICT_SAMPLES);
		a->next = c->now + KNOCK_INTERVAL;
	} else if (a->tries++ < SAMPLE_TRIES) {
		sample(c, a->sampling);
	} else if (a->phase == SAMPLING_LAST) {
		shooting(c);
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
