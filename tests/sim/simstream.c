/* SPDX-License-Identifier: MIT */
/*
 * simstream.c - connections as TCP makes them: messages in order and without loss, as long as
 * there is a way, through links that lose and NATs that forget.
 *
 *   segment: kind u8, number u32, [message]
 *
 *   OPEN   ->            the number is of no meaning; repeated after 1, 2, 4 s, then given up
 *          <- ACCEPT     repeated for every OPEN
 *   DATA n ->            message n; all that is not acknowledged is sent again after a timeout,
 *          <- ACK n      or when three answers say that n is missing
 *   RESET  <->           closed, or never heard of
 *
 * That is TCP with one segment for each message, without windows: what matters here is where it
 * passes, that it comes in order, that one that is lost holds up the others, and that it ends
 * when a NAT has forgotten it.
 */
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#define HEADER 5u
#define QUEUE_MAX (256u << 10) /* bytes that are not acknowledged */
#define OPEN_TRIES 3u
#define RETRY_FIRST (NS_PER_S / 5)
#define GIVE_UP (15 * NS_PER_S)
#define DUPLICATES 3u

enum segment_kind { OPEN = 1, ACCEPT, DATA, ACK, RESET };

struct sim_message {
	struct sim_message *next;
	u32 size;
	u8 data[];
};

static void send_segment(struct sim_iface *i, const struct endpoint *local,
			 const struct endpoint *remote, enum segment_kind kind, u32 number,
			 const struct sim_message *m)
{
	u8 bytes[HEADER + BUF_PAYLOAD_MAX];

	bytes[0] = (u8)kind;
	put_u32(bytes + 1, number);
	if (m)
		memcpy(bytes + HEADER, m->data, m->size);
	sim_send_packet(i, SIM_TCP, local, remote, bytes, HEADER + (m ? m->size : 0));
}

static void say(struct sim_stream *s, enum segment_kind kind, u32 number)
{
	send_segment(s->iface, &s->local, &s->remote, kind, number, NULL);
}

static struct sim_stream *stream_new(struct sim_iface *i, const struct endpoint *local,
				     const struct endpoint *remote, enum sim_stream_state state)
{
	struct sim *sim = i->host->sim;
	struct sim_stream *s = calloc(1, sizeof(*s));

	if (!s)
		sim_fail(sim, "no memory for a stream");
	s->iface = i;
	s->local = *local;
	s->remote = *remote;
	s->state = state;
	s->end = &s->queue;
	s->next = sim->streams;
	sim->streams = s;
	return s;
}

static void tell(struct sim_stream *s, enum sim_stream_event event, const u8 *data, u32 size)
{
	if (s->iface->host->on_stream)
		s->iface->host->on_stream(s, event, data, size);
}

static void forget_queue(struct sim_stream *s)
{
	while (s->queue) {
		struct sim_message *m = s->queue;

		s->queue = m->next;
		free(m);
	}
	s->end = &s->queue;
	s->queued = 0;
}

static void end(struct sim_stream *s)
{
	if (s->state == SIM_STREAM_CLOSED)
		return;
	sim_trace(s->iface->host->sim, "%s: stream of port %u ends", s->iface->host->name,
		  s->local.port);
	s->state = SIM_STREAM_CLOSED;
	s->timer_at = TIME_NEVER;
	forget_queue(s);
	tell(s, SIM_STREAM_ENDED, NULL, 0);
}

/* --- sending again ------------------------------------------------------------------------- */

static void on_timer(struct sim *sim, void *ctx);

static void arm(struct sim_stream *s, u64 after)
{
	struct sim *sim = s->iface->host->sim;

	s->timer_at = sim->now + after;
	sim_at(sim, after, on_timer, s);
}

static void send_all(struct sim_stream *s)
{
	u32 number = s->acked;

	for (const struct sim_message *m = s->queue; m; m = m->next)
		send_segment(s->iface, &s->local, &s->remote, DATA, number++, m);
}

static void on_timer(struct sim *sim, void *ctx)
{
	struct sim_stream *s = ctx;

	if (s->state == SIM_STREAM_CLOSED || s->timer_at != sim->now)
		return;
	s->tries++;
	if (s->state == SIM_STREAM_OPENING) {
		if (s->tries > OPEN_TRIES) {
			end(s);
			return;
		}
		say(s, OPEN, 0);
		arm(s, NS_PER_S << s->tries);
		return;
	}
	if (!s->queue)
		return;
	if (sim->now - s->heard_at > GIVE_UP) {
		end(s);
		return;
	}
	send_all(s);
	arm(s, RETRY_FIRST << (s->tries < 4 ? s->tries : 4));
}

