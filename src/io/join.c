/* SPDX-License-Identifier: MIT */
/*
 * join.c - packets of one flow that follow one another become one large packet, which the kernel
 * takes in one write and walks through its stack once.
 *
 * Joined is only what the kernel's own receive offload would join, and what can be cut again into
 * the very same packets: plain headers that are equal but for length, sequence, IPv4 id and
 * checksums, payloads of one size (the last may be shorter), PSH only at the end. Since the kernel
 * will trust the result, every checksum is verified here first.
 */
#include "ipheader.h"

#define PACKET_MAX 65535u
#define OTHER_ZERO 0xffffu /* a checksum that nobody writes so but in UDP: it would not come back */

/* --- reading a packet ------------------------------------------------------------------------- */

/* What a packet is, as far as joining cares. joinable false: leave it alone. */
static void read_ip(struct joined *j, const u8 *p, u32 size)
{
	u8 version = size >= IP4_HEADER ? p[0] >> 4 : 0;

	j->joinable = false;
	if (version == 4 && p[0] == 0x45 && get_u16(p + IP4_LENGTH) == size &&
	    (get_u16(p + IP4_FRAGMENT) & IP4_MORE_OR_OFFSET) == 0) {
		j->protocol = p[IP4_PROTOCOL];
		j->transport = IP4_HEADER;
		j->joinable = get_u16(p + IP4_CHECKSUM) != OTHER_ZERO &&
			      checksum_fold(checksum_add(0, p, IP4_HEADER)) == 0xffff;
	} else if (version == 6 && size >= IP6_HEADER &&
		   get_u16(p + IP6_LENGTH) + IP6_HEADER == size) {
		j->protocol = p[IP6_NEXT];
		j->transport = IP6_HEADER;
		j->joinable = true;
	}
	j->family = version;
}

static bool read_tcp(struct joined *j, const u8 *p, u32 size)
{
	const u8 *tcp = p + j->transport;

	if (size < j->transport + TCP_HEADER)
		return false;
	j->header_size = j->transport + tcp_header_size(tcp);
	j->closed = tcp[TCP_FLAGS] & TCP_PSH;
	return j->header_size >= j->transport + TCP_HEADER && j->header_size < size &&
	       (tcp[TCP_FLAGS] & ~TCP_PSH) == TCP_ACK && (tcp[TCP_OFFSET] & 0x0f) == 0 &&
	       get_u16(tcp + TCP_CHECKSUM) != OTHER_ZERO &&
	       get_u16(tcp + TCP_CHECKSUM + 2) == 0; /* urgent pointer */
}

static bool read_udp(struct joined *j, const u8 *p, u32 size)
{
	const u8 *udp = p + j->transport;

	j->header_size = j->transport + UDP_HEADER;
	j->closed = false;
	return size > j->header_size && get_u16(udp + UDP_LENGTH) == size - j->transport &&
	       get_u16(udp + UDP_CHECKSUM) != 0;
}

static bool checksum_right(const struct joined *j, const u8 *p, u32 size)
{
	u64 sum = pseudo_sum(p, j->family, j->protocol, size - j->transport);

	return checksum_fold(checksum_add(sum, p + j->transport, size - j->transport)) == 0xffff;
}

/* All but the checksum, which costs more than the rest. */
static void read_headers(struct joined *j, const u8 *p, u32 size)
{
	j->payload = j->sequence = 0;
	j->id = 0;
	j->closed = true;
	read_ip(j, p, size);
	if (j->joinable && j->protocol == PROTOCOL_TCP)
		j->joinable = read_tcp(j, p, size);
	else if (j->joinable && j->protocol == PROTOCOL_UDP)
		j->joinable = read_udp(j, p, size);
	else
		j->joinable = false;
	if (!j->joinable)
		return;
	j->payload = size - j->header_size;
	if (j->protocol == PROTOCOL_TCP)
		j->sequence = get_u32(p + j->transport + TCP_SEQUENCE) + j->payload;
	j->id = j->family == 4 ? get_u16(p + IP4_ID) : 0;
}

/* --- does it follow? -------------------------------------------------------------------------- */

static bool same_addresses(const struct joined *j, const u8 *p)
{
	if (j->family == 4)
		return memcmp(p + IP4_SOURCE, j->packet + IP4_SOURCE, 8) == 0;
	return memcmp(p + IP6_SOURCE, j->packet + IP6_SOURCE, 32) == 0;
}

/* Does the packet show its ports right behind a plain IP header? */
static bool ports_known(u8 family, u8 protocol, const u8 *p, u32 size)
{
	if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)
		return false;
	if (family == 6)
		return size >= IP6_HEADER + 4;
	return p[0] == 0x45 && (get_u16(p + IP4_FRAGMENT) & IP4_OFFSET) == 0 &&
	       size >= IP4_HEADER + 4;
}

