/* SPDX-License-Identifier: MIT */
/*
 * status.c - the daemon's state as JSON, for `warp status` and whoever asks the control socket.
 *
 * Addresses are "ip:port", ages and times seconds unless a name says otherwise, rates bits a
 * second, losses 0..1; what is not known is null, an unknown round trip 0.
 */
#include "warpd/status_auto.h"

#include <jansson.h>
#include <string.h>

#include "warp/base64.h"
#include "warp/impair_text.h"
#include "warp/text.h"
#include "warp/view.h"
#include "warpd/status.h"
#include "warpd/status_pairs.h"

static json_t *number(u64 value)
{
	return json_integer((json_int_t)value);
}

static json_t *milliseconds(u64 ns)
{
	return json_real((double)ns / (double)NS_PER_MS);
}

/* Seconds since then; null: never. */
static json_t *age(const struct daemon *d, u64 then)
{
	if (!then)
		return json_null();
	return json_real((double)(d->now > then ? d->now - then : 0) / (double)NS_PER_S);
}

/* Seconds until then. */
static json_t *remaining(const struct daemon *d, u64 then)
{
	return json_real((double)(then > d->now ? then - d->now : 0) / (double)NS_PER_S);
}

static json_t *endpoint(const struct endpoint *e)
{
	return e->address.family ? json_string(endpoint_text(e)) : json_null();
}

static json_t *key(const u8 public_key[static KEY_SIZE])
{
	char text[KEY_TEXT_SIZE];

	key_to_base64(text, public_key);
	return json_string(text);
}

static json_t *drops(const struct drop_counts *counts)
{
	json_t *ret = json_object();
	u32 i;

	for (i = DROP_NONE + 1; i < DROP_REASONS; i++) {
		if (counts->count[i])
			json_object_set_new(ret, drop_reason_name((enum drop_reason)i),
					    number(counts->count[i]));
	}
	return ret;
}

/* --- interfaces and maps ------------------------------------------------------------------ */

static json_t *iface_maps(const struct daemon *d, const struct iface_view *v)
{
	json_t *ret = json_array(), *map;
	size_t i;
	u16 at;

	for (i = 0; i < d->conf->map_count; i++) {
		at = d->maps[i].index;
		if (d->maps[i].absent)
			continue;
		map = json_object();
		json_object_set_new(map, "map", json_string(d->conf->maps[i].address.text));
		json_object_set_new(map, "registered", json_boolean(v->map[at].registered));
		json_object_set_new(map, "observed", endpoint(&v->map[at].observed));
		json_object_set_new(map, "over", json_string(v->map[at].stream ? "tcp" : "udp"));
		json_object_set_new(map, "age", age(d, v->map[at].answered_at));
		json_array_append_new(ret, map);
	}
	return ret;
}

static json_t *seconds_or_null(u64 ns)
{
	return ns && ns != TIME_NEVER ? json_real((double)ns / (double)NS_PER_S) : json_null();
}

/* What stands between the interface and the world, in the terms of RFC 4787. */
static json_t *nat(const struct nat_class *is)
{
	json_t *ret = json_object();
	bool has_size = is->step == NAT_STEP_INDEPENDENT || is->step == NAT_STEP_DEPENDENT;

	json_object_set_new(ret, "verdict", json_string(nat_verdict_name(is->verdict)));
	json_object_set_new(ret, "mapping", json_string(nat_mapping_name(is->mapping)));
	json_object_set_new(ret, "dependent", json_string(nat_answer_name(is->dependent)));
	json_object_set_new(ret, "filtering", json_string(nat_filtering_name(is->filtering)));
	json_object_set_new(ret, "preserves_ports", json_string(nat_answer_name(is->preserves)));
	json_object_set_new(ret, "port_step", json_string(nat_step_name(is->step)));
	json_object_set_new(ret, "port_step_size",
			    has_size ? json_integer(is->step_size) : json_null());
	json_object_set_new(ret, "hairpin", json_string(nat_answer_name(is->hairpin)));
	json_object_set_new(ret, "lifetime_min", seconds_or_null(is->lifetime_lower));
	json_object_set_new(ret, "lifetime_max", seconds_or_null(is->lifetime_upper));
	return ret;
}

