/* SPDX-License-Identifier: MIT */
/*
 * Text of addresses, prefixes, endpoints and name patterns; sockaddr; the limit of the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "warp/log.h"
#include "warp/memory.h"
#include "warp/pattern.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

static void endpoints_survive_text_and_back(void **state)
{
	static const char *const texts[] = {
		"1.2.3.4:5",
		"255.255.255.255:65535",
		"0.0.0.0:0",
		"[2001:db8::1]:5",
		"[::]:13116",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		"[::ffff:255.255.255.255]:65535",
	};
	struct endpoint e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(endpoint_parse(texts[i], &e), 0);
		assert_string_equal(endpoint_text(&e), texts[i]);
	}
	assert_string_equal(endpoint_text(&(struct endpoint){ .port = 5 }), "none");
}

static void what_is_not_quite_an_endpoint_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"1.2.3.4",
		"1.2.3.4:",
		"1.2.3.4:65536",
		"1.2.3.4:99999999999999",
		"1.2.3.4:05",
		"1.2.3.4:5 ",
		" 1.2.3.4:5",
		"1.2.3.4:+5",
		"1.2.3.4:5:6",
		"1.2.3:5",
		"01.2.3.4:5",
		"256.2.3.4:5",
		"0x1.2.3.4:5",
		"[1.2.3.4]:5",
		"2001:db8::1:5",
		"[2001:db8::1]",
		"[2001:db8::1]5",
		"[2001:db8::1",
		"[]:5",
		":5",
		"[fe80::1%eth0]:5",
		"example.net:5",
		"[2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999]:5",
	};
	struct endpoint e = { .port = 77 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(endpoint_parse(texts[i], &e), -EINVAL);
	assert_int_equal(e.port, 77);
}

static void prefixes_keep_their_host_bits(void **state)
{
	struct prefix p;

	(void)state;
	assert_int_equal(prefix_parse("10.44.0.1/24", &p), 0);
	assert_string_equal(prefix_text(&p), "10.44.0.1/24");
	assert_int_equal(prefix_parse("10.44.0.1", &p), 0);
	assert_int_equal(p.bits, 32);
	assert_int_equal(prefix_parse("::/0", &p), 0);
	assert_string_equal(prefix_text(&p), "::/0");
	assert_int_equal(prefix_parse("2001:db8::1", &p), 0);
	assert_int_equal(p.bits, 128);
	assert_int_equal(prefix_parse("10.0.0.0/33", &p), -EINVAL);
	assert_int_equal(prefix_parse("::/129", &p), -EINVAL);
	assert_int_equal(prefix_parse("10.0.0.0/", &p), -EINVAL);
	assert_int_equal(prefix_parse("10.0.0.0/024", &p), -EINVAL);
	assert_int_equal(prefix_parse("/24", &p), -EINVAL);
	assert_int_equal(prefix_parse("10.0.0.0/8/8", &p), -EINVAL);
}

static void host_and_port_are_taken_apart(void **state)
{
	char host[16];
	u16 port;

	(void)state;
	assert_int_equal(host_port_split("map.example:13116", host, sizeof(host), &port), 0);
	assert_string_equal(host, "map.example");
	assert_int_equal(port, 13116);
	assert_int_equal(host_port_split("[2001:db8::1]:5", host, sizeof(host), &port), 0);
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(host_port_split("a234567890123456:1", host, sizeof(host), &port),
			 -ENAMETOOLONG);
	assert_int_equal(host_port_split("map.example", host, sizeof(host), &port), -EINVAL);
	assert_int_equal(host_port_split(":1", host, sizeof(host), &port), -EINVAL);
}

static void endpoints_survive_sockaddr_and_back(void **state)
{
	static const char *const texts[] = { "1.2.3.4:5", "[2001:db8::1]:65535" };
	struct endpoint e, back;
	union inet_sockaddr sa;
	socklen_t length;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(endpoint_parse(texts[i], &e), 0);
		length = endpoint_to_sockaddr(&e, &sa);
		assert_int_equal(endpoint_from_sockaddr(&sa, length, &back), 0);
		assert_true(endpoint_equal(&e, &back));
		assert_int_equal(endpoint_from_sockaddr(&sa, length - 1, &back), -EAFNOSUPPORT);
	}
	memset(&e, 0, sizeof(e));
	assert_int_equal(endpoint_to_sockaddr(&e, &sa), 0);
	sa.any.sa_family = AF_UNIX;
	assert_int_equal(endpoint_from_sockaddr(&sa, sizeof(sa), &back), -EAFNOSUPPORT);
}

static void patterns_match_whole_names(void **state)
{
	char *list[] = { (char *)"eth.*", (char *)"wlan0|wwan[0-9]+" };
	char *bad[] = { (char *)".*", (char *)"a)|(b" };
	struct patterns *p;
	size_t which = 9;
	char why[64] = "";

	(void)state;
	assert_int_equal(patterns_compile(&p, list, ARRAY_SIZE(list), NULL, NULL, 0), 0);
	assert_true(patterns_match(p, "eth0"));
	assert_false(patterns_match(p, "veth0"));
	assert_true(patterns_match(p, "wlan0"));
	assert_false(patterns_match(p, "wlan00"));
	assert_true(patterns_match(p, "wwan12"));
	assert_false(patterns_match(p, "wwan"));
	patterns_free(p);
	assert_int_equal(patterns_compile(&p, bad, 2, &which, why, sizeof(why)), -EINVAL);
	assert_int_equal(which, 1);
	assert_true(strlen(why) > 0);
	assert_int_equal(patterns_compile(&p, NULL, 0, NULL, NULL, 0), 0);
	assert_false(patterns_match(p, "eth0"));
	patterns_free(p);
}

/* Neither compiling nor matching may take all memory, or minutes: some of these did. */
static void patterns_have_a_bound(void **state)
{
	static const char *const large[] = {
		"((a{99}){99}){99}",
		"(abcdefghij){1,65535}",
		"((a|b{9}){99}){999}",
	};
	static const char *const odd[] = {
		"a++++++++++++++++++++++++++++++",
		"((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+",
		"\\+[.-.}**{3,}:]()(a?+a$)()++{9}|]",
		"(a?){16}{16}{2}",
	};
	char *slow[] = { (char *)"(((a*)*)*)*b", (char *)"(a|aa|aaa)*(a|aa|aaa)*(a|aa|aaa)*b" };
	char longest[PATTERN_MOST + 2], why[256];
	struct patterns *p;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(large); i++) {
		assert_int_equal(pattern_check(large[i], why, sizeof(why)), -EINVAL);
		assert_non_null(strstr(why, "too large"));
	}
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		const int r = pattern_check(odd[i], why, sizeof(why));

		assert_true(r == 0 || r == -EINVAL);
	}
	assert_int_equal(patterns_compile(&p, slow, ARRAY_SIZE(slow), NULL, NULL, 0), 0);
	assert_false(patterns_match(p, "aaaaaaaaaaaaaaa"));
	assert_true(patterns_match(p, "aab"));
	patterns_free(p);
	memset(longest, 'a', sizeof(longest));
	longest[PATTERN_MOST] = 0;
	assert_int_equal(pattern_check(longest, NULL, 0), 0);
	longest[PATTERN_MOST] = 'a';
	longest[PATTERN_MOST + 1] = 0;
	assert_int_equal(pattern_check(longest, why, sizeof(why)), -EINVAL);
}

