/* SPDX-License-Identifier: MIT */
/*
 * core.c - the work that the core does for one payload, to be counted in instructions.
 *
 *   bench-core              the names of the cases, each with the number of payloads that it takes
 *   bench-core NAME         prepares, then does the case's work inside of measured()
 *
 * netns-tests/bench/core.sh runs it under callgrind, which counts what happens inside of measured() only.
 * Time is virtual, memory and random numbers come from here, so that each run is the same.
 *
 * The cases that begin with a cipher's name are about libsodium as well. In all others sealing and opening
 * do nothing (`free` below): what is left is the core's own work.
 * rx and tx work on 1,400 bytes of IP in a routed tunnel, with one datagram a train; in those with _train,
 * 32 payloads share one. In tx_1of2paths each payload goes over one of two paths that live: it is kept in
 * case that path turns out to be silent.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/engine.h"
#include "warp/session.h"
#include "warp/view.h"
#include "warp/wire.h"

#define START (1000 * NS_PER_S)
#define PAYLOADS 512u
#define TRAIN 32u
#define SIZE 1400u
#define PATHS 2u
#define POOL (2 * PAYLOADS + 256)

struct world {
	u64 now;
	struct pool *pool;
	struct engine *engine[2];
	struct identity identity[2];
	struct endpoint at[2][PATHS];
	u8 iface[2][PATHS];
	u16 peer[2], tunnel[2];
	u32 paths, train;
	u32 copies;                  /* of what is sent: paths that it leaves on */
	struct buf *ready[PAYLOADS]; /* what measured() works on */
	u32 ready_count;
	struct session *near, *far;
	u8 (*datagrams)[SIZE + 128];
	u32 size;
	u64 done; /* payloads that came out, so that no case can be empty */
};

struct bench_case {
	const char *name;
	void (*prepare)(struct world *w);
	void (*work)(struct world *w);
	u32 paths, train; /* of engines */
	const struct aead_ops *(*aead)(void);
	enum cipher cipher;
	u32 size;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "bench-core: %s\n", what);
	exit(1);
}

static void check(bool fine, const char *what)
{
	if (!fine)
		die(what);
}

/* --- what the core is given ---------------------------------------------------------------- */

static void *heap_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return calloc(1, size);
}

static void heap_free(void *ctx, void *ptr, size_t size)
{
	(void)ctx;
	(void)size;
	free(ptr);
}

static void fill_random(void *ctx, void *out, size_t size)
{
	u64 *state = ctx;

	for (u8 *p = out; size > 0; size--) {
		*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		*p++ = (u8)(*state >> 56);
	}
}

static const struct allocator allocator = { heap_alloc, heap_free, NULL };
static u64 seed = 1;

static size_t free_size(enum cipher cipher)
{
	(void)cipher;
	return 0;
}

static void free_expand(const struct aead_ops *ops, struct aead_key *k)
{
	(void)ops;
	(void)k;
}

static void free_seal(const struct aead_key *k, const u8 nonce[static AEAD_NONCE_SIZE],
		      const void *ad, size_t ad_size, u8 *data, size_t size)
{
	(void)k;
	(void)nonce;
	(void)ad;
	(void)ad_size;
	memset(data + size, 0, TAG_SIZE);
}

static int free_open(const struct aead_key *k, const u8 nonce[static AEAD_NONCE_SIZE],
		     const void *ad, size_t ad_size, u8 *data, size_t size)
{
	(void)k;
	(void)nonce;
	(void)ad;
	(void)ad_size;
	(void)data;
	(void)size;
	return 0;
}

static const struct aead_ops *no_cipher(void)
{
	static const struct aead_ops ops = { .name = "none",
					     .ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
					     .expanded_size = free_size,
					     .expand = free_expand,
					     .seal = free_seal,
					     .open = free_open };

	return &ops;
}

/* --- sessions and frames ------------------------------------------------------------------- */

