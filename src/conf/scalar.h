/* SPDX-License-Identifier: MIT */
/*
 * scalar.h - the parsers that tables of keys name: from one piece of text to one member.
 *
 * The comment beside each tells the type of the member. min and max of the key bound numbers.
 */
#ifndef WARP_CONF_SCALAR_H
#define WARP_CONF_SCALAR_H

#include "schema.h"

value_parser parse_bool;        /* bool */
value_parser parse_u16;         /* u16 */
value_parser parse_u32;         /* u32 */
value_parser parse_duration;    /* u64 of ns: "5", "0.5", "250ms", "10us", "1m", "2h" */
value_parser parse_rate;        /* u64 of bits a second: "500kbit", "10mbit", "1.5gbit", "0" */
value_parser parse_size;        /* u64 of bytes: "500MB", "20GB", "1.5TB", "16GiB" */
value_parser parse_mtu;         /* u32; "auto" is 0 */
value_parser parse_mode;        /* u32: permission bits in octal */
value_parser parse_name;        /* char[key->size]: letters, digits and . _ - */
value_parser parse_ifname;      /* char[IFNAME_SIZE] */
value_parser parse_socket_path; /* char[key->size]: absolute */
value_parser parse_pattern;     /* char *: a regular expression */
value_parser parse_word;        /* char *, as it stands */

/* One of a few words; *ret_index is which. words ends with NULL. */
int parse_choice(struct reader *r, const struct schema_key *key, const struct value *v,
		 const char *const *words, size_t *ret_index);

/* --- keys (keyfile.c) ---------------------------------------------------------------------- */

value_parser parse_public_key;  /* u8[KEY_SIZE], not zero */
value_parser parse_secret;      /* u8[KEY_SIZE], not zero; the file must then be private */
value_parser parse_secret_file; /* u8[KEY_SIZE], from a file that is private */

/* --- addresses (address.c) ----------------------------------------------------------------- */

value_parser parse_host;       /* struct conf_host: a name or address that another host may have */
value_parser parse_map_host;   /* the same, with the map's port when there is none */
value_parser parse_listen;     /* struct endpoint: an address of this host, or any */
value_parser parse_listen_tcp; /* the same, of TCP */
value_parser parse_loopback;   /* struct endpoint */
value_parser parse_network;    /* struct prefix; bits behind its length are cleared */
value_parser parse_interface_address; /* struct prefix, whose address is that of an interface */

#endif
