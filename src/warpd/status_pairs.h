/* SPDX-License-Identifier: MIT */
/*
 * status_pairs.h - a part of the status: pairs of interfaces that had to be brought together.
 */
#ifndef WARPD_STATUS_PAIRS_H
#define WARPD_STATUS_PAIRS_H

#include <jansson.h>

#include "warpd/daemon.h"

json_t *status_pairs(const struct daemon *d, u32 peer);

#endif
