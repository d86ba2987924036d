/* SPDX-License-Identifier: MIT */
/*
 * log.c - one line a message on stderr, with a limit for each call site.
 *
 * The limit is a virtual schedule: every line moves the moment at which the site's allowance is
 * complete again (full_at) on by 1/LOG_RATE second; a line that would move it further than
 * LOG_BURST lines into the future is held back. A line is put together in one buffer and written
 * with one write(2), so that lines of several processes do not mix. What comes from outside (names
 * in files, of hosts) cannot forge a second line: control characters become '?'.
 */
#include "warp/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "warp/memory.h"

#define LINE_SIZE 2048u
#define LINE_NS (NS_PER_S / LOG_RATE)

static enum log_level threshold = LEVEL_INFO;
static bool to_journal;

/* systemd.exec(5): JOURNAL_STREAM is the device and inode of the stream; a child whose stderr was
 * redirected inherits the variable, but not the stream. */
void log_init(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char mine[64] = "";
	struct stat st;

	if (fstat(STDERR_FILENO, &st) == 0)
		snprintf(mine, sizeof(mine), "%llu:%llu", (unsigned long long)st.st_dev,
			 (unsigned long long)st.st_ino);
	to_journal = stream && strcmp(stream, mine) == 0;
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

enum log_level log_get_level(void)
{
	return threshold;
}

struct line {
	char text[LINE_SIZE];
	size_t length; /* at most LINE_SIZE - 2: a newline and the final 0 always fit */
};

__attribute__((format(printf, 2, 0))) static void line_add_v(struct line *line, const char *format,
							     va_list args)
{
	size_t room = LINE_SIZE - 1 - line->length;
	int n = vsnprintf(line->text + line->length, room, format, args);

	if (n > 0)
		line->length += (size_t)n < room ? (size_t)n : room - 1;
}

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format,
							   ...)
{
	va_list args;

	va_start(args, format);
	line_add_v(line, format, args);
	va_end(args);
}

static void line_write(struct line *line)
{
	const char *at = line->text;
	ssize_t n;

	for (size_t i = 0; i < line->length; i++) {
		unsigned char c = (unsigned char)line->text[i];

		if (c < 0x20 || c == 0x7f)
			line->text[i] = '?';
	}
	line->text[line->length++] = '\n';
	while (line->length) {
		n = write(STDERR_FILENO, at, line->length);
		if (n <= 0 && errno != EINTR)
			return;
		if (n > 0) {
			at += n;
			line->length -= (size_t)n;
		}
	}
}

__attribute__((format(printf, 4, 0))) static void say(enum log_level level, u64 held_back,
						      int error, const char *format, va_list args)
{
	struct line line = { .length = 0 };
	char why[128];

	if (to_journal)
		line_add(&line, "<%d>", (int)level);
	line_add_v(&line, format, args);
	if (error)
		line_add(&line, ": %s", strerror_r(error, why, sizeof(why)));
	if (held_back)
		line_add(&line, " (%llu such messages were held back)",
			 (unsigned long long)held_back);
	line_write(&line);
}

/* Takes one line off the site's allowance; false when it is used up. */
static bool site_allows(struct log_site *site, u64 now)
{
	u64 full_at = site->full_at > now ? site->full_at : now;

	if (full_at - now > (LOG_BURST - 1) * LINE_NS) {
		site->held_back++;
		return false;
	}
	site->full_at = full_at + LINE_NS;
	return true;
}

void log_write(struct log_site *site, enum log_level level, int error, const char *format, ...)
{
	int saved = errno;
	va_list args;

	if (level > threshold || !site_allows(site, clock_now()))
		return;
	va_start(args, format);
	say(level, site->held_back, error, format, args);
	va_end(args);
	site->held_back = 0;
	errno = saved;
}

void log_fatal(int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(LEVEL_ERROR, 0, error, format, args);
	va_end(args);
	exit(1);
}
