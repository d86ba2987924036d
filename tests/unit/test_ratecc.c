/* SPDX-License-Identifier: MIT */
/*
 * test_ratecc.c - one path from its sender to its reports, over a scripted link: the rate that is found, the
 * queue that stands meanwhile, and what becomes of both when the link changes.
 *
 *   ratecc, flight -> [ policer -> queue at a rate -> loss -> delay ] -> tally -> [ delay ] -> report
 */
#include "harness.h"

#include <string.h>

#include "warp/tally.h"
#include "warp/flight.h"
#include "warp/ratecc.h"

#define START (1000 * NS_PER_S)
#define MS(n) ((u64)(n)*NS_PER_MS)
#define SIZE 1250u                     /* a datagram: 10,000 bits */
#define MBIT 125000.0                  /* bytes a second */
#define OFFSET (123456789 * NS_PER_MS) /* of the other clock */
#define UNDER_WAY 65536u
#define STEP (100 * NS_PER_US)

struct link {
	double rate; /* bytes a second */
	u64 delay;   /* each way */
	u64 buffer;  /* ns of queue; more is dropped */
	double loss;
	double police; /* bytes a second that pass, with POLICED at once; 0: all */
	u64 jitter;    /* of hosts: what arrives is seen so late at most */
};

#define POLICED (20 * SIZE)

struct run {
	struct test_heap heap;
	struct allocator allocator;
	struct test_random random;
	struct link link;
	struct ratecc cc;
	struct flight flight;
	struct tally tally;
	u64 now;
	u64 free_at; /* the link's queue */
	double tokens;
	u64 tokens_at;
	bool paused;
	double offered; /* bytes a second that there are to send; 0: more than may be */
	double waiting; /* of these */
	/* under way, in order of arrival */
	struct {
		u64 at;
		u32 number;
	} datagram[UNDER_WAY];
	u32 head, tail;
	struct {
		u64 at;
		struct frame_tally frame;
	} report[256];
	u32 report_head, report_tail;
	/* what was seen */
	u64 delivered, lost, sent, queue_sum, queue_most, samples;
};

static struct run run;

static void begin(struct link link)
{
	struct run *r = &run;

	if (r->flight.item)
		flight_clear(&r->flight, &r->allocator);
	memset(r, 0, sizeof(*r));
	r->heap.limit = SIZE_MAX;
	r->allocator = test_allocator(&r->heap);
	r->link = link;
	r->now = START;
	r->tokens_at = START;
	r->tokens = POLICED;
	ratecc_init(&r->cc, SIZE, 2 * link.delay);
	assert_int_equal(flight_init(&r->flight, &r->allocator, 0xffffff00u), 0);
}

static bool chance(double share)
{
	return test_random_below(&run.random, 1000000) < share * 1e6;
}

static bool policed(struct run *r)
{
	if (r->link.police <= 0)
		return false;
	r->tokens += (double)(r->now - r->tokens_at) * r->link.police / 1e9;
	r->tokens_at = r->now;
	if (r->tokens > POLICED)
		r->tokens = POLICED;
	if (r->tokens < SIZE)
		return true;
	r->tokens -= SIZE;
	return false;
}

static void send_one(struct run *r)
{
	const struct flight_item item = { .sent_at = r->now, .wire = SIZE, .size = SIZE };
	const u32 number = r->flight.next;
	u64 queue;

	flight_add(&r->flight, &item);
	ratecc_sent(&r->cc, r->now, SIZE);
	r->sent++;
	if (r->free_at < r->now)
		r->free_at = r->now;
	queue = r->free_at - r->now;
	if (policed(r) || queue > r->link.buffer)
		return;
	r->queue_sum += queue;
	r->queue_most = queue > r->queue_most ? queue : r->queue_most;
	r->samples++;
	r->free_at += (u64)(SIZE * 1e9 / r->link.rate);
	if (chance(r->link.loss))
		return;
	assert_true(r->tail - r->head < UNDER_WAY);
	r->datagram[r->tail % UNDER_WAY].at = r->free_at + r->link.delay;
	r->datagram[r->tail++ % UNDER_WAY].number = number;
}

