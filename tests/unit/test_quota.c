/* SPDX-License-Identifier: MIT */
/*
 * test_quota.c - data volumes are counted by month, kept over restarts, and survive wrong clocks and
 * damaged files.
 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "warp/log.h"
#include "warp/quota.h"

static char folder[64], file[128];

/* Noon of a day, local time. */
static time_t at(int year, int month, int day)
{
	struct tm tm = { .tm_year = year - 1900,
			 .tm_mon = month - 1,
			 .tm_mday = day,
			 .tm_hour = 12,
			 .tm_isdst = -1 };

	return mktime(&tm);
}

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/warp-quota-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(file, sizeof(file), "%s/" QUOTA_FILE, folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(folder); /* nothing else may be left in it */
}

static void put(const char *text, size_t size)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, size, f), size);
	fclose(f);
}

static void a_restart_keeps_what_was_counted(void **state)
{
	struct quota *q = quota_open(folder);
	struct stat st;

	(void)state;
	assert_true(quota_used(q, "wwan0", at(2026, 11, 3)) == 0);
	quota_add(q, "wwan0", 1000, at(2026, 11, 3));
	quota_add(q, "wwan0", 500, at(2026, 11, 4));
	quota_add(q, "sat0", 7, at(2026, 11, 4));
	assert_true(quota_used(q, "wwan0", at(2026, 11, 30)) == 1500);
	quota_close(q);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	q = quota_open(folder);
	assert_true(quota_used(q, "wwan0", at(2026, 11, 30)) == 1500);
	assert_true(quota_used(q, "sat0", at(2026, 11, 30)) == 7);
	assert_string_equal(quota_month(q, "sat0", at(2026, 11, 30)), "2026-11");
	quota_close(q);
}

static void a_month_begins_with_its_first_day(void **state)
{
	struct quota *q = quota_open(folder);

	(void)state;
	quota_add(q, "wwan0", 1000, at(2026, 12, 31));
	assert_true(quota_used(q, "wwan0", at(2027, 1, 1)) == 0);
	quota_add(q, "wwan0", 3, at(2027, 1, 1));
	assert_true(quota_used(q, "wwan0", at(2027, 1, 2)) == 3);
	assert_string_equal(quota_month(q, "wwan0", at(2027, 1, 2)), "2027-01");
	quota_close(q);
}

static void a_clock_that_was_never_set_begins_no_month(void **state)
{
	struct quota *q = quota_open(folder);

	(void)state;
	quota_add(q, "wwan0", 1000, at(2026, 11, 3));
	quota_close(q);
	q = quota_open(folder); /* a reboot, without a battery */
	assert_true(quota_used(q, "wwan0", 20) == 1000);
	quota_add(q, "wwan0", 5, 20);
	assert_true(quota_used(q, "wwan0", at(2026, 11, 3)) == 1005);
	quota_close(q);
}

static void what_is_counted_before_the_clock_is_set_is_of_the_month_that_it_then_tells(void **state)
{
	struct quota *q = quota_open(folder);

	(void)state;
	quota_add(q, "wwan0", 5, 20);
	assert_string_equal(quota_month(q, "wwan0", 20), "");
	assert_true(quota_used(q, "wwan0", at(2026, 11, 3)) == 5);
	assert_string_equal(quota_month(q, "wwan0", at(2026, 11, 3)), "2026-11");
	quota_close(q);
}

static void a_clock_that_jumps_ahead_and_back_hides_nothing(void **state)
{
	struct quota *q = quota_open(folder);

	(void)state;
	quota_add(q, "wwan0", 1000, at(2026, 11, 3));
	assert_true(quota_used(q, "wwan0", at(2038, 1, 19)) == 0);
	quota_add(q, "wwan0", 30, at(2038, 1, 19));
	quota_close(q); /* in between it was restarted */
	q = quota_open(folder);
	assert_true(quota_used(q, "wwan0", at(2026, 11, 3)) == 1030);
	quota_close(q);
}

static void a_clock_that_goes_back_gives_no_second_quota(void **state)
{
	struct quota *q = quota_open(folder);

	(void)state;
	quota_add(q, "wwan0", 1000, at(2026, 11, 3));
	assert_true(quota_used(q, "wwan0", at(2026, 9, 3)) == 1000);
	quota_add(q, "wwan0", 5, at(2026, 9, 3));
	assert_true(quota_used(q, "wwan0", at(2026, 11, 3)) == 1005);
	quota_close(q);
}

static void a_damaged_line_costs_its_link_only(void **state)
{
	struct quota *q = quota_open(folder);
	char text[512];
	size_t size;
	char *line;
	FILE *f;

	(void)state;
	quota_add(q, "wwan0", 1000, at(2026, 11, 3));
	quota_add(q, "sat0", 7, at(2026, 11, 3));
	quota_close(q);
	f = fopen(file, "r");
	assert_non_null(f);
	size = fread(text, 1, sizeof(text) - 1, f);
	text[size] = 0;
	fclose(f);
	line = strstr(text, " 1000 ");
	assert_non_null(line);
	line[1] = '9';
	put(text, size);
	q = quota_open(folder);
	assert_true(quota_used(q, "wwan0", at(2026, 11, 3)) == 0);
	assert_true(quota_used(q, "sat0", at(2026, 11, 3)) == 7);
	quota_close(q);
}

