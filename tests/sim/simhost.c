/* SPDX-License-Identifier: MIT */
/*
 * simhost.c - hosts: an engine or a map server, driven as the edges drive it.
 *
 * Every call in is followed by drain(): what waits in outboxes goes to the links, payloads to the
 * sinks, notices are counted, the timer is armed anew.
 */
#include "sim/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64u
#define EXPIRE_AGAIN 64u        /* calls at one time before it counts as a spin */
#define EXPIRE_A_SECOND 200000u /* calls in a second of virtual time */

static void *host_alloc(void *ctx, size_t size)
{
	struct sim_host *h = ctx;
	void *p = calloc(1, size);

	if (!p)
		sim_fail(h->sim, "no memory for %s", h->name);
	h->allocated += size;
	return p;
}

static void host_free(void *ctx, void *ptr, size_t size)
{
	struct sim_host *h = ctx;

	if (size > h->allocated)
		sim_fail(h->sim, "%s gives back more memory than it took", h->name);
	h->allocated -= size;
	free(ptr);
}

struct sim_host *sim_node(struct sim *sim, const char *name)
{
	struct sim_host *h = calloc(1, sizeof(*h));
	u8 key[KEY_SIZE];

	if (!h || sim->hosts == SIM_HOSTS)
		sim_fail(sim, "no room for a host");
	h->sim = sim;
	h->index = sim->hosts;
	snprintf(h->name, sizeof(h->name), "%s", name);
	sim_rng_seed(&h->rng, sim->seed ^ (h->index + 1) * UINT64_C(0x9e3779b97f4a7c15));
	sim_rng_fill(&h->rng, key, sizeof(key));
	private_key_clamp(key);
	identity_from_private(&h->identity, key);
	h->allocator = (struct allocator){ host_alloc, host_free, h };
	h->ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305);
	h->scan_interval = 10 * NS_PER_S;
	h->keepalive_interval = 5 * NS_PER_S;
	h->client_expiry = 60 * NS_PER_S;
	h->handshake_rate = 100;
	h->relay = (struct relay_options){ 1250000, 125000000 };
	h->pool_size = SIM_POOL;
	h->on_stream = sim_tcp_event;
	h->timer_at = TIME_NEVER;
	sim->host[sim->hosts++] = h;
	return h;
}

struct sim_host *sim_map(struct sim *sim, const char *name)
{
	struct sim_host *h = sim_node(sim, name);

	h->is_map = true;
	return h;
}

/* --- out ----------------------------------------------------------------------------------- */

static struct sim_iface *iface_with_id(struct sim_host *h, u8 id)
{
	for (u32 i = 0; i < h->iface_count; i++) {
		if (h->iface[i].present && h->iface[i].id == id)
			return &h->iface[i];
	}
	return NULL;
}

/* The kernel's part of sending one train; an errno, or 0. */
static int kernel_send(struct sim_iface *i, u16 socket, struct buf *b,
		       const struct endpoint *destination)
{
	const u32 segment = b->segment ? b->segment : b->length;
	const u32 header = destination->address.family == 6 ? 48 : 28;

	if (socket == SOCKET_STREAM)
		return sim_tcp_send(i, b, destination);
	if (i->send_error)
		return i->send_error;
	if (i->local.address.family != destination->address.family)
		sim_fail(i->host->sim, "%s sends across families", i->host->name);
	if (b->length == 0 || segment == 0)
		sim_fail(i->host->sim, "%s sends an empty datagram", i->host->name);
	if (segment + header > i->mtu)
		return EMSGSIZE;
	i->host->trains++;
	for (u32 at = 0; at < b->length; at += segment) {
		const u32 size = b->length - at < segment ? b->length - at : segment;

		i->host->sent++;
		sim_transmit(i, socket, destination, buf_data(b) + at, size);
	}
	return 0;
}

