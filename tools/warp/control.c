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

static json_t *converse(int fd, const char *request, char *problem, size_t problem_size)
{
	json_t *answer = NULL;
	char line[64], *data;
	size_t size = 0;
	int length = snprintf(line, sizeof(line), "%s\n", request);

	if (send(fd, line, (size_t)length, MSG_NOSIGNAL) != length) {
		snprintf(problem, problem_size, "warpd cannot be asked: %s", strerror(errno));
		return NULL;
	}
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
