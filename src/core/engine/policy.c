/* SPDX-License-Identifier: MIT */
/*
 * policy.c - what paths cost, and which of them therefore rest.
 *
 * A path costs what its costlier end does: our interface, or the peer's, which tells with each probe.
 * Paths of one cost are a tier. From the cheapest on, tiers carry data until one of them is sure to
 * live; the paths of those behind it rest: they are probed at the pace of idle ones, so it is known
 * that they would carry, and nothing else goes over them.
 *
 * When a tier is not sure any more, the next one carries at once, and gets what left since the last
 * answer (recall.c): nothing is lost by the change. When it lives again, both carry for a moment.
 * A relayed path says nothing about a tier that has just lost its direct ones before it has
 * answered again, for it may well lead over the same link.
 *
 * The free tier can also live and yet not do the job: when it loses too much, after all that
 * redundancy can make good, metered paths help for as long as that lasts.
 */
#include "engine_internal.h"

#include <string.h>

#define TIER_OVERLAP (1 * NS_PER_S) /* both tiers carry, when the cheaper one has come back */
#define JUDGE_INTERVAL (100 * NS_PER_MS)
/* What is lost of the payloads, as far as the losses of the paths tell, before metered ones help, and
 * when they stop to. */
#define LOSS_TOO_MUCH 0.03
#define LOSS_GOOD 0.01
#define LOSSY_TIME (1 * NS_PER_S)
#define GOOD_TIME (5 * NS_PER_S)

const char *iface_cost_name(enum iface_cost cost)
{
	static const char *const names[] = { "free", "metered", "backup", "barred" };

	_Static_assert(ARRAY_SIZE(names) == IFACE_COSTS, "a cost has no name");
	return cost < IFACE_COSTS ? names[cost] : "?";
}

const char *iface_need_name(enum iface_need need)
{
	static const char *const names[] = { "none", "always", "loss", "life" };

	_Static_assert(ARRAY_SIZE(names) == IFACE_NEEDS, "a need has no name");
	return need < IFACE_NEEDS ? names[need] : "?";
}

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

static enum iface_cost path_cost(const struct path *path)
{
	return path->cost > path->remote_cost ? path->cost : path->remote_cost;
}

/* --- losses ---------------------------------------------------------------------------------- */

/* Of so many shards more than spare are lost; each is with probability loss. */
static double beyond_parity(u32 shards, u32 spare, double loss)
{
	double term = 1.0, good = 0.0;

	if (loss >= 1.0)
		return 1.0;
	for (u32 n = 0; n < shards; n++)
		term *= 1.0 - loss; /* of none */
	for (u32 n = 0; n <= spare; n++) {
		good += term;
		term *= (double)(shards - n) / (n + 1) * loss / (1.0 - loss);
	}
	return good < 1.0 ? 1.0 - good : 0.0;
}

/* Two paths share a link, for all that we know: our interface or, where all have the same one, the
 * peer's address. */
static bool share_link(const struct path *a, const struct path *b, bool one_iface)
{
	return one_iface ? address_equal(&a->remote.address, &b->remote.address) :
			   a->iface == b->iface;
}

static bool on_one_iface(const struct peer *p, u64 mask)
{
	const u8 iface = p->paths[__builtin_ctzll(mask)].iface;

	for (; mask; mask &= mask - 1) {
		if (p->paths[__builtin_ctzll(mask)].iface != iface)
			return false;
	}
	return true;
}

/* The losses of the best path of each link of mask; how many there are. */
static u32 link_losses(const struct peer *p, u64 mask, double losses[static MAX_PEER_PATHS])
{
	const bool one_iface = mask && on_one_iface(p, mask);
	u32 link[MAX_PEER_PATHS], count = 0;

	for (; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);
		const double loss = p->paths[n].out.loss;
		u32 k = 0;

		while (k < count && !share_link(&p->paths[n], &p->paths[link[k]], one_iface))
			k++;
		if (k == count) {
			link[count] = n;
			losses[count++] = loss;
		} else if (loss < losses[k]) {
			losses[k] = loss;
		}
	}
	return count;
}

