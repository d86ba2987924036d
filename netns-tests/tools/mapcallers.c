/* SPDX-License-Identifier: MIT */
/*
 * mapcallers - what those who have no session can do to a map over TCP.
 *
 *   mapcallers ENDPOINT PUBLIC-KEY SECONDS
 *
 * Each second 1,000 connections are asked for from addresses in 11.205.0.0/16, where nobody is, and 150
 * are made from 11.215.0.0/16, as many addresses as there are connections. Each is held for 6 s if the
 * map lets it, and then closed. By turns one
 *
 *   says nothing
 *   says 3,000 random bytes
 *   begins a datagram and never ends it
 *   says initiations with the right mac1 and nothing behind it, one after another
 *   says one true initiation of a key that nobody has heard of, over and over
 *   ends at once with a reset
 *
 * 11.208.0.0/13 must lead here and be local; nobody needs to hear what goes to 11.200.0.0/13. Prints
 * one line of JSON: connections asked for, made, ended by the map; bytes said and heard.
 * Ends before its time on SIGTERM. Exit status 0; 2 when something cannot be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "warp/base64.h"
#include "warp/cookie.h"
#include "warp/handshake.h"
#include "warp/memory.h"
#include "warp/streamframe.h"
#include "warp/text.h"
#include "warp/wire.h"

#define RATE 150u
#define CALLERS (6 * RATE)
#define SPOOFED_RATE 1000u
#define TICK (10 * NS_PER_MS)
#define GARBAGE 3000u

enum habit { SILENT, GARBLED, HALF, STAMPED, TRUE_KEY, RESETTING, HABITS };

struct caller {
	int fd; /* -1: none */
	enum habit habit;
	bool spoke;
	u8 message[STREAM_LENGTH_SIZE + WIRE_INITIATION_SIZE];
};

struct callers {
	int raw;
	struct endpoint map;
	struct sockaddr_in to;
	u8 map_key[KEY_SIZE];
	u64 now;
	u32 begun, spoofed, made, ended;
	u64 said, heard;
	struct caller caller[CALLERS];
};

/* A segment that asks for a connection as a usual host does. */
struct request {
	struct iphdr ip;
	struct tcphdr tcp;
	u8 options[20];
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static _Noreturn void bad(const char *what)
{
	fprintf(stderr, "mapcallers: %s\n", what);
	exit(2);
}

/* --- from where nobody is ---------------------------------------------------------------- */

static u32 sum_of(const u8 *p, size_t size)
{
	u32 sum = 0;

	for (size_t i = 0; i + 1 < size; i += 2)
		sum += get_u16(p + i);
	return sum;
}

static void send_request(struct callers *c)
{
	static const u8 options[20] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
					0, 1, 0, 0,    0, 0, 1, 3,  3, 7 };
	struct request p = { .ip = { .version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_TCP } };
	const size_t size = sizeof(p.tcp) + sizeof(p.options);
	u32 sum;

	p.ip.saddr = htonl(11u << 24 | 205u << 16 | (random_u32(&system_random) & 0xffff));
	p.ip.daddr = c->to.sin_addr.s_addr;
	p.ip.tot_len = htons(sizeof(p));
	p.tcp.source = htons((u16)(1024 + random_u32(&system_random) % 60000));
	p.tcp.dest = c->to.sin_port;
	p.tcp.seq = random_u32(&system_random);
	p.tcp.doff = (u16)(size / 4) & 0xf;
	p.tcp.syn = 1;
	p.tcp.window = htons(64240);
	memcpy(p.options, options, sizeof(options));
	sum = sum_of((const u8 *)&p.ip.saddr, 8) + IPPROTO_TCP + (u32)size +
	      sum_of((const u8 *)&p.tcp, size);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	p.tcp.check = htons((u16)~sum);
	c->spoofed += sendto(c->raw, &p, sizeof(p), 0, (const struct sockaddr *)&c->to,
			     sizeof(c->to)) >= 0;
}

/* --- messages ---------------------------------------------------------------------------- */

static void stamp(const struct callers *c, u8 *message)
{
	struct cookie_jar jar;

	cookie_jar_init(&jar, c->map_key);
	cookie_stamp(&jar, c->now, message, WIRE_INITIATION_SIZE);
}

static void write_true(const struct callers *c, u8 *message)
{
	struct wire_hello hello = { .version = WIRE_VERSION,
				    .ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
				    .life = 1,
				    .stamp = c->now };
	u8 private_key[KEY_SIZE], ephemeral[KEY_SIZE], bytes[WIRE_HELLO_SIZE];
	struct identity identity;
	struct handshake hs;

	random_fill(&system_random, private_key, sizeof(private_key));
	random_fill(&system_random, ephemeral, sizeof(ephemeral));
	private_key_clamp(private_key);
	private_key_clamp(ephemeral);
	identity_from_private(&identity, private_key);
	wire_put_hello(bytes, &hello);
	handshake_init_initiator(&hs, &identity, c->map_key, WIRE_PROLOGUE,
				 sizeof(WIRE_PROLOGUE) - 1);
	if (handshake_write_1(&hs, ephemeral, bytes, sizeof(bytes),
			      message + WIRE_INITIATION_NOISE) < 0)
		bad("the public key is not one");
}

