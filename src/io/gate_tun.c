/* SPDX-License-Identifier: MIT */
/*
 * gate_tun.c - the TUN interface as the end of a tunnel of IP packets.
 *
 * Packets are read in batches; those that the kernel left larger than the link are cut into payloads.
 * Deliveries of one flow that follow one another are joined before they are written: a few flows at a
 * time wait for the end of the batch, and nothing of a flow is written while something of it waits.
 * With `mtu: auto` the interface's MTU follows what the tunnel carries in one datagram, so that packets
 * are not cut on the way.
 */
#include "warp/gate.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "warp/log.h"
#include "warp/netconf.h"
#include "warp/offload.h"
#include "warp/tun.h"

#define BATCH 64u
#define READ_AT_ONCE 8u
#define BATCH_BYTES (256u << 10) /* read at one go; large packets are many payloads each */

struct gate_tun {
	struct gate gate;
	struct tun *tun;
	struct netconf *netconf;
	bool mtu_auto;
	u32 mtu; /* as set */
	u32 offloads;
	struct joined joined[JOIN_FLOWS]; /* on the way to the kernel */
	u32 next;                         /* of them to be written when all are taken */
};

static struct gate_tun *gate_tun(struct gate *g)
{
	return (struct gate_tun *)g;
}

/* --- from the kernel -------------------------------------------------------------------------- */

/* There is no buffer: what waits is dropped, as later it would only be older. */
static void discard(struct gate_tun *t)
{
	u8 scratch[64];
	u32 i;

	for (i = 0; i < BATCH && read(t->gate.fd, scratch, sizeof(scratch)) > 0; i++)
		gate_drop(&t->gate, DROP_NO_BUFFER, 1);
}

static void read_failed(struct gate_tun *t, int error)
{
	if (error == -ENOBUFS) {
		discard(t);
		return;
	}
	log_errorx("%s: the interface is lost: %s", tun_name(t->tun), strerror(-error));
	t->gate.broken = true;
}

/* One packet as the kernel gave it; it may be larger than the link. */
static void take_packet(struct gate_tun *t, u64 now, struct buf *b)
{
	struct cut cut;
	int r = cut_begin(&cut, tun_header(b), buf_data(b), b->length);

	if (r == 0) {
		gate_send(&t->gate, now, b);
		return;
	}
	if (r > 0)
		engine_send_pieces(t->gate.engine, now, t->gate.tunnel, &cut.pieces);
	else
		gate_drop(&t->gate, DROP_MALFORMED, 1);
	buf_put(b);
}

static void gate_tun_readable(struct gate *g, u64 now)
{
	struct gate_tun *t = gate_tun(g);
	struct buf *in[READ_AT_ONCE];
	u32 bytes = 0, packets = 0;

	while (packets < BATCH && bytes < BATCH_BYTES) {
		int i, count = -ENOBUFS;

		if (pool_available(g->pool) >= g->reserve + BATCH)
			count = tun_read(t->tun, in, READ_AT_ONCE);
		if (count < 0)
			read_failed(t, count);
		for (i = 0; i < count; i++) {
			bytes += in[i]->length;
			take_packet(t, now, in[i]);
		}
		if (count < (int)READ_AT_ONCE)
			return;
		packets += (u32)count;
	}
}

/* --- to the kernel ---------------------------------------------------------------------------- */

static void write_joined(struct gate_tun *t, struct joined *j)
{
	u32 packets = j->count;
	int error;

	if (!packets)
		return;
	error = tun_write_parts(t->tun, j->iov, join_finish(j));
	if (error)
		gate_drop(&t->gate, gate_send_failed(error, DROP_SEND_ERROR), packets);
	join_clear(j);
}

static void gate_tun_flush(struct gate *g)
{
	struct gate_tun *t = gate_tun(g);
	u32 i;

	for (i = 0; i < JOIN_FLOWS; i++)
		write_joined(t, &t->joined[i]);
	t->next = 0;
}

static void write_alone(struct gate_tun *t, const struct delivery *d)
{
	int error;

	if (!tun_write(t->tun, &(struct iovec){ d->data, d->size }, 1, &error))
		gate_drop(&t->gate, gate_send_failed(error, DROP_SEND_ERROR), 1);
	buf_put(d->buf);
}

