/* SPDX-License-Identifier: MIT */
/*
 * simapp.c - applications: flows of numbered payloads, and the sinks that receive them.
 *
 *   payload: [IP header] magic u32, flow u32, number u64, sent at u64, filling
 *
 * The filling follows from flow and number, so that a sink knows every byte.
 */
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "warp/wire.h"

#define MAGIC 0x77617270u /* "warp" */

static u8 filling(u32 flow, u64 number, u32 at)
{
	return (u8)(flow * 13 + (u32)number * 31 + at * 7);
}

static void write_payload(const struct sim_flow *f, u64 number, u8 *p)
{
	u8 *body = p + f->header_size;

	memcpy(p, f->header, f->header_size);
	put_u32(body, MAGIC);
	put_u32(body + 4, f->id);
	put_u64(body + 8, number);
	put_u64(body + 16, f->sim->now);
	for (u32 i = SIM_FLOW_MIN; i < f->size - f->header_size; i++)
		body[i] = filling(f->id, number, i);
}

static struct sim_flow *flow_new(struct sim_host *from, u16 tunnel, u64 interval, u32 size,
				 u64 count)
{
	struct sim_flow *f = calloc(1, sizeof(*f));

	if (!f)
		sim_fail(from->sim, "no memory for a flow");
	f->sim = from->sim;
	f->id = ++f->sim->flow_ids;
	f->from = from;
	f->tunnel = tunnel;
	f->interval = interval;
	f->size = size;
	f->count = count;
	f->burst = 1;
	f->next = f->sim->flows;
	f->sim->flows = f;
	return f;
}

static void flow_begin(struct sim_flow *f)
{
	const struct sim_event event = { .kind = SIM_FLOW, .subject = f };

	if (f->size < SIM_FLOW_MIN + f->header_size || f->size > BUF_PAYLOAD_MAX)
		sim_fail(f->sim, "payloads of %u bytes", f->size);
	sim_push(f->sim, f->sim->now, &event);
}

struct sim_flow *sim_flow(struct sim_host *from, u16 tunnel, u64 interval, u32 size, u64 count)
{
	struct sim_flow *f = flow_new(from, tunnel, interval, size, count);

	flow_begin(f);
	return f;
}

struct sim_flow *sim_flow_ip(struct sim_host *from, u16 tunnel, u64 interval, u32 size, u64 count,
			     const char *source, const char *destination)
{
	struct sim_flow *f = flow_new(from, tunnel, interval, size, count);
	const struct address s = sim_endpoint(source, 0).address;
	const struct address d = sim_endpoint(destination, 0).address;

	if (s.family == 4) {
		f->header_size = 20;
		f->header[0] = 0x45;
		put_u16(f->header + 2, (u16)size);
		f->header[8] = 64;
		f->header[9] = 253; /* RFC 3692: experimental */
		memcpy(f->header + 12, s.bytes, 4);
		memcpy(f->header + 16, d.bytes, 4);
	} else {
		f->header_size = 40;
		f->header[0] = 0x60;
		put_u16(f->header + 4, (u16)(size - 40));
		f->header[6] = 253;
		f->header[7] = 64;
		memcpy(f->header + 8, s.bytes, 16);
		memcpy(f->header + 24, d.bytes, 16);
	}
	flow_begin(f);
	return f;
}

static bool flow_is_over(const struct sim_flow *f)
{
	return f->stopped || (f->count && f->offered == f->count);
}

static bool rests(const struct sim_flow *f)
{
	return f->paused || f->from->suspended;
}

static void send_next(struct sim_flow *f)
{
	static u8 payload[BUF_PAYLOAD_MAX];
	enum drop_reason reason;

	write_payload(f, f->offered, payload);
	f->offered++;
	reason = sim_queue(f->from, f->tunnel, payload, f->size);
	f->refused[reason]++;
	if (reason == DROP_NONE)
		f->accepted++;
}

void sim_flow_tick(struct sim_flow *f)
{
	const struct sim_event event = { .kind = SIM_FLOW, .subject = f };

	if (flow_is_over(f))
		return;
	for (u32 n = 0; n < f->burst && !rests(f) && !flow_is_over(f); n++)
		send_next(f);
	sim_poke(f->from);
	sim_push(f->sim, f->sim->now + f->interval, &event);
}

/* --- sinks --------------------------------------------------------------------------------- */

#define SEEN_BITS (UINT64_C(1) << 24) /* payloads of a flow, at most */

static struct sim_sink *sink_of(struct sim_flow *f, struct sim_host *h)
{
	struct sim_sink *s;

