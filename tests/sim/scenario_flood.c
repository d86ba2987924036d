/* SPDX-License-Identifier: MIT */
/*
 * scenario_flood.c - floods of handshakes, and attacks on the map.
 */
#include "sim/attack.h"

#include <string.h>

struct flood {
	struct sim_host *target;
	struct sim_rng rng;
	u64 left, interval;
};

static void flood_on(struct sim *sim, void *ctx)
{
	struct flood *flood = ctx;
	const struct endpoint source = attack_source(&flood->rng);
	u8 initiation[WIRE_INITIATION_SIZE];

	if (flood->left == 0)
		return;
	flood->left--;
	attack_initiation(&flood->rng, flood->target, initiation);
	sim_hit(&flood->target->iface[0], &source, initiation, sizeof(initiation));
	sim_at(sim, flood->interval, flood_on, flood);
}

static void flood_begin(struct flood *flood, struct sim_host *target, u64 count, u64 duration)
{
	*flood = (struct flood){ .target = target, .left = count, .interval = duration / count };
	sim_rng_seed(&flood->rng, target->sim->seed + 1);
	flood_on(target->sim, flood);
}

static void an_honest_peer_connects_through_a_flood_of_handshakes(void **state)
{
	const u64 count = world_scale(100000) + 5000;
	struct flood flood;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	w.b->peer[0].endpoint_count = 0;
	sim_start(w.b);
	flood_begin(&flood, w.b, count, SECONDS(10));
	sim_run(w.sim, SECONDS(1));
	world_start(&w, SECONDS(5));
	world_check_traffic(&w);
	sim_compare(w.sim, engine_view_drops(w.b->engine)->count[DROP_COOKIE_REQUIRED], >,
		    count / 20);
	sim_run(w.sim, SECONDS(10));
	world_end(&w);
}

static void a_flood_harms_no_traffic(void **state)
{
	const u64 count = world_scale(100000);
	struct flood flood;
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	there = sim_flow(w.a, 0, MS(10), 200, 20000);
	back = sim_flow(w.b, 0, MS(10), 200, 20000);
	flood_begin(&flood, w.b, count, SECONDS(200)); /* over a rekey */
	sim_run(w.sim, SECONDS(201));
	sim_compare(w.sim, sim_received(there, w.b), ==, 20000);
	sim_compare(w.sim, sim_received(back, w.a), ==, 20000);
	world_end(&w);
}

static u64 answered_bytes, asked_bytes;

static void count_answers(struct sim_iface *from, const struct sim_packet *p, void *ctx)
{
	(void)from;
	(void)ctx;
	answered_bytes += p->size;
}

static void no_answer_is_larger_than_the_question(void **state)
{
	const u64 count = world_scale(20000);
	struct sim_rng rng;
	struct tape tape;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PUBLIC, WORLD_PUBLIC);
	tape_record(&tape, w.sim);
	world_start(&w, SECONDS(2));
	sim_rng_seed(&rng, w.sim->seed);
	w.sim->tap = count_answers;
	for (u64 n = 0; n < count; n++) {
		const struct endpoint source = attack_source(&rng);
		const struct sim_packet *p = tape_any(&tape, &rng);
		u8 initiation[WIRE_INITIATION_SIZE];

		answered_bytes = 0;
		asked_bytes = n % 2 ? p->size : sizeof(initiation);
		attack_initiation(&rng, n % 4 ? w.b : w.map, initiation);
		sim_hit(n % 4 ? &w.b->iface[0] : &w.map->iface[0], &source,
			n % 2 ? p->data : initiation, (u32)asked_bytes);
		sim_compare(w.sim, answered_bytes, <=, asked_bytes);
	}
	w.sim->tap = NULL;
	world_check_traffic(&w);
	tape_free(&tape);
	world_end(&w);
}

/* --- the map ------------------------------------------------------------------------------- */

struct map_picture {
	struct mapserver_stats stats;
	u32 buffers;
};

