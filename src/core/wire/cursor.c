/* SPDX-License-Identifier: MIT */
/*
 * cursor.c - reading and writing fields with bounds checked in one place each: take() and give().
 *
 * Everything else here is made of these two. A cursor that has failed stays failed and does not
 * move, so a caller may go through all fields first and ask once at the end.
 */
#include "cursor.h"

#include <string.h>

#include "warp/wire.h"

u8 *take(struct reader *r, size_t n)
{
	u8 *p = r->p;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

u8 take_u8(struct reader *r)
{
	const u8 *p = take(r, 1);

	return p ? *p : 0;
}

u16 take_u16(struct reader *r)
{
	const u8 *p = take(r, 2);

	return p ? get_u16(p) : 0;
}

u32 take_u32(struct reader *r)
{
	const u8 *p = take(r, 4);

	return p ? get_u32(p) : 0;
}

u64 take_u64(struct reader *r)
{
	const u8 *p = take(r, 8);

	return p ? get_u64(p) : 0;
}

void take_bytes(struct reader *r, u8 *ret, size_t n)
{
	const u8 *p = take(r, n);

	if (p)
		memcpy(ret, p, n);
}

u8 take_count(struct reader *r, u8 max)
{
	u8 count = take_u8(r);

	if (count > max)
		r->bad = true;
	return r->bad ? 0 : count;
}

u8 *give(struct writer *w, size_t n)
{
	u8 *p = w->p;

	if (w->full || n > w->left) {
		w->full = true;
		return NULL;
	}
	w->p += n;
	w->left -= n;
	return p;
}

void give_u8(struct writer *w, u8 v)
{
	u8 *p = give(w, 1);

	if (p)
		*p = v;
}

void give_u16(struct writer *w, u16 v)
{
	u8 *p = give(w, 2);

	if (p)
		put_u16(p, v);
}

void give_u32(struct writer *w, u32 v)
{
	u8 *p = give(w, 4);

	if (p)
		put_u32(p, v);
}

void give_u64(struct writer *w, u64 v)
{
	u8 *p = give(w, 8);

	if (p)
		put_u64(p, v);
}

void give_bytes(struct writer *w, const u8 *data, size_t n)
{
	u8 *p = give(w, n);

	if (p && n)
		memcpy(p, data, n);
}

/* Bytes of an address; family is 0, 4 or 6. */
static size_t address_size(u8 family)
{
	return family == 4 ? 4 : family == 6 ? 16 : 0;
}

void take_endpoint(struct reader *r, struct endpoint *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->address.family = take_u8(r);
	if (ret->address.family == 0)
		return;
	if (!address_size(ret->address.family)) {
		r->bad = true;
		return;
	}
	ret->port = take_u16(r);
	take_bytes(r, ret->address.bytes, address_size(ret->address.family));
}

void give_endpoint(struct writer *w, const struct endpoint *e)
{
	size_t size = address_size(e->address.family);

	give_u8(w, size ? e->address.family : 0);
	if (!size)
		return;
	give_u16(w, e->port);
	give_bytes(w, e->address.bytes, size);
}
