/* SPDX-License-Identifier: MIT */
/*
 * alloc.c - a library to be preloaded, which counts what a process asks memory with.
 *
 * The file that the environment variable ALLOC_FILE names is made, and mapped at the start: it holds the
 * counts of struct counts, in the byte order of the machine, as they are at any moment. Others may read it
 * while the process runs. `where` are the addresses that the last calls came from.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PLACES 8u

struct counts {
	_Atomic uint64_t heap, mmap; /* calls: malloc and its relatives, mmap */
	_Atomic uint64_t loop;       /* those of libev to malloc and its relatives */
	_Atomic uint64_t where[PLACES];
};

static struct counts elsewhere, *counts = &elsewhere;

/* glibc's own names of what this library stands before.
 * NOLINTBEGIN(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name,performance-no-int-to-ptr) */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void *map(void *at, size_t size, int protection, int flags, int fd, long offset)
{
	return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

__attribute__((constructor)) static void counts_open(void)
{
	const char *path = getenv("ALLOC_FILE");
	int fd = path ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	void *shared = MAP_FAILED;

	if (fd >= 0 && ftruncate(fd, sizeof(*counts)) == 0)
		shared = map(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (shared != MAP_FAILED)
		counts = shared;
}

static void count(_Atomic uint64_t *which, const void *caller)
{
	uint64_t n = atomic_fetch_add(which, 1);

	atomic_store(&counts->where[n % PLACES], (uint64_t)(uintptr_t)caller);
}

#define CALLER __builtin_return_address(0)

static void count_heap(const void *caller)
{
	Dl_info info;
	int found = dladdr(caller, &info);

	count(found && info.dli_fname && strstr(info.dli_fname, "libev.so") ? &counts->loop :
									      &counts->heap,
	      caller);
}

void *malloc(size_t size)
{
	count_heap(CALLER);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count_heap(CALLER);
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count_heap(CALLER);
	return __libc_realloc(p, size);
}

void *memalign(size_t alignment, size_t size)
{
	count_heap(CALLER);
	return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count_heap(CALLER);
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	count_heap(CALLER);
	*ret = __libc_memalign(alignment, size);
	return *ret ? 0 : 12; /* ENOMEM */
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	count(&counts->mmap, CALLER);
	return map(at, size, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
	__attribute__((alias("mmap")));
/* NOLINTEND(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name,performance-no-int-to-ptr) */
