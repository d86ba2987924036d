/* SPDX-License-Identifier: MIT */
/*
 * test_ctl.c - the control socket: questions, answers of any size, and clients that misbehave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "warp/ctl.h"

#define LONG_ANSWER 3000000u

static struct ctl *ctl;
static char directory[64], path[100];

static char *answer(void *ctx, const char *question)
{
	char *text;

	(void)ctx;
	if (!strcmp(question, "long")) {
		text = malloc(LONG_ANSWER + 1);
		memset(text, 'x', LONG_ANSWER);
		text[LONG_ANSWER] = 0;
		return text;
	}
	if (!strcmp(question, CTL_LISTEN))
		return strdup("begin\n");
	return strcmp(question, "status") ? NULL : strdup("{}\n");
}

static int setup(void **state)
{
	struct conf_error error;

	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/warp-ctl.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/run/c.sock", directory);
	return ctl_open(&ctl, path, answer, NULL, &error);
}

static int teardown(void **state)
{
	char run[100];

	(void)state;
	ctl_close(ctl);
	snprintf(run, sizeof(run), "%s/run", directory);
	return rmdir(run) == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static int client(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	ctl_readable(ctl, 1);
	return fd;
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	ctl_readable(ctl, 1);
}

/* The whole answer's size, up to end of file; its beginning in text. */
static size_t get(int fd, char *text, size_t room)
{
	static char more[65536];
	size_t total = 0;
	ssize_t size;

	memset(text, 0, room);
	for (;;) {
		size = recv(fd, more, sizeof(more), 0);
		if (size < 0)
			assert_int_equal(errno, EAGAIN);
		if (size == 0)
			return total;
		if (size > 0 && total < room - 1)
			memcpy(text + total, more,
			       (size_t)size < room - 1 ? (size_t)size : room - 1);
		total += size > 0 ? (size_t)size : 0;
		ctl_readable(ctl, 1);
	}
}

static void question_gets_its_answer_and_the_end(void **state)
{
	char text[64];
	int fd = client();

	(void)state;
	put(fd, "sta");
	put(fd, "tus\n");
	assert_int_equal(get(fd, text, sizeof(text)), 3);
	assert_string_equal(text, "{}\n");
	close(fd);
}

static void answer_larger_than_the_socket_arrives_whole(void **state)
{
	char text[4];
	int fd = client();

	(void)state;
	put(fd, "long\n");
	assert_int_equal(get(fd, text, sizeof(text)), LONG_ANSWER);
	close(fd);
}

static void unknown_and_endless_questions_are_told_so(void **state)
{
	char text[200], endless[CTL_QUESTION + 1];
	int fd = client();

	(void)state;
	put(fd, "wat\n");
	assert_true(get(fd, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "\"ok\":false"));
	close(fd);
	fd = client();
	memset(endless, 'e', CTL_QUESTION);
	endless[CTL_QUESTION] = 0;
	put(fd, endless);
	assert_true(get(fd, text, sizeof(text)) > 0);
	close(fd);
}

static void silent_client_is_sent_away_in_time(void **state)
{
	char text[4];
	int fd = client();

	(void)state;
	assert_int_equal(ctl_next_expiry(ctl), 1 + CTL_PATIENCE);
	ctl_expire(ctl, CTL_PATIENCE);
	assert_int_equal(recv(fd, text, 1, 0), -1);
	ctl_expire(ctl, 1 + CTL_PATIENCE);
	assert_int_equal(recv(fd, text, 1, 0), 0);
	assert_int_equal(ctl_next_expiry(ctl), TIME_NEVER);
	close(fd);
}

static void one_client_too_many_is_turned_away(void **state)
{
	int fd[CTL_CLIENTS + 1];
	char text[4];
	u32 i;

	(void)state;
	for (i = 0; i <= CTL_CLIENTS; i++)
		fd[i] = client();
	assert_int_equal(recv(fd[CTL_CLIENTS], text, 1, 0), 0);
	for (i = 0; i <= CTL_CLIENTS; i++)
		close(fd[i]);
	ctl_readable(ctl, 1);
	fd[0] = client();
	put(fd[0], "status\n");
	assert_int_equal(get(fd[0], text, sizeof(text)), 3);
	close(fd[0]);
}

static int listener(void)
{
	char text[8];
	int fd = client();

	put(fd, "events\n");
	assert_int_equal(recv(fd, text, sizeof(text), 0), 6);
	assert_memory_equal(text, "begin\n", 6);
	return fd;
}

static void listeners_are_told_lines_until_they_go(void **state)
{
	char text[64];
	int one = listener(), other = listener();

	(void)state;
	assert_int_equal(ctl_listeners(ctl), 2);
	assert_int_equal(ctl_next_expiry(ctl), TIME_NEVER);
	ctl_tell(ctl, 1, "a\n");
	ctl_tell(ctl, 2, "b\nc\n");
	assert_int_equal(recv(one, text, sizeof(text), 0), 6);
	assert_memory_equal(text, "a\nb\nc\n", 6);
	close(one);
	ctl_readable(ctl, 3);
	assert_int_equal(ctl_listeners(ctl), 1);
	ctl_tell(ctl, 3, "d\n");
	assert_int_equal(recv(other, text, sizeof(text), 0), 8);
	assert_int_equal(ctl_listeners_lost(ctl), 0);
	close(other);
	ctl_readable(ctl, 3);
	assert_int_equal(ctl_listeners(ctl), 0);
}

