/* SPDX-License-Identifier: MIT */
/*
 * upnp_net.h - the sockets of upnp_worker.c: bound to the interface that the question is about, and
 * never waiting for long.
 */
#ifndef WARP_IO_UPNP_NET_H
#define WARP_IO_UPNP_NET_H

#include "upnp.h"

#define UPNP_DOCUMENT_SIZE 65536u

/* A socket, from the interface to e. -errno. */
int upnp_connect(const struct upnp_question *q, const struct endpoint *e);
/* Reads what url (host a number) stands for: at most UPNP_DOCUMENT_SIZE bytes. The size, -errno. */
int upnp_get(const struct upnp_question *q, const char *url, char ret[static UPNP_DOCUMENT_SIZE]);

/* Searches for gateway devices on the link. An open search, -errno. */
int upnp_search(const struct upnp_question *q);
/* The URL of the next one that answers. 0, -ETIMEDOUT: there are no more. */
int upnp_found(const struct upnp_question *q, int search, u64 until,
	       char ret[static UPNP_URL_SIZE]);

u64 upnp_now(void);

#endif
