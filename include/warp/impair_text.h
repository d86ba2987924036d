/* SPDX-License-Identifier: MIT */
/*
 * impair_text.h - impairments as a person writes them: words with values, in any order.
 *
 *   delay 20ms jitter 5ms smooth loss 1% burst 2% 30% rate 100mbit queue 50ms
 *   reorder 1% 5ms duplicate 0.1% corrupt 0.01%
 *
 *   delay TIME             every packet
 *   jitter TIME [smooth]   each packet up to so much more or less; smooth: the delay wanders
 *   loss SHARE             each packet by itself
 *   burst SHARE SHARE      a burst of losses begins and ends at so many of the packets
 *   rate RATE              bits a second, of whole packets
 *   queue TIME|SIZE        what may wait for the rate; 100ms when it is not said
 *   reorder SHARE [TIME]   these come so much later, 5ms when it is not said
 *   duplicate SHARE, corrupt SHARE
 *   down, up               nothing passes; something does
 *   none                   none of what there was so far
 *
 * TIME: us, ms, s. SHARE: %. RATE: bit, kbit, mbit, gbit. SIZE: b, kb, mb (thousands of bytes).
 * Fractions are decimals; 0 needs no unit, and switches off.
 */
#ifndef WARP_IMPAIR_TEXT_H
#define WARP_IMPAIR_TEXT_H

#include "warp/impair.h"

#define IMPAIR_TEXT 256u  /* of any configuration, with the final 0 */
#define IMPAIR_ERROR 192u /* of a message, with the final 0 */

/* Changes in *config what text says; the rest stays. 0, or -EINVAL with one line in ret_error, and
 * nothing changed. */
int impair_parse(const char *text, struct impair_config *config,
		 char ret_error[static IMPAIR_ERROR]);
/* The text of which impair_parse() makes config. Returns ret. */
const char *impair_format(char ret[static IMPAIR_TEXT], const struct impair_config *config);

#endif
