/* SPDX-License-Identifier: MIT */
/*
 * nattest.c - the tests of the NAT before each interface, carried out: questions go to a map inside of
 * our session with it, through the interface's own socket or one that was demanded for it.
 *
 * Of several maps the one with the most endpoints is asked, because the answers of different maps
 * do not fit together. What is found out is registered with all maps, a little later, so that several
 * findings need one registration.
 */
#include "engine_internal.h"

#include <string.h>

#define TELL_DELAY (1 * NS_PER_S)
#define FIRST_SOCKET 1u
#define LAST_SOCKET                                                                                \
	255u /* numbers that are used in turn: an answer to an old one is not mistaken */

static struct natclass *class_of(const struct engine *e, u8 iface)
{
	struct iface *i = iface_get(e, iface);

	return i ? &i->nat.class : NULL;
}

/* --- what is found out ----------------------------------------------------------------------- */

static u8 flags_of(const struct nat_class *is)
{
	u8 flags = 0;

	if (is->preserves == NAT_YES)
		flags |= WIRE_NAT_PRESERVES;
	if (is->hairpin == NAT_YES)
		flags |= WIRE_NAT_HAIRPIN;
	if (is->dependent == NAT_YES)
		flags |= WIRE_NAT_DEPENDENT;
	return (u8)(flags | (u8)is->verdict << 3);
}

struct wire_nat nattest_wire(const struct iface *i)
{
	const struct nat_class *is = &i->nat.class.is;
	bool fits = is->step_size >= INT8_MIN && is->step_size <= INT8_MAX;

	return (struct wire_nat){
		.mapping = (u8)is->mapping,
		.filtering = (u8)is->filtering,
		.flags = flags_of(is),
		.step = fits ? (i8)is->step_size : (i8)0,
	};
}

static void tell_soon(struct engine *e, u64 now, u8 iface)
{
	for (u32 n = 0; n < MAX_MAPS; n++) {
		struct map *m = &e->maps[n];
		struct registration *r = &m->registrations[iface];

		if (!m->used || r->state != REG_DONE)
			continue;
		r->next = time_min(r->next, now + TELL_DELAY);
		map_arm(e, m, r->next);
	}
}

static void tell_if_changed(struct engine *e, u64 now, u8 iface, struct iface *i)
{
	struct wire_nat now_is = nattest_wire(i), *told = &i->nat.told;

	if (now_is.mapping == told->mapping && now_is.filtering == told->filtering &&
	    now_is.flags == told->flags && now_is.step == told->step)
		return;
	*told = now_is;
	punch_nat_changed(e, now, iface);
	offers_changed(e, now, 0);
	tell_soon(e, now, iface);
}

/* Mappings live shorter than was known: what was to be sent later is sent now. */
static void keep_alive(struct engine *e, u64 now, u8 iface, struct iface *i)
{
	u64 before = i->nat.keepalive;

	i->nat.keepalive = natclass_keepalive(&i->nat.class);
	if (i->nat.keepalive >= before)
		return;
	for (u32 n = 0; n < MAX_MAPS; n++) {
		e->maps[n].registrations[iface].next_keepalive = now;
		if (e->maps[n].used)
			map_arm(e, &e->maps[n], now);
	}
	for (u32 n = 0; n < e->peer_limit; n++) {
		struct peer *p = e->peers[n];

		for (u64 mask = p ? p->used_mask : 0; mask; mask &= mask - 1) {
			struct path *path = &p->paths[__builtin_ctzll(mask)];

			if (path->iface == iface)
				path_wake(path, now);
		}
		if (p)
			peer_arm(e, p, now);
	}
}

u64 nattest_keepalive(const struct engine *e, u8 iface)
{
	const struct natclass *c = class_of(e, iface);
	u64 interval = e->options.keepalive_interval;

	return c ? time_min(interval, natclass_keepalive(c)) : interval;
}

/* --- what the machine wants ------------------------------------------------------------------ */

static void demand(struct engine *e, enum demand_kind kind, u8 iface, u16 socket, u16 port)
{
	engine_demand(e, &(struct demand){
				 .kind = kind, .iface = iface, .socket = socket, .port = port });
}

static void open_spare(struct engine *e, u8 iface, struct nattest *t, u16 port)
{
	t->socket = t->socket < LAST_SOCKET ? (u16)(t->socket + 1) : FIRST_SOCKET;
	demand(e, DEMAND_OPEN_SOCKET, iface, t->socket, port);
}

