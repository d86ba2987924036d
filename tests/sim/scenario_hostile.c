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

/* a and b, what they said to each other, and luck of the attacker's own. */
struct scene {
	struct world w;
	struct tape tape;
	struct sim_rng rng;
	struct picture before; /* of victim */
	struct sim_host *victim;
};

static void connect_and_run(struct scene *s, const char *name)
{
	struct world *w = &s->w;

	world_pair(w, name, 2, 2);
	tape_record(&s->tape, w->sim);
	world_start(w, SECONDS(2));
	sim_run(w->sim, SECONDS(2));
	sim_flow(w->a, 0, MS(10), 200, 0);
	sim_flow(w->b, 0, MS(10), 1300, 0);
	sim_run(w->sim, SECONDS(10));
	sim_rng_seed(&s->rng, w->sim->seed);
}

static void end(struct scene *s)
{
	world_check_traffic(&s->w);
	tape_free(&s->tape);
	world_end(&s->w);
}

/* From here on time stands still, and what comes to victim must change nothing. */
static void attack(struct scene *s, struct sim_host *victim)
{
	s->victim = victim;
	picture_take(&s->before, victim);
}

static void nothing_has_changed(struct scene *s)
{
	picture_check(&s->before, s->victim);
	end(s);
}

static void garbage_changes_nothing(void **state)
{
	const u64 count = world_scale(300000);
	struct scene s;

	(void)state;
	connect_and_run(&s, __func__);
	attack(&s, s.w.b);
	for (u64 n = 0; n < count; n++) {
		u8 data[2048];
		const u32 size = (u32)sim_rng_below(&s.rng, n % 16 ? 300 : sizeof(data));
		const struct endpoint source = attack_source(&s.rng);

		sim_rng_fill(&s.rng, data, size);
		if (size && n % 4)
			data[0] = (u8)(0xc1 + n % 4);
		if (size > 4 && n % 3)
			memset(data + 1, 0, 3);
		sim_hit(&s.w.b->iface[n % 2], &source, data, size);
	}
	nothing_has_changed(&s);
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
	struct scene s;

	(void)state;
	connect_and_run(&s, __func__);
	attack(&s, s.w.b);
	for (u64 n = 0; n < count; n++) {
		const struct sim_packet *p = tape_any(&s.tape, &s.rng);
		const struct endpoint source = n % 2 ? p->source : attack_source(&s.rng);
		u8 data[2048];
		const u32 size = mutate(&s.rng, p, data);

		if (size != p->size || memcmp(data, p->data, size) != 0)
			sim_hit(&s.w.b->iface[n % 2], &source, data, size);
	}
	nothing_has_changed(&s);
}

/* The forgeries come before the true datagram, which is taken all the same. */
static void a_forgery_does_not_use_up_the_counter(void **state)
{
	const struct sim_packet *p;
	struct sim_iface *from, *to;
	struct sim_flow *f;
	struct scene s;

	(void)state;
	world_pair(&s.w, __func__, 1, 1);
	world_start(&s.w, SECONDS(2));
	sim_rng_seed(&s.rng, s.w.sim->seed);
	from = &s.w.a->iface[0];
	to = &s.w.b->iface[0];
	from->out.down = true;
	tape_record(&s.tape, s.w.sim);
	f = sim_flow(s.w.a, 0, MS(10), 200, 1);
	sim_run(s.w.sim, MS(1));
	p = tape_first_from(&s.tape, s.w.a, 200 + FRAME_PAYLOAD_HEADER + WIRE_OVERHEAD);
	for (u32 n = 0; n < 1000; n++) {
		u8 data[2048];

		memcpy(data, p->data, p->size);
		data[16 + sim_rng_below(&s.rng, p->size - 16)] ^= 1;
		sim_hit(to, &p->source, data, p->size);
	}
	sim_compare(s.w.sim, sim_received(f, s.w.b), ==, 0);
	sim_hit(to, &p->source, p->data, p->size);
	sim_compare(s.w.sim, sim_received(f, s.w.b), ==, 1);
	from->out.down = false;
	end(&s);
}

static void replays_from_elsewhere_change_nothing(void **state)
{
	const u64 count = world_scale(200000);
	struct scene s;

	(void)state;
	connect_and_run(&s, __func__);
	tape_settle(&s.tape, &s.w);
	attack(&s, s.w.b);
	for (u64 n = 0; n < count; n++) {
		const struct sim_packet *p = tape_any(&s.tape, &s.rng);
		const struct endpoint source = attack_source(&s.rng);

		if (p->data[0] == WIRE_TRANSPORT)
			sim_hit(&s.w.b->iface[n % 2], &source, p->data, p->size);
	}
	nothing_has_changed(&s);
}

static void reflected_datagrams_change_nothing(void **state)
{
	const u64 count = world_scale(200000);
	struct sim_iface *at;
	struct scene s;

	(void)state;
	connect_and_run(&s, __func__);
	tape_settle(&s.tape, &s.w);
	at = &s.w.a->iface[0];
	attack(&s, s.w.a);
	for (u64 n = 0; n < count; n++) {
		const struct sim_packet *p = tape_any(&s.tape, &s.rng);

		if (address_equal(&p->source.address, &at->local.address))
			sim_hit(at, &p->destination, p->data, p->size);
	}
	nothing_has_changed(&s);
}

