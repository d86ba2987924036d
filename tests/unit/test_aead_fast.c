/* SPDX-License-Identifier: MIT */
/*
 * test_aead_fast.c - the fast implementation of the data ciphers gives the very bytes of
 * libsodium's, and refuses what it refuses.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "warp/aead_fast.h"
#include "warp/memory.h"

#define LARGEST 2000u

static const enum cipher ciphers[] = { CIPHER_CHACHA20_POLY1305, CIPHER_AES_256_GCM };

static const struct aead_ops *fast(void)
{
	const struct aead_ops *ops;

	assert_int_equal(crypto_init(), 0);
	ops = aead_ipsec_mb();
	if (!ops) {
		print_message("no intel-ipsec-mb in this build, or a CPU without AES\n");
		skip();
	}
	return ops;
}

static void make_key(struct aead_key *ret, const struct aead_ops *ops, enum cipher cipher, u8 seed)
{
	u8 key[KEY_SIZE];

	memset(key, seed, sizeof(key));
	assert_int_equal(aead_key_init(ret, ops, cipher, key, &system_allocator), 0);
}

static void fill(u8 *data, size_t size, u32 seed)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (u8)((seed = seed * 1664525u + 1013904223u) >> 24);
}

/* Seals one size with both, compares, and opens each with the other. */
static void check_size(const struct aead_key *a, const struct aead_key *b, u32 size)
{
	static u8 plain[LARGEST], one[LARGEST + TAG_SIZE], two[LARGEST + TAG_SIZE];
	u8 ad[16];

	fill(plain, size, size);
	fill(ad, sizeof(ad), size + 1);
	memcpy(one, plain, size);
	memcpy(two, plain, size);
	aead_seal(a, size, ad, sizeof(ad), one, size);
	aead_seal(b, size, ad, sizeof(ad), two, size);
	assert_memory_equal(one, two, size + TAG_SIZE);
	assert_int_equal(aead_open(b, size, ad, sizeof(ad), one, size), 0);
	assert_int_equal(aead_open(a, size, ad, sizeof(ad), two, size), 0);
	assert_memory_equal(one, plain, size);
	assert_memory_equal(two, plain, size);
}

static void both_give_the_same_bytes_for_every_size(void **state)
{
	const struct aead_ops *ops = fast();

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(ciphers); c++) {
		struct aead_key a, b;

		make_key(&a, ops, ciphers[c], 9);
		make_key(&b, NULL, ciphers[c], 9);
		for (u32 size = 0; size <= LARGEST; size++)
			check_size(&a, &b, size);
		aead_key_clear(&a, &system_allocator);
		aead_key_clear(&b, &system_allocator);
	}
}

static void any_changed_bit_is_refused(void **state)
{
	const struct aead_ops *ops = fast();
	u8 ad[16] = { 1 }, sealed[100 + TAG_SIZE], data[100 + TAG_SIZE];

	(void)state;
	for (size_t c = 0; c < ARRAY_SIZE(ciphers); c++) {
		struct aead_key k;

		make_key(&k, ops, ciphers[c], 3);
		memset(sealed, 5, 100);
		aead_seal(&k, 1, ad, sizeof(ad), sealed, 100);
		for (u32 bit = 0; bit < sizeof(sealed) * 8; bit++) {
			memcpy(data, sealed, sizeof(data));
			data[bit / 8] ^= (u8)(1u << bit % 8);
			assert_int_equal(aead_open(&k, 1, ad, sizeof(ad), data, 100), -EBADMSG);
		}
		memcpy(data, sealed, sizeof(data));
		assert_int_equal(aead_open(&k, 2, ad, sizeof(ad), data, 100), -EBADMSG);
		aead_key_clear(&k, &system_allocator);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_give_the_same_bytes_for_every_size),
		cmocka_unit_test(any_changed_bit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
