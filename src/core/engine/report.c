/* SPDX-License-Identifier: MIT */
/*
 * report.c - the other end asks what has come of what it sends in a tunnel, and is told.
 *
 * An ASK holds for ASKED_TIME. Reports leave when something new has come, at most one an interval, over
 * the path that brought it and another one in turn; when something is missing, over both. With them the
 * other end sends again what it has sent over too few paths.
 *
 * While payloads are said to go over several paths, each path is credited with those that it alone has
 * brought in time; the other end is told in the answers to its probes.
 */
#include "engine_internal.h"

#include <string.h>

#define ASKED_TIME (10 * NS_PER_S)
#define MANY_FRESH 64u /* so many that have come are told at once */

/* What is told of one tunnel to one peer. */
struct telling {
	struct telling *next;
	u16 peer, tunnel;
	struct arrivals arrivals;
	u64 asked_until, interval, within;
	u64 told_at, due; /* TIME_NEVER: there is nothing to tell */
	u32 first;        /* sequence from which on copies is meant */
	u32 copies;
	u8 path;    /* that has brought something last */
	bool other; /* its turn is not the next one's */
};

/* --- who has asked --------------------------------------------------------------------------- */

static struct telling *telling_open(struct engine *e, struct peer *p, u16 tunnel)
{
	struct telling *t = mem_alloc(&e->options.allocator, sizeof(*t));

	if (!t)
		return NULL;
	t->peer = p->index;
	t->tunnel = tunnel;
	t->due = TIME_NEVER;
	t->next = e->tellings;
	e->tellings = t;
	p->flows[tunnel].telling = t;
	return t;
}

void report_close(struct engine *e, struct peer *p, u16 tunnel)
{
	struct telling *t = p->flows[tunnel].telling, **at = &e->tellings;

	if (!t)
		return;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	mem_free(&e->options.allocator, t, sizeof(*t));
	p->flows[tunnel].telling = NULL;
}

void report_forget(struct engine *e, struct peer *p)
{
	mem_free(&e->options.allocator, p->value, sizeof(*p->value));
	p->value = NULL;
}

void report_ask(struct engine *e, struct peer *p, u64 now, const struct frame_report *f)
{
	const u16 slot = e->tunnel_by_id[f->tunnel];
	struct telling *t;

	if (!slot || !tunnel_has_peer(&e->tunnels[slot - 1], p->index))
		return;
	t = p->flows[slot - 1].telling;
	if (!t)
		t = telling_open(e, p, (u16)(slot - 1));
	if (!t)
		return;
	if (t->asked_until <= now || sequence_is_far(f->sequence, t->arrivals.newest))
		arrivals_begin(&t->arrivals, f->sequence);
	t->asked_until = now + ASKED_TIME;
	t->interval = f->interval * NS_PER_MS;
	t->first = f->sequence;
	t->copies = f->copies;
	t->within = f->within * NS_PER_MS;
	p->asked_until = t->asked_until;
	p->value_within = f->within * NS_PER_MS;
	if (f->copies > 1 && !p->value)
		p->value = mem_alloc(&e->options.allocator, sizeof(*p->value));
}

/* --- what has come --------------------------------------------------------------------------- */

static void credit(struct peer *p, const struct telling *t, u32 sequence, const struct arrival *in)
{
	if (p->value && t->copies > 1 && (i64)(int32_t)(sequence - t->first) >= 0)
		value_first(p->value, in->now, in->session, in->counter, t->path);
}

void report_arrived(struct engine *e, struct peer *p, u64 now, u16 tunnel, u32 sequence,
		    const struct arrival *in)
{
	struct telling *t = p->flows[tunnel].telling;

	if (!t || t->asked_until <= now)
		return;
	if (in && in->path >= 0) {
		t->path = (u8)in->path;
		credit(p, t, sequence, in);
	}
	arrivals_take(&t->arrivals, sequence);
	if (t->due == TIME_NEVER)
		t->due = t->told_at + t->interval > now ? t->told_at + t->interval : now;
	if (t->arrivals.fresh >= MANY_FRESH)
		t->due = now;
	engine_arm(e, t->due);
}

u64 report_wait(const struct flow *f)
{
	return f->telling ? f->telling->within : 0;
}

void report_copy(struct peer *p, const struct arrival *in)
{
	if (p->value)
		value_copy(p->value, in->session, in->counter);
}

/* --- reports --------------------------------------------------------------------------------- */

static void tell(struct engine *e, struct telling *t, u64 now)
{
	struct peer *p = e->peers[t->peer];
	struct frame f = { .type = FRAME_REPORT };
	u64 mask = p->usable_mask & UINT64_C(1) << t->path, others;
	const bool missing = arrivals_report(&t->arrivals, &f.report);

	f.report.tunnel = e->tunnels[t->tunnel].id;
	others = pathset_select(p, 2) & ~mask;
	others &= -others;
	t->other = !t->other;
	if (missing || !mask)
		mask |= others;
	else if (t->other && others)
		mask = others;
	for (; mask; mask &= mask - 1)
		peer_send_frames(e, p, now, (u8)__builtin_ctzll(mask), &f, 1, 0);
	t->told_at = now;
	t->due = TIME_NEVER;
}

u64 report_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (const struct telling *t = e->tellings; t; t = t->next)
		at = time_min(at, t->due);
	return at;
}

void report_expire(struct engine *e, u64 now)
{
	for (struct telling *t = e->tellings; t; t = t->next) {
		if (t->due <= now)
			tell(e, t, now);
	}
}

/* --- paths ----------------------------------------------------------------------------------- */

void report_probe(struct path *path, u64 now, const struct frame_probe *probe)
{
	path->queue_in = trend_take(&path->trend, now, probe->stamp);
}

u64 report_saved(const struct peer *p, u32 path)
{
	return p->value ? p->value->saved[path] : 0;
}

bool report_path(struct peer *p, u64 now, u32 path, struct frame *ret)
{
	const u64 queue = p->paths[path].queue_in / NS_PER_US;

	if (p->asked_until <= now && p->busy_until <= now)
		return false;
	if (p->value)
		value_sweep(p->value, now, p->value_within);
	ret->type = FRAME_REPORT;
	ret->report = (struct frame_report){ .kind = REPORT_PATH,
					     .queue = queue < UINT32_MAX ? (u32)queue : UINT32_MAX,
					     .saved = report_saved(p, path) };
	return true;
}
