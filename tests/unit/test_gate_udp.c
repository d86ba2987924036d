/* SPDX-License-Identifier: MIT */
/*
 * test_gate_udp.c - loopback UDP gates: who may send, who gets the answers, applications that are
 * not there, and trains, which no application need know of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>

#include "io/udp_control.h"

#include "unit/fake_engine.h"
#include "warp/gate.h"
#include "warp/impair_text.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

#define POOL 200u

static struct pool *pool;
static struct gate *gate;
static struct endpoint local;
static bool offload; /* of gates that are opened */
static const char *impair;

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
	struct gate_options options = { .pool = pool, .offload = offload };
	struct conf_gate conf = { .kind = GATE_UDP };
	struct conf_error error;

	assert_int_equal(address_parse(address, &conf.application_to_gate.address), 0);
	if (impair) {
		char why[IMPAIR_ERROR];

		options.impair.on = true;
		assert_int_equal(impair_parse(impair, &options.impair.config, why), 0);
	}
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
	offload = false;
	impair = NULL;
	return pool ? 0 : -1;
}

static int setup_offload(void **state)
{
	int r = setup(state);

	offload = true;
	return r;
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

/* --- trains ------------------------------------------------------------------------------- */

/* An application that has said that it is there. */
static int known_application(void)
{
	int fd = application("127.0.0.1");

	put(fd, 10, 1);
	gate_readable(gate, 1);
	return fd;
}

/* Such a one that takes trains as they are. */
static int train_application(void)
{
	int fd = known_application(), on = 1;

	assert_int_equal(setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)), 0);
	return fd;
}

