/* SPDX-License-Identifier: MIT */
/*
 * recall.h - what left over paths that turn out to be silent is sent again over others; see recall.c.
 */
#ifndef WARP_CORE_RECALL_H
#define WARP_CORE_RECALL_H

#include "warp/buf.h"
#include "warp/memory.h"

struct engine;
struct peer;
struct recall;

/* What has been sealed and queued. */
struct recall_what {
	u16 peer, tunnel;
	u64 mask;  /* paths that it was queued for */
	u64 until; /* nobody wants it later */
};

/* pool: buffers that the engine has. NULL: no memory. */
struct recall *recall_create(const struct allocator *a, u32 pool);
void recall_destroy(const struct allocator *a, struct recall *r);
/* b has just been queued, and there are live paths besides. It may grow until the train closes. */
void recall_keep(struct engine *e, u64 now, struct buf *b, const struct recall_what *what);
/* The train that is b has grown by a datagram of so many bytes. */
void recall_grown(struct engine *e, const struct buf *b, u32 size);
/* Paths of p have changed: what went out on none that is live goes out again on those that are. */
void recall_repeat(struct engine *e, struct peer *p, u64 now);
/* The path goes, and another may get its place: whose answers say nothing of what went out before. */
void recall_path_gone(struct engine *e, const struct peer *p, u32 path);
/* What goes to the peer or is of the tunnel (NO_INDEX: none) is not sent again. */
void recall_forget(struct engine *e, u16 peer, u16 tunnel);
void recall_drain(struct engine *e);
u64 recall_next_expiry(const struct engine *e);
void recall_expire(struct engine *e, u64 now);

#endif
