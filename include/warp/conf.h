/* SPDX-License-Identifier: MIT */
/*
 * conf.h - the configuration files of warpd and warp-map, checked and turned into structs.
 *
 * Every mistake is told once, as file:line:column, what is wrong, and what to do.
 */
#ifndef WARP_CONF_H
#define WARP_CONF_H

#include "warp/allowedips.h"
#include "warp/crypto.h"
#include "warp/engine.h"
#include "warp/impair.h"

#define CONF_CONTROL_SOCKET "/run/warp/warpd.sock"
#define CONF_TEXT 256u

/* "host:port", "1.2.3.4:5" or "[2001:db8::1]:5": resolved at run time unless it is a number. */
struct conf_host {
	char text[CONF_TEXT];
	char host[CONF_TEXT];
	u16 port;
	bool numeric;
	struct endpoint endpoint; /* when numeric */
};

/* What is said of interfaces of some name. */
struct conf_policy {
	char **match; /* patterns */
	size_t match_count;
	struct iface_policy policy;
	u64 monthly_quota;          /* bytes in both directions, 0: none */
	enum iface_cost over_quota; /* what the interface is when they are used up */
};

struct conf_interfaces {
	u64 scan_interval;      /* ns */
	u64 keepalive_interval; /* ns, holepunch_keep_alive_interval */
	char **inclusion_patterns;
	size_t inclusion_count;
	char **exclusion_patterns;
	size_t exclusion_count;
	bool bind_to_device;
	u16 listen_port; /* 0: the kernel chooses */
	u32 max_consecutive_failures;
	bool port_mapping;
	u64 port_mapping_lifetime;    /* ns */
	struct conf_policy *policies; /* the first that matches applies */
	size_t policy_count;
};

struct conf_map {
	struct conf_host address;
	u8 public_key[KEY_SIZE];
	u16 tcp_port; /* where it takes TCP connections; 0: it is not asked for any */
};

struct conf_peer {
	char name[NAME_SIZE];
	u8 public_key[KEY_SIZE];
	u8 preshared_key[KEY_SIZE];
	struct conf_host *endpoints;
	size_t endpoint_count;
	struct prefix *allowed_ips;
	size_t allowed_ip_count;
};

enum gate_kind { GATE_TUN, GATE_UDP, GATE_UNIX };
enum unix_kind { UNIX_SEQPACKET, UNIX_DGRAM };

struct conf_gate {
	enum gate_kind kind;
	/* GATE_TUN */
	char tun[IFNAME_SIZE];
	struct prefix *addresses; /* address with prefix length */
	size_t address_count;
	struct prefix *routes; /* `routes: [..]`, besides allowed_ips, which are not routed alone */
	size_t route_count;
	u32 mtu; /* 0: auto */
	/* GATE_UDP */
	struct endpoint application_to_gate;
	struct endpoint gate_to_application; /* family 0: the last local sender */
	/* GATE_UNIX */
	char path[108];
	enum unix_kind type;
	u32 mode;              /* 0600 */
	char group[CONF_TEXT]; /* "": unchanged */
};

/* What is done, on purpose, to what applications send. */
struct conf_impair {
	bool on;
	struct impair_config config;
};

enum redundancy_mode { MODE_REPLICATE, MODE_SHARDS, MODE_STRIPE, MODE_AUTO };

struct conf_tunnel {
	char name[NAME_SIZE];
	u16 id;
	u16 *peers;        /* indices into peers[] */
	char **peer_names; /* the same, as written */
	size_t peer_count; /* 0: all */
	struct conf_gate gate;
	u32 mtu;           /* transport.mtu, 0: what fits */
	u64 send_deadline; /* ns, 0: none */
	enum redundancy_mode mode;
	u32 copies;                /* 0: all */
	u32 num_shards;            /* of the mode shards, as the next two */
	u32 required_shards;       /* any so many of them rebuild a block */
	u64 max_delay;             /* ns */
	struct plan_target target; /* of the mode auto; all zero: of another */
	bool ordered;
	u64 reorder_wait; /* ns, 0: auto */
	struct conf_impair impair;
};

#define CONF_SPIN_AUTO TIME_NEVER /* a little, where there is more than one processor */

enum conf_crypto { CRYPTO_AUTO, CRYPTO_LIBSODIUM, CRYPTO_IPSEC_MB };

struct conf {
	struct identity identity;
	enum cipher cipher;      /* CIPHER_NONE: the best that both ends have */
	enum conf_crypto crypto; /* whose implementation of it */
	bool offload;            /* large packets and trains between the kernel and warpd */
	int nice;                /* priority of the process, -20 (first) to 19 */
	u64 spin; /* ns to look again before sleeping while data flows; CONF_SPIN_AUTO */
	char control_socket[108];
	char state_directory[CONF_TEXT]; /* "": what systemd says, or /var/lib/warp */
	struct conf_interfaces interfaces;
	struct conf_map *maps;
	size_t map_count;
	struct conf_peer *peers;
	size_t peer_count;
	struct conf_tunnel *tunnels;
	size_t tunnel_count;
	char **warnings; /* what is allowed, but is hardly meant; for the log, one line each */
	size_t warning_count;
};

struct conf_map_server {
	struct identity identity;
	struct endpoint *listen;
	size_t listen_count;
	struct endpoint *listen_tcp;
	size_t listen_tcp_count;
	u64 client_expiry; /* ns */
	u32 max_nodes;
	u64 relay_limit, relay_total_limit; /* bits a second that a node, that all may send through
					     * the map; relay_limit 0: nothing is forwarded */
	u8 *allowed_clients;                /* KEY_SIZE each; NULL: anybody */
	size_t allowed_client_count;
};

struct conf_error {
	char text[1024]; /* "file:line:column: what is wrong", one line */
};

/* 0 and *ret; or -EINVAL (what the file says), -errno of opening it, with ret_error filled. Keys in
 * files of their own are read as well; relative names are relative to the configuration's folder.
 * crypto_init() must have run. */
int conf_load(const char *path, struct conf **ret, struct conf_error *ret_error);
/* The same from memory; name stands for the file in messages. */
int conf_parse(const char *name, const void *data, size_t size, struct conf **ret,
	       struct conf_error *ret_error);
/* Wipes the keys. NULL is allowed. */
void conf_free(struct conf *c);

int conf_load_map_server(const char *path, struct conf_map_server **ret,
			 struct conf_error *ret_error);
int conf_parse_map_server(const char *name, const void *data, size_t size,
			  struct conf_map_server **ret, struct conf_error *ret_error);
void conf_map_server_free(struct conf_map_server *c);

/* The commented configurations that `warp example` and `warp example --map` print, once {private},
 * {public}, {map} and {peer} are replaced by keys. */
extern const char conf_example[];
extern const char conf_example_map[];

#endif
