/* SPDX-License-Identifier: MIT */
/*
 * garbage - what an attacker on the wire can do with warp's datagrams.
 *
 *   garbage capture FILE COUNT           records UDP datagrams that come in on any interface
 *   garbage send FILE COUNT RATE KINDS   sends COUNT datagrams, RATE a second, made from recorded ones
 *
 * It runs in the namespace of the simulated internet, through which everything passes, and from
 * which it may claim any source address. capture ends after COUNT datagrams or on SIGTERM. KINDS is a
 * list of letters, used in turn:
 *
 *   r  random bytes, from anywhere         R  random bytes behind one of warp's first bytes
 *   t  truncated, from the true source     x  with garbage appended, from the true source
 *   f  some bits flipped, ditto            p  replayed as it was, from the true source
 *   e  replayed as it was, from elsewhere  b  sent back to its sender, as if from its receiver
 *
 * Prints one line of JSON: how many datagrams it had, and how many of each kind it has sent.
 * IPv4 only. Exit status 0, or 2 when something cannot be opened.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
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

#include "warp/base.h"

#define DATAGRAM_MAX 1500u
#define RECORDS_MAX 20000u

struct record {
	u32 source, destination; /* as on the wire */
	u16 source_port, destination_port;
	u32 size;
	u8 data[DATAGRAM_MAX];
};

struct packet {
	struct iphdr ip;
	struct udphdr udp;
	u8 data[DATAGRAM_MAX];
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "garbage: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* A small generator of known start: the same garbage each time. */
static u32 random_word(void)
{
	static u64 state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (u32)(state >> 16);
}

/* --- recording ------------------------------------------------------------------------------ */

static bool parse(const u8 *p, size_t size, struct record *ret)
{
	struct iphdr ip;
	struct udphdr udp;
	size_t header;

	if (size < sizeof(ip) + sizeof(udp))
		return false;
	memcpy(&ip, p, sizeof(ip));
	header = (size_t)ip.ihl * 4;
	if (ip.version != 4 || ip.protocol != IPPROTO_UDP || size < header + sizeof(udp))
		return false;
	memcpy(&udp, p + header, sizeof(udp));
	memset(ret, 0, sizeof(*ret));
	ret->source = ip.saddr;
	ret->destination = ip.daddr;
	ret->source_port = udp.source;
	ret->destination_port = udp.dest;
	ret->size = (u32)(ntohs(udp.len) - sizeof(udp));
	if (ret->size > DATAGRAM_MAX || size < header + sizeof(udp) + ret->size)
		return false;
	memcpy(ret->data, p + header + sizeof(udp), ret->size);
	return true;
}

static int capture(const char *path, u32 count)
{
	int fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
	FILE *f = fopen(path, "w");
	struct sigaction action = { .sa_handler = on_signal };
	static u8 buffer[65536];

	if (fd < 0 || !f)
		die(path);
	sigaction(SIGTERM, &action, NULL);
	while (count && !stopped) {
		struct sockaddr_ll from = { 0 };
		socklen_t length = sizeof(from);
		struct record r;
		ssize_t size =
			recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &length);

		if (size <= 0 || from.sll_pkttype == PACKET_OUTGOING ||
		    !parse(buffer, (size_t)size, &r))
			continue;
		fwrite(&r, sizeof(r), 1, f);
		count--;
	}
	return fclose(f) ? 2 : 0;
}

/* --- sending -------------------------------------------------------------------------------- */

static void fill_random(u8 *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		p[i] = (u8)random_word();
}

static void come_from_elsewhere(struct packet *p)
{
	p->ip.saddr = htonl(0x0bc80000u | (random_word() & 0xffff)); /* 11.200.0.0/16 */
	p->udp.source = htons((u16)(1024 + random_word() % 60000));
}

static void go_back(struct packet *p, const struct record *r)
{
	p->ip.saddr = r->destination;
	p->ip.daddr = r->source;
	p->udp.source = r->destination_port;
	p->udp.dest = r->source_port;
}

