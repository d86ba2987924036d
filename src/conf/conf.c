/* SPDX-License-Identifier: MIT */
/*
 * conf.c - what warpd's configuration may say: the tables. warp.yaml(5) tells the same in prose.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "load.h"
#include "policy.h"
#include "redundancy.h"
#include "scalar.h"
#include "warp/impair_text.h"
#include "warp/reorder.h"

/* --- interfaces --------------------------------------------------------------------------- */

#define AT(member) offsetof(struct conf_interfaces, member)
static const struct schema_key interface_keys[] = {
	{ .name = "interface_scan_interval",
	  .offset = AT(scan_interval),
	  .parse = parse_duration,
	  .min = 100 * NS_PER_MS,
	  .max = 3600 * NS_PER_S,
	  .fallback = "10s" },
	{ .name = "holepunch_keep_alive_interval",
	  .offset = AT(keepalive_interval),
	  .parse = parse_duration,
	  .min = 100 * NS_PER_MS,
	  .max = 600 * NS_PER_S,
	  .fallback = "5s" },
	{ .name = "inclusion_patterns",
	  .shape = SHAPE_LIST,
	  .offset = AT(inclusion_patterns),
	  .count_offset = AT(inclusion_count),
	  .size = sizeof(char *),
	  .most = 64,
	  .parse = parse_pattern,
	  .fallback = ".*" },
	{ .name = "exclusion_patterns",
	  .shape = SHAPE_LIST,
	  .offset = AT(exclusion_patterns),
	  .count_offset = AT(exclusion_count),
	  .size = sizeof(char *),
	  .most = 64,
	  .parse = parse_pattern,
	  .fallback = "docker.* veth.* wg.*",
	  .may_be_empty = true },
	{ .name = "bind_to_device",
	  .offset = AT(bind_to_device),
	  .parse = parse_bool,
	  .fallback = "true" },
	{ .name = "listen_port",
	  .offset = AT(listen_port),
	  .parse = parse_u16,
	  .max = 65535,
	  .fallback = "0" },
	{ .name = "max_consecutive_failures",
	  .offset = AT(max_consecutive_failures),
	  .parse = parse_u32,
	  .min = 1,
	  .max = 1000000,
	  .fallback = "10" },
	{ .name = "port_mapping",
	  .offset = AT(port_mapping),
	  .parse = parse_bool,
	  .fallback = "true" },
	{ .name = "port_mapping_lifetime",
	  .offset = AT(port_mapping_lifetime),
	  .parse = parse_duration,
	  .min = 4 * NS_PER_S,
	  .max = 24 * 3600 * NS_PER_S,
	  .fallback = "1h" },
	{ .name = "policy",
	  .shape = SHAPE_MAPPINGS,
	  .offset = AT(policies),
	  .count_offset = AT(policy_count),
	  .size = sizeof(struct conf_policy),
	  .most = MAX_IFACES,
	  .inner = &policy_schema },
};
#undef AT
static const struct schema interfaces = SCHEMA(interface_keys, NULL);

/* --- warp_map, far_gate ------------------------------------------------------------------- */

#define AT(member) offsetof(struct conf_map, member)
static const struct schema_key map_keys[] = {
	{ .name = "address", .offset = AT(address), .parse = parse_map_host, .required = true },
	{ .name = "public_key",
	  .offset = AT(public_key),
	  .parse = parse_public_key,
	  .required = true },
	{ .name = "tcp_port",
	  .offset = AT(tcp_port),
	  .parse = parse_u16,
	  .max = UINT16_MAX,
	  .fallback = "443" },
};
#undef AT
static const struct schema map = SCHEMA(map_keys, NULL);

