/* SPDX-License-Identifier: MIT */
/*
 * test_base64.c - keys as text: both directions, and everything that is not a key.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "warp/base64.h"
#include "warp/nearest.h"

#define ZERO_KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const struct known {
	const char *text;
	u8 first, last;
} known[] = {
	{ ZERO_KEY, 0, 0 },
	{ "//////////////////////////////////////////8=", 0xff, 0xff },
	{ "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=", 1, 32 },
	{ "+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/s=", 0xfb, 0xfb },
};

static void known_keys_are_read_and_written(void **state)
{
	char text[KEY_TEXT_SIZE];
	u8 key[KEY_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		assert_int_equal(key_from_base64(key, known[i].text, 44), 0);
		assert_int_equal(key[0], known[i].first);
		assert_int_equal(key[KEY_SIZE - 1], known[i].last);
		key_to_base64(text, key);
		assert_string_equal(text, known[i].text);
	}
}

/* libsodium's encoder is the second opinion. */
static void any_key_survives_and_looks_as_elsewhere(void **state)
{
	char text[KEY_TEXT_SIZE], expected[KEY_TEXT_SIZE];
	u8 key[KEY_SIZE], again[KEY_SIZE], seed[randombytes_SEEDBYTES] = { 1 };
	size_t i;

	(void)state;
	for (i = 0; i < 2000; i++) {
		seed[1] = (u8)i;
		seed[2] = (u8)(i >> 8);
		randombytes_buf_deterministic(key, sizeof(key), seed);
		key_to_base64(text, key);
		sodium_bin2base64(expected, sizeof(expected), key, sizeof(key),
				  sodium_base64_VARIANT_ORIGINAL);
		assert_string_equal(text, expected);
		assert_int_equal(key_from_base64(again, text, strlen(text)), 0);
		assert_memory_equal(again, key, sizeof(key));
	}
}

static void what_is_no_key_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {
		"",
		"A",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",   /* no = */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", /* one too many */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",  /* 33 bytes */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",  /* 31 bytes */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",  /* bits behind the key */
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC=",
		"AAAAAAAAAAAAAAAAAAAA=AAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAA-AAAAAAAAAAAAAAAAAAAAAA=", /* the other alphabet */
		"AAAAAAAAAAAAAAAAAAAA_AAAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAA\303\244AAAAAAAAAAAAAAAAAAAAA=",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
	};
	u8 key[KEY_SIZE], before[KEY_SIZE];
	size_t i;

	(void)state;
	memset(key, 0xa5, sizeof(key));
	memcpy(before, key, sizeof(key));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(key_from_base64(key, bad[i], strlen(bad[i])), -EINVAL);
		assert_memory_equal(key, before, sizeof(key));
	}
}

/* Each of the 256 characters at each place: only those of the alphabet are taken. */
static void every_character_is_judged(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char text[] = ZERO_KEY;
	u8 key[KEY_SIZE];
	int c, at;

	(void)state;
	for (at = 0; at < 42; at++) {
		for (c = 0; c < 256; c++) {
			int expected = c && strchr(alphabet, c) ? 0 : -EINVAL;

			text[at] = (char)c;
			assert_int_equal(key_from_base64(key, text, 44), expected);
		}
		text[at] = 'A';
	}
}

static void mistyped_words_find_the_meant_one(void **state)
{
	static const struct {
		const char *typed, *meant;
	} cases[] = {
		{ "statsu", "status" }, { "stat", "status" }, { "genkye", "genkey" },
		{ "relod", "reload" },  { "frobnicate", "" }, { "x", "" },
	};
	static const char *const words[] = { "status", "genkey", "reload", "version" };
	struct nearest nearest;
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		nearest_init(&nearest, cases[i].typed);
		for (k = 0; k < ARRAY_SIZE(words); k++)
			nearest_try(&nearest, words[k]);
		assert_string_equal(nearest.word ? nearest.word : "", cases[i].meant);
	}
	assert_int_equal(word_distance("", "abc"), 3);
	assert_int_equal(word_distance("abc", "abc"), 0);
	assert_int_equal(word_distance("abc", "acb"), 1);
	assert_int_equal(word_distance("kitten", "sitting"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_keys_are_read_and_written),
		cmocka_unit_test(any_key_survives_and_looks_as_elsewhere),
		cmocka_unit_test(what_is_no_key_is_refused_and_changes_nothing),
		cmocka_unit_test(every_character_is_judged),
		cmocka_unit_test(mistyped_words_find_the_meant_one),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
