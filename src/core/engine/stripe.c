/* SPDX-License-Identifier: MIT */
/*
 * stripe.c - payloads that take one path each: they wait here, as plaintext, until a path may have them
 * (spread.c), and are kept until a report says that they came, so that what is lost is sent again.
 *
 * What waits is bounded by time: by the queues' own law for packets of warp0, whose senders understand
 * drops and marks (the kernel does not hold them back, its queue in front of warp0 only grows); other
 * gates are asked to wait (engine_wants()).
 */
#include "stripe.h"

#include <errno.h>
#include <string.h>

#define STORE_LEAST (1u << 20)
#define STORE_MOST (64u << 20)
#define STORE_KEEPS 4u  /* times what waits and is under way: it may be lost once more */
#define STORE_LOOKS 16u /* a lap */
#define QUEUE_BYTES (2u << 20)
#define QUEUE_LEAST (128u << 10)
#define QUEUE_TIME (100 * NS_PER_MS) /* all that packets may wait */
#define GATE_LEAST (16u << 10)
#define GATE_TIME (10 * NS_PER_MS) /* the same, of other gates */
#define PIECES_MAX 256u
#define PIECE_OVERHEAD (WIRE_OVERHEAD + FRAME_STRIPE_PIECE_HEADER)
#define WHOLE_OVERHEAD (WIRE_OVERHEAD + FRAME_STRIPE_HEADER)
#define LINK_STAYS 25u /* per cent: what we send lengthens the round trip */
#define FOREVER 2.0    /* a share of losses that there is not: they are judged elsewhere */

u32 stripe_overhead(void)
{
	return WHOLE_OVERHEAD;
}

/* --- what waits ------------------------------------------------------------------------------ */

void stripe_drop(struct stripe *st, const struct fairq_item *item, enum drop_reason reason)
{
	struct tunnel *t = item->tunnel == NO_INDEX ? NULL : &st->e->tunnels[item->tunnel];

	if (t)
		t->pending--;
	if (t && reason != DROP_NONE)
		drop_count(&t->drops, reason);
	fairq_take(st->queue, item);
}

bool stripe_drop_whole(struct stripe *st, const struct fairq_item *item, enum drop_reason reason)
{
	struct fairq_item gone;
	const u32 count = fairq_cut(st->queue, item, &gone);
	struct tunnel *t = count ? &st->e->tunnels[gone.tunnel] : NULL;

	if (!t)
		return false;
	t->pending -= count;
	drop_count(&t->drops, reason);
	return true;
}

void stripe_lost(void *ctx, const struct flight_item *item)
{
	struct stripe *st = ctx;

	if (item->trial || item->tunnel == NO_INDEX)
		return;
	if (st->repair_tail - st->repair_head == REPAIRS)
		st->repair_head++;
	st->repair[st->repair_tail++ % REPAIRS] = *item;
}

/* A place for size bytes. What is put there stays for as long as it may have to be sent again. */
static u8 *keep(struct stripe *st, u32 size, u64 *ret_position)
{
	u64 needed = fairq_bytes(st->queue);

	if (st->store.head >= st->store_look) {
		for (u64 mask = st->strands; mask; mask &= mask - 1)
			needed += st->strand[__builtin_ctzll(mask)]->flight.bytes;
		if (STORE_KEEPS * needed > st->store.size && st->store.size < STORE_MOST)
			store_grow(&st->store, &st->e->options.allocator);
		st->store_look = st->store.head + st->store.size / STORE_LOOKS;
	}
	return store_put(&st->store, size, ret_position);
}

static u64 room_for(const struct stripe *st, u64 time, u64 lowest)
{
	const u64 bytes = spread_rate(st) * (time / NS_PER_MS) / 1000;

	return bytes < lowest ? lowest : bytes > QUEUE_BYTES ? QUEUE_BYTES : bytes;
}

static bool gate_has_room(const struct stripe *st)
{
	return fairq_bytes(st->queue) < room_for(st, GATE_TIME, GATE_LEAST) &&
	       fairq_count(st->queue) < FAIRQ_ITEMS / 2;
}

/* Is there a place, now, for so many datagrams? Packets take that of whoever has most: two for one, so that
 * what waits before a link that has become slow goes away, but not all at once. */
static enum drop_reason admit(const struct sending *s, struct stripe *st, u32 datagrams)
{
	const u64 most = room_for(st, QUEUE_TIME, QUEUE_LEAST);

