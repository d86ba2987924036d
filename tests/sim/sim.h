/* SPDX-License-Identifier: MIT */
/*
 * sim.h - a seeded simulator, in virtual time, of hosts, links and NATs around the real core.
 *
 * A host holds an engine (a node) or a map server. Its interfaces hang on a *realm*: the inside of
 * a NAT, or the internet (NULL). Each interface has two links, out and in, that delay, lose and
 * damage; between realms stand NATs. Engines are driven exactly as the edges do it: one call in,
 * then everything that waits is drained, then one timer is armed.
 *
 *   engine -> drain -> link out -> route: realm by realm, through NATs -> link in -> engine
 *
 * An interface has one UDP socket, more of them on demand (sim_socket_open()), and streams, which
 * are TCP as far as it matters here.
 *
 * Nothing reads a clock or a random source but the seed: SIM_SEED=N repeats a run, SIM_TRACE=1
 * tells what happens. At every step invariants are checked (see sim_fail() in *.c): no payload
 * arrives twice or damaged, nothing leaves on an interface that is gone, no timer spins, and at
 * the end all buffers and all memory are back.
 *
 * The structs are open, tests look into them; they change them by the functions only, but for
 * the link and NAT parameters, which may be set at any time.
 */
#ifndef SIM_H
#define SIM_H

#include "warp/engine.h"
#include "warp/mapserver.h"
#include "warp/view.h"
#include "warp/wire.h"

#define SIM_IFACES 16u
#define SIM_HOSTS 128u
#define SIM_PEERS 128u
#define SIM_NATS 64u
#define SIM_TUNNELS 8u
#define SIM_MAPS 4u
#define SIM_POOL 2048u /* buffers of a host, unless it says otherwise */
#define SIM_MAP_STREAMS 64u
#define SIM_PORT_FIRST 40000u
#define SIM_EPOCH (1000 * NS_PER_S) /* virtual time at the start */

