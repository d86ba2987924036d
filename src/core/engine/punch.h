/* SPDX-License-Identifier: MIT */
/*
 * punch.h - how peers behind NATs come to direct paths: what the rooms of this share.
 *
 *   punch.c             which pairs of interfaces have no direct path
 *   cascade.c           one strategy after the other for these, agreed with the other end
 *   attempt.c           one strategy at work: its sockets, what it sends, its end
 *   punch_view.c        what people see of it
 *   strategy.c          the table of strategies
 *   strategy_meet.c     those that need no more than that both ends send
 *   strategy_probe.c    many sockets at one end, many ports tried by the other
 *   strategy_predict.c  ports that can be foreseen
 *   predict.c           what samples of a NAT's ports foretell (warp/predict.h)
 */
#ifndef WARP_CORE_PUNCH_H
#define WARP_CORE_PUNCH_H

#include "engine_internal.h"
#include "warp/predict.h"

#define PUNCH_PAIRS 16u    /* of interfaces, that one peer may have without a direct path */
#define PUNCH_SOCKETS 256u /* of one attempt */

_Static_assert(PATH_SOCKET_FIRST % PUNCH_SOCKETS == 0, "a block of numbers begins there");
_Static_assert((PATH_SOCKET_LAST + 1) % PUNCH_SOCKETS == 0, "a block of numbers ends there");

struct strategy;

enum pair_state {
	PAIR_WAITS,   /* for the other end, or for its turn */
	PAIR_TRIES,   /* an attempt is under way */
	PAIR_RELAYED, /* nothing has led to a direct path; there will be another round */
	PAIR_DIRECT,
	PAIR_STATES,
};

/* One of our interfaces and one of theirs. */
struct punch_pair {
	bool used;
	bool seen; /* scratch of a look at all of them */
	u8 iface, theirs;
	enum pair_state state;
	u64 since; /* there has been no direct path */
	u64 next;  /* when something is to be done */
	u32 offers;
	u32 failures;                 /* rounds of all strategies that came to nothing */
	bool offered;                 /* the other end has told its side: */
	struct wire_nat nat;          /* its NAT */
	enum nat_answer ours;         /* is our NAT's mapping dependent, as it was told last */
	u8 step;                      /* of this round: place in the table */
	const struct strategy *tried; /* the last, NULL: none */
};

enum attempt_socket { ATTEMPT_NONE, ATTEMPT_ASKED, ATTEMPT_OPEN };

struct attempt {
	const struct strategy *how; /* NULL: none is under way */
	u8 pair, round;
	bool opens; /* we open our NAT, the other end shoots */
	bool leads;
	bool ready; /* READY was sent, or has come */
	u8 changes; /* how often it has come with other ports */
	u64 until;  /* it has failed then */
	u64 next;   /* strategy's own timer */
	u64 tell;   /* when to repeat CALL or READY */
	u64 warm;   /* when something is to go over the relay, lest its mapping be lost */
	u8 phase;   /* the strategy's */
	/* who opens */
	struct endpoint target;  /* their mapping */
	u16 block;               /* number of the first socket, 0: none yet */
	u32 wanted, asked, open; /* sockets */
	u32 failed;
	u32 cursor;
	u8 socket[PUNCH_SOCKETS]; /* enum attempt_socket */
	u16 local[PUNCH_SOCKETS]; /* their ports */
	struct nat_sample sample[PREDICT_SAMPLES];
	u32 samples;
	u64 nonce; /* of the sample under way */
	u32 sampling, tries;
	u8 rule; /* enum prediction */
	/* who shoots, and what is told in READY */
	u32 shots, start, stride;
	u32 count;
	u16 port[WIRE_PORTS_MAX];
};

struct punch {
	struct punch_pair pair[PUNCH_PAIRS];
	struct attempt attempt;
	struct ratelim calls; /* attempts that the other end asks for */
	struct ratelim news;  /* of its NAT, each of which begins all anew */
	u8 round;             /* of ours that lead, beginning anywhere */
	u16 followed;         /* the last of theirs; 256: none */
};

/* What strategies are called with. */
struct punching {
	struct engine *e;
	struct peer *p;
	struct attempt *a;
	u64 now;
};

/* What is known before one is chosen. */
struct sides {
	struct wire_nat ours, theirs;
	bool we_open;
	u8 family;
};

