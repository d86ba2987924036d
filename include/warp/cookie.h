/* SPDX-License-Identifier: MIT */
/*
 * cookie.h - mac1, mac2 and the cookie reply: what a handshake message must carry before a
 * responder spends a Diffie-Hellman on it (after the WireGuard paper, section 5.4.7, with
 * BLAKE2b).
 *
 *   mac1 = MAC(HASH("warp mac1" || responder's public key)[0..32), message up to mac1)
 *   mac2 = MAC(cookie, message up to mac2), zero without a cookie
 *   cookie = MAC(secret of the responder, changed every 120 s, source address and port)
 *   cookie reply carries XAEAD(HASH("warp cookie" || responder's public key)[0..32), nonce,
 *   cookie, ad = mac1 of the message that it answers)
 *
 * mac1 and mac2 are the last 2 x MAC_SIZE bytes of a handshake message.
 */
#ifndef WARP_COOKIE_H
#define WARP_COOKIE_H

#include "warp/crypto.h"
#include "warp/endpoint.h"

#define COOKIE_SIZE MAC_SIZE
#define COOKIE_LIFETIME (120 * NS_PER_S)
#define COOKIE_SEALED_SIZE (COOKIE_SIZE + TAG_SIZE)

/* The responder's side. */
struct cookie_checker {
	u8 mac1_key[KEY_SIZE];
	u8 seal_key[KEY_SIZE];
	u8 secret[KEY_SIZE], secret_before[KEY_SIZE];
	u64 secret_made; /* 0: never */
	struct random_source random;
};

enum cookie_verdict { COOKIE_BAD_MAC1, COOKIE_MAC1_ONLY, COOKIE_MAC2_VALID };

void cookie_checker_init(struct cookie_checker *c, const u8 public_key[static KEY_SIZE],
			 const struct random_source *random);
enum cookie_verdict cookie_check(struct cookie_checker *c, u64 now, const struct endpoint *source,
				 const u8 *message, size_t size);
/* The body of a cookie reply to message, whose mac1 was found good: nonce and sealed cookie. */
void cookie_make(struct cookie_checker *c, u64 now, const struct endpoint *source,
		 const u8 *message, size_t size, u8 ret_nonce[static XNONCE_SIZE],
		 u8 ret_sealed[static COOKIE_SEALED_SIZE]);

/* The sender's side, one a remote node. */
struct cookie_jar {
	u8 mac1_key[KEY_SIZE];
	u8 open_key[KEY_SIZE];
	u8 cookie[COOKIE_SIZE];
	u64 cookie_got; /* 0: none */
	u8 last_mac1[MAC_SIZE];
	bool has_last_mac1;
};

void cookie_jar_init(struct cookie_jar *jar, const u8 remote_public_key[static KEY_SIZE]);
/* Fills mac1 and mac2, the last 32 bytes of message, and remembers mac1. */
void cookie_stamp(struct cookie_jar *jar, u64 now, u8 *message, size_t size);
/* Takes a cookie reply. -EBADMSG: not authentic, or not the first answer to what was stamped last. */
int cookie_take(struct cookie_jar *jar, u64 now, const u8 nonce[static XNONCE_SIZE],
		const u8 sealed[static COOKIE_SEALED_SIZE]);

#endif
