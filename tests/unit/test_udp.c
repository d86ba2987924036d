/* SPDX-License-Identifier: MIT */
/*
 * UDP sockets and batches over loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "warp/log.h"
#include "warp/memory.h"
#include "warp/text.h"
#include "warp/udp.h"

#define POOL 512u

struct world {
	struct pool *pool;
	struct udp_batch *batch;
	struct udp *a, *b;
};

static struct udp *open_at(const char *text, bool trains)
{
	struct udp_options o = { .trains = trains, .port_required = true };
	struct udp *u;

	assert_int_equal(endpoint_parse(text, &o.local), 0);
	if (udp_open(&u, &o))
		return NULL;
	return u;
}

static void begin(struct world *w, const char *address, bool trains)
{
	w->pool = pool_create(&system_allocator, POOL);
	w->batch = udp_batch_create(&system_allocator, w->pool);
	w->a = open_at(address, trains);
	w->b = open_at(address, trains);
	assert_non_null(w->batch);
	if (!w->a || !w->b)
		skip();
}

/* Nothing may be left of the pool's buffers in anybody's hands. */
static void end(struct world *w)
{
	udp_close(w->a);
	udp_close(w->b);
	udp_batch_destroy(w->batch);
	assert_int_equal(pool_available(w->pool), POOL);
	pool_destroy(w->pool);
}

/* length bytes that tell their place, in datagrams of segment bytes. */
static struct buf *train(struct world *w, u8 seed, u32 length, u32 segment)
{
	struct buf *b = buf_get(w->pool);

	assert_non_null(b);
	for (u32 i = 0; i < length; i++)
		buf_data(b)[i] = (u8)(seed + i / 7);
	b->length = length;
	b->segment = segment;
	return b;
}

static void assert_content(struct buf *b, u8 seed, u32 from)
{
	for (u32 i = 0; i < b->length; i++)
		assert_int_equal(buf_data(b)[i], (u8)(seed + (from + i) / 7));
}

static int receive_some(struct world *w, struct received *ret, size_t max)
{
	struct pollfd p = { .fd = udp_fd(w->b), .events = POLLIN };

	assert_int_equal(poll(&p, 1, 2000), 1);
	return udp_receive(w->b, w->batch, ret, max);
}

/* All of b, which is given away. */
static struct outgoing whole(struct buf *b, const struct endpoint *to)
{
	return (struct outgoing){ .buf = b, .destination = *to, .size = b->length };
}

static void send_all(struct world *w, struct outgoing *out, size_t count)
{
	int error = -1;

	assert_int_equal(udp_send(w->a, w->batch, out, count, &error), count);
	assert_int_equal(error, 0);
}

static void exchange_200(const char *address)
{
	struct world w;
	struct outgoing out[200];
	struct received in[UDP_BATCH];
	u32 got = 0;
	int n;

	begin(&w, address, false);
	for (u32 i = 0; i < 200; i++)
		out[i] = whole(train(&w, (u8)i, 1 + i * 7, 0), udp_local(w.b));
	send_all(&w, out, 200);
	while (got < 200) {
		n = receive_some(&w, in, ARRAY_SIZE(in));
		assert_in_range(n, 1, UDP_BATCH);
		for (int i = 0; i < n; i++, got++) {
			assert_int_equal(in[i].buf->length, 1 + got * 7);
			assert_int_equal(in[i].buf->offset, BUF_HEADROOM);
			assert_int_equal(in[i].buf->segment, 0);
			assert_content(in[i].buf, (u8)got, 0);
			assert_true(endpoint_equal(&in[i].source, udp_local(w.a)));
			buf_put(in[i].buf);
		}
	}
	assert_int_equal(udp_receive(w.b, w.batch, in, ARRAY_SIZE(in)), 0);
	for (u32 i = 0; i < 200; i++)
		buf_put(out[i].buf);
	end(&w);
}

static void batches_arrive_in_order_with_their_source_ipv4(void **state)
{
	(void)state;
	exchange_200("127.0.0.1:0");
}

