/* SPDX-License-Identifier: MIT */
/*
 * ecn.h - Explicit Congestion Notification (RFC 3168) in the IP packets that payloads are: the two
 * low bits of IPv4's type of service and of IPv6's traffic class.
 */
#ifndef WARP_ECN_H
#define WARP_ECN_H

#include "warp/base.h"

enum ecn { ECN_NOT_ECT = 0, ECN_ECT_1 = 1, ECN_ECT_0 = 2, ECN_CE = 3 };

/* Of a whole IP packet; what is none, or cut short in its header, is ECN_NOT_ECT. */
enum ecn ecn_get(const u8 *packet, size_t size);
/* Tells the packet's receiver of congestion (CE), with IPv4's header checksum put right. False: its
 * sender does not understand that (it is not ECT), and the packet is as it was. */
bool ecn_mark(u8 *packet, size_t size);

#endif
