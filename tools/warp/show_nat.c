/* SPDX-License-Identifier: MIT */
/*
 * show_nat.c - the status for people: the NAT before each interface, in words. What is not known is
 * left out.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "show.h"

static bool is_known(const char *text)
{
	return strcmp(text, "-") != 0 && strcmp(text, "unknown") != 0;
}

/* What is written in front of the next item of a line: its beginning, or a comma. */
static const char *before(bool *any)
{
	const char *ret = *any ? ", " : "\n    ";

	*any = true;
	return ret;
}

static void show_behaviour(struct page *p, const json_t *nat)
{
	const char *mapping = page_text(p, nat, "mapping"), *filtering;
	bool any = false;

	filtering = page_text(p, nat, "filtering");
	if (is_known(mapping))
		fprintf(p->out, "%smapping %s", before(&any), mapping);
	else if (strcmp(page_text(p, nat, "dependent"), "yes") == 0)
		fprintf(p->out, "%smapping depends on the destination", before(&any));
	if (is_known(filtering))
		fprintf(p->out, "%sfiltering %s", before(&any), filtering);
}

static void show_step(struct page *p, const json_t *nat, bool *any)
{
	const char *step = page_text(p, nat, "port_step");
	double size = page_number(p, nat, "port_step_size");

	if (!is_known(step))
		return;
	fprintf(p->out, "%sports %s", before(any), step);
	if (!isnan(size))
		fprintf(p->out, " (%+.0f)", size);
}

static void show_lifetime(struct page *p, const json_t *nat, bool *any)
{
	double lower = page_number(p, nat, "lifetime_min");
	double upper = page_number(p, nat, "lifetime_max");

	if (!isnan(upper))
		fprintf(p->out, "%slifetime %.1f to %.1fs", before(any), isnan(lower) ? 0 : lower,
			upper);
	else if (!isnan(lower))
		fprintf(p->out, "%slifetime at least %.0fs", before(any), lower);
}

static void show_nat(struct page *p, const json_t *iface)
{
	const json_t *nat = page_object(p, iface, "nat");
	const char *hairpin = page_text(p, nat, "hairpin");
	bool any = false;

	fprintf(p->out, "  %s %s: %s", page_text(p, iface, "name"), page_text(p, iface, "address"),
		page_text(p, nat, "verdict"));
	show_behaviour(p, nat);
	show_step(p, nat, &any);
	if (is_known(hairpin))
		fprintf(p->out, "%shairpin %s", before(&any), hairpin);
	show_lifetime(p, nat, &any);
	fputc('\n', p->out);
}

void show_nats(struct page *p, const json_t *interfaces)
{
	bool any = false;
	size_t i;

	for (i = 0; i < json_array_size(interfaces); i++) {
		const json_t *iface = page_item(p, interfaces, i);

		if (!iface)
			return;
		if (!page_object(p, iface, "nat"))
			continue;
		fputs(any ? "" : "\nNATs\n", p->out);
		any = true;
		show_nat(p, iface);
	}
}
