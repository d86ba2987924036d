/* SPDX-License-Identifier: MIT */
/*
 * The TUN interface and its configuration against the kernel, in a network namespace of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns.h"
#include "warp/log.h"
#include "warp/memory.h"
#include "warp/netconf.h"
#include "warp/sockaddr.h"
#include "warp/text.h"
#include "warp/tun.h"

#define POOL 32u

struct world {
	struct pool *pool;
	struct tun *tun;
	struct netconf *conf;
};

static void begin(struct world *w)
{
	netns_needed();
	w->pool = pool_create(&system_allocator, POOL);
	assert_non_null(w->pool);
	assert_int_equal(tun_open(&w->tun, "warp0", w->pool), 0);
	assert_int_equal(netconf_open(&w->conf), 0);
}

static void end(struct world *w)
{
	netconf_close(w->conf);
	tun_close(w->tun);
	assert_int_equal(pool_available(w->pool), POOL);
	pool_destroy(w->pool);
}

static struct prefix prefix_of(const char *text)
{
	struct prefix p;

	assert_int_equal(prefix_parse(text, &p), 0);
	return p;
}

static void set_up(struct world *w)
{
	struct prefix addresses[] = { prefix_of("10.44.0.1/24"), prefix_of("fd44::1/64") };
	struct prefix routes[] = { prefix_of("192.0.2.7/24"), prefix_of("2001:db8::/32"),
				   prefix_of("10.44.0.0/24") };
	struct netconf_link link = {
		.ifindex = tun_index(w->tun),
		.mtu = 1400,
		.addresses = addresses,
		.address_count = 2,
		.routes = routes,
		.route_count = 3,
	};

	assert_int_equal(netconf_apply(w->conf, &link, NULL), 0);
}

static void names_are_checked_before_the_kernel_sees_them(void **state)
{
	(void)state;
	assert_true(tun_name_valid("warp0"));
	assert_true(tun_name_valid("123456789012345"));
	assert_false(tun_name_valid("1234567890123456"));
	assert_false(tun_name_valid(""));
	assert_false(tun_name_valid("."));
	assert_false(tun_name_valid(".."));
	assert_false(tun_name_valid("warp/0"));
	assert_false(tun_name_valid("warp%d"));
	assert_false(tun_name_valid("warp 0"));
	assert_false(tun_name_valid("warp:0"));
	assert_false(tun_name_valid("warp\n"));
}

static void everything_is_as_asked_and_can_be_asked_twice(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_string_equal(tun_name(w.tun), "warp0");
	assert_int_equal(tun_index(w.tun), if_nametoindex("warp0"));
	set_up(&w);
	set_up(&w);
	assert_true(shows("ip link show dev warp0", "mtu 1400"));
	assert_true(shows("ip link show dev warp0", "MULTICAST"));
	assert_true(shows("ip link show up dev warp0", "warp0"));
	assert_true(shows("ip -4 addr show dev warp0", "10.44.0.1/24"));
	assert_true(shows("ip -6 addr show dev warp0", "fd44::1/64"));
	assert_false(shows("ip -6 addr show dev warp0 tentative", "fd44::1"));
	assert_true(shows("ip -4 route", "192.0.2.0/24 dev warp0"));
	assert_true(shows("ip -6 route", "2001:db8::/32 dev warp0"));
	end(&w);
}

static void closing_takes_everything_along(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	set_up(&w);
	end(&w);
	assert_int_equal(if_nametoindex("warp0"), 0);
	assert_false(shows("ip -4 route; ip -6 route; ip addr", "warp0"));
}

static void a_new_configuration_removes_what_it_no_longer_has(void **state)
{
	struct prefix one[] = { prefix_of("10.44.0.1/24") }, two[] = { prefix_of("10.44.0.2/24") };
	struct prefix route[] = { prefix_of("192.0.2.0/24") },
		      both[] = { prefix_of("0.0.0.0/1"), route[0] };
	struct netconf_link before = {
		.addresses = one, .address_count = 1, .routes = both, .route_count = 2
	};
	struct netconf_link after = {
		.addresses = two, .address_count = 1, .routes = route, .route_count = 1, .mtu = 1300
	};
	struct world w;

	(void)state;
	begin(&w);
	before.ifindex = after.ifindex = tun_index(w.tun);
	assert_int_equal(netconf_apply(w.conf, &before, NULL), 0);
	assert_int_equal(netconf_apply(w.conf, &after, &before), 0);
	assert_true(shows("ip addr show dev warp0", "10.44.0.2/24"));
	assert_false(shows("ip addr show dev warp0", "10.44.0.1"));
	assert_true(shows("ip route", "192.0.2.0/24 dev warp0"));
	assert_false(shows("ip route", "0.0.0.0/1"));
	assert_true(shows("ip link show dev warp0", "mtu 1300"));
	assert_int_equal(netconf_remove_route(w.conf, after.ifindex, &both[0]), 0);
	assert_int_equal(netconf_remove_address(w.conf, after.ifindex, &one[0]), 0);
	end(&w);
}

static void a_route_of_another_interface_is_never_taken_over(void **state)
{
	struct prefix any = prefix_of("0.0.0.0/0"), net = prefix_of("198.51.100.0/24");
	struct world w;

	(void)state;
	begin(&w);
	run("ip link add name a type veth peer name a_ && ip link set dev a up");
	run("ip addr add 203.0.113.1/24 dev a && ip route add default via 203.0.113.2");
	run("ip route add 198.51.100.0/24 dev a");
	set_up(&w);
	log_set_level((enum log_level)0);
	assert_int_equal(netconf_add_route(w.conf, tun_index(w.tun), &any), -EEXIST);
	assert_int_equal(netconf_add_route(w.conf, tun_index(w.tun), &net), -EEXIST);
	log_set_level(LEVEL_INFO);
	assert_true(shows("ip route", "default via 203.0.113.2 dev a"));
	run("ip link del dev a");
	assert_int_equal(netconf_add_route(w.conf, tun_index(w.tun), &any), 0);
	assert_int_equal(netconf_add_route(w.conf, tun_index(w.tun), &any), 0);
	assert_true(shows("ip route", "default dev warp0"));
	end(&w);
}

static void wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 2000), 1);
}

/* An application's socket, connected to a host behind the TUN. */
static int application(const char *text)
{
	union inet_sockaddr sa;
	struct endpoint e;
	socklen_t size;
	int fd;

	assert_int_equal(endpoint_parse(text, &e), 0);
	size = endpoint_to_sockaddr(&e, &sa);
	fd = socket(address_af(&e.address), SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &sa.any, size), 0);
	return fd;
}

