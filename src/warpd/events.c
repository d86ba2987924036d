/* SPDX-License-Identifier: MIT */
/*
 * events.c - what has changed, for those who listen on the control socket.
 *
 * While somebody listens, a picture is made ten times a second: an object whose members are what people want to
 * hear of, by a key that tells one from another. What differs from the picture before is an event: one line
 * of JSON, which tells how it is now. So there are never more events than things in ten pictures a second, whatever
 * happens in between, and nothing is kept or made while nobody listens. What has gone is told as it was, with
 * the state "gone". Numbers that always change are no part of what is compared; they are only told along.
 */
#include "warpd/events.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/text.h"
#include "warp/view.h"

#define LOOK_INTERVAL (100 * NS_PER_MS)
#define KEY_TEXT 512u
#define ALONG "now" /* of a member: what is told along */

struct events {
	json_t *picture; /* as it was told; NULL: nobody listens */
	u64 next;
};

/* --- a picture ---------------------------------------------------------------------------- */

static json_t *number(double value)
{
	return json_real(value);
}

/* Adds a thing to the picture, and returns it. Takes over along, which may be NULL. */
static json_t *add(json_t *picture, const char *event, const char *key, json_t *along)
{
	char name[KEY_TEXT];
	json_t *thing = json_object();

	snprintf(name, sizeof(name), "%s %s", event, key);
	json_object_set_new(thing, "event", json_string(event));
	if (along)
		json_object_set_new(thing, ALONG, along);
	json_object_set_new(picture, name, thing);
	return json_object_get(picture, name);
}

static void set_text(json_t *thing, const char *key, const char *text)
{
	json_object_set_new(thing, key, json_string(text));
}

static void set_flag(json_t *thing, const char *key, bool flag)
{
	json_object_set_new(thing, key, json_boolean(flag));
}

static void set_path(json_t *thing, const char *peer, const struct iface_view *iface,
		     const struct path_view *v)
{
	set_text(thing, "peer", peer);
	set_text(thing, "interface", iface->name);
	set_text(thing, "local", endpoint_text(&iface->local));
	set_text(thing, "remote", endpoint_text(&v->remote));
}

static json_t *path_numbers(const struct path_view *v)
{
	json_t *along = json_object();

	json_object_set_new(along, "tx_rate_bps", number(8 * v->rate_out));
	json_object_set_new(along, "tx_queue_ms", number((double)v->queue_out / NS_PER_MS));
	json_object_set_new(along, "tx_limit_bps",
			    v->limit_out > 0 ? number(8 * v->limit_out) : json_null());
	return along;
}

/* Those that have never answered are no news. number: of the path, for two that are relayed may look the same. */
static void add_path(const struct daemon *d, json_t *picture, const char *peer, u32 number,
		     const struct path_view *v)
{
	bool up = v->state == PATH_LIVE || v->state == PATH_DEGRADED;
	struct iface_view iface;
	char key[KEY_TEXT], remote[64];
	json_t *thing;

	if (v->state == PATH_PROBING || !engine_view_iface(d->engine, v->iface, &iface))
		return;
	snprintf(remote, sizeof(remote), "%s", endpoint_text(&v->remote));
	snprintf(key, sizeof(key), "%s %s %s %s %s %u", peer, iface.name,
		 endpoint_text(&iface.local), remote, path_origin_name(v->origin),
		 v->origin == PATH_FROM_RELAY ? number : 0);
	thing = add(picture, "path", key, NULL);
	set_path(thing, peer, &iface, v);
	set_text(thing, "state", path_state_name(v->state));
	set_flag(thing, "up", up);
	set_flag(thing, "resting", v->resting);
	thing = add(picture, "path_congestion", key, path_numbers(v));
	set_path(thing, peer, &iface, v);
	set_flag(thing, "congested", up && v->congested);
}

static const char *peer_state(const struct peer_view *v)
{
	if (v->connected)
		return "connected";
	return v->closed ? "closed" : "connecting";
}

static void add_peers(const struct daemon *d, json_t *picture)
{
	struct peer_view peer;
	struct path_view path;
	json_t *thing;
	u32 n, i;

	for (n = 0; n < MAX_PEERS; n++) {
		if (!engine_view_peer(d->engine, n, &peer))
			continue;
		thing = add(picture, "peer", peer.name, NULL);
		set_text(thing, "peer", peer.name);
		set_text(thing, "state", peer_state(&peer));
		for (i = 0; i < MAX_PEER_PATHS; i++) {
			if (engine_view_path(d->engine, n, i, &path))
				add_path(d, picture, peer.name, i, &path);
		}
	}
}

static void set_plan(json_t *thing, const struct plan_view *v)
{
	json_t *along = json_object();

	set_text(thing, "mechanism", plan_kind_name(v->plan.kind));
	set_text(thing, "why", plan_why_name(v->plan.why));
	json_object_set_new(thing, "shards", json_integer(v->plan.shards));
	json_object_set_new(thing, "required", json_integer(v->plan.required));
	json_object_set_new(thing, "first", json_integer(__builtin_popcountll(v->first)));
	set_flag(thing, "meets_target", v->plan.met);
	json_object_set_new(along, "expected_loss", number(v->plan.residual));
	json_object_set_new(along, "expected_overhead", number(v->plan.overhead));
	json_object_set_new(thing, ALONG, along);
}

static void add_plans(const struct daemon *d, json_t *picture, u16 index, const char *name)
{
	struct peer_view peer;
	struct plan_view plan;
	char key[KEY_TEXT];
	json_t *thing;
	u32 n;

	for (n = 0; n < MAX_PEERS; n++) {
		if (!engine_view_plan(d->engine, index, n, &plan) ||
		    !engine_view_peer(d->engine, n, &peer))
			continue;
		snprintf(key, sizeof(key), "%s %s", name, peer.name);
		thing = add(picture, "plan", key, NULL);
		set_text(thing, "tunnel", name);
		set_text(thing, "peer", peer.name);
		set_plan(thing, &plan);
	}
}

