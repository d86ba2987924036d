/* SPDX-License-Identifier: MIT */
/*
 * bursts - numbered UDP datagrams of all sizes, each of which tells how it was sent.
 *
 *   bursts send    ADDRESS PORT -n COUNT [-s LARGEST] [-g] [-z] [-o]
 *   bursts receive ADDRESS PORT -n COUNT
 *
 * Up to 64 at a time: with -g in one send that the kernel or the device cuts (UDP_SEGMENT), without it
 * one by one. All of a burst have one size, odd or even, but the last, which may be shorter; the next
 * burst has another, and another ECN mark. LARGEST may be larger than the link. -z: without UDP checksum;
 * -o: with IPv4 options, or an IPv6 extension header.
 *
 * The receiver's socket knows nothing of UDP_GRO: each datagram must come alone, with the size, the
 * bytes and the mark with which it was sent, and none before its turn. It ends when all have come, or
 * none for 2 s, and prints one line of JSON: {"unique", "lost", "duplicated", "late", "corrupt"}; "lost"
 * is of COUNT.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "warp/wire.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

#define HEADER 8u /* number u32, size u16, mark u8, 0 */
#define BURST 64u
#define BURST_BYTES 60000u
#define PAUSE_US 2000u /* between bursts: queues on the way are of 500 packets */
#define IDLE_MS 2000

struct options {
	struct sockaddr_storage address;
	socklen_t address_size;
	u32 count, largest;
	bool segment, unsummed, more_headers;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bursts: %s: %s\n", what, strerror(errno));
	exit(2);
}

static bool is_v6(const struct options *o)
{
	return o->address.ss_family == AF_INET6;
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		die("setsockopt");
}

static u8 byte_at(u32 number, u32 offset)
{
	return (u8)(number * 7 + offset * 13 + (offset >> 8));
}

/* --- sending ------------------------------------------------------------------------------------ */

static void put_datagram(u8 *out, u32 number, u32 size, u8 mark)
{
	put_u32(out, number);
	put_u16(out + 4, (u16)size);
	out[6] = mark;
	out[7] = 0;
	for (u32 i = HEADER; i < size; i++)
		out[i] = byte_at(number, i);
}

static void add_headers(const struct options *o, int fd)
{
	static const u8 nops[8] = { 1, 1, 1, 1, 1, 1, 1, 0 };
	static const u8 padding[8] = { 0, 0, 1, 4 };

	if (is_v6(o) ? setsockopt(fd, IPPROTO_IPV6, IPV6_DSTOPTS, padding, sizeof(padding)) :
		       setsockopt(fd, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops)))
		die("IP options");
}

static int open_sender(const struct options *o)
{
	int fd = socket(o->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&o->address, o->address_size))
		die("connect");
	set(fd, SOL_SOCKET, SO_SNDBUFFORCE, 4 << 20);
	if (is_v6(o))
		set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
	else
		set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
	if (o->unsummed)
		set(fd, is_v6(o) ? SOL_UDP : SOL_SOCKET, is_v6(o) ? UDP_NO_CHECK6_TX : SO_NO_CHECK,
		    1);
	if (o->more_headers)
		add_headers(o, fd);
	return fd;
}

static void send_all(int fd, const u8 *bytes, size_t size)
{
	if (send(fd, bytes, size, 0) != (ssize_t)size)
		die("send");
}

/* One burst from number on; how many. */
static u32 send_burst(const struct options *o, int fd, u32 number)
{
	static u8 bytes[BURST_BYTES + UINT16_MAX];
	u32 size = HEADER + (u32)random() % (o->largest - HEADER + 1),
	    most = BURST_BYTES / size; /* 1 or more */
	u32 n, at = 0, count = 1 + (u32)random() % BURST;
	u8 mark = (u8)(random() % 4);

	if (count > most)
		count = most;
	if (count > o->count - number)
		count = o->count - number;
	set(fd, is_v6(o) ? IPPROTO_IPV6 : IPPROTO_IP, is_v6(o) ? IPV6_TCLASS : IP_TOS, mark);
	for (n = 0; n < count; n++) {
		u32 this = n + 1 < count ? size : HEADER + (u32)random() % (size - HEADER + 1);

		put_datagram(bytes + at, number + n, this, mark);
		if (!o->segment)
			send_all(fd, bytes + at, this);
		at += this;
	}
	if (o->segment) {
		set(fd, SOL_UDP, UDP_SEGMENT, (int)size);
		send_all(fd, bytes, at);
	}
	return count;
}

