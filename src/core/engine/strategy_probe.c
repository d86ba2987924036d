/* SPDX-License-Identifier: MIT */
/*
 * strategy_probe.c - the random probe: many sockets at one end, many ports tried by the other.
 *
 * A symmetric NAT gives each socket a port of its own for each destination, and nobody can know
 * which. So the end behind it sends from 256 sockets to the one mapping of the other, by which its NAT
 * has 256 ports that let in what comes from there. The other end sends, from its one socket, to one port
 * after the other. Of 64,512 ports the chance to have hit one of 256 is 64 % after 256, 98.3 % after
 * 1,024 and 99.97 % after 2,048. The other way around, with both ports random, it would be next to
 * nothing.
 *
 * Ports are tried in steps of about the golden section of their range, so that no two are the same, and
 * where a NAT uses a part of them only, that part gets its share at any time.
 *
 * A NAT's table may be small, and others need it too. So the sockets come in lots, and before the first
 * of them one more, which a map is asked about, and then is silent: if its mapping is another after a
 * lot, the table was full, and the lot goes again.
 *
 * Never over IPv6: there are no such NATs.
 */
#include "punch.h"

#define SHOTS 2048u
#define SHOT_INTERVAL (20 * NS_PER_MS)
#define SHOTS_AT_ONCE 4u /* 200 a second */
#define PORT_FIRST 1024u
#define PORTS (65536u - PORT_FIRST)
#define GOLDEN 39871u                   /* of PORTS, to which it is prime */
#define KNOCK_INTERVAL (10 * NS_PER_MS) /* so that each mapping is refreshed within 2.56 s */
#define AFTER_LAST (1 * NS_PER_S)       /* for what is on its way */
#define PROBE_LIMIT (13 * NS_PER_S)
#define CANARY 0u
#define LOT 64u
#define LOT_MIN 16u
#define SAMPLE_INTERVAL (250 * NS_PER_MS)
#define SAMPLE_TRIES 4u

static bool possible(const struct sides *s)
{
	const struct wire_nat *other = s->we_open ? &s->theirs : &s->ours;

	return s->family == 4 && !strategy_dependent(other);
}

static void begin(const struct punching *c)
{
	u32 start;

	if (c->a->opens) {
		attempt_open(c, 1);
		return;
	}
	random_fill(&c->e->options.random, &start, sizeof(start));
	c->a->start = start % PORTS;
	c->a->next = c->now;
}

static void look_at_canary(const struct punching *c)
{
	attempt_sample(c, CANARY);
	c->a->next = c->now + SAMPLE_INTERVAL;
}

static void ready(const struct punching *c)
{
	if (c->a->open <= 1) {
		punch_failed(c);
		return;
	}
	attempt_ready(c);
	c->a->next = c->now + KNOCK_INTERVAL;
}

static void opened(const struct punching *c, u32 n)
{
	if (n != CANARY)
		attempt_knock(c, n);
}

/* All of a lot are there. */
static void complete(const struct punching *c)
{
	c->a->tries = 0;
	look_at_canary(c);
}

static void sampled(const struct punching *c, u32 n, const struct endpoint *seen)
{
	struct attempt *a = c->a;
	bool full = a->samples > 0 && a->sample[0].external != seen->port;

	(void)n;
	if (full)
		attempt_close(c, a->asked > LOT + LOT_MIN ? a->asked - LOT : LOT_MIN);
	if (full || a->failed || a->asked == PUNCH_SOCKETS) {
		ready(c);
		return;
	}
	a->samples = 1;
	a->sample[0].external = seen->port;
	a->next = TIME_NEVER;
	attempt_open(c, a->asked + LOT);
}

static void shoot(const struct punching *c)
{
	struct buf *shot = attempt_shot(c);
	struct endpoint to = c->a->target;

	for (u32 n = 0; shot && n < SHOTS_AT_ONCE && c->a->shots < SHOTS; n++, c->a->shots++) {
		u64 at = c->a->start + (u64)c->a->shots * GOLDEN;

		to.port = (u16)(PORT_FIRST + at % PORTS);
		attempt_shoot(c, shot, ATTEMPT_OWN, &to);
	}
	buf_put(shot);
	if (c->a->shots < SHOTS)
		c->a->next = c->now + SHOT_INTERVAL;
	else
		c->a->until = time_min(c->a->until, c->now + AFTER_LAST);
}

static void expire(const struct punching *c)
{
	struct attempt *a = c->a;

	if (!a->opens) {
		shoot(c);
	} else if (a->ready) {
		attempt_knock_next(c, CANARY + 1);
		a->next = c->now + KNOCK_INTERVAL;
	} else if (a->tries++ < SAMPLE_TRIES) {
		look_at_canary(c);
	} else {
		ready(c); /* with what there is */
	}
}

const struct strategy strategy_probe = {
	.name = "probe",
	.number = 6,
	.origin = PATH_FROM_PROBE,
	.limit = PROBE_LIMIT,
	.possible = possible,
	.begin = begin,
	.opened = opened,
	.complete = complete,
	.sampled = sampled,
	.expire = expire,
};