/* From the true source: only what counts duplicates may change. */
static void replays_keep_no_path_alive(void **state)
{
	struct scene s;

	(void)state;
	connect_and_run(&s, __func__);
	tape_settle(&s.tape, &s.w);
	for (u32 i = 0; i < 2; i++)
		s.w.a->iface[i].out.down = s.w.a->iface[i].in.down = true;
	/* A path that is probed every 100 ms is dead 2 s after the first probe that is not answered. */
	for (u32 n = 0; n < 2150; n++) {
		const struct sim_packet *p = tape_any(&s.tape, &s.rng);

		sim_hit(&s.w.b->iface[n % 2], &p->source, p->data, p->size);
		sim_run(s.w.sim, MS(1));
	}
	sim_check(s.w.sim, !sim_connected(s.w.b, 0));
	for (u32 i = 0; i < 2; i++)
		s.w.a->iface[i].out.down = s.w.a->iface[i].in.down = false;
	sim_run(s.w.sim, SECONDS(1));
	end(&s);
}

static void old_initiations_disturb_no_traffic(void **state)
{
	struct sim_flow *there, *back;
	struct scene s;

	(void)state;
	connect_and_run(&s, __func__);
	there = sim_flow(s.w.a, 0, MS(10), 200, 2000);
	back = sim_flow(s.w.b, 0, MS(10), 200, 2000);
	for (u32 n = 0; n < 5000; n++) {
		const struct sim_packet *p =
			tape_kind(&s.tape, &s.rng, n % 4 ? WIRE_INITIATION : WIRE_RESPONSE);
		const struct endpoint source = n % 2 ? p->source : attack_source(&s.rng);

		sim_hit(&s.w.b->iface[n % 2], &source, p->data, p->size);
		sim_hit(&s.w.a->iface[n % 2], &source, p->data, p->size);
		sim_run(s.w.sim, MS(4));
	}
	sim_run(s.w.sim, SECONDS(1));
	sim_compare(s.w.sim, sim_received(there, s.w.b), ==, 2000);
	sim_compare(s.w.sim, sim_received(back, s.w.a), ==, 2000);
	sim_compare(s.w.sim, s.w.a->notices[NOTICE_PEER_DISCONNECTED], ==, 0);
	sim_compare(s.w.sim, sim_paths_in_state(s.w.a, 0, PATH_LIVE), ==, 4);
	end(&s);
}

/* A restarted node hears what its former life was sent, handshakes and all. */
static void a_tape_of_a_former_life_connects_nobody(void **state)
{
	struct sim_host *b;
	struct scene s;

	(void)state;
	connect_and_run(&s, __func__);
	b = s.w.b;
	sim_kill(s.w.a);
	sim_kill(b);
	sim_start(b);
	for (u32 n = 0; n < s.tape.count; n++) {
		const struct sim_packet *p = s.tape.packet[n];

		for (u32 i = 0; i < 2; i++) {
			if (endpoint_equal(&p->destination, &b->iface[i].local))
				sim_hit(&b->iface[i], &p->source, p->data, p->size);
		}
		if (n % 16 == 0)
			sim_run(s.w.sim, MS(5));
	}
	sim_check(s.w.sim, !sim_connected(b, 0));
	sim_compare(s.w.sim, b->notices[NOTICE_PEER_CONNECTED], ==, 1); /* of before */
	world_start(&s.w, SECONDS(2));
	end(&s);
}

/* An attacker on the way sends every third datagram on from an address of his own, and is faster
 * than the true one. */
static void a_fast_copyist_diverts_no_traffic(void **state)
{
	struct sim_flow *there, *back;
	struct sim_iface *to;
	struct scene s;

	(void)state;
	world_pair(&s.w, __func__, 1, 1);
	world_start(&s.w, SECONDS(2));
	tape_record(&s.tape, s.w.sim);
	sim_rng_seed(&s.rng, s.w.sim->seed);
	to = &s.w.b->iface[0];
	there = sim_flow(s.w.a, 0, MS(10), 200, 500);
	back = sim_flow(s.w.b, 0, MS(10), 200, 500);
	for (u32 n = 0; n < 300; n++) {
		const u32 first = s.tape.count;

		sim_run(s.w.sim, MS(9));
		for (u32 i = first; i < s.tape.count; i++) {
			const struct sim_packet *p = s.tape.packet[i];
			const struct endpoint source = attack_source(&s.rng);

			if (i % 3 == 0 && endpoint_equal(&p->destination, &to->local))
				sim_hit(to, &source, p->data, p->size);
		}
	}
	sim_run(s.w.sim, SECONDS(10));
	sim_compare(s.w.sim, sim_received(there, s.w.b), ==, 500);
	sim_compare(s.w.sim, sim_received(back, s.w.a), ==, 500);
	sim_compare(s.w.sim, sim_paths_in_state(s.w.b, 0, PATH_LIVE), ==, 1);
	end(&s);
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
