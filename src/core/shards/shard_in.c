/* SPDX-License-Identifier: MIT */
/*
 * shard_in.c - shards that come in.
 *
 *   slots    payload n has slot n mod SHARD_IN_PAYLOADS: it was delivered, and its copy may still be
 *            there; or it is missing, and this block waits for it
 *   waiting  blocks that wait, a ring: the oldest gives way
 *   done     which payloads were rebuilt, or put together of fragments, for as far back as late
 *            datagrams are taken at all: a window of sequences, as that of counters
 *
 * Sequences far from the newest are from another life of the sender, and everything begins anew; so
 * it does when only such come that are too old for the slots. Blocks that began before that are
 * not looked at: some of their payloads may have been delivered.
 */
#include "warp/shard_in.h"

#include <string.h>

#include "warp/replay.h"

#define JUMP (1 << 22) /* as for what is lost in a tunnel */
/* So many in a row that are too old, and all begins anew, unless they are of what is known to have come. */
#define OLD_RUN 256u
#define KEEP_MARGIN (300 * NS_PER_MS) /* paths may differ by as much */
#define FIRST_COUNTER (UINT64_C(1) << 33)

enum slot_state { SLOT_EMPTY, SLOT_DELIVERED, SLOT_MISSING };

struct slot {
	u32 sequence;
	u8 state;
	u32 waiting; /* MISSING: position of the block */
	struct shard_place copy;
};

struct shard_in {
	struct shard_view *counts;
	struct pool *pool;
	struct shard_store store;
	bool begun;
	u32 newest, oldest; /* sequences; nothing before the oldest is known */
	u64 newest_counter; /* of done */
	u32 old_run;
	u64 wait;
	struct replay done;
	u64 done_map[REPLAY_BITS_PEER / 64];
	struct slot slots[SHARD_IN_PAYLOADS];
	u32 head, tail; /* free running */
	u32 piece_blocks;
	struct shard_waiting waiting[SHARD_IN_BLOCKS];
	u32 rebuilt_count, rebuilt_next;
	struct shard_rebuilt rebuilt[RS_MISSING_MAX];
};

/* --- sequences ------------------------------------------------------------------------------- */

static i64 after(u32 sequence, u32 other)
{
	return (int32_t)(sequence - other);
}

static void begin(struct shard_in *in, u32 sequence)
{
	memset(in->done_map, 0, sizeof(in->done_map));
	replay_init(&in->done, in->done_map, REPLAY_BITS_PEER);
	memset(in->slots, 0, sizeof(in->slots));
	memset(in->waiting, 0, sizeof(in->waiting));
	in->head = in->tail = in->piece_blocks = 0;
	in->begun = true;
	in->newest = in->oldest = sequence;
	in->newest_counter = FIRST_COUNTER;
	in->old_run = 0;
}

/* False: it is too old to be remembered. first: of what comes with it. */
static bool follow(struct shard_in *in, u32 first, u32 sequence)
{
	const i64 ahead = after(sequence, in->newest);
	const bool old = ahead <= -(i64)SHARD_IN_PAYLOADS;

	in->old_run = ahead <= -(i64)REPLAY_BITS_PEER ? in->old_run + 1 : 0;
	if (!in->begun || ahead > JUMP || ahead < -JUMP || in->old_run > OLD_RUN) {
		begin(in, first);
		in->newest = sequence;
		return true;
	}
	if (ahead > 0) {
		in->newest = sequence;
		in->newest_counter += (u64)ahead;
	}
	return !old;
}

static u64 counter(const struct shard_in *in, u32 sequence)
{
	return in->newest_counter + (u64)after(sequence, in->newest);
}

static void set_done(struct shard_in *in, u32 sequence)
{
	if (replay_check(&in->done, counter(in, sequence)) == REPLAY_FRESH)
		replay_commit(&in->done, counter(in, sequence));
}

bool shard_in_is_whole(const struct shard_in *in, u32 sequence)
{
	return in->begun && replay_check(&in->done, counter(in, sequence)) == REPLAY_DUPLICATE;
}

static struct slot *slot_at(struct shard_in *in, u32 sequence)
{
	return &in->slots[sequence % SHARD_IN_PAYLOADS];
}

static bool slot_is(const struct slot *s, u32 sequence, enum slot_state state)
{
	return s->state == state && s->sequence == sequence;
}