static void arrive(struct run *r)
{
	const u64 seen = r->link.jitter ?
				 r->now - test_random_below(&r->random, 2) * r->link.jitter :
				 r->now;

	while (r->head != r->tail && r->datagram[r->head % UNDER_WAY].at <= seen) {
		tally_take(&r->tally, r->now + OFFSET, r->datagram[r->head++ % UNDER_WAY].number,
			   SIZE);
		r->delivered += SIZE;
	}
	if (tally_due(&r->tally, tally_wait(2 * r->link.delay)) > r->now + OFFSET)
		return;
	r->report[r->report_tail % 256].at = r->now + r->link.delay;
	tally_tell(&r->tally, r->now + OFFSET, 0, &r->report[r->report_tail++ % 256].frame);
}

static void count_lost(void *ctx, const struct flight_item *item)
{
	(void)item;
	((struct run *)ctx)->lost++;
}

static void take_report(struct run *r, const struct frame_tally *f)
{
	const struct tally_told report = { .highest = f->highest, .seen = f->seen };
	const u64 held = f->held * NS_PER_US;
	struct flight_news news;

	flight_report(&r->flight, &report, MS(1), count_lost, r, &news);
	if (!news.acked)
		return;
	ratecc_report(&r->cc, r->now,
		      &(struct ratecc_sample){ .highest = f->highest,
					       .next = r->flight.next,
					       .acked = news.acked,
					       .lost = news.lost,
					       .sent_at = news.sent_at,
					       .came_at = f->at,
					       .came_bytes = f->bytes,
					       .rtt = r->now - news.sent_at - held });
}

/* Sends all that there is and may be sent. */
static void send_all(struct run *r)
{
	r->waiting += r->offered * STEP / 1e9;
	while (!r->paused && !flight_full(&r->flight) &&
	       ratecc_when(&r->cc, r->flight.bytes) <= r->now) {
		if (r->offered > 0 && r->waiting < SIZE)
			break;
		r->waiting -= r->offered > 0 ? SIZE : 0;
		send_one(r);
	}
	if (r->paused || ratecc_when(&r->cc, r->flight.bytes) <= r->now)
		ratecc_idle(&r->cc, r->now);
}

static void pass(u64 duration)
{
	struct run *r = &run;

	r->delivered = r->lost = r->sent = r->queue_sum = r->queue_most = r->samples = 0;
	for (const u64 until = r->now + duration; r->now < until; r->now += STEP) {
		while (r->report_head != r->report_tail &&
		       r->report[r->report_head % 256].at <= r->now)
			take_report(r, &r->report[r->report_head++ % 256].frame);
		send_all(r);
		arrive(r);
		/* Nothing is heard for long: the sender's patience is elsewhere. */
		if (flight_oldest(&r->flight) != TIME_NEVER &&
		    flight_oldest(&r->flight) + MS(1000) < r->now)
			flight_give_up(&r->flight, count_lost, r);
	}
}

/* Of what the link carries, in per cent. */
static u64 used(u64 duration)
{
	return (u64)((double)run.delivered * 100e9 / (double)duration / run.link.rate);
}

static u64 mean_queue(void)
{
	return run.samples ? run.queue_sum / run.samples : 0;
}

#define assert_share(duration, least)                                                              \
	do {                                                                                       \
		if (used(duration) < (least))                                                      \
			fail_msg("%u %% used, queue %u us, mode %s, rate %u kbit/s",               \
				 (u32)used(duration), (u32)(mean_queue() / NS_PER_US),             \
				 ratecc_mode_name(run.cc.mode),                                    \
				 (u32)(run.cc.rate / (MBIT / 1000)));                              \
	} while (0)

#define assert_queue(most)                                                                         \
	do {                                                                                       \
		if (mean_queue() > (most))                                                         \
			fail_msg("the queue is %u us", (u32)(mean_queue() / NS_PER_US));           \
	} while (0)

/* --- links ----------------------------------------------------------------------------------- */

static void a_link_is_filled_and_its_queue_stays_short(void **state)
{
	static const struct link links[] = {
		{ .rate = 100 * MBIT, .delay = MS(10), .buffer = MS(500) },
		{ .rate = 30 * MBIT, .delay = MS(60), .buffer = MS(500) },
		{ .rate = 5 * MBIT, .delay = MS(25), .buffer = MS(1000) },
		{ .rate = 300 * MBIT, .delay = MS(2), .buffer = MS(200) },
	};

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(links); n++) {
		begin(links[n]);
		pass(MS(3000));
		pass(MS(5000));
		assert_share(MS(5000), 92);
		assert_queue(MS(15));
		assert_int_equal(run.lost, 0);
	}
}

