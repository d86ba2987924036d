/* SPDX-License-Identifier: MIT */
/*
 * notices.c - what happens in the engine, as log lines.
 */
#include "warpd/daemon.h"

#include <stdio.h>

#include "warp/log.h"
#include "warp/text.h"
#include "warp/view.h"

static const char *iface_name(const struct daemon *d, u32 index, struct iface_view *view)
{
	return engine_view_iface(d->engine, index, view) ? view->name : "a removed interface";
}

static const char *map_name(const struct daemon *d, u16 index)
{
	size_t i;

	for (i = 0; i < d->conf->map_count; i++) {
		if (d->maps[i].index == index && !d->maps[i].absent)
			return d->conf->maps[i].address.text;
	}
	return "a removed map";
}

static void tell_peer(const struct daemon *d, const struct notice *n)
{
	struct peer_view peer;

	if (!engine_view_peer(d->engine, n->a, &peer))
		return;
	switch (n->kind) {
	case NOTICE_PEER_CONNECTED:
		log_info("peer %s: connected, %s", peer.name, cipher_name(peer.cipher));
		break;
	case NOTICE_PEER_DISCONNECTED:
		log_info("peer %s: no path is left", peer.name);
		break;
	default:
		log_info("peer %s: has left", peer.name);
		break;
	}
}

static void tell_path(const struct daemon *d, const struct notice *n)
{
	struct iface_view iface;
	struct peer_view peer;
	struct path_view path;

	if (log_get_level() < LEVEL_DEBUG || !engine_view_peer(d->engine, n->a, &peer) ||
	    !engine_view_path(d->engine, n->a, n->b, &path))
		return;
	log_debug("peer %s: path %s to %s is %s", peer.name, iface_name(d, path.iface, &iface),
		  endpoint_text(&path.remote), path_state_name((enum path_state)n->c));
}

static void tell_observed(const struct daemon *d, const struct notice *n)
{
	struct iface_view iface;

	if (n->b < MAX_MAPS && engine_view_iface(d->engine, n->a, &iface))
		log_info("%s: map %s sees %s", iface.name, map_name(d, n->b),
			 endpoint_text(&iface.map[n->b].observed));
}

static void tell_override(const struct daemon *d, const struct notice *n)
{
	struct iface_view iface;
	struct peer_view peer;
	u32 i;

	if (!engine_view_peer(d->engine, n->a, &peer))
		return;
	for (i = 0; i < peer.override_count; i++) {
		if (peer.override[i].iface == n->b)
			log_info("peer %s: on %s, %s is now %s", peer.name,
				 iface_name(d, n->b, &iface),
				 endpoint_text(&peer.override[i].registered),
				 endpoint_text(&peer.override[i].actual));
	}
}

static void tell_target(const struct daemon *d, const struct notice *n)
{
	struct tunnel_view tunnel;
	struct plan_view plan;
	struct peer_view peer;
	char lost[32];

	if (!engine_view_tunnel(d->engine, n->b, &tunnel) ||
	    !engine_view_peer(d->engine, n->a, &peer) ||
	    !engine_view_plan(d->engine, n->b, n->a, &plan))
		return;
	snprintf(lost, sizeof(lost), plan.plan.residual < 0.1 ? "%.2g %%" : "%.0f %%",
		 100 * plan.plan.residual);
	if (n->c)
		log_warnx("tunnel %s: its target is not met to %s: %s lost expected, at %.2f "
			  "datagrams a payload; the best that can be had%s",
			  tunnel.name, peer.name, lost, plan.plan.overhead,
			  plan.plan.why == PLAN_OVERHEAD ? " within max_overhead" : "");
	else
		log_info("tunnel %s: its target is met again to %s", tunnel.name, peer.name);
}

static void tell(struct daemon *d, const struct notice *n)
{
	struct iface_view iface;

	switch (n->kind) {
	case NOTICE_PEER_CONNECTED:
	case NOTICE_PEER_DISCONNECTED:
	case NOTICE_PEER_CLOSED:
		tell_peer(d, n);
		break;
	case NOTICE_PATH_STATE:
		tell_path(d, n);
		break;
	case NOTICE_MAP_CONNECTED:
		log_info("map %s: connected", map_name(d, n->a));
		break;
	case NOTICE_MAP_LOST:
		log_warnx("map %s: does not answer", map_name(d, n->a));
		break;
	case NOTICE_OBSERVED:
		tell_observed(d, n);
		break;
	case NOTICE_OVERRIDE:
		tell_override(d, n);
		break;
	case NOTICE_IFACE_RESTS:
		log_warnx("%s: rests after too many send errors", iface_name(d, n->a, &iface));
		break;
	case NOTICE_MTU:
		tunnels_follow_mtu(d);
		break;
	case NOTICE_STREAM:
		log_info("%s: map %s is spoken to over %s", iface_name(d, n->b, &iface),
			 map_name(d, n->a), n->c ? "TCP, since UDP is silent" : "UDP again");
		break;
	case NOTICE_TARGET:
		tell_target(d, n);
		break;
	case NOTICE_KINDS:
		break;
	}
}

void notices_tell(struct daemon *d)
{
	struct notice notice;

	while (engine_next_notice(d->engine, &notice))
		tell(d, &notice);
}
