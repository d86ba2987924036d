/* SPDX-License-Identifier: MIT */
/*
 * scenario_stripe.c - tunnels whose payloads take one path each: links of any rates add up, queues stay
 * short, what is lost is sent again, and a link that fails is left at once and taken again when it is back.
 *
 *   a.eth0 --- 10 ms --- internet --- 10 ms --- b.eth0        one way, each with its own rate
 *   a.eth1 ---/                   \--- b.eth1
 */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(even_links_add_up),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