/* What the router lets in; null: nothing. */
static json_t *port_mapping(const struct daemon *d, u8 index, const struct iface_view *v)
{
	struct portmap_mapping mapping;
	json_t *ret;

	if (!d->ports || !portmap_get(d->ports, index, &mapping))
		return json_null();
	ret = json_object();
	json_object_set_new(ret, "protocol", json_string(portmap_protocol_name(mapping.protocol)));
	json_object_set_new(ret, "external", endpoint(&mapping.external));
	json_object_set_new(ret, "expires", remaining(d, mapping.expires));
	json_object_set_new(ret, "verified", json_boolean(v->mapped_reached));
	return ret;
}

static json_t *interfaces(const struct daemon *d)
{
	json_t *ret = json_array(), *iface;
	struct iface_view v;
	u32 i;

	for (i = 0; i < MAX_IFACES; i++) {
		if (!engine_view_iface(d->engine, i, &v))
			continue;
		iface = json_object();
		json_object_set_new(iface, "name", json_string(v.name));
		json_object_set_new(iface, "address", endpoint(&v.local));
		json_object_set_new(iface, "state", json_string(v.resting ? "resting" : "up"));
		json_object_set_new(iface, "mtu", number(v.mtu));
		json_object_set_new(iface, "tx_packets", number(v.sent_packets));
		json_object_set_new(iface, "tx_bytes", number(v.sent_bytes));
		json_object_set_new(iface, "rx_packets", number(v.received_packets));
		json_object_set_new(iface, "rx_bytes", number(v.received_bytes));
		json_object_set_new(iface, "send_errors", number(v.send_errors));
		status_set_cost(d, iface, i, &v);
		json_object_set_new(iface, "nat", nat(&v.nat));
		json_object_set_new(iface, "port_mapping", port_mapping(d, (u8)i, &v));
		json_object_set_new(iface, "maps", iface_maps(d, &v));
		json_array_append_new(ret, iface);
	}
	return ret;
}

static json_t *maps(const struct daemon *d)
{
	json_t *ret = json_array(), *map;
	struct map_view v;
	size_t i;

	for (i = 0; i < d->conf->map_count; i++) {
		if (d->maps[i].absent || !engine_view_map(d->engine, d->maps[i].index, &v))
			continue;
		map = json_object();
		json_object_set_new(map, "address", json_string(d->conf->maps[i].address.text));
		json_object_set_new(map, "public_key", key(v.public_key));
		json_object_set_new(map, "state",
				    json_string(v.connected ? "connected" : "connecting"));
		json_object_set_new(map, "age", age(d, v.answered_at));
		json_array_append_new(ret, map);
	}
	return ret;
}

/* --- peers -------------------------------------------------------------------------------- */

/* The name and local address of one of our interfaces. */
static void set_iface(const struct daemon *d, json_t *object, u8 index)
{
	struct iface_view v;
	bool there = engine_view_iface(d->engine, index, &v);

	json_object_set_new(object, "interface", there ? json_string(v.name) : json_null());
	json_object_set_new(object, "local", there ? endpoint(&v.local) : json_null());
}

