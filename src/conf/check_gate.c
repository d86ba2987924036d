/* SPDX-License-Identifier: MIT */
/*
 * check_gate.c - secrets and gates: where one of several keys must be given, and which go together.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "warp/text.h"

int check_secret(struct reader *r, const struct mapping *m, const char *inline_key,
		 const char *file_key, bool required)
{
	bool is_inline = mapping_has(m, inline_key), in_file = mapping_has(m, file_key);

	if (is_inline && in_file)
		return reader_fail(r, mapping_place(m, file_key),
				   "%s and %s are both given; remove one of the two", inline_key,
				   file_key);
	if (required && !is_inline && !in_file)
		return reader_fail(r, m->place,
				   "%s is missing here; add it, and make the file with: umask 077; "
				   "warp genkey > FILE",
				   file_key);
	return 0;
}

/* Which keys belong to which kind of gate; the first of a kind makes a gate one. */
static const struct gate_key {
	const char *name;
	enum gate_kind kind;
	bool makes;
} gate_keys[] = {
	{ "tun", GATE_TUN, true },
	{ "address", GATE_TUN, false },
	{ "routes", GATE_TUN, false },
	{ "mtu", GATE_TUN, false },
	{ "application_to_gate", GATE_UDP, true },
	{ "gate_to_application", GATE_UDP, false },
	{ "path", GATE_UNIX, true },
	{ "type", GATE_UNIX, false },
	{ "mode", GATE_UNIX, false },
	{ "group", GATE_UNIX, false },
};

/* The one key that says what kind it is. NULL: there is none, or there are two, and that was told. */
static const struct gate_key *find_kind(struct reader *r, const struct mapping *m)
{
	const struct gate_key *found = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(gate_keys); i++) {
		if (!gate_keys[i].makes || !mapping_has(m, gate_keys[i].name))
			continue;
		if (found) {
			reader_fail(
				r, mapping_place(m, gate_keys[i].name),
				"a gate is one thing, but has both %s and %s; make two tunnels of "
				"it",
				found->name, gate_keys[i].name);
			return NULL;
		}
		found = &gate_keys[i];
	}
	if (!found)
		reader_fail(r, m->place,
			    "the gate is of no kind; give it one of tun, application_to_gate or "
			    "path");
	return found;
}

static int check_foreign_keys(struct reader *r, const struct mapping *m,
			      const struct gate_key *kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(gate_keys); i++) {
		if (gate_keys[i].kind != kind->kind && mapping_has(m, gate_keys[i].name))
			return reader_fail(r, mapping_place(m, gate_keys[i].name),
					   "%s has no meaning in a gate with %s; remove it",
					   gate_keys[i].name, kind->name);
	}
	return 0;
}

static int check_tun(struct reader *r, const struct conf_gate *gate)
{
	bool ipv6 = false;
	size_t i;

	for (i = 0; i < gate->address_count; i++)
		ipv6 |= gate->addresses[i].address.family == 6;
	for (i = 0; i < gate->route_count; i++)
		ipv6 |= gate->routes[i].address.family == 6;
	if (ipv6 && gate->mtu && gate->mtu < 1280)
		return reader_fail(
			r, reader_place(r, &gate->mtu),
			"mtu is %u; an interface with IPv6 needs at least 1280, or 'auto'",
			gate->mtu);
	return 0;
}

static int check_udp(struct reader *r, const struct conf_gate *gate)
{
	const struct endpoint *in = &gate->application_to_gate, *out = &gate->gate_to_application;

	if (out->address.family && out->address.family != in->address.family)
		return reader_fail(
			r, reader_place(r, out),
			"gate_to_application is IPv%d and application_to_gate IPv%d; use "
			"one of the two in both",
			out->address.family, in->address.family);
	if (endpoint_equal(in, out))
		return reader_fail(r, reader_place(r, out),
				   "gate_to_application is the gate itself; give the address at "
				   "which the application listens");
	return 0;
}

int check_gate(struct reader *r, const struct mapping *m)
{
	const struct gate_key *kind = find_kind(r, m);
	struct conf_gate *gate = m->base;
	int error = kind ? check_foreign_keys(r, m, kind) : -EINVAL;

	if (error)
		return error;
	gate->kind = kind->kind;
	if (gate->kind == GATE_TUN)
		return check_tun(r, gate);
	if (gate->kind == GATE_UDP)
		return check_udp(r, gate);
	return 0;
}
