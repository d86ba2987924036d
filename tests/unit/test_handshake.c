/* SPDX-License-Identifier: MIT */
/*
 * test_handshake.c - the Noise handshake against published vectors, against an independent
 * implementation (noise_kat.py), and against those who bend its messages.
 *
 * The published vectors (cacophony's, as JSON) are not part of the repository: they are read from
 * $WARP_NOISE_VECTORS, else ../shared/vectors/noise-ik-blake2b.json beside the repository.
 */
#include "harness.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "warp/handshake.h"

#define VECTORS "../shared/vectors/noise-ik-blake2b.json"
#define PROTOCOL "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"
#define KAT "tests/unit/noise_kat.py"
#define KAT_MISSING 77 /* no pyca/cryptography */
#define PYTHON_MISSING 127
#define MESSAGE_MAX 16384u

static int set_up(void **state)
{
	(void)state;
	return crypto_init();
}

static void skip_because(const char *why)
{
	print_message("skipped: %s\n", why);
	skip();
}

/* --- a handshake in both directions ------------------------------------------------------- */

struct pair {
	struct handshake initiator, responder;
	struct handshake_keys initiator_keys, responder_keys;
	u8 initiator_ephemeral[KEY_SIZE], responder_ephemeral[KEY_SIZE];
	u8 psk[KEY_SIZE];
};

static void make_identity(struct identity *ret, struct test_random *r)
{
	struct random_source source = test_random_source(r);
	u8 key[KEY_SIZE];

	random_fill(&source, key, sizeof(key));
	identity_from_private(ret, key);
}

static void make_pair(struct pair *p)
{
	struct test_random r = { 1 };
	struct random_source source = test_random_source(&r);
	struct identity initiator, responder;

	make_identity(&initiator, &r);
	make_identity(&responder, &r);
	random_fill(&source, p->initiator_ephemeral, KEY_SIZE);
	random_fill(&source, p->responder_ephemeral, KEY_SIZE);
	random_fill(&source, p->psk, KEY_SIZE);
	handshake_init_initiator(&p->initiator, &initiator, responder.public_key, "test", 4);
	handshake_init_responder(&p->responder, &responder, "test", 4);
}

/* Lets both sides say "hello"; the messages are left in m1 and m2. */
#define M1_SIZE (NOISE_1_OVERHEAD + 5u)
#define M2_SIZE (NOISE_2_OVERHEAD + 5u)

static void first_message(struct pair *p, u8 m1[static M1_SIZE])
{
	u8 payload[5];

	assert_int_equal(handshake_write_1(&p->initiator, p->initiator_ephemeral, "hello", 5, m1),
			 0);
	assert_int_equal(handshake_read_1(&p->responder, m1, M1_SIZE, payload), 0);
	assert_memory_equal(payload, "hello", 5);
}

static void second_message(struct pair *p, u8 m2[static M2_SIZE])
{
	assert_int_equal(handshake_write_2(&p->responder, p->responder_ephemeral, p->psk, "hello",
					   5, m2),
			 0);
}

static void assert_keys_agree(struct pair *p)
{
	handshake_split(&p->initiator, &p->initiator_keys);
	handshake_split(&p->responder, &p->responder_keys);
	assert_memory_equal(p->initiator_keys.send, p->responder_keys.receive, KEY_SIZE);
	assert_memory_equal(p->initiator_keys.receive, p->responder_keys.send, KEY_SIZE);
	assert_memory_equal(p->initiator_keys.hash, p->responder_keys.hash, HASH_SIZE);
	assert_memory_not_equal(p->initiator_keys.send, p->initiator_keys.receive, KEY_SIZE);
}

static void both_sides_get_the_same_keys_and_know_each_other(void **state)
{
	struct pair p;
	u8 m1[M1_SIZE], m2[M2_SIZE], payload[5];

	(void)state;
	make_pair(&p);
	first_message(&p, m1);
	assert_memory_equal(p.responder.remote_static, p.initiator.self.public_key, KEY_SIZE);
	second_message(&p, m2);
	assert_int_equal(handshake_read_2(&p.initiator, p.psk, m2, sizeof(m2), payload), 0);
	assert_memory_equal(payload, "hello", 5);
	assert_keys_agree(&p);
}

static void any_bit_flipped_in_message_1_is_noticed(void **state)
{
	struct pair p;
	struct handshake fresh;
	u8 m1[M1_SIZE], payload[5];

	(void)state;
	make_pair(&p);
	fresh = p.responder;
	first_message(&p, m1);
	for (size_t i = 0; i < sizeof(m1); i++) {
		/* The top bit of an X25519 public key has no meaning, but it is hashed. */
		u8 bit = (u8)(1u << (i == KEY_SIZE - 1 ? 7 : i % 8));

		p.responder = fresh;
		m1[i] ^= bit;
		assert_int_equal(handshake_read_1(&p.responder, m1, sizeof(m1), payload), -EBADMSG);
		m1[i] ^= bit;
	}
}

