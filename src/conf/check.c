/* SPDX-License-Identifier: MIT */
/*
 * check.c - what must be true between peers, maps and tunnels; see check.h.
 *
 * Of two things that clash, the message stands at the second and tells the line of the first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "warp/text.h"

/* --- keys --------------------------------------------------------------------------------- */

static bool same_key(const u8 *a, const u8 *b)
{
	return memcmp(a, b, KEY_SIZE) == 0;
}

static int check_map(struct reader *r, const struct conf *c, size_t index)
{
	const u8 *key = c->maps[index].public_key;
	size_t i;

	if (same_key(key, c->identity.public_key))
		return reader_fail(
			r, reader_place(r, key),
			"public_key is this node's own; give the map's, which `warp pubkey` "
			"makes of the map's private key");
	for (i = 0; i < index; i++) {
		if (same_key(key, c->maps[i].public_key))
			return reader_fail(
				r, reader_place(r, key),
				"public_key is also that of the map in line %u; each map "
				"has a key of its own",
				reader_place(r, c->maps[i].public_key).line);
	}
	return 0;
}

static int check_peer(struct reader *r, const struct conf *c, size_t index)
{
	const struct conf_peer *peer = &c->peers[index], *other;
	const u8 *key = peer->public_key;
	size_t i;

	if (same_key(key, c->identity.public_key))
		return reader_fail(r, reader_place(r, key),
				   "public_key is this node's own; give that of the other node");
	for (i = 0; i < c->map_count; i++) {
		if (same_key(key, c->maps[i].public_key))
			return reader_fail(
				r, reader_place(r, key),
				"public_key is that of the map in line %u; give the peer's",
				reader_place(r, c->maps[i].public_key).line);
	}
	for (i = 0; i < index; i++) {
		other = &c->peers[i];
		if (strcmp(peer->name, other->name) == 0)
			return reader_fail(
				r, reader_place(r, peer->name),
				"the name '%s' is also that of the peer in line %u; change "
				"one of the two",
				peer->name, reader_place(r, other->name).line);
		if (same_key(key, other->public_key))
			return reader_fail(
				r, reader_place(r, key),
				"public_key is also that of the peer '%s' in line %u; each "
				"peer has a key of its own",
				other->name, reader_place(r, other->public_key).line);
	}
	return 0;
}

/* --- allowed_ips -------------------------------------------------------------------------- */

struct owned_prefix {
	const struct prefix *prefix;
	const struct conf_peer *peer;
};

static int compare_prefixes(const void *left, const void *right)
{
	const struct owned_prefix *a = left, *b = right;
	int order = memcmp(&a->prefix->address, &b->prefix->address, sizeof(struct address));

	if (order == 0)
		order = a->prefix->bits - b->prefix->bits;
	/* Equal ones in the order of the file. */
	if (order == 0)
		order = a->peer < b->peer ? -1 : a->peer > b->peer;
	return order;
}

static int compare_sorted(struct reader *r, const struct owned_prefix *p, size_t count)
{
	size_t i;

	for (i = 1; i < count; i++) {
		const struct owned_prefix *a = &p[i - 1], *b = &p[i];

		if (a->peer == b->peer || a->prefix->bits != b->prefix->bits ||
		    !address_equal(&a->prefix->address, &b->prefix->address))
			continue;
		return reader_fail(r, reader_place(r, b->prefix),
				   "allowed_ips: %s also belongs to the peer '%s' (line %u); one "
				   "address has one peer",
				   prefix_text(b->prefix), a->peer->name,
				   reader_place(r, a->prefix).line);
	}
	return 0;
}

static int check_allowed_ips(struct reader *r, const struct conf *c)
{
	struct owned_prefix *all;
	size_t count = 0, i, k;
	int error;

	for (i = 0; i < c->peer_count; i++)
		count += c->peers[i].allowed_ip_count;
	if (count < 2)
		return 0;
	all = calloc(count, sizeof(*all));
	if (!all)
		return reader_fail_errno(r, ENOMEM, (struct place){ 0 }, "there is no memory");
	count = 0;
	for (i = 0; i < c->peer_count; i++) {
		for (k = 0; k < c->peers[i].allowed_ip_count; k++)
			all[count++] =
				(struct owned_prefix){ &c->peers[i].allowed_ips[k], &c->peers[i] };
	}
	qsort(all, count, sizeof(*all), compare_prefixes);
	error = compare_sorted(r, all, count);
	free(all);
	return error;
}

