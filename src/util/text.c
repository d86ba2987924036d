/* SPDX-License-Identifier: MIT */
/*
 * text.c - addresses, prefixes and endpoints to and from text.
 *
 * inet_pton(3) and inet_ntop(3) know the addresses (they are strict: four decimal octets without
 * leading zeros, no zone); what is around them is taken apart here.
 */
#include "warp/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "warp/sockaddr.h"

const char *address_format(char ret[static ADDRESS_TEXT], const struct address *a)
{
	if (!inet_ntop(address_af(a), a->bytes, ret, ADDRESS_TEXT))
		memcpy(ret, "none", sizeof("none"));
	return ret;
}

const char *prefix_format(char ret[static PREFIX_TEXT], const struct prefix *p)
{
	size_t length;

	address_format(ret, &p->address);
	length = strlen(ret);
	if (p->address.family)
		snprintf(ret + length, PREFIX_TEXT - length, "/%u", p->bits);
	return ret;
}

const char *endpoint_format(char ret[static ENDPOINT_TEXT], const struct endpoint *e)
{
	char address[ADDRESS_TEXT];

	address_format(address, &e->address);
	if (!e->address.family)
		memcpy(ret, address, sizeof("none"));
	else if (e->address.family == 6)
		snprintf(ret, ENDPOINT_TEXT, "[%s]:%u", address, e->port);
	else
		snprintf(ret, ENDPOINT_TEXT, "%s:%u", address, e->port);
	return ret;
}

/* Decimal digits alone, without leading zeros, at most max. */
static int number_parse(const char *text, u32 max, u32 *ret)
{
	u32 value = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (u32)(*text - '0');
		if (value > max)
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

/* "0".."65535". */
static int port_parse(const char *text, u16 *ret)
{
	u32 value;

	if (number_parse(text, UINT16_MAX, &value))
		return -EINVAL;
	*ret = (u16)value;
	return 0;
}

int address_parse(const char *text, struct address *ret)
{
	struct address a = { .family = strchr(text, ':') ? 6 : 4 };

	if (inet_pton(address_af(&a), text, a.bytes) != 1)
		return -EINVAL;
	*ret = a;
	return 0;
}

/* text[0..length) as a string of its own. */
static int copy(const char *text, size_t length, char *ret, size_t size)
{
	if (!length)
		return -EINVAL;
	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(ret, text, length);
	ret[length] = 0;
	return 0;
}

int prefix_parse(const char *text, struct prefix *ret)
{
	const char *slash = strchr(text, '/');
	char address[ADDRESS_TEXT];
	struct prefix p;
	u32 bits, max;

	if (copy(text, slash ? (size_t)(slash - text) : strlen(text), address, sizeof(address)) ||
	    address_parse(address, &p.address))
		return -EINVAL;
	bits = max = p.address.family == 4 ? 32 : 128;
	if (slash && number_parse(slash + 1, max, &bits))
		return -EINVAL;
	p.bits = (u8)bits;
	*ret = p;
	return 0;
}

int host_port_split(const char *text, char *ret_host, size_t host_size, u16 *ret_port)
{
	bool bracket = text[0] == '[';
	const char *host = text + bracket;
	const char *end = strchr(host, bracket ? ']' : ':');
	const char *colon = end && bracket ? end + 1 : end;
	u16 port;
	int r;

	if (!colon || *colon != ':' || port_parse(colon + 1, &port))
		return -EINVAL;
	r = copy(host, (size_t)(end - host), ret_host, host_size);
	if (r == 0)
		*ret_port = port;
	return r;
}

int endpoint_parse(const char *text, struct endpoint *ret)
{
	struct endpoint e;
	char host[ADDRESS_TEXT];

	if (host_port_split(text, host, sizeof(host), &e.port) || address_parse(host, &e.address))
		return -EINVAL;
	/* Brackets belong around IPv6 and nothing else. */
	if ((e.address.family == 6) != (text[0] == '['))
		return -EINVAL;
	*ret = e;
	return 0;
}
