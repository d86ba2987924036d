/* SPDX-License-Identifier: MIT */
/*
 * upnp_igd.c - finds the router and calls its services, with libminiupnpc's parsers and SOAP, over
 * sockets of our own: the library's would not be bound to the interface.
 *
 *   IPv4   WANIPConnection:1 and :2, WANPPPConnection:1   AddPortMapping, DeletePortMapping
 *   IPv6   WANIPv6FirewallControl:1                       AddPinhole, UpdatePinhole, DeletePinhole
 */
#include "upnp_net.h"

#include <errno.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpreplyparse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "warp/text.h"

#define SEARCH_TIME (1500 * NS_PER_MS)
#define DESCRIPTION "warp"
#define PORT_TRIES 4u
#define PORT_FIRST 20000u /* of those that are tried when the wanted one is taken */
#define PORT_COUNT 40000u

/* UPnP error codes (WANIPConnection 2.5.16). */
#define ERROR_CONFLICT 718
#define ERROR_PERMANENT_ONLY 725

#define DECIMAL 12u

struct call {
	const struct upnp_question *q;
	struct upnp_answer *ret;
	struct upnp_place place;
};

static int fail(struct upnp_answer *ret, int error, const char *what)
{
	ret->error = error;
	snprintf(ret->why, sizeof(ret->why), "%s", what);
	return error;
}

/* --- SOAP --------------------------------------------------------------------------------- */

static int error_code(const char *text)
{
	long code = strtol(text, NULL, 10);

	return code > 0 && code < 1000 ? (int)code : -EBADMSG;
}

/* Calls an action; *ret_value (if wanted) is the value of this name in the answer. 0; the device's
 * error code; -errno. */
static int soap(const struct call *c, const char *action, struct UPNParg *arguments,
		const char *name, char *ret_value, size_t room)
{
	struct NameValueParserData values;
	struct endpoint e;
	const char *path, *value;
	char *answer;
	int fd, size = 0, code = 0;

	if (upnp_url(c->place.control, &e, &path))
		return -EINVAL;
	fd = upnp_connect(c->q, &e);
	if (fd < 0)
		return fd;
	/* Closes fd. */
	answer =
		simpleUPnPcommand(fd, c->place.control, c->place.service, action, arguments, &size);
	if (!answer)
		return -EPIPE;
	ParseNameValue(answer, size, &values);
	free(answer);
	value = GetValueFromNameValueList(&values, "errorCode");
	if (value)
		code = error_code(value);
	value = name ? GetValueFromNameValueList(&values, name) : NULL;
	if (!code && name && (!value || strlen(value) >= room))
		code = -EBADMSG;
	if (!code && name)
		snprintf(ret_value, room, "%s", value);
	ClearNameValueList(&values);
	return code;
}

static const char *decimal(char ret[static DECIMAL], u32 value)
{
	snprintf(ret, DECIMAL, "%u", value);
	return ret;
}

#define DECIMAL_TEXT(value) decimal((char[DECIMAL]){ 0 }, value)

/* --- IPv4: port mappings ------------------------------------------------------------------ */

static int outer_address(const struct call *c, struct address *ret)
{
	char text[ADDRESS_TEXT];
	int code =
		soap(c, "GetExternalIPAddress", NULL, "NewExternalIPAddress", text, sizeof(text));

	if (code)
		return code;
	if (address_parse(text, ret) || ret->family != 4 || address_is_special(ret))
		return -EADDRNOTAVAIL;
	return 0;
}

static int add_mapping(const struct call *c, u16 port, u32 lifetime)
{
	struct UPNParg arguments[] = {
		{ "NewRemoteHost", "" },
		{ "NewExternalPort", DECIMAL_TEXT(port) },
		{ "NewProtocol", "UDP" },
		{ "NewInternalPort", DECIMAL_TEXT(c->q->local.port) },
		{ "NewInternalClient", address_text(&c->q->local.address) },
		{ "NewEnabled", "1" },
		{ "NewPortMappingDescription", DESCRIPTION },
		{ "NewLeaseDuration", DECIMAL_TEXT(lifetime) },
		{ NULL, NULL },
	};

	return soap(c, "AddPortMapping", arguments, NULL, NULL, 0);
}

/* The wanted port, or another one; for ever, if the device knows nothing else. */
static int map_port(struct call *c)
{
	u16 port = c->q->external_port;
	u32 lifetime = c->q->lifetime;
	int code = ERROR_CONFLICT;

	for (u32 i = 0; i < PORT_TRIES && code == ERROR_CONFLICT; i++) {
		if (i)
			port = (u16)(PORT_FIRST + (upnp_now() / NS_PER_US + port) % PORT_COUNT);
		code = add_mapping(c, port, lifetime);
		if (code == ERROR_PERMANENT_ONLY) {
			lifetime = 0;
			code = add_mapping(c, port, lifetime);
		}
	}
	if (code)
		return code;
	c->ret->external.port = port;
	c->ret->lifetime = c->q->lifetime;
	return 0;
}

static int unmap_port(const struct call *c)
{
	struct UPNParg arguments[] = {
		{ "NewRemoteHost", "" },
		{ "NewExternalPort", DECIMAL_TEXT(c->q->external_port) },
		{ "NewProtocol", "UDP" },
		{ NULL, NULL },
	};

	return soap(c, "DeletePortMapping", arguments, NULL, NULL, 0);
}

/* --- IPv6: pinholes ----------------------------------------------------------------------- */