static struct session *make_session(u8 send, u8 receive, const struct aead_ops *ops, enum cipher c)
{
	struct handshake_keys keys = { { send }, { receive }, { 0 } };
	struct session *s = NULL;

	check(session_create(&s, &allocator, &keys, ops, c, REPLAY_BITS_PEER, START) == 0,
	      "this machine does not have the cipher");
	return s;
}

static void prepare_sessions(struct world *w, const struct bench_case *c)
{
	w->near = make_session(1, 2, c->aead(), c->cipher);
	w->far = make_session(2, 1, c->aead(), c->cipher);
	w->datagrams = calloc(PAYLOADS, sizeof(*w->datagrams));
	w->size = c->size;
	check(w->datagrams, "no memory");
}

static void work_seal(struct world *w)
{
	for (u32 n = 0; n < PAYLOADS; n++)
		w->done += session_seal(w->near, w->now, w->datagrams[n], w->size) == 0;
}

static void work_open(struct world *w)
{
	for (u32 n = 0; n < PAYLOADS; n++)
		w->done += session_open(w->far, w->now, w->datagrams[n], w->size + WIRE_OVERHEAD) ==
			   DROP_NONE;
}

static void work_check(struct world *w)
{
	struct wire_transport h;

	for (u32 n = 0; n < PAYLOADS; n++)
		w->done += wire_get_transport(w->datagrams[n], w->size, &h) == 0 &&
			   session_check(w->far, h.counter) == REPLAY_DUPLICATE;
}

static void prepare_opened(struct world *w)
{
	work_seal(w);
	work_open(w);
}

static void work_encode(struct world *w)
{
	struct frame f = { .type = FRAME_PAYLOAD };

	for (u32 n = 0; n < PAYLOADS; n++) {
		f.payload = (struct frame_payload){ 7, n, w->datagrams[0] + SIZE / 2, 64 };
		w->done += frame_put(w->datagrams[n], SIZE, &f) > 0;
	}
}

static void work_decode(struct world *w)
{
	struct frame f;

	for (u32 n = 0; n < PAYLOADS; n++) {
		u8 *p = w->datagrams[n];
		size_t size = 64 + FRAME_PAYLOAD_HEADER + 2;

		w->done += frame_next(&p, &size, &f) == 1 && f.payload.size == 64;
	}
}

/* --- two engines --------------------------------------------------------------------------- */

static void add_ifaces(struct world *w, int side)
{
	for (u32 n = 0; n < w->paths; n++) {
		struct iface_options o = { .local = w->at[side][n], .mtu = 1500 };

		snprintf(o.name, sizeof(o.name), "eth%u", n);
		check(engine_iface_add(w->engine[side], w->now, &o, &w->iface[side][n]) == 0,
		      "interface");
	}
}

static void make_engine(struct world *w, const struct bench_case *c, int side)
{
	const struct prefix all = { .address = { .family = 4 }, .bits = 0 };
	struct peer_options p = { .name = "other", .allowed_ips = &all, .allowed_ip_count = 1 };
	struct tunnel_options t = { .name = "net", .id = 7, .routed = true };
	struct engine_options o = { .identity = w->identity[side],
				    .allocator = allocator,
				    .random = { fill_random, &seed },
				    .pool = w->pool,
				    .aead = c->aead(),
				    .ciphers = c->aead()->ciphers,
				    .scan_interval = 10 * NS_PER_S,
				    .keepalive_interval = 5 * NS_PER_S,
				    .max_consecutive_failures = 10 };

	memcpy(p.public_key, w->identity[!side].public_key, KEY_SIZE);
	check(engine_create(&w->engine[side], &o) == 0, "engine");
	check(engine_add_tunnel(w->engine[side], &t, &w->tunnel[side]) == 0, "tunnel");
	check(engine_add_peer(w->engine[side], w->now, &p, &w->peer[side]) == 0, "peer");
	engine_set_peer_endpoints(w->engine[side], w->now, w->peer[side], w->at[!side], w->paths);
	add_ifaces(w, side);
}

