/* SPDX-License-Identifier: MIT */
/*
 * natanswer.c - what comes back of the tests of a NAT, phase by phase. An answer counts when it is
 * to a question of the present phase, however late.
 */
#include "natclass_internal.h"

#define GRACE (100 * NS_PER_MS) /* and two round trips: an answer after the control's */

/* One external port that equals the local one may do so by chance. */
static enum nat_answer preserves(u32 equal)
{
	if (equal == 1)
		return NAT_UNKNOWN;
	return equal ? NAT_YES : NAT_NO;
}

/* How the external ports of a set of samples follow each other, if that is clear or nothing more is
 * to be tried: a range of ports that came to its end in a set looks random. */
static bool judge_set(struct natclass *c)
{
	int size = 0;
	enum nat_step step =
		nat_judge_step(c->sample, c->samples, c->sets >= ARBITRARY_SETS, &size);

	c->sets++;
	c->samples = 0;
	if (c->sets < SETS && (step == NAT_STEP_UNKNOWN || step == NAT_STEP_RANDOM))
		return false;
	c->is.step = step;
	c->is.step_size = size;
	c->is.preserves = preserves(c->equal + (c->seen[0].port == c->local.port));
	return true;
}

static void take_sample(struct natclass *c, u64 now, const struct endpoint *seen)
{
	c->spare_seen = *seen;
	c->sample[c->samples++] = (struct nat_sample){ c->spare_port, seen->port };
	c->equal += seen->port == c->spare_port;
	if (c->samples == NATCLASS_SAMPLES && judge_set(c))
		run_next_phase(c, now);
	else
		ask_enter_with_spare(c, now, NATCLASS_STEP, run_sample_wish(c));
}

static void take_seen(struct natclass *c, u64 now, const struct natclass_answer *a)
{
	c->seen[c->phase - NATCLASS_AT_FIRST] = a->seen;
	if (c->phase == NATCLASS_AT_FIRST)
		run_set_verdict(c);
	run_next_phase(c, now);
}

static void take_life_open(struct natclass *c, u64 now, const struct natclass_answer *a)
{
	c->spare_seen = a->seen;
	c->spare_used = now;
	c->phase = NATCLASS_LIFE_SILENT;
	c->at = now + natlife_silence(&c->life);
}

/* A question was heard. The answer that matters may come a little later, or not at all. */
static void take_control(struct natclass *c, u64 now, const struct natclass_answer *a)
{
	u64 serial = a->nonce >> 2;

	if (serial <= c->confirmed_serial)
		return;
	c->confirmed_serial = serial;
	c->confirmed++;
	if (serial == c->serial && !c->due)
		c->at = now + GRACE + 2 * (now - c->asked_at);
	else if (c->confirmed == CONFIRMED)
		c->at = now + WAIT_LATER;
	/* From a pool of addresses: the map cannot reach the other mapping. */
	if (c->phase == NATCLASS_LIFE_ASK &&
	    !address_equal(&a->seen.address, &c->spare_seen.address))
		run_rest(c, c->rerun);
}

static void take_filter(struct natclass *c, u64 now, const struct natclass_answer *a)
{
	const struct endpoint *asked = &c->map[0];
	bool same_address = address_equal(&a->from.address, &asked->address);

	switch (a->nonce & 3) {
	case CONTROL:
		take_control(c, now, a);
		return;
	case BY_PORT:
		c->from_port |= same_address && a->from.port != asked->port;
		break;
	case BY_ADDRESS:
		c->from_address |= !same_address;
		break;
	default:
		return;
	}
	if (run_filter_is_clear(c))
		run_conclude_filter(c, now);
}

static void take_life(struct natclass *c, u64 now)
{
	natlife_held(&c->life, c->asked_first - c->spare_used);
	run_lifetime_known(c);
	run_begin_life(c, now);
}

static void take_on_own(struct natclass *c, u64 now, const struct natclass_answer *a)
{
	switch (c->phase) {
	case NATCLASS_AT_FIRST:
	case NATCLASS_AT_ADDRESS:
	case NATCLASS_AT_PORT:
	case NATCLASS_AT_FIRST_AGAIN:
		take_seen(c, now, a);
		break;
	case NATCLASS_LIFE_ASK:
		if ((a->nonce & 3) == CONTROL)
			take_control(c, now, a);
		break;
	default:
		break;
	}
}

static void take_on_spare(struct natclass *c, u64 now, const struct natclass_answer *a)
{
	switch (c->phase) {
	case NATCLASS_FILTER:
		take_filter(c, now, a);
		break;
	case NATCLASS_STEP:
		take_sample(c, now, &a->seen);
		break;
	case NATCLASS_LIFE_OPEN:
		take_life_open(c, now, a);
		break;
	case NATCLASS_LIFE_SILENT: /* late: it has kept the mapping alive */
		c->spare_used = now;
		c->at = now + natlife_silence(&c->life);
		break;
	case NATCLASS_LIFE_ASK:
		if ((a->nonce & 3) == BY_PORT)
			take_life(c, now);
		break;
	default:
		break;
	}
}

void natclass_take(struct natclass *c, u64 now, const struct natclass_answer *a)
{
	u64 serial = a->nonce >> 2;

	if (serial < c->first || serial > c->serial || !endpoint_is_usable(&a->seen))
		return;
	if (a->socket == NATCLASS_OWN)
		take_on_own(c, now, a);
	else if (c->spare == SPARE_OPENED)
		take_on_spare(c, now, a);
}

void natclass_returned(struct natclass *c, u64 nonce)
{
	if (c->hairpin_nonce && nonce == c->hairpin_nonce)
		c->returned = true;
}
