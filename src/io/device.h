/* SPDX-License-Identifier: MIT */
/*
 * device.h - binding a socket to one network device.
 */
#ifndef WARP_IO_DEVICE_H
#define WARP_IO_DEVICE_H

#include "warp/base.h"

/* ifindex 0: by name only. Before the address is bound. 0; -ENODEV: the device is not the one that
 * had this name; -errno. */
int device_bind(int fd, u32 ifindex, const char *ifname);

#endif
