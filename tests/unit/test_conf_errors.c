/* SPDX-License-Identifier: MIT */
/*
 * test_conf_errors.c - every mistake that a configuration may have is told where it stands, in one
 * line, with what is wrong.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "warp/base64.h"
#include "warp/conf.h"

#define KEY_1 "qI5rrRwhkx0Zi8BnHOmiM1A+1BcZhPPxEhWtmoFPHXQ="
#define KEY_2 "Xo1yK0rA8k0xYrsVh9gMXgJSu1GNMy5RwGJcVzU0wWk="
#define KEY_3 "q5Z1WWMLF8oJm0v1pIV0yQm4tTn4h9yPpFQHcXsmDVM="
#define ZERO "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

/* Line 1, line 2, and a line: what is not wrong in most cases. */
#define HEAD "private_key: " KEY_1 "\n"
#define PEER "far_gate: { name: b, public_key: " KEY_2 " }\n"
#define TUNNEL "tunnels: { name: v, gate: { application_to_gate: '127.1.0.1:9000' } }\n"

/* In line 3. */
#define GATE(gate) HEAD PEER "tunnels: { name: v, gate: { " gate " } }\n"
#define TRANSPORT(transport)                                                                       \
	HEAD PEER "tunnels: { name: v, gate: { path: /v }, transport: { " transport " } }\n"
#define AUTO(more) TRANSPORT("redundancy: { mode: auto, " more " }")
#define SHARDS(more) TRANSPORT("redundancy: { mode: shards, " more " }")
#define IMPAIR(text) HEAD PEER "tunnels: { name: v, gate: { tun: w }, impair: \"" text "\" }\n"
/* In line 2. */
#define FAR(more) HEAD "far_gate: { name: b, public_key: " KEY_2 ", " more " }\n" TUNNEL
#define INTERFACES(more) HEAD "interfaces: { " more " }\n" PEER TUNNEL
#define MAP(address) HEAD "warp_map: { public_key: " KEY_3 ", address: " address " }\n" PEER TUNNEL
/* Two tunnels, in lines 4 and 5. */
#define TWO(first, second) HEAD PEER "tunnels:\n- { " first " }\n- { " second " }\n"

