/* SPDX-License-Identifier: MIT */
/*
 * recall.c - what left over paths that have since fallen silent is sent again over others.
 *
 * It takes some hundred ms until a silent path is known to be one. What left meanwhile, and was not
 * followed by an answered probe, lies in a ring here, as it was sealed; when no path that it went
 * out on is live any more, and another one is, it goes out there. The peer's replay window takes out
 * what had arrived. Kept is only what has another way to go at all, for no longer than the payload may
 * wait, and nothing of it is sent later than that.
 *
 *   ring     | entry | entry | entry | ...          oldest first
 *                |       |       `--> a train's own buffer: it may still grow
 *                |       `------+
 *                `--> shelf: | datagram | datagram | ...      one buffer for many
 *
 * A train of some length is kept by reference, which costs nothing. A short one would hold a whole
 * buffer for a few bytes: when the next comes it is copied to the shelf, behind those before it, and the
 * buffer is free. So what is bounded is bytes, and with them buffers. A flow that sends more than
 * FLOW_BYTES between two answers is of a kind that repairs itself: what is above it is not kept,
 * and flows that send little displace old bytes of others, never the other way about.
 */
#include "engine_internal.h"

#include <string.h>

#define RING 8192u                /* a power of two */
#define RECALL_AGE (2 * NS_PER_S) /* whatever the tunnel's deadline */
#define RECALL_BYTES (2u << 20)   /* in all */
#define FLOW_BYTES (1u << 20)     /* of one tunnel to one peer */
#define SMALL_BYTES (64u << 10)   /* a flow that has less gets room */
#define SHORT_TRAIN (16u << 10)   /* below it, a train goes to the shelf */
#define REPEATS 4u    /* of each datagram: whoever makes its paths come and go gets no more */
#define POOL_SHARE 4u /* of the pool's buffers at most one in so many */

struct entry {
	struct buf *buf;  /* its own, or a shelf */
	u32 offset;       /* in it */
	u32 length;       /* of all datagrams */
	u32 segment;      /* size of each but the last; 0: it may still grow */
	u16 peer, tunnel; /* tunnel NO_INDEX: nobody's any more */
	u64 mask;         /* paths that it went out on */
	u32 repeats;
	u64 sent_at, until;
};

struct recall {
	u32 head, tail; /* free running */
	u32 bytes, limit;
	struct buf *shelf; /* that has room, or NULL */
	struct entry ring[RING];
};

struct recall *recall_create(const struct allocator *a, u32 pool)
{
	struct recall *r = mem_alloc(a, sizeof(*r));
	u64 share = (u64)pool / POOL_SHARE * SHORT_TRAIN; /* no entry holds a buffer for less */

	if (r)
		r->limit = share < RECALL_BYTES ? (u32)share : RECALL_BYTES;
	return r;
}

void recall_destroy(const struct allocator *a, struct recall *r)
{
	if (r)
		mem_free(a, r, sizeof(*r));
}

/* --- the ring -------------------------------------------------------------------------------- */

static struct entry *entry_at(struct recall *r, u32 position)
{
	return &r->ring[position & (RING - 1)];
}

static bool is_empty(const struct recall *r)
{
	return r->head == r->tail;
}

/* NULL: its peer or tunnel is gone. */
static struct flow *flow_of(const struct engine *e, const struct entry *entry)
{
	return entry->tunnel == NO_INDEX ? NULL : &e->peers[entry->peer]->flows[entry->tunnel];
}

/* An entry that has just left the ring. */
static void release(struct engine *e, struct entry *entry)
{
	struct recall *r = e->recall;
	struct flow *flow = flow_of(e, entry);

	r->bytes -= entry->length;
	if (flow)
		flow->recalled -= entry->length;
	buf_put(entry->buf);
	entry->buf = NULL;
	if (is_empty(r)) {
		buf_put(r->shelf);
		r->shelf = NULL;
	}
}

static void drop_oldest(struct engine *e)
{
	release(e, entry_at(e->recall, e->recall->head++));
}

/* Has a path that it went out on answered since? */
static bool has_arrived(const struct engine *e, const struct entry *entry)
{
	const struct peer *p = e->peers[entry->peer];

	for (u64 mask = entry->mask; mask; mask &= mask - 1) {
		if (p->paths[__builtin_ctzll(mask)].answered_stamp > entry->sent_at)
			return true;
	}
	return false;
}

