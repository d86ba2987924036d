/* SPDX-License-Identifier: MIT */
/*
 * mapserver.c - nodes come and go, datagrams come in and queue up to go out.
 *
 *   a key's first initiation     a client, provisional in the registry: an assoc, no more
 *   its first transport datagram the session is confirmed, the client is known
 *   client_expiry of silence     forgotten, its watchers are told
 *
 * Anybody can make initiations, so provisional clients live for REGISTRY_PROVISIONAL only, have room of
 * their own beside the known ones, and replace one another when that is full. An initiation changes
 * nothing about a known client, whoever sends it: the hub keeps what it leads to apart until it is
 * confirmed.
 *
 * The map never asks for a session: that is the nodes' affair. It only tidies up old ones, when a
 * client speaks; a client that does not is forgotten altogether.
 */
#include "mapserver_internal.h"

#include <errno.h>
#include <string.h>

#define TIDY_INTERVAL (10 * NS_PER_S)
/* So many strangers come within a second or two: who is there has time to answer. */
#define PROVISIONAL_ROOM(nodes) ((nodes) / 8 + 2048)

_Static_assert((MAPSERVER_QUEUE & (MAPSERVER_QUEUE - 1)) == 0, "not a power of two");
_Static_assert(MAPSERVER_MAX_NODES + PROVISIONAL_ROOM(MAPSERVER_MAX_NODES) <
		       HUB_SESSIONS / ASSOC_SESSIONS,
	       "a node lacks sessions");
_Static_assert(MAPSERVER_DATAGRAM >= WIRE_INITIATION_SIZE, "handshakes do not fit");

/* --- clients ----------------------------------------------------------------------------- */

static bool is_admitted(const struct mapserver *m, const u8 key[static KEY_SIZE])
{
	return !m->options.admit || m->options.admit(m->options.ctx, key);
}

void map_forget(struct mapserver *m, struct client *client)
{
	if (registry_clear_interface(m->registry, client->node, WIRE_ALL_INTERFACES,
				     REGISTRY_LATEST))
		map_tell_watchers(m, client->node);
	registry_remove(m->registry, client->node);
	assoc_clear(m->hub, &client->assoc);
	map_unsettle(m, client);
	crypto_wipe(client, sizeof(*client));
	mem_free(&m->options.allocator, client, sizeof(*client));
}

static void make_room(struct mapserver *m)
{
	struct registry_node *oldest;

	if (!registry_full(m->registry))
		return;
	oldest = registry_oldest_provisional(m->registry);
	if (oldest)
		map_forget(m, client_of(oldest));
}

/* NULL: there is no room. */
static struct client *add_client(struct mapserver *m, const u8 key[static KEY_SIZE])
{
	static const u8 no_preshared_key[KEY_SIZE];
	struct client *client;

	make_room(m);
	client = mem_alloc(&m->options.allocator, sizeof(*client));
	if (!client)
		return NULL;
	client->node = registry_add(m->registry, m->now, key);
	if (!client->node) {
		mem_free(&m->options.allocator, client, sizeof(*client));
		return NULL;
	}
	registry_set_owner(client->node, client);
	assoc_init(&client->assoc, key, no_preshared_key, client);
	client->tidied = m->now;
	return client;
}

/* hub_options.lookup */
static struct assoc *look_up(void *ctx, const u8 key[static KEY_SIZE])
{
	struct mapserver *m = ctx;
	struct registry_node *node;
	struct client *client;

	if (!is_admitted(m, key))
		return NULL;
	node = registry_find(m->registry, key);
	client = node ? client_of(node) : add_client(m, key);
	m->full = !client;
	return client ? &client->assoc : NULL;
}

/* Sessions that were replaced a while ago hold keys and memory for nothing. */
static void tidy(struct mapserver *m, struct client *client)
{
	if (m->now - client->tidied < TIDY_INTERVAL)
		return;
	client->tidied = m->now;
	assoc_tidy(m->hub, &client->assoc, m->now);
}

/* --- life -------------------------------------------------------------------------------- */

