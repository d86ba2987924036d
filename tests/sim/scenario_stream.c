/* SPDX-License-Identifier: MIT */
/*
 * scenario_stream.c - where UDP to the map is silent: TCP takes its place, ends, comes back, and goes
 * when UDP does what it should.
 *
 *   a -- NAT (lets no UDP through) -- internet -- b
 *                                        |
 *                                       map
 */
#include "sim/world.h"

#define INTERVAL MS(10)

struct line {
	struct world w;
	struct sim_flow *there, *back;
};

static void line_start(struct line *l, const char *name, enum world_nat a, enum world_nat b)
{
	world_meet(&l->w, name, a, b);
	world_start(&l->w, SECONDS(1));
	l->there = sim_flow(l->w.a, 0, INTERVAL, 200, 0);
	l->back = sim_flow(l->w.b, 0, INTERVAL, 200, 0);
	sim_run(l->w.sim, SECONDS(3));
}

static u64 lost(struct line *l)
{
	u64 ret;

	l->there->paused = l->back->paused = true;
	sim_run(l->w.sim, SECONDS(1));
	ret = world_lost(l->there, l->w.b) + world_lost(l->back, l->w.a);
	l->there->paused = l->back->paused = false;
	return ret;
}

static void mark(struct line *l)
{
	sim_flow_mark(l->there);
	sim_flow_mark(l->back);
}

static void check_gap(struct line *l, u64 most)
{
	sim_compare(l->w.sim, sim_sink(l->there, l->w.b)->longest_gap, <=, most);
	sim_compare(l->w.sim, sim_sink(l->back, l->w.a)->longest_gap, <=, most);
}

/* Is the map spoken to over TCP on the first interface? */
static bool by_stream(const struct sim_host *h)
{
	struct iface_view v;

	return engine_view_iface(h->engine, h->iface[0].id, &v) && v.map[0].stream;
}

static u32 streams_open(const struct world *w)
{
	u32 count = 0;

	for (const struct sim_stream *s = w->sim->streams; s; s = s->next)
		count += s->state == SIM_STREAM_OPEN && !s->incoming;
	return count;
}

static u32 streams_ever(const struct world *w)
{
	u32 count = 0;

	for (const struct sim_stream *s = w->sim->streams; s; s = s->next)
		count += !s->incoming;
	return count;
}

static bool relayed_by_tcp(const struct sim_host *h)
{
	bool found = false;

	for (u32 n = 0; n < MAX_PEER_PATHS; n++) {
		struct path_view v;

		if (engine_view_path(h->engine, 0, n, &v) && v.state == PATH_LIVE)
			found |= v.stream;
	}
	return found;
}

/* --- scenarios -------------------------------------------------------------------------------- */

/* Both ends see what it is, though only one of them uses TCP; nobody sends to the endpoint that the
 * map sees of it. */
static void where_udp_is_blocked_the_map_is_reached_over_tcp(void **state)
{
	struct peer_view peer;
	struct iface_view iface;
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_UDP_BLOCKED, WORLD_SYMMETRIC);
	sim_run(l.w.sim, SECONDS(60));
	sim_compare(l.w.sim, lost(&l), ==, 0);
	sim_check(l.w.sim, by_stream(l.w.a) && !by_stream(l.w.b));
	sim_check(l.w.sim, relayed_by_tcp(l.w.a) && relayed_by_tcp(l.w.b));
	sim_compare(l.w.sim, streams_open(&l.w), ==, 1);
	sim_check(l.w.sim, engine_view_peer(l.w.b->engine, 0, &peer));
	sim_compare(l.w.sim, peer.registered_count, ==, 1);
	sim_compare(l.w.sim, peer.registered[0].observed.address.family, ==, 0);
	sim_check(l.w.sim, engine_view_iface(l.w.a->engine, l.w.a->iface[0].id, &iface));
	sim_check(l.w.sim, iface.map[0].registered);
	sim_compare(l.w.sim, iface.nat.verdict, ==, NAT_VERDICT_BLOCKED);
	world_end(&l.w);
}

static void where_udp_is_answered_no_stream_is_opened(void **state)
{
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_SYMMETRIC, WORLD_PUBLIC);
	sim_run(l.w.sim, SECONDS(30));
	sim_compare(l.w.sim, streams_ever(&l.w), ==, 0);
	world_end(&l.w);
}

