/* SPDX-License-Identifier: MIT */
/*
 * test_wire.c - every layout byte by byte, in both directions; every truncation; random bytes.
 *
 * What is decoded lies in memory of exactly its size, so that a sanitizer sees any byte too many.
 */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/wire.h"

#define FRAME_MAX 2048u

/* --- datagrams --------------------------------------------------------------------------- */

static void a_transport_header_is_kind_receiver_counter(void **state)
{
	const struct wire_transport h = { 0x01020304, UINT64_C(0x1112131415161718) };
	struct wire_transport got = { 0 };
	u8 p[WIRE_OVERHEAD] = { 0 };

	(void)state;
	wire_put_transport(p, &h);
	assert_hex(p, WIRE_HEADER_SIZE, "c4000000 01020304 1112131415161718");
	assert_int_equal(wire_get_transport(p, sizeof(p), &got), 0);
	assert_int_equal(got.receiver, h.receiver);
	assert_int_equal(got.counter, h.counter);
}

static void what_is_short_or_of_another_kind_or_flagged_is_no_transport_datagram(void **state)
{
	struct wire_transport got = { 7, 7 };
	u8 p[WIRE_OVERHEAD] = { 0 };

	(void)state;
	wire_put_transport(p, &(struct wire_transport){ 1, 2 });
	for (size_t size = 0; size < sizeof(p); size++)
		assert_int_equal(wire_get_transport(p, size, &got), -EBADMSG);
	for (unsigned i = 0; i < 4; i++) {
		p[i] ^= 1;
		assert_int_equal(wire_get_transport(p, sizeof(p), &got), -EBADMSG);
		p[i] ^= 1;
	}
	assert_int_equal(got.receiver, 7);
	assert_int_equal(got.counter, 7);
}

static void a_hello_is_version_ciphers_flags_life_and_stamp(void **state)
{
	const struct wire_hello h = { WIRE_VERSION, 0x06, 0x8001, 0x11223344, 0x0102030405060708 };
	struct wire_hello got;
	u8 p[WIRE_HELLO_SIZE];

	(void)state;
	memset(p, 0xff, sizeof(p));
	wire_put_hello(p, &h);
	assert_hex(p, sizeof(p), "01 06 8001 11223344 0102030405060708");
	assert_int_equal(wire_get_hello(p, &got), 0);
	assert_int_equal(got.version, WIRE_VERSION);
	assert_int_equal(got.ciphers, 0x06);
	assert_int_equal(got.flags, 0x8001);
	assert_int_equal(got.life, 0x11223344);
	assert_int_equal(got.stamp, 0x0102030405060708);
}

static void a_hello_of_another_version_is_refused(void **state)
{
	struct wire_hello got = { 7, 7, 7, 7, 7 };
	u8 p[WIRE_HELLO_SIZE] = { 0 };

	(void)state;
	assert_int_equal(wire_get_hello(p, &got), -EBADMSG);
	p[0] = WIRE_VERSION + 1;
	assert_int_equal(wire_get_hello(p, &got), -EBADMSG);
	assert_int_equal(got.version, 7);
}

static void handshake_datagrams_have_the_sizes_that_are_drawn(void **state)
{
	(void)state;
	assert_int_equal(WIRE_INITIATION_SIZE, 152);
	assert_int_equal(WIRE_RESPONSE_SIZE, 108);
	assert_int_equal(WIRE_COOKIE_SIZE, 64);
}

static void a_payload_of_1400_bytes_costs_at_most_40_more(void **state)
{
	(void)state;
	assert_true(WIRE_OVERHEAD + FRAME_PAYLOAD_HEADER <= 40);
}

static void an_endpoint_takes_1_7_or_19_bytes(void **state)
{
	struct endpoint none = { 0 };
	struct endpoint four = test_endpoint("192.0.2.1", 1);
	struct endpoint six = test_endpoint("2001:db8::1", 1);

	(void)state;
	assert_int_equal(wire_endpoint_size(&none), 1);
	assert_int_equal(wire_endpoint_size(&four), 7);
	assert_int_equal(wire_endpoint_size(&six), 19);
}

static void a_return_is_known_by_its_bytes(void **state)
{
	u8 p[WIRE_RETURN_SIZE];
	u64 nonce = 0;

	(void)state;
	wire_put_return(p, UINT64_C(0x0102030405060708));
	assert_hex(p, sizeof(p), "c5 000000 0102030405060708");
	assert_true(wire_get_return(p, sizeof(p), &nonce));
	assert_true(nonce == UINT64_C(0x0102030405060708));
	assert_false(wire_get_return(p, sizeof(p) - 1, &nonce));
	p[1] = 1;
	assert_false(wire_get_return(p, sizeof(p), &nonce));
}

/* --- one example a frame type ------------------------------------------------------------ */

#define FOUR                                                                                       \
	{                                                                                          \
		{ 4, { 192, 0, 2, 1 } }, 0x1234                                                    \
	}
