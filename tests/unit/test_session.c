/* SPDX-License-Identifier: MIT */
/* test_session.c - two sessions that talk to each other, and what others put between them. */
#include "harness.h"

#include <errno.h>
#include <string.h>

#include "warp/session.h"
#include "warp/wire.h"

#define TEXT "a payload that goes from one end to the other"
#define TEXT_SIZE (sizeof(TEXT) - 1)
#define DATAGRAM_SIZE (WIRE_OVERHEAD + TEXT_SIZE)
#define T0 (5 * NS_PER_S)

static struct test_heap heap;
static struct allocator allocator;
static struct session *alice, *bob;

static int set_up(void **state)
{
	(void)state;
	return crypto_init();
}

static bool can(enum cipher cipher)
{
	return crypto_ciphers() & CIPHER_BIT(cipher);
}

static struct session *make(const u8 send, const u8 receive, enum cipher cipher, u32 bits)
{
	struct handshake_keys keys = { { send, 1, 2, 3 }, { receive, 1, 2, 3 }, { 0 } };
	struct session *s = NULL;

	assert_int_equal(session_create(&s, &allocator, &keys, NULL, cipher, bits, T0), 0);
	return s;
}

static void connect_with(enum cipher cipher)
{
	allocator = test_allocator(&heap);
	alice = make(1, 2, cipher, 1024);
	bob = make(2, 1, cipher, 1024);
	alice->local_index = bob->remote_index = 0xaaaa;
	bob->local_index = alice->remote_index = 0xbbbb;
}

static int connected(void **state)
{
	(void)state;
	connect_with(CIPHER_CHACHA20_POLY1305);
	return 0;
}

static int disconnected(void **state)
{
	(void)state;
	session_destroy(alice, &allocator);
	session_destroy(bob, &allocator);
	assert_int_equal(heap.live, 0);
	return 0;
}

/* The next datagram with TEXT from s. */
static void seal(struct session *s, u8 d[static DATAGRAM_SIZE])
{
	memcpy(d + WIRE_HEADER_SIZE, TEXT, TEXT_SIZE);
	assert_int_equal(session_seal(s, T0, d, TEXT_SIZE), 0);
}

/* Opens a copy, so that d can be used again. */
static enum drop_reason open_at(struct session *s, u64 now, const u8 *d, size_t size)
{
	u8 copy[DATAGRAM_SIZE];
	enum drop_reason reason;

	memcpy(copy, d, size);
	reason = session_open(s, now, copy, size);
	if (reason == DROP_NONE)
		assert_memory_equal(copy + WIRE_HEADER_SIZE, TEXT, TEXT_SIZE);
	return reason;
}

static enum drop_reason open_copy(struct session *s, const u8 d[static DATAGRAM_SIZE])
{
	return open_at(s, T0, d, DATAGRAM_SIZE);
}

static void talk_both_ways(enum cipher cipher)
{
	u8 d[DATAGRAM_SIZE];

	connect_with(cipher);
	for (u64 i = 0; i < 100; i++) {
		struct wire_transport header;

		seal(alice, d);
		assert_int_equal(wire_get_transport(d, sizeof(d), &header), 0);
		assert_int_equal(header.receiver, 0xbbbb);
		assert_int_equal(header.counter, i);
		assert_memory_not_equal(d + WIRE_HEADER_SIZE, TEXT, TEXT_SIZE);
		assert_int_equal(open_copy(bob, d), DROP_NONE);
		seal(bob, d);
		assert_int_equal(open_copy(alice, d), DROP_NONE);
	}
	disconnected(NULL);
}

static void what_one_end_seals_the_other_opens_with_chacha20_poly1305(void **state)
{
	(void)state;
	talk_both_ways(CIPHER_CHACHA20_POLY1305);
}

static void what_one_end_seals_the_other_opens_with_aes_256_gcm(void **state)
{
	(void)state;
	if (!can(CIPHER_AES_256_GCM)) {
		print_message("this machine has no AES instructions\n");
		skip();
	}
	talk_both_ways(CIPHER_AES_256_GCM);
}

static void an_empty_datagram_can_be_sent_and_opened(void **state)
{
	u8 d[WIRE_OVERHEAD];

	(void)state;
	assert_int_equal(session_seal(alice, T0, d, 0), 0);
	assert_int_equal(session_open(bob, T0, d, sizeof(d)), DROP_NONE);
}