/* The sessions with the map, and between the nodes, are renewed meanwhile. */
static void new_keys_interrupt_nothing(void **state)
{
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_UDP_BLOCKED, WORLD_UDP_BLOCKED);
	sim_run(l.w.sim, SECONDS(400));
	sim_compare(l.w.sim, lost(&l), ==, 0);
	sim_compare(l.w.sim, streams_ever(&l.w), ==, 2);
	world_end(&l.w);
}

static void a_stream_that_a_nat_forgot_is_opened_anew(void **state)
{
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_UDP_BLOCKED, WORLD_PUBLIC);
	mark(&l);
	sim_nat_flush(l.w.nat_a);
	sim_run(l.w.sim, SECONDS(10));
	check_gap(&l, SECONDS(2));
	world_check_traffic(&l.w);
	world_end(&l.w);
}

static void a_map_that_restarts_is_found_again(void **state)
{
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_UDP_BLOCKED, WORLD_UDP_BLOCKED);
	mark(&l);
	sim_kill(l.w.map);
	sim_run(l.w.sim, MS(500));
	sim_start(l.w.map);
	sim_run(l.w.sim, SECONDS(15));
	check_gap(&l, SECONDS(2));
	world_check_traffic(&l.w);
	world_end(&l.w);
}

/* A map that takes no connections is not asked for them all the time. */
static void refused_connections_are_tried_ever_less_often(void **state)
{
	struct line l;

	(void)state;
	world_meet(&l.w, __func__, WORLD_UDP_BLOCKED, WORLD_PUBLIC);
	for (u32 n = 0; n < l.w.map->iface_count; n++)
		l.w.map->iface[n].listens = false;
	sim_start_all(l.w.sim);
	sim_run(l.w.sim, SECONDS(300));
	sim_compare(l.w.sim, streams_ever(&l.w), <=, 12);
	sim_compare(l.w.sim, streams_ever(&l.w), >=, 4);
	for (u32 n = 0; n < l.w.map->iface_count; n++)
		l.w.map->iface[n].listens = true;
	sim_run(l.w.sim, SECONDS(61));
	world_check_traffic(&l.w);
	world_end(&l.w);
}

/* As a firewall of the host itself does it: each datagram is an error. */
static void where_the_kernel_sends_no_udp_tcp_is_used(void **state)
{
	struct line l;

	(void)state;
	world_meet(&l.w, __func__, WORLD_PUBLIC, WORLD_PUBLIC);
	l.w.a->iface[0].send_error = 1; /* EPERM */
	world_start(&l.w, SECONDS(1));
	l.there = sim_flow(l.w.a, 0, INTERVAL, 200, 0);
	l.back = sim_flow(l.w.b, 0, INTERVAL, 200, 0);
	sim_run(l.w.sim, SECONDS(30));
	check_gap(&l, MS(200));
	sim_check(l.w.sim, by_stream(l.w.a));
	l.w.a->iface[0].send_error = 0;
	sim_run(l.w.sim, SECONDS(40));
	sim_check(l.w.sim, !by_stream(l.w.a));
	check_gap(&l, MS(200));
	world_end(&l.w);
}

/* Some networks accept connections in the name of whoever they are for, and then swallow all. */
static void a_connection_that_leads_nowhere_is_given_up(void **state)
{
	struct line l;

	(void)state;
	world_meet(&l.w, __func__, WORLD_UDP_BLOCKED, WORLD_PUBLIC);
	sim_start_all(l.w.sim);
	sim_suspend(l.w.map);
	sim_run(l.w.sim, SECONDS(60));
	sim_compare(l.w.sim, streams_ever(&l.w), >=, 4);
	sim_compare(l.w.sim, streams_ever(&l.w), <=, 20);
	sim_resume(l.w.map);
	sim_run(l.w.sim, SECONDS(62));
	world_check_traffic(&l.w);
	world_end(&l.w);
}

