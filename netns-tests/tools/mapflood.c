/* SPDX-License-Identifier: MIT */
/*
 * mapflood - what those who have no session can throw at a map.
 *
 *   mapflood ENDPOINT PUBLIC-KEY SECONDS RATE KINDS [VICTIM-KEY]
 *
 * Sends RATE datagrams a second to the map at ENDPOINT (IPv4). KINDS is a list of letters, used in turn;
 * what is of kind n of the table below comes from addresses in 11.(200+n).0.0/16.
 *
 *   s  0  initiations with the right mac1 and nothing behind it, each from another address
 *   g  1  random bytes, often behind one of warp's first bytes, from anywhere
 *   c  2  cookies, and responses with the right mac1, that nobody has asked for, from anywhere
 *   t  3  transport datagrams of sessions that do not exist, from anywhere
 *   p  4  16 true initiations, over and over, from anywhere
 *   i  8  as s, but from 512 addresses that take the cookies that they are given
 *   y  9  true initiations of keys that nobody has heard of, from 512 such addresses
 *   k 10  initiations in the name of VICTIM-KEY, without its private key, from 512 such addresses
 *
 * 11.208.0.0/13 must lead here and be local; nobody needs to hear what goes to 11.200.0.0/13. Prints
 * one line of JSON: how many of each kind it has sent, cookies and responses that came back.
 * Ends before its time on SIGTERM. Exit status 0; 2 when something cannot be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
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
#include "warp/text.h"
#include "warp/wire.h"

#define BOTS 512u
#define REPLAYED 16u
#define BOT_PORT 4000u
#define BURST 64u

static const char kinds[] = "sgctp...iyk";

/* One address of a kind that takes cookies, and what it says next. */
struct bot {
	struct cookie_jar jar;
	u8 message[WIRE_INITIATION_SIZE];
};

struct flood {
	int out, in;
	struct endpoint map;
	u8 map_key[KEY_SIZE], victim[KEY_SIZE];
	u64 now;
	u32 next[sizeof(kinds)], sent[sizeof(kinds)];
	u32 cookies, responses;
	struct bot bots[sizeof(kinds)][BOTS];
};

struct packet {
	struct iphdr ip;
	struct udphdr udp;
	u8 data[MAC_SIZE + 1400];
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static _Noreturn void bad(const char *what)
{
	fprintf(stderr, "mapflood: %s\n", what);
	exit(2);
}

static u32 kind_of(char letter)
{
	const char *at = letter == '.' ? NULL : strchr(kinds, letter);

	if (!letter || !at)
		bad("the kinds are s, g, c, t, p, i, y and k");
	return (u32)(at - kinds);
}

/* A small generator of known start. */
static u32 random_word(void)
{
	static u64 state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (u32)(state >> 16);
}

static void fill(u8 *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (u8)random_word();
}

/* --- datagrams --------------------------------------------------------------------------- */

static void send_from(struct flood *f, u32 kind, u32 host, u16 port, const u8 *data, size_t size)
{
	static struct packet p;
	struct sockaddr_in to = { .sin_family = AF_INET };

	memcpy(&to.sin_addr, f->map.address.bytes, sizeof(to.sin_addr));
	p.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP };
	p.ip.saddr = htonl(11u << 24 | (200 + kind) << 16 | (host & 0xffff));
	p.ip.daddr = to.sin_addr.s_addr;
	p.ip.tot_len = htons((u16)(sizeof(p.ip) + sizeof(p.udp) + size));
	p.udp = (struct udphdr){ .source = htons(port), .dest = htons(f->map.port) };
	p.udp.len = htons((u16)(sizeof(p.udp) + size));
	memcpy(p.data, data, size);
	if (sendto(f->out, &p, sizeof(p.ip) + sizeof(p.udp) + size, 0, (struct sockaddr *)&to,
		   sizeof(to)) >= 0)
		f->sent[kind]++;
}

static void send_from_anywhere(struct flood *f, u32 kind, const u8 *data, size_t size)
{
	send_from(f, kind, random_word(), (u16)(1024 + random_word() % 60000), data, size);
}

/* Its index leads back to the bot. */
static void begin_message(u8 *message, u32 kind, u32 bot)
{
	memset(message, 0, WIRE_INITIATION_SIZE);
	message[0] = WIRE_INITIATION;
	put_u32(message + 4, (kind + 1) << 16 | bot);
}

