/* SPDX-License-Identifier: MIT */
/*
 * attack.h - tools of an attacker: a tape of all that is on the wire, forged handshakes; and pictures
 * of what an engine shows, to see that nothing has changed.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include "sim/world.h"

#define TAPE_SIZE 8192u /* datagrams; the first ones stay */

struct tape {
	struct sim_packet *packet[TAPE_SIZE];
	u32 count;
};

/* Records from now on what hosts send. */
void tape_record(struct tape *t, struct sim *sim);
void tape_free(struct tape *t);
/* A random one; the tape is not empty. */
const struct sim_packet *tape_any(const struct tape *t, struct sim_rng *rng);
const struct sim_packet *tape_kind(const struct tape *t, struct sim_rng *rng, u8 kind);
/* The first of exactly so many bytes that h sent. */
const struct sim_packet *tape_first_from(const struct tape *t, const struct sim_host *h, u32 size);
/* Waits until all that is on the tape has arrived, and records no more. */
void tape_settle(struct tape *t, struct world *w);

/* A random endpoint of a stranger. */
struct endpoint attack_source(struct sim_rng *rng);
/* An initiation with a good mac1 but no key behind it: what costs the target most. */
void attack_initiation(struct sim_rng *rng, const struct sim_host *target,
		       u8 ret[static WIRE_INITIATION_SIZE]);

/* What an engine shows of one peer, of its tunnels and maps, but for counts of drops, of what
 * interfaces received, and of copies: those are recognised before they are decrypted, so that
 * anybody on the way can make some. */
struct picture {
	struct peer_view peer;
	char path[MAX_PEER_PATHS][256]; /* in words: structs have holes */
	struct tunnel_view tunnel[SIM_TUNNELS];
	struct map_view map[SIM_MAPS];
	struct iface_view iface[SIM_IFACES];
	u64 notices[NOTICE_KINDS];
	u32 buffers;
};

void picture_take(struct picture *p, const struct sim_host *h);
/* Fails unless h looks as before. */
void picture_check(const struct picture *before, const struct sim_host *h);

#endif
