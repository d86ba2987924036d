/* SPDX-License-Identifier: MIT */
/*
 * status_cost.c - the part of the answer to `warp status` that tells what interfaces cost.
 */
#include "warpd/status.h"

#include <time.h>

#include "warp/view.h"

static json_t *number(u64 value)
{
	return json_integer((json_int_t)value);
}

/* How much of the month's quota is used up; null: there is none. */
static json_t *quota(const struct daemon *d, const struct link *l)
{
	json_t *ret;
	u64 used;

	if (!l->used || !policy_used(d, l, &used))
		return json_null();
	ret = json_object();
	json_object_set_new(ret, "month",
			    json_string(quota_month(d->quota, l->address.ifname, time(NULL))));
	json_object_set_new(ret, "used", number(used));
	json_object_set_new(ret, "limit", number(l->policy->monthly_quota));
	json_object_set_new(ret, "used_up", json_boolean(l->used_up));
	return ret;
}

/* What the interface costs, and whether and why it carries data. */
void status_set_cost(const struct daemon *d, json_t *iface, u32 index, const struct iface_view *v)
{
	json_object_set_new(iface, "cost", json_string(iface_cost_name(v->policy.cost)));
	json_object_set_new(iface, "weight", number(policy_weight(&v->policy)));
	json_object_set_new(iface, "rate_limit_bps",
			    v->policy.rate_limit ? number(8 * v->policy.rate_limit) : json_null());
	json_object_set_new(iface, "carries", json_boolean(v->need != NEED_NONE));
	json_object_set_new(iface, "need", json_string(iface_need_name(v->need)));
	json_object_set_new(iface, "quota", quota(d, &d->links[index]));
}
