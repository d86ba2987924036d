/* SPDX-License-Identifier: MIT */
/*
 * wire_report.h - REPORT frames, whose body has a layout for each kind; wire.h draws them.
 */
#ifndef WARP_CORE_WIRE_REPORT_H
#define WARP_CORE_WIRE_REPORT_H

#include "cursor.h"
#include "warp/wire.h"

/* r holds exactly the body; it turns bad when that is none. */
void report_read(struct reader *r, struct frame_report *ret);
/* Could report_read() read it again? */
bool report_is_writable(const struct frame_report *f);
void report_write(struct writer *w, const struct frame_report *f);

#endif
