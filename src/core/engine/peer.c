/* SPDX-License-Identifier: MIT */
/*
 * peer.c - one remote node: its session, the probes on its paths, and its control frames.
 *
 * While there is no session, the initiation goes out on every path; with one, every path is probed.
 * A probe carries, where it applies, the override that tells the peer our true address.
 */
#include "engine_internal.h"

#include <string.h>

#define FORGET_PROBING (30 * NS_PER_S) /* a path that came in from somewhere and never answered */
#define FORGET_DEAD (60 * NS_PER_S)
#define BUSY_REFRESH (100 * NS_PER_MS)
#define CROSSING_TIME (10 * NS_PER_S)

struct peer *peer_get(const struct engine *e, u16 peer)
{
	return peer < e->peer_limit ? e->peers[peer] : NULL;
}

void peer_arm(struct engine *e, struct peer *p, u64 at)
{
	p->expiry = time_min(p->expiry, at);
	engine_arm(e, at);
}

void peer_busy(struct engine *e, struct peer *p, u64 now)
{
	bool was_busy = p->busy_until > now;

	if (was_busy && p->busy_until - now > BUSY_TIME - BUSY_REFRESH)
		return;
	p->busy_until = now + BUSY_TIME;
	if (!p->connected && !policy_withholds(p)) {
		assoc_hurry(&p->assoc, now);
		peer_arm(e, p, p->assoc.retry_at);
	}
	if (was_busy)
		return;
	for (u64 mask = p->used_mask & ~p->tiers.resting; mask; mask &= mask - 1)
		path_wake(&p->paths[__builtin_ctzll(mask)], now);
	peer_arm(e, p, now);
}

/* --- sending --------------------------------------------------------------------------------- */

static bool put_frames(struct buf *b, const struct frame *frames, size_t count, u32 pad_to)
{
	u8 *start = b->bytes + BUF_HEADROOM;
	size_t used = 0, room = DATAGRAM_MAX - WIRE_OVERHEAD;

	for (size_t n = 0; n < count; n++) {
		int size = frame_put(start + used, room - used, &frames[n]);

		if (size < 0)
			return false;
		used += (size_t)size;
	}
	if (pad_to > used + WIRE_OVERHEAD) {
		frame_pad(start + used, pad_to - WIRE_OVERHEAD - used);
		used = pad_to - WIRE_OVERHEAD;
	}
	b->length = (u32)used;
	return true;
}

/* Seals what lies in b for p and queues it on one path as control. */
static bool seal_and_queue(struct engine *e, struct peer *p, u64 now, u8 path, struct buf *b)
{
	struct path *to = &p->paths[path];
	struct queued q = { .destination = to->remote,
			    .socket = to->socket,
			    .deadline = TIME_NEVER,
			    .peer = p->index,
			    .tunnel = NO_INDEX,
			    .path = path };
	u32 size = b->length;

	if (assoc_seal(&p->assoc, now, buf_push(b, WIRE_HEADER_SIZE), size) < 0)
		return false;
	b->length += TAG_SIZE;
	if (!iface_queue(e, now, to->iface, b, &q)) {
		drop_count(&e->drops, DROP_QUEUE_FULL);
		return false;
	}
	to->sent.packets++;
	to->sent.bytes += b->length;
	return true;
}

bool peer_send_frames(struct engine *e, struct peer *p, u64 now, u8 path,
		      const struct frame *frames, size_t count, u32 pad_to)
{
	struct buf *b = buf_get(e->options.pool);
	bool sent;

	if (!b) {
		drop_count(&e->drops, DROP_NO_BUFFER);
		return false;
	}
	sent = put_frames(b, frames, count, pad_to) && seal_and_queue(e, p, now, path, b);
	buf_put(b);
	return sent;
}

/* The present time, but for the lowest digits, which tell the path. No two probes to a peer have the same. */
static u64 fresh_stamp(struct path *to, u8 path, u64 now)
{
	const u64 stamp = now - now % MAX_PEER_PATHS + path;

	to->last_stamp = stamp > to->last_stamp ? stamp : to->last_stamp + MAX_PEER_PATHS;
	return to->last_stamp;
}

