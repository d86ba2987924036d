/* SPDX-License-Identifier: MIT */
/*
 * engine_internal.h - the node's state, and what its rooms call of one another.
 *
 *   engine.c    the facade: demultiplexes what comes in, keeps the timer, hands out what goes out
 *   demand.c    what the edge is to open and close
 *   iface.c     local interfaces
 *   outbox.c    what waits for the socket of each
 *   lanes.c     and in which order it leaves
 *   congest.c   who is told that it stands there, and which tunnels are given too much
 *   peer.c      peers: sessions, probes, control frames
 *   peers.c     peers come and go
 *   nat.c       candidates and overrides: which paths a peer ought to have
 *   pathset.c   the paths of a peer, and which of them carry data
 *   send.c      payloads on their way out: peer, paths, framing
 *   copies.c    which of their copies go where queues stand
 *   tunnel.c    tunnels, and payloads on their way in
 *   train.c     the run of datagrams that may still grow
 *   redund.c    payloads that go out as shards, one path each, and the parity of these
 *   policy.c    what paths cost, and which of them rest
 *   links.c     which paths these are spread over
 *   rebuild.c   shards that come in, and what they rebuild
 *   stripe.c    payloads that take one path each wait here, and are sent again when lost
 *   spread.c    which of them goes over which path, and when
 *   ways.c      which paths they may take
 *   emit.c      one of these, as a datagram
 *   strand.c    one path, as these know it
 *   unstripe.c  such payloads come in: reports of what came, and their order
 *   fragments.c cutting a payload into fragments
 *   fragment.c  putting fragments together
 *   deadline.c  what comes later than it had to
 *   order.c     payloads of ordered tunnels wait for those before them
 *   punch.c     ways to direct paths where NATs are in between; punch.h lists its rooms
 *   nattest.c   what each interface finds out about its NAT
 *   mapproto.c  the node's side of the map: registrations
 *   mapclaim.c  what it says of an interface, and proves
 *   mapquery.c  and what it is asked about peers
 *   auto_internal.h has the rooms of redundancy that is chosen
 *   relay.c     paths that lead through a map
 *   stream.c    the way to a map over TCP, where UDP is silent
 *   offers.c    what peers tell each other of where they may be reached
 *   recall.c    what left over paths that turn out to be silent is sent again over others
 *   view.c      pictures for people
 */
#ifndef WARP_ENGINE_INTERNAL_H
#define WARP_ENGINE_INTERNAL_H

#include "offers.h"
#include "recall.h"
#include "warp/engine.h"
#include "warp/hub.h"
#include "warp/knowledge.h"
#include "warp/natclass.h"
#include "warp/path.h"
#include "warp/plan.h"
#include "warp/reorder.h"
#include "warp/reseq.h"
#include "warp/shard_in.h"
#include "warp/shard_out.h"
#include "warp/view.h"
#include "lanes.h"

#define UDP_IP4_OVERHEAD 28u
#define UDP_IP6_OVERHEAD 48u
#define BUSY_TIME (2 * NS_PER_S)     /* a peer is busy for so long after the last payload */
#define DELIVERIES ENGINE_DELIVERIES /* a power of two, as the next */
#define NOTICES 256u
#define DEMANDS 1024u /* more are survived, but take longer; see demand.c */
#define REASSEMBLIES 128u
#define REASSEMBLIES_A_PEER 64u /* at most */
#define MAX_OVERRIDES 32u
#define QUEUE_DEADLINE (1 * NS_PER_S) /* of payloads whose tunnel has no send_deadline */
#define DATAGRAM_MAX 65507u
/* Numbers of sockets that paths may use, besides the interface's own (0). */
#define PATH_SOCKET_FIRST 0x0100u
#define PATH_SOCKET_LAST 0xfeffu
#define RELAY_OVERHEAD (WIRE_OVERHEAD + FRAME_RELAY_HEADER)
#define PAYLOAD_OVERHEAD (WIRE_OVERHEAD + FRAME_PAYLOAD_HEADER)

_Static_assert(MAX_PEER_PATHS <= 64, "path masks are 64 bits");
_Static_assert(MAX_IFACES <= 32, "interface masks are 32 bits");

/* --- interfaces ------------------------------------------------------------------------------ */

/* The tests of an interface's NAT. */
struct nattest {
	struct natclass class;
	u16 map;              /* that is asked, MAX_MAPS: none */
	u16 socket;           /* number of the spare socket, or of the last one */
	struct wire_nat told; /* to the maps, or about to be */
	u64 keepalive;        /* natclass_keepalive() as it was applied */
};

