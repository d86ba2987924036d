/* SPDX-License-Identifier: MIT */
/*
 * scenario_abuse.c - what an authentic peer that means harm can make us do: not much more than it does
 * itself.
 */
#include <stdio.h>
#include <string.h>

#include "core/engine/engine_internal.h"
#include "sim/world.h"

/* --- punching --------------------------------------------------------------------------------- */

struct meter {
	struct world w;
	struct sim_host *us;
	bool cut;
	u64 strangers;
};

static bool is_map(const struct world *w, const struct endpoint *e)
{
	for (u32 n = 0; n < w->map->iface_count; n++)
		if (address_equal(&w->map->iface[n].local.address, &e->address))
			return true;
	return false;
}

static void tap(struct sim_iface *from, const struct sim_packet *p, void *ctx)
{
	struct meter *m = ctx;

	if (from->host != m->us)
		return;
	if (p->destination.address.bytes[0] == 11)
		m->strangers++;
}

static bool carries(const struct sim_packet *p, void *ctx)
{
	const struct meter *m = ctx;

	return !m->cut || is_map(&m->w, &p->source) || is_map(&m->w, &p->destination);
}

static void say(struct sim_host *h, struct frame *f)
{
	struct peer *p = h->engine->peers[0];
	u64 mask = p->usable_mask;

	if (mask)
		peer_send_frames(h->engine, p, h->sim->now, (u8)__builtin_ctzll(mask), f, 1, 0);
	sim_poke(h);
}

static u64 opened; /* sockets */

/* The NAT of the peer, it says, is another one with each datagram. */
static void flips(struct meter *m, enum world_nat kind, const struct wire_nat nat[2],
		  const char *name)
{
	struct frame f = { .type = FRAME_CANDIDATES };
	struct sim_host *them;
	u32 blocks;

	memset(m, 0, sizeof(*m));
	world_meet(&m->w, name, kind, kind);
	m->w.sim->tap = tap;
	m->w.sim->tap_ctx = m;
	m->w.sim->carries = carries;
	m->w.sim->carries_ctx = m;
	m->cut = true;
	m->us = memcmp(m->w.a->identity.public_key, m->w.b->identity.public_key, KEY_SIZE) < 0 ?
			m->w.a :
			m->w.b;
	them = m->us == m->w.a ? m->w.b : m->w.a;
	world_start(&m->w, SECONDS(2));
	sim_run(m->w.sim, SECONDS(20));
	f.candidates.number = 1000;
	f.candidates.count = 20;
	for (u32 n = 0; n < 20; n++) {
		char text[32];

		snprintf(text, sizeof(text), "11.0.0.%u", n + 1);
		f.candidates.mapping[n].interface = (u8)n;
		f.candidates.mapping[n].observed = sim_endpoint(text, 4000);
		f.candidates.mapping[n].lan = sim_endpoint(text, 4001);
	}
	say(them, &f);
	sim_run(m->w.sim, SECONDS(10)); /* they are probed seldom now */
	m->strangers = 0;
	blocks = m->us->engine->punch_blocks;
	for (u32 n = 0; n < 5000; n++) {
		struct frame offer = { .type = FRAME_PUNCH };

		offer.punch.kind = PUNCH_OFFER;
		offer.punch.nat = nat[n % 2];
		say(them, &offer);
		sim_run(m->w.sim, MS(2));
	}
	opened = m->us->engine->punch_blocks - blocks;
}

static void a_peer_that_changes_its_nat_is_no_amplifier(void **state)
{
	static const struct wire_nat nat[2] = {
		{ NAT_MAPPING_INDEPENDENT, NAT_FILTERING_INDEPENDENT, NAT_VERDICT_NATTED << 3, 0 },
		{ NAT_MAPPING_ADDRESS_AND_PORT, NAT_FILTERING_ADDRESS,
		  NAT_VERDICT_NATTED << 3 | WIRE_NAT_DEPENDENT, 0 },
	};
	struct meter m;

	(void)state;
	flips(&m, WORLD_PORT_RESTRICTED, nat, "probes");
	/* As scenario_offers has it: 64 paths, each four times a second. */
	sim_compare(m.w.sim, m.strangers, <, 10 * 64 * 4);
	world_end(&m.w);
}

static void a_peer_that_changes_its_nat_opens_few_sockets(void **state)
{
	static const struct wire_nat nat[2] = {
		{ NAT_MAPPING_INDEPENDENT, NAT_FILTERING_ADDRESS_AND_PORT, NAT_VERDICT_NATTED << 3,
		  0 },
		{ NAT_MAPPING_UNKNOWN, NAT_FILTERING_ADDRESS_AND_PORT, NAT_VERDICT_NATTED << 3, 0 },
	};
	struct meter m;

	(void)state;
	flips(&m, WORLD_SYMMETRIC, nat, "sockets");
	sim_compare(m.w.sim, opened, <, 100);
	world_end(&m.w);
}

/* --- costs ------------------------------------------------------------------------------------ */

static u64 bytes_out;

static void count(struct sim_iface *from, const struct sim_packet *p, void *ctx)
{
	if (from->host == ctx)
		bytes_out += p->size;
}

/* b says 40 frames in one datagram, over its interface from to a's interface to. */
static void say_many(struct world *w, const struct frame *f, u32 from, u32 to)
{
	struct engine *e = w->b->engine;
	u8 data[2048];
	size_t size = 0;

	for (u32 n = 0; n < 40; n++) {
		const int r = frame_put(data + WIRE_HEADER_SIZE + size, 1400 - size, &f[n]);

		sim_check(w->sim, r > 0);
		size += (size_t)r;
	}
	sim_check(w->sim, assoc_seal(&e->peers[0]->assoc, sim_clock(w->b), data, size) == 0);
	sim_hit(&w->a->iface[to], &w->b->iface[from].local, data, (u32)(size + WIRE_OVERHEAD));
}

/* What is under way is sent again when paths change, but not for each change. */
static void answers_that_tell_other_costs_cost_little(void **state)
{
	const struct tunnel_options o = { .name = "one", .copies = 1 };
	struct frame f[40] = { 0 };
	struct sim_flow *flow;
	struct world w;

	(void)state;
	world_pair(&w, __func__, 2, 2);
	sim_tunnel(w.a, &o);
	sim_tunnel(w.b, &o);
	world_start(&w, SECONDS(2));
	sim_run(w.sim, SECONDS(2));
	flow = sim_flow(w.a, 1, NS_PER_MS / 10, 1000, 0);
	sim_run(w.sim, MS(1050));
	for (u32 n = 0; n < ARRAY_SIZE(f); n++) {
		f[n].type = FRAME_PROBE_REPLY;
		f[n].probe_reply.cost = n % 2 ? COST_FREE : COST_BARRED;
	}
	w.sim->tap = count;
	w.sim->tap_ctx = w.a;
	for (u32 n = 0; n < 200; n++)
		say_many(&w, f, n / 2 % 2, n % 2);
	flow->stopped = true;
	sim_compare(w.sim, bytes_out, <, 4 << 20);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_changes_its_nat_is_no_amplifier),
		cmocka_unit_test(a_peer_that_changes_its_nat_opens_few_sockets),
		cmocka_unit_test(answers_that_tell_other_costs_cost_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
