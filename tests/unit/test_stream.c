/* SPDX-License-Identifier: MIT */
/*
 * test_stream.c - datagrams over a TCP connection on the loopback interface: whole, in order, and
 * none that is too late to be worth waiting for.
 */
#include "unit/harness.h"

#include "warp/sockaddr.h"
#include "warp/stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM (64u << 10)

struct ends {
	int listener;
	struct endpoint at;
	struct stream *a, *b;
};

/* What an end has heard: datagrams that begin with their number. */
struct heard {
	u32 count, next, bytes;
	bool whole; /* so far */
};

static int listener_fd(struct endpoint *ret)
{
	const struct endpoint any = test_endpoint("127.0.0.1", 0);
	union inet_sockaddr sa;
	socklen_t length = endpoint_to_sockaddr(&any, &sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &sa.any, length), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, &sa.any, &length), 0);
	assert_int_equal(endpoint_from_sockaddr(&sa, length, ret), 0);
	return fd;
}

static void await(const struct stream *s, short events)
{
	struct pollfd p = { .fd = stream_fd(s), .events = events };

	assert_int_equal(poll(&p, 1, 5000), 1);
}

static int setup(void **state)
{
	static struct ends e;
	struct stream_options options = { .local = test_address("127.0.0.1") };

	e.listener = listener_fd(&e.at);
	options.remote = e.at;
	assert_int_equal(stream_connect(&e.a, &options), 0);
	await(e.a, POLLOUT);
	assert_int_equal(stream_finish(e.a), 0);
	assert_int_equal(stream_accepted(&e.b, accept4(e.listener, NULL, NULL, SOCK_CLOEXEC)), 0);
	*state = &e;
	return 0;
}

static int teardown(void **state)
{
	struct ends *e = *state;

	stream_close(e->a);
	stream_close(e->b);
	close(e->listener);
	return 0;
}

static void hear(void *ctx, const u8 *data, u32 size)
{
	struct heard *h = ctx;
	u32 number;

	assert_true(size >= sizeof(number));
	memcpy(&number, data, sizeof(number));
	h->whole = h->whole && number >= h->next;
	for (u32 n = sizeof(number); n < size; n++)
		h->whole = h->whole && data[n] == (u8)number;
	h->next = number + 1;
	h->count++;
	h->bytes += size;
}

static int say(struct stream *s, u32 number, u32 size, u32 room)
{
	u8 data[STREAM_DATAGRAM_MAX];

	memset(data, (u8)number, size);
	memcpy(data, &number, sizeof(number));
	return stream_send(s, data, size, room);
}

/* At b, while a sends what waits. */
static void read_all(struct ends *e, struct heard *h, u32 count)
{
	for (u32 n = 0; h->count < count && n < 10000; n++) {
		struct pollfd p = { .fd = stream_fd(e->b), .events = POLLIN };

		if (e->a)
			assert_int_equal(stream_flush(e->a), 0);
		if (poll(&p, 1, 10) == 1)
			assert_true(stream_receive(e->b, hear, h) > 0);
	}
	assert_int_equal(h->count, count);
}

static void datagrams_come_whole_and_in_order(void **state)
{
	struct ends *e = *state;
	struct heard h = { .whole = true };

	for (u32 n = 0; n < 100; n++)
		assert_int_equal(say(e->a, n, 4 + n * 20, ROOM), 0);
	read_all(e, &h, 100);
	assert_true(h.whole);
	assert_int_equal(h.next, 100);
	assert_int_equal(stream_receive(e->b, hear, &h), 0);
}

/* Nobody reads: what has found a place comes in the end, the newest is lost, and memory is bounded. */
static void what_finds_no_place_is_lost_whole(void **state)
{
	struct ends *e = *state;
	struct heard h = { .whole = true };
	u32 sent = 0, lost = 0;

	for (u32 n = 0; n < 20000; n++) {
		int r = say(e->a, n, 1000, ROOM);

		assert_true(r == 0 || r == -ENOBUFS);
		sent += r == 0;
		lost += r == -ENOBUFS;
	}
	assert_in_range(lost, 1, 20000 - ROOM / 1002);
	assert_true(stream_waits(e->a));
	read_all(e, &h, sent);
	assert_true(h.whole);
	assert_false(stream_waits(e->a));
	assert_int_equal(say(e->a, 30000, 1000, 0), 0); /* and it goes on */
	read_all(e, &h, sent + 1);
	assert_true(h.whole);
}