/* Sends one batch of an interface. False: nothing more goes. */
static bool drain_iface(struct sim_host *h, u8 id)
{
	struct sim *sim = h->sim;
	struct sim_iface *i = iface_with_id(h, id);
	struct outgoing out[BATCH];
	size_t count;

	if (!i)
		sim_fail(sim, "%s sends on interface %u, which is gone", h->name, id);
	if (i->blocked)
		return false;
	count = engine_outgoing(h->engine, sim_clock(h), id, out, BATCH);
	for (size_t n = 0; n < count; n++) {
		const int error = kernel_send(i, out[n].socket, out[n].buf, &out[n].destination);

		if (!error)
			continue;
		engine_sent(h->engine, sim_clock(h), id, n);
		engine_send_failed(h->engine, sim_clock(h), id, error);
		return true;
	}
	if (count)
		engine_sent(h->engine, sim_clock(h), id, count);
	return count > 0;
}

static void drain_outboxes(struct sim_host *h)
{
	u32 stuck = 0;

	for (u32 rounds = 0;; rounds++) {
		const u32 bits = engine_outgoing_ifaces(h->engine) & ~stuck;

		if (!bits)
			return;
		if (rounds > 100000)
			sim_fail(h->sim, "the outboxes of %s never end", h->name);
		for (u8 id = 0; id < MAX_IFACES; id++) {
			if ((bits & 1u << id) && !drain_iface(h, id))
				stuck |= 1u << id;
		}
	}
}

static void open_socket(struct sim_iface *i, const struct demand *d)
{
	struct sim_host *h = i->host;
	const u16 port = sim_socket_open(i, d->socket, d->port);

	if (port)
		engine_socket_opened(h->engine, sim_clock(h), d->iface, d->socket, port);
	else
		engine_socket_failed(h->engine, sim_clock(h), d->iface, d->socket);
}

/* What the engine wants of the kernel is done at once; that may lead to another demand. */
static void drain_demands(struct sim_host *h)
{
	struct demand d;

	while (engine_next_demand(h->engine, &d)) {
		struct sim_iface *i = iface_with_id(h, d.iface);

		if (d.kind == DEMAND_REVIEW) {
			for (u32 n = 0; n < h->iface_count; n++)
				sim_iface_review(&h->iface[n]);
			h->reviews++;
			continue;
		}
		if (!i)
			sim_fail(h->sim, "%s demands something of interface %u, which is gone",
				 h->name, d.iface);
		if (d.kind == DEMAND_OPEN_SOCKET)
			open_socket(i, &d);
		else if (d.kind == DEMAND_CLOSE_SOCKET)
			sim_socket_close(i, d.socket);
		else
			sim_tcp_demand(i, &d);
	}
}

static void drain_deliveries(struct sim_host *h)
{
	struct delivery d;

	while (engine_next_delivery(h->engine, &d)) {
		if (d.size == 0 || d.size > BUF_PAYLOAD_MAX || d.data < d.buf->bytes ||
		    d.data + d.size > d.buf->bytes + BUF_BYTES)
			sim_fail(h->sim, "%s delivers what is not in the buffer", h->name);
		sim_app_deliver(h, &d);
		buf_put(d.buf);
	}
}

static const char *const notice_name[] = {
	[NOTICE_PEER_CONNECTED] = "peer connected",
	[NOTICE_PEER_DISCONNECTED] = "peer disconnected",
	[NOTICE_PEER_CLOSED] = "peer closed",
	[NOTICE_PATH_STATE] = "path state",
	[NOTICE_MAP_CONNECTED] = "map connected",
	[NOTICE_MAP_LOST] = "map lost",
	[NOTICE_OBSERVED] = "observed",
	[NOTICE_OVERRIDE] = "override",
	[NOTICE_IFACE_RESTS] = "iface rests",
	[NOTICE_MTU] = "mtu",
	[NOTICE_STREAM] = "stream",
	[NOTICE_TARGET] = "target",
};

_Static_assert(ARRAY_SIZE(notice_name) == NOTICE_KINDS, "a notice has no name");

