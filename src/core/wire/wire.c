/* SPDX-License-Identifier: MIT */
/*
 * wire.c - bytes to frames and back; the layouts are drawn in wire.h. What surrounds frames is in
 * datagram.c.
 *
 * A decoder reads all of its fields through a reader (see cursor.h) and is believed only when the
 * reader is still good at the end. Encoding goes through a writer in the same way, so each frame
 * has a read_ and a write_ function with the same lines in the same order.
 *
 * A result is written only when it is whole; what a failed call was given is left as it was.
 */
#include "warp/wire.h"

#include <errno.h>
#include <string.h>

#include "cursor.h"
#include "wire_internal.h"
#include "wire_report.h"
#include "wire_shard.h"

#define FRAME_HEADER_SIZE 3u /* type, length */
#define FRAGMENT_TOTAL_MAX 65536u

size_t wire_endpoint_size(const struct endpoint *e)
{
	return e->address.family == 4 ? 7 : e->address.family == 6 ? 19 : 1;
}

/* --- one pair a frame -------------------------------------------------------------------- */

static void read_payload(struct reader *r, struct frame_payload *ret)
{
	struct frame_payload f;

	f.tunnel = take_u16(r);
	f.sequence = take_u32(r);
	f.size = (u32)r->left;
	f.data = take(r, r->left);
	if (!r->bad)
		*ret = f;
}

static void write_payload(struct writer *w, const struct frame_payload *f)
{
	give_u16(w, f->tunnel);
	give_u32(w, f->sequence);
	give_bytes(w, f->data, f->size);
}

/* All fragments hold unit bytes but the one that ends the payload. */
static bool fragment_fits(const struct frame_fragment *f)
{
	u32 start = (u32)f->index * f->unit;

	if (!f->unit || start >= f->total)
		return false;
	return f->size == (f->total - start < f->unit ? f->total - start : f->unit);
}

static void read_fragment(struct reader *r, struct frame_fragment *ret)
{
	struct frame_fragment f = { 0 };

	f.tunnel = take_u16(r);
	f.sequence = take_u32(r);
	f.index = take_u8(r);
	f.unit = take_u16(r);
	f.total = take_u16(r) + 1u;
	f.size = (u32)r->left;
	f.data = take(r, r->left);
	if (!fragment_fits(&f))
		r->bad = true;
	if (!r->bad)
		*ret = f;
}

static void write_fragment(struct writer *w, const struct frame_fragment *f)
{
	give_u16(w, f->tunnel);
	give_u32(w, f->sequence);
	give_u8(w, f->index);
	give_u16(w, f->unit);
	give_u16(w, (u16)(f->total - 1));
	give_bytes(w, f->data, f->size);
}

/* At the end of the frame, if at all. One that this version does not know is not to be used if
 * anything else can be. */
static u8 take_cost(struct reader *r)
{
	const u8 cost = r->left ? take_u8(r) : COST_FREE;

	return cost < IFACE_COSTS ? cost : COST_BACKUP;
}

static void give_cost(struct writer *w, u8 cost)
{
	if (cost != COST_FREE)
		give_u8(w, cost);
}

static void read_probe(struct reader *r, struct frame_probe *ret)
{
	struct frame_probe f;

	f.stamp = take_u64(r);
	f.packets = take_u64(r);
	f.bytes = take_u64(r);
	f.cost = take_cost(r);
	if (!r->bad)
		*ret = f;
}

static void write_probe(struct writer *w, const struct frame_probe *f)
{
	give_u64(w, f->stamp);
	give_u64(w, f->packets);
	give_u64(w, f->bytes);
	give_cost(w, f->cost);
}

static void read_probe_reply(struct reader *r, struct frame_probe_reply *ret)
{
	struct frame_probe_reply f;

	f.stamp = take_u64(r);
	f.packets = take_u64(r);
	f.bytes = take_u64(r);
	take_endpoint(r, &f.seen);
	f.cost = take_cost(r);
	if (!r->bad)
		*ret = f;
}

static void write_probe_reply(struct writer *w, const struct frame_probe_reply *f)
{
	give_u64(w, f->stamp);
	give_u64(w, f->packets);
	give_u64(w, f->bytes);
	give_endpoint(w, &f->seen);
	give_cost(w, f->cost);
}

static void read_override(struct reader *r, struct endpoint *ret)
{
	struct endpoint e;

	take_endpoint(r, &e);
	if (!r->bad)
		*ret = e;
}

static void read_deadline(struct reader *r, u32 *ret)
{
	u32 deadline = take_u32(r);

	if (!r->bad)
		*ret = deadline;
}

