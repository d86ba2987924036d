/* SPDX-License-Identifier: MIT */
/*
 * hub.c - raw datagrams in, authenticated frames out.
 *
 * The index table gives every session, and every initiation in flight, a number that the remote
 * node writes into what it sends; a datagram is looked up by it before anything else is done.
 * Handshakes are greeting.c.
 */
#include "hub_internal.h"

#include <errno.h>
#include <string.h>

#define HUB_FIRST_SLOTS 16u
#define SOURCE_RATE 2u
#define SOURCE_BURST 4u
#define NETWORK_RATE 32u
#define NETWORK_BURST 128u
/* When both ends initiate, each may send under the session that the other began. */
#define CONTEMPORARY (10 * NS_PER_S)

/* --- index table ---------------------------------------------------------------------------- */

static int hub_grow(struct hub *hub)
{
	const struct allocator *a = &hub->options.allocator;
	u32 count = hub->slot_count ? hub->slot_count * 2 : HUB_FIRST_SLOTS;
	struct slot *slots;

	if (count > hub->options.max_sessions)
		count = hub->options.max_sessions;
	if (count <= hub->slot_count)
		return -ENOSPC;
	slots = mem_alloc(a, count * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	if (hub->slots)
		memcpy(slots, hub->slots, hub->slot_count * sizeof(*slots));
	mem_free(a, hub->slots, hub->slot_count * sizeof(*slots));
	hub->slots = slots;
	hub->slot_count = count;
	return 0;
}

/* One that was used before, if there is one: what was never touched is no memory yet. */
static int take_slot(struct hub *hub, u32 *ret)
{
	int r;

	if (hub->free_slot != SLOT_NONE) {
		*ret = hub->free_slot;
		hub->free_slot = hub->slots[*ret].next_free;
		return 0;
	}
	r = hub->slots_used < hub->slot_count ? 0 : hub_grow(hub);
	if (r == 0)
		*ret = hub->slots_used++;
	return r;
}

int hub_index_take(struct hub *hub, struct assoc *assoc, u32 *ret_index)
{
	u32 at, index;
	int r = take_slot(hub, &at);

	if (r < 0)
		return r;
	do {
		index = (random_u32(&hub->options.random) & ~SLOT_MASK) | at;
	} while (index == 0);
	hub->slots[at] = (struct slot){ .index = index, .assoc = assoc };
	*ret_index = index;
	return 0;
}

struct slot *hub_slot(struct hub *hub, u32 index)
{
	u32 at = index & SLOT_MASK;

	if (index == 0 || at >= hub->slot_count || hub->slots[at].index != index)
		return NULL;
	return &hub->slots[at];
}

struct assoc *hub_any(const struct hub *hub, u32 number)
{
	return hub->slots_used ? hub->slots[number % hub->slots_used].assoc : NULL;
}

void hub_index_release(struct hub *hub, u32 index)
{
	struct slot *slot = hub_slot(hub, index);

	if (!slot)
		return;
	*slot = (struct slot){ .next_free = hub->free_slot };
	hub->free_slot = index & SLOT_MASK;
}

void hub_index_set_session(struct hub *hub, u32 index, struct session *session)
{
	struct slot *slot = hub_slot(hub, index);

	if (slot)
		slot->session = session;
}

void hub_session_destroy(struct hub *hub, struct session *session)
{
	if (!session)
		return;
	hub_index_release(hub, session->local_index);
	session_destroy(session, &hub->options.allocator);
}

/* --- life ----------------------------------------------------------------------------------- */

int hub_create(struct hub **ret, const struct hub_options *options)
{
	struct hub *hub;
	u64 seed;

	if (options->max_sessions == 0 || options->max_sessions > SLOT_MASK ||
	    !(options->ciphers & CIPHER_BIT(CIPHER_CHACHA20_POLY1305)))
		return -EINVAL;
	hub = mem_alloc(&options->allocator, sizeof(*hub));
	if (!hub)
		return -ENOMEM;
	hub->options = *options;
	hub->free_slot = SLOT_NONE;
	cookie_checker_init(&hub->checker, options->identity.public_key, &options->random);
	ratelim_init(&hub->load, options->handshake_rate, options->handshake_rate);
	ratelim_init(&hub->proven, options->handshake_rate, options->handshake_rate);
	random_fill(&options->random, &seed, sizeof(seed));
	hub->life = random_u32(&options->random);
	ratelim_table_init(&hub->sources, SOURCE_RATE, SOURCE_BURST, seed);
	ratelim_table_init_networks(&hub->networks, NETWORK_RATE, NETWORK_BURST, seed);
	*ret = hub;
	return 0;
}

void hub_destroy(struct hub *hub)
{
	struct allocator a;

	if (!hub)
		return;
	a = hub->options.allocator;
	mem_free(&a, hub->slots, hub->slot_count * sizeof(*hub->slots));
	crypto_wipe(hub, sizeof(*hub));
	mem_free(&a, hub, sizeof(*hub));
}

/* --- transport ------------------------------------------------------------------------------ */

static enum drop_reason reason_of(enum replay_verdict verdict)
{
	return verdict == REPLAY_DUPLICATE ? DROP_DUPLICATE : DROP_TOO_OLD;
}

/* As young as the current session, or younger: that need not be the last one to expire. */
static bool is_contemporary(const struct assoc *a, const struct session *s)
{
	return !a->current || s->created + CONTEMPORARY > a->current->created;
}

static void receive_transport(struct hub *hub, u64 now, u8 *data, size_t size,
			      struct hub_result *ret)
{
	struct wire_transport header;
	enum replay_verdict verdict;
	struct session *session;
	struct slot *slot;

	hub_drop(ret, DROP_MALFORMED);
	if (wire_get_transport(data, size, &header) < 0)
		return;
	ret->reason = DROP_UNKNOWN_INDEX;
	slot = hub_slot(hub, header.receiver);
	if (!slot || !slot->session)
		return;
	session = slot->session;
	ret->assoc = slot->assoc;
	ret->session = session->number;
	ret->counter = header.counter;
	verdict = session_check(session, header.counter);
	if (verdict != REPLAY_FRESH) {
		ret->reason = reason_of(verdict);
		return;
	}
	ret->reason = session_open(session, now, data, size);
	if (ret->reason != DROP_NONE)
		return;
	ret->verdict = HUB_OPENED;
	ret->plain = data + WIRE_HEADER_SIZE;
	ret->plain_size = size - WIRE_OVERHEAD;
	ret->assoc->opened_at = now;
	ret->confirmed = assoc_confirm(hub, ret->assoc, session, now);
	ret->current = is_contemporary(ret->assoc, session);
}

void hub_receive(struct hub *hub, u64 now, const struct endpoint *source, u8 *data, size_t size,
		 struct hub_result *ret)
{
	ret->verdict = HUB_DROPPED;
	ret->reason = DROP_NONE;
	ret->assoc = NULL;
	ret->confirmed = false;
	ret->reply_size = 0;
	if (size == 0) {
		ret->reason = DROP_MALFORMED;
		return;
	}
	switch (data[0]) {
	case WIRE_TRANSPORT:
		receive_transport(hub, now, data, size, ret);
		break;
	case WIRE_INITIATION:
		hub_receive_initiation(hub, now, source, data, size, ret);
		break;
	case WIRE_RESPONSE:
		hub_receive_response(hub, now, source, data, size, ret);
		break;
	case WIRE_COOKIE:
		hub_receive_cookie(hub, now, data, size, ret);
		break;
	default:
		ret->reason = DROP_MALFORMED;
	}
}
