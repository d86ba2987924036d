/* SPDX-License-Identifier: MIT */
/*
 * engine.h - the facade of the node's core: what the edges (sockets, gates, timers, tests) see.
 *
 *   in:   engine_receive()  a train from the network      engine_send()  a payload from a gate
 *         engine_iface_*()  what the kernel says          engine_expire() the timer
 *   out:  engine_outgoing() trains to send, per interface engine_next_delivery() payloads to gates
 *         engine_next_notice() what a person may want to know
 *
 * Whoever calls one of the first four then drains the last three; nothing is called back. All
 * queues inside are bounded. Peers, maps, tunnels and interfaces are known by small indices that
 * stay valid until they are removed.
 */
#ifndef WARP_ENGINE_H
#define WARP_ENGINE_H

#include "warp/allowedips.h"
#include "warp/buf.h"
#include "warp/crypto.h"
#include "warp/drop.h"
#include "warp/endpoint.h"
#include "warp/plan.h"
#include "warp/policy.h"

#define NAME_SIZE 64u   /* of peers and tunnels, with the final 0 */
#define IFNAME_SIZE 16u /* as IFNAMSIZ */
#define MAX_IFACES 32u
#define MAX_MAPS 8u
#define MAX_TUNNELS 64u
#define MAX_PEERS 1024u
#define MAX_PEER_PATHS 64u
#define MAX_PEER_ENDPOINTS 16u  /* static ones */
#define OUTBOX_SIZE 512u        /* trains queued an interface */
#define OUTBOX_BYTES (2u << 20) /* in them, above which no payload joins the queue */

struct engine;

struct engine_options {
	struct identity identity;
	struct allocator allocator;
	struct random_source random;
	struct pool *pool;            /* the caller's; outlives the engine */
	const struct aead_ops *aead;  /* NULL: libsodium's */
	u8 ciphers;                   /* CIPHER_BITs offered */
	u64 scan_interval;            /* ns; registration at the maps */
	u64 keepalive_interval;       /* ns; probes on idle paths */
	u32 max_consecutive_failures; /* local send errors before an interface rests */
};

/* 0, -ENOMEM, -EINVAL. */
int engine_create(struct engine **ret, const struct engine_options *options);
void engine_destroy(struct engine *e);
/* New intervals and limits after a reload. */
void engine_set_intervals(struct engine *e, u64 scan_interval, u64 keepalive_interval,
			  u32 max_consecutive_failures);

/* --- who and what ------------------------------------------------------------------------ */

struct peer_options {
	char name[NAME_SIZE];
	u8 public_key[KEY_SIZE];
	u8 preshared_key[KEY_SIZE]; /* zero: none */
	const struct prefix *allowed_ips;
	size_t allowed_ip_count;
};

/* 0, -EEXIST (key), -ENOSPC, -ENOMEM, -EINVAL (own key, zero key). */
int engine_add_peer(struct engine *e, u64 now, const struct peer_options *options, u16 *ret_peer);
/* Tells the peer that it is removed, forgets it. */
void engine_remove_peer(struct engine *e, u64 now, u16 peer);
/* The static endpoints (at most MAX_PEER_ENDPOINTS), besides what maps know. Replaces. */
void engine_set_peer_endpoints(struct engine *e, u64 now, u16 peer,
			       const struct endpoint *endpoints, size_t count);

/* A map by its key; its endpoints come from the resolver, now or later, and replace. 0, -EEXIST,
 * -ENOSPC, -ENOMEM. */
int engine_add_map(struct engine *e, u64 now, const u8 public_key[static KEY_SIZE], u16 *ret_map);
void engine_remove_map(struct engine *e, u64 now, u16 map);
void engine_set_map_endpoints(struct engine *e, u64 now, u16 map, const struct endpoint *endpoints,
			      size_t count);
/* The port at which the map takes TCP connections, at the same addresses; 0: at none. */
void engine_set_map_stream_port(struct engine *e, u64 now, u16 map, u16 port);

struct tunnel_options {
	char name[NAME_SIZE];
	u16 id;            /* on the wire; tunnel_id_from_name() when none is configured */
	bool routed;       /* payloads are IP packets: allowed_ips choose and check the peer */
	u32 mtu;           /* largest piece of a payload in one datagram; 0: what the paths carry */
	u64 send_deadline; /* ns from engine_send() to the wire; 0: none */
	u32 copies;        /* replicate on this many paths; 0: all */
	u32 num_shards;    /* of a block, any required_shards of which rebuild it; 0: replicate */
	u32 required_shards; /* 1..num_shards - 1 */
	u64 max_delay;       /* ns from the first of a block's payloads to its parity */
	bool stripe;         /* each payload takes one path; not with shards */
	struct plan_target
		target; /* within 0: none; else copies and shards are chosen to meet it */
	bool ordered;   /* payloads of a peer are delivered in the order in which it sent them */
	u64 reorder_wait; /* ns, at most so long for one that is missing; 0: what the paths call for */
	const u16 *peers;  /* indices; */
	size_t peer_count; /* 0: every peer, also later ones */
};