/* What it gets: the whole; *ret_segment: of so many bytes each, 0: no train. */
static ssize_t get_train(int fd, u32 *ret_segment)
{
	static u8 data[65536];
	struct iovec vector = { data, sizeof(data) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
	union udp_control control;
	ssize_t size;

	udp_control_prepare(&message, &control);
	size = recvmsg(fd, &message, 0);
	*ret_segment = size < 0 ? 0 : udp_control_segment(&message);
	return size;
}

static void assert_train(int fd, u32 size, u32 segment)
{
	u32 got;

	assert_int_equal(get_train(fd, &got), size);
	assert_int_equal(got, segment);
}

static void deliver_many(u32 count, u32 size)
{
	while (count--)
		deliver(size, 1);
}

static void payloads_of_one_size_go_out_as_one_train(void **state)
{
	int a;

	(void)state;
	start("127.1.0.1", NULL);
	a = train_application();
	deliver_many(40, 200);
	gate_flush(gate);
	assert_train(a, 40 * 200, 200);
	assert_int_equal(get(a), -1);
	close(a);
}

static void only_the_last_of_a_train_is_shorter(void **state)
{
	int a;

	(void)state;
	start("127.1.0.1", NULL);
	a = train_application();
	deliver_many(2, 200);
	deliver(50, 1);
	deliver(50, 1);
	deliver(200, 1);
	gate_flush(gate);
	assert_train(a, 450, 200);
	assert_train(a, 50, 0);
	assert_train(a, 200, 0);
	close(a);
}

static void train_has_64_payloads_or_65507_bytes_at_most(void **state)
{
	int a, large = 1 << 20;

	(void)state;
	start("127.1.0.1", NULL);
	a = train_application();
	setsockopt(a, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	deliver_many(100, 20);
	deliver_many(8, 9000);
	gate_flush(gate);
	assert_train(a, 64 * 20, 20);
	assert_train(a, 36 * 20, 20);
	assert_train(a, 7 * 9000, 9000);
	assert_train(a, 9000, 0);
	close(a);
}

/* --- gates that are bad on purpose -------------------------------------------------------------- */

/* count payloads of so many bytes, all read at now. */
static void put_many(u32 count, size_t size, u64 now)
{
	int a = application("127.0.0.1");

	for (u32 i = 0; i < count; i++)
		put(a, size, 1);
	for (u32 i = 0; i < count; i++)
		gate_readable(gate, now);
	close(a);
}

static void delayed_payloads_are_sent_when_they_are_due(void **state)
{
	(void)state;
	impair = "delay 20ms";
	start("127.1.0.1", NULL);
	assert_true(gate_next_expiry(gate) == TIME_NEVER);
	put_many(3, 10, NS_PER_S);
	assert_int_equal(fake.sent, 0);
	assert_true(gate_next_expiry(gate) == NS_PER_S + 20 * NS_PER_MS);
	gate_expire(gate, gate_next_expiry(gate) - 1);
	assert_int_equal(fake.sent, 0);
	gate_expire(gate, gate_next_expiry(gate));
	assert_int_equal(fake.sent, 3);
	assert_int_equal(fake.size[2], 10);
	assert_int_equal(fake.first[2], 1);
	assert_true(gate_next_expiry(gate) == TIME_NEVER);
}

static void lost_payloads_are_counted_as_lost_on_purpose(void **state)
{
	(void)state;
	impair = "loss 100%";
	start("127.1.0.1", NULL);
	put_many(5, 10, NS_PER_S);
	assert_int_equal(fake.sent, 0);
	assert_int_equal(gate_impair_dropped(gate), 5);
	assert_true(gate_next_expiry(gate) == TIME_NEVER);
}

static void duplicates_and_spoiled_payloads_are_sent(void **state)
{
	u32 i, spoiled = 0;

	(void)state;
	impair = "duplicate 100% corrupt 100%";
	start("127.1.0.1", NULL);
	put_many(100, 1, NS_PER_S);
	assert_int_equal(fake.sent, 200);
	for (i = 0; i < 200; i++)
		spoiled += fake.first[i] != 1;
	assert_int_equal(spoiled, 100); /* not the copies */
}

static void payloads_that_are_held_back_take_nobodys_buffers(void **state)
{
	(void)state;
	impair = "delay 1s";
	start("127.1.0.1", NULL);
	put_many(2 * POOL, 10, NS_PER_S);
	assert_int_equal(pool_available(pool), POOL);
	assert_int_equal(fake.dropped[DROP_NO_BUFFER], 0);
	/* Some of each wake-up, so that links are drained meanwhile. */
	while (gate_next_expiry(gate) != TIME_NEVER)
		gate_expire(gate, 2 * NS_PER_S);
	assert_int_equal(fake.sent, FAKE_KEPT);
}

static void impairments_change_while_payloads_are_held_back(void **state)
{
	struct impair_config down = { .down = true };

	(void)state;
	impair = "delay 20ms";
	start("127.1.0.1", NULL);
	put_many(1, 10, NS_PER_S);
	assert_int_equal(gate_impair_configure(gate, &down), 0);
	put_many(1, 10, NS_PER_S);
	gate_expire(gate, 2 * NS_PER_S);
	assert_int_equal(fake.sent, 1);
	assert_int_equal(gate_impair_dropped(gate), 1);
}

static void closing_forgets_what_is_held_back(void **state)
{
	(void)state;
	impair = "delay 20ms duplicate 100%";
	start("127.1.0.1", NULL);
	put_many(3, 10, NS_PER_S);
	gate_close(gate);
	gate = NULL;
	assert_int_equal(pool_available(pool), POOL);
}

static void application_that_knows_no_trains_gets_each_payload(void **state)
{
	const u32 sizes[] = { 30, 30, 30, 7, 7, 30, 1, 30, 30 };
	u8 data[100];
	int a;

	(void)state;
	start("::1", NULL);
	a = application("::1");
	put(a, 10, 1);
	gate_readable(gate, 1);
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++)
		deliver(sizes[i], (u8)(i + 1));
	gate_flush(gate);
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(recv(a, data, sizeof(data), 0), sizes[i]);
		assert_int_equal(data[0], i + 1);
		assert_int_equal(data[sizes[i] - 1], i + 1);
	}
	assert_int_equal(get(a), -1);
	close(a);
}

