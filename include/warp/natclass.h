/* SPDX-License-Identifier: MIT */
/*
 * natclass.h - what one local interface knows about the NAT before it, in the terms of RFC 4787 and
 * by the methods of RFC 5780: a state machine in virtual time that says what to send and is told
 * what came back.
 *
 * The questions go to a map, which answers from the endpoint that was asked, from another port of
 * the same address or from another address, to where the question came from or to another port of
 * there. The machine needs the interface's own socket and, from time to time, one spare socket on
 * the same address that has never sent anything. Whoever drives it does
 *
 *   natclass_next() until it returns false, after each of the others and at natclass_next_expiry().
 *
 * How to read the results: what was not found out is "unknown", and what was lost on the way makes
 * a result late or unknown, never wrong. With fewer endpoints of the map less can be known:
 *
 *   map listens on           mapping                       filtering
 *   two addresses, two ports all                           all
 *   two addresses, one port  none, endpoint-independent    endpoint-independent
 *   one address, two ports   none, address-and-port-dep.   address-and-port-dependent
 *   one endpoint             none                          unknown
 */
#ifndef WARP_NATCLASS_H
#define WARP_NATCLASS_H

#include "warp/endpoint.h"
#include "warp/natlife.h"

/* How the external endpoint depends on where a datagram goes. */
enum nat_mapping {
	NAT_MAPPING_UNKNOWN,
	NAT_MAPPING_NONE,             /* the address is not translated */
	NAT_MAPPING_INDEPENDENT,      /* EIM */
	NAT_MAPPING_ADDRESS,          /* ADM */
	NAT_MAPPING_ADDRESS_AND_PORT, /* APDM */
	NAT_MAPPINGS,
};

/* Whose datagrams come in, once something went out. */
enum nat_filtering {
	NAT_FILTERING_UNKNOWN,
	NAT_FILTERING_INDEPENDENT,      /* EIF: everybody's */
	NAT_FILTERING_ADDRESS,          /* ADF: from addresses that were written to */
	NAT_FILTERING_ADDRESS_AND_PORT, /* APDF: from endpoints that were written to */
	NAT_FILTERINGS,
};

/* How the external port of a new mapping is chosen. */
enum nat_step {
	NAT_STEP_UNKNOWN,
	NAT_STEP_EQUAL,       /* the local port */
	NAT_STEP_PRESERVING,  /* as far from each other as the local ports are */
	NAT_STEP_INDEPENDENT, /* a fixed step from the one before, whatever the local port */
	NAT_STEP_DEPENDENT,   /* a fixed step from the one before if the local port is the next */
	NAT_STEP_RANDOM,
	NAT_STEPS,
};

enum nat_answer { NAT_UNKNOWN, NAT_NO, NAT_YES, NAT_ANSWERS };

enum nat_verdict {
	NAT_VERDICT_UNKNOWN,
	NAT_VERDICT_OPEN,     /* no NAT, nothing is filtered */
	NAT_VERDICT_FIREWALL, /* no NAT, but what was not asked for does not come in */
	NAT_VERDICT_NATTED,
	NAT_VERDICT_BLOCKED, /* UDP does not pass, and the map is there */
	NAT_VERDICTS,
};

/* "unknown", "none", "endpoint-independent" ... */
const char *nat_mapping_name(enum nat_mapping mapping);
const char *nat_filtering_name(enum nat_filtering filtering);
/* "unknown", "equal", "preserving", "independent", "dependent", "random". */
const char *nat_step_name(enum nat_step step);
/* "unknown", "no", "yes". */
const char *nat_answer_name(enum nat_answer answer);
/* "unknown", "open", "firewall-only", "natted", "udp-blocked". */
const char *nat_verdict_name(enum nat_verdict verdict);

struct nat_class {
	enum nat_verdict verdict;
	enum nat_mapping mapping;
	enum nat_filtering filtering;
	/* Is the external endpoint another for another destination? Known also where the map has too
	 * few endpoints to tell the two kinds of dependent mappings apart. */
	enum nat_answer dependent;
	enum nat_answer
		preserves; /* is the local port taken as the external one where it is free? */
	enum nat_step step;
	int step_size; /* of the independent and the dependent step, never 0 there */
	enum nat_answer hairpin;
	u64 lifetime_lower; /* ns: a mapping lives at least so long; 0: unknown */
	u64 lifetime_upper; /* ns: but not so long; TIME_NEVER: longer than was tried */
};

#define NATCLASS_ENDPOINTS 8u
#define NATCLASS_SAMPLES 5u
#define NATCLASS_OWN 0u
#define NATCLASS_SPARE 1u
#define NATCLASS_QUESTIONS 3u

/* How a map is asked to answer: the `how` of a NAT_TEST_REQUEST. */
enum natclass_how { NATCLASS_SAME, NATCLASS_OTHER_PORT, NATCLASS_OTHER_ADDRESS };

/* The external port that a socket got for its first destination. */
struct nat_sample {
	u16 local, external;
};

enum natclass_kind {
	NATCLASS_OPEN,    /* open the spare socket, if it can be on `port` (0: on any) */
	NATCLASS_CLOSE,   /* close it */
	NATCLASS_ASK,     /* send the questions in one datagram from `socket` to the map at `to` */
	NATCLASS_HAIRPIN, /* send something with `nonce` in it from `socket` to `to`: our own NAT */
};

struct natclass_question {
	u64 nonce;
	u8 how;
	u16 port; /* of the address that asks, to answer to; 0: the one that asks */
};

struct natclass_action {
	enum natclass_kind kind;
	u8 socket; /* NATCLASS_OWN or NATCLASS_SPARE */
	u16 port;
	struct endpoint to;
	u64 nonce;
	u8 count;
	struct natclass_question question[NATCLASS_QUESTIONS];
};

