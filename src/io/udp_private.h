/* SPDX-License-Identifier: MIT */
/*
 * udp_private.h - what udp.c (opening) and udp_batch.c (transfer) share.
 */
#ifndef WARP_IO_UDP_PRIVATE_H
#define WARP_IO_UDP_PRIVATE_H

#include "warp/udp.h"

struct udp {
	int fd;
	struct endpoint local;
	bool segmentation; /* until the kernel or the device says that it cannot */
};

#endif
