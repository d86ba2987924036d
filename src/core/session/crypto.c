/* SPDX-License-Identifier: MIT */
/*
 * crypto.c - warp's cryptography, all of it from libsodium; no other room calls the library.
 *
 * Two constructions are our own, because libsodium has no BLAKE2b in them: HMAC (RFC 2104) over
 * BLAKE2b-512, whose block is 128 bytes, and the HKDF of the Noise Protocol Framework on top.
 *
 * Nonces are counters. Both ciphers take 12 bytes: four zero bytes, then the counter as Noise
 * writes it for that cipher - little-endian for ChaCha20-Poly1305, big-endian for AES-256-GCM.
 *
 * AES keys are expanded once, into memory of the allocator, as libsodium wants that state aligned
 * to 16 bytes, which a struct that is copied about would not promise.
 */
#include "warp/crypto.h"

#include <errno.h>
#include <string.h>

#include <sodium.h>

#include "warp/wire.h"

#define NONCE_SIZE 12u
#define HASH_BLOCK 128u

_Static_assert(KEY_SIZE == crypto_scalarmult_curve25519_BYTES, "X25519");
_Static_assert(KEY_SIZE == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "ChaCha20-Poly1305");
_Static_assert(KEY_SIZE == crypto_aead_aes256gcm_KEYBYTES, "AES-256-GCM");
_Static_assert(NONCE_SIZE == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "ChaCha20-Poly1305");
_Static_assert(NONCE_SIZE == crypto_aead_aes256gcm_NPUBBYTES, "AES-256-GCM");
_Static_assert(XNONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "XChaCha20-Poly1305");
_Static_assert(TAG_SIZE == crypto_aead_chacha20poly1305_ietf_ABYTES, "ChaCha20-Poly1305");
_Static_assert(TAG_SIZE == crypto_aead_aes256gcm_ABYTES, "AES-256-GCM");
_Static_assert(HASH_SIZE == crypto_generichash_BYTES_MAX, "BLAKE2b-512");
_Static_assert(MAC_SIZE == crypto_generichash_BYTES_MIN, "BLAKE2b-128");

int crypto_init(void)
{
	return sodium_init() < 0 ? -EIO : 0;
}

u8 crypto_ciphers(void)
{
	u8 ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305);

	if (crypto_aead_aes256gcm_is_available())
		ciphers |= CIPHER_BIT(CIPHER_AES_256_GCM);
	return ciphers;
}

const char *cipher_name(enum cipher cipher)
{
	static const char *const names[] = {
		[CIPHER_NONE] = "none",
		[CIPHER_CHACHA20_POLY1305] = "chacha20-poly1305",
		[CIPHER_AES_256_GCM] = "aes-256-gcm",
	};

	_Static_assert(ARRAY_SIZE(names) == CIPHERS, "a cipher has no name");
	return (unsigned)cipher < CIPHERS ? names[cipher] : "unknown";
}

/* --- X25519 ------------------------------------------------------------------------------ */

void identity_from_private(struct identity *ret, const u8 private_key[static KEY_SIZE])
{
	memcpy(ret->private_key, private_key, KEY_SIZE);
	(void)crypto_scalarmult_base(ret->public_key, private_key);
}

void private_key_clamp(u8 key[static KEY_SIZE])
{
	key[0] &= 248;
	key[31] = (u8)((key[31] & 127) | 64);
}

int crypto_dh(u8 ret[static KEY_SIZE], const u8 private_key[static KEY_SIZE],
	      const u8 public_key[static KEY_SIZE])
{
	u8 shared[KEY_SIZE];

	if (crypto_scalarmult(shared, private_key, public_key))
		return -EBADMSG;
	memcpy(ret, shared, KEY_SIZE);
	sodium_memzero(shared, sizeof(shared));
	return 0;
}

/* --- BLAKE2b, HMAC, HKDF ----------------------------------------------------------------- */

void crypto_digest(u8 ret[static HASH_SIZE], const struct hash_part *parts, size_t count)
{
	crypto_generichash_state state;

	(void)crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
	for (size_t i = 0; i < count; i++)
		(void)crypto_generichash_update(&state, parts[i].data, parts[i].size);
	(void)crypto_generichash_final(&state, ret, HASH_SIZE);
	sodium_memzero(&state, sizeof(state));
}

void crypto_mac(u8 ret[static MAC_SIZE], const void *key, size_t key_size, const void *data,
		size_t size)
{
	(void)crypto_generichash(ret, MAC_SIZE, data, size, key, key_size);
}

