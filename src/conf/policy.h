/* SPDX-License-Identifier: MIT */
/*
 * policy.h - the items of interfaces.policy, into struct conf_policy.
 */
#ifndef WARP_CONF_POLICY_H
#define WARP_CONF_POLICY_H

#include "schema.h"

extern const struct schema policy_schema;

#endif
