/* SPDX-License-Identifier: MIT */
/*
 * memory.c - memory from calloc and mmap, randomness from getrandom, time from CLOCK_BOOTTIME.
 *
 * Large blocks are mapped by ourselves rather than left to calloc: the C library raises its own
 * threshold for mapping as blocks are freed, and would then clear recycled memory, which touches
 * all pages of a buffer pool of tens of MiB.
 */
#include "warp/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "warp/log.h"

#define MAP_FROM (128u * 1024u)

static void *system_alloc(void *ctx, size_t size)
{
	void *p;

	(void)ctx;
	if (size < MAP_FROM)
		return calloc(1, size ? size : 1);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void system_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	if (size < MAP_FROM)
		free(ptr);
	else
		munmap(ptr, size);
}

const struct allocator system_allocator = { .alloc = system_alloc, .free = system_free };

static void system_fill(void *ctx, void *out, size_t size)
{
	u8 *at = out;
	ssize_t n;

	(void)ctx;
	while (size) {
		n = getrandom(at, size, 0);
		if (n < 0 && errno != EINTR)
			fatal("no randomness from the kernel");
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
}

const struct random_source system_random = { .fill = system_fill };

u64 clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (u64)ts.tv_sec * NS_PER_S + (u64)ts.tv_nsec;
}
