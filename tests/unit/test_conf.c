/* SPDX-License-Identifier: MIT */
/*
 * test_conf.c - good configurations become the right structs. The mistakes are in
 * test_conf_errors.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "warp/base64.h"
#include "warp/conf.h"
#include "warp/text.h"

/* Keys that nobody has. */
#define PRIVATE_1 "qI5rrRwhkx0Zi8BnHOmiM1A+1BcZhPPxEhWtmoFPHXQ="
#define KEY_2 "Xo1yK0rA8k0xYrsVh9gMXgJSu1GNMy5RwGJcVzU0wWk="
#define KEY_3 "q5Z1WWMLF8oJm0v1pIV0yQm4tTn4h9yPpFQHcXsmDVM="
#define PSK "NmQ3Yjk5YjE0YzQ2NGQyMmE2MTFmNTY3ODkwYWJjZGU="

#define HEAD "private_key: " PRIVATE_1 "\n"
#define PEER "far_gate: { name: b, public_key: " KEY_2 " }\n"
#define TUNNEL "tunnels: { name: v, gate: { application_to_gate: '127.1.0.1:9000' } }\n"

static struct conf *parse(const char *text)
{
	struct conf_error error = { "" };
	struct conf *c = NULL;

	if (conf_parse("test.yaml", text, strlen(text), &c, &error))
		fail_msg("%s", error.text);
	return c;
}

static void assert_key(const u8 key[static KEY_SIZE], const char *expected)
{
	char text[KEY_TEXT_SIZE];

	key_to_base64(text, key);
	assert_string_equal(text, expected);
}

static void the_least_configuration_has_sensible_defaults(void **state)
{
	struct conf *c = parse(HEAD PEER TUNNEL);

	(void)state;
	assert_key(c->identity.private_key, PRIVATE_1);
	assert_false(crypto_is_zero(c->identity.public_key, KEY_SIZE));
	assert_int_equal(c->cipher, CIPHER_NONE);
	assert_int_equal(c->crypto, CRYPTO_AUTO);
	assert_true(c->offload);
	assert_true(c->spin == CONF_SPIN_AUTO);
	assert_int_equal(c->nice, -10);
	assert_string_equal(c->control_socket, "/run/warp/warpd.sock");
	assert_int_equal(c->interfaces.scan_interval, 10 * NS_PER_S);
	assert_int_equal(c->interfaces.keepalive_interval, 5 * NS_PER_S);
	assert_int_equal(c->interfaces.inclusion_count, 1);
	assert_string_equal(c->interfaces.inclusion_patterns[0], ".*");
	assert_int_equal(c->interfaces.exclusion_count, 3);
	assert_string_equal(c->interfaces.exclusion_patterns[0], "docker.*");
	assert_string_equal(c->interfaces.exclusion_patterns[2], "wg.*");
	assert_true(c->interfaces.bind_to_device);
	assert_int_equal(c->interfaces.listen_port, 0);
	assert_int_equal(c->interfaces.max_consecutive_failures, 10);
	assert_true(c->interfaces.port_mapping);
	assert_int_equal(c->interfaces.port_mapping_lifetime, 3600 * NS_PER_S);
	assert_int_equal(c->map_count, 0);
	assert_int_equal(c->peer_count, 1);
	assert_int_equal(c->tunnel_count, 1);
	assert_int_equal(c->tunnels[0].peer_count, 0);
	assert_int_equal(c->tunnels[0].id, tunnel_id_from_name("v"));
	assert_int_equal(c->tunnels[0].mtu, 0);
	assert_int_equal(c->tunnels[0].send_deadline, 0);
	assert_int_equal(c->tunnels[0].copies, 0);
	assert_int_equal(c->tunnels[0].mode, MODE_REPLICATE);
	assert_int_equal(c->tunnels[0].num_shards, 0);
	assert_false(c->tunnels[0].impair.on);
	assert_false(c->tunnels[0].ordered);
	assert_int_equal(c->tunnels[0].reorder_wait, 0);
	conf_free(c);
}

