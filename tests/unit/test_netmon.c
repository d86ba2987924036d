/* SPDX-License-Identifier: MIT */
/*
 * netmon against the kernel, in a network namespace of its own: pairs of veth interfaces ("a" and
 * its other end "a_") are made, changed and deleted through ip(8).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns.h"
#include "warp/memory.h"
#include "warp/netmon.h"
#include "warp/text.h"

#define SEEN_MAX 256u
#define WAIT_NS (3 * NS_PER_S)

/* What the callbacks told, kept as a caller would. */
struct world {
	struct netmon *m;
	struct netmon_address seen[SEEN_MAX];
	size_t count;
	u32 added, removed, changed, routed, routed_index;
};

static struct netmon_address *find(struct world *w, const char *name, const char *address)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->seen[i].ifname, name) == 0 &&
		    strcmp(address_text(&w->seen[i].address), address) == 0)
			return &w->seen[i];
	return NULL;
}

static struct netmon_address *find_same(struct world *w, const struct netmon_address *a)
{
	struct netmon_address *f = find(w, a->ifname, address_text(&a->address));

	return f && f->ifindex == a->ifindex ? f : NULL;
}

static void on_added(void *ctx, const struct netmon_address *a)
{
	struct world *w = ctx;

	assert_null(find(w, a->ifname, address_text(&a->address)));
	assert_true(w->count < SEEN_MAX);
	w->seen[w->count++] = *a;
	w->added++;
}

static void on_removed(void *ctx, const struct netmon_address *a)
{
	struct world *w = ctx;
	struct netmon_address *f = find_same(w, a);

	assert_non_null(f);
	*f = w->seen[--w->count];
	w->removed++;
}

static void on_changed(void *ctx, const struct netmon_address *a)
{
	struct world *w = ctx;
	struct netmon_address *f = find_same(w, a);

	assert_non_null(f);
	assert_int_not_equal(f->mtu, a->mtu);
	*f = *a;
	w->changed++;
}

static void on_routed(void *ctx, u32 ifindex)
{
	struct world *w = ctx;

	w->routed++;
	w->routed_index = ifindex;
}

static void open_world(struct world *w)
{
	static const struct netmon_ops ops = { on_added, on_removed, on_changed, on_routed };
	static char *inclusion[] = { (char *)".*" }, *exclusion[] = { (char *)"docker.*" };
	static const char *own[] = { "warp0" };
	struct netmon_options o = {
		.inclusion = inclusion,
		.inclusion_count = 1,
		.exclusion = exclusion,
		.exclusion_count = 1,
		.own = own,
		.own_count = 1,
	};

	memset(w, 0, sizeof(*w));
	assert_int_equal(netmon_create(&w->m, &o, &ops, w), 0);
	assert_int_equal(netmon_rescan(w->m), 0);
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct world));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct world *w = *state;

	netmon_destroy(w->m);
	free(w);
	return 0;
}

static struct world *begin(void **state)
{
	netns_needed();
	open_world(*state);
	return *state;
}

static void make_pair(const char *name)
{
	run("ip link add name %s type veth peer name %s_", name, name);
	run("ip link set dev %s up && ip link set dev %s_ up", name, name);
}

static void delete_pair(const char *name)
{
	run("ip link del dev %s", name);
}

static void read_now(struct world *w)
{
	assert_int_equal(netmon_read(w->m), 0);
}

/* Follows notifications until the address is told (or no more), and returns the ns that took. */
static u64 until(struct world *w, const char *name, const char *address, bool there)
{
	struct pollfd p = { .fd = netmon_fd(w->m), .events = POLLIN };
	u64 start = clock_now();

	read_now(w);
	while ((find(w, name, address) != NULL) != there) {
		if (clock_now() - start > WAIT_NS)
			fail_msg("%s %s is %s told", name, address, there ? "not" : "still");
		poll(&p, 1, 50);
		read_now(w);
	}
	return clock_now() - start;
}

