/* SPDX-License-Identifier: MIT */
/*
 * wire.h - the only room that knows bytes. Everything is big-endian; nothing is padded.
 *
 * The first byte of every datagram is 0xc1..0xc5: never that of STUN (0x00-0x3f), of TURN
 * ChannelData (0x40-0x7f) or of RTP (0x80-0xbf), so that a socket can speak those too.
 *
 *  INITIATION (152 bytes)               RESPONSE (108 bytes)
 *   0  kind 0xc1, 0, 0, 0                0  kind 0xc2, 0, 0, 0
 *   4  sender index                      4  sender index
 *   8  e, s, payload (Noise 1: 96+16)    8  receiver index
 *   .. mac1 [16], mac2 [16]             12  e, payload (Noise 2: 48+16)
 *                                        .. mac1 [16], mac2 [16]
 *  COOKIE (64 bytes)                    TRANSPORT (16 + frames + 16 bytes)
 *   0  kind 0xc3, 0, 0, 0                0  kind 0xc4, flags 0, 0, 0
 *   4  receiver index                    4  receiver index
 *   8  nonce [24], sealed cookie [32]    8  counter [8]
 *                                       16  sealed frames, then the tag [16]
 *
 *  RETURN (12 bytes), to oneself through the NAT
 *   0  kind 0xc5, 0, 0, 0
 *   4  nonce [8]
 *
 * Frames. One byte of type; then, unless the high bit of the type is set, a length (u16) of the
 * body; with the high bit set the frame is the last and its body runs to the end. Unknown types
 * are skipped. Endpoints are: family (0, 4 or 6), and if it is not 0 port (u16), address (4 or 16
 * bytes).
 *
 *   0x00 PADDING              anything
 *   0x01 PAYLOAD              tunnel u16, sequence u32, data
 *   0x02 FRAGMENT             tunnel u16, sequence u32, index u8, unit u16, last u16 (size of the
 *                             whole payload - 1), data at index * unit
 *   0x03 SHARD                tunnel u16, sequence u32, kind u8, and
 *                             kind 0: data of a payload
 *                             kind 1: index u8, unit u16, last u16, data of a fragment
 *                             kind 2: parity u8, count u8, step u16, wait in ms u16, sum
 *                             kind 3: parity u8, count u8, first u8, unit u16, last u16, sum
 *   0x04 PROBE                stamp u64, sent packets u64, sent bytes u64
 *   0x05 PROBE_REPLY          stamp u64, received packets u64, received bytes u64, endpoint seen
 *   0x06 PEER_ADDRESS_OVERRIDE endpoint to replace
 *   0x07 CANDIDATES           number u32 (0: no list), taken u32, count u8, then per interface as in
 *                             MAPPING_RESPONSE
 *   0x08 PUNCH                kind u8, to u8, from u8 (interfaces), round u8, strategy u8, nat [4],
 *                             count u8, ports u16
 *   0x09 STRIPE               tunnel u16, path u8, number u32, bucket u8 (and 0x80: piece), wait in
 *                             4 ms u8, sequence u32, and
 *                             data of a payload, or
 *                             index u8, unit u16, last u16, data of a fragment
 *   0x0a TALLY                path u8, highest number u32, datagrams u32, bytes u64, when the
 *                             highest came in ns u64, how long ago in us u32, which came before it,
 *                             4 x u64
 *   0x0b DEADLINE             u32 of 65.536 us: when the payloads behind it had to leave
 *   0x0c REPORT               kind u8, and
 *                             kind 0: tunnel u16, sequence u32, copies u8, interval in ms u8, within
 *                             in ms u16
 *                             kind 1: tunnel u16, sequence u32, size u8, bits [size]
 *                             kind 2: queue in us u32, saved u64
 *   0x10 REGISTER_REQUEST     interface u16, LAN endpoint, nat [4], mapped endpoint, proof u64
 *   0x11 REGISTER_RESPONSE    interface u16, expiry in seconds u16, endpoint observed, count u8,
 *                             other endpoints of the map, proof u64 (0: none is wanted)
 *   0x12 MAPPING_REQUEST      count u8, public keys [32 each]
 *   0x13 MAPPING_RESPONSE     public key [32], flags u8 (1: push), handle u32 (0: not relayed),
 *                             count u8, then per interface: number u8, endpoint observed, LAN
 *                             endpoint, mapped endpoint
 *   0x14 DEREGISTER_REQUEST   interface u16 (0xffff: all)
 *   0x15 DEREGISTER_RESPONSE  interface u16
 *   0x16 RELAY                handle u32, to u8, from u8 (interfaces), a whole datagram
 *   0x17 CLOSE                reason u8
 *   0x18 NAT_TEST_REQUEST     nonce u64, how u8, port u16
 *   0x19 NAT_TEST             nonce u64, endpoint seen
 */
