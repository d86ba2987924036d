/* SPDX-License-Identifier: MIT */
/*
 * mapframes.c - what nodes say to the map inside of a session, and what they are told.
 *
 * Answers to the frames of one datagram are collected and go back to where it came from, in one
 * datagram where they fit. All that fits in three times the size of the question is free; what
 * exceeds it goes only to where the node has shown that it receives (see registry.h), because it may
 * have written another's address on its question, and is paid from the allowance of that address.
 * What is left of the three times is credit for what the node has not asked for.
 *
 * A change is pushed when it happens, sealed once for each node that is told and sent to the last
 * interfaces from which that node was heard. Nobody acknowledges a push: who missed it learns the
 * same by its next question.
 *
 * A key that is not here, and one whose owner does not ask for the asker, get the same answer: no
 * mappings.
 */
#include "mapserver_internal.h"

#include <errno.h>
#include <string.h>

#define FREE_TIMES 3u /* an answer may have as many times the bytes of its question */
/* frame header, key, flags, handle, count */
#define MAPPING_HEADER (3u + KEY_SIZE + 1u + 4u + 1u)
#define MAPPING_MAX_SIZE 58u /* number, three IPv6 endpoints */

_Static_assert(MAPPING_HEADER + MAPPING_MAX_SIZE <= MAP_PLAIN_MAX, "no mapping fits");

/* An authentic datagram, and the answer that grows from its frames. */
struct question {
	struct mapserver *m;
	struct client *client;
	const struct route *from;
	struct registry_moment said;
	size_t free;        /* bytes that may still go back */
	size_t tests;       /* bytes that answers to NAT tests may still have */
	struct buf *answer; /* NULL: none begun */
	size_t size;        /* of its frames */
	bool changed;       /* something that watchers are told, once */
};

/* --- answers ----------------------------------------------------------------------------- */

/* May so many bytes go to where the question came from? A connection leads to who has asked. */
static bool may_answer(struct question *q, size_t size)
{
	struct mapserver *m = q->m;

	if (size <= q->free || map_is_stream(q->from->listener) ||
	    registry_is_confirmed(m->registry, m->now, q->client->node, &q->from->endpoint))
		return true;
	drop_count(&m->stats.drops, DROP_UNCONFIRMED);
	return false;
}

static void answer_send(struct question *q)
{
	size_t total = q->size + WIRE_OVERHEAD;

	if (!q->answer)
		return;
	if (may_answer(q, total) && map_seal(q->m, q->client, q->answer, q->size))
		map_enqueue(q->m, q->answer, q->from, total > q->free);
	else
		buf_put(q->answer);
	q->free -= total < q->free ? total : q->free;
	q->answer = NULL;
}

/* Appends to the answer begun, if there is one with room. */
static bool answer_append(struct question *q, const struct frame *f)
{
	int r;

	if (!q->answer)
		return false;
	r = frame_put(map_plain(q->answer) + q->size, MAP_PLAIN_MAX - q->size, f);
	if (r < 0)
		return false;
	q->size += (size_t)r;
	return true;
}

static void answer(struct question *q, const struct frame *f)
{
	if (answer_append(q, f))
		return;
	answer_send(q);
	q->answer = map_datagram(q->m);
	q->size = 0;
	answer_append(q, f);
}

/* --- mappings ---------------------------------------------------------------------------- */

/* How many of the mappings go in one datagram. A node that has more is told of in part. */
static u8 mappings_that_fit(const struct frame_mapping_response *f)
{
	size_t size = MAPPING_HEADER;
	u8 n;

	for (n = 0; n < f->count; n++) {
		size += 1u + wire_endpoint_size(&f->mapping[n].observed) +
			wire_endpoint_size(&f->mapping[n].lan) +
			wire_endpoint_size(&f->mapping[n].mapped);
		if (size > MAP_PLAIN_MAX)
			break;
	}
	return n;
}

