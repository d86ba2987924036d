/* SPDX-License-Identifier: MIT */
/*
 * upnp_job.c - the process that asks a router by UPnP, seen from the one that wants to know.
 *
 * It is this program, executed again by /proc/self/exe: a fork would take along all memory, with
 * the keys in it, and would be fragile beside threads. It has an empty environment, and its end of
 * the socket pair as standard input; all other descriptors are closed on execution.
 *
 * Who reaps it: libev's default loop, or upnp_job_end(), whichever is first. A pidfd says whom
 * a signal is for, whatever has become of the number.
 */
#include "upnp.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "/proc/self/exe"

static int spawn(pid_t *ret, int fd)
{
	static char name[] = "warpd", argument[] = UPNP_WORKER_ARGUMENT;
	char *const arguments[] = { name, argument, NULL }, *const environment[] = { NULL };
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return -error;
	error = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	if (!error)
		error = posix_spawn(ret, PROGRAM, &actions, NULL, arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	return -error;
}

int upnp_job_start(struct upnp_job *ret, const struct upnp_question *question)
{
	pid_t pid = -1;
	int fds[2], error;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds))
		return -errno;
	error = send(fds[0], question, sizeof(*question), MSG_NOSIGNAL) < 0 ? -errno : 0;
	if (!error)
		error = spawn(&pid, fds[1]);
	close(fds[1]);
	if (error) {
		close(fds[0]);
		return error;
	}
	*ret = (struct upnp_job){ .fd = fds[0], .process = pidfd_open(pid, 0) };
	return 0;
}

/* What comes from there may be what the network made of it. */
static bool well_formed(const struct upnp_answer *a)
{
	return memchr(a->why, 0, sizeof(a->why)) &&
	       memchr(a->place.control, 0, sizeof(a->place.control)) &&
	       memchr(a->place.service, 0, sizeof(a->place.service)) &&
	       memchr(a->place.pinhole, 0, sizeof(a->place.pinhole));
}

int upnp_job_take(const struct upnp_job *job, struct upnp_answer *ret)
{
	struct upnp_answer a;
	ssize_t size = recv(job->fd, &a, sizeof(a), MSG_DONTWAIT);

	if (size < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (size != (ssize_t)sizeof(a) || !well_formed(&a))
		return -EPIPE;
	*ret = a;
	return 0;
}

void upnp_job_leave(struct upnp_job *job)
{
	if (job->fd >= 0)
		close(job->fd);
	if (job->process >= 0)
		close(job->process);
	*job = UPNP_NO_JOB;
}

void upnp_job_end(struct upnp_job *job)
{
	siginfo_t info;

	if (job->process >= 0) {
		pidfd_send_signal(job->process, SIGKILL, NULL, 0);
		waitid(P_PIDFD, (id_t)job->process, &info, WEXITED | WNOHANG);
	}
	upnp_job_leave(job);
}
