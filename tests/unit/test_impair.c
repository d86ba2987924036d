/* SPDX-License-Identifier: MIT */
/* test_impair.c - a bad link in virtual time: it does what it is told, and the same each time. */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/impair.h"
#include "warp/impair_text.h"

#define PACKETS 20000u
#define SIZE 1250u /* 10,000 bits */

/* A link, and what has become of numbered packets. */
struct lab {
	struct test_heap heap;
	struct impair *link;
	u64 now;
	u64 sent[PACKETS], came[PACKETS]; /* came 0: never */
	u32 copies[PACKETS], flips[PACKETS];
	u32 order[2 * PACKETS]; /* in which they came */
	u32 count;
};

static struct impair_config config_of(const char *text)
{
	struct impair_config c = { 0 };
	char error[IMPAIR_ERROR];

	if (impair_parse(text, &c, error))
		fail_msg("%s: %s", text, error);
	return c;
}

static struct lab *lab(const char *text, u32 capacity, u64 seed)
{
	struct lab *l = calloc(1, sizeof(*l));
	struct impair_config c = config_of(text);
	struct allocator a;

	assert_non_null(l);
	l->now = NS_PER_S;
	a = test_allocator(&l->heap);
	assert_int_equal(impair_create(&l->link, &a, capacity, seed), 0);
	impair_configure(l->link, &c);
	return l;
}

static void lab_free(struct lab *l)
{
	impair_destroy(l->link);
	assert_int_equal(l->heap.live, 0);
	assert_int_equal(l->heap.total, 1); /* nothing a packet */
	free(l);
}

static void take(struct lab *l, u64 until)
{
	struct impaired p;

	while (impair_next_expiry(l->link) <= until) {
		u64 due = impair_next_expiry(l->link);
		u32 number;

		assert_false(impair_pop(l->link, due - 1, &p));
		assert_true(impair_pop(l->link, due, &p));
		assert_true(p.due == due);
		number = (u32)(uintptr_t)p.packet;
		if (!l->copies[number]++)
			l->came[number] = due;
		l->flips[number] += p.flip != IMPAIR_INTACT;
		assert_true(p.flip == IMPAIR_INTACT || p.flip < SIZE * 8);
		l->order[l->count++] = number;
	}
}

/* count packets, one every interval, and all that comes of them. */
static void run(struct lab *l, u32 count, u64 interval)
{
	for (u32 i = 0; i < count; i++, l->now += interval) {
		take(l, l->now);
		l->sent[i] = l->now;
		impair_push(l->link, l->now, (void *)(uintptr_t)i, SIZE);
	}
	take(l, TIME_NEVER - 1);
	assert_int_equal(impair_under_way(l->link), 0);
}

static u32 lost(const struct lab *l, u32 count)
{
	u32 n = 0;

	for (u32 i = 0; i < count; i++)
		n += !l->came[i];
	return n;
}

static u32 overtaken(const struct lab *l)
{
	u32 n = 0, highest = 0;

	for (u32 i = 0; i < l->count; i++) {
		n += l->order[i] < highest;
		if (l->order[i] > highest)
			highest = l->order[i];
	}
	return n;
}

static void delays(const struct lab *l, u32 count, u64 *ret_least, u64 *ret_most, double *ret_mean)
{
	double sum = 0;

	*ret_least = TIME_NEVER;
	*ret_most = 0;
	for (u32 i = 0; i < count; i++) {
		u64 d = l->came[i] - l->sent[i];

		*ret_least = time_min(*ret_least, d);
		*ret_most = d > *ret_most ? d : *ret_most;
		sum += (double)d;
	}
	*ret_mean = sum / count;
}

/* Of n packets, a share p: five standard deviations around n * p, which is one run in a million. */
#define assert_share(n, p, seen)                                                                   \
	assert_near((n) * (p), 25.0 * (n) * (p) * (1 - (p)), seen, __LINE__)

static void assert_near(double expected, double room_squared, double seen, int line)
{
	double off = seen - expected;

	if (off * off > room_squared)
		fail_msg("line %d: %g, not %g", line, seen, expected);
}

static void a_link_without_impairments_passes_all_at_once(void **state)
{
	struct lab *l = lab("none", 4, 1);

	(void)state;
	run(l, 1000, NS_PER_US);
	assert_int_equal(l->count, 1000);
	for (u32 i = 0; i < 1000; i++)
		assert_true(l->came[i] == l->sent[i] && l->order[i] == i && !l->flips[i]);
	lab_free(l);
}

static void delay_is_exact(void **state)
{
	struct lab *l = lab("delay 20ms", 1000, 1);

	(void)state;
	run(l, 1000, 100 * NS_PER_US);
	for (u32 i = 0; i < 1000; i++)
		assert_true(l->came[i] == l->sent[i] + 20 * NS_PER_MS && l->order[i] == i);
	lab_free(l);
}

