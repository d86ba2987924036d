/* SPDX-License-Identifier: MIT */
/*
 * wire_map.c - the bodies of what nodes and maps say to one another, and of what peers tell each other
 * in the same form; see wire.c.
 */
#include "wire_internal.h"

void frame_read_register_request(struct reader *r, struct frame_register_request *ret)
{
	struct frame_register_request f;

	f.interface = take_u16(r);
	take_endpoint(r, &f.lan);
	f.nat.mapping = take_u8(r);
	f.nat.filtering = take_u8(r);
	f.nat.flags = take_u8(r);
	f.nat.step = (i8)take_u8(r);
	take_endpoint(r, &f.mapped);
	f.proof = take_u64(r);
	if (!r->bad)
		*ret = f;
}

void frame_write_register_request(struct writer *w, const struct frame_register_request *f)
{
	give_u16(w, f->interface);
	give_endpoint(w, &f->lan);
	give_u8(w, f->nat.mapping);
	give_u8(w, f->nat.filtering);
	give_u8(w, f->nat.flags);
	give_u8(w, (u8)f->nat.step);
	give_endpoint(w, &f->mapped);
	give_u64(w, f->proof);
}

void frame_read_register_response(struct reader *r, struct frame_register_response *ret)
{
	struct frame_register_response f = { 0 };

	f.interface = take_u16(r);
	f.expiry = take_u16(r);
	take_endpoint(r, &f.observed);
	f.count = take_count(r, WIRE_OTHERS_MAX);
	for (u8 i = 0; i < f.count; i++)
		take_endpoint(r, &f.other[i]);
	f.proof = take_u64(r);
	if (!r->bad)
		*ret = f;
}

void frame_write_register_response(struct writer *w, const struct frame_register_response *f)
{
	give_u16(w, f->interface);
	give_u16(w, f->expiry);
	give_endpoint(w, &f->observed);
	give_u8(w, f->count);
	for (u8 i = 0; i < f->count; i++)
		give_endpoint(w, &f->other[i]);
	give_u64(w, f->proof);
}

void frame_read_mapping_request(struct reader *r, struct frame_mapping_request *ret)
{
	struct frame_mapping_request f;

	f.count = take_count(r, WIRE_KEYS_MAX);
	f.keys = take(r, f.count * (size_t)KEY_SIZE);
	if (!r->bad)
		*ret = f;
}

void frame_write_mapping_request(struct writer *w, const struct frame_mapping_request *f)
{
	give_u8(w, f->count);
	give_bytes(w, f->keys, f->count * (size_t)KEY_SIZE);
}

/* Their number, and so many. */
static u8 take_mappings(struct reader *r, struct wire_mapping ret[static WIRE_MAPPINGS_MAX])
{
	u8 count = take_count(r, WIRE_MAPPINGS_MAX);

	for (u8 i = 0; i < count; i++) {
		ret[i].interface = take_u8(r);
		take_endpoint(r, &ret[i].observed);
		take_endpoint(r, &ret[i].lan);
		take_endpoint(r, &ret[i].mapped);
	}
	return count;
}

static void give_mappings(struct writer *w, const struct wire_mapping *mapping, u8 count)
{
	give_u8(w, count);
	for (u8 i = 0; i < count; i++) {
		give_u8(w, mapping[i].interface);
		give_endpoint(w, &mapping[i].observed);
		give_endpoint(w, &mapping[i].lan);
		give_endpoint(w, &mapping[i].mapped);
	}
}

void frame_read_mapping_response(struct reader *r, struct frame_mapping_response *ret)
{
	struct frame_mapping_response f = { 0 };

	take_bytes(r, f.key, sizeof(f.key));
	f.flags = take_u8(r);
	f.handle = take_u32(r);
	f.count = take_mappings(r, f.mapping);
	if (!r->bad)
		*ret = f;
}

void frame_write_mapping_response(struct writer *w, const struct frame_mapping_response *f)
{
	give_bytes(w, f->key, sizeof(f->key));
	give_u8(w, f->flags);
	give_u32(w, f->handle);
	give_mappings(w, f->mapping, f->count);
}

void frame_read_candidates(struct reader *r, struct frame_candidates *ret)
{
	struct frame_candidates f = { 0 };

	f.number = take_u32(r);
	f.taken = take_u32(r);
	f.count = take_mappings(r, f.mapping);
	if (!r->bad)
		*ret = f;
}

void frame_write_candidates(struct writer *w, const struct frame_candidates *f)
{
	give_u32(w, f->number);
	give_u32(w, f->taken);
	give_mappings(w, f->mapping, f->count);
}

void frame_read_nat_test_request(struct reader *r, struct frame_nat_test_request *ret)
{
	struct frame_nat_test_request f;

	f.nonce = take_u64(r);
	f.how = take_u8(r);
	f.port = take_u16(r);
	if (!r->bad)
		*ret = f;
}

void frame_write_nat_test_request(struct writer *w, const struct frame_nat_test_request *f)
{
	give_u64(w, f->nonce);
	give_u8(w, f->how);
	give_u16(w, f->port);
}

void frame_read_nat_test(struct reader *r, struct frame_nat_test *ret)
{
	struct frame_nat_test f;

	f.nonce = take_u64(r);
	take_endpoint(r, &f.seen);
	if (!r->bad)
		*ret = f;
}

void frame_write_nat_test(struct writer *w, const struct frame_nat_test *f)
{
	give_u64(w, f->nonce);
	give_endpoint(w, &f->seen);
}

void frame_read_relay(struct reader *r, struct frame_relay *ret)
{
	struct frame_relay f;

	f.handle = take_u32(r);
	f.to = take_u8(r);
	f.from = take_u8(r);
	f.size = (u32)r->left;
	f.data = take(r, r->left);
	if (!r->bad)
		*ret = f;
}

void frame_write_relay(struct writer *w, const struct frame_relay *f)
{
	give_u32(w, f->handle);
	give_u8(w, f->to);
	give_u8(w, f->from);
	give_bytes(w, f->data, f->size);
}

void frame_put_relay_header(u8 p[static FRAME_RELAY_HEADER], const struct frame_relay *f)
{
	p[0] = FRAME_RELAY | FRAME_LAST;
	put_u32(p + 1, f->handle);
	p[5] = f->to;
	p[6] = f->from;
}
