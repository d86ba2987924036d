/* SPDX-License-Identifier: MIT */
/*
 * test_pmtu.c - the search for what a path carries: it ends, below the base too, and costs little
 * once it has ended.
 */
#include "unit/harness.h"

#include "warp/pmtu.h"

#define START (1000 * NS_PER_S)
#define ROUND_TRIP (20 * NS_PER_MS)
#define LINK 1472u

struct route {
	struct pmtu_counts counts;
	struct pmtu pmtu;
	u64 now;
	u32 limit;   /* larger ones do not pass */
	bool refuse; /* and our own kernel says so */
	u32 probes;
};

/* One step of the search, as a path takes it. */
static void step(struct route *r)
{
	u32 size;

	r->now = r->pmtu.next > r->now ? r->pmtu.next : r->now;
	size = pmtu_poll(&r->pmtu, r->now, pmtu_timeout(&r->pmtu, ROUND_TRIP));
	if (!size)
		return;
	r->probes++;
	pmtu_sent(&r->pmtu, r->probes);
	if (size <= r->limit) {
		r->now += ROUND_TRIP;
		pmtu_answered(&r->pmtu, r->now, r->probes);
	} else if (r->refuse) {
		pmtu_refused(&r->pmtu, r->now, size);
	}
}

static void begin(struct route *r, u32 limit, bool refuse)
{
	*r = (struct route){ .now = START, .limit = limit, .refuse = refuse };
	pmtu_init(&r->pmtu, LINK);
	pmtu_start(&r->pmtu, r->now);
}

static void run(struct route *r, u64 duration)
{
	u64 end = r->now + duration;
	u32 steps = 0;

	while (r->now < end && r->pmtu.next < end) {
		step(r);
		assert_in_range(++steps, 0, 1000);
	}
	r->now = end;
}

static void check_finds(u32 limit, bool refuse)
{
	struct route r;

	begin(&r, limit, refuse);
	run(&r, 20 * NS_PER_S);
	assert_in_range(r.pmtu.size, limit - PMTU_STEP, limit);
	r.probes = 0;
	run(&r, 30 * NS_PER_S); /* before it looks higher again */
	assert_in_range(r.probes, 1, 8);
	run(&r, 100 * NS_PER_S);
	assert_in_range(r.pmtu.size, limit - PMTU_STEP, limit);
}

static void the_search_ends_wherever_the_limit_is(void **state)
{
	static const u32 limits[] = { LINK, 1452, 1400, 1280, 1208, 1200, 1192, 1000, 800, 600 };

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(limits); n++) {
		check_finds(limits[n], false);
		check_finds(limits[n], true);
	}
}

static void a_route_that_shrinks_and_grows_is_followed(void **state)
{
	struct route r;

	(void)state;
	begin(&r, LINK, false);
	run(&r, 10 * NS_PER_S);
	assert_int_equal(r.pmtu.size, LINK);
	r.limit = 900;
	run(&r, 30 * NS_PER_S);
	assert_in_range(r.pmtu.size, 892, 900);
	r.limit = LINK;
	run(&r, 70 * NS_PER_S);
	assert_int_equal(r.pmtu.size, LINK);
}

static void what_the_kernel_refuses_altogether_does_not_spin(void **state)
{
	struct route r;

	(void)state;
	begin(&r, 0, true);
	run(&r, 60 * NS_PER_S);
	assert_in_range(r.probes, 1, 100);
}

/* So many large datagrams and one probe of 100 bytes; of the former so many have arrived. */
static void report(struct route *r, u32 large, u32 size, u32 arrived)
{
	r->counts.sent += large + 1;
	r->counts.sent_bytes += (u64)large * size + 100;
	r->counts.received += arrived + 1;
	r->counts.received_bytes += (u64)arrived * size + 100;
	pmtu_report(&r->pmtu, r->now, &r->counts);
}

static void a_black_hole_under_data_is_found_within_a_fifth_of_a_second(void **state)
{
	struct route r;

	(void)state;
	begin(&r, LINK, false);
	run(&r, 20 * NS_PER_S + NS_PER_MS);
	assert_int_equal(r.pmtu.size, LINK);
	r.limit = 1272;
	report(&r, 20, 1450, 0);
	assert_true(pmtu_next_expiry(&r.pmtu) <= r.now);
	r.probes = 0;
	run(&r, 150 * NS_PER_MS);
	assert_in_range(r.pmtu.size, 1200, 1272);
	assert_in_range(r.probes, 2, 5); /* chance alone does not lose a size */
}

/* While a larger size is searched for, which takes seconds of lost probes. */
static void a_doubt_does_not_wait_for_the_end_of_a_search(void **state)
{
	struct route r;

	(void)state;
	begin(&r, 1400, false);
	run(&r, 20 * NS_PER_S + NS_PER_MS);
	assert_in_range(r.pmtu.size, 1392, 1400);
	for (u32 n = 0; n < 100 && r.pmtu.probing <= r.pmtu.size; n++)
		step(&r);
	assert_int_equal(r.pmtu.probing, LINK);
	r.limit = 1272;
	report(&r, 20, 1380, 0);
	run(&r, 150 * NS_PER_MS);
	assert_in_range(r.pmtu.size, 1200, 1272);
}

