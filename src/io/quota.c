/* SPDX-License-Identifier: MIT */
/*
 * quota.c - see quota.h.
 *
 * The file has one line for each interface: its name, two months with the bytes of each (the counted
 * one and the one before), and a checksum. It is written to another name, synced, and renamed, by a
 * thread that lives for just that: a slow flash memory must not hold up packets.
 */
#include "warp/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "warp/log.h"

#define FIRST_LINE "warp quota 1"
#define LINE_MOST 160u
#define FILE_MOST ((QUOTA_LINKS + 1) * LINE_MOST)
#define PATH_MOST 4096u
#define SAVE_INTERVAL (60 * NS_PER_S)
#define EARLIEST (2020 * 12) /* a clock that tells of an earlier month was never set */

/* year * 12 + month from 0; 0: unknown. */
struct counted {
	int month;
	u64 bytes;
};

struct entry {
	char name[IFNAME_SIZE]; /* "": free */
	struct counted now, before;
};

/* The thread's; text is written to path. */
struct writer {
	pthread_t thread;
	bool started;
	atomic_bool done;
	char path[PATH_MOST], next[PATH_MOST], directory[PATH_MOST];
	char text[FILE_MOST];
	size_t size;
	int error;
};

struct quota {
	struct entry entries[QUOTA_LINKS];
	bool changed;
	u64 saved_at;
	char month[16];
	struct writer writer;
};

/* --- months ------------------------------------------------------------------------------- */

static int month_of(time_t wall)
{
	struct tm tm;
	int month;

	if (!localtime_r(&wall, &tm))
		return 0;
	month = (tm.tm_year + 1900) * 12 + tm.tm_mon;
	return month >= EARLIEST ? month : 0;
}

/* The clock says that it is this month: which one is counted from now on? */
static void turn(struct entry *e, int month)
{
	const struct counted now = e->now;

	if (month == 0 || month == now.month)
		return;
	if (now.month == 0) { /* what was counted without a clock was of this month */
		e->now.month = month;
	} else if (month > now.month) {
		e->before = now;
		e->now = (struct counted){ .month = month };
	} else if (month == e->before.month) { /* the month that it was before was a mistake */
		e->now = (struct counted){ month, e->before.bytes + now.bytes };
		e->before = (struct counted){ 0 };
	}
}

/* --- entries ------------------------------------------------------------------------------ */

static struct entry *find(struct quota *q, const char *ifname)
{
	for (u32 i = 0; i < QUOTA_LINKS; i++) {
		if (q->entries[i].name[0] && !strcmp(q->entries[i].name, ifname))
			return &q->entries[i];
	}
	return NULL;
}

/* A free one, or the one that has least to tell. */
static struct entry *make(struct quota *q, const char *ifname)
{
	struct entry *ret = &q->entries[0];

	for (u32 i = 0; i < QUOTA_LINKS && ret->name[0]; i++) {
		struct entry *e = &q->entries[i];

		if (!e->name[0] || e->now.month < ret->now.month ||
		    (e->now.month == ret->now.month && e->now.bytes < ret->now.bytes))
			ret = e;
	}
	*ret = (struct entry){ 0 };
	snprintf(ret->name, sizeof(ret->name), "%s", ifname);
	return ret;
}

void quota_add(struct quota *q, const char *ifname, u64 bytes, time_t wall)
{
	struct entry *e = find(q, ifname);

	if (!e)
		e = make(q, ifname);
	turn(e, month_of(wall));
	if (bytes > UINT64_MAX / 2 - e->now.bytes)
		bytes = 0;
	e->now.bytes += bytes;
	q->changed |= bytes != 0;
}

u64 quota_used(struct quota *q, const char *ifname, time_t wall)
{
	struct entry *e = find(q, ifname);

	if (!e)
		return 0;
	turn(e, month_of(wall));
	return e->now.bytes;
}

const char *quota_month(struct quota *q, const char *ifname, time_t wall)
{
	struct entry *e = find(q, ifname);
	int month = month_of(wall);

	if (e) {
		turn(e, month);
		month = e->now.month;
	}
	q->month[0] = 0;
	if (month)
		snprintf(q->month, sizeof(q->month), "%04d-%02d", month / 12 % 10000,
			 month % 12 + 1);
	return q->month;
}

/* --- the file's text ---------------------------------------------------------------------- */

/* FNV-1a: against a torn or rotten line, not against people. */
static u32 checksum(const char *text, size_t size)
{
	u32 sum = 2166136261u;

	for (size_t i = 0; i < size; i++)
		sum = (sum ^ (u8)text[i]) * 16777619u;
	return sum;
}

static size_t format(const struct quota *q, char ret[static FILE_MOST])
{
	size_t at = (size_t)sprintf(ret, FIRST_LINE "\n");

	for (u32 i = 0; i < QUOTA_LINKS; i++) {
		const struct entry *e = &q->entries[i];
		int size;

		if (!e->name[0])
			continue;
		size = snprintf(ret + at, LINE_MOST, "%s %d %" PRIu64 " %d %" PRIu64, e->name,
				e->now.month, e->now.bytes, e->before.month, e->before.bytes);
		at += (size_t)size + (size_t)sprintf(ret + at + size, " %08" PRIx32 "\n",
						     checksum(ret + at, (size_t)size));
	}
	return at;
}

