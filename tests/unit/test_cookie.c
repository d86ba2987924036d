/* SPDX-License-Identifier: MIT */
/* test_cookie.c - mac1, mac2 and cookie replies between one sender and one responder. */
#include "harness.h"

#include <errno.h>
#include <string.h>

#include "warp/cookie.h"

#define SIZE 152u
#define T0 (7 * NS_PER_S)

static struct test_random random_state;
static struct cookie_checker checker;
static struct cookie_jar jar;
static struct endpoint here, there;
static u8 message[SIZE];

static int set_up(void **state)
{
	(void)state;
	return crypto_init();
}

static int fresh(void **state)
{
	const u8 public_key[KEY_SIZE] = { 9, 8, 7 };
	struct random_source source;

	(void)state;
	random_state.state = 3;
	source = test_random_source(&random_state);
	cookie_checker_init(&checker, public_key, &source);
	cookie_jar_init(&jar, public_key);
	here = test_endpoint("192.0.2.1", 1000);
	there = test_endpoint("2001:db8::7", 2000);
	for (u32 i = 0; i < SIZE; i++)
		message[i] = (u8)i;
	return 0;
}

/* Stamps message at now and tells what the responder thinks of it, coming from source. */
static enum cookie_verdict verdict(u64 now, const struct endpoint *source)
{
	cookie_stamp(&jar, now, message, SIZE);
	return cookie_check(&checker, now, source, message, SIZE);
}

struct reply {
	u8 nonce[XNONCE_SIZE], sealed[COOKIE_SEALED_SIZE];
};

static struct reply answer(u64 now, const struct endpoint *source)
{
	struct reply r;

	cookie_make(&checker, now, source, message, SIZE, r.nonce, r.sealed);
	return r;
}

static int take(u64 now, const struct reply *r)
{
	return cookie_take(&jar, now, r->nonce, r->sealed);
}

/* A sender at source that has a cookie, got at now. */
static void give_cookie(u64 now, const struct endpoint *source)
{
	struct reply r;

	cookie_stamp(&jar, now, message, SIZE);
	r = answer(now, source);
	assert_int_equal(take(now, &r), 0);
}

static void without_a_cookie_only_mac1_is_good(void **state)
{
	(void)state;
	assert_int_equal(verdict(T0, &here), COOKIE_MAC1_ONLY);
	assert_true(crypto_is_zero(message + SIZE - MAC_SIZE, MAC_SIZE));
}

static void any_bit_flipped_up_to_mac1_is_a_bad_mac1(void **state)
{
	(void)state;
	cookie_stamp(&jar, T0, message, SIZE);
	for (size_t bit = 0; bit < 8 * (SIZE - MAC_SIZE); bit++) {
		message[bit / 8] ^= (u8)(1u << bit % 8);
		assert_int_equal(cookie_check(&checker, T0, &here, message, SIZE), COOKIE_BAD_MAC1);
		message[bit / 8] ^= (u8)(1u << bit % 8);
	}
}

static void a_message_for_another_responder_is_a_bad_mac1(void **state)
{
	const u8 other[KEY_SIZE] = { 1 };

	(void)state;
	cookie_jar_init(&jar, other);
	assert_int_equal(verdict(T0, &here), COOKIE_BAD_MAC1);
}

static void a_message_too_short_for_macs_is_a_bad_mac1(void **state)
{
	(void)state;
	for (size_t size = 0; size < 2 * MAC_SIZE; size++)
		assert_int_equal(cookie_check(&checker, T0, &here, message, size), COOKIE_BAD_MAC1);
}

static void a_cookie_makes_the_next_message_pass(void **state)
{
	(void)state;
	give_cookie(T0, &here);
	assert_int_equal(verdict(T0 + 1, &here), COOKIE_MAC2_VALID);
	message[4] ^= 1; /* and every other message too */
	assert_int_equal(verdict(T0 + 2, &here), COOKIE_MAC2_VALID);
}

static void at_time_zero_a_cookie_works_too(void **state)
{
	(void)state;
	give_cookie(0, &here);
	assert_int_equal(verdict(0, &here), COOKIE_MAC2_VALID);
}

static void a_cookie_holds_for_one_address_and_port(void **state)
{
	struct endpoint other_port = here, other_address = here;

	(void)state;
	other_port.port++;
	other_address.address.bytes[3]++;
	give_cookie(T0, &here);
	assert_int_equal(verdict(T0, &other_port), COOKIE_MAC1_ONLY);
	assert_int_equal(verdict(T0, &other_address), COOKIE_MAC1_ONLY);
	assert_int_equal(verdict(T0, &there), COOKIE_MAC1_ONLY);
	assert_int_equal(verdict(T0, &here), COOKIE_MAC2_VALID);
}

static void a_bent_mac2_is_worth_no_more_than_none(void **state)
{
	(void)state;
	give_cookie(T0, &there);
	cookie_stamp(&jar, T0, message, SIZE);
	for (size_t bit = 0; bit < 8 * MAC_SIZE; bit++) {
		u8 *byte = message + SIZE - MAC_SIZE + bit / 8;

		*byte ^= (u8)(1u << bit % 8);
		assert_int_equal(cookie_check(&checker, T0, &there, message, SIZE),
				 COOKIE_MAC1_ONLY);
		*byte ^= (u8)(1u << bit % 8);
	}
	assert_int_equal(cookie_check(&checker, T0, &there, message, SIZE), COOKIE_MAC2_VALID);
}