/* A copy whose sealed bytes were bent is still known for a copy: nothing was decrypted. */
static void duplicate_is_dropped_before_decrypt(void **state)
{
	u8 d[DATAGRAM_SIZE], bent[DATAGRAM_SIZE];

	(void)state;
	seal(alice, d);
	assert_int_equal(session_check(bob, 0), REPLAY_FRESH);
	assert_int_equal(open_copy(bob, d), DROP_NONE);
	assert_int_equal(session_check(bob, 0), REPLAY_DUPLICATE);
	assert_int_equal(open_copy(bob, d), DROP_DUPLICATE);
	memcpy(bent, d, sizeof(d));
	bent[WIRE_HEADER_SIZE] ^= 1;
	d[WIRE_HEADER_SIZE] ^= 1;
	assert_int_equal(session_open(bob, T0, d, sizeof(d)), DROP_DUPLICATE);
	assert_memory_equal(d, bent, sizeof(d));
}

static void what_is_behind_the_window_is_too_old(void **state)
{
	u8 first[DATAGRAM_SIZE], edge[DATAGRAM_SIZE], newest[DATAGRAM_SIZE];

	(void)state;
	seal(alice, first);
	seal(alice, edge);
	alice->next_counter = 1 + 1024 - 64;
	seal(alice, newest);
	assert_int_equal(open_copy(bob, newest), DROP_NONE);
	assert_int_equal(session_check(bob, 0), REPLAY_TOO_OLD);
	assert_int_equal(open_copy(bob, first), DROP_TOO_OLD);
	assert_int_equal(open_copy(bob, edge), DROP_NONE);
}

static void datagrams_that_arrive_in_reverse_are_all_opened_once(void **state)
{
	u8 d[50][DATAGRAM_SIZE];

	(void)state;
	for (int i = 0; i < 50; i++)
		seal(alice, d[i]);
	for (int i = 49; i >= 0; i--)
		assert_int_equal(open_copy(bob, d[i]), DROP_NONE);
	for (int i = 0; i < 50; i++)
		assert_int_equal(open_copy(bob, d[i]), DROP_DUPLICATE);
}

static void a_reflected_datagram_is_not_opened_by_its_sender(void **state)
{
	u8 d[DATAGRAM_SIZE];

	(void)state;
	seal(alice, d);
	assert_int_equal(open_copy(alice, d), DROP_UNKNOWN_INDEX);
	/* Not even when it carries the sender's own index: directions have keys of their own. */
	put_u32(d + 4, alice->local_index);
	assert_int_equal(open_copy(alice, d), DROP_BAD_AUTH);
	assert_int_equal(session_check(alice, 0), REPLAY_FRESH);
	alice->remote_index = alice->local_index;
	alice->next_counter = 0;
	seal(alice, d);
	assert_int_equal(open_copy(alice, d), DROP_BAD_AUTH);
}

/* Every bit, of header, text and tag, under both ciphers: no state changes, the original opens. */
static void bend_every_bit(enum cipher cipher)
{
	struct session before;
	u8 d[DATAGRAM_SIZE];

	connect_with(cipher);
	seal(alice, d);
	before = *bob;
	for (size_t bit = 0; bit < 8 * sizeof(d); bit++) {
		d[bit / 8] ^= (u8)(1u << bit % 8);
		assert_int_not_equal(open_copy(bob, d), DROP_NONE);
		d[bit / 8] ^= (u8)(1u << bit % 8);
		assert_memory_equal(bob, &before, sizeof(before));
		assert_int_equal(session_check(bob, 0), REPLAY_FRESH);
	}
	assert_int_equal(open_copy(bob, d), DROP_NONE);
	disconnected(NULL);
}

static void flipped_bits_are_noticed_and_change_nothing(void **state)
{
	(void)state;
	bend_every_bit(CIPHER_CHACHA20_POLY1305);
	if (can(CIPHER_AES_256_GCM))
		bend_every_bit(CIPHER_AES_256_GCM);
}

static void a_bad_tag_does_not_commit_its_counter_nor_move_the_window(void **state)
{
	u8 good[DATAGRAM_SIZE], far[DATAGRAM_SIZE];

	(void)state;
	seal(alice, good);
	memcpy(far, good, sizeof(far));
	put_u64(far + 8, UINT64_C(1) << 40);
	assert_int_equal(open_copy(bob, far), DROP_BAD_AUTH);
	assert_int_equal(bob->replay.newest, 0);
	assert_int_equal(session_check(bob, UINT64_C(1) << 40), REPLAY_FRESH);
	assert_int_equal(open_copy(bob, good), DROP_NONE);
}

static void a_datagram_of_another_session_is_not_opened(void **state)
{
	struct session *carol = make(7, 8, CIPHER_CHACHA20_POLY1305, 128);
	u8 d[DATAGRAM_SIZE];

	(void)state;
	carol->remote_index = bob->local_index;
	seal(carol, d);
	assert_int_equal(open_copy(bob, d), DROP_BAD_AUTH);
	session_destroy(carol, &allocator);
}

