/* SPDX-License-Identifier: MIT */
/*
 * blast - offers datagrams between two network namespaces at a rate, and says how many arrive.
 *
 *   blast rate   NS-A NS-B ADDRESSES -s SIZE -t MS -r PER-SECOND
 *   blast ladder NS-A NS-B ADDRESSES -s SIZE -t MS [-r PER-SECOND]
 *   blast rtt    NS-A NS-B ADDRESSES -s SIZE -n COUNT -i US
 *
 * NS-A and NS-B are files such as /run/netns/name. ADDRESSES are four IPv4 ones, with ports: -a where
 * the socket in A is bound, -b the one in B, -d where A sends, -e where B answers (rtt). For a routed
 * tunnel -d is what B is bound to; for warp's loopback gates it is A's own gate.
 *
 * One process with a thread for each end, so that a step needs no script to begin or to end. The sender
 * wakes up every 100 us, sends what has become due with one sendmmsg(), and never makes good more than
 * 10 ms in which it was not let run: what it offered is what it says, which may be less than asked.
 * A step's goodput is the number that came, over the time from the first to the last of them, or that of
 * sending if it was longer. A step ends when nothing has come for a while; its datagrams carry its
 * number, so that none counts in the next one.
 *
 * A ladder goes up by half from PER-SECOND (25000) until two steps in a row brought nothing more than the
 * best before, or could not be offered. The best is run again; the mean of both is the peak. Then twice
 * and four times the peak are offered. Output is one line of JSON:
 *   {"steps": [[asked, offered, came], ...], "peak", "lossless" (highest with less than 1 % lost),
 *    "overload2", "overload4" (what came), "offered2", "offered4"}, all datagrams a second;
 *   rate: {"asked", "offered", "came"}; rtt: {"sent", "lost", "p50", "p99", "max"} in us.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "warp/base.h"

#define PAYLOAD_MAX 2048u
#define BURST 64u                 /* datagrams a system call */
#define SLOT (100 * NS_PER_US)    /* between two looks at what is due */
#define FORGIVEN (10 * NS_PER_MS) /* the longest time that is made good */
#define QUIET (150 * NS_PER_MS)   /* a step has ended when nothing came for this long */
#define DRAIN (2 * NS_PER_S)      /* and is ended after this time at the latest */
#define ANSWER_WAIT_MS 300
#define LADDER_START 25000.0
#define LADDER_FACTOR 1.5
#define LADDER_STEPS 24u
#define BETTER 1.03 /* less than this above the best is no step forward */

struct options {
	const char *mode, *ns_a, *ns_b;
	struct sockaddr_in bind_a, bind_b, to_b, to_a;
	double rate;
	u32 size, count, interval_us;
	u64 duration;
};

struct header {
	u32 step, number;
	u64 stamp;
};

/* What the thread in B counts, of the step that runs. */
struct sink {
	int fd;
	struct sockaddr_in answer_to;
	_Atomic u32 step;
	_Atomic u64 came, first, last;
};

struct step {
	double asked, offered, came;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "blast: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: blast rate|ladder|rtt NS-A NS-B -a BIND-A -b BIND-B -d TO-B [-e TO-A] "
		"[-s SIZE] [-t MS] [-r PER-SECOND] [-n COUNT] [-i US]\n");
	exit(2);
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static void sleep_until(u64 when)
{
	struct timespec t = { (time_t)(when / NS_PER_S), (long)(when % NS_PER_S) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* --- sockets ------------------------------------------------------------------------------ */

static struct sockaddr_in address(const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	const char *colon = strchr(text, ':');
	char host[INET_ADDRSTRLEN] = "";

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		usage();
	memcpy(host, text, (size_t)(colon - text));
	a.sin_port = htons((u16)strtoul(colon + 1, NULL, 10));
	if (!inet_pton(AF_INET, host, &a.sin_addr) || !a.sin_port)
		usage();
	return a;
}

/* A socket of the namespace, in which this thread then stays. Its buffers are so large that it is
 * not they who decide. */
static int open_in(const char *ns, const struct sockaddr_in *local)
{
	int fd = open(ns, O_RDONLY | O_CLOEXEC), large = 16 << 20;

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(ns);
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof(large));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof(large));
	if (fd < 0 || bind(fd, (const struct sockaddr *)local, sizeof(*local)))
		die("bind");
	return fd;
}

/* --- B ------------------------------------------------------------------------------------ */

static void count(struct sink *s, const struct mmsghdr *m, unsigned int n)
{
	u32 step = atomic_load(&s->step);
	u64 fresh = 0, now = now_ns();
	struct header h;

	for (unsigned int i = 0; i < n; i++) {
		if (m[i].msg_len < sizeof(h))
			continue;
		memcpy(&h, m[i].msg_hdr.msg_iov->iov_base, sizeof(h));
		fresh += h.step == step;
	}
	if (!fresh)
		return;
	if (!atomic_load(&s->first))
		atomic_store(&s->first, now);
	atomic_store(&s->last, now);
	atomic_fetch_add(&s->came, fresh);
}

