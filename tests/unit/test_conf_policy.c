/* SPDX-License-Identifier: MIT */
/*
 * test_conf_policy.c - interfaces.policy: what is written, and what is wrong with it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "warp/conf.h"
#include "warp/crypto.h"

#define HEAD "private_key: qI5rrRwhkx0Zi8BnHOmiM1A+1BcZhPPxEhWtmoFPHXQ=\n"
#define REST                                                                                       \
	"far_gate: { name: b, public_key: Xo1yK0rA8k0xYrsVh9gMXgJSu1GNMy5RwGJcVzU0wWk=,\n"         \
	"            endpoints: ['192.0.2.1:7'] }\n"                                               \
	"tunnels: { name: v, gate: { application_to_gate: '127.1.0.1:9000' } }\n"
/* In line 2. */
#define POLICY(text) HEAD "interfaces: { policy: { " text " } }\n" REST

static struct conf *parse(const char *text)
{
	struct conf_error error = { "" };
	struct conf *c = NULL;

	if (conf_parse("test.yaml", text, strlen(text), &c, &error))
		fail_msg("%s", error.text);
	return c;
}

static void policies_are_as_written_in_their_order(void **state)
{
	struct conf *c = parse(HEAD
			       "interfaces:\n"
			       "  policy:\n"
			       "    - { match: [wwan.*, usb0], cost: metered, rate_limit: 5mbit,\n"
			       "        monthly_quota: 20GB, over_quota: stop, weight: 3 }\n"
			       "    - { match: sat.*, cost: backup, monthly_quota: 1.5GiB }\n"
			       "    - { match: .* }\n" REST);
	const struct conf_policy *p = c->interfaces.policies;

	(void)state;
	assert_int_equal(c->interfaces.policy_count, 3);
	assert_int_equal(p[0].match_count, 2);
	assert_string_equal(p[0].match[1], "usb0");
	assert_int_equal(p[0].policy.cost, COST_METERED);
	assert_int_equal(p[0].policy.rate_limit, 625000);
	assert_int_equal(p[0].policy.weight, 3);
	assert_true(p[0].monthly_quota == UINT64_C(20000000000));
	assert_int_equal(p[0].over_quota, COST_BARRED);
	assert_int_equal(p[1].policy.cost, COST_BACKUP);
	assert_int_equal(p[1].policy.rate_limit, 0);
	assert_true(p[1].monthly_quota == UINT64_C(3) << 29);
	assert_int_equal(p[1].over_quota, COST_BACKUP);
	assert_int_equal(p[2].policy.cost, COST_FREE);
	assert_int_equal(p[2].policy.weight, 1);
	assert_int_equal(p[2].monthly_quota, 0);
	assert_int_equal(c->warning_count, 0);
	conf_free(c);
}

static void a_shell_pattern_is_warned_of(void **state)
{
	struct conf *c = parse(POLICY("match: wwan*, cost: metered"));

	(void)state;
	assert_int_equal(c->warning_count, 1);
	assert_string_equal(c->warnings[0],
			    "test.yaml:2:32: match 'wwan*' is a regular expression; for every "
			    "name that begins so write 'wwan.*'");
	conf_free(c);
}

static void mistakes_are_told_where_they_stand(void **state)
{
	static const struct {
		const char *text, *what;
	} mistakes[] = {
		{ POLICY("cost: free"), "2:23: match is missing" },
		{ POLICY("match: 'wwan('"), "2:32: match: 'wwan(' is not a regular" },
		{ POLICY("match: a, cost: cheap"),
		  "cost must be one of free, metered, backup, not 'cheap'" },
		{ POLICY("match: a, weight: 0"), "weight is 0; it must be from 1 to 100" },
		{ POLICY("match: a, weight: 101"), "weight is 101" },
		{ POLICY("match: a, rate_limit: 5"), "rate_limit must be a rate such as" },
		{ POLICY("match: a, rate_limit: 1bit"), "rate_limit is 1bit; it must be from" },
		{ POLICY("match: a, monthly_quota: 20"),
		  "monthly_quota must be an amount of data such as 500MB or 20GB, not '20'" },
		{ POLICY("match: a, monthly_quota: 20gb"), "monthly_quota must be an amount" },
		{ POLICY("match: a, monthly_quota: -1GB"), "monthly_quota must be an amount" },
		{ POLICY("match: a, monthly_quota: 1kB"),
		  "monthly_quota is 1kB; it must be from 1MB to 1000TB" },
		{ POLICY("match: a, monthly_quota: 99999999999999999TB"),
		  "monthly_quota must be an amount" },
		{ POLICY("match: a, over_quota: stop"), "2:35: over_quota needs a monthly_quota" },
		{ POLICY("match: a, monthly_quota: 1GB, over_quota: die"),
		  "over_quota must be one of backup, stop" },
		{ POLICY("match: a, quota: 1GB"), "unknown key 'quota'" },
		{ HEAD "interfaces: { policy: [] }\n" REST, "policy is an empty list" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		struct conf_error error = { "" };
		struct conf *c = NULL;

		assert_int_equal(conf_parse("test.yaml", mistakes[i].text, strlen(mistakes[i].text),
					    &c, &error),
				 -EINVAL);
		if (!strstr(error.text, mistakes[i].what))
			fail_msg("'%s' is not in '%s'", mistakes[i].what, error.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies_are_as_written_in_their_order),
		cmocka_unit_test(a_shell_pattern_is_warned_of),
		cmocka_unit_test(mistakes_are_told_where_they_stand),
	};

	return crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