/* The index of the path that an endpoint of this side ends, or -1. */
static int path_to(const struct world *w, int side, const struct endpoint *e)
{
	for (u32 n = 0; n < w->paths; n++) {
		if (endpoint_equal(e, &w->at[side][n]))
			return (int)n;
	}
	return -1;
}

static struct buf *copy_of(struct world *w, struct buf *b)
{
	struct buf *copy = buf_get(w->pool);

	check(copy, "the pool is empty");
	memcpy(buf_data(copy), buf_data(b), b->length);
	copy->length = b->length;
	copy->segment = b->segment;
	return copy;
}

/* Interface n of one side leads to endpoint n of the other only. */
static size_t carry(struct world *w, int side)
{
	struct outgoing out[64];
	size_t count = 0;

	for (u32 n = 0; n < w->paths; n++) {
		size_t some = engine_outgoing(w->engine[side], w->now, w->iface[side][n], out, 64);

		for (size_t k = 0; k < some; k++) {
			if (path_to(w, !side, &out[k].destination) == (int)n)
				engine_receive(w->engine[!side], w->now, w->iface[!side][n], 0,
					       &w->at[side][n], copy_of(w, out[k].buf));
		}
		engine_sent(w->engine[side], w->now, w->iface[side][n], some);
		count += some;
	}
	return count;
}

static void settle(struct world *w)
{
	struct delivery d;

	while (carry(w, 0) + carry(w, 1) > 0)
		;
	for (int side = 0; side < 2; side++) {
		while (engine_next_delivery(w->engine[side], &d))
			buf_put(d.buf);
	}
}

static void pass(struct world *w, u64 duration)
{
	u64 end = w->now + duration;

	for (settle(w); w->now < end; settle(w)) {
		u64 next = engine_next_expiry(w->engine[0]),
		    other = engine_next_expiry(w->engine[1]);

		if (other < next)
			next = other;
		w->now = next < end ? (next > w->now ? next : w->now + 1) : end;
		engine_expire(w->engine[0], w->now);
		engine_expire(w->engine[1], w->now);
	}
}

static u32 live_paths(const struct world *w, int side)
{
	struct path_view v;
	u32 live = 0;

	for (u32 n = 0; n < MAX_PEER_PATHS; n++)
		live += engine_view_path(w->engine[side], w->peer[side], n, &v) &&
			v.state == PATH_LIVE;
	return live;
}

static void prepare_engines(struct world *w, const struct bench_case *c)
{
	w->paths = c->paths;
	w->train = c->train;
	w->copies = c->paths;
	for (int side = 0; side < 2; side++) {
		u8 key[KEY_SIZE];

		memset(key, 7 + side, sizeof(key));
		private_key_clamp(key);
		identity_from_private(&w->identity[side], key);
		for (u32 n = 0; n < PATHS; n++)
			w->at[side][n] = (struct endpoint){
				.address = { 4, { 192, 0, (u8)n, (u8)(1 + side) } }, .port = 1000
			};
	}
	make_engine(w, c, 0);
	make_engine(w, c, 1);
	/* Sessions, and the sizes of the paths. */
	pass(w, 8 * NS_PER_S);
	check(live_paths(w, 0) == c->paths && live_paths(w, 1) == c->paths, "paths");
	check(engine_tunnel_mtu(w->engine[0], w->tunnel[0]) >= SIZE, "the size of the paths");
}

static void put_packet(u8 *p)
{
	static const u8 header[20] = { 0x45, 0, SIZE >> 8, SIZE & 0xff, 0, 0, 0,  0, 64, 17,
				       0,    0, 10,        0,           0, 1, 10, 0, 0,  2 };

	memset(p, 0x5a, SIZE);
	memcpy(p, header, sizeof(header));
}