static const struct mistake {
	const char *text;
	const char *at; /* "line:column", "": of the whole file */
	const char *what;
} mistakes[] = {
	/* YAML */
	{ "", "1:1", "there is nothing in it" },
	{ "# only a comment\n", "1:1", "there is nothing in it" },
	{ "private_key\n", "1:1", "the file must be a mapping" },
	{ "- a\n- b\n", "1:1", "the file must be a mapping" },
	{ "interfaces:\n\tlisten_port: 5\n", "2:1", "a tab indents this line; use spaces" },
	{ "far_gate: [ { name: b\n", "2:1", "not YAML: did not find expected ',' or '}'" },
	{ "tunnels: 'no end\n", "2:1", "not YAML: found unexpected end of stream" },
	{ HEAD "far_gate: { name: b }}\n", "2:22", "not YAML: did not find expected key" },
	{ HEAD "far_gate: *nothing\n", "2:11", "found undefined alias" },
	{ HEAD "a: \xff\n", "2:4", "not a text in UTF-8" },
	{ HEAD PEER TUNNEL "---\nprivate_key: x\n", "4:1", "a second YAML document begins here" },
	{ HEAD PEER TUNNEL "private_key: " KEY_1 "\n", "4:1", "private_key is given twice" },
	{ HEAD "? [a, b]\n: c\n", "2:3", "a key must be a word" },
	{ HEAD "far_gate: &loop [ *loop ]\n", "2:11", "a list within the list far_gate" },
	{ HEAD "interfaces:\n  <<: { listen_port: 5 }\n", "3:3",
	  "merge keys (<<) are not supported" },

	/* keys of mappings */
	{ "private_keys: x\n", "1:1", "unknown key 'private_keys'; did you mean 'private_key'?" },
	{ HEAD "tunnel: x\n", "2:1", "did you mean 'tunnels'?" },
	{ INTERFACES("exclusion_pattern: [wg0]"), "2:15", "did you mean 'exclusion_patterns'?" },
	{ FAR("frobnicate: 1"), "2:80", "unknown key 'frobnicate'; known here: name, public_key" },
	{ HEAD "\"\\e[2J\": 1\n", "2:1", "unknown key '\\x1b[2J'" },
	{ PEER TUNNEL, "1:1", "private_key_file is missing here" },
	{ HEAD TUNNEL, "1:1", "far_gate is missing here" },
	{ HEAD PEER, "1:1", "tunnels is missing here" },
	{ HEAD "far_gate: { name: b }\n" TUNNEL, "2:11", "public_key is missing here" },
	{ HEAD "far_gate:\n  - public_key: " KEY_2 "\n" TUNNEL, "3:5", "name is missing here" },
	{ HEAD PEER "tunnels: { name: v }\n", "3:10", "gate is missing here" },
	{ HEAD "warp_map: { public_key: " KEY_3 " }\n" PEER TUNNEL, "2:11",
	  "address is missing here" },
	{ HEAD "private_key_file: /k\n" PEER TUNNEL, "2:19", "/k: No such file or directory" },
	{ FAR("preshared_key: " KEY_3 ", preshared_key: " KEY_3), "2:141",
	  "is given twice, first in line 2" },

	/* shapes */
	{ HEAD "far_gate: b\n" TUNNEL, "2:11", "far_gate must be a mapping" },
	{ HEAD "far_gate: []\n" TUNNEL, "2:11", "far_gate is an empty list" },
	{ HEAD "far_gate:\n" TUNNEL, "2:10", "far_gate must be a mapping" },
	{ HEAD "far_gate: { name: [b] }\n", "2:19", "name must be a single value, not a list" },
	{ HEAD "far_gate: { name: {} }\n", "2:19", "name must be a single value, not a mapping" },
	{ FAR("allowed_ips: []"), "2:93", "allowed_ips is an empty list" },
	{ FAR("allowed_ips: [[10.0.0.0/8]]"), "2:94", "a list within the list allowed_ips" },
	{ FAR("allowed_ips:"), "2:93", "allowed_ips is empty" },
	{ INTERFACES("inclusion_patterns: []"), "2:35", "inclusion_patterns is an empty list" },

	/* secrets */
	{ "private_key: short\n" PEER TUNNEL, "1:14", "private_key: not a key" },
	{ "private_key: " ZERO "\n" PEER TUNNEL, "1:14",
	  "the key is all zero; make one with `warp genkey`" },
	{ "private_key:\n" PEER TUNNEL, "1:13", "private_key is empty" },
	{ HEAD "far_gate: { name: b, public_key: " ZERO " }\n", "2:34", "the key is all zero" },
	{ HEAD "far_gate: { name: b, public_key: x" KEY_2 " }\n", "2:34", "public_key: not a key" },
	{ FAR("preshared_key: abc"), "2:95", "preshared_key: not a key" },
	{ FAR("preshared_key_file: /nonexistent/psk"), "2:100", "/nonexistent/psk: No such file" },
	{ FAR("preshared_key: " KEY_3 ", preshared_key_file: /dev/null"), "2:161",
	  "is not a file" },

	/* numbers, durations, patterns */
	{ INTERFACES("listen_port: 65536"), "2:28",
	  "listen_port is 65536; it must be from 0 to 65535" },
	{ INTERFACES("listen_port: -1"), "2:28", "listen_port must be a number" },
	{ INTERFACES("listen_port: 0x10"), "2:28", "listen_port must be a number" },
	{ INTERFACES("max_consecutive_failures: 0"), "2:41", "it must be from 1 to" },
	{ INTERFACES("bind_to_device: maybe"), "2:31", "bind_to_device must be true or false" },
	{ INTERFACES("interface_scan_interval: 5 s"), "2:40", "must be a duration such as" },
	{ INTERFACES("interface_scan_interval: 5x"), "2:40", "must be a duration such as" },
	{ INTERFACES("interface_scan_interval: 1us"), "2:40", "it must be from 100ms to 1h" },
	{ INTERFACES("holepunch_keep_alive_interval: 11m"), "2:46",
	  "it must be from 100ms to 10m" },
	{ INTERFACES("interface_scan_interval: 99999999999h"), "2:40", "must be a duration" },
	{ INTERFACES("inclusion_patterns: ['eth(']"), "2:36",
	  "'eth(' is not a regular expression: missing closing parenthesis" },
	{ INTERFACES("exclusion_patterns: [a, '[']"), "2:39",
	  "'[' is not a regular expression: missing terminating ]" },
	{ INTERFACES("exclusion_patterns: ['((a{99}){99}){99}']"), "2:36",
	  "is not a regular expression: " },

	/* what packets cost */
	{ HEAD "cipher: rot13\n" PEER TUNNEL, "2:9",
	  "cipher must be one of auto, chacha20-poly1305, aes-256-gcm, not 'rot13'" },
	{ HEAD "crypto: openssl\n" PEER TUNNEL, "2:9",
	  "crypto must be one of auto, libsodium, ipsec-mb, not 'openssl'" },
	{ HEAD "offload: tcp\n" PEER TUNNEL, "2:10", "offload must be true or false" },
	{ HEAD "nice: -21\n" PEER TUNNEL, "2:7", "nice must be a whole number from -20 to 19" },
	{ HEAD "nice: high\n" PEER TUNNEL, "2:7", "nice must be a whole number" },
	{ HEAD "spin: 2ms\n" PEER TUNNEL, "2:7", "spin is 2ms; it must be from 0 to 1ms" },
	{ HEAD "spin: always\n" PEER TUNNEL, "2:7", "spin must be a duration such as" },
	{ HEAD "spin: [auto]\n" PEER TUNNEL, "2:7", "spin must be a single value" },

	/* maps and peers */
	{ MAP("map.example.net:0"), "2:80", "the port of 'map.example.net:0' is 0" },
	{ MAP("map.example.net:70000"), "2:80", "address must be host:port" },
	{ MAP("192.0.2.300"), "2:80", "neither an address nor the name of a host" },
	{ MAP("a..b:5"), "2:80", "neither an address nor the name of a host" },
	{ MAP("127.0.0.1:5"), "2:80", "can never be the address of another host" },
	{ HEAD "warp_map: { address: m, public_key: " KEY_2 " }\n" PEER TUNNEL, "3:34",
	  "public_key is that of the map in line 2" },
	{ HEAD "warp_map:\n- { address: m, public_key: " KEY_3
	       " }\n- { address: n, public_key: " KEY_3 " }\n" PEER TUNNEL,
	  "4:29", "also that of the map in line 3" },
	{ FAR("endpoints: 192.0.2.1"), "2:91", "endpoints must be host:port" },
	{ FAR("endpoints: [192.0.2.1:0]"), "2:92", "is 0; ports are 1 to 65535" },
	{ FAR("endpoints: '2001:db8::1'"), "2:91", "[2001:db8::7]:51900" },
	{ FAR("endpoints: '224.0.0.1:5'"), "2:91", "can never be the address of another host" },
	{ FAR("allowed_ips: [10.0.0.0/33]"), "2:94", "wrong prefix length; it is 0 to 32" },
	{ FAR("allowed_ips: ['::/129']"), "2:94", "wrong prefix length; it is 0 to 128" },
	{ FAR("allowed_ips: 10.0.0"), "2:93",
	  "allowed_ips must be an address with a prefix length" },
	{ HEAD "far_gate: { name: 'a b', public_key: " KEY_2 " }\n", "2:19",
	  "name 'a b' may have only letters" },
	{ HEAD "far_gate:\n- { name: b, public_key: " KEY_2 " }\n- { name: b, public_key: " KEY_3
	       " }\n" TUNNEL,
	  "4:11", "the name 'b' is also that of the peer in line 3" },
	{ HEAD "far_gate:\n- { name: b, public_key: " KEY_2 " }\n- { name: c, public_key: " KEY_2
	       " }\n" TUNNEL,
	  "4:26", "also that of the peer 'b' in line 3" },
	{ HEAD "far_gate:\n- { name: b, public_key: " KEY_2
	       ", allowed_ips: [10.1.0.0/16] }\n- { name: c, public_key: " KEY_3
	       ", allowed_ips: [10.0.0.0/8, 10.1.2.3/16] }\n" TUNNEL,
	  "4:98", "10.1.0.0/16 also belongs to the peer 'b' (line 3)" },

	/* gates */
	{ GATE(""), "3:27", "the gate is of no kind" },
	{ GATE("type: dgram"), "3:27", "the gate is of no kind" },
	{ GATE("path: /v, tun: warp0"), "3:29", "has both tun and path" },
	{ GATE("path: /v, mtu: 1400"), "3:39", "mtu has no meaning in a gate with path" },
	{ GATE("gate_to_application: '127.0.0.1:5'"), "3:27", "the gate is of no kind" },
	{ GATE("application_to_gate: '10.0.0.1:5'"), "3:50", "is not a loopback address" },
	{ GATE("application_to_gate: 127.0.0.1"), "3:50", "must be address:port" },
	{ GATE("application_to_gate: localhost:5"), "3:50", "must be address:port" },
	{ GATE("application_to_gate: '127.0.0.1:0'"), "3:50", "is 0; ports are 1 to 65535" },
	{ GATE("application_to_gate: '127.0.0.1:5', gate_to_application: '[::1]:5'"), "3:86",
	  "is IPv6 and application_to_gate IPv4" },
	{ GATE("application_to_gate: '127.0.0.1:5', gate_to_application: '127.0.0.1:5'"), "3:86",
	  "is the gate itself" },
	{ GATE("application_to_gate: '127.0.0.1:5', gate_to_application: '192.0.2.1:5'"), "3:86",
	  "is not a loopback address" },
	{ GATE("tun: averylonginterface"), "3:34", "at most 15 characters" },
	{ GATE("tun: 'a/b'"), "3:34", "cannot be the name of an interface" },
	{ GATE("tun: warp0, mtu: 575"), "3:46",
	  "mtu must be 'auto' or a number from 576 to 65535" },
	{ GATE("tun: warp0, mtu: 65536"), "3:46", "mtu must be 'auto' or" },
	{ GATE("tun: warp0, mtu: 1279, address: ['fd00::1/64']"), "3:46", "needs at least 1280" },
	{ GATE("tun: warp0, address: 224.0.0.1/24"), "3:50",
	  "cannot be the address of an interface" },
	{ GATE("tun: warp0, address: 10.0.0.1/40"), "3:50", "wrong prefix length" },
	{ GATE("tun: warp0, routes: [default]"), "3:50",
	  "routes must be an address with a prefix" },
	{ GATE("path: v.sock"), "3:35", "must be the absolute path of a file" },
	{ GATE("path: /01234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"),
	  "3:35", "a socket's path has at most 107" },
	{ GATE("path: /v, type: stream"), "3:45",
	  "type must be one of seqpacket, dgram, not 'stream'" },
	{ GATE("path: /v, mode: 0888"), "3:45", "permission bits in octal" },
	{ GATE("path: /v, mode: 7777"), "3:45", "permission bits in octal" },

	/* tunnels */
	{ HEAD PEER "tunnels: { name: v, tunnel_id: 0, gate: { path: /v } }\n", "3:32",
	  "tunnel_id is 0; it must be from 1 to 65535" },
	{ HEAD PEER "tunnels: { name: v, peers: [b, c], gate: { path: /v } }\n", "3:32",
	  "there is no 'c' in far_gate" },
	{ HEAD PEER "tunnels: { name: v, peers: [b, b], gate: { path: /v } }\n", "3:32",
	  "'b' is there twice" },
	{ TWO("name: v, gate: { path: /v }", "name: v, gate: { path: /w }"), "5:11",
	  "the name 'v' is also that of the tunnel in line 4" },
	{ TWO("name: v, tunnel_id: 5, gate: { path: /v }",
	      "name: w, tunnel_id: 5, gate: { path: /w }"),
	  "5:25", "has the id 5, as has 'v' in line 4; set another" },
	{ TWO("name: v, gate: { path: /v }", "name: w, gate: { path: /v }"), "5:28",
	  "the tunnel 'v' in line 4 has the same gate" },
	{ TWO("name: v, gate: { tun: warp0 }", "name: w, gate: { tun: warp0 }"), "5:27",
	  "has the same gate" },
	{ TWO("name: v, gate: { application_to_gate: 127.0.0.1:5 }",
	      "name: w, gate: { application_to_gate: 127.0.0.1:5 }"),
	  "5:43", "has the same gate" },
	{ GATE("path: /run/warp/warpd.sock"), "3:35", "path is that of control_socket" },
	{ TRANSPORT("mtu: 255"), "3:59", "mtu must be 'auto' or a number from 256 to" },
	{ TRANSPORT("ordered: perhaps"), "3:63", "ordered must be true or false, not 'perhaps'" },
	{ TRANSPORT("ordered: true, reorder_wait: 0"), "3:83", "it must be from 1ms to 2s" },
	{ TRANSPORT("ordered: true, reorder_wait: 999us"), "3:83", "it must be from 1ms to 2s" },
	{ TRANSPORT("ordered: true, reorder_wait: 2001ms"), "3:83", "it must be from 1ms to 2s" },
	{ TRANSPORT("ordered: true, reorder_wait: soon"), "3:83",
	  "reorder_wait must be 'auto' or a duration" },
	{ TRANSPORT("send_deadline: 61s"), "3:69", "it must be from 0 to 1m" },
	{ TRANSPORT("redundancy: { mode: stripe, copies: 2 }"), "3:82",
	  "copies belongs to the mode replicate" },
	{ TRANSPORT("redundancy: { target: { within: 80ms } }"), "3:68",
	  "target belongs to the mode auto" },
	{ SHARDS("target: { within: 80ms }"), "3:82", "target belongs to the mode auto" },
	{ AUTO("copies: 2"), "3:80", "copies is chosen by the mode auto" },
	{ AUTO("num_shards: 5, required_shards: 3"), "3:80", "num_shards is chosen by the mode" },
	{ AUTO("max_delay: 5ms"), "3:80", "max_delay is chosen by the mode auto" },
	{ AUTO("target: 80ms"), "3:88", "target must be" },
	{ AUTO("target: { residual_loss: few }"), "3:105",
	  "residual_loss must be a share such as 1e-4, 0.0001 or 0.01%, not 'few'" },
	{ AUTO("target: { residual_loss: 0 }"), "3:105",
	  "residual_loss is 0; it must be from 1e-9 to 0.5" },
	{ AUTO("target: { residual_loss: 60% }"), "3:105", "it must be from 1e-9 to 0.5" },
	{ AUTO("target: { residual_loss: nan }"), "3:105", "must be a share" },
	{ AUTO("target: { residual_loss: 1e-4% % }"), "3:105", "must be a share" },
	{ AUTO("target: { within: 4ms }"), "3:98", "within is 4ms; it must be from 5ms to 10s" },
	{ AUTO("target: { within: 11 }"), "3:98", "it must be from 5ms to 10s" },
	{ AUTO("target: { max_overhead: 0.9 }"), "3:104",
	  "max_overhead is 0.9; it must be from 1 to 64" },
	{ AUTO("target: { max_overhead: 160% }"), "3:104",
	  "max_overhead must be a number such as 1.6, not '160%'" },
	{ AUTO("target: { loss: 1 }"), "3:90", "loss" },
	{ TRANSPORT("redundancy: { mode: mirror }"), "3:74",
	  "mode must be replicate, shards, stripe or auto, not 'mirror'" },
	{ TRANSPORT("redundancy: { num_shards: 5 }"), "3:68",
	  "num_shards belongs to the mode shards" },
	{ TRANSPORT("redundancy: { max_delay: 5ms }"), "3:68",
	  "max_delay belongs to the mode shards" },
	{ SHARDS("num_shards: 5"), "3:82", "add the other one" },
	{ SHARDS("required_shards: 5"), "3:82", "add the other one" },
	{ SHARDS("num_shards: 5, required_shards: 5"), "3:114",
	  "required_shards is 5; it must be less than num_shards, which is 5" },
	{ SHARDS("num_shards: 33, required_shards: 5"), "3:94", "it must be from 2 to 32" },
	{ SHARDS("num_shards: 1, required_shards: 1"), "3:94", "it must be from 2 to 32" },
	{ SHARDS("num_shards: 3, required_shards: 0"), "3:114", "it must be from 1 to 31" },
	{ SHARDS("max_delay: 0"), "3:93", "it must be from 1ms to 1s" },
	{ SHARDS("max_delay: 1001ms"), "3:93", "it must be from 1ms to 1s" },
	{ SHARDS("copies: 2"), "3:82", "copies belongs to the mode replicate" },
	{ TRANSPORT("redundancy: { copies: 0 }"), "3:76", "copies is 0; it must be from 1 to 64" },
	{ IMPAIR("dely 20ms"), "3:47", "impair: 'dely' is no impairment; is it 'delay'?" },
	{ IMPAIR("loss 5"), "3:47",
	  "impair: loss needs a percentage such as 1% or 0.05%, not '5'" },
	{ IMPAIR("delay \\u0512s"), "3:47",
	  "impair: delay needs a time such as 20ms or 500us, not '\\xd4\\x92s'" },
	{ IMPAIR("queue 5ms"), "3:47", "impair: queue needs a rate" },
	{ HEAD PEER "tunnels: { name: v, impair: loss 1%, gate: { path: /v } }\n", "3:21",
	  "impair has no meaning with a Unix gate" },
	{ HEAD PEER "tunnels: { name: v, impair: [loss], gate: { tun: w } }\n", "3:29", "impair" },
	{ TRANSPORT("redundancy: replicate"), "3:66", "redundancy must be a mapping" },
};