struct iface {
	bool used;
	struct iface_options options;
	bool resting;
	u64 paced_until; /* while it is in paced_mask */
	u32 failures;    /* in a row */
	u64 rest_until;
	u64 sent_packets, sent_bytes, received_packets, received_bytes, send_errors;
	struct endpoint mapped; /* where its router lets others in; family 0: nowhere */
	u64 mapped_nonce;       /* of the test whether a map gets through */
	bool mapped_reached;    /* and a map got through */
	struct outbox outbox;
	struct nattest nat;
};

/* --- tunnels --------------------------------------------------------------------------------- */

struct tunnel {
	bool used;
	char name[NAME_SIZE];
	u16 id;
	bool routed;
	u32 mtu;
	u64 send_deadline;
	u32 lead; /* bytes of the DEADLINE before each payload, 0: none is sent */
	u32 copies;
	bool ordered;
	u64 reorder_wait;            /* 0: no limit but REORDER_WAIT_MAX */
	struct shard_options shards; /* none: each payload goes out on several paths */
	struct plan_target target;   /* within 0: there is none; otherwise plans meet it */
	struct shard_view shard_counts;
	bool stripe;  /* each payload takes one path */
	u64 repaired; /* datagrams that were sent again */
	u16 *peers;
	size_t peer_count;
	u32 pending;
	u32 left; /* interfaces over which something of it has */
	u64 sent, sent_bytes, copies_sent, received, received_bytes;
	u64 marked;    /* CE, by us */
	u64 reordered; /* came out of order and were put right */
	u64 sent_at, strained_until, waits_since, waited_at; /* see congest.c */
	struct drop_counts drops;
};

/* The numbering of one tunnel's payloads to and from one peer. */
struct flow {
	u32 next_sequence; /* of the next payload to the peer */
	bool begun;
	u32 highest;  /* received */
	u64 expected; /* how many have been numbered since the first received */
	u64 arrived;  /* how many of those came */
	u64 lost_before;
	u32 recalled;            /* bytes that recall.c keeps of it */
	struct reorder *order;   /* from the allocator; NULL: the tunnel is not ordered */
	struct redund *redund;   /* the same; NULL: it sends no shards */
	struct rebuild *rebuild; /* the same; NULL: no shard has come yet */
	struct autosel *autosel; /* the same; NULL: the tunnel has no target */
	struct telling *telling; /* the same; NULL: the other end has not asked */
	bool striped;            /* what is sent takes one path each: p->stripe */
	bool sheds; /* of that so much is too late that it is not sent at the last moment */
	struct reseq *reseq; /* the same; NULL: nothing has come that took one path of several */
};

struct reassembly {
	struct buf *buf; /* NULL: free */
	u16 peer, tunnel, unit;
	u8 line; /* as in frame_fragment */
	u32 sequence, total, have;
	u64 seen[4]; /* bitmap of 256 fragments */
	u64 deadline;
};

/* --- peers ----------------------------------------------------------------------------------- */

struct override {
	bool used;
	u8 iface;                           /* ours, that received it */
	struct endpoint registered, actual; /* what the map says, what it really is */
};

/* What one map, or it itself, says of a peer. */
struct mappings {
	u8 count;
	u32 handle; /* at this map, 0: it forwards nothing */
	u64 at;
	struct wire_mapping entry[WIRE_MAPPINGS_MAX];
};

/* The first member of what an assoc's owner points to. */
enum owner_kind { OWNER_PEER, OWNER_MAP };

/* Which of a peer's paths carry data because of what they cost; see policy.c. */
struct tiers {
	u64 resting;            /* paths that are not needed now, or never are */
	u64 stand_by;           /* of these, those that would carry */
	u64 since[COST_BARRED]; /* by cost: it is sure since then that one works, 0: it is not */
	u64 lost[COST_BARRED];  /* when the last that is not relayed went silent */
	bool direct[COST_BARRED];
	u64 until;  /* both carry until then, TIME_NEVER: no two do */
	bool lossy; /* the free ones do not do the job */
	u64 judged_at, loss_since;
};

