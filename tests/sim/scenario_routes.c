/* SPDX-License-Identifier: MIT */
/*
 * scenario_routes.c - the routed tunnel: allowed_ips choose the peer on the way out and check the
 * source on the way in.
 *
 *   spoke 0: 10.0.0.0/8, ::/0    spoke 1: 10.1.0.0/16, 2001:db8:1::/48    spoke 2: 10.1.2.0/24
 */
#include "sim/world.h"

#include <stdio.h>

#define SPOKES 3u

struct star {
	struct sim *sim;
	struct sim_host *hub, *spoke[SPOKES];
};

static const struct {
	const char *v4;
	u8 bits4;
	const char *v6;
	u8 bits6;
} allowed[SPOKES] = {
	{ "10.0.0.0", 8, "::", 0 },
	{ "10.1.0.0", 16, "2001:db8:1::", 48 },
	{ "10.1.2.0", 24, "2001:db8:1:2::", 64 },
};

static void allow(struct sim_peer *p, const char *address, u8 bits)
{
	p->allowed[p->allowed_count++] = (struct prefix){ sim_endpoint(address, 0).address, bits };
}

static void star_create(struct star *s, const char *name)
{
	const struct tunnel_options net = { .name = "net", .routed = true };

	s->sim = sim_create(name);
	s->hub = sim_node(s->sim, "hub");
	sim_iface(s->hub, "eth0", "203.0.1.1", NULL);
	sim_tunnel(s->hub, &net);
	for (u32 i = 0; i < SPOKES; i++) {
		char text[32];

		snprintf(text, sizeof(text), "spoke%u", i);
		s->spoke[i] = sim_node(s->sim, text);
		snprintf(text, sizeof(text), "203.0.2.%u", i + 1);
		sim_iface_link(sim_iface(s->spoke[i], "eth0", text, NULL), &world_link);
		sim_befriend(s->hub, s->spoke[i], true);
		allow(&s->hub->peer[i], allowed[i].v4, allowed[i].bits4);
		allow(&s->hub->peer[i], allowed[i].v6, allowed[i].bits6);
		allow(&s->spoke[i]->peer[0], "0.0.0.0", 0);
		allow(&s->spoke[i]->peer[0], "::", 0);
		sim_tunnel(s->spoke[i], &net);
	}
	sim_start_all(s->sim);
	sim_run(s->sim, SECONDS(1));
	for (u32 i = 0; i < SPOKES; i++)
		sim_check(s->sim, sim_connected(s->hub, (u16)i));
}

static void the_longest_prefix_chooses_the_peer(void **state)
{
	static const struct {
		const char *source, *destination;
		u32 spoke;
	} want[] = {
		{ "192.0.2.1", "10.9.9.9", 0 },      { "192.0.2.1", "10.1.9.9", 1 },
		{ "192.0.2.1", "10.1.2.9", 2 },      { "192.0.2.1", "10.1.3.1", 1 },
		{ "fd00::1", "2001:db8:9::1", 0 },   { "fd00::1", "2001:db8:1:9::1", 1 },
		{ "fd00::1", "2001:db8:1:2::1", 2 },
	};
	struct star s;

	(void)state;
	star_create(&s, __func__);
	for (u32 n = 0; n < ARRAY_SIZE(want); n++) {
		struct sim_flow *f =
			sim_flow_ip(s.hub, 0, MS(5), 300, 20, want[n].source, want[n].destination);

		sim_run(s.sim, SECONDS(1));
		for (u32 i = 0; i < SPOKES; i++)
			sim_compare(s.sim, sim_received(f, s.spoke[i]), ==,
				    i == want[n].spoke ? 20 : 0);
	}
	sim_destroy(s.sim);
}

static void what_no_prefix_holds_has_no_peer(void **state)
{
	struct star s;
	struct sim_flow *f;

	(void)state;
	star_create(&s, __func__);
	f = sim_flow_ip(s.hub, 0, MS(5), 300, 10, "192.0.2.1", "172.16.0.1");
	sim_run(s.sim, SECONDS(1));
	sim_compare(s.sim, f->refused[DROP_NO_PEER], ==, 10);
	sim_destroy(s.sim);
}

