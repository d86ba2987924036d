/* SPDX-License-Identifier: MIT */
/*
 * links.c - a socket of its own for each usable local address, as netmon tells them.
 *
 * The socket is opened at once, the engine's interface with it; both go together. When opening
 * fails (the address has just gone, or is not quite there) it is tried again soon.
 */
#include "warpd/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "warp/log.h"
#include "warp/text.h"

static struct link *find(struct daemon *d, const struct netmon_address *a)
{
	u32 i;

	for (i = 0; i < MAX_IFACES; i++) {
		struct link *l = &d->links[i];

		if (l->used && l->address.ifindex == a->ifindex &&
		    address_equal(&l->address.address, &a->address) &&
		    !strcmp(l->address.ifname, a->ifname))
			return l;
	}
	return NULL;
}

/* --- watchers ----------------------------------------------------------------------------- */

u32 link_read(struct daemon *d, struct link *l, struct udp *udp, u16 socket)
{
	struct received received[LINK_BATCH];
	int i, count = udp_receive(udp, d->batch, received, LINK_BATCH);
	u32 bytes = 0;

	if (count > 0)
		spin_traffic(&d->spin, d->now);
	for (i = 0; i < count; i++) {
		bytes += received[i].buf->length;
		engine_receive(d->engine, d->now, l->iface, socket, &received[i].source,
			       received[i].buf);
		/* A train may hold many payloads, and the engine's queue is bounded. */
		if (engine_deliveries(d->engine) >= DELIVERIES_AT_ONCE)
			drain(d);
	}
	return count < (int)LINK_BATCH ? 0 : bytes;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);
	struct link *l = w->data;
	u32 bytes = 0, batches = 0, more;

	(void)events;
	do {
		more = link_read(d, l, l->udp, 0);
		bytes += more;
		/* Each train holds a buffer until then, however small it is. */
		if (++batches % LINK_BATCHES == 0)
			drain(d);
	} while (more && bytes < LINK_BYTES);
	drain(d);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);

	(void)events;
	link_set_blocked(d, w->data, NULL);
	drain(d);
}

void link_set_blocked(struct daemon *d, struct link *l, const struct udp *full)
{
	l->blocked = full != NULL;
	ev_io_stop(d->loop, &l->write);
	if (!full)
		return;
	ev_io_set(&l->write, udp_fd(full), EV_WRITE);
	ev_io_start(d->loop, &l->write);
}

/* --- opening and closing ------------------------------------------------------------------ */

static void start(struct daemon *d, struct link *l)
{
	l->used = true;
	ev_io_init(&l->read, on_readable, udp_fd(l->udp), EV_READ);
	ev_io_init(&l->write, on_writable, udp_fd(l->udp), EV_WRITE);
	l->read.data = l->write.data = l;
	ev_io_start(d->loop, &l->read);
}

static int add_to_engine(struct daemon *d, const struct netmon_address *a, struct udp *udp)
{
	struct iface_options options = { .local = *udp_local(udp), .mtu = a->mtu };
	u8 index;
	int error;

	memcpy(options.name, a->ifname, sizeof(options.name));
	error = engine_iface_add(d->engine, d->now, &options, &index);
	if (error)
		return error;
	d->links[index] = (struct link){ .iface = index, .address = *a, .udp = udp };
	start(d, &d->links[index]);
	policy_apply(d, &d->links[index]);
	ports_add(d, &d->links[index]);
	return 0;
}

static int open_link(struct daemon *d, const struct netmon_address *a)
{
	const struct conf_interfaces *conf = &d->conf->interfaces;
	struct udp_options options = { .local = { .address = a->address,
						  .port = conf->listen_port },
				       .ifindex = a->ifindex,
				       .trains = d->conf->offload };
	struct udp *udp;
	int error;

	if (conf->bind_to_device)
		memcpy(options.ifname, a->ifname, sizeof(options.ifname));
	error = udp_open(&udp, &options);
	if (error)
		return error;
	error = add_to_engine(d, a, udp);
	if (error)
		udp_close(udp);
	return error;
}

