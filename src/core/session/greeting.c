/* SPDX-License-Identifier: MIT */
/*
 * greeting.c - initiations, responses and cookies: from strangers to sessions.
 *
 * They are taken in three steps of rising cost: mac1 (a hash, stops those who do not know our key),
 * the cookie when there are many (stops spoofed sources), and only then Diffie-Hellman. With a cookie,
 * each address has a small share of as many handshakes again: those who flood from a few thousand
 * addresses of their own still leave something to others.
 */
#include "hub_internal.h"

#include <errno.h>
#include <string.h>

static struct answer *answer_slot(struct hub *hub, const u8 *mac1)
{
	return &hub->answers[get_u16(mac1) % ANSWERS];
}

/* A copy of an initiation that was answered a moment ago gets the same answer. */
static bool answer_again(struct hub *hub, u64 now, const u8 *mac1, struct hub_result *ret)
{
	const struct answer *answer = answer_slot(hub, mac1);
	const struct slot *slot;

	if (now >= answer->until || !crypto_equal(answer->mac1, mac1, MAC_SIZE))
		return false;
	slot = hub_slot(hub, answer->index);
	if (!slot)
		return false;
	ret->verdict = HUB_REPLY;
	ret->assoc = slot->assoc;
	memcpy(ret->reply, answer->reply, sizeof(answer->reply));
	ret->reply_size = sizeof(answer->reply);
	return true;
}

static void answer_remember(struct hub *hub, u64 now, const u8 *mac1, const struct hub_result *r)
{
	struct answer *answer = answer_slot(hub, mac1);

	memcpy(answer->mac1, mac1, MAC_SIZE);
	memcpy(answer->reply, r->reply, sizeof(answer->reply));
	answer->until = now + ANSWER_LIFETIME;
	answer->index = get_u32(r->reply + 4);
}

static void reply_cookie(struct hub *hub, u64 now, const struct endpoint *source, const u8 *data,
			 size_t size, struct hub_result *ret)
{
	u8 *reply = ret->reply;

	memset(reply, 0, WIRE_COOKIE_SIZE);
	reply[0] = WIRE_COOKIE;
	memcpy(reply + 4, data + 4, 4);
	cookie_make(&hub->checker, now, source, data, size, reply + 8, reply + 8 + XNONCE_SIZE);
	ret->verdict = HUB_REPLY;
	ret->reason = DROP_COOKIE_REQUIRED;
	ret->reply_size = WIRE_COOKIE_SIZE;
}

/* Whether an initiation deserves a Diffie-Hellman; if not, ret says what happens instead. */
static bool initiation_admitted(struct hub *hub, u64 now, const struct endpoint *source,
				const u8 *data, size_t size, struct hub_result *ret)
{
	enum cookie_verdict verdict = cookie_check(&hub->checker, now, source, data, size);

	if (verdict == COOKIE_BAD_MAC1) {
		hub_drop(ret, DROP_BAD_MAC);
		return false;
	}
	if (answer_again(hub, now, data + size - 2 * MAC_SIZE, ret))
		return false;
	if (ratelim_take(&hub->load, now))
		return true;
	if (verdict != COOKIE_MAC2_VALID) {
		reply_cookie(hub, now, source, data, size, ret);
		return false;
	}
	if (ratelim_table_take(&hub->sources, now, &source->address) &&
	    ratelim_table_take(&hub->networks, now, &source->address) &&
	    ratelim_take(&hub->proven, now))
		return true;
	hub_drop(ret, DROP_RATE_LIMITED);
	return false;
}

/* The best cipher that both ends offer; ChaCha20-Poly1305 is always there. */
static enum cipher choose_cipher(u8 ours, u8 theirs)
{
	if (ours & theirs & CIPHER_BIT(CIPHER_AES_256_GCM))
		return CIPHER_AES_256_GCM;
	return CIPHER_CHACHA20_POLY1305;
}

