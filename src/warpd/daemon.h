/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - warpd's state, and what its rooms call of one another.
 *
 *   main.c      arguments, and what can go wrong before the loop runs
 *   daemon.c    the loop: watchers, the one timer, what a wake-up does
 *   spin.c      looking again before sleeping
 *   drain.c     what the engine has to give: to sockets, to gates
 *   handed.c    and whether it has left
 *   links.c     a socket for each usable local address
 *   sockets.c   more sockets of these, as the engine demands them
 *   streams.c   and connections to maps
 *   ports.c     routers let others in
 *   policy.c    what links cost, and how much of their quota is used up
 *   hosts.c     names of maps and peers to endpoints, asked again and again
 *   config.c    from one configuration to the next: start and reload are the same
 *   tunnels.c   tunnels and their gates
 *   notices.c   what a person may want to know, as log lines
 *   status.c    the answer to `warp status`; status_pairs.c a part of it
 *   events.c    what changes, for those who listen
 *
 * Theory of operation: each wake-up reads the clock once (check watcher, before all others), then
 * runs the callbacks of what is ready. Each feeds the engine a bounded amount and drains it. Before
 * the loop sleeps again (prepare watcher) timers are run, gates with back-pressure get to go on,
 * notices are told, and the timer is armed to the earliest of all expiries.
 */
#ifndef WARPD_DAEMON_H
#define WARPD_DAEMON_H

#include <ev.h>

#include "warp/conf.h"
#include "warp/ctl.h"
#include "warp/engine.h"
#include "warp/gate.h"
#include "warp/netmon.h"
#include "warp/portmap.h"
#include "warp/quota.h"
#include "warp/resolver.h"
#include "warp/sandbox.h"
#include "warp/udp.h"

#define POOL_BUFFERS 1024u
#define POOL_RESERVE 256u       /* of these, not for gates */
#define LINK_BATCH 16u          /* trains read at once */
#define LINK_BATCHES 4u         /* before gates are served */
#define LINK_BYTES (256u << 10) /* read from a socket in one wake-up; the others wait meanwhile */
#define DELIVERIES_AT_ONCE 256u /* to gates; a train may add some more */
#define SETTLE_ROUNDS 64u       /* of gates with back-pressure in one wake-up */
#define HOST_REFRESH (300 * NS_PER_S)
#define ROUTED_INTERVAL (50 * NS_PER_MS) /* routes may change as often as they like */
#define MTU_PATIENCE (3 * NS_PER_S)      /* before a gate's MTU is lowered */
#define RETRY_DELAY (1 * NS_PER_S)       /* of a socket that could not be opened */

/* An engine's interface and its socket. */
struct link {
	bool used;
	bool blocked; /* a socket's buffer is full: `write` waits until that is writable */
	u8 iface;
	struct netmon_address address;
	struct udp *udp;
	u64 handed;    /* bytes, to the kernel */
	u64 routed_at; /* the last time that the engine was told */
	ev_io read, write;
	struct extra *extras;             /* more sockets */
	const struct conf_policy *policy; /* of the configuration, NULL: none */
	struct iface_policy applied;      /* what the engine knows of it */
	bool used_up;                     /* its quota is */
	u64 counted;                      /* bytes that were counted against it */
	struct link_stream *streams;
};

/* A name, or a number, and what it stands for. */
struct host {
	u64 id; /* of its questions to the resolver */
	struct conf_host conf;
	struct endpoint endpoints[RESOLVER_ENDPOINTS];
	size_t count;
	u64 ask_at; /* TIME_NEVER: it is a number */
};

/* What stands behind conf->peers[i], conf->maps[i], conf->tunnels[i]: at the same place. */
struct peer_slot {
	u16 index;   /* the engine's */
	bool fresh;  /* added by the configuration that is being applied */
	bool moved;  /* its endpoints are other than before */
	bool absent; /* could not be added */
	struct host *hosts;
	size_t host_count;
};

struct map_slot {
	u16 index;
	bool fresh, moved, absent;
	struct host host;
};

struct tunnel_slot {
	bool added; /* to the engine, as index */
	u16 index;
	struct gate *gate; /* NULL: could not be opened, is tried again */
	ev_io io;
	u32 handed; /* links over which something has left the engine, perhaps not the host */
	u64 marks[MAX_IFACES]; /* what these had been handed then */
	u64 handed_at;         /* when something was handed over last */
};

