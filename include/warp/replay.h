/* SPDX-License-Identifier: MIT */
/*
 * replay.h - which counters were seen: a sliding bitmap (after RFC 6479) that both stops replays
 * and recognises the copies that come in over other paths.
 *
 * A window of N bits (a power of two, at least 128) knows exactly the N - 64 counters before the
 * newest; what is older is too old. check() changes nothing; commit() is called only for what was
 * authenticated.
 */
#ifndef WARP_REPLAY_H
#define WARP_REPLAY_H

#include "warp/base.h"

#define REPLAY_BITS_PEER 65536u /* 100 kpps x 300 ms of skew between paths, twice */
#define REPLAY_BITS_MAP 512u /* what is relayed over one interface, while a slower one is heard */

enum replay_verdict { REPLAY_FRESH, REPLAY_DUPLICATE, REPLAY_TOO_OLD };

struct replay {
	u64 newest; /* highest counter committed */
	u32 bits;
	u64 *map; /* bits / 64 words, the caller's */
};

/* Bytes of bitmap for a window of bits. */
static inline size_t replay_size(u32 bits)
{
	return bits / 8;
}

/* map: replay_size(bits) zeroed bytes. */
void replay_init(struct replay *r, u64 *map, u32 bits);
enum replay_verdict replay_check(const struct replay *r, u64 counter);
/* counter was checked FRESH just before. */
void replay_commit(struct replay *r, u64 counter);

#endif
