/* SPDX-License-Identifier: MIT */
/*
 * stream.c - the way to a map over TCP, for an interface on which UDP to it is silent.
 *
 *   NONE     what went to the map over UDP was not answered for a while: the edge is asked for a
 *            connection
 *   OPENING  UDP is tried on. If it is answered, nothing comes of the connection
 *   OPEN     leads: what is said to the map, and what it forwards, goes over the connection. UDP is
 *            tried now and then; when it is answered it is taken again, the interface is registered
 *            anew, and the connection stands by for a while before it goes
 *
 * Over a connection go the same datagrams as over UDP, sealed in the same session, each behind its
 * length. The map takes the connection for where the interface is, and tells nobody of an
 * endpoint that could be sent to: peers reach it through the map.
 */
#include "engine_internal.h"

/* RFC 8305 (Happy Eyeballs) 8: the next attempt begins no less than 100 ms after the first. What is
 * to be there in a second has to wait for two handshakes after this one. */
#define PATIENCE_FIRST (100 * NS_PER_MS)
/* Where UDP was answered before, a question or two may just be lost. */
#define PATIENCE_LEAST (400 * NS_PER_MS)
#define PATIENCE_MOST (2 * NS_PER_S)
#define PATIENCE_ANSWERS 4u /* as long as so many answers */
#define OPENING_TIME (5 * NS_PER_S)
#define ANSWER_TIME (5 * NS_PER_S) /* some networks accept connections in the name of everybody */
#define STAND_BY (15 * NS_PER_S)
#define AGAIN_SOON (100 * NS_PER_MS)
#define AGAIN_FIRST (1 * NS_PER_S)
#define AGAIN_MAX (60 * NS_PER_S)
#define UDP_FIRST (1 * NS_PER_S) /* doubles */
#define UDP_MAX (15 * NS_PER_S)
#define DOUBLINGS 6u
#define SILENT_TRIES 3u /* one more without an answer: the connection leads nowhere any more */

static struct map_stream *stream_of(struct map *m, u8 iface)
{
	return &m->streams[iface];
}

static u64 back_off(u64 first, u32 times, u64 max)
{
	return time_min(first << (times < DOUBLINGS ? times : DOUBLINGS), max);
}

/* --- the edge -------------------------------------------------------------------------------- */

static void demand(struct engine *e, enum demand_kind kind, u8 iface, const struct endpoint *remote)
{
	engine_demand(e, &(struct demand){ .kind = kind,
					   .iface = iface,
					   .socket = SOCKET_STREAM,
					   .remote = *remote });
}

static void open_stream(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);

	s->remote = *map_endpoint(e, m, iface);
	s->remote.port = m->stream_port;
	s->state = MAP_STREAM_OPENING;
	s->until = now + OPENING_TIME;
	demand(e, DEMAND_OPEN_STREAM, iface, &s->remote);
}

static void set_leads(struct engine *e, struct map *m, u8 iface, bool leads)
{
	struct map_stream *s = stream_of(m, iface);

	if (s->leads != leads)
		engine_notice(e, NOTICE_STREAM, m->index, iface, leads);
	s->leads = leads;
}

static void close_stream(struct engine *e, struct map *m, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);

	if (s->state != MAP_STREAM_NONE)
		demand(e, DEMAND_CLOSE_STREAM, iface, &s->remote);
	s->state = MAP_STREAM_NONE;
	set_leads(e, m, iface, false);
}

/* It has ended. One that was answered over is opened again soon. */
static void stream_ended(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);

	s->state = MAP_STREAM_NONE;
	set_leads(e, m, iface, false);
	s->again_at = now + (s->failures ? back_off(AGAIN_FIRST, s->failures - 1, AGAIN_MAX) :
					   AGAIN_SOON);
	s->failures++;
	map_arm(e, m, s->again_at);
}

/* The map is spoken to over the stream from now on; it has to be told at once where we are. One that
 * has closed a connection may have been restarted: then it knows our keys no more. */