/* Swaps the ends of an UDP packet; its checksums stay right. */
static void turn_around(struct buf *b, u32 addresses, u32 size, u32 ports)
{
	u8 *p = buf_data(b), keep[16];

	memcpy(keep, p + addresses, size);
	memcpy(p + addresses, p + addresses + size, size);
	memcpy(p + addresses + size, keep, size);
	memcpy(keep, p + ports, 2);
	memcpy(p + ports, p + ports + 2, 2);
	memcpy(p + ports + 2, keep, 2);
}

/* Reads packets until one is UDP (the kernel also says things of its own on a new interface). */
static struct buf *read_udp(struct world *w)
{
	struct buf *b;
	int n;

	for (;;) {
		wait_readable(tun_fd(w->tun));
		n = tun_read(w->tun, &b, 1);
		assert_in_range(n, 0, 1);
		if (n == 0)
			continue;
		assert_int_equal(b->offset, BUF_HEADROOM);
		if ((buf_data(b)[0] == 0x45 && buf_data(b)[9] == IPPROTO_UDP) ||
		    (buf_data(b)[0] >> 4 == 6 && buf_data(b)[6] == IPPROTO_UDP))
			return b;
		buf_put(b);
	}
}

/* A question through the TUN and its answer. false: the kernel dropped one of them. */
static bool ask(struct world *w, int fd, bool ipv6)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct buf *b;
	char text[32];
	int error;

	assert_int_equal(send(fd, "hello", 5, 0), 5);
	b = read_udp(w);
	if (ipv6)
		turn_around(b, 8, 16, 40);
	else
		turn_around(b, 12, 4, 20);
	assert_int_equal(tun_write(w->tun, &(struct iovec){ buf_data(b), b->length }, 1, &error),
			 1);
	assert_int_equal(error, 0);
	buf_put(b);
	if (poll(&p, 1, 100) == 0)
		return false;
	assert_int_equal(recv(fd, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "hello", 5);
	return true;
}