	/* A gate has read some more before it could be asked to wait. */
	if (!s->t->routed &&
	    (fairq_bytes(st->queue) >= most || fairq_count(st->queue) + datagrams > FAIRQ_ITEMS)) {
		drop_count(&s->t->drops, DROP_QUEUE_FULL);
		return DROP_QUEUE_FULL;
	}
	for (u32 dropped = 0; fairq_count(st->queue) + datagrams > FAIRQ_ITEMS ||
			      (fairq_bytes(st->queue) > most && dropped < 2 * datagrams);
	     dropped++) {
		const struct fairq_item *fattest = fairq_fattest(st->queue);

		if (!fattest || !stripe_drop_whole(st, fattest, DROP_QUEUE_FULL))
			break;
		congest_strained(s->e, s->t, s->now);
	}
	return DROP_NONE;
}

static u8 bucket_of(const struct tunnel *t, const u8 *bytes, u32 size)
{
	return t->routed && !t->ordered ? flow_bucket(bytes, size) : 0;
}

static struct fairq_item item_for(const struct sending *s, u32 size)
{
	return (struct fairq_item){
		.at = s->now,
		.deadline = s->now + (s->t->send_deadline ? s->t->send_deadline : QUEUE_DEADLINE),
		.size = size,
		.tunnel = (u16)(s->t - s->e->tunnels)
	};
}

u8 *stripe_place(const struct sending *s, u32 size, struct fairq_item *ret)
{
	struct stripe *st = s->p->stripe;

	*ret = item_for(s, size);
	if (admit(s, st, 1) != DROP_NONE)
		return NULL;
	return keep(st, size, &ret->position);
}

void stripe_put(const struct sending *s, struct fairq_item *item)
{
	struct stripe *st = s->p->stripe;

	item->bucket = bucket_of(s->t, store_get(&st->store, item->position), item->size);
	if (fairq_put(st->queue, item))
		s->t->pending++;
}

/* Larger than a datagram: fragments, all or none. */
static enum drop_reason put_pieces(const struct sending *s, const struct buf *b)
{
	const u32 room = tunnel_room(s->t, s->p, PIECE_OVERHEAD);
	const u32 unit = room < UINT16_MAX ? room : UINT16_MAX;
	const u32 count = unit ? (b->length + unit - 1) / unit : PIECES_MAX + 1;
	struct fairq_item item = item_for(s, unit);
	enum drop_reason reason;

	if (count > PIECES_MAX)
		return DROP_TOO_LARGE;
	reason = admit(s, s->p->stripe, count);
	if (reason != DROP_NONE)
		return reason;
	item.piece = true;
	item.unit = (u16)unit;
	item.total = b->length;
	for (u32 n = 0; n < count; n++) {
		item.index = (u8)n;
		item.size = n + 1 < count ? unit : b->length - n * unit;
		memcpy(keep(s->p->stripe, item.size, &item.position),
		       b->bytes + b->offset + n * unit, item.size);
		if (fairq_put(s->p->stripe->queue, &item))
			s->t->pending++;
	}
	return DROP_NONE;
}

enum drop_reason stripe_send(const struct sending *s, struct buf *b)
{
	enum drop_reason reason = DROP_NONE;
	struct fairq_item item;
	u8 *place;

	if (b->length > tunnel_room(s->t, s->p, WHOLE_OVERHEAD)) {
		reason = put_pieces(s, b);
	} else {
		place = stripe_place(s, b->length, &item);
		if (!place)
			return DROP_QUEUE_FULL;
		memcpy(place, buf_data(b), b->length);
		stripe_put(s, &item);
	}
	stripe_push(s);
	return reason;
}

void stripe_push(const struct sending *s)
{
	spread(s->p->stripe, s->now);
}

bool engine_wants(const struct engine *e, u16 tunnel)
{
	const struct tunnel *t = &e->tunnels[tunnel];

	if (!t->stripe || t->routed)
		return true;
	for (const struct stripe *st = e->stripes; st; st = st->next) {
		if (st->p->flows[tunnel].striped && !gate_has_room(st))
			return false;
	}
	return true;
}

/* --- reports and time ------------------------------------------------------------------------ */

