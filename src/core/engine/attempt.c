/* SPDX-License-Identifier: MIT */
/*
 * attempt.c - one strategy at work for one pair of interfaces: its sockets, what it sends, its end.
 *
 * Sockets have numbers in a row, a block of PUNCH_SOCKETS for each attempt; they are asked for some at a
 * time and come one by one. What is sent through a NAT, to open it or to come in, is a SHOT: a frame
 * in a datagram of the session, so that only the peer is answered, and the first to come in is a path
 * at once. When the attempt ends, each socket goes that no path uses. What one peer can make us do is
 * bounded by the attempts that may be under way at a time, and goes to addresses that a map vouches for.
 */
#include "punch.h"

#include <string.h>

#define OPENERS 2u  /* attempts with sockets, of all peers */
#define SHOOTERS 2u /* attempts without */
#define ASK_AT_ONCE 32u
#define TELL_INTERVAL (400 * NS_PER_MS)
#define WARM_INTERVAL (300 * NS_PER_MS)
#define CALL_PATIENCE (1 * NS_PER_S) /* beyond the strategy's limit, for the other end to begin */
#define SHOT_PATIENCE (1 * NS_PER_S) /* in a queue */

/* --- numbers of sockets ---------------------------------------------------------------------- */

static bool path_uses(const struct engine *e, u8 iface, u16 first, u32 count)
{
	for (u32 n = 0; n < e->peer_limit; n++) {
		const struct peer *p = e->peers[n];

		for (u64 mask = p ? p->used_mask : 0; mask; mask &= mask - 1) {
			const struct path *path = &p->paths[__builtin_ctzll(mask)];

			if (path->iface == iface && path->socket >= first &&
			    path->socket < first + count)
				return true;
		}
	}
	return false;
}

static bool attempt_uses(const struct engine *e, u16 block)
{
	for (u32 n = 0; n < e->peer_limit; n++) {
		const struct punch *punch = e->peers[n] ? e->peers[n]->punch : NULL;

		if (punch && punch->attempt.how && punch->attempt.block == block)
			return true;
	}
	return false;
}

/* Each in turn, so that what is late for one is not mistaken. 0: none is free. */
static u16 free_block(struct engine *e, u8 iface)
{
	const u32 blocks = (PATH_SOCKET_LAST + 1 - PATH_SOCKET_FIRST) / PUNCH_SOCKETS;

	for (u32 n = 0; n < blocks; n++) {
		u16 block = (u16)(PATH_SOCKET_FIRST + e->punch_blocks++ % blocks * PUNCH_SOCKETS);

		if (!attempt_uses(e, block) && !path_uses(e, iface, block, PUNCH_SOCKETS))
			return block;
	}
	return 0;
}

/* --- begin and end --------------------------------------------------------------------------- */

static bool too_many(const struct engine *e, bool opens)
{
	u32 count = 0;

	for (u32 n = 0; n < e->peer_limit; n++) {
		const struct punch *punch = e->peers[n] ? e->peers[n]->punch : NULL;

		count += punch && punch->attempt.how && !punch->attempt.how->both &&
			 punch->attempt.opens == opens;
	}
	return count >= (opens ? OPENERS : SHOOTERS);
}

bool attempt_begin(const struct punching *c, const struct strategy *how, u8 pair, bool opens)
{
	const struct punch_pair *of = &c->p->punch->pair[pair];
	const struct wire_mapping *theirs = punch_mapping(c->p, of);
	struct attempt *a = c->a;

	if (!theirs || (!how->both && too_many(c->e, opens)))
		return false;
	memset(a, 0, sizeof(*a));
	if (opens && !how->both) {
		a->block = free_block(c->e, of->iface);
		if (!a->block)
			return false;
	}
	a->how = how;
	a->pair = pair;
	a->opens = opens;
	a->target = theirs->observed;
	a->next = a->tell = TIME_NEVER;
	a->warm = how->both ? TIME_NEVER : c->now;
	a->until = c->now + how->limit;
	return true;
}

