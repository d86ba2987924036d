/* SPDX-License-Identifier: MIT */
/*
 * natclass_internal.h - what the three files of the machine call of one another.
 *
 *   natclass.c   what is given, the order of the phases, what follows when nothing comes back
 *   natask.c     the spare socket, and the questions of a phase
 *   natanswer.c  what comes back
 */
#ifndef WARP_NATCLASS_INTERNAL_H
#define WARP_NATCLASS_INTERNAL_H

#include "warp/natclass.h"

#define WAIT_LATER (1 * NS_PER_S) /* for an answer, after the first few tries */
#define CONFIRMED 10u             /* questions heard and not answered */
#define ARBITRARY_SETS 2u /* of samples with any local ports, then as many with ports in a row */
#define SETS 4u

/* The questions of a datagram, by the low bits of their nonces. */
enum { CONTROL, BY_PORT, BY_ADDRESS };

/* natclass.c */
void run_next_phase(struct natclass *c, u64 now);
void run_expire(struct natclass *c, u64 now);
void run_rest(struct natclass *c, u64 until);
/* Open, firewall or NAT, from what is known up to now. */
void run_set_verdict(struct natclass *c);
/* The next silence, if there is one to try. */
void run_begin_life(struct natclass *c, u64 now);
/* A sample was not answered, however often it was asked for, or there is no spare socket. */
void run_sample_failed(struct natclass *c, u64 now);
/* The local port of the next sample: apart from all before, which the NAT may still remember, and in
 * the later sets one above the last. */
u16 run_sample_wish(const struct natclass *c);
/* What comes in from another address does so from another port. */
bool run_filter_is_clear(const struct natclass *c);
void run_conclude_filter(struct natclass *c, u64 now);
void run_lifetime_known(struct natclass *c);

/* natask.c */
void ask_spare_drop(struct natclass *c);
bool ask_uses_spare(enum natclass_phase phase);
/* Asks (again) as soon as the socket is there. */
void ask_again(struct natclass *c, u64 now);
void ask_enter(struct natclass *c, u64 now, enum natclass_phase phase);
/* The same with a new spare socket, on that port if it is not 0. */
void ask_enter_with_spare(struct natclass *c, u64 now, enum natclass_phase phase, u16 port);

#endif
