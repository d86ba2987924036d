/* SPDX-License-Identifier: MIT */
/*
 * memory.h - what the programs give to the core: memory, randomness and the time.
 */
#ifndef WARP_MEMORY_H
#define WARP_MEMORY_H

#include "warp/base.h"

/* Zeroed memory. What is large comes from mmap: it costs nothing until it is touched, and goes
 * back to the kernel when it is freed. */
extern const struct allocator system_allocator;

/* getrandom(2). Ends the process when the kernel has no randomness at all. */
extern const struct random_source system_random;

/* CLOCK_BOOTTIME in nanoseconds. */
u64 clock_now(void);

#endif
