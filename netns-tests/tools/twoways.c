/* SPDX-License-Identifier: MIT */
/*
 * twoways - sends packets of all kinds over two ways, and compares what comes out.
 *
 *   twoways [-n COUNT] [-m MTU] [-s SEED] NS-A DEV-1 DEV-2 NS-B DEV-3 DEV-4
 *
 * NS-A and NS-B are files such as /run/netns/name. DEV-1 in A is one end of a veth pair, DEV-3 in B the
 * other: this way the kernel alone does what is to be done with large packets and checksums. DEV-2 is
 * a TUN interface in A, from which packets come to DEV-4 in B, over one host that forwards them. What
 * comes out of DEV-4 must be, flow by flow, byte for byte and in the same order, what comes out of
 * DEV-3, but for one hop less to live.
 *
 * Packets are of 10.44.0.1 to 10.45.0.2 and fd44::1 to fd45::2: TCP and UDP of a few flows, in which most
 * follow one another as in a stream, some are large ones to be cut (with any flags, options and extension
 * headers), and some are fragments, without payload or checksum, or wrong in other ways. They go out in
 * bursts, the next when the one before has come.
 *
 * Output is one line of JSON: {"given", "came", "lost", "different", "large"}; the first packet that
 * differs is written to standard error. Exit status 1 when anything is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/packets.h"
#include "warp/wire.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* Linux 6.2 */
#endif

#define BURST 24u
#define QUIET_MS 5
#define PATIENCE_MS 2000
#define BURST_PACKETS 8192u
#define FLOWS 12u
#define ETHERNET 14u

struct way {
	int out, in;
	int ifindex;                /* of out */
	u8 *packets[BURST_PACKETS]; /* of this burst */
	u32 sizes[BURST_PACKETS];
	u32 count;
	bool tun;
};

struct item {
	struct virtio_net_hdr header;
	u8 bytes[PACKET_BYTES_MAX];
	u32 size;
};

static struct way plain, warp = { .tun = true };
static struct packet flows[FLOWS];
static u8 payload[2 * PACKET_BYTES_MAX];
static u64 random_state;
static u32 mtu = 1280, large, came, different, lost;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "twoways: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* SplitMix64 */
static u64 random_u64(void)
{
	u64 z = random_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static u32 below(u32 limit)
{
	return (u32)(random_u64() % limit);
}

static bool one_of(u32 n)
{
	return below(n) == 0;
}

/* --- sockets ------------------------------------------------------------------------------------ */

static void enter(const char *ns)
{
	int fd = open(ns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(ns);
	close(fd);
}

static int open_out(struct way *w, const char *device)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1, size = 8 << 20;

	w->ifindex = (int)if_nametoindex(device);
	if (fd < 0 || !w->ifindex)
		die(device);
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		die("PACKET_VNET_HDR");
	return fd;
}

static int open_in(const char *device)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(device) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = 64 << 20;

	if (fd < 0 || !at.sll_ifindex || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		die(device);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return fd;
}

static void send_item(const struct way *w, const struct item *item)
{
	u8 bytes[sizeof(struct virtio_net_hdr) + ETHERNET + PACKET_BYTES_MAX];
	bool v6 = item->bytes[0] >> 4 == 6;
	u16 protocol = v6 ? ETH_P_IPV6 : ETH_P_IP;
	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = w->ifindex,
				  .sll_protocol = htons(protocol) };
	struct virtio_net_hdr header = item->header;
	size_t at = sizeof(header);

	if (!w->tun) {
		header.hdr_len = (u16)(header.hdr_len + (header.hdr_len ? ETHERNET : 0));
		header.csum_start = (u16)(header.csum_start + (header.flags ? ETHERNET : 0));
		memset(bytes + at, 0xff, 12);
		put_u16(bytes + at + 12, protocol);
		at += ETHERNET;
	}
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + at, item->bytes, item->size);
	if (sendto(w->out, bytes, at + item->size, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		die(w->tun ? "send to the TUN interface" : "send");
}

/* Ours? Both hosts also say things of their own. */
static bool ours(const u8 *p, u32 size)
{
	if (size >= 20 && p[0] >> 4 == 4)
		return get_u32(p + 12) == 0x0a2c0001;
	return size >= 40 && p[0] >> 4 == 6 && p[8] == 0xfd && p[9] == 0x44 && p[23] == 1;
}

/* Reads what is there; false when nothing was. */
static bool collect(struct way *w, int wait_ms)
{
	static u8 bytes[ETHERNET + PACKET_BYTES_MAX];
	struct pollfd p = { .fd = w->in, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, wait_ms) <= 0)
		return false;
	while ((n = recv(w->in, bytes, sizeof(bytes), 0)) > 0) {
		u32 size = (u32)n - ETHERNET;

		if (n < (ssize_t)ETHERNET || !ours(bytes + ETHERNET, size))
			continue;
		if (w->count == BURST_PACKETS)
			die("too many packets");
		w->packets[w->count] = malloc(size);
		if (!w->packets[w->count])
			die("memory");
		memcpy(w->packets[w->count], bytes + ETHERNET, size);
		w->sizes[w->count++] = size;
	}
	return true;
}

