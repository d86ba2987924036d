/* SPDX-License-Identifier: MIT */
/*
 * test_punch.c - attempts to get through NATs, step by step: what comes late, and what gives way to others.
 */
#include "unit/desk.h"

#include <string.h>

#include "core/engine/punch.h"

/* The last sample was asked for often enough, the sockets go on without it: then it is answered. */
static void a_sample_that_comes_too_late_is_passed_over(void **state)
{
	struct desk *d = *state;
	struct engine *e = d->engine[0];
	struct peer *p = e->peers[0];
	struct punching c;
	struct attempt *a;
	struct arrival in = { .now = d->now, .iface = 0, .socket = 0x0100 + 11 };
	struct frame_nat_test f = { .nonce = 77, .seen = { { 4, { 198, 51, 100, 1 } }, 4711 } };

	p->punch = mem_alloc(&e->options.allocator, sizeof(*p->punch));
	p->punch->pair[0] =
		(struct punch_pair){ .used = true, .state = PAIR_TRIES, .next = TIME_NEVER };
	a = &p->punch->attempt;
	a->how = &strategy_predict;
	a->opens = a->ready = true;
	a->block = 0x0100;
	a->wanted = a->asked = a->open = 12;
	memset(a->socket, ATTEMPT_OPEN, 12);
	a->until = d->now + NS_PER_S;
	a->next = d->now;
	a->tell = a->warm = TIME_NEVER;
	a->rule = PREDICT_STEP;
	a->phase = 3; /* SAMPLING_LAST */
	a->tries = 6; /* SAMPLE_TRIES */
	a->samples = PREDICT_SAMPLES;
	for (u16 n = 0; n < PREDICT_SAMPLES; n++)
		a->sample[n] = (struct nat_sample){ (u16)(5000 + n), (u16)(6000 + n) };
	a->sampling = 11;
	a->nonce = 77;
	c = punch_context(e, p, d->now);
	attempt_expire(&c);
	assert_int_equal(a->phase, 4); /* SHOOTING */
	punch_sampled(e, &in, &f);
	assert_int_equal(a->samples, PREDICT_SAMPLES);
	assert_int_equal(a->phase, 4);
	assert_true(a->next != TIME_NEVER); /* goes on knocking */
}

static void a_pair_whose_attempt_gave_way_to_another_is_not_forgotten(void **state)
{
	struct desk *d = *state;
	int us = memcmp(d->identity[0].public_key, d->identity[1].public_key, KEY_SIZE) < 0;
	struct engine *e = d->engine[us]; /* does not lead */
	struct peer *p = e->peers[0];
	struct arrival in = { .now = d->now, .iface = 0, .current = true };
	struct frame_punch f = { .kind = PUNCH_CALL, .round = 1, .strategy = 3 };

	p->punch = mem_alloc(&e->options.allocator, sizeof(*p->punch));
	ratelim_init(&p->punch->calls, 1, 8);
	p->punch->followed = 256;
	if (!p->mappings[0])
		p->mappings[0] = mem_alloc(&e->options.allocator, sizeof(struct mappings));
	p->mappings[0]->count = 2;
	for (u8 n = 0; n < 2; n++) {
		p->punch->pair[n] = (struct punch_pair){ .used = true, .iface = n, .theirs = n };
		p->mappings[0]->entry[n].interface = n;
		p->mappings[0]->entry[n].observed =
			(struct endpoint){ { 4, { 198, 51, 100, 1 } }, (u16)(4000 + n) };
	}
	f.to = f.from = 0;
	punch_take(e, p, &in, &f);
	assert_int_equal(p->punch->pair[0].state, PAIR_TRIES);
	f.round = 2;
	f.to = f.from = 1;
	punch_take(e, p, &in, &f);
	assert_int_equal(p->punch->pair[1].state, PAIR_TRIES);
	assert_true(p->punch->pair[0].state != PAIR_TRIES);
	assert_true(p->punch->pair[0].next != TIME_NEVER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sample_that_comes_too_late_is_passed_over),
		TEST(a_pair_whose_attempt_gave_way_to_another_is_not_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
