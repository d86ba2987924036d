/* SPDX-License-Identifier: MIT */
/*
 * test_strategy.c - the table of strategies, and which of them suit which NATs.
 */
#include "harness.h"

#include <string.h>

#include "core/engine/punch.h"

#define VERDICT(v) (u8)((v) << 3)

static const struct {
	const char *name;
	struct wire_nat nat;
} nats[] = {
	{ "open", { NAT_MAPPING_NONE, NAT_FILTERING_INDEPENDENT, VERDICT(NAT_VERDICT_OPEN), 0 } },
	{ "cone",
	  { NAT_MAPPING_INDEPENDENT, NAT_FILTERING_INDEPENDENT, VERDICT(NAT_VERDICT_NATTED), 0 } },
	{ "port",
	  { NAT_MAPPING_INDEPENDENT, NAT_FILTERING_ADDRESS_AND_PORT, VERDICT(NAT_VERDICT_NATTED),
	    0 } },
	{ "symmetric",
	  { NAT_MAPPING_ADDRESS_AND_PORT, NAT_FILTERING_ADDRESS_AND_PORT,
	    VERDICT(NAT_VERDICT_NATTED) | WIRE_NAT_DEPENDENT, 0 } },
	{ "unknown", { 0 } },
	{ "blocked", { 0, 0, VERDICT(NAT_VERDICT_BLOCKED), 0 } },
};

static const struct wire_nat *nat(const char *name)
{
	for (size_t n = 0; n < ARRAY_SIZE(nats); n++) {
		if (strcmp(nats[n].name, name) == 0)
			return &nats[n].nat;
	}
	fail_msg("no NAT %s", name);
	return NULL;
}

/* The names of those that suit, in the order of the table. */
static void suits(const char *ours, const char *theirs, bool we_open, u8 family,
		  const char *expected)
{
	const struct sides s = { *nat(ours), *nat(theirs), we_open, family };
	char names[256] = "";

	for (u32 n = 0; n < STRATEGIES; n++) {
		if (!strategy_suits(strategies[n], &s))
			continue;
		if (names[0])
			strcat(names, " ");
		strcat(names, strategies[n]->name);
	}
	assert_string_equal(names, expected);
}

static void the_table_ends_with_what_always_remains(void **state)
{
	(void)state;
	for (u32 n = 0; n < STRATEGIES; n++) {
		const struct strategy *s = strategies[n];

		assert_ptr_equal(strategy_numbered(s->number), s);
		assert_int_equal(s->last, n == STRATEGIES - 1);
		if (s->last)
			continue;
		assert_non_null(s->begin);
		assert_true(s->limit > 0 && s->limit <= 15 * NS_PER_S);
	}
	assert_null(strategy_numbered(0));
	assert_null(strategy_numbered(255));
}

static void each_suits_what_it_is_for(void **state)
{
	(void)state;
	suits("port", "open", true, 4, "direct punch prediction probe relay");
	suits("open", "port", false, 4, "reverse punch prediction probe relay");
	suits("port", "port", true, 4, "punch prediction probe relay");
	suits("port", "cone", false, 6, "punch prediction relay");
	suits("symmetric", "cone", true, 4, "override prediction probe relay");
	suits("cone", "symmetric", false, 4, "override prediction probe relay");
	suits("symmetric", "port", true, 4, "prediction probe relay");
	suits("port", "symmetric", false, 4, "prediction probe relay");
	suits("unknown", "unknown", true, 4, "punch prediction probe relay");
	suits("symmetric", "unknown", true, 4, "override prediction probe relay");
}

static void where_nothing_helps_the_relay_remains(void **state)
{
	(void)state;
	suits("symmetric", "symmetric", true, 4, "relay");
	suits("symmetric", "symmetric", false, 4, "relay");
	suits("blocked", "open", true, 4, "relay");
	suits("cone", "blocked", false, 4, "relay");
}

/* The port that is to be hit is at the end whose NAT is opened. */
static void it_is_the_dependent_end_that_opens(void **state)
{
	(void)state;
	suits("port", "symmetric", true, 4, "relay");
	suits("symmetric", "port", false, 4, "relay");
}

static void what_is_known_of_a_mapping(void **state)
{
	static const struct wire_nat few_endpoints = { .flags = WIRE_NAT_DEPENDENT };

	(void)state;
	assert_int_equal(strategy_dependence(nat("symmetric")), NAT_YES);
	assert_int_equal(strategy_dependence(&few_endpoints), NAT_YES);
	assert_int_equal(strategy_dependence(nat("open")), NAT_NO);
	assert_int_equal(strategy_dependence(nat("port")), NAT_NO);
	assert_int_equal(strategy_dependence(nat("unknown")), NAT_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_ends_with_what_always_remains),
		cmocka_unit_test(each_suits_what_it_is_for),
		cmocka_unit_test(where_nothing_helps_the_relay_remains),
		cmocka_unit_test(it_is_the_dependent_end_that_opens),
		cmocka_unit_test(what_is_known_of_a_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
