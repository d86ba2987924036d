/* SPDX-License-Identifier: MIT */
/*
 * test_simstream.c - simulated connections and extra sockets: what passes, in what order, and how
 * it ends.
 *
 *   a --NAT-- internet -- b (listens)
 */
#include "sim/world.h"

#include <stdio.h>

struct line {
	struct sim *sim;
	struct sim_nat *nat;
	struct sim_host *a, *b;
	struct sim_iface *ia, *ib;
};

struct ear {
	struct sim_stream *stream;
	u32 began, messages, ended;
	bool in_order;
};

static struct ear ear_a, ear_b;

static void hear(struct sim_stream *s, enum sim_stream_event event, const u8 *data, u32 size)
{
	struct ear *ear = s->incoming ? &ear_b : &ear_a;

	ear->stream = s;
	ear->began += event == SIM_STREAM_BEGAN;
	ear->ended += event == SIM_STREAM_ENDED;
	if (event != SIM_STREAM_MESSAGE)
		return;
	ear->in_order = ear->in_order && size == 100 && get_u32(data) == ear->messages;
	ear->messages++;
}

static void line_make(struct line *l, const char *name)
{
	ear_a = ear_b = (struct ear){ .in_order = true };
	l->sim = sim_create(name);
	l->nat = sim_nat(l->sim, "198.51.100.1", SIM_EI, SIM_APD, SIM_RANDOM, NULL);
	l->a = sim_node(l->sim, "a");
	l->b = sim_node(l->sim, "b");
	l->ia = sim_iface(l->a, "eth0", "192.168.1.2", l->nat);
	l->ib = sim_iface(l->b, "eth0", "203.0.113.1", NULL);
	l->ib->listens = true;
	sim_iface_link(l->ia, &world_link);
	sim_iface_link(l->ib, &world_link);
	sim_start_all(l->sim);
	l->a->on_stream = l->b->on_stream = hear;
}

static void say(struct line *l, struct sim_stream *s, u32 count)
{
	u8 text[100] = { 0 };

	for (u32 n = 0; n < count; n++) {
		put_u32(text, n);
		sim_check(l->sim, sim_stream_send(s, text, sizeof(text)));
	}
}

static void a_stream_begins_in_a_round_trip_through_a_nat_that_blocks_udp(void **state)
{
	struct line l;
	struct sim_stream *s;

	(void)state;
	line_make(&l, __func__);
	l.nat->udp_blocked = true;
	s = sim_stream_open(l.ia, &l.ib->local);
	sim_run(l.sim, MS(39));
	sim_compare(l.sim, ear_a.began, ==, 0);
	sim_run(l.sim, MS(1));
	sim_compare(l.sim, ear_a.began, ==, 1);
	say(&l, s, 10);
	say(&l, ear_b.stream, 20);
	sim_run(l.sim, MS(20));
	sim_compare(l.sim, ear_b.messages, ==, 10);
	sim_compare(l.sim, ear_a.messages, ==, 20);
	sim_check(l.sim, ear_a.in_order && ear_b.in_order);
	sim_destroy(l.sim);
}

static void what_a_link_loses_a_stream_repeats_in_order(void **state)
{
	struct sim_link lossy = world_link;
	struct sim_stream *s;
	struct line l;

	(void)state;
	line_make(&l, __func__);
	lossy.loss = 0.2;
	lossy.reorder = 0.1;
	lossy.reorder_delay = MS(30);
	sim_iface_link(l.ia, &lossy);
	s = sim_stream_open(l.ia, &l.ib->local);
	sim_run(l.sim, SECONDS(10));
	say(&l, s, 500);
	sim_run(l.sim, SECONDS(30));
	sim_compare(l.sim, ear_b.messages, ==, 500);
	sim_check(l.sim, ear_b.in_order);
	sim_compare(l.sim, l.ia->out.lost, >, 50);
	sim_destroy(l.sim);
}

static void where_nobody_listens_a_stream_ends_at_once(void **state)
{
	struct line l;

	(void)state;
	line_make(&l, __func__);
	l.ib->listens = false;
	sim_stream_open(l.ia, &l.ib->local);
	sim_run(l.sim, MS(40));
	sim_compare(l.sim, ear_a.began, ==, 0);
	sim_compare(l.sim, ear_a.ended, ==, 1);
	sim_destroy(l.sim);
}

