/* SPDX-License-Identifier: MIT */
/*
 * scenario_matrix.c - every kind of NAT against every other, with many seeds: when the first payload
 * came, when a direct path lived, and how it came about.
 *
 * Each meeting begins with two nodes that start within 200 ms and know of each other only through a
 * map; how far everybody is from everybody differs. What is expected of a pair follows from RFC 4787's words alone:
 *
 *   direct      where plain sending at the same time, and overrides, lead through
 *   predicted   sequential ports against one who filters by port
 *   probed      ports at random against one who filters by port
 *   relayed     both ends have ports that nobody can know
 *   tcp         UDP is blocked at one end: through the map
 *
 * SIM_SCALE=1000 does a hundred meetings of each pair. SIM_MATRIX="5 8" does one pair only, and tells
 * of every meeting.
 */
#include "sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAYLOAD_WITHIN MS(1000)
#define MEETINGS_USUAL 10u

enum expectation { DIRECT, PREDICTED, PROBED, RELAYED, BY_TCP, EXPECTATIONS };

static const struct {
	const char *name;
	u64 within;  /* a direct path at both ends, ns from the start */
	u32 percent; /* of the meetings, at least; 0: does not matter */
	u64 slack;   /* that a payload may take longer than usually, ns */
	bool direct; /* is judged */
} expected[] = {
	[DIRECT] = { "direct", SECONDS(2), 99, 0, true },
	[PREDICTED] = { "predicted", SECONDS(5), 90, 0, true },
	[PROBED] = { "probed", SECONDS(15), 95, 0, true },
	[RELAYED] = { "relayed", SECONDS(4), 0, 0, true },
	/* UDP is waited for, for 100 ms. Then come six round trips to the map: the connection, the
	 * handshake, the registration, two for a handshake by way of the map, and one for a payload. 160 ms each,
	 * where all are as far away as can be, so that one of some hundred meetings takes longer than
	 * a second. */
	[BY_TCP] = { "tcp", SECONDS(4), 0, MS(100), false },
};

_Static_assert(ARRAY_SIZE(expected) == EXPECTATIONS, "an expectation is missing");

static bool is_predictable(enum world_nat kind)
{
	return kind != WORLD_ADDRESS_DEPENDENT && kind != WORLD_SYMMETRIC &&
	       kind != WORLD_SEQUENTIAL;
}

static bool filters_ports(enum world_nat kind)
{
	return kind != WORLD_PUBLIC && kind != WORLD_FULL_CONE && kind != WORLD_ADDRESS_RESTRICTED;
}

static enum expectation expect(enum world_nat a, enum world_nat b)
{
	if (a == WORLD_UDP_BLOCKED || b == WORLD_UDP_BLOCKED)
		return BY_TCP;
	if (is_predictable(a) && is_predictable(b))
		return DIRECT;
	if (!is_predictable(a) && !is_predictable(b))
		return RELAYED;
	if (!filters_ports(is_predictable(a) ? a : b))
		return DIRECT;
	return a == WORLD_SEQUENTIAL || b == WORLD_SEQUENTIAL ? PREDICTED : PROBED;
}

/* --- circumstances -------------------------------------------------------------------------- */

static void small_tables(struct world *w)
{
	for (u32 n = 0; n < w->sim->nats; n++)
		w->sim->nat[n]->capacity = 300;
}

static void lossy(struct world *w)
{
	w->a->iface[0].out.loss = w->a->iface[0].in.loss = 0.02;
	w->b->iface[0].out.loss = w->b->iface[0].in.loss = 0.02;
}

static void forgetful(struct world *w)
{
	for (u32 n = 0; n < w->sim->nats; n++) {
		w->sim->nat[n]->lifetime = SECONDS(5);
		w->sim->nat[n]->stream_lifetime = SECONDS(10);
	}
}

/* Here it matters what meets between the routers. */
static void accepting_routers(struct world *w)
{
	w->sim->transit = MS(5) + sim_rng_below(&w->sim->rng, MS(30));
	for (u32 n = 0; n < w->sim->nats; n++)
		w->sim->nat[n]->accepts_unasked = true;
}

