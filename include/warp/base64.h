/* SPDX-License-Identifier: MIT */
/*
 * base64.h - keys as people see them: 44 characters of base64 (RFC 4648), as `wg genkey` prints.
 *
 * Both directions take the same time whatever the key is, since keys may be private ones.
 */
#ifndef WARP_BASE64_H
#define WARP_BASE64_H

#include "warp/crypto.h"

#define KEY_TEXT_SIZE 45u /* with the final 0 */

void key_to_base64(char ret[static KEY_TEXT_SIZE], const u8 key[static KEY_SIZE]);

/* size is that of the text without a final 0. -EINVAL, with ret untouched: it is not exactly the
 * text that key_to_base64() makes of some key. An all-zero key is a key here. */
int key_from_base64(u8 ret[static KEY_SIZE], const char *text, size_t size);

#endif