static void into_a_black_hole_a_stream_is_given_up(void **state)
{
	struct line l;

	(void)state;
	line_make(&l, __func__);
	l.ib->in.down = true;
	sim_stream_open(l.ia, &l.ib->local);
	sim_run(l.sim, SECONDS(20));
	sim_compare(l.sim, ear_a.began, ==, 0);
	sim_compare(l.sim, ear_a.ended, ==, 1);
	sim_destroy(l.sim);
}

static void a_nat_that_forgets_ends_streams(void **state)
{
	struct sim_stream *s;
	struct line l;

	(void)state;
	line_make(&l, __func__);
	s = sim_stream_open(l.ia, &l.ib->local);
	sim_run(l.sim, SECONDS(1));
	sim_nat_flush(l.nat);
	say(&l, s, 1); /* from another port now: b has never heard of it */
	sim_run(l.sim, SECONDS(1));
	sim_compare(l.sim, ear_a.ended, ==, 1);
	sim_compare(l.sim, ear_b.messages, ==, 0);
	say(&l, ear_b.stream, 1); /* which b finds out by and by */
	sim_run(l.sim, SECONDS(30));
	sim_compare(l.sim, ear_b.ended, ==, 1);
	sim_destroy(l.sim);
}

static void closing_and_dying_end_a_stream_at_the_far_end(void **state)
{
	struct sim_stream *s;
	struct line l;

	(void)state;
	line_make(&l, __func__);
	s = sim_stream_open(l.ia, &l.ib->local);
	sim_run(l.sim, SECONDS(1));
	sim_stream_close(s);
	sim_run(l.sim, SECONDS(1));
	sim_compare(l.sim, ear_b.ended, ==, 1);
	s = sim_stream_open(l.ia, &l.ib->local);
	sim_run(l.sim, SECONDS(1));
	sim_kill(l.b);
	sim_start(l.b);
	say(&l, s, 1);
	sim_run(l.sim, SECONDS(1));
	sim_compare(l.sim, ear_a.ended, ==, 1);
	sim_destroy(l.sim);
}

/* --- extra sockets ------------------------------------------------------------------------- */

static struct endpoint source_seen;

static void listen_in(struct sim_iface *i, const struct endpoint *source)
{
	(void)i;
	source_seen = *source;
}

static void each_socket_has_a_port_and_a_mapping_of_its_own(void **state)
{
	struct endpoint seen[3];
	struct line l;

	(void)state;
	line_make(&l, __func__);
	l.sim->heard = listen_in;
	for (u16 n = 0; n < 3; n++) {
		if (n)
			sim_socket_open(l.ia, n, 0);
		sim_transmit(l.ia, n, &l.ib->local, (const u8 *)"hello", 5);
		sim_run(l.sim, MS(100));
		seen[n] = source_seen;
	}
	sim_check(l.sim, seen[0].port != seen[1].port && seen[1].port != seen[2].port &&
				 seen[0].port != seen[2].port);
	sim_destroy(l.sim);
}

static void a_closed_socket_hears_nothing(void **state)
{
	struct endpoint extra;
	struct line l;

	(void)state;
	line_make(&l, __func__);
	extra = l.ib->local;
	extra.port = sim_socket_open(l.ib, 7, 0);
	sim_transmit(l.ia, 0, &extra, (const u8 *)"hello", 5);
	sim_run(l.sim, MS(100));
	sim_compare(l.sim, l.b->received, ==, 1);
	sim_socket_close(l.ib, 7);
	sim_transmit(l.ia, 0, &extra, (const u8 *)"hello", 5);
	sim_run(l.sim, MS(100));
	sim_compare(l.sim, l.b->received, ==, 1);
	sim_destroy(l.sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_begins_in_a_round_trip_through_a_nat_that_blocks_udp),
		cmocka_unit_test(what_a_link_loses_a_stream_repeats_in_order),
		cmocka_unit_test(where_nobody_listens_a_stream_ends_at_once),
		cmocka_unit_test(into_a_black_hole_a_stream_is_given_up),
		cmocka_unit_test(a_nat_that_forgets_ends_streams),
		cmocka_unit_test(closing_and_dying_end_a_stream_at_the_far_end),
		cmocka_unit_test(each_socket_has_a_port_and_a_mapping_of_its_own),
		cmocka_unit_test(a_closed_socket_hears_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
