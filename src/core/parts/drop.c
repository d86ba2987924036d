/* SPDX-License-Identifier: MIT */
/*
 * drop.c - the names of the drop reasons.
 *
 * They are part of what scripts read (`warp status --json`), so a name once given stays. The table
 * has one entry a reason, which the static_assert holds.
 */
#include "warp/drop.h"

static const char *const names[] = {
	[DROP_NONE] = "none",
	[DROP_MALFORMED] = "malformed",
	[DROP_BAD_MAC] = "bad_mac",
	[DROP_BAD_AUTH] = "bad_auth",
	[DROP_UNKNOWN_INDEX] = "unknown_index",
	[DROP_UNKNOWN_PEER] = "unknown_peer",
	[DROP_DUPLICATE] = "duplicate",
	[DROP_TOO_OLD] = "too_old",
	[DROP_EXPIRED_SESSION] = "expired_session",
	[DROP_RATE_LIMITED] = "rate_limited",
	[DROP_UNCONFIRMED] = "unconfirmed",
	[DROP_COOKIE_REQUIRED] = "cookie_required",
	[DROP_UNKNOWN_IFACE] = "unknown_iface",
	[DROP_BAD_FRAME] = "bad_frame",
	[DROP_NO_TUNNEL] = "no_tunnel",
	[DROP_NOT_ALLOWED] = "not_allowed",
	[DROP_NO_PEER] = "no_peer",
	[DROP_NO_SESSION] = "no_session",
	[DROP_NO_PATH] = "no_path",
	[DROP_TOO_LARGE] = "too_large",
	[DROP_DEADLINE] = "deadline",
	[DROP_QUEUE_FULL] = "queue_full",
	[DROP_CONGESTION] = "congestion",
	[DROP_SLOW_PATH] = "slow_path",
	[DROP_NO_BUFFER] = "no_buffer",
	[DROP_INCOMPLETE] = "incomplete",
	[DROP_EXPIRED] = "expired",
	[DROP_LATE] = "late",
	[DROP_SEND_ERROR] = "send_error",
	[DROP_GATE_FULL] = "gate_full",
	[DROP_GATE_CLOSED] = "gate_closed",
};

_Static_assert(ARRAY_SIZE(names) == DROP_REASONS, "a drop reason has no name");

const char *drop_reason_name(enum drop_reason reason)
{
	if ((unsigned)reason >= DROP_REASONS || !names[reason])
		return "unknown";
	return names[reason];
}