static void send_numbers(const struct options *o)
{
	int fd = open_sender(o);

	srandom(o->largest);
	for (u32 number = 0; number < o->count;) {
		number += send_burst(o, fd, number);
		usleep(PAUSE_US);
	}
}

/* --- receiving ---------------------------------------------------------------------------------- */

static struct {
	u32 unique, duplicated, late, corrupt, next;
	u8 *seen;
} got;

static int open_receiver(const struct options *o)
{
	int fd = socket(o->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&o->address, o->address_size))
		die("bind");
	set(fd, SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20);
	if (is_v6(o)) {
		set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		set(fd, SOL_UDP, UDP_NO_CHECK6_RX, 1);
	} else {
		set(fd, IPPROTO_IP, IP_RECVTOS, 1);
	}
	return fd;
}

static int class_of(const struct cmsghdr *c)
{
	int ret;

	memcpy(&ret, CMSG_DATA(c), sizeof(ret));
	return ret & 3;
}

static int mark_of(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
			return *CMSG_DATA(c) & 3;
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
			return class_of(c);
	}
	return -1;
}

static bool intact(const u8 *bytes, u32 size, int mark, u32 count)
{
	u32 number = get_u32(bytes);

	if (size < HEADER || get_u16(bytes + 4) != size || bytes[6] != mark || number >= count)
		return false;
	for (u32 i = HEADER; i < size; i++)
		if (bytes[i] != byte_at(number, i))
			return false;
	return true;
}

static void take(const u8 *bytes, u32 size, int mark, u32 count)
{
	u32 number = get_u32(bytes);

	if (!intact(bytes, size, mark, count)) {
		if (!got.corrupt++)
			fprintf(stderr, "%u bytes, mark %d: number %u, %u bytes, mark %u\n", size,
				mark, number, get_u16(bytes + 4), bytes[6]);
	} else if (got.seen[number]) {
		got.duplicated++;
	} else {
		got.seen[number] = 1;
		got.unique++;
		got.late += number < got.next;
		got.next = number + 1;
	}
}

static void receive_numbers(const struct options *o)
{
	static u8 bytes[UINT16_MAX + 1];
	int fd = open_receiver(o);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int patience = 30000;

	got.seen = calloc(o->count, 1);
	puts("ready");
	fflush(stdout);
	while (got.unique < o->count && got.seen && poll(&p, 1, patience) > 0) {
		u8 control[256];
		struct iovec iov = { bytes, sizeof(bytes) };
		struct msghdr message = { .msg_iov = &iov,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &message, 0);

		if (n < 0)
			die("recvmsg");
		take(bytes, (u32)n, mark_of(&message), o->count);
		patience = IDLE_MS;
	}
	printf("{\"unique\": %u, \"lost\": %u, \"duplicated\": %u, \"late\": %u, \"corrupt\": %u}\n",
	       got.unique, o->count - got.unique, got.duplicated, got.late, got.corrupt);
}

/* --- options ------------------------------------------------------------------------------------ */

static _Noreturn void usage(void)
{
	fputs("usage: bursts send|receive ADDRESS PORT -n COUNT [-s LARGEST] [-g] [-z] [-o]\n",
	      stderr);
	exit(2);
}

static void read_address(struct options *o, const char *text, const char *port)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&o->address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&o->address;
	in_port_t number = htons((u16)strtoul(port, NULL, 10));

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = number;
		o->address_size = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = number;
		o->address_size = sizeof(*v6);
	} else {
		usage();
	}
}

int main(int argc, char **argv)
{
	struct options o = { .largest = 1200 };
	int option;

	if (argc < 4)
		usage();
	read_address(&o, argv[2], argv[3]);
	optind = 4;
	while ((option = getopt(argc, argv, "n:s:gzo")) != -1) {
		switch (option) {
		case 'n':
			o.count = (u32)strtoul(optarg, NULL, 10);
			break;
		case 's':
			o.largest = (u32)strtoul(optarg, NULL, 10);
			break;
		case 'g':
			o.segment = true;
			break;
		case 'z':
			o.unsummed = true;
			break;
		case 'o':
			o.more_headers = true;
			break;
		default:
			usage();
		}
	}
	if (!o.count || o.largest < HEADER || o.largest > BURST_BYTES)
		usage();
	if (strcmp(argv[1], "receive") == 0)
		receive_numbers(&o);
	else if (strcmp(argv[1], "send") == 0)
		send_numbers(&o);
	else
		usage();
	return 0;
}
