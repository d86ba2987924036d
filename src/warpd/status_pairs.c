/* SPDX-License-Identifier: MIT */
/*
 * status_pairs.c - one of our interfaces and one of a peer's, for each pair that has been without a direct
 * path: what is being done about it, or why nothing can be.
 */
#include "warpd/status_pairs.h"

#include "warp/text.h"
#include "warp/view.h"

static json_t *pair(const struct daemon *d, const struct pair_view *v)
{
	json_t *ret = json_object();
	struct iface_view i;
	bool there = engine_view_iface(d->engine, v->iface, &i);

	json_object_set_new(ret, "interface", there ? json_string(i.name) : json_null());
	json_object_set_new(ret, "local",
			    there ? json_string(endpoint_text(&i.local)) : json_null());
	json_object_set_new(ret, "remote",
			    v->remote.address.family ? json_string(endpoint_text(&v->remote)) :
						       json_null());
	json_object_set_new(ret, "state", json_string(v->state));
	json_object_set_new(ret, "strategy", v->strategy ? json_string(v->strategy) : json_null());
	json_object_set_new(ret, "possible", json_boolean(v->possible));
	json_object_set_new(ret, "rounds", json_integer(v->rounds));
	return ret;
}

json_t *status_pairs(const struct daemon *d, u32 peer)
{
	json_t *ret = json_array();
	struct pair_view v;
	u32 i;

	for (i = 0; i < VIEW_PAIRS; i++) {
		if (engine_view_pair(d->engine, peer, i, &v))
			json_array_append_new(ret, pair(d, &v));
	}
	return ret;
}