struct peer {
	enum owner_kind kind;
	u16 index;
	char name[NAME_SIZE];
	struct assoc assoc;
	struct endpoint fixed[MAX_PEER_ENDPOINTS];
	size_t fixed_count;
	struct mappings *mappings[MAPPING_SOURCES]; /* from the allocator, NULL: nothing yet */
	struct offered offered;
	struct override overrides[MAX_OVERRIDES];
	struct path paths[MAX_PEER_PATHS];
	u64 used_mask;         /* paths in use */
	u64 usable_mask;       /* live or degraded */
	u64 backup_mask;       /* dead, but answered once */
	u64 live_mask;         /* answers come, whether or not it carries data */
	u64 recall_live;       /* those that do both, when recall.c last looked */
	u64 eased_mask;        /* of the usable ones those that may have to carry less */
	u64 relay_mask;        /* lead through a map; of the usable ones those that are needed */
	struct stripe *stripe; /* from the allocator, NULL: no tunnel stripes */
	struct unstripe *unstripe; /* the same; NULL: nothing striped has come */
	struct tiers tiers;        /* what is not needed is not in these masks */
	struct punch *punch; /* the same; NULL: no pair of interfaces was without a direct path */
	bool transit_known;
	i64 transit;      /* ns: what a datagram takes from there at least, by both clocks */
	u64 direct_since; /* a path that is not relayed has been live since then, 0: none is */
	u32 datagram_max; /* UDP payload that all usable paths carry */
	u64 busy_until;
	u64 expiry;
	bool connected; /* as last told */
	bool closed;
	u64 silent_since;        /* no path has been live since then, 0: one is */
	bool lost_kicked;        /* a handshake was asked for since then */
	struct learned *learned; /* from the allocator, NULL: no tunnel has a target */
	struct value *value;     /* the same; NULL: the other end has not asked */
	u64 value_within, asked_until;
	struct flow flows[MAX_TUNNELS];
};

/* --- maps ------------------------------------------------------------------------------------ */

enum registration_state { REG_NONE, REG_WANTED, REG_DONE, REG_CLEARING };

struct registration {
	enum registration_state state;
	u64 next; /* when to send again */
	u64 next_keepalive;
	u32 tries; /* since the last answer */
	u64 answered_at;
	struct endpoint observed;
	u64 proof;     /* to be sent back; 0: none is wanted */
	u64 proved_at; /* when it last was, in a hurry */
	bool proved;   /* the map knows that what it sends to observed arrives */
};

/* The TCP connection to a map over one interface; see stream.c. */
enum map_stream_state {
	MAP_STREAM_NONE,    /* there is none, but it may be wanted */
	MAP_STREAM_OPENING, /* the edge was asked for it */
	MAP_STREAM_OPEN,    /* datagrams may go over it */
};

struct map_stream {
	enum map_stream_state state;
	bool leads;             /* the map is spoken to over it, since UDP is silent */
	bool settle;            /* UDP is back, and has not been registered for sure yet */
	struct endpoint remote; /* where it leads to */
	u64 asked_at;           /* the first question over UDP since its last answer, 0: none */
	u64 answer_time; /* how long an answer over UDP takes, rather too long; 0: there was none */
	u64 again_at;    /* it is opened no earlier */
	u64 until;       /* what is being opened, is not answered over or not needed, goes */
	u64 udp_at;      /* UDP is tried next, while the stream leads */
	u32 udp_tries;
	u32 failures; /* since it was last answered over */
};

#define MAX_MAP_ENDPOINTS 8u

struct map {
	enum owner_kind kind;
	bool used;
	u16 index;
	struct assoc assoc;
	struct endpoint endpoints[MAX_MAP_ENDPOINTS];
	size_t endpoint_count;
	struct registration registrations[MAX_IFACES];
	u16 stream_port; /* 0: it takes no TCP connections */
	struct map_stream streams[MAX_IFACES];
	u64 next_query;
	u32 queries; /* since something changed */
	u64 answered_at;
	u64 expiry;
	bool connected; /* as last told */
};

/* The newest train in the outboxes, while it may grow. */
struct train {
	struct buf *buf; /* NULL: none */
	u16 tunnel, peer;
	u64 mask;    /* paths that it was meant for */
	u64 queued;  /* those whose outbox took it */
	u64 until;   /* joins no later: the whole train has one deadline */
	u32 count;   /* datagrams */
	u32 segment; /* size of each but the last */
};