static void read_deregister(struct reader *r, struct frame_deregister *ret)
{
	u16 interface = take_u16(r);

	if (!r->bad)
		ret->interface = interface;
}

static void read_close(struct reader *r, struct frame_close *ret)
{
	u8 reason = take_u8(r);

	if (!r->bad)
		ret->reason = reason;
}

/* --- frames ------------------------------------------------------------------------------ */

/* r holds exactly the body of a frame of this type. */
static void read_body(struct reader *r, u8 type, struct frame *ret)
{
	switch (type) {
	case FRAME_PAYLOAD:
		read_payload(r, &ret->payload);
		break;
	case FRAME_FRAGMENT:
		read_fragment(r, &ret->fragment);
		break;
	case FRAME_SHARD:
		shard_read(r, &ret->shard);
		break;
	case FRAME_STRIPE:
		frame_read_stripe(r, &ret->stripe);
		break;
	case FRAME_TALLY:
		frame_read_tally(r, &ret->tally);
		break;
	case FRAME_PROBE:
		read_probe(r, &ret->probe);
		break;
	case FRAME_PROBE_REPLY:
		read_probe_reply(r, &ret->probe_reply);
		break;
	case FRAME_OVERRIDE:
		read_override(r, &ret->override);
		break;
	case FRAME_CANDIDATES:
		frame_read_candidates(r, &ret->candidates);
		break;
	case FRAME_PUNCH:
		frame_read_punch(r, &ret->punch);
		break;
	case FRAME_REPORT:
		report_read(r, &ret->report);
		break;
	case FRAME_DEADLINE:
		read_deadline(r, &ret->deadline);
		break;
	case FRAME_REGISTER_REQUEST:
		frame_read_register_request(r, &ret->register_request);
		break;
	case FRAME_REGISTER_RESPONSE:
		frame_read_register_response(r, &ret->register_response);
		break;
	case FRAME_MAPPING_REQUEST:
		frame_read_mapping_request(r, &ret->mapping_request);
		break;
	case FRAME_MAPPING_RESPONSE:
		frame_read_mapping_response(r, &ret->mapping_response);
		break;
	case FRAME_DEREGISTER_REQUEST:
	case FRAME_DEREGISTER_RESPONSE:
		read_deregister(r, &ret->deregister);
		break;
	case FRAME_CLOSE:
		read_close(r, &ret->close);
		break;
	case FRAME_RELAY:
		frame_read_relay(r, &ret->relay);
		break;
	case FRAME_NAT_TEST_REQUEST:
		frame_read_nat_test_request(r, &ret->nat_test_request);
		break;
	case FRAME_NAT_TEST:
		frame_read_nat_test(r, &ret->nat_test);
		break;
	default: /* PADDING, or one that the caller skips */
		break;
	}
}

int frame_next(u8 **p, size_t *size, struct frame *ret)
{
	struct reader r = { .p = *p, .left = *size };
	struct reader body;
	u8 type;

	if (!r.left)
		return 0;
	type = take_u8(&r);
	body.left = type & FRAME_LAST ? r.left : take_u16(&r);
	body.p = take(&r, body.left);
	body.bad = r.bad;
	type = (u8)(type & ~FRAME_LAST);
	if (!body.bad)
		read_body(&body, type, ret);
	if (body.bad)
		return -EBADMSG;
	ret->type = type;
	*p = r.p;
	*size = r.left;
	return 1;
}

/* Could frame_next() read it again? */
static bool is_writable(const struct frame *f)
{
	switch (f->type) {
	case FRAME_FRAGMENT:
		return f->fragment.total <= FRAGMENT_TOTAL_MAX && fragment_fits(&f->fragment);
	case FRAME_SHARD:
		return shard_is_writable(&f->shard);
	case FRAME_STRIPE:
		return frame_stripe_is_writable(&f->stripe);
	case FRAME_CANDIDATES:
		return f->candidates.count <= WIRE_MAPPINGS_MAX;
	case FRAME_PUNCH:
		return f->punch.count <= WIRE_PORTS_MAX;
	case FRAME_REPORT:
		return report_is_writable(&f->report);
	case FRAME_REGISTER_RESPONSE:
		return f->register_response.count <= WIRE_OTHERS_MAX;
	case FRAME_MAPPING_REQUEST:
		return f->mapping_request.count <= WIRE_KEYS_MAX;
	case FRAME_MAPPING_RESPONSE:
		return f->mapping_response.count <= WIRE_MAPPINGS_MAX;
	case FRAME_PROBE:
		return f->probe.cost < IFACE_COSTS;
	case FRAME_PROBE_REPLY:
		return f->probe_reply.cost < IFACE_COSTS;
	case FRAME_PAYLOAD:
	case FRAME_TALLY:
	case FRAME_OVERRIDE:
	case FRAME_DEADLINE:
	case FRAME_REGISTER_REQUEST:
	case FRAME_DEREGISTER_REQUEST:
	case FRAME_DEREGISTER_RESPONSE:
	case FRAME_CLOSE:
	case FRAME_RELAY:
	case FRAME_NAT_TEST_REQUEST:
	case FRAME_NAT_TEST:
		return true;
	default:
		return false;
	}
}

