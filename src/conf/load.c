/* SPDX-License-Identifier: MIT */
/*
 * load.c - see load.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "load.h"

/* The struct lies in its own arena, behind the way back to it. */
struct owned {
	struct arena *arena;
	_Alignas(max_align_t) unsigned char content[];
};

static int read_document(struct reader *r, const unsigned char *data, size_t size,
			 const struct schema *schema, void *base)
{
	yaml_document_t document;
	yaml_node_t *root = NULL;
	int error = document_parse(r, data, size, &document, &root);

	if (error)
		return error;
	error = schema_read(r, &document, root, schema, base);
	yaml_document_delete(&document);
	return error;
}

static int read_source(struct reader *r, const struct source *source, const struct schema *schema,
		       void *base)
{
	unsigned char *data = NULL;
	size_t size = 0;
	int error;

	if (source->data)
		return read_document(r, source->data, source->size, schema, base);
	error = document_read_file(r, &data, &size);
	if (error)
		return error;
	error = read_document(r, data, size, schema, base);
	/* There may be a private key in it. */
	explicit_bzero(data, size);
	free(data);
	return error;
}

int load_struct(const struct source *source, const struct schema *schema, size_t size, void **ret,
		struct conf_error *ret_error)
{
	struct arena *arena = arena_create();
	struct owned *owned;
	struct reader r;
	int error = -ENOMEM;

	if (!arena) {
		snprintf(ret_error->text, sizeof(ret_error->text), "there is no memory");
		return -ENOMEM;
	}
	reader_init(&r, source->name, arena, ret_error);
	owned = reader_alloc(&r, sizeof(*owned) + size);
	if (owned) {
		owned->arena = arena;
		error = read_source(&r, source, schema, owned->content);
	}
	reader_clear(&r);
	if (error)
		arena_destroy(arena);
	else
		*ret = owned->content;
	return error;
}

void load_free(void *loaded)
{
	struct owned *owned;

	if (!loaded)
		return;
	owned = (struct owned *)(void *)((char *)loaded - offsetof(struct owned, content));
	arena_destroy(owned->arena);
}
