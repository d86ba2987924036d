/* SPDX-License-Identifier: MIT */
/*
 * mapquery.c - what the map is asked about the peers, and what is done with its answers.
 *
 * A question goes over the interfaces on which the map answered last. The first follow each other
 * quickly, since whoever has just appeared is often not alone; later ones come at the scan
 * interval: changes are pushed, and a question only heals a push that was lost.
 */
#include "engine_internal.h"

#include <string.h>

#define QUERY_FIRST (250 * NS_PER_MS)
#define QUERY_DOUBLINGS 6u
#define QUERY_IFACES 2u
/* An answer that knows nothing does not displace one that did, for so long. */
#define KEEP_MAPPINGS (60 * NS_PER_S)

/* --- questions ------------------------------------------------------------------------------- */

/* Asks for count keys over the interfaces that answered last, at most two of them. */
static void send_query(struct engine *e, struct map *m, u64 now, const u8 *keys, u8 count)
{
	struct frame f = { .type = FRAME_MAPPING_REQUEST, .mapping_request = { count, keys } };
	u32 left = e->iface_mask;

	for (u32 sent = 0; left && sent < QUERY_IFACES; sent++) {
		u32 best = (u32)__builtin_ctz(left);

		for (u32 mask = left; mask; mask &= mask - 1) {
			u32 n = (u32)__builtin_ctz(mask);

			if (m->registrations[n].answered_at > m->registrations[best].answered_at)
				best = n;
		}
		map_send_frames(e, m, now, (u8)best, &f, 1);
		left &= ~(1u << best);
	}
}

static void query_peers(struct engine *e, struct map *m, u64 now)
{
	u8 keys[WIRE_KEYS_MAX * KEY_SIZE];
	u8 count = 0;

	for (u32 n = 0; n < e->peer_limit; n++) {
		if (!e->peers[n])
			continue;
		memcpy(keys + count++ * KEY_SIZE, e->peers[n]->assoc.remote_key, KEY_SIZE);
		if (count == WIRE_KEYS_MAX) {
			send_query(e, m, now, keys, count);
			count = 0;
		}
	}
	if (count)
		send_query(e, m, now, keys, count);
}

void map_expire_query(struct engine *e, struct map *m, u64 now)
{
	u64 delay;

	if (m->next_query > now)
		return;
	query_peers(e, m, now);
	delay = QUERY_FIRST << (m->queries < QUERY_DOUBLINGS ? m->queries : QUERY_DOUBLINGS);
	m->queries++;
	m->next_query = now + time_min(delay, e->options.scan_interval);
}

void map_query_soon(struct engine *e, u64 now)
{
	for (u32 n = 0; n < MAX_MAPS; n++) {
		if (!e->maps[n].used)
			continue;
		e->maps[n].queries = 0;
		e->maps[n].next_query = now;
		map_arm(e, &e->maps[n], now);
	}
}

/* --- answers --------------------------------------------------------------------------------- */

static bool same_mappings(const struct mappings *a, const struct frame_mapping_response *f)
{
	if (a->count != f->count || a->handle != f->handle)
		return false;
	for (u32 n = 0; n < f->count; n++) {
		if (a->entry[n].interface != f->mapping[n].interface ||
		    !endpoint_equal(&a->entry[n].observed, &f->mapping[n].observed) ||
		    !endpoint_equal(&a->entry[n].lan, &f->mapping[n].lan) ||
		    !endpoint_equal(&a->entry[n].mapped, &f->mapping[n].mapped))
			return false;
	}
	return true;
}

void map_take_mapping(struct engine *e, struct map *m, const struct arrival *in,
		      const struct frame_mapping_response *f)
{
	struct peer *p = NULL;
	struct mappings *known;

	for (u32 n = 0; n < e->peer_limit && !p; n++) {
		if (e->peers[n] && memcmp(e->peers[n]->assoc.remote_key, f->key, KEY_SIZE) == 0)
			p = e->peers[n];
	}
	if (!p)
		return;
	known = p->mappings[m->index];
	if (!known)
		known = mem_alloc(&e->options.allocator, sizeof(*known));
	if (!known)
		return;
	p->mappings[m->index] = known;
	if (same_mappings(known, f)) {
		known->at = in->now;
		return;
	}
	if (f->count == 0 && in->now - known->at < KEEP_MAPPINGS && !p->closed)
		return;
	known->count = f->count;
	known->handle = f->handle;
	known->at = in->now;
	memcpy(known->entry, f->mapping, f->count * sizeof(f->mapping[0]));
	nat_refresh(e, p, in->now);
	if (f->count > 0 && !p->connected) {
		assoc_kick(e->hub, &p->assoc, in->now);
		peer_arm(e, p, in->now);
	}
}

void map_forget_mappings(struct engine *e, const struct map *m, u64 now)
{
	for (u32 n = 0; n < e->peer_limit; n++) {
		struct peer *p = e->peers[n];

		if (!p || !p->mappings[m->index])
			continue;
		mem_free(&e->options.allocator, p->mappings[m->index],
			 sizeof(*p->mappings[m->index]));
		p->mappings[m->index] = NULL;
		nat_refresh(e, p, now);
	}
}