static bool equals_fresh(struct world *w)
{
	struct world fresh;
	bool same;

	open_world(&fresh);
	same = fresh.count == w->count;
	for (size_t i = 0; i < fresh.count && same; i++) {
		struct netmon_address *f = find_same(w, &fresh.seen[i]);

		same = f && f->mtu == fresh.seen[i].mtu;
	}
	netmon_destroy(fresh.m);
	return same;
}

/* What carrier changes do comes a little later: waits for it. */
static void until_equal_to_fresh(struct world *w)
{
	struct pollfd p = { .fd = netmon_fd(w->m), .events = POLLIN };
	u64 start = clock_now();

	read_now(w);
	while (!equals_fresh(w)) {
		assert_true(clock_now() - start < WAIT_NS);
		assert_int_equal(poll(&p, 1, (int)(WAIT_NS / NS_PER_MS)), 1);
		read_now(w);
	}
}

static void addresses_that_are_there_already_are_told_by_the_first_scan(void **state)
{
	struct world *w;

	netns_needed();
	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a && ip addr add 2001:db8::1/64 dev a nodad");
	w = begin(state);
	assert_non_null(find(w, "a", "192.0.2.1"));
	assert_non_null(find(w, "a", "2001:db8::1"));
	assert_int_equal(find(w, "a", "192.0.2.1")->ifindex, if_nametoindex("a"));
	assert_int_equal(w->count, 2);
	delete_pair("a");
	until(w, "a", "192.0.2.1", false);
	until(w, "a", "2001:db8::1", false);
}

static void addresses_come_and_go_within_100_ms(void **state)
{
	struct world *w = begin(state);

	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	assert_true(until(w, "a", "192.0.2.1", true) < 100 * NS_PER_MS);
	run("ip addr add 2001:db8::1/64 dev a nodad");
	assert_true(until(w, "a", "2001:db8::1", true) < 100 * NS_PER_MS);
	run("ip addr del 192.0.2.1/24 dev a");
	assert_true(until(w, "a", "192.0.2.1", false) < 100 * NS_PER_MS);
	run("ip addr add 198.51.100.1/24 dev a");
	assert_true(until(w, "a", "198.51.100.1", true) < 100 * NS_PER_MS);
	delete_pair("a");
	assert_true(until(w, "a", "2001:db8::1", false) < 100 * NS_PER_MS);
	assert_int_equal(w->count, 0);
}

static void renaming_and_renumbering_are_seen(void **state)
{
	struct world *w = begin(state);

	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	until(w, "a", "192.0.2.1", true);
	run("ip link set dev a name b");
	until(w, "b", "192.0.2.1", true);
	assert_null(find(w, "a", "192.0.2.1"));
	run("ip addr del 192.0.2.1/24 dev b && ip addr add 192.0.2.9/24 dev b");
	until(w, "b", "192.0.2.9", true);
	assert_int_equal(w->count, 1);
	delete_pair("b");
}

static void down_up_and_carrier_are_seen(void **state)
{
	struct world *w = begin(state);

	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	until(w, "a", "192.0.2.1", true);
	run("ip link set dev a down");
	until(w, "a", "192.0.2.1", false);
	run("ip link set dev a up");
	until(w, "a", "192.0.2.1", true);
	run("ip link set dev a_ down");
	until(w, "a", "192.0.2.1", false);
	run("ip link set dev a_ up");
	until(w, "a", "192.0.2.1", true);
	run("ip link set dev a mtu 1400");
	read_now(w);
	assert_int_equal(w->changed, 1);
	assert_int_equal(find(w, "a", "192.0.2.1")->mtu, 1400);
	delete_pair("a");
}

static void made_again_between_two_reads_is_removed_and_added(void **state)
{
	struct world *w = begin(state);
	u32 index;

	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	until(w, "a", "192.0.2.1", true);
	index = find(w, "a", "192.0.2.1")->ifindex;
	delete_pair("a");
	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	until_equal_to_fresh(w);
	assert_int_equal(w->removed, 1);
	assert_int_equal(w->added, 2);
	assert_int_not_equal(find(w, "a", "192.0.2.1")->ifindex, index);
	delete_pair("a");
}