static void take_map(struct map_picture *p, const struct sim_host *map)
{
	memset(p, 0, sizeof(*p));
	p->stats = *mapserver_stats(map->map);
	memset(&p->stats.drops, 0, sizeof(p->stats.drops));
	p->stats.received = p->stats.sent = p->stats.handshakes = 0;
	p->buffers = pool_available(map->pool);
}

static void check_map(const struct map_picture *before, const struct sim_host *map)
{
	struct map_picture after;

	take_map(&after, map);
	sim_compare(map->sim, before->stats.nodes, ==, after.stats.nodes);
	sim_compare(map->sim, before->stats.registrations, ==, after.stats.registrations);
	sim_compare(map->sim, before->stats.queries, ==, after.stats.queries);
	sim_compare(map->sim, before->stats.pushes, ==, after.stats.pushes);
	sim_compare(map->sim, before->buffers, ==, after.buffers);
}

static void replayed_registrations_change_nothing(void **state)
{
	const u64 count = world_scale(100000);
	struct map_picture before;
	struct peer_view peer[2];
	struct sim_rng rng;
	struct tape tape;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_FULL_CONE);
	tape_record(&tape, w.sim);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(30));
	tape_settle(&tape, &w);
	sim_rng_seed(&rng, w.sim->seed);
	take_map(&before, w.map);
	memset(peer, 0, sizeof(peer));
	engine_view_peer(w.b->engine, 0, &peer[0]);
	for (u64 n = 0; n < count; n++) {
		const struct sim_packet *p = tape_any(&tape, &rng);
		const struct endpoint source = attack_source(&rng);

		sim_hit(&w.map->iface[0], &source, p->data, p->size);
	}
	check_map(&before, w.map);
	sim_run(w.sim, SECONDS(1));
	engine_view_peer(w.b->engine, 0, &peer[1]);
	sim_compare(w.sim, peer[0].registered_count, ==, peer[1].registered_count);
	sim_check(w.sim,
		  memcmp(peer[0].registered, peer[1].registered, sizeof(peer[0].registered)) == 0);
	world_check_traffic(&w);
	tape_free(&tape);
	world_end(&w);
}

static void garbage_changes_nothing_at_the_map(void **state)
{
	const u64 count = world_scale(100000);
	struct map_picture before;
	struct sim_rng rng;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PUBLIC, WORLD_PUBLIC);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(2));
	sim_rng_seed(&rng, w.sim->seed);
	take_map(&before, w.map);
	for (u64 n = 0; n < count; n++) {
		const struct endpoint source = attack_source(&rng);
		u8 data[512];
		const u32 size = (u32)sim_rng_below(&rng, sizeof(data));

		sim_rng_fill(&rng, data, size);
		if (size && n % 4)
			data[0] = (u8)(0xc1 + n % 4);
		sim_hit(&w.map->iface[0], &source, data, size);
	}
	check_map(&before, w.map);
	world_check_traffic(&w);
	world_end(&w);
}

static void nodes_register_through_a_flood_on_the_map(void **state)
{
	struct flood flood;
	struct world w;

	(void)state;
	world_meet(&w, __func__, WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED);
	sim_start(w.map);
	flood_begin(&flood, w.map, world_scale(50000) + 5000, SECONDS(10));
	sim_run(w.sim, SECONDS(1));
	world_start(&w, SECONDS(5));
	world_check_traffic(&w);
	sim_compare(w.sim, mapserver_stats(w.map->map)->nodes, ==, 2);
	sim_run(w.sim, SECONDS(10));
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_honest_peer_connects_through_a_flood_of_handshakes),
		cmocka_unit_test(a_flood_harms_no_traffic),
		cmocka_unit_test(no_answer_is_larger_than_the_question),
		cmocka_unit_test(replayed_registrations_change_nothing),
		cmocka_unit_test(garbage_changes_nothing_at_the_map),
		cmocka_unit_test(nodes_register_through_a_flood_on_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