static const struct mistake map_mistakes[] = {
	{ "listen: 0.0.0.0:5\n", "1:1", "private_key_file is missing here" },
	{ HEAD "listen: []\n", "2:9", "listen is an empty list" },
	{ HEAD "listen_tcp: 443\n", "2:13",
	  "listen_tcp must be address:port, such as 0.0.0.0:443" },
	{ HEAD "listen_tcp: [\"[::]:443\", \"[::]:443\"]\n", "2:26",
	  "listen_tcp: [::]:443 is there twice" },
	{ HEAD "listen: 13116\n", "2:9", "listen must be address:port" },
	{ HEAD "listen: [0.0.0.0:5, '[::]:0']\n", "2:21", "is 0; ports are 1 to 65535" },
	{ HEAD "listen: [0.0.0.0:5, 0.0.0.0:5]\n", "2:21", "0.0.0.0:5 is there twice" },
	{ HEAD "client_expiry: 0\n", "2:16", "it must be from 1s to 1h" },
	{ HEAD "max_nodes: many\n", "2:12", "max_nodes must be a number" },
	{ HEAD "allowed_clients: [x]\n", "2:19", "allowed_clients: not a key" },
	{ HEAD "client_expire: 5\n", "2:1", "did you mean 'client_expiry'?" },
	{ HEAD "tunnels: []\n", "2:1", "unknown key 'tunnels'" },
};