static void a_sender_uses_its_cookie_for_120_seconds(void **state)
{
	(void)state;
	give_cookie(T0, &here);
	assert_int_equal(verdict(T0 + COOKIE_LIFETIME - 1, &here), COOKIE_MAC2_VALID);
	assert_int_equal(verdict(T0 + COOKIE_LIFETIME, &here), COOKIE_MAC1_ONLY);
	assert_true(crypto_is_zero(message + SIZE - MAC_SIZE, MAC_SIZE));
}

/* The secret may change the moment after a cookie was made. */
static void a_change_of_secret_does_not_cut_a_cookies_life_short(void **state)
{
	const u64 late = T0 + COOKIE_LIFETIME - 1;

	(void)state;
	answer(T0, &there); /* makes the secret */
	give_cookie(late, &here);
	assert_int_equal(verdict(late + 1, &here), COOKIE_MAC2_VALID);
	assert_int_equal(verdict(late + COOKIE_LIFETIME - 1, &here), COOKIE_MAC2_VALID);
}

/* A sender that keeps to no rule, and a message replayed long after. */
static void an_old_cookie_is_refused_whatever_its_sender_thinks(void **state)
{
	u8 old[SIZE];

	(void)state;
	give_cookie(T0, &here);
	cookie_stamp(&jar, T0, message, SIZE);
	memcpy(old, message, SIZE);
	assert_int_equal(cookie_check(&checker, T0 + 2 * COOKIE_LIFETIME, &here, old, SIZE),
			 COOKIE_MAC1_ONLY);
	fresh(NULL);
	give_cookie(T0, &here);
	cookie_stamp(&jar, T0, message, SIZE);
	assert_int_equal(cookie_check(&checker, T0 + COOKIE_LIFETIME, &there, message, SIZE),
			 COOKIE_MAC1_ONLY); /* changes the secret once ... */
	assert_int_equal(cookie_check(&checker, T0 + 2 * COOKIE_LIFETIME, &here, message, SIZE),
			 COOKIE_MAC1_ONLY); /* ... and again */
}

static void a_reply_is_taken_once_and_only_as_the_answer_to_the_last_message(void **state)
{
	struct reply first, second;

	(void)state;
	cookie_stamp(&jar, T0, message, SIZE);
	first = answer(T0, &here);
	message[0] ^= 1;
	cookie_stamp(&jar, T0, message, SIZE);
	second = answer(T0, &here);
	assert_int_equal(take(T0, &first), -EBADMSG);
	assert_int_equal(take(T0, &second), 0);
	assert_int_equal(take(T0, &second), -EBADMSG);
	assert_int_equal(verdict(T0, &here), COOKIE_MAC2_VALID);
}

static void a_reply_that_nobody_asked_for_is_refused(void **state)
{
	struct reply r;

	(void)state;
	cookie_stamp(&jar, T0, message, SIZE);
	r = answer(T0, &here);
	jar.has_last_mac1 = false;
	assert_int_equal(take(T0, &r), -EBADMSG);
}

static void a_forged_reply_is_refused_and_the_true_one_still_taken(void **state)
{
	struct reply r;

	(void)state;
	cookie_stamp(&jar, T0, message, SIZE);
	r = answer(T0, &here);
	for (size_t i = 0; i < sizeof(r); i++) {
		u8 *byte = i < XNONCE_SIZE ? &r.nonce[i] : &r.sealed[i - XNONCE_SIZE];

		*byte ^= 4;
		assert_int_equal(take(T0, &r), -EBADMSG);
		*byte ^= 4;
	}
	assert_int_equal(verdict(T0, &here), COOKIE_MAC1_ONLY);
	assert_int_equal(take(T0, &r), 0);
}

static void two_replies_do_not_share_a_nonce(void **state)
{
	struct reply a, b;

	(void)state;
	cookie_stamp(&jar, T0, message, SIZE);
	a = answer(T0, &here);
	b = answer(T0, &here);
	assert_memory_not_equal(a.nonce, b.nonce, XNONCE_SIZE);
	assert_memory_not_equal(a.sealed, b.sealed, COOKIE_SEALED_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_a_cookie_only_mac1_is_good, fresh),
		cmocka_unit_test_setup(any_bit_flipped_up_to_mac1_is_a_bad_mac1, fresh),
		cmocka_unit_test_setup(a_message_for_another_responder_is_a_bad_mac1, fresh),
		cmocka_unit_test_setup(a_message_too_short_for_macs_is_a_bad_mac1, fresh),
		cmocka_unit_test_setup(a_cookie_makes_the_next_message_pass, fresh),
		cmocka_unit_test_setup(at_time_zero_a_cookie_works_too, fresh),
		cmocka_unit_test_setup(a_cookie_holds_for_one_address_and_port, fresh),
		cmocka_unit_test_setup(a_bent_mac2_is_worth_no_more_than_none, fresh),
		cmocka_unit_test_setup(a_sender_uses_its_cookie_for_120_seconds, fresh),
		cmocka_unit_test_setup(a_change_of_secret_does_not_cut_a_cookies_life_short, fresh),
		cmocka_unit_test_setup(an_old_cookie_is_refused_whatever_its_sender_thinks, fresh),
		cmocka_unit_test_setup(
			a_reply_is_taken_once_and_only_as_the_answer_to_the_last_message, fresh),
		cmocka_unit_test_setup(a_reply_that_nobody_asked_for_is_refused, fresh),
		cmocka_unit_test_setup(a_forged_reply_is_refused_and_the_true_one_still_taken,
				       fresh),
		cmocka_unit_test_setup(two_replies_do_not_share_a_nonce, fresh),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
