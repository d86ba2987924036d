/* SPDX-License-Identifier: MIT */
/*
 * rs.h - Reed-Solomon shards of a block: any as many as there are data shards rebuild the others.
 *
 * The code is systematic, over GF(2^8) with the polynomial 0x11d, and has one matrix for all blocks:
 * parity shard j is the sum of c(i, j) * data shard i, with c(i, j) = 1 / ((32 + j) xor i), a Cauchy
 * matrix, of which every square part can be inverted. So a parity shard depends neither on how many
 * others there are nor on how many data shards a block was meant to have: a short block is one
 * whose other data shards are zero. Shards of a block may be of different sizes; behind its end a
 * shard is zero.
 *
 * ISA-L does the arithmetic, with whatever vector instructions the processor has.
 */
#ifndef WARP_RS_H
#define WARP_RS_H

#include "warp/base.h"

#define RS_SHARDS 32u                  /* of a block, data and parity, at most */
#define RS_MISSING_MAX (RS_SHARDS / 2) /* more cannot be rebuilt from what is left */

/* The coefficients of the first so many parity shards, as ISA-L wants them. */
struct rs_code {
	u32 parity;
	u8 table[]; /* RS_SHARDS x parity x 32 bytes */
};

static inline size_t rs_code_size(u32 parity)
{
	return sizeof(struct rs_code) + (size_t)RS_SHARDS * parity * 32;
}

/* parity: 1..RS_SHARDS - 1; *code has rs_code_size() bytes. */
void rs_code_init(struct rs_code *code, u32 parity);
/* Adds data shard index, of size bytes, to all parity shards, which have as many bytes at least and
 * began as zeros. Adding a shard once more takes it out again. */
void rs_add(const struct rs_code *code, u32 index, const u8 *data, u32 size, u8 *const *parity);

struct rs_shard {
	u8 *bytes;
	u32 size;
};

/* What has come of a block. */
struct rs_block {
	u32 count;                       /* data shards, 1.. */
	u32 size;                        /* of each parity shard; that of the largest data shard */
	struct rs_shard data[RS_SHARDS]; /* bytes NULL: missing */
	u32 parity_count;                /* as many as data shards are missing are used */
	u8 parity_index[RS_SHARDS];      /* all different */
	u8 *parity[RS_SHARDS];           /* overwritten */
};

/* Data shards that are missing. */
u32 rs_missing(const struct rs_block *b);
/* Writes the missing data shards, b->size bytes each, to ret[], in their order. False: too little has
 * come, or the block contradicts itself (a data shard larger than the parity). */
bool rs_rebuild(const struct rs_block *b, u8 *const *ret);

#endif