static void assert_told(const struct mistake *m, int result, const struct conf_error *error)
{
	char place[64];

	snprintf(place, sizeof(place), "test.yaml:%s: ", m->at);
	if (result == -EINVAL && strncmp(error->text, place, strlen(place)) == 0 &&
	    strstr(error->text, m->what) && !strchr(error->text, '\n'))
		return;
	fail_msg("in:\n%s\nexpected: %s%s\nis: (%d) %s", m->text, place, m->what, result,
		 error->text);
}

static void every_mistake_is_told_where_it_stands(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		const struct mistake *m = &mistakes[i];
		struct conf_error error = { "" };
		struct conf *c = NULL;

		assert_told(m, conf_parse("test.yaml", m->text, strlen(m->text), &c, &error),
			    &error);
		assert_null(c);
	}
}

static void every_mistake_of_a_map_is_told_where_it_stands(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(map_mistakes); i++) {
		const struct mistake *m = &map_mistakes[i];
		struct conf_error error = { "" };
		struct conf_map_server *c = NULL;

		assert_told(m,
			    conf_parse_map_server("test.yaml", m->text, strlen(m->text), &c,
						  &error),
			    &error);
		assert_null(c);
	}
}

/* --- mistakes whose text is made ---------------------------------------------------------- */

static void assert_refused(const char *text, size_t size, const char *at, const char *what)
{
	struct conf_error error = { "" };
	struct mistake m = { "(made)", at, what };
	struct conf *c = NULL;

	assert_told(&m, conf_parse("test.yaml", text, size, &c, &error), &error);
}

