/* SPDX-License-Identifier: MIT */
/*
 * mapabuse - what those who have sessions can ask of a map that they should not get.
 *
 *   mapabuse ENDPOINT PUBLIC-KEY SECONDS VICTIM-KEY
 *
 * Four nodes, all in this process and in league:
 *
 *   p 11.211.0.1  changes all the time, asks for 32 keys at a time that nobody has, and relays: to q
 *                 more than it may, to itself, to l, to handles made up, and more than a datagram;
 *                 asks for the victim, who does not want it
 *   q 11.212.0.1  wants p, and is wanted
 *   l 11.213.0.1  wants p, and is wanted; registers from 11.207.0.1, which is not its own
 *   n 11.214.0.1  knows p's handle from q; p does not want it. Relays to p
 *
 * 11.208.0.0/13 must lead here and be local. Prints one line of JSON: frames relayed, sent and come.
 * Ends before its time on SIGTERM. Exit status 0; 1 when p and q were not made acquainted; 2 when something cannot be.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "warp/base64.h"
#include "warp/hub.h"
#include "warp/memory.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

enum member { P, Q, L, N, MEMBERS };

#define TICK (10 * NS_PER_MS)
#define PATIENCE (15 * NS_PER_S)
#define RELAY_SIZE 1000u
#define LIE_EVERY 50u /* ticks */

struct node {
	int fd;
	struct hub *hub;
	struct assoc assoc;
	struct identity identity;
	u64 proof;
	bool registered;
	u32 relays, answers, pushes;
};

struct league {
	struct endpoint map;
	u8 map_key[KEY_SIZE], victim[KEY_SIZE];
	struct node node[MEMBERS];
	int raw;
	u64 now;
	u32 handle[MEMBERS]; /* as the others are told */
	u32 ticks, sent, victim_told;
};

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static _Noreturn void bad(const char *what)
{
	fprintf(stderr, "mapabuse: %s\n", what);
	exit(2);
}

/* --- beginning --------------------------------------------------------------------------- */

static struct assoc *nobody(void *ctx, const u8 key[static KEY_SIZE])
{
	(void)ctx;
	(void)key;
	return NULL;
}

static void open_socket(struct league *l, enum member m)
{
	struct sockaddr_in own = { .sin_family = AF_INET };
	union inet_sockaddr map;
	socklen_t length = endpoint_to_sockaddr(&l->map, &map);
	struct node *n = &l->node[m];

	own.sin_addr.s_addr = htonl(11u << 24 | (211u + m) << 16 | 1u);
	n->fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (n->fd < 0 || bind(n->fd, (struct sockaddr *)&own, sizeof(own)) < 0 ||
	    connect(n->fd, &map.any, length) < 0)
		bad(strerror(errno));
}

static void make_node(struct league *l, enum member m)
{
	static const u8 no_preshared_key[KEY_SIZE];
	struct node *n = &l->node[m];
	struct hub_options options = {
		.allocator = system_allocator,
		.random = system_random,
		.ciphers = crypto_ciphers(),
		.replay_bits = REPLAY_BITS_MAP,
		.max_sessions = 8,
		.handshake_rate = 10,
		.lookup = nobody,
	};
	u8 key[KEY_SIZE];

	random_fill(&system_random, key, sizeof(key));
	private_key_clamp(key);
	identity_from_private(&n->identity, key);
	options.identity = n->identity;
	if (hub_create(&n->hub, &options) < 0)
		bad("no memory");
	assoc_init(&n->assoc, l->map_key, no_preshared_key, n);
	assoc_kick(n->hub, &n->assoc, l->now);
	open_socket(l, m);
}

/* --- saying ------------------------------------------------------------------------------ */

/* The sealed datagram of one frame; its size, 0: cannot be. */
static size_t sealed(struct league *l, enum member m, const struct frame *f, u8 *data, size_t room)
{
	int size = frame_put(data + WIRE_HEADER_SIZE, room - WIRE_OVERHEAD, f);

	if (size < 0 || assoc_seal(&l->node[m].assoc, l->now, data, (size_t)size) < 0)
		return 0;
	return (size_t)size + WIRE_OVERHEAD;
}

