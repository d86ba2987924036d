/* SPDX-License-Identifier: MIT */
/*
 * gate_impair.c - a gate that treats what its application sends as a bad link would, before it goes
 * into the tunnel: to see how an application, or warp, gets on.
 *
 * What is held back is copied into buffers of its own, as the daemon's pool is for what is on its way;
 * pages of those that were never needed cost nothing. What comes due is copied into a buffer of the
 * pool, to be framed and sealed there.
 */
#include "warp/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/impair.h"
#include "warp/memory.h"

#define HELD 4096u  /* payloads held back at most */
#define AT_ONCE 64u /* to the engine, before the links are drained */

struct gate_impair {
	struct impair *link;
	struct pool *held;
	u64 no_buffer;
};

int gate_impair_configure(struct gate *g, const struct impair_config *config)
{
	struct gate_impair *i = g->impair;
	u64 seed;
	int error = -ENOMEM;

	if (i) {
		impair_configure(i->link, config);
		return 0;
	}
	g->impair = i = calloc(1, sizeof(*i));
	if (i)
		i->held = pool_create(&system_allocator, HELD);
	if (i && i->held) {
		random_fill(&system_random, &seed, sizeof(seed));
		error = impair_create(&i->link, &system_allocator, HELD, seed);
	}
	if (error) {
		gate_impair_close(g);
		return error;
	}
	impair_configure(i->link, config);
	return 0;
}

/* A buffer of pool with the bytes of b, or NULL. */
static struct buf *copy(struct pool *pool, struct buf *b)
{
	struct buf *ret = buf_get(pool);

	if (!ret)
		return NULL;
	memcpy(buf_data(ret), buf_data(b), b->length);
	ret->length = b->length;
	return ret;
}

void gate_impair_send(struct gate *g, u64 now, struct buf *b)
{
	struct gate_impair *i = g->impair;
	struct buf *held = copy(i->held, b);
	u32 copies;

	buf_put(b);
	if (!held) {
		i->no_buffer++;
		return;
	}
	copies = impair_push(i->link, now, held, held->length);
	if (copies == 2)
		buf_ref(held);
	if (!copies)
		buf_put(held);
	gate_impair_expire(g, now);
}

static void let_out(struct gate *g, u64 now, const struct impaired *p)
{
	struct buf *held = p->packet;
	struct buf *b = pool_available(g->pool) > g->reserve ? copy(g->pool, held) : NULL;

	buf_put(held);
	if (!b) {
		engine_gate_dropped(g->engine, g->tunnel, DROP_NO_BUFFER);
		return;
	}
	if (p->flip != IMPAIR_INTACT)
		buf_data(b)[p->flip / 8] ^= (u8)(1u << p->flip % 8);
	engine_send(g->engine, now, g->tunnel, b);
}

void gate_impair_expire(struct gate *g, u64 now)
{
	struct impaired p;
	u32 n;

	for (n = 0; n < AT_ONCE && impair_pop(g->impair->link, now, &p); n++)
		let_out(g, now, &p);
}

u64 gate_impair_next_expiry(const struct gate *g)
{
	return impair_next_expiry(g->impair->link);
}

u64 gate_impair_dropped(const struct gate *g)
{
	const struct impair_stats *s = impair_stats(g->impair->link);

	return s->down + s->queue_full + s->lost + s->lost_in_burst + s->no_room +
	       g->impair->no_buffer;
}

void gate_impair_close(struct gate *g)
{
	struct gate_impair *i = g->impair;
	struct impaired p;

	if (!i)
		return;
	while (i->link && impair_pop(i->link, TIME_NEVER, &p))
		buf_put(p.packet);
	impair_destroy(i->link);
	if (i->held)
		pool_destroy(i->held);
	free(i);
	g->impair = NULL;
}
