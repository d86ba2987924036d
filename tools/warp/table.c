/* SPDX-License-Identifier: MIT */
/*
 * table.c - columns that are as wide as what stands in them; see page.h.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "page.h"

#define COLUMNS_MOST 16u

void table_init(struct table *t, size_t columns, size_t first_most)
{
	*t = (struct table){ .columns = columns, .first_most = first_most };
}

static bool make_room(struct table *t)
{
	size_t cap = t->cap ? 2 * t->cap : 64;
	char **grown;

	if (t->count < t->cap)
		return true;
	grown = reallocarray(t->cells, cap, sizeof(*grown));
	if (!grown)
		return false;
	t->cells = grown;
	t->cap = cap;
	return true;
}

void table_add(struct table *t, const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	va_start(arguments, format);
	if (t->failed || !make_room(t) || vasprintf(&text, format, arguments) < 0)
		t->failed = true;
	else
		t->cells[t->count++] = text;
	va_end(arguments);
}

/* Does the first cell of the row have a line of its own? */
static bool is_wide(const struct table *t, size_t row)
{
	return t->first_most && strlen(t->cells[row * t->columns]) > t->first_most;
}

static void measure(const struct table *t, size_t *widths)
{
	size_t i, width;

	for (i = 0; i < t->count; i++) {
		width = strlen(t->cells[i]);
		if (i % t->columns == 0 && is_wide(t, i / t->columns))
			continue;
		if (width > widths[i % t->columns])
			widths[i % t->columns] = width;
	}
}

static void write_row(const struct table *t, size_t row, const size_t *widths, FILE *out)
{
	char **cells = t->cells + row * t->columns;
	size_t i, last = t->columns;

	/* Nothing but blanks at the end of a line. */
	while (last > 1 && !*cells[last - 1])
		last--;
	fputs("  ", out);
	for (i = 0; i < last; i++) {
		if (i == 0 && is_wide(t, row))
			fprintf(out, "%s\n  %*s", cells[0], (int)widths[0], "");
		else
			fprintf(out, "%-*s", i + 1 < last ? (int)widths[i] : 0, cells[i]);
		fputs(i + 1 < last ? "  " : "\n", out);
	}
}

void table_end(struct table *t, struct page *p)
{
	size_t widths[COLUMNS_MOST] = { 0 }, i;

	if (t->failed) {
		page_problem(p, "table", "does not fit into memory");
	} else {
		measure(t, widths);
		for (i = 0; i < t->count / t->columns; i++)
			write_row(t, i, widths, p->out);
	}
	for (i = 0; i < t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	table_init(t, t->columns, t->first_most);
}