static void the_own_key_is_nobody_elses(void **state)
{
	struct identity self;
	char text[512], own[KEY_TEXT_SIZE];
	u8 key[KEY_SIZE];

	(void)state;
	assert_int_equal(key_from_base64(key, KEY_1, strlen(KEY_1)), 0);
	identity_from_private(&self, key);
	key_to_base64(own, self.public_key);
	snprintf(text, sizeof(text), HEAD "far_gate: { name: b, public_key: %s }\n" TUNNEL, own);
	assert_refused(text, strlen(text), "2:34", "public_key is this node's own");
	snprintf(text, sizeof(text), HEAD "warp_map: { address: m, public_key: %s }\n" PEER TUNNEL,
		 own);
	assert_refused(text, strlen(text), "2:37", "public_key is this node's own");
}

/* An id that is derived from a name may be that of another tunnel. */
static void derived_ids_that_clash_ask_for_a_tunnel_id(void **state)
{
	char text[512];

	(void)state;
	snprintf(text, sizeof(text),
		 TWO("name: v, tunnel_id: %u, gate: { path: /v }", "name: w, gate: { path: /w }"),
		 tunnel_id_from_name("w"));
	assert_refused(text, strlen(text), "5:11", "set another tunnel_id");
	assert_refused(text, strlen(text), "5:11", "one without tunnel_id has it from its name");
}

