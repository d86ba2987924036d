/* SPDX-License-Identifier: MIT */
/*
 * handshake.c - Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b.
 *
 * The functions are named as in the Noise specification (revision 34, section 5): what is said and
 * what is agreed is mixed into `hash` and `chaining_key`, and each agreement makes a new `key`. As
 * every key of this pattern seals exactly one thing, its nonce is always 0 and is not kept.
 *
 *   message 1   e                     MixHash, and MixKey as the pattern has a psk (section 9.2)
 *               es, s                 the initiator's static key, sealed
 *               ss, payload
 *   message 2   e                     as above
 *               ee, se, psk, payload
 *
 * Reading message 2 works on a copy, so that a forged one changes nothing.
 */
#include "warp/handshake.h"

#include <errno.h>
#include <string.h>

static const char protocol_name[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b";

_Static_assert(sizeof(protocol_name) - 1 <= HASH_SIZE, "the name would have to be hashed");

static void mix_hash(struct handshake *hs, const void *data, size_t size)
{
	const struct hash_part parts[] = { { hs->hash, HASH_SIZE }, { data, size } };

	crypto_digest(hs->hash, parts, ARRAY_SIZE(parts));
}

static void mix_key(struct handshake *hs, const void *input, size_t size)
{
	u8 temp[HASH_SIZE];

	crypto_hkdf(hs->chaining_key, input, size, hs->chaining_key, temp, NULL);
	memcpy(hs->key, temp, KEY_SIZE);
	crypto_wipe(temp, sizeof(temp));
}

static void mix_key_and_hash(struct handshake *hs, const u8 psk[static KEY_SIZE])
{
	u8 temp_hash[HASH_SIZE], temp_key[HASH_SIZE];

	crypto_hkdf(hs->chaining_key, psk, KEY_SIZE, hs->chaining_key, temp_hash, temp_key);
	mix_hash(hs, temp_hash, HASH_SIZE);
	memcpy(hs->key, temp_key, KEY_SIZE);
	crypto_wipe(temp_hash, sizeof(temp_hash));
	crypto_wipe(temp_key, sizeof(temp_key));
}

static int mix_dh(struct handshake *hs, const struct identity *own,
		  const u8 remote[static KEY_SIZE])
{
	u8 shared[KEY_SIZE];

	if (crypto_dh(shared, own->private_key, remote))
		return -EBADMSG;
	mix_key(hs, shared, sizeof(shared));
	crypto_wipe(shared, sizeof(shared));
	return 0;
}

/* The token "e" on either side. */
static void mix_ephemeral(struct handshake *hs, const u8 public_key[static KEY_SIZE])
{
	mix_hash(hs, public_key, KEY_SIZE);
	mix_key(hs, public_key, KEY_SIZE);
}

static void encrypt_and_hash(struct handshake *hs, const void *plain, size_t size, u8 *out)
{
	crypto_seal(out, plain, size, hs->hash, HASH_SIZE, 0, hs->key);
	mix_hash(hs, out, size + TAG_SIZE);
}

/* size is that of the ciphertext. */
static int decrypt_and_hash(struct handshake *hs, const u8 *in, size_t size, u8 *ret_plain)
{
	if (crypto_open(ret_plain, in, size, hs->hash, HASH_SIZE, 0, hs->key))
		return -EBADMSG;
	mix_hash(hs, in, size);
	return 0;
}

/* Up to and including the premessage "<- s". */
static void start(struct handshake *hs, const struct identity *self,
		  const u8 responder[static KEY_SIZE], const void *prologue, size_t prologue_size)
{
	hs->self = *self;
	memcpy(hs->hash, protocol_name, sizeof(protocol_name) - 1);
	memcpy(hs->chaining_key, hs->hash, HASH_SIZE);
	mix_hash(hs, prologue, prologue_size);
	mix_hash(hs, responder, KEY_SIZE);
}

void handshake_init_initiator(struct handshake *hs, const struct identity *self,
			      const u8 remote_static[static KEY_SIZE], const void *prologue,
			      size_t prologue_size)
{
	memset(hs, 0, sizeof(*hs));
	hs->initiator = true;
	memcpy(hs->remote_static, remote_static, KEY_SIZE);
	start(hs, self, remote_static, prologue, prologue_size);
}

void handshake_init_responder(struct handshake *hs, const struct identity *self,
			      const void *prologue, size_t prologue_size)
{
	memset(hs, 0, sizeof(*hs));
	start(hs, self, self->public_key, prologue, prologue_size);
}

/* Makes our ephemeral key pair and writes its public half. */
static void write_ephemeral(struct handshake *hs, const u8 private_key[static KEY_SIZE], u8 *out)
{
	identity_from_private(&hs->ephemeral, private_key);
	memcpy(out, hs->ephemeral.public_key, KEY_SIZE);
	mix_ephemeral(hs, hs->ephemeral.public_key);
}

static void read_ephemeral(struct handshake *hs, const u8 *in)
{
	memcpy(hs->remote_ephemeral, in, KEY_SIZE);
	mix_ephemeral(hs, hs->remote_ephemeral);
}

int handshake_write_1(struct handshake *hs, const u8 ephemeral_private[static KEY_SIZE],
		      const void *payload, size_t payload_size, u8 *out)
{
	write_ephemeral(hs, ephemeral_private, out);
	out += KEY_SIZE;
	if (mix_dh(hs, &hs->ephemeral, hs->remote_static)) /* es */
		return -EBADMSG;
	encrypt_and_hash(hs, hs->self.public_key, KEY_SIZE, out);
	out += KEY_SIZE + TAG_SIZE;
	if (mix_dh(hs, &hs->self, hs->remote_static)) /* ss */
		return -EBADMSG;
	encrypt_and_hash(hs, payload, payload_size, out);
	return 0;
}

int handshake_read_1(struct handshake *hs, const u8 *message, size_t size, u8 *ret_payload)
{
	if (size < NOISE_1_OVERHEAD)
		return -EBADMSG;
	read_ephemeral(hs, message);
	message += KEY_SIZE;
	if (mix_dh(hs, &hs->self, hs->remote_ephemeral)) /* es */
		return -EBADMSG;
	if (decrypt_and_hash(hs, message, KEY_SIZE + TAG_SIZE, hs->remote_static))
		return -EBADMSG;
	message += KEY_SIZE + TAG_SIZE;
	if (mix_dh(hs, &hs->self, hs->remote_static)) /* ss */
		return -EBADMSG;
	return decrypt_and_hash(hs, message, size - NOISE_1_OVERHEAD + TAG_SIZE, ret_payload);
}

int handshake_write_2(struct handshake *hs, const u8 ephemeral_private[static KEY_SIZE],
		      const u8 psk[static KEY_SIZE], const void *payload, size_t payload_size,
		      u8 *out)
{
	write_ephemeral(hs, ephemeral_private, out);
	if (mix_dh(hs, &hs->ephemeral, hs->remote_ephemeral)) /* ee */
		return -EBADMSG;
	if (mix_dh(hs, &hs->ephemeral, hs->remote_static)) /* se */
		return -EBADMSG;
	mix_key_and_hash(hs, psk);
	encrypt_and_hash(hs, payload, payload_size, out + KEY_SIZE);
	return 0;
}

/* As handshake_read_2(), but changes hs in any case. size was checked. */
static int read_2(struct handshake *hs, const u8 psk[static KEY_SIZE], const u8 *message,
		  size_t size, u8 *ret_payload)
{
	read_ephemeral(hs, message);
	if (mix_dh(hs, &hs->ephemeral, hs->remote_ephemeral)) /* ee */
		return -EBADMSG;
	if (mix_dh(hs, &hs->self, hs->remote_ephemeral)) /* se */
		return -EBADMSG;
	mix_key_and_hash(hs, psk);
	return decrypt_and_hash(hs, message + KEY_SIZE, size - KEY_SIZE, ret_payload);
}

int handshake_read_2(struct handshake *hs, const u8 psk[static KEY_SIZE], const u8 *message,
		     size_t size, u8 *ret_payload)
{
	struct handshake copy = *hs;
	int err;

	if (size < NOISE_2_OVERHEAD)
		return -EBADMSG;
	err = read_2(&copy, psk, message, size, ret_payload);
	if (!err)
		*hs = copy;
	crypto_wipe(&copy, sizeof(copy));
	return err;
}

void handshake_split(const struct handshake *hs, struct handshake_keys *ret)
{
	u8 from_initiator[HASH_SIZE], from_responder[HASH_SIZE];

	crypto_hkdf(hs->chaining_key, NULL, 0, from_initiator, from_responder, NULL);
	memcpy(ret->send, hs->initiator ? from_initiator : from_responder, KEY_SIZE);
	memcpy(ret->receive, hs->initiator ? from_responder : from_initiator, KEY_SIZE);
	memcpy(ret->hash, hs->hash, HASH_SIZE);
	crypto_wipe(from_initiator, sizeof(from_initiator));
	crypto_wipe(from_responder, sizeof(from_responder));
}
