/* SPDX-License-Identifier: MIT */
/*
 * test_simnat.c - the simulated NATs do what the words of RFC 4787 say.
 */
#include "sim/world.h"

#include <stdio.h>

#define WAN "198.51.100.1"

static struct endpoint inner(u16 port)
{
	return sim_endpoint("192.168.1.2", port);
}

/* Remote endpoints: host 1.. of the internet. */
static struct endpoint remote(u32 host, u16 port)
{
	char address[32];

	snprintf(address, sizeof(address), "203.0.113.%u", host);
	return sim_endpoint(address, port);
}

/* Sends from inside; what the remote sees. */
static struct endpoint out(struct sim_nat *n, u16 port, struct endpoint to)
{
	struct endpoint source = inner(port);

	sim_check(n->sim, sim_nat_outbound(n, SIM_UDP, &source, &to));
	return source;
}

/* Whether what from sends to the outer endpoint comes to the inner port. */
static bool in(struct sim_nat *n, struct endpoint from, struct endpoint outer, u16 port)
{
	const struct endpoint expected = inner(port);

	if (!sim_nat_inbound(n, SIM_UDP, &from, &outer))
		return false;
	sim_check(n->sim, endpoint_equal(&outer, &expected));
	return true;
}

static struct sim_nat *make(const char *name, enum sim_dependence mapping,
			    enum sim_dependence filtering, enum sim_allocation allocation)
{
	return sim_nat(sim_create(name), WAN, mapping, filtering, allocation, NULL);
}

static void a_mapping_depends_on_what_its_name_says(void **state)
{
	static const struct {
		enum sim_dependence mapping;
		bool other_port, other_address; /* see the same mapping */
	} kinds[] = {
		{ SIM_EI, true, true },
		{ SIM_AD, true, false },
		{ SIM_APD, false, false },
	};

	(void)state;
	for (u32 k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct sim_nat *n = make(__func__, kinds[k].mapping, SIM_APD, SIM_RANDOM);
		const struct endpoint first = out(n, 5000, remote(1, 1000));
		const struct endpoint again = out(n, 5000, remote(1, 1000));
		const struct endpoint port = out(n, 5000, remote(1, 1001));
		const struct endpoint host = out(n, 5000, remote(2, 1000));
		const struct endpoint socket = out(n, 5001, remote(1, 1000));

		sim_check(n->sim, sim_nat_owns(n, &first.address));
		sim_check(n->sim, endpoint_equal(&first, &again));
		sim_compare(n->sim, endpoint_equal(&first, &port), ==, kinds[k].other_port);
		sim_compare(n->sim, endpoint_equal(&first, &host), ==, kinds[k].other_address);
		sim_check(n->sim, !endpoint_equal(&first, &socket));
		sim_destroy(n->sim);
	}
}

static void a_filter_lets_in_whom_its_name_says(void **state)
{
	static const struct {
		enum sim_dependence filtering;
		bool other_port, other_address; /* get in */
	} kinds[] = {
		{ SIM_EI, true, true },
		{ SIM_AD, true, false },
		{ SIM_APD, false, false },
	};

	(void)state;
	for (u32 k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct sim_nat *n = make(__func__, SIM_EI, kinds[k].filtering, SIM_PRESERVE);
		struct endpoint nobody = sim_endpoint(WAN, 4999), outer;

		sim_check(n->sim, !in(n, remote(1, 1000), sim_endpoint(WAN, 5000), 5000));
		outer = out(n, 5000, remote(1, 1000));
		sim_check(n->sim, in(n, remote(1, 1000), outer, 5000));
		sim_compare(n->sim, in(n, remote(1, 1001), outer, 5000), ==, kinds[k].other_port);
		sim_compare(n->sim, in(n, remote(2, 1000), outer, 5000), ==,
			    kinds[k].other_address);
		sim_check(n->sim, !in(n, remote(1, 1000), nobody, 5000));
		sim_destroy(n->sim);
	}
}

/* Two thousand destinations of one socket: none is forgotten. */
static void a_filter_knows_all_that_was_sent_to(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_APD, SIM_PRESERVE);

	(void)state;
	for (u16 i = 0; i < 2048; i++)
		out(n, 5000, remote(1, (u16)(10000 + i)));
	for (u16 i = 0; i < 2048; i++)
		sim_check(n->sim,
			  in(n, remote(1, (u16)(10000 + i)), sim_endpoint(WAN, 5000), 5000));
	sim_check(n->sim, !in(n, remote(1, 9999), sim_endpoint(WAN, 5000), 5000));
	sim_destroy(n->sim);
}

