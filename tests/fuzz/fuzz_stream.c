/* SPDX-License-Identifier: MIT */
/*
 * fuzz_stream.c - bytes as they come over a TCP connection: however they are cut, the same datagrams
 * come out of them. The first byte seeds the cuts. Each part lies in memory of exactly its size, so
 * that a sanitizer sees any byte too many.
 */
#include <stdlib.h>
#include <string.h>

#include "warp/streamframe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* What has come out so far. */
struct sum {
	u32 datagrams, bytes, hash;
	bool bad;
};

static void count(struct sum *s, const u8 *datagram, u32 size)
{
	u8 length[STREAM_LENGTH_SIZE];

	require(size > 0 && streamframe_length(length, size));
	require(memcmp(datagram - STREAM_LENGTH_SIZE, length, sizeof(length)) == 0);
	s->datagrams++;
	s->bytes += size;
	for (u32 n = 0; n < size; n++)
		s->hash = s->hash * 31 + datagram[n];
}

/* Returns how many bytes are left over: the beginning of a datagram. */
static size_t take_all(struct sum *s, const u8 *data, size_t size)
{
	const u8 *datagram;
	size_t at = 0;
	u32 length;
	int r;

	while ((r = streamframe_next(data, size, &at, &datagram, &length)) > 0)
		count(s, datagram, length);
	s->bad = r < 0;
	require(s->bad || size - at < STREAM_FRAME_MAX);
	return size - at;
}

/* A part, behind what the one before has left, in memory of its own. */
static u8 *joined(const u8 *rest, size_t rest_size, const u8 *part, size_t size)
{
	u8 *ret = malloc(rest_size + size ? rest_size + size : 1);

	require(ret != NULL);
	memcpy(ret, rest, rest_size);
	memcpy(ret + rest_size, part, size);
	return ret;
}

static struct sum in_parts(const u8 *data, size_t size, u32 seed)
{
	u8 rest[STREAM_FRAME_MAX];
	size_t rest_size = 0, at = 0, part;
	struct sum s = { 0 };
	u8 *bytes;

	while (at < size && !s.bad) {
		seed = seed * 1664525 + 1013904223;
		part = 1 + (seed >> 8) % (seed % 3 ? 7 : 4000);
		if (part > size - at)
			part = size - at;
		bytes = joined(rest, rest_size, data + at, part);
		at += part;
		part += rest_size;
		rest_size = take_all(&s, bytes, part);
		if (!s.bad)
			memcpy(rest, bytes + part - rest_size, rest_size);
		free(bytes);
	}
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sum whole = { 0 }, parts;
	u8 *copy;

	if (size < 1)
		return 0;
	copy = joined(data, 0, data + 1, size - 1);
	take_all(&whole, copy, size - 1);
	parts = in_parts(copy, size - 1, data[0]);
	require(whole.datagrams == parts.datagrams && whole.bytes == parts.bytes &&
		whole.hash == parts.hash && whole.bad == parts.bad);
	free(copy);
	return 0;
}
