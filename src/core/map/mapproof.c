/* SPDX-License-Identifier: MIT */
/*
 * mapproof.c - what a node sends back to show that it receives what is sent to where it seems to be.
 *
 * It is a MAC over the endpoint, the node's key and the number of the present period, so that nothing
 * is kept for it. A period is as long as a registration lives; the one before counts too. So whoever
 * once had an address cannot go on claiming it.
 */
#include "mapserver_internal.h"

#include <string.h>

static u64 period_of(const struct mapserver *m)
{
	return m->now / m->options.client_expiry;
}

static u64 proof_of(const struct mapserver *m, const struct client *client,
		    const struct endpoint *at, u64 period)
{
	u8 bytes[KEY_SIZE + 1 + sizeof(at->address.bytes) + 2 + 8], mac[MAC_SIZE];
	u8 *p = bytes;
	u64 proof;

	memcpy(p, client->assoc.remote_key, KEY_SIZE);
	p += KEY_SIZE;
	*p++ = at->address.family;
	memcpy(p, at->address.bytes, sizeof(at->address.bytes));
	p += sizeof(at->address.bytes);
	put_u16(p, at->port);
	put_u64(p + 2, period);
	crypto_mac(mac, m->proof_key, sizeof(m->proof_key), bytes, sizeof(bytes));
	proof = get_u64(mac);
	return proof ? proof : 1;
}

u64 map_proof(const struct mapserver *m, const struct client *client, const struct endpoint *at)
{
	return proof_of(m, client, at, period_of(m));
}

static bool same(u64 a, u64 b)
{
	u8 x[8], y[8];

	put_u64(x, a);
	put_u64(y, b);
	return crypto_equal(x, y, sizeof(x));
}

bool map_proves(const struct mapserver *m, const struct client *client, const struct endpoint *at,
		u64 proof)
{
	u64 period = period_of(m);

	return same(proof, proof_of(m, client, at, period)) ||
	       (period && same(proof, proof_of(m, client, at, period - 1)));
}