static void drain_notices(struct sim_host *h)
{
	struct notice n;

	while (engine_next_notice(h->engine, &n)) {
		if ((u32)n.kind >= NOTICE_KINDS)
			sim_fail(h->sim, "%s gives an unknown notice", h->name);
		sim_trace(h->sim, "%s: %s %u %u %s", h->name, notice_name[n.kind], n.a, n.b,
			  n.kind == NOTICE_PATH_STATE ? path_state_name((enum path_state)n.c) : "");
		h->notices[n.kind]++;
		if (n.kind == NOTICE_PEER_CONNECTED) {
			h->connected_at = h->sim->now;
			if (!h->first_connected_at)
				h->first_connected_at = h->sim->now;
		}
	}
}

static void drain_map(struct sim_host *h)
{
	struct map_outgoing out;

	while (mapserver_next_outgoing(h->map, &out)) {
		struct sim_iface *i = NULL;
		int error = ENODEV;

		if (out.listener & MAPSERVER_IS_STREAM)
			error = sim_tcp_answer(h, out.listener, out.buf);
		else
			i = iface_with_id(h, (u8)out.listener);
		if (i)
			error = kernel_send(i, 0, out.buf, &out.destination);
		if (error)
			sim_trace(h->sim, "%s cannot send: errno %d", h->name, error);
		buf_put(out.buf);
	}
}

static u64 next_expiry(const struct sim_host *h)
{
	return time_after(h->is_map ? mapserver_next_expiry(h->map) : engine_next_expiry(h->engine),
			  h->boot);
}

static void arm(struct sim_host *h)
{
	const struct sim_event event = { .kind = SIM_TIMER, .subject = h };
	u64 at = next_expiry(h);

	if (at == TIME_NEVER)
		return;
	if (at < h->sim->now)
		at = h->sim->now;
	if (at >= h->timer_at)
		return;
	h->timer_at = at;
	sim_push(h->sim, at, &event);
}

void sim_poke(struct sim_host *h)
{
	if (!h->running || h->suspended)
		return;
	if (h->is_map) {
		drain_map(h);
	} else {
		drain_outboxes(h);
		drain_demands(h);
		drain_outboxes(h);
		drain_deliveries(h);
		drain_notices(h);
	}
	arm(h);
}

/* --- in ------------------------------------------------------------------------------------ */

static void check_spin(struct sim_host *h)
{
	const u64 now = h->sim->now;

	h->expired_again = h->expired_at == now ? h->expired_again + 1 : 0;
	h->expired_at = now;
	if (now / NS_PER_S != h->expired_second) {
		h->expired_second = now / NS_PER_S;
		h->expired_in_second = 0;
	}
	if (h->expired_again > EXPIRE_AGAIN || ++h->expired_in_second > EXPIRE_A_SECOND)
		sim_fail(h->sim, "the timer of %s spins", h->name);
}

void sim_host_timer(struct sim_host *h)
{
	const u64 now = h->sim->now;

	if (now < h->timer_at) /* of an earlier life */
		return;
	h->timer_at = TIME_NEVER;
	if (!h->running || h->suspended)
		return;
	if (next_expiry(h) <= now) {
		check_spin(h);
		if (h->is_map)
			mapserver_expire(h->map, now);
		else
			engine_expire(h->engine, sim_clock(h));
	}
	sim_poke(h);
}

void sim_host_receive(struct sim_iface *i, u16 socket, const struct endpoint *source,
		      const u8 *data, u32 size)
{
	struct sim_host *h = i->host;
	struct buf *b;

	if (!h->running || h->suspended || !i->present || size > BUF_PAYLOAD_MAX)
		return;
	b = buf_get(h->pool);
	if (!b)
		return;
	memcpy(buf_data(b), data, size);
	b->length = size;
	h->received++;
	if (h->is_map)
		mapserver_receive(h->map, h->sim->now, i->id, source, b);
	else
		engine_receive(h->engine, sim_clock(h), i->id, socket, source, b);
	sim_poke(h);
}

