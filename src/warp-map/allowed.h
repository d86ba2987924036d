/* SPDX-License-Identifier: MIT */
/*
 * allowed.h - which nodes may use the map: a sorted list of keys.
 */
#ifndef WARP_MAP_ALLOWED_H
#define WARP_MAP_ALLOWED_H

#include "warp/conf.h"

struct allowed;

/* *ret is NULL when the configuration allows anybody. 0, -ENOMEM. */
int allowed_create(struct allowed **ret, const struct conf_map_server *conf);
void allowed_destroy(struct allowed *a);
bool allowed_has(const struct allowed *a, const u8 key[static KEY_SIZE]);

#endif