void attempt_start(const struct punching *c)
{
	if (c->a->leads && !c->a->opens && !c->a->ready && !c->a->how->both) {
		punch_tell(c, PUNCH_CALL);
		c->a->tell = c->now + TELL_INTERVAL;
		c->a->until = c->now + c->a->how->limit + CALL_PATIENCE;
		return;
	}
	if (c->a->leads && c->a->how->both)
		punch_tell(c, PUNCH_CALL);
	c->a->until = c->now + c->a->how->limit;
	c->a->how->begin(c);
}

/* Paths of the attempt that do not live: the one that does has won. */
static void remove_losers(const struct punching *c, u8 iface)
{
	for (u64 mask = c->p->used_mask; mask; mask &= mask - 1) {
		u32 n = (u32)__builtin_ctzll(mask);
		const struct path *path = &c->p->paths[n];

		if (path->iface == iface && path->socket >= c->a->block &&
		    path->socket < c->a->block + PUNCH_SOCKETS && path->state != PATH_LIVE)
			pathset_remove(c->e, c->p, c->now, n);
	}
}

void attempt_end(const struct punching *c)
{
	struct attempt *a = c->a;
	u8 iface = c->p->punch->pair[a->pair].iface;

	if (!a->how)
		return;
	if (a->block)
		remove_losers(c, iface);
	a->how = NULL; /* from here on its sockets are like any others */
	for (u32 n = 0; a->block && n < PUNCH_SOCKETS; n++) {
		u16 number = (u16)(a->block + n);

		if (a->socket[n] != ATTEMPT_NONE && !path_uses(c->e, iface, number, 1))
			engine_demand(c->e, &(struct demand){ .kind = DEMAND_CLOSE_SOCKET,
							      .iface = iface,
							      .socket = number });
	}
}

void attempt_drop(const struct punching *c)
{
	c->a->how = NULL;
}

/* --- sockets --------------------------------------------------------------------------------- */

static u8 iface_of(const struct punching *c)
{
	return c->p->punch->pair[c->a->pair].iface;
}

/* Ports in a row, if they can be had: some NATs give such ones in a row too. 0: any. */
static u16 port_wish(const struct attempt *a, u32 n)
{
	for (u32 k = n; k-- > 0;) {
		if (a->local[k])
			return a->local[k] + (n - k) <= UINT16_MAX ? (u16)(a->local[k] + (n - k)) :
								     0;
	}
	return 0;
}

static void ask_for_sockets(const struct punching *c)
{
	struct attempt *a = c->a;

	while (a->how && a->asked < a->wanted && a->asked - a->open - a->failed < ASK_AT_ONCE) {
		u32 n = a->asked++;

		a->socket[n] = ATTEMPT_ASKED;
		engine_demand(c->e, &(struct demand){ .kind = DEMAND_OPEN_SOCKET,
						      .iface = iface_of(c),
						      .socket = (u16)(a->block + n),
						      .port = port_wish(a, n) });
	}
}

void attempt_open(const struct punching *c, u32 sockets)
{
	c->a->wanted = sockets < PUNCH_SOCKETS ? sockets : PUNCH_SOCKETS;
	ask_for_sockets(c);
}

void attempt_close(const struct punching *c, u32 sockets)
{
	struct attempt *a = c->a;

	for (u32 n = sockets; n < a->asked; n++) {
		u16 number = (u16)(a->block + n);

		if (a->socket[n] == ATTEMPT_NONE || path_uses(c->e, iface_of(c), number, 1))
			continue;
		a->open -= a->socket[n] == ATTEMPT_OPEN;
		a->socket[n] = ATTEMPT_NONE;
		engine_demand(c->e, &(struct demand){ .kind = DEMAND_CLOSE_SOCKET,
						      .iface = iface_of(c),
						      .socket = number });
	}
}