struct engine {
	struct engine_options options;
	struct hub *hub;
	struct allowedips *allowedips;
	struct iface *ifaces[MAX_IFACES]; /* NULL: not in use */
	u32 iface_mask, resting_mask;
	u32 limited_mask;  /* interfaces that have a rate_limit */
	u32 outgoing_mask; /* interfaces whose outbox is not empty */
	u32 paced_mask;    /* of them those that wait for tokens */
	u32 due_mask;      /* with a queue that stands, of which its senders are to be told */
	struct peer *peers[MAX_PEERS];
	u32 peer_limit; /* one past the highest in use */
	struct map maps[MAX_MAPS];
	struct offers offers;
	struct tunnel tunnels[MAX_TUNNELS];
	u64 strained_mask;       /* tunnels that are given more than passes */
	u16 tunnel_by_id[65536]; /* index + 1, 0: none */
	struct train train;
	struct recall *recall;
	struct reassembly reassemblies[REASSEMBLIES];
	struct reorder_budget reorder_budget;
	struct redund *redunds; /* all that there are, for the timer */
	struct rebuild *rebuilds;
	struct shard_budget shard_budget;
	struct autosel *autosels; /* as redunds */
	struct telling *tellings;
	struct stripe *stripes; /* the same */
	struct unstripe *unstripes;
	struct delivery deliveries[DELIVERIES];
	u32 delivery_head, delivery_tail;
	struct notice notices[NOTICES];
	u32 notice_head, notice_tail;
	struct demand demands[DEMANDS];
	u32 demand_head, demand_tail;
	bool demands_lost;
	u32 punch_blocks; /* of socket numbers that were given out */
	struct ratelim unknown_index;
	struct drop_counts drops;
	u64 expiry;
	bool closing;
};

/* Where a datagram came from. */
struct arrival {
	u64 now;
	u8 iface;
	u16 socket; /* 0: the interface's own */
	struct endpoint source;
	struct buf *buf; /* holds it; deliveries take references */
	u32 size;        /* of the whole datagram */
	bool current;    /* not under keys of an earlier life of the peer */
	u64 session, counter;
	int path;     /* of the peer, -1: none */
	u64 deadline; /* by when payloads had to be here, 0: no matter */
};

/* engine.c */
void engine_arm(struct engine *e, u64 at);
void engine_notice(struct engine *e, enum notice_kind kind, u16 a, u16 b, u16 c);
/* One datagram of in->buf, which may have come inside of another. */
void engine_receive_datagram(struct engine *e, struct arrival *in, u8 *data, u32 size);
/* Takes over one reference to buf. */
void engine_deliver(struct engine *e, u16 tunnel, u16 peer, u8 *data, u32 size, struct buf *buf);
/* What is queued for the tunnel or from the peer is not delivered any more: one of them goes. */
void engine_forget_deliveries(struct engine *e, u16 peer, u16 tunnel);

/* demand.c */
void engine_demand(struct engine *e, const struct demand *d);
/* Its sockets go with it. */
void demand_forget_iface(struct engine *e, u8 iface);

/* iface.c */
static inline struct iface *iface_get(const struct engine *e, u8 iface)
{
	return iface < MAX_IFACES ? e->ifaces[iface] : NULL;
}
/* UDP payload of a datagram to remote, which a map may have to forward. */
u32 iface_path_max(const struct iface *i, const struct endpoint *remote);
/* Queues raw bytes (a handshake message) to destination. */
void iface_queue_bytes(struct engine *e, u64 now, u8 iface, u16 socket,
		       const struct endpoint *destination, const u8 *bytes, size_t size);
/* Where others may be told to come in: what the router has mapped, once a map has got through to it.
 * NULL: nowhere. */
const struct endpoint *iface_mapped(const struct engine *e, u8 iface);
/* A map has got through to external. */
void iface_mapped_reached(struct engine *e, u64 now, u8 iface, const struct endpoint *external);
/* One more send error. */
void iface_failed(struct engine *e, struct iface *i, u8 iface, u64 now);
/* Its policy may have another rate_limit now. */
void iface_limit_rate(struct engine *e, u64 now, u8 iface);
/* It does not rest any more. */
void iface_wake(struct engine *e, u8 iface);
u64 iface_next_expiry(const struct engine *e);
void iface_expire(struct engine *e, u64 now);

/* outbox.c */
/* Queues b (shared: takes its own reference) on iface. false: no place, or no such interface. */
bool iface_queue(struct engine *e, u64 now, u8 iface, struct buf *b, const struct queued *q);
/* How many payloads more of this tunnel to this peer its outbox takes. */
u32 iface_room(const struct engine *e, u8 iface, u16 tunnel, u16 peer);
/* Whether so many bytes more, beyond what is counted, are all that may wait for its rate_limit. */
bool iface_enough(const struct engine *e, u8 iface, u32 more);
/* Whether there is something to tell the senders of the tunnel to the peer: what they send stands
 * before the path's interface. And that they have been told. */
bool iface_stands(const struct engine *e, const struct path *path, u16 tunnel, u16 peer);
void iface_told(struct engine *e, const struct path *path, u16 tunnel, u16 peer);
/* What waits to go out on a path, besides control, which goes first. */
struct path_counts iface_waiting(const struct engine *e, u8 iface, u16 peer, u8 path);
void iface_forget_peer(struct engine *e, u16 peer);
void iface_forget_tunnel(struct engine *e, u16 tunnel);
/* Drops all that waits. */
void outbox_clear(struct engine *e, u8 iface, enum drop_reason reason);
/* The lane's senders have been told, or need not be any more. */
void outbox_told(struct engine *e, struct outbox *o, u8 iface, struct lane *l);