static void an_interface_that_leaves_the_namespace_is_gone(void **state)
{
	struct world *w = begin(state);
	int ready[2];
	char byte;
	pid_t child;

	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	until(w, "a", "192.0.2.1", true);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNET) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	run("ip link set dev a netns %d", (int)child);
	until(w, "a", "192.0.2.1", false);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ready[0]);
	close(ready[1]);
}

static void excluded_and_own_interfaces_are_never_told(void **state)
{
	struct world *w = begin(state);

	make_pair("docker0");
	make_pair("warp0");
	run("ip addr add 192.0.2.1/24 dev docker0 && ip addr add 192.0.2.2/24 dev warp0");
	make_pair("a");
	run("ip addr add 192.0.2.3/24 dev a && ip addr add 169.254.1.1/16 dev a");
	until(w, "a", "192.0.2.3", true);
	assert_int_equal(w->count, 1);
	assert_int_equal(w->added, 1);
	delete_pair("a");
	delete_pair("docker0");
	delete_pair("warp0");
}

static void a_port_that_leaves_its_bridge_is_still_an_interface(void **state)
{
	struct world *w = begin(state);

	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	until(w, "a", "192.0.2.1", true);
	if (system("ip link add name br type bridge 2>/dev/null"))
		skip();
	run("ip link set dev a master br && ip link set dev a nomaster && ip link del dev br");
	until_equal_to_fresh(w);
	assert_int_equal(w->removed, 0);
	delete_pair("a");
}

static void an_ipv6_address_is_told_once_it_is_no_longer_tentative(void **state)
{
	struct world *w = begin(state);

	run("sysctl -qw net.ipv6.conf.default.accept_dad=1");
	make_pair("a");
	run("ip addr add 2001:db8::1/64 dev a");
	read_now(w);
	assert_null(find(w, "a", "2001:db8::1"));
	until(w, "a", "2001:db8::1", true);
	run("ip addr change 2001:db8::1/64 dev a preferred_lft 0");
	until(w, "a", "2001:db8::1", false);
	delete_pair("a");
	run("sysctl -qw net.ipv6.conf.default.accept_dad=0");
}

static void default_routes_are_told_and_no_others(void **state)
{
	struct world *w = begin(state);

	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	run("ip route add 198.51.100.0/24 via 192.0.2.2 dev a");
	until(w, "a", "192.0.2.1", true);
	assert_int_equal(w->routed, 0);
	run("ip route add default via 192.0.2.2 dev a");
	read_now(w);
	assert_int_equal(w->routed, 1);
	assert_int_equal(w->routed_index, if_nametoindex("a"));
	delete_pair("a");
}

static void lost_notifications_are_made_up_for(void **state)
{
	struct world *w = begin(state);
	int size = 1;

	make_pair("a");
	run("ip addr add 192.0.2.1/32 dev a");
	until(w, "a", "192.0.2.1", true);
	assert_int_equal(setsockopt(netmon_fd(w->m), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)),
			 0);
	run("for i in $(seq 2 60); do echo addr add 192.0.2.$i/32 dev a; done | ip -batch -");
	run("ip addr del 192.0.2.1/32 dev a");
	read_now(w);
	assert_int_equal(w->count, 59);
	assert_true(equals_fresh(w));
	/* And goes on following. */
	run("ip addr del 192.0.2.60/32 dev a");
	until(w, "a", "192.0.2.60", false);
	delete_pair("a");
}