static const char everything[] = HEAD
	"cipher: aes-256-gcm\n"
	"crypto: ipsec-mb\n"
	"offload: no\n"
	"spin: 50us\n"
	"nice: 5\n"
	"control_socket: /run/x.sock\n"
	"interfaces:\n"
	"  interface_scan_interval: 2.5\n"
	"  holepunch_keep_alive_interval: 750ms\n"
	"  inclusion_patterns: [eth.*, 'wlan[0-9]{1,2}']\n"
	"  exclusion_patterns: []\n"
	"  bind_to_device: no\n"
	"  listen_port: 51900\n"
	"  max_consecutive_failures: 3\n"
	"  port_mapping: no\n"
	"  port_mapping_lifetime: 2m\n"
	"warp_map:\n"
	"  - { address: map.example.net, public_key: " KEY_3 " }\n"
	"  - { address: '[2001:db8::5]:99', public_key: " PSK ", tcp_port: 0 }\n"
	"far_gate:\n"
	"  - name: b\n"
	"    public_key: " KEY_2 "\n"
	"    preshared_key: " PSK "\n"
	"    endpoints: ['198.51.100.7:51900', '[2001:db8::7]:51900', b.example.net:7]\n"
	"    allowed_ips: [10.44.0.2/32, 192.0.2.77/24, '2001:db8:1::/48', 10.9.9.9]\n"
	"  - name: c\n"
	"    public_key: " PRIVATE_1 "\n"
	"    allowed_ips: 0.0.0.0/0\n"
	"tunnels:\n"
	"  - name: net\n"
	"    tunnel_id: 7\n"
	"    gate: { tun: warp0, address: [10.44.0.1/24, '2001:db8:9::1/64'], mtu: 1300,\n"
	"            routes: [192.0.2.0/24] }\n"
	"  - name: video\n"
	"    peers: [c, b]\n"
	"    gate: { application_to_gate: '[::1]:9000', gate_to_application: '[::1]:9001' }\n"
	"    transport: { mtu: 1400, ordered: false, send_deadline: 20ms,\n"
	"                 redundancy: { mode: replicate, copies: 2 } }\n"
	"    impair: none\n"
	"  - name: control\n"
	"    peers: b\n"
	"    gate: { path: /run/warp/c.sock, type: dgram, mode: 0660, group: video }\n"
	"    transport: { ordered: true, reorder_wait: 150ms }\n";

static void what_packets_cost_is_as_written(void **state)
{
	struct conf *c = parse(everything);

	(void)state;
	assert_int_equal(c->cipher, CIPHER_AES_256_GCM);
	assert_int_equal(c->crypto, CRYPTO_IPSEC_MB);
	assert_false(c->offload);
	assert_int_equal(c->spin, 50 * NS_PER_US);
	assert_int_equal(c->nice, 5);
	conf_free(c);
	c = parse("cipher: chacha20-poly1305\ncrypto: libsodium\noffload: yes\nspin: 0\n" HEAD PEER
			  TUNNEL);
	assert_int_equal(c->cipher, CIPHER_CHACHA20_POLY1305);
	assert_int_equal(c->crypto, CRYPTO_LIBSODIUM);
	assert_true(c->offload);
	assert_int_equal(c->spin, 0);
	conf_free(c);
	c = parse("cipher: auto\ncrypto: auto\nspin: auto\n" HEAD PEER TUNNEL);
	assert_int_equal(c->cipher, CIPHER_NONE);
	assert_int_equal(c->crypto, CRYPTO_AUTO);
	assert_true(c->spin == CONF_SPIN_AUTO);
	conf_free(c);
}