static void ports_are_preserved_until_hosts_collide(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_APD, SIM_PRESERVE);
	const struct endpoint to = remote(1, 1000);
	struct endpoint other = sim_endpoint("192.168.1.3", 5000);

	(void)state;
	sim_compare(n->sim, out(n, 5000, to).port, ==, 5000);
	sim_check(n->sim, sim_nat_outbound(n, SIM_UDP, &other, &to));
	sim_compare(n->sim, other.port, !=, 5000);
	sim_destroy(n->sim);
}

static void ports_are_chosen_as_told(void **state)
{
	struct sim_nat *range = make(__func__, SIM_EI, SIM_APD, SIM_RANGE);
	struct sim_nat *random = make(__func__, SIM_APD, SIM_APD, SIM_RANDOM);
	u32 low = 65535, high = 0;

	(void)state;
	for (u16 i = 0; i < 500; i++) {
		const u16 port = out(range, (u16)(5000 + i), remote(1, 1000)).port;
		const u16 any = out(random, 5000, remote(1, (u16)(1000 + i))).port;

		sim_check(range->sim, port >= 20000 && port < 30000);
		low = any < low ? any : low;
		high = any > high ? any : high;
	}
	sim_compare(random->sim, low, >=, 1024);
	sim_compare(random->sim, low, <, 3000);
	sim_compare(random->sim, high, >, 63000);
	sim_destroy(range->sim);
	sim_destroy(random->sim);
}

static void sequential_ports_go_up_by_one_unless_others_take_some(void **state)
{
	struct sim_nat *n = make(__func__, SIM_APD, SIM_APD, SIM_SEQUENTIAL);
	u16 port = out(n, 5000, remote(1, 1)).port;
	u64 taken = 0;

	(void)state;
	for (u16 i = 2; i < 100; i++)
		sim_compare(n->sim, out(n, 5000, remote(1, i)).port, ==, ++port);
	n->other_rate = 20;
	for (u16 i = 1; i <= 100; i++) {
		sim_run(n->sim, MS(100));
		taken += out(n, 5000, remote(2, i)).port - port - 1u;
		port = out(n, 5000, remote(3, i)).port;
	}
	/* 20 a second for 10 s. */
	sim_compare(n->sim, taken, >, 150);
	sim_compare(n->sim, taken, <, 250);
	sim_destroy(n->sim);
}

static void only_what_goes_out_keeps_a_mapping_unless_told(void **state)
{
	(void)state;
	for (u32 both = 0; both < 2; both++) {
		struct sim_nat *n = make(__func__, SIM_EI, SIM_APD, SIM_RANDOM);
		struct endpoint outer;

		n->inbound_refreshes = both;
		n->lifetime = SECONDS(5);
		outer = out(n, 5000, remote(1, 1000));
		for (u32 i = 0; i < 3; i++) {
			sim_run(n->sim, SECONDS(2));
			sim_compare(n->sim, in(n, remote(1, 1000), outer, 5000), ==, both || i < 2);
		}
		sim_destroy(n->sim);
	}
}

/* 5 s; a flow that was answered and lasted for over 2 s keeps for 10 s. */
static void streams_live_longer(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_APD, SIM_RANDOM);
	struct endpoint brief, stream, question;

	(void)state;
	n->lifetime = SECONDS(5);
	n->stream_lifetime = SECONDS(10);
	stream = out(n, 5000, remote(1, 1000));
	question = out(n, 5001, remote(1, 1000));
	sim_run(n->sim, SECONDS(3));
	sim_check(n->sim, in(n, remote(1, 1000), stream, 5000));
	out(n, 5000, remote(1, 1000));
	out(n, 5001, remote(1, 1000));
	brief = out(n, 5002, remote(1, 1000));
	sim_check(n->sim, in(n, remote(1, 1000), brief, 5002));
	sim_run(n->sim, SECONDS(6));
	sim_check(n->sim, in(n, remote(1, 1000), stream, 5000));
	sim_check(n->sim, !in(n, remote(1, 1000), brief, 5002));
	sim_check(n->sim, !in(n, remote(1, 1000), question, 5001));
	sim_run(n->sim, SECONDS(5));
	sim_check(n->sim, !in(n, remote(1, 1000), stream, 5000));
	sim_destroy(n->sim);
}

