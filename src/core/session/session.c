/* SPDX-License-Identifier: MIT */
/*
 * session.c - sealing and opening transport datagrams.
 *
 * Opening goes in one order: what costs nothing (form, index, age), then the window, which drops
 * the copies that other paths brought before any of them is decrypted, then the tag; only what
 * is authentic is committed to the window.
 *
 * The session and its window are one allocation; the key expansions are the ciphers' own.
 */
#include "warp/session.h"

#include <errno.h>
#include <string.h>

#include "warp/wire.h"

static size_t session_size(u32 replay_bits)
{
	return sizeof(struct session) + replay_size(replay_bits);
}

int session_create(struct session **ret, const struct allocator *a,
		   const struct handshake_keys *keys, const struct aead_ops *ops,
		   enum cipher cipher, u32 replay_bits, u64 now)
{
	struct session *s = mem_alloc(a, session_size(replay_bits));
	int err;

	if (!s)
		return -ENOMEM;
	s->created = now;
	replay_init(&s->replay, (u64 *)(void *)(s + 1), replay_bits);
	err = aead_key_init(&s->send, ops, cipher, keys->send, a);
	if (err)
		goto cleanup;
	err = aead_key_init(&s->receive, ops, cipher, keys->receive, a);
	if (err)
		goto cleanup;
	*ret = s;
	return 0;

cleanup:
	session_destroy(s, a);
	return err;
}

void session_destroy(struct session *s, const struct allocator *a)
{
	u32 replay_bits;

	if (!s)
		return;
	replay_bits = s->replay.bits;
	aead_key_clear(&s->send, a);
	aead_key_clear(&s->receive, a);
	crypto_wipe(s, sizeof(*s));
	mem_free(a, s, session_size(replay_bits));
}

static bool is_expired(const struct session *s, u64 now)
{
	return now - s->created >= SESSION_REJECT_AFTER;
}

int session_seal(struct session *s, u64 now, u8 *data, size_t size)
{
	const struct wire_transport header = { s->remote_index, s->next_counter };

	if (is_expired(s, now) || s->next_counter > SESSION_LAST_COUNTER)
		return -EKEYEXPIRED;
	s->next_counter++;
	wire_put_transport(data, &header);
	aead_seal(&s->send, header.counter, data, WIRE_HEADER_SIZE, data + WIRE_HEADER_SIZE, size);
	return 0;
}

enum replay_verdict session_check(const struct session *s, u64 counter)
{
	return replay_check(&s->replay, counter);
}

/* Everything that can be said of a datagram before its tag is checked. */
static enum drop_reason judge(const struct session *s, u64 now, const struct wire_transport *header)
{
	if (header->receiver != s->local_index)
		return DROP_UNKNOWN_INDEX;
	if (is_expired(s, now) || header->counter > SESSION_LAST_COUNTER)
		return DROP_EXPIRED_SESSION;
	switch (replay_check(&s->replay, header->counter)) {
	case REPLAY_DUPLICATE:
		return DROP_DUPLICATE;
	case REPLAY_TOO_OLD:
		return DROP_TOO_OLD;
	case REPLAY_FRESH:
		break;
	}
	return DROP_NONE;
}

enum drop_reason session_open(struct session *s, u64 now, u8 *data, size_t size)
{
	struct wire_transport header;
	enum drop_reason reason;

	if (wire_get_transport(data, size, &header))
		return DROP_MALFORMED;
	reason = judge(s, now, &header);
	if (reason)
		return reason;
	if (aead_open(&s->receive, header.counter, data, WIRE_HEADER_SIZE, data + WIRE_HEADER_SIZE,
		      size - WIRE_OVERHEAD))
		return DROP_BAD_AUTH;
	replay_commit(&s->replay, header.counter);
	return DROP_NONE;
}
