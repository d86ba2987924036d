/* SPDX-License-Identifier: MIT */
/*
 * status.h - parts of the answer to `warp status` that are made elsewhere.
 */
#ifndef WARPD_STATUS_H
#define WARPD_STATUS_H

#include <jansson.h>

#include "warp/view.h"
#include "warpd/daemon.h"

/* cost, weight, rate_limit_bps, carries, need and quota of one interface. */
void status_set_cost(const struct daemon *d, json_t *iface, u32 index, const struct iface_view *v);

#endif
