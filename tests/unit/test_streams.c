/* SPDX-License-Identifier: MIT */
/*
 * test_streams.c - the map's edge for TCP: strangers get little and give way, nodes stay. Over the
 * loopback interface, with its many addresses.
 */
#include "unit/harness.h"
#include "unit/mapclient.h"

#include "warp-map/streams.h"
#include "warp/log.h"
#include "warp/sockaddr.h"
#include "warp/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS 600u

static struct mapworld w;
static struct ev_loop *loop;
static struct streams *streams;
static struct endpoint at;
static int clients[CLIENTS];
static u32 client_count;

/* What the core has to say goes out. */
static void after(void *ctx)
{
	struct map_outgoing out;

	(void)ctx;
	while (mapserver_next_outgoing(w.map, &out)) {
		streams_send(streams, &out);
		buf_put(out.buf);
	}
}

/* A port that nobody has. */
static struct endpoint free_endpoint(void)
{
	struct endpoint e = test_endpoint("127.0.0.1", 0);
	union inet_sockaddr sa;
	socklen_t length = endpoint_to_sockaddr(&e, &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, &sa.any, length), 0);
	assert_int_equal(getsockname(fd, &sa.any, &length), 0);
	assert_int_equal(endpoint_from_sockaddr(&sa, length, &e), 0);
	close(fd);
	return e;
}

static int setup(void **state)
{
	struct streams_options options = {
		.listen = &at,
		.listen_count = 1,
		.most = WORLD_STREAMS,
		.idle = 60 * NS_PER_S,
		.after = after,
	};

	(void)state;
	log_set_level(LEVEL_ERROR);
	mapworld_begin(&w, 16, 64, NULL);
	w.deaf = true;
	loop = ev_loop_new(EVFLAG_AUTO);
	at = free_endpoint();
	options.loop = loop;
	options.pool = w.pool;
	assert_true(streams_most() >= CLIENTS);
	assert_int_equal(streams_open(&streams, &options), 0);
	assert_int_equal(streams_listeners(streams), 1);
	streams_start(streams, w.map);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (client_count)
		close(clients[--client_count]);
	streams_close(streams);
	ev_loop_destroy(loop);
	mapworld_end(&w);
	return 0;
}

/* The loop runs until nothing has happened for a moment. */
static void settle(void)
{
	for (u32 n = 0; n < 20; n++) {
		ev_run(loop, EVRUN_NOWAIT);
		poll(NULL, 0, 1);
	}
}

/* From 127.0.network.1 */
static int connect_from(u32 network)
{
	struct endpoint local = test_endpoint("127.0.0.1", 0);
	union inet_sockaddr sa;
	socklen_t length;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	local.address.bytes[2] = (u8)network;
	length = endpoint_to_sockaddr(&local, &sa);
	assert_int_equal(bind(fd, &sa.any, length), 0);
	length = endpoint_to_sockaddr(&at, &sa);
	assert_int_equal(connect(fd, &sa.any, length), 0);
	clients[client_count++] = fd;
	return fd;
}

static void say(int fd, const void *data, size_t size)
{
	u8 bytes[STREAM_FRAME_MAX];

	assert_true(streamframe_length(bytes, size));
	memcpy(bytes + STREAM_LENGTH_SIZE, data, size);
	assert_int_equal(send(fd, bytes, STREAM_LENGTH_SIZE + size, MSG_NOSIGNAL),
			 STREAM_LENGTH_SIZE + size);
	settle();
}

/* What has come in, at once. */
static size_t heard(int fd, u8 *ret, size_t cap)
{
	ssize_t n = recv(fd, ret, cap, MSG_DONTWAIT);

	return n < 0 ? 0 : (size_t)n;
}

static bool is_closed(int fd)
{
	u8 byte;
	ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* Shakes hands and registers. */
static struct node *connect_node(u32 number, int fd)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	struct node *n = node_start(&w, number);
	struct hub_result r;
	u8 bytes[1024];
	size_t size;

	assoc_kick(n->hub, &n->map, w.now);
	assert_true(assoc_expire(n->hub, &n->map, w.now));
	say(fd, assoc_initiation(&n->map), WIRE_INITIATION_SIZE);
	size = heard(fd, bytes, sizeof(bytes));
	assert_int_equal(size, STREAM_LENGTH_SIZE + WIRE_RESPONSE_SIZE);
	hub_receive(n->hub, w.now, &at, bytes + STREAM_LENGTH_SIZE, WIRE_RESPONSE_SIZE, &r);
	assert_int_equal(r.verdict, HUB_ESTABLISHED);
	node_seal(&w, n, &f, 1);
	say(fd, w.last, w.last_size);
	assert_true(heard(fd, bytes, sizeof(bytes)) > STREAM_LENGTH_SIZE);
	return n;
}

