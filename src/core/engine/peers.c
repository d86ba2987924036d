/* SPDX-License-Identifier: MIT */
/*
 * peers.c - peers come and go, as they are configured.
 */
#include "engine_internal.h"

#include <errno.h>
#include <string.h>

static struct peer *peer_by_key(const struct engine *e, const u8 *key)
{
	for (u32 n = 0; n < e->peer_limit; n++) {
		if (e->peers[n] && memcmp(e->peers[n]->assoc.remote_key, key, KEY_SIZE) == 0)
			return e->peers[n];
	}
	return NULL;
}

static bool key_is_taken(const struct engine *e, const u8 *key)
{
	for (u32 n = 0; n < MAX_MAPS; n++) {
		if (e->maps[n].used && memcmp(e->maps[n].assoc.remote_key, key, KEY_SIZE) == 0)
			return true;
	}
	return peer_by_key(e, key) != NULL;
}

static int add_allowed_ips(struct engine *e, u16 peer, const struct peer_options *o)
{
	for (size_t n = 0; n < o->allowed_ip_count; n++) {
		int r = allowedips_insert(e->allowedips, &o->allowed_ips[n], peer);

		if (r < 0) {
			allowedips_remove_peer(e->allowedips, peer);
			return r;
		}
	}
	return 0;
}

int engine_add_peer(struct engine *e, u64 now, const struct peer_options *options, u16 *ret_peer)
{
	struct peer *p;
	u16 index = 0;
	int r;

	if (crypto_is_zero(options->public_key, KEY_SIZE) ||
	    memcmp(options->public_key, e->options.identity.public_key, KEY_SIZE) == 0)
		return -EINVAL;
	if (key_is_taken(e, options->public_key))
		return -EEXIST;
	while (index < MAX_PEERS && e->peers[index])
		index++;
	if (index == MAX_PEERS)
		return -ENOSPC;
	r = add_allowed_ips(e, index, options);
	if (r < 0)
		return r;
	p = mem_alloc(&e->options.allocator, sizeof(*p));
	if (!p) {
		allowedips_remove_peer(e->allowedips, index);
		return -ENOMEM;
	}
	p->kind = OWNER_PEER;
	p->index = index;
	p->expiry = TIME_NEVER;
	memcpy(p->name, options->name, sizeof(p->name));
	assoc_init(&p->assoc, options->public_key, options->preshared_key, p);
	offers_begin(p);
	for (u32 n = 0; n < MAX_TUNNELS; n++)
		flow_begin(e, &p->flows[n]);
	e->peers[index] = p;
	if (index >= e->peer_limit)
		e->peer_limit = index + 1u;
	if (flow_open_all(e, p) < 0) {
		engine_remove_peer(e, now, index);
		return -ENOMEM;
	}
	map_query_soon(e, now);
	*ret_peer = index;
	return 0;
}

/* Who gets this index next is not meant. A list that has become empty is still a list. */
static void leave_tunnel(struct tunnel *t, u16 peer)
{
	for (size_t n = 0; n < t->peer_count; n++) {
		if (t->peers[n] == peer)
			t->peers[n] = NO_INDEX;
	}
}

void engine_remove_peer(struct engine *e, u64 now, u16 peer)
{
	const struct allocator *a = &e->options.allocator;
	struct peer *p = peer_get(e, peer);

	if (!p)
		return;
	peer_close(e, p, now, CLOSE_REMOVED);
	iface_forget_peer(e, peer);
	recall_forget(e, peer, NO_INDEX);
	engine_forget_deliveries(e, peer, NO_INDEX);
	for (u32 n = 0; n < MAX_TUNNELS; n++) {
		fragment_forget(e, peer, (u16)n);
		flow_close(e, p, (u16)n);
		leave_tunnel(&e->tunnels[n], peer);
	}
	unstripe_close_all(e, p);
	punch_close(e, p, now);
	report_forget(e, p);
	allowedips_remove_peer(e->allowedips, peer);
	assoc_clear(e->hub, &p->assoc);
	for (u32 n = 0; n < MAPPING_SOURCES; n++)
		mem_free(a, p->mappings[n], sizeof(*p->mappings[n]));
	crypto_wipe(p, sizeof(*p));
	mem_free(a, p, sizeof(*p));
	e->peers[peer] = NULL;
	while (e->peer_limit > 0 && !e->peers[e->peer_limit - 1])
		e->peer_limit--;
}

void engine_set_peer_endpoints(struct engine *e, u64 now, u16 peer,
			       const struct endpoint *endpoints, size_t count)
{
	struct peer *p = peer_get(e, peer);

	if (!p)
		return;
	p->fixed_count = count < MAX_PEER_ENDPOINTS ? count : MAX_PEER_ENDPOINTS;
	memcpy(p->fixed, endpoints, p->fixed_count * sizeof(*endpoints));
	nat_refresh(e, p, now);
}
