/* SPDX-License-Identifier: MIT */
/*
 * policy.c - what interfaces cost, and which paths therefore rest.
 */
#include "engine_internal.h"

const char *iface_cost_name(enum iface_cost cost)
{
	static const char *const names[] = { "free", "metered", "backup", "barred" };

	_Static_assert(ARRAY_SIZE(names) == IFACE_COSTS, "a cost has no name");
	return cost < IFACE_COSTS ? names[cost] : "?";
}

void engine_iface_set_policy(struct engine *e, u64 now, u8 iface, const struct iface_policy *policy)
{
	struct iface *i = iface_get(e, iface);

	if (!i)
		return;
	i->options.policy = *policy;
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			pathset_update(e, e->peers[n], now);
	}
}
