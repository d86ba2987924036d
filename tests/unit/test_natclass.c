/* SPDX-License-Identifier: MIT */
/*
 * test_natclass.c - what an interface finds out about the NAT before it: every kind is recognised,
 * also two in a row, with a map of few endpoints, and with a fifth of all datagrams lost; and what
 * was lost makes a result late or unknown, never wrong.
 *
 * host (own and spare socket) -- up to two boxes (NAT, firewall) -- map of up to four endpoints
 */
#include "unit/harness.h"

#include "warp/natclass.h"
#include "warp/natlife.h"

#include <stdio.h>
#include <string.h>

#define START (1000 * NS_PER_S)
#define HOP (10 * NS_PER_MS)
#define MAPPINGS 512u
#define PERMITS 8u
#define EVENTS 256u
#define OWN_PORT 51900u
#define RUN (60 * NS_PER_S)

/* --- the box --------------------------------------------------------------------------------- */

enum ports { PORTS_KEEP, PORTS_SHIFT, PORTS_STEP, PORTS_DEPENDENT, PORTS_RANDOM };

struct kind {
	const char *name;
	bool firewall; /* translates nothing */
	bool blocks;   /* no UDP at all */
	enum nat_mapping mapping;
	enum nat_filtering filtering;
	enum ports ports;
	int step;
	bool overloads; /* one external port serves several mappings */
	bool hairpin;
	u64 lifetime; /* 0: for ever */
	u32 pool;     /* more external addresses, chosen at random */
};

struct mapping {
	struct endpoint inside, outside, destination;
	struct endpoint permitted[PERMITS];
	u32 permits;
	u64 used;
};

struct box {
	const struct kind *kind; /* NULL: there is no box */
	struct address address;
	struct mapping mapping[MAPPINGS];
	u32 count;
	u16 last_port, last_local;
};

struct event {
	u64 at; /* 0: free */
	bool inbound;
	bool hairpin;
	struct endpoint source, destination;
	struct endpoint seen;
	u64 nonce;
	u8 count;
	struct natclass_question question[NATCLASS_QUESTIONS];
};

struct world {
	struct natclass c;
	u64 now;
	struct test_random random;
	u32 loss; /* percent, each way */
	struct address host;
	u16 spare_port, next_port;
	bool in_a_row;     /* the host gives out ports in a row unless asked for one */
	bool no_wish;      /* and never the one that was asked for */
	struct box box[2]; /* [0] is next to the host */
	struct endpoint map[4];
	u32 map_count;
	bool map_down[4];
	struct event event[EVENTS];
	u32 sent;
};

static bool is_alive(const struct world *w, const struct box *b, const struct mapping *m)
{
	return !b->kind->lifetime || w->now - m->used <= b->kind->lifetime;
}

static bool serves(const struct box *b, const struct mapping *m, const struct endpoint *inside,
		   const struct endpoint *to)
{
	if (!endpoint_equal(&m->inside, inside))
		return false;
	if (b->kind->mapping == NAT_MAPPING_ADDRESS)
		return address_equal(&m->destination.address, &to->address);
	if (b->kind->mapping == NAT_MAPPING_ADDRESS_AND_PORT)
		return endpoint_equal(&m->destination, to);
	return true;
}

static bool is_taken(const struct world *w, const struct box *b, u16 port)
{
	for (u32 n = 0; n < b->count; n++) {
		if (b->mapping[n].outside.port == port && is_alive(w, b, &b->mapping[n]))
			return true;
	}
	return false;
}

static u16 any_port(struct world *w, const struct box *b)
{
	u16 port;

	do {
		port = (u16)(1024 + test_random_below(&w->random, 64512));
	} while (is_taken(w, b, port));
	return port;
}

static u16 choose_port(struct world *w, struct box *b, u16 local)
{
	int range = 4096, at;

	switch (b->kind->ports) {
	case PORTS_KEEP:
		return !is_taken(w, b, local) || b->kind->overloads ? local : any_port(w, b);
	case PORTS_SHIFT:
		return (u16)(local + 3000);
	case PORTS_STEP:
		at = (b->last_port ? b->last_port : 20000) - 20000 + b->kind->step;
		return (u16)(20000 + (at + range) % range);
	case PORTS_DEPENDENT:
		return local == b->last_local + 1 ? (u16)(b->last_port + b->kind->step) :
						    any_port(w, b);
	default:
		return any_port(w, b);
	}
}