#define AT(member) offsetof(struct conf_peer, member)
static const struct schema_key peer_keys[] = {
	{ .name = "name",
	  .offset = AT(name),
	  .parse = parse_name,
	  .size = NAME_SIZE,
	  .required = true },
	{ .name = "public_key",
	  .offset = AT(public_key),
	  .parse = parse_public_key,
	  .required = true },
	{ .name = "preshared_key", .offset = AT(preshared_key), .parse = parse_secret },
	{ .name = "preshared_key_file", .offset = AT(preshared_key), .parse = parse_secret_file },
	{ .name = "endpoints",
	  .shape = SHAPE_LIST,
	  .offset = AT(endpoints),
	  .count_offset = AT(endpoint_count),
	  .size = sizeof(struct conf_host),
	  .most = MAX_PEER_ENDPOINTS,
	  .parse = parse_host },
	{ .name = "allowed_ips",
	  .shape = SHAPE_LIST,
	  .offset = AT(allowed_ips),
	  .count_offset = AT(allowed_ip_count),
	  .size = sizeof(struct prefix),
	  .most = 4096,
	  .parse = parse_network },
};
#undef AT

static int finish_peer(struct reader *r, const struct mapping *m)
{
	return check_secret(r, m, "preshared_key", "preshared_key_file", false);
}

static const struct schema peer = SCHEMA(peer_keys, finish_peer);

/* --- tunnels: the gate -------------------------------------------------------------------- */

static int parse_unix_kind(struct reader *r, const struct schema_key *key, const struct value *v,
			   void *ret)
{
	static const char *const words[] = {
		[UNIX_SEQPACKET] = "seqpacket", [UNIX_DGRAM] = "dgram", NULL
	};
	size_t index;
	int error = parse_choice(r, key, v, words, &index);

	if (!error)
		*(enum unix_kind *)ret = (enum unix_kind)index;
	return error;
}

#define AT(member) offsetof(struct conf_gate, member)
static const struct schema_key gate_keys[] = {
	{ .name = "tun", .offset = AT(tun), .parse = parse_ifname },
	{ .name = "address",
	  .shape = SHAPE_LIST,
	  .offset = AT(addresses),
	  .count_offset = AT(address_count),
	  .size = sizeof(struct prefix),
	  .most = 32,
	  .parse = parse_interface_address },
	{ .name = "routes",
	  .shape = SHAPE_LIST,
	  .offset = AT(routes),
	  .count_offset = AT(route_count),
	  .size = sizeof(struct prefix),
	  .most = 4096,
	  .parse = parse_network },
	{ .name = "mtu",
	  .offset = AT(mtu),
	  .parse = parse_mtu,
	  .min = 576,
	  .max = 65535,
	  .fallback = "auto" },
	{ .name = "application_to_gate",
	  .offset = AT(application_to_gate),
	  .parse = parse_loopback },
	{ .name = "gate_to_application",
	  .offset = AT(gate_to_application),
	  .parse = parse_loopback },
	{ .name = "path",
	  .offset = AT(path),
	  .parse = parse_socket_path,
	  .size = sizeof(((struct conf_gate *)0)->path) },
	{ .name = "type", .offset = AT(type), .parse = parse_unix_kind, .fallback = "seqpacket" },
	{ .name = "mode", .offset = AT(mode), .parse = parse_mode, .fallback = "0600" },
	{ .name = "group", .offset = AT(group), .parse = parse_name, .size = CONF_TEXT },
};
#undef AT
static const struct schema gate = SCHEMA(gate_keys, check_gate);

/* --- tunnels: how they are transported ---------------------------------------------------- */

/* "auto" is 0. */
static int parse_reorder_wait(struct reader *r, const struct schema_key *key, const struct value *v,
			      void *ret)
{
	if (v->text[0] >= '0' && v->text[0] <= '9')
		return parse_duration(r, key, v, ret);
	if (strcmp(v->text, "auto") != 0)
		return reader_fail(r, v->place,
				   "%s must be 'auto' or a duration such as 50ms, not '%s'",
				   key->name, SHOWN(v));
	*(u64 *)ret = 0;
	return 0;
}

#define AT(member) offsetof(struct conf_tunnel, member)
static const struct schema_key transport_keys[] = {
	{ .name = "mtu",
	  .offset = AT(mtu),
	  .parse = parse_mtu,
	  .min = 256,
	  .max = 65535,
	  .fallback = "auto" },
	{ .name = "ordered", .offset = AT(ordered), .parse = parse_bool, .fallback = "false" },
	{ .name = "reorder_wait",
	  .offset = AT(reorder_wait),
	  .parse = parse_reorder_wait,
	  .min = REORDER_WAIT_MIN,
	  .max = REORDER_WAIT_MAX,
	  .fallback = "auto" },
	{ .name = "send_deadline",
	  .offset = AT(send_deadline),
	  .parse = parse_duration,
	  .max = 60 * NS_PER_S,
	  .fallback = "0" },
	{ .name = "redundancy", .shape = SHAPE_MAPPING, .inner = &redundancy_schema },
};
static const struct schema transport = SCHEMA(transport_keys, NULL);

