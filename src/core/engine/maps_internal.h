/* SPDX-License-Identifier: MIT */
/*
 * maps_internal.h - the rooms that deal with maps, and with what maps forward. Part of
 * engine_internal.h.
 */
#ifndef WARP_MAPS_INTERNAL_H
#define WARP_MAPS_INTERNAL_H

/* mapproto.c */
void map_arm(struct engine *e, struct map *m, u64 at);
void map_expire(struct engine *e, struct map *m, u64 now);
void map_receive(struct engine *e, struct map *m, const struct arrival *in,
		 const struct hub_result *r);
void map_established(struct engine *e, struct map *m, u64 now);
void map_iface_added(struct engine *e, struct map *m, u64 now, u8 iface);
void map_iface_removed(struct engine *e, struct map *m, u64 now, u8 iface);
/* Ask the maps again how they see us: a NAT may have been restarted. */
void map_register_soon(struct engine *e, u64 now);
void map_shutdown(struct engine *e, struct map *m, u64 now);
/* Where to reach the map from iface, or NULL. */
const struct endpoint *map_endpoint(const struct engine *e, const struct map *m, u8 iface);
/* A way to the map. */
struct map_way {
	u8 iface;
	u16 socket;
	struct endpoint to;
};

/* The one that works: over UDP, or the stream. False: the map has no address of iface's family. */
bool map_way(const struct engine *e, const struct map *m, u8 iface, struct map_way *ret);
/* Seals frames, padded to at least pad_to bytes, and queues them. */
bool map_send_way(struct engine *e, struct map *m, u64 now, const struct map_way *way,
		  const struct frame *frames, size_t count, u32 pad_to);
/* The same, by the way that works. */
bool map_send_frames(struct engine *e, struct map *m, u64 now, u8 iface, const struct frame *frames,
		     size_t count);

/* stream.c */
/* Something that calls for an answer goes to m over UDP. */
void stream_asked(struct engine *e, struct map *m, u64 now, u8 iface);
/* m has said something authentic. */
void stream_answered(struct engine *e, struct map *m, const struct arrival *in);
/* m was registered at over UDP, as it says. */
void stream_registered(struct map *m, u64 now, u8 iface);
/* m does not answer to so many tries by the way that leads. */
void stream_suspect(struct engine *e, struct map *m, u64 now, u8 iface);
/* The initiation in flight, over all streams that lead. */
void stream_send_initiation(struct engine *e, struct map *m, u64 now);
/* Is any map spoken to over TCP on iface? */
bool stream_leads(const struct engine *e, u8 iface);
/* Closes what does not lead to m any more. */
void stream_check(struct engine *e, struct map *m, u64 now, u8 iface);
/* iface leads further than before: what is due later is tried now. */
void stream_hurry(struct engine *e, struct map *m, u64 now, u8 iface);
void stream_close_all(struct engine *e, struct map *m);
u64 stream_next_expiry(const struct engine *e, const struct map *m);
void stream_expire(struct engine *e, struct map *m, u64 now);

/* relay.c */
void relay_endpoint(struct endpoint *ret, u16 map, u32 handle, u8 interface);
u16 relay_map(const struct endpoint *relayed);
/* Which interface of the peer. */
u8 relay_interface(const struct endpoint *relayed);
/* Is iface registered at the map through which this leads? */
bool relay_possible(const struct engine *e, u8 iface, const struct endpoint *relayed);
/* iface_queue() for a relayed destination. */
bool relay_queue(struct engine *e, u64 now, u8 iface, struct buf *b, const struct queued *q);
/* A datagram that m has forwarded. */
void relay_receive(struct engine *e, const struct map *m, const struct arrival *in,
		   const struct frame_relay *f);

/* mapclaim.c */
void map_claim(struct engine *e, struct map *m, u64 now, u8 iface);
/* A registration was answered. It may be due again at once. */
void map_take_proof(struct map *m, u64 now, u8 iface, u64 proof);

/* mapquery.c */
/* Ask again soon: a peer was added or lost. */
void map_query_soon(struct engine *e, u64 now);
/* Asks about all peers if it is time for it. */
void map_expire_query(struct engine *e, struct map *m, u64 now);
void map_take_mapping(struct engine *e, struct map *m, const struct arrival *in,
		      const struct frame_mapping_response *f);
/* What m said of peers does not count any more. */
void map_forget_mappings(struct engine *e, const struct map *m, u64 now);

#endif
