/* SPDX-License-Identifier: MIT */
/*
 * firstcopy - how long does a new address take until it carries application data?
 *
 *   firstcopy ADDRESS TIMEOUT-MS
 *
 * Listens to the kernel's notifications and to the packets that leave. The clock starts with the
 * last notification (address, link, route) before the address's first packet, which is what the daemon
 * can know; it stops at the first transport datagram from ADDRESS whose index and counter were
 * also sent from another address: only payloads are copied, probes are each path's own.
 *
 * Prints one line of JSON: first_packet_ms and first_copy_ms (from the notification; -1: none), or
 * `ready` before all, when it listens. Exit status 0; 1 when no copy was seen; 2 for set-up.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "warp/base.h"

#define KEY_SIZE 12u /* receiver index and counter */
#define KEYS 4096u
#define TRANSPORT_KIND 0xc4

struct keys {
	u8 key[KEYS][KEY_SIZE];
	u32 at;
};

static struct keys own, others;

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

static bool known(const struct keys *k, const u8 *key)
{
	for (u32 i = 0; i < KEYS && i < k->at; i++)
		if (!memcmp(k->key[i], key, KEY_SIZE))
			return true;
	return false;
}

static void remember(struct keys *k, const u8 *key)
{
	memcpy(k->key[k->at++ % KEYS], key, KEY_SIZE);
}

static int open_notifications(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK,
				 .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
					      RTMGRP_IPV4_ROUTE };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	return bind(fd, (struct sockaddr *)&a, sizeof(a)) ? -1 : fd;
}

/* Whether it left the host from `address`, and with which key. */
enum what { NOTHING, FROM_OTHERS, FROM_IT, COPY_FROM_IT };

static enum what look_at_packet(int fd, u32 address)
{
	static u8 p[65536];
	struct sockaddr_ll link = { 0 };
	socklen_t length = sizeof(link);
	ssize_t size = recvfrom(fd, p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&link, &length);
	struct iphdr ip;
	const u8 *key = p + sizeof(ip) + 8 + 4;

	if (size < (ssize_t)(sizeof(ip) + 8 + 16) || link.sll_pkttype != PACKET_OUTGOING)
		return NOTHING;
	memcpy(&ip, p, sizeof(ip));
	if (ip.version != 4 || ip.ihl != 5 || ip.protocol != IPPROTO_UDP)
		return NOTHING;
	if (p[sizeof(ip) + 8] != TRANSPORT_KIND)
		return ip.saddr == address ? FROM_IT : NOTHING;
	remember(ip.saddr == address ? &own : &others, key);
	if (known(ip.saddr == address ? &others : &own, key))
		return COPY_FROM_IT;
	return ip.saddr == address ? FROM_IT : FROM_OTHERS;
}

static int watch(int notifications, int packets, u32 address, u64 deadline)
{
	struct pollfd p[2] = { { .fd = notifications, .events = POLLIN },
			       { .fd = packets, .events = POLLIN } };
	u64 notified = 0, first = 0, copy = 0;

	while (!copy && now_ns() < deadline) {
		static u8 buffer[65536];

		poll(p, 2, 50);
		if (p[0].revents && recv(notifications, buffer, sizeof(buffer), MSG_DONTWAIT) > 0 &&
		    !first)
			notified = now_ns();
		if (!p[1].revents)
			continue;
		switch (look_at_packet(packets, address)) {
		case COPY_FROM_IT:
			copy = now_ns();
			break;
		case FROM_IT:
			first = first ? first : now_ns();
			break;
		default:
			break;
		}
	}
	if (!first)
		first = copy;
	printf("{\"first_packet_ms\": %.2f, \"first_copy_ms\": %.2f}\n",
	       first && notified ? (double)(i64)(first - notified) / 1e6 : -1.0,
	       copy && notified ? (double)(i64)(copy - notified) / 1e6 : -1.0);
	return copy && notified ? 0 : 1;
}

int main(int argc, char **argv)
{
	int notifications = open_notifications();
	int packets = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
	struct in_addr address;

	if (argc != 3 || !inet_pton(AF_INET, argv[1], &address)) {
		fprintf(stderr, "usage: firstcopy ADDRESS TIMEOUT-MS\n");
		return 2;
	}
	if (notifications < 0 || packets < 0) {
		fprintf(stderr, "firstcopy: sockets: %s\n", strerror(errno));
		return 2;
	}
	puts("ready");
	fflush(stdout);
	return watch(notifications, packets, address.s_addr,
		     now_ns() + strtoul(argv[2], NULL, 10) * NS_PER_MS);
}