/* HASH((key ^ pad) || parts), one of the two passes of HMAC. */
static void hmac_pass(u8 ret[static HASH_SIZE], const u8 key[static HASH_SIZE], u8 pad,
		      const struct hash_part parts[static 2])
{
	u8 block[HASH_BLOCK];
	struct hash_part all[] = { { block, sizeof(block) }, parts[0], parts[1] };

	memset(block, pad, sizeof(block));
	for (size_t i = 0; i < HASH_SIZE; i++)
		block[i] ^= key[i];
	crypto_digest(ret, all, ARRAY_SIZE(all));
	sodium_memzero(block, sizeof(block));
}

/* HMAC-BLAKE2b-512 of two parts. ret may be key. */
static void hmac(u8 ret[static HASH_SIZE], const u8 key[static HASH_SIZE], const void *a,
		 size_t a_size, const void *b, size_t b_size)
{
	u8 inner[HASH_SIZE];

	hmac_pass(inner, key, 0x36, (const struct hash_part[]){ { a, a_size }, { b, b_size } });
	hmac_pass(ret, key, 0x5c, (const struct hash_part[]){ { inner, HASH_SIZE }, { NULL, 0 } });
	sodium_memzero(inner, sizeof(inner));
}

void crypto_hkdf(const u8 chaining_key[static HASH_SIZE], const void *input, size_t size, u8 *ret1,
		 u8 *ret2, u8 *ret3)
{
	u8 *const outputs[] = { ret1, ret2, ret3 };
	u8 temp_key[HASH_SIZE], output[HASH_SIZE];

	hmac(temp_key, chaining_key, input, size, NULL, 0);
	for (u8 i = 0; i < ARRAY_SIZE(outputs) && outputs[i]; i++) {
		u8 number = (u8)(i + 1);

		hmac(output, temp_key, output, i ? HASH_SIZE : 0, &number, 1);
		memcpy(outputs[i], output, HASH_SIZE);
	}
	sodium_memzero(temp_key, sizeof(temp_key));
	sodium_memzero(output, sizeof(output));
}

/* --- AEAD, one-shot ---------------------------------------------------------------------- */

static void nonce_little_endian(u8 ret[static NONCE_SIZE], u64 counter)
{
	memset(ret, 0, 4);
	put_u64(ret + 4, __builtin_bswap64(counter)); /* a loop would not become one store */
}

static void nonce_big_endian(u8 ret[static NONCE_SIZE], u64 counter)
{
	memset(ret, 0, 4);
	put_u64(ret + 4, counter);
}

void crypto_seal(u8 *ciphertext, const void *plain, size_t size, const void *ad, size_t ad_size,
		 u64 nonce, const u8 key[static KEY_SIZE])
{
	u8 n[NONCE_SIZE];

	nonce_little_endian(n, nonce);
	(void)crypto_aead_chacha20poly1305_ietf_encrypt(ciphertext, NULL, plain, size, ad, ad_size,
							NULL, n, key);
}

int crypto_open(u8 *plain, const void *ciphertext, size_t size, const void *ad, size_t ad_size,
		u64 nonce, const u8 key[static KEY_SIZE])
{
	u8 n[NONCE_SIZE];
	int err;

	nonce_little_endian(n, nonce);
	err = crypto_aead_chacha20poly1305_ietf_decrypt(plain, NULL, NULL, ciphertext, size, ad,
							ad_size, n, key);
	return err ? -EBADMSG : 0;
}

void crypto_xseal(u8 *ciphertext, const void *plain, size_t size, const void *ad, size_t ad_size,
		  const u8 nonce[static XNONCE_SIZE], const u8 key[static KEY_SIZE])
{
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(ciphertext, NULL, plain, size, ad, ad_size,
							 NULL, nonce, key);
}

int crypto_xopen(u8 *plain, const void *ciphertext, size_t size, const void *ad, size_t ad_size,
		 const u8 nonce[static XNONCE_SIZE], const u8 key[static KEY_SIZE])
{
	int err = crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, ciphertext, size,
							     ad, ad_size, nonce, key);

	return err ? -EBADMSG : 0;
}

/* --- AEAD, data path --------------------------------------------------------------------- */

static size_t sodium_expanded_size(enum cipher cipher)
{
	return cipher == CIPHER_AES_256_GCM ? sizeof(crypto_aead_aes256gcm_state) : 0;
}

static void sodium_expand(const struct aead_ops *ops, struct aead_key *k)
{
	(void)ops;
	if (k->cipher == CIPHER_AES_256_GCM)
		(void)crypto_aead_aes256gcm_beforenm(k->expanded, k->key);
}

