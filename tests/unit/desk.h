/* SPDX-License-Identifier: MIT */
/*
 * desk.h - two engines on a desk, joined by a wire until they are connected; then the test is the wire
 * and the sockets of the first, in virtual time.
 */
#ifndef WARP_TEST_DESK_H
#define WARP_TEST_DESK_H

#include "unit/harness.h"

#include "core/engine/engine_internal.h"

#define START (1000 * NS_PER_S)
#define BUFFERS 2048u
#define LINKS 2u
#define PACKET 1200u

enum { BULK, SPARSE, NET, TUNNELS };

struct desk {
	u64 now;
	struct allocator allocator;
	struct pool *pool;
	struct engine *engine[2];
	struct identity identity[2];
	struct endpoint at[2][LINKS];
	u8 iface[2][LINKS];
	u16 peer[2], tunnel[2][TUNNELS];
	u32 delivered[TUNNELS], marked;
};

/* At most max trains over one link; how many. */
size_t desk_send(struct desk *d, int side, u32 link, size_t max);
/* What the second engine delivers is counted. */
void desk_collect(struct desk *d);
/* Until nothing is under way. */
void desk_settle(struct desk *d);
void desk_expire(struct desk *d);
void desk_run(struct desk *d, u64 duration);
int desk_set_up(void **state);
int desk_tear_down(void **state);
/* The second link is there no more. */
void desk_one_link(struct desk *d);
/* No two of odd and even size join. */
enum drop_reason desk_give(struct desk *d, u32 tunnel, u32 size);
enum drop_reason desk_give_packet(struct desk *d, u8 ecn);
u64 desk_drops(const struct desk *d, u32 tunnel, enum drop_reason reason);
/* Carries as much of a train as is to be sent. */
void desk_carry(struct desk *d, int side, u32 link, const struct outgoing *out);

#endif