static void send_probe(struct engine *e, struct peer *p, u64 now, u8 path,
		       const struct frame_probe *answer_to, const struct endpoint *seen)
{
	static const struct endpoint none;
	struct path *to = &p->paths[path];
	bool spare = path_relayed(to) && !(p->usable_mask & UINT64_C(1) << path);
	bool idle = spare || policy_resting(p, path) || p->busy_until <= now;
	struct frame frames[4];
	size_t count = 0;

	to->waiting = iface_waiting(e, to->iface, p->index, path);
	if (answer_to) {
		frames[count].type = FRAME_PROBE_REPLY;
		path_reply(to, answer_to, path_relayed(to) ? &none : seen,
			   &frames[count++].probe_reply);
		count += report_path(p, now, path, &frames[count]);
	}
	if (!answer_to || to->state == PATH_PROBING) {
		frames[count].type = FRAME_PROBE;
		frames[count].probe.stamp = fresh_stamp(to, path, now);
		path_probe(to, now, !idle, nattest_keepalive(e, to->iface), &frames[count++].probe);
		if (!path_relayed(to) && nat_override_frame(e, to->iface, &frames[count]))
			count++;
	}
	peer_send_frames(e, p, now, path, frames, count, 0);
}

/* The answer on this path is likely to be lost as well, like what it tells of. */
static void answer_elsewhere(struct engine *e, struct peer *p, u64 now, u8 path,
			     const struct frame_probe *probe)
{
	static const struct endpoint none;
	const u64 others = pathset_select(p, 2) & ~(UINT64_C(1) << path);
	struct frame frame = { .type = FRAME_PROBE_REPLY };
	u8 other;

	if (!others || !path_loses_much(&p->paths[path]))
		return;
	other = (u8)__builtin_ctzll(others);
	path_reply(&p->paths[path], probe, &none, &frame.probe_reply);
	frame.probe_reply.cost = p->paths[other].cost; /* as in all that goes over it */
	peer_send_frames(e, p, now, other, &frame, 1, 0);
}

static void send_mtu_probe(struct engine *e, struct peer *p, u64 now, u8 path, u32 size)
{
	struct path *to = &p->paths[path];
	struct frame frame = { .type = FRAME_PROBE };

	to->waiting = iface_waiting(e, to->iface, p->index, path);
	frame.probe.stamp = fresh_stamp(to, path, now);
	path_mtu_probe(to, &frame.probe);
	peer_send_frames(e, p, now, path, &frame, 1, size);
}

void peer_close(struct engine *e, struct peer *p, u64 now, enum close_reason reason)
{
	struct frame frame = { .type = FRAME_CLOSE, .close = { .reason = (u8)reason } };
	u64 mask = p->usable_mask ? p->usable_mask : p->used_mask;

	if (!assoc_ready(&p->assoc, now))
		return;
	for (; mask; mask &= mask - 1)
		peer_send_frames(e, p, now, (u8)__builtin_ctzll(mask), &frame, 1, 0);
}

static void send_initiation(struct engine *e, struct peer *p, u64 now)
{
	const u8 *bytes = assoc_initiation(&p->assoc);

	for (u64 mask = p->used_mask; bytes && mask; mask &= mask - 1) {
		const struct path *path = &p->paths[__builtin_ctzll(mask)];

		iface_queue_bytes(e, now, path->iface, path->socket, &path->remote, bytes,
				  WIRE_INITIATION_SIZE);
	}
}

/* --- receiving ------------------------------------------------------------------------------- */

static void probe_all(struct engine *e, struct peer *p, u64 now)
{
	for (u64 mask = p->used_mask; mask; mask &= mask - 1)
		path_wake(&p->paths[__builtin_ctzll(mask)], now);
	peer_arm(e, p, now);
}

static void path_changed(struct engine *e, struct peer *p, u64 now, u32 path)
{
	engine_notice(e, NOTICE_PATH_STATE, p->index, (u16)path, (u16)p->paths[path].state);
	pathset_update(e, p, now);
	punch_look(e, p, now);
}

/* Keys were agreed: by our initiation, or the other end's that has now been confirmed. */
static void session_begins(struct engine *e, struct peer *p, u64 now)
{
	const struct session *before = p->assoc.previous;
	bool crossed = before && p->assoc.current->created < before->created + CROSSING_TIME;

	p->closed = false;
	p->transit_known = false;
	for (u64 mask = p->used_mask; mask; mask &= mask - 1)
		path_session_begins(&p->paths[__builtin_ctzll(mask)], crossed);
	probe_all(e, p, now);
	offers_session_begins(e, p, now);
	pathset_update(e, p, now);
}