static void a_forged_message_2_does_not_spoil_the_true_one(void **state)
{
	struct pair p;
	struct handshake before;
	u8 m1[M1_SIZE], m2[M2_SIZE], payload[5];

	(void)state;
	make_pair(&p);
	first_message(&p, m1);
	second_message(&p, m2);
	before = p.initiator;
	for (size_t i = 0; i < sizeof(m2); i++) {
		m2[i] ^= 0x10;
		assert_int_equal(handshake_read_2(&p.initiator, p.psk, m2, sizeof(m2), payload),
				 -EBADMSG);
		assert_memory_equal(&p.initiator, &before, sizeof(before));
		m2[i] ^= 0x10;
	}
	assert_int_equal(handshake_read_2(&p.initiator, p.psk, m2, sizeof(m2), payload), 0);
	assert_keys_agree(&p);
}

static void messages_that_are_cut_short_are_refused(void **state)
{
	struct pair p;
	struct handshake fresh;
	u8 m1[M1_SIZE], m2[M2_SIZE], payload[5];

	(void)state;
	make_pair(&p);
	fresh = p.responder;
	first_message(&p, m1);
	second_message(&p, m2);
	for (size_t size = 0; size < sizeof(m1); size++) {
		struct handshake responder = fresh;

		assert_int_equal(handshake_read_1(&responder, m1, size, payload), -EBADMSG);
	}
	for (size_t size = 0; size < sizeof(m2); size++)
		assert_int_equal(handshake_read_2(&p.initiator, p.psk, m2, size, payload),
				 -EBADMSG);
}

static void a_different_preshared_key_on_one_side_ends_the_handshake(void **state)
{
	struct pair p;
	u8 m1[M1_SIZE], m2[M2_SIZE], payload[5], other[KEY_SIZE];

	(void)state;
	make_pair(&p);
	first_message(&p, m1);
	second_message(&p, m2);
	memcpy(other, p.psk, KEY_SIZE);
	other[0] ^= 1;
	assert_int_equal(handshake_read_2(&p.initiator, other, m2, sizeof(m2), payload), -EBADMSG);
	memset(other, 0, KEY_SIZE);
	assert_int_equal(handshake_read_2(&p.initiator, other, m2, sizeof(m2), payload), -EBADMSG);
}

static void a_different_prologue_ends_the_handshake(void **state)
{
	struct pair p;
	u8 m1[M1_SIZE], payload[5];

	(void)state;
	make_pair(&p);
	handshake_init_responder(&p.responder, &p.responder.self, "tesT", 4);
	assert_int_equal(handshake_write_1(&p.initiator, p.initiator_ephemeral, "hello", 5, m1), 0);
	assert_int_equal(handshake_read_1(&p.responder, m1, sizeof(m1), payload), -EBADMSG);
}

static void somebody_else_cannot_read_message_1_nor_answer_it(void **state)
{
	struct pair p;
	struct test_random r = { 99 };
	struct identity stranger;
	struct handshake other;
	u8 m1[M1_SIZE], m2[M2_SIZE], payload[5];

	(void)state;
	make_pair(&p);
	first_message(&p, m1);
	make_identity(&stranger, &r);
	handshake_init_responder(&other, &stranger, "test", 4);
	assert_int_equal(handshake_read_1(&other, m1, sizeof(m1), payload), -EBADMSG);
	other = p.responder; /* has all that was said, but not the responder's private key */
	other.self = stranger;
	memcpy(other.remote_static, stranger.public_key, KEY_SIZE);
	assert_int_equal(handshake_write_2(&other, p.responder_ephemeral, p.psk, "hello", 5, m2),
			 0);
	assert_int_equal(handshake_read_2(&p.initiator, p.psk, m2, sizeof(m2), payload), -EBADMSG);
}

static void low_order_keys_are_refused_by_either_side(void **state)
{
	struct pair p;
	struct identity self;
	u8 m1[M1_SIZE], m2[M2_SIZE] = { 0 }, payload[5];
	const u8 zero[KEY_SIZE] = { 0 };

	(void)state;
	make_pair(&p);
	self = p.initiator.self;
	first_message(&p, m1);
	assert_int_equal(handshake_read_2(&p.initiator, p.psk, m2, sizeof(m2), payload), -EBADMSG);
	memset(m1, 0, KEY_SIZE);
	make_pair(&p);
	assert_int_equal(handshake_read_1(&p.responder, m1, sizeof(m1), payload), -EBADMSG);
	handshake_init_initiator(&p.initiator, &self, zero, "test", 4);
	assert_int_equal(handshake_write_1(&p.initiator, p.initiator_ephemeral, "hello", 5, m1),
			 -EBADMSG);
}

