/* SPDX-License-Identifier: MIT */
/*
 * keyfile.c - public keys in the configuration, and secrets in it or in files of their own.
 *
 * A secret that others on this host can read is none: it is refused, with the command that mends
 * it. What was read of a secret is wiped wherever it passed.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scalar.h"
#include "warp/base64.h"

#define BLANKS " \t\r\n"

static bool is_zero(const u8 key[static KEY_SIZE])
{
	u8 any = 0;
	size_t i;

	for (i = 0; i < KEY_SIZE; i++)
		any |= key[i];
	return any == 0;
}

/* A key that is not zero. file: where it was read from, NULL: the configuration. */
static int decode_key(struct reader *r, const struct schema_key *key, struct place place,
		      const char *file, const char *text, size_t size, u8 *ret)
{
	const char *colon = file ? ": " : "";

	file = file ? VISIBLE(file) : "";
	if (key_from_base64(ret, text, size))
		return reader_fail(r, place,
				   "%s%s%s: not a key; a key is 44 characters of base64, as `warp "
				   "genkey` and `warp pubkey` print",
				   key->name, colon, file);
	if (is_zero(ret))
		return reader_fail(r, place, "%s%s%s: the key is all zero; make one with `warp %s`",
				   key->name, colon, file,
				   key->parse == parse_public_key ? "pubkey" : "genkey");
	return 0;
}

int parse_public_key(struct reader *r, const struct schema_key *key, const struct value *v,
		     void *ret)
{
	return decode_key(r, key, v->place, NULL, v->text, v->size, ret);
}

int parse_secret(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	if (r->open_to_others)
		return reader_fail(
			r, v->place,
			"%s stands in a file that group or others may read; do: chmod 600 "
			"%s",
			key->name, VISIBLE(r->file));
	return decode_key(r, key, v->place, NULL, v->text, v->size, ret);
}

/* Relative names are relative to the configuration's folder. */
static int full_path(struct reader *r, const struct value *v, char ret[static PATH_MAX])
{
	const char *slash = strrchr(r->file, '/');
	int folder = slash && v->text[0] != '/' ? (int)(slash + 1 - r->file) : 0;

	if (snprintf(ret, PATH_MAX, "%.*s%s", folder, r->file, v->text) >= PATH_MAX)
		return reader_fail(r, v->place, "the path is too long");
	return 0;
}

static int check_private(struct reader *r, const struct schema_key *key, const struct value *v,
			 const char *path, int fd)
{
	const char *shown = VISIBLE(path);
	struct stat st;

	if (fstat(fd, &st))
		return reader_fail(r, v->place, "%s: %s: %m", key->name, shown);
	if (!S_ISREG(st.st_mode))
		return reader_fail(r, v->place, "%s: %s is not a file; name one with a key in it",
				   key->name, shown);
	if (st.st_mode & 077)
		return reader_fail(r, v->place, "%s: group or others may read %s; do: chmod 600 %s",
				   key->name, shown, shown);
	return 0;
}

static int read_key_file(struct reader *r, const struct schema_key *key, const struct value *v,
			 const char *path, int fd, u8 *ret)
{
	char content[128] = "", *text;
	ssize_t size = read(fd, content, sizeof(content) - 1);
	int error;

	if (size < 0)
		return reader_fail(r, v->place, "%s: %s: %m", key->name, VISIBLE(path));
	text = content + strspn(content, BLANKS);
	text[strcspn(text, BLANKS)] = 0;
	error = decode_key(r, key, v->place, path, text, strlen(text), ret);
	explicit_bzero(content, sizeof(content));
	return error;
}

int parse_secret_file(struct reader *r, const struct schema_key *key, const struct value *v,
		      void *ret)
{
	char path[PATH_MAX];
	int error = full_path(r, v, path), fd;

	if (error)
		return error;
	/* Without blocking: it may be a pipe, which is refused. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return reader_fail(r, v->place,
				   "%s: %s: %m; make it with: umask 077; warp genkey > %s",
				   key->name, VISIBLE(path), VISIBLE(path));
	error = check_private(r, key, v, path, fd);
	if (!error)
		error = read_key_file(r, key, v, path, fd, ret);
	close(fd);
	return error;
}
