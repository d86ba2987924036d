/* SPDX-License-Identifier: MIT */
/*
 * schema.c - see schema.h. Depth is bounded by the tables, width by `most` and by a bound on all
 * values together, so that neither nested lists nor aliases of aliases can make this run long.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "schema.h"
#include "warp/nearest.h"

#define VALUES_MOST 262144u

struct walk {
	struct reader *reader;
	yaml_document_t *document;
};

static struct place node_place(const yaml_node_t *node)
{
	return (struct place){ (u32)node->start_mark.line + 1, (u32)node->start_mark.column + 1 };
}

static yaml_node_t *node_at(const struct walk *w, int index)
{
	return yaml_document_get_node(w->document, index);
}

static int count_value(struct reader *r, struct place place)
{
	if (++r->values > VALUES_MOST)
		return reader_fail(r, place,
				   "this is value number %u; split what is so large, or "
				   "use fewer aliases",
				   r->values);
	return 0;
}

/* --- scalars ------------------------------------------------------------------------------ */

static int parse_value(struct reader *r, const struct schema_key *key, const struct value *v,
		       void *ret)
{
	int error = count_value(r, v->place);

	if (error)
		return error;
	if (strlen(v->text) != v->size)
		return reader_fail(r, v->place, "%s has a NUL character in it; remove it",
				   key->name);
	if (v->size == 0)
		return reader_fail(r, v->place, "%s is empty; give a value or remove the line",
				   key->name);
	error = key->parse(r, key, v, ret);
	if (error || !v->place.line)
		return error;
	return reader_remember(r, ret, v->place);
}

static int read_scalar(const struct walk *w, const struct schema_key *key, yaml_node_t *node,
		       void *ret)
{
	struct value v = { .place = node_place(node) };

	if (node->type != YAML_SCALAR_NODE)
		return reader_fail(w->reader, v.place, "%s must be a single value, not a %s",
				   key->name,
				   node->type == YAML_SEQUENCE_NODE ? "list" : "mapping");
	v.text = (const char *)node->data.scalar.value;
	v.size = node->data.scalar.length;
	return parse_value(w->reader, key, &v, ret);
}

/* --- one, or a list ----------------------------------------------------------------------- */

/* Makes room for count items of key at base; *ret_items is the array. */
static int make_items(struct reader *r, const struct schema_key *key, struct place place,
		      size_t count, void *base, unsigned char **ret_items)
{
	void **array = (void **)(void *)((char *)base + key->offset);

	if (count > key->most)
		return reader_fail(r, place, "%s has %zu items; at most %zu are possible",
				   key->name, count, key->most);
	if (count == 0 && !key->may_be_empty)
		return reader_fail(r, place,
				   "%s is an empty list; give at least one item or "
				   "remove the line",
				   key->name);
	/* An empty list is told from none by having an array. */
	*array = reader_alloc(r, count ? count * key->size : 1);
	if (!*array)
		return -ENOMEM;
	*(size_t *)(void *)((char *)base + key->count_offset) = count;
	*ret_items = *array;
	return 0;
}

static int read_mapping(const struct walk *w, const struct schema_key *key, yaml_node_t *node,
			const struct schema *schema, void *base);

static int read_item(const struct walk *w, const struct schema_key *key, yaml_node_t *node,
		     void *ret)
{
	if (node->type == YAML_SEQUENCE_NODE)
		return reader_fail(w->reader, node_place(node),
				   "a list within the list %s; write the items one below the other",
				   key->name);
	if (key->shape == SHAPE_LIST)
		return read_scalar(w, key, node, ret);
	return read_mapping(w, key, node, key->inner, ret);
}

static int read_items(const struct walk *w, const struct schema_key *key, yaml_node_t *node,
		      void *base)
{
	bool list = node->type == YAML_SEQUENCE_NODE;
	yaml_node_item_t *item = list ? node->data.sequence.items.start : NULL;
	size_t count = list ? (size_t)(node->data.sequence.items.top - item) : 1, i;
	unsigned char *items = NULL;
	int error;

	error = make_items(w->reader, key, node_place(node), count, base, &items);
	if (!error)
		error = reader_remember(w->reader, (char *)base + key->offset, node_place(node));
	for (i = 0; !error && i < count; i++)
		error = read_item(w, key, list ? node_at(w, item[i]) : node, items + i * key->size);
	return error;
}

/* --- defaults ----------------------------------------------------------------------------- */

static size_t count_words(const char *text)
{
	size_t count = 0;

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		text += strcspn(text, " ");
		count++;
	}
	return count;
}

static int fallback_list(struct reader *r, const struct schema_key *key, void *base)
{
	const char *word = key->fallback;
	size_t count = count_words(word), i;
	unsigned char *items = NULL;
	char text[CONF_TEXT];
	int error;

	error = make_items(r, key, (struct place){ 0 }, count, base, &items);
	for (i = 0; !error && i < count; i++) {
		word += strspn(word, " ");
		struct value v = { text, strcspn(word, " "), { 0 } };

		snprintf(text, sizeof(text), "%.*s", (int)v.size, word);
		error = parse_value(r, key, &v, items + i * key->size);
		word += v.size;
	}
	return error;
}