static void lead(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);
	struct registration *r = &m->registrations[iface];

	set_leads(e, m, iface, true);
	iface_wake(e, iface);
	s->settle = false;
	s->udp_tries = 0;
	s->udp_at = s->answer_time ? now : now + UDP_FIRST;
	s->until = now + ANSWER_TIME;
	if (r->state == REG_WANTED || r->state == REG_DONE) {
		r->next = now;
		r->tries = 0;
	}
	m->next_query = time_min(m->next_query, now);
	stream_send_initiation(e, m, now);
	if (s->failures || !(assoc_initiation(&m->assoc) || assoc_ready(&m->assoc, now)))
		assoc_kick(e->hub, &m->assoc, now); /* over UDP too: it may be back as well */
	map_arm(e, m, now);
}

void engine_stream_opened(struct engine *e, u64 now, u8 iface, const struct endpoint *remote)
{
	for (u32 n = 0; n < MAX_MAPS && iface_get(e, iface); n++) {
		struct map *m = &e->maps[n];
		struct map_stream *s = stream_of(m, iface);

		if (!m->used || s->state != MAP_STREAM_OPENING ||
		    !endpoint_equal(&s->remote, remote))
			continue;
		s->state = MAP_STREAM_OPEN;
		lead(e, m, now, iface);
	}
}

void engine_stream_closed(struct engine *e, u64 now, u8 iface, const struct endpoint *remote)
{
	for (u32 n = 0; n < MAX_MAPS && iface_get(e, iface); n++) {
		struct map *m = &e->maps[n];
		struct map_stream *s = stream_of(m, iface);

		if (m->used && s->state != MAP_STREAM_NONE && endpoint_equal(&s->remote, remote))
			stream_ended(e, m, now, iface);
	}
}

bool stream_leads(const struct engine *e, u8 iface)
{
	bool leads = false;

	for (u32 n = 0; n < MAX_MAPS; n++)
		leads |= e->maps[n].used && e->maps[n].streams[iface].leads;
	return leads;
}

/* --- what is said ---------------------------------------------------------------------------- */

bool map_way(const struct engine *e, const struct map *m, u8 iface, struct map_way *ret)
{
	const struct endpoint *to = map_endpoint(e, m, iface);
	const struct map_stream *s = &m->streams[iface];

	if (!to)
		return false;
	*ret = (struct map_way){ .iface = iface, .to = *to };
	if (s->leads) {
		ret->to = s->remote;
		ret->socket = SOCKET_STREAM;
	}
	return true;
}

void stream_send_initiation(struct engine *e, struct map *m, u64 now)
{
	const u8 *bytes = assoc_initiation(&m->assoc);

	for (u32 mask = e->iface_mask; bytes && mask; mask &= mask - 1) {
		u8 iface = (u8)__builtin_ctz(mask);
		const struct map_stream *s = stream_of(m, iface);

		if (s->leads)
			iface_queue_bytes(e, now, iface, SOCKET_STREAM, &s->remote, bytes,
					  WIRE_INITIATION_SIZE);
	}
}

static u64 patience(const struct map_stream *s)
{
	u64 wanted = s->answer_time * PATIENCE_ANSWERS;

	if (!s->answer_time)
		return PATIENCE_FIRST;
	return time_min(wanted > PATIENCE_LEAST ? wanted : PATIENCE_LEAST, PATIENCE_MOST);
}

/* When UDP counts as silent. */
static u64 silent_at(const struct map_stream *s)
{
	return s->asked_at ? s->asked_at + patience(s) : TIME_NEVER;
}

void stream_asked(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);

	if (s->asked_at || !m->stream_port)
		return;
	s->asked_at = now;
	map_arm(e, m, silent_at(s));
}

/* UDP is back: it is registered, twice, as the answer to the first may be to something older. */
static void udp_is_back(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);
	struct registration *r = &m->registrations[iface];

	set_leads(e, m, iface, false);
	s->settle = true;
	s->until = now + STAND_BY;
	if (r->state == REG_DONE || r->state == REG_WANTED)
		r->next = now;
	map_arm(e, m, now);
}

/* From the first question that was not answered on: what is lost makes it longer. */
static void measure(struct map_stream *s, u64 now)
{
	u64 time = s->asked_at ? now - s->asked_at + 1 : 1, before = s->answer_time / 8 * 7;

	if (s->asked_at || !s->answer_time)
		s->answer_time = time > before ? time : before;
	s->asked_at = 0;
}