static void a_listener_that_does_not_read_is_sent_away(void **state)
{
	static char line[1001];
	int slow = listener(), quick = listener();
	u32 count = 0;

	(void)state;
	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	for (; ctl_listeners_lost(ctl) == 0; count++) {
		char text[2000];

		assert_true(count < 2000);
		ctl_tell(ctl, 1, line);
		ctl_readable(ctl, 1);
		assert_int_equal(recv(quick, text, sizeof(text), 0), sizeof(line) - 1);
	}
	assert_true(count > CTL_BACKLOG / sizeof(line));
	assert_int_equal(ctl_listeners(ctl), 1);
	close(slow);
	close(quick);
	ctl_readable(ctl, 1);
}

/* So many bytes are there, as it reads on. */
static void read_all(int fd, size_t total, u64 now)
{
	static char text[65536];

	while (total > 0) {
		ssize_t size = recv(fd, text, sizeof(text), 0);

		assert_true(size > 0);
		total -= (size_t)size;
		ctl_readable(ctl, now);
	}
}

/* As when a thousand peers connect at once: however promptly it reads, it cannot do so in between. */
static void a_listener_that_reads_may_be_told_much_at_once(void **state)
{
	static char lines[1000001];
	int fd = listener();

	(void)state;
	memset(lines, 'x', sizeof(lines) - 2);
	lines[sizeof(lines) - 2] = '\n';
	ctl_tell(ctl, 1, lines);
	assert_int_equal(ctl_listeners(ctl), 1);
	read_all(fd, sizeof(lines) - 1, 2);
	assert_int_equal(ctl_next_expiry(ctl), TIME_NEVER);
	close(fd);
	ctl_readable(ctl, 2);
}

/* Much has happened at once; it reads on, and a tenth of a second later something more happens. */
static void a_listener_that_is_still_reading_is_told_more(void **state)
{
	static char lines[1000001], text[65536];
	size_t total = sizeof(lines) - 1 + 5;
	int fd = listener();

	(void)state;
	memset(lines, 'x', sizeof(lines) - 2);
	lines[sizeof(lines) - 2] = '\n';
	ctl_tell(ctl, 1, lines);
	total -= (size_t)recv(fd, text, sizeof(text), 0);
	ctl_readable(ctl, 2);
	ctl_tell(ctl, 3, "more\n");
	assert_int_equal(ctl_listeners(ctl), 1);
	read_all(fd, total, 4);
	assert_int_equal(ctl_next_expiry(ctl), TIME_NEVER);
	close(fd);
	ctl_readable(ctl, 4);
}

static void a_listener_that_reads_again_misses_nothing(void **state)
{
	static char line[1001];
	size_t total = 0;
	int fd = listener();

	(void)state;
	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	while (ctl_next_expiry(ctl) == TIME_NEVER) { /* until the kernel takes no more */
		ctl_tell(ctl, 1, line);
		total += sizeof(line) - 1;
	}
	for (u32 n = 0; n < 20; n++) {
		ctl_tell(ctl, 1, line);
		total += sizeof(line) - 1;
	}
	read_all(fd, total, 2);
	assert_int_equal(ctl_listeners(ctl), 1);
	assert_int_equal(ctl_next_expiry(ctl), TIME_NEVER);
	close(fd);
	ctl_readable(ctl, 2);
}

static void a_listener_that_stands_still_is_sent_away_in_time(void **state)
{
	static char line[1001];
	int fd = listener();

	(void)state;
	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	while (ctl_next_expiry(ctl) == TIME_NEVER)
		ctl_tell(ctl, 1, line);
	ctl_expire(ctl, CTL_PATIENCE);
	assert_int_equal(ctl_listeners(ctl), 1);
	ctl_expire(ctl, 1 + CTL_PATIENCE);
	assert_int_equal(ctl_listeners(ctl), 0);
	assert_int_equal(ctl_listeners_lost(ctl), 1);
	close(fd);
}

static void listeners_leave_places_to_questions(void **state)
{
	int fd[CTL_LISTENERS];
	char text[200];
	int late;

	(void)state;
	for (u32 i = 0; i < CTL_LISTENERS; i++)
		fd[i] = listener();
	late = client();
	put(late, "events\n");
	assert_true(get(late, text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "too many"));
	close(late);
	late = client();
	put(late, "status\n");
	assert_int_equal(get(late, text, sizeof(text)), 3);
	close(late);
	for (u32 i = 0; i < CTL_LISTENERS; i++)
		close(fd[i]);
	ctl_readable(ctl, 1);
	assert_int_equal(ctl_listeners(ctl), 0);
}

static void only_its_owner_may_ask(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void second_daemon_is_told_that_one_is_running(void **state)
{
	struct conf_error error;
	struct ctl *second;

	(void)state;
	assert_int_equal(ctl_open(&second, path, answer, NULL, &error), -EADDRINUSE);
	assert_non_null(strstr(error.text, "already running"));
	assert_int_equal(access(path, F_OK), 0);
	ctl_readable(ctl, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(question_gets_its_answer_and_the_end),
		TEST(answer_larger_than_the_socket_arrives_whole),
		TEST(unknown_and_endless_questions_are_told_so),
		TEST(silent_client_is_sent_away_in_time),
		TEST(one_client_too_many_is_turned_away),
		TEST(listeners_are_told_lines_until_they_go),
		TEST(a_listener_that_does_not_read_is_sent_away),
		TEST(a_listener_that_reads_may_be_told_much_at_once),
		TEST(a_listener_that_is_still_reading_is_told_more),
		TEST(a_listener_that_reads_again_misses_nothing),
		TEST(a_listener_that_stands_still_is_sent_away_in_time),
		TEST(listeners_leave_places_to_questions),
		TEST(only_its_owner_may_ask),
		TEST(second_daemon_is_told_that_one_is_running),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
