/* SPDX-License-Identifier: MIT */
/*
 * tunnels.c - the tunnels of the configuration and the gate of each.
 *
 * A tunnel without its gate (another program has the port, somebody has deleted the device) drops what
 * arrives, and the gate is tried again. The start does not accept that, a reload does.
 */
#include "warpd/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/impair_text.h"
#include "warp/log.h"

#define GATE_SOON (1 * NS_PER_S) /* after it was lost */
#define GATE_AGAIN (10 * NS_PER_S)

/* --- gates -------------------------------------------------------------------------------- */

static void close_gate(struct daemon *d, struct tunnel_slot *slot)
{
	ev_io_stop(d->loop, &slot->io);
	gate_close(slot->gate);
	slot->gate = NULL;
	d->next_gate = time_min(d->next_gate, d->now + GATE_SOON);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);
	struct tunnel_slot *slot = w->data;

	(void)events;
	spin_traffic(&d->spin, d->now);
	gate_readable(slot->gate, d->now);
	if (slot->gate->broken)
		close_gate(d, slot);
	drain(d);
}

static void tell_impair(const struct conf_tunnel *conf)
{
	char text[IMPAIR_TEXT];

	log_warnx("tunnel %s: impaired on purpose, as configured: %s", conf->name,
		  impair_format(text, &conf->impair.config));
}

static int open_gate(struct daemon *d, struct tunnel_slot *slot, const struct conf_tunnel *conf,
		     struct conf_error *ret_error)
{
	struct gate_options options = { .engine = d->engine,
					.pool = d->pool,
					.reserve = POOL_RESERVE,
					.offload = d->conf->offload,
					.tunnel = slot->index,
					.waits = handed_waits,
					.ctx = d,
					.impair = conf->impair };
	int error = gate_open(&slot->gate, &options, &conf->gate, ret_error);

	if (error)
		return error;
	ev_io_init(&slot->io, on_readable, slot->gate->fd, EV_READ);
	slot->io.data = slot;
	ev_io_start(d->loop, &slot->io);
	if (conf->impair.on)
		tell_impair(conf);
	return 0;
}

/* --- tunnels ------------------------------------------------------------------------------ */

static int add_tunnel(struct daemon *d, struct tunnel_slot *slot, const struct conf_tunnel *conf)
{
	struct tunnel_options options = { .id = conf->id,
					  .routed = conf->gate.kind == GATE_TUN,
					  .mtu = conf->mtu,
					  .send_deadline = conf->send_deadline,
					  .copies = conf->copies,
					  .num_shards = conf->num_shards,
					  .required_shards = conf->required_shards,
					  .max_delay = conf->max_delay,
					  .target = conf->target,
					  .stripe = conf->mode == MODE_STRIPE,
					  .ordered = conf->ordered,
					  .reorder_wait = conf->reorder_wait };
	u16 *peers = calloc(conf->peer_count ? conf->peer_count : 1, sizeof(*peers));
	size_t i;
	int error;

	if (!peers)
		return -ENOMEM;
	memcpy(options.name, conf->name, sizeof(options.name));
	/* One who could not be added takes a place all the same: an empty list would mean all. */
	for (i = 0; i < conf->peer_count; i++) {
		const struct peer_slot *peer = &d->peers[conf->peers[i]];

		peers[options.peer_count++] = peer->absent ? UINT16_MAX : peer->index;
	}
	options.peers = peers;
	error = engine_add_tunnel(d->engine, &options, &slot->index);
	free(peers);
	if (error)
		return error;
	slot->added = true;
	d->tunnel_by_index[slot->index] = slot;
	return 0;
}

static void remove_tunnel(struct daemon *d, struct tunnel_slot *slot)
{
	if (!slot->added)
		return;
	engine_remove_tunnel(d->engine, slot->index);
	d->tunnel_by_index[slot->index] = NULL;
	slot->added = false;
}

static int open_slot(struct daemon *d, struct tunnel_slot *slot, const struct conf_tunnel *conf,
		     struct conf_error *ret_error)
{
	bool stays = slot->added;
	int error = stays ? 0 : add_tunnel(d, slot, conf);

	if (error) {
		snprintf(ret_error->text, sizeof(ret_error->text), "tunnel %s: %s", conf->name,
			 strerror(-error));
		return error;
	}
	if (!slot->gate)
		return open_gate(d, slot, conf, ret_error);
	slot->gate->tunnel = slot->index;
	if (!stays) /* another mode has other headers: nothing that may pass in a moment */
		gate_set_mtu(slot->gate, engine_tunnel_mtu(d->engine, slot->index), true);
	return 0;
}

static void allocate_slots(struct daemon *d)
{
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		if (!d->tunnels[i])
			d->tunnels[i] = calloc(1, sizeof(*d->tunnels[i]));
		if (!d->tunnels[i])
			fatalx("out of memory");
	}
}

int tunnels_open(struct daemon *d, struct conf_error *ret_error)
{
	struct conf_error error_text = { 0 };
	int error, ret = 0;
	size_t i;

	allocate_slots(d);
	for (i = 0; i < d->conf->tunnel_count; i++) {
		error = open_slot(d, d->tunnels[i], &d->conf->tunnels[i], &error_text);
		if (error && !ret) {
			ret = error;
			*ret_error = error_text;
		}
	}
	if (ret)
		d->next_gate = d->now + GATE_AGAIN;
	return ret;
}

