/* SPDX-License-Identifier: MIT */
/*
 * natjudge.c - what the tests of a NAT mean, in the terms of RFC 4787, and the names of that.
 */
#include "warp/natclass.h"

#define ENOUGH_SAMPLES 4u
#define LARGEST_STEP 512
#define STRANGERS 16 /* other mappings of the same NAT between two samples, at most */

/* --- names ----------------------------------------------------------------------------------- */

static const char *const mappings[] = {
	[NAT_MAPPING_UNKNOWN] = "unknown",
	[NAT_MAPPING_NONE] = "none",
	[NAT_MAPPING_INDEPENDENT] = "endpoint-independent",
	[NAT_MAPPING_ADDRESS] = "address-dependent",
	[NAT_MAPPING_ADDRESS_AND_PORT] = "address-and-port-dependent",
};

static const char *const filterings[] = {
	[NAT_FILTERING_UNKNOWN] = "unknown",
	[NAT_FILTERING_INDEPENDENT] = "endpoint-independent",
	[NAT_FILTERING_ADDRESS] = "address-dependent",
	[NAT_FILTERING_ADDRESS_AND_PORT] = "address-and-port-dependent",
};

static const char *const steps[] = {
	[NAT_STEP_UNKNOWN] = "unknown",       [NAT_STEP_EQUAL] = "equal",
	[NAT_STEP_PRESERVING] = "preserving", [NAT_STEP_INDEPENDENT] = "independent",
	[NAT_STEP_DEPENDENT] = "dependent",   [NAT_STEP_RANDOM] = "random",
};

static const char *const answers[] = {
	[NAT_UNKNOWN] = "unknown",
	[NAT_NO] = "no",
	[NAT_YES] = "yes",
};

static const char *const verdicts[] = {
	[NAT_VERDICT_UNKNOWN] = "unknown",        [NAT_VERDICT_OPEN] = "open",
	[NAT_VERDICT_FIREWALL] = "firewall-only", [NAT_VERDICT_NATTED] = "natted",
	[NAT_VERDICT_BLOCKED] = "udp-blocked",
};

_Static_assert(ARRAY_SIZE(mappings) == NAT_MAPPINGS, "a mapping behaviour has no name");
_Static_assert(ARRAY_SIZE(filterings) == NAT_FILTERINGS, "a filtering behaviour has no name");
_Static_assert(ARRAY_SIZE(steps) == NAT_STEPS, "a port step has no name");
_Static_assert(ARRAY_SIZE(answers) == NAT_ANSWERS, "an answer has no name");
_Static_assert(ARRAY_SIZE(verdicts) == NAT_VERDICTS, "a verdict has no name");

static const char *name_of(const char *const *names, size_t count, unsigned which)
{
	return which < count ? names[which] : "unknown";
}

const char *nat_mapping_name(enum nat_mapping mapping)
{
	return name_of(mappings, ARRAY_SIZE(mappings), (unsigned)mapping);
}

const char *nat_filtering_name(enum nat_filtering filtering)
{
	return name_of(filterings, ARRAY_SIZE(filterings), (unsigned)filtering);
}

const char *nat_step_name(enum nat_step step)
{
	return name_of(steps, ARRAY_SIZE(steps), (unsigned)step);
}

const char *nat_answer_name(enum nat_answer answer)
{
	return name_of(answers, ARRAY_SIZE(answers), (unsigned)answer);
}

const char *nat_verdict_name(enum nat_verdict verdict)
{
	return name_of(verdicts, ARRAY_SIZE(verdicts), (unsigned)verdict);
}

/* --- mapping and filtering ------------------------------------------------------------------- */

static bool is_known(const struct endpoint *e)
{
	return e->address.family != 0;
}

/* Whether seen by another port of the same address differs says more than whether seen by another
 * address does: a mapping that depends on the port depends on the address too. */
