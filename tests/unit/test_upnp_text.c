/* SPDX-License-Identifier: MIT */
/*
 * What is read of URLs and of answers to a search for UPnP devices; both are written by strangers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "io/upnp.h"
#include "warp/text.h"

#define ANSWER(st, location)                                                                       \
	"HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: " st "\r\nEXT:\r\n" location         \
	"SERVER: x UPnP/1.1\r\n\r\n"
#define IGD "urn:schemas-upnp-org:device:InternetGatewayDevice:1"

static void urls_with_numbers_are_read(void **state)
{
	static const struct {
		const char *url, *host, *path;
	} good[] = {
		{ "http://192.168.1.1:5000/rootDesc.xml", "192.168.1.1:5000", "/rootDesc.xml" },
		{ "HTTP://192.168.1.1", "192.168.1.1:80", "/" },
		{ "http://[2001:db8::1]:49152/a/b?c", "[2001:db8::1]:49152", "/a/b?c" },
		{ "http://[2001:db8::1]/", "[2001:db8::1]:80", "/" },
		{ "http://[fe80::1%25eth0]:80/d", "[fe80::1]:80", "/d" },
	};
	struct endpoint e;
	const char *path;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(upnp_url(good[i].url, &e, &path), 0);
		assert_string_equal(endpoint_text(&e), good[i].host);
		assert_string_equal(path, good[i].path);
	}
}

static void other_urls_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"http://",
		"http:///x",
		"https://192.168.1.1/",
		"http://router.example/",
		"http://user@192.168.1.1/",
		"http://192.168.1.1:0/",
		"http://192.168.1.1:65536/",
		"http://127.0.0.1:80/",
		"http://[::1]/",
		"http://[2001:db8::1/",
		"http://192.168.1.1/a b",
		"http://192.168.1.1/a\r\nX: y",
		"http://[fe80::1%25eth0",
	};
	char longest[2 * UPNP_URL_SIZE];
	struct endpoint e;
	const char *path;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(upnp_url(bad[i], &e, &path), -EINVAL);
	snprintf(longest, sizeof(longest), "http://%0*d/", (int)UPNP_URL_SIZE, 1);
	assert_int_equal(upnp_url(longest, &e, &path), -EINVAL);
}

static int location(const char *answer, char ret[static UPNP_URL_SIZE])
{
	return upnp_location(answer, strlen(answer), ret);
}

static void a_gateway_tells_where_its_description_is(void **state)
{
	char url[UPNP_URL_SIZE];

	(void)state;
	assert_int_equal(location(ANSWER(IGD, "LOCATION: http://192.168.1.1:5000/d.xml\r\n"), url),
			 0);
	assert_string_equal(url, "http://192.168.1.1:5000/d.xml");
	assert_int_equal(location(ANSWER(IGD, "location:http://192.168.1.1/ \r\n"), url), 0);
	assert_string_equal(url, "http://192.168.1.1/");
}

static void other_devices_and_broken_answers_are_passed_over(void **state)
{
	static const char whole[] = ANSWER(IGD, "LOCATION: http://192.168.1.1/\r\n");
	char url[UPNP_URL_SIZE], longest[2 * UPNP_URL_SIZE];

	(void)state;
	assert_int_equal(location("", url), -EBADMSG);
	assert_int_equal(location(ANSWER("upnp:rootdevice", "LOCATION: http://192.168.1.1/\r\n"),
				  url),
			 -EBADMSG);
	assert_int_equal(location(ANSWER(IGD, ""), url), -EBADMSG);
	assert_int_equal(location(ANSWER(IGD, "LOCATION:\r\n"), url), -EBADMSG);
	assert_int_equal(location("HTTP/1.1 404 No\r\nST: " IGD "\r\nLOCATION: x\r\n\r\n", url),
			 -EBADMSG);
	assert_int_equal(location("NOTIFY * HTTP/1.1\r\nST: " IGD "\r\nLOCATION: x\r\n\r\n", url),
			 -EBADMSG);
	snprintf(longest, sizeof(longest), "HTTP/1.1 200 OK\r\nST: " IGD "\r\nLOCATION: %0*d\r\n",
		 (int)UPNP_URL_SIZE, 1);
	assert_int_equal(location(longest, url), -EBADMSG);
	/* Up to the end of the line that says where, it is not there. */
	assert_int_equal(upnp_location(whole, sizeof(whole) - 25, url), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_with_numbers_are_read),
		cmocka_unit_test(other_urls_are_refused),
		cmocka_unit_test(a_gateway_tells_where_its_description_is),
		cmocka_unit_test(other_devices_and_broken_answers_are_passed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
