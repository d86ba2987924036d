/* SPDX-License-Identifier: MIT */
/*
 * gate_tun.c - the TUN interface as the end of a tunnel of IP packets.
 *
 * Packets are read in batches and deliveries written in batches. With `mtu: auto` the interface's
 * MTU follows what the tunnel carries in one datagram, so that packets are not cut on the way.
 */
#include "warp/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "warp/log.h"
#include "warp/netconf.h"
#include "warp/tun.h"

#define BATCH 64u

struct gate_tun {
	struct gate gate;
	struct tun *tun;
	struct netconf *netconf;
	bool mtu_auto;
	u32 mtu; /* as set */
	struct buf *in[BATCH];
	struct iovec out[BATCH];
	struct buf *out_buf[BATCH];
	u32 out_count;
};

static struct gate_tun *gate_tun(struct gate *g)
{
	return (struct gate_tun *)g;
}

static void drop(struct gate_tun *t, enum drop_reason reason)
{
	engine_gate_dropped(t->gate.engine, t->gate.tunnel, reason);
}

/* There is no buffer: what waits is dropped, as later it would only be older. */
static void discard(struct gate_tun *t)
{
	u8 scratch[64];
	u32 i;

	for (i = 0; i < BATCH && read(t->gate.fd, scratch, sizeof(scratch)) > 0; i++)
		drop(t, DROP_NO_BUFFER);
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

static void gate_tun_readable(struct gate *g, u64 now)
{
	struct gate_tun *t = gate_tun(g);
	int i, count = -ENOBUFS;

	if (pool_available(g->pool) >= g->reserve + BATCH)
		count = tun_read(t->tun, t->in, BATCH);
	if (count < 0)
		read_failed(t, count);
	for (i = 0; i < count; i++)
		engine_send(g->engine, now, g->tunnel, t->in[i]);
}

static void gate_tun_flush(struct gate *g)
{
	struct gate_tun *t = gate_tun(g);
	size_t i, taken = t->out_count;
	int error = 0;

	if (t->out_count)
		taken = tun_write(t->tun, t->out, t->out_count, &error);
	for (i = taken; i < t->out_count; i++)
		drop(t, error == EAGAIN ? DROP_GATE_FULL : DROP_SEND_ERROR);
	for (i = 0; i < t->out_count; i++)
		buf_put(t->out_buf[i]);
	t->out_count = 0;
}

static void gate_tun_deliver(struct gate *g, const struct delivery *d)
{
	struct gate_tun *t = gate_tun(g);

	t->out[t->out_count] = (struct iovec){ .iov_base = d->data, .iov_len = d->size };
	t->out_buf[t->out_count] = d->buf;
	if (++t->out_count == BATCH)
		gate_tun_flush(g);
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

	for (i = 0; i < t->out_count; i++)
		buf_put(t->out_buf[i]);
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
		t->gate = (struct gate){ .ops = &tun_ops,
					 .engine = options->engine,
					 .pool = options->pool,
					 .tunnel = options->tunnel,
					 .reserve = options->reserve,
					 .fd = -1 };
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