static void files_and_lists_have_bounds(void **state)
{
	size_t size = 1024 * 1024 + 1, at, i;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	memset(text, '#', size);
	{
		struct conf_error error = { "" };
		struct conf *c = NULL;

		assert_int_equal(conf_parse("test.yaml", text, size, &c, &error), -EINVAL);
		assert_string_equal(error.text, "test.yaml: the file is larger than 1048576 bytes; "
						"make it smaller");
	}
	at = (size_t)snprintf(text, size, HEAD "far_gate: ");
	memset(text + at, '[', 50000);
	memset(text + at + 50000, ']', 50000);
	assert_refused(text, at + 100000, "2:12", "a list within the list far_gate");
	at = (size_t)snprintf(text, size, HEAD PEER "tunnels:\n");
	for (i = 0; i < 65; i++)
		at += (size_t)snprintf(text + at, size - at,
				       "- { name: v%zu, gate: { path: /%zu } }\n", i, i);
	assert_refused(text, at, "4:1", "tunnels has 65 items; at most 64 are possible");
	free(text);
}

/* A small file whose aliases would make a million values. */
static void aliases_cannot_make_a_small_file_large(void **state)
{
	size_t size = 512 * 1024, at, i;
	char *text = malloc(size);

	(void)state;
	assert_non_null(text);
	at = (size_t)snprintf(text, size,
			      HEAD "far_gate:\n- { name: a, public_key: &k " KEY_2
				   ", allowed_ips: &all [");
	for (i = 0; i < 4000; i++)
		at += (size_t)snprintf(text + at, size - at, "10.0.%zu.%zu,", i / 256, i % 256);
	at += (size_t)snprintf(text + at, size - at, "] }\n");
	for (i = 0; i < 500; i++)
		at += (size_t)snprintf(text + at, size - at,
				       "- { name: a, public_key: *k, allowed_ips: *all }\n");
	assert_refused(text, at, "3:20598", "use fewer aliases");
	free(text);
}

static void a_nul_ends_no_value(void **state)
{
	static const char text[] = HEAD "far_gate: { name: \"b\\0c\" }\n";

	(void)state;
	assert_refused(text, strlen(text), "2:19", "name has a NUL character in it");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mistake_is_told_where_it_stands),
		cmocka_unit_test(every_mistake_of_a_map_is_told_where_it_stands),
		cmocka_unit_test(the_own_key_is_nobody_elses),
		cmocka_unit_test(derived_ids_that_clash_ask_for_a_tunnel_id),
		cmocka_unit_test(files_and_lists_have_bounds),
		cmocka_unit_test(aliases_cannot_make_a_small_file_large),
		cmocka_unit_test(a_nul_ends_no_value),
	};

	return crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
