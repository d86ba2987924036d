/* SPDX-License-Identifier: MIT */
/*
 * stunload - many clients that ask a STUN server (RFC 8489) for their address, as fast as it
 * answers.
 *
 *   stunload ENDPOINT PID CLIENTS WINDOW SECONDS
 *
 * CLIENTS addresses take turns; WINDOW requests are under way at any time; for one that is not
 * answered within 100 ms the next one is sent. Prints one line of JSON: answers, seconds, and
 * the CPU seconds that process PID has used meanwhile. Exit status 0, 1 when nothing was answered, 2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/wire.h"

#include "unit/loadio.h"
#include "warp/memory.h"

#define GIVEN_UP (100 * NS_PER_MS)
#define WINDOW_MAX 4096u
#define HEADER 20u
#define COOKIE 0x2112a442u
#define BINDING_REQUEST 0x0001u
#define BINDING_SUCCESS 0x0101u

/* A request under way: its place in the window and its number come back in the answer. */
struct request {
	u64 sent;
	u32 number;
};

struct stun {
	struct load *load;
	u64 now;
	u32 clients, window, next, number;
	u64 answers, lost;
	struct request request[WINDOW_MAX];
};

static _Noreturn void bad(const char *what)
{
	fprintf(stderr, "stunload: %s\n", what);
	exit(2);
}

static void ask(struct stun *s, u32 at)
{
	u8 request[HEADER] = { 0 };

	s->request[at] = (struct request){ s->now, s->number };
	put_u16(request, BINDING_REQUEST);
	put_u32(request + 4, COOKIE);
	put_u32(request + 8, at);
	put_u32(request + 12, s->number++);
	load_send(s->load, s->next, s->next % LOAD_SOCKETS, request, sizeof(request));
	s->next = (s->next + 1) % s->clients;
}

static void hear(void *ctx, u8 *data, size_t size)
{
	struct stun *s = ctx;
	u32 at;

	if (size < HEADER || get_u16(data) != BINDING_SUCCESS || get_u32(data + 4) != COOKIE)
		return;
	at = get_u32(data + 8);
	if (at >= s->window || s->request[at].number != get_u32(data + 12))
		return;
	s->answers++;
	ask(s, at);
}

static void give_up(struct stun *s)
{
	for (u32 i = 0; i < s->window; i++) {
		if (s->now - s->request[i].sent > GIVEN_UP) {
			s->lost++;
			ask(s, i);
		}
	}
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
	static struct stun s;
	u64 begun, looked, end, cpu;
	int pid;

	if (argc != 6)
		bad("usage: stunload ENDPOINT PID CLIENTS WINDOW SECONDS");
	s.load = load_open(argv[1]);
	pid = (int)number(argv[2], INT32_MAX);
	s.clients = number(argv[3], LOAD_CLIENTS_MAX);
	s.window = number(argv[4], WINDOW_MAX);
	begun = looked = s.now = clock_now();
	end = begun + number(argv[5], 3600) * NS_PER_S;
	cpu = load_cpu(pid);
	for (u32 i = 0; i < s.window; i++)
		ask(&s, i);
	while (s.now < end) {
		load_receive(s.load, 20 * NS_PER_MS, hear, &s);
		s.now = clock_now();
		if (s.now - looked > GIVEN_UP / 4) {
			looked = s.now;
			give_up(&s);
		}
	}
	cpu = load_cpu(pid) - cpu;
	printf("{\"answers\": %llu, \"lost\": %llu, \"seconds\": %.3f, \"cpu\": %.3f}\n",
	       (unsigned long long)s.answers, (unsigned long long)s.lost,
	       (double)(s.now - begun) / 1e9, (double)cpu / 1e9);
	load_close(s.load);
	return s.answers ? 0 : 1;
}
