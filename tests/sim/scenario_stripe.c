/* SPDX-License-Identifier: MIT */
/*
 * scenario_stripe.c - tunnels whose payloads take one path each: links of any rates add up, queues stay
 * short, what is lost is sent again, and a link that fails is left at once and taken again when it is back.
 *
 *   a.eth0 --- 10 ms --- internet --- 10 ms --- b.eth0        one way, each with its own rate
 *   a.eth1 ---/                   \--- b.eth1
 */
#include <stdio.h>

#include "sim/world.h"

#define ONE_WAY MS(20)
#define SIZE 1200u
#define HEADERS 74u /* IP, UDP, warp's own */

static void allow_all(struct sim_host *h)
{
	h->peer[0].allowed[h->peer[0].allowed_count++] =
		(struct prefix){ sim_endpoint("0.0.0.0", 0).address, 0 };
}

static void begin_with(struct world *w, const char *name, u32 links,
		       const struct tunnel_options *options)
{
	world_pair(w, name, links, links);
	w->a->tunnel_count = w->b->tunnel_count = 0;
	allow_all(w->a);
	allow_all(w->b);
	sim_tunnel(w->a, options);
	sim_tunnel(w->b, options);
	world_start(w, SECONDS(2));
	sim_check(w->sim, world_await_live(w->a, 0, links * links, SECONDS(1)));
	sim_check(w->sim, world_await_live(w->b, 0, links * links, SECONDS(1)));
}

static void begin(struct world *w, const char *name, u32 links, bool ordered)
{
	const struct tunnel_options options = { .name = "data",
						.stripe = true,
						.ordered = ordered };

	begin_with(w, name, links, &options);
}

static struct tunnel_view tunnel_at(const struct sim_host *h)
{
	struct tunnel_view v;

	sim_check(h->sim, engine_view_tunnel(h->engine, 0, &v));
	return v;
}

/* What a's link sends, Mbit/s, and how much may wait there. */
static void set_rate(struct world *w, u32 link, u64 mbit, u64 queue)
{
	struct sim_link *l = &w->a->iface[link].out;

	l->rate = mbit * 1000000 / 8;
	l->queue = (u32)(l->rate * (queue / NS_PER_MS) / 1000);
}

/* More than the links carry is offered: the share of mbit that arrives in duration, in thousandths. */
static u64 efficiency(struct world *w, u64 mbit, u64 warm, u64 duration, struct sim_flow **ret)
{
	const u64 offered = mbit * 1250000 / 10; /* bytes a second, as much as the rate */
	struct sim_flow *f = sim_flow(w->a, 0, NS_PER_S * SIZE / (offered * 12 / 10), SIZE, 0);
	u64 before;

	sim_run(w->sim, warm);
	before = sim_received(f, w->b);
	sim_run(w->sim, duration);
	*ret = f;
	return (sim_received(f, w->b) - before) * (SIZE + HEADERS) * 8 * 1000 /
	       (mbit * (duration / 1000));
}

static void even_links_add_up(void **state)
{
	struct sim_flow *f;
	struct world w;
	u64 share;

	(void)state;
	begin(&w, __func__, 2, true);
	set_rate(&w, 0, 20, MS(200));
	set_rate(&w, 1, 20, MS(200));
	share = efficiency(&w, 40, SECONDS(3), SECONDS(5), &f);
	sim_compare(w.sim, share, >=, 900);
	sim_compare(w.sim, sim_sink(f, w.b)->out_of_order, ==, 0);
	world_end(&w);
}

/* Whatever room their routers have: at the start more is sent than they carry, and much of that is lost. */
static void slow_links_add_up(void **state)
{
	static const u64 mbit[] = { 1, 2, 4 }, queue[] = { MS(50), MS(100), MS(250), MS(1000) };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(mbit) * ARRAY_SIZE(queue); n++) {
		const u64 rate = mbit[n / ARRAY_SIZE(queue)], room = queue[n % ARRAY_SIZE(queue)];
		struct sim_flow *f;
		struct world w;

		begin(&w, __func__, 2, true);
		set_rate(&w, 0, rate, room);
		set_rate(&w, 1, rate, room);
		sim_compare(w.sim, efficiency(&w, 2 * rate, SECONDS(5), SECONDS(10), &f), >=, 850);
		world_end(&w);
	}
}

