/* SPDX-License-Identifier: MIT */
/*
 * mapproto.c - the node's side of the map: each interface is registered over that interface. What is
 * said in a registration is in mapclaim.c, what the map is asked about peers in mapquery.c.
 *
 * Every request is repeated with back-off until it is answered. A map that does not answer is
 * handshaken with anew (it may have been restarted); it never takes anything away from a peer:
 * what it said before stays until it says something else.
 */
#include "engine_internal.h"

#include <errno.h>
#include <string.h>

#define RETRY_FIRST (200 * NS_PER_MS)
#define RETRY_MAX (5 * NS_PER_S)
#define RETRY_DOUBLINGS 5u
#define SILENT_TRIES 3u /* one more, over 1.4 s, without an answer: a handshake is due */

void map_arm(struct engine *e, struct map *m, u64 at)
{
	m->expiry = time_min(m->expiry, at);
	engine_arm(e, at);
}

const struct endpoint *map_endpoint(const struct engine *e, const struct map *m, u8 iface)
{
	const struct iface *i = iface_get(e, iface);

	for (size_t n = 0; i && n < m->endpoint_count; n++) {
		if (m->endpoints[n].address.family == i->options.local.address.family)
			return &m->endpoints[n];
	}
	return NULL;
}

static u64 back_off(u64 first, u32 tries, u64 max)
{
	u32 doublings = tries < RETRY_DOUBLINGS ? tries : RETRY_DOUBLINGS;
	u64 delay = first << doublings;

	return delay < max ? delay : max;
}

/* --- sending --------------------------------------------------------------------------------- */

static bool map_put_frames(struct buf *b, const struct frame *frames, size_t count, u32 pad_to)
{
	u32 used = 0;

	for (size_t n = 0; n < count; n++) {
		int size = frame_put(b->bytes + BUF_HEADROOM + used, PMTU_BASE - used, &frames[n]);

		if (size < 0)
			return false;
		used += (u32)size;
	}
	if (used < pad_to)
		frame_pad(b->bytes + BUF_HEADROOM + used, pad_to - used);
	b->length = used < pad_to ? pad_to : used;
	return true;
}

static bool map_session_seal(struct map *m, u64 now, struct buf *b)
{
	u32 size = b->length;

	if (assoc_seal(&m->assoc, now, buf_push(b, WIRE_HEADER_SIZE), size) < 0)
		return false;
	b->length += TAG_SIZE;
	return true;
}

bool map_send_way(struct engine *e, struct map *m, u64 now, const struct map_way *way,
		  const struct frame *frames, size_t count, u32 pad_to)
{
	struct queued q = { .deadline = TIME_NEVER,
			    .peer = NO_INDEX,
			    .tunnel = NO_INDEX,
			    .map = (u8)(1 + m->index) };
	struct buf *b = buf_get(e->options.pool);
	bool sent = false;

	if (!b)
		return false;
	q.destination = way->to;
	q.socket = way->socket;
	if (map_put_frames(b, frames, count, pad_to) && map_session_seal(m, now, b))
		sent = iface_queue(e, now, way->iface, b, &q);
	buf_put(b);
	return sent;
}

bool map_send_frames(struct engine *e, struct map *m, u64 now, u8 iface, const struct frame *frames,
		     size_t count)
{
	struct map_way way;

	if (!map_way(e, m, iface, &way))
		return false;
	if (way.socket == 0)
		stream_asked(e, m, now, iface);
	return map_send_way(e, m, now, &way, frames, count, 0);
}

static void map_send_initiation(struct engine *e, struct map *m, u64 now)
{
	const u8 *bytes = assoc_initiation(&m->assoc);

	for (u32 mask = e->iface_mask; bytes && mask; mask &= mask - 1) {
		u8 iface = (u8)__builtin_ctz(mask);
		const struct endpoint *to = map_endpoint(e, m, iface);

		if (!to)
			continue;
		iface_queue_bytes(e, now, iface, 0, to, bytes, WIRE_INITIATION_SIZE);
		stream_asked(e, m, now, iface);
	}
	stream_send_initiation(e, m, now);
}

