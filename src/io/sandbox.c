/* SPDX-License-Identifier: MIT */
/*
 * sandbox.c - privileges are dropped in stages, when the configuration is read and every gate is
 * open.
 *
 * What root is still needed for afterwards:
 *   CAP_NET_ADMIN     the TUN interface: its MTU follows the paths; a reload may add one, with
 *                     addresses and routes; socket buffers beyond the system's limit
 *   CAP_NET_RAW       sockets bound to a device, when a new interface appears
 *   CAP_CHOWN         the group of a Unix gate that a reload adds
 *   CAP_NET_BIND_SERVICE
 *                     only with a listen_port below 1024
 *   CAP_DAC_OVERRIDE  only with a dgram gate: answers go to sockets of applications, which are
 *                     seldom writable for others
 * A reload reads the configuration and its keys as their owner (root) and needs nothing for it.
 * Without root there is less, or nothing, to give up, and the same calls do that.
 */
#include "warp/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "warp/log.h"

bool sandbox_has_net_admin(void)
{
	capng_get_caps_process();
	return capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN) == 1;
}

/* Keys are in memory: it is neither written to a core file nor shown to a debugger of the same
 * user. */
static int hide_memory(void)
{
	struct rlimit none = { 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		log_warn("core dumps cannot be switched off");
		return -EPERM;
	}
	return 0;
}

/* Nothing is ever executed but this program itself (upnp_job.c), and nothing gains by a set-uid bit. */
static int no_new_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		log_warn("no_new_privs cannot be set");
		return -EPERM;
	}
	return 0;
}

static bool has(unsigned int capability)
{
	return capng_have_capability(CAPNG_PERMITTED, capability) == 1;
}

/* All capabilities go but those of the list that are needed and that the process has. */
static int drop_capabilities(const struct sandbox_needs *needs, struct sandbox_needs *ret_gone)
{
	const struct {
		unsigned int capability;
		bool needed;
	} list[] = {
		{ CAP_NET_ADMIN, true },
		{ CAP_NET_RAW, true },
		{ CAP_CHOWN, true },
		{ CAP_NET_BIND_SERVICE, needs->low_port },
		{ CAP_DAC_OVERRIDE, needs->dgram_gate },
	};
	bool keep[ARRAY_SIZE(list)], may_bound;
	size_t i;

	if (capng_get_caps_process() < 0) {
		log_warnx("the capabilities of the process cannot be read");
		return -EPERM;
	}
	for (i = 0; i < ARRAY_SIZE(list); i++)
		keep[i] = list[i].needed && has(list[i].capability);
	*ret_gone = (struct sandbox_needs){
		.dgram_gate = !needs->dgram_gate && has(CAP_DAC_OVERRIDE),
		.low_port = !needs->low_port && has(CAP_NET_BIND_SERVICE),
	};
	may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) == 1;
	capng_clear(CAPNG_SELECT_BOTH);
	for (i = 0; i < ARRAY_SIZE(list); i++) {
		if (keep[i])
			capng_update(CAPNG_ADD,
				     CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
				     list[i].capability);
	}
	if (capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) < 0) {
		log_warnx("capabilities cannot be given up");
		return -EPERM;
	}
	return 0;
}

int sandbox_enter(const struct sandbox_needs *needs, struct sandbox_needs *ret_gone)
{
	int error = hide_memory();

	if (!error)
		error = drop_capabilities(needs, ret_gone);
	if (!error)
		error = no_new_privileges();
	return error;
}
