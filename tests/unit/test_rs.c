/* SPDX-License-Identifier: MIT */
/*
 * test_rs.c - Reed-Solomon shards: every subset of a block's shards either rebuilds it or is too small.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "warp/rs.h"

#define SIZE_MAX_SHARD 200u

static u8 original[RS_SHARDS][SIZE_MAX_SHARD], parity[RS_SHARDS][SIZE_MAX_SHARD];
static u32 size[RS_SHARDS];

static struct rs_code *code_of(u32 parity_count)
{
	struct rs_code *code = malloc(rs_code_size(parity_count));

	assert_non_null(code);
	rs_code_init(code, parity_count);
	return code;
}

/* A block of k data shards of different sizes, 0 among them, and its parity. Its longest. */
static u32 make_block(u32 k, u32 m, u32 seed)
{
	struct rs_code *code = code_of(m);
	u8 *to[RS_SHARDS];
	u32 longest = 0;

	srand(seed);
	memset(parity, 0, sizeof(parity));
	for (u32 j = 0; j < m; j++)
		to[j] = parity[j];
	for (u32 i = 0; i < k; i++) {
		size[i] = i == 1 ? 0 : 1 + (u32)rand() % SIZE_MAX_SHARD;
		longest = size[i] > longest ? size[i] : longest;
		memset(original[i], 0, SIZE_MAX_SHARD);
		for (u32 at = 0; at < size[i]; at++)
			original[i][at] = (u8)rand();
		rs_add(code, i, original[i], size[i], to);
	}
	free(code);
	return longest;
}

/* Whether the shards in have (bit i: data i; bit k + j: parity j) rebuild the block. */
static bool rebuilds(u32 k, u32 m, u32 longest, u64 have)
{
	static u8 scratch[RS_SHARDS][SIZE_MAX_SHARD], out[RS_SHARDS][SIZE_MAX_SHARD];
	struct rs_block b = { .count = k, .size = longest };
	u8 *to[RS_SHARDS];
	u32 at = 0;

	for (u32 i = 0; i < k; i++) {
		if (have & UINT64_C(1) << i)
			b.data[i] = (struct rs_shard){ original[i], size[i] };
		to[i] = out[i];
	}
	for (u32 j = m; j-- > 0;) { /* in whatever order */
		if (!(have & UINT64_C(1) << (k + j)))
			continue;
		memcpy(scratch[j], parity[j], SIZE_MAX_SHARD);
		b.parity_index[b.parity_count] = (u8)j;
		b.parity[b.parity_count++] = scratch[j];
	}
	memset(out, 0xee, sizeof(out));
	if (!rs_rebuild(&b, to))
		return false;
	for (u32 i = 0; i < k; i++) {
		if (!b.data[i].bytes)
			assert_memory_equal(out[at++], original[i], longest);
	}
	assert_int_equal(at, rs_missing(&b));
	return true;
}

static void every_subset(u32 n, u32 k)
{
	const u32 longest = make_block(k, n - k, n * 100 + k);

	for (u64 have = 0; have < UINT64_C(1) << n; have++)
		assert_int_equal(rebuilds(k, n - k, longest, have),
				 (u32)__builtin_popcountll(have) >= k);
}

static void any_3_of_5_rebuild_and_2_never_do(void **state)
{
	(void)state;
	every_subset(5, 3);
}

static void any_k_of_n_rebuild_and_less_never_do(void **state)
{
	(void)state;
	for (u32 n = 2; n <= 9; n++) {
		for (u32 k = 1; k < n; k++)
			every_subset(n, k);
	}
}

static void any_k_of_a_large_block_rebuild(void **state)
{
	static const u32 data[] = { 1, 2, 8, 16, 24, 31 };

	(void)state;
	for (u32 c = 0; c < ARRAY_SIZE(data); c++) {
		const u32 k = data[c], m = RS_SHARDS - k, longest = make_block(k, m, k);

		for (u32 tries = 0; tries < 300; tries++) {
			u64 have = 0;

			while ((u32)__builtin_popcountll(have) < k)
				have |= UINT64_C(1) << ((u32)rand() % RS_SHARDS);
			assert_true(rebuilds(k, m, longest, have));
			assert_false(rebuilds(k, m, longest, have & (have - 1)));
		}
	}
}

/* The parity of a block that ends early is that of a full one whose other shards are zero. */
static void a_short_block_has_the_same_tolerance(void **state)
{
	(void)state;
	for (u32 k = 1; k <= 3; k++) {
		const u32 longest = make_block(k, 2, 77 + k);

		for (u64 have = 0; have < UINT64_C(1) << (k + 2); have++)
			assert_int_equal(rebuilds(k, 2, longest, have),
					 (u32)__builtin_popcountll(have) >= k);
	}
}

static void adding_twice_takes_out_again(void **state)
{
	const u32 longest = make_block(3, 2, 5);
	struct rs_code *code = code_of(2);
	u8 *to[] = { parity[0], parity[1] };
	u8 zero[SIZE_MAX_SHARD] = { 0 };

	(void)state;
	assert_true(longest > 0);
	for (u32 i = 0; i < 3; i++)
		rs_add(code, i, original[i], size[i], to);
	assert_memory_equal(parity[0], zero, SIZE_MAX_SHARD);
	assert_memory_equal(parity[1], zero, SIZE_MAX_SHARD);
	free(code);
}

static void a_shard_larger_than_the_parity_is_refused(void **state)
{
	u8 a[8] = { 1 }, p[4] = { 2 }, out[4];
	struct rs_block b = { .count = 2, .size = 4, .data = { { a, 5 } } };
	u8 *to[] = { out };

	(void)state;
	b.parity_count = 1;
	b.parity[0] = p;
	assert_false(rs_rebuild(&b, to));
	b.data[0].size = 4;
	assert_true(rs_rebuild(&b, to));
	b.count = 0;
	assert_false(rs_rebuild(&b, to));
	b.count = RS_SHARDS + 1;
	assert_false(rs_rebuild(&b, to));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_3_of_5_rebuild_and_2_never_do),
		cmocka_unit_test(any_k_of_n_rebuild_and_less_never_do),
		cmocka_unit_test(any_k_of_a_large_block_rebuild),
		cmocka_unit_test(a_short_block_has_the_same_tolerance),
		cmocka_unit_test(adding_twice_takes_out_again),
		cmocka_unit_test(a_shard_larger_than_the_parity_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
