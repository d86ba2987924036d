/* SPDX-License-Identifier: MIT */
/*
 * checksum.c - the Internet checksum (RFC 1071) over runs of bytes, as fast as plain C has it.
 *
 * The sum is taken over 32-bit words into 64-bit lanes that cannot overflow for anything that fits a
 * buffer; since 2^16 is 1 modulo 2^16 - 1, folding gives the same as summing 16-bit words, and by
 * RFC 1071 2 (B) it does so in either byte order.
 */
#include "warp/offload.h"

#include <string.h>

typedef u64 lanes __attribute__((vector_size(16)));

static u64 add_tail(u64 sum, const u8 *data, size_t size)
{
	u16 word;

	for (; size >= 2; data += 2, size -= 2) {
		memcpy(&word, data, 2);
		sum += word;
	}
	if (size) {
		u8 last[2] = { data[0], 0 };

		memcpy(&word, last, 2);
		sum += word;
	}
	return sum;
}

u64 checksum_add(u64 sum, const u8 *data, size_t size)
{
	lanes even = { 0 }, odd = { 0 };

	for (; size >= sizeof(lanes); data += sizeof(lanes), size -= sizeof(lanes)) {
		lanes v;

		memcpy(&v, data, sizeof(v));
		even += v & UINT32_MAX;
		odd += v >> 32;
	}
	even += odd;
	return add_tail(sum + even[0] + even[1], data, size);
}

u16 checksum_fold(u64 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)sum;
}