static bool is_wanted(const struct engine *e, u64 now, const struct entry *entry)
{
	return entry->tunnel != NO_INDEX && entry->until > now && entry->repeats < REPEATS &&
	       !has_arrived(e, entry);
}

static void drop_done(struct engine *e, u64 now)
{
	struct recall *r = e->recall;

	while (!is_empty(r) && !is_wanted(e, now, entry_at(r, r->head)))
		drop_oldest(e);
}

/* --- keeping --------------------------------------------------------------------------------- */

/* A buffer with room for so many bytes behind its data, or NULL. */
static struct buf *shelf_for(struct engine *e, u32 size)
{
	struct recall *r = e->recall;

	if (r->shelf && buf_tailroom(r->shelf) >= size)
		return r->shelf;
	buf_put(r->shelf);
	r->shelf = buf_get(e->options.pool);
	return r->shelf;
}

/* The newest entry grows no more: if it is short, its bytes go to the shelf. */
static void settle_newest(struct engine *e)
{
	struct recall *r = e->recall;
	struct entry *newest = entry_at(r, r->tail - 1);
	struct buf *shelf;

	if (is_empty(r) || newest->segment)
		return;
	if (newest->buf == e->train.buf)
		train_close(e);
	newest->segment = newest->buf->segment ? newest->buf->segment : newest->length;
	if (newest->length >= SHORT_TRAIN)
		return;
	shelf = shelf_for(e, newest->length);
	if (!shelf) { /* buffers are wanted elsewhere */
		r->tail--;
		release(e, newest);
		return;
	}
	memcpy(buf_data(shelf) + shelf->length, newest->buf->bytes + newest->offset,
	       newest->length);
	buf_put(newest->buf);
	newest->buf = buf_ref(shelf);
	newest->offset = shelf->offset + shelf->length;
	shelf->length += newest->length;
}

/* Makes room for size bytes more of flow, if it may have any. */
static bool make_room(struct engine *e, const struct flow *flow, u32 size)
{
	struct recall *r = e->recall;

	if (flow->recalled + size > FLOW_BYTES)
		return false;
	if (r->bytes + size > r->limit && flow->recalled + size > SMALL_BYTES)
		return false;
	while (!is_empty(r) && (r->bytes + size > r->limit || r->tail - r->head == RING))
		drop_oldest(e);
	return r->bytes + size <= r->limit;
}

void recall_keep(struct engine *e, u64 now, struct buf *b, const struct recall_what *what)
{
	struct flow *flow = &e->peers[what->peer]->flows[what->tunnel];
	struct recall *r = e->recall;

	settle_newest(e);
	drop_done(e, now);
	if (!make_room(e, flow, b->length))
		return;
	*entry_at(r, r->tail++) = (struct entry){
		.buf = buf_ref(b),
		.offset = b->offset,
		.length = b->length,
		.peer = what->peer,
		.tunnel = what->tunnel,
		.mask = what->mask,
		.sent_at = now,
		.until = time_min(what->until, now + RECALL_AGE),
	};
	r->bytes += b->length;
	flow->recalled += b->length;
	engine_arm(e, recall_next_expiry(e));
}

void recall_grown(struct engine *e, const struct buf *b, u32 size)
{
	struct recall *r = e->recall;
	struct entry *newest = entry_at(r, r->tail - 1);
	struct flow *flow;

	if (is_empty(r) || newest->buf != b || newest->segment)
		return;
	flow = flow_of(e, newest);
	newest->length += size;
	r->bytes += size;
	if (flow)
		flow->recalled += size;
}

/* --- sending again --------------------------------------------------------------------------- */

/* Datagrams that go out again as one train. */
struct again {
	struct engine *e;
	struct peer *p;
	u64 now, paths;
	u16 tunnel;
	u64 until;
	u32 count;
	struct buf *buf; /* NULL: none yet */
};

static void send_on(const struct again *a, u32 n)
{
	struct path *path = &a->p->paths[n];
	const struct queued q = { .destination = path->remote,
				  .socket = path->socket,
				  .deadline = a->until,
				  .peer = a->p->index,
				  .tunnel = a->tunnel,
				  .path = (u8)n,
				  .begun = true };
	const u32 largest = a->buf->segment ? a->buf->segment : a->buf->length;

	if (largest > path->pmtu.size || !iface_queue(a->e, a->now, path->iface, a->buf, &q))
		return;
	path->sent.packets += a->count;
	path->sent.bytes += a->buf->length;
	a->e->tunnels[a->tunnel].copies_sent += a->count;
}

