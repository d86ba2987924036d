/* SPDX-License-Identifier: MIT */
/*
 * sandbox.h - what warpd gives up once it has started. Before any thread is made: capabilities
 * belong to threads.
 */
#ifndef WARP_SANDBOX_H
#define WARP_SANDBOX_H

#include "warp/base.h"

/* Can interfaces, addresses and routes be configured? For a clear message before trying. */
bool sandbox_has_net_admin(void);

struct sandbox_needs {
	bool dgram_gate; /* a gate of type dgram is configured */
	bool low_port;   /* interfaces get sockets with a port below 1024 */
};

/* Gives up all privileges but the few that are named in sandbox.c; of those for which there is a need
 * of that kind, *ret_gone tells which were there and were not needed: they do not come back. 0, or
 * -errno; what failed is logged. */
int sandbox_enter(const struct sandbox_needs *needs, struct sandbox_needs *ret_gone);

#endif
