/* SPDX-License-Identifier: MIT */
/*
 * redund.h - what send.c, redund.c and links.c know of one another: a payload on its way to one peer.
 */
#ifndef WARP_CORE_REDUND_H
#define WARP_CORE_REDUND_H

#include "engine_internal.h"
#include "warp/fairq.h"

/* One payload to one peer: what every step on its way needs to know. */
struct sending {
	struct engine *e;
	struct tunnel *t;
	struct peer *p;
	u64 now;
	u64 mask;   /* paths */
	u16 tunnel; /* index of t */
	u64 given;  /* when it was given to us, as its deadline goes by that */
	struct flow *flow;
};

/* What is lost on a path. */
struct links_loss {
	u64 sent, received; /* as the newest answer that was looked at tells */
	double excess;      /* datagrams lost, beyond what may be */
	u64 suspect_since;
	u64 proven_at; /* it has to have sent so many datagrams to be taken back */
};

/* What the shards of one tunnel to one peer are spread over. */
struct links {
	u8 path[MAX_PEER_PATHS]; /* that leads over each */
	u8 link[MAX_PEER_PATHS]; /* its name: the same, whichever path leads over it */
	u32 count;
	u64 of, until;                   /* chosen from these paths */
	u32 turn;                        /* who has the first of the next block */
	double tolerable;                /* share of losses that parity makes good */
	u64 patience;                    /* how long the other end waits for a block */
	u64 lossy_since[MAX_PEER_PATHS]; /* 0: it is not */
	u64 chosen;                      /* the same as path[], as a mask */
	u64 collapsed;                   /* paths that lose so much that they are left at once */
	struct links_loss loss[MAX_PEER_PATHS];
	u32 stays; /* per cent of its round trip count for one that is chosen already */
};

/* links.c: before each payload, or parity that comes by itself. */
void links_refresh(const struct sending *s, struct links *l);
/* The place in l of the link for the next shard of b, or l->count: none has room. */
u32 links_pick(const struct sending *s, struct links *l, const struct shard_block *b, bool parity);

/* copies.c: of the paths of s those that a payload of this size goes over. */
u64 copies_choose(const struct sending *s, u32 size);

/* send.c: seals what lies in b, frame header included, and queues it on the paths of s->mask. fragment:
 * room for it was seen to. */
enum drop_reason seal_and_queue(const struct sending *s, struct buf *b, bool fragment,
				u64 *ret_queued);
/* send.c: counts a datagram that lies in the outboxes of the paths of queued. */
void sending_count(const struct sending *s, u64 queued, u32 size);
/* fragments.c: the payload in b, which stays as it is. */
enum drop_reason fragments_send(const struct sending *s, struct buf *payload);
/* stripe.c: the payload in b, which stays as it is. */
enum drop_reason stripe_send(const struct sending *s, struct buf *b);
/* For one of size bytes that is not in a buffer: where it is to be written; NULL: there is no room. Then
 * stripe_put(), and after the last one stripe_push(). */
u8 *stripe_place(const struct sending *s, u32 size, struct fairq_item *ret);
void stripe_put(const struct sending *s, struct fairq_item *item);
void stripe_push(const struct sending *s);
/* redund.c: the payload in b, which is written to, as one shard or several. */
enum drop_reason redund_send(const struct sending *s, struct buf *b);

#endif
