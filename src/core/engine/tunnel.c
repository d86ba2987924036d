/* SPDX-License-Identifier: MIT */
/*
 * tunnel.c - tunnels, the numbering of their payloads, and what arrives for them: who may have sent
 * it, and which gate it goes to. What leaves is in send.c.
 */
#include "engine_internal.h"

#include <errno.h>
#include <string.h>

#define MTU_FLOOR 1280u /* RFC 8200 */

/* --- numbering ------------------------------------------------------------------------------- */

u64 flow_lost(const struct flow *f)
{
	return f->lost_before + (f->expected > f->arrived ? f->expected - f->arrived : 0);
}

/* Somewhere, so that no number of an earlier life is taken for one of this. */
void flow_begin(const struct engine *e, struct flow *f)
{
	*f = (struct flow){ .next_sequence = random_u32(&e->options.random) };
}

static void flow_take(struct flow *f, u32 sequence)
{
	const u32 ahead = sequence - f->highest;

	if (!f->begun || sequence_is_far(sequence, f->highest)) {
		f->lost_before = flow_lost(f);
		f->begun = true;
		f->highest = sequence;
		f->expected = 1;
		f->arrived = 1;
		return;
	}
	f->arrived++;
	if (ahead != 0 && ahead <= SEQUENCE_JUMP) {
		f->highest = sequence;
		f->expected += ahead;
	} else if (f->arrived > f->expected) {
		f->expected = f->arrived; /* from before the first that we saw */
	}
}

/* --- which tunnel ------------------------------------------------------------------------------- */

struct tunnel *tunnel_get(struct engine *e, u16 tunnel)
{
	return tunnel < MAX_TUNNELS && e->tunnels[tunnel].used ? &e->tunnels[tunnel] : NULL;
}

bool tunnel_has_peer(const struct tunnel *t, u16 peer)
{
	for (size_t n = 0; n < t->peer_count; n++) {
		if (t->peers[n] == peer)
			return true;
	}
	return t->peer_count == 0;
}

u32 tunnel_room(const struct tunnel *t, const struct peer *p, u32 overhead)
{
	u32 room = p->datagram_max > overhead ? p->datagram_max - overhead : 0;

	room = room > t->lead ? room - t->lead : 0;
	return t->mtu && t->mtu < room ? t->mtu : room;
}

/* --- receiving ------------------------------------------------------------------------------- */

/* The local tunnel of this id, if the peer takes part in it. */
static struct tunnel *tunnel_for(struct engine *e, const struct peer *p, u16 id)
{
	u16 slot = e->tunnel_by_id[id];
	struct tunnel *t = slot ? &e->tunnels[slot - 1] : NULL;

	if (t && tunnel_has_peer(t, p->index))
		return t;
	drop_count(&e->drops, DROP_NO_TUNNEL);
	return NULL;
}

static bool source_allowed(const struct engine *e, const struct tunnel *t, u16 peer, const u8 *data,
			   u32 size)
{
	struct address source, destination;

	if (!t->routed)
		return true;
	return ip_packet_addresses(data, size, &source, &destination) == 0 &&
	       allowedips_lookup(e->allowedips, &source) == peer;
}

/* Checks and hands a whole payload to its gate; takes over one reference to buf. */
static void tunnel_deliver(struct engine *e, u16 tunnel, u16 peer, u8 *data, u32 size,
			   struct buf *buf)
{
	struct tunnel *t = &e->tunnels[tunnel];

	if (size == 0 || !source_allowed(e, t, peer, data, size)) {
		drop_count(&t->drops, size ? DROP_NOT_ALLOWED : DROP_MALFORMED);
		buf_put(buf);
		return;
	}
	t->received++;
	t->received_bytes += size;
	engine_deliver(e, tunnel, peer, data, size, buf);
}

void tunnel_hand_over(struct engine *e, u64 now, u16 tunnel, u16 peer,
		      const struct reorder_item *item)
{
	if (!item->deadline || now <= item->deadline) {
		tunnel_deliver(e, tunnel, peer, item->data, item->size, item->buf);
		return;
	}
	drop_count(&e->tunnels[tunnel].drops, DROP_EXPIRED);
	buf_put(item->buf);
}

void tunnel_take(struct engine *e, struct peer *p, u64 now, u16 tunnel, u32 sequence,
		 const struct reorder_item *item)
{
	flow_take(&p->flows[tunnel], sequence);
	report_arrived(e, p, now, tunnel, sequence, NULL);
	if (p->flows[tunnel].order)
		order_take(e, p, now, tunnel, sequence, item);
	else
		tunnel_hand_over(e, now, tunnel, p->index, item);
}

