/* SPDX-License-Identifier: MIT */
/*
 * redundancy.h - the mapping transport.redundancy of a tunnel, into struct conf_tunnel.
 */
#ifndef WARP_CONF_REDUNDANCY_H
#define WARP_CONF_REDUNDANCY_H

#include "schema.h"

extern const struct schema redundancy_schema;

#endif