static struct mapping *mapping_out(struct world *w, struct box *b, const struct endpoint *inside,
				   const struct endpoint *to)
{
	struct mapping *m = NULL;

	for (u32 n = 0; n < b->count && !m; n++) {
		if (is_alive(w, b, &b->mapping[n]) && serves(b, &b->mapping[n], inside, to))
			m = &b->mapping[n];
	}
	if (m)
		return m;
	assert_in_range(b->count, 0, MAPPINGS - 1);
	m = &b->mapping[b->count];
	memset(m, 0, sizeof(*m));
	m->inside = *inside;
	m->destination = *to;
	m->outside = (struct endpoint){ b->address, choose_port(w, b, inside->port) };
	if (b->kind->pool)
		m->outside.address.bytes[3] += (u8)test_random_below(&w->random, b->kind->pool);
	b->last_port = m->outside.port;
	b->last_local = inside->port;
	if (b->kind->firewall)
		m->outside = *inside;
	b->count++;
	return m;
}

/* What leaves with source inside to to; false: it does not leave. */
static bool box_out(struct world *w, struct box *b, struct endpoint *source,
		    const struct endpoint *to)
{
	struct mapping *m;

	if (!b->kind)
		return true;
	if (b->kind->blocks)
		return false;
	m = mapping_out(w, b, source, to);
	m->used = w->now;
	m->permitted[m->permits++ % PERMITS] = *to;
	*source = m->outside;
	return true;
}

static bool is_permitted(const struct box *b, const struct mapping *m, const struct endpoint *from)
{
	if (b->kind->filtering == NAT_FILTERING_INDEPENDENT)
		return true;
	for (u32 n = 0; n < m->permits && n < PERMITS; n++) {
		if (b->kind->filtering == NAT_FILTERING_ADDRESS ?
			    address_equal(&m->permitted[n].address, &from->address) :
			    endpoint_equal(&m->permitted[n], from))
			return true;
	}
	return false;
}

static bool box_in(struct world *w, struct box *b, const struct endpoint *from,
		   struct endpoint *destination)
{
	if (!b->kind)
		return true;
	for (u32 n = 0; n < b->count; n++) {
		struct mapping *m = &b->mapping[n];

		if (!endpoint_equal(&m->outside, destination) || !is_alive(w, b, m) ||
		    !is_permitted(b, m, from))
			continue;
		m->used = w->now;
		*destination = m->inside;
		return true;
	}
	/* An open host behind nothing that filters is reached without having sent anything. */
	return b->kind->firewall && b->kind->filtering == NAT_FILTERING_INDEPENDENT;
}

/* --- the way --------------------------------------------------------------------------------- */

static bool is_lost(struct world *w)
{
	return test_random_below(&w->random, 100) < w->loss;
}

static void later(struct world *w, const struct event *what)
{
	for (u32 n = 0; n < EVENTS; n++) {
		if (w->event[n].at)
			continue;
		w->event[n] = *what;
		w->event[n].at = w->now + HOP + test_random_below(&w->random, 5) * NS_PER_MS;
		return;
	}
	fail_msg("too many datagrams under way");
}

static void hand_over(struct world *w, const struct event *v)
{
	struct natclass_answer a = { .nonce = v->nonce, .from = v->source, .seen = v->seen };

	if (v->destination.port == w->spare_port)
		a.socket = NATCLASS_SPARE;
	else if (v->destination.port != OWN_PORT)
		return;
	if (v->hairpin)
		natclass_returned(&w->c, v->nonce);
	else
		natclass_take(&w->c, w->now, &a);
}

static void goes_in(struct world *w, struct event v)
{
	if (is_lost(w))
		return;
	if (box_in(w, &w->box[1], &v.source, &v.destination) &&
	    box_in(w, &w->box[0], &v.source, &v.destination))
		hand_over(w, &v);
}

static int answering(const struct world *w, u32 asked, u8 how)
{
	for (u32 n = 0; n < w->map_count; n++) {
		bool same = address_equal(&w->map[n].address, &w->map[asked].address);

		if ((how == NATCLASS_SAME && n == asked) ||
		    (how == NATCLASS_OTHER_ADDRESS && !same) ||
		    (how == NATCLASS_OTHER_PORT && same && n != asked))
			return (int)n;
	}
	return -1;
}

static void map_answers(struct world *w, const struct event *v)
{
	for (u32 n = 0; n < w->map_count; n++) {
		if (!endpoint_equal(&w->map[n], &v->destination) || w->map_down[n])
			continue;
		for (u8 q = 0; q < v->count; q++) {
			int from = answering(w, n, v->question[q].how);
			struct event back = { .inbound = true, .destination = v->source };

			if (from < 0)
				continue;
			back.source = w->map[from];
			back.seen = v->source;
			back.nonce = v->question[q].nonce;
			if (v->question[q].port)
				back.destination.port = v->question[q].port;
			later(w, &back);
		}
	}
}

