/* SPDX-License-Identifier: MIT */
/*
 * wire_shard.h - SHARD frames, whose body has a layout for each kind; wire.h draws them.
 */
#ifndef WARP_CORE_WIRE_SHARD_H
#define WARP_CORE_WIRE_SHARD_H

#include "cursor.h"
#include "warp/wire.h"

/* r holds exactly the body; it turns bad when that is none. */
void shard_read(struct reader *r, struct frame_shard *ret);
/* Could shard_read() read it again? */
bool shard_is_writable(const struct frame_shard *f);
void shard_write(struct writer *w, const struct frame_shard *f);

#endif