#ifndef WARP_WIRE_H
#define WARP_WIRE_H

#include "warp/crypto.h"
#include "warp/endpoint.h"
#include "warp/handshake.h"
#include "warp/policy.h"

#define WIRE_PROLOGUE "warp protocol 1"
#define WIRE_PORT_MAP 13116u /* default port of warp-map */

enum wire_kind {
	WIRE_INITIATION = 0xc1,
	WIRE_RESPONSE = 0xc2,
	WIRE_COOKIE = 0xc3,
	WIRE_TRANSPORT = 0xc4,
	WIRE_RETURN = 0xc5,
};

#define WIRE_HEADER_SIZE 16u
#define WIRE_OVERHEAD (WIRE_HEADER_SIZE + TAG_SIZE)

/* Capabilities in the handshake payloads, 16 bytes each way. */
#define WIRE_HELLO_SIZE 16u
#define WIRE_VERSION 1u

struct wire_hello {
	u8 version; /* WIRE_VERSION */
	u8 ciphers; /* CIPHER_BITs: what the initiator can; the responder sets the one it chose */
	u16 flags;  /* 0; unknown bits are ignored */
	/* Of an initiation, 0 in the answer. A later one of the same life has a greater stamp; only
	 * the initiator's clock is in it, which may begin anew with each life. */
	u32 life; /* random */
	u64 stamp;
};

#define WIRE_INITIATION_NOISE 8u
#define WIRE_INITIATION_SIZE                                                                       \
	(WIRE_INITIATION_NOISE + NOISE_1_OVERHEAD + WIRE_HELLO_SIZE + 2 * MAC_SIZE)
#define WIRE_RESPONSE_NOISE 12u
#define WIRE_RESPONSE_SIZE (WIRE_RESPONSE_NOISE + NOISE_2_OVERHEAD + WIRE_HELLO_SIZE + 2 * MAC_SIZE)
#define WIRE_COOKIE_SIZE (8u + XNONCE_SIZE + 32u)
#define WIRE_RETURN_SIZE 12u

_Static_assert(WIRE_RESPONSE_SIZE <= WIRE_INITIATION_SIZE, "an answer is larger than the question");
_Static_assert(WIRE_COOKIE_SIZE <= WIRE_INITIATION_SIZE, "an answer is larger than the question");

/* --- bytes ------------------------------------------------------------------------------- */

