/* SPDX-License-Identifier: MIT */
/*
 * pmtu.c - the search of RFC 8899 for one path: try the link's own limit first, since it is right
 * nearly everywhere, then halve the gap between what passed and what did not.
 *
 * Once found, the size is confirmed every few seconds; when three confirmations in a row are lost
 * although the path lives, the route has shrunk (a black hole) and the search starts over from
 * the base. Every minute it is tried whether the route has grown.
 */
#include "warp/pmtu.h"

#include <string.h>

#define PMTU_CONFIRM (5 * NS_PER_S)
#define PMTU_RAISE (60 * NS_PER_S)

void pmtu_init(struct pmtu *p, u32 ceiling)
{
	memset(p, 0, sizeof(*p));
	p->ceiling = ceiling;
	p->size = ceiling < PMTU_BASE ? ceiling : PMTU_BASE;
	p->too_large = ceiling + 1;
	p->next = TIME_NEVER;
	p->raise = TIME_NEVER;
}

void pmtu_start(struct pmtu *p, u64 now)
{
	p->next = now;
	p->raise = now + PMTU_RAISE;
	p->probing = 0;
	p->tries = 0;
}

u64 pmtu_next_expiry(const struct pmtu *p)
{
	return p->next;
}

static bool search_done(const struct pmtu *p)
{
	return p->size >= p->ceiling || p->too_large - p->size <= PMTU_STEP;
}

static u32 next_size(const struct pmtu *p)
{
	if (search_done(p))
		return p->size;
	if (p->too_large > p->ceiling)
		return p->ceiling;
	return p->size + (p->too_large - p->size) / 2;
}

/* The probe in flight is lost for good: its size does not pass. */
static void give_up(struct pmtu *p)
{
	p->too_large = p->probing;
	if (p->probing <= p->size) {
		p->size = p->ceiling < PMTU_BASE ? p->ceiling : PMTU_BASE;
		if (p->too_large <= p->size)
			p->too_large = p->ceiling + 1;
	}
	p->probing = 0;
	p->tries = 0;
}

u32 pmtu_poll(struct pmtu *p, u64 now, u64 timeout)
{
	if (now < p->next)
		return 0;
	if (p->probing && ++p->tries >= PMTU_TRIES)
		give_up(p);
	if (now >= p->raise) {
		p->too_large = p->ceiling + 1;
		p->raise = now + PMTU_RAISE;
	}
	if (!p->probing)
		p->probing = next_size(p);
	p->next = now + timeout;
	return p->probing;
}

void pmtu_sent(struct pmtu *p, u64 stamp)
{
	p->probe_stamp = stamp;
}

bool pmtu_answered(struct pmtu *p, u64 now, u64 stamp)
{
	bool grew;

	if (!p->probing || stamp != p->probe_stamp)
		return false;
	grew = p->probing > p->size;
	if (grew)
		p->size = p->probing;
	p->probing = 0;
	p->tries = 0;
	p->next = search_done(p) ? now + PMTU_CONFIRM : now;
	return grew;
}

bool pmtu_refused(struct pmtu *p, u64 now, u32 size)
{
	bool shrank = p->size >= size;

	if (size < p->too_large)
		p->too_large = size;
	if (shrank) {
		p->size = size <= PMTU_BASE ? size - 1 : PMTU_BASE;
		if (p->too_large <= p->size)
			p->too_large = p->size + 1;
	}
	if (p->probing >= size) {
		p->probing = 0;
		p->tries = 0;
	}
	p->next = now;
	return shrank;
}

void pmtu_set_ceiling(struct pmtu *p, u64 now, u32 ceiling)
{
	p->ceiling = ceiling;
	p->too_large = ceiling + 1;
	p->probing = 0;
	p->tries = 0;
	if (p->size > ceiling)
		p->size = ceiling;
	if (p->next != TIME_NEVER)
		p->next = now;
}
