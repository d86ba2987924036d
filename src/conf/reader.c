/* SPDX-License-Identifier: MIT */
/*
 * reader.c - see reader.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

struct block {
	struct block *next;
	size_t size;
	_Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
	struct block *blocks;
};

struct remembered {
	const void *member;
	struct place place;
};

struct arena *arena_create(void)
{
	return calloc(1, sizeof(struct arena));
}

void arena_destroy(struct arena *a)
{
	struct block *b, *next;

	if (!a)
		return;
	for (b = a->blocks; b; b = next) {
		next = b->next;
		explicit_bzero(b->bytes, b->size);
		free(b);
	}
	free(a);
}

void reader_init(struct reader *r, const char *file, struct arena *arena, struct conf_error *error)
{
	*r = (struct reader){ .file = file, .arena = arena, .error = error };
}

void reader_clear(struct reader *r)
{
	free(r->places);
	r->places = NULL;
	r->place_count = r->place_cap = 0;
}

void *reader_alloc(struct reader *r, size_t size)
{
	struct block *b = calloc(1, sizeof(*b) + size);

	if (!b) {
		reader_fail_errno(r, ENOMEM, (struct place){ 0 }, "there is no memory");
		return NULL;
	}
	b->size = size;
	b->next = r->arena->blocks;
	r->arena->blocks = b;
	return b->bytes;
}

const char *visible(char *ret, size_t ret_size, const char *text, size_t size)
{
	size_t at = 0, i;

	for (i = 0; i < size; i++) {
		/* An escape, the dots and the final 0 must still fit. */
		if (at + 4 + 3 + 1 > ret_size) {
			at += (size_t)snprintf(ret + at, ret_size - at, "...");
			break;
		}
		if (text[i] >= 0x20 && text[i] < 0x7f)
			ret[at++] = text[i];
		else
			at += (size_t)snprintf(ret + at, ret_size - at, "\\x%02x",
					       (unsigned char)text[i]);
	}
	ret[at] = 0;
	return ret;
}

static void tell(struct reader *r, struct place place, const char *format, va_list arguments)
{
	char *text = r->error->text, name[CONF_TEXT];
	size_t room = sizeof(r->error->text), at;

	visible(name, sizeof(name), r->file, strlen(r->file));
	if (place.line)
		at = (size_t)snprintf(text, room, "%s:%u:%u: ", name, place.line, place.column);
	else
		at = (size_t)snprintf(text, room, "%s: ", name);
	vsnprintf(text + at, room - at, format, arguments);
}

int reader_fail(struct reader *r, struct place place, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(r, place, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

int reader_fail_errno(struct reader *r, int error, struct place place, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(r, place, format, arguments);
	va_end(arguments);
	return -error;
}

int reader_remember(struct reader *r, const void *member, struct place place)
{
	struct remembered *grown;
	size_t cap;

	if (r->place_count == r->place_cap) {
		cap = r->place_cap ? 2 * r->place_cap : 64;
		grown = reallocarray(r->places, cap, sizeof(*grown));
		if (!grown)
			return reader_fail_errno(r, ENOMEM, place, "there is no memory");
		r->places = grown;
		r->place_cap = cap;
	}
	r->places[r->place_count++] = (struct remembered){ member, place };
	return 0;
}

/* Looked for only when there is a mistake to tell, so the way may be long. */
struct place reader_place(const struct reader *r, const void *member)
{
	size_t i;

	for (i = r->place_count; i-- > 0;) {
		if (r->places[i].member == member)
			return r->places[i].place;
	}
	return (struct place){ 0, 0 };
}