static void *run_sink(void *context)
{
	static u8 bytes[BURST][PAYLOAD_MAX];
	struct sink *s = context;
	struct iovec iov[BURST];
	struct mmsghdr m[BURST];

	memset(m, 0, sizeof(m));
	for (u32 i = 0; i < BURST; i++) {
		iov[i] = (struct iovec){ bytes[i], PAYLOAD_MAX };
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;) {
		int n = recvmmsg(s->fd, m, BURST, MSG_WAITFORONE, NULL);

		if (n > 0)
			count(s, m, (unsigned int)n);
	}
	return NULL;
}

static void *run_echo(void *context)
{
	const struct sink *s = context;
	u8 bytes[PAYLOAD_MAX];

	for (;;) {
		ssize_t n = recv(s->fd, bytes, sizeof(bytes), 0);

		if (n > 0)
			sendto(s->fd, bytes, (size_t)n, 0, (const struct sockaddr *)&s->answer_to,
			       sizeof(s->answer_to));
	}
	return NULL;
}

/* --- A: steps of an offered load ----------------------------------------------------------- */

/* Sends n copies; how many the kernel took. One that refuses all of them is asked again later. */
static u32 send_burst(int fd, const u8 *payload, u32 size, u32 n)
{
	struct iovec iov = { (void *)payload, size };
	struct mmsghdr m[BURST];
	int sent;

	memset(m, 0, n * sizeof(*m));
	for (u32 i = 0; i < n; i++) {
		m[i].msg_hdr.msg_iov = &iov;
		m[i].msg_hdr.msg_iovlen = 1;
	}
	sent = sendmmsg(fd, m, n, 0);
	return sent > 0 ? (u32)sent : 0;
}

/* Sends at a rate; returns how many, and in *ret_took how long that took. */
static u64 offer(const struct options *o, int fd, u32 step, double rate, u64 *ret_took)
{
	u8 payload[PAYLOAD_MAX] = { 0 };
	struct header h = { .step = step };
	u64 begun = now_ns(), now = begun, sent = 0, last = begun;
	double due = 0;

	memcpy(payload, &h, sizeof(h));
	while (now - begun < o->duration) {
		u64 passed = now - last < FORGIVEN ? now - last : FORGIVEN;

		due += rate * (double)passed / 1e9;
		last = now;
		while (due >= 1) {
			u32 n = due < BURST ? (u32)due : BURST;

			sent += send_burst(fd, payload, o->size, n);
			due -= n;
			if (now_ns() - begun >= o->duration)
				break;
		}
		if (now_ns() < last + SLOT)
			sleep_until(last + SLOT);
		now = now_ns();
	}
	*ret_took = now_ns() - begun;
	return sent;
}

static void drain(const struct sink *s)
{
	u64 begun = now_ns(), seen = UINT64_MAX, quiet_since = begun;

	while (now_ns() - begun < DRAIN && now_ns() - quiet_since < QUIET) {
		u64 came = atomic_load(&s->came);

		if (came != seen)
			quiet_since = now_ns();
		seen = came;
		sleep_until(now_ns() + 10 * NS_PER_MS);
	}
}

static struct step run_step(const struct options *o, struct sink *s, int fd, double rate)
{
	struct step r = { .asked = rate };
	u64 took, span;
	double sent;

	atomic_store(&s->came, 0);
	atomic_store(&s->first, 0);
	atomic_store(&s->last, 0);
	atomic_fetch_add(&s->step, 1);
	sent = (double)offer(o, fd, atomic_load(&s->step), rate, &took);
	drain(s);
	span = atomic_load(&s->last) - atomic_load(&s->first);
	if (span < took)
		span = took;
	r.offered = sent * 1e9 / (double)took;
	r.came = (double)atomic_load(&s->came) * 1e9 / (double)span;
	return r;
}

static void run_ladder(const struct options *o, struct sink *s, int fd)
{
	struct step best = { 0 }, again, two, four;
	double lossless = 0, peak, rate = o->rate > 0 ? o->rate : LADDER_START;
	u32 failures = 0;

	printf("{\"steps\": [");
	for (u32 i = 0; i < LADDER_STEPS && failures < 2; i++) {
		struct step r = run_step(o, s, fd, rate);

		printf("%s[%.0f, %.0f, %.0f]", i ? ", " : "", r.asked, r.offered, r.came);
		if (r.came >= 0.99 * r.offered && r.came > lossless)
			lossless = r.came;
		failures = r.came < BETTER * best.came || r.offered < 0.7 * r.asked ? failures + 1 :
										      0;
		if (r.came > best.came)
			best = r;
		rate *= LADDER_FACTOR;
	}
	again = run_step(o, s, fd, best.offered);
	peak = (best.came + again.came) / 2;
	two = run_step(o, s, fd, 2 * peak);
	four = run_step(o, s, fd, 4 * peak);
	printf("], \"peak\": %.0f, \"lossless\": %.0f, \"overload2\": %.0f, \"overload4\": %.0f, "
	       "\"offered2\": %.0f, \"offered4\": %.0f}\n",
	       peak, lossless, two.came, four.came, two.offered, four.offered);
}

