/* SPDX-License-Identifier: MIT */
/*
 * status_auto.h - a part of the daemon's state as JSON.
 */
#ifndef WARP_WARPD_STATUS_AUTO_H
#define WARP_WARPD_STATUS_AUTO_H

#include <jansson.h>

#include "warp/view.h"
#include "warpd/daemon.h"

/* The target of a tunnel (the engine's index of it), and how it is to be met with each peer; null: it has
 * none. */
json_t *status_auto(const struct daemon *d, u32 tunnel, const struct tunnel_view *v);

#endif