/* An initiation of a key; the private half need not belong to it. */
static void write_initiation(const struct flood *f, u8 *message, const struct identity *identity)
{
	struct wire_hello hello = { .version = WIRE_VERSION,
				    .ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
				    .life = random_word(),
				    .stamp = f->now };
	u8 ephemeral[KEY_SIZE], bytes[WIRE_HELLO_SIZE];
	struct handshake hs;

	fill(ephemeral, sizeof(ephemeral));
	private_key_clamp(ephemeral);
	wire_put_hello(bytes, &hello);
	handshake_init_initiator(&hs, identity, f->map_key, WIRE_PROLOGUE,
				 sizeof(WIRE_PROLOGUE) - 1);
	if (handshake_write_1(&hs, ephemeral, bytes, sizeof(bytes),
			      message + WIRE_INITIATION_NOISE) < 0)
		bad("the public key is not one");
}

static void make_bot(struct flood *f, u32 kind, u32 n)
{
	struct bot *bot = &f->bots[kind][n];
	struct identity identity;
	u8 key[KEY_SIZE];

	cookie_jar_init(&bot->jar, f->map_key);
	begin_message(bot->message, kind, n);
	fill(key, sizeof(key));
	private_key_clamp(key);
	identity_from_private(&identity, key);
	if (kinds[kind] == 'k')
		memcpy(identity.public_key, f->victim, KEY_SIZE);
	write_initiation(f, bot->message, &identity);
	cookie_stamp(&bot->jar, f->now, bot->message, WIRE_INITIATION_SIZE);
}

/* --- kinds ------------------------------------------------------------------------------- */

static void send_fresh(struct flood *f, u32 kind)
{
	u8 message[WIRE_INITIATION_SIZE];
	struct cookie_jar jar = f->bots[kind][0].jar;

	begin_message(message, kind, 0);
	fill(message + WIRE_INITIATION_NOISE, sizeof(message) - WIRE_INITIATION_NOISE);
	cookie_stamp(&jar, f->now, message, sizeof(message));
	send_from_anywhere(f, kind, message, sizeof(message));
}

static void send_garbage(struct flood *f, u32 kind)
{
	u8 data[1400];
	size_t size = random_word() % sizeof(data);

	fill(data, size);
	if (size && random_word() % 2)
		data[0] = (u8)(WIRE_INITIATION + random_word() % 5);
	send_from_anywhere(f, kind, data, size);
}

static void send_unasked(struct flood *f, u32 kind)
{
	u8 data[WIRE_RESPONSE_SIZE];
	struct cookie_jar jar = f->bots[kind][0].jar;
	bool cookie = random_word() % 2;

	fill(data, sizeof(data));
	data[0] = cookie ? WIRE_COOKIE : WIRE_RESPONSE;
	memset(data + 1, 0, 3);
	if (!cookie)
		cookie_stamp(&jar, f->now, data, sizeof(data));
	send_from_anywhere(f, kind, data, cookie ? WIRE_COOKIE_SIZE : WIRE_RESPONSE_SIZE);
}

static void send_transport(struct flood *f, u32 kind)
{
	u8 data[WIRE_OVERHEAD + 200];

	fill(data, sizeof(data));
	data[0] = WIRE_TRANSPORT;
	memset(data + 1, 0, 3);
	send_from_anywhere(f, kind, data, WIRE_OVERHEAD + random_word() % 200);
}

/* In the name of a bot: 'i' makes up a new one each time; the others are remade when all were used. */
static void send_bot(struct flood *f, u32 kind)
{
	u32 n = f->next[kind]++ % BOTS;
	struct bot *bot = &f->bots[kind][n];

	if (kinds[kind] == 'i')
		fill(bot->message + WIRE_INITIATION_NOISE,
		     WIRE_INITIATION_SIZE - WIRE_INITIATION_NOISE);
	else if (f->next[kind] > BOTS && random_word() % 4 == 0)
		make_bot(f, kind, n);
	cookie_stamp(&bot->jar, f->now, bot->message, WIRE_INITIATION_SIZE);
	send_from(f, kind, n, BOT_PORT, bot->message, WIRE_INITIATION_SIZE);
}

