/* SPDX-License-Identifier: MIT */
/*
 * show_peer.c - the status for people: peers with their paths, and tunnels.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "show.h"

#define REMOTE_MOST 28u /* wider endpoints (IPv6) have a line of their own */

/* --- paths -------------------------------------------------------------------------------- */

static void show_path(struct page *p, struct table *t, const json_t *path)
{
	table_add(t, "%s", page_text(p, path, "remote"));
	table_add(t, "%s", page_text(p, path, "interface"));
	table_add(t, "%s", page_text(p, path, json_object_get(path, "how") ? "how" : "origin"));
	table_add(t, "%s%s", page_text(p, path, "state"),
		  page_flag(p, path, "resting") ? ", rests" : "");
	table_add(t, "%s", milliseconds(page_number(p, path, "rtt_ms")));
	table_add(t, "%s/%s", percent(page_number(p, path, "tx_loss")),
		  percent(page_number(p, path, "rx_loss")));
	table_add(t, "%s/%s", quantity(page_number(p, path, "tx_rate_bps"), ""),
		  quantity(page_number(p, path, "rx_rate_bps"), ""));
	table_add(t, "%s/%s", quantity(page_number(p, path, "tx_bytes"), "B"),
		  quantity(page_number(p, path, "rx_first_bytes") +
				   page_number(p, path, "rx_duplicate_bytes"),
			   "B"));
}

static void show_paths(struct page *p, const json_t *list)
{
	static const char *const titles[] = { "REMOTE",       "VIA",         "FROM",
					      "STATE",        "RTT",         "LOSS out/in",
					      "bit/s out/in", "BYTES out/in" };
	struct table t;
	size_t i;

	if (json_array_size(list) == 0) {
		fputs("  no paths: no endpoint of it is known yet\n", p->out);
		return;
	}
	table_init(&t, ARRAY_SIZE(titles), REMOTE_MOST);
	for (i = 0; i < ARRAY_SIZE(titles); i++)
		table_add(&t, "%s", titles[i]);
	for (i = 0; i < json_array_size(list); i++) {
		const json_t *path = page_item(p, list, i);

		if (!path)
			break;
		show_path(p, &t, path);
	}
	table_end(&t, p);
}

/* --- peers -------------------------------------------------------------------------------- */

static void show_registered(struct page *p, const json_t *list)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *r = page_item(p, list, i);

		if (!r)
			return;
		fprintf(p->out, "  registered %s, in its LAN %s\n", page_text(p, r, "observed"),
			page_text(p, r, "lan"));
	}
}

static void show_overrides(struct page *p, const json_t *list)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *o = page_item(p, list, i);

		if (!o)
			return;
		fprintf(p->out, "  override on %s: %s is %s\n", page_text(p, o, "interface"),
			page_text(p, o, "registered"), page_text(p, o, "override"));
	}
}

/* Pairs of interfaces whose data goes through a map, and why. */
static void show_pair(struct page *p, const json_t *pair)
{
	const char *state = page_text(p, pair, "state");

	if (strcmp(state, "direct") == 0)
		return;
	fprintf(p->out, "  no direct path from %s to %s: ", page_text(p, pair, "interface"),
		page_text(p, pair, "remote"));
	if (!page_flag(p, pair, "possible"))
		fputs("nothing suits both NATs\n", p->out);
	else if (strcmp(state, "trying") == 0)
		fprintf(p->out, "trying (%s)\n", page_text(p, pair, "strategy"));
	else if (page_number(p, pair, "rounds") > 0)
		fprintf(p->out, "tried in vain (%s), tries again\n",
			quantity(page_number(p, pair, "rounds"), ""));
	else
		fputs("not yet\n", p->out);
}

static void show_pairs(struct page *p, const json_t *list)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *pair = page_item(p, list, i);

		if (!pair)
			return;
		show_pair(p, pair);
	}
}

/* What striping knows of it, if anything. */
static void show_stripe(struct page *p, const json_t *path)
{
	const json_t *s = json_object_get(path, "stripe");

	if (!json_is_object(s))
		return;
	fprintf(p->out, "  %s to %s %s %sbit/s, %s queue, %s of %s under way\n",
		page_text(p, path, "interface"), page_text(p, path, "remote"),
		page_flag(p, s, "used") ? "stripes" : "is tried,",
		quantity(page_number(p, s, "capacity_bps"), ""),
		milliseconds(page_number(p, s, "queue_ms")),
		quantity(page_number(p, s, "under_way"), "B"),
		quantity(page_number(p, s, "window"), "B"));
}

