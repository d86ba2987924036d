/* SPDX-License-Identifier: MIT */
/*
 * udp_control.h - the control messages of trains: UDP_SEGMENT says how the kernel is to cut what is
 * sent, UDP_GRO how what was received had been cut.
 */
#ifndef WARP_IO_UDP_CONTROL_H
#define WARP_IO_UDP_CONTROL_H

#include <sys/socket.h>

#include "warp/base.h"

#define UDP_SEGMENTS_MAX 64u /* UDP_MAX_SEGMENTS of all kernels; newer ones take 128 */
#define UDP_TRAIN_MAX 65507u /* the largest UDP payload in an IPv4 packet */

union udp_control {
	struct cmsghdr header;
	u8 bytes[CMSG_SPACE(sizeof(int))]; /* UDP_GRO an int, UDP_SEGMENT an u16 */
};

/* h is to be sent in datagrams of segment bytes, or, with 0, as the one that it is. */
void udp_control_put(struct msghdr *h, union udp_control *control, u32 segment);
/* Room for what is received with h. */
void udp_control_prepare(struct msghdr *h, union udp_control *control);
/* The size of the datagrams that the kernel left in one piece, or 0: it is one. */
u32 udp_control_segment(struct msghdr *h);

#endif
