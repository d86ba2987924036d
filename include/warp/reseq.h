/* SPDX-License-Identifier: MIT */
/*
 * reseq.h - puts payloads that took different paths into order again, each bucket of flows by itself, so
 * that the gap of one holds no other.
 *
 * What is next passes at once. What comes too early is held until the gap before it is filled, or the wait
 * is over: then the gap is passed over. What fills it after that still passes, once (better late
 * than never), unless order is strict. Without order nothing is held; then it only sees to it that
 * nothing passes twice.
 */
#ifndef WARP_RESEQ_H
#define WARP_RESEQ_H

#include "warp/flowhash.h"
#include "warp/reorder.h"

#define RESEQ_HELD 4096u    /* payloads, of all buckets */
#define RESEQ_WINDOW 16384u /* sequences ahead, and behind, that are told apart; a power of two */

enum reseq_order { RESEQ_NONE, RESEQ_LOOSE, RESEQ_STRICT };

enum reseq_verdict {
	RESEQ_PASS,      /* deliver it now */
	RESEQ_EARLY,     /* give it to reseq_hold() */
	RESEQ_FULL,      /* call reseq_next() until it says false, then ask again, once */
	RESEQ_DUPLICATE, /* drop it */
	RESEQ_LATE,      /* drop it */
};

struct reseq;

/* NULL: no memory. */
struct reseq *reseq_create(const struct allocator *a, enum reseq_order order);
/* Gives back what is held. NULL is allowed. */
void reseq_destroy(const struct allocator *a, struct reseq *r);

/* How long one may be held, in ns, from now on and also for what is held. */
void reseq_set_wait(struct reseq *r, u64 wait);
/* What is to become of a payload with this sequence; RESEQ_PASS counts it as delivered. */
enum reseq_verdict reseq_ask(struct reseq *r, u64 now, u8 bucket, u32 sequence);
/* Was it delivered, or is it held? */
bool reseq_knows(const struct reseq *r, u8 bucket, u32 sequence);
/* Takes a payload that is early, and a reference to its buffer; reseq_next() is then to be called. */
void reseq_hold(struct reseq *r, u64 now, u8 bucket, u32 sequence, const struct reorder_item *item);
/* The next that is due, with its reference. False: none is. */
bool reseq_next(struct reseq *r, u64 now, struct reorder_item *ret);
/* When to call reseq_next() again; TIME_NEVER: nothing is held. */
u64 reseq_next_expiry(const struct reseq *r);

u32 reseq_waiting(const struct reseq *r);
/* Payloads that were passed over and did not come. */
u64 reseq_lost(const struct reseq *r);

#endif