/* --- blocks that wait ------------------------------------------------------------------------ */

static struct shard_waiting *waiting_at(struct shard_in *in, u32 position)
{
	struct shard_waiting *w = &in->waiting[position % SHARD_IN_BLOCKS];

	return position - in->head < in->tail - in->head && w->used ? w : NULL;
}

void shard_in_close(struct shard_in *in, struct shard_waiting *w)
{
	in->piece_blocks -= w->pieces;
	w->used = false;
	while (in->head != in->tail && !in->waiting[in->head % SHARD_IN_BLOCKS].used)
		in->head++;
}

static void give_up_oldest(struct shard_in *in)
{
	in->counts->unrecoverable++;
	shard_in_close(in, &in->waiting[in->head % SHARD_IN_BLOCKS]);
}

static struct shard_waiting *waiting_add(struct shard_in *in, u64 now, const struct frame_shard *f)
{
	struct shard_waiting *w;

	if (in->tail - in->head == SHARD_IN_BLOCKS)
		give_up_oldest(in);
	w = &in->waiting[in->tail++ % SHARD_IN_BLOCKS];
	*w = (struct shard_waiting){ .used = true,
				     .pieces = f->kind == SHARD_PIECE_PARITY,
				     .count = f->count,
				     .first = f->index,
				     .step = f->step,
				     .unit = f->unit,
				     .total = f->total,
				     .sequence = f->sequence,
				     .size = f->size,
				     .since = now };
	in->piece_blocks += w->pieces;
	return w;
}

/* Of one block all parity says the same, but for which it is. */
static bool agrees(const struct shard_waiting *w, const struct frame_shard *f)
{
	return w->sequence == f->sequence && w->count == f->count && w->size == f->size &&
	       (w->pieces ? w->first == f->index && w->unit == f->unit && w->total == f->total :
			    w->step == f->step);
}

static bool has_parity(const struct shard_waiting *w, u8 index)
{
	for (u32 j = 0; j < w->parity_count; j++) {
		if (w->index[j] == index)
			return true;
	}
	return false;
}

static enum drop_reason add_parity(struct shard_in *in, u64 now, struct shard_waiting *w,
				   const struct frame_shard *f)
{
	u8 *copy;

	if (!agrees(w, f) || has_parity(w, f->parity))
		return DROP_BAD_FRAME;
	copy = shard_store_put(&in->store, now, in->wait + KEEP_MARGIN, f->size,
			       &w->parity[w->parity_count]);
	if (!copy)
		return DROP_NO_BUFFER;
	memcpy(copy, f->data, f->size);
	w->index[w->parity_count++] = f->parity;
	return DROP_NONE;
}

void shard_in_fill(struct shard_in *in, const struct shard_waiting *w, struct rs_block *ret)
{
	ret->parity_count = 0;
	for (u32 j = 0; j < w->parity_count; j++) {
		u8 *parity = shard_store_get(&in->store, &w->parity[j]);

		if (!parity)
			continue;
		ret->parity_index[ret->parity_count] = w->index[j];
		ret->parity[ret->parity_count++] = parity;
	}
}

/* --- rebuilding ------------------------------------------------------------------------------ */

static u32 sequence_of(const struct shard_waiting *w, u32 i)
{
	return w->sequence + i * w->step;
}

/* What has come of a block of payloads, as far as it is still there. */
static void collect(struct shard_in *in, const struct shard_waiting *w, struct rs_block *ret)
{
	ret->count = w->count;
	ret->size = w->size;
	for (u32 i = 0; i < w->count; i++) {
		const struct slot *s = slot_at(in, sequence_of(w, i));

		ret->data[i] = (struct rs_shard){ 0 };
		if (slot_is(s, sequence_of(w, i), SLOT_DELIVERED))
			ret->data[i] = (struct rs_shard){ shard_store_get(&in->store, &s->copy),
							  s->copy.size };
	}
	shard_in_fill(in, w, ret);
}

/* A rebuilt data shard, at BUF_HEADROOM - SHARD_SIZE_BYTES in buf: what it says it is, unless its payload
 * was delivered long ago. */