static void flush(struct again *a)
{
	if (a->buf && a->count == 1)
		a->buf->segment = 0;
	for (u64 mask = a->buf ? a->paths : 0; mask; mask &= mask - 1)
		send_on(a, (u32)__builtin_ctzll(mask));
	buf_put(a->buf);
	a->buf = NULL;
}

/* May one of this size join? All of a train have one size but the last. */
static bool joins(const struct again *a, const struct entry *entry, u32 size)
{
	const struct buf *b = a->buf;

	return b && a->tunnel == entry->tunnel && a->count < TRAIN_DATAGRAMS &&
	       b->length == a->count * b->segment && size <= b->segment &&
	       (a->count + 1) * (b->segment + RELAY_OVERHEAD) <= DATAGRAM_MAX;
}

static void add(struct again *a, const struct entry *entry, u32 offset, u32 size)
{
	if (!joins(a, entry, size)) {
		flush(a);
		a->buf = buf_get(a->e->options.pool);
		if (!a->buf)
			return;
		a->count = 0;
		a->buf->segment = size;
		a->tunnel = entry->tunnel;
		a->until = entry->until;
	}
	memcpy(buf_data(a->buf) + a->buf->length, entry->buf->bytes + entry->offset + offset, size);
	a->buf->length += size;
	a->count++;
}

/* The paths that a payload of the tunnel would take now. */
static u64 paths_now(const struct peer *p, const struct tunnel *t)
{
	return pathset_select(p, t->shards.shards ? 1 : t->copies) & p->live_mask;
}

static void repeat(struct again *a, struct entry *entry)
{
	const u64 paths = paths_now(a->p, &a->e->tunnels[entry->tunnel]);

	if (paths != a->paths)
		flush(a);
	a->paths = paths;
	if (!paths)
		return;
	for (u32 at = 0; at < entry->length; at += entry->segment)
		add(a, entry, at,
		    entry->length - at < entry->segment ? entry->length - at : entry->segment);
	entry->mask = paths;
	entry->sent_at = a->now;
	entry->repeats++;
}

void recall_repeat(struct engine *e, struct peer *p, u64 now)
{
	struct again a = { .e = e, .p = p, .now = now };
	struct recall *r = e->recall;
	u64 live = p->live_mask & p->usable_mask;
	bool changed = live != p->recall_live;

	p->recall_live = live;
	if (!changed || !live || is_empty(r))
		return;
	settle_newest(e);
	drop_done(e, now);
	for (u32 at = r->head; at != r->tail; at++) {
		struct entry *entry = entry_at(r, at);

		if (entry->peer == p->index && !(entry->mask & live) && is_wanted(e, now, entry))
			repeat(&a, entry);
	}
	flush(&a);
}

/* --- time and life --------------------------------------------------------------------------- */

void recall_path_gone(struct engine *e, const struct peer *p, u32 path)
{
	const u64 bit = UINT64_C(1) << path;
	struct recall *r = e->recall;

	for (u32 at = r->head; at != r->tail; at++) {
		struct entry *entry = entry_at(r, at);

		if (entry->peer != p->index || !(entry->mask & bit))
			continue;
		if (p->paths[path].answered_stamp > entry->sent_at)
			entry->until = 0; /* it has arrived */
		entry->mask &= ~bit;
	}
}

void recall_forget(struct engine *e, u16 peer, u16 tunnel)
{
	struct recall *r = e->recall;

	for (u32 at = r->head; at != r->tail; at++) {
		struct entry *entry = entry_at(r, at);
		struct flow *flow = flow_of(e, entry);

		if (!flow || (entry->peer != peer && entry->tunnel != tunnel))
			continue;
		flow->recalled -= entry->length;
		entry->tunnel = NO_INDEX;
	}
}

void recall_drain(struct engine *e)
{
	while (!is_empty(e->recall))
		drop_oldest(e);
}

u64 recall_next_expiry(const struct engine *e)
{
	const struct recall *r = e->recall;

	return is_empty(r) ? TIME_NEVER : r->ring[r->head & (RING - 1)].until;
}

void recall_expire(struct engine *e, u64 now)
{
	if (recall_next_expiry(e) <= now)
		drop_done(e, now);
}
