/* SPDX-License-Identifier: MIT */
/*
 * repair.h - datagrams that have left and are not yet reported to have come: kept, to be sent again in
 * time.
 *
 * One is due to be sent again when reports of it are missing for longer than they take on its path,
 * or at once when what left later over the same path has come. It is sent again until it would be too
 * late, but once at least. The same bytes: should both come, the other end's replay window takes one.
 *
 * Also learns, for each path, how long after a datagram its report comes, and whether datagrams have
 * been vanishing on the path without an exception: it may have failed.
 *
 * Bounded by REPAIR_SLOTS and REPAIR_BYTES: what leaves when there is no room takes the place of the
 * oldest, which is then no longer protected, and that is counted.
 */
#ifndef WARP_REPAIR_H
#define WARP_REPAIR_H

#include "warp/wire.h"

#define REPAIR_SLOTS 4096u /* a power of two */
#define REPAIR_BYTES (2u << 20)
#define REPAIR_PATHS 64u
#define REPAIR_SILENT 4u /* datagrams in a row of which nothing is reported, while reports come */

struct repair_counts {
	u64 kept, reported;
	u64 again;    /* datagrams sent again, each copy */
	u64 saved;    /* payloads reported after that */
	u64 needless; /* the same, but so soon that it was not for that */
	u64 lost;     /* never reported */
	u64 overrun;  /* lost their place too early */
};

struct repair;

/* NULL: no memory. */
struct repair *repair_create(const struct allocator *a);
/* NULL is allowed. */
void repair_destroy(const struct allocator *a, struct repair *r);

struct repair_sent {
	u32 sequence;
	u64 mask;     /* paths */
	u64 patience; /* ns, a report takes no longer */
	u64 until;    /* sent again later it is too late */
	const u8 *data;
	u32 size;
};

/* A datagram that has just been queued. */
void repair_keep(struct repair *r, u64 now, const struct repair_sent *s);
/* What the other end says has come. */
void repair_report(struct repair *r, u64 now, const struct frame_report *f);

struct repair_due {
	u32 slot;
	u64 mask; /* paths that it went over at first */
	const u8 *data;
	u32 size;
};

/* The next one to be sent again now, if any; repair_again() is to follow. */
bool repair_next(struct repair *r, u64 now, struct repair_due *ret);
/* It has been queued on the paths of mask, in so many copies; a report takes patience. */
void repair_again(struct repair *r, u64 now, u32 slot, u64 mask, u32 copies, u64 patience);
u64 repair_next_expiry(const struct repair *r);

/* How late a report of what goes over this path may be, ns; 0: not known. */
u64 repair_patience(const struct repair *r, u32 path);
/* Since when nothing has been reported of what goes over this path, ns; 0: things are reported. */
u64 repair_silent_since(const struct repair *r, u32 path);
/* The path has shown otherwise that it lives, or begins anew. */
void repair_heard(struct repair *r, u32 path);
const struct repair_counts *repair_counts(const struct repair *r);
/* Payloads that came when they had been sent again over this path, and not before. */
u64 repair_saved(const struct repair *r, u32 path);

#endif