static json_t *tunnel_numbers(const struct tunnel_view *v)
{
	json_t *along = json_object();

	json_object_set_new(along, "tx_payloads", json_integer((json_int_t)v->sent));
	json_object_set_new(along, "tx_bytes", json_integer((json_int_t)v->sent_bytes));
	return along;
}

static void add_tunnels(const struct daemon *d, json_t *picture)
{
	struct tunnel_view v;
	json_t *thing;
	size_t i;

	for (i = 0; i < d->conf->tunnel_count; i++) {
		const struct tunnel_slot *slot = d->tunnels[i];

		if (!slot->added || !engine_view_tunnel(d->engine, slot->index, &v))
			continue;
		thing = add(picture, "mode", v.name, NULL);
		set_text(thing, "tunnel", v.name);
		set_text(thing, "mode",
			 v.target.within ? "auto" :
			 v.stripe        ? "stripe" :
			 v.num_shards    ? "shards" :
					   "replicate");
		json_object_set_new(thing, "copies", json_integer(v.copies));
		json_object_set_new(thing, "shards", json_integer(v.num_shards));
		json_object_set_new(thing, "required", json_integer(v.required_shards));
		thing = add(picture, "tunnel_congestion", v.name, tunnel_numbers(&v));
		set_text(thing, "tunnel", v.name);
		set_flag(thing, "congested", v.congested);
		if (v.target.within)
			add_plans(d, picture, slot->index, v.name);
	}
}

static json_t *take_picture(const struct daemon *d)
{
	json_t *picture = json_object();

	add_peers(d, picture);
	add_tunnels(d, picture);
	return picture;
}

/* --- what differs ------------------------------------------------------------------------- */

struct lines {
	char *text; /* from malloc() */
	size_t size;
};

static void append(struct lines *l, const char *line)
{
	size_t size = strlen(line);
	char *text = realloc(l->text, l->size + size + 2);

	if (!text)
		return;
	snprintf(text + l->size, size + 2, "%s\n", line);
	l->text = text;
	l->size += size + 1;
}

/* One line: when, what, and what is told along. state: instead of what it says; NULL: as it says. */
static void tell(const struct daemon *d, struct lines *l, const json_t *thing, const char *state)
{
	json_t *line = json_object(), *told = json_object_get(thing, ALONG);
	char *text;

	json_object_set_new(line, "time", number((double)(d->now - d->started) / NS_PER_S));
	json_object_update(line, (json_t *)thing);
	json_object_del(line, ALONG);
	if (told)
		json_object_update(line, told);
	if (state)
		set_text(line, "state", state);
	if (state && json_object_get(line, "up"))
		set_flag(line, "up", false);
	if (state && json_object_get(line, "congested"))
		set_flag(line, "congested", false);
	text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
	json_decref(line);
	if (text)
		append(l, text);
	free(text);
}

static bool same(const json_t *a, const json_t *b)
{
	json_t *left = json_copy((json_t *)a), *right = json_copy((json_t *)b);
	bool equal;

	json_object_del(left, ALONG);
	json_object_del(right, ALONG);
	equal = json_equal(left, right);
	json_decref(left);
	json_decref(right);
	return equal;
}

/* What is in now and not in before, or otherwise; and what is not there any more. */
static void tell_changes(const struct daemon *d, struct lines *l, json_t *before, json_t *now)
{
	const char *key;
	json_t *thing;

	json_object_foreach(before, key, thing)
	{
		if (!json_object_get(now, key))
			tell(d, l, thing, "gone");
	}
	json_object_foreach(now, key, thing)
	{
		const json_t *old = json_object_get(before, key);

		if (!old || !same(old, thing))
			tell(d, l, thing, NULL);
	}
}

/* --- listeners ---------------------------------------------------------------------------- */

static struct events *events_of(struct daemon *d)
{
	if (!d->events)
		d->events = calloc(1, sizeof(*d->events));
	return d->events;
}

char *events_begin(struct daemon *d)
{
	struct events *e = events_of(d);
	struct lines l = { 0 };
	json_t *hello = json_object();

	if (!e) {
		json_decref(hello);
		return NULL;
	}
	if (e->picture)
		events_expire(d); /* what others have not been told yet */
	json_decref(e->picture);
	e->picture = take_picture(d);
	e->next = d->now + LOOK_INTERVAL;
	set_text(hello, "event", "begin");
	set_text(hello, "version", WARP_VERSION);
	tell(d, &l, hello, NULL);
	json_decref(hello);
	hello = json_object();
	tell_changes(d, &l, hello, e->picture);
	json_object_clear(hello);
	set_text(hello, "event", "now");
	tell(d, &l, hello, NULL);
	json_decref(hello);
	return l.text;
}

u64 events_next_expiry(const struct daemon *d)
{
	return d->events && d->events->picture ? d->events->next : TIME_NEVER;
}

void events_expire(struct daemon *d)
{
	struct events *e = d->events;
	struct lines l = { 0 };
	json_t *now;

	if (ctl_listeners(d->ctl) == 0) {
		json_decref(e->picture);
		e->picture = NULL;
		return;
	}
	now = take_picture(d);
	tell_changes(d, &l, e->picture, now);
	json_decref(e->picture);
	e->picture = now;
	e->next = d->now + LOOK_INTERVAL;
	if (l.text)
		ctl_tell(d->ctl, d->now, l.text);
	free(l.text);
}

void events_close(struct daemon *d)
{
	if (d->events)
		json_decref(d->events->picture);
	free(d->events);
	d->events = NULL;
}
