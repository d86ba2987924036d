/* SPDX-License-Identifier: MIT */
/*
 * numbers - sends numbered datagrams to a gate, or receives them and says what became of them.
 *
 *   numbers send TARGET    -n COUNT -r PER-SECOND -s SIZE [-f FIRST] [-a NUMBER] [-b]
 *   numbers receive TARGET -n COUNT [-i IDLE-MS] [-w WAIT-MS] [-m FILE] [-d LATE-MS] [-l]
 *
 * TARGET is udp:127.1.0.1:9000, udp:[::1]:9000, seqpacket:PATH or dgram:PATH. A sender sends there.
 * A receiver of udp: binds there (the gate's gate_to_application), or with -l talks to the gate from a
 * port of its own and says hello to it, so that it is the last local sender; of a Unix socket it is
 * a client of the gate, and says hello to a dgram gate.
 *
 * Each datagram is: magic, number, time of sending (both programs run on one machine, whose monotonic
 * clock they share), and a pattern that depends on the number, so that mixed-up bytes are seen.
 *
 * The receiver ends when all numbers up to COUNT-1 have come and then a tenth of IDLE-MS passed
 * without any; after IDLE-MS (3000) without any; after WAIT-MS (10000) without a first one; or at
 * SIGTERM. It prints `ready`, and at last one line of JSON: received (all), unique, lost, duplicated,
 * reordered, corrupt, first, last, bytes, longest_gap_ms (between two arrivals) with gap_after (the
 * number before it), longest_run_lost (consecutive numbers), first_at_us (wall clock), and delay_us of
 * p50, p99, max, and jitter: by how much the delay of one differs from that of the one before it, on
 * average (what RFC 3550 smooths). -m writes the missing numbers to FILE. -d adds late: how many took
 * longer than LATE-MS.
 * The sender ends after COUNT or at SIGTERM, and prints {"sent", "errors", "blocked_ms"}; with -a also
 * `at NUMBER` when it is there. With -b its send buffer is as small as can be: of datagrams above 2.5 kB it
 * holds one.
 * Exit status: 0; 2 for bad arguments or a target that cannot be reached.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "warp/base.h"

#define MAGIC_NUMBER 0x6e756d62u
#define MAGIC_HELLO 0x68656c6cu
#define SIZE_MAX_PAYLOAD 65536u

struct header {
	u32 magic, number;
	u64 sent_at;
};

struct options {
	bool sender, from_gate, small_buffer;
	const char *target, *missing;
	u32 count, rate, size, first, announce;
	int idle_ms, wait_ms;
	u32 late_ms; /* 0: nothing is late */
};

static u8 packet[SIZE_MAX_PAYLOAD];

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "numbers: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: numbers send|receive TARGET -n COUNT [-r PER-SECOND] [-s SIZE] "
		"[-f FIRST] [-a NUMBER] [-b] [-i IDLE-MS] [-w WAIT-MS] [-m FILE] [-d LATE-MS] [-l]\n");
	exit(2);
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static u64 wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (u64)t.tv_sec * 1000000 + (u64)t.tv_nsec / 1000;
}

static u8 pattern(u32 number, size_t at)
{
	return (u8)(number * 31 + at);
}

static u32 number(const char *text)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!*text || *end || v > UINT32_MAX)
		usage();
	return (u32)v;
}

/* --- sockets ------------------------------------------------------------------------------ */

/* "127.1.0.1:9000" or "[::1]:9000" */
static socklen_t parse_udp(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)ret;
	const char *colon = strrchr(text, ':');
	char host[64] = "";

	if (!colon || colon - text >= (ptrdiff_t)sizeof(host))
		usage();
	memset(ret, 0, sizeof(*ret));
	if (text[0] == '[' && colon[-1] == ']') {
		memcpy(host, text + 1, (size_t)(colon - text - 2));
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((u16)number(colon + 1));
		if (!inet_pton(AF_INET6, host, &in6->sin6_addr))
			usage();
		return sizeof(*in6);
	}
	memcpy(host, text, (size_t)(colon - text));
	in->sin_family = AF_INET;
	in->sin_port = htons((u16)number(colon + 1));
	if (!inet_pton(AF_INET, host, &in->sin_addr))
		usage();
	return sizeof(*in);
}

static void say_hello(int fd)
{
	struct header h = { .magic = MAGIC_HELLO };

	if (send(fd, &h, sizeof(h), 0) < 0)
		die("hello");
}

static int open_udp(const struct options *o, const char *address)
{
	struct sockaddr_storage peer;
	socklen_t length = parse_udp(address, &peer);
	int fd = socket(peer.ss_family, SOCK_DGRAM, 0);
	int big = 8 << 20;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	if (o->sender || o->from_gate) {
		if (connect(fd, (struct sockaddr *)&peer, length))
			die(address);
		if (o->from_gate)
			say_hello(fd);
	} else if (bind(fd, (struct sockaddr *)&peer, length)) {
		die(address);
	}
	return fd;
}

