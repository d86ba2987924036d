/* SPDX-License-Identifier: MIT */
/*
 * warn.c - what a configuration may say although it is hardly meant. Told, not refused.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "warp/impair_text.h"

#define WARNINGS_MOST 32u

__attribute__((format(printf, 4, 5))) static int warn(struct reader *r, struct conf *c,
						      struct place place, const char *format, ...)
{
	char text[512];
	size_t at = 0;
	va_list arguments;
	char *copy;

	if (c->warning_count == WARNINGS_MOST)
		return 0;
	if (place.line)
		at = (size_t)snprintf(text, sizeof(text), "%s:%u:%u: ", VISIBLE(r->file),
				      place.line, place.column);
	else
		at = (size_t)snprintf(text, sizeof(text), "%s: ", VISIBLE(r->file));
	va_start(arguments, format);
	vsnprintf(text + at, sizeof(text) - at, format, arguments);
	va_end(arguments);
	copy = reader_alloc(r, sizeof(text));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text, sizeof(text));
	c->warnings[c->warning_count++] = copy;
	return 0;
}

/* A routed tunnel sends a peer only what its allowed_ips hold. */
static int warn_unrouted(struct reader *r, struct conf *c, const struct conf_tunnel *t)
{
	size_t count = t->peer_count ? t->peer_count : c->peer_count, i;
	int error = 0;

	if (t->gate.kind != GATE_TUN)
		return 0;
	for (i = 0; !error && i < count; i++) {
		const struct conf_peer *peer = &c->peers[t->peer_count ? t->peers[i] : i];

		if (peer->allowed_ip_count == 0)
			error = warn(r, c, reader_place(r, peer->name),
				     "peer '%s' has no allowed_ips: nothing of %s goes to it, and "
				     "nothing of it is let in; add them",
				     peer->name, t->gate.tun);
	}
	return error;
}

static int warn_deadline(struct reader *r, struct conf *c, const struct conf_tunnel *t)
{
	if (t->send_deadline == 0 || t->send_deadline >= NS_PER_MS)
		return 0;
	return warn(r, c, reader_place(r, &t->send_deadline),
		    "send_deadline is below 1ms: under load most payloads will be dropped");
}

/* Of use for a test, and easily forgotten. */
static int warn_impair(struct reader *r, struct conf *c, const struct conf_tunnel *t)
{
	char text[IMPAIR_TEXT];

	if (!t->impair.on)
		return 0;
	return warn(r, c, reader_place(r, &t->impair),
		    "tunnel '%s' is impaired on purpose (%s): what applications send is delayed, "
		    "lost or spoiled; remove impair after the test",
		    t->name, impair_format(text, &t->impair.config));
}

static int warn_wait(struct reader *r, struct conf *c, const struct conf_tunnel *t)
{
	if (t->ordered || t->reorder_wait == 0)
		return 0;
	return warn(r, c, reader_place(r, &t->reorder_wait),
		    "reorder_wait has no effect without 'ordered: true'");
}

/* Nobody would ever hear of this node. */
static int warn_unreachable(struct reader *r, struct conf *c)
{
	size_t i;

	if (c->map_count || c->interfaces.listen_port)
		return 0;
	for (i = 0; i < c->peer_count; i++) {
		if (c->peers[i].endpoint_count)
			return 0;
	}
	return warn(
		r, c, (struct place){ 0 },
		"there is no warp_map, no peer has endpoints, and listen_port is not set: nobody "
		"can be reached; add one of them");
}

/* "wwan*", as in a shell: a star behind a letter or digit, where a name goes on with others. */
static bool is_shell_pattern(const char *pattern)
{
	const char *star = strchr(pattern, '*');

	return star && star > pattern && isalnum((unsigned char)star[-1]) && !star[1] &&
	       !strpbrk(pattern, ".[(|\\+?{^$");
}

static int warn_patterns(struct reader *r, struct conf *c)
{
	int error = 0;

	for (size_t i = 0; i < c->interfaces.policy_count; i++) {
		const struct conf_policy *p = &c->interfaces.policies[i];

		for (size_t n = 0; !error && n < p->match_count; n++) {
			const char *pattern = p->match[n];

			if (is_shell_pattern(pattern))
				error = warn(r, c, reader_place(r, &p->match[n]),
					     "match '%s' is a regular expression; for every name "
					     "that begins so write '%s.*'",
					     VISIBLE(pattern),
					     visible((char[CONF_TEXT]){ 0 }, CONF_TEXT, pattern,
						     strlen(pattern) - 1));
		}
	}
	return error;
}

int check_warnings(struct reader *r, struct conf *c)
{
	size_t i;
	int error;

	c->warnings = reader_alloc(r, WARNINGS_MOST * sizeof(*c->warnings));
	if (!c->warnings)
		return -ENOMEM;
	error = warn_unreachable(r, c);
	if (!error)
		error = warn_patterns(r, c);
	for (i = 0; !error && i < c->tunnel_count; i++) {
		error = warn_unrouted(r, c, &c->tunnels[i]);
		if (!error)
			error = warn_deadline(r, c, &c->tunnels[i]);
		if (!error)
			error = warn_impair(r, c, &c->tunnels[i]);
		if (!error)
			error = warn_wait(r, c, &c->tunnels[i]);
	}
	return error;
}
