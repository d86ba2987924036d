/* SPDX-License-Identifier: MIT */
/*
 * simsocket.c - the sockets of an interface: its own, those that were opened besides, and streams.
 */
#include "sim/sim.h"

u16 sim_free_port(struct sim *sim)
{
	if (sim->next_port < SIM_PORT_FIRST)
		sim->next_port = SIM_PORT_FIRST;
	return sim->next_port++;
}

static struct sim_socket *find(struct sim_iface *i, u16 number)
{
	for (u32 n = 0; n < i->sockets; n++) {
		if (i->socket[n].number == number)
			return &i->socket[n];
	}
	return NULL;
}

static bool port_in_use(const struct sim_iface *i, u16 port)
{
	bool used = i->local.port == port;

	for (u32 n = 0; n < i->sockets; n++)
		used |= i->socket[n].port == port;
	return used;
}

u16 sim_socket_open(struct sim_iface *i, u16 number, u16 wish)
{
	struct sim_socket *s = &i->socket[i->sockets];

	if (!number || find(i, number))
		sim_fail(i->host->sim, "socket %u of %s is open", number, i->host->name);
	if (i->sockets == i->sockets_max || (wish && port_in_use(i, wish)))
		return 0;
	i->sockets++;
	*s = (struct sim_socket){ .number = number,
				  .port = wish ? wish : sim_free_port(i->host->sim) };
	return s->port;
}

void sim_socket_close(struct sim_iface *i, u16 number)
{
	struct sim_socket *s = find(i, number);

	if (!s)
		sim_fail(i->host->sim, "socket %u of %s is not open", number, i->host->name);
	*s = i->socket[--i->sockets];
}

void sim_iface_review(struct sim_iface *i)
{
	const struct engine *e = i->host->engine;

	for (u32 n = i->sockets; i->present && n-- > 0;) {
		if (!engine_wants_socket(e, i->id, i->socket[n].number))
			sim_socket_close(i, i->socket[n].number);
	}
	if (i->present)
		sim_tcp_review(i);
}

void sim_iface_close(struct sim_iface *i)
{
	i->sockets = 0;
	sim_streams_drop(i);
}

static bool socket_at(const struct sim_iface *i, const struct endpoint *e, u16 *ret_number)
{
	if (!address_equal(&i->local.address, &e->address))
		return false;
	*ret_number = 0;
	if (i->local.port == e->port)
		return true;
	for (u32 n = 0; n < i->sockets; n++) {
		if (i->socket[n].port == e->port) {
			*ret_number = i->socket[n].number;
			return true;
		}
	}
	return false;
}

bool sim_iface_has(const struct sim_iface *i, const struct endpoint *e)
{
	u16 number;

	return socket_at(i, e, &number);
}

void sim_transmit(struct sim_iface *i, u16 socket, const struct endpoint *destination,
		  const u8 *data, u32 size)
{
	const struct sim_socket *s = socket ? find(i, socket) : NULL;
	struct endpoint source = i->local;

	if (socket && !s)
		sim_fail(i->host->sim, "%s sends from socket %u, which is closed", i->host->name,
			 socket);
	if (s)
		source.port = s->port;
	sim_send_packet(i, SIM_UDP, &source, destination, data, size);
}

void sim_iface_receive(struct sim_iface *i, const struct sim_packet *p)
{
	u16 number;

	if (!i->present)
		return;
	if (i->host->sim->heard)
		i->host->sim->heard(i, &p->source);
	if (p->protocol == SIM_TCP)
		sim_stream_receive(i, p);
	else if (socket_at(i, &p->destination, &number))
		sim_host_receive(i, number, &p->source, p->data, p->size);
}