/* An endpoint-independent mapping lives as long as any of its sessions. */
static void one_destination_keeps_the_mapping_but_not_the_permission_of_others(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_APD, SIM_RANDOM);
	const struct endpoint outer = out(n, 5000, remote(1, 1000));

	(void)state;
	n->lifetime = SECONDS(5);
	out(n, 5000, remote(2, 1000));
	for (u32 i = 0; i < 3; i++) {
		struct endpoint now;

		sim_run(n->sim, SECONDS(3));
		now = out(n, 5000, remote(2, 1000));
		sim_check(n->sim, endpoint_equal(&now, &outer));
	}
	sim_check(n->sim, in(n, remote(2, 1000), outer, 5000));
	sim_check(n->sim, !in(n, remote(1, 1000), outer, 5000));
	sim_destroy(n->sim);
}

static void a_full_table_gives_up_the_least_recently_used(void **state)
{
	struct sim_nat *n = make(__func__, SIM_APD, SIM_APD, SIM_RANDOM);
	struct endpoint kept, forgotten, again;

	(void)state;
	n->capacity = 300;
	kept = out(n, 5000, remote(1, 1));
	forgotten = out(n, 5000, remote(1, 2));
	for (u16 i = 0; i < 400; i++) {
		sim_run(n->sim, MS(1));
		out(n, 5000, remote(1, 1));
		out(n, (u16)(6000 + i), remote(2, 1));
		sim_compare(n->sim, sim_nat_sessions(n), <=, 300);
	}
	sim_compare(n->sim, n->peak, ==, 300);
	sim_compare(n->sim, n->evicted, ==, 102);
	sim_check(n->sim, in(n, remote(1, 1), kept, 5000));
	sim_check(n->sim, !in(n, remote(1, 2), forgotten, 5000));
	again = out(n, 5000, remote(1, 2));
	sim_check(n->sim, !endpoint_equal(&again, &forgotten));
	sim_destroy(n->sim);
}

static void rebinding_gives_another_port_and_readdressing_another_address(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_EI, SIM_RANDOM);
	const struct endpoint first = out(n, 5000, remote(1, 1000));
	struct endpoint second, third;
	const struct address moved = sim_endpoint("198.51.100.7", 0).address;

	(void)state;
	sim_nat_flush(n);
	sim_check(n->sim, !in(n, remote(1, 1000), first, 5000));
	second = out(n, 5000, remote(1, 1000));
	sim_check(n->sim, !endpoint_equal(&first, &second));
	sim_check(n->sim, in(n, remote(1, 1000), second, 5000));
	sim_nat_readdress(n, "198.51.100.7");
	sim_check(n->sim, !in(n, remote(1, 1000), second, 5000));
	third = out(n, 5000, remote(1, 1000));
	sim_check(n->sim, address_equal(&third.address, &moved));
	sim_destroy(n->sim);
}

static void a_firewall_translates_nothing_and_asks_who_was_spoken_to(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_APD, SIM_PRESERVE);
	const struct endpoint host = inner(5000);
	struct endpoint seen;

	(void)state;
	n->firewall = true;
	sim_check(n->sim, !in(n, remote(1, 1000), host, 5000));
	seen = out(n, 5000, remote(1, 1000));
	sim_check(n->sim, endpoint_equal(&seen, &host));
	sim_check(n->sim, in(n, remote(1, 1000), host, 5000));
	sim_check(n->sim, !in(n, remote(1, 1001), host, 5000));
	sim_destroy(n->sim);
}

static void blocked_udp_leaves_tcp(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_EI, SIM_RANDOM);
	const struct endpoint to = remote(1, 443);
	struct endpoint udp = inner(5000), tcp = inner(5000), back;

	(void)state;
	n->udp_blocked = true;
	sim_check(n->sim, !sim_nat_outbound(n, SIM_UDP, &udp, &to));
	sim_check(n->sim, sim_nat_outbound(n, SIM_TCP, &tcp, &to));
	back = tcp;
	sim_check(n->sim, !sim_nat_inbound(n, SIM_UDP, &to, &back));
	sim_check(n->sim, sim_nat_inbound(n, SIM_TCP, &to, &back));
	sim_destroy(n->sim);
}

