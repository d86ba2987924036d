/* SPDX-License-Identifier: MIT */
/*
 * test_path.c - what one path makes of its probes and their answers: what was lost, also when the other
 * end counts anew. What whole nodes make of paths is in tests/sim.
 */
#include "harness.h"

#include <string.h>

#include "warp/path.h"

#define MS(n) ((u64)(n)*NS_PER_MS)
#define START (1000 * NS_PER_S)
#define SIZE 1000u
#define CEILING 1472u

struct world {
	struct path path;
	u64 now;
	u64 arrived; /* at the other end, in its present life */
};

static void begin(struct world *w)
{
	const struct endpoint remote = { .address = { .family = 4 }, .port = 1 };

	*w = (struct world){ .now = START };
	path_init(&w->path, w->now, 0, 0, &remote, PATH_FROM_MAP, CEILING);
}

/* So many datagrams leave, and some of them arrive. */
static void carry(struct world *w, u64 sent, u64 arrived)
{
	w->path.sent.packets += sent;
	w->path.sent.bytes += sent * SIZE;
	w->arrived += arrived;
}

/* A probe leaves and arrives; its answer is left to be given. */
static struct frame_probe_reply probe(struct world *w)
{
	struct frame_probe_reply reply = { 0 };
	struct frame_probe f = { 0 };

	w->now += MS(10);
	f.stamp = w->now;
	path_probe(&w->path, w->now, true, NS_PER_S, &f);
	carry(w, 1, 1);
	reply.stamp = f.stamp;
	reply.packets = w->arrived;
	reply.bytes = w->arrived * SIZE;
	return reply;
}

static void answer(struct world *w, const struct frame_probe_reply *reply)
{
	w->now += MS(1);
	path_take_reply(&w->path, w->now, reply);
}

static void what_does_not_arrive_is_lost(void **state)
{
	struct frame_probe_reply reply;
	struct world w;

	(void)state;
	begin(&w);
	carry(&w, 100, 90);
	reply = probe(&w);
	answer(&w, &reply);
	assert_int_equal(path_lost_out(&w.path), 10);
	carry(&w, 50, 50);
	reply = probe(&w);
	answer(&w, &reply);
	assert_int_equal(path_lost_out(&w.path), 10);
}

static void answers_out_of_order_count_once(void **state)
{
	struct frame_probe_reply first, second;
	struct world w;

	(void)state;
	begin(&w);
	carry(&w, 100, 90);
	first = probe(&w);
	carry(&w, 100, 95);
	second = probe(&w);
	answer(&w, &second);
	answer(&w, &first);
	assert_int_equal(path_lost_out(&w.path), 15);
}

/* The other end has begun a new life: its count starts at nothing. Probes that were under way meanwhile
 * were counted from the beginning of ours. */
static void a_count_that_begins_anew_loses_nothing(void **state)
{
	struct frame_probe_reply old, first, second, third;
	struct world w;

	(void)state;
	begin(&w);
	carry(&w, 100, 100);
	old = probe(&w);
	answer(&w, &old);
	w.arrived = 0;
	carry(&w, 40, 40);
	first = probe(&w);
	carry(&w, 30, 30);
	second = probe(&w);
	carry(&w, 20, 18);
	third = probe(&w);
	answer(&w, &first);
	assert_int_equal(path_lost_out(&w.path), 0);
	answer(&w, &second);
	assert_int_equal(path_lost_out(&w.path), 0);
	answer(&w, &third);
	assert_int_equal(path_lost_out(&w.path), 2);
}

/* Of 60 that left between its two lives 20 came to neither. */
static void what_neither_life_has_had_is_lost(void **state)
{
	struct frame_probe_reply reply;
	struct world w;

	(void)state;
	begin(&w);
	carry(&w, 100, 100);
	reply = probe(&w);
	answer(&w, &reply);
	w.arrived = 0;
	carry(&w, 60, 40);
	reply = probe(&w);
	answer(&w, &reply);
	assert_int_equal(path_lost_out(&w.path), 20);
}

/* A probe of a larger size that does not pass is lost, and says nothing of the path. */
static void a_lost_size_is_not_held_against_the_path(void **state)
{
	struct frame_probe f = { 0 };
	struct frame_probe_reply reply;
	struct world w;
	u64 lost;

	(void)state;
	begin(&w);
	reply = probe(&w);
	answer(&w, &reply);
	w.now += NS_PER_S;
	assert_true(pmtu_poll(&w.path.pmtu, w.now, MS(100)) > 0);
	f.stamp = ++w.now;
	path_mtu_probe(&w.path, &f);
	carry(&w, 1, 0);
	carry(&w, 20, 20);
	reply = probe(&w);
	answer(&w, &reply);
	assert_int_equal(path_lost_out(&w.path), 1);
	assert_int_equal(path_judged_out(&w.path, &lost), 22);
	assert_int_equal(lost, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_arrive_is_lost),
		cmocka_unit_test(answers_out_of_order_count_once),
		cmocka_unit_test(a_count_that_begins_anew_loses_nothing),
		cmocka_unit_test(what_neither_life_has_had_is_lost),
		cmocka_unit_test(a_lost_size_is_not_held_against_the_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
