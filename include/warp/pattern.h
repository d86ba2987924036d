/* SPDX-License-Identifier: MIT */
/*
 * pattern.h - lists of patterns for interface names: POSIX extended regular expressions that must
 * match the whole name ("eth.*" does not match "veth0").
 */
#ifndef WARP_PATTERN_H
#define WARP_PATTERN_H

#include "warp/base.h"

struct patterns;

/* 0; -EINVAL: patterns[*ret_bad] does not compile, and ret_why (room for why_size bytes) says why;
 * -ENOMEM. No pattern at all is a list that matches nothing. ret_bad and ret_why may be NULL. */
int patterns_compile(struct patterns **ret, char *const *patterns, size_t count, size_t *ret_bad,
		     char *ret_why, size_t why_size);
void patterns_free(struct patterns *p);
/* Does any of them match? */
bool patterns_match(const struct patterns *p, const char *name);

#endif
