/* SPDX-License-Identifier: MIT */
/*
 * main.c - warp: what a person types. A table of sub-commands, after the manner of wg(8).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"
#include "warp/crypto.h"
#include "warp/nearest.h"

static const struct command {
	const char *name;
	const char *arguments;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "genkey", "", "print a new private key", command_genkey },
	{ "pubkey", "", "read a private key from stdin, print its public key", command_pubkey },
	{ "genpsk", "", "print a new preshared key", command_genpsk },
	{ "check", "[--map] FILE", "say whether a configuration is right", command_check },
	{ "example", "[--map]", "print a configuration that works, with new keys",
	  command_example },
	{ "status", "[--json] [-s SOCKET]", "show interfaces, peers, paths and tunnels",
	  command_status },
	{ "watch", "[-s SOCKET]", "show the status every second", command_watch },
	{ "events", "[-s SOCKET]", "print what changes, one line of JSON each", command_events },
	{ "reload", "[-s SOCKET]", "let the daemon read its configuration again", command_reload },
	{ "version", "[-s SOCKET]", "print the versions of warp and of the running daemon",
	  command_version },
};

static void usage(FILE *out)
{
	size_t i;

	fputs("usage: warp [-s SOCKET] COMMAND [OPTIONS]\n\n", out);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-8s %-21s %s\n", commands[i].name, commands[i].arguments,
			commands[i].summary);
	fputs("\n"
	      "  -s, --socket SOCKET  the daemon's control socket; else $WARP_SOCKET, else\n"
	      "                       /run/warp/warpd.sock\n"
	      "  --map                the file is that of warp-map\n"
	      "  --json               as the daemon says it\n"
	      "  -h, --help           this, or what COMMAND does\n\n"
	      "warp(8) tells more.\n",
	      out);
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

void command_help(FILE *out, const char *name)
{
	const struct command *c = find_command(name);

	if (!c)
		return;
	fprintf(out, "usage: warp %s%s%s\n\n%s\n", c->name, *c->arguments ? " " : "", c->arguments,
		c->summary);
}

static int unknown_command(const char *name)
{
	struct nearest nearest;
	size_t i;

	nearest_init(&nearest, name);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		nearest_try(&nearest, commands[i].name);
	if (nearest.word)
		fprintf(stderr, "warp: unknown command '%s'; did you mean '%s'?\n", name,
			nearest.word);
	else
		fprintf(stderr, "warp: unknown command '%s'; `warp --help` lists them\n", name);
	return EXIT_USAGE;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* `warp -s SOCKET COMMAND`: as `ip -n NAME ...`, before the command too. Returns how many words
 * that were; -1: the socket is missing. */
static int leading_socket(int argc, char **argv)
{
	if (argc < 2 || (strcmp(argv[1], "-s") != 0 && strcmp(argv[1], "--socket") != 0))
		return 0;
	if (argc < 3 || setenv("WARP_SOCKET", argv[2], 1) < 0)
		return -1;
	return 2;
}

int main(int argc, char **argv)
{
	const struct command *command;
	int words = leading_socket(argc, argv);

	argc -= words;
	argv += words;
	if (argc < 2 || words < 0) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (is_help(argv[1])) {
		usage(stdout);
		return finish_output();
	}
	if (strcmp(argv[1], "--version") == 0)
		argv[1] += 2;
	command = find_command(argv[1]);
	if (!command)
		return unknown_command(argv[1]);
	if (crypto_init()) {
		fputs("warp: the cryptographic library cannot run on this machine\n", stderr);
		return EXIT_FAILED;
	}
	return command->run(argc - 1, argv + 1);
}