static void what_is_cut_short_or_has_another_kind_is_malformed(void **state)
{
	u8 d[DATAGRAM_SIZE];

	(void)state;
	seal(alice, d);
	for (size_t size = 0; size < WIRE_OVERHEAD; size++)
		assert_int_equal(open_at(bob, T0, d, size), DROP_MALFORMED);
	for (size_t size = WIRE_OVERHEAD; size < sizeof(d); size++)
		assert_int_equal(open_at(bob, T0, d, size), DROP_BAD_AUTH);
	d[0] = WIRE_INITIATION;
	assert_int_equal(open_copy(bob, d), DROP_MALFORMED);
}

static void after_180_seconds_nothing_is_sealed_or_opened(void **state)
{
	const u64 last = T0 + SESSION_REJECT_AFTER - 1;
	u8 d[DATAGRAM_SIZE], e[DATAGRAM_SIZE];

	(void)state;
	seal(alice, d);
	assert_int_equal(open_at(bob, last + 1, d, sizeof(d)), DROP_EXPIRED_SESSION);
	assert_int_equal(open_at(bob, last, d, sizeof(d)), DROP_NONE);
	assert_int_equal(session_seal(alice, last, e, TEXT_SIZE), 0);
	assert_int_equal(session_seal(alice, last + 1, e, TEXT_SIZE), -EKEYEXPIRED);
}

static void after_the_last_counter_nothing_is_sealed_or_opened(void **state)
{
	u8 d[DATAGRAM_SIZE];

	(void)state;
	alice->next_counter = SESSION_LAST_COUNTER;
	seal(alice, d);
	assert_int_equal(session_seal(alice, T0, d, TEXT_SIZE), -EKEYEXPIRED);
	alice->next_counter = SESSION_LAST_COUNTER;
	seal(alice, d);
	assert_int_equal(open_copy(bob, d), DROP_NONE);
	put_u64(d + 8, SESSION_LAST_COUNTER + 1);
	assert_int_equal(open_copy(bob, d), DROP_EXPIRED_SESSION);
}

static void a_refused_seal_uses_up_no_counter(void **state)
{
	u8 d[DATAGRAM_SIZE];

	(void)state;
	assert_int_equal(session_seal(alice, T0 + SESSION_REJECT_AFTER, d, TEXT_SIZE),
			 -EKEYEXPIRED);
	assert_int_equal(alice->next_counter, 0);
}

static void without_memory_or_cipher_there_is_no_session_and_nothing_is_lost(void **state)
{
	const struct handshake_keys keys = { { 1 }, { 2 }, { 0 } };
	struct allocator a = test_allocator(&heap);
	struct session *s = NULL;
	enum cipher cipher = can(CIPHER_AES_256_GCM) ? CIPHER_AES_256_GCM :
						       CIPHER_CHACHA20_POLY1305;
	size_t needed = cipher == CIPHER_AES_256_GCM ? 3 : 1;

	(void)state;
	for (size_t limit = 0; limit < needed; limit++) {
		heap.limit = limit;
		assert_int_equal(session_create(&s, &a, &keys, NULL, cipher, 128, T0), -ENOMEM);
		assert_null(s);
		assert_int_equal(heap.live, 0);
	}
	heap.limit = SIZE_MAX;
	assert_int_equal(session_create(&s, &a, &keys, NULL, CIPHER_NONE, 128, T0), -EINVAL);
	assert_null(s);
	assert_int_equal(heap.live, 0);
	session_destroy(NULL, &a);
}

#define with_sessions(test) cmocka_unit_test_setup_teardown(test, connected, disconnected)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_one_end_seals_the_other_opens_with_chacha20_poly1305),
		cmocka_unit_test(what_one_end_seals_the_other_opens_with_aes_256_gcm),
		with_sessions(an_empty_datagram_can_be_sent_and_opened),
		with_sessions(duplicate_is_dropped_before_decrypt),
		with_sessions(what_is_behind_the_window_is_too_old),
		with_sessions(datagrams_that_arrive_in_reverse_are_all_opened_once),
		with_sessions(a_reflected_datagram_is_not_opened_by_its_sender),
		cmocka_unit_test(flipped_bits_are_noticed_and_change_nothing),
		with_sessions(a_bad_tag_does_not_commit_its_counter_nor_move_the_window),
		with_sessions(a_datagram_of_another_session_is_not_opened),
		with_sessions(what_is_cut_short_or_has_another_kind_is_malformed),
		with_sessions(after_180_seconds_nothing_is_sealed_or_opened),
		with_sessions(after_the_last_counter_nothing_is_sealed_or_opened),
		with_sessions(a_refused_seal_uses_up_no_counter),
		cmocka_unit_test(without_memory_or_cipher_there_is_no_session_and_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
