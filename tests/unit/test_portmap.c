/* SPDX-License-Identifier: MIT */
/*
 * portmap against a router that does as it is told. Two network namespaces in one process: ours, with
 * the interface in0 and a default route over it, and the router's, in which only its sockets are.
 * Time is virtual, so nothing waits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/portmap_pcp.h"
#include "netns.h"
#include "warp/memory.h"
#include "warp/portmap.h"
#include "warp/text.h"

#define US "11.9.0.2"
#define ROUTER "11.9.0.1"
#define OUTER "203.0.113.9"
#define PORT 51900
#define LIFETIME 3600u
#define START (1000 * NS_PER_S)

struct world {
	struct portmap *p;
	u64 now;
	u32 told;
	struct portmap_mapping mapping; /* as last told */
	struct sockaddr_in asker;       /* of the last request */
	u8 request[PCP_MAX_SIZE];
};

static int ours = -1, routers = -1; /* namespaces */
static int router = -1;             /* its socket on port 5351 */

/* --- the two namespaces ------------------------------------------------------------------- */

static void in(int namespace)
{
	assert_int_equal(setns(namespace, CLONE_NEWNET), 0);
}

static void router_listens(bool listens)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(PCP_PORT) };

	if (router >= 0)
		close(router);
	router = -1;
	if (!listens)
		return;
	in(routers);
	router = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	in(ours);
	inet_pton(AF_INET, ROUTER, &at.sin_addr);
	assert_int_equal(bind(router, (const struct sockaddr *)&at, sizeof(at)), 0);
}

static int make_namespaces(void **state)
{
	(void)state;
	if (!netns_enter())
		return 0;
	ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (ours < 0 || unshare(CLONE_NEWNET))
		return -1;
	routers = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	in(ours);
	run("ip link add name in0 type veth peer name b netns /proc/%d/fd/%d", getpid(), routers);
	run("ip addr add " US "/24 dev in0 && ip link set dev in0 up");
	in(routers);
	run("ip addr add " ROUTER "/24 dev b && ip link set lo up && ip link set dev b up");
	in(ours);
	run("ip route add default via " ROUTER " dev in0");
	return 0;
}

/* --- what it tells ------------------------------------------------------------------------ */

static void on_mapped(void *ctx, u8 iface, const struct portmap_mapping *mapping)
{
	struct world *w = ctx;

	assert_int_equal(iface, 3);
	w->mapping = *mapping;
	w->told++;
}

/* The interface is there and asks. */
static void begin(struct world *w)
{
	static const struct portmap_ops ops = { .mapped = on_mapped };
	const struct portmap_options options = { .lifetime = LIFETIME,
						 .bind_to_device = true,
						 .random = system_random };
	struct portmap_iface what = { .ifname = "in0", .ifindex = if_nametoindex("in0") };

	netns_needed();
	*w = (struct world){ .now = START };
	router_listens(true);
	assert_int_equal(portmap_create(&w->p, &options, &ops, w), 0);
	assert_int_equal(endpoint_parse(US ":51900", &what.local), 0);
	portmap_add(w->p, w->now, 3, &what);
	portmap_expire(w->p, w->now);
}

/* --- the router --------------------------------------------------------------------------- */

/* The next request's size; 0: there is none. */
static size_t asked(struct world *w)
{
	struct pollfd p = { .fd = router, .events = POLLIN };
	socklen_t length = sizeof(w->asker);
	ssize_t size;

	/* veth delivers at once, or not at all. */
	if (poll(&p, 1, 50) != 1)
		return 0;
	size = recvfrom(router, w->request, sizeof(w->request), 0, (struct sockaddr *)&w->asker,
			&length);
	assert_true(size > 0);
	return (size_t)size;
}

static void answer(struct world *w, const void *bytes, size_t size)
{
	struct pollfd p = { .fd = portmap_fd(w->p), .events = POLLIN };

	assert_int_equal(sendto(router, bytes, size, 0, (const struct sockaddr *)&w->asker,
				sizeof(w->asker)),
			 (int)size);
	assert_int_equal(poll(&p, 1, 1000), 1);
	portmap_read(w->p, w->now);
}

/* Answers the last request by PCP. */
static void grant(struct world *w, u8 result, u32 lifetime, u32 epoch)
{
	u8 bytes[PCP_MAP_SIZE];

	memcpy(bytes, w->request, sizeof(bytes));
	bytes[1] |= 0x80;
	bytes[3] = result;
	bytes[6] = (u8)(lifetime >> 8);
	bytes[7] = (u8)lifetime;
	memset(bytes + 8, 0, 16);
	bytes[10] = (u8)(epoch >> 8);
	bytes[11] = (u8)epoch;
	bytes[54] = bytes[55] = 0xff;
	assert_int_equal(inet_pton(AF_INET, OUTER, bytes + 56), 1);
	answer(w, bytes, sizeof(bytes));
}

