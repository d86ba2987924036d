/* SPDX-License-Identifier: MIT */
/*
 * address.c - hosts, endpoints and prefixes in the configuration; see scalar.h.
 *
 * Each refusal shows how it should look, since most mistakes are a missing port or missing brackets.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "scalar.h"
#include "warp/text.h"
#include "warp/wire.h"

/* --- hosts: of others --------------------------------------------------------------------- */

/* Labels of letters, digits, - and _, and not something that is only meant to be an address. */
static bool is_host_name(const char *host)
{
	size_t label = 0;
	const char *p;

	if (host[strspn(host, "0123456789.")] == 0)
		return false;
	for (p = host; *p; p++) {
		if (*p == '.' && label == 0)
			return false;
		if (*p != '.' && !isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
		label = *p == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return p - host <= 253;
}

static int check_other(struct reader *r, const struct schema_key *key, const struct value *v,
		       const struct endpoint *e)
{
	if (e->port == 0)
		return reader_fail(r, v->place, "%s: the port of '%s' is 0; ports are 1 to 65535",
				   key->name, SHOWN(v));
	if (!endpoint_is_usable(e))
		return reader_fail(
			r, v->place,
			"%s: '%s' can never be the address of another host; use one that "
			"this host can send to",
			key->name, SHOWN(v));
	return 0;
}

/* "host:port" or "host" into ret. port: when none is written, 0: one must be. */
static int split_host(struct reader *r, const struct schema_key *key, const struct value *v,
		      u16 port, struct conf_host *ret)
{
	if (strchr(v->text, ':') || !port) {
		if (host_port_split(v->text, ret->host, sizeof(ret->host), &ret->port) == 0)
			return 0;
		return reader_fail(r, v->place,
				   "%s must be host:port, such as 198.51.100.7:51900, "
				   "[2001:db8::7]:51900 or host.example.net:51900, not '%s'",
				   key->name, SHOWN(v));
	}
	memcpy(ret->host, v->text, v->size + 1);
	ret->port = port;
	return 0;
}

static int read_host(struct reader *r, const struct schema_key *key, const struct value *v,
		     u16 port, struct conf_host *ret)
{
	int error;

	if (v->size >= sizeof(ret->host))
		return reader_fail(r, v->place, "%s has %zu characters; a host has at most 253",
				   key->name, v->size);
	memcpy(ret->text, v->text, v->size + 1);
	ret->numeric = endpoint_parse(v->text, &ret->endpoint) == 0;
	if (!ret->numeric && port && address_parse(v->text, &ret->endpoint.address) == 0) {
		ret->endpoint.port = port;
		ret->numeric = true;
	}
	if (ret->numeric) {
		address_format(ret->host, &ret->endpoint.address);
		ret->port = ret->endpoint.port;
		return check_other(r, key, v, &ret->endpoint);
	}
	error = split_host(r, key, v, port, ret);
	if (error)
		return error;
	if (!is_host_name(ret->host))
		return reader_fail(r, v->place,
				   "%s: '%s' is neither an address nor the name of a host",
				   key->name, VISIBLE(ret->host));
	if (ret->port == 0)
		return reader_fail(r, v->place, "%s: the port of '%s' is 0; ports are 1 to 65535",
				   key->name, SHOWN(v));
	return 0;
}

int parse_host(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	return read_host(r, key, v, 0, ret);
}

int parse_map_host(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	return read_host(r, key, v, WIRE_PORT_MAP, ret);
}

/* --- endpoints: of this host -------------------------------------------------------------- */

static int read_endpoint(struct reader *r, const struct schema_key *key, const struct value *v,
			 const char *example, struct endpoint *ret)
{
	struct endpoint e = { 0 };

	if (endpoint_parse(v->text, &e))
		return reader_fail(r, v->place, "%s must be address:port, such as %s, not '%s'",
				   key->name, example, SHOWN(v));
	if (e.port == 0)
		return reader_fail(r, v->place, "%s: the port of '%s' is 0; ports are 1 to 65535",
				   key->name, SHOWN(v));
	*ret = e;
	return 0;
}

int parse_listen(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	return read_endpoint(r, key, v, "0.0.0.0:13116 or [::]:13116", ret);
}

int parse_listen_tcp(struct reader *r, const struct schema_key *key, const struct value *v,
		     void *ret)
{
	return read_endpoint(r, key, v, "0.0.0.0:443 or [::]:443", ret);
}

int parse_loopback(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	struct endpoint e = { 0 };
	int error = read_endpoint(r, key, v, "127.1.0.1:9000 or [::1]:9000", &e);

	if (error)
		return error;
	if (!address_is_loopback(&e.address))
		return reader_fail(
			r, v->place,
			"%s: '%s' is not a loopback address; gates are for applications on "
			"this host: use one of 127.0.0.0/8, or [::1]",
			key->name, SHOWN(v));
	*(struct endpoint *)ret = e;
	return 0;
}

/* --- prefixes ----------------------------------------------------------------------------- */

static int read_prefix(struct reader *r, const struct schema_key *key, const struct value *v,
		       struct prefix *ret)
{
	struct prefix p = { 0 };
	struct address a;
	char text[ADDRESS_TEXT];
	size_t address_size = strcspn(v->text, "/");

	if (prefix_parse(v->text, &p) == 0) {
		*ret = p;
		return 0;
	}
	if (address_size < sizeof(text) && v->text[address_size]) {
		memcpy(text, v->text, address_size);
		text[address_size] = 0;
		if (address_parse(text, &a) == 0)
			return reader_fail(r, v->place,
					   "%s: '%s' has a wrong prefix length; it is 0 to %d",
					   key->name, SHOWN(v), a.family == 4 ? 32 : 128);
	}
	return reader_fail(r, v->place,
			   "%s must be an address with a prefix length, such as 10.44.0.2/32 or "
			   "2001:db8::/64, not '%s'",
			   key->name, SHOWN(v));
}

static void clear_host_bits(struct prefix *p)
{
	size_t size = p->address.family == 4 ? 4 : 16, i;

	for (i = 0; i < size; i++) {
		if (i * 8 >= p->bits)
			p->address.bytes[i] = 0;
		else if (p->bits - i * 8 < 8)
			p->address.bytes[i] &= (u8)(0xff00u >> (p->bits - i * 8));
	}
}

int parse_network(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	int error = read_prefix(r, key, v, ret);

	if (!error)
		clear_host_bits(ret);
	return error;
}

int parse_interface_address(struct reader *r, const struct schema_key *key, const struct value *v,
			    void *ret)
{
	struct prefix p = { 0 };
	int error = read_prefix(r, key, v, &p);

	if (error)
		return error;
	if (p.bits == 0 || address_is_special(&p.address))
		return reader_fail(
			r, v->place,
			"%s: '%s' cannot be the address of an interface; use one such as "
			"10.44.0.1/24",
			key->name, SHOWN(v));
	*(struct prefix *)ret = p;
	return 0;
}