/* Padded to what the answers will have together, or the map does not give them all. */
static void send_questions(struct engine *e, u64 now, u8 iface, const struct natclass_action *a)
{
	u32 answer = WIRE_OVERHEAD + FRAME_NAT_TEST_MAX;
	struct map *m = &e->maps[e->ifaces[iface]->nat.map];
	struct frame f[NATCLASS_QUESTIONS];
	struct map_way way = { .iface = iface, .to = a->to };

	for (u32 n = 0; n < a->count; n++) {
		f[n].type = FRAME_NAT_TEST_REQUEST;
		f[n].nat_test_request = (struct frame_nat_test_request){ a->question[n].nonce,
									 a->question[n].how,
									 a->question[n].port };
	}
	way.socket = a->socket == NATCLASS_OWN ? 0 : e->ifaces[iface]->nat.socket;
	map_send_way(e, m, now, &way, f, a->count, a->count * answer - WIRE_OVERHEAD);
}

static void send_hairpin(struct engine *e, u64 now, u8 iface, const struct natclass_action *a)
{
	u8 bytes[WIRE_RETURN_SIZE];

	wire_put_return(bytes, a->nonce);
	iface_queue_bytes(e, now, iface,
			  a->socket == NATCLASS_OWN ? 0 : e->ifaces[iface]->nat.socket, &a->to,
			  bytes, sizeof(bytes));
}

static void perform(struct engine *e, u64 now, u8 iface, const struct natclass_action *a)
{
	struct nattest *t = &e->ifaces[iface]->nat;

	switch (a->kind) {
	case NATCLASS_OPEN:
		open_spare(e, iface, t, a->port);
		break;
	case NATCLASS_CLOSE:
		demand(e, DEMAND_CLOSE_SOCKET, iface, t->socket, 0);
		break;
	case NATCLASS_ASK:
		send_questions(e, now, iface, a);
		break;
	case NATCLASS_HAIRPIN:
		send_hairpin(e, now, iface, a);
		break;
	}
}

static void run(struct engine *e, u64 now, u8 iface)
{
	struct iface *i = iface_get(e, iface);
	struct natclass_action a;

	if (!i)
		return;
	while (natclass_next(&i->nat.class, now, &a))
		perform(e, now, iface, &a);
	tell_if_changed(e, now, iface, i);
	keep_alive(e, now, iface, i);
	engine_arm(e, natclass_next_expiry(&i->nat.class));
}

u64 nattest_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (u32 mask = e->iface_mask; mask; mask &= mask - 1)
		at = time_min(at, natclass_next_expiry(class_of(e, (u8)__builtin_ctz(mask))));
	return at;
}

void nattest_expire(struct engine *e, u64 now)
{
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1) {
		u8 n = (u8)__builtin_ctz(mask);

		if (natclass_next_expiry(class_of(e, n)) <= now)
			run(e, now, n);
	}
}

bool nattest_wants_socket(const struct engine *e, u8 iface, u16 socket)
{
	const struct nattest *t = &e->ifaces[iface]->nat;

	return t->socket == socket && natclass_has_spare(&t->class);
}

/* --- what it is told ------------------------------------------------------------------------- */

void nattest_begin(struct engine *e, struct iface *i)
{
	u64 salt;

	random_fill(&e->options.random, &salt, sizeof(salt));
	natclass_init(&i->nat.class, &i->options.local, salt);
	i->nat.keepalive = TIME_NEVER;
	i->nat.map = MAX_MAPS;
}

/* Does another map, that is asked now, know of more endpoints than this one? */
static bool is_outdone(const struct engine *e, const struct nattest *t, const struct map *m,
		       size_t count)
{
	return t->map < MAX_MAPS && t->map != m->index && e->maps[t->map].connected &&
	       t->class.map_count >= count;
}

/* Over TCP: what the map sees there says nothing of UDP, which is tested all the same: if it is not
 * answered, it is blocked. */
static void registered_by_stream(struct engine *e, const struct map *m, u64 now, u8 iface,
				 const struct endpoint *at)
{
	struct nattest *t = &e->ifaces[iface]->nat;

	if (t->map == MAX_MAPS) {
		t->map = m->index;
		natclass_set_map(&t->class, now, at, 1);
	}
	nattest_map_alive(e, m, now, iface);
	run(e, now, iface);
}

void nattest_map_alive(struct engine *e, const struct map *m, u64 now, u8 iface)
{
	struct iface *i = iface_get(e, iface);

	if (i && i->nat.map == m->index)
		natclass_map_alive(&i->nat.class, now);
}