static int add_pinhole(struct call *c)
{
	struct UPNParg arguments[] = {
		{ "RemoteHost", "" },
		{ "RemotePort", "0" },
		{ "InternalClient", address_text(&c->q->local.address) },
		{ "InternalPort", DECIMAL_TEXT(c->q->local.port) },
		{ "Protocol", "17" },
		{ "LeaseTime", DECIMAL_TEXT(c->q->lifetime) },
		{ NULL, NULL },
	};

	return soap(c, "AddPinhole", arguments, "UniqueID", c->place.pinhole,
		    sizeof(c->place.pinhole));
}

static int update_pinhole(const struct call *c)
{
	struct UPNParg arguments[] = {
		{ "UniqueID", c->place.pinhole },
		{ "NewLeaseTime", DECIMAL_TEXT(c->q->lifetime) },
		{ NULL, NULL },
	};

	return soap(c, "UpdatePinhole", arguments, NULL, NULL, 0);
}

static int remove_pinhole(const struct call *c)
{
	struct UPNParg arguments[] = { { "UniqueID", c->place.pinhole }, { NULL, NULL } };

	return soap(c, "DeletePinhole", arguments, NULL, NULL, 0);
}

/* What is known may have been forgotten. */
static int open_pinhole(struct call *c)
{
	int code = c->place.pinhole[0] ? update_pinhole(c) : ERROR_CONFLICT;

	if (code)
		code = add_pinhole(c);
	if (code)
		return code;
	c->ret->external = c->q->local;
	c->ret->lifetime = c->q->lifetime;
	return 0;
}

/* --- at one device ------------------------------------------------------------------------ */

static int add_at(struct call *c)
{
	int code;

	if (c->q->local.address.family == 6) {
		code = open_pinhole(c);
	} else {
		code = outer_address(c, &c->ret->external.address);
		if (!code)
			code = map_port(c);
	}
	if (code > 0)
		snprintf(c->ret->why, sizeof(c->ret->why), "the router refuses: error %d", code);
	else if (code < 0)
		snprintf(c->ret->why, sizeof(c->ret->why), "%s", strerror(-code));
	c->ret->error = code > 0 ? -EACCES : code;
	if (!code)
		c->ret->place = c->place;
	return c->ret->error;
}

/* The control URL of a service, if it leads to the device itself. */
static bool set_place(struct upnp_place *ret, const char *control, const char *service,
		      const struct endpoint *device)
{
	struct endpoint e;
	const char *path;

	if (!control || !*service || strlen(control) >= sizeof(ret->control) ||
	    strlen(service) >= sizeof(ret->service) || upnp_url(control, &e, &path) ||
	    !address_equal(&e.address, &device->address))
		return false;
	*ret = (struct upnp_place){ .pinhole = "" };
	snprintf(ret->control, sizeof(ret->control), "%s", control);
	snprintf(ret->service, sizeof(ret->service), "%s", service);
	return true;
}

/* Tries the service of data that urls leads to. */
static int try_service(struct call *c, struct IGDdatas *data, const char *url,
		       const struct endpoint *device)
{
	struct UPNPUrls urls = { 0 };
	bool six = c->q->local.address.family == 6, there;

	GetUPNPUrls(&urls, data, url, 0);
	there = set_place(&c->place, six ? urls.controlURL_6FC : urls.controlURL,
			  six ? data->IPv6FC.servicetype : data->first.servicetype, device);
	FreeUPNPUrls(&urls);
	if (!there)
		return fail(c->ret, -ENOENT, "the router has no such service");
	return add_at(c);
}

/* The device that url describes: its first WAN connection, or the second. */
static int try_device(struct call *c, const char *url)
{
	static char document[UPNP_DOCUMENT_SIZE];
	struct IGDdatas data = { .level = 0 };
	struct endpoint device;
	const char *path;
	int size = upnp_get(c->q, url, document), error;

	if (size < 0 || upnp_url(url, &device, &path))
		return fail(c->ret, -EBADMSG, "the router's description cannot be read");
	parserootdesc(document, size, &data);
	error = try_service(c, &data, url, &device);
	if (error && c->q->local.address.family == 4 && data.second.servicetype[0]) {
		data.first = data.second;
		error = try_service(c, &data, url, &device);
	}
	return error;
}

/* --- the question ------------------------------------------------------------------------- */

static void search_and_add(struct call *c)
{
	char url[UPNP_URL_SIZE], last[UPNP_URL_SIZE] = "";
	u64 until = upnp_now() + SEARCH_TIME;
	int search = upnp_search(c->q);

	if (search < 0) {
		fail(c->ret, search, strerror(-search));
		return;
	}
	fail(c->ret, -ENOENT, "no gateway device answers");
	while (upnp_found(c->q, search, until, url) == 0) {
		/* Each answers more than once. */
		if (strcmp(url, last) == 0)
			continue;
		memcpy(last, url, sizeof(last));
		if (try_device(c, url) == 0)
			break;
	}
	close(search);
}

static void remove_at(const struct call *c)
{
	bool six = c->q->local.address.family == 6;
	int code = six ? remove_pinhole(c) : unmap_port(c);

	if (code)
		fail(c->ret, code < 0 ? code : -EACCES, "the router does not take it back");
	else
		c->ret->error = 0;
}

void upnp_ask(const struct upnp_question *question, struct upnp_answer *ret)
{
	struct call c = { .q = question, .ret = ret, .place = question->place };

	*ret = (struct upnp_answer){ .error = 0 };
	if (question->task == UPNP_REMOVE) {
		remove_at(&c);
		return;
	}
	if (c.place.control[0] && add_at(&c) == 0)
		return;
	c.place = (struct upnp_place){ .pinhole = "" };
	search_and_add(&c);
}