static u32 asked_lifetime(const struct world *w)
{
	return (u32)w->request[6] << 8 | w->request[7];
}

static void later(struct world *w, u64 ns)
{
	w->now += ns;
	portmap_read(w->p, w->now);
	portmap_expire(w->p, w->now);
}

/* One protocol after the other is tried in vain, until the next round is far away. */
static void nobody_answers(struct world *w)
{
	struct pollfd p = { .fd = portmap_fd(w->p), .events = POLLIN };

	while (portmap_next_expiry(w->p) < w->now + 10 * NS_PER_S) {
		poll(&p, 1, 5);
		later(w, 125 * NS_PER_MS);
	}
}

static bool is_pcp(const struct world *w)
{
	return w->request[0] == 2;
}

/* --- tests -------------------------------------------------------------------------------- */

static void pcp_is_asked_first_and_renewed_at_half(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	assert_true(is_pcp(&w));
	assert_int_equal(asked_lifetime(&w), LIFETIME);
	assert_int_equal(w.told, 0);
	grant(&w, 0, 600, 50);
	assert_int_equal(w.told, 1);
	assert_int_equal(w.mapping.protocol, PORTMAP_PCP);
	assert_string_equal(endpoint_text(&w.mapping.external), OUTER ":51900");
	assert_true(portmap_next_expiry(w.p) == START + 300 * NS_PER_S);
	later(&w, 300 * NS_PER_S - 1);
	assert_int_equal(asked(&w), 0);
	later(&w, 1);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	/* The same one again. */
	assert_int_equal(w.request[42] << 8 | w.request[43], PORT);
	assert_memory_equal(w.request + 44, "\0\0\0\0\0\0\0\0\0\0\xff\xff\xcb\0\x71\x09", 16);
	grant(&w, 0, 600, 350);
	assert_int_equal(w.told, 2);
	assert_true(w.mapping.expires == START + 900 * NS_PER_S);
	portmap_destroy(w.p);
}

static void another_nonce_is_not_ours(void **state)
{
	struct portmap_mapping m;
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	w.request[30] ^= 1;
	grant(&w, 0, 600, 50);
	assert_false(portmap_get(w.p, 3, &m));
	w.request[30] ^= 1;
	grant(&w, 0, 600, 50);
	assert_true(portmap_get(w.p, 3, &m));
	portmap_destroy(w.p);
}

/* Answers both questions of NAT-PMP. */
static void grant_by_natpmp(struct world *w)
{
	static const u8 address[12] = { 0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 9 };
	u8 port[16] = { 0, 129, 0, 0, 0, 0, 0, 9, PORT >> 8, PORT & 0xff, 0x40, 0, 0, 0, 2, 88 };

	assert_memory_equal(w->request, "\0\0", 2);
	answer(w, address, sizeof(address));
	assert_int_equal(asked(w), 12);
	assert_int_equal(w->request[1], 1);
	answer(w, port, sizeof(port));
	assert_int_equal(w->mapping.protocol, PORTMAP_NATPMP);
	assert_string_equal(endpoint_text(&w->mapping.external), OUTER ":16384");
	assert_int_equal(w->mapping.lifetime, 600);
}

static void silence_leads_to_the_next_protocol(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	later(&w, 250 * NS_PER_MS);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	later(&w, 500 * NS_PER_MS);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	later(&w, 1000 * NS_PER_MS);
	assert_int_equal(asked(&w), 2);
	grant_by_natpmp(&w);
	portmap_destroy(w.p);
}

static void a_router_that_knows_natpmp_alone_is_asked_by_it_at_once(void **state)
{
	static const u8 unknown_version[] = { 0, 0x81, 0, 1, 0, 0, 0, 9 };
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	answer(&w, unknown_version, sizeof(unknown_version));
	assert_int_equal(asked(&w), 2);
	grant_by_natpmp(&w);
	portmap_destroy(w.p);
}

static void what_is_not_renewed_is_lost_when_it_expires(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	grant(&w, 0, 8, 50);
	router_listens(false);
	while (w.now < START + 8 * NS_PER_S) {
		assert_int_equal(w.mapping.protocol, PORTMAP_PCP);
		later(&w, 125 * NS_PER_MS);
	}
	assert_int_equal(w.mapping.protocol, PORTMAP_NONE);
	assert_int_equal(w.told, 2);
	/* And asked for again, at once and later. */
	nobody_answers(&w);
	router_listens(true);
	later(&w, 30 * NS_PER_S);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	assert_int_equal(asked_lifetime(&w), LIFETIME);
	portmap_destroy(w.p);
}