static void prepare_payloads(struct world *w)
{
	for (u32 n = 0; n < PAYLOADS; n++) {
		w->ready[n] = buf_get(w->pool);
		check(w->ready[n], "the pool is empty");
		put_packet(buf_data(w->ready[n]));
		w->ready[n]->length = SIZE;
	}
}

/* The same for a tunnel that uses one path at a time. */
static void prepare_kept(struct world *w)
{
	const struct tunnel_options one = { .name = "one", .id = 8, .routed = true, .copies = 1 };

	engine_remove_tunnel(w->engine[0], w->tunnel[0]);
	check(engine_add_tunnel(w->engine[0], &one, &w->tunnel[0]) == 0, "tunnel");
	w->copies = 1;
	prepare_payloads(w);
}

/* Takes what is queued, as an edge that can send it all. */
static u64 take(struct world *w)
{
	struct outgoing out[64];
	u64 count = 0;

	for (u32 n = 0; n < w->paths; n++) {
		size_t some = engine_outgoing(w->engine[0], w->now, w->iface[0][n], out, 64);

		engine_sent(w->engine[0], w->now, w->iface[0][n], some);
		count += some;
	}
	return count;
}

static void work_tx(struct world *w)
{
	for (u32 n = 0; n < PAYLOADS; n++) {
		w->now += NS_PER_US;
		w->done += engine_send(w->engine[0], w->now, w->tunnel[0], w->ready[n]) ==
			   DROP_NONE;
		if ((n + 1) % w->train == 0)
			check(take(w) == w->copies, "not as many trains as there should be");
	}
}

static void write_piece(const struct pieces *pieces, u32 index, u8 *out)
{
	(void)index;
	memcpy(out, pieces->head, pieces->size);
}

static void work_pieces(struct world *w)
{
	u8 packet[SIZE];
	const struct pieces pieces = { .count = TRAIN,
				       .size = SIZE,
				       .last_size = SIZE,
				       .head = packet,
				       .head_size = SIZE,
				       .write = write_piece };

	put_packet(packet);
	for (u32 n = 0; n < PAYLOADS / TRAIN; n++) {
		w->now += TRAIN * NS_PER_US;
		engine_send_pieces(w->engine[0], w->now, w->tunnel[0], &pieces);
		check(take(w) == w->copies, "not as many trains as there should be");
		w->done += TRAIN;
	}
}

/* What is to be received, as it comes out of the other engine. */
static void prepare_trains(struct world *w)
{
	struct outgoing out[64];

	prepare_payloads(w);
	for (u32 n = 0; n < PAYLOADS; n++) {
		w->now += NS_PER_US;
		engine_send(w->engine[0], w->now, w->tunnel[0], w->ready[n]);
		if ((n + 1) % w->train > 0)
			continue;
		check(engine_outgoing(w->engine[0], w->now, w->iface[0][0], out, 64) == 1, "train");
		w->ready[w->ready_count++] = copy_of(w, out[0].buf);
		check(take(w) == w->copies, "not as many trains as there should be");
	}
}

static void work_rx(struct world *w)
{
	struct delivery d;

	for (u32 n = 0; n < w->ready_count; n++) {
		engine_receive(w->engine[1], w->now, w->iface[1][0], 0, &w->at[0][0], w->ready[n]);
		while (engine_next_delivery(w->engine[1], &d)) {
			w->done += d.size == SIZE;
			buf_put(d.buf);
		}
	}
}

/* The same trains have come in on the first path. */
static void prepare_copies(struct world *w)
{
	struct delivery d;

	prepare_trains(w);
	for (u32 n = 0; n < w->ready_count; n++) {
		engine_receive(w->engine[1], w->now, w->iface[1][0], 0, &w->at[0][0],
			       copy_of(w, w->ready[n]));
		while (engine_next_delivery(w->engine[1], &d))
			buf_put(d.buf);
	}
}

