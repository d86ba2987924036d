/* SPDX-License-Identifier: MIT */
#include "netns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool entered;

bool netns_enter(void)
{
	entered = unshare(CLONE_NEWNET) == 0 && system("ip link set dev lo up") == 0;
	return entered;
}

void netns_needed(void)
{
	if (!entered)
		skip();
}

void run(const char *format, ...)
{
	char command[512];
	va_list args;

	/* Never in a namespace that is not ours. */
	if (!entered)
		fail();
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command))
		fail_msg("failed: %s", command);
}

bool shows(const char *command, const char *text)
{
	char output[8192];
	FILE *f = popen(command, "r");
	size_t n;

	assert_non_null(f);
	n = fread(output, 1, sizeof(output) - 1, f);
	output[n] = 0;
	pclose(f);
	return strstr(output, text);
}
