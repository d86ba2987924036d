/* SPDX-License-Identifier: MIT */
/*
 * config.c - from one configuration to the next. The start is a change from nothing.
 *
 * Peers and maps are recognised by their keys, tunnels by their names. What is the same in both
 * configurations is not touched: its sessions, paths, gates and numbers stay. What differs is
 * removed and added anew; only a peer's endpoints and a map's address change in place. First all
 * that goes is removed, then all that comes is added, so that names, ids, ports and prefixes can
 * change hands.
 */
#include "warpd/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/log.h"

/* What the next configuration has of this one. */
struct change {
	struct conf *conf;
	struct peer_slot *peers;
	struct map_slot *maps;
	struct tunnel_slot **tunnels;
	bool *peer_stays, *map_stays; /* of d->conf */
};

/* An error that does not end the change: the first one is reported. */
static void note(struct conf_error *ret_error, int *ret, int error, const char *what,
		 const char *name)
{
	if (!error)
		return;
	log_errorx("%s %s: %s", what, name, strerror(-error));
	if (!*ret)
		snprintf(ret_error->text, sizeof(ret_error->text), "%s %s: %s", what, name,
			 strerror(-error));
	*ret = *ret ? *ret : error;
}

/* --- peers -------------------------------------------------------------------------------- */

static bool same_prefixes(const struct conf_peer *a, const struct conf_peer *b)
{
	size_t i;

	for (i = 0; i < a->allowed_ip_count && i < b->allowed_ip_count; i++) {
		if (a->allowed_ips[i].bits != b->allowed_ips[i].bits ||
		    !address_equal(&a->allowed_ips[i].address, &b->allowed_ips[i].address))
			return false;
	}
	return a->allowed_ip_count == b->allowed_ip_count;
}

/* All but the endpoints. */
static bool same_peer(const struct conf_peer *a, const struct conf_peer *b)
{
	return crypto_equal(a->public_key, b->public_key, KEY_SIZE) &&
	       crypto_equal(a->preshared_key, b->preshared_key, KEY_SIZE) &&
	       !strcmp(a->name, b->name) && same_prefixes(a, b);
}

/* Are the endpoints that a peer has those of conf? */
static bool same_hosts(const struct peer_slot *from, const struct conf_peer *conf)
{
	size_t i;

	for (i = 0; i < from->host_count && i < conf->endpoint_count; i++) {
		if (strcmp(from->hosts[i].conf.text, conf->endpoints[i].text) != 0)
			return false;
	}
	return from->host_count == conf->endpoint_count;
}

static void match_peer(struct daemon *d, struct change *c, size_t i)
{
	const struct conf_peer *conf = &c->conf->peers[i];
	const struct peer_slot *from = NULL;
	size_t j;

	for (j = 0; d->conf && j < d->conf->peer_count && !from; j++) {
		if (!d->peers[j].absent && same_peer(&d->conf->peers[j], conf)) {
			from = &d->peers[j];
			c->peer_stays[j] = true;
		}
	}
	c->peers[i].fresh = !from;
	c->peers[i].moved = !from || !same_hosts(from, conf);
	c->peers[i].index = from ? from->index : 0;
	c->peers[i].hosts = hosts_of_peer(d, conf, from);
	c->peers[i].host_count = c->peers[i].hosts ? conf->endpoint_count : 0;
}

static int add_peer(struct daemon *d, size_t i)
{
	const struct conf_peer *conf = &d->conf->peers[i];
	struct peer_options options = { .allowed_ips = conf->allowed_ips,
					.allowed_ip_count = conf->allowed_ip_count };
	int error;

	memcpy(options.name, conf->name, sizeof(options.name));
	memcpy(options.public_key, conf->public_key, KEY_SIZE);
	memcpy(options.preshared_key, conf->preshared_key, KEY_SIZE);
	error = engine_add_peer(d->engine, d->now, &options, &d->peers[i].index);
	crypto_wipe(&options, sizeof(options));
	return error;
}

/* --- maps --------------------------------------------------------------------------------- */

