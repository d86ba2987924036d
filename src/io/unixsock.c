/* SPDX-License-Identifier: MIT */
/*
 * unixsock.c - named Unix sockets.
 *
 * Before binding, the name is looked at: what is not a socket stays; a socket is asked by
 * connecting to it, and only when nobody answers (ECONNREFUSED: its owner has died) it is removed.
 * The name is made without any permission and gets group and mode before anybody can use it. On
 * closing, device and inode tell whether the name is still ours: a successor may have taken it.
 */
#include "io/unixsock.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int failed(struct conf_error *ret_error, const char *path, int error, const char *what)
{
	snprintf(ret_error->text, sizeof(ret_error->text), "%s: %s", path,
		 what ? what : strerror(error));
	return -error;
}

static struct sockaddr_un name_of(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	memcpy(name.sun_path, path, strlen(path) + 1);
	return name;
}

/* Does somebody hold the socket of this name? Any answer but "refused" says so. */
static bool is_alive(const struct sockaddr_un *name, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused;

	if (fd < 0)
		return true;
	refused = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 &&
		  (errno == ECONNREFUSED || errno == ENOENT);
	close(fd);
	return !refused;
}

static int make_room(const struct sockaddr_un *name, int type, struct conf_error *ret_error)
{
	const char *path = name->sun_path;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : failed(ret_error, path, errno, NULL);
	if (!S_ISSOCK(st.st_mode))
		return failed(ret_error, path, EEXIST,
			      "exists and is not a socket; remove it or choose another path");
	if (is_alive(name, type))
		return failed(ret_error, path, EADDRINUSE,
			      "in use: another program listens on this socket");
	return unlink(path) < 0 && errno != ENOENT ? failed(ret_error, path, errno, NULL) : 0;
}

static int set_access(const struct unixsock_options *o, struct conf_error *ret_error)
{
	const struct group *group;

	if (o->group && o->group[0]) {
		group = getgrnam(o->group);
		if (!group)
			return failed(ret_error, o->path, EINVAL, "its group does not exist");
		if (lchown(o->path, (uid_t)-1, group->gr_gid) < 0)
			return failed(ret_error, o->path, errno, "its group cannot be set");
	}
	if (chmod(o->path, o->mode) < 0)
		return failed(ret_error, o->path, errno, NULL);
	return 0;
}

static int bind_name(struct unixsock *s, const struct sockaddr_un *name,
		     const struct unixsock_options *o, struct conf_error *ret_error)
{
	mode_t mask = umask(0777);
	int bound = bind(s->fd, (const struct sockaddr *)name, sizeof(*name)), error = errno;
	struct stat st;

	umask(mask);
	if (bound < 0)
		return failed(ret_error, o->path, error, NULL);
	if (lstat(o->path, &st) < 0)
		return failed(ret_error, o->path, errno, NULL);
	/* From here on the name is ours to remove. */
	s->device = st.st_dev;
	s->inode = st.st_ino;
	memcpy(s->path, name->sun_path, sizeof(s->path));
	/* Listening first: whoever may connect finds it ready. */
	if (o->type != SOCK_DGRAM && listen(s->fd, o->backlog) < 0)
		return failed(ret_error, o->path, errno, NULL);
	return set_access(o, ret_error);
}

int unixsock_open(struct unixsock *ret, const struct unixsock_options *options,
		  struct conf_error *ret_error)
{
	struct unixsock s = { .fd = -1 };
	struct sockaddr_un name;
	int error;

	if (!options->path[0] || strlen(options->path) >= sizeof(name.sun_path))
		return failed(ret_error, options->path, EINVAL,
			      "a socket's path has 1 to 107 characters");
	name = name_of(options->path);
	error = make_room(&name, options->type, ret_error);
	if (error)
		return error;
	s.fd = socket(AF_UNIX, options->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s.fd < 0)
		return failed(ret_error, options->path, errno, NULL);
	error = bind_name(&s, &name, options, ret_error);
	if (error) {
		unixsock_close(&s);
		return error;
	}
	*ret = s;
	return 0;
}

void unixsock_close(struct unixsock *s)
{
	struct stat st;

	if (s->fd < 0)
		return;
	if (s->path[0] && lstat(s->path, &st) == 0 && st.st_dev == s->device &&
	    st.st_ino == s->inode)
		unlink(s->path);
	close(s->fd);
	s->fd = -1;
}
