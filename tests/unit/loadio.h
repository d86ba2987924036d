/* SPDX-License-Identifier: MIT */
/*
 * loadio.h - one process that is a great many UDP clients of one server, and what that server uses
 * meanwhile.
 *
 * Client n speaks from the IPv4 address 10.1.0.0 + n, which has to be local to this namespace
 * (`ip route add local 10.0.0.0/8 dev lo`), and from one of LOAD_SOCKETS ports. All clients share the
 * sockets: each datagram says for itself from which address it leaves. So there are no 100,000
 * descriptors, and datagrams go out and come in by batches whoever's they are. Both servers of a
 * comparison get their load from here.
 */
#ifndef WARP_TESTS_LOADIO_H
#define WARP_TESTS_LOADIO_H

#include "warp/endpoint.h"

#define LOAD_SOCKETS 2u
#define LOAD_DATAGRAM 1500u
#define LOAD_CLIENTS_MAX 1000000u

struct load;

/* Ends the program with status 2 when it cannot be. */
struct load *load_open(const char *server);
void load_close(struct load *l);
const struct endpoint *load_server(const struct load *l);

/* Goes out with the next LOAD_BATCH of that socket, or with load_flush(). What the kernel does not
 * take is lost, as on any link. */
void load_send(struct load *l, u32 client, u32 socket, const void *data, size_t size);
void load_flush(struct load *l);
/* Flushes, waits for at most `wait` ns, hands over all that is there by then; returns its number. */
u32 load_receive(struct load *l, u64 wait, void (*hear)(void *ctx, u8 *data, size_t size),
		 void *ctx);
u64 load_bytes_out(const struct load *l);
u64 load_bytes_in(const struct load *l);

/* Of a process: memory that it has (bytes), and the time that all its threads have run (ns). Ends
 * the program with status 2 when there is no such process. */
u64 load_memory(int pid);
u64 load_cpu(int pid);

#endif
