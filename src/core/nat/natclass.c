/* SPDX-License-Identifier: MIT */
/*
 * natclass.c - the tests of the NAT before an interface: which one is next, what is sent, when it
 * counts as unanswered.
 *
 * A run goes through the phases of enum natclass_phase in order, those that need what is not there
 * left out. There is never more than one sample under way, because samples that overtake each other
 * show another order of ports than the NAT has.
 *
 * Loss. A sample is asked for until it is answered; when it never is, its phase fails, and a run
 * that left something open is soon followed by another. What "does not come in" is only believed
 * together with a proof that the question was heard: each such question travels in one datagram with
 * another one, the control, that is answered to where it came from. Ten times heard and never
 * answered is what counts; at a loss of one in five that is wrong once in ten million times.
 *
 * A mapping may change while it is looked at (a router that is restarted, a short lifetime): the
 * first endpoint is asked again at the end, and when it sees another mapping than before, the run
 * begins anew.
 */
#include "natclass_internal.h"

#include <string.h>

#define MAX_TRIES 14u
#define MAX_CONTROLLED 40u
#define HAIRPIN_TRIES 16u
#define RERUN (600 * NS_PER_S)
#define RERUN_SOON (30 * NS_PER_S)
#define RERUN_DOUBLINGS 5u
#define RUN_GAP (10 * NS_PER_S) /* runs begin no closer to each other */
#define MAX_RESTARTS 3u
#define SET_GAP 50u /* ports between two sets */
#define NO_ENDPOINT NATCLASS_ENDPOINTS

/* --- phases ---------------------------------------------------------------------------------- */

u16 run_sample_wish(const struct natclass *c)
{
	u32 apart = c->samples == 0 ? SET_GAP : c->sets < ARBITRARY_SETS ? 7 + 4 * c->samples : 1;
	u32 port = c->spare_port + apart;

	return port <= UINT16_MAX ? (u16)port : 0;
}

/* Is the map known to be reached at another address, at another port of the first one? That nothing
 * comes in from there says nothing else. */
static bool asks_address(const struct natclass *c)
{
	return c->seen[1].address.family != 0;
}

static bool asks_port(const struct natclass *c)
{
	return c->seen[2].address.family != 0 && c->port_base == 0;
}

void run_rest(struct natclass *c, u64 until)
{
	ask_spare_drop(c);
	c->phase = NATCLASS_REST;
	c->due = false;
	c->at = until;
}

void run_begin_life(struct natclass *c, u64 now)
{
	if (c->is.verdict == NAT_VERDICT_OPEN || natlife_silence(&c->life) == 0)
		run_rest(c, c->rerun);
	else
		ask_enter_with_spare(c, now, NATCLASS_LIFE_OPEN, 0);
}

static u64 rerun_delay(struct natclass *c)
{
	u32 doublings = c->failures < RERUN_DOUBLINGS ? c->failures : RERUN_DOUBLINGS;

	if (!c->failed) {
		c->failures = 0;
		return RERUN;
	}
	c->failures++;
	return time_min(RERUN_SOON << doublings, RERUN);
}

/* The tests of a run are done; what is left is slow and may go on in the background. */
static void end_run(struct natclass *c, u64 now)
{
	c->rerun = now + rerun_delay(c);
	natlife_again(&c->life);
	run_begin_life(c, now);
}

static void begin_run(struct natclass *c, u64 now)
{
	memset(c->seen, 0, sizeof(c->seen));
	c->from_port = false;
	c->from_address = false;
	c->equal = 0;
	c->samples = 0;
	c->sets = 0;
	c->hairpin_nonce = 0;
	c->returned = false;
	c->failed = false;
	c->started = now;
	ask_spare_drop(c);
	ask_enter(c, now, NATCLASS_AT_FIRST);
}

void run_set_verdict(struct natclass *c)
{
	if (c->seen[0].address.family && !endpoint_equal(&c->seen[0], &c->local)) {
		c->is.verdict = NAT_VERDICT_NATTED;
		return;
	}
	c->is.verdict = NAT_VERDICT_UNKNOWN;
	if (c->is.mapping != NAT_MAPPING_NONE || c->is.filtering == NAT_FILTERING_UNKNOWN)
		return;
	c->is.verdict = c->is.filtering == NAT_FILTERING_INDEPENDENT ? NAT_VERDICT_OPEN :
								       NAT_VERDICT_FIREWALL;
}