/* Of the start's guess nothing is left when the first answers come, a long way later. */
static void slow_links_to_far_away_add_up(void **state)
{
	(void)state;
	for (u64 rate = 1; rate <= 4; rate *= 2) {
		struct sim_flow *f;
		struct world w;

		begin(&w, __func__, 2, true);
		for (u32 link = 0; link < 2; link++) {
			set_rate(&w, link, rate, MS(1000));
			w.a->iface[link].out.delay = w.a->iface[link].in.delay = MS(60);
		}
		sim_compare(w.sim, efficiency(&w, 2 * rate, SECONDS(2), SECONDS(8), &f), >=, 900);
		world_end(&w);
	}
}

static void uneven_links_add_up(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, true);
	set_rate(&w, 0, 30, MS(200));
	set_rate(&w, 1, 10, MS(200));
	w.a->iface[1].out.delay = w.a->iface[1].in.delay = MS(50);
	sim_run(w.sim, SECONDS(2));
	sim_compare(w.sim, efficiency(&w, 40, SECONDS(4), SECONDS(6), &f), >=, 850);
	sim_compare(w.sim, sim_sink(f, w.b)->out_of_order, ==, 0);
	world_end(&w);
}

/* Not a payload is missing, and next to nothing of the rate. */
static void what_a_lossy_link_loses_is_sent_again(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, true);
	set_rate(&w, 0, 20, MS(200));
	set_rate(&w, 1, 20, MS(200));
	w.a->iface[1].out.loss = 0.02;
	sim_compare(w.sim, efficiency(&w, 40, SECONDS(3), SECONDS(6), &f), >=, 850);
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, tunnel_at(w.a).repaired, >, 50);
	sim_compare(w.sim, tunnel_at(w.b).lost * 1000, <=, tunnel_at(w.b).received);
	world_end(&w);
}

/* Half of what the links carry: then nothing at all is missing, or late. */
static struct sim_flow *moderate(struct world *w, const char *name)
{
	struct sim_flow *f;

	begin(w, name, 2, false);
	set_rate(w, 0, 20, MS(200));
	set_rate(w, 1, 20, MS(200));
	f = sim_flow(w->a, 0, NS_PER_MS / 2, SIZE, 0); /* 19.2 Mbit/s, and headers */
	sim_run(w->sim, SECONDS(3));
	return f;
}

static bool is_used(const struct world *w, u32 link)
{
	struct path_view v;

	for (u32 n = 0; engine_view_path(w->a->engine, 0, n, &v); n++) {
		if (v.known && v.iface == w->a->iface[link].id && v.state == PATH_LIVE &&
		    v.knowledge.used)
			return true;
	}
	return false;
}

/* Since when it has been so, from now on at most limit. */
static u64 until_used(struct world *w, u32 link, bool used, u64 limit)
{
	const u64 start = w->sim->now;

	while (is_used(w, link) != used && w->sim->now < start + limit)
		sim_run(w->sim, MS(5));
	return w->sim->now - start;
}

static void break_link(struct world *w, const struct sim_link *how)
{
	struct sim_link *l = &w->a->iface[0].out;

	l->down = how->down;
	l->loss = how->loss;
	l->delay = how->delay;
}

static void a_link_that_fails_is_left_at_once_and_taken_again(void **state)
{
	static const struct sim_link failures[] = {
		{ .down = true, .delay = MS(10) },
		{ .loss = 0.5, .delay = MS(10) },
		{ .delay = MS(500) },
	};
	static const struct sim_link good = { .delay = MS(10) };

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(failures); n++) {
		struct world w;
		struct sim_flow *f = moderate(&w, __func__);

		sim_check(w.sim, is_used(&w, 0));
		break_link(&w, &failures[n]);
		sim_compare(w.sim, until_used(&w, 0, false, SECONDS(1)), <=, MS(300));
		sim_run(w.sim, SECONDS(2));
		sim_flow_mark(f);
		sim_run(w.sim, SECONDS(1));
		sim_compare(w.sim, sim_sink(f, w.b)->longest_gap, <=, MS(60));
		break_link(&w, &good);
		sim_compare(w.sim, until_used(&w, 0, true, SECONDS(2)), <=, SECONDS(1));
		f->stopped = true;
		sim_run(w.sim, SECONDS(2));
		sim_compare(w.sim, world_lost(f, w.b), <=, 5);
		world_end(&w);
	}
}