/* Others take a hundred ports a second. */
static void busy_sequences(struct world *w)
{
	for (u32 n = 0; n < w->sim->nats; n++)
		w->sim->nat[n]->other_rate *= 20;
}

/* What makes it harder; the first is nothing. */
struct circumstances {
	const char *name;
	void (*make)(struct world *w);
	u64 payload_within;
	bool direct; /* is judged too */
};

static const struct circumstances usual = { "", NULL, PAYLOAD_WITHIN, true };

static const struct circumstances harder[] = {
	{ "300 sessions", small_tables, PAYLOAD_WITHIN, true },
	/* A handshake or registration is repeated after some hundred milliseconds. */
	{ "2 % loss", lossy, 3 * PAYLOAD_WITHIN, false },
	{ "5 s lifetimes", forgetful, PAYLOAD_WITHIN, true },
	{ "accepting routers", accepting_routers, 2 * PAYLOAD_WITHIN, false },
	{ "busy sequences", busy_sequences, PAYLOAD_WITHIN, true },
};

/* --- one meeting --------------------------------------------------------------------------- */

struct meeting {
	const struct circumstances *under;
	struct world w;
	u64 looked[2]; /* counts of notices when last looked */
	bool direct[2];
	u64 began;                 /* when the second one started */
	u64 payload_at, direct_at; /* ns since then, TIME_NEVER: did not */
	const char *how;           /* the path at a */
};

/* Looks only when something may have changed. */
static bool look(struct meeting *m, u32 end)
{
	const struct sim_host *h = end ? m->w.b : m->w.a;
	const u64 count = h->notices[NOTICE_PATH_STATE];
	struct path_view view;

	if (count == m->looked[end])
		return m->direct[end];
	m->looked[end] = count;
	m->direct[end] = world_direct(h, &view);
	if (m->direct[end] && end == 0)
		m->how = path_origin_name(view.origin);
	return m->direct[end];
}

static bool both_direct(void *ctx)
{
	struct meeting *m = ctx;
	const bool a = look(m, 0), b = look(m, 1);

	return a && b;
}

static u64 first_at(const struct meeting *m, const struct sim_flow *f, const struct sim_host *to)
{
	return sim_received(f, to) ? sim_sink(f, to)->first_at - m->began : TIME_NEVER;
}

/* 2 to 40 ms of delay, and up to 1 ms of jitter. */
static void place(struct sim_host *h)
{
	const struct sim_link link = {
		.delay = MS(2) + sim_rng_below(&h->sim->rng, MS(38)),
		.jitter = sim_rng_below(&h->sim->rng, MS(1)),
	};

	for (u32 n = 0; n < h->iface_count; n++)
		sim_iface_link(&h->iface[n], &link);
}

static void start(struct meeting *m)
{
	struct sim *sim = m->w.sim;

	place(m->w.a);
	place(m->w.b);
	place(m->w.map);
	if (m->under->make)
		m->under->make(&m->w);
	sim_start(m->w.map);
	sim_start(m->w.a);
	sim_run(sim, sim_rng_below(&sim->rng, MS(200)));
	sim_start(m->w.b);
	m->began = sim->now;
}

static void check_goes_on(struct sim_flow *f, struct sim_host *to)
{
	if (sim_received(f, to))
		sim_compare(f->sim, f->sim->now - sim_sink(f, to)->last_at, <, MS(300));
}

static void meet(struct meeting *m, const struct circumstances *under, enum world_nat a,
		 enum world_nat b, u64 number)
{
	const u64 within = expected[expect(a, b)].within;
	struct sim_flow *there, *back;
	u64 there_at, back_at;
	char name[64];

