/* SPDX-License-Identifier: MIT */
/*
 * recall.c - what left over direct paths of late, in case it went nowhere.
 *
 * That a link is cut shows only when answers to probes are missing. Where a relay stands by, the
 * datagrams since the last answer are kept, and sent again through it at that moment: the peer's
 * replay window takes out those that had arrived. What has passed its deadline is not sent again.
 *
 * Copies, not references: a few datagrams do not hold a whole train's buffer. There is room for as
 * many as a stream of voice, video or control sends between two answers. When there are more, the
 * peer's flows are of a kind that repairs itself, and nothing is kept until the next answer.
 */
#include "engine_internal.h"

#include <string.h>

#define RECALL_SLOTS 256u
#define RECALL_SIZE 1500u

struct recalled {
	u64 at, deadline;
	u16 tunnel, size;
	u8 bytes[RECALL_SIZE];
};

struct recall {
	u32 head, tail; /* free running */
	bool overrun;
	struct recalled slot[RECALL_SLOTS];
};

void recall_open(struct engine *e, struct peer *p)
{
	if (!p->recall)
		p->recall = mem_alloc(&e->options.allocator, sizeof(*p->recall));
}

void recall_close(struct engine *e, struct peer *p)
{
	mem_free(&e->options.allocator, p->recall, sizeof(*p->recall));
	p->recall = NULL;
}

static struct recalled *slot_at(struct recall *r, u32 n)
{
	return &r->slot[n % RECALL_SLOTS];
}

void recall_keep(struct peer *p, u64 now, u64 deadline, u16 tunnel, const u8 *data, u32 size)
{
	struct recall *r = p->recall;
	struct recalled *slot;

	if (!r || r->overrun)
		return;
	if (size > RECALL_SIZE || r->tail - r->head == RECALL_SLOTS) {
		r->overrun = true;
		r->head = r->tail;
		return;
	}
	slot = slot_at(r, r->tail++);
	slot->at = now;
	slot->deadline = deadline;
	slot->tunnel = tunnel;
	slot->size = (u16)size;
	memcpy(slot->bytes, data, size);
}

void recall_answered(struct peer *p, u64 stamp)
{
	struct recall *r = p->recall;

	if (!r)
		return;
	r->overrun = false;
	while (r->head != r->tail && slot_at(r, r->head)->at <= stamp)
		r->head++;
}

static void send_again(struct engine *e, struct peer *p, u64 now, u8 path,
		       const struct recalled *slot, struct buf *b)
{
	struct path *to = &p->paths[path];
	const struct queued q = { .destination = to->remote,
				  .socket = to->socket,
				  .deadline = slot->deadline,
				  .peer = p->index,
				  .tunnel = slot->tunnel,
				  .path = path,
				  .begun = true };

	if (!iface_queue(e, now, to->iface, b, &q))
		return;
	to->sent.packets++;
	to->sent.bytes += slot->size;
	e->tunnels[slot->tunnel].copies_sent++;
}

/* Through all of paths. */
static void repeat(struct engine *e, struct peer *p, u64 now, u64 paths,
		   const struct recalled *slot)
{
	struct buf *b;

	if (slot->deadline <= now || !e->tunnels[slot->tunnel].used)
		return;
	b = buf_get(e->options.pool);
	if (!b)
		return;
	memcpy(buf_data(b), slot->bytes, slot->size);
	b->length = slot->size;
	for (; paths; paths &= paths - 1)
		send_again(e, p, now, (u8)__builtin_ctzll(paths), slot, b);
	buf_put(b);
}

void recall_repeat(struct engine *e, struct peer *p, u64 now, u64 paths)
{
	struct recall *r = p->recall;

	if (!r || !paths)
		return;
	for (u32 n = r->head; n != r->tail; n++) /* kept: those paths may be silent as well */
		repeat(e, p, now, paths, slot_at(r, n));
}
