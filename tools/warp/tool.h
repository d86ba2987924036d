/* SPDX-License-Identifier: MIT */
/*
 * tool.h - what the sub-commands of `warp` share. Each is one function of argc and argv (argv[0] is
 * its own name), whose result is the exit status.
 */
#ifndef WARP_TOOL_H
#define WARP_TOOL_H

#include <jansson.h>
#include <stdio.h>

#include "warp/base.h"

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int command_genkey(int argc, char **argv);
int command_pubkey(int argc, char **argv);
int command_genpsk(int argc, char **argv);
int command_check(int argc, char **argv);
int command_example(int argc, char **argv);
int command_status(int argc, char **argv);
int command_watch(int argc, char **argv);
int command_events(int argc, char **argv);
int command_reload(int argc, char **argv);
int command_version(int argc, char **argv);

/* --- options (options.c) ------------------------------------------------------------------ */

struct options {
	bool json, map;
	const char *socket;  /* -s, $WARP_SOCKET, or the default */
	const char *operand; /* NULL: none */
};

enum { TAKES_JSON = 1, TAKES_MAP = 2, TAKES_SOCKET = 4, TAKES_OPERAND = 8 };

/* The options that `takes` allows. False: the command ends with *ret_status, and the person has
 * been told (help was asked for, or a mistake). TAKES_OPERAND: exactly one is needed. */
bool options_read(struct options *ret, int argc, char **argv, unsigned takes, int *ret_status);
/* Prints how a command is used. */
void command_help(FILE *out, const char *name);
/* stdout is complete, or a message. */
int finish_output(void);

/* --- the daemon (control.c) --------------------------------------------------------------- */

/* Sends request ("status") to the daemon; *ret is its answer, an object, the caller's. EXIT_DONE; or
 * EXIT_FAILED with the reason in problem. */
int control_ask(const char *socket_path, const char *request, json_t **ret, char *problem,
		size_t problem_size);

/* Sends request and gives each line of the answer, an object, to take, until that returns false or the
 * daemon ends it. EXIT_FAILED with the reason in problem. */
int control_listen(const char *socket_path, const char *request, bool (*take)(json_t *event),
		   char *problem, size_t problem_size);

/* --- showing it (show.c, show_peer.c) ----------------------------------------------------- */

/* Writes the status document for people. False: it is not what a daemon says, see problem; nothing
 * of out is then to be shown. */
bool show_status(FILE *out, const json_t *status, char *problem, size_t problem_size);

#endif
