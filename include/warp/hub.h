/* SPDX-License-Identifier: MIT */
/*
 * hub.h - everything between raw datagrams and authenticated frames, for one local identity:
 * handshakes (both roles), cookies, session indices, rekeying. The node's engine and the map
 * server both stand on it.
 *
 * An *assoc* is the hub's half of what is known about one remote node: its key and its sessions.
 *   current    what we seal with
 *   previous   still opens late datagrams; so does the older one before it, since two ends that
 *              initiate at once make two sessions within a round trip
 *   pending    we answered an initiation; becomes current with the first datagram that opens
 *              under it (key confirmation), so a replayed initiation costs a slot and no more.
 *              The first slot is for initiations later than all that were confirmed; what may be
 *              a replay, or come from a node whose clock went back, has the second one only
 *
 * The same initiation goes out on every path and is repeated unchanged within an attempt; the
 * same response goes back to every source from which a copy of it came.
 *
 * Order for every datagram: authenticate, commit replay, only then change state.
 */
#ifndef WARP_HUB_H
#define WARP_HUB_H

#include "warp/cookie.h"
#include "warp/drop.h"
#include "warp/ratelim.h"
#include "warp/session.h"
#include "warp/wire.h"

#define HUB_PENDING 2u
#define ASSOC_SESSIONS (3u + HUB_PENDING) /* current, previous, older */
#define HUB_SESSIONS (1u << 23)           /* of all assocs, with initiations in flight */

struct initiation;

struct assoc {
	u8 remote_key[KEY_SIZE];
	u8 preshared_key[KEY_SIZE]; /* zero: none */
	void *owner;                /* peer, map or node that it belongs to */
	struct session *current, *previous, *older, *pending[HUB_PENDING];
	struct initiation *initiation; /* ours in flight, or NULL */
	u64 current_since;             /* when current became current */
	u64 opened_at;                 /* last datagram opened under any session, 0: never */
	u64 retry_at;                  /* next initiation, TIME_NEVER: none wanted */
	u64 sent_at;                   /* the last initiation */
	u32 sends;                     /* initiations since the last kick */
	u64 stamp_sent;                /* of our last initiation */
	u32 life;               /* of the last session confirmed that the remote node began */
	u64 stamp;              /* the same */
	u64 stamp_high;         /* of all those */
	struct cookie_jar *jar; /* for our initiations; NULL: there was none */
};

struct hub_options {
	struct identity identity;
	struct allocator allocator;
	struct random_source random;
	const struct aead_ops *aead; /* NULL: libsodium's */
	u8 ciphers;                  /* CIPHER_BITs offered; usually crypto_ciphers() */
	u32 replay_bits;             /* window of each session */
	u32 max_sessions;            /* at most HUB_SESSIONS */
	u64 handshake_rate; /* initiations a second worked on before cookies are asked for; as many
			     * again with them */
	/* Whose key is this? The assoc, or NULL for a stranger. May create it: the initiation is
	 * authentic in that it was made by the holder of the key, but may be a replay. */
	struct assoc *(*lookup)(void *ctx, const u8 key[static KEY_SIZE]);
	void *ctx;
};

struct hub;

/* 0, -ENOMEM, -EINVAL. */
int hub_create(struct hub **ret, const struct hub_options *options);
void hub_destroy(struct hub *hub);

/* The assoc of one of the sessions and initiations there are, the same for the same number; may be NULL. */
struct assoc *hub_any(const struct hub *hub, u32 number);

void assoc_init(struct assoc *a, const u8 remote_key[static KEY_SIZE],
		const u8 preshared_key[static KEY_SIZE], void *owner);
/* Drops all sessions and what is in flight; the struct may then go. */
void assoc_clear(struct hub *hub, struct assoc *a);

enum hub_verdict {
	HUB_DROPPED,     /* see reason; for DROP_DUPLICATE and DROP_UNKNOWN_INDEX also assoc */
	HUB_REPLY,       /* send reply to where the datagram came from; nothing else */
	HUB_ESTABLISHED, /* our initiation was answered: assoc has a new current session */
	HUB_OPENED,      /* plain[0..plain_size) are frames of assoc */
};

struct hub_result {
	enum hub_verdict verdict;
	enum drop_reason reason;
	struct assoc *assoc; /* may be NULL */
	bool confirmed;      /* HUB_OPENED: a pending session has just become current */
	/* HUB_OPENED, and, not proved, DROP_DUPLICATE: what was sealed later under the same keys has
	 * a greater counter, and what was answered later a greater session. */
	u64 session, counter;
	bool current; /* HUB_OPENED: under the current session, or one as young (both ends initiated) */
	u8 *plain;
	size_t plain_size;
	u8 reply[WIRE_INITIATION_SIZE];
	size_t reply_size;
};

/* One datagram, opened in place. */
void hub_receive(struct hub *hub, u64 now, const struct endpoint *source, u8 *data, size_t size,
		 struct hub_result *ret);

/* Can a be sealed to now? */
bool assoc_ready(const struct assoc *a, u64 now);
/* Seals data[WIRE_HEADER_SIZE..+size) under the current session, see session_seal(). -ENOTCONN
 * when there is none. */
int assoc_seal(struct assoc *a, u64 now, u8 *data, size_t size);

/* Wants a session with a now: starts an attempt, or hurries the one under way to its next
 * transmission. Something has changed: an address, an interface, a restart of the other side. */
void assoc_kick(struct hub *hub, struct assoc *a, u64 now);
/* Payloads, or the other end, wait for a session: until there is one, initiations go out every 500 ms,
 * which the caller keeps up by calling again. However often it does, it makes no more of them. */
void assoc_hurry(struct assoc *a, u64 now);
/* There is no hurry: tries again in some seconds, then on and on at that pace. */
void assoc_retry_slowly(struct assoc *a, u64 now);
/* Wants no session any more (until the next kick). */
void assoc_rest(struct hub *hub, struct assoc *a);

/* Earliest time at which assoc_expire() has something to do. */
u64 assoc_next_expiry(const struct assoc *a);
/* Rekeys, retries, forgets old sessions. Returns true when the initiation that
 * assoc_initiation() gives is to be sent on every path now. */
bool assoc_expire(struct hub *hub, struct assoc *a, u64 now);
/* For who never initiates: forgets what is too old to be used, and what was replaced so long ago that
 * nothing sealed under it can still be on its way. */
void assoc_tidy(struct hub *hub, struct assoc *a, u64 now);
/* The bytes of the initiation in flight, WIRE_INITIATION_SIZE of them, or NULL. */
const u8 *assoc_initiation(const struct assoc *a);

#endif