static int write_response(struct hub *hub, struct handshake *hs, struct assoc *assoc, u64 now,
			  u32 index, const u8 *initiation, enum cipher cipher, u8 *out)
{
	/* Its own: the next cookie is for our initiation, no response is ever answered by one. */
	struct cookie_jar jar;
	u8 ephemeral[KEY_SIZE], hello[WIRE_HELLO_SIZE];
	struct wire_hello h = { .version = WIRE_VERSION, .ciphers = CIPHER_BIT(cipher) };
	int r;

	wire_put_hello(hello, &h);
	random_fill(&hub->options.random, ephemeral, sizeof(ephemeral));
	private_key_clamp(ephemeral);
	memset(out, 0, WIRE_RESPONSE_SIZE);
	out[0] = WIRE_RESPONSE;
	put_u32(out + 4, index);
	memcpy(out + 8, initiation + 4, 4);
	r = handshake_write_2(hs, ephemeral, assoc->preshared_key, hello, sizeof(hello),
			      out + WIRE_RESPONSE_NOISE);
	crypto_wipe(ephemeral, sizeof(ephemeral));
	cookie_jar_init(&jar, assoc->remote_key);
	if (r == 0)
		cookie_stamp(&jar, now, out, WIRE_RESPONSE_SIZE);
	return r;
}

/* The session under a finished handshake, in the table under index. */
static int make_session(struct hub *hub, const struct handshake *hs, struct assoc *assoc,
			enum cipher cipher, u32 index, u32 remote_index, u64 now,
			struct session **ret)
{
	struct handshake_keys keys;
	struct session *session;
	int r;

	handshake_split(hs, &keys);
	r = session_create(&session, &hub->options.allocator, &keys, hub->options.aead, cipher,
			   hub->options.replay_bits, now);
	crypto_wipe(&keys, sizeof(keys));
	if (r < 0)
		return r;
	session->number = ++hub->sessions;
	session->local_index = index;
	session->remote_index = remote_index;
	session->initiator = hs->initiator;
	hub_slot(hub, index)->assoc = assoc;
	hub_index_set_session(hub, index, session);
	*ret = session;
	return 0;
}

/* Answers an authentic initiation: a pending session here, the response in ret. */
static int respond(struct hub *hub, u64 now, struct handshake *hs, struct assoc *assoc,
		   const struct wire_hello *hello, const u8 *initiation, struct hub_result *ret)
{
	enum cipher cipher = choose_cipher(hub->options.ciphers, hello->ciphers);
	struct session *session;
	u32 index;
	int r = hub_index_take(hub, assoc, &index);

	if (r < 0)
		return r;
	r = write_response(hub, hs, assoc, now, index, initiation, cipher, ret->reply);
	if (r == 0)
		r = make_session(hub, hs, assoc, cipher, index, get_u32(initiation + 4), now,
				 &session);
	if (r) {
		hub_index_release(hub, index);
		return r;
	}
	session->life = hello->life;
	session->stamp = hello->stamp;
	assoc_add_pending(hub, assoc, session);
	ret->verdict = HUB_REPLY;
	ret->assoc = assoc;
	ret->reply_size = WIRE_RESPONSE_SIZE;
	return 0;
}

void hub_receive_initiation(struct hub *hub, u64 now, const struct endpoint *source, const u8 *data,
			    size_t size, struct hub_result *ret)
{
	u8 hello_bytes[WIRE_HELLO_SIZE];
	struct wire_hello hello;
	struct handshake hs;
	struct assoc *assoc;

	if (size != WIRE_INITIATION_SIZE) {
		hub_drop(ret, DROP_MALFORMED);
		return;
	}
	if (!initiation_admitted(hub, now, source, data, size, ret))
		return;
	handshake_init_responder(&hs, &hub->options.identity, WIRE_PROLOGUE,
				 sizeof(WIRE_PROLOGUE) - 1);
	if (handshake_read_1(&hs, data + WIRE_INITIATION_NOISE,
			     size - WIRE_INITIATION_NOISE - 2 * MAC_SIZE, hello_bytes) < 0 ||
	    wire_get_hello(hello_bytes, &hello) < 0) {
		hub_drop(ret, DROP_BAD_AUTH);
	} else if (!(assoc = hub->options.lookup(hub->options.ctx, hs.remote_static))) {
		hub_drop(ret, DROP_UNKNOWN_PEER);
	} else if (assoc_answered(assoc, get_u32(data + 4), now)) {
		hub_drop(ret, DROP_RATE_LIMITED);
	} else if (respond(hub, now, &hs, assoc, &hello, data, ret) < 0) {
		hub_drop(ret, DROP_NO_BUFFER);
	} else {
		answer_remember(hub, now, data + size - 2 * MAC_SIZE, ret);
	}
	crypto_wipe(&hs, sizeof(hs));
}

