/* SPDX-License-Identifier: MIT */
/*
 * simnat.c - network address translators by the words of RFC 4787: what a mapping depends on,
 * whom a filter lets in, how ports are chosen, how long all that lives.
 *
 * The table is one of sessions, as in real routers: an entry for each inner endpoint and remote
 * endpoint that talk, with its own age. What RFC 4787 calls a mapping is the outer endpoint that
 * those sessions share which the mapping behaviour puts together; what it calls a filter is the
 * question whether there is a session with this remote, with its address, or with anybody.
 * A full table gives up the session that was used least recently. A firewall is a NAT that
 * translates nothing.
 */
#include "sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_FIRST 1024u
#define PORT_COUNT (65536u - PORT_FIRST)
#define RANGE_FIRST 20000u
#define RANGE_COUNT 10000u
#define STREAM_AFTER (2 * NS_PER_S)
#define TCP_LIFETIME (7440 * NS_PER_S) /* RFC 5382 REQ-5: 2 h 4 min */
#define SWEEP_INTERVAL (1 * NS_PER_S)

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
	n->capacity = SIM_SESSIONS;
	n->next_port = RANGE_FIRST;
	n->session = calloc(SIM_SESSIONS, sizeof(*n->session));
	for (u32 i = 0; i < SIM_INDICES; i++) {
		n->bucket[i] = calloc(SIM_BUCKETS, sizeof(*n->bucket[i]));
		if (!n->bucket[i] || !n->session)
			sim_fail(sim, "no room for a NAT");
	}
	sim->nat[sim->nats++] = n;
	return n;
}

void sim_nat_free(struct sim_nat *n)
{
	for (u32 i = 0; i < SIM_INDICES; i++)
		free(n->bucket[i]);
	free(n->session);
	free(n);
}

/* --- the table ----------------------------------------------------------------------------- */

static u32 *bucket(struct sim_nat *n, enum sim_index index, const struct endpoint *ours,
		   const struct endpoint *remote)
{
	u32 hash = endpoint_hash(ours);

	if (index == SIM_BY_FLOW || index == SIM_BY_ARRIVAL)
		hash = hash * 31 + endpoint_hash(remote);
	return &n->bucket[index][(hash ^ hash >> 16) & (SIM_BUCKETS - 1)];
}

static u32 *bucket_of(struct sim_nat *n, enum sim_index index, const struct sim_session *s)
{
	const bool inner = index == SIM_BY_INSIDE || index == SIM_BY_FLOW;

	return bucket(n, index, inner ? &s->inside : &s->outside, &s->remote);
}

static u64 lifetime_of(const struct sim_nat *n, const struct sim_session *s)
{
	const bool stream = s->answered && s->used - s->began > STREAM_AFTER;

	if (s->protocol == SIM_TCP)
		return TCP_LIFETIME;
	return stream && n->stream_lifetime ? n->stream_lifetime : n->lifetime;
}

static bool alive(const struct sim_nat *n, const struct sim_session *s)
{
	return s->active && n->sim->now - s->used <= lifetime_of(n, s);
}

static void drop(struct sim_nat *n, struct sim_session *s)
{
	const u32 number = (u32)(s - n->session) + 1;

	for (enum sim_index i = 0; i < SIM_INDICES; i++) {
		u32 *at = bucket_of(n, i, s);

		while (*at != number)
			at = &n->session[*at - 1].next[i];
		*at = s->next[i];
	}
	s->active = false;
}

u32 sim_nat_sessions(const struct sim_nat *n)
{
	u32 count = 0;

	for (u32 i = 0; i < n->used; i++)
		count += alive(n, &n->session[i]);
	return count;
}

void sim_nat_flush(struct sim_nat *n)
{
	for (u32 i = 0; i < SIM_INDICES; i++)
		memset(n->bucket[i], 0, SIM_BUCKETS * sizeof(*n->bucket[i]));
	memset(n->session, 0, n->used * sizeof(*n->session));
	n->used = 0;
	n->peak = 0;
}

void sim_nat_readdress(struct sim_nat *n, const char *address)
{
	sim_nat_flush(n);
	n->address = sim_endpoint(address, 0).address;
}

