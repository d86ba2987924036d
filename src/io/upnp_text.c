/* SPDX-License-Identifier: MIT */
/*
 * upnp_text.c - the two forms of text that come from the network and are not read by libminiupnpc:
 * URLs, and answers to a search (UPnP Device Architecture 1.1, 1.3.3). Strict: what is not plain is
 * refused. No system call.
 */
#include "upnp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "warp/text.h"

#define SCHEME "http://"
#define HTTP_PORT 80u

/* --- URLs --------------------------------------------------------------------------------- */

static bool printable(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

/* "[fe80::1%25eth0]" without its zone, which only its sender understands. */
static void cut_zone(char *host)
{
	char *from = strchr(host, '%'), *to = from ? strchr(from, ']') : NULL;

	if (to)
		memmove(from, to, strlen(to) + 1);
}

/* "host", "host:port": numbers. */
static int parse_host(char *host, struct endpoint *ret)
{
	size_t size;

	cut_zone(host);
	if (endpoint_parse(host, ret) == 0)
		return 0;
	size = strlen(host);
	if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
		host[size - 1] = 0;
		host++;
	}
	ret->port = HTTP_PORT;
	return address_parse(host, &ret->address);
}

int upnp_url(const char *url, struct endpoint *ret, const char **ret_path)
{
	const char *begin = url + strlen(SCHEME), *path;
	struct endpoint e = { .port = 0 };
	char host[UPNP_URL_SIZE];

	if (strncasecmp(url, SCHEME, strlen(SCHEME)) != 0 || !printable(url))
		return -EINVAL;
	path = begin + strcspn(begin, "/");
	if ((size_t)(path - begin) >= sizeof(host))
		return -EINVAL;
	memcpy(host, begin, (size_t)(path - begin));
	host[path - begin] = 0;
	if (parse_host(host, &e) || !endpoint_is_usable(&e))
		return -EINVAL;
	*ret = e;
	*ret_path = *path ? path : "/";
	return 0;
}

/* --- answers to a search ------------------------------------------------------------------ */

struct line {
	const char *text;
	size_t size;
};

/* The next line of an answer, without its end. */
static bool next_line(const char **at, const char *end, struct line *ret)
{
	const char *newline = memchr(*at, '\n', (size_t)(end - *at));

	if (!newline)
		return false;
	*ret = (struct line){ *at, (size_t)(newline - *at) };
	if (ret->size && ret->text[ret->size - 1] == '\r')
		ret->size--;
	*at = newline + 1;
	return ret->size > 0;
}

/* The value of a header of this name; 0 bytes: it is another one. */
static struct line header_value(struct line l, const char *name)
{
	size_t size = strlen(name);

	if (l.size <= size || l.text[size] != ':' || strncasecmp(l.text, name, size) != 0)
		return (struct line){ .size = 0 };
	l = (struct line){ l.text + size + 1, l.size - size - 1 };
	while (l.size && (*l.text == ' ' || *l.text == '\t'))
		l = (struct line){ l.text + 1, l.size - 1 };
	while (l.size && (l.text[l.size - 1] == ' ' || l.text[l.size - 1] == '\t'))
		l.size--;
	return l;
}

static bool contains(struct line l, const char *word)
{
	return memmem(l.text, l.size, word, strlen(word)) != NULL;
}

int upnp_location(const char *answer, size_t size, char ret[static UPNP_URL_SIZE])
{
	struct line l, location = { .size = 0 }, value;
	const char *at = answer;
	bool gateway = false;

	if (!next_line(&at, answer + size, &l) || l.size < 12 ||
	    strncmp(l.text, "HTTP/1.", 7) != 0 || strncmp(l.text + 8, " 200", 4) != 0)
		return -EBADMSG;
	while (next_line(&at, answer + size, &l)) {
		value = header_value(l, "LOCATION");
		if (value.size)
			location = value;
		value = header_value(l, "ST");
		if (value.size)
			gateway = contains(value, "InternetGatewayDevice");
	}
	if (!gateway || !location.size || location.size >= UPNP_URL_SIZE ||
	    memchr(location.text, 0, location.size))
		return -EBADMSG;
	memcpy(ret, location.text, location.size);
	ret[location.size] = 0;
	return 0;
}
