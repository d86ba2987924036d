/* SPDX-License-Identifier: MIT */
/*
 * hub_internal.h - what hub.c (datagrams, indices), greeting.c (handshakes) and assoc.c (one remote
 * node's timers) share.
 */
#ifndef WARP_HUB_INTERNAL_H
#define WARP_HUB_INTERNAL_H

#include "warp/hub.h"

/* Local indices: the low bits are the slot, the high bits are random, so that an index cannot be
 * guessed from another. */
#define SLOT_MASK (HUB_SESSIONS - 1u)
#define SLOT_NONE UINT32_MAX

_Static_assert((HUB_SESSIONS & SLOT_MASK) == 0, "the low bits of an index are the slot");

/* One initiation may be repeated for so long before it is made anew. */
#define INITIATION_LIFETIME (10 * NS_PER_S)
/* An unconfirmed session that we answered is forgotten after this. */
#define PENDING_LIFETIME (15 * NS_PER_S)
/* Copies of an initiation get the same response for so long. */
#define ANSWER_LIFETIME (5 * NS_PER_S)
#define ANSWERS 1024u /* remembered, a power of two */
/* Copies of an initiation come within this, however different their ways. */
#define COPIES_TIME (1 * NS_PER_S)

struct initiation {
	struct handshake handshake;
	u32 index;
	u64 begun;
	u8 message[WIRE_INITIATION_SIZE];
};

struct slot {
	u32 index; /* 0: free */
	u32 next_free;
	struct assoc *assoc;
	struct session *session; /* NULL: an initiation in flight */
};

struct answer {
	u8 mac1[MAC_SIZE];
	u64 until;
	u32 index; /* of the session that it told of; when that is gone, so is the answer */
	u8 reply[WIRE_RESPONSE_SIZE];
};

struct hub {
	struct hub_options options;
	u64 sessions; /* made so far */
	u32 life;     /* tells our stamps from those before the last restart */
	struct cookie_checker checker;
	struct ratelim load, proven; /* handshakes: of anybody; more, of those with a cookie */
	struct ratelim_table sources, networks; /* the latter, of each address, of each network */
	struct slot *slots;
	u32 slot_count; /* allocated */
	u32 slots_used; /* at least once; what lies behind is not on the free list, nor touched */
	u32 free_slot;  /* head of the free list or SLOT_NONE */
	struct answer answers[ANSWERS];
};

static inline void hub_drop(struct hub_result *ret, enum drop_reason reason)
{
	ret->verdict = HUB_DROPPED;
	ret->reason = reason;
}

/* One datagram that begins with this kind; see hub_receive(). */
void hub_receive_initiation(struct hub *hub, u64 now, const struct endpoint *source, const u8 *data,
			    size_t size, struct hub_result *ret);
void hub_receive_response(struct hub *hub, u64 now, const struct endpoint *source, const u8 *data,
			  size_t size, struct hub_result *ret);
void hub_receive_cookie(struct hub *hub, u64 now, const u8 *data, size_t size,
			struct hub_result *ret);

/* Reserves an index for assoc. 0, -ENOMEM, -ENOSPC. */
int hub_index_take(struct hub *hub, struct assoc *assoc, u32 *ret_index);
void hub_index_release(struct hub *hub, u32 index);
void hub_index_set_session(struct hub *hub, u32 index, struct session *session);
/* NULL: not in use. */
struct slot *hub_slot(struct hub *hub, u32 index);
/* Wipes, frees, and releases the index. NULL is allowed. */
void hub_session_destroy(struct hub *hub, struct session *session);

/* session becomes current, current becomes previous. */
void assoc_make_current(struct hub *hub, struct assoc *a, struct session *session, u64 now);
/* Keeps a session that we answered with until it is confirmed. One that may be the answer to a
 * replay takes the place of another such; else the oldest unconfirmed one goes. */
void assoc_add_pending(struct hub *hub, struct assoc *a, struct session *session);
/* Was the initiation of this index answered a moment ago, although the answer itself has been
 * forgotten? To answer again would push out a session that the other end may have chosen by now. */
bool assoc_answered(const struct assoc *a, u32 remote_index, u64 now);
/* If session is pending, makes it current (of two that crossed, the one that both ends choose). */
bool assoc_confirm(struct hub *hub, struct assoc *a, struct session *session, u64 now);
/* Seals the initiation with mac1 and the newest cookie. */
void assoc_stamp_initiation(struct assoc *a, u64 now);

#endif