static void interfaces_and_maps_are_as_written(void **state)
{
	struct conf *c = parse(everything);

	(void)state;
	assert_string_equal(c->control_socket, "/run/x.sock");
	assert_int_equal(c->interfaces.scan_interval, 2500 * NS_PER_MS);
	assert_int_equal(c->interfaces.keepalive_interval, 750 * NS_PER_MS);
	assert_int_equal(c->interfaces.inclusion_count, 2);
	assert_string_equal(c->interfaces.inclusion_patterns[1], "wlan[0-9]{1,2}");
	assert_int_equal(c->interfaces.exclusion_count, 0);
	assert_false(c->interfaces.bind_to_device);
	assert_int_equal(c->interfaces.listen_port, 51900);
	assert_int_equal(c->interfaces.max_consecutive_failures, 3);
	assert_false(c->interfaces.port_mapping);
	assert_int_equal(c->interfaces.port_mapping_lifetime, 120 * NS_PER_S);
	assert_int_equal(c->map_count, 2);
	assert_false(c->maps[0].address.numeric);
	assert_string_equal(c->maps[0].address.host, "map.example.net");
	assert_int_equal(c->maps[0].address.port, 13116);
	assert_key(c->maps[0].public_key, KEY_3);
	assert_int_equal(c->maps[0].tcp_port, 443);
	assert_int_equal(c->maps[1].tcp_port, 0);
	assert_true(c->maps[1].address.numeric);
	assert_string_equal(endpoint_text(&c->maps[1].address.endpoint), "[2001:db8::5]:99");
	conf_free(c);
}

static void peers_are_as_written(void **state)
{
	struct conf *c = parse(everything);
	const struct conf_peer *p = c->peers;

	(void)state;
	assert_int_equal(c->peer_count, 2);
	assert_string_equal(p->name, "b");
	assert_key(p->public_key, KEY_2);
	assert_key(p->preshared_key, PSK);
	assert_int_equal(p->endpoint_count, 3);
	assert_string_equal(endpoint_text(&p->endpoints[0].endpoint), "198.51.100.7:51900");
	assert_string_equal(endpoint_text(&p->endpoints[1].endpoint), "[2001:db8::7]:51900");
	assert_false(p->endpoints[2].numeric);
	assert_string_equal(p->endpoints[2].text, "b.example.net:7");
	assert_string_equal(p->endpoints[2].host, "b.example.net");
	assert_int_equal(p->endpoints[2].port, 7);
	assert_int_equal(p->allowed_ip_count, 4);
	assert_string_equal(prefix_text(&p->allowed_ips[0]), "10.44.0.2/32");
	/* Bits behind the prefix length are nobody's. */
	assert_string_equal(prefix_text(&p->allowed_ips[1]), "192.0.2.0/24");
	assert_string_equal(prefix_text(&p->allowed_ips[2]), "2001:db8:1::/48");
	assert_string_equal(prefix_text(&p->allowed_ips[3]), "10.9.9.9/32");
	assert_true(crypto_is_zero(p[1].preshared_key, KEY_SIZE));
	assert_int_equal(p[1].allowed_ip_count, 1);
	assert_string_equal(prefix_text(&p[1].allowed_ips[0]), "0.0.0.0/0");
	conf_free(c);
}

