/* SPDX-License-Identifier: MIT */
/*
 * shard_out.h - the blocks of shards that one tunnel sends to one peer: which block a payload belongs
 * to, and the parity of each.
 *
 * Payloads are not kept: each is added to the parity of its block as it is sent. A block's parity is due
 * when the block has all its data shards, or `max_delay` after the first of them: the block is then a
 * short one, with as many parity shards as any.
 *
 * Several blocks may be filled in turn (`depth`): payload n goes to block n mod depth, so that a block's
 * shards lie further apart in time. That is done when there are too few links for a block to survive
 * the silence of one of them, which then has to be longer than a block to do harm. A block spans
 * four fifths of max_delay then, as the rate of payloads has been in the last while.
 */
#ifndef WARP_SHARD_OUT_H
#define WARP_SHARD_OUT_H

#include "warp/engine.h"
#include "warp/rs.h"
#include "warp/wire.h"

#define SHARD_OUT_BYTES (2u << 20) /* of parity that is being made */
#define SHARD_OUT_BLOCKS 1024u     /* open at once, at most; a power of two */
#define SHARD_DELAY_MIN (1 * NS_PER_MS)
#define SHARD_DELAY_MAX (1 * NS_PER_S)

struct shard_options {
	u32 shards;    /* of a block, at most RS_SHARDS; 0: there is no such thing */
	u32 required;  /* any so many rebuild it; less than shards */
	u64 max_delay; /* ns, SHARD_DELAY_MIN.. */
};

struct shard_block {
	bool open;
	u8 count;                 /* data shards so far */
	u16 step;                 /* between their sequences */
	u32 base;                 /* sequence of the first */
	u32 size;                 /* of each parity shard */
	u64 deadline;             /* for the parity */
	u8 first;                 /* link of the first shard */
	u8 taken[MAX_PEER_PATHS]; /* shards that went over each link */
	u8 *parity;
};

struct shard_out;

/* Largest data shard that blocks with so many parity shards may have. */
u32 shard_out_room(const struct shard_options *options);
/* NULL: no memory. */
struct shard_out *shard_out_create(const struct allocator *a, const struct shard_options *options);
/* Other blocks from now on, with no more parity than it was created for. All blocks must have been
 * sent. */
void shard_out_tune(struct shard_out *o, const struct shard_options *options);
/* NULL is allowed. */
void shard_out_destroy(const struct allocator *a, struct shard_out *o);

/* The largest data shard from now on, at most shard_out_room(). When that is new, all blocks must have
 * been sent, and they have to be if this says false. */
bool shard_out_set_size(struct shard_out *o, u32 size);
/* Before each payload: links that shards are spread over. Sees to the depth. */
void shard_out_pace(struct shard_out *o, u64 now, u32 links);
u32 shard_out_depth(const struct shard_out *o);

/* The block that the payload with this sequence goes to. NULL: there is no place, the oldest has to be
 * sent. */
struct shard_block *shard_out_block(struct shard_out *o, u64 now, u32 sequence);
/* The block for fragments of one payload, empty; it has no deadline. */
struct shard_block *shard_out_pieces(struct shard_out *o);
/* Adds a data shard. True: the block has them all, and its parity is due. */
bool shard_out_add(struct shard_out *o, struct shard_block *b, u8 *data, u32 size);
/* Parity shard 0..shards - required - 1, of b->size bytes. */
const u8 *shard_out_parity(const struct shard_out *o, const struct shard_block *b, u32 index);
/* The parity has been sent, or is not wanted. */
void shard_out_close(struct shard_out *o, struct shard_block *b);

/* The oldest open block, or NULL. */
struct shard_block *shard_out_oldest(struct shard_out *o);
/* Its deadline. */
u64 shard_out_next_expiry(struct shard_out *o);

#endif