static void write_body(struct writer *w, const struct frame *f)
{
	switch (f->type) {
	case FRAME_PAYLOAD:
		write_payload(w, &f->payload);
		break;
	case FRAME_FRAGMENT:
		write_fragment(w, &f->fragment);
		break;
	case FRAME_SHARD:
		shard_write(w, &f->shard);
		break;
	case FRAME_STRIPE:
		frame_write_stripe(w, &f->stripe);
		break;
	case FRAME_TALLY:
		frame_write_tally(w, &f->tally);
		break;
	case FRAME_PROBE:
		write_probe(w, &f->probe);
		break;
	case FRAME_PROBE_REPLY:
		write_probe_reply(w, &f->probe_reply);
		break;
	case FRAME_OVERRIDE:
		give_endpoint(w, &f->override);
		break;
	case FRAME_CANDIDATES:
		frame_write_candidates(w, &f->candidates);
		break;
	case FRAME_PUNCH:
		frame_write_punch(w, &f->punch);
		break;
	case FRAME_REPORT:
		report_write(w, &f->report);
		break;
	case FRAME_DEADLINE:
		give_u32(w, f->deadline);
		break;
	case FRAME_REGISTER_REQUEST:
		frame_write_register_request(w, &f->register_request);
		break;
	case FRAME_REGISTER_RESPONSE:
		frame_write_register_response(w, &f->register_response);
		break;
	case FRAME_MAPPING_REQUEST:
		frame_write_mapping_request(w, &f->mapping_request);
		break;
	case FRAME_MAPPING_RESPONSE:
		frame_write_mapping_response(w, &f->mapping_response);
		break;
	case FRAME_DEREGISTER_REQUEST:
	case FRAME_DEREGISTER_RESPONSE:
		give_u16(w, f->deregister.interface);
		break;
	case FRAME_CLOSE:
		give_u8(w, f->close.reason);
		break;
	case FRAME_RELAY:
		frame_write_relay(w, &f->relay);
		break;
	case FRAME_NAT_TEST_REQUEST:
		frame_write_nat_test_request(w, &f->nat_test_request);
		break;
	case FRAME_NAT_TEST:
		frame_write_nat_test(w, &f->nat_test);
		break;
	default: /* is_writable() has said no */
		break;
	}
}

int frame_put(u8 *p, size_t cap, const struct frame *f)
{
	struct writer w = { .p = p, .left = cap };
	size_t size;

	if (!is_writable(f))
		return -EINVAL;
	give_u8(&w, f->type);
	give_u16(&w, 0);
	write_body(&w, f);
	size = cap - w.left;
	if (w.full || size - FRAME_HEADER_SIZE > UINT16_MAX)
		return -EMSGSIZE;
	put_u16(p + 1, (u16)(size - FRAME_HEADER_SIZE));
	return (int)size;
}

void frame_pad(u8 *p, size_t size)
{
	memset(p, 0, size);
	p[0] = FRAME_PADDING | FRAME_LAST;
}

void frame_put_payload_header(u8 p[static FRAME_PAYLOAD_HEADER], u16 tunnel, u32 sequence)
{
	p[0] = FRAME_PAYLOAD | FRAME_LAST;
	put_u16(p + 1, tunnel);
	put_u32(p + 3, sequence);
}

void frame_put_deadline(u8 p[static FRAME_DEADLINE_SIZE], u32 deadline)
{
	p[0] = FRAME_DEADLINE;
	put_u16(p + 1, FRAME_DEADLINE_SIZE - FRAME_HEADER_SIZE);
	put_u32(p + 3, deadline);
}

void frame_put_fragment_header(u8 p[static FRAME_FRAGMENT_HEADER], const struct frame_fragment *f)
{
	p[0] = FRAME_FRAGMENT | FRAME_LAST;
	put_u16(p + 1, f->tunnel);
	put_u32(p + 3, f->sequence);
	p[7] = f->index;
	put_u16(p + 8, f->unit);
	put_u16(p + 10, (u16)(f->total - 1));
}
