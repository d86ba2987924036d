/* SPDX-License-Identifier: MIT */
/*
 * shard_out.c - blocks on their way out.
 *
 *   blocks   a ring in the order in which they were begun, which is that of their deadlines
 *   lanes    lane n mod depth is the block that payload n goes to, if that was begun with this depth
 *            and n is the next of it; otherwise a new block is begun there, and the old one waits
 *            for its deadline
 *   area     the parity of all blocks, each at the place of its block in the ring; the last
 *            place is for fragments
 *
 * Parity grows with the largest shard of its block: bytes behind are cleared when they are needed.
 */
#include "warp/shard_out.h"

#include <string.h>

#include "warp/shard_in.h"
#include "warp/shard_store.h"

#define ALIGNMENT 64u
#define ROOMS 4u /* blocks that there is a place for, whatever their size */
#define SPAN_PARTS                                                                                 \
	4u /* of SPAN_OF that max_delay has: what a block spans if blocks are filled in turn */
#define SPAN_OF 5u
#define DEPTH_PARTS 7u /* of DEPTH_OF that the places have at most: others may still be open */
#define DEPTH_OF 8u
#define DEPTH_SLACK                                                                                \
	4u /* the depth is left alone while it is right to this part: a new one makes
			 * short blocks of those that are open */

struct shard_out {
	struct shard_options options;
	size_t size; /* of all */
	u32 parity;
	u32 stride; /* bytes of area a parity shard */
	u32 places; /* blocks that the ring has room for */
	u64 head, tail;
	u32 depth;
	u64 window_began; /* payloads are counted for max_delay at a time */
	u32 window_count;
	struct shard_block blocks[SHARD_OUT_BLOCKS];
	struct shard_block pieces;
	u64 lanes[SHARD_OUT_BLOCKS]; /* position in the ring */
	u8 area[SHARD_OUT_BYTES];
	struct rs_code code; /* last: has a table behind it */
};

static size_t shard_out_size(const struct shard_options *o)
{
	return sizeof(struct shard_out) + rs_code_size(o->shards - o->required);
}

u32 shard_out_room(const struct shard_options *options)
{
	const u32 parity = options->shards - options->required;

	return (SHARD_OUT_BYTES / ROOMS / parity & ~(ALIGNMENT - 1)) - SHARD_SIZE_BYTES;
}

struct shard_out *shard_out_create(const struct allocator *a, const struct shard_options *options)
{
	struct shard_out *o = mem_alloc(a, shard_out_size(options));

	if (!o)
		return NULL;
	o->size = shard_out_size(options);
	shard_out_tune(o, options);
	return o;
}

void shard_out_tune(struct shard_out *o, const struct shard_options *options)
{
	o->options = *options;
	o->parity = options->shards - options->required;
	o->stride = 0; /* shard_out_set_size() shares out the area anew */
	o->head = o->tail = 0;
	o->depth = 1;
	rs_code_init(&o->code, o->parity);
}

void shard_out_destroy(const struct allocator *a, struct shard_out *o)
{
	if (o)
		mem_free(a, o, o->size);
}

