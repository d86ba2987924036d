/* SPDX-License-Identifier: MIT */
/*
 * device.c - by index, which is never taken over by another device while this one lives; then the
 * name must be the one we know it by. Kernels before 5.0 know the name only.
 */
#include "device.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

int device_bind(int fd, u32 ifindex, const char *ifname)
{
	char name[IF_NAMESIZE] = "";
	socklen_t size = sizeof(name);
	int index = (int)ifindex, r = -ENOPROTOOPT;

	if (ifindex)
		r = setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &index, sizeof(index)) ? -errno :
											  0;
	if (r == -ENOPROTOOPT &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ifname, (socklen_t)strlen(ifname)) == 0)
		return 0;
	if (r == -ENOPROTOOPT)
		return -errno;
	if (r)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size) || strcmp(name, ifname) != 0)
		return -ENODEV;
	return 0;
}
