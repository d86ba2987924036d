/* SPDX-License-Identifier: MIT */
/*
 * wire_stripe.c - STRIPE and TALLY frames to bytes and back; wire.h draws them.
 */
#include "wire_internal.h"

#define PAYLOAD_MAX 65536u
#define PIECE 0x80u /* in the byte of the bucket */

/* --- STRIPE ---------------------------------------------------------------------------------- */

static bool fits_piece(const struct frame_stripe *f)
{
	const u32 start = (u32)f->index * f->unit;

	if (f->unit == 0 || f->total > PAYLOAD_MAX || start >= f->total)
		return false;
	return f->size == (f->total - start < f->unit ? f->total - start : f->unit);
}

bool frame_stripe_is_writable(const struct frame_stripe *f)
{
	return f->bucket < WIRE_BUCKETS && (!f->piece || fits_piece(f));
}

void frame_read_stripe(struct reader *r, struct frame_stripe *ret)
{
	struct frame_stripe f = { .tunnel = take_u16(r) };

	f.path = take_u8(r);
	f.number = take_u32(r);
	f.bucket = take_u8(r);
	f.wait = take_u8(r);
	f.sequence = take_u32(r);
	f.piece = (f.bucket & PIECE) != 0;
	f.bucket &= (u8)~PIECE;
	if (f.piece) {
		f.index = take_u8(r);
		f.unit = take_u16(r);
		f.total = take_u16(r) + 1u;
	}
	f.size = (u32)r->left;
	f.data = take(r, r->left);
	if (!frame_stripe_is_writable(&f))
		r->bad = true;
	if (!r->bad)
		*ret = f;
}

/* All but the data. */
static void write_header(struct writer *w, const struct frame_stripe *f)
{
	give_u16(w, f->tunnel);
	give_u8(w, f->path);
	give_u32(w, f->number);
	give_u8(w, (u8)(f->bucket | (f->piece ? PIECE : 0)));
	give_u8(w, f->wait);
	give_u32(w, f->sequence);
	if (!f->piece)
		return;
	give_u8(w, f->index);
	give_u16(w, f->unit);
	give_u16(w, (u16)(f->total - 1));
}

void frame_write_stripe(struct writer *w, const struct frame_stripe *f)
{
	write_header(w, f);
	give_bytes(w, f->data, f->size);
}

u32 frame_stripe_header(const struct frame_stripe *f)
{
	return f->piece ? FRAME_STRIPE_PIECE_HEADER : FRAME_STRIPE_HEADER;
}

void frame_put_stripe_header(u8 *p, const struct frame_stripe *f)
{
	struct writer w = { .p = p + 1, .left = frame_stripe_header(f) - 1 };

	p[0] = FRAME_STRIPE | FRAME_LAST;
	write_header(&w, f);
}

/* --- TALLY ----------------------------------------------------------------------------------- */

void frame_read_tally(struct reader *r, struct frame_tally *ret)
{
	struct frame_tally f = { .path = take_u8(r) };

	f.highest = take_u32(r);
	f.packets = take_u32(r);
	f.bytes = take_u64(r);
	f.at = take_u64(r);
	f.held = take_u32(r);
	for (u32 n = 0; n < FRAME_TALLY_WORDS; n++)
		f.seen[n] = take_u64(r);
	if (!r->bad)
		*ret = f;
}

void frame_write_tally(struct writer *w, const struct frame_tally *f)
{
	give_u8(w, f->path);
	give_u32(w, f->highest);
	give_u32(w, f->packets);
	give_u64(w, f->bytes);
	give_u64(w, f->at);
	give_u32(w, f->held);
	for (u32 n = 0; n < FRAME_TALLY_WORDS; n++)
		give_u64(w, f->seen[n]);
}