static void jitter_is_uniform_and_overtakes(void **state)
{
	struct lab *l = lab("delay 20ms jitter 5ms", 1000, 1);
	u64 least, most;
	double mean;

	(void)state;
	run(l, PACKETS, 100 * NS_PER_US);
	delays(l, PACKETS, &least, &most, &mean);
	assert_in_range(least, 15 * NS_PER_MS, 15 * NS_PER_MS + 10 * NS_PER_US);
	assert_in_range(most, 25 * NS_PER_MS - 10 * NS_PER_US, 25 * NS_PER_MS);
	assert_near(20e6, 25 * 8.3e12 / PACKETS, mean, __LINE__);
	assert_true(overtaken(l) > PACKETS / 2);
	lab_free(l);
}

static void smooth_jitter_wanders_over_all_of_its_room_in_order(void **state)
{
	struct lab *l = lab("delay 20ms jitter 5ms smooth", 1000, 1);
	u64 least, most, step, largest = 0;
	u32 below = 0;
	double mean;

	(void)state;
	run(l, PACKETS, NS_PER_MS);
	delays(l, PACKETS, &least, &most, &mean);
	assert_in_range(least, 15 * NS_PER_MS, 16 * NS_PER_MS);
	assert_in_range(most, 24 * NS_PER_MS, 25 * NS_PER_MS);
	assert_near(20e6, 1e12, mean, __LINE__);
	assert_int_equal(overtaken(l), 0);
	for (u32 i = 0; i < PACKETS; i++) {
		below += l->came[i] - l->sent[i] < 20 * NS_PER_MS;
		step = i ? l->came[i] - l->came[i - 1] : NS_PER_MS;
		largest = step > largest ? step : largest;
	}
	assert_in_range(below, PACKETS / 4, PACKETS * 3 / 4);
	/* 2.5 ms in 20 ms at most: neighbours have nearly the same delay. */
	assert_in_range(largest, NS_PER_MS, NS_PER_MS + 126 * NS_PER_US);
	lab_free(l);
}

static void wide_smooth_jitter_keeps_the_order_too(void **state)
{
	struct lab *l = lab("delay 10s jitter 10s smooth", PACKETS, 5);

	(void)state;
	run(l, PACKETS, NS_PER_MS);
	assert_int_equal(l->count, PACKETS);
	assert_int_equal(overtaken(l), 0);
	lab_free(l);
}

static void losses_are_as_many_as_chance_has_it(void **state)
{
	static const struct {
		const char *text;
		double share;
	} cases[] = { { "loss 5%", 0.05 }, { "loss 50%", 0.5 }, { "loss 0.1%", 0.001 } };

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		for (u64 seed = 1; seed <= 5; seed++) {
			struct lab *l = lab(cases[i].text, 4, seed);

			run(l, PACKETS, NS_PER_MS);
			assert_share((double)PACKETS, cases[i].share, lost(l, PACKETS));
			assert_int_equal(lost(l, PACKETS), impair_stats(l->link)->lost);
			lab_free(l);
		}
	}
}

static void a_loss_of_all_or_none_is_exact(void **state)
{
	struct lab *all = lab("loss 100%", 4, 1), *none = lab("loss 0", 4, 1);

	(void)state;
	run(all, PACKETS, NS_PER_MS);
	run(none, PACKETS, NS_PER_MS);
	assert_int_equal(all->count, 0);
	assert_int_equal(none->count, PACKETS);
	lab_free(all);
	lab_free(none);
}

/* How long the runs of losses are: 1/30 % on average, and geometric. */
static void bursts_are_as_long_and_as_many_as_told(void **state)
{
	struct lab *l = lab("burst 2% 30%", 4, 3);
	u32 bursts = 0, ones = 0, length = 0;

	(void)state;
	run(l, PACKETS, NS_PER_MS);
	for (u32 i = 0; i < PACKETS; i++) {
		length = l->came[i] ? 0 : length + 1;
		bursts += length == 1;
		ones += length == 1 && i + 1 < PACKETS && l->came[i + 1];
	}
	assert_int_equal(lost(l, PACKETS), impair_stats(l->link)->lost_in_burst);
	/* Each burst stands for 1/2 % + 1/30 % packets. */
	assert_near(PACKETS / 53.33, 25.0 * PACKETS / 53.33, bursts, __LINE__);
	assert_near(3.333, 25 * 7.78 / bursts, (double)lost(l, PACKETS) / bursts, __LINE__);
	assert_share((double)bursts, 0.3, ones);
	lab_free(l);
}

