/* SPDX-License-Identifier: MIT */
/*
 * The table of usable addresses, fed by hand. What is told is written down as text: "+eth0/1 A" for
 * added (name, index, address), "-" removed, "=" changed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/ifset.h"
#include "warp/text.h"

struct world {
	struct ifset *set;
	char told[8192];
};

static void note(struct world *w, char sign, const struct netmon_address *a)
{
	size_t used = strlen(w->told);

	snprintf(w->told + used, sizeof(w->told) - used, "%c%s/%u %s %u\n", sign, a->ifname,
		 a->ifindex, address_text(&a->address), a->mtu);
}

static void on_added(void *ctx, const struct netmon_address *a)
{
	note(ctx, '+', a);
}

static void on_removed(void *ctx, const struct netmon_address *a)
{
	note(ctx, '-', a);
}

static void on_changed(void *ctx, const struct netmon_address *a)
{
	note(ctx, '=', a);
}

static const struct netmon_ops ops = { .added = on_added,
				       .removed = on_removed,
				       .changed = on_changed };

static char *everything[] = { (char *)".*" };
static char *containers[] = { (char *)"docker.*", (char *)"veth.*" };
static const char *own[] = { "warp0" };

static struct netmon_options default_options(void)
{
	return (struct netmon_options){
		.inclusion = everything,
		.inclusion_count = 1,
		.exclusion = containers,
		.exclusion_count = 2,
		.own = own,
		.own_count = 1,
	};
}

static int setup(void **state)
{
	struct netmon_options o = default_options();
	struct world *w = calloc(1, sizeof(*w));

	*state = w;
	return ifset_create(&w->set, &o, &ops, w);
}

static int teardown(void **state)
{
	struct world *w = *state;

	ifset_destroy(w->set);
	free(w);
	return 0;
}

static struct ifset_link link_of(u32 index, const char *name)
{
	struct ifset_link l = { .index = index, .mtu = 1500, .running = true };

	snprintf(l.name, sizeof(l.name), "%s", name);
	return l;
}

static void feed_link(struct world *w, u32 index, const char *name)
{
	struct ifset_link l = link_of(index, name);

	assert_int_equal(ifset_link(w->set, &l), 0);
}

/* text is "address/bits", after it " t" for temporary, " d" for deprecated. */
static struct ifset_address address_of(u32 index, const char *text)
{
	struct ifset_address a = { .index = index };
	char copy[64];
	struct prefix p;

	snprintf(copy, sizeof(copy), "%s", text);
	copy[strcspn(copy, " ")] = 0;
	assert_int_equal(prefix_parse(copy, &p), 0);
	a.address = a.peer = p.address;
	a.bits = p.bits;
	a.temporary = strstr(text, " t");
	a.preferred = !strstr(text, " d");
	return a;
}

static void feed(struct world *w, u32 index, const char *text)
{
	struct ifset_address a = address_of(index, text);

	assert_int_equal(ifset_address(w->set, &a), 0);
}

static void gone(struct world *w, u32 index, const char *text)
{
	struct ifset_address a = address_of(index, text);

	ifset_address_gone(w->set, &a);
}

static void assert_told(struct world *w, const char *text)
{
	w->told[0] = 0;
	assert_int_equal(ifset_settle(w->set), 0);
	assert_string_equal(w->told, text);
	w->told[0] = 0;
	assert_int_equal(ifset_settle(w->set), 0);
	assert_string_equal(w->told, "");
}

static void an_address_is_told_when_link_and_address_are_known(void **state)
{
	struct world *w = *state;

	feed(w, 2, "192.0.2.1/24");
	assert_told(w, "");
	feed_link(w, 2, "eth0");
	assert_told(w, "+eth0/2 192.0.2.1 1500\n");
	feed(w, 2, "2001:db8::1/64");
	assert_told(w, "+eth0/2 2001:db8::1 1500\n");
	gone(w, 2, "192.0.2.1/24");
	assert_told(w, "-eth0/2 192.0.2.1 1500\n");
}

static void what_can_never_be_used_is_not_told(void **state)
{
	struct world *w = *state;
	struct ifset_link lo = link_of(1, "lo");

	lo.loopback = true;
	assert_int_equal(ifset_link(w->set, &lo), 0);
	feed(w, 1, "198.51.100.1/32");
	feed_link(w, 2, "eth0");
	feed(w, 2, "127.0.0.5/8");
	feed(w, 2, "169.254.3.4/16");
	feed(w, 2, "fe80::1/64");
	feed(w, 2, "::1/128");
	feed(w, 2, "2001:db8::dead/64 d");
	feed_link(w, 3, "warp0");
	feed(w, 3, "10.44.0.1/24");
	feed_link(w, 4, "docker0");
	feed(w, 4, "172.17.0.1/16");
	assert_told(w, "");
	feed(w, 2, "2001:db8::dead/64");
	assert_told(w, "+eth0/2 2001:db8::dead 1500\n");
}