static void add(struct daemon *d, const struct netmon_address *a)
{
	int error = open_link(d, a);

	if (!error) {
		log_info("%s: %s is used", a->ifname, address_text(&a->address));
		hosts_hurry(d);
		return;
	}
	log_warnx("%s: %s cannot be used yet: %s", a->ifname, address_text(&a->address),
		  strerror(-error));
	d->next_retry = time_min(d->next_retry, d->now + RETRY_DELAY);
}

static void close_link(struct daemon *d, struct link *l)
{
	ports_remove(d, l);
	policy_count(d, l);
	engine_iface_remove(d->engine, d->now, l->iface);
	ev_io_stop(d->loop, &l->read);
	ev_io_stop(d->loop, &l->write);
	sockets_close(d, l);
	streams_close(d, l);
	udp_close(l->udp);
	l->used = false;
}

void links_retry(struct daemon *d)
{
	struct netmon_address a;
	size_t i;

	d->next_retry = TIME_NEVER;
	for (i = 0; netmon_usable(d->netmon, i, &a); i++) {
		if (!find(d, &a))
			add(d, &a);
	}
}

void links_reopen(struct daemon *d)
{
	links_close(d);
	links_retry(d);
}

void links_close(struct daemon *d)
{
	u32 i;

	for (i = 0; i < MAX_IFACES; i++) {
		if (d->links[i].used)
			close_link(d, &d->links[i]);
	}
}

/* --- what netmon tells -------------------------------------------------------------------- */

static void on_added(void *ctx, const struct netmon_address *a)
{
	struct daemon *d = ctx;

	if (!find(d, a))
		add(d, a);
}

static void on_removed(void *ctx, const struct netmon_address *a)
{
	struct daemon *d = ctx;
	struct link *l = find(d, a);

	if (!l)
		return;
	log_info("%s: %s is gone", a->ifname, address_text(&a->address));
	close_link(d, l);
}

static void on_changed(void *ctx, const struct netmon_address *a)
{
	struct daemon *d = ctx;
	struct link *l = find(d, a);

	if (!l)
		return;
	l->address.mtu = a->mtu;
	engine_iface_set_mtu(d->engine, d->now, l->iface, a->mtu);
}

/* ifindex 0: several interfaces. */
static void on_routed(void *ctx, u32 ifindex)
{
	struct daemon *d = ctx;
	u32 i;

	for (i = 0; i < MAX_IFACES; i++) {
		struct link *l = &d->links[i];

		if (!l->used || (ifindex && l->address.ifindex != ifindex))
			continue;
		ports_routed(d, l);
		if (d->now < l->routed_at + ROUTED_INTERVAL)
			continue;
		l->routed_at = d->now;
		engine_iface_routed(d->engine, d->now, l->iface);
	}
	hosts_hurry(d);
}

static const struct netmon_ops netmon_ops = {
	.added = on_added,
	.removed = on_removed,
	.changed = on_changed,
	.routed = on_routed,
};

/* The patterns, and which interfaces are warp's own. */
int links_configure(struct daemon *d)
{
	const struct conf_interfaces *conf = &d->conf->interfaces;
	const char *own[MAX_TUNNELS];
	struct netmon_options options = { .inclusion = conf->inclusion_patterns,
					  .inclusion_count = conf->inclusion_count,
					  .exclusion = conf->exclusion_patterns,
					  .exclusion_count = conf->exclusion_count,
					  .own = own };
	size_t i;
	int error;

	for (i = 0; i < d->conf->tunnel_count && options.own_count < MAX_TUNNELS; i++) {
		if (d->conf->tunnels[i].gate.kind == GATE_TUN)
			own[options.own_count++] = d->conf->tunnels[i].gate.tun;
	}
	if (d->netmon)
		error = netmon_configure(d->netmon, &options);
	else
		error = netmon_create(&d->netmon, &options, &netmon_ops, d);
	if (error)
		log_errorx("local addresses cannot be followed: %s", strerror(-error));
	return error;
}