/* Where nothing may wait, at most the rest of one that has begun does. */
static void without_room_only_what_has_begun_waits(void **state)
{
	struct ends *e = *state;
	u32 lost = 0;

	for (u32 n = 0; n < 20000; n++)
		lost += say(e->a, n, 1000, 0) == -ENOBUFS;
	assert_true(lost > 0);
	assert_int_equal(say(e->a, 0, 1000, 0), -ENOBUFS);
}

static void what_is_too_large_is_refused(void **state)
{
	struct ends *e = *state;
	u8 data[STREAM_DATAGRAM_MAX + 1] = { 0 };

	assert_int_equal(stream_send(e->a, data, sizeof(data), ROOM), -EMSGSIZE);
	assert_int_equal(stream_send(e->a, data, 0, ROOM), -EMSGSIZE);
}

static void bytes_may_come_one_by_one(void **state)
{
	struct ends *e = *state;
	struct heard h = { .whole = true };
	u8 bytes[2 * (2 + 60)] = { 0 };
	u32 number = 1;

	bytes[1] = bytes[63] = 60;
	memset(bytes + 64, 1, 60);
	memcpy(bytes + 64, &number, sizeof(number));
	for (u32 n = 0; n < sizeof(bytes); n++) {
		assert_int_equal(send(stream_fd(e->a), bytes + n, 1, 0), 1);
		await(e->b, POLLIN);
		assert_int_equal(stream_receive(e->b, hear, &h), 1);
		assert_int_equal(h.count, (n + 1) / 62);
	}
	assert_true(h.whole);
}

static void what_is_no_datagram_ends_it(void **state)
{
	struct ends *e = *state;
	struct heard h = { .whole = true };

	assert_int_equal(send(stream_fd(e->a), "GET / HTTP/1.1\r\n", 16, 0), 16);
	await(e->b, POLLIN);
	assert_int_equal(stream_receive(e->b, hear, &h), -EBADMSG);
	assert_int_equal(h.count, 0);
}

static void the_far_end_may_close(void **state)
{
	struct ends *e = *state;
	struct heard h = { .whole = true };

	assert_int_equal(say(e->a, 0, 100, ROOM), 0);
	stream_close(e->a);
	e->a = NULL;
	read_all(e, &h, 1);
	await(e->b, POLLIN);
	assert_int_equal(stream_receive(e->b, hear, &h), -ECONNRESET);
}

static void where_nobody_listens_it_is_refused(void **state)
{
	struct ends *e = *state;
	struct stream_options options = { .local = test_address("127.0.0.1"), .remote = e->at };
	struct endpoint other;
	int fd = listener_fd(&other);

	close(fd);
	options.remote = other;
	stream_close(e->a);
	e->a = NULL;
	if (stream_connect(&e->a, &options) == 0) {
		await(e->a, POLLOUT);
		assert_int_equal(stream_finish(e->a), -ECONNREFUSED);
	}
}

static void an_address_that_is_not_there_is_told(void **state)
{
	struct ends *e = *state;
	struct stream_options options = { .local = test_address("192.0.2.77"), .remote = e->at };
	struct stream *s;

	assert_int_equal(stream_connect(&s, &options), -EADDRNOTAVAIL);
	options.local = test_address("127.0.0.1");
	memcpy(options.ifname, "no-such-if", 11);
	options.ifindex = 65000;
	assert_int_equal(stream_connect(&s, &options), -ENODEV);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(datagrams_come_whole_and_in_order),
		TEST(what_finds_no_place_is_lost_whole),
		TEST(without_room_only_what_has_begun_waits),
		TEST(what_is_too_large_is_refused),
		TEST(bytes_may_come_one_by_one),
		TEST(what_is_no_datagram_ends_it),
		TEST(the_far_end_may_close),
		TEST(where_nobody_listens_it_is_refused),
		TEST(an_address_that_is_not_there_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