static void turns_back(struct world *w, struct event *v)
{
	if (!w->box[0].kind || !w->box[0].kind->hairpin ||
	    !address_equal(&v->destination.address, &w->box[0].address))
		return;
	v->inbound = true;
	if (!is_lost(w) && box_in(w, &w->box[0], &v->source, &v->destination))
		hand_over(w, v);
}

static void goes_out(struct world *w, const struct natclass_action *a)
{
	struct event v = { .destination = a->to, .nonce = a->nonce, .count = a->count };

	v.hairpin = a->kind == NATCLASS_HAIRPIN;
	v.source =
		(struct endpoint){ w->host, a->socket == NATCLASS_OWN ? OWN_PORT : w->spare_port };
	assert_true(a->socket == NATCLASS_OWN || w->spare_port != 0);
	memcpy(v.question, a->question, sizeof(v.question));
	w->sent++;
	if (test_random_below(&w->random, 2) && is_lost(w)) /* before the boxes, or behind */
		return;
	if (!box_out(w, &w->box[0], &v.source, &a->to))
		return;
	if (v.hairpin) {
		turns_back(w, &v);
		return;
	}
	if (box_out(w, &w->box[1], &v.source, &a->to) && !is_lost(w))
		later(w, &v);
}

static void do_action(struct world *w, const struct natclass_action *a)
{
	switch (a->kind) {
	case NATCLASS_OPEN:
		assert_int_equal(w->spare_port, 0);
		w->next_port++;
		if (!w->in_a_row)
			w->next_port = (u16)(32768u + test_random_below(&w->random, 19000));
		w->spare_port = a->port && !w->no_wish ? a->port : w->next_port;
		natclass_opened(&w->c, w->now, w->spare_port);
		break;
	case NATCLASS_CLOSE:
		w->spare_port = 0;
		break;
	default:
		goes_out(w, a);
		break;
	}
}

static void drain(struct world *w)
{
	struct natclass_action a;
	u32 count = 0;

	while (natclass_next(&w->c, w->now, &a)) {
		do_action(w, &a);
		assert_in_range(++count, 0, 20);
	}
	assert_true(natclass_next_expiry(&w->c) > w->now);
}

static struct event *next_event(struct world *w)
{
	struct event *best = NULL;

	for (u32 n = 0; n < EVENTS; n++) {
		struct event *v = &w->event[n];

		if (v->at && (!best || v->at < best->at))
			best = v;
	}
	return best;
}

static void run(struct world *w, u64 duration)
{
	u64 end = w->now + duration;

	for (;;) {
		struct event *v = next_event(w), now;
		u64 at = natclass_next_expiry(&w->c);

		if (v && v->at < at)
			at = v->at;
		if (at > end)
			break;
		w->now = at > w->now ? at : w->now;
		if (v && v->at <= w->now) {
			now = *v;
			v->at = 0;
			if (now.inbound)
				goes_in(w, now);
			else
				map_answers(w, &now);
		}
		drain(w);
	}
	w->now = end;
}

static void set_up(struct world *w, const struct kind *inner, const struct kind *outer, u64 seed)
{
	struct endpoint own;

	memset(w, 0, sizeof(*w));
	w->now = START;
	w->random.state = seed;
	w->next_port = 40000;
	w->host = test_address("192.168.1.2");
	w->box[0].kind = inner;
	w->box[0].address = test_address(outer ? "100.64.0.2" : "198.51.100.1");
	w->box[1].kind = outer;
	w->box[1].address = test_address("203.0.113.1");
	w->map_count = 4;
	w->map[0] = test_endpoint("192.0.2.1", 13116);
	w->map[1] = test_endpoint("192.0.2.1", 13117);
	w->map[2] = test_endpoint("192.0.2.2", 13116);
	w->map[3] = test_endpoint("192.0.2.2", 13117);
	own = (struct endpoint){ w->host, OWN_PORT };
	natclass_init(&w->c, &own, test_random_u64(&w->random));
}

static void begin(struct world *w)
{
	natclass_set_map(&w->c, w->now, w->map, w->map_count);
	drain(w);
}

/* --- every kind ------------------------------------------------------------------------------ */

#define EIM NAT_MAPPING_INDEPENDENT
#define ADM NAT_MAPPING_ADDRESS
#define APDM NAT_MAPPING_ADDRESS_AND_PORT
#define EIF NAT_FILTERING_INDEPENDENT
#define ADF NAT_FILTERING_ADDRESS
#define APDF NAT_FILTERING_ADDRESS_AND_PORT

