/* SPDX-License-Identifier: MIT */
/*
 * assoc.c - one remote node's sessions over time: when to ask for a new one, which one to use,
 * when to forget.
 *
 * An initiation is sent at once, again after 100 ms, 200 ms ... up to 5 s, the same bytes for
 * 10 s, then afresh. The end that initiated a session renews it after 120 s, the other end 15 s
 * later if that has not happened; keys die after 180 s.
 */
#include "hub_internal.h"

#include <errno.h>
#include <string.h>

#define RETRY_FIRST (100 * NS_PER_MS)
#define RETRY_MAX (5 * NS_PER_S)
#define RETRY_DOUBLINGS 6u
#define HURRY_GAP (500 * NS_PER_MS)
#define KICK_GAP (50 * NS_PER_MS) /* kicks closer than this are one */
#define RESPONDER_PATIENCE (15 * NS_PER_S)
#define LATE (10 * NS_PER_S)         /* no datagram is later than that */
#define CROSSING_TIME (1 * NS_PER_S) /* initiations that cross begin sessions so close together */

void assoc_init(struct assoc *a, const u8 remote_key[static KEY_SIZE],
		const u8 preshared_key[static KEY_SIZE], void *owner)
{
	memset(a, 0, sizeof(*a));
	memcpy(a->remote_key, remote_key, KEY_SIZE);
	memcpy(a->preshared_key, preshared_key, KEY_SIZE);
	a->owner = owner;
	a->retry_at = TIME_NEVER;
}

static void assoc_cancel_initiation(struct hub *hub, struct assoc *a)
{
	struct initiation *in = a->initiation;

	a->retry_at = TIME_NEVER;
	if (!in)
		return;
	if (in->index)
		hub_index_release(hub, in->index);
	crypto_wipe(in, sizeof(*in));
	mem_free(&hub->options.allocator, in, sizeof(*in));
	a->initiation = NULL;
}

void assoc_clear(struct hub *hub, struct assoc *a)
{
	assoc_cancel_initiation(hub, a);
	hub_session_destroy(hub, a->current);
	hub_session_destroy(hub, a->previous);
	hub_session_destroy(hub, a->older);
	a->current = a->previous = a->older = NULL;
	for (u32 i = 0; i < HUB_PENDING; i++) {
		hub_session_destroy(hub, a->pending[i]);
		a->pending[i] = NULL;
	}
	mem_free(&hub->options.allocator, a->jar, sizeof(*a->jar));
	a->jar = NULL;
}

/* --- which session -------------------------------------------------------------------------- */

/* session opens what comes, but current stays. */
static void add_previous(struct hub *hub, struct assoc *a, struct session *session)
{
	hub_session_destroy(hub, a->older);
	a->older = a->previous;
	a->previous = session;
}

void assoc_make_current(struct hub *hub, struct assoc *a, struct session *session, u64 now)
{
	add_previous(hub, a, a->current);
	a->current = session;
	a->current_since = now;
	assoc_cancel_initiation(hub, a);
	a->sends = 0;
}

/* Its initiation was made after all that were confirmed: it is no replay of those. */
static bool is_later(const struct assoc *a, const struct session *s)
{
	return s->stamp > (s->life == a->life ? a->stamp : a->stamp_high);
}

/* Which of two that are later shall have the first slot? The remote node is likely to live on. */
static bool goes_first(const struct assoc *a, const struct session *s, const struct session *other)
{
	if (!other || s->life == other->life)
		return !other || s->stamp > other->stamp;
	if (s->life == a->life || other->life == a->life)
		return s->life == a->life;
	return s->stamp > other->stamp;
}

_Static_assert(HUB_PENDING == 2, "one for what is later, one for what may be a replay");

void assoc_add_pending(struct hub *hub, struct assoc *a, struct session *session)
{
	hub_session_destroy(hub, a->pending[1]);
	a->pending[1] = session;
	if (is_later(a, session) && goes_first(a, session, a->pending[0])) {
		a->pending[1] = a->pending[0];
		a->pending[0] = session;
	}
}

static void remember_stamp(struct assoc *a, const struct session *s)
{
	a->life = s->life;
	a->stamp = s->stamp;
	if (s->stamp > a->stamp_high)
		a->stamp_high = s->stamp;
}