static void match_map(struct daemon *d, struct change *c, size_t i)
{
	const struct conf_map *conf = &c->conf->maps[i];
	const struct map_slot *from = NULL;
	size_t j;

	for (j = 0; d->conf && j < d->conf->map_count && !from; j++) {
		if (!d->maps[j].absent &&
		    crypto_equal(d->conf->maps[j].public_key, conf->public_key, KEY_SIZE)) {
			from = &d->maps[j];
			c->map_stays[j] = true;
		}
	}
	c->maps[i].fresh = !from;
	c->maps[i].moved = !from || strcmp(from->host.conf.text, conf->address.text) != 0;
	c->maps[i].index = from ? from->index : 0;
	host_init(d, &c->maps[i].host, &conf->address, from ? &from->host : NULL, from != NULL);
}

/* --- the change --------------------------------------------------------------------------- */

/* calloc() that has something to return for nothing. */
static void *array(size_t count, size_t size)
{
	return calloc(count ? count : 1, size);
}

static bool prepare(struct daemon *d, struct change *c)
{
	c->peers = array(c->conf->peer_count, sizeof(*c->peers));
	c->maps = array(c->conf->map_count, sizeof(*c->maps));
	c->tunnels = array(c->conf->tunnel_count, sizeof(struct tunnel_slot *));
	c->peer_stays = array(d->conf ? d->conf->peer_count : 0, sizeof(bool));
	c->map_stays = array(d->conf ? d->conf->map_count : 0, sizeof(bool));
	return c->peers && c->maps && c->tunnels && c->peer_stays && c->map_stays;
}

static void give_up(struct change *c)
{
	free(c->peers);
	free(c->maps);
	free(c->tunnels);
	free(c->peer_stays);
	free(c->map_stays);
}

static void match(struct daemon *d, struct change *c)
{
	size_t i;

	for (i = 0; i < c->conf->peer_count; i++)
		match_peer(d, c, i);
	for (i = 0; i < c->conf->map_count; i++)
		match_map(d, c, i);
}

/* What does not stay. Tunnels first: they name peers. */
static void retire(struct daemon *d, struct change *c)
{
	size_t i;

	if (!d->conf)
		return;
	tunnels_retire(d, c->conf, c->peers, c->tunnels);
	for (i = 0; i < d->conf->peer_count; i++) {
		if (!c->peer_stays[i] && !d->peers[i].absent)
			engine_remove_peer(d->engine, d->now, d->peers[i].index);
		free(d->peers[i].hosts);
	}
	for (i = 0; i < d->conf->map_count; i++) {
		if (!c->map_stays[i] && !d->maps[i].absent)
			engine_remove_map(d->engine, d->now, d->maps[i].index);
	}
}

static void replace(struct daemon *d, struct change *c)
{
	free(d->peers);
	free(d->maps);
	free(d->tunnels);
	conf_free(d->conf);
	d->conf = c->conf;
	spin_configure(&d->spin, d->conf->spin);
	d->peers = c->peers;
	d->maps = c->maps;
	d->tunnels = c->tunnels;
	free(c->peer_stays);
	free(c->map_stays);
}

static int add_new(struct daemon *d, struct conf_error *ret_error)
{
	const struct conf *conf = d->conf;
	int ret = 0, error;
	size_t i;

	for (i = 0; i < conf->peer_count; i++) {
		error = d->peers[i].fresh ? add_peer(d, i) : 0;
		note(ret_error, &ret, error, "peer", conf->peers[i].name);
		d->peers[i].absent = error != 0;
		if (d->peers[i].moved)
			hosts_apply_peer(d, &d->peers[i]);
	}
	for (i = 0; i < conf->map_count; i++) {
		error = 0;
		if (d->maps[i].fresh)
			error = engine_add_map(d->engine, d->now, conf->maps[i].public_key,
					       &d->maps[i].index);
		note(ret_error, &ret, error, "map", conf->maps[i].address.text);
		d->maps[i].absent = error != 0;
		if (!error)
			engine_set_map_stream_port(d->engine, d->now, d->maps[i].index,
						   conf->maps[i].tcp_port);
		if (d->maps[i].moved)
			hosts_apply_map(d, &d->maps[i]);
	}
	return ret;
}