#define FOUR_HEX "04 1234 c0000201"
#define SIX                                                                                        \
	{                                                                                          \
		{ 6, { 0x20, 1, 0x0d, 0xb8, [15] = 1 } }, 0xabcd                                   \
	}
#define SIX_HEX "06 abcd 20010db8000000000000000000000001"
#define KEY_1 "0101010101010101010101010101010101010101010101010101010101010101"
#define KEY_2 "0202020202020202020202020202020202020202020202020202020202020202"

static u8 data[] = { 'w', 'a', 'r', 'p' };
static const u8 keys[64] = { [0 ... 31] = 1, [32 ... 63] = 2 };

struct example {
	const char *hex;
	struct frame frame;
};

static const struct example examples[] = {
	{ "01 000a 0102 03040506 77617270",
	  { .type = FRAME_PAYLOAD, .payload = { 0x0102, 0x03040506, data, 4 } } },
	{ "01 0006 0102 03040506",
	  { .type = FRAME_PAYLOAD, .payload = { 0x0102, 0x03040506, data, 0 } } },
	{ "02 000f 0102 03040506 02 0004 000b 77617270",
	  { .type = FRAME_FRAGMENT, .fragment = { 0, 0x0102, 0x03040506, 2, 4, 12, data, 4 } } },
	{ "02 000e 0102 03040506 01 0004 0006 776172",
	  { .type = FRAME_FRAGMENT, .fragment = { 0, 0x0102, 0x03040506, 1, 4, 7, data, 3 } } },
	{ "03 000b 0102 03040506 00 77617270",
	  { .type = FRAME_SHARD,
	    .shard = { .tunnel = 0x0102, .sequence = 0x03040506, .data = data, .size = 4 } } },
	{ "03 0010 0102 03040506 01 02 0004 000b 77617270",
	  { .type = FRAME_SHARD,
	    .shard = { .tunnel = 0x0102,
		       .sequence = 0x03040506,
		       .kind = SHARD_PIECE,
		       .index = 2,
		       .unit = 4,
		       .total = 12,
		       .data = data,
		       .size = 4 } } },
	{ "03 0011 0102 03040506 02 01 1e 0203 0405 77617270",
	  { .type = FRAME_SHARD,
	    .shard = { .tunnel = 0x0102,
		       .sequence = 0x03040506,
		       .kind = SHARD_PARITY,
		       .parity = 1,
		       .count = 30,
		       .step = 0x0203,
		       .wait = 0x0405,
		       .data = data,
		       .size = 4 } } },
	{ "03 0012 0102 03040506 03 01 03 04 0004 001c 77617270",
	  { .type = FRAME_SHARD,
	    .shard = { .tunnel = 0x0102,
		       .sequence = 0x03040506,
		       .kind = SHARD_PIECE_PARITY,
		       .parity = 1,
		       .count = 3,
		       .index = 4,
		       .unit = 4,
		       .total = 29,
		       .data = data,
		       .size = 4 } } },
	{ "04 0018 0102030405060708 0000000000000009 000000000000000a",
	  { .type = FRAME_PROBE,
	    .probe = { .stamp = UINT64_C(0x0102030405060708), .packets = 9, .bytes = 10 } } },
	{ "05 001f 0102030405060708 0000000000000009 000000000000000a " FOUR_HEX,
	  { .type = FRAME_PROBE_REPLY,
	    .probe_reply = { .stamp = UINT64_C(0x0102030405060708),
			     .packets = 9,
			     .bytes = 10,
			     .seen = FOUR } } },
	{ "06 0013 " SIX_HEX, { .type = FRAME_OVERRIDE, .override = SIX } },
	{ "06 0007 " FOUR_HEX, { .type = FRAME_OVERRIDE, .override = FOUR } },
	{ "06 0001 00", { .type = FRAME_OVERRIDE, .override = { { 0 }, 0 } } },
	{ "07 0009 00000000 00000102 00",
	  { .type = FRAME_CANDIDATES, .candidates = { .number = 0, .taken = 0x102 } } },
	{ "07 0029 01020304 00000005 02 07 " FOUR_HEX SIX_HEX "00 08 00 00 00",
	  { .type = FRAME_CANDIDATES,
	    .candidates = { .number = 0x01020304,
			    .taken = 5,
			    .count = 2,
			    .mapping = { { .interface = 7, .observed = FOUR, .lan = SIX },
					 { .interface = 8 } } } } },
	{ "08 000a 00 03 01 ff 02 03 02 05 fe 00",
	  { .type = FRAME_PUNCH,
	    .punch = { PUNCH_OFFER, 3, 1, 255, 2, { 3, 2, 5, -2 }, 0, { 0 } } } },
	{ "08 000e 02 03 01 07 04 00 00 00 00 02 1234 ffff",
	  { .type = FRAME_PUNCH,
	    .punch = { PUNCH_READY, 3, 1, 7, 4, { 0 }, 2, { 0x1234, 0xffff } } } },
	{ "09 0011 0102 03 04050607 3f 08 090a0b0c 77617270",
	  { .type = FRAME_STRIPE,
	    .stripe = { .tunnel = 0x0102,
			.path = 3,
			.number = 0x04050607,
			.bucket = 63,
			.wait = 8,
			.sequence = 0x090a0b0c,
			.data = data,
			.size = 4 } } },
	{ "09 0016 0102 03 04050607 85 08 090a0b0c 02 0004 000b 77617270",
	  { .type = FRAME_STRIPE,
	    .stripe = { .tunnel = 0x0102,
			.path = 3,
			.number = 0x04050607,
			.bucket = 5,
			.wait = 8,
			.piece = true,
			.sequence = 0x090a0b0c,
			.index = 2,
			.unit = 4,
			.total = 12,
			.data = data,
			.size = 4 } } },
	{ "0a 003d 07 01020304 05060708 0000000000000009 000000000000000a 0b0c0d0e"
	  "0000000000000001 0000000000000002 0000000000000003 8000000000000004",
	  { .type = FRAME_TALLY,
	    .tally = { 7,
		       0x01020304,
		       0x05060708,
		       9,
		       10,
		       0x0b0c0d0e,
		       { 1, 2, 3, UINT64_C(0x8000000000000004) } } } },
	{ "0c 000b 00 0102 03040506 02 05 0050",
	  { .type = FRAME_REPORT,
	    .report = { .tunnel = 0x0102,
			.sequence = 0x03040506,
			.copies = 2,
			.interval = 5,
			.within = 80 } } },
	{ "0c 000a 01 0102 03040506 02 fe01",
	  { .type = FRAME_REPORT,
	    .report = { .kind = REPORT_FLOW,
			.tunnel = 0x0102,
			.sequence = 0x03040506,
			.size = 2,
			.bits = { 0xfe, 0x01 } } } },
	{ "0c 000d 02 00000102 0102030405060708",
	  { .type = FRAME_REPORT,
	    .report = { .kind = REPORT_PATH,
			.queue = 0x0102,
			.saved = UINT64_C(0x0102030405060708) } } },
	{ "0b 0004 01020304", { .type = FRAME_DEADLINE, .deadline = 0x01020304 } },
	{ "10 0028 0102 " SIX_HEX "02 03 05 fe" FOUR_HEX "0102030405060708",
	  { .type = FRAME_REGISTER_REQUEST,
	    .register_request = { 0x0102,
				  SIX,
				  { 2, 3, 5, -2 },
				  FOUR,
				  UINT64_C(0x0102030405060708) } } },
	{ "11 0014 0102 003c " FOUR_HEX "00 0000000000000000",
	  { .type = FRAME_REGISTER_RESPONSE,
	    .register_response = { 0x0102, 60, FOUR, 0, { { { 0 }, 0 } }, 0 } } },
	{ "11 002e 0102 003c " FOUR_HEX "02 " FOUR_HEX SIX_HEX "0102030405060708",
	  { .type = FRAME_REGISTER_RESPONSE,
	    .register_response = { 0x0102,
				   60,
				   FOUR,
				   2,
				   { FOUR, SIX },
				   UINT64_C(0x0102030405060708) } } },
	{ "12 0041 02 " KEY_1 KEY_2,
	  { .type = FRAME_MAPPING_REQUEST, .mapping_request = { 2, keys } } },
	{ "12 0001 00", { .type = FRAME_MAPPING_REQUEST, .mapping_request = { 0, keys } } },
	{ "13 0026 " KEY_1 " 00 00000000 00",
	  { .type = FRAME_MAPPING_RESPONSE, .mapping_response = { .key = { [0 ... 31] = 1 } } } },
	{ "13 0052 " KEY_1 " 03 01020304 02 05 " FOUR_HEX SIX_HEX "00 06 " FOUR_HEX "00" FOUR_HEX,
	  { .type = FRAME_MAPPING_RESPONSE,
	    .mapping_response = { { [0 ... 31] = 1 },
				  3,
				  0x01020304,
				  2,
				  { { 5, FOUR, SIX, { { 0 }, 0 } },
				    { 6, FOUR, { { 0 }, 0 }, FOUR } } } } },
	{ "16 000a 01020304 05 06 77617270",
	  { .type = FRAME_RELAY, .relay = { 0x01020304, 5, 6, data, 4 } } },
	{ "14 0002 ffff",
	  { .type = FRAME_DEREGISTER_REQUEST, .deregister = { WIRE_ALL_INTERFACES } } },
	{ "15 0002 0102", { .type = FRAME_DEREGISTER_RESPONSE, .deregister = { 0x0102 } } },
	{ "17 0001 01", { .type = FRAME_CLOSE, .close = { CLOSE_REMOVED } } },
	{ "18 000b 0102030405060708 02 1234",
	  { .type = FRAME_NAT_TEST_REQUEST,
	    .nat_test_request = { UINT64_C(0x0102030405060708), 2, 0x1234 } } },
	{ "19 000f 0102030405060708 " FOUR_HEX,
	  { .type = FRAME_NAT_TEST, .nat_test = { UINT64_C(0x0102030405060708), FOUR } } },
};