/* Any interface over which the map answered lately will do. */
static void send_deregistration(struct engine *e, struct map *m, u64 now, u16 which)
{
	struct frame f = { .type = FRAME_DEREGISTER_REQUEST, .deregister = { which } };

	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		map_send_frames(e, m, now, (u8)__builtin_ctz(mask), &f, 1);
}

static void send_keepalive(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct frame f = { .type = FRAME_PROBE, .probe = { .stamp = now } };

	map_send_frames(e, m, now, iface, &f, 1);
}

/* --- receiving ------------------------------------------------------------------------------- */

static void map_answered(struct engine *e, struct map *m, u64 now, u8 iface)
{
	m->answered_at = now;
	m->registrations[iface].tries = 0;
	if (m->connected)
		return;
	m->connected = true;
	engine_notice(e, NOTICE_MAP_CONNECTED, m->index, 0, 0);
}

/* What the map sees of a TCP connection is nowhere that a datagram could go to. */
static void take_registration(struct engine *e, struct map *m, const struct arrival *in,
			      const struct frame_register_response *f)
{
	static const struct endpoint nowhere;
	const struct endpoint *seen = in->socket == SOCKET_STREAM ? &nowhere : &f->observed;
	struct registration *r;

	if (f->interface >= MAX_IFACES || !iface_get(e, (u8)f->interface))
		return;
	r = &m->registrations[f->interface];
	if (r->state != REG_WANTED && r->state != REG_DONE)
		return;
	if (!endpoint_equal(&r->observed, seen)) {
		/* What the map had to say meanwhile went to where we were. */
		if (r->observed.address.family)
			m->next_query = in->now;
		r->observed = *seen;
		r->proved = false;
		engine_notice(e, NOTICE_OBSERVED, f->interface, m->index, 0);
		offers_changed(e, in->now, 0);
	}
	if (r->state == REG_WANTED) {
		m->next_query = in->now;
		r->state = REG_DONE;
		nat_refresh_all(e,
				in->now); /* what the map forwards goes over this interface too */
	}
	r->tries = 0;
	r->answered_at = in->now;
	r->next = in->now + e->options.scan_interval;
	r->next_keepalive = in->now + nattest_keepalive(e, (u8)f->interface);
	if (in->socket == 0)
		stream_registered(m, in->now, (u8)f->interface);
	map_take_proof(m, in->now, (u8)f->interface, f->proof);
	map_arm(e, m, m->next_query);
	map_arm(e, m, time_min(r->next, r->next_keepalive));
	if (in->socket == 0)
		nattest_mapped(e, m, in->now, f);
	nattest_registered(e, m, in, map_endpoint(e, m, (u8)f->interface), f);
}

/* A keep-alive was answered. A NAT may have given us another mapping since we were registered. */
static void take_probe_reply(struct engine *e, struct map *m, const struct arrival *in,
			     const struct endpoint *seen)
{
	struct registration *r = &m->registrations[in->iface];

	if ((in->socket != 0 && in->socket != SOCKET_STREAM) || r->state != REG_DONE)
		return;
	r->next_keepalive = in->now + nattest_keepalive(e, in->iface);
	if (in->socket == 0 && endpoint_is_usable(seen) && !endpoint_equal(seen, &r->observed))
		r->next = in->now;
	map_arm(e, m, time_min(r->next, r->next_keepalive));
}

static void take_deregistration(struct map *m, u16 which)
{
	if (which < MAX_IFACES && m->registrations[which].state == REG_CLEARING)
		m->registrations[which].state = REG_NONE;
}

static void map_frame(struct engine *e, struct map *m, const struct arrival *in,
		      const struct frame *f)
{
	switch (f->type) {
	case FRAME_REGISTER_RESPONSE:
		take_registration(e, m, in, &f->register_response);
		break;
	case FRAME_MAPPING_RESPONSE:
		map_take_mapping(e, m, in, &f->mapping_response);
		break;
	case FRAME_RELAY:
		relay_receive(e, m, in, &f->relay);
		break;
	case FRAME_DEREGISTER_RESPONSE:
		take_deregistration(m, f->deregister.interface);
		break;
	case FRAME_NAT_TEST:
		nattest_take(e, m, in, &f->nat_test);
		break;
	case FRAME_PROBE_REPLY:
		take_probe_reply(e, m, in, &f->probe_reply.seen);
		break;
	default:
		break;
	}
}

