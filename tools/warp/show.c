/* SPDX-License-Identifier: MIT */
/*
 * show.c - the status for people: the node, its interfaces, its maps; then show_peer.c.
 */
#include <string.h>
#include <math.h>
#include <stdio.h>

#include "show.h"
#include "tool.h"

void show_list(struct page *p, const json_t *list)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		fprintf(p->out, "%s%s", i ? ", " : "", page_text_item(p, list, i));
}

void show_drops(struct page *p, const char *before, const json_t *drops)
{
	const char *reason;
	json_t *count;
	bool any = false;

	/* The iterator changes nothing, but wants no const. */
	json_object_foreach((json_t *)drops, reason, count)
	{
		if (!is_printable(reason))
			page_problem(p, "drops", "has control characters in a reason");
		else if (!json_is_number(count))
			page_problem(p, reason, "is not a number");
		else if (json_number_value(count) > 0) {
			fprintf(p->out, "%s%s %s", any ? ", " : before, reason,
				quantity(json_number_value(count), ""));
			any = true;
		}
	}
	if (any)
		fputc('\n', p->out);
}

/* --- interfaces --------------------------------------------------------------------------- */

/* What its router lets in. */
static void show_port_mapping(struct page *p, struct table *t, const json_t *iface)
{
	const json_t *m = json_object_get(iface, "port_mapping");
	size_t k;

	if (!json_is_object(m))
		return;
	table_add(t, " ");
	table_add(t, "mapped to %s", page_text(p, m, "external"));
	table_add(t, "by %s%s", page_text(p, m, "protocol"),
		  page_flag(p, m, "verified") ? ", verified" : "");
	for (k = 3; k < t->columns; k++)
		table_add(t, "%s", "");
}

/* How the maps see the interface. */
static void show_observed(struct page *p, struct table *t, const json_t *maps)
{
	size_t i, k;

	for (i = 0; i < json_array_size(maps); i++) {
		const json_t *m = page_item(p, maps, i);

		if (!m)
			return;
		table_add(t, " ");
		if (page_flag(p, m, "registered") && !strcmp(page_text(p, m, "over"), "tcp"))
			table_add(t, "registered over TCP");
		else if (page_flag(p, m, "registered"))
			table_add(t, "seen as %s", page_text(p, m, "observed"));
		else
			table_add(t, "not registered");
		table_add(t, "by %s", page_text(p, m, "map"));
		for (k = 3; k < t->columns; k++)
			table_add(t, "%s", "");
	}
}

static void show_interface(struct page *p, struct table *t, const json_t *iface)
{
	table_add(t, "%s", page_text(p, iface, "name"));
	table_add(t, "%s", page_text(p, iface, "address"));
	table_add(t, "%s", page_text(p, iface, "state"));
	table_add(t, "%s", whole(page_number(p, iface, "mtu")));
	table_add(t, "%s", quantity(page_number(p, iface, "tx_bytes"), "B"));
	table_add(t, "%s", quantity(page_number(p, iface, "rx_bytes"), "B"));
	table_add(t, "%s", quantity(page_number(p, iface, "send_errors"), ""));
}

static void show_interfaces(struct page *p, const json_t *list)
{
	struct table t;
	size_t i;

	if (json_array_size(list) == 0) {
		fputs("\ninterfaces\n  none: no link is up with an address that the patterns allow\n",
		      p->out);
		return;
	}
	fputs("\ninterfaces\n", p->out);
	for (i = 0; i < json_array_size(list); i++) {
		const json_t *iface = page_item(p, list, i);

		if (!iface)
			return;
		if (i == 0) {
			table_init(&t, 7, 0);
			table_add(&t, "NAME");
			table_add(&t, "ADDRESS");
			table_add(&t, "STATE");
			table_add(&t, "MTU");
			table_add(&t, "SENT");
			table_add(&t, "RECEIVED");
			table_add(&t, "ERRORS");
		}
		show_interface(p, &t, iface);
		show_port_mapping(p, &t, iface);
		show_observed(p, &t, page_list(p, iface, "maps"));
	}
	table_end(&t, p);
}

/* --- maps --------------------------------------------------------------------------------- */

static void show_maps(struct page *p, const json_t *list)
{
	struct table t;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	fputs("\nmaps\n", p->out);
	table_init(&t, 4, 40);
	for (i = 0; i < json_array_size(list); i++) {
		const json_t *m = page_item(p, list, i);

		if (!m)
			break;
		table_add(&t, "%s", page_text(p, m, "address"));
		table_add(&t, "%s", page_text(p, m, "state"));
		table_add(&t, "%s", age(page_number(p, m, "age")));
		table_add(&t, "%s", page_text(p, m, "public_key"));
	}
	table_end(&t, p);
}

/* --- the whole ---------------------------------------------------------------------------- */

static void show_each(struct page *p, const json_t *list,
		      void (*show)(struct page *, const json_t *))
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *item = page_item(p, list, i);

		if (item)
			show(p, item);
	}
}

bool show_status(FILE *out, const json_t *status, char *problem, size_t problem_size)
{
	struct page p = { out, problem, problem_size };

	*problem = 0;
	fprintf(out, "node %s\n", page_text(&p, status, "public_key"));
	fprintf(out, "  warpd %s, up %s, ciphers of %s\n", page_text(&p, status, "version"),
		age(page_number(&p, status, "uptime")), page_text(&p, status, "crypto"));
	show_interfaces(&p, page_list(&p, status, "interfaces"));
	show_costs(&p, page_list(&p, status, "interfaces"));
	show_nats(&p, page_list(&p, status, "interfaces"));
	show_maps(&p, page_list(&p, status, "maps"));
	show_each(&p, page_list(&p, status, "peers"), show_peer);
	show_each(&p, page_list(&p, status, "tunnels"), show_tunnel);
	show_drops(&p, "\ndropped: ", page_object(&p, status, "drops"));
	return !*problem;
}