/* Reports with the seed and the virtual time, and fails the cmocka test. */
#define sim_check(sim, condition)                                                                  \
	do {                                                                                       \
		if (!(condition))                                                                  \
			sim_fail((sim), "%s:%d: %s", __FILE__, __LINE__, #condition);              \
	} while (0)
/* The same for a comparison of numbers, which are told. */
#define sim_compare(sim, a, op, b)                                                                 \
	do {                                                                                       \
		const i64 left_ = (i64)(a), right_ = (i64)(b);                                     \
		if (!(left_ op right_))                                                            \
			sim_fail((sim), "%s:%d: %s %s %s: %lld, %lld", __FILE__, __LINE__, #a,     \
				 #op, #b, (long long)left_, (long long)right_);                    \
	} while (0)

struct sim;
struct sim_host;
struct sim_nat;

/* --- randomness --------------------------------------------------------------------------- */

struct sim_rng {
	u64 s[4];
};

void sim_rng_seed(struct sim_rng *r, u64 seed);
u64 sim_rng_next(struct sim_rng *r);
/* 0..below-1 */
u64 sim_rng_below(struct sim_rng *r, u64 below);
bool sim_rng_chance(struct sim_rng *r, double probability);
void sim_rng_fill(void *rng, void *out, size_t size); /* shape of random_source.fill */

/* --- links -------------------------------------------------------------------------------- */

/* One direction. All zero is a perfect link. */
struct sim_link {
	u64 delay, jitter;  /* ns; jitter is uniform and keeps the order */
	double loss;        /* of each datagram, independent */
	double burst_enter; /* probability that a run of losses begins; */
	double burst_leave; /* and that it ends, each by datagram */
	double duplicate, corrupt;
	double reorder; /* probability of reorder_delay on top, out of order */
	u64 reorder_delay;
	u64 rate;  /* bytes a second with headers, 0: unlimited */
	u32 queue; /* bytes that may wait for a rate; 0: 64 KiB */
	u32 mtu;   /* IP packets above it vanish, 0: none */
	bool down; /* a black hole */
	/* state and counts */
	bool in_burst;
	u64 free_at, last_at;
	u64 carried, lost, bytes;
};

enum sim_protocol { SIM_UDP, SIM_TCP };

/* Datagram, or segment, on its way. */
struct sim_packet {
	struct endpoint source, destination;
	enum sim_protocol protocol;
	u32 size;
	u32 hops;
	bool in_transit; /* it has crossed the internet, or is about to */
	u8 data[];
};

#define SIM_SOCKETS 512u

/* One more UDP socket of an interface, at another port. */
struct sim_socket {
	u16 number; /* from 1 */
	u16 port;
};

struct sim_iface {
	struct sim_host *host;
	char name[IFNAME_SIZE];
	struct endpoint local;
	struct sim_socket socket[SIM_SOCKETS];
	u32 sockets, sockets_max; /* more of them the kernel refuses */
	bool listens;             /* accepts streams at local */
	struct sim_nat *realm;    /* NULL: the internet */
	u32 mtu;                  /* the local one: larger packets get EMSGSIZE */
	struct iface_policy policy;
	struct sim_link out, in;
	bool wanted;  /* exists; the engine has it while the host runs */
	bool present; /* the engine has it, as: */
	u8 id;
	bool blocked;   /* the kernel says EAGAIN: the outbox stays */
	int send_error; /* what the kernel says to each datagram, 0: takes it */
};

/* --- streams ------------------------------------------------------------------------------ */

enum sim_stream_state { SIM_STREAM_OPENING, SIM_STREAM_OPEN, SIM_STREAM_CLOSED };
/* ENDED: by the far end, or since nothing came through any more. */
enum sim_stream_event { SIM_STREAM_BEGAN, SIM_STREAM_MESSAGE, SIM_STREAM_ENDED };

struct sim_message;

/* One end of a connection; both stay until the simulation ends. */
struct sim_stream {
	struct sim_stream *next;
	struct sim_iface *iface;
	struct endpoint local, remote;
	enum sim_stream_state state;
	bool incoming;
	struct sim_message *queue, **end; /* not acknowledged */
	u32 queued;                       /* bytes in it */
	u32 acked, sent, expected;        /* numbers of messages, of the next one */
	u32 tries, duplicates;
	u64 timer_at, heard_at;
	u32 number; /* a map's: of its listener */
};

/* --- NATs --------------------------------------------------------------------------------- */

/* RFC 4787: endpoint-independent, address-dependent, address-and-port-dependent. */
enum sim_dependence { SIM_EI, SIM_AD, SIM_APD };

/* How the port of a new mapping is chosen. */
enum sim_allocation {
	SIM_PRESERVE,   /* the inner one while it is free, else random */
	SIM_RANGE,      /* anything of 20000..29999 */
	SIM_RANDOM,     /* anything of 1024..65535 */
	SIM_SEQUENTIAL, /* the next number; others take numbers too, see other_rate */
};

#define SIM_SESSIONS 8192u /* of a NAT, at most */
#define SIM_BUCKETS 4096u  /* a power of two */

/* Ways to find a session. */
enum sim_index {
	SIM_BY_INSIDE,  /* inside */
	SIM_BY_FLOW,    /* inside, remote */
	SIM_BY_PORT,    /* outside */
	SIM_BY_ARRIVAL, /* outside, remote */
	SIM_INDICES,
};

/* One inner endpoint talks to one remote endpoint: an entry of the table of a router. A mapping
 * (RFC 4787) is what the sessions of an inner endpoint have in common. */
struct sim_session {
	enum sim_protocol protocol;
	struct endpoint inside;  /* no family: the NAT's own, see accepts_unasked */
	struct endpoint outside; /* on the NAT */
	struct endpoint remote;
	u64 began, used;       /* ns; used: last refreshed */
	bool active, answered; /* answered: something came in */
	bool clashed;          /* got another port than its mapping */
	u32 next[SIM_INDICES]; /* in the chains: index + 1, 0 ends */
};

struct sim_nat {
	struct sim *sim;
	struct sim_nat *outer;  /* realm of the outer side; NULL: the internet */
	struct address address; /* the first of pool */
	u32 pool;               /* how many addresses in a row it has; 0 is 1 */
	bool paired;            /* an inner address keeps one of the pool */
	enum sim_dependence mapping, filtering;
	enum sim_allocation allocation;
	u64 lifetime;           /* ns without refreshing */
	u64 stream_lifetime;    /* of what was answered and has gone on for over 2 s; 0: the same */
	bool inbound_refreshes; /* too; else only what goes out keeps a session */
	bool hairpin;
	bool firewall;        /* translates nothing, filters only; realm addresses are public */
	bool udp_blocked;     /* both ways; TCP passes */
	bool accepts_unasked; /* a datagram that nobody asked for becomes a session of the router
			       * itself, so that who sends to there later gets another port */
	bool down;
	u32 capacity;      /* sessions; the least recently used one goes for a new one */
	double other_rate; /* ports a second that other hosts behind it take (SIM_SEQUENTIAL) */
	/* state and counts */
	u16 next_port;
	u64 others_at; /* when another host takes the next number */
	u64 swept_at;
	u32 used; /* slots that were ever used */
	u32 peak; /* the most sessions at one time since sim_nat_flush() */
	u64 evicted, filtered;
	struct sim_session *session; /* SIM_SESSIONS */
	u32 *bucket[SIM_INDICES];    /* SIM_BUCKETS */
};

/* --- hosts -------------------------------------------------------------------------------- */

struct sim_peer {
	struct sim_host *host;
	u8 preshared_key[KEY_SIZE];
	struct endpoint endpoint[MAX_PEER_ENDPOINTS];
	size_t endpoint_count;
	struct prefix allowed[4];
	size_t allowed_count;
};

struct sim_host {
	struct sim *sim;
	u32 index;
	char name[16];
	u64 boot; /* its clock is that of the simulation less this */
	bool is_map, running, suspended;
	struct identity identity;
	struct sim_rng rng;
	u32 pool_size; /* buffers */
	u8 ciphers;
	u64 scan_interval, keepalive_interval, client_expiry, handshake_rate;
	struct relay_options relay; /* of a map */
	struct engine *engine;
	struct mapserver *map;
	struct pool *pool;
	struct allocator allocator;
	u64 allocated; /* bytes */
	struct sim_iface iface[SIM_IFACES];
	u32 iface_count;
	struct sim_peer peer[SIM_PEERS];
	u32 peer_count;
	struct sim_host *maps[SIM_MAPS];
	u32 map_count;
	struct tunnel_options tunnel[SIM_TUNNELS];
	u16 tunnel_peer[SIM_TUNNELS];
	u32 tunnel_count;
	/* timers */
	u64 timer_at, expired_at, expired_second;
	u32 expired_again, expired_in_second;
	/* what was seen */
	u64 notices[NOTICE_KINDS];
	u64 first_connected_at, connected_at; /* NOTICE_PEER_CONNECTED, first and last */
	u64 sent, received;                   /* datagrams */
	u64 trains;                           /* in which those were sent */
	/* Called for every payload that is not of a flow. */
	void (*deliver)(struct sim_host *h, const struct delivery *d);
	u32 streams_begun; /* that came in */
	u32 reviews;       /* that were demanded */
	/* What happens to its streams; the engine or map is told unless a test listens itself. */
	void (*on_stream)(struct sim_stream *s, enum sim_stream_event event, const u8 *data,
			  u32 size);
};

/* --- applications ------------------------------------------------------------------------- */

#define SIM_FLOW_MIN 24u /* bytes of header in a payload */

/* What one host has received of a flow. */
struct sim_sink {
	struct sim_sink *next;
	struct sim_host *host;
	u8 *seen;
	u64 received, out_of_order, highest;
	u64 first_at, last_at;
	u64 longest_gap, gap_at; /* between two arrivals; when it ended */
	u64 latency_max, latency_sum;
	u64 late; /* more than the flow's within after they were sent */
};

struct sim_flow {
	struct sim *sim;
	struct sim_flow *next;
	u32 id;
	struct sim_host *from;
	u16 tunnel;
	u64 interval, count;
	u32 size;
	u8 header[40]; /* an IP header for routed tunnels */
	u32 header_size;
	u32 burst; /* payloads at a time, before anything is drained */
	bool stopped, paused;
	u64 within;            /* what takes longer is late; 0: nothing is */
	u64 offered, accepted; /* accepted: engine_send() said DROP_NONE */
	u64 refused[DROP_REASONS];
	struct sim_sink *sinks;
};

/* --- the whole ---------------------------------------------------------------------------- */

struct sim_event;

struct sim {
	char name[64];
	u64 seed, now, order;
	bool trace;
	struct sim_rng rng;
	struct sim_event *heap;
	size_t events, heap_size;
	struct sim_host *host[SIM_HOSTS];
	u32 hosts;
	struct sim_nat *nat[SIM_NATS];
	u32 nats;
	struct sim_flow *flows;
	u32 flow_ids;
	u16 next_port;
	/* Sees each datagram that a host sends, before the link. */
	void (*tap)(struct sim_iface *from, const struct sim_packet *p, void *ctx);
	void *tap_ctx;
	/* Whether the internet carries it; NULL: all. */
	bool (*carries)(const struct sim_packet *p, void *ctx);
	void *carries_ctx;
	/* Sees each one that arrives, before its host. */
	void (*heard)(struct sim_iface *at, const struct endpoint *source);
	struct sim_stream *streams;
	u64 transit; /* from one NAT to the other, ns */
	u64 steps, unroutable;
};

struct sim *sim_create(const char *name);
/* Ends all hosts and checks that everything was given back. */
void sim_destroy(struct sim *sim);
_Noreturn void sim_fail(struct sim *sim, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lets so many nanoseconds pass. */
void sim_run(struct sim *sim, u64 duration);
/* Until done says true, at most duration; returns what it said last. */
bool sim_run_until(struct sim *sim, u64 duration, bool (*done)(void *ctx), void *ctx);
/* Until nothing is on its way, at most duration. */
void sim_settle(struct sim *sim, u64 duration);
/* Calls back after so many nanoseconds. */
void sim_at(struct sim *sim, u64 after, void (*call)(struct sim *sim, void *ctx), void *ctx);

static inline u64 sim_clock(const struct sim_host *h)
{
	return h->sim->now - h->boot;
}

struct sim_host *sim_node(struct sim *sim, const char *name);
struct sim_host *sim_map(struct sim *sim, const char *name);
struct endpoint sim_endpoint(const char *address, u16 port);
/* The host gets an interface (and the engine, when it runs). */
struct sim_iface *sim_iface(struct sim_host *h, const char *name, const char *address,
			    struct sim_nat *realm);
/* The map also listens there: one more of its sockets, in its order. Nodes are told of the first
 * address of each family only, as a person would configure it. */
struct sim_iface *sim_map_listen(struct sim_host *map, const char *address, u16 port);
/* Both directions. */
void sim_iface_link(struct sim_iface *i, const struct sim_link *parameters);
/* As the kernel tells: the interface is gone, has come (with a new socket), has a new address. */
void sim_iface_remove(struct sim_iface *i);
void sim_iface_add(struct sim_iface *i);
void sim_iface_readdress(struct sim_iface *i, const char *address);

/* One more socket of i, on this port (0: on any); its port, 0: that one is in use, or there are
 * sockets_max. */
u16 sim_socket_open(struct sim_iface *i, u16 number, u16 port);
void sim_socket_close(struct sim_iface *i, u16 number);

/* A connection from a port of its own; it ends if nobody listens. The host hears of it. */
struct sim_stream *sim_stream_open(struct sim_iface *i, const struct endpoint *remote);
/* One message; false: it is not open, or too much waits. */
bool sim_stream_send(struct sim_stream *s, const u8 *data, u32 size);
void sim_stream_close(struct sim_stream *s);

/* h will know other, with no endpoints; before sim_start(). */
struct sim_peer *sim_peer(struct sim_host *h, struct sim_host *other);
/* Each knows the other; with static endpoints of all interfaces if told. */
void sim_befriend(struct sim_host *a, struct sim_host *b, bool endpoints);
void sim_use_map(struct sim_host *h, struct sim_host *map);
/* A tunnel to all peers, or as the options say. Returns its index. */
u16 sim_tunnel(struct sim_host *h, const struct tunnel_options *options);
u16 sim_tunnel_named(struct sim_host *h, const char *name);

void sim_start(struct sim_host *h);
void sim_start_all(struct sim *sim);
/* The process is gone, without a word; what is on the wire goes on. */
void sim_kill(struct sim_host *h);
/* SIGTERM: says Close, sends what waits, then ends. */
void sim_terminate(struct sim_host *h);
/* The machine sleeps: nothing runs, what arrives is lost, time goes on (CLOCK_BOOTTIME). */
void sim_suspend(struct sim_host *h);
void sim_resume(struct sim_host *h);
/* After a direct call of an engine_*() function: drains and arms the timer. */
void sim_poke(struct sim_host *h);

/* Gives the engine a payload, and drains nothing yet; what engine_send() says. */
enum drop_reason sim_queue(struct sim_host *h, u16 tunnel, const void *data, u32 size);
/* Sends one payload. */
enum drop_reason sim_send(struct sim_host *h, u16 tunnel, const void *data, u32 size);
/* A flow of count payloads (0: until stopped) that begins now. size >= SIM_FLOW_MIN. */
struct sim_flow *sim_flow(struct sim_host *from, u16 tunnel, u64 interval, u32 size, u64 count);
/* As IP packets between these addresses, for a routed tunnel. */
struct sim_flow *sim_flow_ip(struct sim_host *from, u16 tunnel, u64 interval, u32 size, u64 count,
			     const char *source, const char *destination);
/* What to has received; an empty sink if nothing. */
const struct sim_sink *sim_sink(const struct sim_flow *f, const struct sim_host *to);
u64 sim_received(const struct sim_flow *f, const struct sim_host *to);
/* Forgets the longest gap so far, and measures from now. */
void sim_flow_mark(struct sim_flow *f);

struct sim_nat *sim_nat(struct sim *sim, const char *address, enum sim_dependence mapping,
			enum sim_dependence filtering, enum sim_allocation allocation,
			struct sim_nat *outer);
/* Forgets all sessions: a reboot. What goes on gets a new port, unless ports are preserved. */
void sim_nat_flush(struct sim_nat *n);
/* Another address, and all sessions forgotten: as masquerading does it. */
void sim_nat_readdress(struct sim_nat *n, const char *address);
/* Sessions that are alive. */
u32 sim_nat_sessions(const struct sim_nat *n);

/* A datagram appears on the internet, with whatever source. */
void sim_inject(struct sim *sim, const struct endpoint *source, const struct endpoint *destination,
		const void *data, u32 size);
/* A datagram arrives at i, now, without any link or NAT. */
void sim_hit(struct sim_iface *i, const struct endpoint *source, const void *data, u32 size);

bool sim_connected(const struct sim_host *h, u16 peer);
u32 sim_paths_in_state(const struct sim_host *h, u16 peer, enum path_state state);
/* The first path of peer over i to remote (NULL: any); false: none. */
bool sim_find_path(const struct sim_host *h, u16 peer, const struct sim_iface *i,
		   const struct endpoint *remote, struct path_view *ret);

/* --- between the files of the simulator ---------------------------------------------------- */

enum sim_event_kind { SIM_CALL, SIM_AT_REALM, SIM_AT_IFACE, SIM_TIMER, SIM_FLOW };

struct sim_event {
	u64 at, order;
	enum sim_event_kind kind;
	void *subject; /* iface, host, flow or the context of a call */
	union {
		struct sim_packet *packet;
		void (*call)(struct sim *sim, void *ctx);
	};
};

void sim_push(struct sim *sim, u64 at, const struct sim_event *event);
/* When the datagrams (0 to 2) come out of the link; takes it through loss and damage. */
u32 sim_link_pass(struct sim *sim, struct sim_link *l, struct sim_packet *p, u64 ret_at[2]);
/* p has come from i through its link, or i is NULL: from the internet. Takes over p. */
void sim_route(struct sim *sim, struct sim_iface *i, struct sim_packet *p);
void sim_nat_free(struct sim_nat *n);
bool sim_nat_owns(const struct sim_nat *n, const struct address *a);
/* Rewrites source (or destination); false: does not pass. */
bool sim_nat_outbound(struct sim_nat *n, enum sim_protocol protocol, struct endpoint *source,
		      const struct endpoint *destination);
bool sim_nat_inbound(struct sim_nat *n, enum sim_protocol protocol, const struct endpoint *source,
		     struct endpoint *destination);
/* From a socket of i, 0: its own; one that is not open sends nothing. */
void sim_transmit(struct sim_iface *i, u16 socket, const struct endpoint *destination,
		  const u8 *data, u32 size);
void sim_send_packet(struct sim_iface *i, enum sim_protocol protocol, const struct endpoint *source,
		     const struct endpoint *destination, const u8 *data, u32 size);
/* All but its own socket are gone. */
/* Closes what its engine does not want. */
void sim_iface_review(struct sim_iface *i);
void sim_iface_close(struct sim_iface *i);
/* Whether i has a socket at this endpoint. */
bool sim_iface_has(const struct sim_iface *i, const struct endpoint *e);
/* p has come through the link of i. */
void sim_iface_receive(struct sim_iface *i, const struct sim_packet *p);
void sim_stream_receive(struct sim_iface *i, const struct sim_packet *p);
void sim_streams_drop(struct sim_iface *i);
void sim_streams_free(struct sim *sim);
/* simtcp.c: the streams of engines and maps. */
/* Closes the streams of i that its engine does not want. */
void sim_tcp_review(struct sim_iface *i);
void sim_tcp_demand(struct sim_iface *i, const struct demand *d);
void sim_tcp_event(struct sim_stream *s, enum sim_stream_event event, const u8 *data, u32 size);
/* An errno, or 0. */
int sim_tcp_send(struct sim_iface *i, struct buf *b, const struct endpoint *remote);
int sim_tcp_answer(struct sim_host *map, u32 listener, struct buf *b);
/* A port that nobody has had for long. */
u16 sim_free_port(struct sim *sim);
/* Tells the engine of h, which has just started, everything. */
void sim_configure(struct sim_host *h);
void sim_host_timer(struct sim_host *h);
/* A datagram for a socket of i. */
void sim_host_receive(struct sim_iface *i, u16 socket, const struct endpoint *source,
		      const u8 *data, u32 size);
void sim_flow_tick(struct sim_flow *f);
void sim_app_deliver(struct sim_host *h, const struct delivery *d);
void sim_flows_free(struct sim *sim);

#endif
