/* SPDX-License-Identifier: MIT */
/*
 * scenario_hostile.c - datagrams from somebody who has no key: random, damaged, replayed, reflected.
 *
 * Attacks come while time stands still, so that a picture of everything that the engine shows can
 * be compared, before and after, to the byte; only counts of drops may differ.
 */
#include "sim/world.h"
#include "sim/attack.h"

#include <string.h>

static void connect_and_run(struct world *w, struct tape *tape, const char *name)
{
	world_pair(w, name, 2, 2);
	tape_record(tape, w->sim);
	world_start(w, SECONDS(2));
	sim_run(w->sim, SECONDS(2));
	sim_flow(w->a, 0, MS(10), 200, 0);
	sim_flow(w->b, 0, MS(10), 1300, 0);
	sim_run(w->sim, SECONDS(10));
}

static void end(struct world *w, struct tape *tape)
{
	world_check_traffic(w);
	tape_free(tape);
	world_end(w);
}

static void garbage_changes_nothing(void **state)
{
	const u64 count = world_scale(300000);
	struct sim_rng rng;
	struct picture before;
	struct tape tape;
	struct world w;

	(void)state;
	connect_and_run(&w, &tape, __func__);
	sim_rng_seed(&rng, w.sim->seed);
	picture_take(&before, w.b);
	for (u64 n = 0; n < count; n++) {
		u8 data[2048];
		const u32 size = (u32)sim_rng_below(&rng, n % 16 ? 300 : sizeof(data));
		const struct endpoint source = attack_source(&rng);

		sim_rng_fill(&rng, data, size);
		if (size && n % 4)
			data[0] = (u8)(0xc1 + n % 4);
		if (size > 4 && n % 3)
			memset(data + 1, 0, 3);
		sim_hit(&w.b->iface[n % 2], &source, data, size);
	}
	picture_check(&before, w.b);
	end(&w, &tape);
}

/* A datagram of the tape, changed in some way. Returns its size. */
static u32 mutate(struct sim_rng *rng, const struct sim_packet *p, u8 *data)
{
	const u64 flips = sim_rng_below(rng, 4);
	u32 size = p->size;

	memcpy(data, p->data, size);
	if (flips == 0)
		return (u32)sim_rng_below(rng, size);
	for (u64 i = 0; i < flips; i++)
		data[sim_rng_below(rng, size)] ^= (u8)(1u << sim_rng_below(rng, 8));
	return size;
}

static void damaged_copies_change_nothing(void **state)
{
	const u64 count = world_scale(200000);
	struct sim_rng rng;
	struct picture before;
	struct tape tape;
	struct world w;

	(void)state;
	connect_and_run(&w, &tape, __func__);
	sim_rng_seed(&rng, w.sim->seed);
	picture_take(&before, w.b);
	for (u64 n = 0; n < count; n++) {
		const struct sim_packet *p = tape_any(&tape, &rng);
		const struct endpoint source = n % 2 ? p->source : attack_source(&rng);
		u8 data[2048];
		const u32 size = mutate(&rng, p, data);

		if (size != p->size || memcmp(data, p->data, size) != 0)
			sim_hit(&w.b->iface[n % 2], &source, data, size);
	}
	picture_check(&before, w.b);
	end(&w, &tape);
}

/* The forgeries come before the true datagram, which is taken all the same. */
static void a_forgery_does_not_use_up_the_counter(void **state)
{
	struct sim_rng rng;
	struct tape tape;
	struct world w;
	struct sim_flow *f;
	const struct sim_packet *p;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	sim_rng_seed(&rng, w.sim->seed);
	w.a->iface[0].out.down = true;
	tape_record(&tape, w.sim);
	f = sim_flow(w.a, 0, MS(10), 200, 1);
	sim_run(w.sim, MS(1));
	p = tape_first_from(&tape, w.a, 200 + FRAME_PAYLOAD_HEADER + WIRE_OVERHEAD);
	for (u32 n = 0; n < 1000; n++) {
		u8 data[2048];

		memcpy(data, p->data, p->size);
		data[16 + sim_rng_below(&rng, p->size - 16)] ^= 1;
		sim_hit(&w.b->iface[0], &p->source, data, p->size);
	}
	sim_compare(w.sim, sim_received(f, w.b), ==, 0);
	sim_hit(&w.b->iface[0], &p->source, p->data, p->size);
	sim_compare(w.sim, sim_received(f, w.b), ==, 1);
	w.a->iface[0].out.down = false;
	end(&w, &tape);
}

static void replays_from_elsewhere_change_nothing(void **state)
{
	const u64 count = world_scale(200000);
	struct sim_rng rng;
	struct picture before;
	struct tape tape;
	struct world w;

	(void)state;
	connect_and_run(&w, &tape, __func__);
	sim_rng_seed(&rng, w.sim->seed);
	tape_settle(&tape, &w);
	picture_take(&before, w.b);
	for (u64 n = 0; n < count; n++) {
		const struct sim_packet *p = tape_any(&tape, &rng);
		const struct endpoint source = attack_source(&rng);

		if (p->data[0] == WIRE_TRANSPORT)
			sim_hit(&w.b->iface[n % 2], &source, p->data, p->size);
	}
	picture_check(&before, w.b);
	end(&w, &tape);
}

static void reflected_datagrams_change_nothing(void **state)
{
	const u64 count = world_scale(200000);
	struct sim_rng rng;
	struct picture before;
	struct tape tape;
	struct world w;

	(void)state;
	connect_and_run(&w, &tape, __func__);
	sim_rng_seed(&rng, w.sim->seed);
	tape_settle(&tape, &w);
	picture_take(&before, w.a);
	for (u64 n = 0; n < count; n++) {
		const struct sim_packet *p = tape_any(&tape, &rng);

		if (address_equal(&p->source.address, &w.a->iface[0].local.address))
			sim_hit(&w.a->iface[0], &p->destination, p->data, p->size);
	}
	picture_check(&before, w.a);
	end(&w, &tape);
}