/* A free slot; the least recently used session goes when capacity is reached. */
static struct sim_session *slot(struct sim_nat *n)
{
	struct sim_session *empty = NULL, *oldest = NULL;
	u32 count = 0;

	for (u32 i = 0; i < n->used; i++) {
		struct sim_session *s = &n->session[i];

		if (s->active && !alive(n, s))
			drop(n, s);
		if (!s->active)
			empty = s;
		else if (!oldest || s->used < oldest->used)
			oldest = s;
		count += s->active;
	}
	if (count >= n->capacity && oldest) {
		n->evicted++;
		drop(n, oldest);
		return oldest;
	}
	if (n->peak <= count)
		n->peak = count + 1;
	return empty ? empty : &n->session[n->used++];
}

/* A slot, most often without a look at all of them. */
static struct sim_session *quick_slot(struct sim_nat *n)
{
	const bool room = n->used < n->capacity && n->used < SIM_SESSIONS;

	if (!room || n->sim->now - n->swept_at > SWEEP_INTERVAL) {
		n->swept_at = n->sim->now;
		return slot(n);
	}
	n->used++;
	if (n->peak < n->used)
		n->peak = n->used;
	return &n->session[n->used - 1];
}

static struct sim_session *session_new(struct sim_nat *n, enum sim_protocol protocol,
				       const struct endpoint *inside,
				       const struct endpoint *outside,
				       const struct endpoint *remote)
{
	struct sim_session *s = quick_slot(n);

	*s = (struct sim_session){ .protocol = protocol,
				   .inside = *inside,
				   .outside = *outside,
				   .remote = *remote,
				   .began = n->sim->now,
				   .used = n->sim->now,
				   .active = true };
	for (enum sim_index i = 0; i < SIM_INDICES; i++) {
		u32 *at = bucket_of(n, i, s);

		s->next[i] = *at;
		*at = (u32)(s - n->session) + 1;
	}
	return s;
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

/* A session of this inner (or outer) endpoint whose remote is the same, as far as it matters. */
static struct sim_session *find(struct sim_nat *n, bool inner, enum sim_dependence on,
				enum sim_protocol protocol, const struct endpoint *ours,
				const struct endpoint *remote)
{
	const enum sim_index wide = inner ? SIM_BY_INSIDE : SIM_BY_PORT;
	const enum sim_index exact = inner ? SIM_BY_FLOW : SIM_BY_ARRIVAL;
	const enum sim_index index = on == SIM_APD ? exact : wide;

	for (u32 at = *bucket(n, index, ours, remote); at; at = n->session[at - 1].next[index]) {
		struct sim_session *s = &n->session[at - 1];

		if (s->protocol != protocol || !alive(n, s) ||
		    !endpoint_equal(inner ? &s->inside : &s->outside, ours))
			continue;
		if (same(on, &s->remote, remote) &&
		    (on == SIM_APD || (s->inside.address.family && !s->clashed)))
			return s;
	}
	return NULL;
}

/* --- addresses and ports ------------------------------------------------------------------- */

static struct address pool_address(const struct sim_nat *n, u32 which)
{
	struct address a = n->address;

	a.bytes[a.family == 6 ? 15 : 3] += (u8)which;
	return a;
}

bool sim_nat_owns(const struct sim_nat *n, const struct address *a)
{
	for (u32 i = 0; i == 0 || i < n->pool; i++) {
		const struct address own = pool_address(n, i);

		if (address_equal(&own, a))
			return true;
	}
	return false;
}

static struct address choose_address(struct sim_nat *n, const struct endpoint *inside)
{
	const struct endpoint host = { .address = inside->address };

	if (n->pool < 2)
		return n->address;
	return pool_address(n, n->paired ? endpoint_hash(&host) % n->pool :
					   (u32)sim_rng_below(&n->sim->rng, n->pool));
}

/* Numbers that other hosts behind this NAT have taken since somebody looked: at random times, one
 * in 1/other_rate seconds on average. */
static void others_take(struct sim_nat *n)
{
	const u64 now = n->sim->now;

	if (n->other_rate <= 0)
		return;
	if (!n->others_at)
		n->others_at = now;
	while (n->others_at <= now) {
		n->others_at += 1 + sim_rng_below(&n->sim->rng, (u64)(2e9 / n->other_rate));
		n->next_port++;
	}
}

static u16 next_number(struct sim_nat *n)
{
	if (n->next_port < PORT_FIRST)
		n->next_port = PORT_FIRST;
	return n->next_port++;
}

static u16 some_port(struct sim_nat *n)
{
	switch (n->allocation) {
	case SIM_RANGE:
		return (u16)(RANGE_FIRST + sim_rng_below(&n->sim->rng, RANGE_COUNT));
	case SIM_SEQUENTIAL:
		return next_number(n);
	case SIM_PRESERVE:
	case SIM_RANDOM:
		break;
	}
	return (u16)(PORT_FIRST + sim_rng_below(&n->sim->rng, PORT_COUNT));
}

static bool port_taken(struct sim_nat *n, enum sim_protocol protocol,
		       const struct endpoint *outside, const struct endpoint *remote)
{
	return find(n, false, SIM_EI, protocol, outside, remote) ||
	       find(n, false, SIM_APD, protocol, outside, remote);
}

static void choose_port(struct sim_nat *n, enum sim_protocol protocol, u16 wish,
			const struct endpoint *remote, struct endpoint *outside)
{
	others_take(n);
	outside->port = wish;
	if (n->allocation == SIM_PRESERVE && !port_taken(n, protocol, outside, remote))
		return;
	for (u32 tries = 0; tries < 4 * 65536u; tries++) {
		outside->port = some_port(n);
		if (!port_taken(n, protocol, outside, remote))
			return;
	}
	sim_fail(n->sim, "a NAT has no port left");
}

/* --- through ------------------------------------------------------------------------------- */

static struct sim_session *session_out(struct sim_nat *n, enum sim_protocol protocol,
				       const struct endpoint *inside, const struct endpoint *remote)
{
	const struct sim_session *mapping = find(n, true, n->mapping, protocol, inside, remote);
	struct endpoint outside = *inside;
	struct sim_session *s;
	bool clash = false;

	if (mapping) {
		outside = mapping->outside;
		clash = find(n, false, SIM_APD, protocol, &outside, remote) != NULL;
	} else if (!n->firewall) {
		outside.address = choose_address(n, inside);
		choose_port(n, protocol, inside->port, remote, &outside);
	}
	if (clash)
		choose_port(n, protocol, outside.port, remote, &outside);
	s = session_new(n, protocol, inside, &outside, remote);
	s->clashed = clash;
	if (!mapping || clash)
		sim_trace(n->sim, "nat maps port %u to %u", inside->port, outside.port);
	return s;
}

bool sim_nat_outbound(struct sim_nat *n, enum sim_protocol protocol, struct endpoint *source,
		      const struct endpoint *destination)
{
	struct sim_session *s;

	if (n->down || destination->address.family != source->address.family ||
	    (n->udp_blocked && protocol == SIM_UDP))
		return false;
	s = find(n, true, SIM_APD, protocol, source, destination);
	if (!s)
		s = session_out(n, protocol, source, destination);
	s->used = n->sim->now;
	*source = s->outside;
	return true;
}

/* The router takes it for itself, if it is of the kind that does; s: it has done so before. */
static void unasked(struct sim_nat *n, struct sim_session *s, enum sim_protocol protocol,
		    const struct endpoint *source, const struct endpoint *destination)
{
	static const struct endpoint router;

	n->filtered++;
	sim_trace(n->sim, "nat filters a datagram to port %u", destination->port);
	if (s)
		s->used = n->sim->now;
	else if (n->accepts_unasked && !n->firewall)
		session_new(n, protocol, &router, destination, source);
}

bool sim_nat_inbound(struct sim_nat *n, enum sim_protocol protocol, const struct endpoint *source,
		     struct endpoint *destination)
{
	struct sim_session *s;

	if (n->down || (n->udp_blocked && protocol == SIM_UDP))
		return false;
	s = find(n, false, SIM_APD, protocol, destination, source);
	if (!s)
		s = find(n, false, n->filtering, protocol, destination, source);
	if (!s || !s->inside.address.family) {
		unasked(n, s, protocol, source, destination);
		return false;
	}
	s->answered = true;
	if (n->inbound_refreshes)
		s->used = n->sim->now;
	*destination = s->inside;
	return true;
}