static void tunnels_are_as_written(void **state)
{
	struct conf *c = parse(everything);
	const struct conf_tunnel *net = &c->tunnels[0], *video = net + 1, *control = net + 2;

	(void)state;
	assert_int_equal(c->tunnel_count, 3);
	assert_int_equal(net->id, 7);
	assert_int_equal(net->peer_count, 0);
	assert_int_equal(net->gate.kind, GATE_TUN);
	assert_string_equal(net->gate.tun, "warp0");
	assert_int_equal(net->gate.mtu, 1300);
	assert_int_equal(net->gate.address_count, 2);
	assert_string_equal(prefix_text(&net->gate.addresses[0]), "10.44.0.1/24");
	assert_int_equal(net->gate.route_count, 1);
	assert_string_equal(prefix_text(&net->gate.routes[0]), "192.0.2.0/24");
	assert_int_equal(video->peer_count, 2);
	assert_int_equal(video->peers[0], 1);
	assert_int_equal(video->peers[1], 0);
	assert_int_equal(video->gate.kind, GATE_UDP);
	assert_string_equal(endpoint_text(&video->gate.application_to_gate), "[::1]:9000");
	assert_string_equal(endpoint_text(&video->gate.gate_to_application), "[::1]:9001");
	assert_int_equal(video->mtu, 1400);
	assert_int_equal(video->send_deadline, 20 * NS_PER_MS);
	assert_int_equal(video->copies, 2);
	assert_false(video->ordered);
	assert_true(control->ordered);
	assert_int_equal(control->reorder_wait, 150 * NS_PER_MS);
	assert_int_equal(control->peer_count, 1);
	assert_int_equal(control->gate.kind, GATE_UNIX);
	assert_string_equal(control->gate.path, "/run/warp/c.sock");
	assert_int_equal(control->gate.type, UNIX_DGRAM);
	assert_int_equal(control->gate.mode, 0660);
	assert_string_equal(control->gate.group, "video");
	conf_free(c);
}

static void gates_have_defaults(void **state)
{
	struct conf *c = parse(HEAD PEER
			       "tunnels:\n"
			       "- { name: t, gate: { tun: warp0 } }\n"
			       "- { name: u, gate: { path: /run/u } }\n"
			       "- { name: v, gate: { application_to_gate: 127.0.0.1:5 } }\n");

	(void)state;
	assert_int_equal(c->tunnels[0].gate.mtu, 0);
	assert_int_equal(c->tunnels[0].gate.address_count, 0);
	assert_int_equal(c->tunnels[1].gate.type, UNIX_SEQPACKET);
	assert_int_equal(c->tunnels[1].gate.mode, 0600);
	assert_string_equal(c->tunnels[1].gate.group, "");
	assert_int_equal(c->tunnels[2].gate.gate_to_application.address.family, 0);
	conf_free(c);
}

static void durations_have_units(void **state)
{
	static const struct {
		const char *text;
		u64 ns;
	} cases[] = {
		{ "10us", 10 * NS_PER_US },
		{ "250ms", 250 * NS_PER_MS },
		{ "5", 5 * NS_PER_S },
		{ "5s", 5 * NS_PER_S },
		{ "1m", 60 * NS_PER_S },
		{ "0.25", 250 * NS_PER_MS },
		{ "1.5ms", 1500 * NS_PER_US },
		{ "0", 0 },
		{ "0.001us", 1 },
	};
	char text[512];
	struct conf *c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text),
			 HEAD PEER "tunnels: { name: v, gate: { path: /v }, transport: { "
				   "send_deadline: %s } }",
			 cases[i].text);
		c = parse(text);
		assert_int_equal(c->tunnels[0].send_deadline, cases[i].ns);
		conf_free(c);
	}
}

static void aliases_stand_for_what_they_name(void **state)
{
	struct conf *c = parse(HEAD "far_gate:\n"
				    "- { name: b, public_key: " KEY_2 ", endpoints: &here "
				    "['198.51.100.7:1'] }\n"
				    "- { name: c, public_key: " KEY_3
				    ", endpoints: *here }\n" TUNNEL);

	(void)state;
	assert_int_equal(c->peers[1].endpoint_count, 1);
	assert_int_equal(c->peers[1].endpoints[0].port, 1);
	conf_free(c);
}

static void shards_have_defaults(void **state)
{
#define SHARDS(more)                                                                               \
	HEAD PEER "tunnels: { name: t, gate: { path: /t },\n"                                      \
		  "  transport: { redundancy: { mode: shards" more " } } }\n"
	struct conf *c = parse(SHARDS(""));

	(void)state;
	assert_int_equal(c->tunnels[0].mode, MODE_SHARDS);
	assert_int_equal(c->tunnels[0].num_shards, 5);
	assert_int_equal(c->tunnels[0].required_shards, 3);
	assert_int_equal(c->tunnels[0].max_delay, 20 * NS_PER_MS);
	conf_free(c);
	c = parse(SHARDS(", num_shards: 32, required_shards: 31, max_delay: 1"));
	assert_int_equal(c->tunnels[0].num_shards, 32);
	assert_int_equal(c->tunnels[0].required_shards, 31);
	assert_int_equal(c->tunnels[0].max_delay, NS_PER_S);
	conf_free(c);
}

