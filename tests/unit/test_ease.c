/* SPDX-License-Identifier: MIT */
/*
 * test_ease.c - how much is sent over a path where a queue stands.
 *
 * A link with a rate and a buffer, in virtual time: what is offered and admitted goes into the buffer,
 * probes go every 100 ms and stand in it, too.
 */
#include "unit/harness.h"

#include <stdlib.h>
#include <string.h>

#include "warp/ease.h"

#define PACKET 1000u
#define PROBES 256u
#define TICK (NS_PER_MS / 4)

struct probe {
	u64 arrives; /* at the other end */
	u64 told;    /* back here */
	struct ease_sample sample;
};

struct link {
	struct ease ease;
	u64 now, delay;
	u64 rate, buffer; /* bytes a second, bytes */
	u64 jitter;       /* of each answer */
	u32 loss;         /* percent of packets that are lost before the link */
	u64 free_at;      /* the link has sent all that it has */
	u64 sent, received, bytes;
	u64 next_probe, next_packet;
	struct probe probe[PROBES];
	u32 head, tail;
	u64 seed;
	u64 offered, refused, lost; /* packets: by ease_admit(), in the buffer */
	u64 full;                   /* ns that the buffer was so for more than EASE_LONG */
};

static u32 dice(struct link *l)
{
	l->seed = l->seed * 6364136223846793005u + 1442695040888963407u;
	return (u32)(l->seed >> 33);
}

static u64 queue_of(const struct link *l)
{
	return l->free_at > l->now ? l->free_at - l->now : 0;
}

static u64 time_of(const struct link *l, u64 bytes)
{
	return bytes * NS_PER_S / l->rate;
}

/* False: it was lost. */
static bool enter(struct link *l, u32 size)
{
	l->sent++;
	if (dice(l) % 100 < l->loss)
		return false;
	if (queue_of(l) + time_of(l, size) > time_of(l, l->buffer)) {
		l->lost++;
		return false;
	}
	l->free_at = (l->free_at > l->now ? l->free_at : l->now) + time_of(l, size);
	l->received++; /* in order, so a probe behind it counts it */
	l->bytes += size;
	return true;
}

static void send_probe(struct link *l)
{
	struct probe *p = &l->probe[l->tail % PROBES];

	l->next_probe = l->now + 100 * NS_PER_MS;
	if (!enter(l, 100))
		return;
	p->arrives = l->free_at + l->delay + dice(l) % (l->jitter + 1);
	p->told = p->arrives + l->delay;
	p->sample = (struct ease_sample){ .queue = p->arrives - l->now - l->delay,
					  .sent = l->sent,
					  .received = l->received,
					  .bytes = l->bytes,
					  .rtt = 2 * l->delay };
	l->tail++;
}

/* Offers at rate (bytes a second). */
static void run(struct link *l, u64 duration, u64 rate)
{
	l->next_packet = l->now;
	for (u64 end = l->now + duration; l->now < end; l->now += TICK) {
		for (; rate && l->next_packet <= l->now;
		     l->next_packet += PACKET * NS_PER_S / rate) {
			l->offered++;
			if (ease_admit(&l->ease, l->now, PACKET, ease_rate(&l->ease, l->now)))
				enter(l, PACKET);
			else
				l->refused++;
		}
		if (l->now >= l->next_probe)
			send_probe(l);
		while (l->head != l->tail && l->probe[l->head % PROBES].told <= l->now)
			ease_take(&l->ease, l->now, &l->probe[l->head++ % PROBES].sample);
		l->full += queue_of(l) >= EASE_LONG ? TICK : 0;
	}
}

static struct link *link_of(u64 rate, u64 buffer_time)
{
	struct link *l = calloc(1, sizeof(*l));

	l->now = 1000 * NS_PER_S;
	l->delay = 10 * NS_PER_MS;
	l->rate = rate;
	l->buffer = rate / 1000 * (buffer_time / NS_PER_MS);
	l->seed = 1;
	return l;
}

static void begin_counting(struct link *l)
{
	l->offered = l->refused = l->lost = l->full = 0;
}

static void what_fits_is_never_held_back(void **state)
{
	struct link *l = link_of(1250000, NS_PER_S);

	(void)state;
	run(l, 20 * NS_PER_S, 1000000);
	assert_int_equal(l->refused + l->lost, 0);
	assert_false(ease_congested(&l->ease, l->now));
	free(l);
}

static void a_flood_does_not_keep_a_buffer_full(void **state)
{
	static const u64 buffers[] = { 50, 200, 1000, 3000 }, rates[] = { 125000, 1250000 };
	struct link *l;

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(buffers) * 2; n++) {
		l = link_of(rates[n % 2], buffers[n / 2] * NS_PER_MS);
		run(l, 3 * NS_PER_S, 2500000);
		run(l, buffers[n / 2] * NS_PER_MS * 4, 2500000);
		begin_counting(l);
		run(l, 30 * NS_PER_S, 2500000);
		print_message("%u kB/s, %u ms: long for %u ms of 30 s, %u lost, %u passed\n",
			      (u32)(rates[n % 2] / 1000), (u32)buffers[n / 2],
			      (u32)(l->full / NS_PER_MS), (u32)l->lost,
			      (u32)(l->offered - l->refused));
		assert_in_range(l->full, 0, 1 * NS_PER_S);
		assert_in_range(l->offered - l->refused, 30 * rates[n % 2] / PACKET * 6 / 10,
				30 * rates[n % 2] / PACKET * 105 / 100);
		assert_in_range(l->lost, 0, (l->offered - l->refused) / 8);
		assert_true(ease_congested(&l->ease, l->now));
		free(l);
	}
}

