/* SPDX-License-Identifier: MIT */
/*
 * traverse_internal.h - what other rooms call of those that open NATs (punch.h). Part of
 * engine_internal.h.
 */
#ifndef WARP_TRAVERSE_INTERNAL_H
#define WARP_TRAVERSE_INTERNAL_H

/* punch.c */
/* After paths have come, gone or changed their state, or what maps say of p. */
void punch_look(struct engine *e, struct peer *p, u64 now);
void punch_expire(struct engine *e, struct peer *p, u64 now);
u64 punch_expiry(const struct peer *p);
/* p's datagram has just made this path. */
void punch_arrived(struct engine *e, struct peer *p, const struct arrival *in, u32 path);
void punch_forget_iface(struct engine *e, struct peer *p, u64 now, u8 iface);
/* p goes. */
void punch_close(struct engine *e, struct peer *p, u64 now);
/* The NAT of iface is known better, or is another. */
void punch_nat_changed(struct engine *e, u64 now, u8 iface);

/* cascade.c */
void punch_take(struct engine *e, struct peer *p, const struct arrival *in,
		const struct frame_punch *f);

/* attempt.c */
void punch_socket_opened(struct engine *e, u64 now, u8 iface, u16 socket, u16 port);
void punch_socket_failed(struct engine *e, u64 now, u8 iface, u16 socket);
/* Is it that of an attempt or of a path? */
bool punch_wants_socket(const struct engine *e, u8 iface, u16 socket);
/* A path that used it is gone. */
void punch_socket_unused(struct engine *e, u8 iface, u16 socket);
void punch_sampled(struct engine *e, const struct arrival *in, const struct frame_nat_test *f);

#endif
