/* SPDX-License-Identifier: MIT */
/*
 * slabs.h - memory for very many things of a few sizes.
 *
 * malloc puts a header before each block, and leaves holes that only a block of that size can fill.
 * Here blocks of one size (rounded up to 16 bytes) lie side by side in slabs of 64 KiB, without
 * headers: whoever frees one says its size, as struct allocator asks for. A slab that is empty goes
 * back to the system. What is larger than SLABS_LARGEST comes from system_allocator.
 */
#ifndef WARP_SLABS_H
#define WARP_SLABS_H

#include "warp/base.h"

#define SLABS_LARGEST 1024u

struct slabs;

/* 0, -ENOMEM. */
int slabs_create(struct slabs **ret);
/* Everything of it has been freed. */
void slabs_destroy(struct slabs *s);
struct allocator slabs_allocator(struct slabs *s);

#endif
