/* SPDX-License-Identifier: MIT */
/*
 * ipheader.h - the fields of IPv4, IPv6, TCP and UDP headers that cutting and joining touch, by
 * their places (RFC 791, 8200, 9293, 768).
 */
#ifndef WARP_IPHEADER_H
#define WARP_IPHEADER_H

#include <string.h>

#include "warp/offload.h"
#include "warp/wire.h"

#define IP4_HEADER 20u
#define IP6_HEADER 40u
#define TCP_HEADER 20u
#define UDP_HEADER 8u

#define PROTOCOL_TCP 6u
#define PROTOCOL_UDP 17u

#define IP4_LENGTH 2u
#define IP4_ID 4u
#define IP4_FRAGMENT 6u
#define IP4_TTL 8u
#define IP4_PROTOCOL 9u
#define IP4_CHECKSUM 10u
#define IP4_SOURCE 12u
#define IP4_DF 0x4000u
#define IP4_OFFSET 0x1fffu
#define IP4_MORE_OR_OFFSET 0x3fffu

#define IP6_LENGTH 4u
#define IP6_NEXT 6u
#define IP6_SOURCE 8u

#define TCP_SEQUENCE 4u
#define TCP_OFFSET 12u
#define TCP_FLAGS 13u
#define TCP_CHECKSUM 16u
#define TCP_FIN 0x01u
#define TCP_PSH 0x08u
#define TCP_ACK 0x10u
#define TCP_CWR 0x80u

#define UDP_LENGTH 4u
#define UDP_CHECKSUM 6u

static inline u32 ip4_header_size(const u8 *packet)
{
	return (packet[0] & 0x0fu) * 4u;
}

static inline u32 tcp_header_size(const u8 *tcp)
{
	return (tcp[TCP_OFFSET] >> 4) * 4u;
}

/* Checksum fields are stored as they are summed: in the byte order of memory. */
static inline void put_checksum(u8 *p, u16 sum)
{
	memcpy(p, &sum, sizeof(sum));
}

static inline void ip4_finish(u8 *packet, u32 size)
{
	put_u16(packet + IP4_LENGTH, (u16)size);
	put_u16(packet + IP4_CHECKSUM, 0);
	put_checksum(packet + IP4_CHECKSUM,
		     (u16)~checksum_fold(checksum_add(0, packet, ip4_header_size(packet))));
}

static inline void ip6_finish(u8 *packet, u32 size)
{
	put_u16(packet + IP6_LENGTH, (u16)(size - IP6_HEADER));
}

/* The sum over the pseudo header of length bytes of transport. */
static inline u64 pseudo_sum(const u8 *packet, u8 family, u8 protocol, u32 length)
{
	u8 tail[8] = { 0, 0, (u8)(length >> 8), (u8)length, 0, 0, 0, protocol };
	u64 sum = checksum_add(0, tail, sizeof(tail));

	if (family == 4)
		return checksum_add(sum, packet + IP4_SOURCE, 8);
	return checksum_add(sum, packet + IP6_SOURCE, 32);
}

#endif
