/* SPDX-License-Identifier: MIT */
/*
 * mapserver_internal.h - what mapserver.c (nodes, datagrams, the queue), mapframes.c (what is said
 * inside of a session), mapdoors.c (listeners, NAT tests) and mapstreams.c (connections) share.
 */
#ifndef WARP_MAPSERVER_INTERNAL_H
#define WARP_MAPSERVER_INTERNAL_H

#include "warp/hub.h"
#include "warp/mapserver.h"
#include "warp/natclass.h"
#include "warp/registry.h"

/* Addresses that are told apart when there are too many nodes. */
#define MAP_HOMES 4096u
/* Frames that fit in one datagram. */
#define MAP_PLAIN_MAX (MAPSERVER_DATAGRAM - WIRE_OVERHEAD)

/* A connection, and whose it is. */
struct node_stream {
	u32 listener; /* 0: nobody's yet */
	u8 key[KEY_SIZE];
};

struct mapserver {
	struct mapserver_options options;
	struct hub *hub;
	struct registry *registry;
	struct ratelim_table unasked; /* datagrams, by destination */
	struct mapserver_stats stats;
	u64 now;                /* of the call under way: the hub's look-up of a key is not told */
	bool full;              /* the last look-up failed for want of room */
	u64 relay_full_at;      /* when the allowance of all is whole again */
	u8 proof_key[KEY_SIZE]; /* of proofs and of homes, which differ in length */
	u32 homes[MAP_HOMES];   /* known clients of each */
	u32 homeless;           /* known clients that have not shown theirs */
	u32 queued, taken;      /* since the beginning */
	struct endpoint doors[MAPSERVER_LISTENERS];
	u32 door_count;
	struct node_stream *streams; /* max_streams of them, or NULL */
	struct map_outgoing queue[MAPSERVER_QUEUE];
};

/* A node: the hub's half, and the registry's. */
struct client {
	struct assoc assoc;
	struct registry_node *node;
	u64 tidied;        /* when old sessions were last looked for */
	u64 relay_full_at; /* when its allowance is whole again */
	u16 home;          /* see mapcrowd.c */
	bool known;        /* has shown to hold its key */
	bool homed;        /* and its home */
	u8 streams;        /* connections that are its own */
};

/* Where a datagram goes to. */
struct route {
	struct endpoint endpoint;
	u32 listener;
};

static inline struct client *client_of(const struct registry_node *node)
{
	return registry_owner(node);
}

/* A buffer with room for a datagram of plain frames at map_plain(), or NULL (counted). */
struct buf *map_datagram(struct mapserver *m);
static inline u8 *map_plain(struct buf *b)
{
	return buf_data(b) + WIRE_HEADER_SIZE;
}

/* Seals what map_plain(b)[0..size) says for the client. False (counted): there is no session. */
bool map_seal(struct mapserver *m, struct client *client, struct buf *b, size_t size);
/* Takes over the reference to b. unasked: the destination's allowance pays for it. */
void map_enqueue(struct mapserver *m, struct buf *b, const struct route *to, bool unasked);

/* Tells everyone concerned that it is gone, and frees it. */
void map_forget(struct mapserver *m, struct client *client);

/* mapdoors.c */
/* Of the listener's family: the other endpoints at which asker may reach us; returns how many. */
u8 map_others(const struct mapserver *m, u32 asked, const struct endpoint *asker,
	      struct endpoint ret[static WIRE_OTHERS_MAX]);
/* Answers with a datagram of its own, of at most room bytes. Returns its size; 0: none was sent. */
size_t map_nat_test(struct mapserver *m, struct client *client, const struct route *from,
		    const struct frame_nat_test_request *f, size_t room);

/* mapstreams.c */
static inline bool map_is_stream(u32 listener)
{
	return listener & MAPSERVER_IS_STREAM;
}

/* An authentic datagram of client has come over the connection, which is its own from now on. False:
 * it is another's, or client has too many. */
bool map_stream_take(struct mapserver *m, struct client *client, u32 listener);

/* mapcrowd.c */
/* A client that has shown to hold its key becomes known. False: there is no place. */
bool map_settle(struct mapserver *m, struct client *client, const struct address *from);
/* The client, which is known, has shown that it receives what is sent to this address. */
void map_is_home(struct mapserver *m, struct client *client, const struct address *from);
void map_unsettle(struct mapserver *m, struct client *client);

/* mapproof.c */
/* What only who receives what is sent to an endpoint can know; not 0. */
u64 map_proof(const struct mapserver *m, const struct client *client, const struct endpoint *at);
/* Is it what was sent there, not long ago? */
bool map_proves(const struct mapserver *m, const struct client *client, const struct endpoint *at,
		u64 proof);

/* maprelay.c */
/* Forwards a datagram of client to the node that it is for. */
void map_relay(struct mapserver *m, struct client *client, const struct frame_relay *f);

/* The frames of an authentic datagram of size bytes from client. */
void map_frames(struct mapserver *m, struct client *client, const struct route *from, size_t size,
		const struct hub_result *result);
/* The mappings of node have changed: tells those who want it and whom it wants. */
void map_tell_watchers(struct mapserver *m, const struct registry_node *node);

#endif