/* False: the mapping has changed meanwhile, and the run was begun anew. */
static bool judge_mapping(struct natclass *c, u64 now)
{
	if (!c->seen[3].address.family) {
		c->failed = true;
		return true;
	}
	if (endpoint_equal(&c->seen[0], &c->seen[3])) {
		nat_judge_mapping(&c->is, &c->local, c->seen, c->port_base);
		run_set_verdict(c);
		return true;
	}
	if (c->restarts++ < MAX_RESTARTS) {
		begin_run(c, now);
		return false;
	}
	c->is.mapping = NAT_MAPPING_UNKNOWN;
	c->is.dependent = NAT_UNKNOWN;
	c->failed = true;
	return true;
}

static void judge_filtering(struct natclass *c)
{
	c->is.filtering =
		nat_judge_filtering(asks_address(c), c->from_address, asks_port(c), c->from_port);
	run_set_verdict(c);
}

static void begin_step(struct natclass *c, u64 now)
{
	if (c->is.verdict != NAT_VERDICT_NATTED) {
		bool none = c->is.mapping == NAT_MAPPING_NONE;

		c->is.step = none ? NAT_STEP_EQUAL : NAT_STEP_UNKNOWN;
		c->is.step_size = 0;
		c->is.preserves = none ? NAT_YES : NAT_UNKNOWN;
		c->is.hairpin = NAT_UNKNOWN;
		end_run(c, now);
		return;
	}
	ask_enter_with_spare(c, now, NATCLASS_STEP, run_sample_wish(c));
}

/* What follows the present phase, however that ended. */
void run_next_phase(struct natclass *c, u64 now)
{
	switch (c->phase) {
	case NATCLASS_AT_FIRST:
		if (c->other_address != NO_ENDPOINT) {
			ask_enter(c, now, NATCLASS_AT_ADDRESS);
			return;
		}
		/* fallthrough */
	case NATCLASS_AT_ADDRESS:
		if (c->other_port != NO_ENDPOINT) {
			ask_enter(c, now, NATCLASS_AT_PORT);
			return;
		}
		/* fallthrough */
	case NATCLASS_AT_PORT:
		ask_enter(c, now, NATCLASS_AT_FIRST_AGAIN);
		return;
	case NATCLASS_AT_FIRST_AGAIN:
		if (!judge_mapping(c, now))
			return;
		if (asks_address(c) || asks_port(c)) {
			ask_enter_with_spare(c, now, NATCLASS_FILTER, 0);
			return;
		}
		c->is.filtering = NAT_FILTERING_UNKNOWN;
		run_set_verdict(c);
		/* fallthrough */
	case NATCLASS_FILTER:
		begin_step(c, now);
		return;
	case NATCLASS_STEP:
		if (c->spare == SPARE_OPENED && c->spare_seen.address.family) {
			ask_enter(c, now, NATCLASS_AT_HAIRPIN);
			return;
		}
		/* fallthrough */
	case NATCLASS_AT_HAIRPIN:
		end_run(c, now);
		return;
	default:
		run_begin_life(c, now);
		return;
	}
}

/* --- time ------------------------------------------------------------------------------------ */

void run_sample_failed(struct natclass *c, u64 now)
{
	c->failed = true;
	if (c->phase == NATCLASS_AT_FIRST) {
		if (c->alive_at >= c->started)
			c->is.verdict = NAT_VERDICT_BLOCKED;
		c->rerun = now + rerun_delay(c);
		run_rest(c, c->rerun);
	} else if (c->phase == NATCLASS_LIFE_OPEN) {
		run_rest(c, c->rerun);
	} else {
		run_next_phase(c, now);
	}
}

bool run_filter_is_clear(const struct natclass *c)
{
	return c->from_address || (c->from_port && !asks_address(c));
}

void run_conclude_filter(struct natclass *c, u64 now)
{
	if (c->confirmed >= CONFIRMED || run_filter_is_clear(c))
		judge_filtering(c);
	else
		c->failed = true;
	run_next_phase(c, now);
}

void run_lifetime_known(struct natclass *c)
{
	c->is.lifetime_lower = c->life.lower;
	c->is.lifetime_upper = c->life.upper;
}

/* The questions of the mapping's lifetime went unanswered. */
static void conclude_life(struct natclass *c, u64 now)
{
	if (c->confirmed < CONFIRMED) {
		run_rest(c, c->rerun);
		return;
	}
	natlife_expired(&c->life, c->asked_first - c->spare_used, c->asked_at - c->spare_used);
	run_lifetime_known(c);
	run_begin_life(c, now);
}

static void expire_controlled(struct natclass *c, u64 now)
{
	if (c->confirmed < CONFIRMED && c->tries < MAX_CONTROLLED)
		ask_again(c, now);
	else if (c->phase == NATCLASS_FILTER)
		run_conclude_filter(c, now);
	else
		conclude_life(c, now);
}

