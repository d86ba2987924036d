/* SPDX-License-Identifier: MIT */
/*
 * resolver.h - host names to endpoints, without making the loop wait.
 *
 * getaddrinfo(3) runs in one helper thread, a question at a time. An answer makes the fd readable.
 * A lookup that hangs holds up later ones, but neither the loop nor the end of the process.
 */
#ifndef WARP_RESOLVER_H
#define WARP_RESOLVER_H

#include "warp/endpoint.h"

#define RESOLVER_ENDPOINTS 16u
#define RESOLVER_WAITING 256u   /* questions at once */
#define RESOLVER_HOST_SIZE 256u /* with the final 0 */

struct resolver;

/* 0, or -errno (-ENOMEM, -EMFILE, -EAGAIN: no thread). */
int resolver_create(struct resolver **ret);
/* Forgets all questions; does not wait for the thread. */
void resolver_destroy(struct resolver *r);
int resolver_fd(const struct resolver *r);

/* Asks for both families. id comes back with the answer. 0; -EALREADY: the question with this id
 * has not been answered yet, this one is not asked; -ENOBUFS: too many wait; -EINVAL: the host is
 * empty or too long. */
int resolver_ask(struct resolver *r, u64 id, const char *host, u16 port);

/* The next answer; false: there is none (the fd is no longer readable). *ret_count is 0 when the
 * name has no address or could not be resolved; then *ret_why says why, else it is NULL.
 * ret_why itself may be NULL. */
bool resolver_take(struct resolver *r, u64 *ret_id,
		   struct endpoint ret_endpoints[static RESOLVER_ENDPOINTS], size_t *ret_count,
		   const char **ret_why);

#endif