void stripe_report(struct peer *p, u64 now, const struct frame_tally *f)
{
	struct stripe *st = p->stripe;

	if (!st || f->path >= MAX_PEER_PATHS || !st->strand[f->path])
		return;
	strand_report(st->strand[f->path], now, f, stripe_lost, st);
	spread(st, now);
}

void stripe_wake(struct peer *p, u64 now)
{
	if (!p->stripe)
		return;
	p->stripe->wake_at = time_min(p->stripe->wake_at, now);
	engine_arm(p->stripe->e, now);
}

u64 stripe_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (const struct stripe *st = e->stripes; st; st = st->next)
		at = time_min(at, st->wake_at);
	return at;
}

void stripe_expire(struct engine *e, u64 now)
{
	for (struct stripe *st = e->stripes; st; st = st->next) {
		if (st->wake_at <= now)
			spread(st, now);
	}
}

/* --- what is known of paths ------------------------------------------------------------------ */

bool stripe_knows(const struct peer *p, u32 path, struct path_knowledge *ret)
{
	const struct strand *s = p->stripe ? p->stripe->strand[path] : NULL;

	if (!s || s->born != p->paths[path].born || s->rtt == 0)
		return false;
	*ret = (struct path_knowledge){ .capacity = ratecc_rate(&s->cc),
					.queue = s->cc.queue,
					.round_trip = s->cc.base,
					.variation = s->rtt_var,
					.loss = s->loss,
					.burst = s->burst,
					.under_way = s->flight.bytes,
					.window = ratecc_cap(&s->cc),
					.used = (p->stripe->linked >> path & 1) && s->good,
					.mode = s->cc.mode };
	return true;
}

/* --- life ------------------------------------------------------------------------------------ */

static void destroy(struct engine *e, struct stripe *st)
{
	const struct allocator *a = &e->options.allocator;
	struct stripe **at = &e->stripes;

	while (*at && *at != st)
		at = &(*at)->next;
	if (*at)
		*at = st->next;
	for (u32 n = 0; n < MAX_PEER_PATHS; n++)
		strand_close(e, st->strand[n]);
	fairq_destroy(a, st->queue);
	store_clear(&st->store, a);
	st->p->stripe = NULL;
	mem_free(a, st, sizeof(*st));
}

static int create(struct engine *e, struct peer *p)
{
	const struct allocator *a = &e->options.allocator;
	struct stripe *st = mem_alloc(a, sizeof(*st));

	if (!st)
		return -ENOMEM;
	st->e = e;
	st->p = p;
	st->wake_at = TIME_NEVER;
	st->links.tolerable = FOREVER;
	st->links.stays = LINK_STAYS;
	p->stripe = st;
	st->queue = fairq_create(a);
	if (!st->queue || store_init(&st->store, a, STORE_LEAST) < 0) {
		destroy(e, st);
		return -ENOMEM;
	}
	st->next = e->stripes;
	e->stripes = st;
	return 0;
}

int stripe_open(struct engine *e, struct peer *p, u16 tunnel)
{
	if (!e->tunnels[tunnel].stripe || !tunnel_has_peer(&e->tunnels[tunnel], p->index))
		return 0;
	if (!p->stripe && create(e, p) < 0)
		return -ENOMEM;
	p->flows[tunnel].striped = true;
	p->stripe->tunnel = tunnel;
	p->stripe->tunnels++;
	for (u32 n = 0; n < FLOW_BUCKETS; n++)
		p->stripe->sequence[tunnel][n] = random_u32(&e->options.random);
	return 0;
}

/* Whoever gets this number next is not meant. */
static void forget(struct stripe *st, u16 tunnel)
{
	st->e->tunnels[tunnel].pending -= fairq_forget(st->queue, tunnel);
	for (u32 n = st->repair_head; n != st->repair_tail; n++) {
		if (st->repair[n % REPAIRS].tunnel == tunnel)
			st->repair[n % REPAIRS].tunnel = NO_INDEX;
	}
	for (u64 mask = st->strands; mask; mask &= mask - 1)
		flight_forget(&st->strand[__builtin_ctzll(mask)]->flight, tunnel);
}

void stripe_close(struct engine *e, struct peer *p, u16 tunnel)
{
	if (!p->flows[tunnel].striped)
		return;
	p->flows[tunnel].striped = false;
	forget(p->stripe, tunnel);
	if (--p->stripe->tunnels == 0)
		destroy(e, p->stripe);
}
