/* SPDX-License-Identifier: MIT */
/*
 * policy.c - what the configuration says of an interface, and how much of its monthly quota it has
 * used: told to the engine, which does with it what policy.h says.
 *
 * The engine counts datagrams; what the IP and UDP headers add is reckoned here. Links of one name
 * (several addresses) share a quota.
 */
#include "warpd/daemon.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "warp/log.h"
#include "warp/pattern.h"
#include "warp/view.h"

#define COUNT_INTERVAL (1 * NS_PER_S)
#define STATE_DIRECTORY "/var/lib/warp"
#define IP4_UDP 28u
#define IP6_UDP 48u

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

/* The first item of interfaces.policy that matches, or NULL. */
static const struct conf_policy *policy_of(const struct daemon *d, const char *ifname)
{
	const struct conf_interfaces *conf = &d->conf->interfaces;

	for (size_t i = 0; i < conf->policy_count; i++) {
		if (matches(&conf->policies[i], ifname))
			return &conf->policies[i];
	}
	return NULL;
}

/* --- counting ----------------------------------------------------------------------------- */

/* What has gone over a link since its socket was opened, with headers. */
static u64 carried(const struct daemon *d, const struct link *l)
{
	struct iface_view v;
	u64 overhead = l->address.address.family == 4 ? IP4_UDP : IP6_UDP;

	if (!engine_view_iface(d->engine, l->iface, &v))
		return l->counted;
	return v.sent_bytes + v.received_bytes + (v.sent_packets + v.received_packets) * overhead;
}

void policy_count(struct daemon *d, struct link *l)
{
	const struct conf_policy *conf = l->policy;
	u64 now;

	if (!conf || !conf->monthly_quota || !d->quota)
		return;
	now = carried(d, l);
	quota_add(d->quota, l->address.ifname, now - l->counted, time(NULL));
	l->counted = now;
}

bool policy_used(const struct daemon *d, const struct link *l, u64 *ret_used)
{
	if (!l->policy || !l->policy->monthly_quota || !d->quota)
		return false;
	*ret_used = quota_used(d->quota, l->address.ifname, time(NULL));
	return true;
}

/* --- applying ----------------------------------------------------------------------------- */

/* Of a link that has a quota; one that had one may have no policy any more. */
static void tell_used_up(const struct link *l)
{
	const char *now_is = l->policy->over_quota == COST_BARRED ? "carries nothing more" :
								    "is only a backup";

	log_warnx("%s: the quota of this month, %.3f GB, is used up: it %s", l->address.ifname,
		  (double)l->policy->monthly_quota / 1e9, now_is);
}

static void apply(struct daemon *d, struct link *l)
{
	struct iface_policy policy = l->policy ? l->policy->policy : (struct iface_policy){ 0 };
	bool used_up;
	u64 used;

	used_up = policy_used(d, l, &used) && used >= l->policy->monthly_quota;
	if (used_up && policy.cost < l->policy->over_quota)
		policy.cost = l->policy->over_quota;
	if (used_up && !l->used_up)
		tell_used_up(l);
	else if (l->used_up && !used_up)
		log_info("%s: a new month, or quota: it is used again", l->address.ifname);
	l->used_up = used_up;
	if (memcmp(&policy, &l->applied, sizeof(policy)) == 0)
		return;
	l->applied = policy;
	engine_iface_set_policy(d->engine, d->now, l->iface, &policy);
}

void policy_apply(struct daemon *d, struct link *l)
{
	l->policy = policy_of(d, l->address.ifname);
	l->counted = carried(d, l);
	apply(d, l);
}

/* --- the state ---------------------------------------------------------------------------- */

static bool has_quotas(const struct conf *conf)
{
	for (size_t i = 0; i < conf->interfaces.policy_count; i++) {
		if (conf->interfaces.policies[i].monthly_quota)
			return true;
	}
	return false;
}

/* As configured, or as systemd says it, which may name several. */
static struct quota *open_quota(const struct conf *conf)
{
	const char *given = getenv("STATE_DIRECTORY");
	char directory[sizeof(conf->state_directory)] = STATE_DIRECTORY;
	size_t size = given ? strcspn(given, ":") : 0;

	if (conf->state_directory[0])
		return quota_open(conf->state_directory);
	if (size && size < sizeof(directory)) {
		memcpy(directory, given, size);
		directory[size] = 0;
	}
	return quota_open(directory);
}

void policy_configure(struct daemon *d)
{
	const bool wanted = has_quotas(d->conf);

	if (wanted && !d->quota)
		d->quota = open_quota(d->conf);
	d->next_count = wanted && d->quota ? d->now : TIME_NEVER;
	for (u32 i = 0; i < MAX_IFACES; i++) {
		if (d->links[i].used)
			policy_apply(d, &d->links[i]);
	}
}

void policy_expire(struct daemon *d)
{
	d->next_count = d->now + COUNT_INTERVAL;
	for (u32 i = 0; i < MAX_IFACES; i++) {
		if (d->links[i].used)
			policy_count(d, &d->links[i]);
	}
	for (u32 i = 0; i < MAX_IFACES; i++) {
		if (d->links[i].used)
			apply(d, &d->links[i]);
	}
	quota_save(d->quota, d->now);
}

void policy_close(struct daemon *d)
{
	quota_close(d->quota);
	d->quota = NULL;
}
