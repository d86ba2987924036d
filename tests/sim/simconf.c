/* SPDX-License-Identifier: MIT */
/*
 * simconf.c - what hosts are told: interfaces, peers, maps, tunnels. Kept beside the engine, so that
 * a host that restarts is told the same again.
 */
#include "sim/sim.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

struct endpoint sim_endpoint(const char *address, u16 port)
{
	struct endpoint e = { .port = port };

	if (inet_pton(AF_INET, address, e.address.bytes) == 1)
		e.address.family = 4;
	else if (inet_pton(AF_INET6, address, e.address.bytes) == 1)
		e.address.family = 6;
	return e;
}

/* --- interfaces ---------------------------------------------------------------------------- */

static void tell_engine(struct sim_iface *i)
{
	struct sim_host *h = i->host;
	struct iface_options options = { .local = i->local, .mtu = i->mtu, .policy = i->policy };

	if (!h->running || i->present)
		return;
	if (h->is_map) {
		i->id = (u8)(i - h->iface);
		i->present = true;
		mapserver_set_listener(h->map, i->id, &i->local);
		return;
	}
	memcpy(options.name, i->name, sizeof(options.name));
	if (engine_iface_add(h->engine, sim_clock(h), &options, &i->id))
		sim_fail(h->sim, "engine_iface_add %s.%s", h->name, i->name);
	i->present = true;
}

struct sim_iface *sim_iface(struct sim_host *h, const char *name, const char *address,
			    struct sim_nat *realm)
{
	struct sim_iface *i = &h->iface[h->iface_count++];

	if (h->iface_count > SIM_IFACES)
		sim_fail(h->sim, "too many interfaces");
	memset(i, 0, sizeof(*i));
	i->host = h;
	snprintf(i->name, sizeof(i->name), "%s", name);
	i->local = sim_endpoint(address, h->is_map ? WIRE_PORT_MAP : sim_free_port(h->sim));
	i->realm = realm;
	i->mtu = 1500;
	i->sockets_max = SIM_SOCKETS;
	i->wanted = true;
	tell_engine(i);
	sim_poke(h);
	return i;
}

struct sim_iface *sim_map_listen(struct sim_host *map, const char *address, u16 port)
{
	char name[IFNAME_SIZE];
	struct sim_iface *i;

	snprintf(name, sizeof(name), "eth%u", map->iface_count);
	i = sim_iface(map, name, address, NULL);
	i->local.port = port;
	i->listens = true;
	return i;
}

void sim_iface_link(struct sim_iface *i, const struct sim_link *parameters)
{
	i->out = *parameters;
	i->in = *parameters;
}

void sim_iface_remove(struct sim_iface *i)
{
	struct sim_host *h = i->host;

	sim_trace(h->sim, "%s loses %s", h->name, i->name);
	i->wanted = false;
	sim_iface_close(i);
	if (!i->present)
		return;
	i->present = false;
	if (!h->is_map)
		engine_iface_remove(h->engine, sim_clock(h), i->id);
	sim_poke(h);
}

void sim_iface_add(struct sim_iface *i)
{
	sim_trace(i->host->sim, "%s gets %s", i->host->name, i->name);
	i->wanted = true;
	if (!i->host->is_map)
		i->local.port = sim_free_port(i->host->sim);
	tell_engine(i);
	sim_poke(i->host);
}

void sim_iface_readdress(struct sim_iface *i, const char *address)
{
	sim_iface_remove(i);
	i->local = sim_endpoint(address, i->local.port);
	sim_iface_add(i);
}

/* --- peers, maps, tunnels ------------------------------------------------------------------ */

struct sim_peer *sim_peer(struct sim_host *h, struct sim_host *other)
{
	struct sim_peer *p = &h->peer[h->peer_count++];

	if (h->peer_count > SIM_PEERS)
		sim_fail(h->sim, "too many peers");
	p->host = other;
	return p;
}

static void give_endpoints(struct sim_peer *p, const struct sim_host *of)
{
	for (u32 i = 0; i < of->iface_count && p->endpoint_count < MAX_PEER_ENDPOINTS; i++)
		p->endpoint[p->endpoint_count++] = of->iface[i].local;
}

void sim_befriend(struct sim_host *a, struct sim_host *b, bool endpoints)
{
	struct sim_peer *for_a = sim_peer(a, b), *for_b = sim_peer(b, a);

	if (!endpoints)
		return;
	give_endpoints(for_a, b);
	give_endpoints(for_b, a);
}

