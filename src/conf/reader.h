/* SPDX-License-Identifier: MIT */
/*
 * reader.h - what is known while one configuration file is read: its name, where each value stood,
 * the memory that the result will own, and the first mistake.
 *
 * Results live in an arena: everything that conf_free() gives back was allocated by
 * reader_alloc(), so there is one place that frees, and that wipes keys.
 */
#ifndef WARP_CONF_READER_H
#define WARP_CONF_READER_H

#include "warp/conf.h"

/* Counted from 1, as editors do. Line 0: nowhere, as a default value. */
struct place {
	u32 line, column;
};

struct arena;

struct arena *arena_create(void);
/* Wipes and frees everything. NULL is allowed. */
void arena_destroy(struct arena *a);

struct remembered;

struct reader {
	const char *file;    /* as the user named it */
	bool open_to_others; /* group or others may read or change the file */
	struct arena *arena;
	struct conf_error *error;
	u32 values; /* read yet; bounded, for aliases can multiply a small file */
	struct remembered *places;
	size_t place_count, place_cap;
};

/* The struct that is read into comes first in the arena. */
void reader_init(struct reader *r, const char *file, struct arena *arena, struct conf_error *error);
void reader_clear(struct reader *r);

/* Zeroed, aligned for anything. NULL: no memory; the error is told. */
void *reader_alloc(struct reader *r, size_t size);

/* Tells the mistake at a place, on one line, control characters made visible. Returns -EINVAL. */
__attribute__((format(printf, 3, 4))) int reader_fail(struct reader *r, struct place place,
						      const char *format, ...);
/* The same for what the machine refuses: returns -error. */
__attribute__((format(printf, 4, 5))) int reader_fail_errno(struct reader *r, int error,
							    struct place place, const char *format,
							    ...);

/* Remembers that the value now at member (an address in the result) stood at place. -ENOMEM. */
int reader_remember(struct reader *r, const void *member, struct place place);
/* Where it stood; line 0 when it was not in the file. */
struct place reader_place(const struct reader *r, const void *member);

/* The same text with everything but printable ASCII written as \xNN, cut with "..." when it does
 * not fit. Returns ret. */
const char *visible(char *ret, size_t ret_size, const char *text, size_t size);
/* For a message: lives until the end of the enclosing block. */
#define VISIBLE(text) visible((char[CONF_TEXT]){ 0 }, CONF_TEXT, text, strlen(text))

#endif