static void protocols_have_ports_of_their_own(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_EI, SIM_PRESERVE);
	const struct endpoint to = remote(1, 443);
	struct endpoint tcp = inner(5000), back = sim_endpoint(WAN, 5000);

	(void)state;
	out(n, 5000, to);
	sim_check(n->sim, !sim_nat_inbound(n, SIM_TCP, &to, &back));
	sim_check(n->sim, sim_nat_outbound(n, SIM_TCP, &tcp, &to));
	sim_compare(n->sim, tcp.port, ==, 5000);
	sim_destroy(n->sim);
}

/* A router that answers for itself: who came too early has taken the port for that remote. */
static void an_early_datagram_to_an_accepting_router_costs_the_port(void **state)
{
	(void)state;
	for (u32 accepts = 0; accepts < 2; accepts++) {
		struct sim_nat *n = make(__func__, SIM_EI, SIM_APD, SIM_PRESERVE);
		const struct endpoint outer = out(n, 5000, remote(1, 1000));

		n->accepts_unasked = accepts;
		sim_check(n->sim, !in(n, remote(2, 1000), outer, 5000));
		sim_compare(n->sim, out(n, 5000, remote(2, 1000)).port == 5000, ==, !accepts);
		sim_compare(n->sim, out(n, 5000, remote(3, 1000)).port, ==, 5000);
		sim_check(n->sim, in(n, remote(1, 1000), outer, 5000));
		sim_destroy(n->sim);
	}
}

static void a_pool_has_several_addresses_and_may_pair_them(void **state)
{
	(void)state;
	for (u32 paired = 0; paired < 2; paired++) {
		struct sim_nat *n = make(__func__, SIM_APD, SIM_APD, SIM_RANDOM);
		const struct endpoint first = out(n, 5000, remote(1, 1));
		u32 differ = 0;

		n->pool = 4;
		n->paired = paired;
		sim_nat_flush(n);
		for (u16 i = 1; i <= 50; i++) {
			const struct endpoint e = out(n, 5000, remote(1, i));

			sim_check(n->sim, sim_nat_owns(n, &e.address));
			differ += !address_equal(&e.address, &first.address);
		}
		if (paired)
			sim_check(n->sim, differ == 0 || differ == 50);
		else
			sim_check(n->sim, differ > 10 && differ < 50);
		sim_destroy(n->sim);
	}
}

/* --- what strategies meet ------------------------------------------------------------------- */

/* One side has so many sockets that have sent to the other's one endpoint; that one sends to random
 * ports of the first, and hears of the one that gets in. How many of runs succeed? */
static u32 spray(u32 runs, u16 sockets, u32 probes)
{
	u32 hits = 0;

	for (u32 run = 0; run < runs; run++) {
		struct sim_nat *n = make(__func__, SIM_APD, SIM_APD, SIM_RANDOM);
		bool hit = false;

		sim_rng_seed(&n->sim->rng, run);
		for (u16 i = 0; i < sockets; i++)
			out(n, (u16)(5000 + i), remote(1, 1000));
		for (u32 i = 0; i < probes && !hit; i++) {
			const struct endpoint from = remote(1, 1000);
			const u64 port = 1024 + sim_rng_below(&n->sim->rng, 64512);
			struct endpoint to = sim_endpoint(WAN, (u16)port);

			hit = sim_nat_inbound(n, SIM_UDP, &from, &to);
		}
		hits += hit;
		sim_destroy(n->sim);
	}
	return hits;
}

/* 1 - (1 - 256/64512)^512 is 87 %. */
static void many_sockets_and_random_ports_meet_as_often_as_they_should(void **state)
{
	const u32 hits = spray(200, 256, 512);

	(void)state;
	assert_in_range(hits, 160, 187);
	assert_true(spray(50, 256, 2048) >= 49);
	assert_true(spray(50, 1, 512) <= 4);
}

/* --- the way through realms ---------------------------------------------------------------- */

static u32 heard;
static struct endpoint heard_from;

static void listen_in(struct sim_iface *i, const struct endpoint *source)
{
	(void)i;
	heard++;
	heard_from = *source;
}