static const struct kind kinds[] = {
	{ "port-restricted", .mapping = EIM, .filtering = APDF, .ports = PORTS_KEEP },
	{ "port-restricted, other ports", .mapping = EIM, .filtering = APDF,
	  .ports = PORTS_RANDOM },
	{ "full cone", .mapping = EIM, .filtering = EIF, .ports = PORTS_KEEP },
	{ "full cone, hairpin", .mapping = EIM, .filtering = EIF, .ports = PORTS_KEEP,
	  .hairpin = true },
	{ "restricted", .mapping = EIM, .filtering = ADF, .ports = PORTS_KEEP },
	{ "port-restricted, hairpin", .mapping = EIM, .filtering = APDF, .ports = PORTS_SHIFT,
	  .hairpin = true },
	{ "cone, sequential", .mapping = EIM, .filtering = EIF, .ports = PORTS_STEP, .step = 2 },
	{ "symmetric", .mapping = APDM, .filtering = APDF, .ports = PORTS_RANDOM },
	{ "symmetric, sequential", .mapping = APDM, .filtering = APDF, .ports = PORTS_STEP,
	  .step = 1 },
	{ "symmetric, backwards", .mapping = APDM, .filtering = APDF, .ports = PORTS_STEP,
	  .step = -3 },
	{ "symmetric, in steps of 256", .mapping = APDM, .filtering = APDF, .ports = PORTS_STEP,
	  .step = 256 },
	{ "symmetric, dependent", .mapping = APDM, .filtering = APDF, .ports = PORTS_DEPENDENT,
	  .step = 4 },
	{ "symmetric, port-preserving", .mapping = APDM, .filtering = APDF, .ports = PORTS_KEEP },
	{ "symmetric, open", .mapping = APDM, .filtering = EIF, .ports = PORTS_RANDOM },
	{ "address-dependent", .mapping = ADM, .filtering = APDF, .ports = PORTS_RANDOM },
	{ "address-dependent, restricted", .mapping = ADM, .filtering = ADF,
	  .ports = PORTS_RANDOM },
	{ "firewall", .firewall = true, .mapping = EIM, .filtering = APDF },
	{ "firewall, restricted", .firewall = true, .mapping = EIM, .filtering = ADF },
	{ "open", .firewall = true, .mapping = EIM, .filtering = EIF },
	{ "short lifetime", .mapping = EIM, .filtering = APDF, .ports = PORTS_KEEP,
	  .lifetime = 5 * NS_PER_S },
	{ "short lifetime, symmetric", .mapping = APDM, .filtering = APDF, .ports = PORTS_RANDOM,
	  .lifetime = 30 * NS_PER_S },
	{ "pool", .mapping = APDM, .filtering = APDF, .ports = PORTS_RANDOM, .pool = 4 },
};

static enum nat_step step_of(const struct kind *k)
{
	static const enum nat_step steps[] = {
		[PORTS_KEEP] = NAT_STEP_EQUAL,       [PORTS_SHIFT] = NAT_STEP_PRESERVING,
		[PORTS_STEP] = NAT_STEP_INDEPENDENT, [PORTS_DEPENDENT] = NAT_STEP_DEPENDENT,
		[PORTS_RANDOM] = NAT_STEP_RANDOM,
	};

	return k->firewall ? NAT_STEP_EQUAL : steps[k->ports];
}

static enum nat_verdict verdict_of(const struct kind *k)
{
	if (k->firewall)
		return k->filtering == EIF ? NAT_VERDICT_OPEN : NAT_VERDICT_FIREWALL;
	return NAT_VERDICT_NATTED;
}

static enum nat_answer hairpin_of(const struct kind *k)
{
	if (k->firewall)
		return NAT_UNKNOWN;
	return k->hairpin ? NAT_YES : NAT_NO;
}

static bool may_be(bool strict, unsigned found, unsigned truth)
{
	return found == truth || (!strict && found == 0);
}

/* strict: nothing may be unknown. */
static void check_kind(const struct world *w, const struct kind *k, bool strict)
{
	const struct nat_class *is = &w->c.is;
	enum nat_mapping mapping = k->firewall ? NAT_MAPPING_NONE : k->mapping;
	enum nat_answer preserves = k->firewall || k->ports == PORTS_KEEP ? NAT_YES : NAT_NO;
	enum nat_answer dependent = mapping == ADM || mapping == APDM ? NAT_YES : NAT_NO;
	u64 lifetime = k->lifetime ? k->lifetime : TIME_NEVER;

	if (!may_be(strict, is->mapping, mapping) || !may_be(strict, is->filtering, k->filtering) ||
	    !may_be(strict, is->dependent, dependent) ||
	    !may_be(strict, is->preserves, preserves) || !may_be(strict, is->step, step_of(k)) ||
	    !may_be(strict, is->hairpin, hairpin_of(k)) ||
	    !may_be(strict, is->verdict, verdict_of(k)) ||
	    (is->step == NAT_STEP_INDEPENDENT && is->step_size != k->step) ||
	    is->lifetime_lower > lifetime || is->lifetime_upper < lifetime)
		fail_msg(
			"%s: %s, mapping %s (dependent: %s), filtering %s, preserves %s, step %s %d, "
			"hairpin %s, lifetime %f to %f s",
			k->name, nat_verdict_name(is->verdict), nat_mapping_name(is->mapping),
			nat_answer_name(is->dependent), nat_filtering_name(is->filtering),
			nat_answer_name(is->preserves), nat_step_name(is->step), is->step_size,
			nat_answer_name(is->hairpin), (double)is->lifetime_lower / NS_PER_S,
			(double)is->lifetime_upper / NS_PER_S);
}

