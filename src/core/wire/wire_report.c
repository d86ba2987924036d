/* SPDX-License-Identifier: MIT */
/*
 * wire_report.c - REPORT frames to bytes and back.
 */
#include "wire_report.h"

static void read_ask(struct reader *r, struct frame_report *ret)
{
	ret->tunnel = take_u16(r);
	ret->sequence = take_u32(r);
	ret->copies = take_u8(r);
	ret->interval = take_u8(r);
	ret->within = take_u16(r);
}

static void write_ask(struct writer *w, const struct frame_report *f)
{
	give_u16(w, f->tunnel);
	give_u32(w, f->sequence);
	give_u8(w, f->copies);
	give_u8(w, f->interval);
	give_u16(w, f->within);
}

static void read_flow(struct reader *r, struct frame_report *ret)
{
	ret->tunnel = take_u16(r);
	ret->sequence = take_u32(r);
	ret->size = take_count(r, WIRE_REPORT_BYTES);
	take_bytes(r, ret->bits, ret->size);
}

static void write_flow(struct writer *w, const struct frame_report *f)
{
	give_u16(w, f->tunnel);
	give_u32(w, f->sequence);
	give_u8(w, f->size);
	give_bytes(w, f->bits, f->size);
}

static void read_path(struct reader *r, struct frame_report *ret)
{
	ret->queue = take_u32(r);
	ret->saved = take_u64(r);
}

static void write_path(struct writer *w, const struct frame_report *f)
{
	give_u32(w, f->queue);
	give_u64(w, f->saved);
}

bool report_is_writable(const struct frame_report *f)
{
	switch (f->kind) {
	case REPORT_ASK:
		return f->interval > 0;
	case REPORT_FLOW:
		return f->size <= WIRE_REPORT_BYTES;
	default:
		return f->kind < REPORT_KINDS;
	}
}

void report_read(struct reader *r, struct frame_report *ret)
{
	struct frame_report f = { .kind = take_u8(r) };

	if (f.kind == REPORT_ASK)
		read_ask(r, &f);
	else if (f.kind == REPORT_FLOW)
		read_flow(r, &f);
	else
		read_path(r, &f);
	if (!report_is_writable(&f))
		r->bad = true;
	if (!r->bad)
		*ret = f;
}

void report_write(struct writer *w, const struct frame_report *f)
{
	give_u8(w, f->kind);
	if (f->kind == REPORT_ASK)
		write_ask(w, f);
	else if (f->kind == REPORT_FLOW)
		write_flow(w, f);
	else
		write_path(w, f);
}