static void set_arrivals(json_t *path, const struct path_view *v)
{
	json_object_set_new(path, "tx_sent", number(v->sent));
	json_object_set_new(path, "tx_bytes", number(v->sent_bytes));
	json_object_set_new(path, "tx_lost", number(v->sent_lost));
	json_object_set_new(path, "tx_loss", json_real(v->loss_out));
	json_object_set_new(path, "rx_first", number(v->first));
	json_object_set_new(path, "rx_first_bytes", number(v->first_bytes));
	json_object_set_new(path, "rx_duplicate", number(v->duplicate));
	json_object_set_new(path, "rx_duplicate_bytes", number(v->duplicate_bytes));
	json_object_set_new(path, "rx_lost", number(v->received_lost));
	json_object_set_new(path, "rx_loss", json_real(v->loss_in));
	json_object_set_new(path, "tx_rate_bps", json_real(8 * v->rate_out));
	json_object_set_new(path, "rx_rate_bps", json_real(8 * v->rate_in));
	json_object_set_new(path, "congested", json_boolean(v->congested));
	json_object_set_new(path, "tx_limit_bps",
			    v->limit_out > 0 ? json_real(8 * v->limit_out) : json_null());
	json_object_set_new(path, "tx_queue_ms", milliseconds(v->queue_out));
	json_object_set_new(path, "rx_queue_ms", milliseconds(v->queue_in));
	json_object_set_new(path, "tx_saved", number(v->saved_out));
	json_object_set_new(path, "rx_saved", number(v->saved_in));
	json_object_set_new(path, "tx_loss_most", json_real(v->loss_most));
	json_object_set_new(path, "tx_burst", json_real(v->burst));
	json_object_set_new(path, "failures", number(v->failures));
	json_object_set_new(path, "fate", number(v->fate));
}

/* What striping has found out; null: nothing. */
static json_t *knowledge(const struct path_view *v)
{
	const struct path_knowledge *k = &v->knowledge;
	json_t *ret;

	if (!v->known)
		return json_null();
	ret = json_object();
	json_object_set_new(ret, "used", json_boolean(k->used));
	json_object_set_new(ret, "mode", json_string(ratecc_mode_name(k->mode)));
	json_object_set_new(ret, "capacity_bps", number(8 * k->capacity));
	json_object_set_new(ret, "queue_ms", milliseconds(k->queue));
	json_object_set_new(ret, "base_rtt_ms", milliseconds(k->round_trip));
	json_object_set_new(ret, "loss", json_real(k->loss));
	json_object_set_new(ret, "loss_burst", json_real(k->burst));
	json_object_set_new(ret, "under_way", number(k->under_way));
	json_object_set_new(ret, "window", number(k->window));
	return ret;
}

static json_t *paths(const struct daemon *d, u32 peer)
{
	json_t *ret = json_array(), *path;
	struct path_view v;
	u32 i;

	for (i = 0; i < MAX_PEER_PATHS; i++) {
		if (!engine_view_path(d->engine, peer, i, &v))
			continue;
		path = json_object();
		set_iface(d, path, v.iface);
		json_object_set_new(path, "remote", endpoint(&v.remote));
		json_object_set_new(path, "origin", json_string(path_origin_name(v.origin)));
		json_object_set_new(path, "how",
				    json_string(v.stream ? "relay-tcp" :
							   path_origin_name(v.origin)));
		json_object_set_new(path, "state", json_string(path_state_name(v.state)));
		json_object_set_new(path, "cost", json_string(iface_cost_name(v.cost)));
		json_object_set_new(path, "resting", json_boolean(v.resting));
		json_object_set_new(path, "rtt_ms", milliseconds(v.rtt));
		json_object_set_new(path, "rtt_var_ms", milliseconds(v.rtt_var));
		json_object_set_new(path, "mtu", number(v.mtu));
		set_arrivals(path, &v);
		json_object_set_new(path, "stripe", knowledge(&v));
		json_array_append_new(ret, path);
	}
	return ret;
}

static json_t *registered(const struct peer_view *v)
{
	json_t *ret = json_array(), *entry;
	u32 i;

	for (i = 0; i < v->registered_count; i++) {
		entry = json_object();
		json_object_set_new(entry, "observed", endpoint(&v->registered[i].observed));
		json_object_set_new(entry, "lan", endpoint(&v->registered[i].lan));
		json_array_append_new(ret, entry);
	}
	return ret;
}

static json_t *overrides(const struct daemon *d, const struct peer_view *v)
{
	json_t *ret = json_array(), *entry;
	u32 i;

	for (i = 0; i < v->override_count; i++) {
		entry = json_object();
		set_iface(d, entry, v->override[i].iface);
		json_object_set_new(entry, "registered", endpoint(&v->override[i].registered));
		json_object_set_new(entry, "override", endpoint(&v->override[i].actual));
		json_array_append_new(ret, entry);
	}
	return ret;
}