static bool may_join(const struct gate_tun *t, const struct delivery *d)
{
	u8 protocol = d->size < 20 ? 0 : d->data[0] >> 4 == 4 ? d->data[9] : d->data[6];

	return (protocol == IPPROTO_TCP && (t->offloads & TUN_TCP)) ||
	       (protocol == IPPROTO_UDP && (t->offloads & TUN_UDP));
}

static struct joined *free_place(struct gate_tun *t)
{
	struct joined *j;
	u32 i;

	for (i = 0; i < JOIN_FLOWS; i++)
		if (!t->joined[i].count)
			return &t->joined[i];
	j = &t->joined[t->next++ % JOIN_FLOWS];
	write_joined(t, j);
	return j;
}

/* Joins it to what waits, or writes what it must not overtake. */
static bool joins(struct gate_tun *t, const struct delivery *d)
{
	u32 i;

	for (i = 0; i < JOIN_FLOWS; i++) {
		struct joined *j = &t->joined[i];

		if (!join_same_flow(j, d->data, d->size))
			continue;
		if (join_add(j, d->data, d->size, d->buf))
			return true;
		write_joined(t, j);
	}
	return false;
}

static void gate_tun_deliver(struct gate *g, const struct delivery *d)
{
	struct gate_tun *t = gate_tun(g);
	struct joined *j;

	if (joins(t, d))
		return;
	if (!may_join(t, d)) {
		write_alone(t, d);
		return;
	}
	j = free_place(t);
	join_add(j, d->data, d->size, d->buf);
	if (!j->joinable)
		write_joined(t, j);
}

static bool gate_tun_set_mtu(struct gate *g, u32 mtu, bool may_lower)
{
	struct gate_tun *t = gate_tun(g);

	if (!t->mtu_auto || mtu == t->mtu)
		return false;
	if (mtu < t->mtu && !may_lower)
		return true;
	if (netconf_set_mtu(t->netconf, tun_index(t->tun), mtu) < 0)
		return false;
	t->mtu = mtu;
	log_debug("%s: MTU %u", tun_name(t->tun), mtu);
	return false;
}

static void gate_tun_close(struct gate *g)
{
	struct gate_tun *t = gate_tun(g);
	u32 i;

	for (i = 0; i < JOIN_FLOWS; i++)
		join_clear(&t->joined[i]);
	if (t->tun)
		tun_close(t->tun);
	if (t->netconf)
		netconf_close(t->netconf);
	free(t);
}

static const struct gate_ops tun_ops = {
	.readable = gate_tun_readable,
	.deliver = gate_tun_deliver,
	.flush = gate_tun_flush,
	.set_mtu = gate_tun_set_mtu,
	.close = gate_tun_close,
};

static int set_up(struct gate_tun *t, const struct conf_gate *conf)
{
	struct netconf_link wanted = {
		.addresses = conf->addresses,
		.address_count = conf->address_count,
		.routes = conf->routes,
		.route_count = conf->route_count,
	};
	int error = tun_open(&t->tun, conf->tun, t->gate.pool);

	if (!error)
		error = netconf_open(&t->netconf);
	if (error)
		return error;
	t->gate.fd = tun_fd(t->tun);
	t->offloads = tun_offload(t->tun, t->gate.offload);
	t->mtu = conf->mtu ? conf->mtu : engine_tunnel_mtu(t->gate.engine, t->gate.tunnel);
	t->mtu_auto = conf->mtu == 0;
	wanted.ifindex = tun_index(t->tun);
	wanted.mtu = t->mtu;
	return netconf_apply(t->netconf, &wanted, NULL);
}

int gate_open_tun(struct gate **ret, const struct gate_options *options,
		  const struct conf_gate *conf, struct conf_error *ret_error)
{
	struct gate_tun *t = calloc(1, sizeof(*t));
	int error = -ENOMEM;

	if (t) {
		t->gate = gate_begin(&tun_ops, options);
		error = set_up(t, conf);
	}
	if (error) {
		ret_error->text[0] = 0; /* the log has the whole */
		if (t)
			gate_tun_close(&t->gate);
		return error;
	}
	*ret = &t->gate;
	return 0;
}
