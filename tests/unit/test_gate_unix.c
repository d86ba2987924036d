/* SPDX-License-Identifier: MIT */
/*
 * test_gate_unix.c - Unix gates: what an application sees of back-pressure, of many readers, of a
 * slow one, and of names in the file system that are not ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "unit/fake_engine.h"
#include "warp/gate.h"

#define POOL 40u

static struct pool *pool;
static struct gate *gate;
static char directory[64], gate_path[100];

static struct conf_gate conf_of(enum unix_kind type)
{
	struct conf_gate conf = { .kind = GATE_UNIX, .type = type, .mode = 0640 };

	snprintf(conf.path, sizeof(conf.path), "%s", gate_path);
	return conf;
}

static int open_gate(enum unix_kind type, struct conf_error *ret_error)
{
	struct gate_options options = { .pool = pool };
	struct conf_gate conf = conf_of(type);

	return gate_open(&gate, &options, &conf, ret_error);
}

static void start(enum unix_kind type)
{
	struct conf_error error;

	assert_int_equal(open_gate(type, &error), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	snprintf(directory, sizeof(directory), "/tmp/warp-gate.XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(gate_path, sizeof(gate_path), "%s/g.sock", directory);
	pool = pool_create(&fake_allocator, POOL);
	gate = NULL;
	return pool ? 0 : -1;
}

/* Every buffer is back, and the name is gone. */
static int teardown(void **state)
{
	bool whole;

	(void)state;
	gate_close(gate);
	whole = pool_available(pool) == POOL;
	pool_destroy(pool);
	unlink(gate_path);
	return rmdir(directory) == 0 && whole ? 0 : -1;
}

/* What the loop does after an event, as long as nothing is pending. */
static void turn(void)
{
	gate_readable(gate, 1);
	while (gate_settle(gate, 1) && !fake.pending)
		;
}

/* All that is pending leaves; and so on, until nothing is left to do. */
static void drain(void)
{
	do {
		fake.pending = 0;
	} while (gate_settle(gate, 1));
	fake.pending = 0;
}

static struct sockaddr_un name_of(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	return name;
}

