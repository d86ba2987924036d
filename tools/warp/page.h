/* SPDX-License-Identifier: MIT */
/*
 * page.h - what the status for people is made with: a careful look into the daemon's JSON, quantities
 * as people read them, and tables.
 *
 * A member that is missing or null is unknown ("-"). One of the wrong type, or text with control
 * characters in it (they could redraw a terminal), is a problem: the first is kept, and the page is
 * then not shown.
 */
#ifndef WARP_PAGE_H
#define WARP_PAGE_H

#include <jansson.h>
#include <stdio.h>

#include "warp/base.h"

struct page {
	FILE *out;
	char *problem; /* "": none yet */
	size_t problem_size;
};

/* "-" when it is unknown. Lives as long as o. */
const char *page_text(struct page *p, const json_t *o, const char *key);
/* NAN when it is unknown. */
double page_number(struct page *p, const json_t *o, const char *key);
bool page_flag(struct page *p, const json_t *o, const char *key);
/* An array, or an object, or NULL when it is unknown. */
const json_t *page_list(struct page *p, const json_t *o, const char *key);
const json_t *page_object(struct page *p, const json_t *o, const char *key);
/* An item of a list: an object; or NULL, which is a problem. */
const json_t *page_item(struct page *p, const json_t *list, size_t index);
/* An item of a list of texts. */
const char *page_text_item(struct page *p, const json_t *list, size_t index);
/* Notes a problem; what: "is not a number". */
void page_problem(struct page *p, const char *key, const char *what);
/* Is text free of control characters? */
bool is_printable(const char *text);

/* Each returns ret, and lives until the end of the enclosing block in its macro. */
#define QUANTITY_TEXT 24u
const char *quantity_format(char ret[static QUANTITY_TEXT], double value, const char *unit);
const char *age_format(char ret[static QUANTITY_TEXT], double seconds);
const char *percent_format(char ret[static QUANTITY_TEXT], double fraction);
const char *ms_format(char ret[static QUANTITY_TEXT], double ms);
const char *whole_format(char ret[static QUANTITY_TEXT], double value);
/* "950", "12.3k", "4.56M" and the unit. */
#define quantity(value, unit) quantity_format((char[QUANTITY_TEXT]){ 0 }, value, unit)
/* "8s", "3min", "2h 5min", "4d 3h". */
#define age(seconds) age_format((char[QUANTITY_TEXT]){ 0 }, seconds)
#define percent(fraction) percent_format((char[QUANTITY_TEXT]){ 0 }, fraction)
#define milliseconds(ms) ms_format((char[QUANTITY_TEXT]){ 0 }, ms)
#define whole(value) whole_format((char[QUANTITY_TEXT]){ 0 }, value)

/* --- tables (table.c) ---------------------------------------------------------------------- */

struct table {
	size_t columns;
	size_t first_most; /* a wider first cell has a line of its own; 0: never */
	char **cells;
	size_t count, cap;
	bool failed; /* no memory */
};

void table_init(struct table *t, size_t columns, size_t first_most);
__attribute__((format(printf, 2, 3))) void table_add(struct table *t, const char *format, ...);
/* Writes all rows, two blanks before each, and forgets them. */
void table_end(struct table *t, struct page *p);

#endif