static json_t *allowed_ips(const struct conf_peer *conf)
{
	json_t *ret = json_array();
	size_t i;

	for (i = 0; i < conf->allowed_ip_count; i++)
		json_array_append_new(ret, json_string(prefix_text(&conf->allowed_ips[i])));
	return ret;
}

static const char *peer_state(const struct peer_view *v)
{
	if (v->connected)
		return "connected";
	return v->closed ? "closed" : "connecting";
}

static json_t *peers(const struct daemon *d)
{
	json_t *ret = json_array(), *peer;
	struct peer_view v;
	size_t i;

	for (i = 0; i < d->conf->peer_count; i++) {
		if (d->peers[i].absent || !engine_view_peer(d->engine, d->peers[i].index, &v))
			continue;
		peer = json_object();
		json_object_set_new(peer, "name", json_string(v.name));
		json_object_set_new(peer, "public_key", key(v.public_key));
		json_object_set_new(peer, "state", json_string(peer_state(&v)));
		json_object_set_new(peer, "cipher", json_string(cipher_name(v.cipher)));
		json_object_set_new(peer, "session_age", age(d, v.session ? v.session_since : 0));
		json_object_set_new(peer, "rtt_ms", milliseconds(v.rtt));
		json_object_set_new(peer, "allowed_ips", allowed_ips(&d->conf->peers[i]));
		json_object_set_new(peer, "registered", registered(&v));
		json_object_set_new(peer, "overrides", overrides(d, &v));
		json_object_set_new(peer, "pairs", status_pairs(d, d->peers[i].index));
		json_object_set_new(peer, "paths", paths(d, d->peers[i].index));
		json_array_append_new(ret, peer);
	}
	return ret;
}

/* --- tunnels ------------------------------------------------------------------------------ */

/* Those that it names, or all. */
static json_t *tunnel_peers(const struct daemon *d, const struct conf_tunnel *conf)
{
	json_t *ret = json_array();
	size_t i, count = conf->peer_count ? conf->peer_count : d->conf->peer_count;

	for (i = 0; i < count; i++) {
		size_t at = conf->peer_count ? conf->peers[i] : i;

		json_array_append_new(ret, json_string(d->conf->peers[at].name));
	}
	return ret;
}

static void set_payloads(json_t *tunnel, const struct tunnel_view *v)
{
	json_object_set_new(tunnel, "congested", json_boolean(v->congested));
	json_object_set_new(tunnel, "copies", number(v->copies));
	json_object_set_new(tunnel, "tx_payloads", number(v->sent));
	json_object_set_new(tunnel, "tx_bytes", number(v->sent_bytes));
	json_object_set_new(tunnel, "tx_copies", number(v->copies_sent));
	json_object_set_new(tunnel, "rx_payloads", number(v->received));
	json_object_set_new(tunnel, "rx_bytes", number(v->received_bytes));
	json_object_set_new(tunnel, "rx_lost", number(v->lost));
	json_object_set_new(tunnel, "ordered", json_boolean(v->ordered));
	json_object_set_new(tunnel, "reordered", number(v->reordered));
	json_object_set_new(tunnel, "late", number(v->late));
	json_object_set_new(tunnel, "waiting", number(v->waiting));
	json_object_set_new(tunnel, "pending", number(v->pending));
	json_object_set_new(tunnel, "drops", drops(&v->drops));
}

/* Null, unless some are sent or have come. What is sent is told by the configuration of this end. */
static json_t *shards(const struct tunnel_view *v)
{
	const struct shard_view *s = &v->shards;
	json_t *ret;

	if (!v->num_shards && !s->blocks && !s->rebuilt && !s->unrecoverable)
		return json_null();
	ret = json_object();
	json_object_set_new(ret, "num", number(v->num_shards));
	json_object_set_new(ret, "required", number(v->required_shards));
	json_object_set_new(ret, "max_delay", json_real((double)v->max_delay / NS_PER_S));
	json_object_set_new(ret, "blocks", number(s->blocks));
	json_object_set_new(ret, "data", number(s->data));
	json_object_set_new(ret, "parity", number(s->parity));
	json_object_set_new(ret, "overhead",
			    json_real(s->data ? (double)(s->data + s->parity) / (double)s->data :
						0));
	json_object_set_new(ret, "rebuilt", number(s->rebuilt - s->early));
	json_object_set_new(ret, "rebuilt_early", number(s->early));
	json_object_set_new(ret, "unrecoverable", number(s->unrecoverable));
	return ret;
}

