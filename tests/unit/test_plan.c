/* SPDX-License-Identifier: MIT */
/*
 * test_plan.c - the plan that is chosen meets the target at the least cost, and its prediction is what
 * comes of it when dice are thrown.
 */
#include "harness.h"

#include "warp/plan.h"

#define MS(n) ((u64)(n)*NS_PER_MS)

static struct plan_link good(u8 path)
{
	return (struct plan_link){ .path = path,
				   .loss = 0.001,
				   .burst = 1,
				   .outage = 0.001,
				   .delay = MS(12),
				   .answer = MS(35),
				   .price = 1 };
}

/* Two good links, 1000 payloads a second. */
static struct plan_input pair(void)
{
	return (struct plan_input){ .target = { 1e-4, MS(80), 1.6 },
				    .link = { good(0), good(1) },
				    .count = 2,
				    .rate = 1000,
				    .parity = 16,
				    .reports = true };
}

static struct plan make(const struct plan_input *in)
{
	struct plan p;

	plan_make(in, &p);
	return p;
}

static void little_knowledge_makes_copies_on_all(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.young = true;
	p = make(&in);
	assert_int_equal(p.why, PLAN_YOUNG);
	assert_int_equal(p.first, 3);
	in.reports = false;
	p = make(&in);
	assert_int_equal(p.kind, PLAN_COPIES);
	assert_int_equal(p.first, 3);
}

static void good_links_get_one_copy_and_what_is_missing_again(void **state)
{
	const struct plan_input in = pair();
	const struct plan p = make(&in);

	(void)state;
	assert_int_equal(p.kind, PLAN_REPAIR);
	assert_int_equal(p.why, PLAN_CHEAPEST);
	assert_true(p.met);
	assert_true(p.overhead < 1.01);
	assert_true(p.again & ~p.first); /* over another link, for the first may have failed */
}

static void lossy_links_get_more_when_something_is_missing(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.link[0].loss = in.link[1].loss = 0.08;
	p = make(&in);
	assert_int_equal(p.kind, PLAN_REPAIR);
	assert_true(p.met);
	assert_true(p.overhead < 1.35);
}

static void without_time_for_repair_there_is_parity(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.link[0].loss = in.link[1].loss = 0.02;
	in.link[0].answer = in.link[1].answer = MS(130);
	in.link[0].delay = in.link[1].delay = MS(45);
	in.link[0].outage = in.link[1].outage = 0;
	p = make(&in);
	assert_int_equal(p.kind, PLAN_SHARDS);
	assert_true(p.met);
	assert_true(p.overhead < 1.6);
	assert_true(p.max_delay <= MS(35));
	assert_true((p.required - 1) * MS(1) <= p.max_delay);
}

static void blocks_fit_into_the_time_that_payloads_take(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.reports = false;
	in.rate = 10; /* no block is complete in time */
	in.link[0].outage = in.link[1].outage = 0;
	in.target.max_overhead = 4;
	in.link[0].loss = in.link[1].loss = 0.005;
	p = make(&in);
	assert_int_equal(p.kind, PLAN_COPIES);
	assert_int_equal(p.first, 3);
	assert_true(p.met);
}

/* Losses are made good even if nothing can be done about the failure of a link. */
static void what_cannot_outlive_a_failure_makes_good_losses(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.reports = false;
	in.link[0].loss = in.link[1].loss = 0.03;
	p = make(&in);
	assert_int_equal(p.why, PLAN_FAILURES);
	assert_false(p.met);
	assert_int_equal(p.kind, PLAN_SHARDS);
	assert_true(p.losses <= in.target.residual_loss);
	assert_true(p.residual > in.target.residual_loss);
}

static void a_target_that_costs_too_much_is_told_so(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.reports = false;
	in.link[0].loss = in.link[1].loss = 0.006;
	in.link[0].outage = in.link[1].outage = 0.002;
	in.rate = 10;  /* no block is complete in time */
	p = make(&in); /* two copies would do, at 2.0 */
	assert_false(p.met);
	assert_int_equal(p.why, PLAN_OVERHEAD);
	assert_true(p.overhead <= 1.6);
	in.target.max_overhead = 2;
	p = make(&in);
	assert_true(p.met);
	in.link[0].loss = in.link[1].loss = 0.5;
	in.target.max_overhead = 64;
	p = make(&in);
	assert_int_equal(p.why, PLAN_BEST);
	assert_int_equal(p.first, 3);
}

static void the_dear_link_is_used_when_something_is_missing(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.link[0].price = 5;
	p = make(&in);
	assert_int_equal(p.kind, PLAN_REPAIR);
	assert_int_equal(p.first, 2);
	assert_true(p.again & 1);
	in.link[0].price = 1;
	in.link[1].price = 5;
	p = make(&in);
	assert_int_equal(p.first, 1);
}

static void a_dear_link_has_no_copies_for_want_of_knowledge(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.young = true;
	in.link[1].price = 8;
	p = make(&in);
	assert_int_equal(p.first, 1);
	assert_int_equal(p.again, 3);
}

