/* SPDX-License-Identifier: MIT */
/*
 * tun.c - a TUN interface: opening it, and one packet a system call.
 *
 * IFF_NO_PI and IFF_VNET_HDR: before the IP header of each packet stands a struct virtio_net_hdr,
 * which is read into the headroom of its buffer. With offloads a packet may be of 64 KiB; what that
 * means is offload.h's.
 */
#include "warp/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "warp/log.h"

#define DEVICE "/dev/net/tun"

_Static_assert(IFNAME_SIZE == IFNAMSIZ, "names of interfaces");

struct tun {
	int fd;
	char name[IFNAME_SIZE];
	u32 index;
	struct pool *pool;
};

bool tun_name_valid(const char *name)
{
	size_t length = strnlen(name, IFNAME_SIZE);

	if (!length || length >= IFNAME_SIZE || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if (strchr("/:%", name[i]) || (u8)name[i] <= ' ' || name[i] == 0x7f)
			return false;
	return true;
}

/* --- opening ----------------------------------------------------------------------------- */

static int no_permission(const char *name)
{
	log_errorx("%s: creating a TUN interface needs CAP_NET_ADMIN: run as root, or grant it",
		   name);
	return -EPERM;
}

/* Logs why DEVICE cannot be opened. */
static int device_failed(const char *name, int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return no_permission(name);
	case ENOENT:
	case ENODEV:
	case ENXIO:
		log_errorx("%s: there is no " DEVICE
			   ": load the module (modprobe tun), or give the device to the container",
			   name);
		return -ENOENT;
	default:
		errno = error;
		log_error("%s: cannot open " DEVICE, name);
		return -error;
	}
}

/* Logs why the interface cannot be had. */
static int attach_failed(const char *name, int error)
{
	switch (error) {
	case EPERM:
		return no_permission(name);
	case EBUSY:
		log_errorx("%s: the interface is used by another program: stop that, or choose "
			   "another name",
			   name);
		return -EBUSY;
	case EINVAL:
		log_errorx("%s: an interface of this name exists and is no TUN interface: choose "
			   "another name",
			   name);
		return -EINVAL;
	default:
		errno = error;
		log_error("%s: cannot create the interface", name);
		return -error;
	}
}

static int attach(struct tun *t, const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR };

	t->fd = open(DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd < 0)
		return device_failed(name, errno);
	memcpy(request.ifr_name, name, strlen(name) + 1);
	if (ioctl(t->fd, TUNSETIFF, &request))
		return attach_failed(name, errno);
	memcpy(t->name, request.ifr_name, sizeof(t->name));
	t->index = if_nametoindex(t->name);
	if (ioctl(t->fd, TUNSETVNETHDRSZ, &(int){ sizeof(struct virtio_net_hdr) }))
		return attach_failed(name, errno);
	return t->index ? 0 : attach_failed(name, errno);
}

int tun_open(struct tun **ret, const char *name, struct pool *pool)
{
	struct tun *t;
	int r;

	if (!tun_name_valid(name)) {
		log_errorx("\"%s\" cannot be the name of an interface (1 to 15 characters, no "
			   "space, '/', ':' or '%%')",
			   name);
		return -EINVAL;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->pool = pool;
	r = attach(t, name);
	if (r) {
		tun_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tun_close(struct tun *t)
{
	if (!t)
		return;
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

#ifndef TUN_F_USO4 /* Linux 6.2 */
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

u32 tun_offload(struct tun *t, bool wanted)
{
	static const struct {
		unsigned flags;
		u32 ret;
		const char *text;
	} levels[] = {
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6,
		  TUN_CHECKSUM | TUN_TCP | TUN_UDP, "checksums, TCP and UDP segmentation" },
		{ TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, TUN_CHECKSUM | TUN_TCP,
		  "checksums and TCP segmentation" },
		{ 0, 0, "none" },
	};
	size_t i = wanted ? 0 : ARRAY_SIZE(levels) - 1;

	/* Also for nothing: an interface that is older than we are may have some. */
	while (ioctl(t->fd, TUNSETOFFLOAD, levels[i].flags) && i + 1 < ARRAY_SIZE(levels))
		i++;
	log_info("%s: offloads: %s", t->name, levels[i].text);
	return levels[i].ret;
}

int tun_fd(const struct tun *t)
{
	return t->fd;
}

const char *tun_name(const struct tun *t)
{
	return t->name;
}

u32 tun_index(const struct tun *t)
{
	return t->index;
}

/* --- packets ----------------------------------------------------------------------------- */

/* 1: *ret is a packet; 0: none waits; -errno. */
static int read_packet(struct tun *t, struct buf **ret)
{
	const u32 header = sizeof(struct virtio_net_hdr);
	struct buf *b = buf_get(t->pool);
	ssize_t n;
	int error;

	if (!b)
		return -ENOBUFS;
	n = read(t->fd, buf_data(b) - header, header + BUF_PAYLOAD_MAX);
	if (n > (ssize_t)header) {
		b->length = (u32)n - header;
		*ret = b;
		return 1;
	}
	error = n < 0 ? errno : 0;
	buf_put(b);
	return error == EAGAIN || error == EINTR ? 0 : -error;
}

int tun_read(struct tun *t, struct buf **ret, size_t max)
{
	int count = 0, r = 1;

	while ((size_t)count < max) {
		r = read_packet(t, &ret[count]);
		if (r <= 0)
			break;
		count++;
	}
	/* An error after the first packet shows again in the next call. */
	return count ? count : r < 0 ? r : 0;
}

int tun_write_parts(struct tun *t, const struct iovec *parts, u32 count)
{
	return writev(t->fd, parts, (int)count) < 0 ? errno : 0;
}

static int write_packet(struct tun *t, const struct iovec *packet)
{
	struct virtio_net_hdr header = { .flags = 0 };
	const struct iovec parts[] = { { &header, sizeof(header) }, *packet };

	return tun_write_parts(t, parts, 2);
}

size_t tun_write(struct tun *t, const struct iovec *packets, size_t count, int *ret_error)
{
	size_t taken = 0;
	int error;

	*ret_error = 0;
	for (size_t i = 0; i < count; i++) {
		error = write_packet(t, &packets[i]);
		if (error)
			*ret_error = error;
		else
			taken++;
	}
	return taken;
}