/* From the true source: only what counts duplicates may change. */
static void replays_keep_no_path_alive(void **state)
{
	struct sim_rng rng;
	struct tape tape;
	struct world w;

	(void)state;
	connect_and_run(&w, &tape, __func__);
	sim_rng_seed(&rng, w.sim->seed);
	tape_settle(&tape, &w);
	for (u32 i = 0; i < 2; i++)
		w.a->iface[i].out.down = w.a->iface[i].in.down = true;
	for (u32 n = 0; n < 2000; n++) {
		const struct sim_packet *p = tape_any(&tape, &rng);

		sim_hit(&w.b->iface[n % 2], &p->source, p->data, p->size);
		sim_run(w.sim, MS(1));
	}
	sim_check(w.sim, !sim_connected(w.b, 0));
	for (u32 i = 0; i < 2; i++)
		w.a->iface[i].out.down = w.a->iface[i].in.down = false;
	sim_run(w.sim, SECONDS(1));
	end(&w, &tape);
}

static void old_initiations_disturb_no_traffic(void **state)
{
	struct sim_rng rng;
	struct tape tape;
	struct world w;
	struct sim_flow *there, *back;

	(void)state;
	connect_and_run(&w, &tape, __func__);
	sim_rng_seed(&rng, w.sim->seed);
	there = sim_flow(w.a, 0, MS(10), 200, 2000);
	back = sim_flow(w.b, 0, MS(10), 200, 2000);
	for (u32 n = 0; n < 5000; n++) {
		const struct sim_packet *p =
			tape_kind(&tape, &rng, n % 4 ? WIRE_INITIATION : WIRE_RESPONSE);
		const struct endpoint source = n % 2 ? p->source : attack_source(&rng);

		sim_hit(&w.b->iface[n % 2], &source, p->data, p->size);
		sim_hit(&w.a->iface[n % 2], &source, p->data, p->size);
		sim_run(w.sim, MS(4));
	}
	sim_run(w.sim, SECONDS(1));
	sim_compare(w.sim, sim_received(there, w.b), ==, 2000);
	sim_compare(w.sim, sim_received(back, w.a), ==, 2000);
	sim_compare(w.sim, w.a->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	sim_compare(w.sim, sim_paths_in_state(w.a, 0, PATH_LIVE), ==, 4);
	end(&w, &tape);
}

/* A restarted node hears what its former life was sent, handshakes and all. */
static void a_tape_of_a_former_life_connects_nobody(void **state)
{
	struct tape tape;
	struct world w;

	(void)state;
	connect_and_run(&w, &tape, __func__);
	sim_kill(w.a);
	sim_kill(w.b);
	sim_start(w.b);
	for (u32 n = 0; n < tape.count; n++) {
		const struct sim_packet *p = tape.packet[n];

		for (u32 i = 0; i < 2; i++) {
			if (endpoint_equal(&p->destination, &w.b->iface[i].local))
				sim_hit(&w.b->iface[i], &p->source, p->data, p->size);
		}
		if (n % 16 == 0)
			sim_run(w.sim, MS(5));
	}
	sim_check(w.sim, !sim_connected(w.b, 0));
	sim_compare(w.sim, w.b->notices[NOTICE_PEER_CONNECTED], ==, 1); /* of before */
	world_start(&w, SECONDS(2));
	end(&w, &tape);
}

/* An attacker on the way sends every third datagram on from an address of his own, and is faster
 * than the true one. */
static void a_fast_copyist_diverts_no_traffic(void **state)
{
	struct sim_rng rng;
	struct sim_flow *there, *back;
	struct tape tape;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 1, 1);
	world_start(&w, SECONDS(2));
	tape_record(&tape, w.sim);
	sim_rng_seed(&rng, w.sim->seed);
	there = sim_flow(w.a, 0, MS(10), 200, 500);
	back = sim_flow(w.b, 0, MS(10), 200, 500);
	for (u32 n = 0; n < 300; n++) {
		const u32 first = tape.count;

		sim_run(w.sim, MS(9));
		for (u32 i = first; i < tape.count; i++) {
			const struct endpoint source = attack_source(&rng);

			if (i % 3 == 0 &&
			    endpoint_equal(&tape.packet[i]->destination, &w.b->iface[0].local))
				sim_hit(&w.b->iface[0], &source, tape.packet[i]->data,
					tape.packet[i]->size);
		}
	}
	sim_run(w.sim, SECONDS(10));
	sim_compare(w.sim, sim_received(there, w.b), ==, 500);
	sim_compare(w.sim, sim_received(back, w.a), ==, 500);
	sim_compare(w.sim, sim_paths_in_state(w.b, 0, PATH_LIVE), ==, 1);
	end(&w, &tape);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(garbage_changes_nothing),
		cmocka_unit_test(damaged_copies_change_nothing),
		cmocka_unit_test(a_forgery_does_not_use_up_the_counter),
		cmocka_unit_test(replays_from_elsewhere_change_nothing),
		cmocka_unit_test(reflected_datagrams_change_nothing),
		cmocka_unit_test(replays_keep_no_path_alive),
		cmocka_unit_test(old_initiations_disturb_no_traffic),
		cmocka_unit_test(a_tape_of_a_former_life_connects_nobody),
		cmocka_unit_test(a_fast_copyist_diverts_no_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
