/* SPDX-License-Identifier: MIT */
/*
 * streams.c - see streams.h.
 *
 *   listener readable     accept a few
 *   connection readable   read once, datagrams to the core; has the core found out who that is?
 *   connection writable   only while something waits
 *   tick, each second     strangers whose time is over, the known that are silent
 *
 * Strangers by age, and the known by when they were last heard, are two lists that are in order by
 * themselves.
 */
#include "streams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/parts/ages.h"
#include "warp/crypto.h"
#include "warp/log.h"
#include "warp/memory.h"
#include "warp/sockaddr.h"
#include "warp/stream.h"
#include "warp/text.h"
#include "warp/wire.h"

#define ACCEPTS 64u /* in one wake-up */
#define OTHER_FILES 128u
#define BUCKETS 4096u /* a power of two */
#define TICK 1.0

struct connection {
	struct age age;
	struct streams *owner;
	struct stream *stream;
	struct endpoint remote;
	u32 listener;
	u32 said;   /* bytes, of a stranger */
	u16 bucket; /* of its neighbourhood */
	bool known, waits;
	ev_io read, write;
};

struct listener {
	struct endpoint local;
	int fd;
	ev_io accept;
};

struct streams {
	struct streams_options options;
	struct mapserver *core; /* NULL: not started */
	struct listener listeners[STREAMS_LISTENERS];
	size_t listener_count;
	struct connection **connections; /* most of them, by place */
	u16 *free;                       /* places */
	u32 free_count;
	u32 lives;
	u32 queues; /* connections for which something waits */
	struct ages strangers, known;
	u16 neighbours[BUCKETS]; /* strangers of the neighbourhoods that fall there */
	u8 seed[KEY_SIZE];
	struct streams_stats stats;
	bool resting; /* no file can be opened any more */
	ev_timer tick;
};

/* Takes the oldest off its list. NULL: there is none (which has none that is older). */
static struct connection *take_oldest(struct ages *list)
{
	struct age *a = list->oldest;

	if (!a || a->older)
		return NULL;
	ages_remove(list, a);
	return (struct connection *)(void *)((char *)a - offsetof(struct connection, age));
}

/* --- neighbourhoods ----------------------------------------------------------------------- */

/* Keyed: who attacks shall not find addresses that fall together with another's. */
static u16 bucket_of(const struct streams *s, const struct address *a)
{
	struct address prefix = { .family = a->family };
	u8 mac[MAC_SIZE];

	memcpy(prefix.bytes, a->bytes, a->family == 4 ? 3 : 6);
	crypto_mac(mac, s->seed, sizeof(s->seed), (const u8 *)&prefix, sizeof(prefix));
	return (u16)(get_u16(mac) % BUCKETS);
}

/* --- connections -------------------------------------------------------------------------- */

static void no_stranger(struct streams *s, const struct connection *c)
{
	s->neighbours[c->bucket]--;
	s->stats.strangers--;
}

/* It is in no list any more. The core hears of it, and may have something to say to others. */
static void finish(struct streams *s, struct connection *c)
{
	u32 place = mapserver_stream_place(c->listener);

	if (c->known)
		s->stats.known--;
	else
		no_stranger(s, c);
	s->queues -= c->waits;
	ev_io_stop(s->options.loop, &c->read);
	ev_io_stop(s->options.loop, &c->write);
	stream_close(c->stream);
	s->connections[place] = NULL;
	s->free[s->free_count++] = (u16)place;
	if (s->core)
		mapserver_stream_closed(s->core, clock_now(), c->listener);
	free(c);
}

static void end(struct streams *s, struct connection *c)
{
	ages_remove(c->known ? &s->known : &s->strangers, &c->age);
	finish(s, c);
}

static void watch_writing(struct streams *s, struct connection *c)
{
	bool waits = stream_waits(c->stream);

	if (waits == c->waits)
		return;
	c->waits = waits;
	if (waits) {
		s->queues++;
		ev_io_start(s->options.loop, &c->write);
	} else {
		s->queues--;
		ev_io_stop(s->options.loop, &c->write);
	}
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct connection *c = w->data;
	struct streams *s = c->owner;

	(void)loop;
	(void)events;
	if (stream_flush(c->stream) == 0) {
		watch_writing(s, c);
		return;
	}
	end(s, c);
	s->options.after(s->options.ctx);
}

