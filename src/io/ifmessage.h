/* SPDX-License-Identifier: MIT */
/*
 * ifmessage.h - rtnetlink(7) messages about links, addresses and routes, made into news for ifset.
 */
#ifndef WARP_IO_IFMESSAGE_H
#define WARP_IO_IFMESSAGE_H

#include "ifset.h"

#include <libmnl/libmnl.h>

/* Feeds what m tells; other messages are ignored. 0, or -ENOMEM. */
int ifmessage_feed(struct ifset *s, const struct nlmsghdr *m);
/* Does m tell of a new default route? Then *ret_index is its interface, 0: several. */
bool ifmessage_default_route(const struct nlmsghdr *m, u32 *ret_index);

#endif