/* A copy of p[0..size) with nothing readable behind it. The caller frees it. */
static u8 *exact(const u8 *p, size_t size)
{
	u8 *copy = malloc(size ? size : 1);

	assert_non_null(copy);
	if (size)
		memcpy(copy, p, size);
	return copy;
}

/* The single frame in p[0..size), put again: gives its bytes and how many. */
static int decode_and_encode(const u8 *p, size_t size, u8 out[static FRAME_MAX])
{
	u8 *copy = exact(p, size), *at = copy;
	struct frame f;
	int n = frame_next(&at, &size, &f);

	if (n == 1) {
		assert_int_equal(size, 0);
		n = frame_put(out, FRAME_MAX, &f);
	}
	free(copy);
	return n;
}

static void every_frame_is_encoded_as_it_is_drawn(void **state)
{
	u8 out[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		int n = frame_put(out, sizeof(out), &examples[i].frame);

		assert_true(n > 0);
		assert_hex(out, (size_t)n, examples[i].hex);
	}
}

static void every_frame_comes_back_from_its_bytes(void **state)
{
	u8 bytes[FRAME_MAX], out[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		size_t size = test_hex(bytes, sizeof(bytes), examples[i].hex);
		int n = decode_and_encode(bytes, size, out);

		assert_true(n > 0);
		assert_hex(out, (size_t)n, examples[i].hex);
	}
}

