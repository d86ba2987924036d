/* SPDX-License-Identifier: MIT */
/*
 * unixsock.h - named Unix sockets: made without ever taking away what is somebody else's.
 */
#ifndef WARP_IO_UNIXSOCK_H
#define WARP_IO_UNIXSOCK_H

#include <sys/types.h>

#include "warp/conf.h"

struct unixsock_options {
	const char *path;
	int type;          /* SOCK_STREAM, SOCK_SEQPACKET or SOCK_DGRAM */
	u32 mode;          /* of the name in the file system */
	const char *group; /* "": unchanged */
	int backlog;       /* of a listening socket */
};

struct unixsock {
	int fd; /* non-blocking, -1: closed */
	char path[108];
	dev_t device; /* of the name, to know it again */
	ino_t inode;
};

/* Binds (and listens, unless SOCK_DGRAM). A socket that is there already is replaced when nobody
 * listens on it. 0, or -errno with ret_error filled: -EADDRINUSE somebody does, -EEXIST something
 * else has that name. */
int unixsock_open(struct unixsock *ret, const struct unixsock_options *options,
		  struct conf_error *ret_error);
/* Closes, and removes the name if it still is that of this socket. */
void unixsock_close(struct unixsock *s);

#endif
