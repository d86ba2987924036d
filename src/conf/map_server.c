/* SPDX-License-Identifier: MIT */
/*
 * map_server.c - what warp-map's configuration may say. warp-map.yaml(5) tells the same in prose.
 */
#include <string.h>

#include "check.h"
#include "load.h"
#include "scalar.h"
#include "warp/mapserver.h"
#include "warp/text.h"

#define MAX_LISTENERS 64u

static int check_listen(struct reader *r, const char *name, const struct endpoint *listen,
			size_t count)
{
	size_t i, k;

	for (i = 0; i < count; i++) {
		for (k = 0; k < i; k++) {
			if (endpoint_equal(&listen[i], &listen[k]))
				return reader_fail(r, reader_place(r, &listen[i]),
						   "%s: %s is there twice; remove one", name,
						   endpoint_text(&listen[i]));
		}
	}
	return 0;
}

static int finish(struct reader *r, const struct mapping *m)
{
	struct conf_map_server *c = m->base;
	int error = check_secret(r, m, "private_key", "private_key_file", true);

	if (error)
		return error;
	identity_from_private(&c->identity, c->identity.private_key);
	error = check_listen(r, "listen", c->listen, c->listen_count);
	return error ? error : check_listen(r, "listen_tcp", c->listen_tcp, c->listen_tcp_count);
}

#define RELAY_RATE_MIN 8000u /* bits a second */
#define RELAY_RATE_MAX UINT64_C(100000000000)
#define AT(member) offsetof(struct conf_map_server, member)
static const struct schema_key keys[] = {
	{ .name = "private_key", .offset = AT(identity.private_key), .parse = parse_secret },
	{ .name = "private_key_file",
	  .offset = AT(identity.private_key),
	  .parse = parse_secret_file },
	{ .name = "listen",
	  .shape = SHAPE_LIST,
	  .offset = AT(listen),
	  .count_offset = AT(listen_count),
	  .size = sizeof(struct endpoint),
	  .most = MAX_LISTENERS,
	  .parse = parse_listen,
	  .fallback = "0.0.0.0:13116 [::]:13116" },
	{ .name = "listen_tcp",
	  .shape = SHAPE_LIST,
	  .offset = AT(listen_tcp),
	  .count_offset = AT(listen_tcp_count),
	  .size = sizeof(struct endpoint),
	  .most = MAX_LISTENERS,
	  .parse = parse_listen_tcp,
	  .fallback = "0.0.0.0:443 [::]:443",
	  .may_be_empty = true },
	{ .name = "client_expiry",
	  .offset = AT(client_expiry),
	  .parse = parse_duration,
	  .min = NS_PER_S,
	  .max = 3600 * NS_PER_S,
	  .fallback = "60s" },
	{ .name = "max_nodes",
	  .offset = AT(max_nodes),
	  .parse = parse_u32,
	  .min = 1,
	  .max = MAPSERVER_MAX_NODES,
	  .fallback = "100000" },
	{ .name = "relay_limit",
	  .offset = AT(relay_limit),
	  .parse = parse_rate,
	  .max = RELAY_RATE_MAX,
	  .fallback = "20mbit" },
	{ .name = "relay_total_limit",
	  .offset = AT(relay_total_limit),
	  .parse = parse_rate,
	  .min = RELAY_RATE_MIN,
	  .max = RELAY_RATE_MAX,
	  .fallback = "1gbit" },
	{ .name = "allowed_clients",
	  .shape = SHAPE_LIST,
	  .offset = AT(allowed_clients),
	  .count_offset = AT(allowed_client_count),
	  .size = KEY_SIZE,
	  .most = 100000,
	  .parse = parse_public_key },
};
#undef AT
static const struct schema schema = SCHEMA(keys, finish);

static int load(const struct source *source, struct conf_map_server **ret,
		struct conf_error *ret_error)
{
	void *loaded = NULL;
	int error =
		load_struct(source, &schema, sizeof(struct conf_map_server), &loaded, ret_error);

	if (!error)
		*ret = loaded;
	return error;
}

int conf_load_map_server(const char *path, struct conf_map_server **ret,
			 struct conf_error *ret_error)
{
	return load(&(struct source){ .name = path }, ret, ret_error);
}

int conf_parse_map_server(const char *name, const void *data, size_t size,
			  struct conf_map_server **ret, struct conf_error *ret_error)
{
	return load(&(struct source){ name, data ? data : "", size }, ret, ret_error);
}

void conf_map_server_free(struct conf_map_server *c)
{
	load_free(c);
}
