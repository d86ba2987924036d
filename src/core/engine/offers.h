/* SPDX-License-Identifier: MIT */
/*
 * offers.h - where nodes may be reached, as they tell each other inside their session; see offers.c.
 */
#ifndef WARP_CORE_OFFERS_H
#define WARP_CORE_OFFERS_H

#include "warp/engine.h"
#include "warp/path.h"
#include "warp/ratelim.h"

struct engine;
struct peer;
struct arrival;

#define FROM_PEER MAX_MAPS /* in peer.mappings, behind those of the maps */
#define MAPPING_SOURCES (MAX_MAPS + 1u)

/* Where we may be reached, as all peers are told. */
struct offers {
	u64 due;    /* when to look whether anything has changed */
	u32 number; /* of this list, 0: there is none yet */
	u8 count;
	struct wire_mapping entry[WIRE_MAPPINGS_MAX];
};

/* Lists to one peer, and from it. */
struct offered {
	bool acknowledged; /* it has our newest list */
	u64 next;          /* when to tell it (again) */
	u32 tries;         /* of this list */
	u32 taken;         /* number of its newest list, in the present session; 0: none */
	struct ratelim rate;
};

void offers_begin(struct peer *p);
/* Something that may be in our list has changed; peers are told when delay (ns) is over. */
void offers_changed(struct engine *e, u64 now, u64 delay);
u64 offers_next_expiry(const struct engine *e);
void offers_expire(struct engine *e, u64 now);
/* There are new keys: perhaps the peer knows nothing any more. */
void offers_session_begins(struct engine *e, struct peer *p, u64 now);
/* It can be told from now on. */
void offers_connected(struct engine *e, struct peer *p, u64 now);
u64 offers_peer_expiry(const struct peer *p);
void offers_peer_expire(struct engine *e, struct peer *p, u64 now);
/* path: that it came over, -1: none. */
void offers_take(struct engine *e, struct peer *p, const struct arrival *in, int path,
		 const struct frame_candidates *f);
/* The answer to a probe tells where the other end sees us. */
void offers_seen(struct engine *e, struct path *path, const struct arrival *in,
		 const struct endpoint *seen);

#endif