void tunnels_retry(struct daemon *d)
{
	struct conf_error error_text = { 0 };
	bool missing = false;
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		if (d->tunnels[i]->gate && d->tunnels[i]->added)
			continue;
		if (open_slot(d, d->tunnels[i], &d->conf->tunnels[i], &error_text) == 0) {
			log_info("tunnel %s: its gate is open", d->conf->tunnels[i].name);
			continue;
		}
		missing = true;
		if (error_text.text[0])
			log_warnx("%s", error_text.text);
	}
	d->next_gate = missing ? d->now + GATE_AGAIN : TIME_NEVER;
}

void tunnels_follow_mtu(struct daemon *d)
{
	bool may_lower = d->now >= d->next_mtu, lower = false;
	struct tunnel_slot *slot;
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		slot = d->tunnels[i];
		if (slot->gate && slot->added)
			lower |= gate_set_mtu(slot->gate, engine_tunnel_mtu(d->engine, slot->index),
					      may_lower);
	}
	if (!lower)
		d->next_mtu = TIME_NEVER;
	else if (d->next_mtu == TIME_NEVER)
		d->next_mtu = d->now + MTU_PATIENCE;
}

u64 tunnels_next_expiry(const struct daemon *d)
{
	u64 next = TIME_NEVER;
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		if (d->tunnels[i]->gate)
			next = time_min(next, gate_next_expiry(d->tunnels[i]->gate));
	}
	return next;
}

void tunnels_expire(struct daemon *d)
{
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		if (d->tunnels[i]->gate)
			gate_expire(d->tunnels[i]->gate, d->now);
	}
}

/* --- from one configuration to the next --------------------------------------------------- */

/* Are the peers that two tunnels name the same, and still there as they were? */
static bool same_peers(const struct daemon *d, const struct conf_tunnel *old,
		       const struct conf_tunnel *new, const struct peer_slot *peers)
{
	size_t i;

	for (i = 0; i < old->peer_count && i < new->peer_count; i++) {
		if (peers[new->peers[i]].fresh ||
		    peers[new->peers[i]].index != d->peers[old->peers[i]].index)
			return false;
	}
	return old->peer_count == new->peer_count;
}

static bool same_target(const struct plan_target *a, const struct plan_target *b)
{
	return a->within == b->within && !(a->residual_loss < b->residual_loss) &&
	       !(a->residual_loss > b->residual_loss) && !(a->max_overhead < b->max_overhead) &&
	       !(a->max_overhead > b->max_overhead);
}

static bool same_tunnel(const struct daemon *d, const struct conf_tunnel *old,
			const struct conf_tunnel *new, const struct peer_slot *peers)
{
	return old->id == new->id && old->mode == new->mode && old->mtu == new->mtu &&
	       old->copies == new->copies && old->send_deadline == new->send_deadline &&
	       old->ordered == new->ordered && old->reorder_wait == new->reorder_wait &&
	       old->num_shards == new->num_shards && old->required_shards == new->required_shards &&
	       old->max_delay == new->max_delay &&same_target(&old->target, &new->target) &&
	       old->gate.kind == new->gate.kind &&same_peers(d, old, new, peers);
}

static const struct conf_tunnel *by_name(const struct conf *conf, const char *name, size_t *ret)
{
	size_t i;

	for (i = 0; i < conf->tunnel_count; i++) {
		if (!strcmp(conf->tunnels[i].name, name)) {
			*ret = i;
			return &conf->tunnels[i];
		}
	}
	return NULL;
}

/* A gate stays when only the figures of its impairment are others. */
static bool same_gate(const struct conf_tunnel *old, const struct conf_tunnel *new)
{
	return gate_conf_equal(&old->gate, &new->gate) && old->impair.on == new->impair.on;
}

static void follow_impair(struct gate *gate, const struct conf_tunnel *old,
			  const struct conf_tunnel *new)
{
	char text[IMPAIR_TEXT], before[IMPAIR_TEXT];

	if (!new->impair.on || !strcmp(impair_format(text, &new->impair.config),
				       impair_format(before, &old->impair.config)))
		return;
	gate_impair_configure(gate, &new->impair.config);
	tell_impair(new);
}

void tunnels_retire(struct daemon *d, const struct conf *conf, const struct peer_slot *peers,
		    struct tunnel_slot **ret_slots)
{
	const struct conf_tunnel *old, *new;
	struct tunnel_slot *slot;
	size_t i, at;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		old = &d->conf->tunnels[i];
		slot = d->tunnels[i];
		new = by_name(conf, old->name, &at);
		if (!new || !same_tunnel(d, old, new, peers))
			remove_tunnel(d, slot);
		if (slot->gate && (!new || !same_gate(old, new)))
			close_gate(d, slot);
		else if (slot->gate)
			follow_impair(slot->gate, old, new);
		if (new)
			ret_slots[at] = slot;
		else
			free(slot);
	}
}

void tunnels_close(struct daemon *d)
{
	size_t i;

	for (i = 0; d->conf && i < d->conf->tunnel_count; i++) {
		if (!d->tunnels[i]) /* the configuration was never applied */
			continue;
		if (d->tunnels[i]->gate)
			close_gate(d, d->tunnels[i]);
		remove_tunnel(d, d->tunnels[i]);
		free(d->tunnels[i]);
		d->tunnels[i] = NULL;
	}
}
