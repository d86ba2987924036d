/* SPDX-License-Identifier: MIT */
/*
 * test_hub.c - two hubs that hand each other datagrams directly: what becomes of sessions when
 * handshakes cross, come late, come twice or are answered by cookies.
 */
#include "unit/harness.h"

#include <string.h>

#include "core/session/hub_internal.h"

#define START (1000 * NS_PER_S)
#define ENDS 2

struct end {
	struct hub *hub;
	struct identity identity;
	struct assoc assoc; /* the other end */
	struct endpoint at;
	u64 behind; /* its clock shows as much less */
};

struct bench {
	struct test_heap heap;
	struct allocator allocator;
	struct test_random random;
	u64 now;
	struct end end[ENDS];
};

static struct assoc *look_up(void *ctx, const u8 key[static KEY_SIZE])
{
	struct end *end = ctx;

	return memcmp(end->assoc.remote_key, key, KEY_SIZE) ? NULL : &end->assoc;
}

static void begin_end(struct bench *b, int n, u64 handshake_rate)
{
	static const u8 no_preshared_key[KEY_SIZE];
	struct end *end = &b->end[n];
	const struct hub_options options = {
		.identity = end->identity,
		.allocator = b->allocator,
		.random = test_random_source(&b->random),
		.ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
		.replay_bits = REPLAY_BITS_MAP,
		.max_sessions = 1024,
		.handshake_rate = handshake_rate,
		.lookup = look_up,
		.ctx = end,
	};

	assert_int_equal(hub_create(&end->hub, &options), 0);
	assoc_init(&end->assoc, b->end[!n].identity.public_key, no_preshared_key, end);
}

static void begin(struct bench *b, u64 handshake_rate)
{
	memset(b, 0, sizeof(*b));
	assert_int_equal(crypto_init(), 0);
	b->allocator = test_allocator(&b->heap);
	b->random.state = 1;
	b->now = START;
	for (int n = 0; n < ENDS; n++) {
		u8 key[KEY_SIZE];

		memset(key, 11 + n, sizeof(key));
		private_key_clamp(key);
		identity_from_private(&b->end[n].identity, key);
		b->end[n].at = test_endpoint(n ? "192.0.2.2" : "192.0.2.1", 1000);
	}
	for (int n = 0; n < ENDS; n++)
		begin_end(b, n, handshake_rate);
}

static void end(struct bench *b)
{
	for (int n = 0; n < ENDS; n++) {
		assoc_clear(b->end[n].hub, &b->end[n].assoc);
		hub_destroy(b->end[n].hub);
	}
	assert_int_equal(b->heap.live, 0);
}

static u64 clock_of(const struct bench *b, int n)
{
	return b->now - b->end[n].behind;
}

/* What end n makes of a datagram of the other's. */
static enum hub_verdict hear(struct bench *b, int n, const u8 *data, size_t size,
			     struct hub_result *ret)
{
	static u8 copy[2048];

	memcpy(copy, data, size);
	hub_receive(b->end[n].hub, clock_of(b, n), &b->end[!n].at, copy, size, ret);
	return ret->verdict;
}

/* A fresh initiation of end n. */
static void initiate(struct bench *b, int n, u8 ret[static WIRE_INITIATION_SIZE])
{
	struct end *end = &b->end[n];

	assoc_rest(end->hub, &end->assoc);
	assoc_kick(end->hub, &end->assoc, clock_of(b, n));
	assert_true(assoc_expire(end->hub, &end->assoc, clock_of(b, n)));
	memcpy(ret, assoc_initiation(&end->assoc), WIRE_INITIATION_SIZE);
}

/* End 0 initiates, end 1 answers, end 0 takes the answer; nothing is confirmed. */
static void shake_hands(struct bench *b)
{
	u8 initiation[WIRE_INITIATION_SIZE];
	struct hub_result r, s;

	initiate(b, 0, initiation);
	assert_int_equal(hear(b, 1, initiation, sizeof(initiation), &r), HUB_REPLY);
	assert_int_equal(hear(b, 0, r.reply, r.reply_size, &s), HUB_ESTABLISHED);
}

/* Something of end 0 under that session of its is heard by end 1. */
static enum hub_verdict say(struct bench *b, struct session *session)
{
	u8 data[WIRE_OVERHEAD + 1] = { 0 };
	struct hub_result r;

	assert_int_equal(session_seal(session, clock_of(b, 0), data, 1), 0);
	return hear(b, 1, data, sizeof(data), &r);
}

static void a_session_younger_than_the_current_one_outlives_it(void **state)
{
	struct assoc *asker, *answerer;
	struct bench b;

	(void)state;
	begin(&b, 100);
	asker = &b.end[0].assoc;
	answerer = &b.end[1].assoc;
	shake_hands(&b);
	b.now += NS_PER_S;
	shake_hands(&b);
	/* Confirmed in the wrong order, as paths of different length do it. */
	assert_int_equal(say(&b, asker->current), HUB_OPENED);
	assert_int_equal(say(&b, asker->previous), HUB_OPENED);
	b.now += SESSION_REJECT_AFTER - NS_PER_S / 2 - NS_PER_S;
	assert_int_equal(say(&b, asker->previous), HUB_OPENED);
	b.now += NS_PER_S;
	assoc_expire(b.end[1].hub, answerer, b.now);
	assert_null(answerer->current);
	assert_int_equal(say(&b, asker->current), HUB_OPENED);
	end(&b);
}

