/* SPDX-License-Identifier: MIT */
/*
 * gateway.h - the router behind an interface, as the kernel's routes tell it.
 */
#ifndef WARP_IO_GATEWAY_H
#define WARP_IO_GATEWAY_H

#include "warp/endpoint.h"

/* The next hop of what a socket with this local address on this device sends to the internet. 0;
 * -ENETUNREACH: there is none, or everything is on the link; -errno of the netlink socket. */
int gateway_find(u32 ifindex, const struct address *local, struct address *ret);

#endif
