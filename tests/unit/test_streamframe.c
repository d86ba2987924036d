/* SPDX-License-Identifier: MIT */
/*
 * test_streamframe.c - datagrams in a stream of bytes, however the bytes come.
 */
#include "unit/harness.h"

#include "warp/streamframe.h"

#include <errno.h>
#include <string.h>

/* Datagrams of these sizes, each filled with its number. */
static size_t put_all(u8 *out, const u32 *sizes, u32 count)
{
	size_t at = 0;

	for (u32 n = 0; n < count; n++) {
		assert_true(streamframe_length(out + at, sizes[n]));
		memset(out + at + STREAM_LENGTH_SIZE, (int)n, sizes[n]);
		at += STREAM_LENGTH_SIZE + sizes[n];
	}
	return at;
}

static void what_is_written_is_read(void **state)
{
	static const u32 sizes[] = { 1, 2, 148, 255, 256, 1232, STREAM_DATAGRAM_MAX, 3 };
	static u8 bytes[8 * STREAM_FRAME_MAX];
	const size_t size = put_all(bytes, sizes, ARRAY_SIZE(sizes));
	const u8 *datagram;
	size_t at = 0;
	u32 length;

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(sizes); n++) {
		assert_int_equal(streamframe_next(bytes, size, &at, &datagram, &length), 1);
		assert_int_equal(length, sizes[n]);
		for (u32 i = 0; i < length; i++)
			assert_int_equal(datagram[i], n);
	}
	assert_int_equal(at, size);
	assert_int_equal(streamframe_next(bytes, size, &at, &datagram, &length), 0);
}

static void of_a_part_nothing_is_given_out(void **state)
{
	static const u32 sizes[] = { 300, 5 };
	u8 bytes[STREAM_FRAME_MAX];
	const u8 *datagram;
	u32 length;

	(void)state;
	put_all(bytes, sizes, ARRAY_SIZE(sizes));
	for (size_t size = 0; size < 302; size++) {
		size_t at = 0;

		assert_int_equal(streamframe_next(bytes, size, &at, &datagram, &length), 0);
		assert_int_equal(at, 0);
	}
}

static void there_is_no_empty_and_no_huge_datagram(void **state)
{
	const u8 bytes[][4] = { { 0, 0, 1, 1 }, { 8, 1, 1, 1 }, { 255, 255, 1, 1 } };
	u8 length[STREAM_LENGTH_SIZE];
	const u8 *datagram;
	u32 size;

	(void)state;
	for (u32 n = 0; n < ARRAY_SIZE(bytes); n++) {
		size_t at = 0;

		assert_int_equal(streamframe_next(bytes[n], 4, &at, &datagram, &size), -EBADMSG);
	}
	assert_false(streamframe_length(length, 0));
	assert_false(streamframe_length(length, STREAM_DATAGRAM_MAX + 1));
}

/* Who takes it for a web server, or for TLS, is out of step at once. */
static void other_protocols_are_recognised(void **state)
{
	static const char http[] = "GET / HTTP/1.1\r\n", tls[] = "\x16\x03\x01\x02\x00\x01";
	const u8 *datagram;
	size_t at = 0;
	u32 size;

	(void)state;
	assert_int_equal(streamframe_next((const u8 *)http, sizeof(http), &at, &datagram, &size),
			 -EBADMSG);
	assert_int_equal(streamframe_next((const u8 *)tls, sizeof(tls), &at, &datagram, &size),
			 -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(of_a_part_nothing_is_given_out),
		cmocka_unit_test(there_is_no_empty_and_no_huge_datagram),
		cmocka_unit_test(other_protocols_are_recognised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
