/* SPDX-License-Identifier: MIT */
/*
 * target.h - the mapping transport.redundancy.target of a tunnel, into struct conf_tunnel.
 */
#ifndef WARP_CONF_TARGET_H
#define WARP_CONF_TARGET_H

#include "schema.h"

extern const struct schema target_schema;

/* What is not said about the target of a tunnel that has one. */
void target_complete(struct plan_target *target);

#endif
