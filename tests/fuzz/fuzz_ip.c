/* SPDX-License-Identifier: MIT */
/*
 * fuzz_ip.c - ip_packet_addresses() against arbitrary bytes, in memory of exactly their size.
 * What it says about a packet must be what the packet says at the offsets of RFC 791 and 8200.
 */
#include <stdlib.h>
#include <string.h>

#include "warp/allowedips.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check(const u8 *packet, size_t size, const struct address *source,
		  const struct address *to)
{
	size_t length = source->family == 4 ? 4 : 16;
	size_t offset = source->family == 4 ? 12 : 8;

	require(source->family == packet[0] >> 4 && to->family == source->family);
	require(size >= offset + 2 * length);
	require(memcmp(source->bytes, packet + offset, length) == 0);
	require(memcmp(to->bytes, packet + offset + length, length) == 0);
	for (size_t i = length; i < 16; i++)
		require(source->bytes[i] == 0 && to->bytes[i] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct address source, to;
	u8 *copy = calloc(1, size ? size : 1);

	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	if (ip_packet_addresses(copy, size, &source, &to) == 0)
		check(copy, size, &source, &to);
	free(copy);
	return 0;
}