/* One way to a direct path. The end with the lesser key goes through the table from the first to the
 * last; those whose precondition holds are tried, each until its limit. The paths that nat.c makes are
 * probed meanwhile, and the relay carries what is to be carried: any that lives ends the attempt. */
struct strategy {
	const char *name;
	u8 number;               /* on the wire, for ever */
	enum path_origin origin; /* of paths that it finds */
	u64 limit;               /* ns */
	bool both;               /* both ends begin at once: there is nothing to make ready */
	bool last;               /* nothing more is to be done */
	bool (*possible)(const struct sides *s);
	/* At the end that opens, when it is to; at the other, when all is ready. */
	void (*begin)(const struct punching *c);
	/* Socket n is there. */
	void (*opened)(const struct punching *c, u32 n);
	/* All sockets that were wanted are there, or cannot be had. */
	void (*complete)(const struct punching *c);
	/* The map has seen socket n as port. */
	void (*sampled)(const struct punching *c, u32 n, const struct endpoint *seen);
	/* attempt.next has come. */
	void (*expire)(const struct punching *c);
};

/* strategy.c */
#define STRATEGIES 7u
extern const struct strategy *const strategies[STRATEGIES];
/* NULL: there is none. */
const struct strategy *strategy_numbered(u8 number);
/* Another external endpoint for another destination? */
enum nat_answer strategy_dependence(const struct wire_nat *nat);
/* Yes, for all that is known. */
bool strategy_dependent(const struct wire_nat *nat);
enum nat_verdict strategy_verdict(const struct wire_nat *nat);
/* UDP passes, and the precondition holds. */
bool strategy_suits(const struct strategy *strategy, const struct sides *s);

extern const struct strategy strategy_direct, strategy_reverse, strategy_punch, strategy_override,
	strategy_predict, strategy_probe, strategy_relay;

/* punch.c */
struct punching punch_context(struct engine *e, struct peer *p, u64 now);
/* NULL: it has always been direct, or there is no such pair. */
struct punch_pair *punch_pair_find(const struct peer *p, u8 iface, u8 theirs);
/* What a map says of the interface of the peer that this pair has; NULL: nothing any more. */
const struct wire_mapping *punch_mapping(const struct peer *p, const struct punch_pair *pair);

/* cascade.c */
/* Another NAT than was thought: begins with the first strategy again. */
void cascade_anew(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair);
/* pair->next has come. */
void cascade_expire(struct engine *e, struct peer *p, u64 now, struct punch_pair *pair);
/* Tells the other end, over any path that carries data. */
void punch_tell(const struct punching *c, enum punch_kind kind);
/* How long that takes to arrive, about; ns. */
u64 punch_way(const struct punching *c);
/* The attempt has come to nothing; it is over. */
void punch_failed(const struct punching *c);

/* attempt.c */
/* False: too much is under way already. */
bool attempt_begin(const struct punching *c, const struct strategy *how, u8 pair, bool opens);
void attempt_start(const struct punching *c);
/* Closes what no path uses. */
void attempt_end(const struct punching *c);
/* The same when its interface, and all its sockets, are gone. */
void attempt_drop(const struct punching *c);
void attempt_expire(const struct punching *c);
u64 attempt_expiry(const struct attempt *a);
/* Wants so many sockets in all. */
void attempt_open(const struct punching *c, u32 sockets);
/* Closes all but so many: those that were asked for last. */
void attempt_close(const struct punching *c, u32 sockets);
/* From socket n of the attempt, or the interface's own. */
#define ATTEMPT_OWN PUNCH_SOCKETS
/* One sealed datagram that any number of places may be sent; NULL: not now. The caller's to put. */
struct buf *attempt_shot(const struct punching *c);
bool attempt_shoot(const struct punching *c, struct buf *shot, u32 n, const struct endpoint *to);
/* attempt_shot() from socket n to the target. */
void attempt_knock(const struct punching *c, u32 n);
/* The same from the next one in turn that is open, beginning with the first-th. */
void attempt_knock_next(const struct punching *c, u32 first);
/* Asks a map how it sees socket n. */
void attempt_sample(const struct punching *c, u32 n);
/* The other end may shoot, at a->port if there are any; again when these are others. */
void attempt_ready(const struct punching *c);

#endif
