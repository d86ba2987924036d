/* SPDX-License-Identifier: MIT */
/*
 * natprobe - says how the NAT in front of this host maps and filters UDP (RFC 4787), after RFC 5780.
 *
 *   natprobe serve ADDRESS-1 ADDRESS-2 PORT     listens on PORT and PORT + 1 of both addresses
 *   natprobe ask ADDRESS-1 ADDRESS-2 PORT       prints e.g. `EIM/APDF preserved`, or `blocked`
 *
 * A question names up to two of the server's four sockets, which answer in this order; each
 * answer tells its socket and the source address that the question came from. The last one is always the
 * socket that was asked, so that the client need not wait for an answer that is filtered: when
 * the last has come and the one before has not, it will not come.
 *
 * Mapping: one client socket asks all four; do they see the same port?
 * Filtering: a fresh socket asks one, and lets another port, then another address answer.
 * Ports: `preserved` when the first mapping has the local port, `sequential` when mappings count up
 * by one, else `other`; `none` when address and port are the local ones.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "warp/base.h"

#define SOCKETS 4u
#define NOBODY 255u
#define TRIES 5u
#define PATIENCE_MS 300

/* Question: number, sockets that answer (NOBODY: none). Answer: number, socket, address, port. */
struct question {
	u8 number, answer[2];
};

struct answer {
	u8 number, socket;
	u16 port;
	u32 address;
};

static struct sockaddr_in server[SOCKETS];

static void die(const char *what)
{
	fprintf(stderr, "natprobe: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void serve(void)
{
	struct pollfd p[SOCKETS];

	for (u32 i = 0; i < SOCKETS; i++) {
		p[i] = (struct pollfd){ .fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN };
		if (bind(p[i].fd, (struct sockaddr *)&server[i], sizeof(server[i])))
			die("bind");
	}
	for (;;) {
		poll(p, SOCKETS, -1);
		for (u32 i = 0; i < SOCKETS; i++) {
			struct question q;
			struct sockaddr_in from;
			socklen_t length = sizeof(from);

			if (!(p[i].revents & POLLIN) ||
			    recvfrom(p[i].fd, &q, sizeof(q), 0, (struct sockaddr *)&from,
				     &length) != (ssize_t)sizeof(q))
				continue;
			for (u32 a = 0; a < ARRAY_SIZE(q.answer); a++) {
				struct answer r = { q.number, q.answer[a], from.sin_port,
						    from.sin_addr.s_addr };

				if (q.answer[a] < SOCKETS)
					sendto(p[q.answer[a]].fd, &r, sizeof(r), 0,
					       (struct sockaddr *)&from, sizeof(from));
			}
		}
	}
}

/* Asks socket `to`; first, if it is not NOBODY, answers before it. Returns whether `to` answered. */
static bool ask(int fd, u8 to, u8 first, struct answer *ret, bool *ret_first)
{
	static u8 number;
	struct question q = { .answer = { first, to } };

	for (u32 try = 0; try < TRIES; try++) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		q.number = ++number;
		*ret_first = false;
		sendto(fd, &q, sizeof(q), 0, (struct sockaddr *)&server[to], sizeof(server[to]));
		while (poll(&p, 1, PATIENCE_MS) > 0) {
			struct answer a;

			if (recv(fd, &a, sizeof(a), 0) != (ssize_t)sizeof(a) || a.number != number)
				continue;
			if (a.socket == first)
				*ret_first = true;
			if (a.socket == to) {
				*ret = a;
				return true;
			}
		}
	}
	return false;
}

static int fresh_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in any = { .sin_family = AF_INET };

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("socket");
	return fd;
}

static struct sockaddr_in local_of(int fd)
{
	struct sockaddr_in own = { 0 };
	socklen_t length = sizeof(own);
	int probe = socket(AF_INET, SOCK_DGRAM, 0);

	if (connect(probe, (struct sockaddr *)&server[0], sizeof(server[0])) ||
	    getsockname(probe, (struct sockaddr *)&own, &length))
		die("connect");
	close(probe);
	struct sockaddr_in bound = { 0 };
	getsockname(fd, (struct sockaddr *)&bound, &length);
	own.sin_port = bound.sin_port;
	return own;
}

static const char *ports(const struct answer seen[SOCKETS], const struct sockaddr_in *own)
{
	if (seen[0].address == own->sin_addr.s_addr && seen[0].port == own->sin_port)
		return "none";
	if (seen[0].port == own->sin_port && seen[1].port == own->sin_port)
		return "preserved";
	for (u32 i = 1; i < SOCKETS; i++)
		if (ntohs(seen[i].port) != ntohs(seen[i - 1].port) + 1)
			return "other";
	return "sequential";
}

/* The sockets: 0 and 1 are the ports of address 1, 2 and 3 those of address 2. */
static int classify(void)
{
	struct answer seen[SOCKETS], ignored;
	const char *mapping, *filtering;
	bool other_port = false, other_address = false;
	int fd = fresh_socket();
	struct sockaddr_in own;

	for (u8 i = 0; i < SOCKETS; i++) {
		if (!ask(fd, i, NOBODY, &seen[i], &other_port)) {
			puts("blocked");
			return 0;
		}
	}
	own = local_of(fd);
	mapping = seen[0].port != seen[1].port ? "APDM" :
		  seen[0].port != seen[2].port ? "ADM" :
						 "EIM";
	close(fd);
	fd = fresh_socket();
	if (!ask(fd, 0, 1, &ignored, &other_port) || !ask(fd, 0, 3, &ignored, &other_address))
		die("the server answers no more");
	filtering = other_address ? "EIF" : other_port ? "ADF" : "APDF";
	printf("%s/%s %s\n", mapping, filtering, ports(seen, &own));
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 5 || (strcmp(argv[1], "serve") != 0 && strcmp(argv[1], "ask") != 0)) {
		fprintf(stderr, "usage: natprobe serve|ask ADDRESS-1 ADDRESS-2 PORT\n");
		return 2;
	}
	for (u32 i = 0; i < SOCKETS; i++) {
		server[i].sin_family = AF_INET;
		server[i].sin_port = htons((u16)(strtoul(argv[4], NULL, 10) + i % 2));
		if (!inet_pton(AF_INET, argv[2 + i / 2], &server[i].sin_addr))
			die(argv[2 + i / 2]);
	}
	if (!strcmp(argv[1], "serve"))
		serve();
	return classify();
}
