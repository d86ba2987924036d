/* SPDX-License-Identifier: MIT */
/*
 * hosts.c - what the names of maps and peers stand for.
 *
 * A name is asked for at each scan until it is known, and every HOST_REFRESH from then on. What is
 * known stays when a later question fails.
 */
#include "warpd/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "warp/log.h"

/* One owner at a time: hosts of the slot at i, all maps first. False: there is no such slot. */
static bool slot_hosts(const struct daemon *d, size_t i, struct host **ret, size_t *ret_count)
{
	if (!d->conf || i >= d->conf->map_count + d->conf->peer_count)
		return false;
	if (i < d->conf->map_count) {
		*ret = &d->maps[i].host;
		*ret_count = 1;
	} else {
		*ret = d->peers[i - d->conf->map_count].hosts;
		*ret_count = d->peers[i - d->conf->map_count].host_count;
	}
	return true;
}

static void apply_slot(struct daemon *d, size_t i)
{
	if (i < d->conf->map_count)
		hosts_apply_map(d, &d->maps[i]);
	else
		hosts_apply_peer(d, &d->peers[i - d->conf->map_count]);
}

void host_init(struct daemon *d, struct host *h, const struct conf_host *conf,
	       const struct host *from, size_t from_count)
{
	size_t i;

	for (i = 0; i < from_count; i++) {
		if (!strcmp(from[i].conf.text, conf->text)) {
			*h = from[i];
			return;
		}
	}
	*h = (struct host){ .conf = *conf, .id = d->next_host_id++ };
	if (conf->numeric) {
		h->endpoints[0] = conf->endpoint;
		h->count = 1;
		h->ask_at = TIME_NEVER;
	}
}

struct host *hosts_of_peer(struct daemon *d, const struct conf_peer *conf,
			   const struct peer_slot *from)
{
	struct host *hosts = conf->endpoint_count ? calloc(conf->endpoint_count, sizeof(*hosts)) :
						    NULL;
	size_t i;

	for (i = 0; hosts && i < conf->endpoint_count; i++)
		host_init(d, &hosts[i], &conf->endpoints[i], from ? from->hosts : NULL,
			  from ? from->host_count : 0);
	return hosts;
}

void hosts_apply_peer(struct daemon *d, const struct peer_slot *peer)
{
	struct endpoint endpoints[MAX_PEER_ENDPOINTS];
	size_t i, j, count = 0;

	if (peer->absent)
		return;
	for (i = 0; i < peer->host_count; i++) {
		for (j = 0; j < peer->hosts[i].count && count < MAX_PEER_ENDPOINTS; j++)
			endpoints[count++] = peer->hosts[i].endpoints[j];
	}
	engine_set_peer_endpoints(d->engine, d->now, peer->index, endpoints, count);
}

void hosts_apply_map(struct daemon *d, const struct map_slot *map)
{
	if (!map->absent)
		engine_set_map_endpoints(d->engine, d->now, map->index, map->host.endpoints,
					 map->host.count);
}

static void ask(struct daemon *d, struct host *h)
{
	/* Refused: it has been asked already, or too many have; the next scan asks again. */
	resolver_ask(d->resolver, h->id, h->conf.host, h->conf.port);
}

void hosts_ask(struct daemon *d)
{
	struct host *hosts;
	size_t i, j, count;

	for (i = 0; slot_hosts(d, i, &hosts, &count); i++) {
		for (j = 0; j < count; j++) {
			if (hosts[j].ask_at <= d->now)
				ask(d, &hosts[j]);
		}
	}
}

void hosts_hurry(struct daemon *d)
{
	struct host *hosts;
	size_t i, j, count;

	for (i = 0; d->resolver && slot_hosts(d, i, &hosts, &count); i++) {
		for (j = 0; j < count; j++) {
			if (!hosts[j].count)
				ask(d, &hosts[j]);
		}
	}
}

/* The host that a question was about, unless it has gone meanwhile. */
static struct host *host_by_id(struct daemon *d, u64 id, size_t *ret_slot)
{
	struct host *hosts;
	size_t i, j, count;

	for (i = 0; slot_hosts(d, i, &hosts, &count); i++) {
		for (j = 0; j < count; j++) {
			if (hosts[j].id == id) {
				*ret_slot = i;
				return &hosts[j];
			}
		}
	}
	return NULL;
}

static bool same_endpoints(const struct host *h, const struct endpoint *endpoints, size_t count)
{
	size_t i;

	for (i = 0; i < count && i < h->count; i++) {
		if (!endpoint_equal(&h->endpoints[i], &endpoints[i]))
			return false;
	}
	return h->count == count;
}

static void answered(struct daemon *d, u64 id, const struct endpoint *endpoints, size_t count,
		     const char *why)
{
	size_t slot;
	struct host *h = host_by_id(d, id, &slot);

	if (!h)
		return;
	if (!count) {
		log_warnx("%s: cannot be resolved: %s", h->conf.text, why ? why : "no address");
		return;
	}
	h->ask_at = d->now + HOST_REFRESH;
	if (same_endpoints(h, endpoints, count))
		return;
	memcpy(h->endpoints, endpoints, count * sizeof(*endpoints));
	h->count = count;
	apply_slot(d, slot);
}

void hosts_answered(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);
	struct endpoint endpoints[RESOLVER_ENDPOINTS];
	const char *why = NULL;
	size_t count;
	u64 id;

	(void)w;
	(void)events;
	while (resolver_take(d->resolver, &id, endpoints, &count, &why))
		answered(d, id, endpoints, count, why);
	drain(d);
}