static void a_slow_link_carries_nothing_in_time(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.link[0].delay = MS(90);
	p = make(&in);
	assert_int_equal(p.first & 1, 0);
	assert_int_equal(p.again & 1, 0);
}

static void one_link_repairs_its_losses_but_not_its_failures(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.count = 1;
	in.link[0].loss = 0.01;
	in.link[0].outage = 0;
	p = make(&in);
	assert_true(p.met);
	assert_int_equal(p.kind, PLAN_REPAIR);
	in.link[0].outage = 0.001;
	p = make(&in);
	assert_false(p.met);
	assert_true(p.residual >= 0.0009);
}

/* In a burst longer than the time to the repair, the same link does not help. */
static void what_is_lost_in_a_burst_is_repaired_elsewhere(void **state)
{
	struct plan_input in = pair();
	struct plan p;

	(void)state;
	in.rate = 50;
	in.link[0].loss = 0.03;
	in.link[0].burst = 20;
	in.link[1].loss = 0.0005;
	p = make(&in);
	assert_true(p.met);
	assert_int_equal(p.again & ~p.first ? 1 : 0, 1);
}

/* --- dice ------------------------------------------------------------------------------------- */

struct dice {
	struct test_random random;
	bool in_burst[PLAN_LINKS];
};

static bool loses(struct dice *d, const struct plan_link *l, u32 n)
{
	const double leave = 1 / l->burst, enter = l->loss / (1 - l->loss) * leave;
	const double p = l->burst <= 1 ? l->loss : d->in_burst[n] ? 1 - leave : enter;

	d->in_burst[n] = (double)test_random_below(&d->random, 1000000) < p * 1e6;
	return d->in_burst[n];
}

/* The share of payloads that a plan of shards leaves lost. */
static double throw(const struct plan_input *in, const struct plan *p, u64 seed)
{
	struct dice d = { .random = { seed } };
	const u32 blocks = 40000;
	u32 lost = 0, turn = 0;

	for (u32 b = 0; b < blocks; b++) {
		u32 data = 0, all = 0;

		for (u32 s = 0; s < p->shards; s++) {
			const u32 n = turn++ % in->count;
			const bool gone = loses(&d, &in->link[n], n);

			all += gone;
			data += gone && s < p->required;
		}
		if (all > p->shards - p->required)
			lost += data;
	}
	return (double)lost / (blocks * p->required);
}

static void shards_leave_what_was_predicted(void **state)
{
	static const struct {
		double loss, burst;
		u32 shards, required;
	} cases[] = { { 0.05, 1, 5, 3 },   { 0.05, 1, 14, 10 }, { 0.02, 1, 12, 10 },
		      { 0.05, 3, 20, 12 }, { 0.1, 2, 24, 12 },  { 0.03, 6, 28, 16 } };

	(void)state;
	for (u32 c = 0; c < ARRAY_SIZE(cases); c++) {
		struct plan_input in = pair();
		struct plan p = { .kind = PLAN_SHARDS,
				  .first = 3,
				  .shards = cases[c].shards,
				  .required = cases[c].required };
		double seen;

		for (u32 n = 0; n < 2; n++) {
			in.link[n].loss = cases[c].loss;
			in.link[n].burst = cases[c].burst;
			in.link[n].outage = 0;
		}
		plan_rate(&in, &p);
		seen = throw(&in, &p, c + 1);
		assert_true(seen < 2 * p.residual + 1e-5);
		assert_true(seen > p.residual / 5 - 1e-5);
	}
}

static void a_block_outlives_a_link_when_there_is_parity_for_its_part(void **state)
{
	struct plan_input in = pair();
	struct plan p = { .kind = PLAN_SHARDS, .first = 3, .shards = 8, .required = 4 };

	(void)state;
	in.link[0].loss = in.link[1].loss = 0;
	in.link[0].outage = in.link[1].outage = 0.01;
	plan_rate(&in, &p);
	assert_true(p.residual < 1e-9);
	p.required = 5;
	plan_rate(&in, &p);
	assert_true(p.residual > 0.005);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(little_knowledge_makes_copies_on_all),
		cmocka_unit_test(good_links_get_one_copy_and_what_is_missing_again),
		cmocka_unit_test(lossy_links_get_more_when_something_is_missing),
		cmocka_unit_test(without_time_for_repair_there_is_parity),
		cmocka_unit_test(blocks_fit_into_the_time_that_payloads_take),
		cmocka_unit_test(what_cannot_outlive_a_failure_makes_good_losses),
		cmocka_unit_test(a_target_that_costs_too_much_is_told_so),
		cmocka_unit_test(the_dear_link_is_used_when_something_is_missing),
		cmocka_unit_test(a_dear_link_has_no_copies_for_want_of_knowledge),
		cmocka_unit_test(a_slow_link_carries_nothing_in_time),
		cmocka_unit_test(one_link_repairs_its_losses_but_not_its_failures),
		cmocka_unit_test(what_is_lost_in_a_burst_is_repaired_elsewhere),
		cmocka_unit_test(shards_leave_what_was_predicted),
		cmocka_unit_test(a_block_outlives_a_link_when_there_is_parity_for_its_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
