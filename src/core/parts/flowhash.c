/* SPDX-License-Identifier: MIT */
/*
 * flowhash.c - see flowhash.h. Nothing depends on it being hard to guess: who makes flows meet in a
 * bucket lets them wait for each other.
 */
#include "warp/flowhash.h"

#include "warp/wire.h"

_Static_assert(FLOW_BUCKETS == 1u << 6, "six bits tell a bucket");

#define TCP 6u
#define UDP 17u

static u32 mix(u32 h, u32 v)
{
	h = (h ^ v) * 0x9e3779b1u;
	return h ^ h >> 15;
}

static u32 mix_bytes(u32 h, const u8 *p, u32 words)
{
	for (u32 n = 0; n < words; n++)
		h = mix(h, get_u32(p + 4 * n));
	return h;
}

static bool has_ports(u8 protocol)
{
	return protocol == TCP || protocol == UDP;
}

static u32 hash_4(const u8 *p, u32 size)
{
	const u32 header = (p[0] & 15u) * 4u;
	const bool fragment = (get_u16(p + 6) & 0x3fffu) != 0;
	u32 h = mix_bytes(p[9], p + 12, 2);

	if (!fragment && has_ports(p[9]) && size >= header + 4)
		h = mix(h, get_u32(p + header));
	return h;
}

static u32 hash_6(const u8 *p, u32 size)
{
	u32 h = mix_bytes(p[6], p + 8, 8);

	if (has_ports(p[6]) && size >= 44)
		h = mix(h, get_u32(p + 40));
	return h;
}

u8 flow_bucket(const u8 *packet, u32 size)
{
	u32 h = 0;

	if (size >= 20 && packet[0] >> 4 == 4)
		h = hash_4(packet, size);
	else if (size >= 40 && packet[0] >> 4 == 6)
		h = hash_6(packet, size);
	return (u8)(h * 0x85ebca6bu >> 26); /* the highest bits depend on all */
}
