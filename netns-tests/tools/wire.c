/* SPDX-License-Identifier: MIT */
/*
 * wire - a cable between two network namespaces that is as bad as it is told to be.
 *
 *   wire join NS-A:IFNAME NS-B:IFNAME -c SOCKET [-s SEED] [-q PACKETS] [-n] [-p] [COMMAND...]
 *   wire tell SOCKET COMMAND
 *
 * NS-A and NS-B are files such as /run/netns/name; in each, an interface IFNAME is made (a TAP one; with
 * -n a TUN one, without Ethernet headers) and lives as long as the program does. What goes into one comes
 * out of the other, after what include/warp/impair_text.h lets happen to it, in each direction by
 * itself. Commands are:
 *
 *   a-to-b TEXT, b-to-a TEXT, both TEXT    changes what TEXT says: `both delay 20ms`, `a-to-b loss 5%`
 *   unplug, plug                           both interfaces lose their carrier, and have it again
 *   stats                                  one line of JSON
 *   reset                                  counters from 0
 *
 * `join` runs the COMMANDs it was given, prints `ready`, then takes more from SOCKET until it is ended.
 * `tell` sends one and prints the answer. A rate counts the bytes of whole frames. At most PACKETS (16384)
 * are under way in each direction. The same SEED (1) and frames have the same fate.
 *
 * -p: with real-time priority, and looking at the clock instead of sleeping for the last SPIN before
 * a frame is due: frames are then microseconds late, without it up to some hundreds.
 * Exit status: 0; 1 when a command was refused; 2 for bad arguments or what cannot be set up.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "warp/impair.h"
#include "warp/impair_text.h"
#include "warp/memory.h"

#define FRAME 10240u /* more than a jumbo frame */
#define AT_ONCE 64u  /* frames read before the other side gets its turn */
#define PACKETS 16384u
#define PACKETS_MAX 1000000u
#define SPIN (30 * NS_PER_US)
#define LINE 512u
#define ANSWER 4096u

struct frame {
	struct frame *next; /* that is free too */
	u32 refs, size;
	u8 bytes[FRAME];
};

/* One direction. Frames that nobody needed yet have no memory. */
struct lane {
	const char *name;
	struct impair *link;
	struct frame *frames, *free;
	u64 packets, used;
	u64 refused; /* by the interface that they come out of */
	u64 late, late_most;
};

struct wire {
	int tap[2];
	struct lane lane[2]; /* [i]: what is read from tap[i] */
	int control;
	const char *path;
	bool real_time, tun;
};

static volatile sig_atomic_t ended;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: wire join NS-A:IFNAME NS-B:IFNAME -c SOCKET [-s SEED] [-q PACKETS] [-n] [-p] "
		"[COMMAND...]\n"
		"       wire tell SOCKET COMMAND\n");
	exit(2);
}

/* --- frames ------------------------------------------------------------------------------- */

