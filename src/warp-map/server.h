/* SPDX-License-Identifier: MIT */
/*
 * server.h - the map server as a process: sockets, timer and signals around the core's mapserver.
 */
#ifndef WARP_MAP_SERVER_H
#define WARP_MAP_SERVER_H

#include "warp/conf.h"

/* Runs until SIGTERM or SIGINT. Takes over conf, which was read from the file at path; SIGHUP reads
 * it again. 0, or -errno: it could not begin, which is logged. */
int server_run(const char *path, struct conf_map_server *conf);

#endif