/* --- what is sent --------------------------------------------------------------------------------- */

static void make_flows(void)
{
	for (u32 n = 0; n < FLOWS; n++) {
		u8 family = n % 2 ? 4 : 6;
		struct packet *f = &flows[n];

		*f = n % 4 < 2 ? packet_tcp(family) : packet_udp(family);
		f->source = (u16)(5000 + n);
		f->data = payload;
		f->size = 100 + below(mtu - 200);
	}
}

static void make_gso(struct item *item, struct packet *p)
{
	u32 headers = packet_headers(p), share = 1 + below(mtu - headers), most = 40 * share;

	if (most > 65535 - headers)
		most = 65535 - headers;
	p->size = share + 1 + below(most - share);
	if (p->size > 65535 - headers)
		p->size = 65535 - headers;
	if (p->protocol == 6 && one_of(4))
		p->flags |= (u8)random_u64() & (FLAG_FIN | FLAG_PSH | FLAG_ECE | FLAG_CWR);
	item->header = (struct virtio_net_hdr){ .gso_size = (u16)share };
	if (p->protocol == 17)
		item->header.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
	else
		item->header.gso_type = p->family == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
							 VIRTIO_NET_HDR_GSO_TCPV6;
	if (p->protocol == 6 && p->flags & FLAG_CWR)
		item->header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	large++;
}

static void make_partial(struct item *item, const struct packet *p)
{
	item->header.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	item->header.hdr_len = (u16)packet_headers(p);
	item->header.csum_start = (u16)packet_transport(p);
	item->header.csum_offset = p->protocol == 6 ? 16 : 6;
	item->size = packet_make_partial(p, item->bytes);
}

static void add_headers(struct packet *p)
{
	static const char hop[2][9] = { "\x06\0\x01\x04\0\0\0\0", "\x11\0\x01\x04\0\0\0\0" };

	if (p->protocol == 6 && one_of(2))
		packet_options(p, OPTIONS_SACK);
	else if (p->family == 4)
		packet_ip_extra(p, 0, "\1\1\1\1\1\1\1\1", one_of(2) ? 8 : 4);
	else if (p->protocol == 6 || p->protocol == 17)
		packet_ip_extra(p, one_of(2) ? 0 : 60, hop[p->protocol == 17], 8);
}

/* Something that does not follow in a stream. */
static void make_odd(struct packet *p)
{
	p->size = one_of(2) ? 0 : below(p->size + 1);
	switch (below(7)) {
	case 0:
		p->flags = (u8)random_u64();
		p->urgent = p->flags & FLAG_URG ? 5 : 0;
		break;
	case 1:
		p->acknowledgement += 1000;
		break;
	case 2:
		p->fragment = (u16)(one_of(2) ? 0x2000 : below(100) + 1);
		p->size &= ~7u;
		break;
	case 3:
		p->tos = (u8)below(4);
		break;
	case 4:
		p->protocol = 253;
		break;
	case 5:
		p->window++;
		break;
	default:
		add_headers(p);
	}
}

/* Wrong or missing, as applications and networks do it. */
static void spoil(struct item *item, const struct packet *p)
{
	u8 *sum = item->bytes + packet_transport(p) + (p->protocol == 6 ? 16 : 6);

	if (p->protocol == 17)
		memset(sum, 0, 2);
	else if (p->protocol == 6)
		sum[1] ^= 1;
}

static void make_item(struct item *item)
{
	static u32 which;
	struct packet *f = &flows[which], p;
	bool gso = one_of(8), partial;

	if (one_of(5))
		f = &flows[which = below(FLOWS)];
	p = *f;
	p.flags = (u8)(FLAG_ACK | (one_of(6) ? FLAG_PSH : 0));
	if (one_of(12))
		add_headers(&p);
	item->header = (struct virtio_net_hdr){ 0 };
	if (gso)
		make_gso(item, &p);
	else if (one_of(6))
		make_odd(&p);
	else if (one_of(6))
		p.size = 1 + below(p.size);
	partial = gso || ((p.protocol == 6 || p.protocol == 17) && one_of(3));
	if (partial)
		make_partial(item, &p);
	else
		item->size = packet_make(&p, item->bytes);
	if (!partial && p.protocol != 253 && one_of(20))
		spoil(item, &p);
	f->sequence += p.size;
	f->id = (u16)(f->id + (gso ? 200 : 1));
	f->data = payload + below(PACKET_BYTES_MAX);
}