static void every_frame_may_be_the_last_and_then_needs_no_length(void **state)
{
	u8 bytes[FRAME_MAX], out[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		size_t size = test_hex(bytes, sizeof(bytes), examples[i].hex);
		int n;

		bytes[2] = bytes[0] | FRAME_LAST;
		n = decode_and_encode(bytes + 2, size - 2, out);
		assert_true(n > 0);
		assert_hex(out, (size_t)n, examples[i].hex);
	}
}

/* The expected fields, once, for the types whose decoding the daemon's safety hangs on. */
static void decoded_fields_are_where_they_belong(void **state)
{
	u8 bytes[64], *p = bytes;
	struct frame f;
	size_t size = test_hex(bytes, sizeof(bytes), "02 000f 0102 03040506 02 0004 000b 77617270");

	(void)state;
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_int_equal(f.type, FRAME_FRAGMENT);
	assert_int_equal(f.fragment.tunnel, 0x0102);
	assert_int_equal(f.fragment.sequence, 0x03040506);
	assert_int_equal(f.fragment.index, 2);
	assert_int_equal(f.fragment.unit, 4);
	assert_int_equal(f.fragment.total, 12);
	assert_ptr_equal(f.fragment.data, bytes + 14);
	assert_int_equal(f.fragment.size, 4);

	p = bytes;
	size = test_hex(bytes, sizeof(bytes), "11 0014 0102 003c " FOUR_HEX "00 0000000000000000");
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_int_equal(f.register_response.interface, 0x0102);
	assert_int_equal(f.register_response.expiry, 60);
	assert_true(endpoint_equal(&f.register_response.observed,
				   &(struct endpoint){ { 4, { 192, 0, 2, 1 } }, 0x1234 }));
}

/* --- what is cut, too long, or nonsense -------------------------------------------------- */

static void a_frame_cut_anywhere_is_an_error_and_changes_nothing(void **state)
{
	u8 bytes[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		size_t full = test_hex(bytes, sizeof(bytes), examples[i].hex);

		for (size_t cut = 1; cut < full; cut++) {
			u8 *copy = exact(bytes, cut), *p = copy;
			struct frame f, before;
			size_t size = cut;

			memset(&f, 0x55, sizeof(f));
			before = f;
			assert_int_equal(frame_next(&p, &size, &f), -EBADMSG);
			assert_ptr_equal(p, copy);
			assert_int_equal(size, cut);
			assert_memory_equal(&f, &before, sizeof(f));
			free(copy);
		}
	}
}

static void nothing_left_is_no_frame(void **state)
{
	u8 *p = exact(NULL, 0), *copy = p;
	struct frame f;
	size_t size = 0;

	(void)state;
	assert_int_equal(frame_next(&p, &size, &f), 0);
	free(copy);
}

