/* SPDX-License-Identifier: MIT */
/*
 * test_gate_udp.c - loopback UDP gates: who may send, who gets the answers, and applications that
 * are not there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "unit/fake_engine.h"
#include "warp/gate.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

#define POOL 80u

static struct pool *pool;
static struct gate *gate;
static struct endpoint local;

static struct endpoint endpoint_of(int fd)
{
	union inet_sockaddr name = { 0 };
	socklen_t size = sizeof(name);
	struct endpoint ret = { 0 };

	assert_int_equal(getsockname(fd, &name.any, &size), 0);
	assert_int_equal(endpoint_from_sockaddr(&name, size, &ret), 0);
	return ret;
}

/* An application's socket, bound to a loopback address and any port. */
static int application(const char *address)
{
	union inet_sockaddr name;
	struct endpoint at = { 0 };
	socklen_t size;
	int fd;

	assert_int_equal(address_parse(address, &at.address), 0);
	size = endpoint_to_sockaddr(&at, &name);
	fd = socket(name.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, &name.any, size), 0);
	return fd;
}

static void start(const char *address, const struct endpoint *answers_to)
{
	struct gate_options options = { .pool = pool };
	struct conf_gate conf = { .kind = GATE_UDP };
	struct conf_error error;

	assert_int_equal(address_parse(address, &conf.application_to_gate.address), 0);
	if (answers_to)
		conf.gate_to_application = *answers_to;
	assert_int_equal(gate_open(&gate, &options, &conf, &error), 0);
	local = endpoint_of(gate->fd);
}

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	pool = pool_create(&fake_allocator, POOL);
	gate = NULL;
	return pool ? 0 : -1;
}

static int teardown(void **state)
{
	bool whole;

	(void)state;
	gate_close(gate);
	whole = pool_available(pool) == POOL;
	pool_destroy(pool);
	return whole ? 0 : -1;
}

static void put(int fd, size_t size, u8 value)
{
	static u8 data[65507];
	union inet_sockaddr to;
	socklen_t to_size = endpoint_to_sockaddr(&local, &to);

	memset(data, value, size);
	assert_int_equal(sendto(fd, data, size, 0, &to.any, to_size), (ssize_t)size);
}

static void deliver(u32 size, u8 value)
{
	struct delivery d = fake_delivery(pool, size, value);

	gate_deliver(gate, &d);
}

static ssize_t get(int fd)
{
	u8 data[2];

	return recv(fd, data, sizeof(data), MSG_TRUNC);
}

static void last_sender_gets_the_answers(void **state)
{
	int a = application("127.0.0.1"), b = application("127.9.0.1");

	(void)state;
	start("127.1.0.1", NULL);
	put(a, 10, 1);
	gate_readable(gate, 1);
	deliver(11, 2);
	gate_flush(gate);
	assert_int_equal(get(a), 11);
	put(b, 20, 1);
	gate_readable(gate, 1);
	deliver(12, 2);
	gate_flush(gate);
	assert_int_equal(get(a), -1);
	assert_int_equal(get(b), 12);
	assert_int_equal(fake.sent, 2);
	assert_int_equal(fake.size[1], 20);
	close(a);
	close(b);
}

static void configured_application_gets_the_answers_whoever_sends(void **state)
{
	int a = application("127.0.0.1"), thief = application("127.0.0.1");
	struct endpoint at = endpoint_of(a);

	(void)state;
	start("127.1.0.1", &at);
	put(thief, 10, 1);
	gate_readable(gate, 1);
	deliver(11, 2);
	gate_flush(gate);
	assert_int_equal(get(thief), -1);
	assert_int_equal(get(a), 11);
	close(a);
	close(thief);
}

static void works_the_same_with_ipv6(void **state)
{
	int a = application("::1");

	(void)state;
	start("::1", NULL);
	put(a, 10, 1);
	gate_readable(gate, 1);
	deliver(11, 2);
	gate_flush(gate);
	assert_int_equal(get(a), 11);
	close(a);
}

static void empty_datagram_is_counted(void **state)
{
	int a = application("127.0.0.1");

	(void)state;
	start("127.1.0.1", NULL);
	put(a, 0, 0);
	put(a, 1, 9);
	gate_readable(gate, 1);
	assert_int_equal(fake.dropped[DROP_MALFORMED], 1);
	assert_int_equal(fake.sent, 1);
	assert_int_equal(fake.first[0], 9);
	close(a);
}

