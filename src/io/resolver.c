/* SPDX-License-Identifier: MIT */
/*
 * resolver.c - a helper thread that asks getaddrinfo(3), and two queues.
 *
 * A question moves through one table: FREE -> ASKED -> ANSWERED -> FREE. The thread takes the
 * oldest ASKED one, looks it up without the lock, and puts the answer into the same place; then it
 * writes to the eventfd. Nothing is allocated after the start but by getaddrinfo itself.
 *
 * A lookup can hang for a minute and cannot be broken off. So the thread is detached and the table
 * belongs to both: when the caller has gone (`closing`), the thread frees it whenever it comes
 * back, and if the process ends before that, it just ends.
 */
#include "warp/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "warp/sockaddr.h"

#define STACK_SIZE (512u * 1024u)

enum stage { FREE, ASKED, ANSWERED };

struct question {
	enum stage stage;
	u64 order; /* of asking, then of answering */
	u64 id;
	u16 port;
	char host[RESOLVER_HOST_SIZE];
	int error; /* EAI_*, or 0 */
	size_t count;
	struct endpoint endpoint[RESOLVER_ENDPOINTS];
};

struct resolver {
	pthread_mutex_t lock; /* everything below but fd and waiting */
	pthread_cond_t asked;
	int fd;
	bool closing;
	u64 order;
	struct question question[RESOLVER_WAITING];
};

/* --- the table (with the lock) ----------------------------------------------------------- */

static struct question *oldest(struct resolver *r, enum stage stage)
{
	struct question *found = NULL;

	for (size_t i = 0; i < RESOLVER_WAITING; i++) {
		struct question *q = &r->question[i];

		if (q->stage == stage && (!found || q->order < found->order))
			found = q;
	}
	return found;
}

static bool is_waiting(const struct resolver *r, u64 id)
{
	for (size_t i = 0; i < RESOLVER_WAITING; i++)
		if (r->question[i].stage != FREE && r->question[i].id == id)
			return true;
	return false;
}

/* --- the thread -------------------------------------------------------------------------- */

static bool already_in(const struct question *q, const struct endpoint *e)
{
	for (size_t i = 0; i < q->count; i++)
		if (endpoint_equal(&q->endpoint[i], e))
			return true;
	return false;
}

static void add_result(struct question *q, const struct addrinfo *info)
{
	union inet_sockaddr sa = { 0 };
	struct endpoint e;

	if (info->ai_addrlen > sizeof(sa) || q->count == RESOLVER_ENDPOINTS)
		return;
	memcpy(&sa, info->ai_addr, info->ai_addrlen);
	if (endpoint_from_sockaddr(&sa, info->ai_addrlen, &e))
		return;
	e.port = q->port;
	if (!already_in(q, &e))
		q->endpoint[q->count++] = e;
}

/* Both families whatever this host has at the moment: its links come and go. */
static void look_up(struct question *q)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM };
	struct addrinfo *list = NULL;

	q->count = 0;
	q->error = getaddrinfo(q->host, NULL, &hints, &list);
	if (q->error)
		return;
	for (const struct addrinfo *i = list; i; i = i->ai_next)
		add_result(q, i);
	freeaddrinfo(list);
}

static void resolver_free(struct resolver *r)
{
	close(r->fd);
	pthread_cond_destroy(&r->asked);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* Waits for a question, with the lock; NULL when the caller has gone. */
static struct question *next_question(struct resolver *r)
{
	struct question *q;

	while (!r->closing) {
		q = oldest(r, ASKED);
		if (q)
			return q;
		pthread_cond_wait(&r->asked, &r->lock);
	}
	return NULL;
}

static void *run(void *arg)
{
	struct resolver *r = arg;
	struct question *q, copy;

	pthread_mutex_lock(&r->lock);
	while ((q = next_question(r))) {
		copy = *q;
		pthread_mutex_unlock(&r->lock);
		look_up(&copy);
		pthread_mutex_lock(&r->lock);
		copy.stage = ANSWERED;
		copy.order = r->order++;
		*q = copy;
		eventfd_write(r->fd, 1);
	}
	pthread_mutex_unlock(&r->lock);
	resolver_free(r);
	return NULL;
}

/* The thread gets no signals: they are the loop's. */
static int start_thread(struct resolver *r)
{
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int error;

	error = pthread_attr_init(&attr);
	if (error)
		return -error;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attr, run, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return -error;
}

/* --- for the caller ---------------------------------------------------------------------- */

int resolver_create(struct resolver **ret)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	r->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (r->fd < 0) {
		error = -errno;
		free(r);
		return error;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->asked, NULL);
	error = start_thread(r);
	if (error) {
		resolver_free(r);
		return error;
	}
	*ret = r;
	return 0;
}

void resolver_destroy(struct resolver *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->closing = true;
	pthread_cond_signal(&r->asked);
	pthread_mutex_unlock(&r->lock);
}

int resolver_fd(const struct resolver *r)
{
	return r->fd;
}

/* With the lock. */
static int ask(struct resolver *r, u64 id, const char *host, u16 port)
{
	struct question *q = oldest(r, FREE);

	if (is_waiting(r, id))
		return -EALREADY;
	if (!q)
		return -ENOBUFS;
	q->stage = ASKED;
	q->order = r->order++;
	q->id = id;
	q->port = port;
	snprintf(q->host, sizeof(q->host), "%s", host);
	pthread_cond_signal(&r->asked);
	return 0;
}

int resolver_ask(struct resolver *r, u64 id, const char *host, u16 port)
{
	int error;

	if (!host[0] || strlen(host) >= RESOLVER_HOST_SIZE)
		return -EINVAL;
	pthread_mutex_lock(&r->lock);
	error = ask(r, id, host, port);
	pthread_mutex_unlock(&r->lock);
	return error;
}

/* With the lock. */
static void hand_out(struct question *q, u64 *ret_id, struct endpoint *ret_endpoints,
		     size_t *ret_count, const char **ret_why)
{
	const char *why = NULL;

	memcpy(ret_endpoints, q->endpoint, q->count * sizeof(q->endpoint[0]));
	if (q->error)
		why = gai_strerror(q->error);
	else if (!q->count)
		why = "it has no address";
	if (ret_why)
		*ret_why = why;
	*ret_id = q->id;
	*ret_count = q->count;
	q->stage = FREE;
}

bool resolver_take(struct resolver *r, u64 *ret_id,
		   struct endpoint ret_endpoints[static RESOLVER_ENDPOINTS], size_t *ret_count,
		   const char **ret_why)
{
	struct question *q;
	eventfd_t events;

	pthread_mutex_lock(&r->lock);
	q = oldest(r, ANSWERED);
	if (q)
		hand_out(q, ret_id, ret_endpoints, ret_count, ret_why);
	else
		eventfd_read(r->fd, &events);
	pthread_mutex_unlock(&r->lock);
	return q;
}