	*m = (struct meeting){ .under = under, .how = "-", .direct_at = TIME_NEVER };
	snprintf(name, sizeof(name), "matrix %s %u %u %llu", under->name, a, b,
		 (unsigned long long)number);
	world_meet(&m->w, name, a, b);
	start(m);
	there = sim_flow(m->w.a, 0, MS(20), 100, 0);
	back = sim_flow(m->w.b, 0, MS(20), 100, 0);
	if (sim_run_until(m->w.sim, within, both_direct, m))
		m->direct_at = m->w.sim->now - m->began;
	sim_run(m->w.sim, MS(500));
	there_at = first_at(m, there, m->w.b);
	back_at = first_at(m, back, m->w.a);
	m->payload_at = there_at > back_at ? there_at : back_at;
	check_goes_on(there, m->w.b);
	check_goes_on(back, m->w.a);
	if (getenv("SIM_MATRIX"))
		print_message("%s: payload %.3f s, direct %.3f s, %s\n", name,
			      (double)m->payload_at / 1e9, (double)m->direct_at / 1e9, m->how);
	world_end(&m->w);
}

/* --- one pair, many meetings ---------------------------------------------------------------- */

#define MEETINGS 1000u

struct pair {
	u64 meetings, paid, direct; /* in time */
	u64 payload_at[MEETINGS], direct_at[MEETINGS];
	const char *how;
};