static void configure_links(struct daemon *d, const struct conf_interfaces *before)
{
	const struct conf_interfaces *now = &d->conf->interfaces;

	engine_set_intervals(d->engine, now->scan_interval, now->keepalive_interval,
			     now->max_consecutive_failures);
	d->next_scan = time_min(d->next_scan, d->now + now->scan_interval);
	policy_configure(d);
	if (!d->netmon)
		return;
	links_configure(d);
	if (now->port_mapping != before->port_mapping ||
	    now->port_mapping_lifetime != before->port_mapping_lifetime ||
	    now->bind_to_device != before->bind_to_device)
		ports_configure(d);
	if (now->listen_port != before->listen_port ||
	    now->bind_to_device != before->bind_to_device)
		links_reopen(d);
}

int config_apply(struct daemon *d, struct conf *conf, struct conf_error *ret_error)
{
	struct change c = { .conf = conf };
	struct conf_interfaces before = { 0 };
	struct conf_error error_text = { 0 };
	int error, ret;

	if (!prepare(d, &c)) {
		give_up(&c);
		conf_free(conf);
		snprintf(ret_error->text, sizeof(ret_error->text), "out of memory");
		return -ENOMEM;
	}
	if (d->quota)
		policy_expire(d); /* by what holds yet */
	if (d->conf)
		before = d->conf->interfaces; /* its lists go with the old configuration */
	match(d, &c);
	retire(d, &c);
	replace(d, &c);
	ret = add_new(d, ret_error);
	error = tunnels_open(d, &error_text);
	if (error && !ret)
		*ret_error = error_text;
	tunnels_follow_mtu(d); /* a tunnel may have other peers */
	configure_links(d, &before);
	return ret ? ret : error;
}

/* --- reload ------------------------------------------------------------------------------- */

/* What cannot change while the daemon runs. */
static int check_restart(const struct daemon *d, const struct conf *conf,
			 struct conf_error *ret_error)
{
	const struct sandbox_needs needs = daemon_needs(conf);
	const char *what = NULL;

	if (!crypto_equal(&d->conf->identity, &conf->identity, sizeof(conf->identity)))
		what = "the private key";
	else if (strcmp(d->conf->control_socket, conf->control_socket) != 0)
		what = "control_socket";
	else if (strcmp(d->conf->state_directory, conf->state_directory) != 0)
		what = "state_directory";
	else if (d->conf->cipher != conf->cipher || d->conf->crypto != conf->crypto)
		what = "cipher or crypto";
	else if (d->conf->offload != conf->offload)
		what = "offload";
	else if (d->conf->nice != conf->nice)
		what = "nice";
	else if (needs.low_port && d->gone.low_port)
		what = "listen_port to one below 1024 (CAP_NET_BIND_SERVICE was given up)";
	else if (needs.dgram_gate && d->gone.dgram_gate)
		what = "tunnels that brings the first dgram gate (CAP_DAC_OVERRIDE was given up)";
	if (!what)
		return 0;
	snprintf(ret_error->text, sizeof(ret_error->text),
		 "%s: a change of %s needs a restart; nothing was changed", d->conf_path, what);
	return -EINVAL;
}

int config_reload(struct daemon *d, struct conf_error *ret_error)
{
	struct conf *conf;
	int error = conf_load(d->conf_path, &conf, ret_error);

	if (!error) {
		error = check_restart(d, conf, ret_error);
		if (error)
			conf_free(conf);
	}
	if (error) {
		log_errorx("reload: %s", ret_error->text);
		return error;
	}
	error = config_apply(d, conf, ret_error);
	hosts_ask(d);
	if (error && !ret_error->text[0])
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "%s is in effect, but a gate could not be opened: see the log",
			 d->conf_path);
	if (error)
		log_errorx("reload: %s", ret_error->text);
	else
		log_info("reload: %s is in effect", d->conf_path);
	return error;
}

void config_free(struct daemon *d)
{
	size_t i;

	for (i = 0; d->conf && i < d->conf->peer_count; i++)
		free(d->peers[i].hosts);
	free(d->peers);
	free(d->maps);
	free(d->tunnels);
	conf_free(d->conf);
	d->conf = NULL;
}
