/* SPDX-License-Identifier: MIT */
/*
 * flight.c - see flight.h. An item lies at its number modulo FLIGHT_ITEMS.
 */
#include "warp/flight.h"

#include <errno.h>

#define REORDERED 3u

_Static_assert((FLIGHT_ITEMS & (FLIGHT_ITEMS - 1)) == 0, "numbers wrap");

int flight_init(struct flight *f, const struct allocator *a, u32 first)
{
	*f = (struct flight){ .item = mem_alloc(a, FLIGHT_ITEMS * sizeof(*f->item)),
			      .first = first,
			      .next = first };
	return f->item ? 0 : -ENOMEM;
}

void flight_clear(struct flight *f, const struct allocator *a)
{
	mem_free(a, f->item, FLIGHT_ITEMS * sizeof(*f->item));
	f->item = NULL;
}

static struct flight_item *item_at(const struct flight *f, u32 number)
{
	return &f->item[number % FLIGHT_ITEMS];
}

bool flight_full(const struct flight *f)
{
	return f->next - f->first == FLIGHT_ITEMS;
}

void flight_add(struct flight *f, const struct flight_item *item)
{
	struct flight_item *i = item_at(f, f->next++);

	*i = *item;
	i->open = true;
	f->bytes += i->wire;
	f->open++;
}

static void close_item(struct flight *f, struct flight_item *i)
{
	i->open = false;
	f->bytes -= i->wire;
	f->open--;
}

static void skip_closed(struct flight *f)
{
	while (f->first != f->next && !item_at(f, f->first)->open)
		f->first++;
}

const struct flight_item *flight_newest(const struct flight *f)
{
	return item_at(f, f->next - 1);
}

u64 flight_oldest(const struct flight *f)
{
	return f->open ? item_at(f, f->first)->sent_at : TIME_NEVER;
}

static void lose(struct flight *f, struct flight_item *i, flight_lost *lost, void *ctx)
{
	close_item(f, i);
	if (!i->trial)
		lost(ctx, i);
}

void flight_report(struct flight *f, const struct tally_told *r, u64 patience, flight_lost *lost,
		   void *ctx, struct flight_news *ret)
{
	u32 run = 0;

	*ret = (struct flight_news){ 0 };
	if (f->next - 1 - r->highest >= FLIGHT_ITEMS) /* of an earlier life */
		return;
	ret->sent_at = item_at(f, r->highest)->sent_at;
	for (u32 n = f->first; r->highest - n < FLIGHT_ITEMS; n++) {
		struct flight_item *i = item_at(f, n);

		if (!i->open)
			continue;
		if (tally_has(r, n)) {
			close_item(f, i);
			ret->acked++;
			ret->trials += i->trial;
			ret->acked_bytes += i->wire;
			run = 0;
		} else if (r->highest - n >= REORDERED && ret->sent_at >= i->sent_at + patience) {
			lose(f, i, lost, ctx);
			ret->lost++;
			ret->trials_lost += i->trial;
			ret->bursts += run == 0;
			ret->burst = ++run > ret->burst ? run : ret->burst;
		}
	}
	skip_closed(f);
}

u32 flight_give_up(struct flight *f, flight_lost *lost, void *ctx)
{
	u32 count = 0;

	for (u32 n = f->first; n != f->next; n++) {
		struct flight_item *i = item_at(f, n);

		if (!i->open)
			continue;
		lose(f, i, lost, ctx);
		count++;
	}
	f->first = f->next;
	return count;
}

void flight_forget(struct flight *f, u16 tunnel)
{
	for (u32 n = f->first; n != f->next; n++) {
		struct flight_item *i = item_at(f, n);

		i->trial |= i->tunnel == tunnel;
	}
}
