/* SPDX-License-Identifier: MIT */
/*
 * server.c - one thread, one loop.
 *
 *   socket readable    read a batch, give it to the core, send what it has to say
 *   timer              the core's next expiry (timerfd on CLOCK_BOOTTIME: suspended time counts)
 *   socket writable    only after it was full: go on sending
 *   SIGTERM, SIGINT    the end
 *   SIGHUP             read the configuration again: allowed_clients are taken from it
 *
 * TCP connections have watchers of their own (streams.c).
 *
 * The next expiry moves away with nearly every datagram. So the timer is armed when it has to ring
 * earlier than it would; when it rings too early it is armed again.
 */
#include "server.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "allowed.h"
#include "listeners.h"
#include "privileges.h"
#include "streams.h"
#include "warp/base64.h"
#include "warp/log.h"
#include "warp/memory.h"
#include "warp/slabs.h"
#include "warp/text.h"

#define BUFFERS 2048u
#define ROUNDS 8u            /* batches of one socket before it is another's turn */
#define HANDSHAKE_RATE 1000u /* a second, before cookies are asked for; as many with them */
#define STATS_INTERVAL 60.0  /* seconds */

struct server {
	const char *path;
	struct conf_map_server *conf;
	struct allowed *allowed; /* NULL: anybody */
	struct slabs *slabs;     /* memory of the core */
	struct pool *pool;
	struct listeners *listeners;
	struct streams *streams;
	struct mapserver *core;
	struct ev_loop *loop;
	ev_io readers[LISTENER_SOCKETS];
	ev_io writer; /* active while a socket is full */
	ev_io timer;
	ev_timer stats;
	ev_signal term, interrupt, hangup;
	int timer_fd;
	u64 timer_at;                             /* TIME_NEVER: not armed */
	struct map_outgoing held[LISTENER_BATCH]; /* from the core, not yet sent */
	size_t held_from, held_to;
	u64 send_errors;
	size_t doors; /* that the core knows */
};

/* --- sending ----------------------------------------------------------------------------- */

static void wait_until_writable(struct server *s, const struct map_outgoing *first)
{
	size_t socket = listeners_socket(s->listeners, first->listener);

	ev_io_set(&s->writer, listeners_fd(s->listeners, socket), EV_WRITE);
	ev_io_start(s->loop, &s->writer);
}

static void let_go(struct server *s, size_t count)
{
	while (count--)
		buf_put(s->held[s->held_from++].buf);
}

/* Sends what is held. False: a socket is full. */
static bool send_held(struct server *s)
{
	int r;

	while (s->held_from < s->held_to) {
		const struct map_outgoing *first = &s->held[s->held_from];

		if (first->listener & MAPSERVER_IS_STREAM) {
			streams_send(s->streams, first);
			let_go(s, 1);
			continue;
		}
		r = listeners_send(s->listeners, first, s->held_to - s->held_from);
		if (r == -EAGAIN) {
			wait_until_writable(s, first);
			return false;
		}
		/* An unreachable destination costs its own datagram. */
		if (r < 0)
			s->send_errors++;
		let_go(s, r < 0 ? 1 : (size_t)r);
	}
	return true;
}

static void flush(struct server *s)
{
	if (ev_is_active(&s->writer))
		return;
	while (send_held(s)) {
		s->held_from = s->held_to = 0;
		while (s->held_to < LISTENER_BATCH &&
		       mapserver_next_outgoing(s->core, &s->held[s->held_to]))
			s->held_to++;
		if (!s->held_to)
			break;
	}
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct server *s = w->data;

	(void)events;
	ev_io_stop(loop, w);
	flush(s);
	for (size_t i = 0; i < listeners_count(s->listeners); i++)
		ev_io_start(loop, &s->readers[i]);
}

/* --- timer ------------------------------------------------------------------------------- */

