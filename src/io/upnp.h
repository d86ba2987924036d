/* SPDX-License-Identifier: MIT */
/*
 * upnp.h - one question to an UPnP Internet Gateway Device, asked by a process of its own.
 *
 *   upnp_job.c     starts the process, takes its answer, ends it
 *   upnp_worker.c  the process: gives up what it can do, answers one question
 *   upnp_igd.c     finding the router (SSDP), its description, calling its services (SOAP)
 *   upnp_text.c    what is read of URLs and of answers to a search
 *
 * Libminiupnpc blocks, and it parses XML that anybody on the link can send. So all that happens in a
 * fresh process of the same program, which is given no descriptor but its end of a socket pair,
 * has no privileges, no access to files, little memory and little time, and can be ended at any
 * moment. Question and answer are these structs: both ends are the same program.
 */
#ifndef WARP_IO_UPNP_H
#define WARP_IO_UPNP_H

#include "warp/engine.h"

#define UPNP_WORKER_ARGUMENT "--upnp-worker"
#define UPNP_URL_SIZE 256u
#define UPNP_SERVICE_SIZE 128u
#define UPNP_WHY_SIZE 96u
#define UPNP_PINHOLE_SIZE 16u
#define UPNP_PATIENCE (12 * NS_PER_S) /* for a whole question */

enum upnp_task { UPNP_ADD, UPNP_REMOVE };

/* Where a mapping was made, so that it is found again without a search. */
struct upnp_place {
	char control[UPNP_URL_SIZE]; /* "": nowhere yet */
	char service[UPNP_SERVICE_SIZE];
	char pinhole[UPNP_PINHOLE_SIZE]; /* of IPv6 */
};

struct upnp_question {
	enum upnp_task task;
	bool bind_to_device;
	u32 ifindex;
	char ifname[IFNAME_SIZE];
	struct endpoint local;
	struct address gateway;
	u16 external_port; /* wanted */
	u32 lifetime;      /* seconds */
	struct upnp_place place;
};

struct upnp_answer {
	int error;               /* 0, -errno */
	char why[UPNP_WHY_SIZE]; /* of an error */
	struct endpoint external;
	u32 lifetime;
	struct upnp_place place;
};

/* --- upnp_job.c ------------------------------------------------------------------------------ */

struct upnp_job {
	int fd; /* -1: none */
	int process;
};

#define UPNP_NO_JOB ((struct upnp_job){ .fd = -1, .process = -1 })

/* 0, -errno. The caller polls ret->fd for reading. */
int upnp_job_start(struct upnp_job *ret, const struct upnp_question *question);
/* 0 and *ret; -EAGAIN: not yet; else it has ended without an answer. */
int upnp_job_take(const struct upnp_job *job, struct upnp_answer *ret);
/* Whatever it does. */
void upnp_job_end(struct upnp_job *job);
/* It goes on, for at most UPNP_PATIENCE; nobody hears what comes of it. */
void upnp_job_leave(struct upnp_job *job);

/* --- upnp_worker.c --------------------------------------------------------------------------- */

/* What the process does: one question from fd (a seqpacket socket), one answer to it. Returns the
 * exit status. Gives up nearly everything that a process can do. */
int upnp_worker(int fd);

/* --- upnp_igd.c ------------------------------------------------------------------------------ */

/* May wait for seconds. */
void upnp_ask(const struct upnp_question *question, struct upnp_answer *ret);

/* --- upnp_text.c ----------------------------------------------------------------------------- */

/* "http://192.0.2.1:80/path": the host must be a number; a zone is ignored. *ret_path (inside url, or
 * "/") begins with a slash. 0, -EINVAL. */
int upnp_url(const char *url, struct endpoint *ret, const char **ret_path);
/* The LOCATION of the answer to a search, if it comes from a gateway device. 0, -EBADMSG. */
int upnp_location(const char *answer, size_t size, char ret[static UPNP_URL_SIZE]);

#endif