void peer_established(struct engine *e, struct peer *p, const struct arrival *in)
{
	int n = pathset_find(p, in->iface, in->socket, &in->source);

	session_begins(e, p, in->now);
	if (n < 0) {
		pathset_add(e, p, in->now, in->iface, in->socket, &in->source, PATH_FROM_ARRIVAL);
	} else if (path_confirm(&p->paths[n], in->now)) {
		path_changed(e, p, in->now, (u32)n);
	}
}

static void peer_take_close(struct engine *e, struct peer *p, const struct arrival *in)
{
	/* A late copy from an earlier life of the peer says nothing about this one. */
	if (!in->current || p->closed)
		return;
	for (u64 mask = p->used_mask; mask; mask &= mask - 1)
		path_bury(&p->paths[__builtin_ctzll(mask)]);
	p->closed = true;
	assoc_clear(e->hub, &p->assoc);
	assoc_retry_slowly(&p->assoc, in->now); /* it may come back and not know where we are */
	peer_arm(e, p, p->assoc.retry_at);
	pathset_update(e, p, in->now);
	engine_notice(e, NOTICE_PEER_CLOSED, p->index, 0, 0);
	map_query_soon(e, in->now);
}

static void take_probe(struct engine *e, struct peer *p, const struct arrival *in, int path,
		       const struct frame_probe *probe)
{
	if (path < 0)
		return;
	if (in->current) {
		path_take_probe(&p->paths[path], probe);
		policy_told(e, p, in->now, path, probe->cost);
		report_probe(&p->paths[path], in->now, probe);
		transit_take(&p->paths[path].transit, in->now, probe->stamp);
		deadline_refresh(p);
	}
	send_probe(e, p, in->now, (u8)path, probe, &in->source);
	answer_elsewhere(e, p, in->now, (u8)path, probe);
}

static void take_reply(struct engine *e, struct peer *p, const struct arrival *in, int path,
		       const struct frame_probe_reply *reply)
{
	const u32 asked = reply->stamp % MAX_PEER_PATHS; /* fresh_stamp() */
	bool grew;

	if (path < 0)
		return;
	policy_told(e, p, in->now, path, reply->cost);
	offers_seen(e, &p->paths[path], in, &reply->seen);
	if ((int)asked != path)
		path_take_counts(&p->paths[asked], reply);
	grew = path_mtu_answered(&p->paths[path], in->now, reply->stamp);
	if (path_take_reply(&p->paths[path], in->now, reply))
		path_changed(e, p, in->now, (u32)path);
	else if (grew)
		pathset_update(e, p, in->now);
	peer_arm(e, p, in->now);
}

static void peer_frame(struct engine *e, struct peer *p, const struct arrival *in, int path,
		       const struct frame *f)
{
	switch (f->type) {
	case FRAME_PAYLOAD:
	case FRAME_FRAGMENT:
	case FRAME_SHARD:
	case FRAME_STRIPE:
		peer_busy(e, p, in->now);
		tunnel_frame(e, p, in, f);
		break;
	case FRAME_TALLY:
		stripe_report(p, in->now, &f->tally);
		break;
	case FRAME_PROBE:
		take_probe(e, p, in, path, &f->probe);
		break;
	case FRAME_PROBE_REPLY:
		take_reply(e, p, in, path, &f->probe_reply);
		break;
	case FRAME_OVERRIDE:
		nat_take_override(e, p, in, &f->override);
		break;
	case FRAME_PUNCH:
		punch_take(e, p, in, &f->punch);
		break;
	case FRAME_CANDIDATES:
		offers_take(e, p, in, path, &f->candidates);
		break;
	case FRAME_REPORT:
		if (in->current)
			autosel_report(e, p, in->now, path, &f->report);
		break;
	case FRAME_CLOSE:
		peer_take_close(e, p, in);
		break;
	default:
		break;
	}
}

void peer_receive(struct engine *e, struct peer *p, const struct arrival *in,
		  const struct hub_result *r)
{
	int n = pathset_find(p, in->iface, in->socket, &in->source);
	struct arrival here = *in;
	size_t left = r->plain_size;
	u8 *at = r->plain;
	struct frame f;
	u32 asked = 0;
	int more;

	if (n < 0) {
		n = pathset_add(e, p, in->now, in->iface, in->socket, &in->source,
				PATH_FROM_ARRIVAL);
		if (n >= 0)
			punch_arrived(e, p, in, (u32)n);
	}
	if (r->confirmed)
		session_begins(e, p, in->now);
	if (n >= 0) {
		p->paths[n].first.packets++;
		p->paths[n].first.bytes += in->size;
		p->paths[n].last_heard = in->now;
	}
	here.path = n;
	while ((more = frame_next(&at, &left, &f)) > 0) {
		if (f.type == FRAME_DEADLINE)
			here.deadline = deadline_here(p, in->now, f.deadline);
		/* One answer a datagram: a peer shall not make us its amplifier. */
		if ((f.type != FRAME_PROBE && f.type != FRAME_CANDIDATES) || asked++ == 0)
			peer_frame(e, p, &here, n, &f);
	}
	if (more < 0)
		drop_count(&e->drops, DROP_BAD_FRAME);
}

