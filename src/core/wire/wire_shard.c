/* SPDX-License-Identifier: MIT */
/*
 * wire_shard.c - SHARD frames to bytes and back.
 *
 * Kinds differ in what stands between the kind and the data; read_, write_ and fits_ of a kind
 * belong together. What is inconsistent in itself is not read.
 */
#include "wire_shard.h"

#define PAYLOAD_MAX 65536u

/* --- fragments ----------------------------------------------------------------------------- */

/* Bytes of the fragment with this index; 0: there is none. */
static u32 piece_size(const struct frame_shard *f, u32 index)
{
	const u32 start = index * f->unit;

	if (f->unit == 0 || f->total > PAYLOAD_MAX || start >= f->total)
		return 0;
	return f->total - start < f->unit ? f->total - start : f->unit;
}

static void read_cut(struct reader *r, struct frame_shard *ret)
{
	ret->index = take_u8(r);
	ret->unit = take_u16(r);
	ret->total = take_u16(r) + 1u;
}

static void write_cut(struct writer *w, const struct frame_shard *f)
{
	give_u8(w, f->index);
	give_u16(w, f->unit);
	give_u16(w, (u16)(f->total - 1));
}

/* --- parity -------------------------------------------------------------------------------- */

static bool fits_block(const struct frame_shard *f)
{
	return f->count > 0 && f->count + f->parity < (int)WIRE_SHARDS_MAX;
}

/* The first fragment of a block is the largest. */
static bool fits_piece_block(const struct frame_shard *f)
{
	return fits_block(f) && f->index + f->count <= 256 &&
	       piece_size(f, f->index + f->count - 1u) > 0 && f->size == piece_size(f, f->index);
}

/* --- all kinds ----------------------------------------------------------------------------- */

bool shard_is_writable(const struct frame_shard *f)
{
	switch (f->kind) {
	case SHARD_PAYLOAD:
		return true;
	case SHARD_PIECE:
		return f->size > 0 && f->size == piece_size(f, f->index);
	case SHARD_PARITY:
		return f->step != 0 && f->size >= SHARD_SIZE_BYTES && fits_block(f);
	case SHARD_PIECE_PARITY:
		return fits_piece_block(f);
	default:
		return false;
	}
}

void shard_read(struct reader *r, struct frame_shard *ret)
{
	struct frame_shard f = { .tunnel = take_u16(r) };

	f.sequence = take_u32(r);
	f.kind = take_u8(r);
	if (f.kind == SHARD_PARITY || f.kind == SHARD_PIECE_PARITY) {
		f.parity = take_u8(r);
		f.count = take_u8(r);
	}
	if (f.kind == SHARD_PARITY) {
		f.step = take_u16(r);
		f.wait = take_u16(r);
	}
	if (f.kind == SHARD_PIECE || f.kind == SHARD_PIECE_PARITY)
		read_cut(r, &f);
	f.size = (u32)r->left;
	f.data = take(r, r->left);
	if (!shard_is_writable(&f))
		r->bad = true;
	if (!r->bad)
		*ret = f;
}

/* All but the data. */
static void write_header(struct writer *w, const struct frame_shard *f)
{
	give_u16(w, f->tunnel);
	give_u32(w, f->sequence);
	give_u8(w, f->kind);
	if (f->kind == SHARD_PARITY || f->kind == SHARD_PIECE_PARITY) {
		give_u8(w, f->parity);
		give_u8(w, f->count);
	}
	if (f->kind == SHARD_PARITY) {
		give_u16(w, f->step);
		give_u16(w, f->wait);
	}
	if (f->kind == SHARD_PIECE || f->kind == SHARD_PIECE_PARITY)
		write_cut(w, f);
}

void shard_write(struct writer *w, const struct frame_shard *f)
{
	write_header(w, f);
	give_bytes(w, f->data, f->size);
}

u32 frame_shard_header(u8 kind)
{
	static const u8 sizes[SHARD_KINDS] = {
		[SHARD_PAYLOAD] = FRAME_SHARD_HEADER,
		[SHARD_PIECE] = FRAME_SHARD_PIECE_HEADER,
		[SHARD_PARITY] = FRAME_SHARD_PARITY_HEADER,
		[SHARD_PIECE_PARITY] = FRAME_SHARD_PIECE_PARITY_HEADER,
	};

	return sizes[kind];
}

void frame_put_shard_header(u8 *p, const struct frame_shard *f)
{
	struct writer w = { .p = p + 1, .left = frame_shard_header(f->kind) - 1 };

	p[0] = FRAME_SHARD | FRAME_LAST;
	write_header(&w, f);
}
