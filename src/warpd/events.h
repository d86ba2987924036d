/* SPDX-License-Identifier: MIT */
/*
 * events.h - what has changed, for those who listen on the control socket.
 */
#ifndef WARPD_EVENTS_H
#define WARPD_EVENTS_H

#include "warpd/daemon.h"

/* The first lines for one more listener: how things are. From malloc(), NULL: no memory. */
char *events_begin(struct daemon *d);
/* When to look again (ns); TIME_NEVER while nobody listens. */
u64 events_next_expiry(const struct daemon *d);
/* Looks, and tells what has changed. */
void events_expire(struct daemon *d);
void events_close(struct daemon *d);

#endif
