/* SPDX-License-Identifier: MIT */
/*
 * pattern.c - lists of anchored POSIX extended regular expressions.
 */
#include "warp/pattern.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

struct patterns {
	size_t count;
	regex_t regex[]; /* count of them are compiled */
};

/* As "^(pattern)$". A pattern such as "a)|(b" is wrong by itself and must not be right inside our
 * brackets, so it is compiled alone first. */
static int compile(regex_t *ret, const char *pattern, char *ret_why, size_t why_size)
{
	char *anchored = NULL;
	int r = regcomp(ret, pattern, REG_EXTENDED | REG_NOSUB);

	if (r == 0) {
		regfree(ret);
		if (asprintf(&anchored, "^(%s)$", pattern) < 0)
			return -ENOMEM;
		r = regcomp(ret, anchored, REG_EXTENDED | REG_NOSUB);
		free(anchored);
	}
	if (r && why_size)
		regerror(r, ret, ret_why, why_size);
	if (r)
		return r == REG_ESPACE ? -ENOMEM : -EINVAL;
	return 0;
}

int patterns_compile(struct patterns **ret, char *const *patterns, size_t count, size_t *ret_bad,
		     char *ret_why, size_t why_size)
{
	struct patterns *p = calloc(1, sizeof(*p) + count * sizeof(p->regex[0]));
	int r;

	if (!p)
		return -ENOMEM;
	for (; p->count < count; p->count++) {
		r = compile(&p->regex[p->count], patterns[p->count], ret_why,
			    ret_why ? why_size : 0);
		if (r == 0)
			continue;
		if (ret_bad)
			*ret_bad = p->count;
		patterns_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

void patterns_free(struct patterns *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		regfree(&p->regex[i]);
	free(p);
}

bool patterns_match(const struct patterns *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (regexec(&p->regex[i], name, 0, NULL, 0) == 0)
			return true;
	return false;
}
