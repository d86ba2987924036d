/* SPDX-License-Identifier: MIT */
/*
 * nearest.c - see nearest.h. The optimal string alignment distance, three rows of its table.
 */
#include <string.h>

#include "warp/nearest.h"

#define LONGEST 63u

static u32 min_u32(u32 a, u32 b)
{
	return a < b ? a : b;
}

/* One row of the table: the distances of a[0..i] to every beginning of b. */
static void fill_row(u32 *row, const u32 *before, const u32 *before_that, const char *a, size_t i,
		     const char *b, size_t b_size)
{
	size_t k;

	row[0] = (u32)i;
	for (k = 1; k <= b_size; k++) {
		u32 changed = before[k - 1] + (a[i - 1] != b[k - 1]);

		row[k] = min_u32(changed, min_u32(before[k], row[k - 1]) + 1);
		if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
			row[k] = min_u32(row[k], before_that[k - 2] + 1);
	}
}

u32 word_distance(const char *a, const char *b)
{
	u32 rows[3][LONGEST + 1] = { 0 };
	size_t a_size = strlen(a), b_size = strlen(b), i;

	if (a_size > LONGEST || b_size > LONGEST)
		return UINT32_MAX;
	for (i = 0; i <= b_size; i++)
		rows[0][i] = (u32)i;
	for (i = 1; i <= a_size; i++)
		fill_row(rows[i % 3], rows[(i + 2) % 3], rows[(i + 1) % 3], a, i, b, b_size);
	return rows[a_size % 3][b_size];
}

void nearest_init(struct nearest *n, const char *typed)
{
	n->typed = typed;
	n->word = NULL;
	/* A third of the letters may be wrong, one in any case. */
	n->distance = strlen(typed) < 6 ? 2 : (u32)(strlen(typed) / 3) + 1;
}

void nearest_try(struct nearest *n, const char *word)
{
	u32 distance = word_distance(n->typed, word);

	/* A word that was only begun is as good as found. */
	if (strlen(n->typed) > 2 && strncmp(n->typed, word, strlen(n->typed)) == 0)
		distance = 1;
	if (distance < n->distance) {
		n->distance = distance;
		n->word = word;
	}
}