static void arm(struct server *s)
{
	u64 at = mapserver_next_expiry(s->core);
	struct itimerspec when = { 0 };

	if (at >= s->timer_at)
		return;
	s->timer_at = at;
	/* All zero would disarm it. */
	when.it_value.tv_sec = (time_t)(at / NS_PER_S);
	when.it_value.tv_nsec = (long)(at % NS_PER_S) + !at;
	if (timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		log_warn("timerfd_settime");
}

static void on_timer(struct ev_loop *loop, ev_io *w, int events)
{
	struct server *s = w->data;
	u64 rings;

	(void)loop;
	(void)events;
	if (read(s->timer_fd, &rings, sizeof(rings)) < 0)
		return;
	s->timer_at = TIME_NEVER;
	mapserver_expire(s->core, clock_now());
	flush(s);
	arm(s);
}

/* --- receiving --------------------------------------------------------------------------- */

/* A connection has told the core something. */
static void after_stream(void *ctx)
{
	struct server *s = ctx;

	flush(s);
	arm(s);
}

/* The core is told of doors that were found. */
static void tell_doors(struct server *s)
{
	for (; s->doors < listeners_doors(s->listeners); s->doors++)
		mapserver_set_listener(s->core, (u8)s->doors,
				       listeners_door(s->listeners, (u8)s->doors));
}

/* Returns whether more may wait. */
static bool receive_batch(struct server *s, size_t socket)
{
	struct arrival arrivals[LISTENER_BATCH];
	int count = listeners_receive(s->listeners, socket, arrivals);
	u64 now = clock_now();

	if (count == -ENOBUFS && ev_is_active(&s->writer)) {
		/* All buffers wait to be sent: on_writable() goes on. */
		ev_io_stop(s->loop, &s->readers[socket]);
		return false;
	}
	if (count < 0) {
		errno = -count;
		log_warn("receiving");
		return false;
	}
	tell_doors(s);
	for (int i = 0; i < count; i++)
		mapserver_receive(s->core, now, arrivals[i].door, &arrivals[i].source,
				  arrivals[i].buf);
	flush(s);
	return count == (int)LISTENER_BATCH;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct server *s = w->data;
	size_t socket = (size_t)(w - s->readers);

	(void)loop;
	(void)events;
	for (u32 i = 0; i < ROUNDS && receive_batch(s, socket); i++)
		;
	arm(s);
}

/* --- what a person sees ------------------------------------------------------------------ */

static void tell_drops(const struct drop_counts *drops)
{
	for (int i = DROP_NONE + 1; i < DROP_REASONS; i++) {
		if (drops->count[i])
			log_debug("dropped, %s: %llu", drop_reason_name((enum drop_reason)i),
				  (unsigned long long)drops->count[i]);
	}
}

static void on_stats(struct ev_loop *loop, ev_timer *w, int events)
{
	struct server *s = w->data;
	const struct mapserver_stats *c = mapserver_stats(s->core);

	(void)loop;
	(void)events;
	log_debug("%u nodes; datagrams: %llu in, %llu out, %llu not sent", c->nodes,
		  (unsigned long long)c->received, (unsigned long long)c->sent,
		  (unsigned long long)s->send_errors);
	log_debug("%llu handshakes, %llu registrations, %llu queries, %llu pushes",
		  (unsigned long long)c->handshakes, (unsigned long long)c->registrations,
		  (unsigned long long)c->queries, (unsigned long long)c->pushes);
	log_debug("for want of room: %llu refused, %llu forgotten", (unsigned long long)c->refused,
		  (unsigned long long)c->crowded);
	log_debug("%llu datagrams relayed, %llu bytes, %llu over a limit",
		  (unsigned long long)c->relayed, (unsigned long long)c->relayed_bytes,
		  (unsigned long long)c->relay_limited);
	log_debug(
		"TCP: %u nodes, %u strangers; %llu accepted, %llu refused, %llu too slow, %llu bad",
		streams_stats(s->streams)->known, streams_stats(s->streams)->strangers,
		(unsigned long long)streams_stats(s->streams)->accepted,
		(unsigned long long)streams_stats(s->streams)->refused,
		(unsigned long long)streams_stats(s->streams)->late,
		(unsigned long long)streams_stats(s->streams)->bad);
	tell_drops(&c->drops);
}

static void tell_begin(const struct server *s)
{
	char key[KEY_TEXT_SIZE];

	key_to_base64(key, s->conf->identity.public_key);
	log_info("warp-map " WARP_VERSION " has public key %s", key);
	for (size_t i = 0; i < s->conf->listen_count; i++)
		log_info("listens on %s", endpoint_text(&s->conf->listen[i]));
	for (size_t i = 0; i < streams_listeners(s->streams); i++)
		log_info("takes TCP connections on %s",
			 endpoint_text(streams_listener(s->streams, i)));
	if (!s->conf->listen_tcp_count)
		log_info("takes no TCP connections: nodes whose UDP is blocked do not reach it");
	if (s->allowed)
		log_info("%zu clients are allowed", s->conf->allowed_client_count);
}

/* --- signals ----------------------------------------------------------------------------- */

static void on_end(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)events;
	log_info("ends: %s", strsignal(w->signum));
	ev_break(loop, EVBREAK_ALL);
}

static bool same_endpoints(const struct endpoint *a, size_t a_count, const struct endpoint *b,
			   size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++) {
		if (!endpoint_equal(&a[i], &b[i]))
			return false;
	}
	return true;
}

static bool same_listeners(const struct conf_map_server *a, const struct conf_map_server *b)
{
	return same_endpoints(a->listen, a->listen_count, b->listen, b->listen_count) &&
	       same_endpoints(a->listen_tcp, a->listen_tcp_count, b->listen_tcp,
			      b->listen_tcp_count);
}

static bool needs_restart(const struct conf_map_server *a, const struct conf_map_server *b)
{
	return !same_listeners(a, b) || a->client_expiry != b->client_expiry ||
	       a->max_nodes != b->max_nodes || a->relay_limit != b->relay_limit ||
	       a->relay_total_limit != b->relay_total_limit ||
	       memcmp(a->identity.private_key, b->identity.private_key, KEY_SIZE) != 0;
}

