/* SPDX-License-Identifier: MIT */
/*
 * learn.c - what is known of a peer's paths, and the links that a plan is made with.
 *
 * Ten times a second, while payloads go out, the losses, delays and states of all paths are sampled. Of
 * paths over one interface, and of those that share their fate (fate.h), the best one is a link;
 * the others add nothing when it fails.
 */
#include "engine_internal.h"

#include <errno.h>
#include <string.h>

#define KNOWN_WELL 60.0 /* datagrams */
#define KNOWN_SURELY 500.0
#define VARIATIONS 4u
#define REPORT_SLACK (8 * NS_PER_MS) /* of a report: its interval, timers */
#define METERED_PRICE 8.0
#define BACKUP_PRICE 64.0

int learn_open(struct engine *e, struct peer *p)
{
	if (!p->learned)
		p->learned = mem_alloc(&e->options.allocator, sizeof(*p->learned));
	if (!p->learned)
		return -ENOMEM;
	p->learned->users++;
	return 0;
}

void learn_close(struct engine *e, struct peer *p)
{
	if (!p->learned || --p->learned->users > 0)
		return;
	mem_free(&e->options.allocator, p->learned, sizeof(*p->learned));
	p->learned = NULL;
}

/* --- samples --------------------------------------------------------------------------------- */

static void sample_path(struct learned *l, u32 n, const struct path *path)
{
	u64 lost;
	const u64 sent = path_judged_out(path, &lost);
	double loss = 0;

	if (l->born[n] != path->born) { /* another path has this place */
		know_init(&l->know[n]);
		fate_forget(&l->fate, n);
		l->born[n] = path->born;
		l->sent[n] = sent;
		l->lost[n] = lost;
	}
	if (sent > l->sent[n] && lost > l->lost[n])
		loss = (double)(lost - l->lost[n]) / (double)(sent - l->sent[n]);
	fate_sample(&l->fate, n, path->queue_out, loss < 1 ? loss : 1);
	know_sample(&l->know[n], sent, lost, path->state == PATH_LIVE);
	l->sent[n] = sent;
	l->lost[n] = lost;
}

void learn_refresh(struct peer *p, u64 now)
{
	struct learned *l = p->learned;

	if (now < l->next)
		return;
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);

		sample_path(l, n, &p->paths[n]);
	}
	fate_step(&l->fate, p->usable_mask);
	l->next = l->next + KNOW_INTERVAL > now ? l->next + KNOW_INTERVAL : now + KNOW_INTERVAL;
}

/* --- links ----------------------------------------------------------------------------------- */

static bool same_interface(const struct engine *e, const struct path *a, const struct path *b)
{
	return strncmp(e->ifaces[a->iface]->options.name, e->ifaces[b->iface]->options.name,
		       IFNAME_SIZE) == 0;
}

static bool same_fate(const struct engine *e, const struct peer *p, u32 a, u32 b)
{
	return same_interface(e, &p->paths[a], &p->paths[b]) ||
	       (path_relayed(&p->paths[a]) && path_relayed(&p->paths[b])) ||
	       (p->learned && fate_bound(&p->learned->fate, a, b));
}

u32 learn_fate(const struct engine *e, const struct peer *p, u32 path)
{
	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);

		if (n >= path)
			break;
		if (same_fate(e, p, n, path))
			return n;
	}
	return path;
}

static double price(const struct path *path)
{
	switch (path->cost > path->remote_cost ? path->cost : path->remote_cost) {
	case COST_METERED:
		return METERED_PRICE;
	case COST_BACKUP:
		return BACKUP_PRICE;
	default:
		return 1;
	}
}

static struct plan_link link_of(const struct peer *p, u32 n)
{
	const struct path *path = &p->paths[n];
	const struct know *k = &p->learned->know[n];

	return (struct plan_link){
		.path = (u8)n,
		.loss = know_loss_upper(k),
		.burst = know_burst(k),
		.outage = know_outage(k),
		.delay = path->rtt / 2 + path->queue_out / 2 + VARIATIONS / 2 * path->rtt_var,
		.answer = path->rtt ? path->rtt + VARIATIONS * path->rtt_var + REPORT_SLACK : 0,
		.price = price(path),
	};
}

/* The number of links that have the same address at the other end as this path. */
static u32 remotes_taken(const struct peer *p, const struct plan_input *in, u32 n)
{
	u32 count = 0;

	for (u32 i = 0; i < in->count; i++)
		count += address_equal(&p->paths[in->link[i].path].remote.address,
				       &p->paths[n].remote.address);
	return count;
}

static bool fate_taken(const struct engine *e, const struct peer *p, const struct plan_input *in,
		       u32 n)
{
	for (u32 i = 0; i < in->count; i++) {
		if (same_fate(e, p, in->link[i].path, n))
			return true;
	}
	return false;
}

/* Rather what ends where no link does, then what loses less (in steps that are not noise), then what is
 * in use, then what is faster. */
static bool goes_before(const struct peer *p, const struct plan_input *in, u64 current,
			const struct plan_link *a, const struct plan_link *b)
{
	const bool a_used = current >> a->path & 1, b_used = current >> b->path & 1;
	const u32 a_taken = remotes_taken(p, in, a->path), b_taken = remotes_taken(p, in, b->path);

	if (a_taken != b_taken)
		return a_taken < b_taken;
	if (a->loss > 2 * b->loss || b->loss > 2 * a->loss)
		return a->loss < b->loss;
	if (a_used != b_used)
		return a_used;
	return p->paths[a->path].rtt < p->paths[b->path].rtt;
}

u32 learn_links(const struct engine *e, const struct peer *p, u64 live, u64 current,
		struct plan_input *ret)
{
	u32 well = 0;

	for (ret->count = 0; ret->count < PLAN_LINKS;) {
		struct plan_link best = { .path = MAX_PEER_PATHS };

		for (u64 mask = live; mask; mask &= mask - 1) {
			const u32 n = (u32)__builtin_ctzll(mask);
			struct plan_link l;

			if (fate_taken(e, p, ret, n))
				continue;
			l = link_of(p, n);
			if (best.path == MAX_PEER_PATHS || goes_before(p, ret, current, &l, &best))
				best = l;
		}
		if (best.path == MAX_PEER_PATHS)
			break;
		well += know_evidence(&p->learned->know[best.path]) >= KNOWN_WELL;
		ret->link[ret->count++] = best;
	}
	return well;
}

bool learn_surely(const struct peer *p, const struct plan_input *in)
{
	for (u32 n = 0; n < in->count; n++) {
		if (know_evidence(&p->learned->know[in->link[n].path]) < KNOWN_SURELY)
			return false;
	}
	return true;
}

void learn_view(const struct peer *p, u32 path, struct path_view *ret)
{
	const struct know *k = p->learned ? &p->learned->know[path] : NULL;

	ret->loss_most = k ? know_loss_upper(k) : 1;
	ret->burst = k ? know_burst(k) : 1;
	ret->failures = k ? (u64)k->failures : 0;
}