void tunnel_payload(struct engine *e, struct peer *p, const struct arrival *in,
		    const struct frame_payload *f)
{
	struct tunnel *t = tunnel_for(e, p, f->tunnel);
	struct flow *flow;
	u16 index;

	if (!t)
		return;
	index = (u16)(t - e->tunnels);
	flow = &p->flows[index];
	flow_take(flow, f->sequence);
	report_arrived(e, p, in->now, index, f->sequence, in);
	if (flow->order)
		order_payload(e, p, in, index, f);
	else if (in->deadline && in->now > in->deadline)
		drop_count(&t->drops, DROP_EXPIRED);
	else
		tunnel_deliver(e, index, p->index, f->data, f->size, buf_ref(in->buf));
}

void tunnel_fragment(struct engine *e, struct peer *p, const struct arrival *in,
		     const struct frame_fragment *f)
{
	struct tunnel *t = tunnel_for(e, p, f->tunnel);
	struct reorder_item item;
	struct buf *whole;
	u16 index;

	if (!t)
		return;
	index = (u16)(t - e->tunnels);
	if (!fragment_take(e, in->now, p->index, index, f, &whole))
		return;
	item = (struct reorder_item){ buf_data(whole), whole->length, whole, in->deadline };
	tunnel_take(e, p, in->now, index, f->sequence, &item);
}

static void take_shard(struct engine *e, struct peer *p, const struct arrival *in,
		       const struct frame_shard *f)
{
	struct tunnel *t = tunnel_for(e, p, f->tunnel);

	if (t)
		rebuild_shard(e, p, in, (u16)(t - e->tunnels), f);
}

static void take_stripe(struct engine *e, struct peer *p, const struct arrival *in,
			const struct frame_stripe *f)
{
	struct tunnel *t = tunnel_for(e, p, f->tunnel);

	if (t)
		unstripe_take(e, p, in, (u16)(t - e->tunnels), f);
	else
		unstripe_note(e, p, in, f); /* the path has carried it */
}

void tunnel_frame(struct engine *e, struct peer *p, const struct arrival *in, const struct frame *f)
{
	if (f->type == FRAME_PAYLOAD)
		tunnel_payload(e, p, in, &f->payload);
	else if (f->type == FRAME_FRAGMENT)
		tunnel_fragment(e, p, in, &f->fragment);
	else if (f->type == FRAME_SHARD)
		take_shard(e, p, in, &f->shard);
	else
		take_stripe(e, p, in, &f->stripe);
}

/* --- configuration --------------------------------------------------------------------------- */

u16 tunnel_id_from_name(const char *name)
{
	const struct hash_part part = { name, strnlen(name, NAME_SIZE) };
	u8 hash[HASH_SIZE];
	u16 id;

	crypto_digest(hash, &part, 1);
	id = get_u16(hash);
	return id ? id : 1;
}

static u16 free_tunnel(const struct engine *e)
{
	u16 n = 0;

	while (n < MAX_TUNNELS && e->tunnels[n].used)
		n++;
	return n;
}

static int flow_open(struct engine *e, struct peer *p, u16 tunnel)
{
	int r = order_open(e, p, tunnel);

	if (r == 0)
		r = redund_open(e, p, tunnel);
	if (r == 0)
		r = stripe_open(e, p, tunnel);
	return r < 0 ? r : autosel_open(e, p, tunnel);
}

int flow_open_all(struct engine *e, struct peer *p)
{
	int r = 0;

	for (u16 n = 0; n < MAX_TUNNELS && r == 0; n++) {
		if (e->tunnels[n].used)
			r = flow_open(e, p, n);
	}
	return r;
}

void flow_close(struct engine *e, struct peer *p, u16 tunnel)
{
	order_close(e, p, tunnel);
	autosel_close(e, p, tunnel);
	report_close(e, p, tunnel);
	redund_close(e, p, tunnel);
	rebuild_close(e, p, tunnel);
	stripe_close(e, p, tunnel);
	unstripe_close(e, p, tunnel);
}

static int open_flows(struct engine *e, u16 tunnel)
{
	int r = 0;

	for (u32 n = 0; n < e->peer_limit && r == 0; n++) {
		if (!e->peers[n])
			continue;
		flow_begin(e, &e->peers[n]->flows[tunnel]);
		r = flow_open(e, e->peers[n], tunnel);
	}
	return r;
}