/* Makes a datagram of this kind out of r; returns the size of its payload. */
static u32 spoil(struct packet *p, const struct record *r, char kind)
{
	u32 size = r->size;

	memcpy(p->data, r->data, size);
	switch (kind) {
	case 'r':
	case 'R':
		come_from_elsewhere(p);
		size = random_word() % DATAGRAM_MAX;
		fill_random(p->data, size);
		if (kind == 'R')
			p->data[0] = (u8)(0xc1 + random_word() % 4);
		break;
	case 't':
		size = random_word() % (size + 1);
		break;
	case 'x':
		fill_random(p->data + size, DATAGRAM_MAX - size);
		size += random_word() % (DATAGRAM_MAX - size + 1);
		break;
	case 'f':
		for (u32 flips = 1 + random_word() % 8; flips && size; flips--)
			p->data[random_word() % size] ^= (u8)(1u << random_word() % 8);
		break;
	case 'e':
		come_from_elsewhere(p);
		break;
	case 'b':
		go_back(p, r);
		break;
	default:
		break;
	}
	return size;
}

static void send_one(int fd, const struct record *r, char kind, u32 *sent)
{
	static struct packet p;
	struct sockaddr_in to = { .sin_family = AF_INET };
	u32 size;

	p.ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP };
	p.ip.saddr = r->source;
	p.ip.daddr = r->destination;
	p.udp = (struct udphdr){ .source = r->source_port, .dest = r->destination_port };
	size = spoil(&p, r, kind);
	if (size > 1472) /* what an Ethernet link carries */
		size = 1472;
	p.udp.len = htons((u16)(sizeof(p.udp) + size));
	p.ip.tot_len = htons((u16)(sizeof(p.ip) + sizeof(p.udp) + size));
	to.sin_addr.s_addr = p.ip.daddr;
	if (sendto(fd, &p, sizeof(p.ip) + sizeof(p.udp) + size, 0, (struct sockaddr *)&to,
		   sizeof(to)) >= 0)
		(*sent)++;
}

static void wait_for(u64 when)
{
	struct timespec t = { (time_t)(when / NS_PER_S), (long)(when % NS_PER_S) };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int send_all(const char *path, u32 count, u32 rate, const char *kinds)
{
	static struct record records[RECORDS_MAX];
	u32 sent[128] = { 0 }, kind_count = (u32)strlen(kinds), have = 0;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	FILE *f = fopen(path, "r");
	struct timespec t;
	u64 begun;

	if (fd < 0 || !f)
		die(path);
	have = (u32)fread(records, sizeof(*records), RECORDS_MAX, f);
	fclose(f);
	if (!have) {
		fprintf(stderr, "garbage: %s has no datagrams\n", path);
		return 2;
	}
	clock_gettime(CLOCK_MONOTONIC, &t);
	begun = (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
	for (u32 i = 0; i < count; i++) {
		char kind = kinds[i % kind_count];

		if (i % 64 == 0)
			wait_for(begun + (u64)i * NS_PER_S / rate);
		send_one(fd, &records[random_word() % have], kind, &sent[(u8)kind % 128]);
	}
	printf("{\"recorded\": %u", have);
	for (u32 i = 0; i < kind_count; i++)
		printf(", \"%c\": %u", kinds[i], sent[(u8)kinds[i] % 128]);
	printf("}\n");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "capture"))
		return capture(argv[2], (u32)strtoul(argv[3], NULL, 10));
	if (argc == 6 && !strcmp(argv[1], "send") && argv[5][0] && strtoul(argv[4], NULL, 10))
		return send_all(argv[2], (u32)strtoul(argv[3], NULL, 10),
				(u32)strtoul(argv[4], NULL, 10), argv[5]);
	fprintf(stderr, "usage: garbage capture FILE COUNT | garbage send FILE COUNT RATE KINDS\n");
	return 2;
}
