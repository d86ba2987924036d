/* SPDX-License-Identifier: MIT */
/*
 * fuzz_session.c - session_open() against datagrams that are arbitrary, or true ones bent.
 *
 *   0  what to do: bit 0 chooses the cipher, bit 1 whether to send a true datagram
 *   1  how the true datagram is bent: offset u16, mask u8 (0: not at all)
 *   4  counter that the sender starts from, u8 power of two
 *   5  payload of the true datagram; or the arbitrary datagram
 *
 * Nothing but an unbent datagram opens, it opens once, and what does not open changes nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "warp/session.h"
#include "warp/wire.h"

#define INPUT_HEADER 5u
#define INPUT_MAX 2048u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void *heap_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return calloc(1, size);
}

static void heap_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	(void)size;
	free(ptr);
}

static const struct allocator heap = { heap_alloc, heap_free, NULL };

static struct session *make(u8 send, u8 receive, enum cipher cipher)
{
	const struct handshake_keys keys = { { send }, { receive }, { 0 } };
	struct session *s = NULL;

	require(session_create(&s, &heap, &keys, NULL, cipher, REPLAY_BITS_MAP, 0) == 0);
	s->local_index = s->remote_index = 0x01020304;
	return s;
}

/* Opens a copy of exactly its size; the window moves only when it opens. */
static enum drop_reason open_copy(struct session *s, const u8 *datagram, size_t size)
{
	u64 newest = s->replay.newest;
	u8 *copy = malloc(size ? size : 1);
	enum drop_reason reason;

	require(copy != NULL);
	if (size)
		memcpy(copy, datagram, size);
	reason = session_open(s, 0, copy, size);
	require(reason == DROP_NONE || s->replay.newest == newest);
	free(copy);
	return reason;
}

/* Seals the payload, bends the datagram as in says, opens it, then opens the unbent one twice. */
static void send_bent(struct session *from, struct session *to, const u8 *in, size_t size)
{
	u8 datagram[INPUT_MAX + WIRE_OVERHEAD];
	size_t full = size - INPUT_HEADER + WIRE_OVERHEAD;
	size_t at = get_u16(in + 1) % full;

	from->next_counter = in[4] < 63 ? UINT64_C(1) << in[4] : 0;
	memcpy(datagram + WIRE_HEADER_SIZE, in + INPUT_HEADER, size - INPUT_HEADER);
	require(session_seal(from, 0, datagram, size - INPUT_HEADER) == 0);
	datagram[at] ^= in[3];
	if (in[3])
		require(open_copy(to, datagram, full) != DROP_NONE);
	datagram[at] ^= in[3];
	require(open_copy(to, datagram, full) == DROP_NONE);
	require(open_copy(to, datagram, full) == DROP_DUPLICATE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum cipher cipher = CIPHER_CHACHA20_POLY1305;
	struct session *from, *to;

	if (size < INPUT_HEADER || size > INPUT_MAX || crypto_init())
		return 0;
	if (data[0] & 1 && crypto_ciphers() & CIPHER_BIT(CIPHER_AES_256_GCM))
		cipher = CIPHER_AES_256_GCM;
	from = make(1, 2, cipher);
	to = make(2, 1, cipher);
	if (data[0] & 2)
		send_bent(from, to, data, size);
	else
		require(open_copy(to, data + INPUT_HEADER, size - INPUT_HEADER) != DROP_NONE);
	session_destroy(from, &heap);
	session_destroy(to, &heap);
	return 0;
}
