/* SPDX-License-Identifier: MIT */
/*
 * demand.c - what the engine wants of the edge, until the edge asks: sockets and streams that open and
 * close.
 *
 * Nobody can say how many there are at most: an attempt that ends gives back 256 sockets, and attempts of
 * many peers may end at once. When there are too many, some are lost, and the last that the edge is given is
 * to look at all that it holds: what is not wanted any more goes. What was to be opened and has been
 * lost is missed by whoever wanted it, who has not forever to wait.
 */
#include "punch.h"

void engine_demand(struct engine *e, const struct demand *d)
{
	if (e->demand_tail - e->demand_head < DEMANDS)
		e->demands[e->demand_tail++ % DEMANDS] = *d;
	else
		e->demands_lost = true;
}

bool engine_next_demand(struct engine *e, struct demand *ret)
{
	if (e->demand_head != e->demand_tail) {
		*ret = e->demands[e->demand_head++ % DEMANDS];
		return true;
	}
	if (!e->demands_lost)
		return false;
	e->demands_lost = false;
	*ret = (struct demand){ .kind = DEMAND_REVIEW };
	return true;
}

void demand_forget_iface(struct engine *e, u8 iface)
{
	u32 to = e->demand_head;

	for (u32 from = to; from != e->demand_tail; from++) {
		if (e->demands[from % DEMANDS].iface != iface)
			e->demands[to++ % DEMANDS] = e->demands[from % DEMANDS];
	}
	e->demand_tail = to;
}

bool engine_wants_socket(const struct engine *e, u8 iface, u16 socket)
{
	if (!iface_get(e, iface))
		return false;
	if (socket >= PATH_SOCKET_FIRST)
		return punch_wants_socket(e, iface, socket);
	return socket == 0 || nattest_wants_socket(e, iface, socket);
}

bool engine_wants_stream(const struct engine *e, u8 iface, const struct endpoint *remote)
{
	for (u32 n = 0; n < MAX_MAPS && iface_get(e, iface); n++) {
		const struct map_stream *s = &e->maps[n].streams[iface];

		if (e->maps[n].used && s->state != MAP_STREAM_NONE &&
		    endpoint_equal(&s->remote, remote))
			return true;
	}
	return false;
}
