/* SPDX-License-Identifier: MIT */
/*
 * portmap_pcp.h - the Port Control Protocol (RFC 6887), as far as a client needs it: the MAP
 * request and its answer, announcements, and the server's clock. NAT-PMP (RFC 6886) shares the port
 * and the announcements. Pure: no system call, no clock.
 */
#ifndef WARP_IO_PORTMAP_PCP_H
#define WARP_IO_PORTMAP_PCP_H

#include "warp/endpoint.h"

#define PCP_PORT 5351u
#define PCP_ANNOUNCE_PORT 5350u
#define PCP_MAP_SIZE 60u
#define PCP_MAX_SIZE 1100u
#define PCP_NONCE_SIZE 12u

/* RFC 6887 7.4, those that make a difference here. */
enum pcp_result { PCP_SUCCESS = 0, PCP_UNSUPP_VERSION = 1 };

struct pcp_map {
	u32 lifetime; /* seconds; 0 removes */
	struct address client;
	u8 nonce[PCP_NONCE_SIZE];
	u16 internal_port;
	struct endpoint suggested; /* family 0: no wish */
};

enum pcp_kind {
	PCP_MAPPED,    /* the answer to a MAP request */
	PCP_ANNOUNCED, /* the server, or a NAT-PMP server, tells its clock */
	PCP_REFUSED,   /* no PCP here: it speaks NAT-PMP alone, or another version */
};

struct pcp_answer {
	enum pcp_kind kind;
	u8 result;
	u32 lifetime; /* seconds: of the mapping, or of the error */
	u32 epoch;    /* seconds on the server's clock */
	/* PCP_MAPPED: */
	u8 nonce[PCP_NONCE_SIZE];
	u16 internal_port;
	struct endpoint external;
};

/* A MAP request for UDP. */
void pcp_put_map(u8 out[static PCP_MAP_SIZE], const struct pcp_map *map);
/* 0; -EBADMSG: not an answer to such a request, nor an announcement. */
int pcp_get_answer(const u8 *data, size_t size, struct pcp_answer *ret);
/* "NOT_AUTHORIZED"; "result 99" is "unknown result". */
const char *pcp_result_name(u8 result);

/* The server's clock, as last seen. All zero: never. */
struct pcp_epoch {
	bool known;
	u32 seconds;
	u64 at; /* ns, ours */
};

/* Takes note of the server's clock. False: it does not go on from where it was, so the server has
 * forgotten its mappings (RFC 6887 8.5). */
bool pcp_epoch_goes_on(struct pcp_epoch *e, u64 now, u32 seconds);

#endif