/* --- mappings ----------------------------------------------------------------------------- */

static const struct schema_key *find_key(const struct schema *schema, const char *name)
{
	size_t i;

	for (i = 0; i < schema->count; i++) {
		if (strcmp(schema->keys[i].name, name) == 0)
			return &schema->keys[i];
	}
	return NULL;
}

struct place mapping_place(const struct mapping *m, const char *name)
{
	const struct schema_key *key = find_key(m->schema, name);

	return key ? m->seen[key - m->schema->keys] : (struct place){ 0, 0 };
}

bool mapping_has(const struct mapping *m, const char *name)
{
	return mapping_place(m, name).line != 0;
}

static int unknown_key(struct reader *r, const struct schema *schema, struct place place,
		       const char *name)
{
	struct nearest nearest;
	char known[512] = "", shown[80];
	size_t i, at = 0;

	if (strcmp(name, "<<") == 0)
		return reader_fail(r, place,
				   "merge keys (<<) are not supported; write the keys out");
	nearest_init(&nearest, name);
	for (i = 0; i < schema->count; i++) {
		nearest_try(&nearest, schema->keys[i].name);
		if (at < sizeof(known))
			at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
					       i ? ", " : "", schema->keys[i].name);
	}
	if (nearest.word)
		return reader_fail(r, place, "unknown key '%s'; did you mean '%s'?",
				   visible(shown, sizeof(shown), name, strlen(name)), nearest.word);
	return reader_fail(r, place, "unknown key '%s'; known here: %s",
			   visible(shown, sizeof(shown), name, strlen(name)), known);
}

static int read_key(const struct walk *w, const struct schema_key *key, yaml_node_t *node,
		    void *base)
{
	void *member = (char *)base + key->offset;

	switch (key->shape) {
	case SHAPE_SCALAR:
		return read_scalar(w, key, node, member);
	case SHAPE_MAPPING:
		return read_mapping(w, key, node, key->inner, member);
	case SHAPE_LIST:
	case SHAPE_MAPPINGS:
		return read_items(w, key, node, base);
	}
	return -EINVAL;
}

static int read_pair(const struct walk *w, struct mapping *m, const yaml_node_pair_t *pair)
{
	yaml_node_t *name = node_at(w, pair->key);
	struct place place = node_place(name);
	const struct schema_key *key;
	struct place *seen;
	const char *text;

	if (name->type != YAML_SCALAR_NODE)
		return reader_fail(w->reader, place,
				   "a key must be a word, not a list or a mapping");
	text = (const char *)name->data.scalar.value;
	key = find_key(m->schema, text);
	if (!key)
		return unknown_key(w->reader, m->schema, place, text);
	seen = &m->seen[key - m->schema->keys];
	if (seen->line)
		return reader_fail(w->reader, place,
				   "%s is given twice, first in line %u; remove one of the two",
				   text, seen->line);
	*seen = place;
	return read_key(w, key, node_at(w, pair->value), m->base);
}

static int fill_in(struct reader *r, const struct mapping *m, const struct schema_key *key)
{
	struct value v = { .text = key->fallback };

	if (key->required)
		return reader_fail(r, m->place, "%s is missing here; add it", key->name);
	if (!key->fallback)
		return 0;
	if (key->shape == SHAPE_LIST)
		return fallback_list(r, key, m->base);
	v.size = strlen(v.text);
	return parse_value(r, key, &v, (char *)m->base + key->offset);
}

/* What was not in the file: missing, or a default. Inner mappings have defaults of their own. */
static int fill_in_all(struct reader *r, const struct mapping *m)
{
	const struct schema_key *key = m->schema->keys;
	size_t i;
	int error = 0;

	for (i = 0; !error && i < m->schema->count; i++, key++) {
		if (m->seen[i].line)
			continue;
		if (key->shape == SHAPE_MAPPING && !key->required) {
			struct mapping inner = { .schema = key->inner,
						 .base = (char *)m->base + key->offset,
						 .place = m->place };

			error = fill_in_all(r, &inner);
		} else {
			error = fill_in(r, m, key);
		}
	}
	return error;
}

static int read_mapping(const struct walk *w, const struct schema_key *key, yaml_node_t *node,
			const struct schema *schema, void *base)
{
	struct mapping m = { .schema = schema, .base = base, .place = node_place(node) };
	yaml_node_pair_t *pair;
	int error;

	if (node->type != YAML_MAPPING_NODE)
		return reader_fail(w->reader, m.place, "%s must be a mapping (key: value)",
				   key ? key->name : "the file");
	error = count_value(w->reader, m.place);
	for (pair = node->data.mapping.pairs.start; !error && pair < node->data.mapping.pairs.top;
	     pair++)
		error = read_pair(w, &m, pair);
	if (!error)
		error = fill_in_all(w->reader, &m);
	if (!error && schema->finish)
		error = schema->finish(w->reader, &m);
	return error;
}

int schema_read(struct reader *r, yaml_document_t *document, yaml_node_t *node,
		const struct schema *schema, void *base)
{
	struct walk w = { r, document };

	return read_mapping(&w, NULL, node, schema, base);
}
