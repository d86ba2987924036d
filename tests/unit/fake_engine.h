/* SPDX-License-Identifier: MIT */
/*
 * fake_engine.h - as much of an engine as a gate sees, for one test program: it keeps what it is
 * sent, refuses when told to, and has as much pending as the test says. Its definitions win over
 * those of the core's archive.
 */
#ifndef TEST_FAKE_ENGINE_H
#define TEST_FAKE_ENGINE_H

#include <stdlib.h>
#include <string.h>

#include "warp/engine.h"

#define FAKE_KEPT 256u

static struct {
	u32 sent;            /* payloads accepted */
	u32 size[FAKE_KEPT]; /* of the first ones */
	u8 first[FAKE_KEPT]; /* byte of each */
	enum drop_reason refuse;
	u32 refused; /* and counted */
	u32 put_off; /* and not counted: the gate keeps it */
	u32 pending;
	u32 dropped[DROP_REASONS]; /* by the gate */
} fake;

enum drop_reason engine_send(struct engine *e, u64 now, u16 tunnel, struct buf *b)
{
	(void)e;
	(void)now;
	(void)tunnel;
	if (fake.refuse != DROP_NONE) {
		fake.refused++;
	} else if (fake.sent < FAKE_KEPT) {
		fake.size[fake.sent] = b->length;
		fake.first[fake.sent] = *buf_data(b);
		fake.sent++;
		fake.pending++;
	}
	buf_put(b);
	return fake.refuse;
}

enum drop_reason engine_offer(struct engine *e, u64 now, u16 tunnel, struct buf *b)
{
	if (fake.refuse != DROP_QUEUE_FULL && fake.refuse != DROP_NO_BUFFER)
		return engine_send(e, now, tunnel, b);
	fake.put_off++;
	buf_put(b);
	return fake.refuse;
}

/* Of what comes from a TUN interface; without it the core's own would be linked. */
void engine_send_pieces(struct engine *e, u64 now, u16 tunnel, const struct pieces *pieces)
{
	(void)e;
	(void)now;
	(void)tunnel;
	(void)pieces;
	abort();
}

u32 engine_pending(const struct engine *e, u16 tunnel)
{
	(void)e;
	(void)tunnel;
	return fake.pending;
}

void engine_gate_dropped(struct engine *e, u16 tunnel, enum drop_reason reason)
{
	(void)e;
	(void)tunnel;
	fake.dropped[reason]++;
}

u32 engine_tunnel_mtu(const struct engine *e, u16 tunnel)
{
	(void)e;
	(void)tunnel;
	return 1280;
}

static void *fake_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return calloc(1, size);
}

static void fake_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	(void)size;
	free(ptr);
}

static const struct allocator fake_allocator = { .alloc = fake_alloc, .free = fake_free };

/* A delivery of size bytes, all of them value. */
static inline struct delivery fake_delivery(struct pool *pool, u32 size, u8 value)
{
	struct buf *b = buf_get(pool);
	struct delivery d = { .data = buf_data(b), .size = size, .buf = b };

	memset(d.data, value, size);
	b->length = size;
	return d;
}

#endif
