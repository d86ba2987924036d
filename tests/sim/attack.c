/* SPDX-License-Identifier: MIT */
/*
 * attack.c - see attack.h.
 */
#include "sim/attack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/cookie.h"

/* --- the tape ------------------------------------------------------------------------------ */

static void record(struct sim_iface *from, const struct sim_packet *p, void *ctx)
{
	struct tape *t = ctx;
	const size_t size = sizeof(*p) + p->size;

	if (t->count == TAPE_SIZE)
		return;
	t->packet[t->count] = malloc(size);
	if (!t->packet[t->count])
		sim_fail(from->host->sim, "no memory for the tape");
	memcpy(t->packet[t->count++], p, size);
}

void tape_record(struct tape *t, struct sim *sim)
{
	memset(t, 0, sizeof(*t));
	sim->tap = record;
	sim->tap_ctx = t;
}

void tape_free(struct tape *t)
{
	for (u32 i = 0; i < t->count; i++)
		free(t->packet[i]);
	t->count = 0;
}

const struct sim_packet *tape_any(const struct tape *t, struct sim_rng *rng)
{
	return t->packet[sim_rng_below(rng, t->count)];
}

const struct sim_packet *tape_kind(const struct tape *t, struct sim_rng *rng, u8 kind)
{
	const u32 begin = (u32)sim_rng_below(rng, t->count);

	for (u32 i = 0; i < t->count; i++) {
		const struct sim_packet *p = t->packet[(begin + i) % t->count];

		if (p->data[0] == kind)
			return p;
	}
	return t->packet[begin];
}

const struct sim_packet *tape_first_from(const struct tape *t, const struct sim_host *h, u32 size)
{
	for (u32 i = 0; i < t->count; i++) {
		if (endpoint_equal(&t->packet[i]->source, &h->iface[0].local) &&
		    t->packet[i]->size == size)
			return t->packet[i];
	}
	return t->packet[0];
}

void tape_settle(struct tape *t, struct world *w)
{
	(void)t;
	w->sim->tap = NULL;
	sim_run(w->sim, SECONDS(1));
}

/* --- forgeries ----------------------------------------------------------------------------- */

struct endpoint attack_source(struct sim_rng *rng)
{
	struct endpoint e = { .address.family = 4 };

	e.address.bytes[0] = (u8)(20 + sim_rng_below(rng, 80));
	e.address.bytes[1] = (u8)sim_rng_next(rng);
	e.address.bytes[2] = (u8)sim_rng_next(rng);
	e.address.bytes[3] = (u8)sim_rng_next(rng);
	e.port = (u16)(1 + sim_rng_below(rng, 65535));
	return e;
}

void attack_initiation(struct sim_rng *rng, const struct sim_host *target,
		       u8 ret[static WIRE_INITIATION_SIZE])
{
	struct cookie_jar jar;

	cookie_jar_init(&jar, target->identity.public_key);
	sim_rng_fill(rng, ret, WIRE_INITIATION_SIZE);
	ret[0] = WIRE_INITIATION;
	memset(ret + 1, 0, 3);
	cookie_stamp(&jar, target->sim->now, ret, WIRE_INITIATION_SIZE);
}

/* --- pictures ------------------------------------------------------------------------------ */

static void describe_path(const struct engine *e, u32 index, char *text, size_t size)
{
	struct path_view v;

	if (!engine_view_path(e, 0, index, &v))
		return;
	snprintf(text, size,
		 "%u.%x:%u %s %s rtt %llu %llu mtu %u sent %llu %llu lost %llu %llu "
		 "first %llu %llu loss %f %f rate %f %f",
		 v.iface, endpoint_hash(&v.remote), v.remote.port, path_origin_name(v.origin),
		 path_state_name(v.state), (unsigned long long)v.rtt, (unsigned long long)v.rtt_var,
		 v.mtu, (unsigned long long)v.sent, (unsigned long long)v.sent_bytes,
		 (unsigned long long)v.sent_lost, (unsigned long long)v.received_lost,
		 (unsigned long long)v.first, (unsigned long long)v.first_bytes, v.loss_out,
		 v.loss_in, v.rate_out, v.rate_in);
}

void picture_take(struct picture *p, const struct sim_host *h)
{
	const struct engine *e = h->engine;

	memset(p, 0, sizeof(*p));
	engine_view_peer(e, 0, &p->peer);
	for (u32 i = 0; i < MAX_PEER_PATHS; i++)
		describe_path(e, i, p->path[i], sizeof(p->path[i]));
	for (u32 i = 0; i < SIM_TUNNELS; i++) {
		if (engine_view_tunnel(e, i, &p->tunnel[i]))
			memset(&p->tunnel[i].drops, 0, sizeof(p->tunnel[i].drops));
	}
	for (u32 i = 0; i < SIM_MAPS; i++)
		engine_view_map(e, i, &p->map[i]);
	for (u32 i = 0; i < h->iface_count; i++) {
		if (engine_view_iface(e, h->iface[i].id, &p->iface[i]))
			p->iface[i].received_packets = p->iface[i].received_bytes = 0;
		/* Cookies and responses are answers, not state. */
		p->iface[i].sent_packets = p->iface[i].sent_bytes = 0;
	}
	memcpy(p->notices, h->notices, sizeof(p->notices));
	p->buffers = pool_available(h->pool);
}

void picture_check(const struct picture *before, const struct sim_host *h)
{
	static struct picture after;

	picture_take(&after, h);
	sim_check(h->sim, memcmp(&before->peer, &after.peer, sizeof(after.peer)) == 0);
	for (u32 i = 0; i < MAX_PEER_PATHS; i++) {
		if (strcmp(before->path[i], after.path[i]) != 0)
			sim_fail(h->sim, "path %u was %s, is %s", i, before->path[i],
				 after.path[i]);
	}
	sim_check(h->sim, memcmp(before->tunnel, after.tunnel, sizeof(after.tunnel)) == 0);
	sim_check(h->sim, memcmp(before->map, after.map, sizeof(after.map)) == 0);
	sim_check(h->sim, memcmp(before->iface, after.iface, sizeof(after.iface)) == 0);
	sim_check(h->sim, memcmp(before->notices, after.notices, sizeof(after.notices)) == 0);
	sim_compare(h->sim, before->buffers, ==, after.buffers);
}