/* --- known answers ----------------------------------------------------------------------- */

/* The hex string called name in object, as bytes. */
static size_t field(const json_t *object, const char *name, u8 *ret, size_t cap)
{
	const char *text = json_string_value(json_object_get(object, name));

	if (!text)
		fail_msg("there is no \"%s\"", name);
	return test_hex(ret, cap, text);
}

static void key_field(const json_t *object, const char *name, u8 ret[static KEY_SIZE])
{
	assert_int_equal(field(object, name, ret, KEY_SIZE), KEY_SIZE);
}

static void set_up_pair(struct pair *p, const json_t *v, const char *prologue_name)
{
	u8 prologue[64], key[KEY_SIZE];
	size_t prologue_size = field(v, prologue_name, prologue, sizeof(prologue));
	struct identity initiator, responder;

	key_field(v, "init_static", key);
	identity_from_private(&initiator, key);
	key_field(v, "resp_static", key);
	identity_from_private(&responder, key);
	key_field(v, "init_ephemeral", p->initiator_ephemeral);
	key_field(v, "resp_ephemeral", p->responder_ephemeral);
	handshake_init_initiator(&p->initiator, &initiator, responder.public_key, prologue,
				 prologue_size);
	handshake_init_responder(&p->responder, &responder, prologue, prologue_size);
}

struct message {
	u8 payload[MESSAGE_MAX], ciphertext[MESSAGE_MAX];
	size_t payload_size, ciphertext_size;
};

static void get_message(const json_t *v, size_t number, struct message *ret)
{
	const json_t *m = json_array_get(json_object_get(v, "messages"), number);

	ret->payload_size = field(m, "payload", ret->payload, MESSAGE_MAX);
	ret->ciphertext_size = field(m, "ciphertext", ret->ciphertext, MESSAGE_MAX);
}

static void check_handshake(struct pair *p, const struct message *one, const struct message *two)
{
	static u8 out[MESSAGE_MAX], payload[MESSAGE_MAX];

	assert_int_equal(one->ciphertext_size, one->payload_size + NOISE_1_OVERHEAD);
	assert_int_equal(handshake_write_1(&p->initiator, p->initiator_ephemeral, one->payload,
					   one->payload_size, out),
			 0);
	assert_memory_equal(out, one->ciphertext, one->ciphertext_size);
	assert_int_equal(handshake_read_1(&p->responder, out, one->ciphertext_size, payload), 0);
	assert_memory_equal(payload, one->payload, one->payload_size);

	assert_int_equal(two->ciphertext_size, two->payload_size + NOISE_2_OVERHEAD);
	assert_int_equal(handshake_write_2(&p->responder, p->responder_ephemeral, p->psk,
					   two->payload, two->payload_size, out),
			 0);
	assert_memory_equal(out, two->ciphertext, two->ciphertext_size);
	assert_int_equal(handshake_read_2(&p->initiator, p->psk, out, two->ciphertext_size,
					  payload),
			 0);
	assert_memory_equal(payload, two->payload, two->payload_size);
}

/* The messages after the handshake go to and fro, each direction with its own counter. */
static void check_transport(const struct pair *p, const json_t *v)
{
	static struct message m;
	static u8 out[MESSAGE_MAX];
	size_t count = json_array_size(json_object_get(v, "messages"));

	assert_true(count > 2);
	for (size_t i = 2; i < count; i++) {
		bool back = i % 2;
		const struct handshake_keys *from = back ? &p->responder_keys : &p->initiator_keys;
		const struct handshake_keys *to = back ? &p->initiator_keys : &p->responder_keys;
		u64 nonce = i / 2 - 1;

		get_message(v, i, &m);
		assert_int_equal(m.ciphertext_size, m.payload_size + TAG_SIZE);
		crypto_seal(out, m.payload, m.payload_size, NULL, 0, nonce, from->send);
		assert_memory_equal(out, m.ciphertext, m.ciphertext_size);
		assert_int_equal(crypto_open(out, out, m.ciphertext_size, NULL, 0, nonce,
					     to->receive),
				 0);
		assert_memory_equal(out, m.payload, m.payload_size);
	}
}

/* p has its keys and its psk; v says what must come of it. */
static void check_vector(struct pair *p, const json_t *v)
{
	static struct message one, two;
	u8 hash[HASH_SIZE];

	get_message(v, 0, &one);
	get_message(v, 1, &two);
	check_handshake(p, &one, &two);
	assert_keys_agree(p);
	assert_int_equal(field(v, "handshake_hash", hash, sizeof(hash)), HASH_SIZE);
	assert_memory_equal(p->initiator_keys.hash, hash, HASH_SIZE);
	check_transport(p, v);
}