void stream_answered(struct engine *e, struct map *m, const struct arrival *in)
{
	struct map_stream *s = stream_of(m, in->iface);

	if (in->socket == SOCKET_STREAM) {
		s->failures = 0;
		if (s->leads)
			s->until = TIME_NEVER;
		nattest_map_alive(e, m, in->now, in->iface);
	}
	if (in->socket != 0 || in->source.address.family == ADDRESS_RELAY)
		return;
	measure(s, in->now);
	if (s->state == MAP_STREAM_OPENING)
		close_stream(e, m, in->iface);
	else if (s->leads)
		udp_is_back(e, m, in->now, in->iface);
}

void stream_registered(struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);

	if (s->settle)
		m->registrations[iface].next = now;
	s->settle = false;
}

void stream_suspect(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);

	if (!s->leads || m->registrations[iface].tries <= SILENT_TRIES)
		return;
	close_stream(e, m, iface);
	stream_ended(e, m, now, iface);
}

/* --- what changes ---------------------------------------------------------------------------- */

void stream_check(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);
	const struct endpoint *to = map_endpoint(e, m, iface);

	s->again_at = now;
	if (s->state == MAP_STREAM_NONE)
		return;
	if (!to || !address_equal(&to->address, &s->remote.address) ||
	    s->remote.port != m->stream_port)
		close_stream(e, m, iface);
}

void stream_hurry(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);

	s->again_at = now;
	s->udp_tries = 0;
	if (s->leads)
		s->udp_at = now;
	map_arm(e, m, now);
}

void stream_close_all(struct engine *e, struct map *m)
{
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		close_stream(e, m, (u8)__builtin_ctz(mask));
}

void engine_set_map_stream_port(struct engine *e, u64 now, u16 map, u16 port)
{
	struct map *m = map < MAX_MAPS ? &e->maps[map] : NULL;

	if (!m || !m->used || m->stream_port == port)
		return;
	m->stream_port = port;
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		stream_check(e, m, now, (u8)__builtin_ctz(mask));
	map_arm(e, m, now);
}

/* --- time ------------------------------------------------------------------------------------ */

static u64 next_expiry(const struct map *m, const struct map_stream *s)
{
	switch (s->state) {
	case MAP_STREAM_NONE:
		if (!m->stream_port || !s->asked_at)
			return TIME_NEVER;
		return silent_at(s) > s->again_at ? silent_at(s) : s->again_at;
	case MAP_STREAM_OPENING:
		return s->until;
	case MAP_STREAM_OPEN:
		return time_min(s->until, s->leads ? s->udp_at : silent_at(s));
	}
	return TIME_NEVER;
}

u64 stream_next_expiry(const struct engine *e, const struct map *m)
{
	u64 at = TIME_NEVER;

	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		at = time_min(at, next_expiry(m, &m->streams[__builtin_ctz(mask)]));
	return at;
}

/* Is UDP still silent? Without a session, handshakes are what asks. */
static void try_udp(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct frame f = { .type = FRAME_PROBE, .probe = { .stamp = now } };
	const struct endpoint *to = map_endpoint(e, m, iface);
	struct map_stream *s = stream_of(m, iface);
	struct map_way way = { .iface = iface };

	s->udp_at = now + back_off(UDP_FIRST, ++s->udp_tries, UDP_MAX);
	if (!to || !assoc_ready(&m->assoc, now))
		return;
	way.to = *to;
	map_send_way(e, m, now, &way, &f, 1, 0);
}

static void expire(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct map_stream *s = stream_of(m, iface);

	if (s->state == MAP_STREAM_NONE) {
		if (map_endpoint(e, m, iface))
			open_stream(e, m, now, iface);
		else
			s->asked_at = 0;
	} else if (s->state == MAP_STREAM_OPENING || (s->leads && s->until <= now)) {
		close_stream(e, m, iface);
		stream_ended(e, m, now, iface);
	} else if (s->leads) {
		try_udp(e, m, now, iface);
	} else if (silent_at(s) <= now) {
		lead(e, m, now, iface);
	} else {
		close_stream(e, m, iface);
	}
}

void stream_expire(struct engine *e, struct map *m, u64 now)
{
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1) {
		u8 iface = (u8)__builtin_ctz(mask);

		if (next_expiry(m, stream_of(m, iface)) <= now)
			expire(e, m, now, iface);
	}
}
