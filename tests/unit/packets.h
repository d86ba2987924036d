/* SPDX-License-Identifier: MIT */
/*
 * packets.h - IP packets made from a description, with checksums that are summed the slow way of
 * RFC 1071: what tests hold against the code that cuts and joins packets.
 */
#ifndef WARP_TESTS_PACKETS_H
#define WARP_TESTS_PACKETS_H

#include "warp/base.h"

#define PACKET_HEADERS_MAX 256u
#define PACKET_BYTES_MAX (65536u + PACKET_HEADERS_MAX)

#define FLAG_FIN 0x01u
#define FLAG_SYN 0x02u
#define FLAG_RST 0x04u
#define FLAG_PSH 0x08u
#define FLAG_ACK 0x10u
#define FLAG_URG 0x20u
#define FLAG_ECE 0x40u
#define FLAG_CWR 0x80u

/* For packet_options(): what Linux sends all the time, and with holes. */
#define OPTIONS_TIMESTAMPS "\x01\x01\x08\x0a\x00\x01\x02\x03\xff\xee\xdd\xcc", 12
#define OPTIONS_SACK "\x01\x01\x05\x0a\x00\x00\x01\x00\x00\x00\x02\x00", 12

struct packet {
	u8 family, protocol; /* 4 or 6; 6 (TCP), 17 (UDP) or another */
	u8 tos, ttl;
	u16 id, fragment; /* IPv4; fragment with its flags */
	u32 label;        /* IPv6 */
	const char *
		ip_extra; /* IPv4 options; IPv6 extension headers, the first of which is extra_type */
	u32 ip_extra_size;
	u8 extra_type;
	u8 from, to; /* last byte of the addresses */
	u8 final;    /* if not 0: the checksum is for this destination (routing headers) */
	u16 source, destination;
	u32 sequence, acknowledgement;
	u8 flags;
	u8 reserved; /* the low half of the offset's byte */
	u16 window, urgent;
	const char *options; /* TCP */
	u32 options_size;
	const u8 *data;
	u32 size;
};

/* One that can be joined, from 10.44.0.1 or fd44::1 to 10.45.0.2 or fd45::2; data and size are to be set. */
struct packet packet_tcp(u8 family);
struct packet packet_udp(u8 family);
/* Behind the TCP header; bytes of IPv4 options, or IPv6 extension headers of which the first has the
 * type. Sizes are multiples of 4 (IPv6: 8), the bytes are not copied. */
void packet_options(struct packet *p, const char *bytes, u32 size);
void packet_ip_extra(struct packet *p, u8 type, const char *bytes, u32 size);

/* Writes it, all checksums right, to out; returns its size. */
u32 packet_make(const struct packet *p, u8 *out);
/* The same, as the kernel gives it with NEEDS_CSUM: the sum of the pseudo header only. */
u32 packet_make_partial(const struct packet *p, u8 *out);
u32 packet_transport(const struct packet *p); /* where TCP or UDP begins */
u32 packet_headers(const struct packet *p);   /* bytes of all */

/* The sum that a checksum field holds, most significant byte first, over data behind sum. */
u16 naive_sum(u16 sum, const u8 *data, size_t size);

#endif
