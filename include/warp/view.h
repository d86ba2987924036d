/* SPDX-License-Identifier: MIT */
/*
 * view.h - read-only pictures of an engine's state, for `warp status` and for tests. Each
 * function returns false for an index that is not in use; walk from 0 to the MAX.
 */
#ifndef WARP_VIEW_H
#define WARP_VIEW_H

#include "warp/engine.h"
#include "warp/knowledge.h"
#include "warp/natclass.h"
#include "warp/path.h"
#include "warp/repair.h"

struct iface_view {
	char name[IFNAME_SIZE];
	struct endpoint local;
	u32 mtu;
	bool resting;
	u64 sent_packets, sent_bytes, received_packets, received_bytes, send_errors;
	struct iface_policy policy; /* as it is applied */
	enum iface_need need;
	struct nat_class nat;
	struct endpoint mapped; /* by the router; family 0: it is not */
	bool mapped_reached;    /* a map got through to it */
	struct {
		bool registered;
		u64 answered_at; /* ns, 0: never */
		struct endpoint observed;
		bool stream; /* it is spoken to over TCP: UDP is silent */
	} map[MAX_MAPS];
};

struct map_view {
	u8 public_key[KEY_SIZE];
	bool connected; /* a session, and an answer within two intervals */
	u64 answered_at;
	u32 endpoint_count;
	struct endpoint endpoint; /* the first */
};

struct override_view {
	u8 iface;
	struct endpoint registered, actual;
};

#define VIEW_CANDIDATES 64u
#define VIEW_OVERRIDES 32u

struct peer_view {
	char name[NAME_SIZE];
	u8 public_key[KEY_SIZE];
	bool session, connected; /* keys agreed; at least one path lives */
	bool closed;             /* it has said Close */
	enum cipher cipher;
	u64 session_since, last_heard; /* ns, 0: never */
	u64 rtt;                       /* of the best path, 0: unknown */
	u32 path_count;
	u32 registered_count;
	struct {
		struct endpoint observed, lan;
	} registered[VIEW_CANDIDATES]; /* what maps say of it */
	u32 override_count;
	struct override_view override[VIEW_OVERRIDES];
};

struct path_view {
	u8 iface;
	struct endpoint remote; /* of a relayed path the map */
	enum path_origin origin;
	enum path_state state;
	bool stream;            /* relayed, and one end or both reach the map over TCP only */
	enum iface_cost cost;   /* of its costlier end */
	bool resting;           /* not needed, because of its cost */
	u64 rtt, rtt_var;       /* ns, 0: unknown */
	u32 mtu;                /* bytes of UDP payload known to pass */
	u64 sent, sent_bytes;   /* transport datagrams */
	u64 sent_lost;          /* of those, as the peer reports */
	u64 first, first_bytes; /* arrived, not seen before */
	u64 duplicate, duplicate_bytes;
	u64 received_lost;        /* sent by the peer, not arrived */
	double loss_out, loss_in; /* 0..1 */
	double rate_out, rate_in; /* bytes a second */
	bool congested;           /* as much goes over it as it carries */
	double limit_out;         /* bytes a second that replicate sends over it at most, 0: none */
	u64 queue_out, queue_in;  /* ns that datagrams took longer than the fastest of late */
	u64 saved_out, saved_in;  /* payloads that it has brought, and in time no other path */
	double loss_most;         /* hardly exceeded; 1 where no tunnel has a target, as the next */
	double burst;             /* datagrams lost in a row */
	u64 failures;             /* how often it ceased to be live, as far as it was watched */
	u32 fate;                 /* the first path that shares its fate, or itself */
	bool known;               /* by striping: */
	struct path_knowledge knowledge;
};

#define VIEW_PAIRS 16u

/* One of our interfaces and one of the peer's. */
struct pair_view {
	u8 iface;
	struct endpoint remote; /* as a map sees it */
	const char *state;      /* "waiting", "trying", "relayed", "direct" */
	const char *strategy;   /* the last one, NULL: none yet */
	bool possible;          /* some strategy suits both NATs */
	u32 rounds;             /* of all strategies, in vain */
};

/* What became of blocks of shards. */
struct shard_view {
	u64 data, parity;  /* sent: payloads or fragments, and parity for them */
	u64 blocks;        /* whose parity was sent */
	u64 rebuilt;       /* payloads and fragments that had not come by themselves */
	u64 early;         /* of the former, those that came after all */
	u64 unrecoverable; /* blocks of which too much was missing, parity having come */
};

struct tunnel_view {
	char name[NAME_SIZE];
	u16 id;
	bool routed;
	u32 copies;
	u64 sent, sent_bytes;         /* payloads taken from the gate and queued */
	u64 copies_sent;              /* how often those were queued on a path */
	u64 received, received_bytes; /* payloads given to the gate */
	u64 lost;                     /* gaps in the sequence that were never filled */
	bool ordered;
	u64 reordered; /* came after a later one, and were put right */
	u64 late;      /* came when their place had been passed over: dropped */
	u32 waiting;   /* for one before them */
	u32 pending;
	bool congested;                  /* it is given more than passes */
	u32 num_shards, required_shards; /* 0: the tunnel sends none */
	u64 max_delay;                   /* ns */
	struct plan_target target;       /* within 0: none */
	struct shard_view shards;
	bool stripe;
	u64 repaired; /* sent again, on whatever path, since they were lost */
	struct drop_counts drops;
};

/* How payloads of a tunnel with a target go to one peer. */
struct plan_view {
	struct plan_target target;
	struct plan plan;
	u64 first, again; /* paths of the peer, as bits */
	u32 links;        /* to choose from */
	double rate;      /* payloads a second */
	bool reports;     /* the other end tells what has come */
	u64 changes;      /* of the plan */
	struct repair_counts repair;
};

bool engine_view_iface(const struct engine *e, u32 index, struct iface_view *ret);
bool engine_view_map(const struct engine *e, u32 index, struct map_view *ret);
bool engine_view_peer(const struct engine *e, u32 index, struct peer_view *ret);
bool engine_view_path(const struct engine *e, u32 peer, u32 index, struct path_view *ret);
/* False also where the tunnel has no target, or the peer no part in it. */
bool engine_view_plan(const struct engine *e, u32 tunnel, u32 peer, struct plan_view *ret);
/* The index-th pair of interfaces that has been without a direct path, of VIEW_PAIRS. */
bool engine_view_pair(const struct engine *e, u32 peer, u32 index, struct pair_view *ret);
bool engine_view_tunnel(const struct engine *e, u32 index, struct tunnel_view *ret);
const struct drop_counts *engine_view_drops(const struct engine *e);

#endif
