/* SPDX-License-Identifier: MIT */
/*
 * ctl.c - the control socket.
 *
 * A client is first asking (polled for reading until its line is complete), then answered (polled
 * for writing until it has the whole answer). One that listens stays: what it has not read yet is kept, up
 * to CTL_BACKLOG, and it is polled for writing as long as there is something. An epoll descriptor holds
 * the socket that clients connect to and all clients, so that the loop sees one descriptor.
 */
#include "warp/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/unixsock.h"

#define LISTENER UINT32_MAX
#define ACCEPT_PAUSE NS_PER_S /* after running out of descriptors */

struct client {
	int fd; /* -1: unused */
	char question[CTL_QUESTION];
	size_t asked;
	char *answer; /* NULL: still asking */
	size_t size, told;
	size_t room; /* for an answer, of one that listens */
	bool listens;
	u64 deadline;
};

struct ctl {
	int fd; /* epoll */
	struct unixsock name;
	ctl_answer answer;
	void *ctx;
	struct client client[CTL_CLIENTS];
	u64 accept_again; /* TIME_NEVER: the listener is polled */
	u64 lost;         /* listeners that did not read */
};

static int poll_change(const struct ctl *c, int operation, int fd, u32 events, u32 data)
{
	struct epoll_event event = { .events = events, .data.u32 = data };

	return epoll_ctl(c->fd, operation, fd, &event) < 0 ? -errno : 0;
}

static void client_close(struct client *client)
{
	close(client->fd);
	free(client->answer);
	client->answer = NULL;
	client->listens = false;
	client->fd = -1;
}

static void listener_lost(struct ctl *c, struct client *client)
{
	c->lost++;
	client_close(client);
}

static char *unknown_question(void)
{
	return strdup("{\"ok\":false,\"error\":\"unknown question; there are status, events, "
		      "reload, version\"}\n");
}

/* It has been told all that there is. */
static void listener_rests(struct ctl *c, struct client *client)
{
	client->size = client->told = 0;
	client->deadline = TIME_NEVER;
	poll_change(c, EPOLL_CTL_MOD, client->fd, EPOLLIN, (u32)(client - c->client));
}

/* As much of the answer as the kernel takes. */
static void client_tell(struct ctl *c, struct client *client, u64 now)
{
	ssize_t sent;

	while (client->told < client->size) {
		sent = send(client->fd, client->answer + client->told, client->size - client->told,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			return;
		if (sent < 0) {
			client_close(client);
			return;
		}
		client->told += (size_t)sent;
		client->deadline = now + CTL_PATIENCE;
	}
	if (client->listens)
		listener_rests(c, client);
	else
		client_close(client);
}

/* Its answer becomes the beginning of what it has not read yet. */
static bool listener_begin(const struct ctl *c, struct client *client)
{
	size_t size = strlen(client->answer);
	char *room = NULL;

	/* The first lines may be more than what may come after. */
	if (ctl_listeners(c) < CTL_LISTENERS)
		room = realloc(client->answer, size + CTL_BACKLOG);
	if (!room)
		return false;
	client->answer = room;
	client->listens = true;
	return true;
}

static char *too_many(void)
{
	return strdup("{\"ok\":false,\"error\":\"there are too many listeners already\"}\n");
}

static void client_answer(struct ctl *c, struct client *client, u64 now)
{
	client->answer = c->answer(c->ctx, client->question);
	if (!client->answer)
		client->answer = unknown_question();
	if (!client->answer) {
		client_close(client);
		return;
	}
	if (strcmp(client->question, CTL_LISTEN) == 0 && !listener_begin(c, client)) {
		free(client->answer);
		client->answer = too_many();
		if (!client->answer) {
			client_close(client);
			return;
		}
	}
	client->size = strlen(client->answer);
	client->room = client->size + CTL_BACKLOG;
	poll_change(c, EPOLL_CTL_MOD, client->fd, EPOLLOUT, (u32)(client - c->client));
	client_tell(c, client, now);
}

static void client_ask(struct ctl *c, struct client *client, u64 now)
{
	size_t room = sizeof(client->question) - client->asked;
	ssize_t size = recv(client->fd, client->question + client->asked, room, MSG_DONTWAIT);
	char *end;

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0) {
		client_close(client);
		return;
	}
	end = memchr(client->question + client->asked, '\n', (size_t)size);
	client->asked += (size_t)size;
	if (end) {
		*end = 0;
		client_answer(c, client, now);
	} else if (client->asked == sizeof(client->question)) {
		client->question[0] = 0;
		client_answer(c, client, now);
	}
}

/* Takes over fd; one client too many is turned away. */
static void client_add(struct ctl *c, int fd, u64 now)
{
	u32 i;

	for (i = 0; i < CTL_CLIENTS && c->client[i].fd >= 0; i++)
		;
	if (i == CTL_CLIENTS || poll_change(c, EPOLL_CTL_ADD, fd, EPOLLIN, i) < 0) {
		close(fd);
		return;
	}
	c->client[i] = (struct client){ .fd = fd, .deadline = now + CTL_PATIENCE };
}

static void accept_client(struct ctl *c, u64 now)
{
	int fd = accept4(c->name.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0) {
		client_add(c, fd, now);
	} else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		/* Would be told again at once, and for ever. */
		poll_change(c, EPOLL_CTL_DEL, c->name.fd, 0, LISTENER);
		c->accept_again = now + ACCEPT_PAUSE;
	}
}

int ctl_fd(const struct ctl *c)
{
	return c->fd;
}

