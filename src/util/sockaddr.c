/* SPDX-License-Identifier: MIT */
/*
 * sockaddr.c - between struct endpoint and the kernel's socket addresses.
 */
#include "warp/sockaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

int address_af(const struct address *a)
{
	if (a->family == 4)
		return AF_INET;
	return a->family == 6 ? AF_INET6 : AF_UNSPEC;
}

int address_from_bytes(int family, const void *bytes, size_t size, struct address *ret)
{
	struct address a = { .family = family == AF_INET ? 4 : 6 };
	size_t want = family == AF_INET ? 4 : 16;

	if ((family != AF_INET && family != AF_INET6) || size < want)
		return -EAFNOSUPPORT;
	memcpy(a.bytes, bytes, want);
	*ret = a;
	return 0;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, union inet_sockaddr *ret)
{
	memset(ret, 0, sizeof(*ret));
	switch (e->address.family) {
	case 4:
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons(e->port);
		memcpy(&ret->v4.sin_addr, e->address.bytes, sizeof(ret->v4.sin_addr));
		return sizeof(ret->v4);
	case 6:
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htons(e->port);
		memcpy(&ret->v6.sin6_addr, e->address.bytes, sizeof(ret->v6.sin6_addr));
		return sizeof(ret->v6);
	default:
		return 0;
	}
}

int endpoint_from_sockaddr(const union inet_sockaddr *sa, socklen_t length, struct endpoint *ret)
{
	if (length >= sizeof(sa->v4) && sa->any.sa_family == AF_INET) {
		ret->port = ntohs(sa->v4.sin_port);
		return address_from_bytes(AF_INET, &sa->v4.sin_addr, 4, &ret->address);
	}
	if (length >= sizeof(sa->v6) && sa->any.sa_family == AF_INET6) {
		ret->port = ntohs(sa->v6.sin6_port);
		return address_from_bytes(AF_INET6, &sa->v6.sin6_addr, 16, &ret->address);
	}
	return -EAFNOSUPPORT;
}