static void take(void *ctx, const u8 *data, u32 size)
{
	struct connection *c = ctx;
	struct streams *s = c->owner;
	struct buf *b = buf_get(s->options.pool);

	if (!b)
		return;
	memcpy(buf_data(b), data, size);
	b->length = size;
	mapserver_receive(s->core, clock_now(), c->listener, &c->remote, b);
}

static void become_known(struct streams *s, struct connection *c)
{
	ages_remove(&s->strangers, &c->age);
	no_stranger(s, c);
	c->known = true;
	ages_add(&s->known, &c->age, clock_now());
	s->stats.known++;
}

/* Has it said too much, for what it is? */
static bool is_good(struct streams *s, struct connection *c, int read)
{
	if (c->known) {
		ages_renew(&s->known, &c->age, clock_now());
		return true;
	}
	c->said += (u32)read;
	if (mapserver_stream_known(s->core, c->listener))
		become_known(s, c);
	return c->known || c->said <= STREAMS_BYTES;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct connection *c = w->data;
	struct streams *s = c->owner;
	int r = stream_receive(c->stream, take, c);

	(void)loop;
	(void)events;
	if (r == 0)
		return;
	if (r < 0 || !is_good(s, c, r)) {
		s->stats.bad += r > 0 || r == -EBADMSG;
		end(s, c);
	}
	s->options.after(s->options.ctx);
}

static void add(struct streams *s, struct stream *stream, const struct endpoint *remote, u16 bucket)
{
	struct connection *c = calloc(1, sizeof(*c));
	u32 place;

	if (!c) {
		stream_close(stream);
		return;
	}
	place = s->free[--s->free_count];
	s->connections[place] = c;
	c->owner = s;
	c->stream = stream;
	c->remote = *remote;
	c->listener = mapserver_stream(place, s->lives++);
	c->bucket = bucket;
	s->neighbours[bucket]++;
	s->stats.strangers++;
	s->stats.accepted++;
	ages_add(&s->strangers, &c->age, clock_now());
	ev_io_init(&c->read, on_readable, stream_fd(stream), EV_READ);
	ev_io_init(&c->write, on_writable, stream_fd(stream), EV_WRITE);
	c->read.data = c->write.data = c;
	ev_io_start(s->options.loop, &c->read);
}

static bool has_room(struct streams *s, u16 bucket)
{
	struct connection *oldest;

	if (s->neighbours[bucket] >= STREAMS_NEIGHBOURS)
		return false;
	if (s->stats.strangers < STREAMS_STRANGERS && s->free_count)
		return true;
	oldest = take_oldest(&s->strangers);
	if (oldest) {
		s->stats.pushed++;
		finish(s, oldest);
	}
	return s->free_count > 0;
}

static void accepted(struct streams *s, int fd, const union inet_sockaddr *from, socklen_t length)
{
	struct endpoint remote;
	struct stream *stream;
	u16 bucket;

	if (endpoint_from_sockaddr(from, length, &remote)) {
		close(fd);
		return;
	}
	bucket = bucket_of(s, &remote.address);
	if (!has_room(s, bucket)) {
		s->stats.refused++;
		close(fd);
		return;
	}
	if (stream_accepted(&stream, fd) == 0)
		add(s, stream, &remote, bucket);
}

/* Without files nothing can be accepted, and the listener would be readable for ever. */
static void rest(struct streams *s)
{
	s->resting = true;
	for (size_t n = 0; n < s->listener_count; n++)
		ev_io_stop(s->options.loop, &s->listeners[n].accept);
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
	struct streams *s = w->data;

	(void)loop;
	(void)events;
	for (u32 n = 0; n < ACCEPTS; n++) {
		union inet_sockaddr from;
		socklen_t length = sizeof(from);
		int fd = accept4(w->fd, &from.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0)
			accepted(s, fd, &from, length);
		else if (errno == EAGAIN)
			break;
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			rest(s);
		if (s->resting)
			break;
	}
	s->options.after(s->options.ctx); /* some may have been closed for others */
}

/* Those of a list that have lived for life. Returns how many. */
static u32 end_due(struct streams *s, struct ages *list, u64 now, u64 life)
{
	struct connection *c;
	u32 count = 0;

	for (; ages_due(list, now, life) && (c = take_oldest(list)); count++)
		finish(s, c);
	return count;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
	struct streams *s = w->data;
	u64 now = clock_now();

	(void)events;
	s->stats.late += end_due(s, &s->strangers, now, STREAMS_TIME);
	end_due(s, &s->known, now, s->options.idle);
	for (size_t n = 0; s->resting && n < s->listener_count; n++)
		ev_io_start(loop, &s->listeners[n].accept);
	s->resting = false;
	s->options.after(s->options.ctx);
}

