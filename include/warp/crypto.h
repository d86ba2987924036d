/* SPDX-License-Identifier: MIT */
/*
 * crypto.h - every cryptographic primitive that warp uses; the only caller of libsodium.
 *
 * X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439), XChaCha20-Poly1305, AES-256-GCM (NIST SP
 * 800-38D), BLAKE2b (RFC 7693) and HKDF over HMAC-BLAKE2b as the Noise Protocol Framework
 * (revision 34, sections 4 and 5) defines it.
 */
#ifndef WARP_CRYPTO_H
#define WARP_CRYPTO_H

#include "warp/base.h"

#define KEY_SIZE 32u
#define HASH_SIZE 64u
#define TAG_SIZE 16u
#define MAC_SIZE 16u
#define XNONCE_SIZE 24u

/* The data ciphers; values are on the wire and, as bits (1 << cipher), in capabilities. */
enum cipher {
	CIPHER_NONE = 0,
	CIPHER_CHACHA20_POLY1305 = 1,
	CIPHER_AES_256_GCM = 2,
	CIPHERS,
};

#define CIPHER_BIT(c) ((u8)(1u << (c)))

struct identity {
	u8 private_key[KEY_SIZE];
	u8 public_key[KEY_SIZE];
};

/* Once, before anything else here. 0, or -EIO: the library cannot run. */
int crypto_init(void);
/* Bits (CIPHER_BIT) of the data ciphers that this machine does well: ChaCha20-Poly1305 always,
 * AES-256-GCM where the CPU has it. */
u8 crypto_ciphers(void);
/* "chacha20-poly1305", "aes-256-gcm", "none". */
const char *cipher_name(enum cipher cipher);

/* Clamps nothing, stores private_key and derives public_key. */
void identity_from_private(struct identity *ret, const u8 private_key[static KEY_SIZE]);
/* 32 random bytes made a well-formed X25519 private key (clamped, as `wg genkey` does). */
void private_key_clamp(u8 key[static KEY_SIZE]);

/* X25519. -EBADMSG when the result is all zero (a low-order point). */
int crypto_dh(u8 ret[static KEY_SIZE], const u8 private_key[static KEY_SIZE],
	      const u8 public_key[static KEY_SIZE]);

struct hash_part {
	const void *data;
	size_t size;
};

/* BLAKE2b-512 over the parts in order. (libsodium owns the name crypto_hash.) */
void crypto_digest(u8 ret[static HASH_SIZE], const struct hash_part *parts, size_t count);
/* Keyed BLAKE2b-128 with a key of key_size (<= 64) bytes. */
void crypto_mac(u8 ret[static MAC_SIZE], const void *key, size_t key_size, const void *data,
		size_t size);
/* Noise HKDF with 1 to 3 outputs of HASH_SIZE bytes each (unused ones NULL). input may be empty.*/
void crypto_hkdf(const u8 chaining_key[static HASH_SIZE], const void *input, size_t size, u8 *ret1,
		 u8 *ret2, u8 *ret3);

/* One-shot ChaCha20-Poly1305 with a 64-bit counter as nonce (Noise: 32 zero bits, then little
 * endian). ciphertext has size + TAG_SIZE bytes; in place is allowed. */
void crypto_seal(u8 *ciphertext, const void *plain, size_t size, const void *ad, size_t ad_size,
		 u64 nonce, const u8 key[static KEY_SIZE]);
/* size is that of the ciphertext with its tag. -EBADMSG when it is not authentic; plain is then
 * zeroed. */
int crypto_open(u8 *plain, const void *ciphertext, size_t size, const void *ad, size_t ad_size,
		u64 nonce, const u8 key[static KEY_SIZE]);
/* XChaCha20-Poly1305, for cookies. */
void crypto_xseal(u8 *ciphertext, const void *plain, size_t size, const void *ad, size_t ad_size,
		  const u8 nonce[static XNONCE_SIZE], const u8 key[static KEY_SIZE]);
int crypto_xopen(u8 *plain, const void *ciphertext, size_t size, const void *ad, size_t ad_size,
		 const u8 nonce[static XNONCE_SIZE], const u8 key[static KEY_SIZE]);

/* --- data keys --------------------------------------------------------------------------- */

#define AEAD_NONCE_SIZE 12u
#define AEAD_ALIGN 64u /* of expanded keys */

struct aead_key;

/*
 * One implementation of the data ciphers. libsodium's is always there; others are made at the edge
 * and given to the hub. All of them give the same bytes.
 */
struct aead_ops {
	const char *name; /* "libsodium", "ipsec-mb" */
	u8 ciphers;       /* CIPHER_BITs that it can do on this machine */
	void *state;      /* its own */
	size_t (*expanded_size)(enum cipher cipher); /* bytes of a key made ready; may be 0 */
	void (*expand)(const struct aead_ops *ops, struct aead_key *k);
	/* In place, as aead_seal() and aead_open(). */
	void (*seal)(const struct aead_key *k, const u8 nonce[static AEAD_NONCE_SIZE],
		     const void *ad, size_t ad_size, u8 *data, size_t size);
	int (*open)(const struct aead_key *k, const u8 nonce[static AEAD_NONCE_SIZE],
		    const void *ad, size_t ad_size, u8 *data, size_t size);
};

/* After crypto_init(). */
const struct aead_ops *aead_libsodium(void);

/* A data key, made ready for its implementation; made at handshakes, used on the data path. */
struct aead_key {
	const struct aead_ops *ops;
	void *expanded; /* aligned to AEAD_ALIGN, or NULL */
	u8 key[KEY_SIZE];
	u8 cipher; /* enum cipher */
	u8 offset; /* of expanded in what the allocator gave */
};

/* ops NULL: libsodium's. 0, -EINVAL (not a cipher that ops does on this machine), -ENOMEM. */
int aead_key_init(struct aead_key *ret, const struct aead_ops *ops, enum cipher cipher,
		  const u8 key[static KEY_SIZE], const struct allocator *a);
/* Wipes the key and frees the expansion. */
void aead_key_clear(struct aead_key *k, const struct allocator *a);
/* In place: data[0..size) becomes ciphertext, the tag goes to data[size..size+TAG_SIZE). */
void aead_seal(const struct aead_key *k, u64 nonce, const void *ad, size_t ad_size, u8 *data,
	       size_t size);
/* In place; size is that of the plaintext, the tag follows it. -EBADMSG when not authentic; data is
 * then destroyed. */
int aead_open(const struct aead_key *k, u64 nonce, const void *ad, size_t ad_size, u8 *data,
	      size_t size);

/* Constant time. */
bool crypto_equal(const void *a, const void *b, size_t size);
bool crypto_is_zero(const void *a, size_t size);
/* Is not optimised away. */
void crypto_wipe(void *a, size_t size);

#endif
