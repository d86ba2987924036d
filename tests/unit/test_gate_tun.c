/* SPDX-License-Identifier: MIT */
/*
 * What the TUN gate delivers, as the kernel sees it: all of it, unchanged, and nothing before what it
 * must not overtake.
 */
#include "harness.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_engine.h"
#include "netns.h"
#include "packets.h"
#include "warp/gate.h"
#include "warp/log.h"
#include "warp/offload.h"
#include "warp/text.h"
#include "warp/wire.h"

#define POOL 64u
#define BATCH 48u
#define MOST 2000u /* bytes of a packet */

static u8 payload[200000];
static struct pool *pool;
static struct gate *gate;
static int tap;

static struct {
	u8 bytes[BATCH][MOST];
	u32 size[BATCH], place[BATCH]; /* place: in what came, from 1 */
	u32 given, came, writes;
} batch;

/* --- the kernel's side --------------------------------------------------------------------------- */

static int open_tap(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex("warp0") };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void note(const u8 *packet, u32 size)
{
	for (u32 n = 0; n < batch.given; n++)
		if (!batch.place[n] && batch.size[n] == size &&
		    memcmp(batch.bytes[n], packet, size) == 0) {
			batch.place[n] = ++batch.came;
			return;
		}
	fail_msg("a packet of %u bytes that nobody has sent", size);
}

/* In the kernel's own words: a large packet, and how to cut it. */
static void take_apart(u8 *bytes, u32 size)
{
	struct virtio_net_hdr header;
	struct cut cut;
	u8 piece[MOST];
	int r;

	memcpy(&header, bytes, sizeof(header));
	bytes += sizeof(header);
	size -= (u32)sizeof(header);
	r = cut_begin(&cut, &header, bytes, size);
	assert_true(r >= 0);
	batch.writes++;
	if (r == 0)
		note(bytes, size);
	for (u32 n = 0; r == 1 && n < cut.pieces.count; n++) {
		cut.pieces.write(&cut.pieces, n, piece);
		note(piece, n + 1 < cut.pieces.count ? cut.pieces.size : cut.pieces.last_size);
	}
}

static void look(void)
{
	static u8 bytes[70000];
	struct sockaddr_ll from;
	socklen_t length;
	ssize_t n;

	for (;;) {
		length = sizeof(from);
		n = recvfrom(tap, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &length);
		if (n < 0)
			break;
		if (from.sll_pkttype != PACKET_OUTGOING)
			take_apart(bytes, (u32)n);
	}
}

/* --- the gate's side ----------------------------------------------------------------------------- */