/* --- comparing ------------------------------------------------------------------------------------ */

/* Packets of one key come in the order in which they were sent. */
static u64 key_of(const u8 *p)
{
	u8 family = p[0] >> 4, protocol = family == 4 ? p[9] : p[6];
	u64 key = (u64)family << 40 | (u64)protocol << 32;
	u32 at = family == 4 ? (p[0] & 15) * 4u : 40;

	if (protocol == 6 || protocol == 17)
		if (family == 6 || !(get_u16(p + 6) & 0x1fff))
			key |= get_u32(p + at);
	return key;
}

/* As a host that forwards it changes it. */
static void forward(u8 *p)
{
	if (p[0] >> 4 == 6) {
		p[7]--;
		return;
	}
	p[8]--;
	put_u16(p + 10, 0);
	put_u16(p + 10, (u16)~naive_sum(0, p, (p[0] & 15) * 4u));
}

static void show(const char *what, const u8 *p, u32 size)
{
	fprintf(stderr, "%s, %u bytes:", what, size);
	for (u32 i = 0; i < size && i < 100; i++)
		fprintf(stderr, " %02x", p[i]);
	fputc('\n', stderr);
}

/* A TCP checksum of 0xffff says the same as 0 (RFC 1071), and kernels write now one, now the other. */
static void settle_sum(u8 *p, u32 size)
{
	bool ip4 = p[0] >> 4 == 4;
	u32 at = (ip4 ? (p[0] & 15) * 4u : 40u) + 16;

	if (p[ip4 ? 9 : 6] == 6 && !(ip4 && get_u16(p + 6) & 0x1fff) && size >= at + 2 &&
	    get_u16(p + at) == 0xffff)
		put_u16(p + at, 0);
}

static void compare_one(const u8 *expected, u32 size)
{
	for (u32 i = 0; i < warp.count; i++) {
		u8 *p = warp.packets[i];

		if (!p || key_of(p) != key_of(expected))
			continue;
		if (warp.sizes[i] != size || memcmp(p, expected, size) != 0) {
			if (!different++) {
				show("expected", expected, size);
				show("came", p, warp.sizes[i]);
			}
		}
		came++;
		free(p);
		warp.packets[i] = NULL;
		return;
	}
	if (!lost++)
		show("lost", expected, size);
}

static void compare(void)
{
	for (u32 i = 0; i < warp.count; i++)
		settle_sum(warp.packets[i], warp.sizes[i]);
	for (u32 i = 0; i < plain.count; i++) {
		forward(plain.packets[i]);
		settle_sum(plain.packets[i], plain.sizes[i]);
		compare_one(plain.packets[i], plain.sizes[i]);
		free(plain.packets[i]);
	}
	for (u32 i = 0; i < warp.count; i++) {
		if (warp.packets[i] && !different++)
			show("nobody has sent", warp.packets[i], warp.sizes[i]);
		free(warp.packets[i]);
	}
	plain.count = warp.count = 0;
}

static void burst(u32 count)
{
	static struct item items[BURST];

	for (u32 i = 0; i < count; i++) {
		make_item(&items[i]);
		send_item(&plain, &items[i]);
	}
	for (u32 i = 0; i < count; i++)
		send_item(&warp, &items[i]);
	while (collect(&plain, QUIET_MS))
		;
	while (warp.count < plain.count && collect(&warp, PATIENCE_MS))
		;
	compare();
}

int main(int argc, char **argv)
{
	u32 count = 1000, given = 0;
	int option;

	while ((option = getopt(argc, argv, "+n:m:s:")) != -1) {
		if (option == 'n')
			count = (u32)strtoul(optarg, NULL, 10);
		else if (option == 'm')
			mtu = (u32)strtoul(optarg, NULL, 10);
		else if (option == 's')
			random_state = strtoull(optarg, NULL, 10);
	}
	if (argc - optind != 6 || mtu < 600 || mtu > 65535) {
		fputs("usage: twoways [-n COUNT] [-m MTU] [-s SEED] NS-A DEV-1 DEV-2 NS-B DEV-3 DEV-4\n",
		      stderr);
		return 2;
	}
	argv += optind;
	enter(argv[0]);
	plain.out = open_out(&plain, argv[1]);
	warp.out = open_out(&warp, argv[2]);
	enter(argv[3]);
	plain.in = open_in(argv[4]);
	warp.in = open_in(argv[5]);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (u8)random_u64();
	make_flows();
	for (; given < count && lost < 100; given += BURST)
		burst(BURST);
	printf("{\"given\": %u, \"came\": %u, \"lost\": %u, \"different\": %u, \"large\": %u}\n",
	       given, came, lost, different, large);
	return lost || different;
}