/* The id of a tunnel that has none configured: 1..65535 from a hash of its name. */
u16 tunnel_id_from_name(const char *name);
/* 0, -EEXIST (id), -ENOSPC, -ENOMEM, -EINVAL (shards). */
int engine_add_tunnel(struct engine *e, const struct tunnel_options *options, u16 *ret_tunnel);
void engine_remove_tunnel(struct engine *e, u16 tunnel);

/* --- interfaces --------------------------------------------------------------------------- */

struct iface_options {
	char name[IFNAME_SIZE];
	struct endpoint local; /* the bound address and port */
	u32 mtu;               /* of the link, bytes of IP packet */
	struct iface_policy policy;
};

/* A local address with a socket of its own. 0, -EEXIST (same name and address), -ENOSPC. */
int engine_iface_add(struct engine *e, u64 now, const struct iface_options *options, u8 *ret_iface);
/* The interface is gone, and its socket with it: paths and registrations go at once, nothing is
 * queued on it any more. */
void engine_iface_remove(struct engine *e, u64 now, u8 iface);
void engine_iface_set_mtu(struct engine *e, u64 now, u8 iface, u32 mtu);
/* From now on; peers learn of a change of its cost. */
void engine_iface_set_policy(struct engine *e, u64 now, u8 iface,
			     const struct iface_policy *policy);
/* Its router lets in, at external, what is meant for the interface; family 0: no longer. */
void engine_iface_mapped(struct engine *e, u64 now, u8 iface, const struct endpoint *external);
/* It leads further than before: what was not answered there is tried again at once. */
void engine_iface_routed(struct engine *e, u64 now, u8 iface);

/* --- in ----------------------------------------------------------------------------------- */

/* A train that came in on a socket of iface from source. Takes over the reference to b. */
void engine_receive(struct engine *e, u64 now, u8 iface, u16 socket, const struct endpoint *source,
		    struct buf *b);
/* What a demand has come to; port: that of the socket. */
void engine_socket_opened(struct engine *e, u64 now, u8 iface, u16 socket, u16 port);
void engine_socket_failed(struct engine *e, u64 now, u8 iface, u16 socket);
/* The same of the stream of iface to remote. closed: it could not be opened, or has ended without
 * having been closed on demand. */
void engine_stream_opened(struct engine *e, u64 now, u8 iface, const struct endpoint *remote);
void engine_stream_closed(struct engine *e, u64 now, u8 iface, const struct endpoint *remote);

/* A payload of 1..BUF_PAYLOAD_MAX bytes, at BUF_HEADROOM in b, from the gate of tunnel. Takes over
 * the reference. DROP_NONE: it was queued on at least one path. */
enum drop_reason engine_send(struct engine *e, u64 now, u16 tunnel, struct buf *b);

/* The same, from a gate that keeps a payload for which there is no room (DROP_QUEUE_FULL,
 * DROP_NO_BUFFER) and offers it again: that is no loss, and is not counted. */
enum drop_reason engine_offer(struct engine *e, u64 now, u16 tunnel, struct buf *b);

/* Payloads of one flow that do not exist yet: a packet larger than the link, to be cut. */
struct pieces {
	u32 count;
	u32 size, last_size; /* of each but the last, of the last */
	const u8 *head;      /* what the peer is found by: the packet that they are cut from */
	u32 head_size;
	/* Writes payload index, of its full size, to out. */
	void (*write)(const struct pieces *pieces, u32 index, u8 *out);
};

/* The same as engine_send() for each piece, in order; routed tunnels only. Each is written to where
 * it is sealed. */
void engine_send_pieces(struct engine *e, u64 now, u16 tunnel, const struct pieces *pieces);

/* Does a gate do well to give the engine more? If not, ask again after every call of the engine; what is
 * sent all the same may be refused. */
bool engine_wants(const struct engine *e, u16 tunnel);
/* A gate has been told that it does not, and waits: when that is so most of the time, the tunnel is
 * congested. */