static int by_time(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static u64 payload_within(const struct circumstances *under, enum world_nat a, enum world_nat b)
{
	return under->payload_within + expected[expect(a, b)].slack;
}

static void run_pair(struct pair *p, const struct circumstances *under, enum world_nat a,
		     enum world_nat b, u64 meetings)
{
	*p = (struct pair){ .meetings = meetings < MEETINGS ? meetings : MEETINGS, .how = "-" };
	for (u64 n = 0; n < p->meetings; n++) {
		struct meeting m;

		meet(&m, under, a, b, n);
		p->payload_at[n] = m.payload_at;
		p->direct_at[n] = m.direct_at;
		p->paid += m.payload_at <= payload_within(under, a, b);
		p->direct += m.direct_at <= expected[expect(a, b)].within;
		if (m.direct_at != TIME_NEVER)
			p->how = m.how;
	}
	qsort(p->payload_at, p->meetings, sizeof(u64), by_time);
	qsort(p->direct_at, p->meetings, sizeof(u64), by_time);
}

/* Of so many meetings one may always fail that may fail at all. */
static bool enough(u64 good, u64 of, u32 percent)
{
	u64 may_fail = of * (100 - percent) / 100;

	if (may_fail == 0 && percent < 99)
		may_fail = 1;
	return good + may_fail >= of;
}

static void put(FILE *f, const char *metric, double value, const char *unit, double goal)
{
	fprintf(f,
		"{\"test\": \"sim_matrix\", \"metric\": \"%s\", \"value\": %.3f, \"unit\": \"%s\"",
		metric, value, unit);
	if (goal > 0)
		fprintf(f, ", \"goal\": \">= %.2f\"", goal);
	fprintf(f, "}\n");
}

static void report(FILE *f, const struct circumstances *under, enum world_nat a, enum world_nat b,
		   const struct pair *p)
{
	const enum expectation e = expect(a, b);
	const double meetings = (double)p->meetings;
	const u64 median = p->direct_at[p->meetings / 2];
	char pair[96], metric[160];

	snprintf(pair, sizeof(pair), "%s x %s%s%s", world_nat_name(a), world_nat_name(b),
		 under->make ? ", " : "", under->name);
	snprintf(metric, sizeof(metric), "%s: payload within %.3g s", pair,
		 (double)payload_within(under, a, b) / 1e9);
	put(f, metric, (double)p->paid / meetings, "ratio", 1);
	snprintf(metric, sizeof(metric), "%s: direct within %.0f s", pair,
		 (double)expected[e].within / 1e9);
	put(f, metric, (double)p->direct / meetings, "ratio",
	    under->direct ? expected[e].percent / 100.0 : 0);
	snprintf(metric, sizeof(metric), "%s: median time to direct", pair);
	if (median != TIME_NEVER)
		put(f, metric, (double)median / 1e9, "s", 0);
}

/* What is wrong with it, or NULL. */
static const char *judge(const struct circumstances *under, enum world_nat a, enum world_nat b,
			 const struct pair *p)
{
	const enum expectation e = expect(a, b);

	if (p->paid < p->meetings)
		return "no payload in time";
	if (under->direct && expected[e].direct && expected[e].percent &&
	    !enough(p->direct, p->meetings, expected[e].percent))
		return "no direct path in time";
	if (e == RELAYED && p->direct > 0 && !(a == WORLD_SEQUENTIAL && b == WORLD_SEQUENTIAL))
		return "a direct path where none can be";
	return NULL;
}

static void print_time(u64 t)
{
	if (t == TIME_NEVER)
		print_message(" %7s", "-");
	else
		print_message(" %7.3f", (double)t / 1e9);
}

static u32 do_pair(FILE *results, const struct circumstances *under, enum world_nat a,
		   enum world_nat b, u64 meetings)
{
	static struct pair p;
	const char *wrong;

	run_pair(&p, under, a, b, meetings);
	wrong = judge(under, a, b, &p);
	print_message("%s%s%-18s x %-18s %-9s payload", under->name, under->make ? ": " : "",
		      world_nat_name(a), world_nat_name(b), expected[expect(a, b)].name);
	print_time(p.payload_at[p.meetings / 2]);
	print_time(p.payload_at[p.meetings - 1]);
	print_message("  direct");
	print_time(p.direct_at[p.meetings / 2]);
	print_time(p.direct_at[p.meetings - 1]);
	print_message("  %3u of %u, %s%s%s\n", (u32)p.direct, (u32)p.meetings, p.how,
		      wrong ? "  WRONG: " : "", wrong ? wrong : "");
	if (results)
		report(results, under, a, b, &p);
	return wrong != NULL;
}

/* --- the whole ------------------------------------------------------------------------------ */

static bool selected(enum world_nat a, enum world_nat b)
{
	const char *only = getenv("SIM_MATRIX");
	char *end;

	return !only || (strtoul(only, &end, 10) == a && strtoul(end, NULL, 10) == b);
}

static FILE *open_results(const char *name)
{
	const bool whole = !getenv("SIM_MATRIX") && !getenv("SIM_SEED");

	if (!whole || access("build", W_OK))
		return NULL;
	mkdir("build/results", 0777);
	return fopen(name, "w");
}

static void every_pair_of_nats_meets_as_its_kinds_allow(void **state)
{
	FILE *results = open_results("build/results/sim_matrix.jsonl");
	u32 wrong = 0;

	(void)state;
	print_message("(payload, direct: s, median and longest)\n");
	for (enum world_nat a = 0; a < WORLD_NATS; a++) {
		for (enum world_nat b = 0; b < WORLD_NATS; b++) {
			if (selected(a, b))
				wrong +=
					do_pair(results, &usual, a, b, world_scale(MEETINGS_USUAL));
		}
	}
	if (results)
		fclose(results);
	assert_int_equal(wrong, 0);
}

/* One of each way to meet. */
static const enum world_nat hard[][2] = {
	{ WORLD_FULL_CONE, WORLD_PORT_RESTRICTED },
	{ WORLD_PORT_RESTRICTED, WORLD_PORT_RESTRICTED },
	{ WORLD_OTHER_PORTS, WORLD_CARRIER },
	{ WORLD_SYMMETRIC, WORLD_ADDRESS_RESTRICTED },
	{ WORLD_PORT_RESTRICTED, WORLD_SEQUENTIAL },
	{ WORLD_SEQUENTIAL, WORLD_OTHER_PORTS },
	{ WORLD_PORT_RESTRICTED, WORLD_SYMMETRIC },
	{ WORLD_SYMMETRIC, WORLD_CARRIER },
	{ WORLD_SYMMETRIC, WORLD_SYMMETRIC },
	{ WORLD_UDP_BLOCKED, WORLD_SYMMETRIC },
};

static void harder_circumstances_change_little(void **state)
{
	FILE *results = open_results("build/results/sim_matrix_harder.jsonl");
	u32 wrong = 0;

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(harder); n++) {
		for (u32 k = 0; k < ARRAY_SIZE(hard); k++) {
			if (selected(hard[k][0], hard[k][1]))
				wrong += do_pair(results, &harder[n], hard[k][0], hard[k][1],
						 world_scale(MEETINGS_USUAL));
		}
	}
	if (results)
		fclose(results);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_of_nats_meets_as_its_kinds_allow),
		cmocka_unit_test(harder_circumstances_change_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