void nattest_registered(struct engine *e, const struct map *m, const struct arrival *in,
			const struct endpoint *at, const struct frame_register_response *f)
{
	struct endpoint endpoints[1 + WIRE_OTHERS_MAX];
	struct nattest *t = &e->ifaces[f->interface]->nat;
	u8 iface = (u8)f->interface;

	if (at && in->socket == SOCKET_STREAM) {
		registered_by_stream(e, m, in->now, iface, at);
		return;
	}
	if (!at || is_outdone(e, t, m, 1u + f->count))
		return;
	endpoints[0] = *at;
	memcpy(endpoints + 1, f->other, f->count * sizeof(f->other[0]));
	t->map = m->index;
	natclass_set_map(&t->class, in->now, endpoints, 1u + f->count);
	natclass_observed(&t->class, in->now, &f->observed);
	run(e, in->now, iface);
}

/* From an endpoint of the map that we have not spoken to, if it has one: a mapping of the NAT's own
 * does not let that in. */
static u8 how_to_test(const struct frame_register_response *f)
{
	if (f->count == 0)
		return NATCLASS_SAME;
	return endpoint_is_usable(&f->other[0]) ? NATCLASS_OTHER_ADDRESS : NATCLASS_OTHER_PORT;
}

/* Only towards the address that the map sees: behind two NATs the inner one's word is worth nothing. */
void nattest_mapped(struct engine *e, struct map *m, u64 now,
		    const struct frame_register_response *f)
{
	struct iface *i = iface_get(e, (u8)f->interface);
	struct frame test = { .type = FRAME_NAT_TEST_REQUEST };
	struct map_way way = { .iface = (u8)f->interface };
	const struct endpoint *to = map_endpoint(e, m, way.iface);

	if (!i || !to || i->mapped_reached || !i->mapped.address.family ||
	    !address_equal(&i->mapped.address, &f->observed.address))
		return;
	random_fill(&e->options.random, &i->mapped_nonce, sizeof(i->mapped_nonce));
	way.to = *to;
	test.nat_test_request = (struct frame_nat_test_request){
		.nonce = i->mapped_nonce,
		.how = how_to_test(f),
		.port = i->mapped.port,
	};
	map_send_way(e, m, now, &way, &test, 1, FRAME_NAT_TEST_MAX);
}

void nattest_map_removed(struct engine *e, u64 now, const struct map *m)
{
	for (u32 mask = e->iface_mask; mask; mask &= mask - 1) {
		u8 n = (u8)__builtin_ctz(mask);
		struct nattest *t = &e->ifaces[n]->nat;

		if (t->map != m->index)
			continue;
		t->map = MAX_MAPS;
		natclass_set_map(&t->class, now, NULL, 0);
		run(e, now, n);
	}
}

void nattest_take(struct engine *e, const struct map *m, const struct arrival *in,
		  const struct frame_nat_test *f)
{
	struct iface *i = iface_get(e, in->iface);
	struct natclass_answer a = { .nonce = f->nonce, .from = in->source, .seen = f->seen };

	if (i && in->socket == 0 && f->nonce == i->mapped_nonce && !i->mapped_reached) {
		iface_mapped_reached(e, in->now, in->iface, &i->mapped);
		tell_soon(e, in->now, in->iface);
		return;
	}
	if (i && in->socket >= PATH_SOCKET_FIRST) {
		punch_sampled(e, in, f);
		return;
	}
	if (!i || i->nat.map != m->index)
		return;
	if (in->socket != 0 && in->socket != i->nat.socket)
		return;
	if (in->socket != 0)
		a.socket = NATCLASS_SPARE;
	natclass_take(&i->nat.class, in->now, &a);
	run(e, in->now, in->iface);
}

bool nattest_returned(struct engine *e, const struct arrival *in, const u8 *data, u32 size)
{
	struct natclass *c;
	u64 nonce;

	if (!wire_get_return(data, size, &nonce))
		return false;
	c = class_of(e, in->iface);
	if (c)
		natclass_returned(c, nonce);
	return true;
}

void engine_socket_opened(struct engine *e, u64 now, u8 iface, u16 socket, u16 port)
{
	struct iface *i = iface_get(e, iface);

	if (i && socket >= PATH_SOCKET_FIRST)
		punch_socket_opened(e, now, iface, socket, port);
	if (!i || socket != i->nat.socket)
		return;
	natclass_opened(&i->nat.class, now, port);
	run(e, now, iface);
}

void engine_socket_failed(struct engine *e, u64 now, u8 iface, u16 socket)
{
	struct iface *i = iface_get(e, iface);

	if (i && socket >= PATH_SOCKET_FIRST)
		punch_socket_failed(e, now, iface, socket);
	if (!i || socket != i->nat.socket)
		return;
	natclass_open_failed(&i->nat.class, now);
	run(e, now, iface);
}
