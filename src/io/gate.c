/* SPDX-License-Identifier: MIT */
/*
 * gate.c - what all gates have in common: from a configuration to the gate, or to its name.
 */
#include "warp/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "warp/text.h"

struct gate gate_begin(const struct gate_ops *ops, const struct gate_options *options)
{
	return (struct gate){ .ops = ops,
			      .engine = options->engine,
			      .pool = options->pool,
			      .tunnel = options->tunnel,
			      .waits = options->waits,
			      .ctx = options->ctx,
			      .reserve = options->reserve,
			      .offload = options->offload,
			      .fd = -1 };
}

void gate_drop(struct gate *g, enum drop_reason reason, u32 count)
{
	while (count--)
		engine_gate_dropped(g->engine, g->tunnel, reason);
}

enum drop_reason gate_send_failed(int error, enum drop_reason closed)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM:
		return DROP_GATE_FULL;
	case EMSGSIZE:
		return DROP_TOO_LARGE;
	default:
		return closed;
	}
}

static int open_kind(struct gate **ret, const struct gate_options *options,
		     const struct conf_gate *conf, struct conf_error *ret_error)
{
	switch (conf->kind) {
	case GATE_TUN:
		return gate_open_tun(ret, options, conf, ret_error);
	case GATE_UDP:
		return gate_open_udp(ret, options, conf, ret_error);
	case GATE_UNIX:
	default:
		return gate_open_unix(ret, options, conf, ret_error);
	}
}

int gate_open(struct gate **ret, const struct gate_options *options, const struct conf_gate *conf,
	      struct conf_error *ret_error)
{
	struct gate_options own = *options;
	struct gate *g;
	int error;

	if (own.impair.on)
		own.offload = false;
	error = open_kind(&g, &own, conf, ret_error);
	if (error)
		return error;
	if (own.impair.on)
		error = gate_impair_configure(g, &own.impair.config);
	if (error) {
		snprintf(ret_error->text, sizeof(ret_error->text), "impair: %s", strerror(-error));
		gate_close(g);
		return error;
	}
	*ret = g;
	return 0;
}

const char *gate_describe(const struct conf_gate *conf, char text[static GATE_TEXT])
{
	switch (conf->kind) {
	case GATE_TUN:
		snprintf(text, GATE_TEXT, "tun %s", conf->tun);
		break;
	case GATE_UDP:
		snprintf(text, GATE_TEXT, "udp %s", endpoint_text(&conf->application_to_gate));
		break;
	case GATE_UNIX:
		snprintf(text, GATE_TEXT, "unix %s %s", conf->path,
			 conf->type == UNIX_DGRAM ? "dgram" : "seqpacket");
		break;
	}
	return text;
}

static bool prefixes_equal(const struct prefix *a, size_t a_count, const struct prefix *b,
			   size_t b_count)
{
	size_t i;

	if (a_count != b_count)
		return false;
	for (i = 0; i < a_count; i++) {
		if (a[i].bits != b[i].bits || !address_equal(&a[i].address, &b[i].address))
			return false;
	}
	return true;
}

bool gate_conf_equal(const struct conf_gate *a, const struct conf_gate *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case GATE_TUN:
		return !strcmp(a->tun, b->tun) && a->mtu == b->mtu &&
		       prefixes_equal(a->addresses, a->address_count, b->addresses,
				      b->address_count) &&
		       prefixes_equal(a->routes, a->route_count, b->routes, b->route_count);
	case GATE_UDP:
		return endpoint_equal(&a->application_to_gate, &b->application_to_gate) &&
		       endpoint_equal(&a->gate_to_application, &b->gate_to_application);
	case GATE_UNIX:
	default:
		return !strcmp(a->path, b->path) && a->type == b->type && a->mode == b->mode &&
		       !strcmp(a->group, b->group);
	}
}
