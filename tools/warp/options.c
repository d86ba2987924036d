/* SPDX-License-Identifier: MIT */
/*
 * options.c - the options of sub-commands; see tool.h.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"
#include "warp/conf.h"

enum { OPTION_JSON = 256, OPTION_MAP };

static const struct option long_options[] = {
	{ "help", no_argument, NULL, 'h' },
	{ "socket", required_argument, NULL, 's' },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "map", no_argument, NULL, OPTION_MAP },
	{ NULL, 0, NULL, 0 },
};

/* Stores one option; false: this command has no such option. */
static bool take_option(struct options *o, int option, unsigned takes)
{
	switch (option) {
	case OPTION_JSON:
		o->json = true;
		return takes & TAKES_JSON;
	case OPTION_MAP:
		o->map = true;
		return takes & TAKES_MAP;
	case 's':
		o->socket = optarg;
		return takes & TAKES_SOCKET;
	default:
		return false;
	}
}

/* How the option was written: the long options alone have names here. */
static const char *option_name(int option, char **argv)
{
	if (option == 's')
		return "-s";
	return argv[optind - 1];
}

static int refuse(const char *command, const char *what, const char *word)
{
	fprintf(stderr, "warp %s: %s '%s'\n", command, what, word);
	command_help(stderr, command);
	return EXIT_USAGE;
}

static const char *default_socket(void)
{
	const char *socket = getenv("WARP_SOCKET");

	return socket && *socket ? socket : CONF_CONTROL_SOCKET;
}

/* What is left of argv. */
static int take_operand(struct options *o, int argc, char **argv, unsigned takes)
{
	if (!(takes & TAKES_OPERAND))
		return optind < argc ? refuse(argv[0], "what is", argv[optind]) : EXIT_DONE;
	if (optind == argc)
		return refuse(argv[0], "something is missing after", argv[0]);
	if (optind + 1 < argc)
		return refuse(argv[0], "too much:", argv[optind + 1]);
	o->operand = argv[optind];
	return EXIT_DONE;
}

bool options_read(struct options *ret, int argc, char **argv, unsigned takes, int *ret_status)
{
	struct options o = { .socket = default_socket() };
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, ":hs:", long_options, NULL)) != -1) {
		if (option == 'h') {
			command_help(stdout, argv[0]);
			*ret_status = finish_output();
			return false;
		}
		if (option == ':') {
			*ret_status = refuse(argv[0], "a value is missing after", argv[optind - 1]);
			return false;
		}
		if (!take_option(&o, option, takes)) {
			*ret_status = refuse(argv[0], "unknown option", option_name(option, argv));
			return false;
		}
	}
	*ret_status = take_operand(&o, argc, argv, takes);
	*ret = o;
	return *ret_status == EXIT_DONE;
}

int finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_DONE;
	fprintf(stderr, "warp: cannot write: %s\n", strerror(errno));
	return EXIT_FAILED;
}