static void a_target_has_defaults(void **state)
{
#define AUTO(more)                                                                                 \
	HEAD PEER "tunnels: { name: t, gate: { path: /t },\n"                                      \
		  "  transport: { redundancy: { mode: auto" more " } } }\n"
	struct conf *c = parse(AUTO(""));

	(void)state;
	assert_int_equal(c->tunnels[0].mode, MODE_AUTO);
	assert_true(c->tunnels[0].target.residual_loss > 0.99e-4);
	assert_true(c->tunnels[0].target.residual_loss < 1.01e-4);
	assert_int_equal(c->tunnels[0].target.within, 100 * NS_PER_MS);
	assert_true(c->tunnels[0].target.max_overhead > 1.99);
	conf_free(c);
	c = parse(AUTO(", target: { residual_loss: 0.5%, within: 80ms, max_overhead: 1.6 }"));
	assert_true(c->tunnels[0].target.residual_loss > 0.0049);
	assert_true(c->tunnels[0].target.residual_loss < 0.0051);
	assert_int_equal(c->tunnels[0].target.within, 80 * NS_PER_MS);
	assert_true(c->tunnels[0].target.max_overhead > 1.59);
	assert_true(c->tunnels[0].target.max_overhead < 1.61);
	conf_free(c);
	c = parse(HEAD PEER TUNNEL);
	assert_int_equal(c->tunnels[0].target.within, 0);
	conf_free(c);
}

static void what_is_hardly_meant_is_warned_of(void **state)
{
	struct conf *c = parse(HEAD PEER
			       "tunnels: { name: t, gate: { tun: warp0 },\n"
			       "  transport: { send_deadline: 10us, reorder_wait: 1s } }\n");

	(void)state;
	assert_int_equal(c->warning_count, 4);
	assert_non_null(strstr(c->warnings[0], "test.yaml: there is no warp_map"));
	assert_non_null(strstr(c->warnings[1], "test.yaml:2:19: peer 'b' has no allowed_ips"));
	assert_non_null(strstr(c->warnings[2], "test.yaml:4:31: send_deadline is below 1ms"));
	assert_non_null(strstr(c->warnings[3], "test.yaml:4:51: reorder_wait has no effect"));
	conf_free(c);
	c = parse(everything);
	assert_int_equal(c->warning_count, 0);
	conf_free(c);
}

static void impairments_are_as_written_and_warned_of(void **state)
{
	struct conf *c = parse(
		HEAD "interfaces: { listen_port: 5 }\n" PEER "tunnels:\n"
		     "- name: v\n"
		     "  gate: { application_to_gate: '127.0.0.1:5' }\n"
		     "  impair: \"delay 20ms jitter 5ms smooth loss 1%\"\n"
		     "- { name: w, gate: { application_to_gate: '127.0.0.1:6' }, impair: none }\n");

	(void)state;
	assert_true(c->tunnels[0].impair.on);
	assert_int_equal(c->tunnels[0].impair.config.delay, 20 * NS_PER_MS);
	assert_int_equal(c->tunnels[0].impair.config.jitter, 5 * NS_PER_MS);
	assert_true(c->tunnels[0].impair.config.smooth);
	assert_int_equal(c->tunnels[0].impair.config.loss, 10000);
	assert_false(c->tunnels[1].impair.on);
	assert_int_equal(c->warning_count, 1);
	assert_non_null(strstr(c->warnings[0],
			       "test.yaml:7:11: tunnel 'v' is impaired on purpose (delay 20ms "
			       "jitter 5ms smooth loss 1%)"));
	conf_free(c);
}

