/* SPDX-License-Identifier: MIT */
/*
 * aead_fast.h - the data ciphers by intel-ipsec-mb, where the package and the CPU allow it.
 */
#ifndef WARP_AEAD_FAST_H
#define WARP_AEAD_FAST_H

#include "warp/crypto.h"

/* NULL: not built in, or this CPU lacks what would make it faster than libsodium. Call once, at
 * start; what it returns lasts as long as the process. */
const struct aead_ops *aead_ipsec_mb(void);

#endif
