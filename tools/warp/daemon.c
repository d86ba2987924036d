/* SPDX-License-Identifier: MIT */
/*
 * daemon.c - the sub-commands that talk to the running daemon: status, watch, reload, version.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "page.h"
#include "tool.h"

#define PROBLEM_TEXT 512u

static int complain(const char *problem)
{
	fflush(stdout);
	fprintf(stderr, "warp: %s\n", problem);
	return EXIT_FAILED;
}

/* --- status ------------------------------------------------------------------------------- */

/* The status for people as malloced text. */
static int make_page(const char *socket, char **ret, char *problem, size_t problem_size)
{
	json_t *status = NULL;
	size_t size = 0;
	char *text = NULL;
	FILE *out;
	bool good;

	if (control_ask(socket, "status", &status, problem, problem_size))
		return EXIT_FAILED;
	out = open_memstream(&text, &size);
	if (!out) {
		snprintf(problem, problem_size, "there is no memory");
		json_decref(status);
		return EXIT_FAILED;
	}
	good = show_status(out, status, problem, problem_size);
	json_decref(status);
	if (fclose(out) == 0 && good) {
		*ret = text;
		return EXIT_DONE;
	}
	free(text);
	return EXIT_FAILED;
}

/* As the daemon says it; jansson writes control characters as escapes. */
static int print_json(const char *socket)
{
	char problem[PROBLEM_TEXT] = "";
	json_t *status = NULL;

	if (control_ask(socket, "status", &status, problem, sizeof(problem)))
		return complain(problem);
	json_dumpf(status, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(status);
	return finish_output();
}

int command_status(int argc, char **argv)
{
	char problem[PROBLEM_TEXT] = "", *page = NULL;
	struct options options;
	int status;

	if (!options_read(&options, argc, argv, TAKES_JSON | TAKES_SOCKET, &status))
		return status;
	if (options.json)
		return print_json(options.socket);
	if (make_page(options.socket, &page, problem, sizeof(problem)))
		return complain(problem);
	fputs(page, stdout);
	free(page);
	return finish_output();
}

/* --- watch -------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* A daemon that goes away while it is watched may come back; one that never was there is a
 * mistake. */
static int watch(const char *socket)
{
	const char *home = isatty(STDOUT_FILENO) ? "\033[H\033[J" : "";
	char problem[PROBLEM_TEXT] = "", *page = NULL;
	bool seen = false;
	int status = EXIT_DONE;

	while (!interrupted && status == EXIT_DONE) {
		if (make_page(socket, &page, problem, sizeof(problem)) == EXIT_DONE) {
			printf("%s%s\n", home, page);
			free(page);
			seen = true;
		} else if (seen) {
			printf("%s%s\n", home, problem);
		} else {
			return interrupted ? EXIT_DONE : complain(problem);
		}
		status = finish_output();
		if (status == EXIT_DONE && !interrupted)
			nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	}
	return status;
}

int command_watch(int argc, char **argv)
{
	struct options options;
	int status;

	if (!options_read(&options, argc, argv, TAKES_SOCKET, &status))
		return status;
	catch_signals();
	return watch(options.socket);
}

/* --- reload, version ---------------------------------------------------------------------- */

int command_reload(int argc, char **argv)
{
	char problem[PROBLEM_TEXT] = "";
	struct options options;
	json_t *answer = NULL;
	struct page page = { stdout, problem, sizeof(problem) };
	int status;

	if (!options_read(&options, argc, argv, TAKES_SOCKET, &status))
		return status;
	if (control_ask(options.socket, "reload", &answer, problem, sizeof(problem)))
		return complain(problem);
	if (!json_is_boolean(json_object_get(answer, "ok")))
		page_problem(&page, "ok", "is not true or false");
	status = json_is_true(json_object_get(answer, "ok")) ? EXIT_DONE : EXIT_USAGE;
	if (status && !*problem)
		snprintf(problem, sizeof(problem), "%s", page_text(&page, answer, "error"));
	if (status)
		status = json_is_false(json_object_get(answer, "ok")) ? EXIT_USAGE : EXIT_FAILED;
	json_decref(answer);
	if (status)
		complain(problem);
	return status;
}

int command_version(int argc, char **argv)
{
	char problem[PROBLEM_TEXT] = "";
	struct options options;
	json_t *answer = NULL;
	struct page page = { stdout, problem, sizeof(problem) };
	const char *running;
	int status;

	if (!options_read(&options, argc, argv, TAKES_SOCKET, &status))
		return status;
	printf("warp %s\n", WARP_VERSION);
	/* No daemon is no failure here. */
	if (control_ask(options.socket, "version", &answer, problem, sizeof(problem)))
		return finish_output();
	running = page_text(&page, answer, "version");
	if (!*problem)
		printf("warpd %s\n", running);
	json_decref(answer);
	return *problem ? complain(problem) : finish_output();
}
