/* SPDX-License-Identifier: MIT */
/*
 * portmap_private.h - the table behind portmap.h, and what its rooms call of one another.
 *
 *   portmap.c       the table, timers, what is done with answers
 *   portmap_ask.c   one protocol at a time: PCP and NAT-PMP over a socket, UPnP by a process
 *   portmap_news.c  what routers announce
 */
#ifndef WARP_IO_PORTMAP_PRIVATE_H
#define WARP_IO_PORTMAP_PRIVATE_H

#include "warp/portmap.h"

#include <natpmp.h>

#include "portmap_pcp.h"
#include "upnp.h"

enum stage {
	STAGE_IDLE,      /* nothing is asked; `next` is when to begin again */
	STAGE_PCP,       /* a MAP request is out */
	STAGE_ADDRESS,   /* NAT-PMP: the outer address is asked for */
	STAGE_PORT,      /* NAT-PMP: the mapping is asked for */
	STAGE_UPNP,      /* a process asks */
	STAGE_RELEASING, /* the same as far as current.protocol says, to give it back */
};

/* One interface, and what its router has granted. */
struct mapper {
	bool used;
	u8 iface;
	struct portmap_iface what;
	struct address gateway; /* family 0: none */
	enum stage stage;
	enum portmap_protocol asking;
	u64 next; /* when something is due; TIME_NEVER */
	u64 look; /* when to see whether the gateway is another one; TIME_NEVER */
	u32 tries;
	u32 failures; /* rounds in a row in which no router granted anything */
	u64 asked_at;
	int fd;      /* to the gateway, while PCP or NAT-PMP is spoken; -1 */
	int news_fd; /* announcements, while PCP or NAT-PMP has granted something; -1 */
	natpmp_t natpmp;
	struct address outer; /* by NAT-PMP */
	u8 nonce[PCP_NONCE_SIZE];
	struct pcp_epoch epoch;
	struct upnp_job job;
	struct upnp_place place;
	struct portmap_mapping current;
};

struct portmap {
	int fd; /* epoll */
	struct portmap_options options;
	struct portmap_ops ops;
	void *ctx;
	bool releasing;
	u64 next; /* of all mappers */
	struct mapper mappers[MAX_IFACES];
};

/* What a descriptor in the epoll set is. */
enum source { SOURCE_ASK, SOURCE_NEWS, SOURCE_JOB };

/* portmap.c */
int portmap_watch(const struct portmap *p, const struct mapper *m, int fd, enum source source);
/* The router has granted this, over m->asking. */
void portmap_granted(struct portmap *p, struct mapper *m, u64 now, const struct endpoint *external,
		     u32 lifetime);
/* It will not be had by m->asking. */
void portmap_refused(struct portmap *p, struct mapper *m, u64 now, const char *why);

/* portmap_ask.c */
/* A UDP socket from the interface; connected when `to` is there. -errno. */
int ask_open(const struct portmap *p, const struct mapper *m, const struct endpoint *from,
	     const struct endpoint *to);
/* Asks for a mapping by m->asking. 0, -errno: not even that. */
int ask_begin(struct portmap *p, struct mapper *m, u64 now);
/* Gives the mapping back by current.protocol; answers are waited for in STAGE_RELEASING. */
int ask_release(struct portmap *p, struct mapper *m, u64 now);
void ask_read(struct portmap *p, struct mapper *m, u64 now);
void ask_job_read(struct portmap *p, struct mapper *m, u64 now);
void ask_expire(struct portmap *p, struct mapper *m, u64 now);
/* Whatever is under way. */
void ask_end(struct mapper *m);
/* The same, but a job goes on. */
void ask_leave(struct mapper *m);

/* portmap_news.c */
/* Opens or closes m->news_fd, as the mapping calls for. */
void news_follow(const struct portmap *p, struct mapper *m);
void news_read(const struct portmap *p, struct mapper *m, u64 now);

#endif