void nat_judge_mapping(struct nat_class *is, const struct endpoint *local,
		       const struct endpoint seen[3], u8 base)
{
	bool by_address = is_known(&seen[1]), by_port = is_known(&seen[2]) && is_known(&seen[base]);
	bool address_differs = by_address && !endpoint_equal(&seen[0], &seen[1]);
	bool port_differs = by_port && !endpoint_equal(&seen[base], &seen[2]);

	is->mapping = NAT_MAPPING_UNKNOWN;
	is->dependent = NAT_UNKNOWN;
	if (address_differs || port_differs)
		is->dependent = NAT_YES;
	else if (by_address)
		is->dependent = NAT_NO;
	if (port_differs)
		is->mapping = NAT_MAPPING_ADDRESS_AND_PORT;
	else if (address_differs)
		is->mapping = by_port ? NAT_MAPPING_ADDRESS : NAT_MAPPING_UNKNOWN;
	else if (endpoint_equal(&seen[0], local))
		is->mapping = NAT_MAPPING_NONE;
	else if (by_address)
		is->mapping = NAT_MAPPING_INDEPENDENT;
	if (is->mapping == NAT_MAPPING_NONE)
		is->dependent = NAT_NO;
}

enum nat_filtering nat_judge_filtering(bool can_address, bool from_address, bool can_port,
				       bool from_port)
{
	if (can_address && from_address)
		return NAT_FILTERING_INDEPENDENT;
	if (can_port && !from_port)
		return NAT_FILTERING_ADDRESS_AND_PORT;
	if (can_address && can_port)
		return NAT_FILTERING_ADDRESS;
	return NAT_FILTERING_UNKNOWN;
}

/* --- the step -------------------------------------------------------------------------------- */

/* From one port to the next, the short way around. */
static int distance(u16 from, u16 to)
{
	return (int16_t)(u16)(to - from);
}

/* Is the external port as far from the local one in each sample? */
static bool is_shifted(const struct nat_sample *s, u32 count)
{
	for (u32 n = 1; n < count; n++) {
		if ((u16)(s[n].external - s[n].local) != (u16)(s[0].external - s[0].local))
			return false;
	}
	return true;
}

static bool are_consecutive(const struct nat_sample *s, u32 count)
{
	for (u32 n = 1; n < count; n++) {
		if (s[n].local != s[n - 1].local + 1)
			return false;
	}
	return true;
}

/* The steps from sample to sample that are exactly size, if all others are multiples of it: then
 * somebody else got the mappings between. 0 when one is not. */
static u32 steps_of(const struct nat_sample *s, u32 count, int size)
{
	u32 exact = 0;

	for (u32 n = 1; n < count; n++) {
		int d = distance(s[n - 1].external, s[n].external);

		if (d % size != 0 || d / size < 1 || d / size > STRANGERS)
			return 0;
		exact += d == size;
	}
	return exact;
}

/* The step that all samples but one show; 0: none. At the end of its range a NAT begins anew, and
 * another sample is needed. */
static int common_step(const struct nat_sample *s, u32 count)
{
	for (u32 n = 1; n < count; n++) {
		int size = distance(s[n - 1].external, s[n].external);

		if (size == 0 || size > LARGEST_STEP || size < -LARGEST_STEP)
			continue;
		if (steps_of(s, count, size) + 2 >= count)
			return size;
	}
	return 0;
}

static enum nat_step with_size(enum nat_step step, int size, int *ret_size)
{
	*ret_size = size;
	return step;
}

/* Some samples got their local port, others did not: those were taken. */
static bool is_mixed(const struct nat_sample *s, u32 count)
{
	u32 equal = 0;

	for (u32 n = 0; n < count; n++)
		equal += s[n].local == s[n].external;
	return equal > 0 && equal < count;
}

enum nat_step nat_judge_step(const struct nat_sample *samples, u32 count, bool consecutive,
			     int *ret_size)
{
	bool in_a_row = are_consecutive(samples, count);
	int size;

	if (count < ENOUGH_SAMPLES || is_mixed(samples, count))
		return NAT_STEP_UNKNOWN;
	size = common_step(samples, count);
	if (is_shifted(samples, count) && samples[0].local == samples[0].external)
		return with_size(NAT_STEP_EQUAL, 0, ret_size);
	if (!consecutive) {
		if (in_a_row) /* by chance: what steps here may depend on that, or not */
			return NAT_STEP_UNKNOWN;
		if (is_shifted(samples, count))
			return with_size(NAT_STEP_PRESERVING, 0, ret_size);
		return size ? with_size(NAT_STEP_INDEPENDENT, size, ret_size) : NAT_STEP_UNKNOWN;
	}
	if (!in_a_row)
		return NAT_STEP_UNKNOWN;
	if (size)
		return with_size(NAT_STEP_DEPENDENT, size, ret_size);
	return with_size(NAT_STEP_RANDOM, 0, ret_size);
}