static void a_little_too_much_is_found_out_without_losses(void **state)
{
	struct link *l = link_of(125000, 10 * NS_PER_S);

	(void)state;
	run(l, 20 * NS_PER_S, 150000);
	assert_int_equal(l->lost, 0);
	begin_counting(l);
	run(l, 30 * NS_PER_S, 150000);
	assert_in_range(l->full, 0, 2 * NS_PER_S);
	assert_in_range(l->offered - l->refused, 2600, 3900);
	free(l);
}

static void it_ends_when_the_flood_does(void **state)
{
	struct link *l = link_of(125000, NS_PER_S);

	(void)state;
	run(l, 10 * NS_PER_S, 2500000);
	assert_true(ease_congested(&l->ease, l->now));
	run(l, 5 * NS_PER_S, 50000);
	assert_false(ease_congested(&l->ease, l->now));
	assert_int_equal(ease_rate(&l->ease, l->now), UINT64_MAX);
	begin_counting(l);
	run(l, 10 * NS_PER_S, 100000);
	assert_int_equal(l->refused, 0);
	free(l);
}

static void a_link_that_gets_faster_is_used_more(void **state)
{
	struct link *l = link_of(125000, NS_PER_S);

	(void)state;
	run(l, 10 * NS_PER_S, 2500000);
	l->rate = 1250000;
	l->buffer = 1250000;
	run(l, 10 * NS_PER_S, 2500000);
	begin_counting(l);
	run(l, 10 * NS_PER_S, 2500000);
	assert_true(l->offered - l->refused > 7000);
	free(l);
}

static void losses_alone_hold_nothing_back(void **state)
{
	struct link *l = link_of(12500000, NS_PER_S);

	(void)state;
	l->loss = 40;
	l->jitter = 20 * NS_PER_MS;
	run(l, 60 * NS_PER_S, 1000000);
	assert_int_equal(l->refused, 0);
	free(l);
}

/* Delays that come from elsewhere cost copies only where as many are lost as by a queue that is full. */
static void jitter_holds_back_little(void **state)
{
	static const struct {
		u64 jitter;
		u32 loss, percent;
	} cases[] = { { 80, 0, 0 }, { 40, 15, 5 }, { 40, 30, 25 }, { 80, 30, 45 } };
	struct link *l;

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(cases); n++) {
		l = link_of(12500000, NS_PER_S);
		l->jitter = cases[n].jitter * NS_PER_MS;
		l->loss = cases[n].loss;
		run(l, 120 * NS_PER_S, 1000000);
		print_message("%u %% of jitter and losses %u: %u refused of %u\n", cases[n].loss,
			      (u32)cases[n].jitter, (u32)l->refused, (u32)l->offered);
		assert_in_range(l->refused, 0, l->offered * cases[n].percent / 100);
		free(l);
	}
}

static void hosts_that_stall_do_not_open_the_gates(void **state)
{
	struct link *l = link_of(125000, NS_PER_S);

	(void)state;
	l->jitter = 60 * NS_PER_MS;
	run(l, 10 * NS_PER_S, 2500000);
	begin_counting(l);
	run(l, 60 * NS_PER_S, 2500000);
	print_message("long for %u ms of 60 s, %u lost, %u passed\n", (u32)(l->full / NS_PER_MS),
		      (u32)l->lost, (u32)(l->offered - l->refused));
	assert_in_range(l->full, 0, 6 * NS_PER_S);
	assert_in_range(l->lost, 0, 1000);
	free(l);
}

/* As long as it gets shorter, that it is still there is no reason to send more. */
static void a_queue_that_goes_slowly_is_waited_for(void **state)
{
	struct link *l = link_of(125000, NS_PER_S);
	struct ease_sample s;

	(void)state;
	run(l, 20 * NS_PER_S, 2500000);
	assert_int_equal(l->ease.state, EASE_LIMITED);
	s = (struct ease_sample){ .sent = l->ease.sent,
				  .received = l->ease.received,
				  .bytes = l->bytes,
				  .rtt = 2 * l->delay };
	for (s.queue = 90 * NS_PER_MS; s.queue > 30 * NS_PER_MS; s.queue -= 2 * NS_PER_MS) {
		l->now += 100 * NS_PER_MS;
		s.sent += 10;
		s.received += 10;
		s.bytes += 12500;
		ease_admit(&l->ease, l->now, PACKET, 1);
		ease_take(&l->ease, l->now, &s);
		assert_true(l->ease.rate <= l->rate * 5 / 4);
	}
	free(l);
}

static void counts_that_begin_anew_do_no_harm(void **state)
{
	struct link *l = link_of(125000, NS_PER_S);

	(void)state;
	run(l, 10 * NS_PER_S, 2500000);
	l->sent = l->received = l->bytes = 0;
	begin_counting(l);
	run(l, 10 * NS_PER_S, 2500000);
	assert_in_range(l->lost, 0, 200);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fits_is_never_held_back),
		cmocka_unit_test(a_flood_does_not_keep_a_buffer_full),
		cmocka_unit_test(a_little_too_much_is_found_out_without_losses),
		cmocka_unit_test(it_ends_when_the_flood_does),
		cmocka_unit_test(a_link_that_gets_faster_is_used_more),
		cmocka_unit_test(losses_alone_hold_nothing_back),
		cmocka_unit_test(jitter_holds_back_little),
		cmocka_unit_test(hosts_that_stall_do_not_open_the_gates),
		cmocka_unit_test(a_queue_that_goes_slowly_is_waited_for),
		cmocka_unit_test(counts_that_begin_anew_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
