/* SPDX-License-Identifier: MIT */
/*
 * policy.c - what the configuration says of an interface.
 */
#include "warpd/daemon.h"

#include "warp/pattern.h"

static bool matches(const struct conf_policy *p, const char *ifname)
{
	struct patterns *patterns;
	bool ret;

	if (patterns_compile(&patterns, p->match, p->match_count, NULL, NULL, 0) < 0)
		return false;
	ret = patterns_match(patterns, ifname);
	patterns_free(patterns);
	return ret;
}

const struct conf_policy *policy_of(const struct daemon *d, const char *ifname)
{
	const struct conf_interfaces *conf = &d->conf->interfaces;

	for (size_t i = 0; i < conf->policy_count; i++) {
		if (matches(&conf->policies[i], ifname))
			return &conf->policies[i];
	}
	return NULL;
}

void policy_apply(struct daemon *d, const struct link *l)
{
	const struct conf_policy *conf = policy_of(d, l->address.ifname);
	const struct iface_policy policy = conf ? conf->policy : (struct iface_policy){ 0 };

	engine_iface_set_policy(d->engine, d->now, l->iface, &policy);
}

void policy_configure(struct daemon *d)
{
	for (u32 i = 0; i < MAX_IFACES; i++) {
		if (d->links[i].used)
			policy_apply(d, &d->links[i]);
	}
}