static void carrier_and_mtu_follow_the_link(void **state)
{
	struct world *w = *state;
	struct ifset_link l = link_of(2, "eth0");

	feed_link(w, 2, "eth0");
	feed(w, 2, "192.0.2.1/24");
	assert_told(w, "+eth0/2 192.0.2.1 1500\n");
	l.mtu = 1400;
	ifset_link(w->set, &l);
	assert_told(w, "=eth0/2 192.0.2.1 1400\n");
	l.running = false;
	ifset_link(w->set, &l);
	assert_told(w, "-eth0/2 192.0.2.1 1400\n");
	l.running = true;
	ifset_link(w->set, &l);
	assert_told(w, "+eth0/2 192.0.2.1 1400\n");
	l.running = false;
	ifset_link(w->set, &l);
	l.running = true;
	ifset_link(w->set, &l);
	assert_told(w, "");
}

static void a_renamed_interface_is_another(void **state)
{
	struct world *w = *state;

	feed_link(w, 2, "eth0");
	feed(w, 2, "192.0.2.1/24");
	assert_told(w, "+eth0/2 192.0.2.1 1500\n");
	feed_link(w, 2, "uplink");
	assert_told(w, "-eth0/2 192.0.2.1 1500\n+uplink/2 192.0.2.1 1500\n");
	feed_link(w, 2, "veth9");
	assert_told(w, "-uplink/2 192.0.2.1 1500\n");
}

static void an_interface_made_again_between_two_reads_is_told_as_new(void **state)
{
	struct world *w = *state;

	feed_link(w, 2, "eth0");
	feed(w, 2, "192.0.2.1/24");
	assert_told(w, "+eth0/2 192.0.2.1 1500\n");
	ifset_link_gone(w->set, 2);
	feed_link(w, 7, "eth0");
	feed(w, 7, "192.0.2.1/24");
	assert_told(w, "-eth0/2 192.0.2.1 1500\n+eth0/7 192.0.2.1 1500\n");
	/* Even with its old index. */
	ifset_link_gone(w->set, 7);
	feed_link(w, 7, "eth0");
	feed(w, 7, "192.0.2.1/24");
	assert_told(w, "-eth0/7 192.0.2.1 1500\n+eth0/7 192.0.2.1 1500\n");
}

static void an_address_that_moves_is_removed_before_it_is_added(void **state)
{
	struct world *w = *state;

	feed_link(w, 2, "eth0");
	feed_link(w, 3, "eth1");
	feed(w, 3, "192.0.2.1/24");
	assert_told(w, "+eth1/3 192.0.2.1 1500\n");
	feed(w, 2, "192.0.2.1/24");
	gone(w, 3, "192.0.2.1/24");
	assert_told(w, "-eth1/3 192.0.2.1 1500\n+eth0/2 192.0.2.1 1500\n");
}

static void one_address_with_two_prefix_lengths_is_told_once(void **state)
{
	struct world *w = *state;

	feed_link(w, 2, "eth0");
	feed(w, 2, "192.0.2.1/24");
	feed(w, 2, "192.0.2.1/32");
	assert_told(w, "+eth0/2 192.0.2.1 1500\n");
	gone(w, 2, "192.0.2.1/24");
	assert_told(w, "");
	gone(w, 2, "192.0.2.1/32");
	assert_told(w, "-eth0/2 192.0.2.1 1500\n");
}

static void at_most_four_ipv6_addresses_lasting_ones_first_and_no_churn(void **state)
{
	struct world *w = *state;

	feed_link(w, 2, "eth0");
	feed(w, 2, "2001:db8::1/64 t");
	feed(w, 2, "2001:db8::2/64 t");
	feed(w, 2, "2001:db8::3/64 t");
	feed(w, 2, "2001:db8::4/64 t");
	feed(w, 2, "2001:db8::5/64");
	assert_told(w, "+eth0/2 2001:db8::5 1500\n+eth0/2 2001:db8::1 1500\n"
		       "+eth0/2 2001:db8::2 1500\n+eth0/2 2001:db8::3 1500\n");
	feed(w, 2, "2001:db8::/64");
	assert_told(w, "");
	feed(w, 2, "2001:db8::2/64 t d");
	assert_told(w, "-eth0/2 2001:db8::2 1500\n+eth0/2 2001:db8:: 1500\n");
}

static void what_a_scan_does_not_mention_is_gone(void **state)
{
	struct world *w = *state;

	feed_link(w, 2, "eth0");
	feed_link(w, 3, "eth1");
	feed(w, 2, "192.0.2.1/24");
	feed(w, 2, "192.0.2.2/24");
	feed(w, 3, "198.51.100.1/24");
	assert_told(w, "+eth0/2 192.0.2.1 1500\n+eth0/2 192.0.2.2 1500\n"
		       "+eth1/3 198.51.100.1 1500\n");
	ifset_scan_begin(w->set);
	feed_link(w, 2, "eth0");
	feed(w, 2, "192.0.2.2/24");
	ifset_scan_end(w->set);
	assert_told(w, "-eth0/2 192.0.2.1 1500\n-eth1/3 198.51.100.1 1500\n");
}