static void every_kind_is_recognised_within_seconds(void **state)
{
	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++) {
		for (u64 seed = 1; seed <= 50; seed++) {
			struct world w;

			set_up(&w, &kinds[n], NULL, seed);
			w.in_a_row = seed % 2;
			begin(&w);
			run(&w, 10 * NS_PER_S);
			check_kind(&w, &kinds[n], true);
			assert_in_range(w.sent, 1, 80);
		}
	}
}

/* Each run of each kind, from the first answer to the last, at every second. */
static void loss_makes_it_late_or_unknown_but_never_wrong(void **state)
{
	u32 complete = 0, all = 0;

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++) {
		for (u64 seed = 1; seed <= 300; seed++) {
			struct world w;

			set_up(&w, &kinds[n], NULL, seed);
			w.loss = 20;
			begin(&w);
			for (u32 second = 0; second < 240; second++) {
				run(&w, NS_PER_S);
				check_kind(&w, &kinds[n], false);
			}
			complete += w.c.is.mapping && w.c.is.filtering && w.c.is.step;
			all++;
		}
	}
	assert_in_range(complete, all * 9 / 10, all);
}

/* --- two in a row ---------------------------------------------------------------------------- */

/* What shows of two boxes in a row is the stricter of both. */
static void a_carrier_s_nat_behind_one_s_own_shows_the_stricter(void **state)
{
	static const struct kind cone = { "cone", .mapping = EIM, .filtering = EIF,
					  .ports = PORTS_KEEP };
	static const struct kind restricted = { "restricted", .mapping = EIM, .filtering = ADF,
						.ports = PORTS_KEEP };
	static const struct kind symmetric = { "symmetric", .mapping = APDM, .filtering = APDF,
					       .ports = PORTS_RANDOM };
	static const struct {
		const struct kind *inner, *outer;
		enum nat_mapping mapping;
		enum nat_filtering filtering;
		enum nat_step step;
	} pairs[] = {
		{ &cone, &symmetric, APDM, APDF, NAT_STEP_RANDOM },
		{ &symmetric, &cone, APDM, APDF, NAT_STEP_RANDOM },
		{ &cone, &restricted, EIM, ADF, NAT_STEP_EQUAL },
		{ &restricted, &cone, EIM, ADF, NAT_STEP_EQUAL },
		{ &cone, &cone, EIM, EIF, NAT_STEP_EQUAL },
	};

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(pairs); n++) {
		struct world w;

		set_up(&w, pairs[n].inner, pairs[n].outer, n + 1);
		begin(&w);
		run(&w, 10 * NS_PER_S);
		assert_int_equal(w.c.is.verdict, NAT_VERDICT_NATTED);
		assert_int_equal(w.c.is.mapping, pairs[n].mapping);
		assert_int_equal(w.c.is.filtering, pairs[n].filtering);
		assert_int_equal(w.c.is.step, pairs[n].step);
	}
}

/* --- maps of few endpoints ------------------------------------------------------------------- */

static void with_map(struct world *w, const struct kind *k, u32 seed, u32 endpoints)
{
	u32 count = 0;

	set_up(w, k, NULL, seed);
	for (u32 n = 0; n < 4; n++) {
		if (endpoints & 1u << n)
			w->map[count++] = w->map[n];
	}
	w->map_count = count;
	begin(w);
	run(w, 20 * NS_PER_S);
}

static void few_endpoints_leave_unknown_what_they_cannot_tell(void **state)
{
	(void)state;
	for (u32 endpoints = 1; endpoints < 16; endpoints++) {
		for (u32 n = 0; n < ARRAY_SIZE(kinds); n++) {
			struct world w;

			with_map(&w, &kinds[n], n + 1, endpoints);
			check_kind(&w, &kinds[n], false);
		}
	}
}

static const struct kind *kind_named(const char *name)
{
	for (size_t n = 0; n < ARRAY_SIZE(kinds); n++) {
		if (strcmp(kinds[n].name, name) == 0)
			return &kinds[n];
	}
	fail_msg("no kind %s", name);
	return NULL;
}

