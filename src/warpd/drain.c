/* SPDX-License-Identifier: MIT */
/*
 * drain.c - carries what the engine has to where it belongs: trains to sockets, payloads to gates.
 *
 * A socket that is full is left alone until it is writable; its queue only loses what has passed
 * its deadline. What a gate cannot take, it drops and counts: nothing here waits.
 */
#include "warpd/daemon.h"

#include <errno.h>
#include <poll.h>

#include "warp/memory.h"

/* How many of the first go through the same socket. */
static size_t run_of(const struct outgoing *out, size_t count)
{
	size_t n = 1;

	while (n < count && out[n].socket == out[0].socket)
		n++;
	return n;
}

/* For a connection: nothing has to wait for it. */
static void send_to_stream(struct daemon *d, struct link *l, const struct outgoing *first)
{
	const int r = streams_send(d, l, first);

	if (r)
		engine_send_failed(d->engine, d->now, l->iface, -r);
	else
		engine_sent(d->engine, d->now, l->iface, 1);
}

/* Sends a batch. False: nothing more can be sent now. */
static bool send_batch(struct daemon *d, struct link *l)
{
	struct outgoing out[UDP_BATCH];
	size_t sent, count = engine_outgoing(d->engine, d->now, l->iface, out, UDP_BATCH);
	struct udp *udp;
	int error = 0;

	if (!count)
		return false;
	if (out[0].socket == SOCKET_STREAM) {
		send_to_stream(d, l, &out[0]);
		return true;
	}
	udp = socket_of(l, out[0].socket);
	count = run_of(out, count);
	/* What was for a socket that has been closed is lost. */
	sent = udp ? udp_send(udp, d->batch, out, count, &error) : count;
	for (size_t i = 0; i < sent; i++)
		l->handed += out[i].size;
	if (sent)
		engine_sent(d->engine, d->now, l->iface, sent);
	if (sent == count)
		return true;
	if (error == EAGAIN) {
		link_set_blocked(d, l, udp);
		return false;
	}
	engine_send_failed(d->engine, d->now, l->iface, error);
	return true;
}

static void drain_link(struct daemon *d, struct link *l)
{
	u32 i;

	if (l->blocked) {
		engine_outgoing(d->engine, d->now, l->iface, NULL, 0); /* for the deadlines */
		return;
	}
	/* Each round takes something from a queue of OUTBOX_SIZE. */
	for (i = 0; i < OUTBOX_SIZE && send_batch(d, l); i++)
		;
}

static void drain_links(struct daemon *d)
{
	u32 ifaces = engine_outgoing_ifaces(d->engine);

	for (; ifaces; ifaces &= ifaces - 1)
		drain_link(d, &d->links[__builtin_ctz(ifaces)]);
}

static void drain_deliveries(struct daemon *d)
{
	_Static_assert(MAX_TUNNELS <= 64, "a set of tunnels is 64 bits");
	struct delivery delivery;
	struct tunnel_slot *slot;
	u64 touched = 0;

	while (engine_next_delivery(d->engine, &delivery)) {
		slot = d->tunnel_by_index[delivery.tunnel];
		if (slot && slot->gate) {
			gate_deliver(slot->gate, &delivery);
			touched |= UINT64_C(1) << delivery.tunnel;
		} else {
			engine_gate_dropped(d->engine, delivery.tunnel, DROP_GATE_CLOSED);
			buf_put(delivery.buf);
		}
	}
	for (; touched; touched &= touched - 1)
		gate_flush(d->tunnel_by_index[__builtin_ctzll(touched)]->gate);
}

void drain(struct daemon *d)
{
	drain_deliveries(d); /* first: an application waits for them */
	do
		drain_links(d);
	while (sockets_serve(d));
}

/* Gates whose payloads would only wait here are not read: who sends there is to wait, or to be told by the
 * kernel that nothing more goes. */
static void follow_wants(struct daemon *d)
{
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		struct tunnel_slot *slot = d->tunnels[i];

		if (!slot->gate || !slot->added)
			continue;
		if (engine_wants(d->engine, slot->index)) {
			ev_io_start(d->loop, &slot->io);
		} else {
			ev_io_stop(d->loop, &slot->io);
			engine_gate_waits(d->engine, d->now, slot->index);
		}
	}
}

static bool settle_gates(struct daemon *d)
{
	bool more = false;
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		if (d->tunnels[i]->gate)
			more |= gate_settle(d->tunnels[i]->gate, d->now);
	}
	return more;
}

bool drain_settle(struct daemon *d)
{
	u32 round;

	for (round = 0; round < SETTLE_ROUNDS; round++) {
		if (!settle_gates(d)) {
			follow_wants(d);
			return false;
		}
		drain(d);
	}
	return true;
}

/* Waits until a socket that is full may take more. */
static void wait_for_links(struct daemon *d)
{
	struct pollfd fds[MAX_IFACES];
	nfds_t count = 0;
	u32 i;

	for (i = 0; i < MAX_IFACES; i++) {
		if (d->links[i].used && d->links[i].blocked)
			fds[count++] =
				(struct pollfd){ .fd = d->links[i].write.fd, .events = POLLOUT };
	}
	poll(fds, count, 10);
	for (i = 0; i < MAX_IFACES; i++)
		d->links[i].blocked = false;
}

void drain_all(struct daemon *d, u64 patience)
{
	u64 until = d->now + patience;

	drain(d);
	while (engine_outgoing_ifaces(d->engine) && d->now < until) {
		wait_for_links(d);
		d->now = clock_now();
		drain(d);
	}
}