static void reload(struct server *s)
{
	struct conf_map_server *conf;
	struct conf_error error;
	struct allowed *allowed;

	if (conf_load_map_server(s->path, &conf, &error)) {
		log_errorx("%s", error.text);
		log_warnx("the configuration is not used: everything stays as it was");
		return;
	}
	if (allowed_create(&allowed, conf)) {
		log_warnx("no memory for the new configuration: everything stays as it was");
		conf_map_server_free(conf);
		return;
	}
	allowed_destroy(s->allowed);
	s->allowed = allowed;
	if (needs_restart(s->conf, conf))
		log_warnx("only allowed_clients are taken from the changed configuration; "
			  "restart for the rest");
	conf_map_server_free(conf);
	log_info("the configuration was read again");
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)loop;
	(void)events;
	reload(w->data);
}

/* --- life -------------------------------------------------------------------------------- */

static bool admit(void *ctx, const u8 key[static KEY_SIZE])
{
	const struct server *s = ctx;

	return !s->allowed || allowed_has(s->allowed, key);
}

static int create_core(struct server *s)
{
	const struct mapserver_options options = {
		.identity = s->conf->identity,
		.allocator = slabs_allocator(s->slabs),
		.random = system_random,
		.pool = s->pool,
		.client_expiry = s->conf->client_expiry,
		.max_nodes = s->conf->max_nodes,
		.max_streams = streams_most(),
		.handshake_rate = HANDSHAKE_RATE,
		.relay = { s->conf->relay_limit / 8, s->conf->relay_total_limit / 8 },
		.admit = admit,
		.ctx = s,
	};

	return mapserver_create(&s->core, &options);
}

static int open_streams(struct server *s)
{
	const struct streams_options options = {
		.listen = s->conf->listen_tcp,
		.listen_count = s->conf->listen_tcp_count,
		.loop = s->loop,
		.pool = s->pool,
		.most = streams_most(),
		.idle = s->conf->client_expiry,
		.after = after_stream,
		.ctx = s,
	};

	return streams_open(&s->streams, &options);
}

/* What could fail, in the order in which it is needed. */
static int create_parts(struct server *s)
{
	int r = allowed_create(&s->allowed, s->conf);

	if (r == 0)
		r = slabs_create(&s->slabs);
	if (r == 0)
		s->pool = pool_create_small(&system_allocator, BUFFERS, LISTENER_PAYLOAD);
	if (r == 0)
		r = s->pool ? create_core(s) : -ENOMEM;
	if (r == 0) {
		s->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
		r = s->timer_fd < 0 ? -errno : 0;
	}
	if (r == 0) {
		s->loop = ev_default_loop(EVFLAG_AUTO);
		r = s->loop ? 0 : -ENOSYS;
	}
	if (r) {
		errno = -r;
		log_error("cannot begin");
		return r;
	}
	r = listeners_open(&s->listeners, s->conf->listen, s->conf->listen_count, s->pool);
	if (r == 0)
		r = open_streams(s);
	return r ? r : privileges_drop();
}

static void destroy_parts(struct server *s)
{
	while (s->held_from < s->held_to)
		let_go(s, 1);
	listeners_close(s->listeners);
	streams_close(s->streams);
	mapserver_destroy(s->core);
	slabs_destroy(s->slabs);
	pool_destroy(s->pool);
	allowed_destroy(s->allowed);
	conf_map_server_free(s->conf);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	if (s->loop)
		ev_loop_destroy(s->loop);
}

static void watch_signal(struct server *s, ev_signal *w,
			 void (*f)(struct ev_loop *, ev_signal *, int), int number)
{
	ev_signal_init(w, f, number);
	w->data = s;
	ev_signal_start(s->loop, w);
}

static void watch(struct server *s)
{
	watch_signal(s, &s->term, on_end, SIGTERM);
	watch_signal(s, &s->interrupt, on_end, SIGINT);
	watch_signal(s, &s->hangup, on_hangup, SIGHUP);
	for (size_t i = 0; i < listeners_count(s->listeners); i++) {
		ev_io_init(&s->readers[i], on_readable, listeners_fd(s->listeners, i), EV_READ);
		s->readers[i].data = s;
		ev_io_start(s->loop, &s->readers[i]);
	}
	streams_start(s->streams, s->core);
	ev_init(&s->writer, on_writable);
	s->writer.data = s;
	ev_io_init(&s->timer, on_timer, s->timer_fd, EV_READ);
	s->timer.data = s;
	ev_io_start(s->loop, &s->timer);
	ev_timer_init(&s->stats, on_stats, STATS_INTERVAL, STATS_INTERVAL);
	s->stats.data = s;
	if (log_get_level() >= LEVEL_DEBUG)
		ev_timer_start(s->loop, &s->stats);
}

int server_run(const char *path, struct conf_map_server *conf)
{
	static struct server s; /* one a process, and too large for a stack */
	int r;

	s = (struct server){
		.path = path,
		.conf = conf,
		.timer_fd = -1,
		.timer_at = TIME_NEVER,
	};
	r = create_parts(&s);
	if (r == 0) {
		tell_begin(&s);
		watch(&s);
		ev_run(s.loop, 0);
		on_stats(s.loop, &s.stats, 0);
	}
	destroy_parts(&s);
	return r;
}