static void few_endpoints_tell_what_they_can(void **state)
{
	enum { PORTS = 3, ADDRESSES = 5 };
	struct world w;

	(void)state;
	with_map(&w, kind_named("symmetric"), 1, PORTS);
	assert_int_equal(w.c.is.mapping, APDM);
	assert_int_equal(w.c.is.filtering, APDF);
	with_map(&w, kind_named("port-restricted"), 1, PORTS);
	assert_int_equal(w.c.is.mapping, NAT_MAPPING_UNKNOWN);
	assert_int_equal(w.c.is.filtering, APDF);
	assert_int_equal(w.c.is.verdict, NAT_VERDICT_NATTED);
	with_map(&w, kind_named("full cone"), 1, ADDRESSES);
	assert_int_equal(w.c.is.mapping, EIM);
	assert_int_equal(w.c.is.filtering, EIF);
	with_map(&w, kind_named("symmetric"), 1, ADDRESSES);
	assert_int_equal(w.c.is.mapping, NAT_MAPPING_UNKNOWN);
	assert_int_equal(w.c.is.dependent, NAT_YES);
	with_map(&w, kind_named("symmetric, sequential"), 1, 1);
	assert_int_equal(w.c.is.verdict, NAT_VERDICT_NATTED);
	assert_int_equal(w.c.is.step, NAT_STEP_INDEPENDENT);
	with_map(&w, kind_named("firewall"), 1, 1);
	assert_int_equal(w.c.is.mapping, NAT_MAPPING_NONE);
	assert_int_equal(w.c.is.verdict, NAT_VERDICT_UNKNOWN);
}

/* That nothing comes from an endpoint which cannot be reached says nothing about the filter. */
static void an_endpoint_that_is_down_proves_no_filter(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, kind_named("full cone"), NULL, 1);
	w.map_down[1] = true;
	w.map_down[2] = true;
	w.map_down[3] = true;
	begin(&w);
	run(&w, 60 * NS_PER_S);
	assert_int_equal(w.c.is.verdict, NAT_VERDICT_NATTED);
	assert_in_range(w.c.is.filtering, 0, NAT_FILTERING_INDEPENDENT);
	assert_int_equal(w.c.is.mapping, NAT_MAPPING_UNKNOWN);
}

/* --- lifetimes ------------------------------------------------------------------------------- */

static void check_lifetime(u64 lifetime, u64 at_least)
{
	struct kind k = { "lifetime", .mapping = EIM, .filtering = APDF, .ports = PORTS_KEEP };
	struct world w;

	k.lifetime = lifetime;
	set_up(&w, &k, NULL, lifetime / NS_PER_S);
	begin(&w);
	run(&w, 580 * NS_PER_S);
	assert_true(w.c.is.lifetime_lower <= lifetime);
	assert_true(w.c.is.lifetime_lower >= at_least);
	assert_true(w.c.is.lifetime_upper >= lifetime);
	assert_true(w.c.is.lifetime_upper != TIME_NEVER);
	assert_true(natclass_keepalive(&w.c) < lifetime || lifetime <= NS_PER_S);
	run(&w, 580 * NS_PER_S); /* and after it was confirmed */
	assert_true(w.c.is.lifetime_lower <= lifetime && w.c.is.lifetime_upper >= lifetime);
}

static void the_lifetime_is_narrowed_down(void **state)
{
	(void)state;
	check_lifetime(2 * NS_PER_S, NS_PER_S);
	check_lifetime(5 * NS_PER_S, 3 * NS_PER_S);
	check_lifetime(10 * NS_PER_S, 7 * NS_PER_S);
	check_lifetime(30 * NS_PER_S, 24 * NS_PER_S);
	check_lifetime(60 * NS_PER_S, 48 * NS_PER_S);
	check_lifetime(110 * NS_PER_S, 96 * NS_PER_S);
}

static void a_lifetime_that_is_never_seen_to_end_is_at_least_that_long(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, kind_named("port-restricted"), NULL, 1);
	begin(&w);
	run(&w, 100 * NS_PER_S);
	assert_in_range(w.c.is.lifetime_lower / NS_PER_S, 24, 96);
	run(&w, 300 * NS_PER_S);
	assert_int_equal(w.c.is.lifetime_lower / NS_PER_S, 120);
	assert_true(w.c.is.lifetime_upper == TIME_NEVER);
	assert_true(natclass_keepalive(&w.c) == TIME_NEVER);
}

static void a_very_short_lifetime_still_leaves_a_second(void **state)
{
	struct kind k = { "a second", .mapping = EIM, .filtering = APDF, .lifetime = NS_PER_S };
	struct world w;

	(void)state;
	set_up(&w, &k, NULL, 1);
	begin(&w);
	run(&w, RUN);
	assert_true(w.c.is.lifetime_upper < 4 * NS_PER_S);
	assert_true(natclass_keepalive(&w.c) == NS_PER_S);
}

