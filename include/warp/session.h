/* SPDX-License-Identifier: MIT */
/*
 * session.h - the keys shared with one remote node for at most 180 s, the counter that numbers
 * what is sealed with them, and the window of what was opened.
 *
 * One session spans all paths: a datagram is sealed once, its copies are told apart by nothing,
 * and the receiver's window lets the first one through.
 */
#ifndef WARP_SESSION_H
#define WARP_SESSION_H

#include "warp/crypto.h"
#include "warp/drop.h"
#include "warp/handshake.h"
#include "warp/replay.h"

#define SESSION_REKEY_AFTER (120 * NS_PER_S)
#define SESSION_REJECT_AFTER (180 * NS_PER_S)
#define SESSION_REKEY_COUNTER (UINT64_C(1) << 48)
#define SESSION_LAST_COUNTER (UINT64_MAX - (UINT64_C(1) << 20))

struct session {
	u32 local_index;  /* remote writes it into every datagram; names this session here */
	u32 remote_index; /* what is written into ours */
	struct aead_key send, receive;
	u64 next_counter;
	u64 created;
	u64 number; /* grows from session to session */
	bool initiator;
	u32 life;  /* of the initiation that it answers, see struct wire_hello */
	u64 stamp; /* the same */
	struct replay replay;
};

/* A session with its replay window of replay_bits in one allocation. number, the indices,
 * `initiator` and what is told of the initiation are the caller's to set. 0, -ENOMEM, -EINVAL (cipher). */
int session_create(struct session **ret, const struct allocator *a,
		   const struct handshake_keys *keys, const struct aead_ops *ops,
		   enum cipher cipher, u32 replay_bits, u64 now);
/* Wipes keys. NULL is allowed. */
void session_destroy(struct session *s, const struct allocator *a);

/* Seals data[WIRE_HEADER_SIZE .. WIRE_HEADER_SIZE + size) in place: writes the transport header in
 * front and the tag behind, so the datagram is size + WIRE_HEADER_SIZE + TAG_SIZE bytes. 0, or
 * -EKEYEXPIRED: too old, or out of counters. */
int session_seal(struct session *s, u64 now, u8 *data, size_t size);

/* The copy test, before any cryptography: REPLAY_FRESH, _DUPLICATE, _TOO_OLD. */
enum replay_verdict session_check(const struct session *s, u64 counter);

/* Opens a whole datagram in place (header at data[0]) and commits its counter. DROP_NONE: the
 * plaintext is data[WIRE_HEADER_SIZE .. size - TAG_SIZE). Else the session has not changed, but
 * after DROP_BAD_AUTH the sealed part of data is gone. */
enum drop_reason session_open(struct session *s, u64 now, u8 *data, size_t size);

#endif
