/* SPDX-License-Identifier: MIT */
/*
 * redundancy.c - what a tunnel says about redundancy; see redundancy.h.
 *
 * Each mode has keys of its own, and a key of another mode is a mistake: it would do nothing.
 */
#include "redundancy.h"

#include "scalar.h"
#include "target.h"
#include "warp/shard_out.h"

#define NUM_SHARDS 5u
#define REQUIRED_SHARDS 3u
#define MAX_DELAY (20 * NS_PER_MS)

/* Modes that other versions have are told from mistakes. */
static int parse_redundancy_mode(struct reader *r, const struct schema_key *key,
				 const struct value *v, void *ret)
{
	static const char *const words[] = { "replicate", "shards", "stripe", "auto", NULL };
	size_t index = 0;

	if (parse_choice(r, key, v, words, &index))
		return reader_fail(r, v->place,
				   "%s must be replicate, shards, stripe or auto, not '%s'",
				   key->name, SHOWN(v));
	*(enum redundancy_mode *)ret = (enum redundancy_mode)index;
	return 0;
}

/* The first key of this mapping that only mode shards has, or NULL. */
static const char *shards_key(const struct mapping *m)
{
	static const char *const keys[] = { "num_shards", "required_shards", "max_delay" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (mapping_has(m, keys[i]))
			return keys[i];
	}
	return NULL;
}

static int finish_shards(struct reader *r, const struct mapping *m)
{
	struct conf_tunnel *t = m->base;

	if (mapping_has(m, "copies"))
		return reader_fail(r, mapping_place(m, "copies"),
				   "copies belongs to the mode replicate; remove the line");
	if (mapping_has(m, "num_shards") != mapping_has(m, "required_shards"))
		return reader_fail(r, mapping_place(m, shards_key(m)),
				   "num_shards and required_shards belong together; add the other "
				   "one");
	if (!mapping_has(m, "num_shards")) {
		t->num_shards = NUM_SHARDS;
		t->required_shards = REQUIRED_SHARDS;
	}
	if (!mapping_has(m, "max_delay"))
		t->max_delay = MAX_DELAY;
	if (t->required_shards >= t->num_shards)
		return reader_fail(r, reader_place(r, &t->required_shards),
				   "required_shards is %u; it must be less than num_shards, which "
				   "is %u",
				   t->required_shards, t->num_shards);
	return 0;
}

/* How payloads go out is not said but chosen. */
static int finish_auto(struct reader *r, const struct mapping *m)
{
	struct conf_tunnel *t = m->base;
	const char *key = mapping_has(m, "copies") ? "copies" : shards_key(m);

	if (key)
		return reader_fail(r, mapping_place(m, key),
				   "%s is chosen by the mode auto; remove the line", key);
	target_complete(&t->target);
	return 0;
}

static int finish(struct reader *r, const struct mapping *m)
{
	const struct conf_tunnel *t = m->base;
	const char *key = shards_key(m);

	if (t->mode == MODE_AUTO)
		return finish_auto(r, m);
	if (mapping_has(m, "target"))
		return reader_fail(
			r, mapping_place(m, "target"),
			"target belongs to the mode auto; add 'mode: auto' or remove the line");
	if (t->mode == MODE_SHARDS)
		return finish_shards(r, m);
	if (t->mode == MODE_STRIPE && mapping_has(m, "copies"))
		return reader_fail(r, mapping_place(m, "copies"),
				   "copies belongs to the mode replicate; remove the line");
	if (key)
		return reader_fail(
			r, mapping_place(m, key),
			"%s belongs to the mode shards; add 'mode: shards' or remove the "
			"line",
			key);
	return 0;
}

#define AT(member) offsetof(struct conf_tunnel, member)
static const struct schema_key keys[] = {
	{ .name = "mode", .offset = AT(mode), .parse = parse_redundancy_mode },
	{ .name = "copies",
	  .offset = AT(copies),
	  .parse = parse_u32,
	  .min = 1,
	  .max = MAX_PEER_PATHS },
	{ .name = "num_shards",
	  .offset = AT(num_shards),
	  .parse = parse_u32,
	  .min = 2,
	  .max = RS_SHARDS },
	{ .name = "required_shards",
	  .offset = AT(required_shards),
	  .parse = parse_u32,
	  .min = 1,
	  .max = RS_SHARDS - 1 },
	{ .name = "max_delay",
	  .offset = AT(max_delay),
	  .parse = parse_duration,
	  .min = SHARD_DELAY_MIN,
	  .max = SHARD_DELAY_MAX },
	{ .name = "target", .shape = SHAPE_MAPPING, .inner = &target_schema },
};
#undef AT
const struct schema redundancy_schema = SCHEMA(keys, finish);
