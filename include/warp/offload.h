/* SPDX-License-Identifier: MIT */
/*
 * offload.h - the large packets that a TUN with IFF_VNET_HDR gives and takes: cutting what the
 * kernel left whole (TCP segmentation, UDP segmentation, checksums), and joining what came in
 * pieces. Pure: bytes in, bytes out.
 *
 * struct virtio_net_hdr is that of the virtio specification (1.2, section 5.1.6), in host order.
 */
#ifndef WARP_OFFLOAD_H
#define WARP_OFFLOAD_H

#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "warp/buf.h"
#include "warp/engine.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2 */
#endif

/* The ones' complement sum of RFC 1071 over size bytes, added to sum, not folded. */
u64 checksum_add(u64 sum, const u8 *data, size_t size);
/* Folded, not complemented; in the byte order of the data. */
u16 checksum_fold(u64 sum);

/* --- cutting ------------------------------------------------------------------------------- */

/* A packet that is larger than the link: what its pieces are made of. */
struct cut {
	struct pieces pieces; /* for engine_send_pieces() */
	const u8 *packet;
	u32 size;
	u8 family, protocol;
	u32 transport;   /* where the TCP or UDP header begins */
	u32 header_size; /* all headers */
	u64 pseudo;      /* sum of the pseudo header but for the length */
};

/* What the kernel says of a packet that it gives: 1: it is to be cut, *ret says how; 0: it is
 * whole, and its checksum has been finished in place; -EBADMSG: the two contradict each other. */
int cut_begin(struct cut *ret, const struct virtio_net_hdr *header, u8 *packet, u32 size);

/* --- joining ------------------------------------------------------------------------------- */

#define JOIN_PARTS 64u
#define JOIN_FLOWS 8u

/* Packets of one flow that follow one another, on the way to being one. */
struct joined {
	u32 count; /* packets; 0: empty */
	u8 *packet;
	u8 family, protocol;
	u32 transport, header_size;
	u32 payload;  /* bytes of it in each packet but the last */
	u32 size;     /* of the whole so far, headers once */
	u32 sequence; /* TCP: of the next packet */
	u16 id;       /* IPv4: of the last */
	bool joinable, closed;
	struct virtio_net_hdr header;
	struct iovec iov[1 + JOIN_PARTS]; /* what to write, after join_finish() */
	struct buf *buf[JOIN_PARTS];
};

/* Takes a packet and the reference to b if it can follow what is in j, or j is empty. */
bool join_add(struct joined *j, u8 *packet, u32 size, struct buf *b);
/* May it be of the flow of what is in j? Then it must not overtake it. (Fragments, and what is behind
 * options, show no ports.) */
bool join_same_flow(const struct joined *j, const u8 *packet, u32 size);
/* Completes headers; j->iov[0..returned) is then one packet with its virtio header for writev(). */
u32 join_finish(struct joined *j);
/* Puts the buffers; j is empty again. */
void join_clear(struct joined *j);

#endif