bool assoc_answered(const struct assoc *a, u32 remote_index, u64 now)
{
	for (u32 i = 0; i < HUB_PENDING; i++) {
		const struct session *s = a->pending[i];

		if (s && s->remote_index == remote_index && now - s->created < COPIES_TIME)
			return true;
	}
	return false;
}

/* Both ends have asked at once. Of the two sessions both take the one that the greater key began: then
 * one end has begun it and renews it first, and the next time they do not cross. */
static bool crossing_is_ours(const struct hub *hub, const struct assoc *a, const struct session *s)
{
	return a->current && a->current->initiator && !s->initiator &&
	       s->created + CROSSING_TIME > a->current->created &&
	       a->current->created + CROSSING_TIME > s->created &&
	       memcmp(hub->options.identity.public_key, a->remote_key, KEY_SIZE) > 0;
}

bool assoc_confirm(struct hub *hub, struct assoc *a, struct session *session, u64 now)
{
	for (u32 i = 0; i < HUB_PENDING; i++) {
		if (a->pending[i] == session) {
			a->pending[i] = NULL;
			remember_stamp(a, session);
			if (crossing_is_ours(hub, a, session))
				add_previous(hub, a, session);
			else
				assoc_make_current(hub, a, session, now);
			return true;
		}
	}
	return false;
}

static bool session_usable(const struct session *s, u64 now)
{
	return s && now - s->created < SESSION_REJECT_AFTER &&
	       s->next_counter < SESSION_LAST_COUNTER;
}

bool assoc_ready(const struct assoc *a, u64 now)
{
	return session_usable(a->current, now);
}

int assoc_seal(struct assoc *a, u64 now, u8 *data, size_t size)
{
	if (!a->current)
		return -ENOTCONN;
	return session_seal(a->current, now, data, size);
}

/* --- initiations ---------------------------------------------------------------------------- */

void assoc_stamp_initiation(struct assoc *a, u64 now)
{
	cookie_stamp(a->jar, now, a->initiation->message, WIRE_INITIATION_SIZE);
}

static int initiation_write(struct hub *hub, struct assoc *a, struct initiation *in)
{
	struct wire_hello h = { .version = WIRE_VERSION,
				.ciphers = hub->options.ciphers,
				.life = hub->life,
				.stamp = a->stamp_sent };
	u8 ephemeral[KEY_SIZE], hello[WIRE_HELLO_SIZE];
	int r;

	wire_put_hello(hello, &h);
	random_fill(&hub->options.random, ephemeral, sizeof(ephemeral));
	private_key_clamp(ephemeral);
	in->message[0] = WIRE_INITIATION;
	put_u32(in->message + 4, in->index);
	handshake_init_initiator(&in->handshake, &hub->options.identity, a->remote_key,
				 WIRE_PROLOGUE, sizeof(WIRE_PROLOGUE) - 1);
	r = handshake_write_1(&in->handshake, ephemeral, hello, sizeof(hello),
			      in->message + WIRE_INITIATION_NOISE);
	crypto_wipe(ephemeral, sizeof(ephemeral));
	return r;
}

/* Only who initiates needs one. */
static int make_jar(struct hub *hub, struct assoc *a)
{
	if (a->jar)
		return 0;
	a->jar = mem_alloc(&hub->options.allocator, sizeof(*a->jar));
	if (!a->jar)
		return -ENOMEM;
	cookie_jar_init(a->jar, a->remote_key);
	return 0;
}

/* A fresh initiation in a->initiation. */
static int initiation_begin(struct hub *hub, struct assoc *a, u64 now)
{
	const struct allocator *al = &hub->options.allocator;
	struct initiation *in;
	int r = make_jar(hub, a);

	if (r < 0)
		return r;
	in = mem_alloc(al, sizeof(*in));
	if (!in)
		return -ENOMEM;
	a->stamp_sent = now > a->stamp_sent ? now : a->stamp_sent + 1;
	r = hub_index_take(hub, a, &in->index);
	if (r == 0) {
		r = initiation_write(hub, a, in);
		if (r < 0)
			hub_index_release(hub, in->index);
	}
	if (r < 0) {
		mem_free(al, in, sizeof(*in));
		return r;
	}
	in->begun = now;
	a->initiation = in;
	assoc_stamp_initiation(a, now);
	return 0;
}