/* struct conf_impair; "none" is off. */
static int parse_impair(struct reader *r, const struct schema_key *key, const struct value *v,
			void *ret)
{
	char error[IMPAIR_ERROR], text[IMPAIR_TEXT];
	struct conf_impair *impair = ret;

	if (impair_parse(v->text, &impair->config, error))
		return reader_fail(r, v->place, "%s: %s", key->name, VISIBLE(error));
	impair->on = strcmp(impair_format(text, &impair->config), "none") != 0;
	return 0;
}

/* A Unix gate takes from its application only what is handed on at once. */
static int finish_tunnel(struct reader *r, const struct mapping *m)
{
	const struct conf_tunnel *t = m->base;

	if (t->gate.kind != GATE_UNIX || !mapping_has(m, "impair"))
		return 0;
	return reader_fail(
		r, mapping_place(m, "impair"),
		"impair has no meaning with a Unix gate, which holds nothing back; remove "
		"it, or use a gate with application_to_gate");
}

static const struct schema_key tunnel_keys[] = {
	{ .name = "name",
	  .offset = AT(name),
	  .parse = parse_name,
	  .size = NAME_SIZE,
	  .required = true },
	{ .name = "tunnel_id", .offset = AT(id), .parse = parse_u16, .min = 1, .max = 65535 },
	{ .name = "peers",
	  .shape = SHAPE_LIST,
	  .offset = AT(peer_names),
	  .count_offset = AT(peer_count),
	  .size = sizeof(char *),
	  .most = MAX_PEERS,
	  .parse = parse_word },
	{ .name = "gate",
	  .shape = SHAPE_MAPPING,
	  .offset = AT(gate),
	  .inner = &gate,
	  .required = true },
	{ .name = "transport", .shape = SHAPE_MAPPING, .inner = &transport },
	{ .name = "impair", .offset = AT(impair), .parse = parse_impair },
};
#undef AT
static const struct schema tunnel = SCHEMA(tunnel_keys, finish_tunnel);

/* --- the whole ---------------------------------------------------------------------------- */

static int finish_conf(struct reader *r, const struct mapping *m)
{
	struct conf *c = m->base;
	int error = check_secret(r, m, "private_key", "private_key_file", true);

	if (error)
		return error;
	identity_from_private(&c->identity, c->identity.private_key);
	error = check_conf(r, c);
	if (!error)
		error = check_warnings(r, c);
	return error;
}

static int parse_cipher(struct reader *r, const struct schema_key *key, const struct value *v,
			void *ret)
{
	static const char *const words[] = {
		[CIPHER_NONE] = "auto",
		[CIPHER_CHACHA20_POLY1305] = "chacha20-poly1305",
		[CIPHER_AES_256_GCM] = "aes-256-gcm",
		NULL,
	};
	size_t index;
	int error = parse_choice(r, key, v, words, &index);

	if (!error)
		*(enum cipher *)ret = (enum cipher)index;
	return error;
}

static int parse_crypto(struct reader *r, const struct schema_key *key, const struct value *v,
			void *ret)
{
	static const char *const words[] = {
		[CRYPTO_AUTO] = "auto",
		[CRYPTO_LIBSODIUM] = "libsodium",
		[CRYPTO_IPSEC_MB] = "ipsec-mb",
		NULL,
	};
	size_t index;
	int error = parse_choice(r, key, v, words, &index);

	if (!error)
		*(enum conf_crypto *)ret = (enum conf_crypto)index;
	return error;
}

static int parse_nice(struct reader *r, const struct schema_key *key, const struct value *v,
		      void *ret)
{
	char *end;
	long nice = strtol(v->text, &end, 10);

	if (end == v->text || *end || nice < -20 || nice > 19)
		return reader_fail(r, v->place,
				   "%s must be a whole number from -20 to 19, not '%s'", key->name,
				   SHOWN(v));
	*(int *)ret = (int)nice;
	return 0;
}

