/* SPDX-License-Identifier: MIT */
/*
 * check.h - what must be true between the parts of a configuration, once each part is well-formed.
 */
#ifndef WARP_CONF_CHECK_H
#define WARP_CONF_CHECK_H

#include "schema.h"

/* Exactly one of the two keys that give a secret: 0, or the error. required: none is one as well. */
int check_secret(struct reader *r, const struct mapping *m, const char *inline_key,
		 const char *file_key, bool required);
/* A gate is of one kind, and has only what this kind has. Sets its kind. */
int check_gate(struct reader *r, const struct mapping *m);

/* Everything between peers, maps and tunnels; sets tunnel ids and the indices of peers. */
int check_conf(struct reader *r, struct conf *c);
/* What is allowed, but hardly meant: fills warnings. 0, -ENOMEM. */
int check_warnings(struct reader *r, struct conf *c);

#endif
