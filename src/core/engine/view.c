/* SPDX-License-Identifier: MIT */
/*
 * view.c - pictures of the engine's state for people and tests. Reads only.
 */
#include "autosel.h"

#include <string.h>

bool engine_view_iface(const struct engine *e, u32 index, struct iface_view *ret)
{
	const struct iface *i = index < MAX_IFACES ? e->ifaces[index] : NULL;

	if (!i)
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, i->options.name, sizeof(ret->name));
	ret->local = i->options.local;
	ret->mtu = i->options.mtu;
	ret->resting = i->resting;
	ret->policy = i->options.policy;
	ret->need = policy_need(e, (u8)index);
	ret->sent_packets = i->sent_packets;
	ret->sent_bytes = i->sent_bytes;
	ret->received_packets = i->received_packets;
	ret->received_bytes = i->received_bytes;
	ret->send_errors = i->send_errors;
	ret->nat = i->nat.class.is;
	ret->mapped = i->mapped;
	ret->mapped_reached = i->mapped_reached;
	for (u32 m = 0; m < MAX_MAPS; m++) {
		const struct registration *r = &e->maps[m].registrations[index];

		if (!e->maps[m].used)
			continue;
		ret->map[m].registered = r->state == REG_DONE && e->maps[m].connected;
		ret->map[m].answered_at = r->answered_at;
		ret->map[m].observed = r->observed;
		ret->map[m].stream = e->maps[m].streams[index].leads;
	}
	return true;
}

bool engine_view_map(const struct engine *e, u32 index, struct map_view *ret)
{
	const struct map *m = index < MAX_MAPS ? &e->maps[index] : NULL;

	if (!m || !m->used)
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->public_key, m->assoc.remote_key, KEY_SIZE);
	ret->connected = m->connected && m->assoc.current;
	ret->answered_at = m->answered_at;
	ret->endpoint_count = (u32)m->endpoint_count;
	if (m->endpoint_count)
		ret->endpoint = m->endpoints[0];
	return true;
}

static void view_registered(const struct peer *p, struct peer_view *ret)
{
	for (u32 m = 0; m < MAX_MAPS; m++) {
		for (u32 n = 0; p->mappings[m] && n < p->mappings[m]->count; n++) {
			if (ret->registered_count == VIEW_CANDIDATES)
				return;
			ret->registered[ret->registered_count].observed =
				p->mappings[m]->entry[n].observed;
			ret->registered[ret->registered_count++].lan = p->mappings[m]->entry[n].lan;
		}
	}
}

static void view_overrides(const struct peer *p, struct peer_view *ret)
{
	_Static_assert(MAX_OVERRIDES <= VIEW_OVERRIDES, "the view has room for all");
	for (u32 n = 0; n < MAX_OVERRIDES; n++) {
		const struct override *o = &p->overrides[n];

		if (o->used)
			ret->override[ret->override_count++] =
				(struct override_view){ o->iface, o->registered, o->actual };
	}
}

static void view_paths(const struct peer *p, struct peer_view *ret)
{
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		const struct path *path = &p->paths[__builtin_ctzll(mask)];

		ret->path_count++;
		if (path->last_heard > ret->last_heard)
			ret->last_heard = path->last_heard;
		if (path_usable(path) && path->rtt && (!ret->rtt || path->rtt < ret->rtt))
			ret->rtt = path->rtt;
	}
}

bool engine_view_peer(const struct engine *e, u32 index, struct peer_view *ret)
{
	const struct peer *p = index < e->peer_limit ? e->peers[index] : NULL;

	if (!p)
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, p->name, sizeof(ret->name));
	memcpy(ret->public_key, p->assoc.remote_key, KEY_SIZE);
	ret->session = p->assoc.current != NULL;
	ret->connected = p->connected;
	ret->closed = p->closed;
	ret->cipher = ret->session ? (enum cipher)p->assoc.current->send.cipher : CIPHER_NONE;
	ret->session_since = ret->session ? p->assoc.current_since : 0;
	view_registered(p, ret);
	view_overrides(p, ret);
	view_paths(p, ret);
	return true;
}

/* The map that forwards. */
static struct endpoint relay_at(const struct engine *e, const struct path *path)
{
	static const struct endpoint none;
	const struct endpoint *at =
		map_endpoint(e, &e->maps[relay_map(&path->remote)], path->iface);

	return at ? *at : none;
}

