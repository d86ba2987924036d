/* SPDX-License-Identifier: MIT */
/*
 * ports.c - routers are asked to let others in, to each link's socket; the engine is told what they
 * say.
 */
#include "warpd/daemon.h"

#include <poll.h>
#include <string.h>

#include "warp/log.h"
#include "warp/memory.h"
#include "warp/text.h"
#include "warp/view.h"

static void on_mapped(void *ctx, u8 iface, const struct portmap_mapping *mapping)
{
	struct daemon *d = ctx;
	struct iface_view v;

	if (!engine_view_iface(d->engine, iface, &v))
		return;
	if (!mapping->protocol)
		log_info("%s: %s: the router lets others in no longer", v.name,
			 endpoint_text(&v.local));
	else if (!endpoint_equal(&v.mapped, &mapping->external))
		log_info("%s: %s: the router lets others in at %s (%s, for %u s)", v.name,
			 endpoint_text(&v.local), endpoint_text(&mapping->external),
			 portmap_protocol_name(mapping->protocol), mapping->lifetime);
	engine_iface_mapped(d->engine, d->now, iface, &mapping->external);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);

	(void)w;
	(void)events;
	portmap_read(d->ports, d->now);
	drain(d);
}

/* --- links -------------------------------------------------------------------------------- */

void ports_add(struct daemon *d, const struct link *l)
{
	struct portmap_iface what = { .ifindex = l->address.ifindex, .local = *udp_local(l->udp) };

	if (!d->ports)
		return;
	memcpy(what.ifname, l->address.ifname, sizeof(what.ifname));
	portmap_add(d->ports, d->now, l->iface, &what);
}

void ports_remove(struct daemon *d, const struct link *l)
{
	if (d->ports)
		portmap_remove(d->ports, d->now, l->iface);
}

void ports_routed(struct daemon *d, const struct link *l)
{
	if (d->ports)
		portmap_routed(d->ports, d->now, l->iface);
}

/* --- begin and end ------------------------------------------------------------------------ */

static void end(struct daemon *d)
{
	const struct endpoint none = { .port = 0 };
	u32 i;

	if (!d->ports)
		return;
	for (i = 0; i < MAX_IFACES; i++) {
		if (!d->links[i].used)
			continue;
		ports_remove(d, &d->links[i]);
		engine_iface_mapped(d->engine, d->now, d->links[i].iface, &none);
	}
	ports_close(d);
}

int ports_configure(struct daemon *d)
{
	static const struct portmap_ops ops = { .mapped = on_mapped };
	const struct conf_interfaces *conf = &d->conf->interfaces;
	struct portmap_options options = {
		.lifetime = (u32)(conf->port_mapping_lifetime / NS_PER_S),
		.bind_to_device = conf->bind_to_device,
		.random = system_random,
	};
	u32 i;
	int error;

	end(d);
	if (!conf->port_mapping)
		return 0;
	error = portmap_create(&d->ports, &options, &ops, d);
	if (error)
		return error;
	ev_io_init(&d->ports_io, on_readable, portmap_fd(d->ports), EV_READ);
	ev_io_start(d->loop, &d->ports_io);
	for (i = 0; i < MAX_IFACES; i++) {
		if (d->links[i].used)
			ports_add(d, &d->links[i]);
	}
	return 0;
}

void ports_close(struct daemon *d)
{
	if (!d->ports)
		return;
	ev_io_stop(d->loop, &d->ports_io);
	portmap_destroy(d->ports);
	d->ports = NULL;
}

/* --- time --------------------------------------------------------------------------------- */

u64 ports_next_expiry(const struct daemon *d)
{
	return d->ports ? portmap_next_expiry(d->ports) : TIME_NEVER;
}

void ports_expire(struct daemon *d)
{
	portmap_expire(d->ports, d->now);
}

void ports_release(struct daemon *d)
{
	if (d->ports)
		portmap_release(d->ports, d->now);
}

void ports_finish(struct daemon *d, u64 until)
{
	struct pollfd fd = { .events = POLLIN };
	u64 next;

	if (!d->ports)
		return;
	fd.fd = portmap_fd(d->ports);
	for (; !portmap_released(d->ports) && d->now < until; d->now = clock_now()) {
		next = time_min(until, ports_next_expiry(d));
		next = next > d->now ? next - d->now : 0;
		poll(&fd, 1, (int)(next / NS_PER_MS) + 1);
		d->now = clock_now();
		portmap_read(d->ports, d->now);
		portmap_expire(d->ports, d->now);
	}
}