/* Null, unless its gate treats payloads badly on purpose. */
static void set_impair(json_t *tunnel, const struct conf_tunnel *conf, const struct gate *gate)
{
	char text[IMPAIR_TEXT];
	bool on = gate && gate->impair;

	json_object_set_new(tunnel, "impair",
			    on ? json_string(impair_format(text, &conf->impair.config)) :
				 json_null());
	if (on)
		json_object_set_new(tunnel, "impair_dropped", number(gate_impair_dropped(gate)));
}

static json_t *tunnels(const struct daemon *d)
{
	json_t *ret = json_array(), *tunnel;
	const struct conf_tunnel *conf;
	char gate[GATE_TEXT];
	struct tunnel_view v;
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		conf = &d->conf->tunnels[i];
		if (!d->tunnels[i]->added ||
		    !engine_view_tunnel(d->engine, d->tunnels[i]->index, &v))
			continue;
		tunnel = json_object();
		json_object_set_new(tunnel, "name", json_string(v.name));
		json_object_set_new(tunnel, "id", number(v.id));
		json_object_set_new(tunnel, "gate", json_string(gate_describe(&conf->gate, gate)));
		json_object_set_new(tunnel, "gate_open", json_boolean(d->tunnels[i]->gate != NULL));
		json_object_set_new(tunnel, "mode",
				    json_string(v.target.within ? "auto" :
						v.stripe        ? "stripe" :
						v.num_shards    ? "shards" :
								  "replicate"));
		json_object_set_new(tunnel, "peers", tunnel_peers(d, conf));
		set_impair(tunnel, conf, d->tunnels[i]->gate);
		set_payloads(tunnel, &v);
		json_object_set_new(tunnel, "shards", shards(&v));
		json_object_set_new(tunnel, "auto", status_auto(d, d->tunnels[i]->index, &v));
		json_object_set_new(tunnel, "repaired", number(v.repaired));
		json_array_append_new(ret, tunnel);
	}
	return ret;
}

/* --- answers ------------------------------------------------------------------------------ */

/* One line. Takes over the reference. */
static char *text_of(json_t *document)
{
	char *ret = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(9)), *line;
	size_t size = ret ? strlen(ret) : 0;

	json_decref(document);
	line = ret ? realloc(ret, size + 2) : NULL;
	if (!line) {
		free(ret);
		return NULL;
	}
	memcpy(line + size, "\n", 2);
	return line;
}

char *status_json(const struct daemon *d)
{
	json_t *ret = json_object();

	json_object_set_new(ret, "version", json_string(WARP_VERSION));
	json_object_set_new(ret, "public_key", key(d->conf->identity.public_key));
	json_object_set_new(ret, "crypto", json_string(d->aead->name));
	json_object_set_new(ret, "uptime", age(d, d->started));
	json_object_set_new(ret, "interfaces", interfaces(d));
	json_object_set_new(ret, "maps", maps(d));
	json_object_set_new(ret, "peers", peers(d));
	json_object_set_new(ret, "tunnels", tunnels(d));
	json_object_set_new(ret, "drops", drops(engine_view_drops(d->engine)));
	json_object_set_new(ret, "listeners", number(ctl_listeners(d->ctl)));
	json_object_set_new(ret, "listeners_lost", number(ctl_listeners_lost(d->ctl)));
	return text_of(ret);
}

char *status_version(void)
{
	json_t *ret = json_object();

	json_object_set_new(ret, "version", json_string(WARP_VERSION));
	return text_of(ret);
}

char *status_ok(const char *error)
{
	json_t *ret = json_object();

	json_object_set_new(ret, "ok", json_boolean(error == NULL));
	if (error)
		json_object_set_new(ret, "error", json_string(error));
	return text_of(ret);
}