/* --- changes --------------------------------------------------------------------------------- */

static void udp_is_blocked_only_when_the_map_is_known_to_live(void **state)
{
	static const struct kind wall = { "wall", .blocks = true };
	struct endpoint observed = test_endpoint("198.51.100.1", OWN_PORT);
	struct world w;

	(void)state;
	set_up(&w, &wall, NULL, 1);
	begin(&w);
	run(&w, 25 * NS_PER_S);
	assert_int_equal(w.c.is.verdict, NAT_VERDICT_UNKNOWN);
	for (u32 n = 0; n < 60; n++) {
		natclass_map_alive(&w.c, w.now);
		run(&w, NS_PER_S);
	}
	assert_int_equal(w.c.is.verdict, NAT_VERDICT_BLOCKED);
	/* The wall is gone, and the map has seen us. */
	w.box[0].kind = kind_named("full cone");
	natclass_observed(&w.c, w.now, &observed);
	natclass_observed(&w.c, w.now, &observed);
	run(&w, 20 * NS_PER_S);
	check_kind(&w, kind_named("full cone"), true);
}

static void another_network_is_looked_at_anew(void **state)
{
	struct endpoint before = test_endpoint("198.51.100.1", OWN_PORT);
	struct endpoint after = test_endpoint("198.51.100.77", OWN_PORT);
	struct world w;

	(void)state;
	set_up(&w, kind_named("full cone"), NULL, 1);
	natclass_observed(&w.c, w.now, &before);
	begin(&w);
	run(&w, RUN);
	check_kind(&w, kind_named("full cone"), true);
	w.box[0].kind = kind_named("symmetric, sequential");
	w.box[0].count = 0;
	w.box[0].address = after.address;
	natclass_observed(&w.c, w.now, &after);
	check_kind(&w, kind_named("symmetric, sequential"), false); /* nothing old is left */
	run(&w, 10 * NS_PER_S);
	check_kind(&w, kind_named("symmetric, sequential"), true);
}

static void a_router_that_was_exchanged_is_noticed_in_time(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, kind_named("full cone"), NULL, 1);
	begin(&w);
	run(&w, 500 * NS_PER_S);
	w.box[0].kind = kind_named("symmetric");
	w.box[0].count = 0;
	run(&w, 150 * NS_PER_S);
	check_kind(&w, kind_named("symmetric"), true);
}

/* The NAT forgets everything while its mappings are compared. */
static void a_mapping_that_changes_meanwhile_is_not_taken_for_a_dependent_one(void **state)
{
	const struct kind *k = kind_named("port-restricted, other ports");

	(void)state;
	for (u64 ms = 5; ms < 160; ms += 5) {
		struct world w;

		set_up(&w, k, NULL, ms);
		begin(&w);
		run(&w, ms * NS_PER_MS);
		w.box[0].count = 0;
		for (u32 n = 0; n < 100; n++) {
			run(&w, 100 * NS_PER_MS);
			check_kind(&w, k, false);
		}
		check_kind(&w, k, true);
	}
}

static void runs_do_not_follow_each_other_closely(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, kind_named("symmetric"), NULL, 1);
	begin(&w);
	for (u16 n = 1; n < 600; n++) {
		struct endpoint observed = test_endpoint("198.51.100.1", n);

		natclass_observed(&w.c, w.now, &observed);
		run(&w, 100 * NS_PER_MS);
	}
	assert_in_range(w.sent, 10, 60 * 20);
}

static void it_is_cheap_when_nothing_changes(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, kind_named("port-restricted"), NULL, 1);
	begin(&w);
	run(&w, 600 * NS_PER_S);
	w.sent = 0;
	run(&w, 3600 * NS_PER_S);
	assert_in_range(w.sent, 6 * 10, 6 * 80); /* an hour, six runs */
	assert_int_equal(w.c.failures, 0);
}

static void without_an_endpoint_it_rests(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, kind_named("symmetric"), NULL, 1);
	begin(&w);
	run(&w, 1 * NS_PER_S);
	natclass_set_map(&w.c, w.now, NULL, 0);
	drain(&w);
	w.sent = 0;
	run(&w, 3600 * NS_PER_S);
	assert_int_equal(w.sent, 0);
	assert_int_equal(w.spare_port, 0);
}

