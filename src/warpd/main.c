/* SPDX-License-Identifier: MIT */
/*
 * main.c - warpd, the daemon: arguments, and the exit status.
 *
 * 0: it was asked to end, or all was well with --check. 2: arguments, configuration, privileges or
 * the system do not allow it to run. There is no 1: while it runs, nothing ends it.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/upnp.h"
#include "warp/conf.h"
#include "warp/crypto.h"
#include "warp/log.h"
#include "warpd/daemon.h"

#define DEFAULT_CONF "/etc/warp/warp.yaml"

static const char usage[] = "usage: warpd [-c FILE] [-v]\n"
			    "\n"
			    "  -c, --config FILE  the configuration (" DEFAULT_CONF ")\n"
			    "  -t, --check        only check the configuration\n"
			    "  -v, --verbose      also log what happens to paths\n"
			    "  -V, --version      print the version\n"
			    "  -h, --help         print this\n"
			    "\n"
			    "SIGHUP reads the configuration again, SIGTERM and SIGINT end it.\n";

struct arguments {
	const char *conf_path;
	bool check, done;
};

/* False: wrong, and said so. */
static bool parse(int argc, char **argv, struct arguments *ret)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 't' },
		{ "verbose", no_argument, NULL, 'v' },      { "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },         { 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:tvVh", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			ret->conf_path = optarg;
			break;
		case 't':
			ret->check = true;
			break;
		case 'v':
			log_set_level(LEVEL_DEBUG);
			break;
		case 'V':
			puts("warpd " WARP_VERSION);
			ret->done = true;
			return true;
		case 'h':
			fputs(usage, stdout);
			ret->done = true;
			return true;
		default:
			fputs("warpd --help tells more\n", stderr);
			return false;
		}
	}
	if (optind < argc)
		fprintf(stderr, "warpd: '%s' is one argument too many; warpd --help tells more\n",
			argv[optind]);
	return optind == argc;
}

static int run(struct conf *conf, const char *conf_path)
{
	static struct daemon d;
	int status = daemon_start(&d, conf, conf_path);

	if (status == 0) {
		log_info("warpd " WARP_VERSION ": %zu peers, %zu tunnels, %zu maps",
			 d.conf->peer_count, d.conf->tunnel_count, d.conf->map_count);
		daemon_run(&d);
	}
	daemon_stop(&d);
	return status;
}

int main(int argc, char **argv)
{
	struct arguments arguments = { .conf_path = DEFAULT_CONF };
	struct conf_error error;
	struct conf *conf;

	if (argc == 2 && !strcmp(argv[1], UPNP_WORKER_ARGUMENT))
		return upnp_worker(STDIN_FILENO);
	log_init();
	if (!parse(argc, argv, &arguments))
		return 2;
	if (arguments.done)
		return 0;
	signal(SIGPIPE, SIG_IGN);
	if (crypto_init() < 0) {
		log_errorx("libsodium cannot run on this machine");
		return 2;
	}
	if (conf_load(arguments.conf_path, &conf, &error) < 0) {
		log_errorx("%s", error.text);
		return 2;
	}
	if (arguments.check) {
		conf_free(conf);
		return 0;
	}
	return run(conf, arguments.conf_path);
}
