/* SPDX-License-Identifier: MIT */
/*
 * simlink.c - what a link does to a datagram: rate and queue, loss, damage, delay.
 */
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define UDP_HEADER 8u
#define DEFAULT_QUEUE 65536u

static u32 ip_size(const struct sim_packet *p)
{
	return p->size + UDP_HEADER + (p->destination.address.family == 6 ? 40u : 20u);
}

static bool burst_loses(struct sim *sim, struct sim_link *l)
{
	const double change = l->in_burst ? l->burst_leave : l->burst_enter;

	if (sim_rng_chance(&sim->rng, change))
		l->in_burst = !l->in_burst;
	return l->in_burst;
}

/* When the last bit has left the sender, or TIME_NEVER: the queue is full. */
static u64 serialize(struct sim *sim, struct sim_link *l, u32 size)
{
	const u64 begin = l->free_at > sim->now ? l->free_at : sim->now;
	const u64 limit = l->queue ? l->queue : DEFAULT_QUEUE;

	if (!l->rate)
		return sim->now;
	if ((begin - sim->now) * l->rate / NS_PER_S + size > limit)
		return TIME_NEVER;
	l->free_at = begin + size * NS_PER_S / l->rate;
	return l->free_at;
}

static u64 arrival(struct sim *sim, struct sim_link *l, u64 left)
{
	u64 at = left + l->delay + sim_rng_below(&sim->rng, l->jitter);

	if (sim_rng_chance(&sim->rng, l->reorder))
		return at + l->reorder_delay;
	if (at < l->last_at)
		at = l->last_at;
	l->last_at = at;
	return at;
}

static void damage(struct sim *sim, struct sim_packet *p)
{
	const u64 bits = 1 + sim_rng_below(&sim->rng, 3);

	for (u64 i = 0; i < bits && p->size; i++)
		p->data[sim_rng_below(&sim->rng, p->size)] ^=
			(u8)(1u << sim_rng_below(&sim->rng, 8));
}

u32 sim_link_pass(struct sim *sim, struct sim_link *l, struct sim_packet *p, u64 ret_at[2])
{
	const u32 size = ip_size(p);
	u64 left;

	l->lost++;
	if (l->down || (l->mtu && size > l->mtu))
		return 0;
	left = serialize(sim, l, size);
	if (left == TIME_NEVER || burst_loses(sim, l) || sim_rng_chance(&sim->rng, l->loss))
		return 0;
	l->lost--;
	l->carried++;
	l->bytes += size;
	if (sim_rng_chance(&sim->rng, l->corrupt))
		damage(sim, p);
	ret_at[0] = arrival(sim, l, left);
	if (!sim_rng_chance(&sim->rng, l->duplicate))
		return 1;
	ret_at[1] = arrival(sim, l, left);
	return 2;
}

static struct sim_packet *packet_new(struct sim *sim, const struct endpoint *source,
				     const struct endpoint *destination, const void *data, u32 size)
{
	struct sim_packet *p = malloc(sizeof(*p) + size);

	if (!p)
		sim_fail(sim, "no memory for a datagram");
	p->source = *source;
	p->destination = *destination;
	p->protocol = SIM_UDP;
	p->size = size;
	p->hops = 0;
	p->in_transit = false;
	memcpy(p->data, data, size);
	return p;
}

/* p goes through l and becomes an event (or two, or none). */
static void pass(struct sim *sim, struct sim_link *l, enum sim_event_kind kind, struct sim_iface *i,
		 struct sim_packet *p)
{
	struct sim_event event = { .kind = kind, .subject = i };
	u64 at[2];
	const u32 copies = sim_link_pass(sim, l, p, at);

	if (!copies) {
		sim_trace(sim, "lost on %s.%s %s", i->host->name, i->name,
			  kind == SIM_AT_REALM ? "out" : "in");
		free(p);
		return;
	}
	if (copies == 2) {
		event.packet = packet_new(sim, &p->source, &p->destination, p->data, p->size);
		event.packet->protocol = p->protocol;
		event.packet->hops = p->hops;
		sim_push(sim, at[1], &event);
	}
	event.packet = p;
	sim_push(sim, at[0], &event);
}