static void a_link_at_its_rate_sends_exactly_that(void **state)
{
	struct lab *l = lab("rate 3mbit queue 60s", PACKETS, 1);

	(void)state;
	run(l, 6000, 0);
	/* 6000 packets of 10,000 bits at 3 Mbit/s are 20 s, although one is 3333333.33 ns. */
	for (u32 i = 0; i < 6000; i++)
		assert_true(l->came[i] - l->sent[0] == (i + 1) * 10 * NS_PER_S / 3000);
	lab_free(l);
}

static void an_idle_link_saves_nothing_up(void **state)
{
	struct lab *l = lab("rate 10mbit queue 50ms", 100, 1);

	(void)state;
	run(l, 100, NS_PER_S);
	for (u32 i = 0; i < 100; i++)
		assert_true(l->came[i] == l->sent[i] + NS_PER_MS);
	lab_free(l);
}

/* Twice the rate, 1 ms a packet: after the queue is full every other one is dropped. */
static void a_queue_of_time_holds_no_longer(void **state)
{
	struct lab *l = lab("rate 10mbit queue 50ms", 100, 1);
	u64 least, most = 0;

	(void)state;
	run(l, 4000, 500 * NS_PER_US);
	for (u32 i = 0; i < 4000; i++)
		if (l->came[i] && l->came[i] - l->sent[i] > most)
			most = l->came[i] - l->sent[i];
	least = 50 * NS_PER_MS;
	assert_in_range(most, least, 51 * NS_PER_MS); /* the wait, and its own time */
	assert_in_range(lost(l, 4000), 1945, 1951);
	assert_int_equal(impair_stats(l->link)->queue_full, lost(l, 4000));
	lab_free(l);
}

static void a_queue_of_bytes_holds_no_more(void **state)
{
	struct lab *l = lab("rate 10mbit queue 12500b", 100, 1);

	(void)state;
	run(l, 30, 0);
	assert_int_equal(lost(l, 30), 20);
	for (u32 i = 0; i < 30; i++)
		assert_true(i < 10 ? !!l->came[i] : !l->came[i]);
	lab_free(l);
}

static void what_is_larger_than_the_queue_passes_when_the_link_is_idle(void **state)
{
	struct lab *l = lab("rate 10mbit queue 100b", 100, 1);

	(void)state;
	run(l, 10, 2 * NS_PER_MS);
	assert_int_equal(lost(l, 10), 0);
	lab_free(l);
}

static void lost_packets_use_the_link(void **state)
{
	struct lab *l = lab("rate 10mbit queue 60s loss 50%", PACKETS, 1);

	(void)state;
	run(l, 1000, 0);
	assert_in_range(l->count, 400, 600);
	for (u32 i = 0; i < l->count; i++)
		assert_true(l->came[l->order[i]] - l->sent[0] == (l->order[i] + 1) * NS_PER_MS);
	lab_free(l);
}

static void reordered_packets_are_late_by_what_was_told(void **state)
{
	struct lab *l = lab("delay 1ms reorder 2% 3500us", 1000, 1);
	u32 late = 0;

	(void)state;
	run(l, PACKETS, NS_PER_MS);
	for (u32 i = 0; i < PACKETS; i++) {
		u64 d = l->came[i] - l->sent[i];

		assert_true(d == NS_PER_MS || d == NS_PER_MS + 3500 * NS_PER_US);
		late += d != NS_PER_MS;
	}
	assert_share((double)PACKETS, 0.02, late);
	assert_in_range(overtaken(l), late - 5, late); /* the last may have nobody behind them */
	assert_int_equal(impair_stats(l->link)->reordered, late);
	lab_free(l);
}

static void duplicates_come_twice_and_the_second_is_intact(void **state)
{
	struct lab *l = lab("duplicate 10% corrupt 10%", 1000, 1);
	u32 twice = 0, flipped = 0;

	(void)state;
	run(l, PACKETS, NS_PER_MS);
	for (u32 i = 0; i < PACKETS; i++) {
		assert_in_range(l->copies[i], 1, 2);
		assert_in_range(l->flips[i], 0, 1);
		twice += l->copies[i] == 2;
		flipped += l->flips[i];
	}
	assert_share((double)PACKETS, 0.1, twice);
	assert_share((double)PACKETS, 0.1, flipped);
	assert_int_equal(impair_stats(l->link)->duplicated, twice);
	assert_int_equal(impair_stats(l->link)->corrupted, flipped);
	assert_int_equal(impair_stats(l->link)->passed, PACKETS + twice);
	lab_free(l);
}

