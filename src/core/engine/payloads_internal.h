/* SPDX-License-Identifier: MIT */
/*
 * payloads_internal.h - the rooms through which payloads go that are more than a datagram each. Part of engine_internal.h.
 */
#ifndef WARP_PAYLOADS_INTERNAL_H
#define WARP_PAYLOADS_INTERNAL_H

#define SEQUENCE_JUMP (1u << 22) /* further is a new life of the sender */

/* Of two sequences of one tunnel to one peer. */
static inline bool sequence_is_far(u32 a, u32 b)
{
	return a - b > SEQUENCE_JUMP && b - a > SEQUENCE_JUMP;
}

/* redund.c */
/* p takes part in a tunnel that sends shards. 0, -ENOMEM. */
int redund_open(struct engine *e, struct peer *p, u16 tunnel);
void redund_close(struct engine *e, struct peer *p, u16 tunnel);
u64 redund_next_expiry(const struct engine *e);
void redund_expire(struct engine *e, u64 now);
/* What a payload of t costs besides its own bytes. */
u32 redund_overhead(const struct tunnel *t);

/* stripe.c */
/* p takes part in a tunnel that stripes. 0, -ENOMEM. */
int stripe_open(struct engine *e, struct peer *p, u16 tunnel);
void stripe_close(struct engine *e, struct peer *p, u16 tunnel);
/* p's paths or session may have changed. */
void stripe_wake(struct peer *p, u64 now);
u64 stripe_next_expiry(const struct engine *e);
void stripe_expire(struct engine *e, u64 now);
/* The other end tells what has come. */
void stripe_report(struct peer *p, u64 now, const struct frame_tally *f);
/* What is known of a path by what was striped over it; false: nothing. */
bool stripe_knows(const struct peer *p, u32 path, struct path_knowledge *ret);
u32 stripe_overhead(void);

/* unstripe.c */
void unstripe_take(struct engine *e, struct peer *p, const struct arrival *in, u16 tunnel,
		   const struct frame_stripe *f);
/* It has come, for nobody. */
void unstripe_note(struct engine *e, struct peer *p, const struct arrival *in,
		   const struct frame_stripe *f);
void unstripe_close(struct engine *e, struct peer *p, u16 tunnel);
/* p goes. */
void unstripe_close_all(struct engine *e, struct peer *p);
u64 unstripe_next_expiry(const struct engine *e);
void unstripe_expire(struct engine *e, u64 now);

/* rebuild.c */
void rebuild_shard(struct engine *e, struct peer *p, const struct arrival *in, u16 tunnel,
		   const struct frame_shard *f);
/* How long after the payloads of this flow those that are rebuilt may come; ns, not counting paths. */
u64 rebuild_wait(const struct flow *f);
void rebuild_close(struct engine *e, struct peer *p, u16 tunnel);
u64 rebuild_next_expiry(const struct engine *e);
void rebuild_expire(struct engine *e, u64 now);

/* train.c */
/* As many segments as a send may have on any kernel that has UDP_SEGMENT. */
#define TRAIN_DATAGRAMS 64u
/* b, one sealed datagram, has just been queued on the paths of queued and may grow. */
void train_open(struct engine *e, struct buf *b, const struct train *what);
void train_close(struct engine *e);
/* Where a datagram of this size may be put behind the newest train, or NULL. */
u8 *train_place(struct engine *e, u64 now, u16 tunnel, u16 peer, u64 mask, u32 datagram);
/* The datagram is there, sealed. Returns the paths that it goes out on. */
u64 train_grow(struct engine *e, u32 datagram);

/* copies.c */
/* Which paths of p are usable, or what is known of them, may have changed. */
void copies_refresh(struct peer *p, u64 now);
/* By how much (ns) the probe that has just been answered over path took longer than the fastest. */
void copies_told(struct engine *e, struct peer *p, u64 now, u32 path, u64 queue);

/* congest.c */
/* Of what the tunnel has been given something does not pass, or not in time. */
void congest_strained(struct engine *e, struct tunnel *t, u64 now);
/* q is dropped for its deadline: that counts if it had no other way. */
void congest_late(struct engine *e, const struct queued *q, u64 now);
/* All usable paths of p are congested. */
void congest_peer(struct engine *e, const struct peer *p, u64 now);
u64 congest_next_expiry(const struct engine *e);
void congest_expire(struct engine *e, u64 now);

/* fragment.c */
/* Adds a fragment; true when the payload is whole: *ret is then free for the next one, and the
 * caller owns *ret_buf with total bytes at BUF_HEADROOM. */
bool fragment_take(struct engine *e, u64 now, u16 peer, u16 tunnel, const struct frame_fragment *f,
		   struct buf **ret_buf);
/* The bytes of this fragment (its data and tunnel are not looked at) if it has come, or NULL. */
u8 *fragment_find(struct engine *e, u16 peer, u16 tunnel, const struct frame_fragment *f);
u64 fragment_next_expiry(const struct engine *e);
void fragment_expire(struct engine *e, u64 now);
void fragment_forget(struct engine *e, u16 peer, u16 tunnel);

/* deadline.c */
/* A DEADLINE frame to p[0..FRAME_DEADLINE_SIZE): deadline on our clock, ns. */
void deadline_put(u8 *p, u64 deadline);
/* Which paths of p are usable, or what they take, may have changed. */
void deadline_refresh(struct peer *p);
/* What a DEADLINE frame of p comes to on our clock, ns; 0: nothing is known of its clock. */
u64 deadline_here(const struct peer *p, u64 now, u32 deadline);

/* order.c */
/* p takes part in an ordered tunnel. 0, -ENOMEM. */
int order_open(struct engine *e, struct peer *p, u16 tunnel);
/* Gives up what waits. */
void order_close(struct engine *e, struct peer *p, u16 tunnel);
/* A whole payload of an ordered tunnel: delivers it, now or later, and what waited for it. Takes over
 * one reference to buf. */
void order_take(struct engine *e, struct peer *p, u64 now, u16 tunnel, u32 sequence,
		const struct reorder_item *item);
/* The same for one that has come in a datagram. */
void order_payload(struct engine *e, struct peer *p, const struct arrival *in, u16 tunnel,
		   const struct frame_payload *f);
u64 order_next_expiry(const struct engine *e);
void order_expire(struct engine *e, u64 now);
u32 order_waiting(const struct engine *e, u16 tunnel);

#endif
