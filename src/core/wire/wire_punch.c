/* SPDX-License-Identifier: MIT */
/*
 * wire_punch.c - the body of PUNCH; see wire.c.
 */
#include "wire_internal.h"

void frame_read_punch(struct reader *r, struct frame_punch *ret)
{
	struct frame_punch f = { 0 };

	f.kind = take_u8(r);
	f.to = take_u8(r);
	f.from = take_u8(r);
	f.round = take_u8(r);
	f.strategy = take_u8(r);
	f.nat.mapping = take_u8(r);
	f.nat.filtering = take_u8(r);
	f.nat.flags = take_u8(r);
	f.nat.step = (i8)take_u8(r);
	f.count = take_count(r, WIRE_PORTS_MAX);
	for (u8 i = 0; i < f.count; i++)
		f.port[i] = take_u16(r);
	if (!r->bad)
		*ret = f;
}

void frame_write_punch(struct writer *w, const struct frame_punch *f)
{
	give_u8(w, f->kind);
	give_u8(w, f->to);
	give_u8(w, f->from);
	give_u8(w, f->round);
	give_u8(w, f->strategy);
	give_u8(w, f->nat.mapping);
	give_u8(w, f->nat.filtering);
	give_u8(w, f->nat.flags);
	give_u8(w, (u8)f->nat.step);
	give_u8(w, f->count);
	for (u8 i = 0; i < f->count; i++)
		give_u16(w, f->port[i]);
}