static u64 retry_delay(struct hub *hub, u32 sends)
{
	u32 doublings = sends < RETRY_DOUBLINGS ? sends : RETRY_DOUBLINGS;
	u64 delay = RETRY_FIRST << doublings;
	u64 jitter;

	if (delay > RETRY_MAX)
		delay = RETRY_MAX;
	jitter = random_u32(&hub->options.random) % (delay / 8);
	return delay + jitter;
}

/* Time to (re)send: makes sure that there is an initiation that is not too old. */
static bool initiation_due(struct hub *hub, struct assoc *a, u64 now)
{
	u32 sends = a->sends;

	if (a->initiation && now - a->initiation->begun >= INITIATION_LIFETIME)
		assoc_cancel_initiation(hub, a);
	a->retry_at = now + retry_delay(hub, sends);
	if (!a->initiation && initiation_begin(hub, a, now) < 0)
		return false;
	a->sends = sends + 1;
	a->sent_at = now;
	return true;
}

const u8 *assoc_initiation(const struct assoc *a)
{
	return a->initiation ? a->initiation->message : NULL;
}

void assoc_kick(struct hub *hub, struct assoc *a, u64 now)
{
	u64 at = now;

	(void)hub;
	if (a->sends > 0 && now - a->sent_at < KICK_GAP)
		at = a->sent_at + KICK_GAP;
	a->sends = a->sends ? 1 : 0;
	a->retry_at = time_min(a->retry_at, at);
}

void assoc_hurry(struct assoc *a, u64 now)
{
	u64 at = a->sends ? a->sent_at + HURRY_GAP : now;

	a->retry_at = time_min(a->retry_at, at > now ? at : now);
}

void assoc_retry_slowly(struct assoc *a, u64 now)
{
	a->sends = RETRY_DOUBLINGS;
	a->sent_at = now;
	a->retry_at = now + RETRY_MAX;
}

void assoc_rest(struct hub *hub, struct assoc *a)
{
	assoc_cancel_initiation(hub, a);
	a->sends = 0;
}

/* --- time ----------------------------------------------------------------------------------- */

/* When current is to be renewed; never while that is under way. */
static u64 rekey_at(const struct assoc *a)
{
	const struct session *s = a->current;

	if (!s || a->retry_at != TIME_NEVER)
		return TIME_NEVER;
	if (s->next_counter >= SESSION_REKEY_COUNTER)
		return s->created;
	return s->created + SESSION_REKEY_AFTER + (s->initiator ? 0 : RESPONDER_PATIENCE);
}

u64 assoc_next_expiry(const struct assoc *a)
{
	u64 at = time_min(a->retry_at, rekey_at(a));

	if (a->current)
		at = time_min(at, a->current->created + SESSION_REJECT_AFTER);
	if (a->previous)
		at = time_min(at, a->previous->created + SESSION_REJECT_AFTER);
	if (a->older)
		at = time_min(at, a->older->created + SESSION_REJECT_AFTER);
	for (u32 i = 0; i < HUB_PENDING; i++) {
		if (a->pending[i])
			at = time_min(at, a->pending[i]->created + PENDING_LIFETIME);
	}
	return at;
}

static void forget_old(struct hub *hub, struct session **slot, u64 now, u64 lifetime)
{
	if (*slot && now - (*slot)->created >= lifetime) {
		hub_session_destroy(hub, *slot);
		*slot = NULL;
	}
}

void assoc_tidy(struct hub *hub, struct assoc *a, u64 now)
{
	for (u32 i = 0; i < HUB_PENDING; i++)
		forget_old(hub, &a->pending[i], now, PENDING_LIFETIME);
	if (a->current && now - a->current_since >= LATE) {
		forget_old(hub, &a->previous, now, LATE);
		forget_old(hub, &a->older, now, LATE);
	}
	forget_old(hub, &a->current, now, SESSION_REJECT_AFTER);
}

bool assoc_expire(struct hub *hub, struct assoc *a, u64 now)
{
	for (u32 i = 0; i < HUB_PENDING; i++)
		forget_old(hub, &a->pending[i], now, PENDING_LIFETIME);
	forget_old(hub, &a->previous, now, SESSION_REJECT_AFTER);
	forget_old(hub, &a->older, now, SESSION_REJECT_AFTER);
	if (rekey_at(a) <= now)
		assoc_kick(hub, a, now);
	forget_old(hub, &a->current, now, SESSION_REJECT_AFTER);
	return a->retry_at <= now && initiation_due(hub, a, now);
}