/* How much of an example is a frame at least: some data may be shorter. */
static size_t least_of(const struct frame *f, size_t full)
{
	if (f->type == FRAME_PAYLOAD)
		return full - f->payload.size;
	if (f->type == FRAME_RELAY)
		return full - f->relay.size;
	if (f->type == FRAME_STRIPE && !f->stripe.piece)
		return full - f->stripe.size;
	if (f->type == FRAME_SHARD && f->shard.kind == SHARD_PAYLOAD)
		return full - f->shard.size;
	if (f->type == FRAME_SHARD && f->shard.kind == SHARD_PARITY)
		return full - f->shard.size + SHARD_SIZE_BYTES;
	return full;
}

static void a_body_shorter_than_its_type_needs_is_an_error(void **state)
{
	u8 bytes[FRAME_MAX], out[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		size_t full = test_hex(bytes, sizeof(bytes), examples[i].hex);
		size_t least = least_of(&examples[i].frame, full);

		for (size_t cut = 3; cut < least; cut++) {
			put_u16(bytes + 1, (u16)(cut - 3));
			assert_int_equal(decode_and_encode(bytes, cut, out), -EBADMSG);
		}
	}
}

/* So that frames can grow. Payloads, fragments, shards, stripes and what is relayed are all data; behind the
 * fields of the PROBEs here there may be a cost. */
static void bytes_behind_the_known_fields_are_ignored(void **state)
{
	u8 bytes[FRAME_MAX], out[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		size_t full = test_hex(bytes, sizeof(bytes), examples[i].hex);
		int n;

		if ((bytes[0] >= FRAME_PAYLOAD && bytes[0] <= FRAME_PROBE_REPLY) ||
		    bytes[0] == FRAME_STRIPE || bytes[0] == FRAME_RELAY)
			continue;
		memset(bytes + full, 0xee, 5);
		put_u16(bytes + 1, (u16)(full - 3 + 5));
		n = decode_and_encode(bytes, full + 5, out);
		assert_true(n > 0);
		assert_hex(out, (size_t)n, examples[i].hex);
	}
}

