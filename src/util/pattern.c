/* SPDX-License-Identifier: MIT */
/*
 * pattern.c - lists of anchored regular expressions, by PCRE2.
 *
 * Why not regcomp(): the C library writes repeats out and works out what may follow what, without a
 * bound on either. "a" and twenty "+" take 700 MB, and some forty characters take minutes. PCRE2
 * bounds what a pattern compiles to, and here also what matching it may cost.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "warp/pattern.h"

#include <errno.h>
#include <pcre2.h>
#include <stdlib.h>

/* What a name of 15 characters costs at most: steps, and KiB. */
#define MATCH_STEPS 100000u
#define MATCH_HEAP 256u

struct patterns {
	size_t count;
	pcre2_match_context *limits;
	pcre2_match_data *match;
	pcre2_code *code[]; /* count of them are compiled */
};

/* --- one ------------------------------------------------------------------------------------ */

static int compile(pcre2_code **ret, const char *pattern, char *ret_why, size_t why_size)
{
	const u32 options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NO_AUTO_CAPTURE |
			    PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
	pcre2_compile_context *limits = pcre2_compile_context_create(NULL);
	size_t at;
	int why;

	if (!limits)
		return -ENOMEM;
	pcre2_set_max_pattern_length(limits, PATTERN_MOST);
	*ret = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &why, &at,
			     limits);
	pcre2_compile_context_free(limits);
	if (*ret)
		return 0;
	if (why == PCRE2_ERROR_NOMEMORY)
		return -ENOMEM;
	if (why_size)
		pcre2_get_error_message(why, (PCRE2_UCHAR *)ret_why, why_size);
	return -EINVAL;
}

int pattern_check(const char *pattern, char *ret_why, size_t why_size)
{
	pcre2_code *code;
	int r = compile(&code, pattern, ret_why, why_size);

	if (r == 0)
		pcre2_code_free(code);
	return r;
}

/* --- lists ---------------------------------------------------------------------------------- */

static struct patterns *patterns_create(size_t count)
{
	struct patterns *p = calloc(1, sizeof(*p) + count * sizeof(p->code[0]));

	if (!p)
		return NULL;
	p->limits = pcre2_match_context_create(NULL);
	p->match = pcre2_match_data_create(1, NULL);
	if (!p->limits || !p->match) {
		patterns_free(p);
		return NULL;
	}
	pcre2_set_match_limit(p->limits, MATCH_STEPS);
	pcre2_set_heap_limit(p->limits, MATCH_HEAP);
	return p;
}

int patterns_compile(struct patterns **ret, char *const *patterns, size_t count, size_t *ret_bad,
		     char *ret_why, size_t why_size)
{
	struct patterns *p = patterns_create(count);
	int r;

	if (!p)
		return -ENOMEM;
	for (; p->count < count; p->count++) {
		r = compile(&p->code[p->count], patterns[p->count], ret_why,
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
		pcre2_code_free(p->code[i]);
	pcre2_match_data_free(p->match);
	pcre2_match_context_free(p->limits);
	free(p);
}

bool patterns_match(const struct patterns *p, const char *name)
{
	for (size_t i = 0; i < p->count; i++)
		if (pcre2_match(p->code[i], (PCRE2_SPTR)name, PCRE2_ZERO_TERMINATED, 0, 0, p->match,
				p->limits) >= 0)
			return true;
	return false;
}
