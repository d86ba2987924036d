/* SPDX-License-Identifier: MIT */
/*
 * handshake.h - Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b (Noise revision 34), the bare pattern:
 *
 *   <- s
 *   -> e, es, s, ss, payload
 *   <- e, ee, se, psk, payload
 *
 * No indices, no mac1/mac2, no retransmission: those are `cookie` and `hub`. Ephemeral private
 * keys are given by the caller, so that test vectors can be reproduced. Payloads and messages must
 * not overlap.
 */
#ifndef WARP_HANDSHAKE_H
#define WARP_HANDSHAKE_H

#include "warp/crypto.h"

#define NOISE_1_OVERHEAD (KEY_SIZE + KEY_SIZE + TAG_SIZE + TAG_SIZE) /* e, s, payload tag */
#define NOISE_2_OVERHEAD (KEY_SIZE + TAG_SIZE)                       /* e, payload tag */

struct handshake {
	u8 hash[HASH_SIZE];
	u8 chaining_key[HASH_SIZE];
	u8 key[KEY_SIZE];
	struct identity self;
	struct identity ephemeral;
	u8 remote_static[KEY_SIZE];
	u8 remote_ephemeral[KEY_SIZE];
	bool initiator;
};

struct handshake_keys {
	u8 send[KEY_SIZE];
	u8 receive[KEY_SIZE];
	u8 hash[HASH_SIZE]; /* channel binding */
};

/* The initiator knows the responder's static key. */
void handshake_init_initiator(struct handshake *hs, const struct identity *self,
			      const u8 remote_static[static KEY_SIZE], const void *prologue,
			      size_t prologue_size);
void handshake_init_responder(struct handshake *hs, const struct identity *self,
			      const void *prologue, size_t prologue_size);

/* Message 1 into out (payload_size + NOISE_1_OVERHEAD bytes). -EBADMSG: a key is a low-order
 * point. */
int handshake_write_1(struct handshake *hs, const u8 ephemeral_private[static KEY_SIZE],
		      const void *payload, size_t payload_size, u8 *out);
/* Reads message 1 of size bytes; the payload (size - NOISE_1_OVERHEAD) goes to ret_payload;
 * afterwards hs->remote_static is the authenticated initiator. -EBADMSG: not authentic or too
 * short; hs is then of no further use. */
int handshake_read_1(struct handshake *hs, const u8 *message, size_t size, u8 *ret_payload);
/* Message 2 into out (payload_size + NOISE_2_OVERHEAD bytes). psk is all zero when there is none. */
int handshake_write_2(struct handshake *hs, const u8 ephemeral_private[static KEY_SIZE],
		      const u8 psk[static KEY_SIZE], const void *payload, size_t payload_size,
		      u8 *out);
/* -EBADMSG leaves hs as it was before, so that a forged answer does not spoil the true one. */
int handshake_read_2(struct handshake *hs, const u8 psk[static KEY_SIZE], const u8 *message,
		     size_t size, u8 *ret_payload);
/* The transport keys, once both messages are through. */
void handshake_split(const struct handshake *hs, struct handshake_keys *ret);

#endif
