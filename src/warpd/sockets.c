/* SPDX-License-Identifier: MIT */
/*
 * sockets.c - more UDP sockets of a link, as the engine demands them: on the link's address and device,
 * on ports of their own. They go with the link.
 */
#include "warpd/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "warp/log.h"

struct extra {
	struct extra *next;
	struct link *link;
	u16 number;
	struct udp *udp;
	ev_io read;
};

static struct extra **find(struct link *l, u16 number)
{
	struct extra **at = &l->extras;

	while (*at && (*at)->number != number)
		at = &(*at)->next;
	return at;
}

struct udp *socket_of(struct link *l, u16 number)
{
	struct extra *x = number ? *find(l, number) : NULL;

	if (!number)
		return l->udp;
	return x ? x->udp : NULL;
}

u64 link_queued(const struct link *l)
{
	u64 sum = udp_queued(l->udp);

	for (const struct extra *x = l->extras; x; x = x->next)
		sum += udp_queued(x->udp);
	return sum;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);
	struct extra *x = w->data;

	(void)events;
	link_read(d, x->link, x->udp, x->number);
	drain(d);
}

static void open_socket(struct daemon *d, struct link *l, const struct demand *demand)
{
	struct udp_options options = { .ifindex = l->address.ifindex };
	struct extra *x = calloc(1, sizeof(*x));
	int error = -1;

	options.local.address = l->address.address;
	options.local.port = demand->port;
	if (d->conf->interfaces.bind_to_device)
		memcpy(options.ifname, l->address.ifname, sizeof(options.ifname));
	if (x && !*find(l, demand->socket))
		error = udp_open(&x->udp, &options);
	if (error) {
		free(x);
		engine_socket_failed(d->engine, d->now, l->iface, demand->socket);
		return;
	}
	x->link = l;
	x->number = demand->socket;
	x->next = l->extras;
	l->extras = x;
	ev_io_init(&x->read, on_readable, udp_fd(x->udp), EV_READ);
	x->read.data = x;
	ev_io_start(d->loop, &x->read);
	engine_socket_opened(d->engine, d->now, l->iface, x->number, udp_local(x->udp)->port);
}

static void close_socket(struct daemon *d, struct extra **at)
{
	struct extra *x = *at;

	if (!x)
		return;
	*at = x->next;
	if (x->link->blocked && x->link->write.fd == udp_fd(x->udp))
		link_set_blocked(d, x->link, NULL);
	ev_io_stop(d->loop, &x->read);
	udp_close(x->udp);
	free(x);
}

/* Closes what has been forgotten. */
static void review(struct daemon *d, struct link *l)
{
	struct extra **at = &l->extras;

	while (*at) {
		if (engine_wants_socket(d->engine, l->iface, (*at)->number))
			at = &(*at)->next;
		else
			close_socket(d, at);
	}
	streams_review(d, l);
}

static void review_all(struct daemon *d)
{
	for (u32 n = 0; n < MAX_IFACES; n++) {
		if (d->links[n].used)
			review(d, &d->links[n]);
	}
}

bool sockets_serve(struct daemon *d)
{
	struct demand demand;
	bool any = false;

	while (engine_next_demand(d->engine, &demand)) {
		struct link *l = &d->links[demand.iface];

		any = true;
		if (demand.kind == DEMAND_REVIEW)
			review_all(d);
		else if (!l->used)
			continue;
		else if (demand.kind == DEMAND_OPEN_SOCKET)
			open_socket(d, l, &demand);
		else if (demand.kind == DEMAND_CLOSE_SOCKET)
			close_socket(d, find(l, demand.socket));
		else
			streams_serve(d, l, &demand);
	}
	return any;
}

void sockets_close(struct daemon *d, struct link *l)
{
	while (l->extras)
		close_socket(d, &l->extras);
}