static void a_spare_socket_that_cannot_be_had_leaves_only_its_tests_out(void **state)
{
	struct natclass_action a;
	struct world w;

	(void)state;
	set_up(&w, kind_named("symmetric"), NULL, 1);
	natclass_set_map(&w.c, w.now, w.map, w.map_count);
	for (u32 n = 0; n < 200; n++) {
		while (natclass_next(&w.c, w.now, &a)) {
			if (a.kind == NATCLASS_OPEN)
				natclass_open_failed(&w.c, w.now);
			else
				do_action(&w, &a);
		}
		w.now += NS_PER_MS;
		for (struct event *v; (v = next_event(&w)) && v->at <= w.now; v->at = 0) {
			struct event now = *v;

			if (now.inbound)
				goes_in(&w, now);
			else
				map_answers(&w, &now);
		}
	}
	assert_int_equal(w.c.is.mapping, APDM);
	assert_int_equal(w.c.is.filtering, NAT_FILTERING_UNKNOWN);
	assert_int_equal(w.c.is.step, NAT_STEP_UNKNOWN);
}

/* The edge may not be able to give the port that is wished for. */
static void without_ports_in_a_row_nothing_is_called_random(void **state)
{
	struct world w;

	(void)state;
	set_up(&w, kind_named("symmetric"), NULL, 1);
	w.no_wish = true;
	begin(&w);
	run(&w, 10 * NS_PER_S);
	assert_int_equal(w.c.is.step, NAT_STEP_UNKNOWN);
	assert_int_equal(w.c.is.mapping, APDM);
}

static void forged_and_late_answers_change_nothing(void **state)
{
	struct natclass_answer a = { .socket = NATCLASS_OWN };
	struct natclass before;
	struct world w;

	(void)state;
	set_up(&w, kind_named("full cone"), NULL, 1);
	begin(&w);
	a.seen = test_endpoint("203.0.113.9", 9);
	a.from = w.map[0];
	before = w.c;
	for (u64 nonce = 8; nonce < 64; nonce++) {
		a.nonce = nonce;
		natclass_take(&w.c, w.now, &a);
	}
	natclass_returned(&w.c, 0);
	assert_memory_equal(&before, &w.c, sizeof(before));
	run(&w, 10 * NS_PER_S);
	check_kind(&w, kind_named("full cone"), true);
}

static void every_value_has_a_name(void **state)
{
	(void)state;
	assert_string_equal(nat_mapping_name(NAT_MAPPING_NONE), "none");
	assert_string_equal(nat_mapping_name(APDM), "address-and-port-dependent");
	assert_string_equal(nat_filtering_name(EIF), "endpoint-independent");
	assert_string_equal(nat_step_name(NAT_STEP_RANDOM), "random");
	assert_string_equal(nat_answer_name(NAT_YES), "yes");
	assert_string_equal(nat_verdict_name(NAT_VERDICT_BLOCKED), "udp-blocked");
	assert_string_equal(nat_verdict_name((enum nat_verdict)77), "unknown");
}

static void a_machine_that_slept_does_not_test_for_hours(void **state)
{
	struct natlife l;

	(void)state;
	natlife_init(&l);
	natlife_held(&l, 3 * NS_PER_S);
	natlife_held(&l, 8 * 3600 * NS_PER_S);
	natlife_again(&l);
	assert_true(natlife_silence(&l) <= NATLIFE_LONGEST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_recognised_within_seconds),
		cmocka_unit_test(loss_makes_it_late_or_unknown_but_never_wrong),
		cmocka_unit_test(a_carrier_s_nat_behind_one_s_own_shows_the_stricter),
		cmocka_unit_test(few_endpoints_leave_unknown_what_they_cannot_tell),
		cmocka_unit_test(few_endpoints_tell_what_they_can),
		cmocka_unit_test(an_endpoint_that_is_down_proves_no_filter),
		cmocka_unit_test(the_lifetime_is_narrowed_down),
		cmocka_unit_test(a_lifetime_that_is_never_seen_to_end_is_at_least_that_long),
		cmocka_unit_test(a_very_short_lifetime_still_leaves_a_second),
		cmocka_unit_test(udp_is_blocked_only_when_the_map_is_known_to_live),
		cmocka_unit_test(another_network_is_looked_at_anew),
		cmocka_unit_test(a_router_that_was_exchanged_is_noticed_in_time),
		cmocka_unit_test(a_mapping_that_changes_meanwhile_is_not_taken_for_a_dependent_one),
		cmocka_unit_test(runs_do_not_follow_each_other_closely),
		cmocka_unit_test(it_is_cheap_when_nothing_changes),
		cmocka_unit_test(without_an_endpoint_it_rests),
		cmocka_unit_test(a_spare_socket_that_cannot_be_had_leaves_only_its_tests_out),
		cmocka_unit_test(without_ports_in_a_row_nothing_is_called_random),
		cmocka_unit_test(forged_and_late_answers_change_nothing),
		cmocka_unit_test(every_value_has_a_name),
		cmocka_unit_test(a_machine_that_slept_does_not_test_for_hours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
