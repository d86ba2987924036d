/* SPDX-License-Identifier: MIT */
/*
 * cut.c - what the kernel left to the device: segmentation and checksums.
 *
 * A packet of up to 64 KiB comes with one set of headers. Each piece gets a copy of them, with its
 * own length, sequence, flags and checksum, just as the kernel's own segmentation would write them,
 * behind which its share of the payload is copied to where it will be sealed.
 */
#include <errno.h>

#include "ipheader.h"

static u32 checksum_place(const struct cut *c)
{
	return c->transport + (c->protocol == PROTOCOL_TCP ? TCP_CHECKSUM : UDP_CHECKSUM);
}

/* --- whole packets ---------------------------------------------------------------------------- */

/* The kernel has put the sum of the pseudo header in the checksum's place. */
static int finish_checksum(const struct virtio_net_hdr *h, u8 *packet, u32 size)
{
	u32 start = h->csum_start, place = start + h->csum_offset;
	u16 sum;

	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	if (place + 2 > size)
		return -EBADMSG;
	sum = (u16)~checksum_fold(checksum_add(0, packet + start, size - start));
	/* RFC 768: zero would mean that there is none. */
	if (sum == 0 && h->csum_offset == UDP_CHECKSUM)
		sum = 0xffff;
	put_checksum(packet + place, sum);
	return 0;
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* A length as it is summed. */
static u16 length_word(u32 length)
{
	u8 bytes[2];
	u16 word;

	put_u16(bytes, (u16)length);
	memcpy(&word, bytes, sizeof(word));
	return word;
}

static void finish_transport(const struct cut *c, u8 *out, u32 size)
{
	u32 length = size - c->transport;
	u8 *place = out + checksum_place(c);
	u16 sum;

	put_u16(place, 0);
	sum = (u16)~checksum_fold(
		checksum_add(c->pseudo + length_word(length), out + c->transport, length));
	if (sum == 0 && c->protocol == PROTOCOL_UDP)
		sum = 0xffff;
	put_checksum(place, sum);
}

static void finish_tcp(const struct cut *c, u32 index, u32 offset, u8 *tcp)
{
	put_u32(tcp + TCP_SEQUENCE, get_u32(tcp + TCP_SEQUENCE) + offset);
	if (index + 1 < c->pieces.count)
		tcp[TCP_FLAGS] &= (u8) ~(TCP_FIN | TCP_PSH);
	if (index > 0)
		tcp[TCP_FLAGS] &= (u8)~TCP_CWR;
}

static void write_piece(const struct pieces *pieces, u32 index, u8 *out)
{
	const struct cut *c = (const struct cut *)pieces;
	u32 share = pieces->size - c->header_size, offset = index * share;
	u32 size = index + 1 < pieces->count ? pieces->size : pieces->last_size;

	memcpy(out, c->packet, c->header_size);
	memcpy(out + c->header_size, c->packet + c->header_size + offset, size - c->header_size);
	if (c->family == 4) {
		put_u16(out + IP4_ID, (u16)(get_u16(out + IP4_ID) + index));
		ip4_finish(out, size);
	} else {
		ip6_finish(out, size);
	}
	if (c->protocol == PROTOCOL_TCP)
		finish_tcp(c, index, offset, out + c->transport);
	else
		put_u16(out + c->transport + UDP_LENGTH, (u16)(size - c->transport));
	finish_transport(c, out, size);
}

/* --- what the kernel says --------------------------------------------------------------------- */

static int family_and_protocol(struct cut *c, const struct virtio_net_hdr *h)
{
	u8 version = c->packet[0] >> 4, type = h->gso_type & (u8)~VIRTIO_NET_HDR_GSO_ECN;

	c->family = version;
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
		c->protocol = PROTOCOL_TCP;
		return version == (type == VIRTIO_NET_HDR_GSO_TCPV4 ? 4 : 6) ? 0 : -EBADMSG;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		c->protocol = PROTOCOL_UDP;
		return version == 4 || version == 6 ? 0 : -EBADMSG;
	default:
		return -EBADMSG;
	}
}

static int find_headers(struct cut *c, const struct virtio_net_hdr *h)
{
	u32 least = c->protocol == PROTOCOL_TCP ? TCP_HEADER : UDP_HEADER;
	u32 ip = c->family == 4 ? IP4_HEADER : IP6_HEADER;

	c->transport = ip;
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		c->transport = h->csum_start;
	else if (c->family == 4)
		c->transport = ip4_header_size(c->packet);
	if (c->transport < ip || c->transport + least > c->size)
		return -EBADMSG;
	if (c->family == 4 &&
	    (ip4_header_size(c->packet) != c->transport || c->packet[IP4_PROTOCOL] != c->protocol))
		return -EBADMSG;
	/* Behind extension headers the kernel alone says where. */
	if (c->family == 6 && c->transport == ip && c->packet[IP6_NEXT] != c->protocol)
		return -EBADMSG;
	c->header_size = c->transport + least;
	if (c->protocol == PROTOCOL_TCP) {
		u32 tcp = tcp_header_size(c->packet + c->transport);

		if (tcp < TCP_HEADER)
			return -EBADMSG;
		c->header_size = c->transport + tcp;
	}
	return c->header_size < c->size ? 0 : -EBADMSG;
}

/* Usually the kernel has put the sum of the pseudo header in the checksum's place. Better than to sum
 * it again, as behind an IPv6 routing header the destination is not that of the IP header. */
static int find_pseudo(struct cut *c, const struct virtio_net_hdr *h)
{
	u32 place = checksum_place(c);
	u16 given;

	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		c->pseudo = pseudo_sum(c->packet, c->family, c->protocol, 0);
		return 0;
	}
	if (c->transport + h->csum_offset != place)
		return -EBADMSG;
	memcpy(&given, c->packet + place, sizeof(given));
	c->pseudo = (u64)given + (u16)~length_word(c->size - c->transport);
	return 0;
}

int cut_begin(struct cut *ret, const struct virtio_net_hdr *header, u8 *packet, u32 size)
{
	struct cut c = { .packet = packet, .size = size };
	u32 payload, share = header->gso_size;
	int r;

	if (size < IP4_HEADER)
		return -EBADMSG;
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return finish_checksum(header, packet, size);
	r = family_and_protocol(&c, header);
	if (r == 0)
		r = find_headers(&c, header);
	if (r == 0)
		r = find_pseudo(&c, header);
	if (r < 0 || share == 0)
		return -EBADMSG;
	payload = size - c.header_size;
	c.pieces.count = (payload + share - 1) / share;
	c.pieces.size = c.header_size + share;
	c.pieces.last_size = c.header_size + payload - (c.pieces.count - 1) * share;
	c.pieces.head = packet;
	c.pieces.head_size = size;
	c.pieces.write = write_piece;
	*ret = c;
	return 1;
}