static void packets_pass_in_both_directions(void **state)
{
	static const char *const hosts[] = { "10.44.0.2:7", "[fd44::2]:7", "192.0.2.200:7" };
	struct world w;
	bool answered;

	(void)state;
	begin(&w);
	set_up(&w);
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		int fd = application(hosts[i]);

		/* The kernel accepts packets for a new IPv6 address only a moment later. */
		answered = false;
		for (int tries = 0; tries < 20 && !answered; tries++)
			answered = ask(&w, fd, hosts[i][0] == '[');
		assert_true(answered);
		close(fd);
	}
	end(&w);
}

static void packets_are_read_in_batches_and_an_empty_pool_is_told(void **state)
{
	struct buf *list[POOL + 8];
	struct world w;
	int fd, n;

	(void)state;
	begin(&w);
	set_up(&w);
	while (tun_read(w.tun, list, 1) == 1)
		buf_put(list[0]);
	fd = application("10.44.0.2:7");
	for (u32 i = 0; i < POOL + 4; i++)
		assert_int_equal(send(fd, "hello", 5, 0), 5);
	n = tun_read(w.tun, list, ARRAY_SIZE(list));
	assert_int_equal(n, POOL);
	assert_int_equal(tun_read(w.tun, list + n, 8), -ENOBUFS);
	for (int i = 0; i < n; i++)
		buf_put(list[i]);
	n = tun_read(w.tun, list, ARRAY_SIZE(list));
	assert_in_range(n, 4, POOL);
	for (int i = 0; i < n; i++)
		buf_put(list[i]);
	assert_int_equal(tun_read(w.tun, list, ARRAY_SIZE(list)), 0);
	close(fd);
	end(&w);
}

static void what_is_no_ip_packet_is_refused_and_the_next_goes_on(void **state)
{
	u8 nonsense[40] = { 0x10 }, packet[20] = { 0x45, 0, 0, 20, [8] = 1, [9] = 253 };
	struct iovec list[] = { { nonsense, sizeof(nonsense) }, { packet, sizeof(packet) } };
	struct world w;
	int error;

	(void)state;
	begin(&w);
	set_up(&w);
	assert_int_equal(tun_write(w.tun, list, 2, &error), 1);
	assert_int_equal(error, EINVAL);
	end(&w);
}

static void a_deleted_interface_is_told_by_reading(void **state)
{
	struct world w;
	struct buf *b;

	(void)state;
	begin(&w);
	run("ip link del dev warp0");
	assert_int_equal(tun_read(w.tun, &b, 1), -EBADFD);
	end(&w);
}

static void names_in_use_are_refused(void **state)
{
	struct tun *second = NULL;
	struct world w;

	(void)state;
	begin(&w);
	log_set_level((enum log_level)0);
	assert_int_equal(tun_open(&second, "warp0", w.pool), -EBUSY);
	assert_int_equal(tun_open(&second, "lo", w.pool), -EINVAL);
	assert_int_equal(tun_open(&second, "a/b", w.pool), -EINVAL);
	log_set_level(LEVEL_INFO);
	assert_null(second);
	end(&w);
}

/* In a child: this process stays root. */
static int as_nobody(int (*action)(struct world *), struct world *w)
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		log_set_level((enum log_level)0);
		_exit(setuid(65534) ? 1 : -action(w));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static int try_open(struct world *w)
{
	struct tun *t;

	return tun_open(&t, "warp1", w->pool);
}

static int try_configure(struct world *w)
{
	return netconf_set_up(w->conf, tun_index(w->tun), true);
}

static void without_privileges_it_is_eperm(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(as_nobody(try_open, &w), -EPERM);
	end(&w);
	begin(&w);
	netconf_close(w.conf);
	w.conf = NULL;
	assert_int_equal(netconf_open(&w.conf), 0);
	assert_int_equal(as_nobody(try_configure, &w), -EPERM);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_checked_before_the_kernel_sees_them),
		cmocka_unit_test(everything_is_as_asked_and_can_be_asked_twice),
		cmocka_unit_test(closing_takes_everything_along),
		cmocka_unit_test(a_new_configuration_removes_what_it_no_longer_has),
		cmocka_unit_test(a_route_of_another_interface_is_never_taken_over),
		cmocka_unit_test(packets_pass_in_both_directions),
		cmocka_unit_test(packets_are_read_in_batches_and_an_empty_pool_is_told),
		cmocka_unit_test(what_is_no_ip_packet_is_refused_and_the_next_goes_on),
		cmocka_unit_test(a_deleted_interface_is_told_by_reading),
		cmocka_unit_test(names_in_use_are_refused),
		cmocka_unit_test(without_privileges_it_is_eperm),
	};

	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
