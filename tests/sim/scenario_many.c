/* SPDX-License-Identifier: MIT */
/*
 * scenario_many.c - one node with fifty peers: one to many, many to one, a map in between.
 */
#include "sim/world.h"

#include <stdio.h>

#define CLIENTS 50u

struct crowd {
	struct sim *sim;
	struct sim_host *server, *map, *client[CLIENTS];
};

static struct sim_host *small_node(struct sim *sim, const char *name)
{
	struct sim_host *h = sim_node(sim, name);

	h->pool_size = 256;
	return h;
}

static void crowd_create(struct crowd *c, const char *name, bool map, enum world_nat kind)
{
	c->sim = sim_create(name);
	c->server = sim_node(c->sim, "server");
	sim_iface_link(sim_iface(c->server, "eth0", "203.0.1.1", NULL), &world_link);
	sim_iface_link(sim_iface(c->server, "eth1", "203.0.2.1", NULL), &world_link);
	sim_tunnel_named(c->server, "data");
	if (map) {
		c->map = sim_map(c->sim, "map");
		sim_iface_link(sim_iface(c->map, "eth0", "203.0.3.1", NULL), &world_link);
		sim_use_map(c->server, c->map);
	}
	for (u32 i = 0; i < CLIENTS; i++) {
		char text[16];

		snprintf(text, sizeof(text), "client%u", i);
		c->client[i] = small_node(c->sim, text);
		world_attach(c->client[i], i % 2 ? kind : WORLD_PUBLIC, 10 + i, NULL);
		sim_befriend(c->server, c->client[i], !map);
		if (!map)
			c->server->peer[i].endpoint_count = 0;
		if (map)
			sim_use_map(c->client[i], c->map);
		sim_tunnel_named(c->client[i], "data");
	}
}

static u32 connected(const struct crowd *c)
{
	u32 count = 0;

	for (u32 i = 0; i < CLIENTS; i++)
		count += sim_connected(c->server, (u16)i) && sim_connected(c->client[i], 0);
	return count;
}

static void check_all_talk(struct crowd *c)
{
	struct sim_flow *f[CLIENTS], *all;

	all = sim_flow(c->server, 0, MS(20), 300, 50);
	for (u32 i = 0; i < CLIENTS; i++)
		f[i] = sim_flow(c->client[i], 0, MS(20), 300, 50);
	sim_run(c->sim, SECONDS(2));
	for (u32 i = 0; i < CLIENTS; i++) {
		sim_compare(c->sim, sim_received(f[i], c->server), ==, 50);
		sim_compare(c->sim, sim_received(all, c->client[i]), ==, 50);
	}
}

static void fifty_clients_connect_and_talk_both_ways(void **state)
{
	struct crowd c;

	(void)state;
	crowd_create(&c, __func__, false, WORLD_SYMMETRIC);
	sim_start_all(c.sim);
	sim_run(c.sim, SECONDS(3));
	sim_compare(c.sim, connected(&c), ==, CLIENTS);
	check_all_talk(&c);
	sim_destroy(c.sim);
}

static void fifty_clients_meet_the_server_by_the_map(void **state)
{
	struct crowd c;

	(void)state;
	crowd_create(&c, __func__, true, WORLD_PORT_RESTRICTED);
	sim_start_all(c.sim);
	sim_run(c.sim, SECONDS(5));
	sim_compare(c.sim, connected(&c), ==, CLIENTS);
	check_all_talk(&c);
	sim_destroy(c.sim);
}

static void a_restarted_server_has_all_clients_back(void **state)
{
	struct crowd c;

	(void)state;
	crowd_create(&c, __func__, false, WORLD_PORT_RESTRICTED);
	sim_start_all(c.sim);
	sim_run(c.sim, SECONDS(3));
	sim_kill(c.server);
	sim_run(c.sim, SECONDS(5));
	sim_start(c.server);
	sim_run(c.sim, SECONDS(8));
	sim_compare(c.sim, connected(&c), ==, CLIENTS);
	check_all_talk(&c);
	sim_destroy(c.sim);
}

static void a_silent_client_costs_the_others_nothing(void **state)
{
	struct crowd c;
	struct sim_flow *all;

	(void)state;
	crowd_create(&c, __func__, false, WORLD_PUBLIC);
	sim_start_all(c.sim);
	sim_run(c.sim, SECONDS(3));
	all = sim_flow(c.server, 0, MS(5), 300, 400);
	for (u32 i = 0; i < CLIENTS; i += 10)
		sim_kill(c.client[i]);
	sim_run(c.sim, SECONDS(3));
	for (u32 i = 0; i < CLIENTS; i++) {
		if (i % 10)
			sim_compare(c.sim, sim_received(all, c.client[i]), ==, 400);
	}
	sim_destroy(c.sim);
}

static void a_tunnel_to_one_peer_reaches_no_other(void **state)
{
	const u16 peer = 7;
	const struct tunnel_options options = { .name = "one", .peers = &peer, .peer_count = 1 };
	struct sim_flow *f;
	struct crowd c;
	u16 tunnel;

	(void)state;
	crowd_create(&c, __func__, false, WORLD_PUBLIC);
	tunnel = sim_tunnel(c.server, &options);
	for (u32 i = 0; i < CLIENTS; i++)
		sim_tunnel_named(c.client[i], "one");
	sim_start_all(c.sim);
	sim_run(c.sim, SECONDS(3));
	f = sim_flow(c.server, tunnel, MS(5), 300, 100);
	sim_run(c.sim, SECONDS(1));
	for (u32 i = 0; i < CLIENTS; i++)
		sim_compare(c.sim, sim_received(f, c.client[i]), ==, i == peer ? 100 : 0);
	/* Nor does it take anything from another. */
	f = sim_flow(c.client[3], tunnel, MS(5), 300, 100);
	sim_run(c.sim, SECONDS(1));
	sim_compare(c.sim, sim_received(f, c.server), ==, 0);
	f = sim_flow(c.client[peer], tunnel, MS(5), 300, 100);
	sim_run(c.sim, SECONDS(1));
	sim_compare(c.sim, sim_received(f, c.server), ==, 100);
	sim_destroy(c.sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifty_clients_connect_and_talk_both_ways),
		cmocka_unit_test(fifty_clients_meet_the_server_by_the_map),
		cmocka_unit_test(a_restarted_server_has_all_clients_back),
		cmocka_unit_test(a_silent_client_costs_the_others_nothing),
		cmocka_unit_test(a_tunnel_to_one_peer_reaches_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
