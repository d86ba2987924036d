/* SPDX-License-Identifier: MIT */
/*
 * simtcp.c - the streams that engines demand and maps accept, as the edges serve them.
 *
 * One stream for each interface and remote endpoint; what it cannot take is lost.
 */
#include "sim/sim.h"

#include <errno.h>
#include <string.h>

static struct sim_stream *find(const struct sim_iface *i, const struct endpoint *remote)
{
	for (struct sim_stream *s = i->host->sim->streams; s; s = s->next) {
		if (s->iface == i && !s->incoming && s->state != SIM_STREAM_CLOSED &&
		    endpoint_equal(&s->remote, remote))
			return s;
	}
	return NULL;
}

void sim_tcp_demand(struct sim_iface *i, const struct demand *d)
{
	struct sim_stream *s = find(i, &d->remote);

	if (d->kind == DEMAND_OPEN_STREAM && s)
		sim_fail(i->host->sim, "%s opens a stream twice", i->host->name);
	if (d->kind == DEMAND_CLOSE_STREAM && !s)
		sim_fail(i->host->sim, "%s closes a stream that is not open", i->host->name);
	sim_trace(i->host->sim, "%s.%s: %s a stream", i->host->name, i->name,
		  s ? "closes" : "opens");
	if (s)
		sim_stream_close(s);
	else
		sim_stream_open(i, &d->remote);
}

void sim_tcp_review(struct sim_iface *i)
{
	for (struct sim_stream *s = i->host->sim->streams; s; s = s->next) {
		if (s->iface == i && !s->incoming && s->state != SIM_STREAM_CLOSED &&
		    !engine_wants_stream(i->host->engine, i->id, &s->remote))
			sim_stream_close(s);
	}
}

static int send_all(struct sim_stream *s, struct buf *b)
{
	sim_stream_send(s, buf_data(b), b->length);
	return 0;
}

int sim_tcp_send(struct sim_iface *i, struct buf *b, const struct endpoint *remote)
{
	struct sim_stream *s = find(i, remote);

	if (b->length > 2048)
		return EMSGSIZE;
	if (b->segment)
		sim_fail(i->host->sim, "%s sends a train over a stream", i->host->name);
	return s ? send_all(s, b) : 0;
}

int sim_tcp_answer(struct sim_host *map, u32 listener, struct buf *b)
{
	for (struct sim_stream *s = map->sim->streams; s; s = s->next) {
		if (s->iface->host == map && s->incoming && s->number == listener &&
		    s->state == SIM_STREAM_OPEN)
			return send_all(s, b);
	}
	return ENOTCONN;
}

static void map_event(struct sim_stream *s, enum sim_stream_event event, const u8 *data, u32 size)
{
	struct sim_host *h = s->iface->host;
	struct buf *b;

	if (event == SIM_STREAM_BEGAN) {
		s->number = mapserver_stream(h->streams_begun % SIM_MAP_STREAMS,
					     h->streams_begun / SIM_MAP_STREAMS);
		h->streams_begun++;
	} else if (event == SIM_STREAM_ENDED) {
		mapserver_stream_closed(h->map, h->sim->now, s->number);
	} else if (s->number) { /* else it came while the map was suspended */
		b = buf_get(h->pool);
		if (!b)
			return;
		memcpy(buf_data(b), data, size);
		b->length = size;
		mapserver_receive(h->map, h->sim->now, s->number, &s->remote, b);
	}
}

void sim_tcp_event(struct sim_stream *s, enum sim_stream_event event, const u8 *data, u32 size)
{
	struct sim_host *h = s->iface->host;

	if (!h->running || h->suspended || !s->iface->present)
		return;
	if (h->is_map)
		map_event(s, event, data, size);
	else if (event == SIM_STREAM_BEGAN)
		engine_stream_opened(h->engine, sim_clock(h), s->iface->id, &s->remote);
	else if (event == SIM_STREAM_ENDED)
		engine_stream_closed(h->engine, sim_clock(h), s->iface->id, &s->remote);
	else
		sim_host_receive(s->iface, SOCKET_STREAM, &s->remote, data, size);
	sim_poke(h);
}