/* --- what its ends do ---------------------------------------------------------------------- */

struct sim_stream *sim_stream_open(struct sim_iface *i, const struct endpoint *remote)
{
	struct endpoint local = i->local;
	struct sim_stream *s;

	local.port = sim_free_port(i->host->sim);
	s = stream_new(i, &local, remote, SIM_STREAM_OPENING);
	say(s, OPEN, 0);
	arm(s, NS_PER_S);
	return s;
}

bool sim_stream_send(struct sim_stream *s, const u8 *data, u32 size)
{
	struct sim_message *m;

	if (s->state != SIM_STREAM_OPEN || s->queued + size > QUEUE_MAX)
		return false;
	m = malloc(sizeof(*m) + size);
	if (!m)
		sim_fail(s->iface->host->sim, "no memory for a message");
	m->next = NULL;
	m->size = size;
	memcpy(m->data, data, size);
	if (!s->queue) {
		s->heard_at = s->iface->host->sim->now;
		s->tries = 0;
		arm(s, RETRY_FIRST);
	}
	*s->end = m;
	s->end = &m->next;
	s->queued += size;
	send_segment(s->iface, &s->local, &s->remote, DATA, s->sent++, m);
	return true;
}

void sim_stream_close(struct sim_stream *s)
{
	if (s->state == SIM_STREAM_CLOSED)
		return;
	say(s, RESET, 0);
	s->state = SIM_STREAM_CLOSED;
	forget_queue(s);
}

/* The interface is gone, or its host: without a word. */
void sim_streams_drop(struct sim_iface *i)
{
	for (struct sim_stream *s = i->host->sim->streams; s; s = s->next) {
		if (s->iface == i && s->state != SIM_STREAM_CLOSED) {
			s->state = SIM_STREAM_CLOSED;
			forget_queue(s);
		}
	}
}

void sim_streams_free(struct sim *sim)
{
	while (sim->streams) {
		struct sim_stream *s = sim->streams;

		sim->streams = s->next;
		forget_queue(s);
		free(s);
	}
}

/* --- in ------------------------------------------------------------------------------------ */

static struct sim_stream *find(const struct sim_iface *i, const struct sim_packet *p)
{
	for (struct sim_stream *s = i->host->sim->streams; s; s = s->next) {
		if (s->iface == i && s->state != SIM_STREAM_CLOSED &&
		    endpoint_equal(&s->local, &p->destination) &&
		    endpoint_equal(&s->remote, &p->source))
			return s;
	}
	return NULL;
}

static void accepted(struct sim_stream *s)
{
	if (s->state != SIM_STREAM_OPENING)
		return;
	s->state = SIM_STREAM_OPEN;
	s->tries = 0;
	tell(s, SIM_STREAM_BEGAN, NULL, 0);
}

static void acknowledged(struct sim_stream *s, u32 number)
{
	s->heard_at = s->iface->host->sim->now;
	if (number == s->acked && s->queue && ++s->duplicates == DUPLICATES)
		send_all(s);
	if (number - s->acked > s->sent - s->acked || number == s->acked)
		return;
	for (; s->acked != number; s->acked++) {
		struct sim_message *m = s->queue;

		s->queue = m->next;
		s->queued -= m->size;
		free(m);
	}
	s->duplicates = 0;
	s->tries = 0;
	if (!s->queue)
		s->end = &s->queue;
	else
		arm(s, RETRY_FIRST);
}

static void data(struct sim_stream *s, u32 number, const u8 *bytes, u32 size)
{
	const bool next = number == s->expected;

	s->expected += next;
	say(s, ACK, s->expected);
	if (next)
		tell(s, SIM_STREAM_MESSAGE, bytes, size);
}

void sim_stream_receive(struct sim_iface *i, const struct sim_packet *p)
{
	const enum segment_kind kind = (enum segment_kind)p->data[0];
	const u32 number = get_u32(p->data + 1);
	struct sim_stream *s = find(i, p);

	if (!s && kind == OPEN && i->listens && i->local.port == p->destination.port) {
		s = stream_new(i, &p->destination, &p->source, SIM_STREAM_OPEN);
		s->incoming = true;
		tell(s, SIM_STREAM_BEGAN, NULL, 0);
	}
	if (!s) {
		if (kind != RESET)
			send_segment(i, &p->destination, &p->source, RESET, 0, NULL);
	} else if (kind == OPEN) {
		say(s, ACCEPT, 0);
	} else if (kind == RESET) {
		end(s);
	} else if (kind == ACCEPT) {
		accepted(s);
	} else if (kind == ACK) {
		acknowledged(s, number);
	} else {
		data(s, number, p->data + HEADER, p->size - HEADER);
	}
}