/* The peer whose attempt this socket belongs to; NULL: there is none. */
static struct peer *owner_of(const struct engine *e, u8 iface, u16 socket)
{
	for (u32 n = 0; n < e->peer_limit; n++) {
		const struct punch *punch = e->peers[n] ? e->peers[n]->punch : NULL;
		const struct attempt *a = punch ? &punch->attempt : NULL;

		if (a && a->how && a->block && socket >= a->block &&
		    socket < a->block + PUNCH_SOCKETS && punch->pair[a->pair].iface == iface)
			return e->peers[n];
	}
	return NULL;
}

/* False: it belongs to none. */
static bool find_attempt(struct engine *e, u64 now, u8 iface, u16 socket, struct punching *ret)
{
	struct peer *p = owner_of(e, iface, socket);

	if (p)
		*ret = punch_context(e, p, now);
	return p != NULL;
}

static void socket_answered(const struct punching *c)
{
	struct attempt *a = c->a;

	ask_for_sockets(c);
	if (a->how && a->how->complete && a->open + a->failed == a->wanted)
		a->how->complete(c);
	peer_arm(c->e, c->p, c->now);
}

void punch_socket_opened(struct engine *e, u64 now, u8 iface, u16 socket, u16 port)
{
	struct punching c;
	u32 n;

	if (!find_attempt(e, now, iface, socket, &c))
		return;
	n = socket - c.a->block;
	if (c.a->socket[n] != ATTEMPT_ASKED)
		return;
	c.a->socket[n] = ATTEMPT_OPEN;
	c.a->local[n] = port;
	c.a->open++;
	if (c.a->how->opened)
		c.a->how->opened(&c, n);
	socket_answered(&c);
}

void punch_socket_failed(struct engine *e, u64 now, u8 iface, u16 socket)
{
	struct punching c;
	u32 n;

	if (!find_attempt(e, now, iface, socket, &c))
		return;
	n = socket - c.a->block;
	if (c.a->socket[n] != ATTEMPT_ASKED)
		return;
	c.a->socket[n] = ATTEMPT_NONE;
	c.a->failed++;
	c.a->wanted = c.a->asked; /* there are no more to be had */
	socket_answered(&c);
}

bool punch_wants_socket(const struct engine *e, u8 iface, u16 socket)
{
	const struct peer *p = owner_of(e, iface, socket);
	const struct attempt *a = p ? &p->punch->attempt : NULL;

	return (a && a->socket[socket - a->block] != ATTEMPT_NONE) ||
	       path_uses(e, iface, socket, 1);
}

void punch_socket_unused(struct engine *e, u8 iface, u16 socket)
{
	if (socket == 0 || !iface_get(e, iface) || owner_of(e, iface, socket) ||
	    path_uses(e, iface, socket, 1))
		return;
	engine_demand(e, &(struct demand){
				 .kind = DEMAND_CLOSE_SOCKET, .iface = iface, .socket = socket });
}

/* --- shots ----------------------------------------------------------------------------------- */

struct buf *attempt_shot(const struct punching *c)
{
	const struct punch_pair *pair = &c->p->punch->pair[c->a->pair];
	struct frame f = { .type = FRAME_PUNCH };
	struct buf *b = buf_get(c->e->options.pool);
	int size;

	if (!b)
		return NULL;
	f.punch.kind = PUNCH_SHOT;
	f.punch.to = pair->theirs;
	f.punch.from = pair->iface;
	f.punch.round = c->a->round;
	f.punch.strategy = c->a->how->number;
	size = frame_put(b->bytes + BUF_HEADROOM, PMTU_BASE, &f);
	b->length = size > 0 ? (u32)size : 0;
	if (size < 0 ||
	    assoc_seal(&c->p->assoc, c->now, buf_push(b, WIRE_HEADER_SIZE), (size_t)size) < 0) {
		buf_put(b);
		return NULL;
	}
	b->length += TAG_SIZE;
	return b;
}

bool attempt_shoot(const struct punching *c, struct buf *shot, u32 n, const struct endpoint *to)
{
	const struct queued q = { .destination = *to,
				  .socket = n < PUNCH_SOCKETS ? (u16)(c->a->block + n) : 0,
				  .deadline = c->now + SHOT_PATIENCE,
				  .peer = NO_INDEX,
				  .tunnel = NO_INDEX };

	return iface_queue(c->e, c->now, iface_of(c), shot, &q);
}

