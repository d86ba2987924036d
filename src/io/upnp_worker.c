/* SPDX-License-Identifier: MIT */
/*
 * upnp_worker.c - the process that asks one router one question by UPnP.
 *
 * It needs sockets and nothing else. What it gives up, in stages: descriptors, time (alarm(2)),
 * memory and processes (setrlimit(2)), capabilities, and all files (landlock(7), where the kernel
 * has it: as root it could read what root owns).
 */
#include "upnp.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIRST_FD 3u
#define MEMORY (256u << 20)
#define DESCRIPTORS 16u

/* The address sanitizer wants terabytes of address space. */
#ifdef __has_feature
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

static void limit(int what, rlim_t most)
{
	struct rlimit l = { most, most };

	setrlimit((__rlimit_resource_t)what, &l);
}

static void limit_all(void)
{
	alarm((unsigned int)(UPNP_PATIENCE / NS_PER_S));
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_NOFILE, DESCRIPTORS);
	if (!SANITIZED)
		limit(RLIMIT_AS, MEMORY);
}

static void forbid_files(void)
{
	const struct landlock_ruleset_attr all = { .handled_access_fs =
							   (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
	long ruleset = syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);

	if (ruleset < 0)
		return;
	syscall(SYS_landlock_restrict_self, ruleset, 0);
	close((int)ruleset);
}

static int give_up(void)
{
	if (close_range(FIRST_FD, ~0u, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	limit_all();
	if (capng_get_caps_process() < 0)
		return -EPERM;
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	forbid_files();
	return 0;
}

int upnp_worker(int fd)
{
	struct upnp_question question;
	struct upnp_answer answer = { .error = -EPROTO };

	if (recv(fd, &question, sizeof(question), 0) != (ssize_t)sizeof(question)) {
		fputs("warpd " UPNP_WORKER_ARGUMENT " is started by warpd alone\n", stderr);
		return 2;
	}
	prctl(PR_SET_NAME, "warpd-upnp", 0, 0, 0);
	if (give_up() < 0)
		return 1;
	upnp_ask(&question, &answer);
	return send(fd, &answer, sizeof(answer), MSG_NOSIGNAL) < 0;
}