static void train_of_an_application_is_cut_into_payloads(void **state)
{
	u8 data[950];
	struct iovec vector = { data, sizeof(data) };
	union inet_sockaddr to;
	struct msghdr message = { .msg_name = &to, .msg_iov = &vector, .msg_iovlen = 1 };
	union udp_control control;
	int a;

	(void)state;
	start("127.1.0.1", NULL);
	a = application("127.0.0.1");
	for (u32 i = 0; i < sizeof(data); i++)
		data[i] = (u8)(i / 100);
	message.msg_namelen = endpoint_to_sockaddr(&local, &to);
	udp_control_put(&message, &control, 100);
	assert_int_equal(sendmsg(a, &message, 0), sizeof(data));
	put(a, 33, 77);
	gate_readable(gate, 1);
	assert_int_equal(fake.sent, 11);
	for (u32 i = 0; i < 10; i++) {
		assert_int_equal(fake.size[i], i < 9 ? 100 : 50);
		assert_int_equal(fake.first[i], i);
	}
	assert_int_equal(fake.size[10], 33);
	close(a);
}

/* As does an lo whose MTU is small, an old kernel, and whatever else has something against trains. */
static void kernel_that_refuses_trains_is_asked_once(void **state)
{
	int a, on = 1;

	(void)state;
	start("127.1.0.1", NULL);
	a = train_application();
	assert_int_equal(setsockopt(gate->fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	deliver_many(70, 20);
	gate_flush(gate);
	for (u32 i = 0; i < 70; i++)
		assert_train(a, 20, 0);
	on = 0;
	assert_int_equal(setsockopt(gate->fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	deliver_many(2, 20);
	gate_flush(gate);
	assert_train(a, 20, 0);
	assert_int_equal(fake.dropped[DROP_SEND_ERROR], 0);
	close(a);
}

static void no_trains_without_offload(void **state)
{
	int a;

	(void)state;
	start("127.1.0.1", NULL);
	a = train_application();
	deliver_many(2, 20);
	gate_flush(gate);
	assert_train(a, 20, 0);
	assert_train(a, 20, 0);
	close(a);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define WITH_OFFLOAD(name)                                                                         \
	{                                                                                          \
#name "_with_offload", name, setup_offload, teardown, NULL                         \
	}

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
		TEST(delayed_payloads_are_sent_when_they_are_due),
		TEST(lost_payloads_are_counted_as_lost_on_purpose),
		TEST(duplicates_and_spoiled_payloads_are_sent),
		TEST(payloads_that_are_held_back_take_nobodys_buffers),
		TEST(impairments_change_while_payloads_are_held_back),
		TEST(closing_forgets_what_is_held_back),
		WITH_OFFLOAD(last_sender_gets_the_answers),
		WITH_OFFLOAD(works_the_same_with_ipv6),
		WITH_OFFLOAD(empty_datagram_is_counted),
		WITH_OFFLOAD(largest_datagram_passes),
		WITH_OFFLOAD(batches_keep_the_order),
		WITH_OFFLOAD(application_that_went_away_is_counted),
		WITH_OFFLOAD(empty_pool_drops_what_waits),
		WITH_OFFLOAD(payloads_of_one_size_go_out_as_one_train),
		WITH_OFFLOAD(only_the_last_of_a_train_is_shorter),
		WITH_OFFLOAD(train_has_64_payloads_or_65507_bytes_at_most),
		WITH_OFFLOAD(application_that_knows_no_trains_gets_each_payload),
		WITH_OFFLOAD(train_of_an_application_is_cut_into_payloads),
		WITH_OFFLOAD(kernel_that_refuses_trains_is_asked_once),
		TEST(no_trains_without_offload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