static void check_published_vector(const json_t *v)
{
	const char *psk = json_string_value(json_array_get(json_object_get(v, "init_psks"), 0));
	u8 responder[KEY_SIZE];
	struct pair p;

	set_up_pair(&p, v, "init_prologue");
	key_field(v, "init_remote_static", responder);
	assert_memory_equal(p.responder.self.public_key, responder, KEY_SIZE);
	assert_non_null(psk);
	assert_int_equal(test_hex(p.psk, KEY_SIZE, psk), KEY_SIZE);
	check_vector(&p, v);
}

static void the_published_ikpsk2_vectors_are_reproduced(void **state)
{
	const char *path = getenv("WARP_NOISE_VECTORS");
	json_error_t error;
	json_t *root, *vectors;
	size_t checked = 0;

	(void)state;
	root = json_load_file(path ? path : VECTORS, 0, &error);
	if (!root && json_error_code(&error) == json_error_cannot_open_file)
		skip_because("no vectors at $WARP_NOISE_VECTORS or " VECTORS);
	if (!root)
		fail_msg("%s:%d: %s", error.source, error.line, error.text);
	vectors = json_object_get(root, "vectors");
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const json_t *v = json_array_get(vectors, i);
		const char *name = json_string_value(json_object_get(v, "protocol_name"));

		if (!name || strcmp(name, PROTOCOL) != 0)
			continue;
		check_published_vector(v);
		checked++;
	}
	assert_true(checked > 0);
	json_decref(root);
}

/* What noise_kat.py prints when run by command, or NULL; its exit status either way. */
static json_t *run_kat(const char *command, int *ret_status)
{
	FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): a fixed command */
	json_t *root;

	assert_non_null(pipe);
	root = json_loadf(pipe, 0, NULL);
	*ret_status = pclose(pipe);
	*ret_status = WIFEXITED(*ret_status) ? WEXITSTATUS(*ret_status) : -1;
	return root;
}

/* The independent implementation's answers; skips the test when nothing here can compute them. */
static json_t *known_answers(void)
{
	int status;
	json_t *root = run_kat("/usr/bin/env python3 " KAT, &status);

	if (status == KAT_MISSING || status == PYTHON_MISSING) {
		json_decref(root);
		root = run_kat("/usr/bin/python3 " KAT, &status);
	}
	if (status == KAT_MISSING || status == PYTHON_MISSING)
		skip_because("noise_kat.py needs python3-cryptography");
	assert_int_equal(status, 0);
	assert_non_null(root);
	return root;
}

static void an_independent_implementation_gives_the_same_handshakes(void **state)
{
	json_t *root = known_answers();
	json_t *cases = json_object_get(root, "noise");
	struct pair p;

	(void)state;
	assert_true(json_array_size(cases) >= 4);
	for (size_t i = 0; i < json_array_size(cases); i++) {
		const json_t *v = json_array_get(cases, i);

		set_up_pair(&p, v, "prologue");
		key_field(v, "psk", p.psk);
		check_vector(&p, v);
	}
	json_decref(root);
}

static void check_hkdf(const json_t *v)
{
	static u8 input[MESSAGE_MAX];
	u8 chain[HASH_SIZE], out[3][HASH_SIZE];
	size_t size = field(v, "input", input, sizeof(input));

	assert_int_equal(field(v, "chaining_key", chain, sizeof(chain)), HASH_SIZE);
	crypto_hkdf(chain, input, size, out[0], out[1], out[2]);
	for (size_t i = 0; i < 3; i++)
		assert_hex(out[i], HASH_SIZE,
			   json_string_value(json_array_get(json_object_get(v, "outputs"), i)));
}

static void an_independent_implementation_gives_the_same_hkdf(void **state)
{
	json_t *root = known_answers();
	json_t *cases = json_object_get(root, "hkdf");

	(void)state;
	assert_true(json_array_size(cases) >= 4);
	for (size_t i = 0; i < json_array_size(cases); i++)
		check_hkdf(json_array_get(cases, i));
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_get_the_same_keys_and_know_each_other),
		cmocka_unit_test(any_bit_flipped_in_message_1_is_noticed),
		cmocka_unit_test(a_forged_message_2_does_not_spoil_the_true_one),
		cmocka_unit_test(messages_that_are_cut_short_are_refused),
		cmocka_unit_test(a_different_preshared_key_on_one_side_ends_the_handshake),
		cmocka_unit_test(a_different_prologue_ends_the_handshake),
		cmocka_unit_test(somebody_else_cannot_read_message_1_nor_answer_it),
		cmocka_unit_test(low_order_keys_are_refused_by_either_side),
		cmocka_unit_test(the_published_ikpsk2_vectors_are_reproduced),
		cmocka_unit_test(an_independent_implementation_gives_the_same_handshakes),
		cmocka_unit_test(an_independent_implementation_gives_the_same_hkdf),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
