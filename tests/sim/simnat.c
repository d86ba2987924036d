/* SPDX-License-Identifier: MIT */
/*
 * simnat.c - network address translators by the words of RFC 4787: what a mapping depends on,
 * whom a filter lets in, how ports are chosen, how long a mapping lives.
 *
 * Only what goes out keeps a mapping alive. A firewall is a NAT that translates nothing.
 */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_nat *sim_nat(struct sim *sim, const char *address, enum sim_dependence mapping,
			enum sim_dependence filtering, enum sim_allocation allocation,
			struct sim_nat *outer)
{
	struct sim_nat *n = calloc(1, sizeof(*n));

	if (!n || sim->nats == SIM_NATS)
		sim_fail(sim, "no room for a NAT");
	n->sim = sim;
	n->outer = outer;
	n->address = sim_endpoint(address, 0).address;
	n->mapping = mapping;
	n->filtering = filtering;
	n->allocation = allocation;
	n->lifetime = 120 * NS_PER_S;
	n->next_port = 20000;
	n->map = calloc(SIM_MAPPINGS, sizeof(*n->map));
	if (!n->map)
		sim_fail(sim, "no room for a NAT");
	sim->nat[sim->nats++] = n;
	return n;
}

void sim_nat_flush(struct sim_nat *n)
{
	n->count = 0;
}

static bool same(enum sim_dependence on, const struct endpoint *a, const struct endpoint *b)
{
	switch (on) {
	case SIM_EI:
		return true;
	case SIM_AD:
		return address_equal(&a->address, &b->address);
	case SIM_APD:
		return endpoint_equal(a, b);
	}
	return false;
}

static bool alive(const struct sim_nat *n, const struct sim_mapping *m)
{
	return n->sim->now - m->used <= n->lifetime;
}

static void sweep(struct sim_nat *n)
{
	u32 kept = 0;

	for (u32 i = 0; i < n->count; i++) {
		if (alive(n, &n->map[i]))
			n->map[kept++] = n->map[i];
	}
	n->count = kept;
}

static bool port_taken(const struct sim_nat *n, u16 port)
{
	for (u32 i = 0; i < n->count; i++) {
		if (n->map[i].outside.port == port && alive(n, &n->map[i]))
			return true;
	}
	return false;
}

static u16 choose_port(struct sim_nat *n, u16 wish)
{
	if (n->allocation == SIM_PRESERVE && !port_taken(n, wish))
		return wish;
	for (;;) {
		u16 port = n->next_port++;

		if (n->next_port < 20000)
			n->next_port = 20000;
		if (n->allocation != SIM_SEQUENTIAL)
			port = (u16)(1024 + sim_rng_below(&n->sim->rng, 64000));
		if (!port_taken(n, port))
			return port;
	}
}

static struct sim_mapping *mapping_for(struct sim_nat *n, const struct endpoint *inside,
				       const struct endpoint *towards)
{
	for (u32 i = 0; i < n->count; i++) {
		struct sim_mapping *m = &n->map[i];

		if (alive(n, m) && endpoint_equal(&m->inside, inside) &&
		    same(n->mapping, &m->towards, towards))
			return m;
	}
	return NULL;
}

static struct sim_mapping *mapping_new(struct sim_nat *n, const struct endpoint *inside,
				       const struct endpoint *towards)
{
	struct sim_mapping *m;
	struct endpoint outside = *inside;

	sweep(n);
	if (n->count == SIM_MAPPINGS)
		return NULL;
	if (!n->firewall) {
		outside.address = n->address;
		outside.port = choose_port(n, inside->port);
	}
	m = &n->map[n->count++];
	memset(m, 0, sizeof(*m));
	m->inside = *inside;
	m->outside = outside;
	m->towards = *towards;
	sim_trace(n->sim, "nat maps port %u to %u", inside->port, m->outside.port);
	return m;
}

static void permit(struct sim_mapping *m, const struct endpoint *remote)
{
	for (u32 i = 0; i < m->permits && i < SIM_PERMITS; i++) {
		if (endpoint_equal(&m->permit[i], remote))
			return;
	}
	m->permit[m->permits++ % SIM_PERMITS] = *remote;
}

static bool permitted(const struct sim_nat *n, const struct sim_mapping *m,
		      const struct endpoint *remote)
{
	for (u32 i = 0; i < m->permits && i < SIM_PERMITS; i++) {
		if (same(n->filtering, &m->permit[i], remote))
			return true;
	}
	return n->filtering == SIM_EI;
}

bool sim_nat_outbound(struct sim_nat *n, struct endpoint *source,
		      const struct endpoint *destination)
{
	struct sim_mapping *m;

	if (n->down || destination->address.family != source->address.family)
		return false;
	m = mapping_for(n, source, destination);
	if (!m)
		m = mapping_new(n, source, destination);
	if (!m)
		return false;
	m->used = n->sim->now;
	permit(m, destination);
	*source = m->outside;
	return true;
}

bool sim_nat_inbound(struct sim_nat *n, const struct endpoint *source, struct endpoint *destination)
{
	for (u32 i = 0; i < n->count && !n->down; i++) {
		const struct sim_mapping *m = &n->map[i];

		if (!alive(n, m) || !endpoint_equal(&m->outside, destination))
			continue;
		if (!permitted(n, m, source))
			continue;
		*destination = m->inside;
		return true;
	}
	sim_trace(n->sim, "nat filters a datagram to port %u", destination->port);
	return false;
}