static int open_unix(const struct options *o, int type, const char *path)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX }, gate = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type, 0);

	if (strlen(path) >= sizeof(gate.sun_path))
		usage();
	memcpy(gate.sun_path, path, strlen(path));
	if (type == SOCK_DGRAM) {
		snprintf(own.sun_path, sizeof(own.sun_path), "%.80s.%d", path, (int)getpid());
		unlink(own.sun_path);
		if (bind(fd, (struct sockaddr *)&own, sizeof(own)))
			die(own.sun_path);
	}
	if (connect(fd, (struct sockaddr *)&gate, sizeof(gate)))
		die(path);
	if (type == SOCK_DGRAM && !o->sender)
		say_hello(fd);
	return fd;
}

/* As little as the kernel lets it be. */
static void make_small(int fd)
{
	int least = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)))
		die("SO_SNDBUF");
}

static int open_target(const struct options *o)
{
	if (!strncmp(o->target, "udp:", 4))
		return open_udp(o, o->target + 4);
	if (!strncmp(o->target, "seqpacket:", 10))
		return open_unix(o, SOCK_SEQPACKET, o->target + 10);
	if (!strncmp(o->target, "dgram:", 6))
		return open_unix(o, SOCK_DGRAM, o->target + 6);
	usage();
}

static void forget_name(int fd)
{
	struct sockaddr_un own = { 0 };
	socklen_t length = sizeof(own) - 1;

	if (!getsockname(fd, (struct sockaddr *)&own, &length) && own.sun_family == AF_UNIX &&
	    own.sun_path[0])
		unlink(own.sun_path);
}

/* --- sending ------------------------------------------------------------------------------ */