void map_receive(struct engine *e, struct map *m, const struct arrival *in,
		 const struct hub_result *r)
{
	size_t left = r->plain_size;
	u8 *at = r->plain;
	struct frame f;
	int more;

	stream_answered(e, m, in);
	if (in->socket == 0 || in->socket == SOCKET_STREAM)
		map_answered(e, m, in->now, in->iface);
	while ((more = frame_next(&at, &left, &f)) > 0)
		map_frame(e, m, in, &f);
	if (more < 0)
		drop_count(&e->drops, DROP_BAD_FRAME);
}

void map_established(struct engine *e, struct map *m, u64 now)
{
	m->answered_at = now;
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1) {
		u8 n = (u8)__builtin_ctz(mask);
		struct registration *r = &m->registrations[n];

		if (!map_endpoint(e, m, n)) /* the map has no address of this family */
			continue;
		if (r->state != REG_DONE) /* else what the map forwards goes on meanwhile */
			r->state = REG_WANTED;
		r->next = now;
		r->tries = 0;
	}
	m->queries = 0;
	m->next_query = time_min(m->next_query, now);
	map_arm(e, m, now);
}

/* --- time ------------------------------------------------------------------------------------ */

/* Has no interface an answer to any of its last requests? */
static bool all_silent(const struct map *m)
{
	for (u32 n = 0; n < MAX_IFACES; n++) {
		const struct registration *r = &m->registrations[n];

		if (r->state != REG_NONE && r->tries <= SILENT_TRIES)
			return false;
	}
	return true;
}

/* The map has been silent for several requests in a row on every interface: it may know our keys
 * no more. Silence on some of them only says that those lead nowhere. */
static void suspect_silence(struct engine *e, struct map *m, u64 now)
{
	if (now - m->answered_at < SILENT_TRIES * RETRY_FIRST || m->assoc.retry_at != TIME_NEVER ||
	    !all_silent(m))
		return;
	assoc_kick(e->hub, &m->assoc, now);
	if (m->connected) {
		m->connected = false;
		engine_notice(e, NOTICE_MAP_LOST, m->index, 0, 0);
	}
}

static void expire_registration(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct registration *r = &m->registrations[iface];

	if (r->state == REG_NONE)
		return;
	if (r->next <= now) {
		if (r->state == REG_CLEARING)
			send_deregistration(e, m, now, iface);
		else
			map_claim(e, m, now, iface);
		r->next = now + back_off(RETRY_FIRST, r->tries, RETRY_MAX);
		r->next_keepalive = r->next;
	} else if (r->state == REG_DONE && r->next_keepalive <= now) {
		send_keepalive(e, m, now, iface);
		r->next_keepalive =
			now + back_off(RETRY_FIRST, r->tries, nattest_keepalive(e, iface));
	} else {
		return;
	}
	r->tries++;
	stream_suspect(e, m, now, iface);
	suspect_silence(e, m, now);
}

void map_expire(struct engine *e, struct map *m, u64 now)
{
	if (assoc_expire(e->hub, &m->assoc, now))
		map_send_initiation(e, m, now);
	stream_expire(e, m, now);
	m->expiry = time_min(assoc_next_expiry(&m->assoc), stream_next_expiry(e, m));
	if (!assoc_ready(&m->assoc, now))
		return;
	for (u8 n = 0; n < MAX_IFACES; n++) {
		struct registration *r = &m->registrations[n];

		expire_registration(e, m, now, n);
		if (r->state != REG_NONE)
			m->expiry = time_min(m->expiry, r->next);
		if (r->state == REG_DONE)
			m->expiry = time_min(m->expiry, r->next_keepalive);
	}
	map_expire_query(e, m, now);
	m->expiry = time_min(m->expiry, time_min(m->next_query, assoc_next_expiry(&m->assoc)));
	m->expiry = time_min(m->expiry, stream_next_expiry(e, m));
}

