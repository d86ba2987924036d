/* SPDX-License-Identifier: MIT */
/*
 * tun.h - a TUN interface: IP packets from and to this host's applications, in batches.
 *
 * Not persistent: it is there as long as the struct is, and takes its addresses and routes along.
 */
#ifndef WARP_TUN_H
#define WARP_TUN_H

#include "warp/buf.h"
#include "warp/engine.h"

#include <linux/virtio_net.h>
#include <sys/uio.h>

struct tun;

/* What the kernel takes as the name of an interface: 1..15 bytes, no '/', ':', '%', no space or
 * control character, not "." or "..". */
bool tun_name_valid(const char *name);

/* Creates the interface `name` (down, without addresses: see netconf.h); payloads are read into
 * buffers of pool, which outlives the TUN. Failures are logged here, in full: -EINVAL (name, or an
 * interface of this name that is no TUN), -ENOENT (no /dev/net/tun), -EPERM, -EBUSY (used by another
 * program), -ENOMEM, others. */
int tun_open(struct tun **ret, const char *name, struct pool *pool);
void tun_close(struct tun *t);

/* What the kernel may leave to us and we may leave to it: checksums, segmentation of TCP and of UDP.
 * Nothing until tun_offload() was called; it takes as much as the kernel has, or, with wanted false,
 * nothing, and says so in one log line. */
#define TUN_CHECKSUM 1u
#define TUN_TCP 2u
#define TUN_UDP 4u
u32 tun_offload(struct tun *t, bool wanted);

int tun_fd(const struct tun *t); /* non-blocking */
const char *tun_name(const struct tun *t);
u32 tun_index(const struct tun *t);

/* Reads at most max packets, each into a buffer of its own at BUF_HEADROOM that the caller puts.
 * Their number; 0: nothing waits; or -errno: -ENOBUFS (the pool is empty, nothing was read),
 * -EBADFD (the interface was deleted). */
int tun_read(struct tun *t, struct buf **ret, size_t max);

/* What the kernel says of a packet that tun_read() gave, as long as its offset is unchanged. */
static inline const struct virtio_net_hdr *tun_header(const struct buf *b)
{
	return (const struct virtio_net_hdr *)(const void *)(b->bytes + b->offset -
							     sizeof(struct virtio_net_hdr));
}

/* Gives count packets to the kernel. Returns how many it took; those that it refuses (no IP
 * packet, interface down) are dropped, and *ret_error is the errno of the last one, else 0. */
size_t tun_write(struct tun *t, const struct iovec *packets, size_t count, int *ret_error);

/* One packet, in parts, the first of which is its struct virtio_net_hdr. 0, or an errno. */
int tun_write_parts(struct tun *t, const struct iovec *parts, u32 count);

#endif
