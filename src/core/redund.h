/* SPDX-License-Identifier: MIT */
/*
 * redund.h - what redund.c and send.c know of each other: a payload on its way to one peer.
 */
#ifndef WARP_CORE_REDUND_H
#define WARP_CORE_REDUND_H

#include "engine_internal.h"

/* One payload to one peer: what every step on its way needs to know. */
struct sending {
	struct engine *e;
	struct tunnel *t;
	struct peer *p;
	u64 now;
	u64 mask; /* paths */
	struct flow *flow;
};

/* send.c: seals what lies in b, frame header included, and queues it on the paths of s->mask. fragment:
 * room for it was seen to. */
enum drop_reason seal_and_queue(const struct sending *s, struct buf *b, bool fragment,
				u64 *ret_queued);
/* redund.c: the payload in b, which is written to, as one shard or several. */
enum drop_reason redund_send(const struct sending *s, struct buf *b);

#endif