static void it_starts_within_a_second(void **state)
{
	(void)state;
	begin((struct link){ .rate = 100 * MBIT, .delay = MS(20), .buffer = MS(300) });
	pass(MS(500));
	pass(MS(500));
	assert_share(MS(500), 85);
}

static void a_shallow_buffer_is_enough(void **state)
{
	(void)state;
	begin((struct link){ .rate = 50 * MBIT, .delay = MS(20), .buffer = MS(4) });
	pass(MS(3000));
	pass(MS(10000));
	assert_share(MS(10000), 85);
	assert_in_range(run.lost * 100, 0, run.sent * 3);
}

static void random_loss_does_not_lower_the_rate(void **state)
{
	static const double losses[] = { 0.01, 0.02, 0.05 };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(losses); n++) {
		begin((struct link){
			.rate = 50 * MBIT, .delay = MS(20), .buffer = MS(200), .loss = losses[n] });
		pass(MS(3000));
		pass(MS(10000));
		assert_share(MS(10000), 90 - (u64)(100 * losses[n]));
		assert_queue(MS(10));
	}
}

static void a_policer_is_found(void **state)
{
	(void)state;
	begin((struct link){
		.rate = 1000 * MBIT, .delay = MS(20), .buffer = MS(200), .police = 40 * MBIT });
	pass(MS(3000));
	pass(MS(10000));
	run.link.rate = 40 * MBIT; /* to be compared with */
	assert_share(MS(10000), 80);
	assert_in_range(run.lost * 100, 0, run.sent * 10);
}

/* --- links that change ----------------------------------------------------------------------- */

static void when_the_link_gets_slower_so_does_the_sender(void **state)
{
	(void)state;
	begin((struct link){ .rate = 100 * MBIT, .delay = MS(20), .buffer = MS(1000) });
	pass(MS(4000));
	run.link.rate = 25 * MBIT;
	pass(MS(1000));
	pass(MS(3000));
	assert_share(MS(3000), 90);
	assert_queue(MS(15));
}

static void when_the_link_gets_faster_so_does_the_sender(void **state)
{
	u64 queue = 0;

	(void)state;
	/* How many probes three seconds have depends on the delay. */
	for (u32 n = 0; n < 10; n++) {
		begin((struct link){ .rate = 20 * MBIT, .delay = MS(15 + n), .buffer = MS(500) });
		pass(MS(4000));
		run.link.rate = 100 * MBIT;
		pass(MS(2000));
		pass(MS(3000));
		assert_share(MS(3000), 85);
		queue += mean_queue();
	}
	assert_in_range(queue / 10, 0, MS(10));
}

/* What it begins with is a guess. */
static void a_slow_link_is_not_buried_at_the_start(void **state)
{
	(void)state;
	begin((struct link){ .rate = 1 * MBIT, .delay = MS(70), .buffer = MS(2000) });
	pass(MS(1000));
	assert_queue(MS(250));
	pass(MS(3000));
	pass(MS(5000));
	assert_share(MS(5000), 85);
	assert_queue(MS(80));
}

static void a_longer_way_is_no_queue_for_ever(void **state)
{
	(void)state;
	begin((struct link){ .rate = 50 * MBIT, .delay = MS(10), .buffer = MS(500) });
	pass(MS(4000));
	run.link.delay = MS(40);
	pass(MS(5000));
	pass(MS(4000));
	assert_share(MS(4000), 80);
	assert_queue(MS(15));
}

/* LTE: another rate every 200 ms. */
static void swings_are_followed(void **state)
{
	u64 carried = 0, queue = 0;
	double possible = 0;

	(void)state;
	begin((struct link){ .rate = 40 * MBIT, .delay = MS(25), .buffer = MS(1000) });
	pass(MS(2000));
	for (u32 n = 0; n < 50; n++) {
		run.link.rate = (10 + test_random_below(&run.random, 50)) * MBIT;
		pass(MS(200));
		carried += run.delivered;
		queue += mean_queue();
		possible += run.link.rate * 0.2;
	}
	assert_in_range((u64)((double)carried * 100 / possible), 45, 101);
	assert_in_range(queue / 50, 0, MS(60));
}

