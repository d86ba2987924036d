/* SPDX-License-Identifier: MIT */
/*
 * test_know.c - what is known of a path's losses: the truth is hardly ever above the bound, bursts are
 * told from single losses, and what gets worse is believed at once.
 */
#include "harness.h"

#include "warp/know.h"

struct link {
	struct test_random random;
	struct know know;
	u64 sent, lost;
	double loss;         /* single */
	double enter, leave; /* bursts */
	bool in_burst;
};

static bool chance(struct link *l, double p)
{
	return (double)test_random_below(&l->random, 1000000) < p * 1e6;
}

static void send(struct link *l)
{
	l->in_burst = l->in_burst ? !chance(l, l->leave) : chance(l, l->enter);
	l->sent++;
	l->lost += l->in_burst || chance(l, l->loss);
}

/* For so many tenths of a second. */
static void run(struct link *l, u32 samples, u32 datagrams)
{
	for (u32 n = 0; n < samples; n++) {
		for (u32 i = 0; i < datagrams; i++)
			send(l);
		know_sample(&l->know, l->sent, l->lost, true);
	}
}

static struct link link_begin(u64 seed)
{
	struct link l = { .random = { seed } };

	know_init(&l.know);
	know_sample(&l.know, 0, 0, true);
	return l;
}

static void nothing_seen_is_nothing_known(void **state)
{
	struct know k;

	(void)state;
	know_init(&k);
	assert_true(know_loss_upper(&k) >= 1);
	assert_true(know_burst(&k) > 2);
	know_sample(&k, 1000, 500, true); /* from before we looked */
	assert_true(know_loss_upper(&k) >= 1);
}

static void the_bound_comes_down_with_evidence(void **state)
{
	struct link l = link_begin(1);
	double before = 1;

	(void)state;
	for (u32 n = 0; n < 8; n++) {
		run(&l, 1u << n, 10);
		assert_true(know_loss_upper(&l.know) < before);
		before = know_loss_upper(&l.know);
	}
	assert_true(before < 0.005);
	assert_true(know_loss(&l.know) <= 0);
}

static void the_truth_is_hardly_ever_above_the_bound(void **state)
{
	static const double losses[] = { 0.001, 0.01, 0.05, 0.3 };

	(void)state;
	for (u32 c = 0; c < ARRAY_SIZE(losses); c++) {
		u32 above = 0;

		for (u64 seed = 1; seed <= 200; seed++) {
			struct link l = link_begin(seed * 977 + c);

			l.loss = losses[c];
			run(&l, 30, 100);
			above += know_loss_upper(&l.know) < l.loss;
			assert_true(know_loss_upper(&l.know) < l.loss * 3 + 0.01);
		}
		assert_true(above <= 20);
	}
}

static void bursts_are_told_from_single_losses(void **state)
{
	struct link single = link_begin(5), bursty = link_begin(6);

	(void)state;
	single.loss = 0.06;
	bursty.enter = 0.01;
	bursty.leave = 0.15; /* 6.7 in a row, 6 % of all */
	run(&single, 300, 100);
	run(&bursty, 300, 100);
	assert_true(know_burst(&single.know) < 1.5);
	assert_true(know_burst(&bursty.know) > 4);
	assert_true(know_burst(&bursty.know) < 10);
	/* They are fewer pieces of evidence. */
	assert_true(know_loss_upper(&bursty.know) - know_loss(&bursty.know) >
		    1.5 * (know_loss_upper(&single.know) - know_loss(&single.know)));
}

static void what_gets_worse_is_believed_at_once(void **state)
{
	struct link l = link_begin(7);

	(void)state;
	run(&l, 300, 100);
	assert_true(know_loss_upper(&l.know) < 0.002);
	l.loss = 0.2;
	run(&l, 3, 100);
	assert_true(know_loss_upper(&l.know) > 0.08);
	l.loss = 0;
	run(&l, 10, 100); /* and what gets better is not */
	assert_true(know_loss_upper(&l.know) > 0.02);
	run(&l, 800, 100);
	assert_true(know_loss_upper(&l.know) < 0.01);
}

static void a_loss_that_was_only_late_is_taken_back(void **state)
{
	struct know k;

	(void)state;
	know_init(&k);
	know_sample(&k, 0, 0, true);
	for (u64 n = 1; n <= 100; n++)
		know_sample(&k, n * 50, n % 2 ? 10 : 0, true);
	assert_true(know_loss(&k) < 0.005);
}

static void counts_that_begin_anew_are_no_losses(void **state)
{
	struct link l = link_begin(8);

	(void)state;
	run(&l, 100, 100);
	l.sent = l.lost = 0;
	run(&l, 10, 100);
	assert_true(know_loss(&l.know) <= 0);
}

static void a_path_that_fails_is_expected_to_fail(void **state)
{
	struct link steady = link_begin(9), flaky = link_begin(10);

	(void)state;
	for (u32 n = 0; n < 20; n++) {
		run(&steady, 100, 10);
		run(&flaky, 100, 10);
		know_sample(&flaky.know, flaky.sent, flaky.lost, false);
	}
	assert_true(know_outage(&steady.know) < 0.001);
	assert_true(know_outage(&flaky.know) > 10 * know_outage(&steady.know));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_seen_is_nothing_known),
		cmocka_unit_test(the_bound_comes_down_with_evidence),
		cmocka_unit_test(the_truth_is_hardly_ever_above_the_bound),
		cmocka_unit_test(bursts_are_told_from_single_losses),
		cmocka_unit_test(what_gets_worse_is_believed_at_once),
		cmocka_unit_test(a_loss_that_was_only_late_is_taken_back),
		cmocka_unit_test(counts_that_begin_anew_are_no_losses),
		cmocka_unit_test(a_path_that_fails_is_expected_to_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
