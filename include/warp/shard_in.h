/* SPDX-License-Identifier: MIT */
/*
 * shard_in.h - the shards that come from one peer in one tunnel: rebuilds the payloads that did not
 * come by themselves.
 *
 * Data shards are delivered as they come; copies are kept while their blocks may need them. Parity tells
 * which payloads make its block. When some of them are missing it waits, until as many parity shards
 * have come as payloads are missing: that may be before a payload is late, if parity was faster.
 * A payload that was rebuilt is not taken again should it come after all.
 *
 * Of fragments only the parity is kept here; what has come of them lies where the payload is put
 * together. All is bounded: payloads that are remembered (SHARD_IN_PAYLOADS), blocks that wait
 * (SHARD_IN_BLOCKS), buffers of copies (shard_store.h), time (SHARD_IN_TIME).
 */
#ifndef WARP_SHARD_IN_H
#define WARP_SHARD_IN_H

#include "warp/drop.h"
#include "warp/rs.h"
#include "warp/shard_store.h"
#include "warp/view.h"
#include "warp/wire.h"

#define SHARD_IN_PAYLOADS 8192u /* how far behind the newest one is remembered; a power of two */
#define SHARD_IN_SPAN (SHARD_IN_PAYLOADS / 2) /* from a block's first payload to its last is less */
#define SHARD_IN_BLOCKS 128u                  /* a power of two */
#define SHARD_IN_TIME (2 * NS_PER_S)

struct shard_in;

struct shard_rebuilt {
	u32 sequence;
	u8 *data;
	u32 size;
	struct buf *buf; /* one reference, the receiver's to put */
};

/* Parity that waits for more of its block. */
struct shard_waiting {
	bool used, pieces;
	u8 count;
	u8 first;  /* fragment */
	u16 step;  /* of payloads */
	u16 unit;  /* of fragments */
	u32 total; /* the same */
	u32 sequence;
	u32 size;
	u64 since;
	u32 parity_count;
	u8 index[RS_SHARDS];
	struct shard_place parity[RS_SHARDS];
};

/* Counts what is rebuilt and what is given up in *counts. NULL: no memory. */
struct shard_in *shard_in_create(const struct allocator *a, struct pool *pool,
				 struct shard_budget *budget, struct shard_view *counts);
/* NULL is allowed. */
void shard_in_destroy(const struct allocator *a, struct shard_in *in);

/* Payloads. After either, shard_in_next() is to be called until it says false. */

/* A data shard: DROP_NONE: it is to be delivered, DROP_DUPLICATE: it was rebuilt before. */
enum drop_reason shard_in_payload(struct shard_in *in, u64 now, u32 sequence, const u8 *data,
				  u32 size);
/* DROP_NONE, DROP_NO_BUFFER, DROP_BAD_FRAME: it contradicts others. */
enum drop_reason shard_in_parity(struct shard_in *in, u64 now, const struct frame_shard *f);
/* The next payload that was rebuilt, if any. */
bool shard_in_next(struct shard_in *in, struct shard_rebuilt *ret);

/* Fragments. */

/* Whether the payload with this sequence has been put together. */
bool shard_in_is_whole(const struct shard_in *in, u32 sequence);
/* It has been: nothing waits for more of it. */
void shard_in_set_whole(struct shard_in *in, u32 sequence);
/* As shard_in_parity(). */
enum drop_reason shard_in_piece_parity(struct shard_in *in, u64 now, const struct frame_shard *f);
/* What waits for this fragment, or NULL. */
struct shard_waiting *shard_in_pieces(struct shard_in *in, u32 sequence, u8 index);
/* Adds the parity that there is to *ret. */
void shard_in_fill(struct shard_in *in, const struct shard_waiting *w, struct rs_block *ret);
/* The block needs nothing any more. */
void shard_in_close(struct shard_in *in, struct shard_waiting *w);

/* How long after a payload its parity may come at most, not counting paths; ns. */
u64 shard_in_wait(const struct shard_in *in);
u64 shard_in_next_expiry(const struct shard_in *in);
void shard_in_expire(struct shard_in *in, u64 now);

#endif
