/* SPDX-License-Identifier: MIT */
/*
 * status_auto.c - of the daemon's state as JSON what tunnels with a target have chosen, and why.
 */
#include "warpd/status_auto.h"

#include "warp/text.h"
#include "warp/view.h"

static json_t *number(u64 value)
{
	return json_integer((json_int_t)value);
}

/* Interfaces and remote endpoints of these paths. */
static json_t *paths(const struct daemon *d, u32 peer, u64 mask)
{
	json_t *ret = json_array(), *path;

	for (; mask; mask &= mask - 1) {
		struct path_view v;
		struct iface_view iface;

		if (!engine_view_path(d->engine, peer, (u32)__builtin_ctzll(mask), &v) ||
		    !engine_view_iface(d->engine, v.iface, &iface))
			continue;
		path = json_object();
		json_object_set_new(path, "interface", json_string(iface.name));
		json_object_set_new(path, "remote", json_string(endpoint_text(&v.remote)));
		json_array_append_new(ret, path);
	}
	return ret;
}

static void set_mechanism(const struct daemon *d, json_t *o, u32 peer, const struct plan_view *v)
{
	const struct plan *plan = &v->plan;
	json_t *shards = json_null();

	if (plan->kind == PLAN_SHARDS) {
		shards = json_object();
		json_object_set_new(shards, "num", number(plan->shards));
		json_object_set_new(shards, "required", number(plan->required));
		json_object_set_new(shards, "max_delay",
				    json_real((double)plan->max_delay / NS_PER_S));
	}
	json_object_set_new(o, "mechanism", json_string(plan_kind_name(plan->kind)));
	json_object_set_new(o, "why", json_string(plan_why_name(plan->why)));
	json_object_set_new(o, "first", paths(d, peer, v->first));
	json_object_set_new(o, "again", paths(d, peer, v->again));
	json_object_set_new(o, "again_copies", number(plan->times));
	json_object_set_new(o, "shards", shards);
}

static json_t *plan(const struct daemon *d, u32 peer, const char *name, const struct plan_view *v)
{
	json_t *ret = json_object();

	json_object_set_new(ret, "peer", json_string(name));
	set_mechanism(d, ret, peer, v);
	json_object_set_new(ret, "meets_target", json_boolean(v->plan.met));
	json_object_set_new(ret, "expected_loss", json_real(v->plan.residual));
	json_object_set_new(ret, "expected_overhead", json_real(v->plan.overhead));
	json_object_set_new(ret, "links", number(v->links));
	json_object_set_new(ret, "payload_rate", json_real(v->rate));
	json_object_set_new(ret, "reports", json_boolean(v->reports));
	json_object_set_new(ret, "changes", number(v->changes));
	json_object_set_new(ret, "copies_again", number(v->repair.again));
	json_object_set_new(ret, "saved", number(v->repair.saved));
	json_object_set_new(ret, "needless", number(v->repair.needless));
	json_object_set_new(ret, "unreported", number(v->repair.lost));
	json_object_set_new(ret, "overrun", number(v->repair.overrun));
	return ret;
}

static json_t *plans(const struct daemon *d, u32 tunnel)
{
	json_t *ret = json_array();
	struct peer_view peer;
	struct plan_view v;

	for (u32 n = 0; n < MAX_PEERS; n++) {
		if (engine_view_plan(d->engine, tunnel, n, &v) &&
		    engine_view_peer(d->engine, n, &peer))
			json_array_append_new(ret, plan(d, n, peer.name, &v));
	}
	return ret;
}

json_t *status_auto(const struct daemon *d, u32 tunnel, const struct tunnel_view *v)
{
	json_t *ret;

	if (v->target.within == 0)
		return json_null();
	ret = json_object();
	json_object_set_new(ret, "residual_loss", json_real(v->target.residual_loss));
	json_object_set_new(ret, "within", json_real((double)v->target.within / NS_PER_S));
	json_object_set_new(ret, "max_overhead", json_real(v->target.max_overhead));
	json_object_set_new(ret, "plans", plans(d, tunnel));
	return ret;
}