static int create_parts(struct mapserver *m)
{
	const struct mapserver_options *o = &m->options;
	const u32 clients = o->max_nodes + PROVISIONAL_ROOM(o->max_nodes);
	const struct hub_options hub = {
		.identity = o->identity,
		.allocator = o->allocator,
		.random = o->random,
		.ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
		.replay_bits = REPLAY_BITS_MAP,
		.max_sessions = clients * ASSOC_SESSIONS + 1, /* one is made before one goes */
		.handshake_rate = o->handshake_rate,
		.lookup = look_up,
		.ctx = m,
	};
	u8 seed[REGISTRY_SEED_SIZE];
	u64 small_seed;

	random_fill(&o->random, &small_seed, sizeof(small_seed));
	ratelim_table_init(&m->unasked, MAPSERVER_UNASKED_RATE, 2 * MAPSERVER_UNASKED_RATE,
			   small_seed);
	random_fill(&o->random, m->proof_key, sizeof(m->proof_key));
	random_fill(&o->random, seed, sizeof(seed));
	m->registry = registry_create(&o->allocator, seed, clients, o->client_expiry);
	crypto_wipe(seed, sizeof(seed));
	if (o->max_streams)
		m->streams = mem_alloc(&o->allocator, o->max_streams * sizeof(*m->streams));
	if (o->max_streams && !m->streams)
		return -ENOMEM;
	return m->registry ? hub_create(&m->hub, &hub) : -ENOMEM;
}

