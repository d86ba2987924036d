/* SPDX-License-Identifier: MIT */
/*
 * udp_control.c - see udp_control.h and udp(7).
 */
#include "io/udp_control.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

void udp_control_put(struct msghdr *h, union udp_control *control, u32 segment)
{
	u16 size = (u16)segment;

	h->msg_control = NULL;
	h->msg_controllen = 0;
	if (!segment)
		return;
	control->header.cmsg_level = SOL_UDP;
	control->header.cmsg_type = UDP_SEGMENT;
	control->header.cmsg_len = CMSG_LEN(sizeof(size));
	memcpy(CMSG_DATA(&control->header), &size, sizeof(size));
	h->msg_control = control;
	h->msg_controllen = CMSG_SPACE(sizeof(size));
}

void udp_control_prepare(struct msghdr *h, union udp_control *control)
{
	h->msg_control = control;
	h->msg_controllen = sizeof(*control);
}

u32 udp_control_segment(struct msghdr *h)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(h); /* there is no room for a second one */
	int size;

	if (!c || c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO)
		return 0;
	memcpy(&size, CMSG_DATA(c), sizeof(size));
	return size > 0 ? (u32)size : 0;
}
