/* SPDX-License-Identifier: MIT */
/*
 * test_predict.c - which external port a NAT will give to a new socket.
 */
#include "harness.h"

#include "warp/predict.h"

#define NO_OFFSET 99999

static enum prediction judge(const struct nat_sample s[static PREDICT_SAMPLES], int *ret_offset)
{
	*ret_offset = NO_OFFSET;
	return predict_judge(s, false, ret_offset);
}

static void what_does_not_depend_on_the_destination_is_as_sampled(void **state)
{
	const struct nat_sample s[] = { { 1000, 5000 }, { 1001, 60000 }, { 1002, 1024 } };
	int offset;

	(void)state;
	assert_int_equal(predict_judge(s, true, &offset), PREDICT_SAME);
	assert_int_equal(judge(s, &offset), PREDICT_NONE);
	assert_int_equal(offset, NO_OFFSET);
}

static void a_nat_that_takes_the_local_port_or_one_beside_it(void **state)
{
	const struct nat_sample equal[] = { { 1000, 1000 }, { 5001, 5001 }, { 302, 302 } };
	const struct nat_sample beside[] = { { 1000, 64536 }, { 5001, 3001 }, { 302, 63838 } };
	int offset;

	(void)state;
	assert_int_equal(judge(equal, &offset), PREDICT_OFFSET);
	assert_int_equal(offset, 0);
	assert_int_equal(judge(beside, &offset), PREDICT_OFFSET);
	assert_int_equal(offset, -2000);
}

/* Others take ports too; some count down, some over the end of the range. */
static void a_nat_that_counts_shows_by_small_distances_one_way(void **state)
{
	static const struct {
		u16 external[PREDICT_SAMPLES];
		enum prediction is;
	} cases[] = {
		{ { 20000, 20001, 20002 }, PREDICT_STEP },
		{ { 20000, 20007, 20009 }, PREDICT_STEP },
		{ { 20000, 19998, 19996 }, PREDICT_STEP },
		{ { 65534, 65535, 3 }, PREDICT_STEP },
		{ { 20000, 20001, 20000 }, PREDICT_NONE },
		{ { 20000, 20000, 20001 }, PREDICT_NONE },
		{ { 20000, 20001, 20051 }, PREDICT_NONE },
		{ { 20000, 20100, 20101 }, PREDICT_NONE },
		{ { 20000, 4711, 61234 }, PREDICT_NONE },
	};
	int offset;

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		struct nat_sample s[PREDICT_SAMPLES];

		for (u32 k = 0; k < PREDICT_SAMPLES; k++)
			s[k] = (struct nat_sample){ (u16)(40000 + 7 * k * k),
						    cases[n].external[k] };
		assert_int_equal(judge(s, &offset), cases[n].is);
	}
}

static void between(u16 first, u16 second, u16 third, u16 end, u16 *ret, u32 max, u32 count)
{
	const struct nat_sample s[] = { { 1, first }, { 2, second }, { 3, third } };

	assert_int_equal(predict_between(s, end, ret, max), count);
}

static bool has(const u16 *ports, u32 count, u16 port)
{
	for (u32 n = 0; n < count; n++) {
		if (ports[n] == port)
			return true;
	}
	return false;
}

static void ports_between_two_samples_are_foreseen(void **state)
{
	u16 port[64];

	(void)state;
	/* Those of eight sockets, and two that the last sample may have overtaken. */
	between(20000, 20001, 20002, 20011, port, 64, 10);
	for (u16 n = 20003; n <= 20013; n++)
		assert_int_equal(has(port, 10, n), n != 20011);
	assert_int_equal(port[0], 20003);
	/* In twos, downwards. */
	between(20000, 19998, 19994, 19980, port, 64, 8);
	assert_int_equal(port[0], 19992);
	assert_true(has(port, 8, 19982));
	assert_false(has(port, 8, 19983));
	/* Over the end of the range; never port 0. */
	between(65530, 65531, 65533, 2, port, 64, 5);
	assert_int_equal(port[0], 65534);
	assert_false(has(port, 5, 0));
	assert_true(has(port, 5, 1));
	/* No more than there is room for, those that were made first. */
	between(20000, 20001, 20002, 20200, port, 64, 64);
	assert_int_equal(port[63], 20066);
}

static void the_next_ports_are_foreseen(void **state)
{
	static const struct {
		u16 external[PREDICT_SAMPLES], next[3];
	} cases[] = {
		{ { 20000, 20001, 20002 }, { 20003, 20004, 20005 } },
		{ { 20000, 20004, 20010 }, { 20012, 20014, 20016 } },
		{ { 20000, 19999, 19998 }, { 19997, 19996, 19995 } },
		{ { 65532, 65533, 65534 }, { 65535, 0, 1 } },
	};
	u16 port[3];

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		struct nat_sample s[PREDICT_SAMPLES];

		for (u32 k = 0; k < PREDICT_SAMPLES; k++)
			s[k] = (struct nat_sample){ (u16)k, cases[n].external[k] };
		predict_ahead(s, port, 3);
		assert_memory_equal(port, cases[n].next, sizeof(port));
	}
}

static void what_went_back_or_far_away_foretells_nothing(void **state)
{
	u16 port[64];

	(void)state;
	between(20000, 20001, 20002, 20002, port, 64, 0);
	between(20000, 20001, 20002, 19990, port, 64, 0);
	between(20000, 20001, 20002, 20300, port, 64, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_depend_on_the_destination_is_as_sampled),
		cmocka_unit_test(a_nat_that_takes_the_local_port_or_one_beside_it),
		cmocka_unit_test(a_nat_that_counts_shows_by_small_distances_one_way),
		cmocka_unit_test(ports_between_two_samples_are_foreseen),
		cmocka_unit_test(the_next_ports_are_foreseen),
		cmocka_unit_test(what_went_back_or_far_away_foretells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
