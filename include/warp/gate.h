/* SPDX-License-Identifier: MIT */
/*
 * gate.h - the application's end of a tunnel: a loopback UDP socket, a Unix socket or a TUN
 * interface, behind one interface.
 *
 * A gate shows one descriptor to poll for reading (gates of several sockets show an epoll
 * descriptor), knows no event loop and never blocks. The loop's part:
 *
 *   fd readable        -> gate_readable(): at most one batch of payloads goes to engine_send()
 *   a delivery for it  -> gate_deliver(): may keep it until gate_flush()
 *   gate_next_expiry() -> gate_expire(): what was held back on purpose goes to engine_send()
 *   outboxes drained   -> gate_flush(), then gate_settle(): while it returns true, it has given the
 *                         engine more, which has to be drained again
 *
 * What cannot be read or delivered is counted with the tunnel (engine_gate_dropped()).
 */
#ifndef WARP_GATE_H
#define WARP_GATE_H

#include "warp/conf.h"
#include "warp/engine.h"

#define GATE_TEXT 160u /* of gate_describe() */

struct gate;

/* When to ask again whether what the engine has handed over for the tunnel has left the host (ns); 0:
 * it has. */
typedef u64 (*gate_waits)(void *ctx, u16 tunnel);

struct gate_ops {
	void (*readable)(struct gate *g, u64 now);
	/* Takes over the reference to d->buf. */
	void (*deliver)(struct gate *g, const struct delivery *d);
	void (*flush)(struct gate *g);           /* NULL: deliver keeps nothing */
	bool (*settle)(struct gate *g, u64 now); /* NULL: no back-pressure */
	/* NULL: it has none to follow. */
	bool (*set_mtu)(struct gate *g, u32 mtu, bool may_lower);
	void (*close)(struct gate *g);
};

struct gate {
	const struct gate_ops *ops;
	struct engine *engine;
	struct pool *pool;
	u32 reserve;  /* buffers of the pool that a gate leaves to others */
	bool offload; /* large packets and trains between the kernel and the gate, where it can */
	u16 tunnel;   /* whose gate it is; may be set anew when the tunnel is added anew */
	gate_waits waits; /* NULL: what the engine has handed over has left */
	void *ctx;
	u64 again;                  /* to be settled then, 0: no need to */
	int fd;                     /* to poll for reading */
	struct gate_impair *impair; /* NULL: what applications send goes into the tunnel as it is */
	/* Its socket or interface was taken away, as the gate has logged: stop polling, close it,
	 * open it again. */
	bool broken;
};

struct gate_options {
	struct engine *engine;
	struct pool *pool;
	u32 reserve;  /* what applications send must not keep the network's datagrams out */
	bool offload; /* not of gates that impair: there, each payload has its own luck */
	u16 tunnel;
	gate_waits waits; /* NULL: that is not known */
	void *ctx;
	struct conf_impair impair; /* UDP and TUN */
};

/* Open the gate that conf describes. 0, or -errno with ret_error filled: one line that names the
 * gate, what is wrong and what to do; of a TUN it is empty: the log has the whole. conf is
 * not kept. */
int gate_open(struct gate **ret, const struct gate_options *options, const struct conf_gate *conf,
	      struct conf_error *ret_error);
int gate_open_udp(struct gate **ret, const struct gate_options *options,
		  const struct conf_gate *conf, struct conf_error *ret_error);
int gate_open_unix(struct gate **ret, const struct gate_options *options,
		   const struct conf_gate *conf, struct conf_error *ret_error);
int gate_open_tun(struct gate **ret, const struct gate_options *options,
		  const struct conf_gate *conf, struct conf_error *ret_error);

/* "tun warp0", "udp 127.1.0.1:9000", "unix /run/x.sock seqpacket". Returns text. */
const char *gate_describe(const struct conf_gate *conf, char text[static GATE_TEXT]);
/* Do two configurations describe the same gate? */
bool gate_conf_equal(const struct conf_gate *a, const struct conf_gate *b);

/* What gates share; gate.c. */
/* One that is not open yet. */
struct gate gate_begin(const struct gate_ops *ops, const struct gate_options *options);
/* Counts so many payloads that could not be read or delivered. */
void gate_drop(struct gate *g, enum drop_reason reason, u32 count);
/* Why sending to the application failed with this errno; closed: for what no other reason fits. */
enum drop_reason gate_send_failed(int error, enum drop_reason closed);

/* A buffer to read into, or NULL: there is none for gates. */
static inline struct buf *gate_buf(struct gate *g)
{
	return pool_available(g->pool) > g->reserve ? buf_get(g->pool) : NULL;
}

/* --- gate_impair.c: a gate that is bad on purpose ------------------------------------------ */

/* Also while payloads are held back: these go out as they were to. -ENOMEM; on to on cannot fail. */
int gate_impair_configure(struct gate *g, const struct impair_config *config);
/* Takes over the reference to b, whose bytes are copied meanwhile. */
void gate_impair_send(struct gate *g, u64 now, struct buf *b);
u64 gate_impair_next_expiry(const struct gate *g);
void gate_impair_expire(struct gate *g, u64 now);
/* Payloads that the gate has dropped on purpose. */
u64 gate_impair_dropped(const struct gate *g);
/* What is held back is forgotten. */
void gate_impair_close(struct gate *g);

/* A payload of the application, to the engine. Takes over the reference to b. */
static inline void gate_send(struct gate *g, u64 now, struct buf *b)
{
	if (g->impair)
		gate_impair_send(g, now, b);
	else
		engine_send(g->engine, now, g->tunnel, b);
}

static inline u64 gate_next_expiry(const struct gate *g)
{
	u64 again = g->again ? g->again : TIME_NEVER;

	return g->impair ? time_min(again, gate_impair_next_expiry(g)) : again;
}

static inline void gate_expire(struct gate *g, u64 now)
{
	if (g->impair)
		gate_impair_expire(g, now);
}

/* Reads at most one batch. */
static inline void gate_readable(struct gate *g, u64 now)
{
	g->ops->readable(g, now);
}

static inline void gate_deliver(struct gate *g, const struct delivery *d)
{
	g->ops->deliver(g, d);
}

static inline void gate_flush(struct gate *g)
{
	if (g->ops->flush)
		g->ops->flush(g);
}

/* True: the engine has been given something, drain it and ask again. */
static inline bool gate_settle(struct gate *g, u64 now)
{
	return g->ops->settle && g->ops->settle(g, now);
}

/* The largest payload that the tunnel carries in one datagram. True: what the gate has is larger,
 * and was left so because it may not be lowered yet. */
static inline bool gate_set_mtu(struct gate *g, u32 mtu, bool may_lower)
{
	return g->ops->set_mtu && g->ops->set_mtu(g, mtu, may_lower);
}

/* Frees it; sockets that it made in the file system are removed. NULL is allowed. */
static inline void gate_close(struct gate *g)
{
	if (!g)
		return;
	gate_impair_close(g);
	g->ops->close(g);
}

#endif