/* --- the map's file ----------------------------------------------------------------------- */

static struct conf_map_server *parse_map(const char *text)
{
	struct conf_error error = { "" };
	struct conf_map_server *c = NULL;

	if (conf_parse_map_server("map.yaml", text, strlen(text), &c, &error))
		fail_msg("%s", error.text);
	return c;
}

static void a_map_needs_only_a_key(void **state)
{
	struct conf_map_server *c = parse_map(HEAD);

	(void)state;
	assert_key(c->identity.private_key, PRIVATE_1);
	assert_int_equal(c->listen_count, 2);
	assert_string_equal(endpoint_text(&c->listen[0]), "0.0.0.0:13116");
	assert_string_equal(endpoint_text(&c->listen[1]), "[::]:13116");
	assert_int_equal(c->listen_tcp_count, 2);
	assert_string_equal(endpoint_text(&c->listen_tcp[0]), "0.0.0.0:443");
	assert_string_equal(endpoint_text(&c->listen_tcp[1]), "[::]:443");
	assert_int_equal(c->client_expiry, 60 * NS_PER_S);
	assert_int_equal(c->max_nodes, 100000);
	assert_null(c->allowed_clients);
	assert_int_equal(c->allowed_client_count, 0);
	conf_map_server_free(c);
}

static void a_map_is_as_written(void **state)
{
	struct conf_map_server *c = parse_map(HEAD "listen: 192.0.2.1:5\n"
						   "listen_tcp: []\n"
						   "client_expiry: 2m\n"
						   "max_nodes: 12\n"
						   "allowed_clients: [" KEY_2 ", " KEY_3 "]\n");

	(void)state;
	assert_int_equal(c->listen_count, 1);
	assert_int_equal(c->listen_tcp_count, 0);
	assert_string_equal(endpoint_text(&c->listen[0]), "192.0.2.1:5");
	assert_int_equal(c->client_expiry, 120 * NS_PER_S);
	assert_int_equal(c->max_nodes, 12);
	assert_int_equal(c->allowed_client_count, 2);
	assert_key(c->allowed_clients, KEY_2);
	assert_key(c->allowed_clients + KEY_SIZE, KEY_3);
	conf_map_server_free(c);
}

/* --- files -------------------------------------------------------------------------------- */

struct folder {
	char path[64];
};

static int make_folder(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	strcpy(f->path, "/tmp/warp-test-conf-XXXXXX");
	*state = f;
	return mkdtemp(f->path) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = { "warp.yaml", "key", "psk" };
	struct folder *f = *state;
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", f->path, names[i]);
		unlink(path);
	}
	rmdir(f->path);
	free(f);
	return 0;
}

static void write_file(const struct folder *f, const char *name, mode_t mode, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

/* Loads warp.yaml of the folder; the text of the error, or "". */
static const char *load(const struct folder *f, struct conf_error *error)
{
	struct conf *c = NULL;
	char path[128];

	error->text[0] = 0;
	snprintf(path, sizeof(path), "%s/warp.yaml", f->path);
	if (conf_load(path, &c, error) == 0)
		conf_free(c);
	return error->text;
}

static void keys_come_from_private_files_beside_the_configuration(void **state)
{
	const struct folder *f = *state;
	struct conf_error error = { "" };
	struct conf *c = NULL;
	char path[128];

	write_file(f, "warp.yaml", 0644,
		   "private_key_file: key\n"
		   "far_gate: { name: b, public_key: " KEY_2
		   ", preshared_key_file: psk }\n" TUNNEL);
	write_file(f, "key", 0600, PRIVATE_1 "\n");
	write_file(f, "psk", 0400, "  " PSK);
	snprintf(path, sizeof(path), "%s/warp.yaml", f->path);
	assert_int_equal(conf_load(path, &c, &error), 0);
	assert_key(c->identity.private_key, PRIVATE_1);
	assert_key(c->peers[0].preshared_key, PSK);
	conf_free(c);
}

static void a_key_file_that_others_read_is_refused_with_the_command(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0620, 0601, 0644, 0666 };
	const struct folder *f = *state;
	struct conf_error error;
	char command[128];
	size_t i;

	write_file(f, "warp.yaml", 0644, "private_key_file: key\n" PEER TUNNEL);
	snprintf(command, sizeof(command), "do: chmod 600 %s/key", f->path);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		write_file(f, "key", modes[i], PRIVATE_1 "\n");
		assert_non_null(strstr(load(f, &error), command));
		assert_non_null(strstr(error.text, "/warp.yaml:1:19: private_key_file: group or "));
	}
	write_file(f, "key", 0600, PRIVATE_1 "\n");
	assert_string_equal(load(f, &error), "");
}