/* A peer's interface that is not observed anywhere, is at the map by TCP. */
static bool is_by_stream(const struct engine *e, const struct peer *p, const struct path *path)
{
	const u16 map = relay_map(&path->remote);
	const struct mappings *known = p->mappings[map];

	for (u32 n = 0; known && n < known->count; n++) {
		if (known->entry[n].interface == path->remote.address.bytes[5] &&
		    !known->entry[n].observed.address.family)
			return true;
	}
	return e->maps[map].streams[path->iface].leads;
}

bool engine_view_path(const struct engine *e, u32 peer, u32 index, struct path_view *ret)
{
	const struct peer *p = peer < e->peer_limit ? e->peers[peer] : NULL;
	const struct path *path;

	if (!p || index >= MAX_PEER_PATHS || !p->paths[index].used)
		return false;
	path = &p->paths[index];
	*ret = (struct path_view){
		.iface = path->iface,
		.remote = path->remote,
		.origin = path->origin,
		.state = path->state,
		.cost = path->cost > path->remote_cost ? path->cost : path->remote_cost,
		.resting = policy_resting(p, index),
		.rtt = path->rtt,
		.rtt_var = path->rtt_var,
		.mtu = path->pmtu.size,
		.sent = path->sent.packets,
		.sent_bytes = path->sent.bytes,
		.sent_lost = path_lost_out(path),
		.first = path->first.packets,
		.first_bytes = path->first.bytes,
		.duplicate = path->duplicate.packets,
		.duplicate_bytes = path->duplicate.bytes,
		.received_lost = path_lost_in(path),
		.loss_out = path->out.loss,
		.loss_in = path->in.loss,
		.rate_out = path->rate_out,
		.rate_in = path->rate_in,
		.congested = path->congested,
		.limit_out = p->eased_mask & UINT64_C(1) << index && path->ease.state ?
				     (double)path->ease.rate :
				     0,
		.queue_out = path->queue_out,
		.queue_in = path->queue_in,
		.saved_out = path->saved_out + autosel_saved(e, p, index),
		.saved_in = report_saved(p, index),
		.fate = learn_fate(e, p, index),
	};
	learn_view(p, index, ret);
	if (path_relayed(path)) {
		ret->remote = relay_at(e, path);
		ret->stream = is_by_stream(e, p, path);
	}
	ret->known = stripe_knows(p, index, &ret->knowledge);
	return true;
}

bool engine_view_tunnel(const struct engine *e, u32 index, struct tunnel_view *ret)
{
	const struct tunnel *t = index < MAX_TUNNELS ? &e->tunnels[index] : NULL;

	if (!t || !t->used)
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, t->name, sizeof(ret->name));
	ret->id = t->id;
	ret->routed = t->routed;
	ret->copies = t->copies;
	ret->congested = e->strained_mask >> index & 1;
	ret->sent = t->sent;
	ret->sent_bytes = t->sent_bytes;
	ret->copies_sent = t->copies_sent;
	ret->received = t->received;
	ret->received_bytes = t->received_bytes;
	ret->pending = t->pending;
	ret->drops = t->drops;
	ret->ordered = t->ordered;
	ret->reordered = t->reordered;
	ret->late = t->drops.count[DROP_LATE];
	ret->waiting = order_waiting(e, (u16)index);
	ret->num_shards = t->shards.shards;
	ret->required_shards = t->shards.required;
	ret->max_delay = t->shards.max_delay;
	ret->shards = t->shard_counts;
	ret->target = t->target;
	ret->stripe = t->stripe;
	ret->repaired = t->repaired;
	for (u32 n = 0; n < e->peer_limit; n++) {
		const struct flow *f = e->peers[n] ? &e->peers[n]->flows[index] : NULL;

		ret->lost += f ? flow_lost(f) : 0;
		if (f && f->reseq) {
			ret->lost += reseq_lost(f->reseq);
			ret->waiting += reseq_waiting(f->reseq);
		}
	}
	return true;
}

bool engine_view_plan(const struct engine *e, u32 tunnel, u32 peer, struct plan_view *ret)
{
	const struct peer *p = peer < e->peer_limit ? e->peers[peer] : NULL;
	const struct autosel *a = p && tunnel < MAX_TUNNELS ? p->flows[tunnel].autosel : NULL;

	if (!a)
		return false;
	*ret = (struct plan_view){ .target = e->tunnels[tunnel].target,
				   .plan = a->plan,
				   .first = a->first,
				   .again = a->again,
				   .links = a->in.count,
				   .rate = a->rate,
				   .reports = a->in.reports,
				   .changes = a->changes };
	if (a->repair)
		ret->repair = *repair_counts(a->repair);
	return true;
}

const struct drop_counts *engine_view_drops(const struct engine *e)
{
	return &e->drops;
}