	for (s = f->sinks; s; s = s->next) {
		if (s->host == h)
			return s;
	}
	s = calloc(1, sizeof(*s));
	if (!s || !(s->seen = calloc(1, SEEN_BITS / 8)))
		sim_fail(f->sim, "no memory for a sink");
	s->host = h;
	s->next = f->sinks;
	f->sinks = s;
	return s;
}

static struct sim_flow *flow_with_id(struct sim *sim, u32 id)
{
	struct sim_flow *f = sim->flows;

	while (f && f->id != id)
		f = f->next;
	return f;
}

static void check_body(struct sim_host *h, const struct sim_flow *f, u64 number, const u8 *body,
		       u32 size)
{
	if (size != f->size - f->header_size)
		sim_fail(h->sim, "payload %llu arrives with %u bytes instead of %u",
			 (unsigned long long)number, size, f->size - f->header_size);
	for (u32 i = SIM_FLOW_MIN; i < size; i++) {
		if (body[i] != filling(f->id, number, i))
			sim_fail(h->sim, "payload %llu arrives damaged at byte %u",
				 (unsigned long long)number, i);
	}
}

static void note_arrival(struct sim_sink *s, u64 within, u64 number, u64 sent_at)
{
	const u64 now = s->host->sim->now, latency = now - sent_at;

	if (s->received == 0)
		s->first_at = now;
	else if (number < s->highest)
		s->out_of_order++;
	if (s->last_at && now - s->last_at > s->longest_gap) {
		s->longest_gap = now - s->last_at;
		s->gap_at = now;
	}
	if (number > s->highest)
		s->highest = number;
	s->last_at = now;
	s->received++;
	s->latency_sum += latency;
	s->late += within && latency > within;
	if (latency > s->latency_max)
		s->latency_max = latency;
}

static u32 ip_header_size(const u8 *data)
{
	return data[0] >> 4 == 4 ? 20 : 40;
}

/* The payload of a flow in d, or NULL. */
static struct sim_flow *parse(struct sim_host *h, const struct delivery *d, u8 **ret_body,
			      u32 *ret_size)
{
	const bool routed = d->tunnel < h->tunnel_count && h->tunnel[d->tunnel].routed;
	const u32 header = routed ? ip_header_size(d->data) : 0;

	if (d->size < header + SIM_FLOW_MIN)
		return NULL;
	*ret_body = d->data + header;
	*ret_size = d->size - header;
	if (get_u32(*ret_body) != MAGIC)
		return NULL;
	return flow_with_id(h->sim, get_u32(*ret_body + 4));
}

void sim_app_deliver(struct sim_host *h, const struct delivery *d)
{
	u8 *body;
	u32 size;
	u64 number;
	struct sim_sink *s;
	struct sim_flow *f = parse(h, d, &body, &size);

	if (!f) {
		if (h->deliver)
			h->deliver(h, d);
		else
			sim_fail(h->sim, "%s delivers %u bytes that nobody sent", h->name, d->size);
		return;
	}
	number = get_u64(body + 8);
	if (number >= f->offered || number >= SEEN_BITS || f->from == h)
		sim_fail(h->sim, "%s delivers a payload that was not sent to it", h->name);
	if (d->peer >= h->peer_count || h->peer[d->peer].host != f->from ||
	    d->tunnel >= h->tunnel_count ||
	    h->tunnel[d->tunnel].id != f->from->tunnel[f->tunnel].id)
		sim_fail(h->sim, "%s takes a payload for another peer's or tunnel's", h->name);
	check_body(h, f, number, body, size);
	s = sink_of(f, h);
	if (s->seen[number / 8] & 1u << number % 8)
		sim_fail(h->sim, "%s delivers payload %llu of flow %u twice", h->name,
			 (unsigned long long)number, f->id);
	s->seen[number / 8] |= (u8)(1u << number % 8);
	note_arrival(s, f->within, number, get_u64(body + 16));
}

const struct sim_sink *sim_sink(const struct sim_flow *f, const struct sim_host *to)
{
	static const struct sim_sink nothing;

	for (const struct sim_sink *s = f->sinks; s; s = s->next) {
		if (s->host == to)
			return s;
	}
	return &nothing;
}

u64 sim_received(const struct sim_flow *f, const struct sim_host *to)
{
	return sim_sink(f, to)->received;
}

void sim_flow_mark(struct sim_flow *f)
{
	for (struct sim_sink *s = f->sinks; s; s = s->next) {
		s->longest_gap = 0;
		s->latency_max = 0;
		s->last_at = f->sim->now;
	}
}

void sim_flows_free(struct sim *sim)
{
	while (sim->flows) {
		struct sim_flow *f = sim->flows;

		sim->flows = f->next;
		while (f->sinks) {
			struct sim_sink *s = f->sinks;

			f->sinks = s->next;
			free(s->seen);
			free(s);
		}
		free(f);
	}
}