struct spin {
	u64 limit; /* ns after the last packet, 0: never */
	u64 traffic_at, seen_at, budget;
	bool spinning;
};

struct daemon {
	struct ev_loop *loop;
	u64 now; /* ns, of this wake-up */
	u64 started;
	const char *conf_path;
	struct conf *conf;
	struct sandbox_needs gone; /* privileges that a reload cannot have any more */
	const struct aead_ops *aead;
	struct engine *engine;
	struct pool *pool;
	struct udp_batch *batch;
	struct netmon *netmon;
	struct portmap *ports; /* NULL: not wanted */
	struct quota *quota;   /* NULL: no interface has one */
	struct resolver *resolver;
	struct ctl *ctl;
	struct events *events; /* NULL: nobody has listened yet */
	int timer_fd;
	u64 next_scan, next_retry, next_mtu, next_gate; /* TIME_NEVER: not wanted */
	u64 next_count;                                 /* of data against quotas */
	u64 armed;                                      /* what the timer is set to */
	u64 next_host_id;
	struct spin spin;

	struct link links[MAX_IFACES]; /* by the engine's index */
	struct peer_slot *peers;
	struct map_slot *maps;
	struct tunnel_slot **tunnels;
	struct tunnel_slot *tunnel_by_index[MAX_TUNNELS];

	ev_io netmon_io, resolver_io, ctl_io, timer_io, ports_io;
	ev_signal terminate, interrupt, hangup;
	ev_check wake_up;
	ev_prepare before_sleep;
	ev_idle again; /* started when there is more to do than a wake-up may */
};

/* The daemon that a watcher belongs to. */
static inline struct daemon *daemon_of(struct ev_loop *loop)
{
	return ev_userdata(loop);
}

/* --- daemon.c --- */

/* Opens all, gives up privileges. 0, or an exit status; what went wrong is logged. Takes over conf
 * in any case. */
int daemon_start(struct daemon *d, struct conf *conf, const char *conf_path);
/* Until SIGTERM or SIGINT. */
void daemon_run(struct daemon *d);
/* Also after a failed start. */
void daemon_stop(struct daemon *d);

/* What conf can do only with privileges. */
struct sandbox_needs daemon_needs(const struct conf *conf);

/* --- spin.c --- */

void spin_configure(struct spin *s, u64 wanted);
/* A packet or payload was read. */
void spin_traffic(struct spin *s, u64 now);
/* Called before each sleep: should the loop look again instead? */
bool spin_wanted(struct spin *s, u64 now);

/* --- drain.c --- */

/* Everything that the engine has for sockets and gates. */
void drain(struct daemon *d);
/* Once more at the end, waiting for sockets that are full for at most patience (ns). */
void drain_all(struct daemon *d, u64 patience);
/* Gates with back-pressure go on, round after round. True: there is more to do. */
bool drain_settle(struct daemon *d);

/* --- handed.c --- */

/* When to ask again whether one copy at least of what the engine has handed over for the tunnel has left the
 * host; 0: it has. ctx is the daemon. */
u64 handed_waits(void *ctx, u16 tunnel);

/* --- links.c --- */

/* netmon_create() or, when it is there, netmon_configure(), from d->conf. */
int links_configure(struct daemon *d);
/* Opens sockets for usable addresses that have none. */
void links_retry(struct daemon *d);
/* All sockets anew, after a change of their options. */
void links_reopen(struct daemon *d);
void links_close(struct daemon *d);
/* full: the one of its sockets that takes no more, NULL: none. */
void link_set_blocked(struct daemon *d, struct link *l, const struct udp *full);
/* Reads one batch from one of its sockets; how many bytes that were, 0: nothing waits any more. */
u32 link_read(struct daemon *d, struct link *l, struct udp *udp, u16 socket);

/* --- sockets.c --- */

/* Does what the engine demands. True: there was something. */
bool sockets_serve(struct daemon *d);
/* NULL: there is none of this number (any more). */
struct udp *socket_of(struct link *l, u16 number);
/* What stands in the kernel of all its sockets. */
u64 link_queued(const struct link *l);
void sockets_close(struct daemon *d, struct link *l);

/* --- streams.c --- */

