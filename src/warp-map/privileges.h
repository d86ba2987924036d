/* SPDX-License-Identifier: MIT */
/*
 * privileges.h - what warp-map gives up once its sockets are open.
 */
#ifndef WARP_MAP_PRIVILEGES_H
#define WARP_MAP_PRIVILEGES_H

/* 0, or -errno; what failed is logged. */
int privileges_drop(void);

#endif