static void batches_arrive_in_order_with_their_source_ipv6(void **state)
{
	(void)state;
	exchange_200("[::1]:0");
}

/* Sends one train and puts together what arrives; returns in how many receives. */
static u32 round_trip(struct world *w, u32 length, u32 segment)
{
	struct outgoing out = whole(train(w, 3, length, segment), udp_local(w->b));
	struct received in[UDP_BATCH];
	u32 bytes = 0, trains = 0;
	int n;

	send_all(w, &out, 1);
	while (bytes < length) {
		n = receive_some(w, in, ARRAY_SIZE(in));
		assert_true(n > 0);
		for (int i = 0; i < n; i++, trains++) {
			u32 size = in[i].buf->segment ? in[i].buf->segment : in[i].buf->length;

			assert_true(size == segment || bytes + size == length);
			assert_content(in[i].buf, 3, bytes);
			bytes += in[i].buf->length;
			buf_put(in[i].buf);
		}
	}
	assert_int_equal(bytes, length);
	buf_put(out.buf);
	return trains;
}

static void trains_arrive_cut_where_nobody_merges(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "127.0.0.1:0", false);
	assert_int_equal(round_trip(&w, 1200 * 30 + 5, 1200), 31);
	assert_int_equal(round_trip(&w, 1200, 1200), 1);
	assert_int_equal(round_trip(&w, 100 * 200, 100), 200);
	assert_int_equal(round_trip(&w, 65536, 1200), 55);
	end(&w);
}

static void trains_arrive_as_trains_where_the_kernel_merges(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "[::1]:0", true);
	assert_in_range(round_trip(&w, 1200 * 30 + 5, 1200), 1, 3);
	assert_in_range(round_trip(&w, 65536, 1200), 1, 6);
	end(&w);
}

static void the_first_that_fails_is_told(void **state)
{
	struct world w;
	struct outgoing out[3];
	struct received in[UDP_BATCH];
	int error;

	(void)state;
	begin(&w, "127.0.0.1:0", false);
	for (u32 i = 0; i < 3; i++)
		out[i] = whole(train(&w, 1, i == 1 ? 65536 : 100, 0), udp_local(w.b));
	assert_int_equal(udp_send(w.a, w.batch, out, 3, &error), 1);
	assert_int_equal(error, EMSGSIZE);
	assert_int_equal(udp_send(w.a, w.batch, out + 1, 2, &error), 0);
	assert_int_equal(error, EMSGSIZE);
	assert_int_equal(udp_send(w.a, w.batch, out + 2, 1, &error), 1);
	assert_int_equal(error, 0);
	assert_int_equal(receive_some(&w, in, UDP_BATCH), 2);
	for (u32 i = 0; i < 3; i++)
		buf_put(out[i].buf);
	buf_put(in[0].buf);
	buf_put(in[1].buf);
	end(&w);
}

static void a_part_of_a_train_that_fails_does_not_hold_up_the_next(void **state)
{
	struct world w;
	struct outgoing out[2];
	int error;

	(void)state;
	begin(&w, "127.0.0.1:0", false);
	out[0] = whole(train(&w, 1, 65536, 1200), udp_local(w.b));
	out[1] = whole(train(&w, 2, 100, 0), &(struct endpoint){ .port = 9 });
	assert_int_equal(udp_send(w.a, w.batch, out, 2, &error), 1);
	assert_int_not_equal(error, 0);
	buf_put(out[0].buf);
	buf_put(out[1].buf);
	end(&w);
}

static void an_empty_pool_loses_nothing(void **state)
{
	struct world w;
	struct outgoing out;
	struct received in[4];
	struct buf *held[POOL];
	u32 n = 0;

	(void)state;
	begin(&w, "127.0.0.1:0", false);
	out = whole(train(&w, 9, 50, 0), udp_local(w.b));
	while (pool_available(w.pool))
		held[n++] = buf_get(w.pool);
	send_all(&w, &out, 1);
	assert_int_equal(receive_some(&w, in, 4), -ENOBUFS);
	buf_put(held[--n]);
	assert_int_equal(receive_some(&w, in, 4), 1);
	assert_int_equal(in[0].buf->length, 50);
	buf_put(in[0].buf);
	buf_put(out.buf);
	while (n)
		buf_put(held[--n]);
	end(&w);
}