/* node NULL: there is nothing to tell about key. */
static void write_mappings(const struct mapserver *m, struct frame *ret,
			   const u8 key[static KEY_SIZE], const struct registry_node *node,
			   u8 flags)
{
	struct frame_mapping_response *f = &ret->mapping_response;

	ret->type = FRAME_MAPPING_RESPONSE;
	memcpy(f->key, key, KEY_SIZE);
	f->flags = flags;
	f->handle = node && m->options.relay.node_rate ? registry_handle(node) : 0;
	f->count = node ? (u8)registry_mappings(node, f->mapping, WIRE_MAPPINGS_MAX) : 0;
	f->count = mappings_that_fit(f);
}

struct push {
	struct mapserver *m;
	size_t size;
	u8 plain[MAP_PLAIN_MAX];
};

static void push_begin(struct push *p, struct mapserver *m, const struct registry_node *about)
{
	struct frame f;
	int r;

	write_mappings(m, &f, registry_key(about), about, MAPPING_PUSH);
	r = frame_put(p->plain, sizeof(p->plain), &f);
	p->size = r < 0 ? 0 : (size_t)r;
	p->m = m;
}

/* The same bytes on every route: the receiver's window lets one of them through. */
static void push_on(struct push *p, struct client *to, const struct endpoint *endpoints,
		    const u32 *listeners, size_t count)
{
	struct mapserver *m = p->m;
	struct buf *b = map_datagram(m);

	if (!b)
		return;
	memcpy(map_plain(b), p->plain, p->size);
	if (map_seal(m, to, b, p->size)) {
		m->stats.pushes++;
		for (size_t i = 0; i < count; i++) {
			const struct route route = { endpoints[i], listeners[i] };

			map_enqueue(m, buf_ref(b), &route, true);
		}
	}
	buf_put(b);
}

static void push_to(void *ctx, struct registry_node *to)
{
	struct push *p = ctx;
	struct mapserver *m = p->m;
	struct endpoint endpoints[MAPSERVER_ROUTES];
	u32 listeners[MAPSERVER_ROUTES];
	size_t count = registry_routes(m->registry, m->now, to, p->size + WIRE_OVERHEAD, endpoints,
				       listeners, MAPSERVER_ROUTES);

	if (count)
		push_on(p, client_of(to), endpoints, listeners, count);
	else
		drop_count(&m->stats.drops, DROP_UNCONFIRMED);
}

void map_tell_watchers(struct mapserver *m, const struct registry_node *node)
{
	struct push push;

	push_begin(&push, m, node);
	registry_watchers(m->registry, node, push_to, &push);
}

/* --- questions --------------------------------------------------------------------------- */

/* client_expiry as it is told: whole seconds. */
static u16 expiry_seconds(const struct mapserver *m)
{
	u64 seconds = m->options.client_expiry / NS_PER_S;

	return seconds < UINT16_MAX ? (u16)seconds : UINT16_MAX;
}

/* Where the datagram came from is what counts, but not when somebody has held it back until later
 * ones were here. What the node says about its LAN and its router is only told on, and only if it can
 * be an address of a host. Nobody can send anything to where a connection comes from. */
static void on_register(struct question *q, const struct frame_register_request *f)
{
	static const struct endpoint none;
	struct mapserver *m = q->m;
	struct registry_node *node = q->client->node;
	struct frame response = { .type = FRAME_REGISTER_RESPONSE };
	const struct registry_place place = {
		.seen = { .observed = map_is_stream(q->from->listener) ? none : q->from->endpoint,
			  .lan = endpoint_is_usable(&f->lan) ? f->lan : none,
			  .mapped = endpoint_is_usable(&f->mapped) ? f->mapped : none },
		.said = q->said,
		.listener = q->from->listener,
	};
	int changed = registry_set_interface(m->registry, m->now, node, f->interface, &place);

	if (changed == -ESTALE)
		drop_count(&m->stats.drops, DROP_TOO_OLD);
	if (changed < 0)
		return;
	m->stats.registrations++;
	if (f->proof && map_proves(m, q->client, &q->from->endpoint, f->proof)) {
		registry_confirm(m->now, node, f->interface);
		map_is_home(m, q->client, &q->from->endpoint.address);
	}
	response.register_response = (struct frame_register_response){
		.interface = f->interface,
		.expiry = expiry_seconds(m),
		.observed = q->from->endpoint,
	};
	response.register_response.count = map_others(m, q->from->listener, &q->from->endpoint,
						      response.register_response.other);
	if (registry_confirm_due(m->registry, m->now, node, f->interface))
		response.register_response.proof = map_proof(m, q->client, &q->from->endpoint);
	answer(q, &response);
	q->changed |= changed;
}

