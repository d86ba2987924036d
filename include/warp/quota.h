/* SPDX-License-Identifier: MIT */
/*
 * quota.h - how much each interface has carried this month, kept over restarts in a small file.
 *
 * A month begins with its first day, by the local wall clock. That clock may be wrong, above all
 * after a start: a month that is earlier than the counted one, or in the distant past, is not believed,
 * and what a false month has hidden comes back with the right one.
 */
#ifndef WARP_QUOTA_H
#define WARP_QUOTA_H

#include <time.h>

#include "warp/engine.h"

#define QUOTA_FILE "quota" /* in the state directory */
#define QUOTA_LINKS 64u    /* names; the one that was used least is forgotten for a new one */

struct quota;

/* Reads what is there; a file or line that is damaged is logged, and counts as nothing. What cannot be
 * read or written is logged as well: it is then counted in memory only. directory is created when it is
 * not there. NULL: no memory. */
struct quota *quota_open(const char *directory);
/* Writes what is not written. NULL is allowed. */
void quota_close(struct quota *q);

/* wall: CLOCK_REALTIME in seconds. */
void quota_add(struct quota *q, const char *ifname, u64 bytes, time_t wall);
/* Of the month that wall is in. */
u64 quota_used(struct quota *q, const char *ifname, time_t wall);
/* "2026-11", or "" when the clock has not been right yet; lives until the next call. */
const char *quota_month(struct quota *q, const char *ifname, time_t wall);
/* Writes what has changed, at most once a minute (now: as everywhere, ns), without waiting for the
 * disk. */
void quota_save(struct quota *q, u64 now);

#endif
