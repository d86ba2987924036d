/* SPDX-License-Identifier: MIT */
/*
 * The resolver with what needs no network: numbers and localhost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "warp/resolver.h"
#include "warp/text.h"

struct answer {
	u64 id;
	size_t count;
	struct endpoint endpoint[RESOLVER_ENDPOINTS];
	const char *why;
};

static bool readable(const struct resolver *r, int ms)
{
	struct pollfd p = { .fd = resolver_fd(r), .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void wait_for(struct resolver *r, struct answer *ret)
{
	while (!resolver_take(r, &ret->id, ret->endpoint, &ret->count, &ret->why))
		assert_true(readable(r, 20000));
}

static struct resolver *create(void)
{
	struct resolver *r;

	assert_int_equal(resolver_create(&r), 0);
	return r;
}

static void numbers_become_endpoints_of_both_families(void **state)
{
	struct resolver *r = create();
	struct answer a;

	(void)state;
	assert_int_equal(resolver_ask(r, 7, "192.0.2.1", 13116), 0);
	wait_for(r, &a);
	assert_int_equal(a.id, 7);
	assert_int_equal(a.count, 1);
	assert_null(a.why);
	assert_string_equal(endpoint_text(&a.endpoint[0]), "192.0.2.1:13116");
	assert_int_equal(resolver_ask(r, UINT64_MAX, "2001:db8::1", 5), 0);
	wait_for(r, &a);
	assert_true(a.id == UINT64_MAX);
	assert_string_equal(endpoint_text(&a.endpoint[0]), "[2001:db8::1]:5");
	resolver_destroy(r);
}

static void localhost_is_loopback_once_an_address(void **state)
{
	struct resolver *r = create();
	struct answer a;

	(void)state;
	assert_int_equal(resolver_ask(r, 1, "localhost", 9), 0);
	wait_for(r, &a);
	assert_in_range(a.count, 1, 2);
	for (size_t i = 0; i < a.count; i++)
		assert_true(address_is_loopback(&a.endpoint[i].address));
	resolver_destroy(r);
}

static void a_wrong_name_is_an_answer_with_a_reason(void **state)
{
	struct resolver *r = create();
	struct answer a;

	(void)state;
	assert_int_equal(resolver_ask(r, 1, "empty..label", 9), 0);
	wait_for(r, &a);
	assert_int_equal(a.count, 0);
	assert_non_null(a.why);
	resolver_destroy(r);
}

static void answers_come_in_order_and_then_the_fd_is_quiet(void **state)
{
	struct resolver *r = create();
	struct answer a;

	(void)state;
	for (u64 i = 0; i < 100; i++)
		assert_int_equal(resolver_ask(r, i, "192.0.2.1", (u16)i), 0);
	for (u64 i = 0; i < 100; i++) {
		wait_for(r, &a);
		assert_int_equal(a.id, i);
		assert_int_equal(a.endpoint[0].port, i);
	}
	assert_false(resolver_take(r, &a.id, a.endpoint, &a.count, NULL));
	assert_false(readable(r, 0));
	resolver_destroy(r);
}

static void what_cannot_be_asked_is_refused(void **state)
{
	struct resolver *r = create();
	char host[RESOLVER_HOST_SIZE + 1];
	int error = 0;

	(void)state;
	memset(host, 'a', sizeof(host) - 1);
	host[sizeof(host) - 1] = 0;
	assert_int_equal(resolver_ask(r, 1, host, 1), -EINVAL);
	assert_int_equal(resolver_ask(r, 1, "", 1), -EINVAL);
	assert_int_equal(resolver_ask(r, 1, "192.0.2.1", 1), 0);
	assert_int_equal(resolver_ask(r, 1, "192.0.2.1", 1), -EALREADY);
	for (u64 i = 2; i <= RESOLVER_WAITING && error == 0; i++)
		error = resolver_ask(r, i, "192.0.2.1", 1);
	assert_int_equal(error, 0);
	assert_int_equal(resolver_ask(r, RESOLVER_WAITING + 1, "192.0.2.1", 1), -ENOBUFS);
	resolver_destroy(r);
}

static void destroying_does_not_wait(void **state)
{
	(void)state;
	for (int i = 0; i < 50; i++) {
		struct resolver *r = create();

		assert_int_equal(resolver_ask(r, 1, "localhost", 1), 0);
		resolver_destroy(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_become_endpoints_of_both_families),
		cmocka_unit_test(localhost_is_loopback_once_an_address),
		cmocka_unit_test(a_wrong_name_is_an_answer_with_a_reason),
		cmocka_unit_test(answers_come_in_order_and_then_the_fd_is_quiet),
		cmocka_unit_test(what_cannot_be_asked_is_refused),
		cmocka_unit_test(destroying_does_not_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