static void a_node_that_shows_its_key_is_known(void **state)
{
	int fd = connect_from(0);

	(void)state;
	settle();
	assert_int_equal(streams_stats(streams)->strangers, 1);
	connect_node(1, fd);
	assert_int_equal(streams_stats(streams)->strangers, 0);
	assert_int_equal(streams_stats(streams)->known, 1);
	assert_int_equal(mapserver_stats(w.map)->streams, 1);
	close(clients[--client_count]);
	settle();
	assert_int_equal(streams_stats(streams)->known, 0);
	assert_int_equal(mapserver_stats(w.map)->streams, 0);
}

static void what_is_no_datagram_closes_it(void **state)
{
	int fd = connect_from(0);

	(void)state;
	assert_int_equal(send(fd, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
	settle();
	assert_true(is_closed(fd));
	assert_int_equal(streams_stats(streams)->bad, 1);
}

/* Whatever it says, it never hears more than it has said. */
static void a_stranger_that_talks_on_is_closed(void **state)
{
	u8 datagram[1400], bytes[65536];
	size_t said = 0, in = 0;
	int fd = connect_from(0);

	(void)state;
	memset(datagram, 0, sizeof(datagram));
	datagram[0] = WIRE_INITIATION;
	for (u32 n = 0; n < STREAMS_BYTES / sizeof(datagram) + 1; n++) {
		assert_false(is_closed(fd));
		say(fd, datagram, n % 2 ? sizeof(datagram) : WIRE_INITIATION_SIZE);
		said += n % 2 ? sizeof(datagram) : WIRE_INITIATION_SIZE;
		in += heard(fd, bytes, sizeof(bytes));
	}
	while (said <= STREAMS_BYTES && !is_closed(fd)) {
		say(fd, datagram, sizeof(datagram));
		said += sizeof(datagram);
	}
	assert_true(is_closed(fd));
	assert_true(in <= said);
}

static void a_neighbourhood_has_only_so_many_strangers(void **state)
{
	(void)state;
	for (u32 n = 0; n < STREAMS_NEIGHBOURS + 10; n++) {
		connect_from(1);
		settle();
	}
	assert_int_equal(streams_stats(streams)->strangers, STREAMS_NEIGHBOURS);
	assert_int_equal(streams_stats(streams)->refused, 10);
	assert_false(is_closed(clients[0]));
	assert_true(is_closed(clients[STREAMS_NEIGHBOURS + 9]));
	assert_false(is_closed(connect_from(2)));
	settle();
	assert_int_equal(streams_stats(streams)->strangers, STREAMS_NEIGHBOURS + 1);
}

/* From everywhere: the oldest give way, but no node does, and a node still gets in. */
static void a_flood_displaces_strangers_only(void **state)
{
	int first = connect_from(200);

	(void)state;
	settle();
	connect_node(1, first);
	for (u32 n = 0; n < STREAMS_STRANGERS + 20; n++) {
		connect_from(n % 20);
		if (n % 50 == 0)
			settle();
	}
	settle();
	assert_int_equal(streams_stats(streams)->strangers, STREAMS_STRANGERS);
	assert_int_equal(streams_stats(streams)->pushed, 20);
	assert_true(is_closed(clients[1]));
	assert_false(is_closed(first));
	connect_node(2, connect_from(201));
	assert_int_equal(streams_stats(streams)->known, 2);
}

static void slow_strangers_are_closed(void **state)
{
	int slow = connect_from(0), fd;
	u64 left = STREAMS_TIME / NS_PER_MS + 2500;

	(void)state;
	assert_int_equal(send(slow, "\0", 1, 0), 1);
	settle();
	fd = connect_from(0);
	connect_node(1, fd);
	for (; left && !is_closed(slow); left--) {
		ev_run(loop, EVRUN_NOWAIT);
		poll(NULL, 0, 1);
	}
	assert_true(is_closed(slow));
	assert_int_equal(streams_stats(streams)->late, 1);
	assert_false(is_closed(fd));
}

static void a_port_that_is_taken_is_left_out(void **state)
{
	const struct endpoint both[] = { at, free_endpoint() };
	struct streams_options options = { .listen = both,
					   .listen_count = 2,
					   .loop = loop,
					   .pool = w.pool,
					   .most = 10,
					   .after = after };
	struct streams *other;

	(void)state;
	assert_int_equal(streams_open(&other, &options), 0);
	assert_int_equal(streams_listeners(other), 1);
	assert_true(endpoint_equal(streams_listener(other, 0), &both[1]));
	streams_close(other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_that_shows_its_key_is_known),
		TEST(what_is_no_datagram_closes_it),
		TEST(a_stranger_that_talks_on_is_closed),
		TEST(a_neighbourhood_has_only_so_many_strangers),
		TEST(a_flood_displaces_strangers_only),
		TEST(slow_strangers_are_closed),
		TEST(a_port_that_is_taken_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
