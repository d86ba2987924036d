/* SPDX-License-Identifier: MIT */
/*
 * cookie.c - proofs that are cheap to check, before a responder spends anything.
 *
 * mac1 shows that the sender knows whom it talks to; mac2 shows that it receives what is sent to
 * its address. The responder keeps nothing per sender: a cookie is a MAC over the sender's
 * endpoint under a secret that changes every COOKIE_LIFETIME. As a sender uses a cookie for as long
 * from when it got it, the secret before the present one is honoured too, but never one that is
 * older than twice the lifetime.
 *
 * A cookie holds for one source endpoint. When the same initiation went out on several paths,
 * the first answer to it is taken and the others are not, so the fastest path opens first.
 */
#include "warp/cookie.h"

#include <errno.h>
#include <string.h>

#include "warp/wire.h"

#define MACS_SIZE ((size_t)2 * MAC_SIZE)

/* HASH(label || public key)[0..32). */
static void derive_key(u8 ret[static KEY_SIZE], const char *label,
		       const u8 public_key[static KEY_SIZE])
{
	const struct hash_part parts[] = { { label, strlen(label) }, { public_key, KEY_SIZE } };
	u8 hash[HASH_SIZE];

	crypto_digest(hash, parts, ARRAY_SIZE(parts));
	memcpy(ret, hash, KEY_SIZE);
}

static void derive_keys(u8 mac1_key[static KEY_SIZE], u8 cookie_key[static KEY_SIZE],
			const u8 responder[static KEY_SIZE])
{
	derive_key(mac1_key, "warp mac1", responder);
	derive_key(cookie_key, "warp cookie", responder);
}

/* The times kept here, where 0 means never. */
static u64 kept_time(u64 now)
{
	return now ? now : 1;
}

/* --- the responder ----------------------------------------------------------------------- */

void cookie_checker_init(struct cookie_checker *c, const u8 public_key[static KEY_SIZE],
			 const struct random_source *random)
{
	memset(c, 0, sizeof(*c));
	derive_keys(c->mac1_key, c->seal_key, public_key);
	c->random = *random;
}

/* A new secret when the present one is past its life. */
static void renew_secret(struct cookie_checker *c, u64 now)
{
	u64 age = kept_time(now) - c->secret_made;

	if (c->secret_made && age < COOKIE_LIFETIME)
		return;
	if (c->secret_made && age < 2 * COOKIE_LIFETIME)
		memcpy(c->secret_before, c->secret, KEY_SIZE);
	else
		random_fill(&c->random, c->secret_before, KEY_SIZE);
	random_fill(&c->random, c->secret, KEY_SIZE);
	c->secret_made = kept_time(now);
}

static void make_cookie(u8 ret[static COOKIE_SIZE], const u8 secret[static KEY_SIZE],
			const struct endpoint *source)
{
	u8 bytes[1 + sizeof(source->address.bytes) + 2];

	bytes[0] = source->address.family;
	memcpy(bytes + 1, source->address.bytes, sizeof(source->address.bytes));
	put_u16(bytes + 1 + sizeof(source->address.bytes), source->port);
	crypto_mac(ret, secret, KEY_SIZE, bytes, sizeof(bytes));
}

/* Is mac2 of message that of a cookie made with secret for source? */
static bool mac2_matches(const u8 secret[static KEY_SIZE], const struct endpoint *source,
			 const u8 *message, size_t size)
{
	u8 cookie[COOKIE_SIZE], mac2[MAC_SIZE];

	make_cookie(cookie, secret, source);
	crypto_mac(mac2, cookie, sizeof(cookie), message, size - MAC_SIZE);
	return crypto_equal(mac2, message + size - MAC_SIZE, MAC_SIZE);
}

enum cookie_verdict cookie_check(struct cookie_checker *c, u64 now, const struct endpoint *source,
				 const u8 *message, size_t size)
{
	u8 mac1[MAC_SIZE];

	if (size < MACS_SIZE)
		return COOKIE_BAD_MAC1;
	crypto_mac(mac1, c->mac1_key, KEY_SIZE, message, size - MACS_SIZE);
	if (!crypto_equal(mac1, message + size - MACS_SIZE, MAC_SIZE))
		return COOKIE_BAD_MAC1;
	if (crypto_is_zero(message + size - MAC_SIZE, MAC_SIZE))
		return COOKIE_MAC1_ONLY;
	renew_secret(c, now);
	if (mac2_matches(c->secret, source, message, size) ||
	    mac2_matches(c->secret_before, source, message, size))
		return COOKIE_MAC2_VALID;
	return COOKIE_MAC1_ONLY;
}

void cookie_make(struct cookie_checker *c, u64 now, const struct endpoint *source,
		 const u8 *message, size_t size, u8 ret_nonce[static XNONCE_SIZE],
		 u8 ret_sealed[static COOKIE_SEALED_SIZE])
{
	u8 cookie[COOKIE_SIZE];

	renew_secret(c, now);
	make_cookie(cookie, c->secret, source);
	random_fill(&c->random, ret_nonce, XNONCE_SIZE);
	crypto_xseal(ret_sealed, cookie, sizeof(cookie), message + size - MACS_SIZE, MAC_SIZE,
		     ret_nonce, c->seal_key);
}

/* --- the sender -------------------------------------------------------------------------- */

void cookie_jar_init(struct cookie_jar *jar, const u8 remote_public_key[static KEY_SIZE])
{
	memset(jar, 0, sizeof(*jar));
	derive_keys(jar->mac1_key, jar->open_key, remote_public_key);
}

void cookie_stamp(struct cookie_jar *jar, u64 now, u8 *message, size_t size)
{
	u8 *mac1 = message + size - MACS_SIZE;
	u8 *mac2 = message + size - MAC_SIZE;

	crypto_mac(mac1, jar->mac1_key, KEY_SIZE, message, size - MACS_SIZE);
	memcpy(jar->last_mac1, mac1, MAC_SIZE);
	jar->has_last_mac1 = true;
	if (jar->cookie_got && kept_time(now) - jar->cookie_got < COOKIE_LIFETIME)
		crypto_mac(mac2, jar->cookie, COOKIE_SIZE, message, size - MAC_SIZE);
	else
		memset(mac2, 0, MAC_SIZE);
}

int cookie_take(struct cookie_jar *jar, u64 now, const u8 nonce[static XNONCE_SIZE],
		const u8 sealed[static COOKIE_SEALED_SIZE])
{
	u8 cookie[COOKIE_SIZE];

	if (!jar->has_last_mac1 || crypto_xopen(cookie, sealed, COOKIE_SEALED_SIZE, jar->last_mac1,
						MAC_SIZE, nonce, jar->open_key))
		return -EBADMSG;
	memcpy(jar->cookie, cookie, COOKIE_SIZE);
	jar->cookie_got = kept_time(now);
	jar->has_last_mac1 = false;
	return 0;
}