static void wait_for(u64 when)
{
	struct timespec t = { (time_t)(when / NS_PER_S), (long)(when % NS_PER_S) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int run_sender(const struct options *o, int fd)
{
	u64 begun = now_ns(), blocked = 0;
	u32 sent = 0, errors = 0;

	for (u32 i = 0; i < o->count && !ended; i++) {
		struct header h = { MAGIC_NUMBER, o->first + i, 0 };

		if (o->rate)
			wait_for(begun + (u64)i * NS_PER_S / o->rate);
		for (size_t at = sizeof(h); at < o->size; at++)
			packet[at] = pattern(h.number, at);
		h.sent_at = now_ns();
		memcpy(packet, &h, sizeof(h));
		if (send(fd, packet, o->size, 0) == (ssize_t)o->size)
			sent++;
		else
			errors++;
		blocked += now_ns() - h.sent_at;
		if (o->announce && o->first + i == o->announce) {
			printf("at %u\n", o->announce);
			fflush(stdout);
		}
	}
	printf("{\"sent\": %u, \"errors\": %u, \"blocked_ms\": %.1f, \"took_ms\": %.1f}\n", sent,
	       errors, (double)blocked / 1e6, (double)(now_ns() - begun) / 1e6);
	return 0;
}

/* --- receiving ---------------------------------------------------------------------------- */

struct tally {
	u8 *seen;
	u32 *delay_us;
	u64 received, bytes, corrupt, duplicated, reordered, gap;
	u64 last_at, first_at_us;
	u32 unique, first, last, highest, gap_after;
};

static bool intact(const struct header *h, size_t size)
{
	for (size_t at = sizeof(*h); at < size; at++)
		if (packet[at] != pattern(h->number, at))
			return false;
	return true;
}

static void take(struct tally *t, const struct options *o, size_t size)
{
	struct header h;
	u64 now = now_ns();

	if (size < sizeof(h)) {
		t->corrupt++;
		return;
	}
	memcpy(&h, packet, sizeof(h));
	if (h.magic == MAGIC_HELLO)
		return;
	if (h.magic != MAGIC_NUMBER || h.number >= o->count || !intact(&h, size)) {
		t->corrupt++;
		return;
	}
	t->received++;
	t->bytes += size;
	if (t->last_at && now - t->last_at > t->gap) {
		t->gap = now - t->last_at;
		t->gap_after = t->last;
	}
	t->last_at = now;
	if (t->unique && h.number < t->highest)
		t->reordered++;
	if (!t->unique) {
		t->first = h.number;
		t->first_at_us = wall_us();
	}
	if (h.number > t->highest)
		t->highest = h.number;
	t->last = h.number;
	if (t->seen[h.number]++) {
		t->duplicated++;
		return;
	}
	t->delay_us[t->unique++] = (u32)((now - h.sent_at) / NS_PER_US);
}

static int by_value(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return (x > y) - (x < y);
}

/* Writes the numbers that never came, returns the longest run of them. */
static u32 missing(const struct tally *t, const struct options *o)
{
	FILE *f = o->missing ? fopen(o->missing, "w") : NULL;
	u32 run = 0, longest = 0;

	for (u32 i = o->first; i < o->count; i++) {
		run = t->seen[i] ? 0 : run + 1;
		if (run > longest)
			longest = run;
		if (f && run)
			fprintf(f, "%u\n", i);
	}
	if (f)
		fclose(f);
	return longest;
}

/* Of the delays, in order. */
static u32 late(const struct tally *t, const struct options *o)
{
	u32 count = 0;

	while (o->late_ms && count < t->unique &&
	       t->delay_us[t->unique - 1 - count] > o->late_ms * 1000)
		count++;
	return count;
}

/* Of the delays, as they came; microseconds. */
static u32 jitter(const struct tally *t)
{
	u64 sum = 0;

	for (u32 i = 1; i < t->unique; i++) {
		u32 a = t->delay_us[i - 1], b = t->delay_us[i];

		sum += a > b ? a - b : b - a;
	}
	return t->unique > 1 ? (u32)(sum / (t->unique - 1)) : 0;
}

static void report(struct tally *t, const struct options *o)
{
	u32 n = t->unique, jittered = jitter(t);

	qsort(t->delay_us, n, sizeof(*t->delay_us), by_value);
	printf("{\"received\": %" PRIu64 ", \"unique\": %u, \"lost\": %u, \"duplicated\": %" PRIu64
	       ", \"reordered\": %" PRIu64 ", \"corrupt\": %" PRIu64
	       ", \"first\": %u, \"last\": %u, \"bytes\": %" PRIu64
	       ", \"longest_gap_ms\": %.2f, \"gap_after\": %u, \"longest_run_lost\": %u, \"first_at_us\": %" PRIu64
	       ", \"late\": %u, \"delay_us\": {\"p50\": %u, \"p99\": %u, \"max\": %u, \"jitter\": %u}}\n",
	       t->received, n, o->count - o->first - n, t->duplicated, t->reordered, t->corrupt,
	       t->first, t->last, t->bytes, (double)t->gap / 1e6, t->gap_after, missing(t, o),
	       t->first_at_us, late(t, o), n ? t->delay_us[n / 2] : 0,
	       n ? t->delay_us[(u64)n * 99 / 100] : 0, n ? t->delay_us[n - 1] : 0, jittered);
}

static int run_receiver(const struct options *o, int fd)
{
	struct tally t = { .seen = calloc(o->count, 1), .delay_us = calloc(o->count, sizeof(u32)) };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (!t.seen || !t.delay_us)
		die("memory");
	puts("ready");
	fflush(stdout);
	for (;;) {
		bool all = t.unique == o->count - o->first;
		int patience = !t.received ? o->wait_ms : all ? o->idle_ms / 10 : o->idle_ms;
		ssize_t size;

		/* What is here when it is told to end has arrived. */
		if (poll(&p, 1, ended ? 0 : patience) <= 0 && !ended)
			break;
		if (ended && !(p.revents & POLLIN))
			break;
		size = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
		if (size > 0)
			take(&t, o, (size_t)size);
		else if (size == 0 || (errno != EAGAIN && errno != ECONNREFUSED))
			break;
	}
	report(&t, o);
	free(t.seen);
	free(t.delay_us);
	return 0;
}

static void parse(struct options *o, int argc, char **argv)
{
	int c;

	if (argc < 3)
		usage();
	o->sender = !strcmp(argv[1], "send");
	if (!o->sender && strcmp(argv[1], "receive") != 0)
		usage();
	o->target = argv[2];
	optind = 3;
	while ((c = getopt(argc, argv, "n:r:s:f:a:i:w:m:d:lb")) != -1) {
		switch (c) {
		case 'n':
			o->count = number(optarg);
			break;
		case 'r':
			o->rate = number(optarg);
			break;
		case 's':
			o->size = number(optarg);
			break;
		case 'f':
			o->first = number(optarg);
			break;
		case 'a':
			o->announce = number(optarg);
			break;
		case 'i':
			o->idle_ms = (int)number(optarg);
			break;
		case 'w':
			o->wait_ms = (int)number(optarg);
			break;
		case 'm':
			o->missing = optarg;
			break;
		case 'd':
			o->late_ms = number(optarg);
			break;
		case 'b':
			o->small_buffer = true;
			break;
		case 'l':
			o->from_gate = true;
			break;
		default:
			usage();
		}
	}
	if (!o->count || o->size < sizeof(struct header) || o->size > SIZE_MAX_PAYLOAD)
		usage();
}

int main(int argc, char **argv)
{
	struct options o = { .size = 200, .idle_ms = 3000, .wait_ms = 10000 };
	struct sigaction end = { .sa_handler = on_signal };
	int fd;

	parse(&o, argc, argv);
	fd = open_target(&o);
	if (o.small_buffer)
		make_small(fd);
	sigaction(SIGTERM, &end, NULL);
	if (o.sender)
		run_sender(&o, fd);
	else
		run_receiver(&o, fd);
	forget_name(fd);
	close(fd);
	return 0;
}