/* The one that is of little use is better than none. */
static void when_the_better_link_ends_the_bad_one_is_used(void **state)
{
	static const struct sim_link slow = { .delay = MS(500) };
	struct sim_flow *f;
	struct world w;

	(void)state;
	f = moderate(&w, __func__);
	break_link(&w, &slow);
	sim_compare(w.sim, until_used(&w, 0, false, SECONDS(1)), <=, MS(300));
	sim_run(w.sim, SECONDS(1));
	sim_check(w.sim, !is_used(&w, 0));
	w.a->iface[1].out.down = w.a->iface[1].in.down = true;
	sim_compare(w.sim, until_used(&w, 0, true, SECONDS(3)), <, SECONDS(2));
	sim_run(w.sim, SECONDS(2));
	sim_flow_mark(f);
	sim_run(w.sim, SECONDS(2));
	sim_compare(w.sim, sim_sink(f, w.b)->longest_gap, <=, MS(200));
	world_end(&w);
}

static void who_sends_little_takes_the_fast_link(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, false);
	w.a->iface[1].out.delay = w.a->iface[1].in.delay = MS(60);
	sim_run(w.sim, SECONDS(2));
	f = sim_flow(w.a, 0, MS(20), 200, 0);
	sim_run(w.sim, SECONDS(5));
	sim_compare(w.sim, sim_sink(f, w.b)->latency_max, <=, ONE_WAY + MS(1));
	sim_compare(w.sim, world_lost(f, w.b), <=, 1);
	world_end(&w);
}

static void large_payloads_are_put_together(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, false);
	set_rate(&w, 0, 20, MS(200));
	set_rate(&w, 1, 20, MS(200));
	w.a->iface[1].out.loss = 0.03;
	f = sim_flow(w.a, 0, MS(20), 20000, 0);
	sim_run(w.sim, SECONDS(10));
	f->stopped = true;
	sim_run(w.sim, SECONDS(2));
	sim_compare(w.sim, f->accepted, ==, f->offered);
	sim_compare(w.sim, world_lost(f, w.b), <=, 1);
	world_end(&w);
}

/* Twice what the links carry, in packets of many pieces: what is too much goes as a whole, so that the links
 * carry packets, not parts of them. */
static void large_packets_are_dropped_whole(void **state)
{
	struct sim_flow *f;
	struct world w;
	u64 before;

	(void)state;
	begin_with(&w, __func__, 2,
		   &(struct tunnel_options){ .name = "net", .stripe = true, .routed = true });
	set_rate(&w, 0, 20, MS(200));
	set_rate(&w, 1, 20, MS(200));
	f = sim_flow_ip(w.a, 0, MS(1), 10000, 0, "10.0.0.1", "10.0.0.2");
	sim_run(w.sim, SECONDS(3));
	before = sim_received(f, w.b);
	sim_run(w.sim, SECONDS(5));
	sim_compare(w.sim, (sim_received(f, w.b) - before) * 10000, >=,
		    5 * 40000000 / 8 * UINT64_C(8) / 10);
	world_end(&w);
}

static void the_only_link_may_be_bad(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 1, false);
	w.a->iface[0].out.loss = 0.4;
	f = sim_flow(w.a, 0, MS(10), 500, 0);
	sim_run(w.sim, SECONDS(10));
	f->stopped = true;
	sim_run(w.sim, SECONDS(2));
	sim_compare(w.sim, world_lost(f, w.b) * 100, <=, 5 * f->accepted);
	world_end(&w);
}

static void take_any(struct sim_host *h, const struct delivery *d)
{
	(void)h;
	(void)d;
}

/* A gate that is asked to wait, and does, loses nothing, and nothing of it waits for long. */
static void who_waits_when_asked_loses_nothing(void **state)
{
	static const u8 payload[SIZE];
	struct world w;
	u64 sent = 0;

	(void)state;
	begin(&w, __func__, 2, false);
	w.b->deliver = take_any;
	set_rate(&w, 0, 20, MS(200));
	set_rate(&w, 1, 20, MS(200));
	for (u32 ms = 0; ms < 5000; ms++) {
		while (engine_wants(w.a->engine, 0)) {
			sim_compare(w.sim, sim_send(w.a, 0, payload, SIZE), ==, DROP_NONE);
			sent++;
		}
		sim_compare(w.sim, tunnel_at(w.a).pending * SIZE, <=, 5000000 / 25);
		sim_run(w.sim, MS(1));
	}
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, tunnel_at(w.b).received, ==, sent);
	sim_compare(w.sim, sent * (SIZE + HEADERS) * 8, >=, UINT64_C(5) * 40000000 * 80 / 100);
	world_end(&w);
}