void sim_hit(struct sim_iface *i, const struct endpoint *source, const void *data, u32 size)
{
	sim_host_receive(i, 0, source, data, size);
}

enum drop_reason sim_queue(struct sim_host *h, u16 tunnel, const void *data, u32 size)
{
	struct buf *b;

	if (!h->running)
		return DROP_NO_TUNNEL;
	b = buf_get(h->pool);
	if (!b)
		return DROP_NO_BUFFER;
	memcpy(buf_data(b), data, size);
	b->length = size;
	return engine_send(h->engine, sim_clock(h), tunnel, b);
}

enum drop_reason sim_send(struct sim_host *h, u16 tunnel, const void *data, u32 size)
{
	const enum drop_reason reason = sim_queue(h, tunnel, data, size);

	sim_poke(h);
	return reason;
}

/* --- life ---------------------------------------------------------------------------------- */

static void start_engine(struct sim_host *h)
{
	const struct engine_options options = {
		.identity = h->identity,
		.allocator = h->allocator,
		.random = { sim_rng_fill, &h->rng },
		.pool = h->pool,
		.ciphers = h->ciphers,
		.scan_interval = h->scan_interval,
		.keepalive_interval = h->keepalive_interval,
		.max_consecutive_failures = 10,
	};

	if (engine_create(&h->engine, &options))
		sim_fail(h->sim, "engine_create for %s", h->name);
}

static void start_map(struct sim_host *h)
{
	const struct mapserver_options options = {
		.identity = h->identity,
		.allocator = h->allocator,
		.random = { sim_rng_fill, &h->rng },
		.pool = h->pool,
		.client_expiry = h->client_expiry,
		.max_nodes = 1000,
		.max_streams = SIM_MAP_STREAMS,
		.handshake_rate = h->handshake_rate,
		.relay = h->relay,
	};

	if (mapserver_create(&h->map, &options))
		sim_fail(h->sim, "mapserver_create for %s", h->name);
}

void sim_start(struct sim_host *h)
{
	if (h->running)
		return;
	h->pool = pool_create(&h->allocator, h->pool_size);
	h->timer_at = TIME_NEVER;
	if (h->is_map)
		start_map(h);
	else
		start_engine(h);
	h->running = true;
	sim_trace(h->sim, "%s starts", h->name);
	sim_configure(h);
	sim_poke(h);
}

void sim_start_all(struct sim *sim)
{
	for (u32 i = 0; i < sim->hosts; i++)
		sim_start(sim->host[i]);
}

void sim_kill(struct sim_host *h)
{
	if (!h->running)
		return;
	sim_trace(h->sim, "%s ends", h->name);
	h->running = false;
	h->suspended = false;
	h->timer_at = TIME_NEVER;
	if (h->is_map)
		mapserver_destroy(h->map);
	else
		engine_destroy(h->engine);
	h->engine = NULL;
	h->map = NULL;
	for (u32 i = 0; i < h->iface_count; i++) {
		h->iface[i].present = false;
		sim_iface_close(&h->iface[i]);
	}
	if (pool_available(h->pool) != h->pool_size)
		sim_fail(h->sim, "%s keeps %u buffers", h->name,
			 h->pool_size - pool_available(h->pool));
	pool_destroy(h->pool);
	h->pool = NULL;
	if (h->allocated)
		sim_fail(h->sim, "%s keeps %llu bytes", h->name, (unsigned long long)h->allocated);
}

void sim_suspend(struct sim_host *h)
{
	sim_trace(h->sim, "%s sleeps", h->name);
	h->suspended = true;
}

void sim_resume(struct sim_host *h)
{
	sim_trace(h->sim, "%s wakes up", h->name);
	h->suspended = false;
	sim_poke(h);
}

void sim_terminate(struct sim_host *h)
{
	if (!h->running)
		return;
	if (!h->is_map)
		engine_shutdown(h->engine, sim_clock(h));
	sim_poke(h);
	sim_kill(h);
}
