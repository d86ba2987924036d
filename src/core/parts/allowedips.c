/* SPDX-License-Identifier: MIT */
/*
 * allowedips.c - from an inner address to a peer: a path-compressed binary trie per family.
 *
 * A node stands for a prefix and holds the peer that has it, or none where it only joins two
 * branches. Its children continue with bit number `bits` as 0 and as 1, so every prefix on the way
 * down holds the address, and the last one that has a peer is the longest:
 *
 *     10.0.0.0/8 (peer 1)
 *        1 \
 *        10.128.0.0/9 (joins)
 *         0 /        \ 1
 *   10.128.1.0/24   10.200.0.0/16
 *      (peer 2)       (peer 1)
 *
 * Bits of a node's address behind its prefix are zero. The depth is at most 129, which bounds
 * lookups and the two functions that recurse.
 */
#include "warp/allowedips.h"

#include <errno.h>
#include <string.h>

struct node {
	struct node *child[2];
	u8 bytes[16];
	u8 bits;
	u16 peer; /* or ALLOWEDIPS_NONE */
};

struct allowedips {
	struct allocator allocator;
	struct node *root[2]; /* IPv4, IPv6 */
};

/* 32, 128, or 0 for no family. */
static unsigned address_bits(const struct address *a)
{
	return a->family == 4 ? 32 : a->family == 6 ? 128 : 0;
}

static unsigned bit_at(const u8 *bytes, unsigned i)
{
	return bytes[i / 8] >> (7 - i % 8) & 1u;
}

