/* SPDX-License-Identifier: MIT */
/* test_drop.c - names of drop reasons. */
#include "harness.h"

#include <string.h>

#include "warp/drop.h"

static void every_reason_has_its_own_lower_case_name(void **state)
{
	(void)state;
	for (int i = 0; i < DROP_REASONS; i++) {
		const char *name = drop_reason_name((enum drop_reason)i);

		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(name, drop_reason_name((enum drop_reason)j));
	}
	assert_string_equal(drop_reason_name(DROP_BAD_AUTH), "bad_auth");
	assert_string_equal(drop_reason_name(DROP_GATE_CLOSED), "gate_closed");
}

static void a_number_that_is_no_reason_has_a_name_too(void **state)
{
	(void)state;
	assert_string_equal(drop_reason_name(DROP_REASONS), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_has_its_own_lower_case_name),
		cmocka_unit_test(a_number_that_is_no_reason_has_a_name_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
