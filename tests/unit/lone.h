/* SPDX-License-Identifier: MIT */
/*
 * lone.h - an engine by itself, whose rooms a test calls as if datagrams had just been opened.
 */
#ifndef WARP_TESTS_LONE_H
#define WARP_TESTS_LONE_H

#include "harness.h"

#include "core/engine/engine_internal.h"

struct lone {
	struct test_heap heap;
	struct test_random random;
	struct allocator allocator;
	struct pool *pool;
	u32 bufs; /* that it has */
	struct engine *e;
};

void lone_begin(struct lone *l, u32 bufs);
/* Fails the test when a buffer or memory is not given back. */
void lone_end(struct lone *l);

#endif