void engine_gate_waits(struct engine *e, u64 now, u16 tunnel);
/* How many trains of this tunnel wait in outboxes, and payloads before them: what a gate looks at for back-pressure. */
u32 engine_pending(const struct engine *e, u16 tunnel);
/* The interfaces (bits) over which something of the tunnel has left since this was asked last. */
u32 engine_left(struct engine *e, u16 tunnel);
/* The gate could not deliver or read something: counts it with the tunnel. */
void engine_gate_dropped(struct engine *e, u16 tunnel, enum drop_reason reason);

u64 engine_next_expiry(const struct engine *e);
void engine_expire(struct engine *e, u64 now);

/* Tells peers and maps that this node leaves; drain the outboxes afterwards. */
void engine_shutdown(struct engine *e, u64 now);

/* --- out ---------------------------------------------------------------------------------- */

/* The number of an interface's TCP connections to maps: the remote endpoint tells which one. */
#define SOCKET_STREAM 0xffffu

struct outgoing {
	struct buf *buf; /* borrowed; shared with other paths: read only */
	struct endpoint destination;
	u16 socket;     /* 0: the interface's own */
	u32 from, size; /* this much of buf: all of it, unless the interface has a rate_limit */
};

enum demand_kind {
	DEMAND_OPEN_SOCKET,
	DEMAND_CLOSE_SOCKET,
	DEMAND_OPEN_STREAM,
	DEMAND_CLOSE_STREAM,
	DEMAND_REVIEW,
};

/* What the engine wants of the edge: one more socket on an interface's address and device, on this
 * port if it can be had (0: on any), or that it goes; or such a TCP connection to remote. A review:
 * there have been too many demands; of what any interface has, what is not wanted is to go. */
struct demand {
	enum demand_kind kind;
	u8 iface;
	u16 socket, port;       /* of a socket */
	struct endpoint remote; /* of a stream */
};

bool engine_next_demand(struct engine *e, struct demand *ret);
bool engine_wants_socket(const struct engine *e, u8 iface, u16 socket);
bool engine_wants_stream(const struct engine *e, u8 iface, const struct endpoint *remote);

/* The interfaces (bits) that have something to send, and may. */
u32 engine_outgoing_ifaces(const struct engine *e);
/* What is to leave next of what is queued on iface, at most max trains, without taking them; what has
 * passed its deadline is dropped first. With max 0 that is all that is done, and ret may be NULL: trains grow
 * on while they wait for their turn. */
size_t engine_outgoing(struct engine *e, u64 now, u8 iface, struct outgoing *ret, size_t max);
/* The first count of these are with the kernel. */
void engine_sent(struct engine *e, u64 now, u8 iface, size_t count);
/* The kernel refused the first train with this errno (positive; not EAGAIN): drops it. EMSGSIZE
 * lowers the path's MTU; anything else counts towards max_consecutive_failures. */
void engine_send_failed(struct engine *e, u64 now, u8 iface, int error);

struct delivery {
	u16 tunnel, peer;
	u8 *data; /* inside buf */
	u32 size;
	struct buf *buf; /* one reference, the receiver's to put */
};

bool engine_next_delivery(struct engine *e, struct delivery *ret);
/* How many wait; at most ENGINE_DELIVERIES, what comes then is dropped. */
#define ENGINE_DELIVERIES 1024u
u32 engine_deliveries(const struct engine *e);

enum notice_kind {
	NOTICE_PEER_CONNECTED,    /* a: peer */
	NOTICE_PEER_DISCONNECTED, /* a: peer: no path lives */
	NOTICE_PEER_CLOSED,       /* a: peer has said Close */
	NOTICE_PATH_STATE,        /* a: peer, b: path, c: enum path_state */
	NOTICE_MAP_CONNECTED,     /* a: map */
	NOTICE_MAP_LOST,          /* a: map */
	NOTICE_OBSERVED,          /* a: iface, b: map: the address that the map sees has changed */
	NOTICE_OVERRIDE,          /* a: peer, b: iface */
	NOTICE_IFACE_RESTS,       /* a: iface: too many send errors */
	NOTICE_MTU,               /* the payload size that fits everywhere has changed */
	NOTICE_STREAM, /* a: map, b: iface, c: 1: over TCP, since UDP is silent; 0: not */
	NOTICE_TARGET, /* a: peer, b: tunnel, c: 1: its target is not met by what is known, 0: again */
	NOTICE_KINDS,
};

struct notice {
	enum notice_kind kind;
	u16 a, b, c;
};

bool engine_next_notice(struct engine *e, struct notice *ret);

/* The largest payload that fits one datagram on every live path of every peer of the tunnel;
 * 1280 at least. For `mtu: auto`. */
u32 engine_tunnel_mtu(const struct engine *e, u16 tunnel);

#endif