/* The assoc whose initiation in flight has this index. */
static struct assoc *initiator_of(struct hub *hub, u32 index)
{
	const struct slot *slot = hub_slot(hub, index);

	if (!slot || slot->session || !slot->assoc->initiation ||
	    slot->assoc->initiation->index != index)
		return NULL;
	return slot->assoc;
}

static enum cipher cipher_from_bits(u8 bits, u8 offered)
{
	for (u32 c = CIPHER_NONE + 1; c < CIPHERS; c++) {
		if (bits == CIPHER_BIT(c) && (offered & bits))
			return (enum cipher)c;
	}
	return CIPHER_NONE;
}

/* Our initiation was answered: the session is complete, the initiation is over. */
static int complete(struct hub *hub, u64 now, struct assoc *assoc, const u8 *data, size_t size)
{
	struct initiation *in = assoc->initiation;
	struct handshake hs = in->handshake;
	u8 hello_bytes[WIRE_HELLO_SIZE];
	struct wire_hello hello;
	struct session *session;
	enum cipher cipher;
	int r = handshake_read_2(&hs, assoc->preshared_key, data + WIRE_RESPONSE_NOISE,
				 size - WIRE_RESPONSE_NOISE - 2 * MAC_SIZE, hello_bytes);

	if (r == 0)
		r = wire_get_hello(hello_bytes, &hello);
	if (r == 0) {
		cipher = cipher_from_bits(hello.ciphers, hub->options.ciphers);
		r = make_session(hub, &hs, assoc, cipher, in->index, get_u32(data + 4), now,
				 &session);
	}
	crypto_wipe(&hs, sizeof(hs));
	if (r)
		return r;
	in->index = 0; /* the session has it now */
	assoc_make_current(hub, assoc, session, now);
	return 0;
}

void hub_receive_response(struct hub *hub, u64 now, const struct endpoint *source, const u8 *data,
			  size_t size, struct hub_result *ret)
{
	struct assoc *assoc;

	if (size != WIRE_RESPONSE_SIZE) {
		hub_drop(ret, DROP_MALFORMED);
	} else if (cookie_check(&hub->checker, now, source, data, size) == COOKIE_BAD_MAC1) {
		hub_drop(ret, DROP_BAD_MAC);
	} else if (!(assoc = initiator_of(hub, get_u32(data + 8)))) {
		hub_drop(ret, DROP_UNKNOWN_INDEX);
	} else if (complete(hub, now, assoc, data, size) < 0) {
		hub_drop(ret, DROP_BAD_AUTH);
	} else {
		ret->verdict = HUB_ESTABLISHED;
		ret->assoc = assoc;
	}
}

/* Under load the responder wants to see that we are where we say: send again, with its cookie. */
void hub_receive_cookie(struct hub *hub, u64 now, const u8 *data, size_t size,
			struct hub_result *ret)
{
	struct assoc *assoc;

	ret->verdict = HUB_DROPPED;
	if (size != WIRE_COOKIE_SIZE) {
		ret->reason = DROP_MALFORMED;
	} else if (!(assoc = initiator_of(hub, get_u32(data + 4)))) {
		ret->reason = DROP_UNKNOWN_INDEX;
	} else if (cookie_take(assoc->jar, now, data + 8, data + 8 + XNONCE_SIZE) < 0) {
		ret->reason = DROP_BAD_AUTH;
	} else {
		assoc_stamp_initiation(assoc, now);
		assoc_kick(hub, assoc, now);
		ret->assoc = assoc;
	}
}