static int parse_directory(struct reader *r, const struct schema_key *key, const struct value *v,
			   void *ret)
{
	if (v->text[0] != '/')
		return reader_fail(r, v->place, "%s '%s' must be the absolute path of a directory",
				   key->name, SHOWN(v));
	if (v->size >= key->size)
		return reader_fail(r, v->place, "%s has %zu characters; at most %zu are possible",
				   key->name, v->size, key->size - 1);
	memcpy(ret, v->text, v->size + 1);
	return 0;
}

/* "auto" is CONF_SPIN_AUTO. */
static int parse_spin(struct reader *r, const struct schema_key *key, const struct value *v,
		      void *ret)
{
	if (strcmp(v->text, "auto") != 0)
		return parse_duration(r, key, v, ret);
	*(u64 *)ret = CONF_SPIN_AUTO;
	return 0;
}

#define AT(member) offsetof(struct conf, member)
static const struct schema_key top_keys[] = {
	{ .name = "private_key", .offset = AT(identity.private_key), .parse = parse_secret },
	{ .name = "private_key_file",
	  .offset = AT(identity.private_key),
	  .parse = parse_secret_file },
	{ .name = "cipher", .offset = AT(cipher), .parse = parse_cipher, .fallback = "auto" },
	{ .name = "crypto", .offset = AT(crypto), .parse = parse_crypto, .fallback = "auto" },
	{ .name = "offload", .offset = AT(offload), .parse = parse_bool, .fallback = "true" },
	{ .name = "nice", .offset = AT(nice), .parse = parse_nice, .fallback = "-10" },
	{ .name = "spin",
	  .offset = AT(spin),
	  .parse = parse_spin,
	  .max = NS_PER_MS,
	  .fallback = "auto" },
	{ .name = "control_socket",
	  .offset = AT(control_socket),
	  .parse = parse_socket_path,
	  .size = sizeof(((struct conf *)0)->control_socket),
	  .fallback = CONF_CONTROL_SOCKET },
	{ .name = "state_directory",
	  .offset = AT(state_directory),
	  .parse = parse_directory,
	  .size = sizeof(((struct conf *)0)->state_directory) },
	{ .name = "interfaces",
	  .shape = SHAPE_MAPPING,
	  .offset = AT(interfaces),
	  .inner = &interfaces },
	{ .name = "warp_map",
	  .shape = SHAPE_MAPPINGS,
	  .offset = AT(maps),
	  .count_offset = AT(map_count),
	  .size = sizeof(struct conf_map),
	  .most = MAX_MAPS,
	  .inner = &map },
	{ .name = "far_gate",
	  .shape = SHAPE_MAPPINGS,
	  .offset = AT(peers),
	  .count_offset = AT(peer_count),
	  .size = sizeof(struct conf_peer),
	  .most = MAX_PEERS,
	  .inner = &peer,
	  .required = true },
	{ .name = "tunnels",
	  .shape = SHAPE_MAPPINGS,
	  .offset = AT(tunnels),
	  .count_offset = AT(tunnel_count),
	  .size = sizeof(struct conf_tunnel),
	  .most = MAX_TUNNELS,
	  .inner = &tunnel,
	  .required = true },
};
#undef AT
static const struct schema top = SCHEMA(top_keys, finish_conf);

static int load(const struct source *source, struct conf **ret, struct conf_error *ret_error)
{
	void *loaded = NULL;
	int error = load_struct(source, &top, sizeof(struct conf), &loaded, ret_error);

	if (!error)
		*ret = loaded;
	return error;
}

int conf_load(const char *path, struct conf **ret, struct conf_error *ret_error)
{
	return load(&(struct source){ .name = path }, ret, ret_error);
}

int conf_parse(const char *name, const void *data, size_t size, struct conf **ret,
	       struct conf_error *ret_error)
{
	return load(&(struct source){ name, data ? data : "", size }, ret, ret_error);
}

void conf_free(struct conf *c)
{
	load_free(c);
}