void peer_duplicate(struct engine *e, struct peer *p, const struct arrival *in)
{
	int n = pathset_find(p, in->iface, in->socket, &in->source);

	(void)e;
	report_copy(p, in);
	if (n < 0)
		return;
	p->paths[n].duplicate.packets++;
	p->paths[n].duplicate.bytes += in->size;
}

/* --- time ------------------------------------------------------------------------------------ */

static bool path_is_forgotten(const struct path *path, u64 now)
{
	if (!path_came_in(path) || path_usable(path))
		return false;
	if (path->state == PATH_PROBING)
		return now - path->born >= FORGET_PROBING;
	return now - path->last_heard >= FORGET_DEAD;
}

/* Large probes: for a path that rests its size is found out, but not confirmed again and again. */
static bool searches_mtu(const struct peer *p, u32 n)
{
	const struct path *path = &p->paths[n];

	return path->state == PATH_LIVE && !(policy_resting(p, n) && pmtu_settled(&path->pmtu));
}

static void expire_path(struct engine *e, struct peer *p, u64 now, u32 n)
{
	struct path *path = &p->paths[n];
	u64 timeout;
	u32 size;

	if (path_is_forgotten(path, now)) {
		pathset_remove(e, p, now, n);
		return;
	}
	if (path_expire(path, now))
		path_changed(e, p, now, n);
	if (!assoc_ready(&p->assoc, now)) {
		path->next_probe = TIME_NEVER; /* session_begins() wakes it */
		if (path_usable(path)) {
			path_bury(path); /* nothing can show that it lives */
			path_changed(e, p, now, n);
		}
		return;
	}
	if (path->next_probe <= now)
		send_probe(e, p, now, (u8)n, NULL, NULL);
	if (!searches_mtu(p, n))
		return;
	timeout = pmtu_timeout(&path->pmtu, path->rtt + 4 * path->rtt_var);
	/* Too large, or is the path silent? What is small has to arrive after it. */
	if (pmtu_gives_up(&path->pmtu, now) && path->answered_stamp <= path->pmtu.probe_stamp) {
		path_wake(path, now);
		pmtu_wait(&path->pmtu, now + timeout);
		return;
	}
	size = pmtu_poll(&path->pmtu, now, timeout);
	if (size)
		send_mtu_probe(e, p, now, (u8)n, size);
}

static u64 path_expiry(const struct peer *p, u32 n)
{
	const struct path *path = &p->paths[n];
	u64 at = path_next_expiry(path);

	if (searches_mtu(p, n))
		at = time_min(at, pmtu_next_expiry(&path->pmtu));
	if (path_came_in(path) && path->state == PATH_PROBING)
		at = time_min(at, path->born + FORGET_PROBING);
	return at;
}

void peer_expire(struct engine *e, struct peer *p, u64 now)
{
	u32 before = p->datagram_max;
	u64 used = p->used_mask;

	if (assoc_expire(e->hub, &p->assoc, now))
		send_initiation(e, p, now);
	for (u64 mask = p->used_mask; mask; mask &= mask - 1)
		expire_path(e, p, now, (u32)__builtin_ctzll(mask));
	if (p->used_mask != used) /* there is room: for a candidate that had to give way? */
		nat_refresh(e, p, now);
	punch_expire(e, p, now);
	pathset_update(e, p, now);
	offers_peer_expire(e, p, now);
	if (p->datagram_max != before)
		peer_busy(e, p, now);
	p->expiry = time_min(assoc_next_expiry(&p->assoc), pathset_silent_expiry(p));
	p->expiry = time_min(p->expiry, pathset_relay_expiry(p));
	p->expiry = time_min(p->expiry, punch_expiry(p));
	p->expiry = time_min(p->expiry, offers_peer_expiry(p));
	p->expiry = time_min(p->expiry, p->tiers.until);
	for (u64 mask = p->used_mask; mask; mask &= mask - 1)
		p->expiry = time_min(p->expiry, path_expiry(p, (u32)__builtin_ctzll(mask)));
}