bool join_same_flow(const struct joined *j, const u8 *packet, u32 size)
{
	u8 protocol;

	if (!j->count || !j->joinable || size < j->transport || packet[0] >> 4 != j->family ||
	    !same_addresses(j, packet))
		return false;
	protocol = packet[j->family == 4 ? IP4_PROTOCOL : IP6_NEXT];
	if (!ports_known(j->family, protocol, packet, size))
		return true;
	return protocol == j->protocol &&
	       memcmp(packet + j->transport, j->packet + j->transport, 4) == 0;
}

/* Everything of the IP header but length, id and checksum. */
static bool ip_follows(const struct joined *j, const u8 *p)
{
	if (j->family == 6) /* version, class and label; next header and hop limit; addresses */
		return memcmp(p, j->packet, 4) == 0 &&
		       memcmp(p + IP6_NEXT, j->packet + IP6_NEXT, IP6_HEADER - IP6_NEXT) == 0;
	if (memcmp(p, j->packet, 2) != 0 ||
	    memcmp(p + IP4_FRAGMENT, j->packet + IP4_FRAGMENT, 4) != 0 ||
	    memcmp(p + IP4_SOURCE, j->packet + IP4_SOURCE, 8) != 0)
		return false;
	return get_u16(p + IP4_ID) == (u16)(j->id + 1);
}

static bool tcp_follows(const struct joined *j, const u8 *p)
{
	const u8 *tcp = p + j->transport, *first = j->packet + j->transport;
	u32 options = j->header_size - j->transport - TCP_HEADER;

	return memcmp(tcp, first, 4) == 0 && get_u32(tcp + TCP_SEQUENCE) == j->sequence &&
	       memcmp(tcp + 8, first + 8, 5) == 0 &&   /* acknowledgement, offset */
	       memcmp(tcp + 14, first + 14, 2) == 0 && /* window */
	       memcmp(tcp + TCP_HEADER, first + TCP_HEADER, options) == 0;
}

static bool follows(const struct joined *j, const struct joined *next, const u8 *p, u32 size)
{
	if (j->closed || j->count == JOIN_PARTS || !next->joinable || next->family != j->family ||
	    next->protocol != j->protocol || next->header_size != j->header_size ||
	    next->payload > j->payload || j->size + size - j->header_size > PACKET_MAX ||
	    !ip_follows(j, p))
		return false;
	if (j->protocol == PROTOCOL_TCP)
		return tcp_follows(j, p);
	return memcmp(p + j->transport, j->packet + j->transport, 4) == 0;
}

/* --- joining ---------------------------------------------------------------------------------- */

static void join_first(struct joined *j, u8 *packet, u32 size, struct buf *b)
{
	read_headers(j, packet, size);
	j->joinable = j->joinable && checksum_right(j, packet, size);
	j->count = 1;
	j->packet = packet;
	j->size = size;
	j->buf[0] = b;
	j->iov[1] = (struct iovec){ .iov_base = packet, .iov_len = size };
}

bool join_add(struct joined *j, u8 *packet, u32 size, struct buf *b)
{
	struct joined next; /* of which only what read_headers() fills is used */

	if (j->count == 0) {
		join_first(j, packet, size, b);
		return true;
	}
	if (!j->joinable || j->closed)
		return false;
	read_headers(&next, packet, size);
	if (!follows(j, &next, packet, size) || !checksum_right(&next, packet, size))
		return false;
	j->buf[j->count] = b;
	j->iov[1 + j->count++] =
		(struct iovec){ .iov_base = packet + j->header_size, .iov_len = next.payload };
	j->size += next.payload;
	j->sequence = next.sequence;
	j->id = next.id;
	j->closed = next.closed || next.payload < j->payload;
	if (j->protocol == PROTOCOL_TCP && next.closed)
		j->packet[j->transport + TCP_FLAGS] |= TCP_PSH;
	return true;
}

static u8 gso_type(const struct joined *j)
{
	if (j->protocol == PROTOCOL_UDP)
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	return j->family == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
}

u32 join_finish(struct joined *j)
{
	u32 length = j->size - j->transport, place;

	memset(&j->header, 0, sizeof(j->header));
	j->iov[0] = (struct iovec){ .iov_base = &j->header, .iov_len = sizeof(j->header) };
	if (j->count < 2)
		return 1 + j->count;
	place = j->protocol == PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM;
	j->header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	j->header.gso_type = gso_type(j);
	j->header.hdr_len = (u16)j->header_size;
	j->header.gso_size = (u16)j->payload;
	j->header.csum_start = (u16)j->transport;
	j->header.csum_offset = (u16)place;
	if (j->family == 4)
		ip4_finish(j->packet, j->size);
	else
		ip6_finish(j->packet, j->size);
	if (j->protocol == PROTOCOL_UDP)
		put_u16(j->packet + j->transport + UDP_LENGTH, (u16)length);
	put_checksum(j->packet + j->transport + place,
		     checksum_fold(pseudo_sum(j->packet, j->family, j->protocol, length)));
	return 1 + j->count;
}

void join_clear(struct joined *j)
{
	for (u32 n = 0; n < j->count; n++)
		buf_put(j->buf[n]);
	j->count = 0;
}