static void a_probe_ends_with_its_cost_unless_that_is_none(void **state)
{
#define PROBE_HEX "0102030405060708 0000000000000009 000000000000000a "
	static const struct {
		const char *in, *out;
		u8 cost;
	} probes[] = {
		{ "04 0019 " PROBE_HEX "02", "04 0019 " PROBE_HEX "02", COST_BACKUP },
		{ "04 0019 " PROBE_HEX "00", "04 0018 " PROBE_HEX, COST_FREE },
		{ "04 001b " PROBE_HEX "01 eeee", "04 0019 " PROBE_HEX "01", COST_METERED },
		{ "05 0020 " PROBE_HEX FOUR_HEX "03", "05 0020 " PROBE_HEX FOUR_HEX "03",
		  COST_BARRED },
		{ "05 0020 " PROBE_HEX FOUR_HEX "09", "05 0020 " PROBE_HEX FOUR_HEX "02",
		  COST_BACKUP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		u8 bytes[FRAME_MAX], out[FRAME_MAX], *at = bytes;
		size_t left = test_hex(bytes, sizeof(bytes), probes[i].in);
		struct frame f;
		int n;

		assert_int_equal(frame_next(&at, &left, &f), 1);
		assert_int_equal(f.type == FRAME_PROBE ? f.probe.cost : f.probe_reply.cost,
				 probes[i].cost);
		n = frame_put(out, sizeof(out), &f);
		assert_true(n > 0);
		assert_hex(out, (size_t)n, probes[i].out);
	}
}

static void malformed_frames_are_errors(void **state)
{
	static const char *const bad[] = {
		"06 0007 05 1234 c0000201",                   /* a family that is none */
		"07 0009 00000001 00000000 21",               /* more candidates than allowed */
		"07 0008 00000001 00000000",                  /* no count of them */
		"08 0009 02 03 01 07 04 00 00 00 00",         /* nothing is counted */
		"08 000a 02 03 01 07 04 00 00 00 00 41",      /* more ports than allowed */
		"08 000c 02 03 01 07 04 00 00 00 00 02 1234", /* fewer than counted */
		"11 0006 0102 003c 00 09",                    /* more others than allowed */
		"07 0013 00000001 00000000 02 07" FOUR_HEX "0000", /* fewer than counted */
		"12 0001 21",                                      /* more keys than allowed */
		"12 0021 02 " KEY_1,                               /* fewer than counted */
		"13 0026 " KEY_1 " 00 00000000 21",                /* more mappings than allowed */
		"13 002e " KEY_1 " 00 00000000 01 07 " FOUR_HEX,   /* half a mapping */
		"02 000f 0102 03040506 00 0000 000b 77617270",     /* fragments of nothing */
		"02 000b 0102 03040506 03 0004 000b",              /* starts at the end */
		"02 000b 0102 03040506 00 0004 000b",              /* no data */
		"02 000f 0102 03040506 03 0004 000b 77617270",     /* starts behind the end */
		"02 000f 0102 03040506 02 0004 000a 77617270",     /* ends behind the end */
		"02 000e 0102 03040506 00 0004 000b 776172",     /* shorter than a unit, not last */
		"02 0010 0102 03040506 00 0004 000b 7761727000", /* longer than a unit */
		"02 000f 0102 03040506 ff ffff 000b 77617270",   /* index x unit is large */
		"09 0011 0102 03 04050607 40 08 090a0b0c 77617270", /* more than 64 buckets */
		"09 0016 0102 03 04050607 85 08 090a0b0c 02 0004 000a 77617270", /* longer than told */
		"03 0006 0102 03040506",                                /* a shard of no kind */
		"03 000b 0102 03040506 04 77617270",                    /* of a kind that is none */
		"03 0010 0102 03040506 01 02 0004 0007 77617270",       /* starts at the end */
		"03 000f 0102 03040506 01 02 0004 000b 776172",         /* shorter than a unit */
		"03 0011 0102 03040506 02 00 00 0001 0000 77617270",    /* parity of nothing */
		"03 0011 0102 03040506 02 02 1e 0001 0000 77617270",    /* more than 32 shards */
		"03 0011 0102 03040506 02 ff ff 0001 0000 77617270",    /* many more */
		"03 0011 0102 03040506 02 00 03 0000 0000 77617270",    /* all of them the same */
		"03 000e 0102 03040506 02 00 03 0001 0000 77",          /* not even a size */
		"03 0012 0102 03040506 03 00 03 04 0004 0017 77617270", /* two are left */
		"03 0012 0102 03040506 03 00 01 04 0005 00ff 77617270", /* less than a unit */
		"03 0012 0102 03040506 03 00 02 ff 0004 ffff 77617270", /* index 256 */
	};
	u8 bytes[FRAME_MAX], out[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		size_t size = test_hex(bytes, sizeof(bytes), bad[i]);

		if (decode_and_encode(bytes, size, out) != -EBADMSG)
			fail_msg("%s was taken", bad[i]);
	}
}

/* All there, but one more than a frame may hold; and as many as it may. */
static void more_things_than_a_frame_may_hold_are_an_error(void **state)
{
	static const struct {
		u8 type;
		size_t before, each; /* bytes in front of the count, and of one thing */
		u8 max;
	} cases[] = {
		{ FRAME_CANDIDATES, 8, 4, WIRE_MAPPINGS_MAX },
		{ FRAME_PUNCH, 9, 2, WIRE_PORTS_MAX },
		{ FRAME_MAPPING_REQUEST, 0, KEY_SIZE, WIRE_KEYS_MAX },
		{ FRAME_MAPPING_RESPONSE, KEY_SIZE + 5, 4, WIRE_MAPPINGS_MAX },
	};
	u8 out[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u8 bytes[FRAME_MAX] = { cases[i].type | FRAME_LAST };
		size_t size = 1 + cases[i].before + 1 + cases[i].each * cases[i].max;
		u8 *count = bytes + 1 + cases[i].before;

		*count = cases[i].max;
		assert_int_equal(decode_and_encode(bytes, size, out), size + 2);
		*count += 1;
		assert_int_equal(decode_and_encode(bytes, size + cases[i].each, out), -EBADMSG);
	}
}

static void a_frame_that_does_not_fit_is_not_put(void **state)
{
	u8 *out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		u8 bytes[FRAME_MAX];
		size_t full = test_hex(bytes, sizeof(bytes), examples[i].hex);

		for (size_t cap = 0; cap < full; cap++) {
			out = exact(bytes, cap);
			assert_int_equal(frame_put(out, cap, &examples[i].frame), -EMSGSIZE);
			free(out);
		}
		out = exact(bytes, full);
		assert_int_equal(frame_put(out, full, &examples[i].frame), full);
		free(out);
	}
}

static void a_payload_too_long_for_its_length_field_is_not_put(void **state)
{
	static u8 large[65536], out[65600];
	struct frame f = { .type = FRAME_PAYLOAD, .payload = { 1, 2, large, 65535 - 6 } };

	(void)state;
	assert_int_equal(frame_put(out, sizeof(out), &f), 65535 + 3);
	f.payload.size++;
	assert_int_equal(frame_put(out, sizeof(out), &f), -EMSGSIZE);
}

