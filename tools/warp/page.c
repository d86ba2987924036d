/* SPDX-License-Identifier: MIT */
/*
 * page.c - see page.h.
 */
#include <math.h>
#include <string.h>

#include "page.h"

void page_problem(struct page *p, const char *key, const char *what)
{
	if (!*p->problem)
		snprintf(p->problem, p->problem_size, "warpd's answer is malformed: '%s' %s", key,
			 what);
}

/* C0, DEL, and C1 in UTF-8 (c2 80 to c2 9f). */
bool is_printable(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	for (; *c; c++) {
		if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0))
			return false;
	}
	return true;
}

static const json_t *known(const json_t *o, const char *key)
{
	const json_t *member = json_object_get(o, key);

	return json_is_null(member) ? NULL : member;
}

static const char *checked_text(struct page *p, const json_t *member, const char *key)
{
	const char *text = json_string_value(member);

	if (!text)
		page_problem(p, key, "is not text");
	else if (!is_printable(text))
		page_problem(p, key, "has control characters in it");
	else
		return text;
	return "-";
}

const char *page_text(struct page *p, const json_t *o, const char *key)
{
	const json_t *member = known(o, key);

	return member ? checked_text(p, member, key) : "-";
}

double page_number(struct page *p, const json_t *o, const char *key)
{
	const json_t *member = known(o, key);

	if (!member)
		return NAN;
	if (!json_is_number(member))
		page_problem(p, key, "is not a number");
	return json_number_value(member);
}

bool page_flag(struct page *p, const json_t *o, const char *key)
{
	const json_t *member = known(o, key);

	if (member && !json_is_boolean(member))
		page_problem(p, key, "is not true or false");
	return json_is_true(member);
}

const json_t *page_list(struct page *p, const json_t *o, const char *key)
{
	const json_t *member = known(o, key);

	if (!member || json_is_array(member))
		return member;
	page_problem(p, key, "is not a list");
	return NULL;
}

const json_t *page_object(struct page *p, const json_t *o, const char *key)
{
	const json_t *member = known(o, key);

	if (!member || json_is_object(member))
		return member;
	page_problem(p, key, "is not an object");
	return NULL;
}

const json_t *page_item(struct page *p, const json_t *list, size_t index)
{
	const json_t *item = json_array_get(list, index);

	if (json_is_object(item))
		return item;
	page_problem(p, "a list", "has something in it that is not an object");
	return NULL;
}

const char *page_text_item(struct page *p, const json_t *list, size_t index)
{
	return checked_text(p, json_array_get(list, index), "an item of a list");
}

/* --- quantities --------------------------------------------------------------------------- */

static const char *unknown(char *ret)
{
	return memcpy(ret, "-", 2);
}

const char *quantity_format(char ret[static QUANTITY_TEXT], double value, const char *unit)
{
	static const char *const prefixes[] = { "", "k", "M", "G", "T", "P", "E" };
	size_t i = 0;

	if (!isfinite(value))
		return unknown(ret);
	while (fabs(value) >= 999.5 && i + 1 < ARRAY_SIZE(prefixes)) {
		value /= 1000;
		i++;
	}
	snprintf(ret, QUANTITY_TEXT, "%.*f%s%s", i && fabs(value) < 99.95, value, prefixes[i],
		 unit);
	return ret;
}

const char *age_format(char ret[static QUANTITY_TEXT], double seconds)
{
	u64 s;

	if (!isfinite(seconds) || seconds < 0 || seconds > 1e12)
		return unknown(ret);
	s = (u64)seconds;
	if (s < 120)
		snprintf(ret, QUANTITY_TEXT, "%us", (unsigned)s);
	else if (s < 7200)
		snprintf(ret, QUANTITY_TEXT, "%umin", (unsigned)(s / 60));
	else if (s < 172800)
		snprintf(ret, QUANTITY_TEXT, "%uh %umin", (unsigned)(s / 3600),
			 (unsigned)(s / 60 % 60));
	else
		snprintf(ret, QUANTITY_TEXT, "%ud %uh", (unsigned)(s / 86400),
			 (unsigned)(s / 3600 % 24));
	return ret;
}

const char *percent_format(char ret[static QUANTITY_TEXT], double fraction)
{
	if (!isfinite(fraction) || fabs(fraction) > 10)
		return unknown(ret);
	snprintf(ret, QUANTITY_TEXT, "%.1f%%", 100 * fraction);
	return ret;
}

const char *ms_format(char ret[static QUANTITY_TEXT], double ms)
{
	if (!isfinite(ms) || ms <= 0 || ms > 1e9)
		return unknown(ret);
	snprintf(ret, QUANTITY_TEXT, "%.*fms", ms < 99.95, ms);
	return ret;
}

const char *whole_format(char ret[static QUANTITY_TEXT], double value)
{
	if (!isfinite(value) || fabs(value) > 1e15)
		return unknown(ret);
	snprintf(ret, QUANTITY_TEXT, "%.0f", value);
	return ret;
}