static void a_configuration_with_a_key_in_it_must_be_private(void **state)
{
	const struct folder *f = *state;
	struct conf_error error;

	write_file(f, "warp.yaml", 0644, HEAD PEER TUNNEL);
	assert_non_null(
		strstr(load(f, &error), "/warp.yaml:1:14: private_key stands in a file that"));
	assert_non_null(strstr(error.text, "chmod 600"));
	write_file(f, "warp.yaml", 0600, HEAD PEER TUNNEL);
	assert_string_equal(load(f, &error), "");
}

static void key_files_without_a_key_are_refused(void **state)
{
	const struct folder *f = *state;
	struct conf_error error;

	write_file(f, "warp.yaml", 0644, "private_key_file: key\n" PEER TUNNEL);
	assert_non_null(strstr(load(f, &error), "No such file or directory; make it with"));
	write_file(f, "key", 0600, "");
	assert_non_null(strstr(load(f, &error), "not a key"));
	write_file(f, "key", 0600, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n");
	assert_non_null(strstr(load(f, &error), "the key is all zero"));
	write_file(f, "warp.yaml", 0644, "private_key_file: .\n" PEER TUNNEL);
	assert_non_null(strstr(load(f, &error), "is not a file"));
	write_file(f, "warp.yaml", 0644, "private_key_file: /dev/zero\n" PEER TUNNEL);
	assert_non_null(strstr(load(f, &error), "is not a file"));
}

static void what_cannot_be_read_says_why(void **state)
{
	struct conf_error error = { "" };
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(conf_load("/nonexistent/warp.yaml", &c, &error), -ENOENT);
	assert_string_equal(error.text, "/nonexistent/warp.yaml: No such file or directory");
	assert_int_equal(conf_load("/", &c, &error), -EISDIR);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_configuration_has_sensible_defaults),
		cmocka_unit_test(what_packets_cost_is_as_written),
		cmocka_unit_test(interfaces_and_maps_are_as_written),
		cmocka_unit_test(peers_are_as_written),
		cmocka_unit_test(tunnels_are_as_written),
		cmocka_unit_test(gates_have_defaults),
		cmocka_unit_test(durations_have_units),
		cmocka_unit_test(aliases_stand_for_what_they_name),
		cmocka_unit_test(shards_have_defaults),
		cmocka_unit_test(a_target_has_defaults),
		cmocka_unit_test(what_is_hardly_meant_is_warned_of),
		cmocka_unit_test(impairments_are_as_written_and_warned_of),
		cmocka_unit_test(a_map_needs_only_a_key),
		cmocka_unit_test(a_map_is_as_written),
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
		IN_FOLDER(keys_come_from_private_files_beside_the_configuration),
		IN_FOLDER(a_key_file_that_others_read_is_refused_with_the_command),
		IN_FOLDER(a_configuration_with_a_key_in_it_must_be_private),
		IN_FOLDER(key_files_without_a_key_are_refused),
		cmocka_unit_test(what_cannot_be_read_says_why),
	};

	return crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
