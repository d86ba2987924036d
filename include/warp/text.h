/* SPDX-License-Identifier: MIT */
/*
 * text.h - addresses, prefixes and endpoints to and from text: "192.0.2.1", "2001:db8::/32",
 * "192.0.2.1:5", "[2001:db8::1]:5".
 *
 * Reading is strict: the whole text, nothing around it, no zone, no leading zeros. Writing is the
 * shortest form (RFC 5952), so that reading and writing are each other's inverse.
 */
#ifndef WARP_TEXT_H
#define WARP_TEXT_H

#include "warp/allowedips.h"

#define ADDRESS_TEXT 46u  /* with the final 0 */
#define PREFIX_TEXT 50u   /* and "/128" */
#define ENDPOINT_TEXT 54u /* and "[]:65535" */

/* Each returns ret. Family 0 becomes "none". */
const char *address_format(char ret[static ADDRESS_TEXT], const struct address *a);
const char *prefix_format(char ret[static PREFIX_TEXT], const struct prefix *p);
const char *endpoint_format(char ret[static ENDPOINT_TEXT], const struct endpoint *e);

/* For one line of a log: text that lives until the end of the enclosing block. */
#define address_text(a) address_format((char[ADDRESS_TEXT]){ 0 }, a)
#define prefix_text(p) prefix_format((char[PREFIX_TEXT]){ 0 }, p)
#define endpoint_text(e) endpoint_format((char[ENDPOINT_TEXT]){ 0 }, e)

/* 0, or -EINVAL. */
int address_parse(const char *text, struct address *ret);
/* "address/bits", or an address alone: all its bits. Host bits are kept as they are. */
int prefix_parse(const char *text, struct prefix *ret);
int endpoint_parse(const char *text, struct endpoint *ret);
/* "host:port" or "[host]:port" in two; the host is not looked at, but is not empty and, without
 * brackets, has no colon. -EINVAL, -ENAMETOOLONG (room for host_size bytes). */
int host_port_split(const char *text, char *ret_host, size_t host_size, u16 *ret_port);

#endif