static void a_peer_that_is_restarted_is_sent_to_again(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	f = moderate(&w, __func__);
	sim_kill(w.b);
	sim_run(w.sim, SECONDS(1));
	sim_start(w.b);
	sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(5)));
	sim_run(w.sim, SECONDS(2));
	sim_flow_mark(f);
	sim_run(w.sim, SECONDS(2));
	sim_compare(w.sim, sim_sink(f, w.b)->longest_gap, <=, MS(50));
	world_end(&w);
}

/* Its clock begins anew as well. */
static void a_peer_that_is_rebooted_is_sent_to_as_before(void **state)
{
	const struct tunnel_options options = { .name = "data",
						.stripe = true,
						.send_deadline = MS(100) };
	struct sim_flow *f;
	struct world w;
	u64 before;

	(void)state;
	begin_with(&w, __func__, 2, &options);
	set_rate(&w, 0, 20, MS(200));
	set_rate(&w, 1, 20, MS(200));
	f = sim_flow(w.a, 0, NS_PER_MS / 2, SIZE, 0);
	sim_run(w.sim, SECONDS(3));
	sim_kill(w.b);
	sim_run(w.sim, SECONDS(1));
	w.b->boot = w.sim->now - SECONDS(20);
	sim_start(w.b);
	sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(5)));
	before = sim_received(f, w.b);
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, sim_received(f, w.b) - before, >=, 1500);
	world_end(&w);
}

/* Payloads that a gate that asks before it sends can give in so many milliseconds. */
static u64 give(struct world *w, u32 ms)
{
	static const u8 payload[SIZE];
	u64 sent = 0;

	for (u32 n = 0; n < ms; n++) {
		while (engine_wants(w->a->engine, 0) &&
		       sim_send(w->a, 0, payload, SIZE) == DROP_NONE)
			sent++;
		sim_run(w->sim, MS(1));
	}
	return sent;
}

static void a_gate_that_waits_goes_on_when_the_only_link_is_back(void **state)
{
	struct world w;

	(void)state;
	begin(&w, __func__, 1, false);
	w.b->deliver = take_any;
	set_rate(&w, 0, 50, MS(200));
	sim_compare(w.sim, give(&w, 2000), >, 500);
	sim_iface_remove(&w.a->iface[0]);
	sim_run(w.sim, SECONDS(3));
	sim_iface_add(&w.a->iface[0]);
	sim_check(w.sim, world_await_live(w.a, 0, 1, SECONDS(10)));
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, give(&w, 2000), >, 500);
	world_end(&w);
}

static void terminate(struct sim *sim, void *ctx)
{
	(void)sim;
	sim_terminate(ctx);
}

/* It is the tunnel's other peers that would wait for ever; and no timer spins meanwhile. */
static void a_peer_that_closes_leaves_no_queue_behind(void **state)
{
	struct world w;
	u64 steps;

	(void)state;
	begin(&w, __func__, 1, false);
	w.b->deliver = take_any;
	set_rate(&w, 0, 50, MS(200));
	sim_compare(w.sim, give(&w, 2000), >, 500);
	sim_at(w.sim, MS(50), terminate, w.b);
	give(&w, 200);
	sim_run(w.sim, SECONDS(5));
	steps = w.sim->steps;
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, w.sim->steps - steps, <, 1000);
	sim_check(w.sim, engine_wants(w.a->engine, 0));
	world_end(&w);
}

