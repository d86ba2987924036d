/* SPDX-License-Identifier: MIT */
/*
 * streams.c - TCP connections of a link to maps, as the engine demands them: from the link's address
 * and device. They go with the link.
 */
#include "warpd/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/log.h"
#include "warp/stream.h"
#include "warp/text.h"

#define ROOM (64u << 10) /* bytes that may wait for a connection */

struct link_stream {
	struct link_stream *next;
	struct link *link;
	struct endpoint remote;
	struct stream *stream;
	bool connected;
	ev_io read, write;
};

static struct link_stream **find(struct link *l, const struct endpoint *remote)
{
	struct link_stream **at = &l->streams;

	while (*at && !endpoint_equal(&(*at)->remote, remote))
		at = &(*at)->next;
	return at;
}

static void close_stream(struct daemon *d, struct link_stream **at)
{
	struct link_stream *s = *at;

	if (!s)
		return;
	*at = s->next;
	ev_io_stop(d->loop, &s->read);
	ev_io_stop(d->loop, &s->write);
	stream_close(s->stream);
	free(s);
}

/* The connection has ended, or could not be made. */
static void lose(struct daemon *d, struct link_stream *s, int error)
{
	const struct endpoint remote = s->remote;
	struct link *l = s->link;

	log_debug("%s: TCP to %s: %s", l->address.ifname, endpoint_text(&remote), strerror(-error));
	close_stream(d, find(l, &remote));
	engine_stream_closed(d->engine, d->now, l->iface, &remote);
}

/* --- watchers ----------------------------------------------------------------------------- */

struct incoming {
	struct daemon *d;
	struct link_stream *s;
};

static void take(void *ctx, const u8 *data, u32 size)
{
	const struct incoming *in = ctx;
	struct daemon *d = in->d;
	struct buf *b = buf_get(d->pool);

	if (!b)
		return;
	memcpy(buf_data(b), data, size);
	b->length = size;
	engine_receive(d->engine, d->now, in->s->link->iface, SOCKET_STREAM, &in->s->remote, b);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);
	struct link_stream *s = w->data;
	struct incoming in = { d, s };
	int r = stream_receive(s->stream, take, &in);

	(void)events;
	if (r > 0)
		spin_traffic(&d->spin, d->now);
	if (r < 0)
		lose(d, s, r);
	drain(d);
}

static void watch_writing(struct daemon *d, struct link_stream *s)
{
	if (!s->connected || stream_waits(s->stream))
		ev_io_start(d->loop, &s->write);
	else
		ev_io_stop(d->loop, &s->write);
}

static void connected(struct daemon *d, struct link_stream *s)
{
	s->connected = true;
	ev_io_start(d->loop, &s->read);
	watch_writing(d, s);
	engine_stream_opened(d->engine, d->now, s->link->iface, &s->remote);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);
	struct link_stream *s = w->data;
	int r = s->connected ? stream_flush(s->stream) : stream_finish(s->stream);

	(void)events;
	if (r < 0)
		lose(d, s, r);
	else if (!s->connected)
		connected(d, s);
	else
		watch_writing(d, s);
	drain(d);
}

/* --- what the engine wants ---------------------------------------------------------------- */

static int open_stream(struct daemon *d, struct link *l, const struct endpoint *remote)
{
	struct stream_options options = { .local = l->address.address,
					  .ifindex = l->address.ifindex,
					  .remote = *remote };
	struct link_stream *s = calloc(1, sizeof(*s));
	int error;

	if (!s)
		return -ENOMEM;
	if (d->conf->interfaces.bind_to_device)
		memcpy(options.ifname, l->address.ifname, sizeof(options.ifname));
	error = stream_connect(&s->stream, &options);
	if (error) {
		free(s);
		return error;
	}
	s->link = l;
	s->remote = *remote;
	s->next = l->streams;
	l->streams = s;
	ev_io_init(&s->read, on_readable, stream_fd(s->stream), EV_READ);
	ev_io_init(&s->write, on_writable, stream_fd(s->stream), EV_WRITE);
	s->read.data = s->write.data = s;
	watch_writing(d, s);
	return 0;
}

void streams_serve(struct daemon *d, struct link *l, const struct demand *demand)
{
	struct link_stream **at = find(l, &demand->remote);
	int error;

	if (demand->kind == DEMAND_CLOSE_STREAM) {
		close_stream(d, at);
		return;
	}
	if (*at) /* of two maps at one endpoint */
		return;
	error = open_stream(d, l, &demand->remote);
	if (!error)
		return;
	log_debug("%s: TCP to %s: %s", l->address.ifname, endpoint_text(&demand->remote),
		  strerror(-error));
	engine_stream_closed(d->engine, d->now, l->iface, &demand->remote);
}

void streams_review(struct daemon *d, struct link *l)
{
	struct link_stream **at = &l->streams;

	while (*at) {
		if (engine_wants_stream(d->engine, l->iface, &(*at)->remote))
			at = &(*at)->next;
		else
			close_stream(d, at);
	}
}

int streams_send(struct daemon *d, struct link *l, const struct outgoing *out)
{
	struct link_stream *s = *find(l, &out->destination);
	const u32 step = out->buf->segment ? out->buf->segment : out->size;
	u8 *data = buf_data(out->buf) + out->from;
	int r = 0;

	if (!s || !s->connected)
		return 0;
	for (u32 at = 0; r == 0 && at < out->size; at += step)
		r = stream_send(s->stream, data + at, out->size - at < step ? out->size - at : step,
				ROOM);
	if (r == -EMSGSIZE)
		return r;
	if (r < 0 && r != -ENOBUFS)
		lose(d, s, r);
	else
		watch_writing(d, s);
	return 0;
}

void streams_close(struct daemon *d, struct link *l)
{
	while (l->streams)
		close_stream(d, &l->streams);
}