/* Sends from i, and tells whether anybody heard it; heard_from is the source that was seen. */
static bool reaches(struct sim_iface *i, const struct endpoint *to)
{
	struct sim *sim = i->host->sim;

	heard = 0;
	sim->heard = listen_in;
	sim_transmit(i, 0, to, (const u8 *)"hello", 5);
	sim_settle(sim, SECONDS(1));
	sim->heard = NULL;
	return heard > 0;
}

static void hairpin_shows_the_outer_endpoint_or_leads_nowhere(void **state)
{
	struct sim_nat *n = make(__func__, SIM_EI, SIM_APD, SIM_RANDOM);
	struct sim_host *a = sim_node(n->sim, "a"), *b = sim_node(n->sim, "b");
	struct sim_iface *ia = sim_iface(a, "eth0", "192.168.1.2", n);
	struct sim_iface *ib = sim_iface(b, "eth0", "192.168.1.3", n);
	struct endpoint outer_a = ia->local, outer_b = ib->local;
	const struct endpoint anybody = remote(1, 1);

	(void)state;
	sim_start_all(n->sim);
	sim_nat_outbound(n, SIM_UDP, &outer_a, &anybody);
	sim_nat_outbound(n, SIM_UDP, &outer_b, &anybody);
	sim_check(n->sim, !reaches(ia, &outer_b));
	n->hairpin = true;
	sim_check(n->sim, !reaches(ia, &outer_b)); /* b has not spoken to it: filtered */
	sim_check(n->sim, reaches(ib, &outer_a));  /* a has, just now */
	sim_check(n->sim, endpoint_equal(&heard_from, &outer_b));
	sim_check(n->sim, reaches(ia, &outer_b));
	sim_check(n->sim, endpoint_equal(&heard_from, &outer_a));
	sim_destroy(n->sim);
}

static void of_two_layers_the_stricter_shows(void **state)
{
	struct sim *sim = sim_create(__func__);
	struct sim_nat *carrier = sim_nat(sim, WAN, SIM_EI, SIM_APD, SIM_RANDOM, NULL);
	struct sim_nat *home = sim_nat(sim, "100.64.0.2", SIM_EI, SIM_EI, SIM_PRESERVE, carrier);
	struct sim_host *a = sim_node(sim, "a"), *b = sim_node(sim, "b");
	struct sim_iface *ia = sim_iface(a, "eth0", "192.168.1.2", home);
	struct sim_iface *ib = sim_iface(b, "eth0", "203.0.113.1", NULL);
	struct sim_iface *ic = sim_iface(b, "eth1", "203.0.113.2", NULL);

	(void)state;
	sim_start_all(sim);
	sim_check(sim, reaches(ia, &ib->local));
	sim_check(sim, sim_nat_owns(carrier, &heard_from.address));
	sim_check(sim, reaches(ib, &heard_from));
	sim_check(sim, reaches(ia, &ib->local));
	sim_check(sim, !reaches(ic, &heard_from)); /* the inner one would let it in */
	sim_destroy(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mapping_depends_on_what_its_name_says),
		cmocka_unit_test(a_filter_lets_in_whom_its_name_says),
		cmocka_unit_test(a_filter_knows_all_that_was_sent_to),
		cmocka_unit_test(ports_are_preserved_until_hosts_collide),
		cmocka_unit_test(ports_are_chosen_as_told),
		cmocka_unit_test(sequential_ports_go_up_by_one_unless_others_take_some),
		cmocka_unit_test(only_what_goes_out_keeps_a_mapping_unless_told),
		cmocka_unit_test(streams_live_longer),
		cmocka_unit_test(
			one_destination_keeps_the_mapping_but_not_the_permission_of_others),
		cmocka_unit_test(a_full_table_gives_up_the_least_recently_used),
		cmocka_unit_test(rebinding_gives_another_port_and_readdressing_another_address),
		cmocka_unit_test(a_firewall_translates_nothing_and_asks_who_was_spoken_to),
		cmocka_unit_test(blocked_udp_leaves_tcp),
		cmocka_unit_test(protocols_have_ports_of_their_own),
		cmocka_unit_test(an_early_datagram_to_an_accepting_router_costs_the_port),
		cmocka_unit_test(a_pool_has_several_addresses_and_may_pair_them),
		cmocka_unit_test(many_sockets_and_random_ports_meet_as_often_as_they_should),
		cmocka_unit_test(hairpin_shows_the_outer_endpoint_or_leads_nowhere),
		cmocka_unit_test(of_two_layers_the_stricter_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
