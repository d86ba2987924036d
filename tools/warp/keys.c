/* SPDX-License-Identifier: MIT */
/*
 * keys.c - warp genkey, pubkey, genpsk: the same as those of wg(8), so that either can be used.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"
#include "warp/base64.h"
#include "warp/memory.h"

/* A secret that goes into a file which others can read is told of, as wg does. */
static void warn_if_readable(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077))
		fputs("warp: warning: group or others may read the file that this goes to; use umask "
		      "077\n",
		      stderr);
}

static int print_key(const u8 key[static KEY_SIZE])
{
	char text[KEY_TEXT_SIZE];

	key_to_base64(text, key);
	puts(text);
	crypto_wipe(text, sizeof(text));
	return finish_output();
}

static int print_secret(int argc, char **argv, bool clamp)
{
	struct options options;
	u8 key[KEY_SIZE];
	int status;

	if (!options_read(&options, argc, argv, 0, &status))
		return status;
	warn_if_readable();
	random_fill(&system_random, key, sizeof(key));
	if (clamp)
		private_key_clamp(key);
	status = print_key(key);
	crypto_wipe(key, sizeof(key));
	return status;
}

int command_genkey(int argc, char **argv)
{
	return print_secret(argc, argv, true);
}

int command_genpsk(int argc, char **argv)
{
	return print_secret(argc, argv, false);
}

int command_pubkey(int argc, char **argv)
{
	struct identity identity;
	struct options options;
	u8 private_key[KEY_SIZE];
	char text[128];
	size_t size;
	int status;

	if (!options_read(&options, argc, argv, 0, &status))
		return status;
	size = fread(text, 1, sizeof(text), stdin);
	while (size && strchr(" \t\r\n", text[size - 1]) && text[size - 1])
		size--;
	if (key_from_base64(private_key, text, size)) {
		fputs("warp pubkey: stdin is not a private key: 44 characters of base64, as `warp "
		      "genkey` prints\n",
		      stderr);
		return EXIT_USAGE;
	}
	identity_from_private(&identity, private_key);
	status = print_key(identity.public_key);
	crypto_wipe(text, sizeof(text));
	crypto_wipe(private_key, sizeof(private_key));
	crypto_wipe(&identity, sizeof(identity));
	return status;
}
