/* SPDX-License-Identifier: MIT */
/*
 * ctl.h - the control socket: one question a connection, one answer, end of file; or, to one question, lines
 * without end.
 *
 *   client: "status\n"        daemon: a JSON document, then closes
 *   client: "events\n"        daemon: lines, as they come, until the client closes
 *
 * A listener who does not read as fast as there are lines is sent away, and counted.
 *
 * It never blocks: clients, the length of a question and the time that a client may take are
 * bounded. Who may connect is the file's mode: its owner.
 */
#ifndef WARP_CTL_H
#define WARP_CTL_H

#include "warp/conf.h"

#define CTL_CLIENTS 16u
#define CTL_QUESTION 256u           /* bytes, with the newline */
#define CTL_LISTENERS 8u            /* of the clients */
#define CTL_BACKLOG 65536u          /* bytes that a listener may not have read yet */
#define CTL_BURST (4u << 20)        /* and of what happens at once, when it had read all before */
#define CTL_LISTEN "events"         /* the question that lines answer */
#define CTL_PATIENCE (5 * NS_PER_S) /* without progress */

struct ctl;

/* The answer to question (one line, without newline), from malloc(), or NULL: there is no such
 * question. Of CTL_LISTEN it is the first lines. */
typedef char *(*ctl_answer)(void *ctx, const char *question);

/* Makes the directory of path when only that is missing. 0, or -errno with ret_error filled;
 * -EADDRINUSE: another warpd is running. */
int ctl_open(struct ctl **ret, const char *path, ctl_answer answer, void *ctx,
	     struct conf_error *ret_error);
/* Removes the socket. NULL is allowed. */
void ctl_close(struct ctl *c);

/* How many listen; how many were sent away since they did not read. */
u32 ctl_listeners(const struct ctl *c);
u64 ctl_listeners_lost(const struct ctl *c);
/* To all who listen: lines, each with its newline. */
void ctl_tell(struct ctl *c, u64 now, const char *lines);

/* To poll for reading, then ctl_readable(). */
int ctl_fd(const struct ctl *c);
void ctl_readable(struct ctl *c, u64 now);
/* When the next client has had its time. */
u64 ctl_next_expiry(const struct ctl *c);
void ctl_expire(struct ctl *c, u64 now);

#endif