/* peer.c */
struct peer *peer_get(const struct engine *e, u16 peer);
void peer_arm(struct engine *e, struct peer *p, u64 at);
void peer_expire(struct engine *e, struct peer *p, u64 now);
/* Seals frames (at most cap PMTU_BASE) for one path of p and queues them as control. */
bool peer_send_frames(struct engine *e, struct peer *p, u64 now, u8 path,
		      const struct frame *frames, size_t count, u32 pad_to);
void peer_receive(struct engine *e, struct peer *p, const struct arrival *in,
		  const struct hub_result *r);
/* A copy of something that had arrived already. */
void peer_duplicate(struct engine *e, struct peer *p, const struct arrival *in);
void peer_established(struct engine *e, struct peer *p, const struct arrival *in);
/* Data flows: probes go at the busy rate from now on. */
void peer_busy(struct engine *e, struct peer *p, u64 now);
void peer_close(struct engine *e, struct peer *p, u64 now, enum close_reason reason);

/* pathset.c */
int pathset_find(const struct peer *p, u8 iface, u16 socket, const struct endpoint *remote);
/* Finds or makes; -1: there is no room that something better does not need. */
int pathset_add(struct engine *e, struct peer *p, u64 now, u8 iface, u16 socket,
		const struct endpoint *remote, enum path_origin origin);
void pathset_remove(struct engine *e, struct peer *p, u64 now, u32 path);
void pathset_remove_iface(struct engine *e, struct peer *p, u64 now, u8 iface);
/* After a path's state or MTU changed: masks, limits, notices. */
void pathset_update(struct engine *e, struct peer *p, u64 now);
/* When a peer that is silent will be asked for new keys. */
u64 pathset_silent_expiry(const struct peer *p);
/* When relayed paths are not needed any more. */
u64 pathset_relay_expiry(const struct peer *p);
/* By how much (ns) the fastest path may overtake the slowest. */
u64 pathset_skew(const struct peer *p);
/* The paths that a payload goes out on; copies 0: all. */
u64 pathset_select(const struct peer *p, u32 copies);

/* policy.c */
/* Part of pathset_update(): takes the paths that rest out of the masks. */
void policy_update(struct engine *e, struct peer *p, u64 now);
/* What our end of a new path costs. */
void policy_path(const struct engine *e, struct path *path);
/* What the other end of it costs. */
void policy_told(struct engine *e, struct peer *p, u64 now, int path, u8 cost);
bool policy_resting(const struct peer *p, u32 path);
/* Is there a path that works, but must not carry anything? */
bool policy_withholds(const struct peer *p);
/* Why data goes over the interface. */
enum iface_need policy_need(const struct engine *e, u8 iface);

/* tunnel.c */
/* NULL: not in use. */
struct tunnel *tunnel_get(struct engine *e, u16 tunnel);
/* The largest payload, or piece of one, in a datagram to p. */
u32 tunnel_room(const struct tunnel *t, const struct peer *p, u32 overhead);
void tunnel_payload(struct engine *e, struct peer *p, const struct arrival *in,
		    const struct frame_payload *f);
void tunnel_fragment(struct engine *e, struct peer *p, const struct arrival *in,
		     const struct frame_fragment *f);
/* Any of these, or a SHARD. */
void tunnel_frame(struct engine *e, struct peer *p, const struct arrival *in,
		  const struct frame *f);
/* A payload that lies in buf, of which it takes over one reference. */
void tunnel_take(struct engine *e, struct peer *p, u64 now, u16 tunnel, u32 sequence,
		 const struct reorder_item *item);
bool tunnel_has_peer(const struct tunnel *t, u16 peer);
/* Hands a payload to its gate, unless it is too late; takes over one reference to its buf. */
void tunnel_hand_over(struct engine *e, u64 now, u16 tunnel, u16 peer,
		      const struct reorder_item *item);
u64 flow_lost(const struct flow *f);
void flow_begin(const struct engine *e, struct flow *f);
/* p has just been added: what its part in each tunnel calls for. 0, -ENOMEM. */
int flow_open_all(struct engine *e, struct peer *p);
/* p or the tunnel goes. */
void flow_close(struct engine *e, struct peer *p, u16 tunnel);

#include "maps_internal.h"
#include "nat_internal.h"
#include "payloads_internal.h"
#include "traverse_internal.h"

#endif