static int copy_peers(struct engine *e, struct tunnel *t, const struct tunnel_options *options)
{
	size_t size = options->peer_count * sizeof(*options->peers);

	if (size == 0)
		return 0;
	t->peers = mem_alloc(&e->options.allocator, size);
	if (!t->peers)
		return -ENOMEM;
	memcpy(t->peers, options->peers, size);
	t->peer_count = options->peer_count;
	return 0;
}

static bool shards_make_sense(const struct tunnel_options *o)
{
	if (o->num_shards == 0)
		return true;
	return !o->stripe && o->num_shards <= RS_SHARDS && o->required_shards > 0 &&
	       o->required_shards < o->num_shards && o->max_delay >= SHARD_DELAY_MIN &&
	       o->max_delay <= SHARD_DELAY_MAX;
}

static bool target_makes_sense(const struct tunnel_options *o)
{
	if (o->target.within == 0)
		return true;
	return o->num_shards == 0 && o->copies == 0 && o->target.within >= TARGET_WITHIN_MIN &&
	       o->target.within <= TARGET_WITHIN_MAX && o->target.residual_loss > 0 &&
	       o->target.residual_loss < 1 && o->target.max_overhead >= 1;
}

int engine_add_tunnel(struct engine *e, const struct tunnel_options *options, u16 *ret_tunnel)
{
	u16 n = free_tunnel(e);
	struct tunnel *t;

	if (!shards_make_sense(options) || !target_makes_sense(options))
		return -EINVAL;
	if (e->tunnel_by_id[options->id])
		return -EEXIST;
	if (n == MAX_TUNNELS)
		return -ENOSPC;
	t = &e->tunnels[n];
	memset(t, 0, sizeof(*t));
	if (copy_peers(e, t, options) < 0)
		return -ENOMEM;
	t->used = true;
	memcpy(t->name, options->name, sizeof(t->name));
	t->id = options->id;
	t->routed = options->routed;
	t->mtu = options->mtu;
	t->send_deadline = options->send_deadline;
	t->lead = t->send_deadline ? FRAME_DEADLINE_SIZE : 0;
	t->copies = options->copies;
	t->ordered = options->ordered;
	t->reorder_wait = options->reorder_wait;
	t->stripe = options->stripe;
	t->shards = (struct shard_options){ options->num_shards, options->required_shards,
					    options->max_delay };
	t->target = options->target;
	e->tunnel_by_id[t->id] = (u16)(n + 1);
	if (open_flows(e, n) < 0) {
		engine_remove_tunnel(e, n);
		return -ENOMEM;
	}
	*ret_tunnel = n;
	return 0;
}

void engine_remove_tunnel(struct engine *e, u16 tunnel)
{
	struct tunnel *t = tunnel_get(e, tunnel);

	if (!t)
		return;
	iface_forget_tunnel(e, tunnel);
	recall_forget(e, NO_INDEX, tunnel);
	fragment_forget(e, NO_INDEX, tunnel);
	engine_forget_deliveries(e, NO_INDEX, tunnel);
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			flow_close(e, e->peers[n], tunnel);
	}
	mem_free(&e->options.allocator, t->peers, t->peer_count * sizeof(*t->peers));
	e->tunnel_by_id[t->id] = 0;
	e->strained_mask &= ~(UINT64_C(1) << tunnel);
	memset(t, 0, sizeof(*t));
}

u32 engine_pending(const struct engine *e, u16 tunnel)
{
	return tunnel < MAX_TUNNELS ? e->tunnels[tunnel].pending : 0;
}

u32 engine_left(struct engine *e, u16 tunnel)
{
	u32 left = tunnel < MAX_TUNNELS ? e->tunnels[tunnel].left : 0;

	if (left)
		e->tunnels[tunnel].left = 0;
	return left;
}

void engine_gate_dropped(struct engine *e, u16 tunnel, enum drop_reason reason)
{
	if (tunnel < MAX_TUNNELS)
		drop_count(&e->tunnels[tunnel].drops, reason);
}

u32 engine_tunnel_mtu(const struct engine *e, u16 tunnel)
{
	const struct tunnel *t = &e->tunnels[tunnel];
	u32 mtu = 0;

	for (u32 n = 0; n < e->peer_limit; n++) {
		const struct peer *p = e->peers[n];
		u32 limit;

		if (!p || !p->usable_mask || !tunnel_has_peer(t, (u16)n))
			continue;
		limit = tunnel_room(t, p, redund_overhead(t));
		if (mtu == 0 || limit < mtu)
			mtu = limit;
	}
	return mtu > MTU_FLOOR ? mtu : MTU_FLOOR;
}