static void say(struct league *l, enum member m, const struct frame *f)
{
	u8 data[2000];
	size_t size = sealed(l, m, f, data, sizeof(data));

	if (size)
		send(l->node[m].fd, data, size, 0);
}

static void say_register(struct league *l, enum member m)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };

	f.register_request.lan = (struct endpoint){ { 4, { 10, 0, 0, 1 } }, (u16)(1 + l->ticks) };
	f.register_request.proof = l->node[m].proof;
	say(l, m, &f);
}

/* The same from an address that is another's. */
static void lie(struct league *l)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct {
		struct iphdr ip;
		struct udphdr udp;
		u8 data[256];
	} p = { .ip = { .version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP } };
	size_t size = sealed(l, L, &f, p.data, sizeof(p.data));

	memcpy(&to.sin_addr, l->map.address.bytes, sizeof(to.sin_addr));
	p.ip.saddr = htonl(11u << 24 | 207u << 16 | 1u);
	p.ip.daddr = to.sin_addr.s_addr;
	p.udp = (struct udphdr){ .source = htons(4000), .dest = htons(l->map.port) };
	p.udp.len = htons((u16)(sizeof(p.udp) + size));
	size += sizeof(p.ip) + sizeof(p.udp);
	p.ip.tot_len = htons((u16)size);
	if (sendto(l->raw, &p, size, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		bad(strerror(errno));
}

static void say_query(struct league *l, enum member m, const u8 *keys, u8 count)
{
	struct frame f = { .type = FRAME_MAPPING_REQUEST, .mapping_request = { count, keys } };

	say(l, m, &f);
}

static void say_relay(struct league *l, enum member m, u32 handle, u32 size)
{
	static u8 data[1800];
	struct frame f = { .type = FRAME_RELAY };

	f.relay = (struct frame_relay){ .handle = handle, .data = data, .size = size };
	say(l, m, &f);
}

/* --- hearing ----------------------------------------------------------------------------- */

static void hear_mapping(struct league *l, enum member m, const struct frame_mapping_response *f)
{
	l->node[m].pushes += f->flags & MAPPING_PUSH;
	l->node[m].answers += !(f->flags & MAPPING_PUSH);
	l->victim_told += f->count && !memcmp(f->key, l->victim, KEY_SIZE);
	for (u32 i = 0; i < MEMBERS; i++) {
		if (f->count && !memcmp(f->key, l->node[i].identity.public_key, KEY_SIZE))
			l->handle[i] = f->handle;
	}
}

static void hear_frames(struct league *l, enum member m, u8 *plain, size_t size)
{
	struct node *n = &l->node[m];
	struct frame f;

	while (frame_next(&plain, &size, &f) > 0) {
		if (f.type == FRAME_REGISTER_RESPONSE) {
			n->proof = f.register_response.proof;
			n->registered = true;
		} else if (f.type == FRAME_MAPPING_RESPONSE) {
			hear_mapping(l, m, &f.mapping_response);
		} else if (f.type == FRAME_RELAY) {
			n->relays++;
		}
	}
}

static void hear(struct league *l, enum member m)
{
	struct node *n = &l->node[m];
	struct hub_result result;
	u8 data[2048];
	ssize_t size;

	while ((size = recv(n->fd, data, sizeof(data), MSG_DONTWAIT)) >= 0) {
		hub_receive(n->hub, l->now, &l->map, data, (size_t)size, &result);
		if (result.verdict == HUB_OPENED)
			hear_frames(l, m, result.plain, result.plain_size);
	}
}

/* For a tick. */
static void listen_all(struct league *l)
{
	u64 end = l->now + TICK;

	while ((l->now = clock_now()) < end) {
		struct pollfd p[MEMBERS];

		for (u32 i = 0; i < MEMBERS; i++)
			p[i] = (struct pollfd){ .fd = l->node[i].fd, .events = POLLIN };
		poll(p, MEMBERS, (int)((end - l->now) / NS_PER_MS) + 1);
		for (u32 i = 0; i < MEMBERS; i++)
			hear(l, i);
	}
	l->ticks++;
}

/* --- acts -------------------------------------------------------------------------------- */

static void shake_hands(struct league *l, enum member m)
{
	struct node *n = &l->node[m];

	if (assoc_next_expiry(&n->assoc) <= l->now && assoc_expire(n->hub, &n->assoc, l->now))
		send(n->fd, assoc_initiation(&n->assoc), WIRE_INITIATION_SIZE, 0);
}

static void ask_for_each_other(struct league *l)
{
	u8 of_p[3][KEY_SIZE];

	memcpy(of_p[0], l->node[Q].identity.public_key, KEY_SIZE);
	memcpy(of_p[1], l->node[L].identity.public_key, KEY_SIZE);
	memcpy(of_p[2], l->victim, KEY_SIZE);
	say_query(l, P, of_p[0], 3);
	for (u32 i = Q; i < MEMBERS; i++)
		say_query(l, i, l->node[P].identity.public_key, 1);
}

static bool acquainted(struct league *l)
{
	return l->handle[P] && l->handle[Q] && l->handle[L] && !l->node[P].proof &&
	       !l->node[Q].proof && l->node[N].registered;
}

static bool gather(struct league *l)
{
	u64 end = l->now + PATIENCE;

	while (!acquainted(l) && l->now < end) {
		for (u32 i = 0; i < MEMBERS; i++) {
			shake_hands(l, i);
			if (l->ticks % 10 == 0 && assoc_ready(&l->node[i].assoc, l->now))
				say_register(l, i);
		}
		if (l->ticks % 20 == 0)
			ask_for_each_other(l);
		listen_all(l);
	}
	return acquainted(l);
}

static void abuse(struct league *l)
{
	u8 keys[WIRE_KEYS_MAX][KEY_SIZE];

	random_fill(&system_random, keys[0], sizeof(keys));
	say_query(l, P, keys[0], WIRE_KEYS_MAX);
	if (l->ticks % LIE_EVERY == 0) {
		lie(l);
		ask_for_each_other(l);
	}
	say_register(l, P);
	for (u32 i = 0; i < 5; i++) {
		say_relay(l, P, l->handle[Q], RELAY_SIZE);
		say_relay(l, P, l->handle[L], RELAY_SIZE);
		say_relay(l, P, l->handle[P], RELAY_SIZE);
		say_relay(l, P, random_u32(&system_random), RELAY_SIZE);
		say_relay(l, P, l->handle[Q], 1400);
		say_relay(l, N, l->handle[P], RELAY_SIZE);
		l->sent += 6;
	}
}

int main(int argc, char **argv)
{
	const struct sigaction term = { .sa_handler = on_signal };
	static struct league l;
	u64 end;

	if (argc != 5)
		bad("usage: mapabuse ENDPOINT PUBLIC-KEY SECONDS VICTIM-KEY");
	if (crypto_init() < 0)
		bad("no cryptography");
	if (endpoint_parse(argv[1], &l.map) < 0 || l.map.address.family != 4)
		bad("the map is not an IPv4 endpoint");
	if (key_from_base64(l.map_key, argv[2], strlen(argv[2])) < 0 ||
	    key_from_base64(l.victim, argv[4], strlen(argv[4])) < 0)
		bad("a public key is not one");
	l.now = clock_now();
	l.raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (l.raw < 0)
		bad(strerror(errno));
	for (u32 i = 0; i < MEMBERS; i++)
		make_node(&l, i);
	if (!gather(&l)) {
		fprintf(stderr, "mapabuse: p and q do not know each other\n");
		return 1;
	}
	sigaction(SIGTERM, &term, NULL);
	puts("ready");
	fflush(stdout);
	end = l.now + strtoul(argv[3], NULL, 10) * NS_PER_S;
	while (!ended && l.now < end) {
		abuse(&l);
		listen_all(&l);
	}
	printf("{\"sent\": %u, \"p\": %u, \"q\": %u, \"l\": %u, \"n\": %u, \"victim_told\": %u, "
	       "\"answers\": %u, \"pushes\": %u}\n",
	       l.sent, l.node[P].relays, l.node[Q].relays, l.node[L].relays, l.node[N].relays,
	       l.victim_told, l.node[P].answers, l.node[Q].pushes);
	return 0;
}