/* What comes for it has come all the same: nothing is to be sent again, nor any path to be left. */
static void a_tunnel_that_the_other_end_lacks_harms_no_other(void **state)
{
	const struct tunnel_options lacked = { .name = "lacked", .stripe = true };
	struct sim_flow *f;
	struct world w;
	u64 before;

	(void)state;
	begin(&w, __func__, 2, false);
	set_rate(&w, 0, 20, MS(200));
	set_rate(&w, 1, 20, MS(200));
	sim_kill(w.a);
	sim_tunnel(w.a, &lacked);
	sim_start(w.a);
	sim_check(w.sim, world_await_live(w.a, 0, 4, SECONDS(5)));
	f = sim_flow(w.a, 0, NS_PER_MS / 2, SIZE, 0); /* a half of what they carry */
	sim_flow(w.a, 1, MS(2), SIZE, 0);             /* and an eighth */
	sim_run(w.sim, SECONDS(3));
	before = sim_received(f, w.b);
	sim_run(w.sim, SECONDS(5));
	sim_compare(w.sim, sim_received(f, w.b) - before, >=, 9500);
	world_end(&w);
}

/* Twenty flows over 200 Mbit/s, one of which sends more than twice its share: its line stands so long that the
 * store has come round before its turn. */
static void a_line_may_outlive_the_store(void **state)
{
	const struct tunnel_options options = { .name = "net", .stripe = true, .routed = true };
	char source[20][16];
	struct world w;

	(void)state;
	begin_with(&w, __func__, 1, &options);
	set_rate(&w, 0, 200, MS(100));
	for (u32 n = 0; n < ARRAY_SIZE(source); n++) {
		const u64 kbit = n ? 9000 : 25000;

		snprintf(source[n], sizeof(source[n]), "10.0.%u.%u", n * 3, n + 1);
		sim_flow_ip(w.a, 0, SIZE * 8 * NS_PER_MS / kbit, SIZE, 0, source[n], "10.1.0.2");
	}
	sim_run(w.sim, SECONDS(4));
	sim_compare(w.sim, tunnel_at(w.a).drops.count[DROP_QUEUE_FULL], >, 0);
	world_end(&w);
}

/* What is lost on fast links to far away is known to be lost many thousand payloads later. */
static void fast_links_to_far_away_are_repaired(void **state)
{
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, false);
	for (u32 n = 0; n < 2; n++) {
		w.a->iface[n].out.delay = w.a->iface[n].in.delay = MS(50);
		set_rate(&w, n, 200, MS(100));
		w.a->iface[n].out.loss = 0.01;
	}
	f = sim_flow(w.a, 0, NS_PER_MS * 6 / 200, SIZE, 0); /* 0.8 of both */
	sim_run(w.sim, SECONDS(3));
	sim_flow_mark(f);
	sim_run(w.sim, SECONDS(2));
	f->stopped = true;
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, tunnel_at(w.a).repaired, >, 500);
	sim_compare(w.sim, tunnel_at(w.b).drops.count[DROP_LATE], ==, 0);
	world_end(&w);
}

/* What has to be kept until it is known to have come, 12 MB and what waits, is more than at the start. */
static void so_are_those_that_have_much_under_way(void **state)
{
	const u64 time = SECONDS(2), every = (u64)SIZE * 8 * 1000 / 560; /* 0.7 of both */
	u64 before, sent;
	struct sim_flow *f;
	struct world w;

	(void)state;
	begin(&w, __func__, 2, false);
	for (u32 n = 0; n < 2; n++) {
		w.a->iface[n].out.delay = w.a->iface[n].in.delay = MS(60);
		set_rate(&w, n, 400, MS(100));
		w.a->iface[n].out.loss = 0.01;
	}
	f = sim_flow(w.a, 0, every, SIZE, 0);
	sim_run(w.sim, SECONDS(5));
	before = sim_received(f, w.b);
	sent = f->accepted;
	sim_run(w.sim, time);
	sent = f->accepted - sent;
	assert_in_range(sent, time / every - 10, time / every + 10);
	sim_compare(w.sim, sim_received(f, w.b) - before, >=, sent - sent / 1000);
	world_end(&w);
}

/* Payloads of the first second in which there is much to send over 100 Mbit/s, after some in which there was
 * next to nothing; for a moment (Wi-Fi, LTE) all took longer. */
static u64 first_second(u64 longer)
{
	struct sim_flow *little, *much;
	struct world w;
	u64 got;

	begin(&w, __func__, 1, false);
	set_rate(&w, 0, 100, MS(200));
	little = sim_flow(w.a, 0, MS(50), 200, 0);
	sim_run(w.sim, SECONDS(5));
	w.a->iface[0].out.delay += longer;
	sim_run(w.sim, MS(300));
	w.a->iface[0].out.delay -= longer;
	sim_run(w.sim, SECONDS(5));
	little->stopped = true;
	much = sim_flow(w.a, 0, NS_PER_S * SIZE / 18000000, SIZE, 0);
	sim_run(w.sim, SECONDS(1));
	got = sim_received(much, w.b);
	world_end(&w);
	return got;
}

