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

int tun_fd(const struct tun *t); /* non-blocking */
const char *tun_name(const struct tun *t);
u32 tun_index(const struct tun *t);

/* Reads at most max packets, each into a buffer of its own at BUF_HEADROOM that the caller puts.
 * Their number; 0: nothing waits; or -errno: -ENOBUFS (the pool is empty, nothing was read),
 * -EBADFD (the interface was deleted). */
int tun_read(struct tun *t, struct buf **ret, size_t max);

/* Gives count packets to the kernel. Returns how many it took; those that it refuses (no IP
 * packet, interface down) are dropped, and *ret_error is the errno of the last one, else 0. */
size_t tun_write(struct tun *t, const struct iovec *packets, size_t count, int *ret_error);

#endif