/* The ones above what passes, until they are answered, or refused by our own kernel. */
static void probes_beyond_the_size_are_set_apart(void **state)
{
	struct route r;

	(void)state;
	begin(&r, 1400, false);
	while (r.probes < 3)
		step(&r);
	assert_int_equal(r.pmtu.beyond, 3);
	assert_int_equal(r.pmtu.beyond_bytes, 3 * (u64)LINK);
	run(&r, 20 * NS_PER_S);
	assert_in_range(r.pmtu.size, 1392, 1400);
	assert_int_equal(r.pmtu.beyond % PMTU_TRIES, 0); /* what was answered has gone */
	begin(&r, 1400, true);
	run(&r, 20 * NS_PER_S);
	assert_in_range(r.pmtu.size, 1392, 1400);
	assert_int_equal(r.pmtu.beyond, 0);
	assert_int_equal(r.pmtu.beyond_bytes, 0);
}

static void what_a_silence_cost_is_no_reason_for_a_doubt(void **state)
{
	struct route r;

	(void)state;
	begin(&r, LINK, false);
	run(&r, 20 * NS_PER_S + NS_PER_MS);
	r.counts.sent += 1000;
	r.counts.sent_bytes += 1000 * (u64)LINK;
	pmtu_recount(&r.pmtu);
	report(&r, 0, 0, 0);
	assert_false(r.pmtu.in_doubt);
	report(&r, 20, 1450, 0);
	assert_true(r.pmtu.in_doubt);
}

static void a_doubt_that_is_answered_changes_nothing(void **state)
{
	struct route r;

	(void)state;
	begin(&r, LINK, false);
	run(&r, 20 * NS_PER_S + NS_PER_MS);
	report(&r, 20, 1450, 0);
	run(&r, 10 * NS_PER_S);
	assert_int_equal(r.pmtu.size, LINK);
	assert_int_equal(pmtu_timeout(&r.pmtu, 0), pmtu_timeout(&r.pmtu, 199 * NS_PER_MS));
}

/* So few that no report tells of more than one. */
static void a_slow_flow_into_a_black_hole_is_found_out_too(void **state)
{
	struct route r;

	(void)state;
	begin(&r, LINK, false);
	run(&r, 20 * NS_PER_S + NS_PER_MS);
	report(&r, 1, 1450, 1);
	r.limit = 1272;
	for (u32 n = 0; n < 3; n++) {
		assert_true(pmtu_next_expiry(&r.pmtu) > r.now);
		report(&r, 1, 1450, 0);
	}
	assert_true(pmtu_next_expiry(&r.pmtu) <= r.now);
}

static void losses_by_chance_ask_for_no_size(void **state)
{
	struct route r;
	u32 before;

	(void)state;
	begin(&r, LINK, false);
	run(&r, 20 * NS_PER_S + NS_PER_MS);
	before = r.probes;
	for (u32 n = 0; n < 8; n++) { /* in 0.8 s, less than the interval of confirmations */
		report(&r, 20, 1450, 10);
		report(&r, 20, 300, 0); /* small ones are lost: this is no matter of size */
		report(&r, 2, 1450, 0); /* too few to say */
		report(&r, 2, 1450, 2); /* and others pass */
		run(&r, 100 * NS_PER_MS);
	}
	assert_in_range(r.probes - before, 0, 1);
}

static void an_end_that_counts_anew_is_no_black_hole(void **state)
{
	struct route r;
	u32 before;

	(void)state;
	begin(&r, LINK, false);
	run(&r, 20 * NS_PER_S + NS_PER_MS);
	report(&r, 100, 1450, 100);
	before = r.probes;
	pmtu_report(&r.pmtu, r.now, &(struct pmtu_counts){ 110, 200000, 3, 300 });
	assert_true(pmtu_next_expiry(&r.pmtu) > r.now);
	assert_int_equal(r.probes, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_search_ends_wherever_the_limit_is),
		cmocka_unit_test(a_route_that_shrinks_and_grows_is_followed),
		cmocka_unit_test(a_black_hole_under_data_is_found_within_a_fifth_of_a_second),
		cmocka_unit_test(a_doubt_does_not_wait_for_the_end_of_a_search),
		cmocka_unit_test(probes_beyond_the_size_are_set_apart),
		cmocka_unit_test(what_a_silence_cost_is_no_reason_for_a_doubt),
		cmocka_unit_test(a_doubt_that_is_answered_changes_nothing),
		cmocka_unit_test(a_slow_flow_into_a_black_hole_is_found_out_too),
		cmocka_unit_test(losses_by_chance_ask_for_no_size),
		cmocka_unit_test(an_end_that_counts_anew_is_no_black_hole),
		cmocka_unit_test(what_the_kernel_refuses_altogether_does_not_spin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