static void what_could_not_be_read_again_is_not_put(void **state)
{
	static const struct frame bad[] = {
		{ .type = FRAME_PADDING, .close = { 0 } },
		{ .type = FRAME_SHARD, .shard = { .kind = SHARD_KINDS } },
		{ .type = FRAME_SHARD, .shard = { .kind = SHARD_PIECE, .data = data, .size = 4 } },
		{ .type = FRAME_SHARD,
		  .shard = { .kind = SHARD_PARITY, .count = 3, .data = data, .size = 4 } },
		{ .type = FRAME_SHARD,
		  .shard = { .kind = SHARD_PIECE_PARITY,
			     .count = 3,
			     .unit = 4,
			     .total = 8,
			     .data = data,
			     .size = 4 } },
		{ .type = 0x7f, .close = { 0 } },
		{ .type = FRAME_CANDIDATES, .candidates = { .count = WIRE_MAPPINGS_MAX + 1 } },
		{ .type = FRAME_PUNCH, .punch = { .count = WIRE_PORTS_MAX + 1 } },
		{ .type = FRAME_REPORT, .report = { .kind = REPORT_KINDS } },
		{ .type = FRAME_REPORT, .report = { .kind = REPORT_ASK } },
		{ .type = FRAME_REPORT,
		  .report = { .kind = REPORT_FLOW, .size = WIRE_REPORT_BYTES + 1 } },
		{ .type = FRAME_MAPPING_REQUEST, .mapping_request = { WIRE_KEYS_MAX + 1, keys } },
		{ .type = FRAME_MAPPING_RESPONSE,
		  .mapping_response = { .count = WIRE_MAPPINGS_MAX + 1 } },
		{ .type = FRAME_FRAGMENT, .fragment = { 0, 1, 1, 0, 0, 4, data, 4 } },
		{ .type = FRAME_FRAGMENT, .fragment = { 0, 1, 1, 0, 4, 0, data, 4 } },
		{ .type = FRAME_FRAGMENT, .fragment = { 0, 1, 1, 0, 4, 65537, data, 4 } },
	};
	u8 out[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(frame_put(out, sizeof(out), &bad[i]), -EINVAL);
}

/* --- several frames ---------------------------------------------------------------------- */

static void frames_of_a_datagram_are_read_in_order_and_unknown_ones_can_be_skipped(void **state)
{
	u8 bytes[64], *p = bytes;
	size_t size = test_hex(
		bytes, sizeof(bytes),
		"17 0001 01  7e 0003 aabbcc  00 0002 0000  14 0002 0007  81 0102 03040506 77");
	struct frame f;

	(void)state;
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_int_equal(f.type, FRAME_CLOSE);
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_int_equal(f.type, 0x7e);
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_int_equal(f.type, FRAME_PADDING);
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_int_equal(f.type, FRAME_DEREGISTER_REQUEST);
	assert_int_equal(f.deregister.interface, 7);
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_int_equal(f.type, FRAME_PAYLOAD);
	assert_int_equal(f.payload.size, 1);
	assert_int_equal(f.payload.data[0], 0x77);
	assert_int_equal(frame_next(&p, &size, &f), 0);
}

static void padding_fills_whatever_is_left(void **state)
{
	u8 bytes[40];
	struct frame f;

	(void)state;
	for (size_t room = 1; room < sizeof(bytes); room++) {
		u8 *p = bytes;
		size_t size = room;

		memset(bytes, 0xee, sizeof(bytes));
		frame_pad(bytes, room);
		assert_int_equal(bytes[room], 0xee);
		assert_int_equal(frame_next(&p, &size, &f), 1);
		assert_int_equal(f.type, FRAME_PADDING);
		assert_int_equal(frame_next(&p, &size, &f), 0);
	}
}

static void headers_put_in_place_make_the_frame_of_the_data_behind_them(void **state)
{
	const struct frame_fragment fragment = { .tunnel = 0x0102,
						 .sequence = 0x03040506,
						 .index = 255,
						 .unit = 257,
						 .total = 65536,
						 .size = 1 };
	u8 bytes[FRAME_FRAGMENT_HEADER + 1], *p = bytes;
	size_t size = FRAME_PAYLOAD_HEADER + 1;
	struct frame f;

	(void)state;
	frame_put_payload_header(bytes, 0x0102, 0x03040506);
	assert_hex(bytes, FRAME_PAYLOAD_HEADER, "81 0102 03040506");
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_ptr_equal(f.payload.data, bytes + FRAME_PAYLOAD_HEADER);
	assert_int_equal(f.payload.size, 1);

	p = bytes;
	size = sizeof(bytes);
	frame_put_fragment_header(bytes, &fragment);
	assert_hex(bytes, FRAME_FRAGMENT_HEADER, "82 0102 03040506 ff 0101 ffff");
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_ptr_equal(f.fragment.data, bytes + FRAME_FRAGMENT_HEADER);
	assert_int_equal(f.fragment.total, 65536);

	p = bytes;
	size = FRAME_DEADLINE_SIZE;
	frame_put_deadline(bytes, 0xfffefdfc);
	assert_hex(bytes, FRAME_DEADLINE_SIZE, "0b 0004 fffefdfc");
	assert_int_equal(frame_next(&p, &size, &f), 1);
	assert_int_equal(size, 0);
	assert_int_equal(f.deadline, 0xfffefdfc);
}

static void a_shard_header_put_in_place_makes_the_frame_of_the_data_behind_it(void **state)
{
	u8 expected[FRAME_MAX], bytes[FRAME_MAX], *p = bytes;
	u32 kinds = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		const struct frame_shard *s = &examples[i].frame.shard;
		size_t size = test_hex(expected, sizeof(expected), examples[i].hex) - 2;
		struct frame f;

		if (examples[i].frame.type != FRAME_SHARD)
			continue;
		kinds |= 1u << s->kind;
		expected[2] = FRAME_SHARD | FRAME_LAST;
		assert_int_equal(frame_shard_header(s->kind) + s->size, size);
		frame_put_shard_header(bytes, s);
		memcpy(bytes + frame_shard_header(s->kind), s->data, s->size);
		assert_memory_equal(bytes, expected + 2, size);
		p = bytes;
		assert_int_equal(frame_next(&p, &size, &f), 1);
		assert_ptr_equal(f.shard.data, bytes + frame_shard_header(s->kind));
	}
	assert_int_equal(kinds, (1u << SHARD_KINDS) - 1);
	/* A payload of 1,400 bytes costs 40 bytes more. */
	assert_true(WIRE_OVERHEAD + FRAME_SHARD_HEADER <= 40);
}

