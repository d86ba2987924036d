/* SPDX-License-Identifier: MIT */
/*
 * flowhash.h - which flow an IP packet belongs to: protocol, addresses, and ports where the packet shows
 * them, as a small number.
 */
#ifndef WARP_FLOWHASH_H
#define WARP_FLOWHASH_H

#include "warp/base.h"

#define FLOW_BUCKETS 64u /* a power of two */

/* 0..FLOW_BUCKETS - 1, the same for all packets of a flow; fragments after the first show no ports, so
 * that no fragment is told by them. What is no IP packet: 0. */
u8 flow_bucket(const u8 *packet, u32 size);

#endif
