/* SPDX-License-Identifier: MIT */
/*
 * endpoint.c - comparing, classifying and hashing IP addresses and UDP endpoints.
 *
 * Addresses are values in network order, so that classes are tests on leading bits. IPv4-mapped
 * IPv6 addresses count as special: a socket of ours is of one family, and ::ffff:127.0.0.1 must
 * not be a way around the tests on IPv4 addresses.
 */
#include "warp/endpoint.h"

#include <string.h>

bool address_equal(const struct address *a, const struct address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && address_equal(&a->address, &b->address);
}

/* Are bytes[from..to) all zero? */
static bool zero(const struct address *a, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		if (a->bytes[i])
			return false;
	return true;
}

/* ::ffff:0:0/96, RFC 4291 2.5.5.2. */
static bool is_mapped(const struct address *a)
{
	return a->family == 6 && zero(a, 0, 10) && a->bytes[10] == 0xff && a->bytes[11] == 0xff;
}

bool address_is_loopback(const struct address *a)
{
	if (a->family == 4)
		return a->bytes[0] == 127;
	return a->family == 6 && zero(a, 0, 15) && a->bytes[15] == 1;
}

/* 0.0.0.0/8 ("this network", RFC 1122), multicast, 255.255.255.255. */
static bool is_special_4(const struct address *a)
{
	static const u8 broadcast[4] = { 255, 255, 255, 255 };

	return a->bytes[0] == 0 || (a->bytes[0] & 0xf0) == 0xe0 ||
	       memcmp(a->bytes, broadcast, sizeof(broadcast)) == 0;
}

bool address_is_special(const struct address *a)
{
	if (address_is_loopback(a))
		return true;
	if (a->family == 4)
		return is_special_4(a);
	return a->family == 6 && (zero(a, 0, 16) || a->bytes[0] == 0xff || is_mapped(a));
}

bool address_is_link_local(const struct address *a)
{
	if (a->family == 4)
		return a->bytes[0] == 169 && a->bytes[1] == 254;
	return a->family == 6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

/* 10/8, 172.16/12, 192.168/16, 100.64/10. */
static bool is_private_4(const u8 *b)
{
	return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
	       (b[0] == 100 && (b[1] & 0xc0) == 64);
}

bool address_is_private(const struct address *a)
{
	if (a->family == 4)
		return is_private_4(a->bytes);
	return a->family == 6 && (a->bytes[0] & 0xfe) == 0xfc;
}

bool endpoint_is_usable(const struct endpoint *e)
{
	bool family_known = e->address.family == 4 || e->address.family == 6;

	return family_known && e->port && !address_is_special(&e->address);
}

static u32 fnv1a(u32 hash, u8 byte)
{
	return (hash ^ byte) * 16777619u;
}

u32 endpoint_hash(const struct endpoint *e)
{
	u32 hash = fnv1a(2166136261u, e->address.family);

	for (size_t i = 0; i < sizeof(e->address.bytes); i++)
		hash = fnv1a(hash, e->address.bytes[i]);
	hash = fnv1a(hash, (u8)(e->port >> 8));
	return fnv1a(hash, (u8)e->port);
}