/* What the map said, and from where to which socket it came. */
struct natclass_answer {
	u64 nonce;
	u8 socket;
	struct endpoint from;
	struct endpoint seen; /* the source of the question */
};

enum natclass_phase {
	NATCLASS_REST,           /* until the next run */
	NATCLASS_AT_FIRST,       /* own socket, first endpoint: is there a NAT at all? */
	NATCLASS_AT_ADDRESS,     /* own socket, another address */
	NATCLASS_AT_PORT,        /* own socket, another port of an address asked before */
	NATCLASS_AT_FIRST_AGAIN, /* own socket, first endpoint: nothing has moved meanwhile */
	NATCLASS_FILTER,         /* spare socket: who may answer? */
	NATCLASS_STEP,           /* spare sockets, one after the other */
	NATCLASS_AT_HAIRPIN,     /* own socket and spare socket through the NAT and back */
	NATCLASS_LIFE_OPEN,      /* spare socket: a mapping of its own */
	NATCLASS_LIFE_SILENT,    /* nothing is sent over it */
	NATCLASS_LIFE_ASK,       /* own socket: does the map reach the spare one? */
	NATCLASS_PHASES,
};

enum natclass_spare { SPARE_CLOSED, SPARE_WANTED, SPARE_OPENING, SPARE_OPENED };

/* One interface's machine. To be looked at: `is`; the rest is natclass.c's. */
struct natclass {
	struct nat_class is;
	struct endpoint local, observed;
	struct endpoint map[NATCLASS_ENDPOINTS];
	u8 map_count;
	u8 other_address, other_port, port_base; /* indices in map, NATCLASS_ENDPOINTS: none */

	enum natclass_phase phase;
	u64 at;       /* when the present wait ends */
	u64 started;  /* the present or the last run; TIME_NEVER: none */
	u64 rerun;    /* when the next run is due */
	u64 alive_at; /* when the map was last heard by other means than UDP over this interface */
	u32 failures; /* runs in a row that left something open */
	u32 restarts; /* of the present run */
	bool failed;  /* the present run leaves something open */

	enum natclass_spare spare;
	bool leftover; /* a spare socket is to be closed before the next one is opened */
	u16 spare_wish, spare_port;

	bool due;          /* something is to be sent now */
	u64 salt;          /* nobody else can know it: hairpin nonces */
	u64 serial, first; /* of the last datagram of questions, of the first of this phase */
	u64 asked_at;
	u64 asked_first;      /* in this phase */
	u32 tries, confirmed; /* datagrams of questions sent, those that are known to be heard */
	u64 confirmed_serial; /* of the last of these */

	struct endpoint
		seen[4]; /* by the first endpoint, the others, the first again; family 0: no */
	bool from_port, from_address; /* answers that the filter let in */
	struct nat_sample sample[NATCLASS_SAMPLES];
	u32 samples, sets; /* taken of this set, sets done before */
	u32 equal;         /* of all samples, those whose external port was the local one */
	u64 hairpin_nonce; /* 0: none was sent in this run */
	bool returned;
	struct endpoint spare_seen;
	u64 spare_used; /* when something last travelled over the spare socket's mapping */
	struct natlife life;
};

/* Has the spare socket been asked for, and not yet been closed? */
static inline bool natclass_has_spare(const struct natclass *c)
{
	return c->leftover || c->spare == SPARE_OPENING || c->spare == SPARE_OPENED;
}

/* local: address and port of the interface's own socket. salt: random. */
void natclass_init(struct natclass *c, const struct endpoint *local, u64 salt);
/* The map's endpoints, the one that is registered with first; others of the same family. One of
 * them with the unspecified address stands for the first's. No endpoint: no tests. Others than
 * before begin a run. */
void natclass_set_map(struct natclass *c, u64 now, const struct endpoint *endpoints, size_t count);
/* How a registration was seen: a change begins a run. */
void natclass_observed(struct natclass *c, u64 now, const struct endpoint *observed);
/* The map was heard by other means than UDP over this interface: it is there. */
void natclass_map_alive(struct natclass *c, u64 now);

bool natclass_next(struct natclass *c, u64 now, struct natclass_action *ret);
u64 natclass_next_expiry(const struct natclass *c);
void natclass_opened(struct natclass *c, u64 now, u16 port);
void natclass_open_failed(struct natclass *c, u64 now);
/* An answer of the map, authenticated. */
void natclass_take(struct natclass *c, u64 now, const struct natclass_answer *answer);
/* Something with this nonce came back from our own NAT. */
void natclass_returned(struct natclass *c, u64 nonce);

/* How often something must travel over a mapping so that it stays, ns: 60 % of what it was seen to
 * survive, at least one second; TIME_NEVER where no mapping was seen to expire. */
u64 natclass_keepalive(const struct natclass *c);

/* --- natjudge.c: what the tests mean ------------------------------------------------------ */

/* The step that count samples show, in the order in which they were taken; consecutive: their local
 * ports were asked to be in a row. Unknown: more samples, or others, are needed. */
enum nat_step nat_judge_step(const struct nat_sample *samples, u32 count, bool consecutive,
			     int *ret_size);
/* seen by: the first endpoint, one of another address, one of another port of what `base` is
 * (0: of the first, 1: of the second). Family 0: not known. */
void nat_judge_mapping(struct nat_class *is, const struct endpoint *local,
		       const struct endpoint seen[3], u8 base);
enum nat_filtering nat_judge_filtering(bool can_address, bool from_address, bool can_port,
				       bool from_port);

#endif