/* The asker has just become visible to other: by its first want of it. */
static void tell_about_asker(struct question *q, struct registry_node *other)
{
	struct wire_mapping mapping;
	struct push push;

	if (!registry_mappings(q->client->node, &mapping, 1))
		return;
	push_begin(&push, q->m, q->client->node);
	push_to(&push, other);
}

static void on_query(struct question *q, const u8 key[static KEY_SIZE])
{
	struct registry *registry = q->m->registry;
	struct registry_node *node = q->client->node;
	struct registry_node *other = registry_find(registry, key);
	struct frame response;
	bool is_new;

	q->m->stats.queries++;
	is_new = registry_want(registry, q->m->now, node, key) > 0;
	if (other && (other == node || !registry_may_learn(registry, node, other)))
		other = NULL;
	write_mappings(q->m, &response, key, other, 0);
	answer(q, &response);
	if (is_new && other)
		tell_about_asker(q, other);
}

static void on_mapping_request(struct question *q, const struct frame_mapping_request *f)
{
	for (u8 i = 0; i < f->count; i++)
		on_query(q, f->keys + (size_t)i * KEY_SIZE);
}

static void on_deregister(struct question *q, const struct frame_deregister *f)
{
	struct frame response = { .type = FRAME_DEREGISTER_RESPONSE, .deregister = *f };

	answer(q, &response);
	q->changed |=
		registry_clear_interface(q->m->registry, q->client->node, f->interface, q->said);
}

/* The map keeps no counts of paths; it tells the address that it sees. */
static void on_probe(struct question *q, const struct frame_probe *f)
{
	struct frame response = { .type = FRAME_PROBE_REPLY };

	response.probe_reply.stamp = f->stamp;
	response.probe_reply.seen = q->from->endpoint;
	answer(q, &response);
}

static void on_nat_test(struct question *q, const struct frame_nat_test_request *f)
{
	size_t room = q->tests < q->free ? q->tests : q->free;
	size_t sent = map_nat_test(q->m, q->client, q->from, f, room);

	q->tests -= sent;
	q->free -= sent;
}

/* Whatever else is in a frame's type is for peers, or from the future. */
static void on_frame(struct question *q, const struct frame *f)
{
	switch (f->type) {
	case FRAME_REGISTER_REQUEST:
		on_register(q, &f->register_request);
		break;
	case FRAME_MAPPING_REQUEST:
		on_mapping_request(q, &f->mapping_request);
		break;
	case FRAME_DEREGISTER_REQUEST:
		on_deregister(q, &f->deregister);
		break;
	case FRAME_PROBE:
		on_probe(q, &f->probe);
		break;
	case FRAME_RELAY:
		map_relay(q->m, q->client, &f->relay);
		break;
	case FRAME_NAT_TEST_REQUEST:
		on_nat_test(q, &f->nat_test_request);
		break;
	default:
		break;
	}
}

void map_frames(struct mapserver *m, struct client *client, const struct route *from, size_t size,
		const struct hub_result *result)
{
	struct question q = {
		.m = m,
		.client = client,
		.from = from,
		.said = { result->session, result->counter },
		.free = size * FREE_TIMES,
		.tests = size,
	};
	size_t left = result->plain_size;
	u8 *at = result->plain;
	struct frame f;
	int r;

	while ((r = frame_next(&at, &left, &f)) > 0 && f.type != FRAME_CLOSE)
		on_frame(&q, &f);
	if (r < 0)
		drop_count(&m->stats.drops, DROP_BAD_FRAME);
	answer_send(&q);
	registry_give_credit(m->registry, m->now, client->node, &from->endpoint, q.free);
	if (q.changed)
		map_tell_watchers(m, client->node);
	if (r > 0 && result->current) /* else of an earlier life, and late */
		map_forget(m, client);
}