static void lane_open(struct lane *l, const char *name, u32 packets, u64 seed)
{
	struct impair_config nothing = { 0 };

	l->name = name;
	l->packets = packets;
	/* One more: the one that is being read. */
	l->frames = mmap(NULL, (packets + 1) * sizeof(*l->frames), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (l->frames == MAP_FAILED || impair_create(&l->link, &system_allocator, packets, seed))
		die("memory");
	impair_configure(l->link, &nothing);
}

/* The most recently used one, as it is warm. There is always one: the link has packets at most. */
static struct frame *frame_get(struct lane *l)
{
	struct frame *f = l->free;

	if (!f)
		return &l->frames[l->used++];
	l->free = f->next;
	return f;
}

static void frame_put(struct lane *l, struct frame *f)
{
	f->next = l->free;
	l->free = f;
}

/* What waits at an interface goes onto the link; true: there may be more. */
static bool take_in(struct lane *l, int fd)
{
	for (u32 i = 0; i < AT_ONCE; i++) {
		struct frame *f = frame_get(l);
		ssize_t size = read(fd, f->bytes, FRAME);

		f->size = size > 0 ? (u32)size : 0;
		f->refs = f->size ? impair_push(l->link, clock_now(), f, f->size) : 0;
		if (!f->refs)
			frame_put(l, f);
		if (size <= 0)
			return false;
	}
	return true;
}

static void flip(struct frame *f, u32 bit)
{
	if (bit != IMPAIR_INTACT)
		f->bytes[bit / 8] ^= (u8)(1u << bit % 8);
}

/* What has arrived comes out. */
static void let_out(struct lane *l, int fd)
{
	struct impaired p;
	u64 late;

	while (impair_pop(l->link, clock_now(), &p)) {
		struct frame *f = p.packet;

		flip(f, p.flip);
		l->refused += write(fd, f->bytes, f->size) != (ssize_t)f->size;
		flip(f, p.flip); /* a copy of it may still be to come */
		late = clock_now() - p.due;
		l->late += late;
		l->late_most = late > l->late_most ? late : l->late_most;
		if (!--f->refs)
			frame_put(l, f);
	}
}

/* --- commands ----------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void add(char answer[static ANSWER],
						      const char *format, ...)
{
	size_t length = strlen(answer);
	va_list args;

	va_start(args, format);
	vsnprintf(answer + length, ANSWER - length, format, args);
	va_end(args);
}

static void add_stats(const struct lane *l, char answer[static ANSWER])
{
	const struct impair_stats *s = impair_stats(l->link);
	char text[IMPAIR_TEXT];

	add(answer,
	    "\"%s\": {\"impair\": \"%s\", \"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
	    ", \"passed\": %" PRIu64 ", \"under_way\": %u, \"refused\": %" PRIu64 ", ",
	    l->name, impair_format(text, impair_config(l->link)), s->packets, s->bytes, s->passed,
	    impair_under_way(l->link), l->refused);
	add(answer,
	    "\"dropped\": {\"loss\": %" PRIu64 ", \"burst\": %" PRIu64 ", \"queue\": %" PRIu64
	    ", \"down\": %" PRIu64 ", \"no_room\": %" PRIu64 "}, ",
	    s->lost, s->lost_in_burst, s->queue_full, s->down, s->no_room);
	add(answer,
	    "\"reordered\": %" PRIu64 ", \"duplicated\": %" PRIu64 ", \"corrupted\": %" PRIu64
	    ", \"late_us\": {\"mean\": %.1f, \"max\": %.1f}}",
	    s->reordered, s->duplicated, s->corrupted,
	    s->passed ? (double)l->late / (double)s->passed / 1e3 : 0, (double)l->late_most / 1e3);
}

static void stats(struct wire *w, char answer[static ANSWER])
{
	add(answer, "{");
	add_stats(&w->lane[0], answer);
	add(answer, ", ");
	add_stats(&w->lane[1], answer);
	add(answer, "}");
}

static void reset(struct wire *w)
{
	for (u32 i = 0; i < 2; i++) {
		struct lane *l = &w->lane[i];

		impair_reset_stats(l->link);
		l->refused = l->late = l->late_most = 0;
	}
}

static void set_carrier(const struct wire *w, int carrier, char answer[static ANSWER])
{
	for (u32 i = 0; i < 2; i++)
		if (ioctl(w->tap[i], TUNSETCARRIER, &carrier))
			add(answer, "error: %s", strerror(errno));
}

/* Lanes are bits. A mistake changes neither. */
static void set_lanes(struct wire *w, u32 lanes, const char *text, char answer[static ANSWER])
{
	struct impair_config config[2] = { *impair_config(w->lane[0].link),
					   *impair_config(w->lane[1].link) };
	char error[IMPAIR_ERROR];

	for (u32 i = 0; i < 2; i++) {
		if (!(lanes & 1u << i) || !impair_parse(text, &config[i], error))
			continue;
		add(answer, "error: %s", error);
		return;
	}
	for (u32 i = 0; i < 2; i++)
		impair_configure(w->lane[i].link, &config[i]);
}

/* Runs one command; an empty answer: done. */
static void run(struct wire *w, const char *line, char answer[static ANSWER])
{
	size_t length = strcspn(line, " ");
	char word[16] = "";

	answer[0] = 0;
	if (length < sizeof(word))
		memcpy(word, line, length);
	if (!strcmp(word, "a-to-b"))
		set_lanes(w, 1, line + length, answer);
	else if (!strcmp(word, "b-to-a"))
		set_lanes(w, 2, line + length, answer);
	else if (!strcmp(word, "both"))
		set_lanes(w, 3, line + length, answer);
	else if (!strcmp(line, "stats"))
		stats(w, answer);
	else if (!strcmp(line, "reset"))
		reset(w);
	else if (!strcmp(line, "plug") || !strcmp(line, "unplug"))
		set_carrier(w, line[0] == 'p', answer);
	else
		add(answer,
		    "error: '%.40s' is no command; there are a-to-b, b-to-a, both, stats, "
		    "reset, unplug, plug",
		    line);
}

static void serve(struct wire *w)
{
	struct sockaddr_un from;
	socklen_t from_size = sizeof(from);
	char line[LINE], answer[ANSWER];
	ssize_t size = recvfrom(w->control, line, sizeof(line) - 1, MSG_DONTWAIT,
				(struct sockaddr *)&from, &from_size);

	if (size < 0)
		return;
	line[size] = 0;
	run(w, line, answer);
	sendto(w->control, answer, strlen(answer), MSG_DONTWAIT, (struct sockaddr *)&from,
	       from_size);
}

/* --- setting up --------------------------------------------------------------------------- */

/* "/run/netns/x:eth0": an interface belongs to the namespace in which the device was opened. */
static int open_tap(char *place, bool tun)
{
	struct ifreq request = { .ifr_flags = (short)((tun ? IFF_TUN : IFF_TAP) | IFF_NO_PI) };
	char *colon = strrchr(place, ':');
	int ns, fd;

	if (!colon || !colon[1] || strlen(colon + 1) >= IFNAMSIZ)
		usage();
	*colon = 0;
	memcpy(request.ifr_name, colon + 1, strlen(colon + 1));
	ns = open(place, O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(place);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		die("/dev/net/tun");
	if (ioctl(fd, TUNSETIFF, &request))
		die(colon + 1);
	return fd;
}

static int open_socket(const char *path, bool server)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(a.sun_path))
		usage();
	memcpy(a.sun_path, path, strlen(path));
	if (fd < 0 || (server ? bind(fd, (struct sockaddr *)&a, sizeof(a)) :
				connect(fd, (struct sockaddr *)&a, sizeof(a))))
		die(path);
	return fd;
}