/* --- anything at all --------------------------------------------------------------------- */

/* Reads all frames; returns how many. */
static u32 read_all(u8 *p, size_t size)
{
	struct frame f;
	u32 count = 0;

	while (frame_next(&p, &size, &f) == 1)
		count++;
	return count;
}

static void random_bytes_do_no_harm(void **state)
{
	struct test_random r = { 11 };
	struct random_source source = test_random_source(&r);
	u32 frames = 0;

	(void)state;
	for (u32 i = 0; i < 20000; i++) {
		u8 bytes[96];
		size_t size = test_random_below(&r, sizeof(bytes));
		u8 *copy;

		random_fill(&source, bytes, size);
		if (size > 2 && i % 2) { /* a known type with a length that is there */
			bytes[0] = (u8)test_random_below(&r, 0x18);
			put_u16(bytes + 1, (u16)test_random_below(&r, (u32)size - 2));
		}
		copy = exact(bytes, size);
		frames += read_all(copy, size);
		free(copy);
	}
	assert_true(frames > 5000);
}

static void examples_with_any_byte_changed_do_no_harm(void **state)
{
	struct test_random r = { 12 };
	u8 bytes[FRAME_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
		size_t size = test_hex(bytes, sizeof(bytes), examples[i].hex);

		for (size_t at = 0; at < size; at++) {
			u8 *copy = exact(bytes, size);

			copy[at] = (u8)test_random_below(&r, 256);
			read_all(copy, size);
			free(copy);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transport_header_is_kind_receiver_counter),
		cmocka_unit_test(
			what_is_short_or_of_another_kind_or_flagged_is_no_transport_datagram),
		cmocka_unit_test(a_hello_is_version_ciphers_flags_life_and_stamp),
		cmocka_unit_test(a_hello_of_another_version_is_refused),
		cmocka_unit_test(handshake_datagrams_have_the_sizes_that_are_drawn),
		cmocka_unit_test(a_payload_of_1400_bytes_costs_at_most_40_more),
		cmocka_unit_test(an_endpoint_takes_1_7_or_19_bytes),
		cmocka_unit_test(a_return_is_known_by_its_bytes),
		cmocka_unit_test(every_frame_is_encoded_as_it_is_drawn),
		cmocka_unit_test(every_frame_comes_back_from_its_bytes),
		cmocka_unit_test(every_frame_may_be_the_last_and_then_needs_no_length),
		cmocka_unit_test(decoded_fields_are_where_they_belong),
		cmocka_unit_test(a_frame_cut_anywhere_is_an_error_and_changes_nothing),
		cmocka_unit_test(nothing_left_is_no_frame),
		cmocka_unit_test(a_body_shorter_than_its_type_needs_is_an_error),
		cmocka_unit_test(bytes_behind_the_known_fields_are_ignored),
		cmocka_unit_test(a_probe_ends_with_its_cost_unless_that_is_none),
		cmocka_unit_test(malformed_frames_are_errors),
		cmocka_unit_test(more_things_than_a_frame_may_hold_are_an_error),
		cmocka_unit_test(a_frame_that_does_not_fit_is_not_put),
		cmocka_unit_test(a_payload_too_long_for_its_length_field_is_not_put),
		cmocka_unit_test(what_could_not_be_read_again_is_not_put),
		cmocka_unit_test(
			frames_of_a_datagram_are_read_in_order_and_unknown_ones_can_be_skipped),
		cmocka_unit_test(padding_fills_whatever_is_left),
		cmocka_unit_test(headers_put_in_place_make_the_frame_of_the_data_behind_them),
		cmocka_unit_test(a_shard_header_put_in_place_makes_the_frame_of_the_data_behind_it),
		cmocka_unit_test(random_bytes_do_no_harm),
		cmocka_unit_test(examples_with_any_byte_changed_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