static void take_rebuilt(struct shard_in *in, u32 sequence, u32 shard_size, struct buf *buf)
{
	const u32 size = get_u16(buf_data(buf) - SHARD_SIZE_BYTES);
	struct slot *s = slot_at(in, sequence);

	if (!slot_is(s, sequence, SLOT_MISSING) || size == 0 ||
	    size > shard_size - SHARD_SIZE_BYTES) {
		buf_put(buf);
		return;
	}
	*s = (struct slot){ .sequence = sequence, .state = SLOT_DELIVERED };
	set_done(in, sequence);
	in->counts->rebuilt++;
	buf->length = size;
	in->rebuilt[in->rebuilt_count++] =
		(struct shard_rebuilt){ sequence, buf_data(buf), size, buf };
}

/* Buffers for the missing shards. */
static bool get_buffers(struct shard_in *in, u32 count, struct buf **ret, u8 **ret_to)
{
	if (pool_available(in->pool) < count)
		return false;
	for (u32 n = 0; n < count; n++) {
		ret[n] = buf_get(in->pool);
		ret_to[n] = buf_data(ret[n]) - SHARD_SIZE_BYTES;
	}
	return true;
}

/* Rebuilds what is missing of a block of payloads if there is enough of it. */
static void solve(struct shard_in *in, struct shard_waiting *w)
{
	struct buf *bufs[RS_MISSING_MAX] = { NULL };
	u8 *to[RS_MISSING_MAX];
	struct rs_block b = { 0 };
	u32 missing, at = 0;

	collect(in, w, &b);
	missing = rs_missing(&b);
	if (missing > b.parity_count || missing > RS_MISSING_MAX ||
	    !get_buffers(in, missing, bufs, to))
		return;
	if (rs_rebuild(&b, to)) {
		for (u32 i = 0; i < b.count && at < missing; i++) {
			if (!b.data[i].bytes)
				take_rebuilt(in, sequence_of(w, i), w->size, bufs[at++]);
		}
	}
	for (; at < missing; at++)
		buf_put(bufs[at]);
	shard_in_close(in, w);
}

bool shard_in_next(struct shard_in *in, struct shard_rebuilt *ret)
{
	if (in->rebuilt_next == in->rebuilt_count) {
		in->rebuilt_next = in->rebuilt_count = 0;
		return false;
	}
	*ret = in->rebuilt[in->rebuilt_next++];
	return true;
}

/* --- payloads -------------------------------------------------------------------------------- */

static void keep_copy(struct shard_in *in, u64 now, struct slot *s, const u8 *data, u32 size)
{
	u8 *copy = shard_store_put(&in->store, now, in->wait + KEEP_MARGIN, SHARD_SIZE_BYTES + size,
				   &s->copy);

	if (!copy)
		return;
	put_u16(copy, (u16)size);
	memcpy(copy + SHARD_SIZE_BYTES, data, size);
}

enum drop_reason shard_in_payload(struct shard_in *in, u64 now, u32 sequence, const u8 *data,
				  u32 size)
{
	struct slot *s = slot_at(in, sequence);
	struct shard_waiting *w = NULL;

	if (shard_in_is_whole(in, sequence))
		return DROP_DUPLICATE;
	if (!follow(in, sequence, sequence))
		return DROP_NONE;
	if (slot_is(s, sequence, SLOT_DELIVERED))
		return DROP_DUPLICATE;
	if (slot_is(s, sequence, SLOT_MISSING))
		w = waiting_at(in, s->waiting);
	*s = (struct slot){ .sequence = sequence, .state = SLOT_DELIVERED };
	keep_copy(in, now, s, data, size);
	if (w)
		solve(in, w);
	return DROP_NONE;
}

/* The first payload of the block that has not come, or NULL. */
static struct slot *first_missing(struct shard_in *in, const struct frame_shard *f)
{
	for (u32 i = 0; i < f->count; i++) {
		const u32 sequence = f->sequence + i * f->step;
		struct slot *s = slot_at(in, sequence);

		if (!slot_is(s, sequence, SLOT_DELIVERED))
			return s;
	}
	return NULL;
}

/* What has not come of the block is missing from now on. */
static struct shard_waiting *wait_for_rest(struct shard_in *in, u64 now,
					   const struct frame_shard *f)
{
	struct shard_waiting *w = waiting_add(in, now, f);

	for (u32 i = 0; i < f->count; i++) {
		const u32 sequence = f->sequence + i * f->step;
		struct slot *s = slot_at(in, sequence);

		if (!slot_is(s, sequence, SLOT_DELIVERED))
			*s = (struct slot){ .sequence = sequence,
					    .state = SLOT_MISSING,
					    .waiting = in->tail - 1 };
	}
	return w;
}