static void write_message(const struct callers *c, struct caller *who)
{
	u8 *message = who->message + STREAM_LENGTH_SIZE;

	streamframe_length(who->message, WIRE_INITIATION_SIZE);
	memset(message, 0, WIRE_INITIATION_SIZE);
	message[0] = WIRE_INITIATION;
	put_u32(message + 4, 1);
	if (who->habit == TRUE_KEY)
		write_true(c, message);
	else
		random_fill(&system_random, message + WIRE_INITIATION_NOISE,
			    WIRE_INITIATION_SIZE - WIRE_INITIATION_NOISE);
	stamp(c, message);
}

/* --- connections ------------------------------------------------------------------------- */

static void hang_up(struct caller *who)
{
	const struct linger at_once = { .l_onoff = 1 };

	if (who->fd < 0)
		return;
	if (who->habit == RESETTING)
		setsockopt(who->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(who->fd);
	who->fd = -1;
}

static void call(struct callers *c)
{
	u32 n = c->begun++;
	struct caller *who = &c->caller[n % CALLERS];
	struct sockaddr_in own = { .sin_family = AF_INET };

	hang_up(who);
	own.sin_addr.s_addr =
		htonl(11u << 24 | 215u << 16 | (n & 0xff) << 8 | (1 + (n >> 8) % 254));
	*who = (struct caller){ .habit = (enum habit)(n % HABITS) };
	who->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (who->fd < 0 || bind(who->fd, (const struct sockaddr *)&own, sizeof(own)) < 0)
		bad(strerror(errno));
	if (connect(who->fd, (const struct sockaddr *)&c->to, sizeof(c->to)) < 0 &&
	    errno != EINPROGRESS)
		bad(strerror(errno));
}

static ssize_t say(const struct caller *who, const u8 *data, size_t size)
{
	return send(who->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What it has to say now; bytes, or -1. */
static ssize_t speak(struct callers *c, struct caller *who)
{
	static const u8 half[] = { 4, 0, WIRE_INITIATION, 0, 0 };
	u8 garbage[GARBAGE];

	switch (who->habit) {
	case GARBLED:
		random_fill(&system_random, garbage, sizeof(garbage));
		return who->spoke ? 0 : say(who, garbage, sizeof(garbage));
	case HALF:
		return who->spoke ? 0 : say(who, half, sizeof(half));
	case STAMPED:
		write_message(c, who);
		return say(who, who->message, sizeof(who->message));
	case TRUE_KEY:
		if (!who->spoke)
			write_message(c, who);
		return say(who, who->message, sizeof(who->message));
	default:
		return 0;
	}
}

static bool is_connected(const struct caller *who)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	return !getsockopt(who->fd, IPPROTO_TCP, TCP_INFO, &info, &size) &&
	       info.tcpi_state != TCP_SYN_SENT;
}

static void attend(struct callers *c, struct caller *who)
{
	u8 data[2048];
	ssize_t r;

	if (who->fd < 0 || !is_connected(who))
		return;
	r = speak(c, who);
	c->made += !who->spoke;
	who->spoke = true;
	c->said += r > 0 ? (u64)r : 0;
	r = recv(who->fd, data, sizeof(data), MSG_DONTWAIT);
	c->heard += r > 0 ? (u64)r : 0;
	if (r == 0 || (r < 0 && errno != EAGAIN) || who->habit == RESETTING) {
		c->ended += who->habit != RESETTING;
		hang_up(who);
	}
}

/* --- life -------------------------------------------------------------------------------- */

static void wait_for(u64 when)
{
	struct timespec t = { (time_t)(when / NS_PER_S), (long)(when % NS_PER_S) };

	while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void run(struct callers *c, u64 duration)
{
	u64 begun = clock_now();
	u32 asked = 0;

	while (!ended && (c->now = clock_now()) < begun + duration) {
		u64 gone = c->now - begun;

		for (; asked < gone * SPOOFED_RATE / NS_PER_S; asked++)
			send_request(c);
		while (c->begun < gone * RATE / NS_PER_S)
			call(c);
		for (u32 i = 0; i < CALLERS; i++)
			attend(c, &c->caller[i]);
		wait_for(c->now + TICK);
	}
	for (u32 i = 0; i < CALLERS; i++)
		hang_up(&c->caller[i]);
}

int main(int argc, char **argv)
{
	const struct sigaction end = { .sa_handler = on_signal };
	static struct callers c;
	unsigned long seconds;

	if (argc != 4)
		bad("usage: mapcallers ENDPOINT PUBLIC-KEY SECONDS");
	if (crypto_init() < 0)
		bad("no cryptography");
	if (endpoint_parse(argv[1], &c.map) < 0 || c.map.address.family != 4)
		bad("the map is not an IPv4 endpoint");
	if (key_from_base64(c.map_key, argv[2], strlen(argv[2])) < 0)
		bad("the map's public key is not one");
	seconds = strtoul(argv[3], NULL, 10);
	if (!seconds || seconds > 3600)
		bad("the seconds are out of range");
	c.to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(c.map.port) };
	memcpy(&c.to.sin_addr, c.map.address.bytes, sizeof(c.to.sin_addr));
	c.raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (c.raw < 0)
		bad(strerror(errno));
	for (u32 i = 0; i < CALLERS; i++)
		c.caller[i].fd = -1;
	sigaction(SIGTERM, &end, NULL);
	puts("ready");
	fflush(stdout);
	run(&c, seconds * NS_PER_S);
	printf("{\"spoofed\": %u, \"called\": %u, \"made\": %u, \"ended\": %u, \"said\": %llu, "
	       "\"heard\": %llu}\n",
	       c.spoofed, c.begun, c.made, c.ended, (unsigned long long)c.said,
	       (unsigned long long)c.heard);
	return 0;
}