void streams_serve(struct daemon *d, struct link *l, const struct demand *demand);
/* Sends one datagram over the connection to where it is for; what finds no place is lost. 0, or
 * -EMSGSIZE. */
/* Closes those that the engine does not want any more. */
void streams_review(struct daemon *d, struct link *l);
int streams_send(struct daemon *d, struct link *l, const struct outgoing *out);
void streams_close(struct daemon *d, struct link *l);

/* --- ports.c --- */

/* As d->conf wants it: begins, ends, or begins anew. 0, -errno. */
int ports_configure(struct daemon *d);
void ports_add(struct daemon *d, const struct link *l);
void ports_remove(struct daemon *d, const struct link *l);
void ports_routed(struct daemon *d, const struct link *l);
u64 ports_next_expiry(const struct daemon *d);
void ports_expire(struct daemon *d);
/* Everything is given back: begins to say so; goes on with it until then (ns) at the latest. */
void ports_release(struct daemon *d);
void ports_finish(struct daemon *d, u64 until);
void ports_close(struct daemon *d);

/* --- policy.c --- */

/* Tells the engine what holds for a link that has just been added, for all of them. */
void policy_apply(struct daemon *d, struct link *l);
void policy_configure(struct daemon *d);
/* What the link has carried since the last look goes to its quota. */
void policy_count(struct daemon *d, struct link *l);
/* Bytes of this month; false: it has no quota. */
bool policy_used(const struct daemon *d, const struct link *l, u64 *ret_used);
/* At next_count: counts, and does what follows. */
void policy_expire(struct daemon *d);
void policy_close(struct daemon *d);

/* --- hosts.c --- */

/* from: hosts known so far; what is resolved of them is kept. */
void host_init(struct daemon *d, struct host *h, const struct conf_host *conf,
	       const struct host *from, size_t from_count);
/* The hosts of a peer, from malloc(); NULL when there are none, or no memory. */
struct host *hosts_of_peer(struct daemon *d, const struct conf_peer *conf,
			   const struct peer_slot *from);
/* Gives what is known to the engine. */
void hosts_apply_peer(struct daemon *d, const struct peer_slot *peer);
void hosts_apply_map(struct daemon *d, const struct map_slot *map);
/* Asks for what is due. */
void hosts_ask(struct daemon *d);
/* The network has changed: what is unknown is asked for at once. */
void hosts_hurry(struct daemon *d);
void hosts_answered(struct ev_loop *loop, ev_io *w, int events);

/* --- config.c --- */

/* Makes the engine, links and gates what conf says, leaving alone what stays; takes over conf. 0,
 * or -errno with ret_error filled: the first thing that could not be made so. */
int config_apply(struct daemon *d, struct conf *conf, struct conf_error *ret_error);
/* Loads and applies conf_path; a bad file changes nothing. */
int config_reload(struct daemon *d, struct conf_error *ret_error);
void config_free(struct daemon *d);

/* --- tunnels.c --- */

/* What stays of d->conf's tunnels in conf goes to ret_slots, at its place in conf; what does not is
 * removed. A gate may stay where its tunnel does not. peers are those of conf. */
void tunnels_retire(struct daemon *d, const struct conf *conf, const struct peer_slot *peers,
		    struct tunnel_slot **ret_slots);
/* Adds what is not there yet. 0, or -errno with ret_error filled: of the first that failed. */
int tunnels_open(struct daemon *d, struct conf_error *ret_error);
/* Gates that could not be opened. */
void tunnels_retry(struct daemon *d);
/* The gates' MTUs, to what the tunnels carry in one datagram. Up at once, down only when it stays so
 * for MTU_PATIENCE: a new path is not known to carry much for a moment, and meanwhile packets that
 * are too large go in fragments. (tunnels_open does not wait where a gate has got another tunnel.) */
void tunnels_follow_mtu(struct daemon *d);
void tunnels_close(struct daemon *d);
/* Of gates that hold payloads back on purpose. */
u64 tunnels_next_expiry(const struct daemon *d);
void tunnels_expire(struct daemon *d);

/* --- notices.c, status.c --- */

void notices_tell(struct daemon *d);
/* From malloc(), NULL: no memory. */
char *status_json(const struct daemon *d);
char *status_version(void);
/* {"ok":true} or {"ok":false,"error":error}; error NULL: none. */
char *status_ok(const char *error);

#endif