bool shard_out_set_size(struct shard_out *o, u32 size)
{
	const u32 stride = (size + SHARD_SIZE_BYTES + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	u32 places;

	if (stride == o->stride)
		return true;
	if (shard_out_oldest(o))
		return false;
	places = SHARD_OUT_BYTES / (stride * o->parity) - 1;
	o->stride = stride;
	o->places = places < SHARD_OUT_BLOCKS ? places : SHARD_OUT_BLOCKS;
	o->head = o->tail = 0;
	o->depth = 1;
	return true;
}

/* --- depth ----------------------------------------------------------------------------------- */

/* Would the silence of one of so many links leave enough of a block? */
static bool links_suffice(const struct shard_out *o, u32 links)
{
	const u32 most = (o->options.shards + links - 1) / links;

	return most <= o->parity;
}

static u32 less(u32 a, u32 b)
{
	return a < b ? a : b;
}

/* Blocks that may be open at once, for those that rebuild them: these have to be told of each before it is
 * too long ago, and keep the shards of all. */
static u32 depth_most(const struct shard_out *o)
{
	const u32 span = (SHARD_IN_SPAN - 1) / (o->options.required - 1);
	const u32 kept = SHARD_STORE_BUFFERS * BUF_PAYLOAD_MAX / (o->stride * o->options.shards);

	return less(less(span, kept), o->places * DEPTH_PARTS / DEPTH_OF);
}

/* When so many payloads come in max_delay. */
static u32 depth_for(const struct shard_out *o, u32 payloads)
{
	const u32 depth = payloads * SPAN_PARTS / SPAN_OF / (o->options.required - 1);

	if (depth < 1 || !o->stride)
		return 1;
	return less(depth, depth_most(o));
}

void shard_out_pace(struct shard_out *o, u64 now, u32 links)
{
	u32 wanted, slack;

	if (now - o->window_began < o->options.max_delay) {
		o->window_count++;
		return;
	}
	wanted = o->options.required == 1 || links_suffice(o, links) ?
			 1 :
			 depth_for(o, o->window_count);
	slack = o->depth / DEPTH_SLACK + 1;
	if (wanted == 1 || wanted > o->depth + slack || wanted + slack < o->depth)
		o->depth = wanted;
	o->window_began = now;
	o->window_count = 1;
}

u32 shard_out_depth(const struct shard_out *o)
{
	return o->depth;
}

/* --- blocks ---------------------------------------------------------------------------------- */

static struct shard_block *block_at(struct shard_out *o, u64 position)
{
	return &o->blocks[position % o->places];
}

static struct shard_block *begin(struct shard_out *o, u64 now, u32 sequence)
{
	struct shard_block *b;

	if (o->tail - o->head == o->places)
		return NULL;
	o->lanes[sequence % o->depth] = o->tail;
	b = block_at(o, o->tail);
	*b = (struct shard_block){
		.open = true,
		.step = (u16)o->depth,
		.base = sequence,
		.deadline = now + o->options.max_delay,
		.parity = o->area + (size_t)(o->tail % o->places) * o->parity * o->stride,
	};
	o->tail++;
	return b;
}

struct shard_block *shard_out_block(struct shard_out *o, u64 now, u32 sequence)
{
	const u64 position = o->lanes[sequence % o->depth];
	struct shard_block *b = block_at(o, position);

	shard_out_oldest(o);
	if (position - o->head < o->tail - o->head && b->open && b->step == o->depth &&
	    b->base + (u32)b->step * b->count == sequence)
		return b;
	return begin(o, now, sequence);
}

struct shard_block *shard_out_pieces(struct shard_out *o)
{
	o->pieces = (struct shard_block){
		.open = true,
		.step = 1,
		.deadline = TIME_NEVER,
		.parity = o->area + (size_t)o->places * o->parity * o->stride,
	};
	return &o->pieces;
}

static u8 *parity_at(const struct shard_out *o, const struct shard_block *b, u32 index)
{
	return b->parity + (size_t)index * o->stride;
}

static void add(struct shard_out *o, const struct shard_block *b, u32 index, u8 *data, u32 size)
{
	u8 *parity[RS_SHARDS];

	for (u32 j = 0; j < o->parity; j++)
		parity[j] = parity_at(o, b, j);
	rs_add(&o->code, index, data, size, parity);
}

bool shard_out_add(struct shard_out *o, struct shard_block *b, u8 *data, u32 size)
{
	if (size > b->size) {
		for (u32 j = 0; j < o->parity; j++)
			memset(parity_at(o, b, j) + b->size, 0, size - b->size);
		b->size = size;
	}
	add(o, b, b->count++, data, size);
	return b->count == o->options.required;
}

const u8 *shard_out_parity(const struct shard_out *o, const struct shard_block *b, u32 index)
{
	return parity_at(o, b, index);
}

void shard_out_close(struct shard_out *o, struct shard_block *b)
{
	b->open = false;
	shard_out_oldest(o);
}

struct shard_block *shard_out_oldest(struct shard_out *o)
{
	while (o->head != o->tail) {
		struct shard_block *b = block_at(o, o->head);

		if (b->open)
			return b;
		o->head++;
	}
	return NULL;
}

u64 shard_out_next_expiry(struct shard_out *o)
{
	const struct shard_block *b = shard_out_oldest(o);

	return b ? b->deadline : TIME_NEVER;
}