/* --- A: round trips ------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One question, and its answer: microseconds, or -1. Late answers to earlier ones are passed over. */
static double ask(int fd, u32 size, u32 number)
{
	u8 payload[PAYLOAD_MAX] = { 0 };
	struct header h = { .number = number, .stamp = now_ns() }, r;
	u64 begun = h.stamp;

	memcpy(payload, &h, sizeof(h));
	if (send(fd, payload, size, 0) < 0)
		return -1;
	while (recv(fd, payload, sizeof(payload), 0) >= (ssize_t)sizeof(r)) {
		memcpy(&r, payload, sizeof(r));
		if (r.number == number)
			return (double)(now_ns() - begun) / 1e3;
	}
	return -1;
}

static void run_rtt(const struct options *o, int fd)
{
	struct timeval wait = { .tv_usec = ANSWER_WAIT_MS * 1000 };
	double *us = calloc(o->count, sizeof(*us));
	u32 n = 0;

	if (!us)
		die("memory");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	for (u32 i = 0; i < o->count; i++) {
		u64 begun = now_ns();
		double took = ask(fd, o->size, i + 1);

		if (took >= 0)
			us[n++] = took;
		sleep_until(begun + o->interval_us * NS_PER_US);
	}
	qsort(us, n, sizeof(*us), by_value);
	printf("{\"sent\": %u, \"lost\": %u, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}\n",
	       o->count, o->count - n, n ? us[n / 2] : 0, n ? us[(u64)n * 99 / 100] : 0,
	       n ? us[n - 1] : 0);
	free(us);
}

/* --- arguments ----------------------------------------------------------------------------- */

static u32 number(const char *text, u32 most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!*text || *end || v > most)
		usage();
	return (u32)v;
}

static void parse_option(struct options *o, int option)
{
	switch (option) {
	case 'a':
		o->bind_a = address(optarg);
		break;
	case 'b':
		o->bind_b = address(optarg);
		break;
	case 'd':
		o->to_b = address(optarg);
		break;
	case 'e':
		o->to_a = address(optarg);
		break;
	case 's':
		o->size = number(optarg, PAYLOAD_MAX);
		break;
	case 't':
		o->duration = number(optarg, 3600000) * NS_PER_MS;
		break;
	case 'r':
		o->rate = number(optarg, 100000000);
		break;
	case 'n':
		o->count = number(optarg, 1000000);
		break;
	case 'i':
		o->interval_us = number(optarg, 10000000);
		break;
	default:
		usage();
	}
}

static void parse(struct options *o, int argc, char **argv)
{
	int option;

	if (argc < 4)
		usage();
	o->mode = argv[1];
	o->ns_a = argv[2];
	o->ns_b = argv[3];
	optind = 4;
	while ((option = getopt(argc, argv, "a:b:d:e:s:t:r:n:i:")) != -1)
		parse_option(o, option);
	if (optind != argc || !o->bind_a.sin_port || !o->bind_b.sin_port || !o->to_b.sin_port ||
	    o->size < sizeof(struct header))
		usage();
}

int main(int argc, char **argv)
{
	struct options o = { .size = 200, .duration = NS_PER_S, .count = 400, .interval_us = 5000 };
	struct sink sink = { 0 };
	bool rtt;
	pthread_t thread;
	int fd;

	parse(&o, argc, argv);
	rtt = !strcmp(o.mode, "rtt");
	if (rtt ? !o.to_a.sin_port : strcmp(o.mode, "rate") != 0 && strcmp(o.mode, "ladder") != 0)
		usage();
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	sink.answer_to = o.to_a;
	sink.fd = open_in(o.ns_b, &o.bind_b);
	fd = open_in(o.ns_a, &o.bind_a);
	if (connect(fd, (const struct sockaddr *)&o.to_b, sizeof(o.to_b)))
		die("connect");
	if (pthread_create(&thread, NULL, rtt ? run_echo : run_sink, &sink))
		die("thread");
	if (rtt) {
		run_rtt(&o, fd);
	} else if (!strcmp(o.mode, "ladder")) {
		run_ladder(&o, &sink, fd);
	} else {
		struct step r = run_step(&o, &sink, fd, o.rate);

		printf("{\"asked\": %.0f, \"offered\": %.0f, \"came\": %.0f}\n", r.asked, r.offered,
		       r.came);
	}
	/* The thread in B, which only waits, ends with the process. */
	fflush(stdout);
	_exit(0);
}