static inline void put_u16(u8 *p, u16 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

static inline void put_u32(u8 *p, u32 v)
{
	put_u16(p, (u16)(v >> 16));
	put_u16(p + 2, (u16)v);
}

static inline void put_u64(u8 *p, u64 v)
{
	put_u32(p, (u32)(v >> 32));
	put_u32(p + 4, (u32)v);
}

static inline u16 get_u16(const u8 *p)
{
	return (u16)((u16)p[0] << 8 | p[1]);
}

static inline u32 get_u32(const u8 *p)
{
	return (u32)get_u16(p) << 16 | get_u16(p + 2);
}

static inline u64 get_u64(const u8 *p)
{
	return (u64)get_u32(p) << 32 | get_u32(p + 4);
}

/* --- datagrams --------------------------------------------------------------------------- */

struct wire_transport {
	u32 receiver;
	u64 counter;
};

void wire_put_transport(u8 p[static WIRE_HEADER_SIZE], const struct wire_transport *h);
/* size is that of the datagram. -EBADMSG: not a transport datagram. */
int wire_get_transport(const u8 *p, size_t size, struct wire_transport *ret);

void wire_put_hello(u8 p[static WIRE_HELLO_SIZE], const struct wire_hello *h);
/* -EBADMSG: no common version. */
int wire_get_hello(const u8 p[static WIRE_HELLO_SIZE], struct wire_hello *ret);

/* Bytes of endpoint e on the wire: 1, 7 or 19. */
size_t wire_endpoint_size(const struct endpoint *e);

/* --- frames ------------------------------------------------------------------------------ */

enum frame_type {
	FRAME_PADDING = 0x00,
	FRAME_PAYLOAD = 0x01,
	FRAME_FRAGMENT = 0x02,
	FRAME_SHARD = 0x03,
	FRAME_PROBE = 0x04,
	FRAME_PROBE_REPLY = 0x05,
	FRAME_OVERRIDE = 0x06,
	FRAME_CANDIDATES = 0x07,
	FRAME_PUNCH = 0x08,
	FRAME_STRIPE = 0x09,
	FRAME_TALLY = 0x0a,
	FRAME_DEADLINE = 0x0b,
	FRAME_REPORT = 0x0c,
	FRAME_REGISTER_REQUEST = 0x10,
	FRAME_REGISTER_RESPONSE = 0x11,
	FRAME_MAPPING_REQUEST = 0x12,
	FRAME_MAPPING_RESPONSE = 0x13,
	FRAME_DEREGISTER_REQUEST = 0x14,
	FRAME_DEREGISTER_RESPONSE = 0x15,
	FRAME_RELAY = 0x16,
	FRAME_CLOSE = 0x17,
	FRAME_NAT_TEST_REQUEST = 0x18,
	FRAME_NAT_TEST = 0x19,
};

#define FRAME_LAST 0x80u            /* in the type byte: runs to the end, has no length */
#define FRAME_PAYLOAD_HEADER 7u     /* type (last), tunnel, sequence */
#define FRAME_FRAGMENT_HEADER 12u   /* type (last), tunnel, sequence, index, unit, last */
#define FRAME_RELAY_HEADER 7u       /* type (last), handle, to, from */
#define FRAME_CANDIDATES_HEADER 12u /* type, length, number, taken, count */
#define FRAME_DEADLINE_SIZE 7u      /* type, length, deadline: all of it */
/* Of last SHARD frames, by kind. */
#define FRAME_SHARD_HEADER 8u
#define FRAME_SHARD_PIECE_HEADER 13u
#define FRAME_SHARD_PARITY_HEADER 14u
#define FRAME_SHARD_PIECE_PARITY_HEADER 15u
#define FRAME_STRIPE_HEADER 14u
#define FRAME_STRIPE_PIECE_HEADER 19u
#define FRAME_TALLY_WORDS 4u
#define WIRE_BUCKETS 64u
#define WIRE_WAIT_UNIT (4 * NS_PER_MS)
#define SHARD_SIZE_BYTES 2u /* of a payload's size, before its bytes in the sum */
#define WIRE_SHARDS_MAX 32u /* of a block, data and parity */
#define WIRE_KEYS_MAX 32u
#define WIRE_PORTS_MAX 64u
#define WIRE_REPORT_BYTES 32u /* of bits, at most */
#define WIRE_MAPPINGS_MAX 32u
#define WIRE_OTHERS_MAX 8u
#define WIRE_NAT_PRESERVES 1u
#define WIRE_NAT_HAIRPIN 2u
#define WIRE_NAT_DEPENDENT 4u
#define FRAME_NAT_TEST_MAX 30u /* with its header */
#define WIRE_ALL_INTERFACES 0xffffu
#define MAPPING_PUSH 1u

struct frame_payload {
	u16 tunnel;
	u32 sequence;
	u8 *data;
	u32 size;
};

struct frame_fragment {
	u8 line; /* not on the wire: of a STRIPE 1 + its bucket, which has sequences of its own */
	u16 tunnel;
	u32 sequence;
	u8 index;
	u16 unit;
	u32 total; /* 1..65536 */
	u8 *data;
	u32 size; /* unit, or what is left of total: checked when read */
};

/* A block is some payloads of one tunnel, or some fragments of one payload: these are its data shards,
 * sent as they are. Its parity shards are sent after them. A data shard does not tell its block,
 * parity does: data shards i = 0..count - 1 are the payloads with sequence + i * step, or of the
 * payload with this sequence the fragments index + i. The sum is that of rs.h; a payload went into it
 * as its size (u16) followed by its bytes, a fragment as its bytes. */
enum shard_kind { SHARD_PAYLOAD, SHARD_PIECE, SHARD_PARITY, SHARD_PIECE_PARITY, SHARD_KINDS };

struct frame_shard {
	u16 tunnel;
	u32 sequence;
	u8 kind;   /* enum shard_kind */
	u8 parity; /* which parity shard */
	u8 count;  /* data shards of the block; with parity it is less than WIRE_SHARDS_MAX */
	u16 step;  /* not 0 */
	u16 wait;  /* ms: parity is sent so late at most after the first data shard */
	u8 index;  /* of the fragment; of the block's first */
	u16 unit;  /* as of a FRAGMENT */
	u32 total;
	u8 *data;
	u32 size;
};

/* A payload that takes one path. Payloads of one bucket have consecutive sequences, fragments that of
 * their payload; all datagrams of a path have consecutive numbers, whatever is in them. */
struct frame_stripe {
	u16 tunnel;
	u8 path;    /* number that the sender knows it by */
	u8 bucket;  /* 0..WIRE_BUCKETS - 1 */
	u8 wait;    /* WIRE_WAIT_UNITs that the bucket's missing ones may take to come */
	bool piece; /* a fragment */
	u8 index;   /* the same as of a FRAGMENT, as the next two */
	u16 unit;
	u32 number; /* on the path */
	u32 sequence;
	u32 total;
	u8 *data;
	u32 size;
};

/* What has come of a path's STRIPE datagrams. */
struct frame_tally {
	u8 path;
	u32 highest;                 /* number */
	u32 packets;                 /* all that came, as the next */
	u64 bytes;                   /* of whole datagrams */
	u64 at;                      /* ns by the clock of who reports: when the highest came, */
	u32 held;                    /* us: and how long ago that was */
	u64 seen[FRAME_TALLY_WORDS]; /* bit i of word n: highest - 1 - 64 n - i has come */
};

/* cost: that of the sender's interface (enum iface_cost). 0 is not written, and what says nothing is
 * 0, as in versions that knew no costs. */
struct frame_probe {
	u64 stamp, packets, bytes;
	u8 cost;
};

struct frame_probe_reply {
	u64 stamp, packets, bytes;
	struct endpoint seen;
	u8 cost;
};

/* What one end asks to be told of what it sends, and what it is told: of a tunnel's payloads, and, in
 * the datagram of a PROBE_REPLY, of the path. */
enum report_kind { REPORT_ASK, REPORT_FLOW, REPORT_PATH, REPORT_KINDS };

struct frame_report {
	u8 kind; /* enum report_kind */
	u16 tunnel;
	u32 sequence; /* ASK: of the next payload. FLOW: of the newest that has come */
	u8 copies;    /* ASK: paths over which each payload goes at first, from that one on */
	u8 interval;  /* ASK: ms between two reports, not 0 */
	u16 within;   /* ASK: ms, a copy that comes later is of no use */
	u8 size;      /* FLOW: bytes of bits */
	u8 bits[WIRE_REPORT_BYTES]; /* FLOW: bit i, from the least of the first byte on: whether
				     * sequence - 1 - i has come */
	u32 queue; /* PATH: us, by how much the last probe took longer than the fastest of late */
	u64 saved; /* PATH: payloads that came over this path and in time over no other, though they
		    * went over several */
};

struct wire_nat {
	u8 mapping, filtering, flags;
	i8 step;
};

/* How two peers open their NATs, for one pair of their interfaces. */
enum punch_kind {
	PUNCH_OFFER, /* we have no direct path; our NAT is this */
	PUNCH_CALL,  /* from the end with the lesser key: you open, by this strategy */
	PUNCH_READY, /* we have opened: shoot, at these ports if there are any */
	PUNCH_SHOT,  /* goes directly: comes in, if a NAT has been opened */
	PUNCH_END,   /* this round has come to nothing */
};

struct frame_punch {
	u8 kind;     /* enum punch_kind; others are not heeded */
	u8 to, from; /* interfaces of the receiver, of the sender */
	u8 round;
	u8 strategy; /* enum punch_strategy */
	struct wire_nat nat;
	u8 count;
	u16 port[WIRE_PORTS_MAX];
};

struct frame_register_request {
	u16 interface;
	struct endpoint lan;
	struct wire_nat nat;
	struct endpoint mapped;
	u64 proof; /* of the last response, 0: there was none */
};

struct frame_register_response {
	u16 interface;
	u16 expiry; /* seconds */
	struct endpoint observed;
	u8 count;
	struct endpoint other[WIRE_OTHERS_MAX];
	u64 proof; /* to be sent back, so that the map knows that this arrived */
};

struct frame_nat_test_request {
	u64 nonce;
	u8 how;
	u16 port;
};

struct frame_nat_test {
	u64 nonce;
	struct endpoint seen;
};

struct frame_mapping_request {
	u8 count;
	const u8 *keys; /* count x KEY_SIZE, in the datagram */
};

struct wire_mapping {
	u8 interface;
	struct endpoint observed, lan;
	struct endpoint mapped; /* where the router lets others in; family 0: nowhere */
};

/* Where the sender may be reached, told to a peer. */
struct frame_candidates {
	u32 number; /* of this list, one more for each change; 0: it is none */
	u32 taken;  /* of the receiver's list that the sender goes by; 0: none */
	u8 count;
	struct wire_mapping mapping[WIRE_MAPPINGS_MAX];
};

struct frame_mapping_response {
	u8 key[KEY_SIZE];
	u8 flags;   /* MAPPING_PUSH */
	u32 handle; /* by which RELAY frames name the node, 0: not at all */
	u8 count;
	struct wire_mapping mapping[WIRE_MAPPINGS_MAX];
};

struct frame_deregister {
	u16 interface;
};

/* From a node: to whom; from the map: from whom. */
struct frame_relay {
	u32 handle;
	u8 to, from; /* interfaces of the receiver, of the sender */
	u8 *data;    /* a datagram between two peers */
	u32 size;
};

enum close_reason { CLOSE_SHUTDOWN = 0, CLOSE_REMOVED = 1 };

struct frame_close {
	u8 reason;
};

struct frame {
	u8 type; /* enum frame_type, or another that the reader skips */
	union {
		struct frame_payload payload;
		struct frame_fragment fragment;
		struct frame_shard shard;
		struct frame_stripe stripe;
		struct frame_tally tally;
		struct frame_probe probe;
		struct frame_probe_reply probe_reply;
		struct endpoint override; /* the address to replace */
		struct frame_candidates candidates;
		struct frame_punch punch;
		struct frame_report report;
		u32 deadline;
		struct frame_register_request register_request;
		struct frame_register_response register_response;
		struct frame_mapping_request mapping_request;
		struct frame_mapping_response mapping_response;
		struct frame_deregister deregister; /* request and response */
		struct frame_close close;
		struct frame_relay relay;
		struct frame_nat_test_request nat_test_request;
		struct frame_nat_test nat_test;
	};
};

void wire_put_return(u8 p[static WIRE_RETURN_SIZE], u64 nonce);
/* False: it is none. */
bool wire_get_return(const u8 *p, size_t size, u64 *ret_nonce);

/* Takes the next frame from *p (of *size bytes) and moves both on. 1: *ret is a frame (payload and
 * key pointers point into the datagram); 0: there are no more; -EBADMSG: malformed, stop. Trailing
 * bytes in a known fixed-size body are ignored, so that frames can grow. */
int frame_next(u8 **p, size_t *size, struct frame *ret);

/* Appends frame f, with its length, to p (room for cap bytes). Returns its size; -EMSGSIZE: does not
 * fit; -EINVAL: nothing that frame_next() would read again (a PADDING frame is written by
 * frame_pad()). */
int frame_put(u8 *p, size_t cap, const struct frame *f);
/* Fills all of p[0..size) with one PADDING frame (size >= 1), the last of its datagram. */
void frame_pad(u8 *p, size_t size);
/* The headers of a last PAYLOAD, FRAGMENT or RELAY frame whose data follows in place. */
void frame_put_payload_header(u8 p[static FRAME_PAYLOAD_HEADER], u16 tunnel, u32 sequence);
void frame_put_fragment_header(u8 p[static FRAME_FRAGMENT_HEADER], const struct frame_fragment *f);
void frame_put_relay_header(u8 p[static FRAME_RELAY_HEADER], const struct frame_relay *f);
/* Bytes of header of a last STRIPE frame, and the header itself, as for SHARD. */
u32 frame_stripe_header(const struct frame_stripe *f);
void frame_put_stripe_header(u8 *p, const struct frame_stripe *f);
/* A whole DEADLINE frame. */
void frame_put_deadline(u8 p[static FRAME_DEADLINE_SIZE], u32 deadline);
/* Bytes of header of a last SHARD frame of this kind. */
u32 frame_shard_header(u8 kind);
/* The header of one that frame_next() would read again, to p[0..frame_shard_header(f->kind)). */
void frame_put_shard_header(u8 *p, const struct frame_shard *f);

#endif