static void a_scan_that_was_broken_off_removes_nothing(void **state)
{
	struct world *w = *state;

	feed_link(w, 2, "eth0");
	feed(w, 2, "192.0.2.1/24");
	assert_told(w, "+eth0/2 192.0.2.1 1500\n");
	ifset_scan_begin(w->set);
	assert_told(w, "");
}

static void new_patterns_add_and_remove_at_once(void **state)
{
	struct world *w = *state;
	struct netmon_options o = default_options();
	char *ethernet[] = { (char *)"eth.*" }, *wrong[] = { (char *)"(" };

	feed_link(w, 2, "eth0");
	feed(w, 2, "192.0.2.1/24");
	feed_link(w, 3, "wlan0");
	feed(w, 3, "192.0.2.3/24");
	feed_link(w, 4, "veth1");
	feed(w, 4, "192.0.2.4/24");
	assert_int_equal(ifset_settle(w->set), 0);
	w->told[0] = 0;
	o.inclusion = ethernet;
	assert_int_equal(ifset_configure(w->set, &o), 0);
	assert_string_equal(w->told, "-wlan0/3 192.0.2.3 1500\n");
	w->told[0] = 0;
	o.inclusion = wrong;
	assert_int_equal(ifset_configure(w->set, &o), -EINVAL);
	assert_string_equal(w->told, "");
	o.inclusion = everything;
	o.exclusion_count = 0;
	assert_int_equal(ifset_configure(w->set, &o), 0);
	assert_string_equal(w->told, "+wlan0/3 192.0.2.3 1500\n+veth1/4 192.0.2.4 1500\n");
}

static void our_own_tun_stays_ours_under_another_name(void **state)
{
	struct world *w = *state;

	feed_link(w, 9, "warp0");
	feed(w, 9, "10.44.0.1/24");
	feed_link(w, 9, "vpn");
	assert_told(w, "");
	ifset_link_gone(w->set, 9);
	feed_link(w, 9, "vpn");
	feed(w, 9, "10.44.0.1/24");
	assert_told(w, "+vpn/9 10.44.0.1 1500\n");
}

/* Two tables: one follows all events and settles now and then, one sees the end only. */
static void following_ends_where_looking_once_does(void **state)
{
	struct world *w = *state, fresh = { 0 };
	struct netmon_options o = default_options();
	bool links[6] = { 0 }, addresses[6][4] = { { 0 } };
	struct netmon_address a, b;
	unsigned seed = 7;
	char text[32];
	size_t n;

	for (int step = 0; step < 5000; step++) {
		u32 i = (u32)rand_r(&seed) % 6, j = (u32)rand_r(&seed) % 4;

		snprintf(text, sizeof(text), "192.0.%u.%u/24", i, j + 1);
		if (rand_r(&seed) % 3 == 0) {
			links[i] = !links[i];
			if (links[i])
				feed_link(w, i + 1, "eth0");
			else
				ifset_link_gone(w->set, i + 1);
			memset(addresses[i], 0, sizeof(addresses[i]));
		} else if (links[i]) {
			addresses[i][j] = !addresses[i][j];
			(addresses[i][j] ? feed : gone)(w, i + 1, text);
		}
		w->told[0] = 0;
		if (rand_r(&seed) % 3 == 0)
			assert_int_equal(ifset_settle(w->set), 0);
	}
	assert_int_equal(ifset_settle(w->set), 0);
	assert_int_equal(ifset_create(&fresh.set, &o, &ops, &fresh), 0);
	for (u32 i = 0; i < 6; i++) {
		if (links[i])
			feed_link(&fresh, i + 1, "eth0");
		for (u32 j = 0; j < 4; j++) {
			snprintf(text, sizeof(text), "192.0.%u.%u/24", i, j + 1);
			if (addresses[i][j])
				feed(&fresh, i + 1, text);
		}
	}
	assert_int_equal(ifset_settle(fresh.set), 0);
	for (n = 0; ifset_usable(fresh.set, n, &a); n++) {
		bool found = false;

		for (size_t k = 0; ifset_usable(w->set, k, &b) && !found; k++)
			found = a.ifindex == b.ifindex && address_equal(&a.address, &b.address);
		assert_true(found);
	}
	assert_true(n > 0);
	assert_false(ifset_usable(w->set, n, &b));
	ifset_destroy(fresh.set);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_address_is_told_when_link_and_address_are_known),
		TEST(what_can_never_be_used_is_not_told),
		TEST(carrier_and_mtu_follow_the_link),
		TEST(a_renamed_interface_is_another),
		TEST(an_interface_made_again_between_two_reads_is_told_as_new),
		TEST(an_address_that_moves_is_removed_before_it_is_added),
		TEST(one_address_with_two_prefix_lengths_is_told_once),
		TEST(at_most_four_ipv6_addresses_lasting_ones_first_and_no_churn),
		TEST(what_a_scan_does_not_mention_is_gone),
		TEST(a_scan_that_was_broken_off_removes_nothing),
		TEST(new_patterns_add_and_remove_at_once),
		TEST(our_own_tun_stays_ours_under_another_name),
		TEST(following_ends_where_looking_once_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