int mapserver_create(struct mapserver **ret, const struct mapserver_options *options)
{
	struct mapserver *m;
	int r;

	if (!options->max_nodes || options->max_nodes > MAPSERVER_MAX_NODES ||
	    !options->client_expiry || !options->handshake_rate ||
	    options->max_streams > MAPSERVER_STREAMS)
		return -EINVAL;
	m = mem_alloc(&options->allocator, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->options = *options;
	r = create_parts(m);
	if (r < 0) {
		mapserver_destroy(m);
		return r;
	}
	*ret = m;
	return 0;
}

static void forget_all(struct mapserver *m)
{
	struct registry_node *node;
	bool gone;

	while ((node = registry_expire(m->registry, TIME_NEVER, &gone))) {
		if (gone)
			map_forget(m, client_of(node));
	}
}

void mapserver_destroy(struct mapserver *m)
{
	struct map_outgoing out;
	struct allocator a;

	if (!m)
		return;
	a = m->options.allocator;
	if (m->hub)
		forget_all(m);
	while (mapserver_next_outgoing(m, &out))
		buf_put(out.buf);
	registry_destroy(m->registry);
	hub_destroy(m->hub);
	mem_free(&a, m->streams, m->options.max_streams * sizeof(*m->streams));
	crypto_wipe(&m->options.identity, sizeof(m->options.identity));
	crypto_wipe(m->proof_key, sizeof(m->proof_key));
	mem_free(&a, m, sizeof(*m));
}

const struct mapserver_stats *mapserver_stats(const struct mapserver *m)
{
	return &m->stats;
}

u64 mapserver_next_expiry(const struct mapserver *m)
{
	return registry_next_expiry(m->registry);
}

void mapserver_expire(struct mapserver *m, u64 now)
{
	struct registry_node *node;
	bool gone;

	m->now = now;
	while ((node = registry_expire(m->registry, now, &gone))) {
		if (gone)
			map_forget(m, client_of(node));
		else
			map_tell_watchers(m, node);
	}
}

/* --- out --------------------------------------------------------------------------------- */

struct buf *map_datagram(struct mapserver *m)
{
	struct buf *b = buf_get(m->options.pool);

	if (!b)
		drop_count(&m->stats.drops, DROP_NO_BUFFER);
	return b;
}

bool map_seal(struct mapserver *m, struct client *client, struct buf *b, size_t size)
{
	if (assoc_seal(&client->assoc, m->now, buf_data(b), size) < 0) {
		drop_count(&m->stats.drops, DROP_NO_SESSION);
		return false;
	}
	b->length = (u32)(size + WIRE_OVERHEAD);
	return true;
}

static enum drop_reason may_send(struct mapserver *m, const struct route *to, bool unasked)
{
	if (m->queued - m->taken >= MAPSERVER_QUEUE)
		return DROP_QUEUE_FULL;
	if (unasked && !map_is_stream(to->listener) &&
	    !ratelim_table_take(&m->unasked, m->now, &to->endpoint.address))
		return DROP_RATE_LIMITED;
	return DROP_NONE;
}

void map_enqueue(struct mapserver *m, struct buf *b, const struct route *to, bool unasked)
{
	enum drop_reason reason = may_send(m, to, unasked);

	if (reason != DROP_NONE) {
		drop_count(&m->stats.drops, reason);
		buf_put(b);
		return;
	}
	m->queue[m->queued++ % MAPSERVER_QUEUE] = (struct map_outgoing){
		.buf = b,
		.destination = to->endpoint,
		.listener = to->listener,
	};
}

bool mapserver_next_outgoing(struct mapserver *m, struct map_outgoing *ret)
{
	if (m->queued == m->taken)
		return false;
	*ret = m->queue[m->taken++ % MAPSERVER_QUEUE];
	m->stats.sent++;
	return true;
}

/* --- in ---------------------------------------------------------------------------------- */

/* Somebody is told something in the clear: never more than was asked. */
static void reply(struct mapserver *m, const struct hub_result *result, const struct route *to,
		  size_t asked)
{
	struct buf *b;

	if (result->reason == DROP_COOKIE_REQUIRED)
		drop_count(&m->stats.drops, DROP_COOKIE_REQUIRED);
	if (result->reply_size > asked)
		return;
	b = map_datagram(m);
	if (!b)
		return;
	memcpy(buf_data(b), result->reply, result->reply_size);
	b->length = (u32)result->reply_size;
	map_enqueue(m, b, to, false);
}

static void opened(struct mapserver *m, const struct hub_result *result, const struct route *from,
		   size_t size)
{
	struct client *client = result->assoc->owner;

	m->stats.handshakes += result->confirmed;
	if (!is_admitted(m, registry_key(client->node))) {
		drop_count(&m->stats.drops, DROP_UNKNOWN_PEER);
		map_forget(m, client);
		return;
	}
	if (map_is_stream(from->listener) && !map_stream_take(m, client, from->listener)) {
		drop_count(&m->stats.drops, DROP_NOT_ALLOWED);
		return;
	}
	if (!client->known && !map_settle(m, client, &from->endpoint.address)) {
		m->stats.refused++;
		map_forget(m, client);
		return;
	}
	if (map_is_stream(from->listener))
		map_is_home(m, client, &from->endpoint.address);
	registry_touch(m->registry, m->now, client->node);
	tidy(m, client);
	map_frames(m, client, from, size, result);
}

static void dropped(struct mapserver *m, enum drop_reason reason)
{
	drop_count(&m->stats.drops, reason);
	if (reason == DROP_UNKNOWN_PEER && m->full)
		m->stats.refused++;
}

static void receive_one(struct mapserver *m, const struct route *from, u8 *data, size_t size)
{
	struct hub_result result;

	m->stats.received++;
	m->full = false;
	hub_receive(m->hub, m->now, &from->endpoint, data, size, &result);
	switch (result.verdict) {
	case HUB_DROPPED:
		dropped(m, result.reason);
		break;
	case HUB_REPLY:
		reply(m, &result, from, size);
		break;
	case HUB_OPENED:
		opened(m, &result, from, size);
		break;
	case HUB_ESTABLISHED: /* the map sends no initiations */
		break;
	}
}

void mapserver_receive(struct mapserver *m, u64 now, u32 listener, const struct endpoint *source,
		       struct buf *b)
{
	const struct route from = { .endpoint = *source, .listener = listener };
	u32 segment = b->segment ? b->segment : b->length;
	u32 at = 0, size;

	m->now = now;
	do {
		size = b->length - at < segment ? b->length - at : segment;
		receive_one(m, &from, buf_data(b) + at, size);
		at += size;
	} while (at < b->length);
	buf_put(b);
}