static void become_real_time(struct wire *w)
{
	struct sched_param param = { .sched_priority = 2 };

	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	if (!w->real_time)
		return;
	if (sched_setscheduler(0, SCHED_FIFO, &param)) {
		fprintf(stderr, "wire: no real-time priority: %s\n", strerror(errno));
		w->real_time = false;
	}
}

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

/* Only while it waits can it be ended: with the signals of *ret. */
static void catch_signals(sigset_t *ret)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, ret);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
}

static u32 number(const char *text, u32 most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (!*text || *end || v > most)
		usage();
	return (u32)v;
}

static void parse(struct wire *w, int argc, char **argv, u32 *ret_packets, u32 *ret_seed)
{
	int option;

	optind = 4;
	while ((option = getopt(argc, argv, "c:s:q:np")) != -1) {
		w->tun |= option == 'n';
		w->real_time |= option == 'p';
		if (option == 'c')
			w->path = optarg;
		else if (option == 's')
			*ret_seed = number(optarg, UINT32_MAX);
		else if (option == 'q')
			*ret_packets = number(optarg, PACKETS_MAX);
		else if (option == '?')
			usage();
	}
	if (!w->path || !*ret_packets)
		usage();
}

/* --- the loop ----------------------------------------------------------------------------- */

static u64 next_expiry(const struct wire *w)
{
	return time_min(impair_next_expiry(w->lane[0].link), impair_next_expiry(w->lane[1].link));
}

