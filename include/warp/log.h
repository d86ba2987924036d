/* SPDX-License-Identifier: MIT */
/*
 * log.h - what a program tells the person who runs it: one line a message, to stderr.
 *
 * The words are those of OpenBSD's daemons: an x at the end means "without errno"; log_warn,
 * log_error and fatal add ": " and strerror(errno). Under systemd (JOURNAL_STREAM names our
 * stderr) a line begins with its syslog priority, "<4>", which the journal takes off again.
 *
 * Each call site may write LOG_BURST lines at once and LOG_RATE lines a second after that; the
 * next line that gets through tells how many were held back. Never on the data path, never from
 * the core.
 */
#ifndef WARP_LOG_H
#define WARP_LOG_H

#include "warp/base.h"

#include <errno.h>

#define LOG_BURST 32u
#define LOG_RATE 2u

enum log_level {
	LEVEL_ERROR = 3, /* the values are syslog's */
	LEVEL_WARN = 4,
	LEVEL_INFO = 6,
	LEVEL_DEBUG = 7,
};

/* Once at the start: looks whether stderr is the journal. Without it there is no prefix. */
void log_init(void);
/* What is less urgent than level is not written. LEVEL_INFO at the start. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* What a call site remembers; one static each, made by the macros. */
struct log_site {
	u64 full_at; /* ns; when its allowance is complete again */
	u64 held_back;
};

/* error: an errno to add to the text, or 0. */
__attribute__((format(printf, 4, 5))) void log_write(struct log_site *site, enum log_level level,
						     int error, const char *format, ...);
/* As LEVEL_ERROR, never held back; then exit(1). */
__attribute__((format(printf, 2, 3), noreturn)) void log_fatal(int error, const char *format, ...);

#define LOG_AT(level, error, ...)                                                                  \
	do {                                                                                       \
		static struct log_site log_site_;                                                  \
		log_write(&log_site_, level, error, __VA_ARGS__);                                  \
	} while (0)

#define log_debug(...) LOG_AT(LEVEL_DEBUG, 0, __VA_ARGS__)
#define log_info(...) LOG_AT(LEVEL_INFO, 0, __VA_ARGS__)
#define log_warn(...) LOG_AT(LEVEL_WARN, errno, __VA_ARGS__)
#define log_warnx(...) LOG_AT(LEVEL_WARN, 0, __VA_ARGS__)
#define log_error(...) LOG_AT(LEVEL_ERROR, errno, __VA_ARGS__)
#define log_errorx(...) LOG_AT(LEVEL_ERROR, 0, __VA_ARGS__)
#define fatal(...) log_fatal(errno, __VA_ARGS__)
#define fatalx(...) log_fatal(0, __VA_ARGS__)

#endif
