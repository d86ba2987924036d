/* SPDX-License-Identifier: MIT */
/*
 * load.h - from a file, or bytes, through a schema, to a struct in an arena of its own.
 */
#ifndef WARP_CONF_LOAD_H
#define WARP_CONF_LOAD_H

#include "schema.h"

struct source {
	const char *name;
	const void *data; /* NULL: the file name is read */
	size_t size;
};

/* A struct of size bytes that schema fills. 0, -EINVAL, -errno with ret_error filled. */
int load_struct(const struct source *source, const struct schema *schema, size_t size, void **ret,
		struct conf_error *ret_error);
/* Frees, and wipes, what load_struct() made. NULL is allowed. */
void load_free(void *loaded);

#endif