void ctl_readable(struct ctl *c, u64 now)
{
	struct epoll_event event[CTL_CLIENTS + 1];
	int i, count = epoll_wait(c->fd, event, (int)ARRAY_SIZE(event), 0);
	struct client *client;

	for (i = 0; i < count; i++) {
		if (event[i].data.u32 == LISTENER) {
			accept_client(c, now);
			continue;
		}
		client = &c->client[event[i].data.u32];
		if (client->listens && !(event[i].events & EPOLLOUT))
			client_close(client); /* it has gone, or talks */
		else if (client->answer)
			client_tell(c, client, now);
		else
			client_ask(c, client, now);
	}
}

u64 ctl_next_expiry(const struct ctl *c)
{
	u64 next = c->accept_again;
	u32 i;

	for (i = 0; i < CTL_CLIENTS; i++) {
		if (c->client[i].fd >= 0)
			next = time_min(next, c->client[i].deadline);
	}
	return next;
}

void ctl_expire(struct ctl *c, u64 now)
{
	u32 i;

	for (i = 0; i < CTL_CLIENTS; i++) {
		if (c->client[i].fd < 0 || now < c->client[i].deadline)
			continue;
		if (c->client[i].listens)
			listener_lost(c, &c->client[i]);
		else
			client_close(&c->client[i]);
	}
	if (now < c->accept_again)
		return;
	c->accept_again = TIME_NEVER;
	if (poll_change(c, EPOLL_CTL_ADD, c->name.fd, EPOLLIN, LISTENER) < 0)
		c->accept_again = now + ACCEPT_PAUSE;
}

/* --- listeners ---------------------------------------------------------------------------- */

u32 ctl_listeners(const struct ctl *c)
{
	u32 i, count = 0;

	for (i = 0; i < CTL_CLIENTS; i++)
		count += c->client[i].fd >= 0 && c->client[i].listens;
	return count;
}

u64 ctl_listeners_lost(const struct ctl *c)
{
	return c->lost;
}

/* Who has read all that there was gets as much as the kernel takes, however much that is; how much that was.
 * -1: it is gone. */
static ssize_t listener_send(struct client *client, const char *lines, size_t size)
{
	ssize_t sent = send(client->fd, lines, size, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent >= 0)
		return sent;
	if (errno == EAGAIN)
		return 0;
	client_close(client);
	return -1;
}

/* For what it has not read, and so much more. Who had read everything may get more at once than it may leave. */
static bool listener_room(struct client *client, size_t size)
{
	char *room;

	if (client->size + size <= client->room)
		return true;
	if (client->size || size > CTL_BURST)
		return false;
	room = realloc(client->answer, size + CTL_BACKLOG);
	if (!room)
		return false;
	client->answer = room;
	client->room = size + CTL_BACKLOG;
	return true;
}

static void listener_tell(struct ctl *c, struct client *client, u64 now, const char *lines,
			  size_t size)
{
	bool resting = client->size == 0;
	ssize_t sent = resting ? listener_send(client, lines, size) : 0;

	if (sent < 0 || (size_t)sent == size)
		return;
	lines += sent;
	size -= (size_t)sent;
	if (client->told) {
		memmove(client->answer, client->answer + client->told, client->size - client->told);
		client->size -= client->told;
		client->told = 0;
	}
	if (!listener_room(client, size)) {
		listener_lost(c, client);
		return;
	}
	memcpy(client->answer + client->size, lines, size);
	client->size += size;
	if (!resting)
		return;
	client->deadline = now + CTL_PATIENCE;
	poll_change(c, EPOLL_CTL_MOD, client->fd, EPOLLOUT, (u32)(client - c->client));
	client_tell(c, client, now);
}

void ctl_tell(struct ctl *c, u64 now, const char *lines)
{
	size_t size = strlen(lines);
	u32 i;

	for (i = 0; size && i < CTL_CLIENTS; i++) {
		if (c->client[i].fd >= 0 && c->client[i].listens)
			listener_tell(c, &c->client[i], now, lines, size);
	}
}

/* --- opening and closing ------------------------------------------------------------------ */

static void make_directory(const char *path)
{
	char directory[sizeof(((struct unixsock *)0)->path)];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return;
	*slash = 0;
	mkdir(directory, 0755); /* when it fails, binding says so better */
}

static int bind_name(struct ctl *c, const char *path, struct conf_error *ret_error)
{
	struct unixsock_options options = {
		.path = path,
		.type = SOCK_STREAM,
		.mode = 0600,
		.backlog = (int)CTL_CLIENTS,
	};
	int error;

	make_directory(path);
	error = unixsock_open(&c->name, &options, ret_error);
	if (error == -EADDRINUSE)
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "warpd is already running: it answers on %s (control_socket)", path);
	if (error)
		return error;
	return poll_change(c, EPOLL_CTL_ADD, c->name.fd, EPOLLIN, LISTENER);
}

int ctl_open(struct ctl **ret, const char *path, ctl_answer answer, void *ctx,
	     struct conf_error *ret_error)
{
	struct ctl *c = calloc(1, sizeof(*c));
	int error = -ENOMEM;
	u32 i;

	snprintf(ret_error->text, sizeof(ret_error->text), "%s: out of memory or descriptors",
		 path);
	if (!c)
		return error;
	c->fd = epoll_create1(EPOLL_CLOEXEC);
	c->name.fd = -1;
	c->answer = answer;
	c->ctx = ctx;
	c->accept_again = TIME_NEVER;
	for (i = 0; i < CTL_CLIENTS; i++)
		c->client[i].fd = -1;
	if (c->fd >= 0)
		error = bind_name(c, path, ret_error);
	if (error) {
		ctl_close(c);
		return error;
	}
	*ret = c;
	return 0;
}

void ctl_close(struct ctl *c)
{
	u32 i;

	if (!c)
		return;
	for (i = 0; i < CTL_CLIENTS; i++) {
		if (c->client[i].fd >= 0)
			client_close(&c->client[i]);
	}
	unixsock_close(&c->name);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}
