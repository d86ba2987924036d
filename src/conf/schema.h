/* SPDX-License-Identifier: MIT */
/*
 * schema.h - what a configuration may say, as data: tables of keys, and a walker that takes a YAML
 * document through them into structs.
 *
 * A key has a shape. SCALARs are turned into a member by a parser (see scalar.h), which knows the
 * key's bounds. A LIST is one scalar or a list of them, and becomes an array with a count. A MAPPING
 * is a nested struct with keys of its own; MAPPINGS is one such mapping or a list of them. Defaults
 * are text, and take the same way as what a person writes.
 */
#ifndef WARP_CONF_SCHEMA_H
#define WARP_CONF_SCHEMA_H

#include <yaml.h>

#include "reader.h"

enum shape { SHAPE_SCALAR, SHAPE_LIST, SHAPE_MAPPING, SHAPE_MAPPINGS };

struct schema_key;

/* A scalar in the file, or a default. */
struct value {
	const char *text; /* with a final 0, and no other */
	size_t size;
	struct place place;
};

/* For a message, cut when it is long; lives until the end of the enclosing block. */
#define SHOWN(v) visible((char[80]){ 0 }, 80, (v)->text, (v)->size)

/* Turns v into *ret, which has the type that the key's table says. 0, or the error of
 * reader_fail(). */
typedef int value_parser(struct reader *r, const struct schema_key *key, const struct value *v,
			 void *ret);

#define SCHEMA_KEYS 16u /* at most, in one table */

struct mapping;

struct schema {
	const struct schema_key *keys;
	size_t count;
	/* What one table row cannot say; runs when all keys are read. NULL: nothing. */
	int (*finish)(struct reader *r, const struct mapping *m);
};

struct schema_key {
	const char *name;
	enum shape shape;
	size_t offset;       /* of the member in the struct */
	size_t count_offset; /* LIST, MAPPINGS: of the size_t that counts */
	size_t size;         /* of a text member; of one item of a LIST or MAPPINGS */
	value_parser *parse;
	u64 min, max;               /* of a number, in the unit of the member */
	size_t most;                /* items */
	const struct schema *inner; /* MAPPING, MAPPINGS */
	const char *fallback;       /* items of a list are separated by blanks */
	bool required;
	bool may_be_empty; /* a list without items is allowed */
};

/* The initializer of a struct schema; a table that is too long does not compile. */
#define SCHEMA(table, finish_)                                                                     \
	{                                                                                          \
		.keys = (table),                                                                   \
		.count = ARRAY_SIZE(table) +                                                       \
			 0 * sizeof(char[ARRAY_SIZE(table) <= SCHEMA_KEYS ? 1 : -1]),              \
		.finish = (finish_)                                                                \
	}

/* A mapping that has just been read. */
struct mapping {
	const struct schema *schema;
	void *base; /* the struct */
	struct place place;
	struct place seen[SCHEMA_KEYS]; /* where each key stands; line 0: it is not in the file */
};

/* Was this key of the schema in the file? */
bool mapping_has(const struct mapping *m, const char *name);
/* Where the key itself stands. */
struct place mapping_place(const struct mapping *m, const char *name);

/* Reads node (a mapping) into base. 0, or what reader_fail() returned. */
int schema_read(struct reader *r, yaml_document_t *document, yaml_node_t *node,
		const struct schema *schema, void *base);

#endif
