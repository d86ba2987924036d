/* SPDX-License-Identifier: MIT */
/*
 * value.c - datagrams that wait for their copies; see value.h.
 */
#include "warp/value.h"

static struct value_slot *slot_at(struct value *v, u64 counter)
{
	return &v->slot[counter % VALUE_SLOTS];
}

static void judge_oldest(struct value *v)
{
	struct value_slot *s = &v->slot[v->order[v->head++ % VALUE_SLOTS]];

	if (s->open)
		v->saved[s->path]++;
	s->open = false;
}

void value_sweep(struct value *v, u64 now, u64 within)
{
	while (v->head != v->tail && v->slot[v->order[v->head % VALUE_SLOTS]].at + within <= now)
		judge_oldest(v);
}

void value_first(struct value *v, u64 now, u64 session, u64 counter, u8 path)
{
	struct value_slot *s = slot_at(v, counter);

	if (v->tail - v->head == VALUE_SLOTS)
		judge_oldest(v);
	*s = (struct value_slot){ true, path, session, counter, now };
	v->order[v->tail++ % VALUE_SLOTS] = (u16)(s - v->slot);
}

void value_copy(struct value *v, u64 session, u64 counter)
{
	struct value_slot *s = slot_at(v, counter);

	if (s->counter == counter && s->session == session)
		s->open = false;
}
