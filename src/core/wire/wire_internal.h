/* SPDX-License-Identifier: MIT */
/*
 * wire_internal.h - the bodies of frames that wire.c does not read and write itself.
 */
#ifndef WARP_WIRE_INTERNAL_H
#define WARP_WIRE_INTERNAL_H

#include "cursor.h"
#include "warp/wire.h"

void frame_read_register_request(struct reader *r, struct frame_register_request *ret);
void frame_write_register_request(struct writer *w, const struct frame_register_request *f);
void frame_read_register_response(struct reader *r, struct frame_register_response *ret);
void frame_write_register_response(struct writer *w, const struct frame_register_response *f);
void frame_read_mapping_request(struct reader *r, struct frame_mapping_request *ret);
void frame_write_mapping_request(struct writer *w, const struct frame_mapping_request *f);
void frame_read_mapping_response(struct reader *r, struct frame_mapping_response *ret);
void frame_write_mapping_response(struct writer *w, const struct frame_mapping_response *f);
void frame_read_candidates(struct reader *r, struct frame_candidates *ret);
void frame_write_candidates(struct writer *w, const struct frame_candidates *f);
void frame_read_nat_test_request(struct reader *r, struct frame_nat_test_request *ret);
void frame_write_nat_test_request(struct writer *w, const struct frame_nat_test_request *f);
void frame_read_nat_test(struct reader *r, struct frame_nat_test *ret);
void frame_write_nat_test(struct writer *w, const struct frame_nat_test *f);

void frame_read_punch(struct reader *r, struct frame_punch *ret);
void frame_write_punch(struct writer *w, const struct frame_punch *f);
void frame_read_stripe(struct reader *r, struct frame_stripe *ret);
void frame_write_stripe(struct writer *w, const struct frame_stripe *f);
/* Could frame_read_stripe() read it again? */
bool frame_stripe_is_writable(const struct frame_stripe *f);
void frame_read_tally(struct reader *r, struct frame_tally *ret);
void frame_write_tally(struct writer *w, const struct frame_tally *f);

void frame_read_relay(struct reader *r, struct frame_relay *ret);
void frame_write_relay(struct writer *w, const struct frame_relay *f);

#endif
