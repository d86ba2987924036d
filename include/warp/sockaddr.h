/* SPDX-License-Identifier: MIT */
/*
 * sockaddr.h - between struct endpoint and the kernel's socket addresses.
 */
#ifndef WARP_SOCKADDR_H
#define WARP_SOCKADDR_H

#include "warp/endpoint.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* As small as what we use: 28 bytes, not the 128 of sockaddr_storage. */
union inet_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Fills ret and returns its length; 0 when e has no family. */
socklen_t endpoint_to_sockaddr(const struct endpoint *e, union inet_sockaddr *ret);
/* 0, or -EAFNOSUPPORT: neither IPv4 nor IPv6, or cut short. An IPv6 zone is lost. */
int endpoint_from_sockaddr(const union inet_sockaddr *sa, socklen_t length, struct endpoint *ret);
/* From what is behind bytes in network order; family is AF_INET or AF_INET6. */
int address_from_bytes(int family, const void *bytes, size_t size, struct address *ret);
/* AF_INET, AF_INET6, or AF_UNSPEC. */
int address_af(const struct address *a);

#endif