static void work_copies(struct world *w)
{
	struct delivery d;

	for (u32 n = 0; n < w->ready_count; n++) {
		engine_receive(w->engine[1], w->now, w->iface[1][1], 0, &w->at[0][1], w->ready[n]);
		check(!engine_next_delivery(w->engine[1], &d), "a copy was delivered");
		w->done += w->train;
	}
}

/* --- the cases ----------------------------------------------------------------------------- */

#define AES aead_libsodium, CIPHER_AES_256_GCM
#define CHACHA aead_libsodium, CIPHER_CHACHA20_POLY1305
#define FREE no_cipher, CIPHER_CHACHA20_POLY1305

static const struct bench_case cases[] = {
	{ "aes_seal_64", NULL, work_seal, 0, 0, AES, 64 },
	{ "aes_seal_1400", NULL, work_seal, 0, 0, AES, SIZE },
	{ "aes_open_1400", work_seal, work_open, 0, 0, AES, SIZE },
	{ "chacha_seal_64", NULL, work_seal, 0, 0, CHACHA, 64 },
	{ "chacha_seal_1400", NULL, work_seal, 0, 0, CHACHA, SIZE },
	{ "chacha_open_1400", work_seal, work_open, 0, 0, CHACHA, SIZE },
	{ "seal", NULL, work_seal, 0, 0, FREE, SIZE },
	{ "open", work_seal, work_open, 0, 0, FREE, SIZE },
	{ "copy_recognised", prepare_opened, work_check, 0, 0, FREE, SIZE },
	{ "frame_encode", NULL, work_encode, 0, 0, FREE, SIZE },
	{ "frame_decode", work_encode, work_decode, 0, 0, FREE, SIZE },
	{ "tx_1path", prepare_payloads, work_tx, 1, 1, FREE, SIZE },
	{ "tx_1path_train", prepare_payloads, work_tx, 1, TRAIN, FREE, SIZE },
	{ "tx_1path_pieces", NULL, work_pieces, 1, TRAIN, FREE, SIZE },
	{ "tx_2paths", prepare_payloads, work_tx, 2, 1, FREE, SIZE },
	{ "tx_2paths_train", prepare_payloads, work_tx, 2, TRAIN, FREE, SIZE },
	{ "tx_1of2paths", prepare_kept, work_tx, 2, 1, FREE, SIZE },
	{ "tx_1of2paths_train", prepare_kept, work_tx, 2, TRAIN, FREE, SIZE },
	{ "rx", prepare_trains, work_rx, 1, 1, FREE, SIZE },
	{ "rx_train", prepare_trains, work_rx, 1, TRAIN, FREE, SIZE },
	{ "rx_copy", prepare_copies, work_copies, 2, 1, FREE, SIZE },
	{ "rx_copy_train", prepare_copies, work_copies, 2, TRAIN, FREE, SIZE },
};

/* callgrind counts from here to its end (--toggle-collect). */
void measured(const struct bench_case *c, struct world *w);
__attribute__((noinline)) void measured(const struct bench_case *c, struct world *w)
{
	c->work(w);
}

static void run_case(const struct bench_case *c)
{
	struct world w = { .now = START };

	w.pool = pool_create(&allocator, POOL);
	check(w.pool, "no memory");
	if (c->paths > 0)
		prepare_engines(&w, c);
	else
		prepare_sessions(&w, c);
	if (c->prepare)
		c->prepare(&w);
	w.done = 0;
	measured(c, &w);
	check(w.done == PAYLOADS, "not all payloads were worked on");
}

int main(int argc, char **argv)
{
	check(crypto_init() == 0, "libsodium");
	for (size_t n = 0; n < ARRAY_SIZE(cases); n++) {
		if (argc < 2) {
			printf("%s %u\n", cases[n].name, PAYLOADS);
		} else if (!strcmp(argv[1], cases[n].name)) {
			run_case(&cases[n]);
			return 0;
		}
	}
	if (argc < 2)
		return 0;
	fprintf(stderr, "bench-core: there is no case '%s'\n", argv[1]);
	return 2;
}
