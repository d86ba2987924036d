/* SPDX-License-Identifier: MIT */
/*
 * pattern.h - lists of patterns for interface names: regular expressions as in pcre2pattern(3) that
 * must match the whole name ("eth.*" does not match "veth0"). What POSIX extended ones mean by a
 * backslash in brackets, {,3} and one repeat after another is the exception to their meaning the same.
 */
#ifndef WARP_PATTERN_H
#define WARP_PATTERN_H

#include "warp/base.h"

#define PATTERN_MOST 200u /* characters */

struct patterns;

/* 0; -EINVAL: does not compile, or is too large, and ret_why (room for why_size bytes) says why;
 * -ENOMEM. */
int pattern_check(const char *pattern, char *ret_why, size_t why_size);

/* The same for each; *ret_bad is the first that is wrong. No pattern at all is a list that matches
 * nothing. ret_bad and ret_why may be NULL. */
int patterns_compile(struct patterns **ret, char *const *patterns, size_t count, size_t *ret_bad,
		     char *ret_why, size_t why_size);
void patterns_free(struct patterns *p);
/* Does any of them match? One that would take too long (nested repeats: "(a*)*b") does not. */
bool patterns_match(const struct patterns *p, const char *name);

#endif
