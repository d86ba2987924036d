/* SPDX-License-Identifier: MIT */
/*
 * test_crypto.c - the primitives against the vectors of their documents, and against values that
 * were computed with other implementations (Python's hashlib and hmac, and pyca/cryptography).
 */
#include "harness.h"

#include <errno.h>
#include <string.h>

#include "warp/crypto.h"

static const char key_0_31[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

static int set_up(void **state)
{
	(void)state;
	return crypto_init();
}

static bool has_aes(void)
{
	return crypto_ciphers() & CIPHER_BIT(CIPHER_AES_256_GCM);
}

/* --- X25519 ------------------------------------------------------------------------------ */

static void x25519_is_that_of_rfc_7748_section_5_2(void **state)
{
	u8 scalar[KEY_SIZE], point[KEY_SIZE], result[KEY_SIZE];

	(void)state;
	test_hex(scalar, KEY_SIZE,
		 "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
	test_hex(point, KEY_SIZE,
		 "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
	assert_int_equal(crypto_dh(result, scalar, point), 0);
	assert_hex(result, KEY_SIZE,
		   "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

static void two_identities_agree_as_in_rfc_7748_section_6_1(void **state)
{
	struct identity alice, bob;
	u8 private_key[KEY_SIZE], shared[KEY_SIZE];

	(void)state;
	test_hex(private_key, KEY_SIZE,
		 "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
	identity_from_private(&alice, private_key);
	test_hex(private_key, KEY_SIZE,
		 "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
	identity_from_private(&bob, private_key);
	assert_memory_equal(bob.private_key, private_key, KEY_SIZE);
	assert_hex(alice.public_key, KEY_SIZE,
		   "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
	assert_hex(bob.public_key, KEY_SIZE,
		   "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
	assert_int_equal(crypto_dh(shared, alice.private_key, bob.public_key), 0);
	assert_hex(shared, KEY_SIZE,
		   "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
	assert_int_equal(crypto_dh(shared, bob.private_key, alice.public_key), 0);
	assert_hex(shared, KEY_SIZE,
		   "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

static void low_order_points_are_refused_and_give_nothing(void **state)
{
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	u8 key[KEY_SIZE], point[KEY_SIZE], result[KEY_SIZE] = { 0x55 };

	(void)state;
	test_hex(key, KEY_SIZE, key_0_31);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		test_hex(point, KEY_SIZE, points[i]);
		assert_int_equal(crypto_dh(result, key, point), -EBADMSG);
		assert_int_equal(result[0], 0x55);
	}
}

static void clamping_makes_a_private_key_as_wg_genkey_does(void **state)
{
	u8 key[KEY_SIZE];

	(void)state;
	memset(key, 0xff, sizeof(key));
	private_key_clamp(key);
	assert_int_equal(key[0], 0xf8);
	assert_int_equal(key[31], 0x7f);
	memset(key, 0, sizeof(key));
	private_key_clamp(key);
	assert_int_equal(key[0], 0);
	assert_int_equal(key[31], 0x40);
}

/* --- BLAKE2b ----------------------------------------------------------------------------- */

static void the_digest_is_that_of_rfc_7693_appendix_a_however_it_is_cut(void **state)
{
	const struct hash_part whole[] = { { "abc", 3 } };
	const struct hash_part cut[] = { { "a", 1 }, { "", 0 }, { "bc", 2 } };
	static const char expected[] =
		"ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
		"7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923";
	u8 hash[HASH_SIZE];

	(void)state;
	crypto_digest(hash, whole, 1);
	assert_hex(hash, sizeof(hash), expected);
	crypto_digest(hash, cut, 3);
	assert_hex(hash, sizeof(hash), expected);
}

/* hashlib.blake2b(b"abc", key=bytes(range(32)), digest_size=16) */
static void the_mac_is_keyed_blake2b_of_16_bytes(void **state)
{
	u8 key[KEY_SIZE], mac[MAC_SIZE];

	(void)state;
	test_hex(key, KEY_SIZE, key_0_31);
	crypto_mac(mac, key, sizeof(key), "abc", 3);
	assert_hex(mac, sizeof(mac), "1a64be47e4729d951c302ee543f97cf3");
}

/* Python: H = lambda key, data: hmac.new(key, data, hashlib.blake2b).digest() and so on. */
static void hkdf_gives_what_another_hmac_gives(void **state)
{
	u8 chain[HASH_SIZE], one[HASH_SIZE], two[HASH_SIZE], three[HASH_SIZE];

	(void)state;
	for (u8 i = 0; i < HASH_SIZE; i++)
		chain[i] = i;
	crypto_hkdf(chain, "input key material", 18, one, two, three);
	assert_hex(one, HASH_SIZE,
		   "a94ec1ceaa5ac0280eafc97980003e4019176e4bf7c914c45fb0bbda0b22a995"
		   "4d01f3697bbf32817ed0fccbf6dd1ebd24c0b05611051e63dc56e131af4f7c10");
	assert_hex(two, HASH_SIZE,
		   "f9d83f6c5d34695529eb8e35c8a2ed78658092e7c3b38fdf0cea2a2096b6f6e5"
		   "42af644e298508f37da08860db285a8ad4b604c1f160f23356df6b28c183508d");
	assert_hex(three, HASH_SIZE,
		   "bb6f14b645bac5dd79c98ce583e3357b43b431c22400c9b79d690c1d2fe2d391"
		   "ab8372b0b08553b56e802dc6badace75398c1b8a973d0aab18d857d431c3a48f");
}

static void hkdf_of_nothing_may_overwrite_its_chaining_key(void **state)
{
	u8 chain[HASH_SIZE], two[HASH_SIZE];

	(void)state;
	for (u8 i = 0; i < HASH_SIZE; i++)
		chain[i] = i;
	crypto_hkdf(chain, NULL, 0, chain, two, NULL);
	assert_hex(chain, HASH_SIZE,
		   "03be0946afb62e33dcc2e8cb76dfad47663d284d81c0bde963f32a283dede221"
		   "be2b9e3a86fa82934234d2a6ed331fb664a3e670252b9454da9ed2567b435e11");
	assert_hex(two, HASH_SIZE,
		   "8481b385940ea1ddc1e37243d34e6a00d9e35fe86844b75be2f9d084efcbf4a9"
		   "d18c764645baf5262707efcb490c9ddfcc81c78ff75e1e727428f05b9fee857f");
}

/* --- AEAD -------------------------------------------------------------------------------- */

static const char rfc_8439_plain[] =
	"Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
	"replaced, or obsoleted by other documents at any time. It is inappropriate to use "
	"Internet-Drafts as reference material or to cite them other than as /\xe2\x80\x9cwork in "
	"progress./\xe2\x80\x9d";

static const char rfc_8439_sealed[] =
	"64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e"
	"382d26b0bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd"
	"60f982b1ff37c8559797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c76"
	"7b804d46a59b5216cde7a4e99040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a"
	"0d072b04b3564eea1b422273f548271a0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a67276"
	"27097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b0270"
	"9beead9d67890cbb22392336fea1851f38";

/* Nonce 00000000 0102030405060708: the counter, little-endian, is 0x0807060504030201. */
static void chacha20_poly1305_is_that_of_rfc_8439_appendix_a_5(void **state)
{
	u8 key[KEY_SIZE], ad[12], sealed[265 + TAG_SIZE], plain[265];
	const u64 nonce = UINT64_C(0x0807060504030201);

	(void)state;
	assert_int_equal(strlen(rfc_8439_plain), sizeof(plain));
	test_hex(key, sizeof(key),
		 "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
	test_hex(ad, sizeof(ad), "f33388860000000000004e91");
	crypto_seal(sealed, rfc_8439_plain, sizeof(plain), ad, sizeof(ad), nonce, key);
	assert_hex(sealed, sizeof(sealed), rfc_8439_sealed);
	assert_int_equal(crypto_open(plain, sealed, sizeof(sealed), ad, sizeof(ad), nonce, key), 0);
	assert_memory_equal(plain, rfc_8439_plain, sizeof(plain));
}

/* draft-irtf-cfrg-xchacha-03, A.3.1 */
static void xchacha20_poly1305_is_that_of_its_draft(void **state)
{
	static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				   "only one tip for the future, sunscreen would be it.";
	u8 key[KEY_SIZE], nonce[XNONCE_SIZE], ad[12], sealed[114 + TAG_SIZE], plain[114];

	(void)state;
	test_hex(key, sizeof(key),
		 "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
	test_hex(nonce, sizeof(nonce), "404142434445464748494a4b4c4d4e4f5051525354555657");
	test_hex(ad, sizeof(ad), "50515253c0c1c2c3c4c5c6c7");
	crypto_xseal(sealed, text, sizeof(plain), ad, sizeof(ad), nonce, key);
	assert_hex(sealed, sizeof(sealed),
		   "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb"
		   "731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452"
		   "2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
		   "21f9664c97637da9768812f615c68b13b52e"
		   "c0875924c1c7987947deafd8780acf49");
	assert_int_equal(crypto_xopen(plain, sealed, sizeof(sealed), ad, sizeof(ad), nonce, key),
			 0);
	assert_memory_equal(plain, text, sizeof(plain));
	sealed[3] ^= 1;
	assert_int_equal(crypto_xopen(plain, sealed, sizeof(sealed), ad, sizeof(ad), nonce, key),
			 -EBADMSG);
}

static void opening_fails_on_any_other_bit_nonce_key_size_or_associated_data(void **state)
{
	u8 key[KEY_SIZE], sealed[4 + TAG_SIZE], plain[sizeof(sealed)];

	(void)state;
	test_hex(key, KEY_SIZE, key_0_31);
	crypto_seal(sealed, "warp", 4, "header", 6, 9, key);
	assert_int_equal(crypto_open(plain, sealed, sizeof(sealed), "header", 6, 9, key), 0);
	for (size_t i = 0; i < 8 * sizeof(sealed); i++) {
		sealed[i / 8] ^= (u8)(1u << i % 8);
		assert_int_equal(crypto_open(plain, sealed, sizeof(sealed), "header", 6, 9, key),
				 -EBADMSG);
		sealed[i / 8] ^= (u8)(1u << i % 8);
	}
	for (size_t size = 0; size < sizeof(sealed); size++)
		assert_int_equal(crypto_open(plain, sealed, size, "header", 6, 9, key), -EBADMSG);
	assert_int_equal(crypto_open(plain, sealed, sizeof(sealed), "headeR", 6, 9, key), -EBADMSG);
	assert_int_equal(crypto_open(plain, sealed, sizeof(sealed), "header", 5, 9, key), -EBADMSG);
	assert_int_equal(crypto_open(plain, sealed, sizeof(sealed), "header", 6, 8, key), -EBADMSG);
	key[31] ^= 1;
	assert_int_equal(crypto_open(plain, sealed, sizeof(sealed), "header", 6, 9, key), -EBADMSG);
}

/* --- data keys --------------------------------------------------------------------------- */

static struct test_heap heap;

/* Seals text in place under key and nonce, compares, opens, compares, and opens what was bent. */
static void check_data_key(enum cipher cipher, const char *key_hex, u64 nonce, const char *ad,
			   const char *plain_hex, const char *sealed_hex)
{
	struct allocator a = test_allocator(&heap);
	u8 key[KEY_SIZE], data[64], plain[64];
	struct aead_key k;
	size_t size;

	test_hex(key, sizeof(key), key_hex);
	size = test_hex(plain, sizeof(plain), plain_hex);
	memcpy(data, plain, sizeof(data));
	assert_int_equal(aead_key_init(&k, NULL, cipher, key, &a), 0);
	aead_seal(&k, nonce, ad, strlen(ad), data, size);
	assert_hex(data, size + TAG_SIZE, sealed_hex);
	assert_int_equal(aead_open(&k, nonce, ad, strlen(ad), data, size), 0);
	assert_memory_equal(data, plain, size);
	aead_seal(&k, nonce, ad, strlen(ad), data, size);
	data[0] ^= 0x80;
	assert_int_equal(aead_open(&k, nonce, ad, strlen(ad), data, size), -EBADMSG);
	aead_key_clear(&k, &a);
	assert_true(crypto_is_zero(k.key, sizeof(k.key)));
	assert_int_equal(heap.live, 0);
}

/* The GCM specification (McGrew, Viega), appendix B, test cases 13 and 14. */
static void aes_256_gcm_is_that_of_the_gcm_specification(void **state)
{
	static const char zero[] =
		"0000000000000000000000000000000000000000000000000000000000000000";

	(void)state;
	if (!has_aes()) {
		print_message("this machine has no AES instructions\n");
		skip();
	}
	check_data_key(CIPHER_AES_256_GCM, zero, 0, "", "", "530f8afbc74536b9a963b4f1c4cb738b");
	check_data_key(CIPHER_AES_256_GCM, zero, 0, "", "00000000000000000000000000000000",
		       "cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919");
}

/* pyca/cryptography, AESGCM, nonce 00000000 0102030405060708. */
static void the_counter_of_aes_256_gcm_is_big_endian(void **state)
{
	(void)state;
	if (!has_aes()) {
		print_message("this machine has no AES instructions\n");
		skip();
	}
	check_data_key(CIPHER_AES_256_GCM, key_0_31, UINT64_C(0x0102030405060708), "header",
		       "77617270", "7330177e21ddedae40ca9065b0f914021d8c99d2");
}

/* pyca/cryptography, ChaCha20Poly1305, nonce 00000000 0807060504030201. */
static void the_counter_of_chacha20_poly1305_is_little_endian(void **state)
{
	(void)state;
	check_data_key(CIPHER_CHACHA20_POLY1305, key_0_31, UINT64_C(0x0102030405060708), "header",
		       "77617270", "8728df9430ab9464de6f721d5b8dca023cb27578");
}

static void a_cipher_that_is_unknown_or_not_here_makes_no_key(void **state)
{
	struct allocator a = test_allocator(&heap);
	u8 key[KEY_SIZE] = { 0 };
	struct aead_key k = { .key = { 0x55 } };

	(void)state;
	assert_int_equal(aead_key_init(&k, NULL, CIPHER_NONE, key, &a), -EINVAL);
	assert_int_equal(aead_key_init(&k, NULL, CIPHERS, key, &a), -EINVAL);
	if (!has_aes())
		assert_int_equal(aead_key_init(&k, NULL, CIPHER_AES_256_GCM, key, &a), -EINVAL);
	assert_int_equal(k.key[0], 0x55);
	assert_int_equal(heap.total, 0);
}

static void without_memory_an_aes_key_is_refused_and_a_chacha_key_needs_none(void **state)
{
	struct allocator a = test_allocator(&heap);
	u8 key[KEY_SIZE] = { 0 };
	struct aead_key k = { .key = { 0x55 } };

	(void)state;
	heap.limit = 0;
	if (has_aes()) {
		assert_int_equal(aead_key_init(&k, NULL, CIPHER_AES_256_GCM, key, &a), -ENOMEM);
		assert_int_equal(k.key[0], 0x55);
	}
	assert_int_equal(aead_key_init(&k, NULL, CIPHER_CHACHA20_POLY1305, key, &a), 0);
	aead_key_clear(&k, &a);
}

static void every_cipher_has_a_name_and_chacha_is_always_there(void **state)
{
	(void)state;
	assert_true(crypto_ciphers() & CIPHER_BIT(CIPHER_CHACHA20_POLY1305));
	assert_false(crypto_ciphers() & CIPHER_BIT(CIPHER_NONE));
	assert_string_equal(cipher_name(CIPHER_NONE), "none");
	assert_string_equal(cipher_name(CIPHER_CHACHA20_POLY1305), "chacha20-poly1305");
	assert_string_equal(cipher_name(CIPHER_AES_256_GCM), "aes-256-gcm");
	assert_string_equal(cipher_name(CIPHERS), "unknown");
}

static void comparing_and_wiping_look_at_every_byte(void **state)
{
	u8 a[33] = { 0 }, b[33] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(a); i++) {
		assert_true(crypto_equal(a, b, sizeof(a)));
		assert_true(crypto_is_zero(a, sizeof(a)));
		a[i] = 1;
		assert_false(crypto_equal(a, b, sizeof(a)));
		assert_false(crypto_is_zero(a, sizeof(a)));
		crypto_wipe(a, sizeof(a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x25519_is_that_of_rfc_7748_section_5_2),
		cmocka_unit_test(two_identities_agree_as_in_rfc_7748_section_6_1),
		cmocka_unit_test(low_order_points_are_refused_and_give_nothing),
		cmocka_unit_test(clamping_makes_a_private_key_as_wg_genkey_does),
		cmocka_unit_test(the_digest_is_that_of_rfc_7693_appendix_a_however_it_is_cut),
		cmocka_unit_test(the_mac_is_keyed_blake2b_of_16_bytes),
		cmocka_unit_test(hkdf_gives_what_another_hmac_gives),
		cmocka_unit_test(hkdf_of_nothing_may_overwrite_its_chaining_key),
		cmocka_unit_test(chacha20_poly1305_is_that_of_rfc_8439_appendix_a_5),
		cmocka_unit_test(xchacha20_poly1305_is_that_of_its_draft),
		cmocka_unit_test(opening_fails_on_any_other_bit_nonce_key_size_or_associated_data),
		cmocka_unit_test(aes_256_gcm_is_that_of_the_gcm_specification),
		cmocka_unit_test(the_counter_of_aes_256_gcm_is_big_endian),
		cmocka_unit_test(the_counter_of_chacha20_poly1305_is_little_endian),
		cmocka_unit_test(a_cipher_that_is_unknown_or_not_here_makes_no_key),
		cmocka_unit_test(without_memory_an_aes_key_is_refused_and_a_chacha_key_needs_none),
		cmocka_unit_test(every_cipher_has_a_name_and_chacha_is_always_there),
		cmocka_unit_test(comparing_and_wiping_look_at_every_byte),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
