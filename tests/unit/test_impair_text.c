/* SPDX-License-Identifier: MIT */
/* test_impair_text.c - impairments from and to text. */
#include "harness.h"

#include <errno.h>
#include <string.h>

#include "warp/impair_text.h"

#define EVERYTHING                                                                                 \
	"delay 20ms jitter 5ms smooth loss 100% burst 2% 30% rate 100mbit queue 50ms "             \
	"reorder 1% 5ms duplicate 0.1% corrupt 0.01%"

static void everything_is_understood(void **state)
{
	struct impair_config c = { 0 };
	char error[IMPAIR_ERROR];

	(void)state;
	assert_int_equal(impair_parse("delay 20ms jitter 5.5ms smooth loss 1% rate 100mbit queue "
				      "50ms  reorder 1% 2ms\tduplicate 0.1% corrupt 0.0001% burst "
				      "2% 30% down\n",
				      &c, error),
			 0);
	assert_true(c.delay == 20 * NS_PER_MS && c.jitter == 5500 * NS_PER_US && c.smooth);
	assert_true(c.loss == 10000 && c.burst_begin == 20000 && c.burst_end == 300000);
	assert_true(c.rate == 100000000 && c.queue_ns == 50 * NS_PER_MS && !c.queue_bytes);
	assert_true(c.reorder == 10000 && c.late == 2 * NS_PER_MS);
	assert_true(c.duplicate == 1000 && c.corrupt == 1 && c.down);
}

static void what_is_not_said_has_a_sensible_value(void **state)
{
	struct impair_config c = { 0 };
	char error[IMPAIR_ERROR];

	(void)state;
	assert_int_equal(impair_parse("rate 1.5kbit reorder 1%", &c, error), 0);
	assert_true(c.rate == 1500 && c.queue_ns == IMPAIR_QUEUE_DEFAULT);
	assert_true(c.late == IMPAIR_LATE_DEFAULT);
}

static void writing_is_the_inverse_of_reading(void **state)
{
	static const char *const texts[] = {
		"none",
		"down",
		"delay 20ms",
		"down delay 1.5us jitter 1us smooth",
		"delay 60s jitter 59.999999s",
		"delay 1234567us",
		"loss 0.0001% burst 2% 33.3333%",
		"rate 100gbit queue 12345b",
		"rate 1kbit queue 1000mb",
		"rate 1234567bit queue 1us",
		EVERYTHING,
	};
	struct impair_config c, again;
	char error[IMPAIR_ERROR], text[IMPAIR_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		c = again = (struct impair_config){ 0 };
		assert_int_equal(impair_parse(texts[i], &c, error), 0);
		impair_format(text, &c);
		assert_int_equal(impair_parse(text, &again, error), 0);
		assert_memory_equal(&c, &again, sizeof(c));
	}
	assert_string_equal(text, texts[ARRAY_SIZE(texts) - 1]);
}

static void what_is_not_said_stays(void **state)
{
	struct impair_config c = { 0 };
	char error[IMPAIR_ERROR], text[IMPAIR_TEXT];

	(void)state;
	assert_int_equal(impair_parse("delay 20ms jitter 5ms smooth rate 1mbit queue 10ms", &c,
				      error),
			 0);
	assert_int_equal(impair_parse("loss 5% jitter 1ms", &c, error), 0);
	assert_string_equal(impair_format(text, &c),
			    "delay 20ms jitter 1ms loss 5% rate 1mbit queue 10ms");
	assert_int_equal(impair_parse("rate 0 jitter 0 down", &c, error), 0);
	assert_string_equal(impair_format(text, &c), "down delay 20ms loss 5%");
	assert_int_equal(impair_parse("up", &c, error), 0);
	assert_int_equal(impair_parse("none delay 1ms", &c, error), 0);
	assert_string_equal(impair_format(text, &c), "delay 1ms");
}

static void mistakes_are_told_and_change_nothing(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ " ", "nothing is said; an example: delay 20ms loss 1%" },
		{ "dely 20ms", "'dely' is no impairment; is it 'delay'?" },
		{ "xyzzyxyzzy", "'xyzzyxyzzy' is no impairment; there are delay, jitter, loss, "
				"burst, rate, queue, reorder, duplicate, corrupt, down" },
		{ "delay", "delay needs a time such as 20ms or 500us behind it" },
		{ "delay 20", "delay needs a time such as 20ms or 500us, not '20'" },
		{ "delay -1ms", "delay needs a time such as 20ms or 500us, not '-1ms'" },
		{ "delay 1.ms", "delay needs a time such as 20ms or 500us, not '1.ms'" },
		{ "delay 20 ms", "delay needs a time such as 20ms or 500us, not '20'" },
		{ "delay 61s", "delay 61s is too long; 60s is the most" },
		{ "delay 9999999999999999999999999s",
		  "delay needs a time such as 20ms or 500us, not '9999999999999999999999999s'" },
		{ "delay 5ms jitter 6ms", "the jitter is more than the delay; packets cannot come "
					  "before they are sent" },
		{ "delay 5ms delay 6ms", "delay is there twice" },
		{ "smooth", "'smooth' is no impairment; there are delay, jitter, loss, burst, "
			    "rate, queue, reorder, duplicate, corrupt, down" },
		{ "loss 5", "loss needs a percentage such as 1% or 0.05%, not '5'" },
		{ "loss 101%", "loss 101% is more than 100%" },
		{ "burst 2%", "burst needs a percentage such as 1% or 0.05% behind it" },
		{ "burst 2% 0%", "burst: at 0% a burst would never end; 30% makes it 3.3 packets "
				 "long on average" },
		{ "rate 5m", "rate needs a rate such as 10mbit or 500kbit, not '5m'" },
		{ "rate 5bit", "rate 5bit is not from 1kbit to 100gbit" },
		{ "queue 5ms", "queue needs a rate, which fills it" },
		{ "rate 5mbit queue x",
		  "queue needs a time such as 50ms or a size such as 64kb, not 'x'" },
		{ "rate 5mbit queue 0", "queue 0 is not from 1b to 1000mb" },
		{ "reorder 1% 99s", "reorder 99s is too long; 60s is the most" },
	};
	struct impair_config c, before = { .loss = 1 };
	char error[IMPAIR_ERROR];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		c = before;
		assert_int_equal(impair_parse(cases[i].text, &c, error), -EINVAL);
		assert_string_equal(error, cases[i].message);
		assert_memory_equal(&c, &before, sizeof(c));
	}
}

static void long_words_are_cut(void **state)
{
	struct impair_config c = { 0 };
	char text[4096], error[IMPAIR_ERROR];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	assert_int_equal(impair_parse(text, &c, error), -EINVAL);
	assert_in_range(strlen(error), 1, IMPAIR_ERROR - 1);
	memcpy(text, "loss ", 5);
	assert_int_equal(impair_parse(text, &c, error), -EINVAL);
	assert_in_range(strlen(error), 1, IMPAIR_ERROR - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_understood),
		cmocka_unit_test(what_is_not_said_has_a_sensible_value),
		cmocka_unit_test(writing_is_the_inverse_of_reading),
		cmocka_unit_test(what_is_not_said_stays),
		cmocka_unit_test(mistakes_are_told_and_change_nothing),
		cmocka_unit_test(long_words_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