void sim_send_packet(struct sim_iface *i, enum sim_protocol protocol, const struct endpoint *source,
		     const struct endpoint *destination, const u8 *data, u32 size)
{
	struct sim *sim = i->host->sim;
	struct sim_packet *p = packet_new(sim, source, destination, data, size);

	p->protocol = protocol;
	if (sim->tap && protocol == SIM_UDP)
		sim->tap(i, p, sim->tap_ctx);
	pass(sim, &i->out, SIM_AT_REALM, i, p);
}

void sim_inject(struct sim *sim, const struct endpoint *source, const struct endpoint *destination,
		const void *data, u32 size)
{
	sim_route(sim, NULL, packet_new(sim, source, destination, data, size));
}

/* --- routing ------------------------------------------------------------------------------- */

/* The one with a socket there, or else one of that address: it has several when it is a map's. */
static struct sim_iface *iface_in_realm(struct sim *sim, const struct sim_nat *realm,
					const struct endpoint *e)
{
	struct sim_iface *found = NULL;

	for (u32 h = 0; h < sim->hosts; h++) {
		for (u32 i = 0; i < sim->host[h]->iface_count; i++) {
			struct sim_iface *iface = &sim->host[h]->iface[i];

			if (iface->realm != realm || !iface->wanted ||
			    !address_equal(&iface->local.address, &e->address))
				continue;
			if (sim_iface_has(iface, e))
				return iface;
			found = iface;
		}
	}
	return found;
}

static struct sim_nat *nat_in_realm(struct sim *sim, const struct sim_nat *realm,
				    const struct endpoint *e)
{
	for (u32 n = 0; n < sim->nats; n++) {
		struct sim_nat *nat = sim->nat[n];

		if (nat->outer != realm)
			continue;
		if (nat->firewall ? iface_in_realm(sim, nat, e) != NULL :
				    sim_nat_owns(nat, &e->address))
			return nat;
	}
	return NULL;
}

/* One hop of p, which is in realm; the next realm, with *arrived when p found its interface. NULL
 * without that: there is no way on. */
static struct sim_iface *hop(struct sim *sim, struct sim_nat **realm, struct sim_packet *p,
			     bool *lost)
{
	struct sim_iface *to = iface_in_realm(sim, *realm, &p->destination);
	struct sim_nat *inner = nat_in_realm(sim, *realm, &p->destination);

	*lost = false;
	if (to)
		return to;
	if (inner) {
		*lost = !sim_nat_inbound(inner, p->protocol, &p->source, &p->destination);
		*realm = inner;
		return NULL;
	}
	if (!*realm) {
		*lost = true;
		return NULL;
	}
	*lost = !sim_nat_outbound(*realm, p->protocol, &p->source, &p->destination);
	if (!*lost && !(*realm)->firewall && sim_nat_owns(*realm, &p->destination.address)) {
		*lost = !(*realm)->hairpin ||
			!sim_nat_inbound(*realm, p->protocol, &p->source, &p->destination);
		return NULL;
	}
	*realm = (*realm)->outer;
	return NULL;
}

void sim_route(struct sim *sim, struct sim_iface *i, struct sim_packet *p)
{
	struct sim_nat *realm = i ? i->realm : NULL;

	for (p->hops = 0; p->hops < 8; p->hops++) {
		bool lost;
		struct sim_iface *to;

		if (!realm && sim->transit && !p->in_transit) {
			const struct sim_event event = { .kind = SIM_AT_REALM, .packet = p };

			p->in_transit = true;
			sim_push(sim, sim->now + sim->transit, &event);
			return;
		}
		if (!realm && sim->carries && !sim->carries(p, sim->carries_ctx))
			break;
		to = hop(sim, &realm, p, &lost);

		if (to) {
			pass(sim, &to->in, SIM_AT_IFACE, to, p);
			return;
		}
		if (lost)
			break;
	}
	sim->unroutable++;
	free(p);
}