/* --- senders that have nothing --------------------------------------------------------------- */

static void a_pause_does_not_make_it_forget(void **state)
{
	(void)state;
	begin((struct link){ .rate = 50 * MBIT, .delay = MS(20), .buffer = MS(300) });
	pass(MS(3000));
	run.paused = true;
	pass(MS(3000));
	run.paused = false;
	assert_in_range((u64)(run.cc.rate / MBIT), 40, 55);
	pass(MS(200));
	pass(MS(1000));
	assert_share(MS(1000), 85);
}

static void a_longer_way_while_little_is_sent_leaves_the_rate(void **state)
{
	(void)state;
	begin((struct link){ .rate = 30 * MBIT, .delay = MS(10), .buffer = MS(300) });
	pass(MS(3000));
	run.offered = MBIT / 4;
	pass(MS(100));
	run.link.delay = MS(30);
	pass(MS(1500));
	run.offered = 0;
	pass(MS(400));
	pass(MS(300));
	assert_share(MS(300), 80);
}

/* TCP with BBR sends as much as comes, so that nothing ever waits for its turn. */
static void who_keeps_pace_with_the_link_shows_what_it_carries(void **state)
{
	(void)state;
	begin((struct link){ .rate = 100 * MBIT, .delay = MS(5), .buffer = MS(300) });
	for (u32 mbit = 10; mbit < 95; mbit += mbit / 2) {
		run.offered = mbit * MBIT;
		pass(MS(50));
	}
	run.offered = 95 * MBIT;
	pass(MS(1000));
	assert_int_equal(run.cc.mode, RATECC_STARTUP); /* there is no queue: it may be more */
	run.offered = 125 * MBIT;
	pass(MS(12));
	run.offered = 100 * MBIT;
	pass(MS(500));
	assert_int_not_equal(run.cc.mode, RATECC_STARTUP);
	assert_in_range((u64)(run.cc.rate / MBIT), 90, 105);
}

static void busy_hosts_are_no_queue(void **state)
{
	(void)state;
	begin((struct link){
		.rate = 100 * MBIT, .delay = MS(10), .buffer = MS(300), .jitter = MS(5) });
	pass(MS(3000));
	pass(MS(5000));
	assert_share(MS(5000), 88);
	assert_queue(MS(12));
}

static void silence_stops_it(void **state)
{
	u64 sent;

	(void)state;
	begin((struct link){ .rate = 50 * MBIT, .delay = MS(20), .buffer = MS(300) });
	pass(MS(3000));
	run.link.loss = 1;
	pass(MS(500));
	sent = run.sent;
	pass(MS(400));
	assert_in_range(sent * SIZE, 0, 2 * ratecc_cap(&run.cc));
	assert_int_equal(run.sent, 0);
}

static int end(void **state)
{
	(void)state;
	flight_clear(&run.flight, &run.allocator);
	assert_int_equal(run.heap.live, 0);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_is_filled_and_its_queue_stays_short),
		cmocka_unit_test(it_starts_within_a_second),
		cmocka_unit_test(a_shallow_buffer_is_enough),
		cmocka_unit_test(random_loss_does_not_lower_the_rate),
		cmocka_unit_test(a_policer_is_found),
		cmocka_unit_test(when_the_link_gets_slower_so_does_the_sender),
		cmocka_unit_test(when_the_link_gets_faster_so_does_the_sender),
		cmocka_unit_test(a_slow_link_is_not_buried_at_the_start),
		cmocka_unit_test(a_longer_way_is_no_queue_for_ever),
		cmocka_unit_test(swings_are_followed),
		cmocka_unit_test(a_pause_does_not_make_it_forget),
		cmocka_unit_test(a_longer_way_while_little_is_sent_leaves_the_rate),
		cmocka_unit_test(who_keeps_pace_with_the_link_shows_what_it_carries),
		cmocka_unit_test(busy_hosts_are_no_queue),
		cmocka_unit_test(silence_stops_it),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