static void answering_the_other_end_does_not_spoil_its_cookie(void **state)
{
	u8 ours[WIRE_INITIATION_SIZE], theirs[WIRE_INITIATION_SIZE];
	struct hub_result cookie, r;
	struct bench b;

	(void)state;
	begin(&b, 1);
	initiate(&b, 1, theirs);
	initiate(&b, 0, ours);
	assert_int_equal(hear(&b, 1, ours, sizeof(ours), &r), HUB_REPLY); /* takes the only token */
	initiate(&b, 0, ours);
	assert_int_equal(hear(&b, 1, ours, sizeof(ours), &cookie), HUB_REPLY);
	assert_int_equal(cookie.reply_size, WIRE_COOKIE_SIZE);
	assert_int_equal(hear(&b, 0, theirs, sizeof(theirs), &r), HUB_REPLY);
	assert_int_equal(hear(&b, 0, cookie.reply, cookie.reply_size, &r), HUB_DROPPED);
	assert_int_equal(r.reason, DROP_NONE); /* taken */
	end(&b);
}

static void copies_whose_answer_was_forgotten_do_not_end_what_was_answered(void **state)
{
	u8 initiation[WIRE_INITIATION_SIZE];
	struct hub_result first, r;
	struct bench b;

	(void)state;
	begin(&b, 100);
	initiate(&b, 0, initiation);
	assert_int_equal(hear(&b, 1, initiation, sizeof(initiation), &first), HUB_REPLY);
	for (int copy = 0; copy < 4; copy++) {
		b.now += NS_PER_MS; /* many others shake hands */
		memset(b.end[1].hub->answers, 0, sizeof(b.end[1].hub->answers));
		hear(&b, 1, initiation, sizeof(initiation), &r);
	}
	assert_int_equal(hear(&b, 0, first.reply, first.reply_size, &r), HUB_ESTABLISHED);
	assert_int_equal(say(&b, b.end[0].assoc.current), HUB_OPENED);
	end(&b);
}

/* Old initiations of end 0, none of whose answers ever came, and a session confirmed after them. */
static void record_and_connect(struct bench *b, u8 old[2][WIRE_INITIATION_SIZE])
{
	struct hub_result r;

	for (int n = 0; n < 2; n++) {
		initiate(b, 0, old[n]);
		assert_int_equal(hear(b, 1, old[n], WIRE_INITIATION_SIZE, &r), HUB_REPLY);
		b->now += 20 * NS_PER_S;
		assoc_expire(b->end[1].hub, &b->end[1].assoc, b->now);
	}
	shake_hands(b);
	assert_int_equal(say(b, b->end[0].assoc.current), HUB_OPENED);
	b->now += 20 * NS_PER_S;
}

/* End 0 initiates; before its answer is there, the old ones come to end 1 once more. */
static void shake_hands_amid_replays(struct bench *b, u8 old[2][WIRE_INITIATION_SIZE])
{
	u8 initiation[WIRE_INITIATION_SIZE];
	struct hub_result answer, r;

	initiate(b, 0, initiation);
	assert_int_equal(hear(b, 1, initiation, sizeof(initiation), &answer), HUB_REPLY);
	for (int n = 0; n < 2; n++)
		hear(b, 1, old[n], WIRE_INITIATION_SIZE, &r);
	assert_int_equal(hear(b, 0, answer.reply, answer.reply_size, &r), HUB_ESTABLISHED);
	assert_int_equal(say(b, b->end[0].assoc.current), HUB_OPENED);
	assert_int_equal(b->end[1].assoc.current->remote_index,
			 b->end[0].assoc.current->local_index);
}

static void old_initiations_do_not_push_out_what_a_genuine_one_began(void **state)
{
	u8 old[2][WIRE_INITIATION_SIZE];
	struct bench b;

	(void)state;
	begin(&b, 100);
	record_and_connect(&b, old);
	shake_hands_amid_replays(&b, old);
	end(&b);
}

/* End 0 comes back with a clock that begins anew. */
static void reboot(struct bench *b)
{
	assoc_clear(b->end[0].hub, &b->end[0].assoc);
	hub_destroy(b->end[0].hub);
	begin_end(b, 0, 100);
	b->end[0].behind = b->now - 3 * NS_PER_S;
}

static void a_rebooted_end_gets_in_although_its_clock_went_back(void **state)
{
	struct bench b;

	(void)state;
	begin(&b, 100);
	shake_hands(&b);
	assert_int_equal(say(&b, b.end[0].assoc.current), HUB_OPENED);
	reboot(&b);
	shake_hands(&b);
	assert_int_equal(say(&b, b.end[0].assoc.current), HUB_OPENED);
	end(&b);
}

static void what_was_said_before_a_reboot_is_old_though_its_stamps_are_later(void **state)
{
	u8 old[2][WIRE_INITIATION_SIZE];
	struct bench b;

	(void)state;
	begin(&b, 100);
	record_and_connect(&b, old);
	reboot(&b);
	shake_hands(&b);
	assert_int_equal(say(&b, b.end[0].assoc.current), HUB_OPENED);
	b.now += 20 * NS_PER_S;
	shake_hands_amid_replays(&b, old);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_younger_than_the_current_one_outlives_it),
		cmocka_unit_test(answering_the_other_end_does_not_spoil_its_cookie),
		cmocka_unit_test(copies_whose_answer_was_forgotten_do_not_end_what_was_answered),
		cmocka_unit_test(old_initiations_do_not_push_out_what_a_genuine_one_began),
		cmocka_unit_test(a_rebooted_end_gets_in_although_its_clock_went_back),
		cmocka_unit_test(what_was_said_before_a_reboot_is_old_though_its_stamps_are_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
