/* SPDX-License-Identifier: MIT */
/*
 * fuzz_wire.c - decoders of datagram headers, hellos and frames against arbitrary bytes.
 *
 * What decodes must, when it is encoded again, decode to the same: encode(decode(x)) is a fixed
 * point. Input lies in memory of exactly its size, so that a sanitizer sees any byte too many.
 */
#include <stdlib.h>
#include <string.h>

#include "warp/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void try_transport(const u8 *data, size_t size)
{
	struct wire_transport header;
	u8 again[WIRE_HEADER_SIZE];

	if (wire_get_transport(data, size, &header))
		return;
	wire_put_transport(again, &header);
	require(memcmp(again, data, sizeof(again)) == 0);
}

static void try_hello(const u8 *data, size_t size)
{
	u8 bytes[WIRE_HELLO_SIZE] = { 0 }, again[WIRE_HELLO_SIZE];
	struct wire_hello one, two;

	memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
	if (wire_get_hello(bytes, &one))
		return;
	wire_put_hello(again, &one);
	require(wire_get_hello(again, &two) == 0);
	require(one.version == two.version && one.ciphers == two.ciphers && one.flags == two.flags);
}

/* Types that are read but never written by frame_put(). */
static bool is_opaque(u8 type)
{
	return type == FRAME_PADDING || (type > FRAME_REPORT && type < FRAME_REGISTER_REQUEST) ||
	       type > FRAME_NAT_TEST;
}

static void try_frame_again(const struct frame *f)
{
	static u8 one[70000], two[70000];
	int size = frame_put(one, sizeof(one), f);
	size_t left = (size_t)size;
	struct frame g;
	u8 *p = one;

	if (is_opaque(f->type)) {
		require(size < 0);
		return;
	}
	require(size > 0);
	require(frame_next(&p, &left, &g) == 1 && left == 0 && g.type == f->type);
	require(frame_put(two, sizeof(two), &g) == size);
	require(memcmp(one, two, (size_t)size) == 0);
}

static void try_frames(u8 *p, size_t size)
{
	struct frame f;

	for (;;) {
		size_t before = size;
		int n = frame_next(&p, &size, &f);

		if (n != 1)
			return;
		require(size < before);
		try_frame_again(&f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *copy = malloc(size ? size : 1);

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	try_transport(copy, size);
	try_hello(copy, size);
	if (size < 60000)
		try_frames(copy, size);
	free(copy);
	return 0;
}