static void send_one(struct flood *f, u32 kind)
{
	switch (kinds[kind]) {
	case 's':
		send_fresh(f, kind);
		break;
	case 'g':
		send_garbage(f, kind);
		break;
	case 'c':
		send_unasked(f, kind);
		break;
	case 't':
		send_transport(f, kind);
		break;
	case 'p':
		send_from_anywhere(f, kind, f->bots[kind][f->next[kind]++ % REPLAYED].message,
				   WIRE_INITIATION_SIZE);
		break;
	default:
		send_bot(f, kind);
	}
}

/* --- answers ----------------------------------------------------------------------------- */

static void hear_cookie(struct flood *f, const u8 *data)
{
	u32 index = get_u32(data + 4), kind = (index >> 16) - 1, n = index & 0xffff;

	f->cookies++;
	if (kind < sizeof(kinds) && n < BOTS)
		cookie_take(&f->bots[kind][n].jar, f->now, data + 8, data + 8 + XNONCE_SIZE);
}

static void hear(struct flood *f)
{
	u8 data[2048];
	ssize_t size;

	while ((size = recv(f->in, data, sizeof(data), MSG_DONTWAIT)) >= 0) {
		if (size == WIRE_COOKIE_SIZE && data[0] == WIRE_COOKIE)
			hear_cookie(f, data);
		else if (size == WIRE_RESPONSE_SIZE && data[0] == WIRE_RESPONSE)
			f->responses++;
	}
}

/* --- life -------------------------------------------------------------------------------- */

static void open_sockets(struct flood *f)
{
	const struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(BOT_PORT) };

	f->out = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	f->in = socket(AF_INET, SOCK_DGRAM, 0);
	if (f->out < 0 || f->in < 0 || bind(f->in, (const struct sockaddr *)&any, sizeof(any)) < 0)
		bad(strerror(errno));
}

static void wait_for(u64 when)
{
	struct timespec t = { (time_t)(when / NS_PER_S), (long)(when % NS_PER_S) };

	while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void run(struct flood *f, u64 duration, u32 rate, const char *letters)
{
	u32 count = (u32)strlen(letters), at = 0;
	u64 begun = clock_now(), done = 0;

	while (!ended && (f->now = clock_now()) < begun + duration) {
		for (u32 i = 0; i < BURST; i++)
			send_one(f, kind_of(letters[at++ % count]));
		done += BURST;
		hear(f);
		wait_for(begun + done * NS_PER_S / rate);
	}
}

static void print(const struct flood *f, const char *letters)
{
	printf("{");
	for (const char *k = letters; *k; k++)
		printf("\"%c\": %u, ", *k, f->sent[kind_of(*k)]);
	printf("\"cookies\": %u, \"responses\": %u}\n", f->cookies, f->responses);
}

static u32 number(const char *text, u32 max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || !n || n > max)
		bad("a number is out of range");
	return (u32)n;
}

int main(int argc, char **argv)
{
	const struct sigaction end = { .sa_handler = on_signal };
	static struct flood f;
	u32 seconds, rate;

	if (argc < 6 || argc > 7 || !argv[5][0])
		bad("usage: mapflood ENDPOINT PUBLIC-KEY SECONDS RATE KINDS [VICTIM-KEY]");
	if (crypto_init() < 0)
		bad("no cryptography");
	if (endpoint_parse(argv[1], &f.map) < 0 || f.map.address.family != 4)
		bad("the map is not an IPv4 endpoint");
	if (key_from_base64(f.map_key, argv[2], strlen(argv[2])) < 0 ||
	    (argc == 7 && key_from_base64(f.victim, argv[6], strlen(argv[6])) < 0))
		bad("a public key is not one");
	seconds = number(argv[3], 3600);
	rate = number(argv[4], 1000000);
	f.now = clock_now();
	for (const char *k = argv[5]; *k; k++) {
		for (u32 n = 0; n < BOTS; n++)
			make_bot(&f, kind_of(*k), n);
	}
	open_sockets(&f);
	sigaction(SIGTERM, &end, NULL);
	puts("ready");
	fflush(stdout);
	run(&f, seconds * NS_PER_S, rate, argv[5]);
	print(&f, argv[5]);
	close(f.out);
	close(f.in);
	return 0;
}