void attempt_knock(const struct punching *c, u32 n)
{
	struct buf *shot = c->a->socket[n] == ATTEMPT_OPEN ? attempt_shot(c) : NULL;

	if (!shot)
		return;
	attempt_shoot(c, shot, n, &c->a->target);
	buf_put(shot);
}

void attempt_knock_next(const struct punching *c, u32 first)
{
	struct attempt *a = c->a;

	for (u32 tries = 0; tries < a->asked; tries++) {
		u32 n = a->cursor++ % a->asked;

		if (n < first || a->socket[n] != ATTEMPT_OPEN)
			continue;
		attempt_knock(c, n);
		return;
	}
}

/* --- samples --------------------------------------------------------------------------------- */

static struct map *map_to_ask(const struct punching *c)
{
	for (u32 m = 0; m < MAX_MAPS; m++) {
		struct map *map = &c->e->maps[m];

		if (map->used && map->registrations[iface_of(c)].state == REG_DONE)
			return map;
	}
	return NULL;
}

void attempt_sample(const struct punching *c, u32 n)
{
	struct map *m = map_to_ask(c);
	const struct endpoint *to = m ? map_endpoint(c->e, m, iface_of(c)) : NULL;
	struct map_way way = { .iface = iface_of(c), .socket = (u16)(c->a->block + n) };
	struct frame f = { .type = FRAME_NAT_TEST_REQUEST };

	if (!to)
		return;
	way.to = *to;
	if (c->a->sampling != n || !c->a->nonce)
		random_fill(&c->e->options.random, &c->a->nonce, sizeof(c->a->nonce));
	c->a->sampling = n;
	f.nat_test_request =
		(struct frame_nat_test_request){ .nonce = c->a->nonce, .how = NATCLASS_SAME };
	map_send_way(c->e, m, c->now, &way, &f, 1, FRAME_NAT_TEST_MAX);
}

void punch_sampled(struct engine *e, const struct arrival *in, const struct frame_nat_test *f)
{
	struct punching c;

	if (!find_attempt(e, in->now, in->iface, in->socket, &c))
		return;
	if (!c.a->nonce || f->nonce != c.a->nonce || in->socket != c.a->block + c.a->sampling)
		return;
	c.a->nonce = 0;
	if (c.a->how->sampled)
		c.a->how->sampled(&c, c.a->sampling, &f->seen);
	peer_arm(e, c.p, in->now);
}

/* --- time ------------------------------------------------------------------------------------ */

void attempt_ready(const struct punching *c)
{
	c->a->ready = true;
	c->a->tell = c->now + TELL_INTERVAL;
	punch_tell(c, PUNCH_READY);
}

u64 attempt_expiry(const struct attempt *a)
{
	return a->how ? time_min(time_min(a->until, a->warm), time_min(a->next, a->tell)) :
			TIME_NEVER;
}

/* New mappings by the hundred make a NAT with a small table forget those that rest. */
static void keep_warm(const struct punching *c)
{
	for (u64 mask = c->p->relay_mask; mask; mask &= mask - 1) {
		struct path *path = &c->p->paths[__builtin_ctzll(mask)];

		if (path->iface == iface_of(c) && path->state == PATH_LIVE)
			path_wake(path, c->now);
	}
	c->a->warm = c->now + WARM_INTERVAL;
	peer_arm(c->e, c->p, c->now);
}

void attempt_expire(const struct punching *c)
{
	struct attempt *a = c->a;

	if (a->how && a->until <= c->now) {
		punch_failed(c);
		return;
	}
	if (a->how && a->warm <= c->now)
		keep_warm(c);
	if (a->how && a->tell <= c->now) {
		a->tell = c->now + TELL_INTERVAL;
		punch_tell(c, a->ready ? PUNCH_READY : PUNCH_CALL);
	}
	if (a->how && a->next <= c->now) {
		a->next = TIME_NEVER;
		if (a->how->expire)
			a->how->expire(c);
	}
}