enum drop_reason shard_in_parity(struct shard_in *in, u64 now, const struct frame_shard *f)
{
	const u32 span = (f->count - 1u) * f->step;
	struct shard_waiting *w = NULL;
	enum drop_reason reason;
	struct slot *s;

	if (span >= SHARD_IN_SPAN)
		return DROP_BAD_FRAME;
	if (!follow(in, f->sequence, f->sequence + span) || after(f->sequence, in->oldest) < 0 ||
	    after(f->sequence, in->newest) <= -(i64)SHARD_IN_PAYLOADS)
		return DROP_NONE;
	in->wait = f->wait * NS_PER_MS;
	s = first_missing(in, f);
	if (!s)
		return DROP_NONE;
	if (s->state == SLOT_MISSING)
		w = waiting_at(in, s->waiting);
	if (!w || w->pieces || w->sequence != f->sequence)
		w = wait_for_rest(in, now, f);
	reason = add_parity(in, now, w, f);
	if (reason == DROP_NONE)
		solve(in, w);
	return reason;
}

/* --- fragments ------------------------------------------------------------------------------- */

static struct shard_waiting *find_pieces(struct shard_in *in, u32 sequence, u8 index)
{
	for (u32 at = in->head; in->piece_blocks && at != in->tail; at++) {
		struct shard_waiting *w = waiting_at(in, at);

		if (w && w->pieces && w->sequence == sequence && index >= w->first &&
		    index - w->first < w->count)
			return w;
	}
	return NULL;
}

struct shard_waiting *shard_in_pieces(struct shard_in *in, u32 sequence, u8 index)
{
	return find_pieces(in, sequence, index);
}

void shard_in_set_whole(struct shard_in *in, u32 sequence)
{
	if (!follow(in, sequence, sequence))
		return;
	set_done(in, sequence);
	for (u32 at = in->head; in->piece_blocks && at != in->tail; at++) {
		struct shard_waiting *w = waiting_at(in, at);

		if (w && w->pieces && w->sequence == sequence)
			shard_in_close(in, w);
	}
}

enum drop_reason shard_in_piece_parity(struct shard_in *in, u64 now, const struct frame_shard *f)
{
	struct shard_waiting *w;

	if (!follow(in, f->sequence, f->sequence) || after(f->sequence, in->oldest) < 0 ||
	    shard_in_is_whole(in, f->sequence))
		return DROP_NONE;
	w = find_pieces(in, f->sequence, f->index);
	return add_parity(in, now, w ? w : waiting_add(in, now, f), f);
}

/* --- time ------------------------------------------------------------------------------------ */

u64 shard_in_wait(const struct shard_in *in)
{
	return in->wait;
}

u64 shard_in_next_expiry(const struct shard_in *in)
{
	u64 at = time_after(SHARD_IN_TIME, shard_store_oldest(&in->store));

	if (in->head != in->tail)
		at = time_min(at, in->waiting[in->head % SHARD_IN_BLOCKS].since + SHARD_IN_TIME);
	return at;
}

void shard_in_expire(struct shard_in *in, u64 now)
{
	while (in->head != in->tail &&
	       in->waiting[in->head % SHARD_IN_BLOCKS].since + SHARD_IN_TIME <= now)
		give_up_oldest(in);
	if (now >= SHARD_IN_TIME)
		shard_store_forget(&in->store, now - SHARD_IN_TIME + 1);
}

/* --- life ------------------------------------------------------------------------------------ */

struct shard_in *shard_in_create(const struct allocator *a, struct pool *pool,
				 struct shard_budget *budget, struct shard_view *counts)
{
	struct shard_in *in = mem_alloc(a, sizeof(*in));

	if (!in)
		return NULL;
	in->counts = counts;
	in->pool = pool;
	in->store.pool = pool;
	in->store.budget = budget;
	return in;
}

void shard_in_destroy(const struct allocator *a, struct shard_in *in)
{
	struct shard_rebuilt r;

	if (!in)
		return;
	while (shard_in_next(in, &r))
		buf_put(r.buf);
	shard_store_forget(&in->store, TIME_NEVER);
	mem_free(a, in, sizeof(*in));
}