static void expire_hairpin(struct natclass *c, u64 now)
{
	if (c->tries < HAIRPIN_TRIES && !c->returned) {
		ask_again(c, now);
		return;
	}
	c->is.hairpin = c->returned ? NAT_YES : NAT_NO;
	run_next_phase(c, now);
}

void run_expire(struct natclass *c, u64 now)
{
	if (ask_uses_spare(c->phase) && c->spare != SPARE_OPENED) {
		ask_spare_drop(c);
		run_sample_failed(c, now);
		return;
	}
	switch (c->phase) {
	case NATCLASS_REST:
		c->restarts = 0;
		begin_run(c, now);
		return;
	case NATCLASS_FILTER:
	case NATCLASS_LIFE_ASK:
		expire_controlled(c, now);
		return;
	case NATCLASS_AT_HAIRPIN:
		expire_hairpin(c, now);
		return;
	case NATCLASS_LIFE_SILENT:
		ask_enter(c, now, NATCLASS_LIFE_ASK);
		return;
	default:
		if (c->tries < MAX_TRIES)
			ask_again(c, now);
		else
			run_sample_failed(c, now);
		return;
	}
}

/* --- what is given --------------------------------------------------------------------------- */

static void forget(struct natclass *c)
{
	c->is = (struct nat_class){ .lifetime_upper = TIME_NEVER };
	natlife_init(&c->life);
}

void natclass_init(struct natclass *c, const struct endpoint *local, u64 salt)
{
	memset(c, 0, sizeof(*c));
	c->local = *local;
	c->salt = salt;
	c->at = TIME_NEVER;
	c->started = TIME_NEVER;
	forget(c);
}

/* Begins a run, now or as soon as it may be. */
static void begin_soon(struct natclass *c, u64 now)
{
	c->restarts = 0;
	c->failures = 0;
	if (c->started == TIME_NEVER || now - c->started >= RUN_GAP) {
		begin_run(c, now);
		return;
	}
	c->rerun = c->started + RUN_GAP;
	run_rest(c, c->rerun);
}

/* The first endpoint of another address than map[base]'s (other true), or of another port of it. */
static u8 find(const struct natclass *c, u8 base, bool other)
{
	for (u8 n = 0; n < c->map_count; n++) {
		bool same = address_equal(&c->map[n].address, &c->map[base].address);

		if (other ? !same : same && c->map[n].port != c->map[base].port)
			return n;
	}
	return NO_ENDPOINT;
}

static bool is_unspecified(const struct address *a)
{
	const struct address zero = { .family = a->family };

	return address_equal(a, &zero);
}

static bool has_map(const struct natclass *c, const struct endpoint *map, size_t count)
{
	for (size_t n = 0; n < count; n++) {
		if (!endpoint_equal(&map[n], &c->map[n]))
			return false;
	}
	return count == c->map_count;
}

void natclass_set_map(struct natclass *c, u64 now, const struct endpoint *endpoints, size_t count)
{
	struct endpoint map[NATCLASS_ENDPOINTS];

	count = count < NATCLASS_ENDPOINTS ? count : NATCLASS_ENDPOINTS;
	memset(map, 0, sizeof(map));
	for (size_t n = 0; n < count; n++) {
		map[n] = endpoints[n];
		if (is_unspecified(&map[n].address))
			map[n].address = endpoints[0].address;
	}
	if (has_map(c, map, count))
		return;
	memcpy(c->map, map, sizeof(map));
	c->map_count = (u8)count;
	if (count == 0) {
		run_rest(c, TIME_NEVER);
		return;
	}
	c->other_address = find(c, 0, true);
	c->other_port = find(c, 0, false);
	c->port_base = 0;
	if (c->other_port == NO_ENDPOINT && c->other_address != NO_ENDPOINT) {
		c->other_port = find(c, c->other_address, false);
		c->port_base = 1;
	}
	begin_soon(c, now);
}

void natclass_observed(struct natclass *c, u64 now, const struct endpoint *observed)
{
	struct endpoint before = c->observed;

	if (endpoint_equal(&before, observed) && c->is.verdict != NAT_VERDICT_BLOCKED)
		return;
	c->observed = *observed;
	if (!before.address.family || c->map_count == 0)
		return;
	if (!address_equal(&before.address, &observed->address)) /* another network */
		forget(c);
	begin_soon(c, now);
}

void natclass_map_alive(struct natclass *c, u64 now)
{
	c->alive_at = now;
}

u64 natclass_keepalive(const struct natclass *c)
{
	u64 wanted = c->is.lifetime_lower / 5 * 3;

	if (c->is.lifetime_upper == TIME_NEVER)
		return TIME_NEVER;
	return wanted > NS_PER_S ? wanted : NS_PER_S;
}
