/* SPDX-License-Identifier: MIT */
/*
 * control.c - asks the daemon: one line there, one JSON document back, then the end.
 *
 * What comes back is as little trusted as any input: bounded in size and time, parsed strictly.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tool.h"

#define ANSWER_MOST (16u * 1024u * 1024u)
#define PATIENCE 10 /* seconds without a byte */
#define LINE_MOST 65536u

static int connect_to(const char *path, char *problem, size_t problem_size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(problem, problem_size, "%s: too long for the path of a socket", path);
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (errno == ENOENT || errno == ECONNREFUSED)
		snprintf(problem, problem_size, "warpd is not running: nobody listens at %s (%s)",
			 path, strerror(errno));
	else
		snprintf(problem, problem_size, "%s: %s%s", path, strerror(errno),
			 errno == EACCES ? "; try it as root" : "");
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Everything until the end, malloced. */
static char *read_answer(int fd, size_t *ret_size, char *problem, size_t problem_size)
{
	char *data = malloc(ANSWER_MOST + 1);
	size_t size = 0;
	ssize_t got = data ? 1 : -1;

	while (got > 0 && size <= ANSWER_MOST) {
		got = read(fd, data + size, ANSWER_MOST + 1 - size);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			size += (size_t)got;
	}
	if (got == 0) {
		*ret_size = size;
		return data;
	}
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		snprintf(problem, problem_size, "warpd has not answered for %d seconds", PATIENCE);
	else if (got < 0)
		snprintf(problem, problem_size, "warpd's answer cannot be read: %s",
			 strerror(errno));
	else
		snprintf(problem, problem_size, "warpd's answer is larger than %u bytes",
			 ANSWER_MOST);
	free(data);
	return NULL;
}

static json_t *parse_answer(const char *data, size_t size, char *problem, size_t problem_size)
{
	json_error_t error;
	json_t *answer = json_loadb(data, size, JSON_REJECT_DUPLICATES, &error);

	if (!answer) {
		snprintf(problem, problem_size, "warpd's answer is not JSON (line %d, column %d)",
			 error.line, error.column);
	} else if (!json_is_object(answer)) {
		snprintf(problem, problem_size, "warpd's answer is not a JSON object");
		json_decref(answer);
		answer = NULL;
	}
	return answer;
}

/* False: it cannot be asked. */
static bool ask(int fd, const char *request, char *problem, size_t problem_size)
{
	char line[64];
	int length = snprintf(line, sizeof(line), "%s\n", request);

	if (send(fd, line, (size_t)length, MSG_NOSIGNAL) == length)
		return true;
	snprintf(problem, problem_size, "warpd cannot be asked: %s", strerror(errno));
	return false;
}

static json_t *converse(int fd, const char *request, char *problem, size_t problem_size)
{
	json_t *answer = NULL;
	size_t size = 0;
	char *data;

	if (!ask(fd, request, problem, problem_size))
		return NULL;
	data = read_answer(fd, &size, problem, problem_size);
	if (data)
		answer = parse_answer(data, size, problem, problem_size);
	free(data);
	return answer;
}

int control_ask(const char *socket_path, const char *request, json_t **ret, char *problem,
		size_t problem_size)
{
	int fd = connect_to(socket_path, problem, problem_size);
	json_t *answer;

	if (fd < 0)
		return EXIT_FAILED;
	answer = converse(fd, request, problem, problem_size);
	close(fd);
	if (!answer)
		return EXIT_FAILED;
	*ret = answer;
	return EXIT_DONE;
}

/* --- listening ---------------------------------------------------------------------------- */

/* The daemon says so when it does not answer the question with events. */
static bool is_refusal(const json_t *line, char *problem, size_t problem_size)
{
	const char *error = json_string_value(json_object_get(line, "error"));

	if (!json_is_false(json_object_get(line, "ok")))
		return false;
	snprintf(problem, problem_size, "warpd says: %s", error ? error : "no");
	return true;
}

static void take_lines(FILE *in, bool (*take)(json_t *event), char *problem, size_t problem_size)
{
	char *text = malloc(LINE_MOST);
	bool more = text;

	snprintf(problem, problem_size, "warpd has ended the conversation");
	while (more && fgets(text, LINE_MOST, in)) {
		json_t *line = parse_answer(text, strlen(text), problem, problem_size);

		more = line && !is_refusal(line, problem, problem_size) && take(line);
		json_decref(line);
	}
	free(text);
}

int control_listen(const char *socket_path, const char *request, bool (*take)(json_t *event),
		   char *problem, size_t problem_size)
{
	int fd = connect_to(socket_path, problem, problem_size);
	struct timeval forever = { 0 };
	FILE *in = NULL;

	if (fd < 0)
		return EXIT_FAILED;
	if (ask(fd, request, problem, problem_size) &&
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever)) == 0)
		in = fdopen(fd, "r");
	if (!in) {
		close(fd);
		return EXIT_FAILED;
	}
	take_lines(in, take, problem, problem_size);
	fclose(in);
	return EXIT_FAILED;
}