static void what_is_no_such_file_counts_as_nothing(void **state)
{
	static const struct {
		const char *text;
		size_t size;
	} bad[] = {
		{ "", 0 },
		{ "\0\0\0\0", 4 },
		{ "warp quota 2\nwwan0 24322 5 0 0 00000000\n", 41 },
		{ "warp quota 1\nwwan0 24322 5 0 0\n\nwwan0\n \n%s%n 1 1 1 1 1\n", 53 },
		{ "warp quota 1\nwwan0 24322 5 0 0 00000000\n", 40 },
		{ "warp quota 1\nwwan0 24322 99999999999999999999999 0 0 00000000\n", 62 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct quota *q;

		put(bad[i].text, bad[i].size);
		q = quota_open(folder);
		assert_non_null(q);
		assert_true(quota_used(q, "wwan0", at(2026, 11, 3)) == 0);
		quota_close(q);
	}
}

static void a_file_cut_anywhere_never_tells_more_than_was_counted(void **state)
{
	struct quota *q = quota_open(folder);
	char text[512];
	size_t size;
	FILE *f;

	(void)state;
	quota_add(q, "wwan0", 123456, at(2026, 11, 3));
	quota_close(q);
	f = fopen(file, "r");
	assert_non_null(f);
	size = fread(text, 1, sizeof(text), f);
	fclose(f);
	for (size_t cut = 0; cut < size - 1; cut++) {
		put(text, cut);
		q = quota_open(folder);
		assert_true(quota_used(q, "wwan0", at(2026, 11, 3)) == 0);
		quota_close(q);
	}
}

static void more_links_than_there_is_room_for_forget_the_least(void **state)
{
	struct quota *q = quota_open(folder);

	(void)state;
	for (u32 i = 0; i < QUOTA_LINKS + 3; i++) {
		char name[IFNAME_SIZE];

		snprintf(name, sizeof(name), "ppp%u", i);
		quota_add(q, name, 100 + i, at(2026, 11, 3));
	}
	assert_true(quota_used(q, "ppp0", at(2026, 11, 3)) == 0);
	assert_true(quota_used(q, "ppp66", at(2026, 11, 3)) == 166);
	quota_close(q);
	q = quota_open(folder);
	assert_true(quota_used(q, "ppp66", at(2026, 11, 3)) == 166);
	quota_close(q);
}

/* How often the file was written, and the folder synced behind it, since it was asked last; waits up to
 * wait (ms) for the first. */
static u32 written(int notify, int wait)
{
	struct pollfd ready = { .fd = notify, .events = POLLIN };
	union {
		struct inotify_event first;
		char bytes[4096];
	} events;
	bool moved = false;
	u32 count = 0;

	while (poll(&ready, 1, count ? 0 : wait) > 0) {
		const ssize_t size = read(notify, events.bytes, sizeof(events.bytes));

		assert_true(size > 0);
		for (ssize_t at = 0; at < size;) {
			const struct inotify_event *event = (const void *)(events.bytes + at);

			moved |= (event->mask & IN_MOVED_TO) != 0;
			count += moved && event->mask & IN_CLOSE_NOWRITE ? 1 : 0;
			moved &= !(event->mask & IN_CLOSE_NOWRITE);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
	return count;
}

static void it_is_written_while_it_runs_at_most_once_a_minute(void **state)
{
	const int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct quota *q = quota_open(folder), *other;
	u64 now = 5 * NS_PER_S;

	(void)state;
	assert_true(inotify_add_watch(notify, folder, IN_MOVED_TO | IN_CLOSE_NOWRITE) >= 0);
	quota_add(q, "wwan0", 10, at(2026, 11, 3));
	quota_save(q, now);
	assert_int_equal(written(notify, 10000), 1);
	other = quota_open(folder);
	assert_true(quota_used(other, "wwan0", at(2026, 11, 3)) == 10);
	quota_close(other);
	assert_int_equal(written(notify, 0), 0);
	quota_add(q, "wwan0", 10, at(2026, 11, 3));
	quota_save(q, now + 59 * NS_PER_S);
	quota_add(q, "wwan0", 10, at(2026, 11, 3));
	quota_close(q);
	assert_int_equal(written(notify, 0), 1); /* when it closed */
	close(notify);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(a_restart_keeps_what_was_counted),
		IN_FOLDER(a_month_begins_with_its_first_day),
		IN_FOLDER(a_clock_that_was_never_set_begins_no_month),
		IN_FOLDER(
			what_is_counted_before_the_clock_is_set_is_of_the_month_that_it_then_tells),
		IN_FOLDER(a_clock_that_jumps_ahead_and_back_hides_nothing),
		IN_FOLDER(a_clock_that_goes_back_gives_no_second_quota),
		IN_FOLDER(a_damaged_line_costs_its_link_only),
		IN_FOLDER(what_is_no_such_file_counts_as_nothing),
		IN_FOLDER(a_file_cut_anywhere_never_tells_more_than_was_counted),
		IN_FOLDER(more_links_than_there_is_room_for_forget_the_least),
		IN_FOLDER(it_is_written_while_it_runs_at_most_once_a_minute),
	};

	log_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
