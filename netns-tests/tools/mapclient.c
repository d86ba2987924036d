/* SPDX-License-Identifier: MIT */
/*
 * mapclient - a node that wants one thing of a map: how does it see me?
 *
 *   mapclient ENDPOINT PUBLIC-KEY [PRIVATE-KEY]
 *
 * Shakes hands with the map at ENDPOINT ("192.0.2.1:13116"), registers, prints the address that the
 * map observed. Exit status 0, or 1 after two seconds without an answer. The socket is connected:
 * what comes from any other address than the one asked is not seen. Without a private key it
 * makes one.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "warp/base64.h"
#include "warp/hub.h"
#include "warp/memory.h"
#include "warp/sockaddr.h"
#include "warp/text.h"

#define PATIENCE (2 * NS_PER_S)

struct client {
	int fd;
	struct endpoint map;
	struct hub *hub;
	struct assoc assoc;
	struct identity identity;
};

static _Noreturn void bad(const char *what)
{
	fprintf(stderr, "mapclient: %s\n", what);
	exit(2);
}

static struct assoc *nobody(void *ctx, const u8 key[static KEY_SIZE])
{
	(void)ctx;
	(void)key;
	return NULL;
}

static void make_identity(struct client *c, const char *text)
{
	u8 key[KEY_SIZE];

	random_fill(&system_random, key, sizeof(key));
	if (text && key_from_base64(key, text, strlen(text)) < 0)
		bad("the private key is not one");
	private_key_clamp(key);
	identity_from_private(&c->identity, key);
}

static void make_hub(struct client *c, const char *map_key)
{
	static const u8 no_preshared_key[KEY_SIZE];
	const struct hub_options options = {
		.identity = c->identity,
		.allocator = system_allocator,
		.random = system_random,
		.ciphers = crypto_ciphers(),
		.replay_bits = REPLAY_BITS_MAP,
		.max_sessions = 8,
		.handshake_rate = 10,
		.lookup = nobody,
	};
	u8 key[KEY_SIZE];

	if (key_from_base64(key, map_key, strlen(map_key)) < 0)
		bad("the map's public key is not one");
	if (hub_create(&c->hub, &options) < 0)
		bad("no memory");
	assoc_init(&c->assoc, key, no_preshared_key, c);
	assoc_kick(c->hub, &c->assoc, clock_now());
}

static void make_socket(struct client *c, const char *where)
{
	union inet_sockaddr sa;
	socklen_t length;

	if (endpoint_parse(where, &c->map) < 0)
		bad("the endpoint is not one");
	length = endpoint_to_sockaddr(&c->map, &sa);
	c->fd = socket(sa.any.sa_family, SOCK_DGRAM, 0);
	if (c->fd < 0 || connect(c->fd, &sa.any, length) < 0)
		bad(strerror(errno));
}

static void say_register(struct client *c, u64 now)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };
	u8 datagram[256];
	int size = frame_put(datagram + WIRE_HEADER_SIZE, sizeof(datagram) - WIRE_OVERHEAD, &f);

	if (size > 0 && assoc_seal(&c->assoc, now, datagram, (size_t)size) == 0)
		send(c->fd, datagram, (size_t)size + WIRE_OVERHEAD, 0);
}

/* Prints the answer to the registration, if it is among the frames. */
static bool is_answered(u8 *plain, size_t size)
{
	struct frame f;

	while (frame_next(&plain, &size, &f) > 0) {
		if (f.type == FRAME_REGISTER_RESPONSE) {
			puts(endpoint_text(&f.register_response.observed));
			return true;
		}
	}
	return false;
}

static bool hear(struct client *c, u64 now)
{
	u8 datagram[2048];
	struct hub_result result;
	ssize_t size = recv(c->fd, datagram, sizeof(datagram), MSG_DONTWAIT);

	if (size < 0)
		return false;
	hub_receive(c->hub, now, &c->map, datagram, (size_t)size, &result);
	if (result.verdict == HUB_ESTABLISHED)
		say_register(c, now);
	return result.verdict == HUB_OPENED && is_answered(result.plain, result.plain_size);
}

int main(int argc, char **argv)
{
	struct client c = { .fd = -1 };
	struct pollfd p = { .events = POLLIN };
	u64 now, end;

	if (argc < 3 || argc > 4)
		bad("usage: mapclient ENDPOINT PUBLIC-KEY [PRIVATE-KEY]");
	if (crypto_init() < 0)
		bad("no cryptography");
	make_identity(&c, argv[3]);
	make_hub(&c, argv[2]);
	make_socket(&c, argv[1]);
	p.fd = c.fd;
	end = clock_now() + PATIENCE;
	while ((now = clock_now()) < end) {
		if (assoc_next_expiry(&c.assoc) <= now && assoc_expire(c.hub, &c.assoc, now))
			send(c.fd, assoc_initiation(&c.assoc), WIRE_INITIATION_SIZE, 0);
		poll(&p, 1, 20);
		if (hear(&c, clock_now()))
			return 0;
	}
	fprintf(stderr, "mapclient: no answer from %s\n", argv[1]);
	return 1;
}