/* --- tunnels ------------------------------------------------------------------------------ */

static int find_peer(struct reader *r, const struct conf *c, char *const *name, u16 *ret)
{
	size_t i;

	for (i = 0; i < c->peer_count; i++) {
		if (strcmp(*name, c->peers[i].name) == 0) {
			*ret = (u16)i;
			return 0;
		}
	}
	return reader_fail(r, reader_place(r, name),
			   "peers: there is no '%s' in far_gate; add it there", VISIBLE(*name));
}

static int resolve_peers(struct reader *r, const struct conf *c, struct conf_tunnel *t)
{
	size_t i, k;
	int error = 0;

	if (!t->peer_count)
		return 0;
	t->peers = reader_alloc(r, t->peer_count * sizeof(*t->peers));
	if (!t->peers)
		return -ENOMEM;
	for (i = 0; !error && i < t->peer_count; i++) {
		error = find_peer(r, c, &t->peer_names[i], &t->peers[i]);
		for (k = 0; !error && k < i; k++) {
			if (t->peers[k] == t->peers[i])
				error = reader_fail(r, reader_place(r, &t->peer_names[i]),
						    "peers: '%s' is there twice; remove one",
						    t->peer_names[i]);
		}
	}
	return error;
}

/* Where the id stands, or, when it was derived, the name. */
static struct place id_place(const struct reader *r, const struct conf_tunnel *t)
{
	struct place place = reader_place(r, &t->id);

	return place.line ? place : reader_place(r, t->name);
}

static int check_ids(struct reader *r, const struct conf_tunnel *t, const struct conf_tunnel *other)
{
	bool derived = !reader_place(r, &t->id).line || !reader_place(r, &other->id).line;

	if (t->id != other->id)
		return 0;
	return reader_fail(
		r, id_place(r, t),
		"tunnel '%s' has the id %u%s, as has '%s' in line %u; set another tunnel_id "
		"for one of them, on all nodes",
		t->name, t->id, derived ? " (one without tunnel_id has it from its name)" : "",
		other->name, id_place(r, other).line);
}

/* The member that two gates of one kind must not share, and whether they do. */
static const void *shared_member(const struct conf_gate *a, const struct conf_gate *b)
{
	if (a->kind != b->kind)
		return NULL;
	switch (a->kind) {
	case GATE_TUN:
		return strcmp(a->tun, b->tun) == 0 ? (const void *)a->tun : NULL;
	case GATE_UDP:
		return endpoint_equal(&a->application_to_gate, &b->application_to_gate) ?
			       &a->application_to_gate :
			       NULL;
	case GATE_UNIX:
		return strcmp(a->path, b->path) == 0 ? (const void *)a->path : NULL;
	}
	return NULL;
}

static int check_pair(struct reader *r, const struct conf_tunnel *t,
		      const struct conf_tunnel *other)
{
	const void *shared = shared_member(&t->gate, &other->gate);

	if (strcmp(t->name, other->name) == 0)
		return reader_fail(
			r, reader_place(r, t->name),
			"the name '%s' is also that of the tunnel in line %u; change one "
			"of the two",
			t->name, reader_place(r, other->name).line);
	if (shared)
		return reader_fail(
			r, reader_place(r, shared),
			"the tunnel '%s' in line %u has the same gate; give each its own",
			other->name, reader_place(r, other->name).line);
	return check_ids(r, t, other);
}

static int check_tunnel(struct reader *r, const struct conf *c, size_t index)
{
	struct conf_tunnel *t = &c->tunnels[index];
	size_t i;
	int error = resolve_peers(r, c, t);

	if (!t->id)
		t->id = tunnel_id_from_name(t->name);
	if (!error && t->gate.kind == GATE_UNIX && strcmp(t->gate.path, c->control_socket) == 0)
		error = reader_fail(r, reader_place(r, t->gate.path),
				    "path is that of control_socket; change one of the two");
	for (i = 0; !error && i < index; i++)
		error = check_pair(r, t, &c->tunnels[i]);
	return error;
}

int check_conf(struct reader *r, struct conf *c)
{
	size_t i;
	int error = 0;

	for (i = 0; !error && i < c->map_count; i++)
		error = check_map(r, c, i);
	for (i = 0; !error && i < c->peer_count; i++)
		error = check_peer(r, c, i);
	if (!error)
		error = check_allowed_ips(r, c);
	for (i = 0; !error && i < c->tunnel_count; i++)
		error = check_tunnel(r, c, i);
	return error;
}
