/* SPDX-License-Identifier: MIT */
/*
 * rs.c - Reed-Solomon over ISA-L; the code is told in rs.h.
 *
 * To rebuild e data shards, e parity shards are taken: what is known is subtracted from each, so that
 * they hold sums of the missing ones only, and the e x e part of the matrix that made these sums is
 * inverted.
 */
#include "warp/rs.h"

#include <isa-l/erasure_code.h>

#define TABLE 32u /* bytes that ISA-L makes of a coefficient */

static u8 coefficient(u32 data, u32 parity)
{
	return gf_inv((u8)((RS_SHARDS + parity) ^ data));
}

void rs_code_init(struct rs_code *code, u32 parity)
{
	u8 matrix[RS_SHARDS * RS_SHARDS];

	for (u32 j = 0; j < parity; j++) {
		for (u32 i = 0; i < RS_SHARDS; i++)
			matrix[j * RS_SHARDS + i] = coefficient(i, j);
	}
	code->parity = parity;
	ec_init_tables((int)RS_SHARDS, (int)parity, matrix, code->table);
}

/* ISA-L does not say const of what it only reads. */
static void add(const u8 *table, u32 columns, u32 rows, u32 column, const struct rs_shard *from,
		u8 *const *to)
{
	ec_encode_data_update((int)from->size, (int)columns, (int)rows, (int)column, (u8 *)table,
			      from->bytes, (u8 **)to);
}

void rs_add(const struct rs_code *code, u32 index, const u8 *data, u32 size, u8 *const *parity)
{
	const struct rs_shard shard = { (u8 *)data, size };

	add(code->table, RS_SHARDS, code->parity, index, &shard, parity);
}

u32 rs_missing(const struct rs_block *b)
{
	u32 missing = 0;

	for (u32 i = 0; i < b->count; i++)
		missing += !b->data[i].bytes;
	return missing;
}

/* Takes what is known out of the first e parity shards. */
static void subtract_known(const struct rs_block *b, u32 e)
{
	u8 column[RS_MISSING_MAX], table[RS_MISSING_MAX * TABLE];

	for (u32 i = 0; i < b->count; i++) {
		if (!b->data[i].bytes)
			continue;
		for (u32 j = 0; j < e; j++)
			column[j] = coefficient(i, b->parity_index[j]);
		ec_init_tables(1, (int)e, column, table);
		add(table, 1, e, 0, &b->data[i], b->parity);
	}
}

/* What turns the sums of the missing shards into these. */
static bool inverse(const struct rs_block *b, u32 e, u8 *ret_table)
{
	u8 matrix[RS_MISSING_MAX * RS_MISSING_MAX], inverted[RS_MISSING_MAX * RS_MISSING_MAX];
	u32 column = 0;

	for (u32 i = 0; i < b->count; i++) {
		if (b->data[i].bytes)
			continue;
		for (u32 j = 0; j < e; j++)
			matrix[j * e + column] = coefficient(i, b->parity_index[j]);
		column++;
	}
	if (gf_invert_matrix(matrix, inverted, (int)e) != 0)
		return false;
	ec_init_tables((int)e, (int)e, inverted, ret_table);
	return true;
}

static bool consistent(const struct rs_block *b)
{
	if (b->count == 0 || b->count > RS_SHARDS)
		return false;
	for (u32 i = 0; i < b->count; i++) {
		if (b->data[i].bytes && b->data[i].size > b->size)
			return false;
	}
	return true;
}

bool rs_rebuild(const struct rs_block *b, u8 *const *ret)
{
	u8 table[RS_MISSING_MAX * RS_MISSING_MAX * TABLE];
	u32 e;

	if (!consistent(b))
		return false;
	e = rs_missing(b);
	if (e == 0)
		return true;
	if (e > b->parity_count || e > RS_MISSING_MAX || !inverse(b, e, table))
		return false;
	subtract_known(b, e);
	ec_encode_data((int)b->size, (int)e, (int)e, table, (u8 **)b->parity, (u8 **)ret);
	return true;
}