static int client(int type)
{
	struct sockaddr_un name = name_of(gate_path);
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	turn();
	return fd;
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

static int queued(int fd)
{
	int bytes = -1;

	assert_int_equal(ioctl(fd, SIOCOUTQ, &bytes), 0);
	return bytes;
}

static void payload_is_consumed_only_when_it_has_left(void **state)
{
	int fd;

	(void)state;
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	put(fd, "a");
	put(fd, "b");
	turn();
	assert_int_equal(fake.sent, 1);
	turn();
	assert_false(gate_settle(gate, 1));
	assert_int_equal(fake.sent, 1); /* and no more, however often it is asked */
	assert_true(queued(fd) > 0);
	fake.pending = 0;
	assert_true(gate_settle(gate, 1));
	assert_int_equal(fake.sent, 2);
	assert_int_equal(fake.first[1], 'b');
	assert_true(queued(fd) > 0);
	drain();
	assert_int_equal(queued(fd), 0);
	put(fd, "c");
	turn();
	assert_int_equal(fake.sent, 3);
	close(fd);
	drain();
}

static u64 waits_until;

static u64 waits(void *ctx, u16 tunnel)
{
	(void)tunnel;
	++*(u32 *)ctx;
	return waits_until;
}

/* The engine has nothing of it any more, but it stands in the kernel. */
static void payload_that_stands_in_the_kernel_is_not_consumed(void **state)
{
	u32 asked = 0;
	int fd;

	(void)state;
	start(UNIX_SEQPACKET);
	gate->waits = waits;
	gate->ctx = &asked;
	fd = client(SOCK_SEQPACKET);
	assert_int_equal(asked, 0);
	assert_true(gate_next_expiry(gate) == TIME_NEVER);
	put(fd, "a");
	put(fd, "b");
	turn();
	assert_int_equal(asked, 0); /* the engine still has it */
	fake.pending = 0;
	waits_until = 5;
	assert_false(gate_settle(gate, 1));
	assert_int_equal(asked, 1);
	assert_int_equal(gate_next_expiry(gate), 5);
	assert_int_equal(fake.sent, 1);
	waits_until = 0;
	assert_true(gate_settle(gate, 5));
	assert_int_equal(fake.sent, 2);
	assert_true(gate_next_expiry(gate) == TIME_NEVER);
	drain();
	assert_int_equal(queued(fd), 0);
	close(fd);
	drain();
}

/* A blocked sender must not make the loop spin. */
static void waiting_sender_is_not_polled(void **state)
{
	struct timeval no_time = { 0 };
	fd_set set;
	int fd;

	(void)state;
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	put(fd, "a");
	turn();
	assert_false(gate_settle(gate, 1));
	close(fd); /* not even for its hang-up */
	FD_ZERO(&set);
	FD_SET(gate->fd, &set);
	assert_int_equal(select(gate->fd + 1, &set, NULL, NULL, &no_time), 0);
	drain();
}

static void refused_payload_does_not_block(void **state)
{
	int fd;

	(void)state;
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	fake.refuse = DROP_NO_SESSION;
	put(fd, "a");
	put(fd, "b");
	turn();
	assert_int_equal(fake.refused, 2);
	assert_int_equal(queued(fd), 0);
	close(fd);
	turn();
}

static void full_queue_makes_the_sender_wait(void **state)
{
	int fd;

	(void)state;
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	fake.refuse = DROP_QUEUE_FULL;
	put(fd, "a");
	turn();
	assert_true(queued(fd) > 0);
	gate_settle(gate, 1);
	fake.refuse = DROP_NO_BUFFER;
	gate_settle(gate, 1);
	assert_true(queued(fd) > 0);
	fake.refuse = DROP_NONE;
	drain();
	assert_int_equal(fake.sent, 1);
	assert_true(fake.put_off >= 3);
	assert_int_equal(fake.refused, 0); /* nothing is lost, nothing is counted */
	assert_int_equal(queued(fd), 0);
	close(fd);
	turn();
}

static void no_sender_starves_another(void **state)
{
	int a, b, i;

	(void)state;
	start(UNIX_SEQPACKET);
	a = client(SOCK_SEQPACKET);
	b = client(SOCK_SEQPACKET);
	for (i = 0; i < 10; i++) {
		put(a, "a");
		put(b, "b");
	}
	turn();
	fake.pending = 0;
	gate_settle(gate, 1);
	fake.pending = 0;
	gate_settle(gate, 1);
	assert_int_equal(fake.sent, 6);
	assert_int_equal(fake.first[4] + fake.first[5], 'a' + 'b');
	drain();
	assert_int_equal(fake.sent, 20);
	close(a);
	close(b);
	turn();
}

static void empty_message_is_counted_and_is_not_the_end(void **state)
{
	int fd;

	(void)state;
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	assert_int_equal(send(fd, "", 0, 0), 0);
	put(fd, "a");
	close(fd); /* what it has sent still counts */
	turn();
	drain();
	assert_int_equal(fake.dropped[DROP_MALFORMED], 1);
	assert_int_equal(fake.sent, 1);
	turn();
}

static void largest_payload_passes_and_larger_is_counted(void **state)
{
	static u8 data[BUF_PAYLOAD_MAX + 1];
	int fd;

	(void)state;
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	assert_int_equal(send(fd, data, BUF_PAYLOAD_MAX, 0), BUF_PAYLOAD_MAX);
	turn();
	drain();
	assert_int_equal(fake.size[0], BUF_PAYLOAD_MAX);
	assert_int_equal(send(fd, data, BUF_PAYLOAD_MAX + 1, 0), BUF_PAYLOAD_MAX + 1);
	turn();
	drain();
	assert_int_equal(fake.dropped[DROP_TOO_LARGE], 1);
	assert_int_equal(fake.sent, 1);
	close(fd);
	turn();
}

static void delivery_goes_to_every_client(void **state)
{
	struct delivery d;
	int a, b;
	u8 byte;

	(void)state;
	start(UNIX_SEQPACKET);
	d = fake_delivery(pool, 3, 7);
	gate_deliver(gate, &d);
	gate_flush(gate);
	assert_int_equal(fake.dropped[DROP_GATE_CLOSED], 1);
	a = client(SOCK_SEQPACKET);
	b = client(SOCK_SEQPACKET);
	d = fake_delivery(pool, 3, 7);
	gate_deliver(gate, &d);
	gate_flush(gate);
	assert_int_equal(recv(a, &byte, 1, MSG_TRUNC), 3);
	assert_int_equal(recv(b, &byte, 1, MSG_TRUNC), 3);
	assert_int_equal(byte, 7);
	assert_int_equal(fake.dropped[DROP_GATE_CLOSED], 1);
	close(a);
	close(b);
	turn();
	turn();
}

static void half_closed_client_still_reads(void **state)
{
	struct delivery d;
	int fd;
	u8 byte;

	(void)state;
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	put(fd, "a");
	shutdown(fd, SHUT_WR);
	turn();
	drain();
	turn();
	assert_int_equal(fake.sent, 1);
	d = fake_delivery(pool, 1, 7);
	gate_deliver(gate, &d);
	gate_flush(gate);
	assert_int_equal(recv(fd, &byte, 1, 0), 1);
	close(fd);
	turn();
	d = fake_delivery(pool, 1, 7);
	gate_deliver(gate, &d);
	gate_flush(gate);
	assert_int_equal(fake.dropped[DROP_GATE_CLOSED], 1);
}

static void slow_reader_loses_and_delays_nobody(void **state)
{
	struct delivery d;
	int fd, i;

	(void)state;
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	for (i = 0; i < 4000 && !fake.dropped[DROP_GATE_FULL]; i++) {
		d = fake_delivery(pool, 60000, 7);
		gate_deliver(gate, &d);
		gate_flush(gate);
	}
	assert_int_equal(fake.dropped[DROP_GATE_FULL], 1);
	close(fd);
	turn();
}

static void one_client_too_many_is_turned_away(void **state)
{
	int fd[17], i;
	u8 byte;

	(void)state;
	start(UNIX_SEQPACKET);
	for (i = 0; i < 17; i++)
		fd[i] = client(SOCK_SEQPACKET);
	assert_int_equal(recv(fd[16], &byte, 1, 0), 0);
	assert_int_equal(recv(fd[15], &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	for (i = 0; i < 17; i++)
		close(fd[i]);
	turn();
	turn();
	fd[0] = client(SOCK_SEQPACKET);
	put(fd[0], "a");
	turn();
	assert_int_equal(fake.sent, 1);
	close(fd[0]);
	drain();
}

static void dgram_answers_the_last_sender_with_a_name(void **state)
{
	struct sockaddr_un name = name_of(gate_path), mine;
	int named = socket(AF_UNIX, SOCK_DGRAM, 0), unnamed = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct delivery d;
	u8 byte;

	(void)state;
	start(UNIX_DGRAM);
	mine = name_of(gate_path);
	mine.sun_path[strlen(mine.sun_path) - 1] = '2';
	assert_int_equal(bind(named, (struct sockaddr *)&mine, sizeof(mine)), 0);
	assert_int_equal(sendto(named, "a", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	turn();
	drain();
	assert_int_equal(sendto(unnamed, "b", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	assert_int_equal(sendto(unnamed, "", 0, 0, (struct sockaddr *)&name, sizeof(name)), 0);
	turn();
	drain();
	assert_int_equal(fake.sent, 2);
	assert_int_equal(fake.dropped[DROP_MALFORMED], 1);
	d = fake_delivery(pool, 5, 7);
	gate_deliver(gate, &d);
	gate_flush(gate);
	assert_int_equal(recv(named, &byte, 1, MSG_TRUNC), 5);
	close(named);
	d = fake_delivery(pool, 5, 7);
	gate_deliver(gate, &d);
	gate_flush(gate);
	assert_int_equal(fake.dropped[DROP_GATE_CLOSED], 1);
	unlink(mine.sun_path);
	close(unnamed);
}

/* Of 108 characters: no 0 is behind it (unix(7)). */
static void dgram_answers_a_sender_with_the_longest_name(void **state)
{
	struct sockaddr_un name = name_of(gate_path), mine;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	const size_t length = strlen(gate_path);
	char path[sizeof(mine.sun_path) + 1];
	struct delivery d;
	u8 byte;

	(void)state;
	start(UNIX_DGRAM);
	mine = name_of(gate_path);
	memset(mine.sun_path + length, 'x', sizeof(mine.sun_path) - length);
	assert_int_equal(bind(fd, (struct sockaddr *)&mine, sizeof(mine)), 0);
	assert_int_equal(sendto(fd, "a", 1, 0, (struct sockaddr *)&name, sizeof(name)), 1);
	turn();
	drain();
	assert_int_equal(fake.sent, 1);
	d = fake_delivery(pool, 5, 7);
	gate_deliver(gate, &d);
	gate_flush(gate);
	assert_int_equal(recv(fd, &byte, 1, MSG_TRUNC | MSG_DONTWAIT), 5);
	close(fd);
	memcpy(path, mine.sun_path, sizeof(mine.sun_path));
	path[sizeof(mine.sun_path)] = 0;
	unlink(path);
}

static void dgram_payload_is_consumed_only_when_it_has_left(void **state)
{
	struct sockaddr_un name = name_of(gate_path);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	(void)state;
	start(UNIX_DGRAM);
	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	put(fd, "a");
	put(fd, "b");
	turn();
	assert_false(gate_settle(gate, 1));
	assert_int_equal(fake.sent, 1);
	assert_true(queued(fd) > 0);
	drain();
	assert_int_equal(fake.sent, 2);
	assert_int_equal(queued(fd), 0);
	close(fd);
}

static void mode_is_as_configured_and_the_name_goes_with_the_gate(void **state)
{
	struct stat st;

	(void)state;
	start(UNIX_SEQPACKET);
	assert_int_equal(stat(gate_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	gate_close(gate);
	gate = NULL;
	assert_int_equal(stat(gate_path, &st), -1);
}

static void what_is_not_a_socket_stays(void **state)
{
	struct conf_error error;
	int fd = open(gate_path, O_CREAT | O_WRONLY, 0600);

	(void)state;
	close(fd);
	assert_int_equal(open_gate(UNIX_SEQPACKET, &error), -EEXIST);
	assert_non_null(strstr(error.text, gate_path));
	assert_int_equal(access(gate_path, F_OK), 0);
}

static void socket_in_use_is_not_taken(void **state)
{
	struct gate *first;
	struct conf_error error;
	int fd;

	(void)state;
	start(UNIX_SEQPACKET);
	first = gate;
	assert_int_equal(open_gate(UNIX_DGRAM, &error), -EADDRINUSE);
	assert_non_null(strstr(error.text, "in use"));
	gate = first;
	turn();
	fd = client(SOCK_SEQPACKET);
	close(fd);
	turn();
}

static void stale_socket_is_replaced_and_a_successor_s_name_stays(void **state)
{
	struct sockaddr_un name = name_of(gate_path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	close(fd);
	start(UNIX_SEQPACKET);
	fd = client(SOCK_SEQPACKET);
	close(fd);
	turn();
	unlink(gate_path);
	fd = open(gate_path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	gate_close(gate);
	gate = NULL;
	assert_int_equal(access(gate_path, F_OK), 0);
}

static void unknown_group_is_a_clear_error(void **state)
{
	struct gate_options options = { .pool = pool };
	struct conf_gate conf = conf_of(UNIX_SEQPACKET);
	struct conf_error error;

	(void)state;
	snprintf(conf.group, sizeof(conf.group), "no-such-group");
	assert_true(gate_open(&gate, &options, &conf, &error) < 0);
	assert_non_null(strstr(error.text, "group"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(payload_is_consumed_only_when_it_has_left),
		TEST(payload_that_stands_in_the_kernel_is_not_consumed),
		TEST(waiting_sender_is_not_polled),
		TEST(refused_payload_does_not_block),
		TEST(full_queue_makes_the_sender_wait),
		TEST(no_sender_starves_another),
		TEST(empty_message_is_counted_and_is_not_the_end),
		TEST(largest_payload_passes_and_larger_is_counted),
		TEST(delivery_goes_to_every_client),
		TEST(half_closed_client_still_reads),
		TEST(slow_reader_loses_and_delays_nobody),
		TEST(one_client_too_many_is_turned_away),
		TEST(dgram_answers_the_last_sender_with_a_name),
		TEST(dgram_answers_a_sender_with_the_longest_name),
		TEST(dgram_payload_is_consumed_only_when_it_has_left),
		TEST(mode_is_as_configured_and_the_name_goes_with_the_gate),
		TEST(what_is_not_a_socket_stays),
		TEST(socket_in_use_is_not_taken),
		TEST(stale_socket_is_replaced_and_a_successor_s_name_stays),
		TEST(unknown_group_is_a_clear_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