/* What little was sent says nothing of what is possible. */
static void a_moment_of_delay_says_nothing_of_the_rate(void **state)
{
	const u64 calm = first_second(0);

	(void)state;
	assert_in_range(first_second(MS(60)), calm * 8 / 10, calm * 2);
}

#define LARGE 1350u

/* Bytes that a has sent over its second link, and, to ret_all, over both. */
static u64 sent_over_second(const struct world *w, u64 *ret_all)
{
	struct path_view v;
	u64 second = 0;

	*ret_all = 0;
	for (u32 n = 0; n < MAX_PEER_PATHS; n++) {
		if (!engine_view_path(w->a->engine, 0, n, &v))
			continue;
		*ret_all += v.sent_bytes;
		if (v.iface == w->a->iface[1].id)
			second += v.sent_bytes;
	}
	return second;
}

/* What a's second link sends of a flow of so many Mbit/s, in thousandths of it. */
static u64 second_share(struct world *w, u64 mbit, u64 time)
{
	struct sim_flow *f =
		sim_flow(w->a, 0, (LARGE + HEADERS) * 8 * NS_PER_MS / (mbit * 1000), LARGE, 0);
	u64 all_before, all, before = sent_over_second(w, &all_before), second;

	sim_run(w->sim, time);
	f->stopped = true;
	second = sent_over_second(w, &all);
	return (second - before) * 1000 / (all - all_before);
}

/* TCP with BBR, which sends as much as has come, learns in no other way that there is more. */
static void a_fast_link_leaves_some_to_the_slow_one_that_had_to_help(void **state)
{
	struct world w;

	(void)state;
	begin(&w, __func__, 2, false);
	w.a->iface[1].out.delay += MS(25);
	set_rate(&w, 0, 100, MS(100));
	set_rate(&w, 1, 30, MS(100));
	second_share(&w, 140, SECONDS(2)); /* so that their rates are known */
	second_share(&w, 96, SECONDS(2));
	sim_compare(w.sim, second_share(&w, 96, SECONDS(1)), <=, 5);
	second_share(&w, 125, MS(40)); /* it has to help */
	second_share(&w, 96, MS(60));  /* what has waited goes */
	sim_compare(w.sim, second_share(&w, 96, MS(300)), >=, 15);
	second_share(&w, 96, SECONDS(1));
	sim_compare(w.sim, second_share(&w, 96, SECONDS(1)), <=, 5);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(even_links_add_up),
		cmocka_unit_test(slow_links_add_up),
		cmocka_unit_test(slow_links_to_far_away_add_up),
		cmocka_unit_test(uneven_links_add_up),
		cmocka_unit_test(what_a_lossy_link_loses_is_sent_again),
		cmocka_unit_test(a_link_that_fails_is_left_at_once_and_taken_again),
		cmocka_unit_test(when_the_better_link_ends_the_bad_one_is_used),
		cmocka_unit_test(who_sends_little_takes_the_fast_link),
		cmocka_unit_test(large_payloads_are_put_together),
		cmocka_unit_test(large_packets_are_dropped_whole),
		cmocka_unit_test(the_only_link_may_be_bad),
		cmocka_unit_test(who_waits_when_asked_loses_nothing),
		cmocka_unit_test(a_peer_that_is_restarted_is_sent_to_again),
		cmocka_unit_test(a_peer_that_is_rebooted_is_sent_to_as_before),
		cmocka_unit_test(a_gate_that_waits_goes_on_when_the_only_link_is_back),
		cmocka_unit_test(a_peer_that_closes_leaves_no_queue_behind),
		cmocka_unit_test(a_tunnel_that_the_other_end_lacks_harms_no_other),
		cmocka_unit_test(a_line_may_outlive_the_store),
		cmocka_unit_test(fast_links_to_far_away_are_repaired),
		cmocka_unit_test(so_are_those_that_have_much_under_way),
		cmocka_unit_test(a_moment_of_delay_says_nothing_of_the_rate),
		cmocka_unit_test(a_fast_link_leaves_some_to_the_slow_one_that_had_to_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
