/* SPDX-License-Identifier: MIT */
/*
 * mapclient.h - nodes that talk to a map server directly, in virtual time, over a network that
 * loses nothing: what is sent to 203.0.113.N arrives at node N within the same call.
 */
#ifndef WARP_TESTS_MAPCLIENT_H
#define WARP_TESTS_MAPCLIENT_H

#include "harness.h"

#include "warp/hub.h"
#include "warp/mapserver.h"

#define WORLD_NODES 40u
#define WORLD_INBOX 64u
#define WORLD_STREAMS 1024u
#define WORLD_EXPIRY (60 * NS_PER_S)

struct node {
	struct hub *hub; /* NULL: does not run */
	struct assoc map;
	struct identity identity;
	struct endpoint at;              /* the port is that of its interface 0 */
	struct frame inbox[WORLD_INBOX]; /* since mapworld_forget() */
	u16 inbox_port[WORLD_INBOX];     /* at which of its ports */
	u32 received;                    /* frames */
	u64 proof;                       /* of the last registration's answer */
	u32 datagrams, bytes, established;
};

struct mapworld {
	struct test_heap heap;
	struct test_random seed;
	struct allocator allocator;
	struct random_source random;
	struct pool *pool;
	u32 buffers; /* in it */
	struct mapserver *map;
	struct identity map_identity;
	u64 now;
	struct node nodes[WORLD_NODES];
	u64 bytes_in, bytes_out; /* of the map */
	u8 last[2048];           /* the last datagram that a node sent */
	size_t last_size;
	size_t map_bytes; /* of memory that the map has, as a usual malloc rounds them up */
	bool deaf;        /* nothing is taken from the map's queue */
};

/* A map server for at most max_nodes, with buffers for its queue, and no nodes. */
void mapworld_begin(struct mapworld *w, u32 max_nodes, u32 buffers,
		    bool (*admit)(void *ctx, const u8 key[static KEY_SIZE]));
/* Ends everything and looks that nothing was leaked. */
void mapworld_end(struct mapworld *w);
/* Time goes by, and the map's timer with it. */
void mapworld_pass(struct mapworld *w, u64 duration);
/* Empties all inboxes and counts. */
void mapworld_forget(struct mapworld *w);

/* Bytes from any source to the map; what it has to say is delivered. */
void mapworld_datagram(struct mapworld *w, const struct endpoint *source, const void *data,
		       size_t size);

/* Starts node n, with the same key each time, at 203.0.113.n. */
struct node *node_start(struct mapworld *w, u32 n);
/* Ends without a word. */
void node_stop(struct node *n);
/* Shakes hands, without anything under the new session. False: no answer. */
bool node_greet(struct mapworld *w, struct node *n);
/* Starts, shakes hands, and shows itself to the map. */
struct node *node_connect(struct mapworld *w, u32 n);
/* Seals frames into w->last; does not send it. */
void node_seal(struct mapworld *w, struct node *n, const struct frame *frames, size_t count);
/* Says one frame from its interface: the port is that of interface 0 + interface. */
void node_say(struct mapworld *w, struct node *n, u16 interface, const struct frame *f);
/* Registers, without a proof that its address is its own. */
void node_claim(struct mapworld *w, struct node *n, u16 interface);
/* The same; if the map wants a proof, it is given. That is not told in the inbox. */
void node_register(struct mapworld *w, struct node *n, u16 interface);
void node_deregister(struct mapworld *w, struct node *n, u16 interface);
/* Asks for the keys of the nodes with these numbers; ends with WORLD_NODES. */
void node_ask(struct mapworld *w, struct node *n, ...);
/* The newest mapping response about node `about`, or NULL: none since mapworld_forget(). */
const struct frame_mapping_response *node_learned(const struct node *n, const struct node *about);
/* Of this type, since mapworld_forget(). */
u32 node_count(const struct node *n, u8 type);
struct endpoint node_endpoint(const struct node *n, u16 interface);

#endif
