/* SPDX-License-Identifier: MIT */
/*
 * flight.h - what is under way on one path: every datagram has a number there, and is remembered until a
 * report says that it has come, or it is known or believed to be lost.
 *
 * Lost is what is missing before something that was sent REORDERED datagrams and a little time later;
 * the time follows how much the path's delay varies.
 */
#ifndef WARP_FLIGHT_H
#define WARP_FLIGHT_H

#include "warp/tally.h"
#include "warp/base.h"

#define FLIGHT_ITEMS 8192u /* a power of two */

struct flight_item {
	u64 sent_at;
	u64 since;    /* when it was given to us */
	u64 position; /* of the payload in the store */
	u32 size;     /* of the payload */
	u32 wire;     /* of the datagram */
	u32 sequence; /* in its bucket */
	u32 total;
	u16 tunnel, unit;
	u8 bucket, index;
	bool piece;
	bool trial; /* without a payload: nobody misses it when it is lost */
	bool open;  /* nothing is known of it yet */
};

struct flight {
	struct flight_item *item; /* FLIGHT_ITEMS */
	u32 first, next;          /* numbers: of the oldest open one at the most; of the next */
	u32 bytes;                /* of datagrams that are open */
	u32 open;                 /* how many these are */
};

/* What a report has changed. */
struct flight_news {
	u32 acked, lost;         /* datagrams */
	u32 trials, trials_lost; /* of these, trials */
	u32 acked_bytes;
	u64 sent_at; /* of the newest that has come; 0: it is not remembered */
	u32 burst;   /* the most that were lost in a row */
	u32 bursts;  /* runs of losses */
};

typedef void flight_lost(void *ctx, const struct flight_item *item);

/* 0, -ENOMEM. */
int flight_init(struct flight *f, const struct allocator *a, u32 first);
void flight_clear(struct flight *f, const struct allocator *a);
bool flight_full(const struct flight *f);
/* Gets the number f->next. */
void flight_add(struct flight *f, const struct flight_item *item);
/* The one that was sent last; there has to be one. */
const struct flight_item *flight_newest(const struct flight *f);
/* When the oldest open one was sent; TIME_NEVER: there is none. */
u64 flight_oldest(const struct flight *f);
/* patience: how much later, in ns, something has to have been sent that came before the missing one.
 * lost is called for each that is lost, but for trials. */
void flight_report(struct flight *f, const struct tally_told *r, u64 patience, flight_lost *lost,
		   void *ctx, struct flight_news *ret);
/* All that is open is believed to be lost. Returns how many. */
u32 flight_give_up(struct flight *f, flight_lost *lost, void *ctx);

/* What is open of this tunnel is not lost any more, whatever becomes of it. */
void flight_forget(struct flight *f, u16 tunnel);

#endif