static u64 not_allowed(const struct sim_host *h)
{
	struct tunnel_view view;

	sim_check(h->sim, engine_view_tunnel(h->engine, 0, &view));
	return view.drops.count[DROP_NOT_ALLOWED] +
	       engine_view_drops(h->engine)->count[DROP_NOT_ALLOWED];
}

static void a_source_outside_the_prefixes_is_dropped(void **state)
{
	struct star s;
	struct sim_flow *good, *bad, *bad6;

	(void)state;
	star_create(&s, __func__);
	good = sim_flow_ip(s.spoke[1], 0, MS(5), 300, 20, "10.1.7.7", "192.0.2.1");
	bad = sim_flow_ip(s.spoke[1], 0, MS(5), 300, 20, "10.1.2.7", "192.0.2.1");
	bad6 = sim_flow_ip(s.spoke[2], 0, MS(5), 300, 20, "2001:db8:1:3::1", "fd00::1");
	sim_run(s.sim, SECONDS(1));
	sim_compare(s.sim, sim_received(good, s.hub), ==, 20);
	sim_compare(s.sim, sim_received(bad, s.hub), ==, 0);
	sim_compare(s.sim, sim_received(bad6, s.hub), ==, 0);
	sim_compare(s.sim, not_allowed(s.hub), >=, 40);
	sim_destroy(s.sim);
}

static void a_spoofed_source_in_fragments_is_dropped_too(void **state)
{
	struct star s;
	struct sim_flow *good, *bad;

	(void)state;
	star_create(&s, __func__);
	good = sim_flow_ip(s.spoke[1], 0, MS(5), 9000, 20, "10.1.7.7", "192.0.2.1");
	bad = sim_flow_ip(s.spoke[1], 0, MS(5), 9000, 20, "10.1.2.7", "192.0.2.1");
	sim_run(s.sim, SECONDS(1));
	sim_compare(s.sim, sim_received(good, s.hub), ==, 20);
	sim_compare(s.sim, sim_received(bad, s.hub), ==, 0);
	sim_compare(s.sim, not_allowed(s.hub), >=, 20);
	sim_destroy(s.sim);
}

static void what_is_no_ip_packet_is_not_taken(void **state)
{
	static const u8 data[100] = { 0x15, 1, 2, 3 }, stub[3] = { 0x45, 0, 0 };
	struct star s;

	(void)state;
	star_create(&s, __func__);
	sim_compare(s.sim, sim_send(s.hub, 0, data, sizeof(data)), !=, DROP_NONE);
	sim_compare(s.sim, sim_send(s.hub, 0, stub, sizeof(stub)), !=, DROP_NONE);
	sim_destroy(s.sim);
}

static void a_removed_peer_leaves_its_prefixes_to_the_shorter(void **state)
{
	struct star s;
	struct sim_flow *f;

	(void)state;
	star_create(&s, __func__);
	engine_remove_peer(s.hub->engine, s.sim->now, 2);
	sim_poke(s.hub);
	f = sim_flow_ip(s.hub, 0, MS(5), 300, 20, "192.0.2.1", "10.1.2.9");
	sim_run(s.sim, SECONDS(1));
	sim_compare(s.sim, sim_received(f, s.spoke[1]), ==, 20);
	sim_destroy(s.sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_prefix_chooses_the_peer),
		cmocka_unit_test(what_no_prefix_holds_has_no_peer),
		cmocka_unit_test(a_source_outside_the_prefixes_is_dropped),
		cmocka_unit_test(a_spoofed_source_in_fragments_is_dropped_too),
		cmocka_unit_test(what_is_no_ip_packet_is_not_taken),
		cmocka_unit_test(a_removed_peer_leaves_its_prefixes_to_the_shorter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