static void large_and_small_memory_is_zeroed(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 128 * 1024, 3 * 1024 * 1024 + 5 };
	u8 *p;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		size_t size = sizes[i / 2];

		p = mem_alloc(&system_allocator, size);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t j = 0; j < size; j++)
			assert_int_equal(p[j], 0);
		memset(p, 0xff, size);
		mem_free(&system_allocator, p, size);
	}
	mem_free(&system_allocator, NULL, 5);
	assert_null(mem_alloc(&system_allocator, SIZE_MAX / 2));
	assert_true(random_u32(&system_random) != random_u32(&system_random) ||
		    random_u32(&system_random) != random_u32(&system_random));
	assert_true(clock_now() > 0);
}

/* What action writes to stderr, as text. */
static void captured(char *ret, size_t size, void (*action)(void))
{
	int saved = dup(STDERR_FILENO), file = memfd_create("stderr", MFD_CLOEXEC);
	ssize_t n;

	assert_true(saved >= 0 && file >= 0);
	dup2(file, STDERR_FILENO);
	action();
	dup2(saved, STDERR_FILENO);
	n = pread(file, ret, size - 1, 0);
	assert_true(n >= 0);
	ret[n] = 0;
	close(saved);
	close(file);
}

static void one_of_each(void)
{
	errno = ENOENT;
	log_debug("hidden");
	log_info("told %d", 1);
	log_warn("cannot open %s", "x");
	log_warnx("forged\n<0>line");
}

static void log_lines_are_one_line_each(void **state)
{
	char text[4096];

	(void)state;
	captured(text, sizeof(text), one_of_each);
	assert_string_equal(text, "told 1\n"
				  "cannot open x: No such file or directory\n"
				  "forged?<0>line\n");
}

static void log_to_journal(void)
{
	char stream[64];
	struct stat st;

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init();
	log_info("told");
	log_errorx("wrong");
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_init();
	log_info("redirected");
	unsetenv("JOURNAL_STREAM");
	log_init();
}

static void only_the_journal_gets_priorities(void **state)
{
	char text[4096];

	(void)state;
	captured(text, sizeof(text), log_to_journal);
	assert_string_equal(text, "<6>told\n<3>wrong\nredirected\n");
}

static void log_flood(void)
{
	for (int i = 0; i < 10000; i++)
		log_info("again");
}

static void a_call_site_cannot_flood_the_log(void **state)
{
	char text[65536];
	unsigned lines = 0;

	(void)state;
	captured(text, sizeof(text), log_flood);
	for (char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_in_range(lines, LOG_BURST, LOG_BURST + 10 * LOG_RATE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_survive_text_and_back),
		cmocka_unit_test(what_is_not_quite_an_endpoint_is_refused),
		cmocka_unit_test(prefixes_keep_their_host_bits),
		cmocka_unit_test(host_and_port_are_taken_apart),
		cmocka_unit_test(endpoints_survive_sockaddr_and_back),
		cmocka_unit_test(patterns_match_whole_names),
		cmocka_unit_test(patterns_have_a_bound),
		cmocka_unit_test(large_and_small_memory_is_zeroed),
		cmocka_unit_test(log_lines_are_one_line_each),
		cmocka_unit_test(only_the_journal_gets_priorities),
		cmocka_unit_test(a_call_site_cannot_flood_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
