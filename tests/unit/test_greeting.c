/* SPDX-License-Identifier: MIT */
/*
 * test_greeting.c - how many initiations a hub works on when there are too many, and whose.
 *
 * Those of the flood have the right mac1 and nothing behind it: one that was worked on is dropped for what
 * is in it.
 */
#include "unit/harness.h"

#include <string.h>

#include "warp/hub.h"

#define RATE 100u
#define START (1000 * NS_PER_S)

struct bench {
	struct test_heap heap;
	struct test_random random;
	struct identity identity;
	struct hub *hub;
	u64 now;
};

struct sender {
	struct endpoint at;
	struct cookie_jar jar;
};

static struct assoc *nobody(void *ctx, const u8 key[static KEY_SIZE])
{
	(void)ctx;
	(void)key;
	return NULL;
}

static void begin(struct bench *b)
{
	u8 key[KEY_SIZE] = { 0, 1, 2, 3 };
	struct hub_options options = { .ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
				       .replay_bits = REPLAY_BITS_MAP,
				       .max_sessions = 16,
				       .handshake_rate = RATE,
				       .lookup = nobody };

	memset(b, 0, sizeof(*b));
	assert_int_equal(crypto_init(), 0);
	private_key_clamp(key);
	identity_from_private(&b->identity, key);
	b->random.state = 1;
	b->now = START;
	options.identity = b->identity;
	options.allocator = test_allocator(&b->heap);
	options.random = test_random_source(&b->random);
	assert_int_equal(hub_create(&b->hub, &options), 0);
}

static void end(struct bench *b)
{
	hub_destroy(b->hub);
	assert_int_equal(b->heap.live, 0);
}

static void make_sender(const struct bench *b, struct sender *s, u32 n)
{
	s->at = test_endpoint("198.51.0.0", 1000);
	s->at.address.bytes[2] = (u8)(n >> 8);
	s->at.address.bytes[3] = (u8)n;
	cookie_jar_init(&s->jar, b->identity.public_key);
}

/* Sends one; true: it was worked on. A cookie is taken. */
static bool send_one(struct bench *b, struct sender *s)
{
	u8 message[WIRE_INITIATION_SIZE] = { WIRE_INITIATION };
	struct hub_result r;

	put_u32(message + WIRE_INITIATION_NOISE, (u32)b->random.state++);
	cookie_stamp(&s->jar, b->now, message, sizeof(message));
	hub_receive(b->hub, b->now, &s->at, message, sizeof(message), &r);
	if (r.verdict == HUB_REPLY)
		assert_int_equal(cookie_take(&s->jar, b->now, r.reply + 8,
					     r.reply + 8 + XNONCE_SIZE),
				 0);
	return r.verdict == HUB_DROPPED && r.reason == DROP_BAD_AUTH;
}

/* What a second of flood from so many addresses has worked on, each sending so often. */
static u32 flood(struct bench *b, struct sender *senders, u32 count, u32 times)
{
	u32 admitted = 0;

	for (u32 i = 0; i < count * times; i++) {
		b->now += NS_PER_S / (count * times);
		admitted += send_one(b, &senders[i % count]);
	}
	return admitted;
}

static void without_cookies_no_more_than_the_rate(void **state)
{
	struct bench b;
	u32 admitted = 0;

	(void)state;
	begin(&b);
	for (u32 second = 0; second < 5; second++) {
		for (u32 i = 0; i < 5000; i++) {
			struct sender s;

			make_sender(&b, &s, i);
			b.now += NS_PER_S / 5000;
			admitted += send_one(&b, &s);
		}
	}
	assert_in_range(admitted, 5 * RATE, 6 * RATE + 5);
	end(&b);
}

/* However many addresses take cookies. */
static void with_cookies_no_more_than_twice_the_rate(void **state)
{
	static struct sender senders[2000];
	struct bench b;
	u32 admitted = 0;

	(void)state;
	begin(&b);
	for (u32 i = 0; i < 2000; i++)
		make_sender(&b, &senders[i], i);
	for (u32 second = 0; second < 5; second++)
		admitted += flood(&b, senders, 2000, 3);
	assert_in_range(admitted, 8 * RATE, 12 * RATE + 10);
	end(&b);
}

/* A few addresses send a hundred times a second; another one gets in at its first or second try. */
static void who_has_a_cookie_is_served_beside_a_flood(void **state)
{
	static struct sender senders[30];
	struct sender honest;
	struct bench b;
	u32 served = 0;

	(void)state;
	begin(&b);
	for (u32 i = 0; i < 30; i++)
		make_sender(&b, &senders[i], i);
	for (u32 i = 0; i < 100; i++) {
		flood(&b, senders, 30, 100);
		make_sender(&b, &honest, 1000 + i);
		served += send_one(&b, &honest) || send_one(&b, &honest);
	}
	assert_in_range(served, 90, 100);
	end(&b);
}

/* Who has an IPv6 /48 has 65,536 /64s: together they get no more than a network does. */
static void a_network_of_many_addresses_leaves_room_for_others(void **state)
{
	static struct sender senders[3000];
	struct sender honest;
	struct bench b;
	u32 served = 0;

	(void)state;
	begin(&b);
	for (u32 i = 0; i < 3000; i++) {
		make_sender(&b, &senders[i], 0);
		senders[i].at = test_endpoint("2001:db8:1::1", 1000);
		put_u16(senders[i].at.address.bytes + 6, (u16)i);
	}
	for (u32 second = 0; second < 10; second++)
		flood(&b, senders, 3000, 2);
	for (u32 i = 0; i < 100; i++) {
		flood(&b, senders, 3000, 1);
		make_sender(&b, &honest, 1000 + i);
		served += send_one(&b, &honest) || send_one(&b, &honest);
	}
	assert_in_range(served, 40, 100);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_cookies_no_more_than_the_rate),
		cmocka_unit_test(with_cookies_no_more_than_twice_the_rate),
		cmocka_unit_test(who_has_a_cookie_is_served_beside_a_flood),
		cmocka_unit_test(a_network_of_many_addresses_leaves_room_for_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
