/* SPDX-License-Identifier: MIT */
/*
 * auto_internal.h - the rooms of redundancy that is chosen.
 *
 *   autosel.c   a tunnel's payloads to one peer go out as planned
 *   mend.c      and again when they are missing
 *   learn.c     what is known of a peer's paths, and how it is seen by a plan
 *   report.c    the other end asks what has come of what it sends, and is told
 */
#ifndef WARP_AUTO_INTERNAL_H
#define WARP_AUTO_INTERNAL_H

#include "warp/arrivals.h"
#include "warp/fate.h"
#include "warp/know.h"
#include "warp/plan.h"
#include "warp/repair.h"
#include "warp/value.h"
#include "warp/view.h"

struct sending;
struct redund;

/* --- learn.c --------------------------------------------------------------------------------- */

/* What is known of the paths of a peer to which some tunnel chooses by itself. */
struct learned {
	u32 users;
	u64 next;                 /* sample */
	u64 born[MAX_PEER_PATHS]; /* of the path that this is about */
	u64 sent[MAX_PEER_PATHS], lost[MAX_PEER_PATHS];
	struct know know[MAX_PEER_PATHS];
	struct fate fate;
};

/* 0, -ENOMEM. Each open has a close. */
int learn_open(struct engine *e, struct peer *p);
void learn_close(struct engine *e, struct peer *p);
/* Takes a sample when it is time. */
void learn_refresh(struct peer *p, u64 now);
/* The links to plan with: of the paths of live, one of each fate, rather those in use. Returns how many of them are known
 * well. */
u32 learn_links(const struct engine *e, const struct peer *p, u64 live, u64 current,
		struct plan_input *ret);
/* Whether more would not be known if payloads went over all of the links for a while. */
bool learn_surely(const struct peer *p, const struct plan_input *in);
/* Fills what is known of its losses. */
void learn_view(const struct peer *p, u32 path, struct path_view *ret);
/* The first path that shares its fate with this one; itself: none does. */
u32 learn_fate(const struct engine *e, const struct peer *p, u32 path);

/* --- autosel.c ------------------------------------------------------------------------------- */

/* p takes part in a tunnel that chooses. 0, -ENOMEM. */
int autosel_open(struct engine *e, struct peer *p, u16 tunnel);
void autosel_close(struct engine *e, struct peer *p, u16 tunnel);
/* The paths that the next payload goes out on at first. */
u64 autosel_mask(struct engine *e, struct peer *p, u64 now, struct autosel *a);
/* Those of one that is cut into fragments, which are not sent again. */
u64 autosel_careful_mask(const struct peer *p, const struct autosel *a);
/* Payloads go out as shards at present. */
bool autosel_shards(const struct autosel *a);
u64 autosel_next_expiry(const struct engine *e);
void autosel_expire(struct engine *e, u64 now);

/* --- mend.c ---------------------------------------------------------------------------------- */

/* The payload with this sequence has been queued on these paths, as this datagram. */
void autosel_keep(const struct sending *s, u32 sequence, const u8 *datagram, u32 size);
/* The other end has told what has come, or what a path is worth. */
void autosel_report(struct engine *e, struct peer *p, u64 now, int path,
		    const struct frame_report *f);
/* Payloads of ours that came since they were sent again over this path. */
u64 autosel_saved(const struct engine *e, const struct peer *p, u32 path);

/* --- report.c -------------------------------------------------------------------------------- */

void report_ask(struct engine *e, struct peer *p, u64 now, const struct frame_report *f);
/* A payload has come: whether in its datagram as it is (in), or not (NULL). */
void report_arrived(struct engine *e, struct peer *p, u64 now, u16 tunnel, u32 sequence,
		    const struct arrival *in);
/* How long after its time a payload may come that is sent again, ns. */
u64 report_wait(const struct flow *f);
/* A copy of a datagram has. */
void report_copy(struct peer *p, const struct arrival *in);
/* A probe came over this path. */
void report_probe(struct path *path, u64 now, const struct frame_probe *probe);
/* Fills a frame that tells what this path is worth; false: nobody has asked. */
bool report_path(struct peer *p, u64 now, u32 path, struct frame *ret);
u64 report_saved(const struct peer *p, u32 path);
void report_close(struct engine *e, struct peer *p, u16 tunnel);
/* p goes. */
void report_forget(struct engine *e, struct peer *p);
u64 report_next_expiry(const struct engine *e);
void report_expire(struct engine *e, u64 now);

/* --- redund.c -------------------------------------------------------------------------------- */

#define REDUND_PARITY_MAX 16u

/* From now on shards go out as told, with REDUND_PARITY_MAX parity at most; what was begun is closed. 0, -ENOMEM. */
int redund_tune(struct engine *e, struct peer *p, u16 tunnel, u64 now,
		const struct shard_options *options);

#endif