/* --- sending ------------------------------------------------------------------------------ */

void streams_send(struct streams *s, const struct map_outgoing *out)
{
	struct connection *c = s->connections[mapserver_stream_place(out->listener)];
	bool may_wait;
	int r;

	if (!c || c->listener != out->listener)
		return;
	may_wait = c->known && (c->waits || s->queues < STREAMS_QUEUES);
	r = stream_send(c->stream, buf_data(out->buf), out->buf->length,
			may_wait ? STREAMS_ROOM : 0);
	if (r < 0 && r != -EMSGSIZE && r != -ENOBUFS)
		end(s, c);
	else
		watch_writing(s, c);
}

/* --- life --------------------------------------------------------------------------------- */

u32 streams_most(void)
{
	struct rlimit files;
	const rlim_t wanted = MAPSERVER_STREAMS + OTHER_FILES;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return 0;
	if (files.rlim_cur < wanted) {
		files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
		if (setrlimit(RLIMIT_NOFILE, &files) && getrlimit(RLIMIT_NOFILE, &files))
			return 0;
	}
	if (files.rlim_cur <= OTHER_FILES)
		return 0;
	return files.rlim_cur >= wanted ? MAPSERVER_STREAMS : (u32)(files.rlim_cur - OTHER_FILES);
}

static void tell_failure(const struct endpoint *e, int r)
{
	errno = -r;
	log_warn("listen_tcp: %s cannot be opened%s: nodes whose UDP is blocked do not reach this "
		 "map there",
		 endpoint_text(e),
		 r == -EADDRINUSE    ? " (is a web server running there?)" :
		 r == -EADDRNOTAVAIL ? " (is it an address of this host?)" :
		 r == -EACCES        ? " (ports below 1024 need CAP_NET_BIND_SERVICE)" :
				       "");
}

static void open_listeners(struct streams *s)
{
	const struct streams_options *o = &s->options;

	for (size_t n = 0; n < o->listen_count && s->listener_count < STREAMS_LISTENERS; n++) {
		struct listener *l = &s->listeners[s->listener_count];
		int r = o->most ? stream_listen(&l->fd, &o->listen[n]) : -EMFILE;

		l->local = o->listen[n];
		if (r == 0)
			s->listener_count++;
		else if (r != -EAFNOSUPPORT)
			tell_failure(&o->listen[n], r);
	}
}

int streams_open(struct streams **ret, const struct streams_options *options)
{
	struct streams *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->options = *options;
	ev_timer_init(&s->tick, on_tick, TICK, TICK);
	s->connections = calloc(options->most ? options->most : 1, sizeof(*s->connections));
	s->free = calloc(options->most ? options->most : 1, sizeof(*s->free));
	if (!s->connections || !s->free) {
		free(s->connections);
		free(s->free);
		free(s);
		return -ENOMEM;
	}
	while (s->free_count < options->most) {
		s->free[s->free_count] = (u16)(options->most - 1 - s->free_count);
		s->free_count++;
	}
	random_fill(&system_random, s->seed, sizeof(s->seed));
	open_listeners(s);
	*ret = s;
	return 0;
}

void streams_start(struct streams *s, struct mapserver *core)
{
	s->core = core;
	for (size_t n = 0; n < s->listener_count; n++) {
		struct listener *l = &s->listeners[n];

		ev_io_init(&l->accept, on_acceptable, l->fd, EV_READ);
		l->accept.data = s;
		ev_io_start(s->options.loop, &l->accept);
	}
	s->tick.data = s;
	if (s->listener_count)
		ev_timer_start(s->options.loop, &s->tick);
}

void streams_close(struct streams *s)
{
	if (!s)
		return;
	for (size_t n = 0; n < s->listener_count; n++) {
		if (s->core)
			ev_io_stop(s->options.loop, &s->listeners[n].accept);
		close(s->listeners[n].fd);
	}
	if (s->core)
		ev_timer_stop(s->options.loop, &s->tick);
	s->core = NULL;
	end_due(s, &s->strangers, TIME_NEVER, 0);
	end_due(s, &s->known, TIME_NEVER, 0);
	free(s->connections);
	free(s->free);
	free(s);
}

size_t streams_listeners(const struct streams *s)
{
	return s->listener_count;
}

const struct endpoint *streams_listener(const struct streams *s, size_t n)
{
	return &s->listeners[n].local;
}

const struct streams_stats *streams_stats(const struct streams *s)
{
	return &s->stats;
}