static void sodium_seal(const struct aead_key *k, const u8 nonce[static AEAD_NONCE_SIZE],
			const void *ad, size_t ad_size, u8 *data, size_t size)
{
	if (k->cipher == CIPHER_AES_256_GCM)
		(void)crypto_aead_aes256gcm_encrypt_detached_afternm(data, data + size, NULL, data,
								     size, ad, ad_size, NULL, nonce,
								     k->expanded);
	else
		(void)crypto_aead_chacha20poly1305_ietf_encrypt(data, NULL, data, size, ad, ad_size,
								NULL, nonce, k->key);
}

static int sodium_open(const struct aead_key *k, const u8 nonce[static AEAD_NONCE_SIZE],
		       const void *ad, size_t ad_size, u8 *data, size_t size)
{
	if (k->cipher == CIPHER_AES_256_GCM)
		return crypto_aead_aes256gcm_decrypt_detached_afternm(data, NULL, data, size,
								      data + size, ad, ad_size,
								      nonce, k->expanded);
	return crypto_aead_chacha20poly1305_ietf_decrypt(data, NULL, NULL, data, size + TAG_SIZE,
							 ad, ad_size, nonce, k->key);
}

const struct aead_ops *aead_libsodium(void)
{
	static const struct aead_ops with_aes = {
		.name = "libsodium",
		.ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305) | CIPHER_BIT(CIPHER_AES_256_GCM),
		.expanded_size = sodium_expanded_size,
		.expand = sodium_expand,
		.seal = sodium_seal,
		.open = sodium_open,
	};
	static const struct aead_ops without_aes = {
		.name = "libsodium",
		.ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
		.expanded_size = sodium_expanded_size,
		.expand = sodium_expand,
		.seal = sodium_seal,
		.open = sodium_open,
	};

	return crypto_aead_aes256gcm_is_available() ? &with_aes : &without_aes;
}

static int aead_expand(struct aead_key *k, const struct allocator *a)
{
	size_t size = k->ops->expanded_size((enum cipher)k->cipher);
	u8 *memory;

	if (size > 0) {
		memory = mem_alloc(a, size + AEAD_ALIGN);
		if (!memory)
			return -ENOMEM;
		k->offset = (u8)(AEAD_ALIGN - (uintptr_t)memory % AEAD_ALIGN);
		k->expanded = memory + k->offset;
	}
	k->ops->expand(k->ops, k);
	return 0;
}

int aead_key_init(struct aead_key *ret, const struct aead_ops *ops, enum cipher cipher,
		  const u8 key[static KEY_SIZE], const struct allocator *a)
{
	struct aead_key k = { .ops = ops ? ops : aead_libsodium(), .cipher = (u8)cipher };
	int err;

	if (cipher == CIPHER_NONE || cipher >= CIPHERS || !(k.ops->ciphers & CIPHER_BIT(cipher)))
		return -EINVAL;
	memcpy(k.key, key, KEY_SIZE);
	err = aead_expand(&k, a);
	if (!err)
		*ret = k;
	sodium_memzero(k.key, sizeof(k.key));
	return err;
}

void aead_key_clear(struct aead_key *k, const struct allocator *a)
{
	if (k->expanded) {
		u8 *memory = (u8 *)k->expanded - k->offset;
		size_t size = k->ops->expanded_size((enum cipher)k->cipher) + AEAD_ALIGN;

		sodium_memzero(memory, size);
		mem_free(a, memory, size);
	}
	sodium_memzero(k, sizeof(*k));
}

/* Noise 12.3 and 12.4: 32 zero bits, then the counter in the cipher's own byte order. */
static void aead_nonce(u8 ret[static AEAD_NONCE_SIZE], u8 cipher, u64 counter)
{
	if (cipher == CIPHER_AES_256_GCM)
		nonce_big_endian(ret, counter);
	else
		nonce_little_endian(ret, counter);
}

void aead_seal(const struct aead_key *k, u64 nonce, const void *ad, size_t ad_size, u8 *data,
	       size_t size)
{
	u8 n[AEAD_NONCE_SIZE];

	aead_nonce(n, k->cipher, nonce);
	k->ops->seal(k, n, ad, ad_size, data, size);
}

int aead_open(const struct aead_key *k, u64 nonce, const void *ad, size_t ad_size, u8 *data,
	      size_t size)
{
	u8 n[AEAD_NONCE_SIZE];

	aead_nonce(n, k->cipher, nonce);
	return k->ops->open(k, n, ad, ad_size, data, size) ? -EBADMSG : 0;
}

/* --- constant time ----------------------------------------------------------------------- */

bool crypto_equal(const void *a, const void *b, size_t size)
{
	return sodium_memcmp(a, b, size) == 0;
}

bool crypto_is_zero(const void *a, size_t size)
{
	return sodium_is_zero(a, size);
}

void crypto_wipe(void *a, size_t size)
{
	sodium_memzero(a, size);
}
