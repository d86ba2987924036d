/* SPDX-License-Identifier: MIT */
/*
 * show_cost.c - the status for people: what interfaces cost, why those that do carry data or not, and
 * how much of their quotas is used up. Free interfaces without a quota are left out.
 */
#include <string.h>

#include "show.h"

static bool is(struct page *p, const json_t *o, const char *key, const char *text)
{
	return strcmp(page_text(p, o, key), text) == 0;
}

/* Why data goes over it. */
static const char *reason(struct page *p, const json_t *iface, bool used_up)
{
	if (is(p, iface, "need", "loss"))
		return "carries, for the free links lose too much";
	if (is(p, iface, "need", "life"))
		return used_up ? "carries all the same, for no other link is sure to live" :
				 "carries, for no cheaper link is sure to live";
	if (page_flag(p, iface, "carries"))
		return "carries";
	if (is(p, iface, "cost", "barred"))
		return "carries nothing more";
	return is(p, iface, "cost", "free") ? "carries nothing" : "rests, it is not needed";
}

static void show_quota(struct page *p, const json_t *quota)
{
	if (!quota)
		return;
	fprintf(p->out, "%s %s of %s in %s",
		page_flag(p, quota, "used_up") ? "; QUOTA USED UP:" : ";",
		quantity(page_number(p, quota, "used"), "B"),
		quantity(page_number(p, quota, "limit"), "B"), page_text(p, quota, "month"));
}

static bool is_special(struct page *p, const json_t *iface)
{
	const char *cost = page_text(p, iface, "cost");

	return (strcmp(cost, "free") != 0 && strcmp(cost, "-") != 0) ||
	       json_is_object(json_object_get(iface, "quota"));
}

void show_costs(struct page *p, const json_t *interfaces)
{
	bool any = false;
	size_t i;

	for (i = 0; i < json_array_size(interfaces); i++) {
		const json_t *iface = page_item(p, interfaces, i), *quota;

		if (!iface)
			return;
		if (!is_special(p, iface))
			continue;
		quota = page_object(p, iface, "quota");
		fprintf(p->out, "%s  %s: %s, %s", any ? "" : "\ncosts\n",
			page_text(p, iface, "name"), page_text(p, iface, "cost"),
			reason(p, iface, quota && page_flag(p, quota, "used_up")));
		show_quota(p, quota);
		fputc('\n', p->out);
		any = true;
	}
}