/* What a tunnel would lose over links of these losses. */
static double tunnel_loss(const struct tunnel *t, const double *losses, u32 count)
{
	double all = 1.0, sum = 0.0;

	for (u32 n = 0; n < count; n++) {
		all *= losses[n];
		sum += losses[n];
	}
	if (t->shards.shards)
		return beyond_parity(t->shards.shards, t->shards.shards - t->shards.required,
				     sum / count);
	return t->copies && t->copies < count ? sum / count : all;
}

/* Of the tunnel that suffers most. */
static double worst_loss(const struct engine *e, const struct peer *p, u64 mask)
{
	double losses[MAX_PEER_PATHS], worst = 0.0;
	const u32 count = link_losses(p, mask, losses);

	for (u32 n = 0; count && n < MAX_TUNNELS; n++) {
		const struct tunnel *t = &e->tunnels[n];
		double loss;

		if (!t->used || !tunnel_has_peer(t, p->index))
			continue;
		loss = tunnel_loss(t, losses, count);
		worst = loss > worst ? loss : worst;
	}
	return worst;
}

/* Does the free tier, which lives, lose too much? */
static bool loses_much(const struct engine *e, struct peer *p, u64 now, u64 free)
{
	struct tiers *t = &p->tiers;
	double loss;

	if (t->judged_at && now < t->judged_at + JUDGE_INTERVAL)
		return t->lossy;
	if (!t->lossy && now > t->judged_at + LOSSY_TIME)
		t->loss_since = now;
	t->judged_at = now;
	loss = worst_loss(e, p, free);
	if (t->lossy ? loss > LOSS_GOOD : loss <= LOSS_TOO_MUCH)
		t->loss_since = now; /* it stays as it is */
	else if (now >= t->loss_since + (t->lossy ? GOOD_TIME : LOSSY_TIME))
		t->lossy = !t->lossy;
	return t->lossy;
}

/* --- tiers ----------------------------------------------------------------------------------- */

/* Is a path of the tier sure to work? */
static bool tier_lives(const struct peer *p, enum iface_cost cost, u64 mask, bool direct)
{
	for (mask &= p->usable_mask; mask; mask &= mask - 1) {
		const struct path *path = &p->paths[__builtin_ctzll(mask)];

		if (path->state != PATH_LIVE)
			continue;
		if (!path_relayed(path))
			return true;
		if (!direct && path->answered_stamp >= p->tiers.lost[cost])
			return true;
	}
	return false;
}

static void tier_update(struct peer *p, enum iface_cost cost, u64 mask, u64 now)
{
	struct tiers *t = &p->tiers;
	const bool direct = tier_lives(p, cost, mask, true);

	if (t->direct[cost] && !direct)
		t->lost[cost] = now;
	t->direct[cost] = direct;
	if (!tier_lives(p, cost, mask, false))
		t->since[cost] = 0;
	else if (t->since[cost] == 0)
		t->since[cost] = now ? now : 1;
}

/* A costlier tier has been needed: for so long that it was not just the first to come to life. */
static bool relieves(const struct tiers *t, enum iface_cost cost)
{
	for (u32 other = cost + 1; other < COST_BARRED; other++) {
		if (t->since[other] && t->since[other] + TIER_OVERLAP < t->since[cost])
			return true;
	}
	return false;
}

/* Can all that are costlier than this tier rest? */
static bool tier_serves(const struct engine *e, struct peer *p, enum iface_cost cost, u64 mask,
			u64 now)
{
	struct tiers *t = &p->tiers;
	const u64 at = t->since[cost] + TIER_OVERLAP;

	if (t->since[cost] == 0)
		return false;
	if (cost == COST_FREE && loses_much(e, p, now, mask & p->usable_mask))
		return false;
	if (now >= at || !relieves(t, cost))
		return true;
	t->until = at;
	return false;
}

/* These do not rest any more: what may have been lost goes over them, and it shows at once whether
 * they work. So it does of relays that are cheaper. */
static void awake(struct engine *e, struct peer *p, u64 now, u64 awoken)
{
	for (u64 mask = awoken | (p->relay_mask & ~p->tiers.resting); mask; mask &= mask - 1)
		path_wake(&p->paths[__builtin_ctzll(mask)], now);
	peer_arm(e, p, now);
}