static void largest_datagram_passes(void **state)
{
	int a = application("127.0.0.1");

	(void)state;
	start("127.1.0.1", NULL);
	put(a, 65507, 1);
	gate_readable(gate, 1);
	assert_int_equal(fake.size[0], 65507);
	deliver(65508, 1);
	gate_flush(gate);
	assert_int_equal(fake.dropped[DROP_TOO_LARGE], 1);
	close(a);
}

static void batches_keep_the_order(void **state)
{
	int a = application("127.0.0.1");
	u32 i;

	(void)state;
	start("127.1.0.1", NULL);
	for (i = 0; i < 100; i++)
		put(a, i + 1, (u8)i);
	for (i = 0; i < 5; i++)
		gate_readable(gate, 1);
	assert_int_equal(fake.sent, 100);
	for (i = 0; i < 100; i++)
		assert_int_equal(fake.size[i], i + 1);
	for (i = 0; i < 70; i++)
		deliver(i + 1, 0);
	gate_flush(gate);
	for (i = 0; i < 70; i++)
		assert_int_equal(get(a), i + 1);
	assert_int_equal(get(a), -1);
	close(a);
}

static void nobody_has_sent_yet(void **state)
{
	(void)state;
	start("127.1.0.1", NULL);
	deliver(11, 2);
	gate_flush(gate);
	assert_int_equal(fake.dropped[DROP_GATE_CLOSED], 1);
}

/* Every datagram that found nobody is counted; the gate goes on. */
static void application_that_went_away_is_counted(void **state)
{
	int a = application("127.0.0.1"), b;
	u32 i;

	(void)state;
	start("127.1.0.1", NULL);
	put(a, 10, 1);
	gate_readable(gate, 1);
	close(a);
	for (i = 0; i < 40; i++)
		deliver(11, 2);
	gate_flush(gate);
	for (i = 0; i < 3; i++)
		gate_readable(gate, 1);
	assert_int_equal(fake.dropped[DROP_GATE_CLOSED], 40);
	b = application("127.0.0.1");
	put(b, 10, 1);
	gate_readable(gate, 1);
	deliver(12, 2);
	gate_flush(gate);
	assert_int_equal(get(b), 12);
	assert_int_equal(fake.dropped[DROP_GATE_CLOSED], 40);
	close(b);
}

static void empty_pool_drops_what_waits(void **state)
{
	struct buf *held[POOL];
	int a = application("127.0.0.1");
	u32 i;

	(void)state;
	start("127.1.0.1", NULL);
	for (i = 0; i < POOL; i++)
		held[i] = buf_get(pool);
	put(a, 10, 1);
	put(a, 10, 1);
	gate_readable(gate, 1);
	assert_int_equal(fake.dropped[DROP_NO_BUFFER], 2);
	for (i = 0; i < POOL; i++)
		buf_put(held[i]);
	put(a, 10, 1);
	gate_readable(gate, 1);
	assert_int_equal(fake.sent, 1);
	close(a);
}

static void port_of_another_program_is_a_clear_error(void **state)
{
	struct gate_options options = { .pool = pool };
	struct conf_gate conf = { .kind = GATE_UDP };
	struct conf_error error;
	int a = application("127.0.0.1");

	(void)state;
	conf.application_to_gate = endpoint_of(a);
	assert_int_equal(gate_open(&gate, &options, &conf, &error), -EADDRINUSE);
	assert_non_null(strstr(error.text, endpoint_text(&conf.application_to_gate)));
	gate = NULL;
	close(a);
}

static void address_that_is_not_loopback_is_refused(void **state)
{
	struct gate_options options = { .pool = pool };
	struct conf_gate conf = { .kind = GATE_UDP };
	struct conf_error error;

	(void)state;
	assert_int_equal(address_parse("0.0.0.0", &conf.application_to_gate.address), 0);
	assert_int_equal(gate_open(&gate, &options, &conf, &error), -EINVAL);
	gate = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(last_sender_gets_the_answers),
		TEST(configured_application_gets_the_answers_whoever_sends),
		TEST(works_the_same_with_ipv6),
		TEST(empty_datagram_is_counted),
		TEST(largest_datagram_passes),
		TEST(batches_keep_the_order),
		TEST(nobody_has_sent_yet),
		TEST(application_that_went_away_is_counted),
		TEST(empty_pool_drops_what_waits),
		TEST(port_of_another_program_is_a_clear_error),
		TEST(address_that_is_not_loopback_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