void map_register_soon(struct engine *e, u64 now)
{
	for (u32 n = 0; n < MAX_MAPS; n++) {
		struct map *m = &e->maps[n];

		for (u32 i = 0; m->used && i < MAX_IFACES; i++) {
			if (m->registrations[i].state != REG_DONE)
				continue;
			m->registrations[i].next = now;
			map_arm(e, m, now);
		}
	}
}

/* --- interfaces ------------------------------------------------------------------------------ */

void map_iface_added(struct engine *e, struct map *m, u64 now, u8 iface)
{
	m->registrations[iface] = (struct registration){ .next = TIME_NEVER };
	stream_check(e, m, now, iface);
	if (!map_endpoint(e, m, iface))
		return;
	m->registrations[iface].state = REG_WANTED;
	m->registrations[iface].next = now;
	if (!assoc_ready(&m->assoc, now))
		assoc_kick(e->hub, &m->assoc, now);
	map_arm(e, m, now);
}

void map_iface_removed(struct engine *e, struct map *m, u64 now, u8 iface)
{
	struct registration *r = &m->registrations[iface];

	m->streams[iface] = (struct map_stream){ 0 }; /* it goes with the interface */
	if (r->state == REG_NONE)
		return;
	*r = (struct registration){ .state = REG_CLEARING, .next = now };
	map_arm(e, m, now);
}

void map_shutdown(struct engine *e, struct map *m, u64 now)
{
	struct frame f = { .type = FRAME_CLOSE, .close = { CLOSE_SHUTDOWN } };

	if (!assoc_ready(&m->assoc, now))
		return;
	send_deregistration(e, m, now, WIRE_ALL_INTERFACES);
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		map_send_frames(e, m, now, (u8)__builtin_ctz(mask), &f, 1);
}

/* --- configuration --------------------------------------------------------------------------- */

int engine_add_map(struct engine *e, u64 now, const u8 public_key[static KEY_SIZE], u16 *ret_map)
{
	static const u8 no_key[KEY_SIZE];
	u16 n = 0;
	struct map *m;

	for (u32 k = 0; k < MAX_MAPS; k++) {
		if (e->maps[k].used &&
		    memcmp(e->maps[k].assoc.remote_key, public_key, KEY_SIZE) == 0)
			return -EEXIST;
	}
	for (u32 k = 0; k < e->peer_limit; k++) {
		if (e->peers[k] && memcmp(e->peers[k]->assoc.remote_key, public_key, KEY_SIZE) == 0)
			return -EEXIST;
	}
	while (n < MAX_MAPS && e->maps[n].used)
		n++;
	if (n == MAX_MAPS)
		return -ENOSPC;
	m = &e->maps[n];
	memset(m, 0, sizeof(*m));
	m->kind = OWNER_MAP;
	m->used = true;
	m->index = n;
	m->expiry = TIME_NEVER;
	m->next_query = now;
	assoc_init(&m->assoc, public_key, no_key, m);
	*ret_map = n;
	return 0;
}

void engine_remove_map(struct engine *e, u64 now, u16 map)
{
	struct map *m = map < MAX_MAPS ? &e->maps[map] : NULL;

	if (!m || !m->used)
		return;
	map_shutdown(e, m, now);
	stream_close_all(e, m);
	assoc_clear(e->hub, &m->assoc);
	m->used = false;
	m->expiry = TIME_NEVER;
	map_forget_mappings(e, m, now);
	nattest_map_removed(e, now, m);
	offers_changed(e, now, 0);
}

void engine_set_map_endpoints(struct engine *e, u64 now, u16 map, const struct endpoint *endpoints,
			      size_t count)
{
	struct map *m = map < MAX_MAPS ? &e->maps[map] : NULL;

	if (!m || !m->used)
		return;
	m->endpoint_count = count < MAX_MAP_ENDPOINTS ? count : MAX_MAP_ENDPOINTS;
	memcpy(m->endpoints, endpoints, m->endpoint_count * sizeof(*endpoints));
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		map_iface_added(e, m, now, (u8)__builtin_ctz(mask));
}