static void udp_that_comes_back_takes_over_without_loss(void **state)
{
	struct line l;
	u64 before;

	(void)state;
	line_start(&l, __func__, WORLD_UDP_BLOCKED, WORLD_SYMMETRIC);
	sim_run(l.w.sim, SECONDS(20));
	mark(&l);
	l.w.nat_a->udp_blocked = false;
	sim_run(l.w.sim, SECONDS(20));
	sim_check(l.w.sim, !by_stream(l.w.a));
	sim_compare(l.w.sim, streams_open(&l.w), ==, 1); /* in case it goes again */
	sim_run(l.w.sim, SECONDS(20));
	sim_compare(l.w.sim, streams_open(&l.w), ==, 0);
	sim_compare(l.w.sim, lost(&l), ==, 0);
	check_gap(&l, SECONDS(1) + MS(200)); /* the pause to count */
	sim_check(l.w.sim, !relayed_by_tcp(l.w.a) && !relayed_by_tcp(l.w.b));
	before = l.w.a->notices[NOTICE_STREAM];
	sim_run(l.w.sim, SECONDS(30));
	sim_compare(l.w.sim, l.w.a->notices[NOTICE_STREAM], ==, before);
	world_end(&l.w);
}

/* What it says earns it nothing: it is silent. All that is for it goes over the connection until it
 * has shown that UDP reaches it. */
static void who_only_listens_loses_nothing_when_udp_is_back(void **state)
{
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_UDP_BLOCKED, WORLD_SYMMETRIC);
	l.there->paused = true;
	l.back->interval = MS(1);
	sim_run(l.w.sim, SECONDS(5));
	l.w.nat_a->udp_blocked = false;
	sim_run(l.w.sim, SECONDS(20));
	sim_check(l.w.sim, !by_stream(l.w.a));
	sim_compare(l.w.sim, lost(&l), ==, 0);
	world_end(&l.w);
}

static void udp_that_goes_is_replaced(void **state)
{
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_SYMMETRIC, WORLD_SYMMETRIC);
	mark(&l);
	l.w.nat_a->udp_blocked = true;
	sim_run(l.w.sim, SECONDS(10));
	check_gap(&l, SECONDS(3));
	sim_check(l.w.sim, by_stream(l.w.a) && relayed_by_tcp(l.w.b));
	world_check_traffic(&l.w);
	world_end(&l.w);
}

/* UDP passes for some seconds, and does not, again and again. */
static void udp_that_comes_and_goes_is_borne(void **state)
{
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_UDP_BLOCKED, WORLD_SYMMETRIC);
	for (u32 n = 0; n < 20; n++) {
		l.w.nat_a->udp_blocked = n % 2;
		sim_run(l.w.sim, MS(2000) + sim_rng_below(&l.w.sim->rng, MS(6000)));
	}
	l.w.nat_a->udp_blocked = true;
	sim_run(l.w.sim, SECONDS(5));
	world_check_traffic(&l.w);
	sim_check(l.w.sim, by_stream(l.w.a));
	world_end(&l.w);
}

static void an_interface_that_goes_takes_its_stream_along(void **state)
{
	struct line l;

	(void)state;
	line_start(&l, __func__, WORLD_UDP_BLOCKED, WORLD_PUBLIC);
	sim_iface_remove(&l.w.a->iface[0]);
	sim_run(l.w.sim, SECONDS(5));
	mark(&l);
	sim_iface_add(&l.w.a->iface[0]);
	sim_check(l.w.sim,
		  world_await(l.there, l.w.b, sim_received(l.there, l.w.b) + 10, MS(1100)));
	world_end(&l.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_udp_is_blocked_the_map_is_reached_over_tcp),
		cmocka_unit_test(where_udp_is_answered_no_stream_is_opened),
		cmocka_unit_test(new_keys_interrupt_nothing),
		cmocka_unit_test(a_stream_that_a_nat_forgot_is_opened_anew),
		cmocka_unit_test(a_map_that_restarts_is_found_again),
		cmocka_unit_test(refused_connections_are_tried_ever_less_often),
		cmocka_unit_test(where_the_kernel_sends_no_udp_tcp_is_used),
		cmocka_unit_test(a_connection_that_leads_nowhere_is_given_up),
		cmocka_unit_test(udp_that_comes_back_takes_over_without_loss),
		cmocka_unit_test(who_only_listens_loses_nothing_when_udp_is_back),
		cmocka_unit_test(udp_that_goes_is_replaced),
		cmocka_unit_test(udp_that_comes_and_goes_is_borne),
		cmocka_unit_test(an_interface_that_goes_takes_its_stream_along),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