static void random_event(unsigned *seed)
{
	char link = (char)('a' + rand_r(seed) % 4);
	unsigned n = (unsigned)rand_r(seed) % 3, what = (unsigned)rand_r(seed) % 12;
	char command[256], quiet[300];

	switch (what) {
	case 0:
		snprintf(command, sizeof(command), "ip link del dev %c", link);
		break;
	case 1:
	case 2:
		snprintf(command, sizeof(command),
			 "ip link add name %c type veth peer name %c_ && ip link set dev %c up && "
			 "ip link set dev %c_ up",
			 link, link, link, link);
		break;
	case 3:
		snprintf(command, sizeof(command), "ip link set dev %c%s %s", link,
			 n == 0 ? "_" : "", n == 1 ? "up" : "down");
		break;
	case 4:
		snprintf(command, sizeof(command), "ip link set dev %c%s up", link,
			 n == 0 ? "_" : "");
		break;
	case 5:
		snprintf(command, sizeof(command),
			 "ip link set dev %c name z && ip link set dev z name %c", link,
			 (char)('a' + rand_r(seed) % 4));
		break;
	case 6:
		snprintf(command, sizeof(command), "ip link set dev %c mtu %u", link, 1400 + n);
		break;
	case 7:
		snprintf(command, sizeof(command), "ip addr flush dev %c", link);
		break;
	case 8:
	case 9:
		snprintf(command, sizeof(command),
			 "ip addr replace 2001:db8:%c::%u/64 dev %c nodad", link, n + 1, link);
		break;
	default:
		snprintf(command, sizeof(command), "ip addr replace 192.0.%d.%u/24 dev %c",
			 link - 'a', n + 1, link);
	}
	snprintf(quiet, sizeof(quiet), "{ %s; } 2>/dev/null", command);
	if (system(quiet) < 0)
		fail();
}

static void two_hundred_random_events_end_where_a_fresh_scan_does(void **state)
{
	struct world *w = begin(state);
	unsigned seed = (unsigned)clock_now(), first = seed;

	print_message("seed %u\n", first);
	/* Rarely so many leave next to nothing behind that could be followed. */
	for (int i = 0; i < 200 || (w->added <= 5 && i < 2000); i++) {
		random_event(&seed);
		if (rand_r(&seed) % 3 == 0)
			read_now(w);
	}
	until_equal_to_fresh(w);
	assert_true(w->added > 5);
	run("for i in a b c d z; do ip link del dev $i 2>/dev/null; done; true");
	until_equal_to_fresh(w);
	assert_int_equal(w->count, 0);
}

static void a_scan_heals_what_no_notification_told(void **state)
{
	struct world *w = begin(state);
	char drained[65536];

	make_pair("a");
	run("ip addr add 192.0.2.1/24 dev a");
	while (recv(netmon_fd(w->m), drained, sizeof(drained), MSG_DONTWAIT) > 0)
		;
	read_now(w);
	assert_int_equal(w->count, 0);
	assert_int_equal(netmon_rescan(w->m), 0);
	assert_int_equal(w->count, 1);
	assert_int_equal(netmon_rescan(w->m), 0);
	assert_int_equal(w->added, 1);
	delete_pair("a");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(addresses_that_are_there_already_are_told_by_the_first_scan),
		TEST(addresses_come_and_go_within_100_ms),
		TEST(renaming_and_renumbering_are_seen),
		TEST(down_up_and_carrier_are_seen),
		TEST(made_again_between_two_reads_is_removed_and_added),
		TEST(an_interface_that_leaves_the_namespace_is_gone),
		TEST(excluded_and_own_interfaces_are_never_told),
		TEST(a_port_that_leaves_its_bridge_is_still_an_interface),
		TEST(an_ipv6_address_is_told_once_it_is_no_longer_tentative),
		TEST(default_routes_are_told_and_no_others),
		TEST(lost_notifications_are_made_up_for),
		TEST(two_hundred_random_events_end_where_a_fresh_scan_does),
		TEST(a_scan_heals_what_no_notification_told),
	};

	if (netns_enter())
		run("sysctl -qw net.ipv6.conf.default.accept_dad=0 "
		    "net.ipv6.conf.default.keep_addr_on_down=0");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
