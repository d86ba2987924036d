/* SPDX-License-Identifier: MIT */
/*
 * cursor.h - where a decoder or an encoder stands in its bytes, and how much is left (after
 * wire.h's layouts: big-endian, no padding).
 */
#ifndef WARP_CORE_CURSOR_H
#define WARP_CORE_CURSOR_H

#include "warp/endpoint.h"

/* Turns bad, for good, when more is asked of it than is left; what it gives is then zero. */
struct reader {
	u8 *p;
	size_t left;
	bool bad;
};

/* The next n bytes, or NULL. */
u8 *take(struct reader *r, size_t n);
u8 take_u8(struct reader *r);
u16 take_u16(struct reader *r);
u32 take_u32(struct reader *r);
u64 take_u64(struct reader *r);
void take_bytes(struct reader *r, u8 *ret, size_t n);
/* A count of things, of which max are allowed. */
u8 take_count(struct reader *r, u8 max);
void take_endpoint(struct reader *r, struct endpoint *ret);

/* Turns full, for good, when more is given to it than there is room for. */
struct writer {
	u8 *p;
	size_t left;
	bool full;
};

/* Room for n bytes, or NULL. */
u8 *give(struct writer *w, size_t n);
void give_u8(struct writer *w, u8 v);
void give_u16(struct writer *w, u16 v);
void give_u32(struct writer *w, u32 v);
void give_u64(struct writer *w, u64 v);
void give_bytes(struct writer *w, const u8 *data, size_t n);
void give_endpoint(struct writer *w, const struct endpoint *e);

#endif
