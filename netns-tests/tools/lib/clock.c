/* SPDX-License-Identifier: MIT */
/*
 * clock.c - a library to be preloaded, which puts the wall clock wrong and leaves all others alone.
 *
 * The file that the environment variable CLOCK_FILE names holds a number of seconds, which is added to what
 * CLOCK_REALTIME, gettimeofday() and time() say. It is mapped at the start: writing another
 * number of the same length or less moves the clock of the running process, even of one that can open
 * no files any more.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *text;

__attribute__((constructor)) static void clock_open(void)
{
	const char *path = getenv("CLOCK_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (map != MAP_FAILED)
		text = map;
	if (fd >= 0)
		close(fd);
}

static time_t offset(void)
{
	return text ? (time_t)strtol(text, NULL, 10) : 0;
}

/* The C library's own names of these parameters are reserved.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t id, struct timespec *t)
{
	int status = (int)syscall(SYS_clock_gettime, id, t);

	if (!status && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += offset();
	return status;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	int status = (int)syscall(SYS_gettimeofday, t, zone);

	if (!status)
		t->tv_sec += offset();
	return status;
}

time_t time(time_t *ret)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