static void begin(bool offload)
{
	struct prefix address;
	struct gate_options options = { .pool = pool, .offload = offload };
	struct conf_gate conf = { .kind = GATE_TUN, .addresses = &address, .address_count = 1 };
	struct conf_error error;

	netns_needed();
	memset(&fake, 0, sizeof(fake));
	pool = options.pool = pool_create(&fake_allocator, POOL);
	snprintf(conf.tun, sizeof(conf.tun), "warp0");
	assert_int_equal(prefix_parse("192.0.2.1/24", &address), 0);
	conf.mtu = 1500;
	assert_int_equal(gate_open(&gate, &options, &conf, &error), 0);
	tap = open_tap();
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (u8)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

static void end(void)
{
	for (u32 n = 0; n < DROP_REASONS; n++)
		assert_int_equal(fake.dropped[n], 0);
	close(tap);
	gate_close(gate);
	assert_int_equal(pool_available(pool), POOL);
	pool_destroy(pool);
}

static void deliver(const struct packet *p)
{
	struct buf *b = buf_get(pool);
	struct delivery d = { .data = buf_data(b), .buf = b };

	d.size = b->length = packet_make(p, d.data);
	memcpy(batch.bytes[batch.given], d.data, d.size);
	batch.size[batch.given] = d.size;
	batch.place[batch.given++] = 0;
	gate_deliver(gate, &d);
}

/* --- what must not overtake what ------------------------------------------------------------------ */

static bool shows_ports(const u8 *p)
{
	u8 protocol = p[0] >> 4 == 4 ? p[9] : p[6];

	if (protocol != 6 && protocol != 17)
		return false;
	return p[0] >> 4 == 6 || (p[0] == 0x45 && !(get_u16(p + 6) & 0x1fff));
}

static bool may_be_of_one_flow(const u8 *a, const u8 *b)
{
	u32 at = a[0] >> 4 == 4 ? 20 : 40, protocol = at == 20 ? 9 : 6;

	if (a[0] >> 4 != b[0] >> 4)
		return false;
	if (!shows_ports(a) || !shows_ports(b))
		return true;
	return a[protocol] == b[protocol] && memcmp(a + at, b + at, 4) == 0;
}

static void assert_order(void)
{
	assert_int_equal(batch.came, batch.given);
	for (u32 i = 0; i < batch.given; i++)
		for (u32 k = i + 1; k < batch.given; k++)
			if (may_be_of_one_flow(batch.bytes[i], batch.bytes[k]))
				assert_true(batch.place[i] < batch.place[k]);
}

static u32 finish(void)
{
	u32 ret;

	gate_flush(gate);
	look();
	assert_order();
	ret = batch.writes;
	batch.given = batch.came = batch.writes = 0;
	return ret;
}

/* --- tests ---------------------------------------------------------------------------------------- */

static void make_flows(struct packet *flows, u32 count)
{
	for (u32 n = 0; n < count; n++) {
		flows[n] = n % 4 < 2 ? packet_tcp(n % 2 ? 4 : 6) : packet_udp(n % 2 ? 4 : 6);
		flows[n].source = (u16)(5000 + n / 4);
		flows[n].data = payload + n * 3000;
		flows[n].size = 100 + n * 50;
	}
}

static void advance(struct packet *p)
{
	p->sequence += p->size;
	p->id++;
	p->data += p->size;
	if (p->data > payload + sizeof(payload) - 2 * MOST)
		p->data = payload;
}

static void flows_that_alternate_are_joined(void **state)
{
	struct packet flows[JOIN_FLOWS];

	(void)state;
	begin(true);
	make_flows(flows, JOIN_FLOWS);
	for (u32 n = 0; n < BATCH; n++) {
		deliver(&flows[n % JOIN_FLOWS]);
		advance(&flows[n % JOIN_FLOWS]);
	}
	assert_int_equal(finish(), JOIN_FLOWS);
	end();
}

static void acknowledgements_keep_their_order(void **state)
{
	struct packet p = packet_tcp(4);

	(void)state;
	begin(true);
	for (u32 n = 0; n < 20; n++) {
		p.acknowledgement++;
		p.data = payload;
		p.size = n % 5 == 4 ? 1000 : 0;
		deliver(&p);
		advance(&p);
	}
	assert_int_equal(finish(), 20);
	end();
}

static void deliver_any(struct test_random *r, struct packet *flow)
{
	struct packet p = *flow;

	if (test_random_below(r, 4) == 0)
		p.size = test_random_below(r, p.size + 1);
	switch (test_random_below(r, 16)) {
	case 0:
		p.fragment = (u16)(1 + test_random_below(r, 100));
		break;
	case 1:
		p.fragment = 0x2000;
		break;
	case 2:
		packet_ip_extra(&p, 60, "\x06\0\x01\x04\0\0\0\0", p.family == 4 ? 4 : 8);
		if (p.family == 4)
			packet_ip_extra(&p, 0, "\1\1\1\1", 4);
		break;
	case 3:
		p.protocol = 253;
		break;
	case 4:
		p.flags = (u8)test_random_u64(r);
		break;
	case 5:
		p.window++;
		break;
	default:
		break;
	}
	deliver(&p);
	flow->size = p.size;
	advance(flow);
}

/* More flows than can wait, of equal addresses, with much that cannot be joined in between. */
static void nothing_overtakes_what_may_be_of_its_flow(void **state)
{
	struct test_random r = { 11 };
	struct packet flows[12], fresh[12];
	u32 given = 0, writes = 0;

	(void)state;
	begin(true);
	make_flows(flows, ARRAY_SIZE(flows));
	memcpy(fresh, flows, sizeof(fresh));
	for (u32 round = 0; round < 200; round++) {
		u32 some = 1 + test_random_below(&r, ARRAY_SIZE(flows));

		for (u32 n = 0; n < BATCH; n++) {
			u32 which = test_random_below(&r, some);

			deliver_any(&r, &flows[which]);
			flows[which].size = fresh[which].size;
		}
		given += batch.given;
		writes += finish();
	}
	assert_in_range(writes, given / 10, given * 9 / 10);
	end();
}

static void without_offloads_all_is_written_as_it_comes(void **state)
{
	struct packet flows[4];

	(void)state;
	begin(false);
	make_flows(flows, ARRAY_SIZE(flows));
	for (u32 n = 0; n < BATCH; n++) {
		deliver(&flows[n % 4]);
		advance(&flows[n % 4]);
		look();
		assert_int_equal(batch.place[n], n + 1);
	}
	assert_int_equal(finish(), BATCH);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_that_alternate_are_joined),
		cmocka_unit_test(acknowledgements_keep_their_order),
		cmocka_unit_test(nothing_overtakes_what_may_be_of_its_flow),
		cmocka_unit_test(without_offloads_all_is_written_as_it_comes),
	};

	log_set_level((enum log_level)0);
	netns_enter();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
