/* SPDX-License-Identifier: MIT */
/*
 * nat_internal.h - the rooms that deal with NATs. Part of engine_internal.h.
 */
#ifndef WARP_NAT_INTERNAL_H
#define WARP_NAT_INTERNAL_H

/* nat.c */
/* Makes the paths that candidates call for, removes those that nothing calls for any more. */
void nat_refresh(struct engine *e, struct peer *p, u64 now);
/* The same for all peers. */
void nat_refresh_all(struct engine *e, u64 now);
void nat_take_override(struct engine *e, struct peer *p, const struct arrival *in,
		       const struct endpoint *registered);
void nat_forget_iface(struct peer *p, u8 iface);
/* Fills a frame that tells how we are registered on iface; false: nothing to tell. */
bool nat_override_frame(const struct engine *e, u8 iface, struct frame *ret);

/* nattest.c */
void nattest_begin(struct engine *e, struct iface *i);
u64 nattest_next_expiry(const struct engine *e);
void nattest_expire(struct engine *e, u64 now);
/* A registration was answered by the map at this endpoint (NULL: it has none any more); f->interface is
 * in use. */
/* m has answered over the interface: has its router granted a port, m shall try whether it gets
 * through. */
void nattest_mapped(struct engine *e, struct map *m, u64 now,
		    const struct frame_register_response *f);
void nattest_registered(struct engine *e, const struct map *m, const struct arrival *in,
			const struct endpoint *at, const struct frame_register_response *f);
void nattest_map_removed(struct engine *e, u64 now, const struct map *m);
/* m answers over iface, though not over UDP. */
void nattest_map_alive(struct engine *e, const struct map *m, u64 now, u8 iface);
void nattest_take(struct engine *e, const struct map *m, const struct arrival *in,
		  const struct frame_nat_test *f);
/* Is it a datagram of ours that the NAT has turned back? */
bool nattest_returned(struct engine *e, const struct arrival *in, const u8 *data, u32 size);
struct wire_nat nattest_wire(const struct iface *i);
/* How often something goes over an idle mapping of iface: keepalive_interval, or more often where
 * mappings do not live that long. */
/* Is it the spare one? */
bool nattest_wants_socket(const struct engine *e, u8 iface, u16 socket);
u64 nattest_keepalive(const struct engine *e, u8 iface);

#include "auto_internal.h"

#endif