void show_peer(struct page *p, const json_t *peer)
{
	const json_t *allowed = page_list(p, peer, "allowed_ips");
	const json_t *paths = page_list(p, peer, "paths");
	size_t i;

	fprintf(p->out, "\npeer %s: %s", page_text(p, peer, "name"), page_text(p, peer, "state"));
	if (strcmp(page_text(p, peer, "state"), "connected") == 0)
		fprintf(p->out, ", RTT %s, %s, session %s",
			milliseconds(page_number(p, peer, "rtt_ms")), page_text(p, peer, "cipher"),
			age(page_number(p, peer, "session_age")));
	fprintf(p->out, "\n  key %s\n", page_text(p, peer, "public_key"));
	if (json_array_size(allowed)) {
		fputs("  allowed ", p->out);
		show_list(p, allowed);
		fputc('\n', p->out);
	}
	show_registered(p, page_list(p, peer, "registered"));
	show_overrides(p, page_list(p, peer, "overrides"));
	show_pairs(p, page_list(p, peer, "pairs"));
	show_paths(p, paths);
	for (i = 0; i < json_array_size(paths); i++) {
		const json_t *path = page_item(p, paths, i);

		if (!path)
			return;
		show_value(p, path);
		show_stripe(p, path);
	}
}

/* --- tunnels ------------------------------------------------------------------------------ */

static void show_if_any(struct page *p, const json_t *t, const char *key, const char *what)
{
	double value = page_number(p, t, key);

	if (value > 0)
		fprintf(p->out, ", %s %s", quantity(value, ""), what);
}

static void show_shards(struct page *p, const json_t *s)
{
	if (!s)
		return;
	fprintf(p->out, "  shards: %s payloads rebuilt",
		quantity(page_number(p, s, "rebuilt"), ""));
	show_if_any(p, s, "unrecoverable", "blocks unrecoverable");
	if (page_number(p, s, "blocks") > 0)
		fprintf(p->out, ", %s blocks sent with an overhead of %.2f",
			quantity(page_number(p, s, "blocks"), ""), page_number(p, s, "overhead"));
	fputc('\n', p->out);
}

static void show_counters(struct page *p, const json_t *t)
{
	double lost = page_number(p, t, "rx_lost"), pending = page_number(p, t, "pending");

	fprintf(p->out, "  sent %s payloads (%s) as %s copies",
		quantity(page_number(p, t, "tx_payloads"), ""),
		quantity(page_number(p, t, "tx_bytes"), "B"),
		quantity(page_number(p, t, "tx_copies"), ""));
	if (pending > 0)
		fprintf(p->out, ", %s waiting", quantity(pending, ""));
	fprintf(p->out, "\n  received %s payloads (%s)",
		quantity(page_number(p, t, "rx_payloads"), ""),
		quantity(page_number(p, t, "rx_bytes"), "B"));
	fprintf(p->out, ", %s lost", quantity(lost, ""));
	show_if_any(p, t, "reordered", "reordered");
	show_if_any(p, t, "late", "late");
	show_if_any(p, t, "waiting", "waiting");
	fputc('\n', p->out);
	show_shards(p, page_object(p, t, "shards"));
}

/* Loud: it is easily forgotten. */
static void show_impair(struct page *p, const json_t *t)
{
	const json_t *impair = json_object_get(t, "impair");

	if (!impair || json_is_null(impair))
		return;
	fprintf(p->out, "  IMPAIRED ON PURPOSE (%s payloads dropped by that):\n    %s\n",
		quantity(page_number(p, t, "impair_dropped"), ""), page_text(p, t, "impair"));
}

void show_tunnel(struct page *p, const json_t *t)
{
	const json_t *peers = page_list(p, t, "peers");
	const json_t *shards = page_object(p, t, "shards");
	const json_t *target = page_object(p, t, "auto");
	double copies = page_number(p, t, "copies");

	fprintf(p->out, "\ntunnel %s: id %s, %s, %s on ", page_text(p, t, "name"),
		whole(page_number(p, t, "id")), page_text(p, t, "gate"), page_text(p, t, "mode"));
	if (shards && page_number(p, shards, "num") > 0)
		fprintf(p->out, "a path each, %s of %s rebuild, within %s",
			whole(page_number(p, shards, "required")),
			whole(page_number(p, shards, "num")),
			milliseconds(page_number(p, shards, "max_delay") * 1000));
	else if (target)
		fputs("paths as it takes", p->out);
	else if (copies > 0)
		fprintf(p->out, "%s paths", whole(copies));
	else
		fputs("all paths", p->out);
	fputs(page_flag(p, t, "ordered") ? ", in order\n  peers " : "\n  peers ", p->out);
	if (json_array_size(peers))
		show_list(p, peers);
	else
		fputs("all", p->out);
	fputc('\n', p->out);
	if (!page_flag(p, t, "gate_open") && json_object_get(t, "gate_open"))
		fputs("  GATE NOT OPEN: what comes is dropped; see the log\n", p->out);
	show_auto(p, target);
	show_impair(p, t);
	show_counters(p, t);
	show_drops(p, "  dropped: ", page_object(p, t, "drops"));
}