/* Until there is something to read, or shortly before the next frame is due. */
static void sleep_until(struct wire *w, u64 due, const sigset_t *signals)
{
	struct pollfd fds[] = { { w->tap[0], POLLIN, 0 },
				{ w->tap[1], POLLIN, 0 },
				{ w->control, POLLIN, 0 } };
	u64 spin = w->real_time ? SPIN : 0, early = due > spin ? due - spin : 0, now = clock_now();
	struct timespec wait = { 0 };

	if (early > now) {
		wait.tv_sec = (time_t)((early - now) / NS_PER_S);
		wait.tv_nsec = (long)((early - now) % NS_PER_S);
	}
	if (ppoll(fds, 3, due == TIME_NEVER ? NULL : &wait, signals) <= 0)
		return;
	if ((fds[0].revents | fds[1].revents) & (POLLERR | POLLNVAL | POLLHUP))
		ended = 1; /* a namespace has been removed, and its interface with it */
	if (fds[2].revents)
		serve(w);
}

static void run_wire(struct wire *w, const sigset_t *signals)
{
	bool more;

	while (!ended) {
		more = take_in(&w->lane[0], w->tap[0]);
		more |= take_in(&w->lane[1], w->tap[1]);
		let_out(&w->lane[0], w->tap[1]);
		let_out(&w->lane[1], w->tap[0]);
		sleep_until(w, more ? 0 : next_expiry(w), signals);
	}
}

static int join(int argc, char **argv)
{
	struct wire w = { 0 };
	u32 packets = PACKETS, seed = 1;
	char answer[ANSWER];
	sigset_t before;

	parse(&w, argc, argv, &packets, &seed);
	lane_open(&w.lane[0], "a-to-b", packets, 2 * (u64)seed);
	lane_open(&w.lane[1], "b-to-a", packets, 2 * (u64)seed + 1);
	for (int i = optind; i < argc; i++) {
		run(&w, argv[i], answer);
		if (answer[0]) {
			fprintf(stderr, "wire: %s\n", answer);
			return 2;
		}
	}
	catch_signals(&before);
	w.control = open_socket(w.path, true);
	w.tap[0] = open_tap(argv[2], w.tun);
	w.tap[1] = open_tap(argv[3], w.tun);
	become_real_time(&w);
	puts("ready");
	fflush(stdout);
	run_wire(&w, &before);
	unlink(w.path);
	return 0;
}

static int tell(const char *path, const char *command)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = 2 };
	char answer[ANSWER];
	ssize_t size;
	int fd = open_socket(path, false);

	/* A name that the kernel chooses does not reach into other network namespaces. */
	snprintf(own.sun_path, sizeof(own.sun_path), "%.80s.%d", path, (int)getpid());
	if (bind(fd, (struct sockaddr *)&own, sizeof(own)))
		die(own.sun_path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	size = send(fd, command, strlen(command), 0) < 0 ? -1 :
							   recv(fd, answer, sizeof(answer) - 1, 0);
	unlink(own.sun_path);
	if (size < 0)
		die("no answer");
	answer[size] = 0;
	if (size)
		fprintf(strncmp(answer, "error: ", 7) ? stdout : stderr, "%s\n", answer);
	return strncmp(answer, "error: ", 7) ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "tell"))
		return tell(argv[2], argv[3]);
	if (argc < 5 || strcmp(argv[1], "join") != 0)
		usage();
	return join(argc, argv);
}
