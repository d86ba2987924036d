/* SPDX-License-Identifier: MIT */
/*
 * show_auto.c - the status for people: what a tunnel with a target has chosen, and why.
 */
#include <string.h>

#include "show.h"

/* What is expected is told with as many digits as it takes. */
static const char *share(double value, char *ret, size_t size)
{
	snprintf(ret, size, value < 0.001 ? "%.1g %%" : "%.2f %%", 100 * value);
	return ret;
}
#define SHARE(value) share(value, (char[32]){ 0 }, 32)

static void show_interfaces(struct page *p, const json_t *list)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		const json_t *path = page_item(p, list, i);

		if (!path)
			return;
		fprintf(p->out, "%s%s", i ? ", " : "", page_text(p, path, "interface"));
	}
}

static void show_mechanism(struct page *p, const json_t *plan)
{
	const json_t *first = page_list(p, plan, "first"), *again = page_list(p, plan, "again");
	const json_t *shards = page_object(p, plan, "shards");
	const double copies = page_number(p, plan, "again_copies");

	if (shards) {
		fprintf(p->out, "shards, %s of %s rebuild, within %s, over ",
			whole(page_number(p, shards, "required")),
			whole(page_number(p, shards, "num")),
			milliseconds(page_number(p, shards, "max_delay") * 1000));
		show_interfaces(p, first);
		return;
	}
	fputs(json_array_size(first) > 1 ? "a copy each on " : "one copy, on ", p->out);
	show_interfaces(p, first);
	if (json_array_size(again) == 0)
		return;
	fputs("; what is missing again on ", p->out);
	show_interfaces(p, again);
	if (copies > 1)
		fprintf(p->out, ", %s times", whole(copies));
}

static const char *reason(const char *why)
{
	static const struct {
		const char *why, *text;
	} reasons[] = {
		{ "young", "for little is known of the links yet" },
		{ "cheapest", "the cheapest that meets the target" },
		{ "failures", "TARGET MET UNLESS A LINK FAILS, nothing else can be had for "
			      "max_overhead" },
		{ "overhead", "TARGET NOT MET: that would take more than max_overhead" },
		{ "best", "TARGET NOT MET: nothing on these links would" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (strcmp(reasons[i].why, why) == 0)
			return reasons[i].text;
	}
	return why;
}

static void show_plan(struct page *p, const json_t *plan)
{
	fprintf(p->out, "  to %s: ", page_text(p, plan, "peer"));
	show_mechanism(p, plan);
	fprintf(p->out, "\n    %s; %s lost expected, at %.2f datagrams a payload\n",
		reason(page_text(p, plan, "why")), SHARE(page_number(p, plan, "expected_loss")),
		page_number(p, plan, "expected_overhead"));
	if (!page_flag(p, plan, "reports"))
		fputs("    the other end does not report what has come\n", p->out);
	if (page_number(p, plan, "copies_again") > 0)
		fprintf(p->out, "    %s copies sent again saved %s payloads\n",
			quantity(page_number(p, plan, "copies_again"), ""),
			quantity(page_number(p, plan, "saved"), ""));
}

void show_auto(struct page *p, const json_t *target)
{
	const json_t *plans = target ? page_list(p, target, "plans") : NULL;
	size_t i;

	if (!target)
		return;
	fprintf(p->out,
		"  target: at most %s lost or later than %s, at most %.2f datagrams a payload\n",
		SHARE(page_number(p, target, "residual_loss")),
		milliseconds(page_number(p, target, "within") * 1000),
		page_number(p, target, "max_overhead"));
	for (i = 0; i < json_array_size(plans); i++) {
		const json_t *plan = page_item(p, plans, i);

		if (!plan)
			return;
		show_plan(p, plan);
	}
}

void show_value(struct page *p, const json_t *path)
{
	const double sent = page_number(p, path, "tx_saved"),
		     got = page_number(p, path, "rx_saved");

	if (!(sent > 0) && !(got > 0))
		return;
	fprintf(p->out, "  %s to %s saved", page_text(p, path, "interface"),
		page_text(p, path, "remote"));
	if (sent > 0)
		fprintf(p->out, " %s payloads for %s sent", quantity(sent, ""),
			quantity(page_number(p, path, "tx_bytes"), "B"));
	if (got > 0)
		fprintf(p->out, "%s %s payloads for %s received", sent > 0 ? "," : "",
			quantity(got, ""),
			quantity(page_number(p, path, "rx_first_bytes") +
					 page_number(p, path, "rx_duplicate_bytes"),
				 "B"));
	fputc('\n', p->out);
}