static void a_router_that_refuses_is_asked_ever_more_seldom(void **state)
{
	u64 last = 0, wait = 0;
	struct world w;

	(void)state;
	begin(&w);
	router_listens(false);
	for (u32 i = 0; i < 8; i++) {
		nobody_answers(&w);
		wait = portmap_next_expiry(w.p) - w.now;
		assert_true(wait >= last);
		last = wait;
		later(&w, wait);
	}
	assert_true(last > 15 * 60 * NS_PER_S && last <= 16 * 60 * NS_PER_S);
	assert_int_equal(w.told, 0);
	portmap_destroy(w.p);
}

static void announce(struct world *w, u8 epoch)
{
	const u8 bytes[24] = { 2, 0x80, [11] = epoch };
	struct sockaddr_in all = { .sin_family = AF_INET, .sin_port = htons(PCP_ANNOUNCE_PORT) };
	struct in_addr from;

	inet_pton(AF_INET, "224.0.0.1", &all.sin_addr);
	inet_pton(AF_INET, ROUTER, &from);
	assert_int_equal(setsockopt(router, IPPROTO_IP, IP_MULTICAST_IF, &from, sizeof(from)), 0);
	w->asker = all;
	answer(w, bytes, sizeof(bytes));
}

static void a_router_that_started_again_is_asked_again(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	grant(&w, 0, 600, 50);
	w.now += 20 * NS_PER_S;
	announce(&w, 70); /* it just tells the time */
	assert_true(portmap_next_expiry(w.p) == START + 300 * NS_PER_S);
	announce(&w, 0);
	assert_true(portmap_next_expiry(w.p) <= w.now + NS_PER_S);
	later(&w, NS_PER_S);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	portmap_destroy(w.p);
}

static void everything_is_given_back(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	grant(&w, 0, 600, 50);
	portmap_release(w.p, w.now);
	assert_false(portmap_released(w.p));
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	assert_int_equal(asked_lifetime(&w), 0);
	/* It may get lost. */
	later(&w, 125 * NS_PER_MS);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	grant(&w, 0, 0, 51);
	assert_true(portmap_released(w.p));
	assert_true(portmap_next_expiry(w.p) == TIME_NEVER || portmap_next_expiry(w.p) > w.now);
	portmap_destroy(w.p);
}

static void a_removed_interface_gives_back_without_waiting(void **state)
{
	struct portmap_mapping m;
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	grant(&w, 0, 600, 50);
	portmap_remove(w.p, w.now, 3);
	assert_false(portmap_get(w.p, 3, &m));
	assert_true(portmap_next_expiry(w.p) == TIME_NEVER);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	assert_int_equal(asked_lifetime(&w), 0);
	portmap_destroy(w.p);
}

static void another_gateway_voids_what_there_was(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	grant(&w, 0, 600, 50);
	run("ip route replace default via 11.9.0.7 dev in0");
	portmap_routed(w.p, w.now, 3);
	later(&w, 100 * NS_PER_MS);
	assert_int_equal(w.mapping.protocol, PORTMAP_NONE);
	run("ip route replace default via " ROUTER " dev in0");
	portmap_routed(w.p, w.now, 3);
	later(&w, 100 * NS_PER_MS);
	assert_int_equal(asked(&w), PCP_MAP_SIZE);
	portmap_destroy(w.p);
}

static int clean_up(void **state)
{
	(void)state;
	if (router >= 0)
		close(router);
	close(ours);
	close(routers);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcp_is_asked_first_and_renewed_at_half),
		cmocka_unit_test(another_nonce_is_not_ours),
		cmocka_unit_test(silence_leads_to_the_next_protocol),
		cmocka_unit_test(a_router_that_knows_natpmp_alone_is_asked_by_it_at_once),
		cmocka_unit_test(what_is_not_renewed_is_lost_when_it_expires),
		cmocka_unit_test(a_router_that_refuses_is_asked_ever_more_seldom),
		cmocka_unit_test(a_router_that_started_again_is_asked_again),
		cmocka_unit_test(everything_is_given_back),
		cmocka_unit_test(a_removed_interface_gives_back_without_waiting),
		cmocka_unit_test(another_gateway_voids_what_there_was),
	};

	return cmocka_run_group_tests(tests, make_namespaces, clean_up);
}
