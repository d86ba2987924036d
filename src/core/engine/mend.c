/* SPDX-License-Identifier: MIT */
/*
 * mend.c - datagrams of payloads that went over too few paths to be sure: kept while reports are
 * outstanding, sent again when these are missing (repair.h), over the paths that the plan names.
 */
#include "autosel.h"

#include <string.h>

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

/* --- again ----------------------------------------------------------------------------------- */

void autosel_keep(const struct sending *s, u32 sequence, const u8 *datagram, u32 size)
{
	struct autosel *a = s->flow->autosel;
	struct repair_sent sent = {
		.sequence = sequence, .mask = s->mask, .data = datagram, .size = size
	};

	if (!a || !a->repair || a->plan.kind != PLAN_REPAIR || !a->again ||
	    a->leave >= a->in.target.within)
		return;
	sent.until = s->now + a->in.target.within - a->leave;
	sent.patience = time_min(a->patience, sent.until - s->now);
	repair_keep(a->repair, s->now, &sent);
	engine_arm(s->e, repair_next_expiry(a->repair));
}

static void send_copy(struct engine *e, struct peer *p, u64 now, u16 tunnel, u8 path, struct buf *b)
{
	struct path *to = &p->paths[path];
	const struct queued q = { .destination = to->remote,
				  .socket = to->socket,
				  .deadline = now + QUEUE_DEADLINE,
				  .peer = p->index,
				  .tunnel = tunnel,
				  .path = path };

	if (!iface_queue(e, now, to->iface, b, &q))
		return;
	to->sent.packets++;
	to->sent.bytes += b->length;
	e->tunnels[tunnel].copies_sent++;
}

static void send_again(struct engine *e, struct peer *p, u64 now, struct autosel *a,
		       const struct repair_due *due)
{
	const u32 times = a->plan.kind == PLAN_REPAIR && a->plan.times ? a->plan.times : 1;
	struct buf *b = due->size <= BUF_PAYLOAD_MAX ? buf_get(e->options.pool) : NULL;
	u64 over = a->plan.kind == PLAN_REPAIR && a->again ? a->again : a->careful;
	u32 copies = 0;

	if (!autosel_all_live(p, over))
		over = pathset_select(p, 0);
	if (!b) {
		repair_again(a->repair, now, due->slot, 0, 0, a->patience + AUTOSEL_SLACK);
		return;
	}
	memcpy(buf_data(b), due->data, due->size);
	b->length = due->size;
	for (u64 mask = over; mask; mask &= mask - 1) {
		for (u32 n = 0; n < times; n++, copies++)
			send_copy(e, p, now, a->tunnel, (u8)__builtin_ctzll(mask), b);
	}
	buf_put(b);
	repair_again(a->repair, now, due->slot, over, copies, a->patience + AUTOSEL_SLACK);
}

/* A path that is relied upon seems to have failed. */
static bool relies_on_silent(const struct autosel *a, const struct peer *p)
{
	for (u64 mask = a->first; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);
		const u64 since = repair_silent_since(a->repair, n);

		if (since && p->paths[n].answered_stamp <= since && a->first == bit(n))
			return true;
	}
	return false;
}

void mend_send(struct engine *e, struct peer *p, u64 now, struct autosel *a)
{
	struct repair_due due;

	while (repair_next(a->repair, now, &due))
		send_again(e, p, now, a, &due);
	if (relies_on_silent(a, p))
		autosel_replan(e, p, now, a);
	engine_arm(e, repair_next_expiry(a->repair));
}

static void take_flow(struct engine *e, struct peer *p, u64 now, const struct frame_report *f)
{
	const u16 slot = e->tunnel_by_id[f->tunnel];
	struct autosel *a = slot ? p->flows[slot - 1].autosel : NULL;

	if (!a)
		return;
	a->reported = true;
	a->unreported_since = 0;
	if (!a->repair)
		return;
	repair_report(a->repair, now, f);
	mend_send(e, p, now, a);
}

void autosel_report(struct engine *e, struct peer *p, u64 now, int path,
		    const struct frame_report *f)
{
	if (f->kind == REPORT_ASK) {
		report_ask(e, p, now, f);
	} else if (f->kind == REPORT_FLOW) {
		take_flow(e, p, now, f);
	} else if (path >= 0) {
		copies_told(e, p, now, (u32)path, f->queue * NS_PER_US);
		p->paths[path].saved_out = f->saved;
	}
}

u64 autosel_saved(const struct engine *e, const struct peer *p, u32 path)
{
	u64 saved = 0;

	for (const struct autosel *a = e->autosels; a; a = a->next) {
		if (a->peer == p->index && a->repair)
			saved += repair_saved(a->repair, path);
	}
	return saved;
}