static void push_tells_how_many_come(void **state)
{
	struct lab *l = lab("duplicate 100%", 3, 1);
	struct impair_config c = config_of("loss 100%");

	(void)state;
	assert_int_equal(impair_push(l->link, l->now, NULL, SIZE), 2);
	/* One place is left: the copy is what is left out. */
	assert_int_equal(impair_push(l->link, l->now, NULL, SIZE), 1);
	assert_int_equal(impair_push(l->link, l->now, NULL, SIZE), 0);
	assert_int_equal(impair_stats(l->link)->no_room, 1);
	assert_int_equal(impair_under_way(l->link), 3);
	impair_configure(l->link, &c);
	assert_int_equal(impair_push(l->link, l->now, NULL, SIZE), 0);
	lab_free(l);
}

static void a_link_that_is_down_passes_nothing_but_what_was_under_way(void **state)
{
	struct lab *l = lab("delay 10ms", 100, 1);
	struct impair_config c = config_of("delay 10ms down");

	(void)state;
	impair_push(l->link, l->now, NULL, SIZE);
	impair_configure(l->link, &c);
	impair_push(l->link, l->now, NULL, SIZE);
	take(l, TIME_NEVER - 1);
	assert_int_equal(l->count, 1);
	assert_int_equal(impair_stats(l->link)->down, 1);
	lab_free(l);
}

#define EVERYTHING                                                                                 \
	"delay 20ms jitter 5ms loss 1% burst 1% 30% rate 100mbit queue 50ms reorder 1% "           \
	"duplicate 1% corrupt 1%"

static bool same_fate(const struct lab *a, const struct lab *b)
{
	return a->count == b->count && !memcmp(a->order, b->order, sizeof(a->order)) &&
	       !memcmp(a->came, b->came, sizeof(a->came)) &&
	       !memcmp(a->flips, b->flips, sizeof(a->flips));
}

static void a_seed_repeats_the_whole_run_and_another_does_not(void **state)
{
	struct lab *one = lab(EVERYTHING, 1000, 7), *same = lab(EVERYTHING, 1000, 7);
	struct lab *other = lab(EVERYTHING, 1000, 8);

	(void)state;
	run(one, 5000, 150 * NS_PER_US);
	run(same, 5000, 150 * NS_PER_US);
	run(other, 5000, 150 * NS_PER_US);
	assert_true(same_fate(one, same));
	assert_false(same_fate(one, other));
	lab_free(one);
	lab_free(same);
	lab_free(other);
}

static void an_impairment_does_not_move_the_dice_of_another(void **state)
{
	struct lab *one = lab("loss 5%", 1000, 7);
	struct lab *more = lab("delay 20ms jitter 5ms smooth loss 5% reorder 1%", 1000, 7);

	(void)state;
	run(one, 5000, NS_PER_MS);
	run(more, 5000, NS_PER_MS);
	for (u32 i = 0; i < 5000; i++)
		assert_true(!one->came[i] == !more->came[i]);
	lab_free(one);
	lab_free(more);
}

static void what_cannot_be_created_says_so(void **state)
{
	struct test_heap heap;
	struct allocator a = test_allocator(&heap);
	struct impair *link = NULL;

	(void)state;
	heap.limit = 0;
	assert_int_equal(impair_create(&link, &a, 0, 1), -EINVAL);
	assert_int_equal(impair_create(&link, &a, 10, 1), -ENOMEM);
	assert_null(link);
	impair_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_without_impairments_passes_all_at_once),
		cmocka_unit_test(delay_is_exact),
		cmocka_unit_test(jitter_is_uniform_and_overtakes),
		cmocka_unit_test(smooth_jitter_wanders_over_all_of_its_room_in_order),
		cmocka_unit_test(wide_smooth_jitter_keeps_the_order_too),
		cmocka_unit_test(losses_are_as_many_as_chance_has_it),
		cmocka_unit_test(a_loss_of_all_or_none_is_exact),
		cmocka_unit_test(bursts_are_as_long_and_as_many_as_told),
		cmocka_unit_test(a_link_at_its_rate_sends_exactly_that),
		cmocka_unit_test(an_idle_link_saves_nothing_up),
		cmocka_unit_test(a_queue_of_time_holds_no_longer),
		cmocka_unit_test(a_queue_of_bytes_holds_no_more),
		cmocka_unit_test(what_is_larger_than_the_queue_passes_when_the_link_is_idle),
		cmocka_unit_test(lost_packets_use_the_link),
		cmocka_unit_test(reordered_packets_are_late_by_what_was_told),
		cmocka_unit_test(duplicates_come_twice_and_the_second_is_intact),
		cmocka_unit_test(push_tells_how_many_come),
		cmocka_unit_test(a_link_that_is_down_passes_nothing_but_what_was_under_way),
		cmocka_unit_test(a_seed_repeats_the_whole_run_and_another_does_not),
		cmocka_unit_test(an_impairment_does_not_move_the_dice_of_another),
		cmocka_unit_test(what_cannot_be_created_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