static void take_counted(const char **at, struct counted *ret)
{
	char *end;
	long month = strtol(*at, &end, 10);

	ret->month = month < 0 || month > INT_MAX ? -1 : (int)month;
	ret->bytes = strtoull(end, &end, 10);
	*at = end;
}

/* One line without its end. It must be what these values are written as. */
static bool parse_line(const char *line, struct entry *ret)
{
	const char *sum = strrchr(line, ' '), *at = strchr(line, ' ');
	char again[LINE_MOST];
	struct entry e = { 0 };

	if (!sum || at == line || at - line >= IFNAME_SIZE)
		return false;
	memcpy(e.name, line, (size_t)(at - line));
	take_counted(&at, &e.now);
	take_counted(&at, &e.before);
	snprintf(again, sizeof(again), "%s %d %" PRIu64 " %d %" PRIu64 " %08" PRIx32, e.name,
		 e.now.month, e.now.bytes, e.before.month, e.before.bytes,
		 checksum(line, (size_t)(sum - line)));
	if (strcmp(line, again) != 0 || e.now.month < 0 || e.before.month < 0)
		return false;
	*ret = e;
	return true;
}

static void parse(struct quota *q, char *text)
{
	const char *path = q->writer.path;
	char *line = strsep(&text, "\n");
	u32 count = 0, number = 1;

	if (strcmp(line, FIRST_LINE) != 0) {
		log_warnx("%s is damaged: data volumes are counted from zero", path);
		return;
	}
	while ((line = strsep(&text, "\n")) != NULL) {
		number++;
		if (!*line)
			continue;
		if (count == QUOTA_LINKS || !parse_line(line, &q->entries[count]))
			log_warnx("%s: line %u is damaged: the data volume of %.*s is counted from "
				  "zero",
				  path, number,
				  (int)strspn(line, "abcdefghijklmnopqrstuvwxyz"
						    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						    "0123456789._-"),
				  line);
		else
			count++;
	}
}

static void read_file(struct quota *q)
{
	char text[FILE_MOST + 1];
	int fd = open(q->writer.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t size;

	if (fd < 0) {
		if (errno != ENOENT)
			log_warn("%s: data volumes are counted from zero", q->writer.path);
		return;
	}
	size = read(fd, text, sizeof(text) - 1);
	if (size < 0)
		log_warn("%s: data volumes are counted from zero", q->writer.path);
	close(fd);
	if (size < 0)
		return;
	text[size] = 0;
	if (strlen(text) != (size_t)size) /* blocks that were never written */
		log_warnx("%s is damaged: what is missing is counted from zero", q->writer.path);
	parse(q, text);
}

/* --- writing ------------------------------------------------------------------------------ */

static int write_all(int fd, const char *text, size_t size)
{
	while (size) {
		ssize_t written = write(fd, text, size);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			text += written;
			size -= (size_t)written;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static void sync_directory(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	fsync(fd);
	close(fd);
}

/* The whole file, or the one that was there before. */
static int write_file(const struct writer *w)
{
	int fd = open(w->next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int error;

	if (fd < 0)
		return -errno;
	error = write_all(fd, w->text, w->size);
	close(fd);
	if (!error && rename(w->next, w->path) < 0)
		error = -errno;
	if (error)
		unlink(w->next);
	else
		sync_directory(w->directory);
	return error;
}

static void *write_thread(void *arg)
{
	struct writer *w = arg;

	w->error = write_file(w);
	atomic_store(&w->done, true);
	return NULL;
}

static void told(struct quota *q)
{
	if (q->writer.error) {
		log_warnx("%s cannot be written: %s; data volumes are lost with a restart",
			  q->writer.path, strerror(-q->writer.error));
		q->changed = true;
	}
}

static void finish(struct quota *q)
{
	if (!q->writer.started)
		return;
	pthread_join(q->writer.thread, NULL);
	q->writer.started = false;
	told(q);
}

void quota_save(struct quota *q, u64 now)
{
	struct writer *w = &q->writer;

	if (w->started && atomic_load(&w->done))
		finish(q);
	if (w->started || !q->changed || (q->saved_at && now < q->saved_at + SAVE_INTERVAL))
		return;
	q->saved_at = now;
	q->changed = false;
	w->size = format(q, w->text);
	atomic_store(&w->done, false);
	w->started = pthread_create(&w->thread, NULL, write_thread, w) == 0;
	if (!w->started)
		q->changed = true;
}

/* --- beginning and end -------------------------------------------------------------------- */

struct quota *quota_open(const char *directory)
{
	struct quota *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	snprintf(q->writer.directory, PATH_MOST, "%s", directory);
	if (snprintf(q->writer.path, PATH_MOST, "%s/" QUOTA_FILE, directory) >= (int)PATH_MOST ||
	    snprintf(q->writer.next, PATH_MOST, "%s/" QUOTA_FILE ".new", directory) >=
		    (int)PATH_MOST) {
		log_warnx("the path of the state directory is too long");
		q->writer.path[0] = 0;
	}
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		log_warn("%s cannot be made: data volumes are lost with a restart", directory);
	else
		read_file(q);
	return q;
}

void quota_close(struct quota *q)
{
	if (!q)
		return;
	finish(q);
	if (q->changed) {
		q->writer.size = format(q, q->writer.text);
		q->writer.error = write_file(&q->writer);
		told(q);
	}
	free(q);
}
