/* SPDX-License-Identifier: MIT */
/*
 * document.c - see document.h.
 *
 * Why libyaml with a small schema walker of our own, and not libcyaml: values such as keys,
 * durations, endpoints and "one or a list" must be checked where they stand, with line and column,
 * and in words that say what to do. libcyaml keeps the schema as data, as schema.h does here, but
 * has no parsers of a user's own, nor a place to ask for once a file is loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "document.h"

static const struct place nowhere;

/* --- the file ----------------------------------------------------------------------------- */

/* Up to cap bytes. -1 with errno set. */
static ssize_t read_all(int fd, unsigned char *data, size_t cap)
{
	size_t size = 0;
	ssize_t got;

	while (size < cap) {
		got = read(fd, data + size, cap - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		size += (size_t)got;
	}
	return (ssize_t)size;
}

static int read_open_file(struct reader *r, int fd, unsigned char **ret, size_t *ret_size)
{
	unsigned char *data = malloc(DOCUMENT_MOST + 1);
	struct stat st;
	ssize_t size;

	if (!data)
		return reader_fail_errno(r, ENOMEM, nowhere, "there is no memory");
	size = fstat(fd, &st) ? -1 : read_all(fd, data, DOCUMENT_MOST + 1);
	if (size < 0) {
		int error = errno;

		free(data);
		return reader_fail_errno(r, error, nowhere, "%s", strerror(error));
	}
	/* A pipe (`warp check <(...)`) is read by whoever was given it. */
	r->open_to_others = S_ISREG(st.st_mode) && (st.st_mode & 077);
	*ret = data;
	*ret_size = (size_t)size;
	return 0;
}

int document_read_file(struct reader *r, unsigned char **ret, size_t *ret_size)
{
	int fd = open(r->file, O_RDONLY | O_NOCTTY | O_CLOEXEC), error;

	if (fd < 0) {
		error = errno;
		return reader_fail_errno(r, error, nowhere, "%s", strerror(error));
	}
	error = read_open_file(r, fd, ret, ret_size);
	close(fd);
	return error;
}

/* --- YAML --------------------------------------------------------------------------------- */

/* The reader (of bytes, not of configurations) knows only an offset. */
static struct place place_of_offset(const unsigned char *data, size_t size, size_t offset)
{
	struct place place = { 1, 1 };
	size_t i;

	for (i = 0; i < offset && i < size; i++) {
		place.column++;
		if (data[i] == '\n')
			place = (struct place){ place.line + 1, 1 };
	}
	return place;
}

/* Is the first thing that is not a blank in this line a tab? */
static bool tab_indents(const unsigned char *data, size_t size, u32 line)
{
	size_t i = 0;

	for (; line > 1 && i < size; i++)
		line -= data[i] == '\n';
	while (i < size && data[i] == ' ')
		i++;
	return i < size && data[i] == '\t';
}

static int syntax_error(struct reader *r, const yaml_parser_t *parser, const unsigned char *data,
			size_t size)
{
	const char *problem = parser->problem ? parser->problem : "unknown";
	struct place place = { (u32)parser->problem_mark.line + 1,
			       (u32)parser->problem_mark.column + 1 };

	if (parser->error == YAML_MEMORY_ERROR)
		return reader_fail_errno(r, ENOMEM, nowhere, "there is no memory");
	if (parser->error == YAML_READER_ERROR)
		return reader_fail(r, place_of_offset(data, size, parser->problem_offset),
				   "not a text in UTF-8: %s; save it as UTF-8", problem);
	if (tab_indents(data, size, place.line))
		return reader_fail(r, place, "not YAML: a tab indents this line; use spaces");
	if (parser->context)
		return reader_fail(r, place, "not YAML: %s %s (line %zu)", problem, parser->context,
				   parser->context_mark.line + 1);
	return reader_fail(r, place, "not YAML: %s; see warp.yaml(5) for examples", problem);
}

/* Nothing may follow the first document. */
static int check_end(struct reader *r, yaml_parser_t *parser, const unsigned char *data,
		     size_t size)
{
	yaml_document_t second;
	yaml_node_t *root;
	int error = 0;

	if (!yaml_parser_load(parser, &second))
		return syntax_error(r, parser, data, size);
	root = yaml_document_get_root_node(&second);
	if (root)
		error = reader_fail(r,
				    (struct place){ (u32)second.start_mark.line + 1,
						    (u32)second.start_mark.column + 1 },
				    "a second YAML document begins here; a configuration is one: "
				    "remove the line ---");
	yaml_document_delete(&second);
	return error;
}

static int load(struct reader *r, yaml_parser_t *parser, const unsigned char *data, size_t size,
		yaml_document_t *ret_document, yaml_node_t **ret_root)
{
	int error;

	yaml_parser_set_input_string(parser, data, size);
	if (!yaml_parser_load(parser, ret_document))
		return syntax_error(r, parser, data, size);
	*ret_root = yaml_document_get_root_node(ret_document);
	if (*ret_root)
		error = check_end(r, parser, data, size);
	else
		error = reader_fail(r, (struct place){ 1, 1 },
				    "there is nothing in it; `warp example` prints a beginning");
	if (error)
		yaml_document_delete(ret_document);
	return error;
}

int document_parse(struct reader *r, const unsigned char *data, size_t size,
		   yaml_document_t *ret_document, yaml_node_t **ret_root)
{
	yaml_parser_t parser;
	int error;

	if (size > DOCUMENT_MOST)
		return reader_fail(r, nowhere, "the file is larger than %u bytes; make it smaller",
				   DOCUMENT_MOST);
	if (!yaml_parser_initialize(&parser))
		return reader_fail_errno(r, ENOMEM, nowhere, "there is no memory");
	error = load(r, &parser, data, size, ret_document, ret_root);
	yaml_parser_delete(&parser);
	return error;
}
