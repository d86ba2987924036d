/* SPDX-License-Identifier: MIT */
/*
 * events.c - `warp events`: what the daemon tells of changes, line by line, until it ends.
 */
#include <stdlib.h>

#include "tool.h"

#define PROBLEM_TEXT 512u

/* jansson writes control characters as escapes, so a line stays one. False: it cannot be written. */
static bool print_line(json_t *event)
{
	return json_dumpf(event, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9)) == 0 &&
	       putchar('\n') != EOF && fflush(stdout) == 0;
}

int command_events(int argc, char **argv)
{
	char problem[PROBLEM_TEXT] = "";
	struct options options;
	int status;

	if (!options_read(&options, argc, argv, TAKES_SOCKET, &status))
		return status;
	status = control_listen(options.socket, "events", print_line, problem, sizeof(problem));
	if (ferror(stdout))
		return finish_output();
	fprintf(stderr, "warp: %s\n", problem);
	return status;
}