void sim_use_map(struct sim_host *h, struct sim_host *map)
{
	if (h->map_count == SIM_MAPS)
		sim_fail(h->sim, "too many maps");
	h->maps[h->map_count++] = map;
}

u16 sim_tunnel(struct sim_host *h, const struct tunnel_options *options)
{
	struct tunnel_options *t = &h->tunnel[h->tunnel_count];

	if (h->tunnel_count == SIM_TUNNELS || options->peer_count > 1)
		sim_fail(h->sim, "too many tunnels, or peers in one");
	*t = *options;
	if (options->peer_count) {
		h->tunnel_peer[h->tunnel_count] = options->peers[0];
		t->peers = &h->tunnel_peer[h->tunnel_count];
	}
	if (!t->id)
		t->id = tunnel_id_from_name(t->name);
	return (u16)h->tunnel_count++;
}

u16 sim_tunnel_named(struct sim_host *h, const char *name)
{
	struct tunnel_options options = { 0 };

	snprintf(options.name, sizeof(options.name), "%s", name);
	return sim_tunnel(h, &options);
}

static void configure_peer(struct sim_host *h, struct sim_peer *p)
{
	struct peer_options options = { .allowed_ips = p->allowed,
					.allowed_ip_count = p->allowed_count };
	u16 index;

	snprintf(options.name, sizeof(options.name), "%s", p->host->name);
	memcpy(options.public_key, p->host->identity.public_key, KEY_SIZE);
	memcpy(options.preshared_key, p->preshared_key, KEY_SIZE);
	if (engine_add_peer(h->engine, sim_clock(h), &options, &index) ||
	    index != (u16)(p - h->peer))
		sim_fail(h->sim, "engine_add_peer %s at %s", p->host->name, h->name);
	if (p->endpoint_count)
		engine_set_peer_endpoints(h->engine, sim_clock(h), index, p->endpoint,
					  p->endpoint_count);
}

/* The first listener of each address family. */
static size_t map_endpoints(const struct sim_host *map, struct endpoint ret[2])
{
	size_t count = 0;

	for (u32 i = 0; i < map->iface_count && count < 2; i++) {
		const struct endpoint *e = &map->iface[i].local;

		if (!count || ret[0].address.family != e->address.family)
			ret[count++] = *e;
	}
	return count;
}

static void configure_map(struct sim_host *h, u32 n)
{
	const struct sim_host *map = h->maps[n];
	struct endpoint endpoint[2];
	const size_t count = map_endpoints(map, endpoint);
	u16 index;

	if (engine_add_map(h->engine, sim_clock(h), map->identity.public_key, &index) || index != n)
		sim_fail(h->sim, "engine_add_map at %s", h->name);
	engine_set_map_stream_port(h->engine, sim_clock(h), index, WIRE_PORT_MAP);
	engine_set_map_endpoints(h->engine, sim_clock(h), index, endpoint, count);
}

void sim_configure(struct sim_host *h)
{
	u16 index;

	for (u32 i = 0; i < h->peer_count; i++)
		configure_peer(h, &h->peer[i]);
	for (u32 i = 0; i < h->map_count; i++)
		configure_map(h, i);
	for (u32 i = 0; i < h->tunnel_count; i++) {
		if (engine_add_tunnel(h->engine, &h->tunnel[i], &index) || index != i)
			sim_fail(h->sim, "engine_add_tunnel at %s", h->name);
	}
	for (u32 i = 0; i < h->iface_count; i++) {
		if (h->iface[i].wanted)
			tell_engine(&h->iface[i]);
	}
}

/* --- looking ------------------------------------------------------------------------------- */

bool sim_connected(const struct sim_host *h, u16 peer)
{
	struct peer_view v;

	return h->running && engine_view_peer(h->engine, peer, &v) && v.connected;
}

u32 sim_paths_in_state(const struct sim_host *h, u16 peer, enum path_state state)
{
	u32 count = 0;

	for (u32 i = 0; h->running && i < MAX_PEER_PATHS; i++) {
		struct path_view v;

		if (engine_view_path(h->engine, peer, i, &v) && v.state == state)
			count++;
	}
	return count;
}

bool sim_find_path(const struct sim_host *h, u16 peer, const struct sim_iface *i,
		   const struct endpoint *remote, struct path_view *ret)
{
	for (u32 n = 0; h->running && n < MAX_PEER_PATHS; n++) {
		struct path_view v;

		if (!engine_view_path(h->engine, peer, n, &v) || v.iface != i->id)
			continue;
		if (remote && !endpoint_equal(remote, &v.remote))
			continue;
		*ret = v;
		return true;
	}
	return false;
}
