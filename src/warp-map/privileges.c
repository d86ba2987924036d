/* SPDX-License-Identifier: MIT */
/*
 * privileges.c - after its sockets are bound, warp-map needs no privilege at all: it talks through
 * them and reads one file, as its owner. Without root there is less to give up, and the same calls
 * do that.
 */
#include "privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "warp/log.h"

/* The private key is in memory: neither a core file nor a debugger of the same user gets it. */
static int hide_memory(void)
{
	struct rlimit none = { 0 };

	if (setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		return 0;
	log_error("core dumps cannot be switched off");
	return -EPERM;
}

static int drop_capabilities(void)
{
	capng_select_t select = CAPNG_SELECT_CAPS;

	if (capng_get_caps_process() == 0 &&
	    capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1)
		select = CAPNG_SELECT_BOTH; /* the bounding set too */
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_apply(select) == 0)
		return 0;
	log_errorx("capabilities cannot be given up");
	return -EPERM;
}

int privileges_drop(void)
{
	int r = hide_memory();

	if (r == 0)
		r = drop_capabilities();
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		r = -errno;
		log_error("no_new_privs cannot be set");
	}
	return r;
}
