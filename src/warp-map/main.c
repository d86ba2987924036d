/* SPDX-License-Identifier: MIT */
/*
 * main.c - warp-map: the server where nodes meet. See warp-map(8).
 *
 * Exit status: 0 ended by a signal, 1 failed (also: an address is not there yet, or taken), 2 bad
 * arguments, bad configuration or missing privileges.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "server.h"
#include "warp/log.h"

#define EXIT_BAD 2
#define DEFAULT_PATH "/etc/warp/map.yaml"

static const char usage[] = "usage: warp-map [-v] [-c FILE]\n"
			    "\n"
			    "  -c, --config FILE   configuration, " DEFAULT_PATH " if not given\n"
			    "  -v, --verbose       tell more\n"
			    "      --version       tell the version\n"
			    "  -h, --help          tell this\n"
			    "\n"
			    "SIGTERM ends it; SIGHUP takes allowed_clients from the file again.\n";

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static void parse_arguments(int argc, char **argv, const char **ret_path)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:vh", long_options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			*ret_path = optarg;
			break;
		case 'v':
			log_set_level(LEVEL_DEBUG);
			break;
		case 'V':
			puts("warp-map " WARP_VERSION);
			exit(EXIT_SUCCESS);
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default: /* getopt has said what is wrong */
			exit(EXIT_BAD);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "warp-map: there is nothing to do with '%s'; try --help\n",
			argv[optind]);
		exit(EXIT_BAD);
	}
}

static int exit_status(int error)
{
	if (error == -EACCES || error == -EPERM)
		return EXIT_BAD;
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *path = DEFAULT_PATH;
	struct conf_map_server *conf;
	struct conf_error error;

	log_init();
	parse_arguments(argc, argv, &path);
	if (crypto_init() < 0)
		fatalx("libsodium cannot run on this machine");
	if (conf_load_map_server(path, &conf, &error)) {
		log_errorx("%s", error.text);
		return EXIT_BAD;
	}
	return exit_status(server_run(path, conf));
}
