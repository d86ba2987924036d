/* SPDX-License-Identifier: MIT */
/*
 * files.c - warp check and warp example: configurations before a daemon has read them.
 */
#include <stdio.h>
#include <string.h>

#include "tool.h"
#include "warp/base64.h"
#include "warp/conf.h"
#include "warp/memory.h"

/* --- check -------------------------------------------------------------------------------- */

static int check_node(const char *file, struct conf_error *error)
{
	struct conf *conf;
	size_t i;

	if (conf_load(file, &conf, error))
		return EXIT_USAGE;
	for (i = 0; i < conf->warning_count; i++)
		fprintf(stderr, "warning: %s\n", conf->warnings[i]);
	conf_free(conf);
	return EXIT_DONE;
}

static int check_map(const char *file, struct conf_error *error)
{
	struct conf_map_server *conf;

	if (conf_load_map_server(file, &conf, error))
		return EXIT_USAGE;
	conf_map_server_free(conf);
	return EXIT_DONE;
}

int command_check(int argc, char **argv)
{
	struct conf_error error = { "" };
	struct options options;
	int status;

	if (!options_read(&options, argc, argv, TAKES_MAP | TAKES_OPERAND, &status))
		return status;
	status = options.map ? check_map(options.operand, &error) :
			       check_node(options.operand, &error);
	if (status) {
		fprintf(stderr, "%s\n", error.text);
		return status;
	}
	printf("%s: ok\n", options.operand);
	return finish_output();
}

/* --- example ------------------------------------------------------------------------------ */

struct example_key {
	const char *mark; /* in the text */
	char text[KEY_TEXT_SIZE];
};

static void make_keys(struct example_key keys[static 4])
{
	struct identity identity;
	u8 secret[KEY_SIZE];
	size_t i;

	keys[0].mark = "{private}";
	keys[1].mark = "{public}";
	keys[2].mark = "{map}";
	keys[3].mark = "{peer}";
	for (i = 1; i < 4; i++) {
		random_fill(&system_random, secret, sizeof(secret));
		private_key_clamp(secret);
		identity_from_private(&identity, secret);
		key_to_base64(keys[i].text, identity.public_key);
		if (i == 1)
			key_to_base64(keys[0].text, secret);
	}
	crypto_wipe(secret, sizeof(secret));
	crypto_wipe(&identity, sizeof(identity));
}

/* The key whose mark text begins with, or NULL. */
static const struct example_key *key_at(const struct example_key keys[static 4], const char *text)
{
	size_t i;

	for (i = 0; i < 4; i++) {
		if (strncmp(text, keys[i].mark, strlen(keys[i].mark)) == 0)
			return &keys[i];
	}
	return NULL;
}

int command_example(int argc, char **argv)
{
	struct example_key keys[4];
	struct options options;
	const char *p;
	int status;

	if (!options_read(&options, argc, argv, TAKES_MAP, &status))
		return status;
	make_keys(keys);
	for (p = options.map ? conf_example_map : conf_example; *p; p++) {
		const struct example_key *key = *p == '{' ? key_at(keys, p) : NULL;

		if (key) {
			fputs(key->text, stdout);
			p += strlen(key->mark) - 1;
		} else {
			putchar(*p);
		}
	}
	crypto_wipe(keys, sizeof(keys));
	return finish_output();
}