/* Are the first bits bits of a and b the same? */
static bool same_start(const u8 *a, const u8 *b, unsigned bits)
{
	unsigned rest = bits % 8;

	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return !rest || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

/* How many leading bits a and b share, counted up to max. */
static unsigned common_bits(const u8 *a, const u8 *b, unsigned max)
{
	unsigned bits = 0;

	while (bits < max && bit_at(a, bits) == bit_at(b, bits))
		bits++;
	return bits;
}

struct allowedips *allowedips_create(const struct allocator *a)
{
	struct allowedips *t = mem_alloc(a, sizeof(*t));

	if (t)
		t->allocator = *a;
	return t;
}

static void free_nodes(struct allowedips *t, struct node *node)
{
	if (!node)
		return;
	free_nodes(t, node->child[0]);
	free_nodes(t, node->child[1]);
	mem_free(&t->allocator, node, sizeof(*node));
}

void allowedips_destroy(struct allowedips *t)
{
	struct allocator a;

	if (!t)
		return;
	a = t->allocator;
	free_nodes(t, t->root[0]);
	free_nodes(t, t->root[1]);
	mem_free(&a, t, sizeof(*t));
}

/* A node for the first bits bits of bytes. */
static struct node *new_node(struct allowedips *t, const u8 *bytes, unsigned bits, u16 peer)
{
	struct node *node = mem_alloc(&t->allocator, sizeof(*node));

	if (!node)
		return NULL;
	memcpy(node->bytes, bytes, (bits + 7) / 8);
	if (bits % 8)
		node->bytes[bits / 8] &= (u8)(0xff << (8 - bits % 8));
	node->bits = (u8)bits;
	node->peer = peer;
	return node;
}

static void adopt(struct node *parent, struct node *child)
{
	parent->child[bit_at(child->bytes, parent->bits)] = child;
}

/* The slot for a prefix: it holds the node of this very prefix, nothing, or a node that is longer
 * or branches off. */
static struct node **find_slot(struct node **slot, const u8 *bytes, unsigned bits)
{
	while (*slot && (*slot)->bits < bits && same_start((*slot)->bytes, bytes, (*slot)->bits))
		slot = &(*slot)->child[bit_at(bytes, (*slot)->bits)];
	return slot;
}

/* Puts leaf where *slot is, with the present node below it, or beside it under a joining node. */
static int split(struct allowedips *t, struct node **slot, struct node *leaf)
{
	struct node *old = *slot, *parent = leaf;
	unsigned max = old->bits < leaf->bits ? old->bits : leaf->bits;
	unsigned common = common_bits(old->bytes, leaf->bytes, max);

	if (common < leaf->bits) {
		parent = new_node(t, leaf->bytes, common, ALLOWEDIPS_NONE);
		if (!parent)
			return -ENOMEM;
		adopt(parent, leaf);
	}
	adopt(parent, old);
	*slot = parent;
	return 0;
}

int allowedips_insert(struct allowedips *t, const struct prefix *prefix, u16 peer)
{
	const u8 *bytes = prefix->address.bytes;
	unsigned max = address_bits(&prefix->address);
	struct node **slot, *leaf;

	if (!max || prefix->bits > max || peer == ALLOWEDIPS_NONE)
		return -EINVAL;
	slot = find_slot(&t->root[max == 128], bytes, prefix->bits);
	if (*slot && (*slot)->bits == prefix->bits &&
	    same_start((*slot)->bytes, bytes, prefix->bits)) {
		(*slot)->peer = peer;
		return 0;
	}
	leaf = new_node(t, bytes, prefix->bits, peer);
	if (!leaf)
		return -ENOMEM;
	if (!*slot) {
		*slot = leaf;
	} else if (split(t, slot, leaf)) {
		mem_free(&t->allocator, leaf, sizeof(*leaf));
		return -ENOMEM;
	}
	return 0;
}

/* Takes peer out of everything at and below slot; nodes that then join nothing go too. */
static void remove_below(struct allowedips *t, struct node **slot, u16 peer)
{
	struct node *node = *slot;

	if (!node)
		return;
	remove_below(t, &node->child[0], peer);
	remove_below(t, &node->child[1], peer);
	if (node->peer == peer)
		node->peer = ALLOWEDIPS_NONE;
	if (node->peer != ALLOWEDIPS_NONE || (node->child[0] && node->child[1]))
		return;
	*slot = node->child[0] ? node->child[0] : node->child[1];
	mem_free(&t->allocator, node, sizeof(*node));
}

void allowedips_remove_peer(struct allowedips *t, u16 peer)
{
	remove_below(t, &t->root[0], peer);
	remove_below(t, &t->root[1], peer);
}

u16 allowedips_lookup(const struct allowedips *t, const struct address *address)
{
	unsigned max = address_bits(address);
	const struct node *node = max ? t->root[max == 128] : NULL;
	u16 peer = ALLOWEDIPS_NONE;

	while (node && same_start(node->bytes, address->bytes, node->bits)) {
		if (node->peer != ALLOWEDIPS_NONE)
			peer = node->peer;
		if (node->bits == max)
			break;
		node = node->child[bit_at(address->bytes, node->bits)];
	}
	return peer;
}

/* --- packets ----------------------------------------------------------------------------- */

static struct address address_at(const u8 *p, u8 family)
{
	struct address a = { .family = family };

	memcpy(a.bytes, p, family == 4 ? 4 : 16);
	return a;
}

/* RFC 791: header length in words, total length at 2, addresses at 12 and 16. */
static bool is_whole_4(const u8 *packet, size_t size)
{
	size_t header = size ? (packet[0] & 15u) * 4u : 0;

	return size >= 20 && header >= 20 && header <= size &&
	       (size_t)(packet[2] << 8 | packet[3]) <= size;
}

/* RFC 8200: payload length at 4, addresses at 8 and 24. */
static bool is_whole_6(const u8 *packet, size_t size)
{
	return size >= 40 && 40u + (size_t)(packet[4] << 8 | packet[5]) <= size;
}

int ip_packet_addresses(const u8 *packet, size_t size, struct address *ret_source,
			struct address *ret_destination)
{
	unsigned version = size ? packet[0] >> 4 : 0;

	if (version == 4 && is_whole_4(packet, size)) {
		*ret_source = address_at(packet + 12, 4);
		*ret_destination = address_at(packet + 16, 4);
		return 0;
	}
	if (version == 6 && is_whole_6(packet, size)) {
		*ret_source = address_at(packet + 8, 6);
		*ret_destination = address_at(packet + 24, 6);
		return 0;
	}
	return -EBADMSG;
}
