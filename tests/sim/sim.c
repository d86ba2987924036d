/* SPDX-License-Identifier: MIT */
/*
 * sim.c - the event heap, the seed, and the loop.
 *
 * Events are ordered by time and, at one time, by the order in which they were made: two runs of
 * one seed are the same to the byte.
 */
#include "sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* --- randomness: xoshiro256**, seeded by splitmix64 (Blackman and Vigna) -------------------- */

static u64 splitmix(u64 *state)
{
	u64 z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void sim_rng_seed(struct sim_rng *r, u64 seed)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->s); i++)
		r->s[i] = splitmix(&seed);
}

static u64 rotl(u64 x, int k)
{
	return x << k | x >> (64 - k);
}

u64 sim_rng_next(struct sim_rng *r)
{
	u64 *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

u64 sim_rng_below(struct sim_rng *r, u64 below)
{
	return below ? sim_rng_next(r) % below : 0;
}

bool sim_rng_chance(struct sim_rng *r, double probability)
{
	if (probability <= 0)
		return false;
	return (double)(sim_rng_next(r) >> 11) * 0x1p-53 < probability;
}

void sim_rng_fill(void *rng, void *out, size_t size)
{
	u8 *p = out;

	while (size) {
		const u64 value = sim_rng_next(rng);
		const size_t n = size < sizeof(value) ? size : sizeof(value);

		memcpy(p, &value, n);
		p += n;
		size -= n;
	}
}

/* --- life ---------------------------------------------------------------------------------- */

static u64 seed_for(const char *name)
{
	const char *given = getenv("SIM_SEED");
	u64 hash = UINT64_C(0xcbf29ce484222325);

	if (given && *given)
		return strtoull(given, NULL, 0);
	for (; *name; name++)
		hash = (hash ^ (u8)*name) * UINT64_C(0x100000001b3);
	return hash;
}

struct sim *sim_create(const char *name)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	assert_non_null(sim);
	assert_int_equal(crypto_init(), 0);
	snprintf(sim->name, sizeof(sim->name), "%s", name);
	sim->seed = seed_for(name);
	sim->now = SIM_EPOCH;
	sim->trace = getenv("SIM_TRACE") != NULL;
	sim->next_port = SIM_PORT_FIRST;
	sim_rng_seed(&sim->rng, sim->seed);
	return sim;
}

static void free_event(const struct sim_event *event)
{
	if (event->kind == SIM_AT_REALM || event->kind == SIM_AT_IFACE)
		free(event->packet);
}

void sim_destroy(struct sim *sim)
{
	for (u32 i = 0; i < sim->hosts; i++) {
		sim_kill(sim->host[i]);
		free(sim->host[i]);
	}
	for (u32 i = 0; i < sim->nats; i++) {
		sim_nat_free(sim->nat[i]);
	}
	for (size_t i = 0; i < sim->events; i++)
		free_event(&sim->heap[i]);
	sim_flows_free(sim);
	sim_streams_free(sim);
	free(sim->heap);
	free(sim);
}

void sim_fail(struct sim *sim, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_error("%s: %s\n  at %.6f s; SIM_SEED=0x%llx repeats it\n", sim->name, text,
		    (double)(sim->now - SIM_EPOCH) / 1e9, (unsigned long long)sim->seed);
	_fail(__FILE__, __LINE__);
	abort();
}

void sim_trace(struct sim *sim, const char *format, ...)
{
	va_list args;

	if (!sim->trace)
		return;
	fprintf(stderr, "%12.6f ", (double)(sim->now - SIM_EPOCH) / 1e9);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* --- the heap ------------------------------------------------------------------------------ */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void swap(struct sim_event *a, struct sim_event *b)
{
	const struct sim_event t = *a;

	*a = *b;
	*b = t;
}

void sim_push(struct sim *sim, u64 at, const struct sim_event *event)
{
	size_t i = sim->events;

	if (sim->events == sim->heap_size) {
		sim->heap_size = sim->heap_size ? 2 * sim->heap_size : 1024;
		sim->heap = realloc(sim->heap, sim->heap_size * sizeof(*sim->heap));
		if (!sim->heap)
			sim_fail(sim, "no memory for events");
	}
	sim->heap[i] = *event;
	sim->heap[i].at = at;
	sim->heap[i].order = sim->order++;
	sim->events++;
	for (; i && before(&sim->heap[i], &sim->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&sim->heap[i], &sim->heap[(i - 1) / 2]);
}

static struct sim_event pop(struct sim *sim)
{
	const struct sim_event first = sim->heap[0];
	size_t i = 0;

	sim->heap[0] = sim->heap[--sim->events];
	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++) {
			if (child < sim->events && before(&sim->heap[child], &sim->heap[least]))
				least = child;
		}
		if (least == i)
			return first;
		swap(&sim->heap[i], &sim->heap[least]);
		i = least;
	}
}

/* --- the loop ------------------------------------------------------------------------------ */

static void step(struct sim *sim)
{
	const struct sim_event event = pop(sim);

	sim->now = event.at;
	sim->steps++;
	switch (event.kind) {
	case SIM_CALL:
		event.call(sim, event.subject);
		break;
	case SIM_AT_REALM:
		sim_route(sim, event.subject, event.packet);
		break;
	case SIM_AT_IFACE:
		sim_iface_receive(event.subject, event.packet);
		free(event.packet);
		break;
	case SIM_TIMER:
		sim_host_timer(event.subject);
		break;
	case SIM_FLOW:
		sim_flow_tick(event.subject);
		break;
	}
}

bool sim_run_until(struct sim *sim, u64 duration, bool (*done)(void *ctx), void *ctx)
{
	const u64 end = sim->now + duration;

	while (sim->events && sim->heap[0].at <= end) {
		if (done && done(ctx))
			return true;
		step(sim);
	}
	if (done && done(ctx))
		return true;
	sim->now = end;
	return false;
}

void sim_run(struct sim *sim, u64 duration)
{
	sim_run_until(sim, duration, NULL, NULL);
}

static bool is_quiet(void *ctx)
{
	const struct sim *sim = ctx;

	for (size_t i = 0; i < sim->events; i++) {
		if (sim->heap[i].kind == SIM_AT_REALM || sim->heap[i].kind == SIM_AT_IFACE)
			return false;
	}
	return true;
}

void sim_settle(struct sim *sim, u64 duration)
{
	sim_run_until(sim, duration, is_quiet, sim);
}

void sim_at(struct sim *sim, u64 after, void (*call)(struct sim *sim, void *ctx), void *ctx)
{
	const struct sim_event event = { .kind = SIM_CALL, .subject = ctx, .call = call };

	sim_push(sim, sim->now + after, &event);
}