static void a_busy_port_gives_way_unless_it_is_required(void **state)
{
	struct udp_options o = { .port_required = true };
	struct udp *first = open_at("127.0.0.1:0", false), *second = NULL;

	(void)state;
	assert_non_null(first);
	o.local = *udp_local(first);
	assert_int_equal(udp_open(&second, &o), -EADDRINUSE);
	assert_null(second);
	o.port_required = false;
	log_set_level(LEVEL_ERROR);
	assert_int_equal(udp_open(&second, &o), 0);
	log_set_level(LEVEL_INFO);
	assert_int_not_equal(udp_local(second)->port, udp_local(first)->port);
	assert_int_not_equal(udp_local(second)->port, 0);
	udp_close(first);
	udp_close(second);
}

static void a_foreign_address_or_device_is_refused(void **state)
{
	struct udp_options o = { 0 };
	struct udp *u = NULL;

	(void)state;
	assert_int_equal(endpoint_parse("192.0.2.77:0", &o.local), 0);
	assert_int_equal(udp_open(&u, &o), -EADDRNOTAVAIL);
	assert_int_equal(endpoint_parse("127.0.0.1:0", &o.local), 0);
	o.ifindex = 999999;
	strcpy(o.ifname, "lo");
	assert_int_equal(udp_open(&u, &o), -ENODEV);
	o.ifindex = if_nametoindex("lo");
	strcpy(o.ifname, "lo2");
	assert_int_equal(udp_open(&u, &o), -ENODEV);
	assert_int_equal(udp_open(&u, &(struct udp_options){ 0 }), -EAFNOSUPPORT);
	assert_null(u);
}

static int option(const struct udp *u, int level, int name)
{
	socklen_t size = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(udp_fd(u), level, name, &value, &size), 0);
	return value;
}

static void sockets_are_bound_and_never_fragment(void **state)
{
	struct udp_options o = { .ifname = "lo" };
	char device[IF_NAMESIZE] = "";
	socklen_t size = sizeof(device);
	struct udp *u;

	(void)state;
	o.ifindex = if_nametoindex("lo");
	assert_int_equal(endpoint_parse("[::1]:0", &o.local), 0);
	if (udp_open(&u, &o))
		skip();
	assert_int_equal(option(u, IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_PROBE);
	assert_int_equal(option(u, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	assert_int_equal(option(u, IPPROTO_IPV6, IPV6_RECVERR), 0);
	assert_true(option(u, SOL_SOCKET, SO_RCVBUF) > 212992);
	assert_int_equal(getsockopt(udp_fd(u), SOL_SOCKET, SO_BINDTODEVICE, device, &size), 0);
	assert_string_equal(device, "lo");
	udp_close(u);
	assert_int_equal(endpoint_parse("127.0.0.1:0", &o.local), 0);
	assert_int_equal(udp_open(&u, &o), 0);
	assert_int_equal(option(u, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE);
	assert_int_equal(option(u, IPPROTO_IP, IP_RECVERR), 0);
	udp_close(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_arrive_in_order_with_their_source_ipv4),
		cmocka_unit_test(batches_arrive_in_order_with_their_source_ipv6),
		cmocka_unit_test(trains_arrive_cut_where_nobody_merges),
		cmocka_unit_test(trains_arrive_as_trains_where_the_kernel_merges),
		cmocka_unit_test(the_first_that_fails_is_told),
		cmocka_unit_test(a_part_of_a_train_that_fails_does_not_hold_up_the_next),
		cmocka_unit_test(an_empty_pool_loses_nothing),
		cmocka_unit_test(a_busy_port_gives_way_unless_it_is_required),
		cmocka_unit_test(a_foreign_address_or_device_is_refused),
		cmocka_unit_test(sockets_are_bound_and_never_fragment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