static void rest(struct engine *e, struct peer *p, u64 now, u64 resting, u64 stand_by)
{
	const u64 before = p->tiers.resting;
	const u64 awoken = before & p->used_mask & ~resting;

	p->tiers.resting = resting;
	p->tiers.stand_by = p->usable_mask & stand_by & ~p->relay_mask;
	p->usable_mask &= ~resting;
	p->backup_mask &= ~resting;
	if (awoken)
		awake(e, p, now, awoken);
}

void policy_update(struct engine *e, struct peer *p, u64 now)
{
	u64 tier[IFACE_COSTS] = { 0 }, resting;
	bool served = false;

	for (u64 mask = p->used_mask; mask; mask &= mask - 1)
		tier[path_cost(&p->paths[__builtin_ctzll(mask)])] |= mask & -mask;
	p->tiers.until = TIME_NEVER;
	resting = 0;
	if (tier[COST_FREE] == p->used_mask) {
		rest(e, p, now, 0, 0);
		memset(&p->tiers, 0, sizeof(p->tiers));
		p->tiers.until = TIME_NEVER;
		return;
	}
	for (enum iface_cost cost = COST_FREE; cost < COST_BARRED; cost++) {
		tier_update(p, cost, tier[cost], now);
		if (served)
			resting |= tier[cost];
		else
			served = tier_serves(e, p, cost, tier[cost], now);
	}
	rest(e, p, now, resting | tier[COST_BARRED], resting);
	peer_arm(e, p, p->tiers.until);
}

/* --- what is told ---------------------------------------------------------------------------- */

/* A path whose cost is other than it was lets the peer know. */
static void set_cost(struct engine *e, struct peer *p, u64 now, u8 iface)
{
	const struct iface_policy *policy = &e->ifaces[iface]->options.policy;

	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		struct path *path = &p->paths[__builtin_ctzll(mask)];

		if (path->iface != iface)
			continue;
		if (path->cost != policy->cost)
			path_wake(path, now);
		policy_path(e, path);
	}
	pathset_update(e, p, now);
	peer_arm(e, p, now);
}

void engine_iface_set_policy(struct engine *e, u64 now, u8 iface, const struct iface_policy *policy)
{
	struct iface *i = iface_get(e, iface);

	if (!i)
		return;
	i->options.policy = *policy;
	iface_limit_rate(e, now, iface);
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n])
			set_cost(e, e->peers[n], now, iface);
	}
}

void policy_path(const struct engine *e, struct path *path)
{
	const struct iface_policy *policy = &e->ifaces[path->iface]->options.policy;

	path->cost = (u8)policy->cost;
	path->weight = (u8)policy_weight(policy);
}

void policy_told(struct engine *e, struct peer *p, u64 now, int path, u8 cost)
{
	if (p->paths[path].remote_cost == cost)
		return;
	p->paths[path].remote_cost = cost;
	pathset_update(e, p, now);
}

bool policy_resting(const struct peer *p, u32 path)
{
	return p->tiers.resting & bit(path);
}

bool policy_withholds(const struct peer *p)
{
	for (u64 mask = p->tiers.resting & p->used_mask; mask; mask &= mask - 1) {
		if (p->paths[__builtin_ctzll(mask)].state == PATH_LIVE)
			return true;
	}
	return false;
}

enum iface_need policy_need(const struct engine *e, u8 iface)
{
	enum iface_need need = NEED_NONE;

	for (u32 n = 0; n < e->peer_limit; n++) {
		const struct peer *p = e->peers[n];

		for (u64 mask = p ? p->usable_mask : 0; mask; mask &= mask - 1) {
			const struct path *path = &p->paths[__builtin_ctzll(mask)];

			if (path->iface != iface)
				continue;
			if (path_cost(path) == COST_FREE)
				return NEED_ALWAYS;
			if (need == NEED_NONE || !p->tiers.since[COST_FREE])
				need = p->tiers.since[COST_FREE] ? NEED_LOSS : NEED_LIFE;
		}
	}
	return need;
}
